"""Saving the weekly form: what it says about its days replaces, or joins, what is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes
from availability.domain.schedule import ScheduleRule as Rule
from availability.domain.schedule import Scope
from availability.models import ScheduleRule, schedule_versions
from availability.ownership import locked_provider, scope_faults
from availability.use_cases.conflicts import Watch
from availability.use_cases.rules import NewRule, store_rules
from shared.errors import FieldError, Invalid
from shared.preconditions import Precondition

MOST_RULES = 1000
"""Of one provider in all; computing timeslots reads every one of them."""


@dataclass(frozen=True, slots=True)
class Week:
    """Some weekdays as a form describes them; one that no window is of is closed.

    The windows are rules of this scope and zone, by their place in the form.
    """

    scope: Scope
    timezone: str
    weekdays: frozenset[int]
    windows: Mapping[str, NewRule]

    def replaces(self, rule: Rule) -> bool:
        """Whether the form is about this rule: its day, and exactly its scope and zone."""
        return (
            rule.weekday in self.weekdays
            and rule.scope == self.scope
            and rule.timezone == self.timezone
        )


class Saved(NamedTuple):
    inserted_rules: int
    deleted_rules: int
    etag: str


async def bulk_upsert(
    db: AsyncSession, provider_id: UUID, week: Week, *, replaces: bool, expected: Precondition
) -> Saved:
    """Two at once for the same days: the later one replaces what the earlier one stored.

    ``replaces`` takes away the rules of exactly this scope and time zone on the listed days; those
    of any other scope stay, narrower and wider ones alike.
    """
    await locked_provider(db, provider_id)
    expected.check(schedule_etag(await set_up_version(db, provider_id)))
    await check_week(db, provider_id, week)
    watch = await Watch.begin(db, provider_id)
    deleted = await _delete(db, provider_id, week) if replaces else 0
    inserted = await store_rules(db, provider_id, list(week.windows.values()))
    await _check_room_for_more(db, provider_id)
    if deleted or inserted:
        await changes.note_set_up(db, provider_id)
        await watch.tell(db, "rules")
    version = await set_up_version(db, provider_id)
    return Saved(len(inserted), deleted, schedule_etag(version))


async def check_week(db: AsyncSession, provider_id: UUID, week: Week) -> None:
    """Raises Invalid for a scope that names what is not the provider's."""
    scope = week.scope
    faults = await scope_faults(
        db,
        provider_id,
        service=("scope.appointmentTypeId", scope.service_id),
        location=("scope.doctorLocationId", scope.location_id),
        room=("scope.locationRoomId", scope.room_id),
    )
    if faults:
        raise Invalid(errors=faults)


async def set_up_version(db: AsyncSession, provider_id: UUID) -> int:
    """Counts every change of what the provider has set up."""
    versions = schedule_versions.c
    wanted = select(versions.set_up_version).where(versions.provider_id == provider_id)
    version: int = (await db.execute(wanted)).scalar_one()
    return version


def schedule_etag(version: int) -> str:
    return f'"{version}"'


async def _delete(db: AsyncSession, provider_id: UUID, week: Week) -> int:
    scope = week.scope
    deleted = await db.scalars(
        delete(ScheduleRule)
        .where(
            ScheduleRule.provider_id == provider_id,
            ScheduleRule.weekday.in_(week.weekdays),
            ScheduleRule.timezone == week.timezone,
            ScheduleRule.scope_appointment_type_id.is_not_distinct_from(scope.service_id),
            ScheduleRule.scope_location_id.is_not_distinct_from(scope.location_id),
            ScheduleRule.scope_room_id.is_not_distinct_from(scope.room_id),
            ScheduleRule.scope_mode.is_not_distinct_from(scope.mode and scope.mode.value),
        )
        .returning(ScheduleRule.id)
        .execution_options(synchronize_session=False)
    )
    return len(deleted.all())


async def _check_room_for_more(db: AsyncSession, provider_id: UUID) -> None:
    count = await db.scalar(
        select(func.count())
        .select_from(ScheduleRule)
        .where(ScheduleRule.provider_id == provider_id)
    )
    if (count or 0) > MOST_RULES:
        raise Invalid(
            errors=[
                FieldError("days", "TOO_MANY_RULES", f"A provider has at most {MOST_RULES} rules.")
            ]
        )
