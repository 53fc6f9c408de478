"""What has been saved of a provider's week, in the shape of the form that saves it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.resources import Mode
from availability.models import (
    AppointmentType,
    Location,
    Provider,
    Room,
    ScheduleRule,
    appointment_type_locations,
    schedule_rule_breaks,
)
from availability.schemas.schedule import INTERVALS, REPLACE_MODES
from availability.schemas.schedule_answers import (
    BreakOut,
    DayOut,
    FormOut,
    LocationOption,
    RefdataOut,
    RoomOption,
    ScopeOut,
    TypeOption,
    WindowOut,
)


class _Break(NamedTuple):
    start_minute: int
    end_minute: int
    label: str | None


async def saved_forms(
    db: AsyncSession, provider_id: UUID, conditions: Mapping[str, Any]
) -> list[FormOut]:
    """One form for each scope and zone that has rules, wide scopes first."""
    rules = await db.scalars(
        select(ScheduleRule)
        .where(
            ScheduleRule.provider_id == provider_id,
            ScheduleRule.is_active,
            *[
                getattr(ScheduleRule, column).is_not_distinct_from(value)
                for column, value in conditions.items()
            ],
        )
        .order_by(
            ScheduleRule.start_minute,
            ScheduleRule.effective_from.nulls_first(),
            ScheduleRule.created_at,
            ScheduleRule.id,
        )
    )
    by_scope: dict[tuple[Any, ...], list[ScheduleRule]] = {}
    for rule in rules:
        by_scope.setdefault(_scope(rule), []).append(rule)
    breaks = await _breaks(db, provider_id)
    scopes = sorted(by_scope, key=lambda scope: [(part is not None, str(part)) for part in scope])
    return [_form(by_scope[scope], breaks) for scope in scopes]


async def refdata(db: AsyncSession, provider: Provider) -> RefdataOut:
    """What the form's selects offer."""
    places = appointment_type_locations.c
    listed: dict[UUID, list[UUID]] = {}
    for type_id, location_id in await db.execute(
        select(places.appointment_type_id, places.location_id).where(
            places.provider_id == provider.id
        )
    ):
        listed.setdefault(type_id, []).append(location_id)
    types = await db.scalars(
        select(AppointmentType)
        .where(AppointmentType.provider_id == provider.id, AppointmentType.is_active)
        .order_by(AppointmentType.name, AppointmentType.id)
    )
    locations = await db.scalars(
        select(Location)
        .where(Location.provider_id == provider.id, Location.is_active)
        .order_by(Location.is_primary.desc(), Location.name, Location.id)
    )
    rooms = await db.scalars(
        select(Room)
        .where(Room.provider_id == provider.id, Room.is_active)
        .order_by(Room.name, Room.id)
    )
    return RefdataOut(
        appointment_types=[
            TypeOption(
                id=each.id,
                name=each.name,
                slug=each.slug,
                consultation_mode=Mode(each.mode),
                duration_minutes=each.duration_minutes,
                buffer_before_minutes=each.buffer_before_minutes,
                buffer_after_minutes=each.buffer_after_minutes,
                location_ids=listed.get(each.id, []),
            )
            for each in types
        ],
        locations=[LocationOption.model_validate(each) for each in locations],
        rooms=[RoomOption.model_validate(each) for each in rooms],
        consultation_modes=list(Mode),
        slot_interval_minutes=list(INTERVALS),
        replace_modes=list(REPLACE_MODES),
        timezone_default=provider.timezone,
    )


async def _breaks(db: AsyncSession, provider_id: UUID) -> dict[UUID, list[_Break]]:
    columns = schedule_rule_breaks.c
    found: dict[UUID, list[_Break]] = {}
    for row in await db.execute(
        select(columns.schedule_rule_id, columns.start_minute, columns.end_minute, columns.label)
        .join(ScheduleRule, ScheduleRule.id == columns.schedule_rule_id)
        .where(ScheduleRule.provider_id == provider_id)
        .order_by(columns.start_minute)
    ):
        found.setdefault(row[0], []).append(_Break(*row[1:]))
    return found


def _scope(rule: ScheduleRule) -> tuple[Any, ...]:
    return (
        rule.scope_appointment_type_id,
        rule.scope_location_id,
        rule.scope_room_id,
        rule.scope_mode,
        rule.timezone,
    )


def _form(rules: Sequence[ScheduleRule], breaks: Mapping[UUID, Sequence[_Break]]) -> FormOut:
    service_id, location_id, room_id, mode, timezone = _scope(rules[0])
    windows: dict[int, list[WindowOut]] = {day: [] for day in range(1, 8)}
    for rule in rules:
        windows[rule.weekday].append(_window(rule, breaks.get(rule.id, ())))
    return FormOut(
        scope=ScopeOut(
            appointment_type_id=service_id,
            doctor_location_id=location_id,
            location_room_id=room_id,
            consultation_mode=mode and Mode(mode),
            timezone=timezone,
        ),
        days=[
            DayOut(day_of_week=day, enabled=bool(of_day), windows=of_day)
            for day, of_day in windows.items()
        ],
    )


def _window(rule: ScheduleRule, breaks: Sequence[_Break]) -> WindowOut:
    return WindowOut(
        work_start_local=rule.start_minute,
        work_end_local=rule.end_minute,
        slot_interval_minutes=rule.slot_interval_minutes,
        breaks=[
            BreakOut(
                break_start_local=each.start_minute,
                break_end_local=each.end_minute,
                label=each.label,
            )
            for each in breaks
        ],
        priority=rule.priority,
        effective_from=rule.effective_from,
        effective_to=rule.effective_to,
    )
