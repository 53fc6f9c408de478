"""What the weekly form would come to, without saving it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.conflicts import Booked, Hours, fallen_out
from availability.domain.intervals import overlapping
from availability.domain.local_time import day_of, instant, minutes_down
from availability.domain.schedule import Break, ScheduleRule
from availability.domain.week_preview import PreviewedDay, WeekPreview, preview
from availability.models import AppointmentType, Provider
from availability.refusals import ProviderNotFound
from availability.use_cases.bulk_upsert import Week, check_week
from availability.use_cases.conflicts import booked_by, hours_of
from availability.use_cases.rules import NewRule
from shared.errors import FieldError

DAYS_UNASKED = 7
"""How many days are shown when the form names none: from today on."""

_YOUNGEST = 1 << 62


class Previewed(NamedTuple):
    days: Sequence[PreviewedDay]
    warnings: Sequence[FieldError]
    affected: Sequence[Booked]


async def preview_week(
    db: AsyncSession,
    provider_id: UUID,
    week: Week,
    *,
    replaces: bool,
    dates: tuple[date, date] | None,
) -> Previewed:
    """The slots of the form's own windows, and the appointments that saving it would put outside.

    What other rules own or patients have booked is not taken out: that is what availability tells.
    """
    provider = await db.get(Provider, provider_id)
    if provider is None or provider.deleted_at is not None:
        raise ProviderNotFound("no such provider")
    await check_week(db, provider_id, week)
    hours = await hours_of(db, provider_id)
    first_on, last_on = dates or await _next_days(db, week.timezone)
    wanted = {
        path: _rule(rule, week, _YOUNGEST + place)
        for place, (path, rule) in enumerate(week.windows.items())
    }
    kept = [rule for rule in hours.rules if not (replaces and week.replaces(rule))]
    found = preview(list(wanted.values()), hours.exceptions, first_on, last_on)
    after = Hours([*kept, *wanted.values()], hours.exceptions)
    return Previewed(
        found.days,
        [
            *await _warnings_of_scope(db, week, kept),
            *await _warnings_of_fit(db, week, wanted, found),
            *_warnings_of_windows(week, wanted, kept, found),
        ],
        fallen_out(await booked_by(db, provider_id), hours, after),
    )


async def _next_days(db: AsyncSession, timezone: str) -> tuple[date, date]:
    now = (await db.execute(select(func.now()))).scalar_one()
    today = date.fromordinal(day_of(timezone, minutes_down(now)))
    return today, today + timedelta(days=DAYS_UNASKED - 1)


async def _service(db: AsyncSession, week: Week) -> AppointmentType | None:
    id_ = week.scope.service_id
    return None if id_ is None else await db.get(AppointmentType, id_)


async def _warnings_of_scope(
    db: AsyncSession, week: Week, kept: Sequence[ScheduleRule]
) -> list[FieldError]:
    warnings: list[FieldError] = []
    scope = week.scope
    service = await _service(db, week)
    if service and scope.mode not in (None, service.mode):
        warnings.append(
            FieldError(
                "scope.consultationMode",
                "SCOPE_NEVER_MATCHES",
                "The appointment type is given in another mode, so these hours open nothing.",
            )
        )
    if any(
        rule.scope == scope and rule.weekday in week.weekdays and rule.timezone != week.timezone
        for rule in kept
    ):
        warnings.append(
            FieldError(
                "scope.timezone",
                "OTHER_TIME_ZONE",
                "Hours of the same scope in another time zone stay beside these.",
            )
        )
    return warnings


async def _warnings_of_fit(
    db: AsyncSession, week: Week, wanted: Mapping[str, ScheduleRule], found: WeekPreview
) -> list[FieldError]:
    service = await _service(db, week)
    if not service:
        return []
    needed = service.buffer_before_minutes + service.duration_minutes + service.buffer_after_minutes
    return [
        FieldError(
            path,
            "APPOINTMENT_DOES_NOT_FIT",
            f"The appointment type takes {needed} minutes with its buffers, and nowhere here is "
            "so much time open without a break.",
        )
        for path, rule in wanted.items()
        if 0 < max((_longest(rule, day.on, found) for day in found.days), default=0) < needed
    ]


def _longest(rule: ScheduleRule, on: date, found: WeekPreview) -> int:
    """The longest open time that touches a day's window, windows that join it included."""
    if on.isoweekday() != rule.weekday:
        return 0
    day = on.toordinal()
    span = instant(rule.timezone, day, rule.start), instant(rule.timezone, day, rule.end)
    return max((end - start for start, end in overlapping(found.joined, *span)), default=0)


def _warnings_of_windows(
    week: Week,
    wanted: Mapping[str, ScheduleRule],
    kept: Sequence[ScheduleRule],
    found: WeekPreview,
) -> Iterator[FieldError]:
    if found.is_cut:
        yield FieldError(
            "dateRange",
            "EXCEPTIONS_APPLY",
            "Blocked exceptions or time off take some of these hours away.",
        )
    slots: dict[UUID, int] = {}
    for day in found.days:
        for rule, of_day in day.windows:
            slots[rule.id] = slots.get(rule.id, 0) + len(of_day)
    for path, rule in wanted.items():
        if slots.get(rule.id, 1) == 0:
            yield FieldError(path, "NO_SLOTS", "Not one slot of this window is left.")
        if any(_owns_a_part(other, rule, week) for other in kept):
            yield FieldError(
                path,
                "WINDOWS_OVERLAP",
                "An older window of the same scope and priority owns a part of this one.",
            )


def _owns_a_part(other: ScheduleRule, rule: ScheduleRule, week: Week) -> bool:
    return (
        other.scope == week.scope
        and (other.weekday, other.timezone) == (rule.weekday, rule.timezone)
        and other.priority == rule.priority
        and other.start < rule.end
        and rule.start < other.end
        and (other.effective_from or date.min) <= (rule.effective_to or date.max)
        and (rule.effective_from or date.min) <= (other.effective_to or date.max)
    )


def _rule(new: NewRule, week: Week, created_order: int) -> ScheduleRule:
    return ScheduleRule(
        id=new.id,
        weekday=new.weekday,
        start=new.start_minute,
        end=new.end_minute,
        slot_interval=new.slot_interval_minutes,
        timezone=week.timezone,
        breaks=tuple(Break(each.start_minute, each.end_minute) for each in new.breaks),
        scope=week.scope,
        priority=new.priority,
        effective_from=new.effective_from,
        effective_to=new.effective_to,
        created_order=created_order,
    )
