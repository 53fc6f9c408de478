"""When a provider works, week by week."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import delete, insert, or_
from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes
from availability.domain.resources import Mode
from availability.domain.schedule_form import FormWindow, window_faults
from availability.models import ScheduleRule, schedule_rule_breaks
from availability.ownership import check_scope, locked_provider
from shared.errors import Invalid
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBreak:
    start_minute: int
    end_minute: int
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRule:
    """A window of an ISO weekday in minutes of its local day; 1440 is the midnight at its end.

    What the scope leaves open, the rule is about all of.
    """

    id: UUID = field(default_factory=new_id)
    timezone: str
    weekday: int
    start_minute: int
    end_minute: int
    slot_interval_minutes: int = 15
    scope_appointment_type_id: UUID | None = None
    scope_location_id: UUID | None = None
    scope_room_id: UUID | None = None
    scope_mode: Mode | None = None
    priority: int = 0
    effective_from: date | None = None
    effective_to: date | None = None
    breaks: Sequence[NewBreak] = ()

    @property
    def form(self) -> FormWindow:
        """What the rules of the schedule form say about it."""
        return FormWindow(
            (self.start_minute, self.end_minute),
            [(each.start_minute, each.end_minute) for each in self.breaks],
            self.priority,
            self.effective_from,
            self.effective_to,
        )


async def add_rules(
    db: AsyncSession, provider_id: UUID, rules: Sequence[NewRule]
) -> list[ScheduleRule]:
    """All of them or none; raises Invalid with every fault, by the place in `rules`."""
    await locked_provider(db, provider_id)
    faults = [
        fault
        for number, rule in enumerate(rules)
        for fault in window_faults(str(number), rule.form)
    ]
    if faults:
        raise Invalid(errors=faults)
    for rule in rules:
        await check_scope(db, provider_id, asdict(rule))
    added = await store_rules(db, provider_id, rules)
    if added:
        await changes.note_set_up(db, provider_id)
    return added


async def drop_rules_of(
    db: AsyncSession,
    provider_id: UUID,
    *,
    service_ids: Collection[UUID] = (),
    location_ids: Collection[UUID] = (),
    room_ids: Collection[UUID] = (),
) -> None:
    """Rules about nothing but what is being deleted; nobody could name it to take them away."""
    await db.execute(
        delete(ScheduleRule)
        .where(
            ScheduleRule.provider_id == provider_id,
            or_(
                ScheduleRule.scope_appointment_type_id.in_(service_ids),
                ScheduleRule.scope_location_id.in_(location_ids),
                ScheduleRule.scope_room_id.in_(room_ids),
            ),
        )
        .execution_options(synchronize_session=False)
    )


async def store_rules(
    db: AsyncSession, provider_id: UUID, rules: Sequence[NewRule]
) -> list[ScheduleRule]:
    """The rows; that they are right and noted is the caller's promise."""
    added = [
        ScheduleRule(
            id=rule.id,
            provider_id=provider_id,
            timezone=rule.timezone,
            weekday=rule.weekday,
            start_minute=rule.start_minute,
            end_minute=rule.end_minute,
            slot_interval_minutes=rule.slot_interval_minutes,
            scope_appointment_type_id=rule.scope_appointment_type_id,
            scope_location_id=rule.scope_location_id,
            scope_room_id=rule.scope_room_id,
            scope_mode=rule.scope_mode and rule.scope_mode.value,
            priority=rule.priority,
            effective_from=rule.effective_from,
            effective_to=rule.effective_to,
            is_active=True,
        )
        for rule in rules
    ]
    db.add_all(added)
    await db.flush()
    breaks = [
        {
            "id": new_id(),
            "schedule_rule_id": rule.id,
            "start_minute": each.start_minute,
            "end_minute": each.end_minute,
            "label": each.label,
        }
        for rule in rules
        for each in rule.breaks
    ]
    if breaks:
        await db.execute(insert(schedule_rule_breaks), breaks)
    return added
