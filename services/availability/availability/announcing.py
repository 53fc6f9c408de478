"""Tells that bookable times have changed: one event for each provider and tick, after the fact."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from availability.domain.intervals import Interval, merge
from availability.domain.local_time import minutes_down, minutes_up, moment
from availability.domain.timeslot_id import id_suffix
from availability.queries import look
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.set_up import SetUps
from availability.situation import Situation
from shared.db import Connection
from shared.events.availability import AvailabilityChanged, TimeslotChange
from shared.messaging import outbox

EVERY = timedelta(milliseconds=250)

_MOST_CHANGES = 1000
_MOST_TIMESLOTS = 500
_LONGEST = timedelta(days=62)
_LONGEST_APPOINTMENT = timedelta(hours=10)
"""From its start on, with its buffer."""

_MY_TURN = "SELECT pg_try_advisory_xact_lock(hashtext('availability.changed'))"
# The version is of the same moment as the changes: whatever is missing has a higher one.
_TAKE = """
WITH taken AS (
    DELETE FROM schedule_changes
    WHERE id IN (SELECT id FROM schedule_changes ORDER BY id LIMIT $1)
    RETURNING provider_id, starts_at, ends_at
)
SELECT taken.*, versions.version
FROM taken JOIN schedule_versions versions USING (provider_id)
"""
_SERVICES = """
SELECT id FROM appointment_types WHERE provider_id = $1 AND is_active ORDER BY created_at, id
"""


async def announce_changes(db: Connection, set_ups: SetUps) -> bool:
    """Announce what has been noted and committed; True when there may be more.

    Of several workers one does this at a time, so a provider's events keep their order.
    """
    if not await db.fetchval(_MY_TURN):
        return False
    rows = await db.fetch(_TAKE, _MOST_CHANGES)
    by_provider: dict[UUID, list[asyncpg.Record]] = {}
    for row in rows:
        by_provider.setdefault(row["provider_id"], []).append(row)
    events = [
        await _event(db, set_ups, provider_id, changes)
        for provider_id, changes in by_provider.items()
    ]
    await outbox.put(db, *events)
    return len(rows) == _MOST_CHANGES


async def _event(
    db: Connection, set_ups: SetUps, provider_id: UUID, changes: Sequence[asyncpg.Record]
) -> AvailabilityChanged:
    version = changes[0]["version"]
    if any(change["starts_at"] is None for change in changes):
        return AvailabilityChanged(
            provider_id=provider_id,
            version=version,
            start=None,
            end=None,
            is_complete=False,
            timeslots=[],
        )
    spans = merge(
        (minutes_down(change["starts_at"]), minutes_up(change["ends_at"])) for change in changes
    )
    timeslots = await _timeslots(db, set_ups, provider_id, spans)
    return AvailabilityChanged(
        provider_id=provider_id,
        version=version,
        start=moment(spans[0][0]),
        end=moment(spans[-1][1]),
        is_complete=timeslots is not None,
        timeslots=timeslots or [],
    )


async def _timeslots(
    db: Connection, set_ups: SetUps, provider_id: UUID, spans: Sequence[Interval]
) -> list[TimeslotChange] | None:
    """The timeslots of all services that touch these times; None when that would be too many."""
    since = moment(spans[0][0]) - _LONGEST_APPOINTMENT
    until = moment(spans[-1][1]) + _LONGEST_APPOINTMENT
    if until - since > _LONGEST:
        return None
    timeslots: list[TimeslotChange] = []
    for service in await db.fetch(_SERVICES, provider_id):
        try:
            situation = await look(
                db,
                set_ups,
                provider_id=provider_id,
                service_id=service["id"],
                user_id=None,
                since=since,
                until=until,
            )
        except (ProviderNotFound, ServiceNotFound):
            continue
        timeslots += _touching(situation, spans)
        if len(timeslots) > _MOST_TIMESLOTS:
            return None
    return timeslots


def _touching(situation: Situation, spans: Iterable[Interval]) -> list[TimeslotChange]:
    offer = situation.set_up.offer
    earliest, after = situation.bookable
    return [
        TimeslotChange(
            timeslot_id=at.id_prefix + id_suffix(start),
            service_id=offer.service_id,
            start=moment(start),
            status=standing.status.value,
            capacity_left=standing.capacity_left,
        )
        for at in situation.set_up.places
        for first, last in merge((a - offer.reach + 1, b + offer.buffer_before) for a, b in spans)
        for run, standing in situation.timeslots(at, (max(first, earliest), min(last, after)))
        for start in run
    ]
