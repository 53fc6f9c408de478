"""What timeslots of services depend on, read in one statement however many services there are.

Asyncpg and hand-written SQL, because this is read for every list of timeslots and on the way of
every booking (measured: SQLAlchemy alone would cost 0.6 ms of a request's 0.5).
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg

from availability.domain.explanations import BusyTime, Claim
from availability.domain.intervals import Interval
from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.schedule import AvailabilityException, ExceptionKind, Scope
from availability.facts import LiveHold
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.set_up import Asked, SetUp, SetUps
from availability.set_up_queries import current_set_ups
from availability.situation import ClaimedUnit, Situation
from availability.sources import Source
from shared.db import Connection
from shared.errors import Unavailable

# Margins around the wanted instants. An appointment with its buffers is 14 hours at most, four of
# them before its start, and opening hours need the exceptions of two more days before and after.
_BEFORE = "interval '1 day'"
_AFTER = "interval '12 hours'"
_FAR = "interval '3 days'"

_TRIES = 5

# The booked claims of a unit come as one string, start and end in turn, as minutes of 32 bits.
# Five hundred of them cost both sides less than twenty rows would.
_SITUATIONS = f"""
SELECT
    provider.id AS provider_id,
    asked.service_id,
    service.id IS NOT NULL AS is_offered,
    now() AS now,
    versions.version,
    versions.set_up_version,
    versions.notes,
    ARRAY(
        SELECT (e.id, e.kind, e.starts_at, e.ends_at, e.scope_appointment_type_id,
            e.scope_location_id, e.scope_room_id, e.created_at)
        FROM availability_exceptions e
        WHERE $7 AND e.provider_id = provider.id AND e.ends_at > $3::timestamptz - {_FAR}
            AND e.starts_at < $4::timestamptz + {_FAR}
    ) AS exceptions,
    ARRAY(
        SELECT (unit.id, (
            SELECT string_agg(c.span, '') FROM claims c
            WHERE c.resource_id = unit.id AND c.hold_expires_at IS NULL
                AND c.starts_at > $3 - {_BEFORE} AND c.starts_at < $4 + {_AFTER}
        ))
        FROM resources unit WHERE unit.provider_id = provider.id AND unit.is_active
    ) AS booked,
    ARRAY(
        SELECT (c.resource_id, c.appointment_id, c.starts_at, c.ends_at) FROM claims c
        WHERE c.provider_id = provider.id AND c.hold_expires_at > now()
    ) AS held,
    ARRAY(
        SELECT (c.resource_id, c.starts_at, c.ends_at)
        FROM appointments a JOIN claims c ON c.appointment_id = a.id
        WHERE a.id = $5 AND a.user_id = $6
    ) AS left_out,
    ARRAY(
        SELECT (a.id, a.user_id, a.service_id, a.timeslot_id, a.starts_at, a.hold_expires_at)
        FROM appointments a
        WHERE a.provider_id = provider.id AND a.status = 'held' AND a.hold_expires_at > now()
    ) AS holds,
    ARRAY(
        SELECT (b.id, b.starts_at, b.ends_at) FROM external_busy_times b
        WHERE b.provider_id = provider.id AND b.ends_at > $3 - {_BEFORE}
            AND b.starts_at < $4 + {_AFTER}
    ) AS busy,
    ARRAY(
        SELECT (s.connection_id, s.kind, s.state, s.as_of) FROM calendar_sources s
        WHERE s.provider_id = provider.id AND s.state <> 'deleted'
        ORDER BY s.connection_id
    ) AS sources
FROM unnest($1::uuid[], $2::uuid[]) AS asked (provider_id, service_id)
JOIN providers provider ON provider.id = asked.provider_id AND provider.is_active
JOIN schedule_versions versions ON versions.provider_id = provider.id
LEFT JOIN appointment_types service
    ON service.id = asked.service_id AND service.provider_id = provider.id AND service.is_active
"""


async def look(
    db: Connection,
    set_ups: SetUps,
    *,
    provider_id: UUID,
    service_id: UUID,
    user_id: UUID | None,
    since: datetime,
    until: datetime,
    without: UUID | None = None,
) -> Situation:
    """What decides about starts from ``since`` to ``until``, for a user (or for nobody).

    ``without`` leaves out what that appointment claims, if it is the user's.
    Raises ProviderNotFound or ServiceNotFound, also for what is not in use.
    """
    asked = Asked(provider_id, service_id)
    found = await look_at(
        db, set_ups, [asked], user_id=user_id, since=since, until=until, without=without
    )
    if asked not in found:
        raise ProviderNotFound("no such provider")
    if (situation := found[asked]) is None:
        raise ServiceNotFound("this provider does not offer this service")
    return situation


async def look_at(
    db: Connection,
    set_ups: SetUps,
    asked: Iterable[Asked],
    *,
    user_id: UUID | None,
    since: datetime,
    until: datetime,
    without: UUID | None = None,
    exceptions: bool = True,
) -> dict[Asked, Situation | None]:
    """The same for several services; None for one that its provider does not offer.

    Who knows the exceptions already has to add them.
    """
    providers, services = (list(column) for column in zip(*asked, strict=True))
    for _ in range(_TRIES):
        rows = await db.fetch(
            _SITUATIONS, providers, services, since, until, without, user_id, exceptions
        )
        found = {Asked(row["provider_id"], row["service_id"]): row for row in rows}
        wanted = {key: row["set_up_version"] for key, row in found.items() if row["is_offered"]}
        known = await current_set_ups(db, set_ups, wanted)
        if all(set_up.version == wanted[key] for key, set_up in known.items()):
            return {
                key: _situation(row, known[key], user_id) if key in known else None
                for key, row in found.items()
            }
    raise Unavailable("what is set up changes faster than it can be read")


def _situation(row: asyncpg.Record, set_up: SetUp, user_id: UUID | None) -> Situation:
    left_out = {(id_, (minutes_down(a), minutes_up(b))) for id_, a, b in row["left_out"]}
    return Situation(
        now=row["now"],
        version=row["version"],
        set_up=set_up,
        user_id=user_id,
        notes=row["notes"],
        exceptions=[_exception(*each) for each in row["exceptions"]],
        busy_times=[BusyTime(id_, minutes_down(a), minutes_up(b)) for id_, a, b in row["busy"]],
        claimed=[
            *(
                ClaimedUnit(unit_id, None, _without(left_out, unit_id, _intervals(packed)))
                for unit_id, packed in row["booked"]
                if packed
            ),
            *(
                ClaimedUnit(unit_id, hold, [(minutes_down(a), minutes_up(b))])
                for unit_id, hold, a, b in row["held"]
            ),
        ],
        holds=[LiveHold(*each) for each in row["holds"]],
        sources=[Source(*each) for each in row["sources"]],
    )


class News(NamedTuple):
    """What is said of a provider first: whether anything has changed, and when."""

    version: int
    set_up_version: int
    notes: bytes
    now: datetime


_NEWS = """
SELECT provider_id, version, set_up_version, notes, now() AS now FROM schedule_versions
WHERE provider_id = ANY ($1::uuid[])
"""


async def news_of(db: Connection, provider_ids: Iterable[UUID]) -> dict[UUID, News]:
    """What a situation of each of these providers would say of itself if it were read now."""
    return {
        provider_id: News(*news) for provider_id, *news in await db.fetch(_NEWS, list(provider_ids))
    }


_CLAIMS_IN_FULL = """
SELECT c.resource_id, c.appointment_id, c.starts_at, c.ends_at, a.starts_at, a.ends_at
FROM claims c JOIN appointments a ON a.id = c.appointment_id
WHERE c.provider_id = $1 AND c.starts_at < $3 AND c.ends_at > $2
    AND c.starts_at > $2 - interval '1 day'
    AND (c.hold_expires_at IS NULL OR c.hold_expires_at > now())
ORDER BY c.starts_at, c.appointment_id
"""


async def claims_in_full(
    db: Connection, provider_id: UUID, since: datetime, until: datetime
) -> list[Claim]:
    """The claims that touch a range, with the appointments they are of."""
    return [
        Claim(
            unit_id,
            appointment_id,
            minutes_down(start),
            minutes_up(end),
            minutes_down(own_start),
            minutes_up(own_end),
        )
        for unit_id, appointment_id, start, end, own_start, own_end in await db.fetch(
            _CLAIMS_IN_FULL, provider_id, since, until
        )
    ]


@lru_cache(maxsize=4096)
def _intervals(packed: bytes) -> Sequence[Interval]:
    """Remembered, because a change is about few units and all are read with every question."""
    minutes = array("i", packed)
    if sys.byteorder == "little":
        minutes.byteswap()
    each = iter(minutes)
    return sorted(zip(each, each, strict=True))


def _without(
    left_out: set[tuple[UUID, Interval]], unit_id: UUID, intervals: Sequence[Interval]
) -> Sequence[Interval]:
    if not left_out:
        return intervals
    return [each for each in intervals if (unit_id, each) not in left_out]


def _exception(
    id_: UUID,
    kind: str,
    starts_at: datetime,
    ends_at: datetime,
    service_id: UUID | None,
    location_id: UUID | None,
    room_id: UUID | None,
    created_at: datetime,
) -> AvailabilityException:
    return AvailabilityException.between(
        starts_at,
        ends_at,
        id_=id_,
        kind=ExceptionKind(kind),
        scope=Scope(service_id, location_id, room_id),
        created_at=created_at,
    )
