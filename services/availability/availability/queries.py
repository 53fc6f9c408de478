"""What timeslots of a service depend on, read in one statement.

Asyncpg and hand-written SQL, because this is read for every list of timeslots and on the way of
every booking (measured: SQLAlchemy alone would cost 0.6 ms of a request's 0.5).
"""

from datetime import UTC, datetime
from struct import iter_unpack
from uuid import UUID

from availability.domain.explanations import BusyTime, Claim
from availability.domain.intervals import Interval
from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.schedule import AvailabilityException, ExceptionKind, Scope
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.set_up import SetUp, SetUps
from availability.situation import ClaimedUnit, OwnHold, Situation
from shared.db import Connection

# Margins around the wanted instants. An appointment with its buffers is 14 hours at most, and
# opening hours need the exceptions of two more days before and after.
_NEAR = "interval '1 day'"
_FAR = "interval '3 days'"

_MINUTE = 60_000_000
_YEAR_2000 = minutes_down(datetime(2000, 1, 1, tzinfo=UTC))

_SET_UP = """
jsonb_build_object(
    'timezone', provider.timezone,
    'service', to_jsonb(service),
    'listed', ARRAY(
        SELECT location_id FROM appointment_type_locations WHERE appointment_type_id = service.id
    ),
    'locations', ARRAY(
        SELECT id FROM locations WHERE provider_id = provider.id AND is_active
        ORDER BY is_primary DESC, created_at, id
    ),
    'units', ARRAY(
        SELECT to_jsonb(unit) FROM resources unit
        WHERE unit.provider_id = provider.id AND unit.is_active ORDER BY unit.id
    ),
    'rules', ARRAY(
        SELECT to_jsonb(rule) || jsonb_build_object(
            'created_order', (extract(epoch FROM rule.created_at) * 1000000)::bigint,
            'breaks', ARRAY(
                SELECT to_jsonb(break) FROM schedule_rule_breaks break
                WHERE break.schedule_rule_id = rule.id ORDER BY break.start_minute
            )
        )
        FROM schedule_rules rule
        WHERE rule.provider_id = provider.id AND rule.is_active
            AND coalesce(rule.scope_appointment_type_id, service.id) = service.id
            AND coalesce(rule.scope_mode, service.mode) = service.mode
            AND coalesce(rule.effective_to >= now()::date - 2, true)
    )
)
"""

# The claims of a unit come as one string, start and end in turn as PostgreSQL sends them:
# microseconds since 2000. Five hundred of them cost both sides less than fifty rows would.
_SITUATION = f"""
WITH own AS (
    SELECT id, timeslot_id, starts_at FROM appointments
    WHERE user_id = $4 AND status = 'held' AND hold_expires_at > now()
        AND provider_id = $1 AND service_id = $2
)
SELECT
    now() AS now,
    versions.version,
    versions.set_up_version,
    service.id IS NOT NULL AS has_service,
    CASE WHEN service.id IS NOT NULL AND versions.set_up_version IS DISTINCT FROM $3
        THEN {_SET_UP} END AS set_up,
    ARRAY(
        SELECT (e.id, e.kind, e.starts_at, e.ends_at, e.scope_appointment_type_id,
            e.scope_location_id, e.scope_room_id, e.created_at)
        FROM availability_exceptions e
        WHERE e.provider_id = $1 AND e.ends_at > $5::timestamptz - {_FAR}
            AND e.starts_at < $6::timestamptz + {_FAR}
    ) AS exceptions,
    ARRAY(
        SELECT (c.resource_id, c.hold_expires_at IS NOT NULL, own.id,
            string_agg(timestamptz_send(c.starts_at) || timestamptz_send(c.ends_at), ''))
        FROM claims c LEFT JOIN own ON own.id = c.appointment_id
        WHERE c.provider_id = $1 AND c.starts_at < $6 + {_NEAR} AND c.ends_at > $5 - {_NEAR}
            AND c.starts_at > $5 - 2 * {_NEAR}
            AND (c.hold_expires_at IS NULL OR c.hold_expires_at > now())
        GROUP BY c.resource_id, c.hold_expires_at IS NOT NULL, own.id
    ) AS claims,
    ARRAY(
        SELECT (b.id, b.starts_at, b.ends_at) FROM external_busy_times b
        WHERE b.provider_id = $1 AND b.ends_at > $5 - {_NEAR} AND b.starts_at < $6 + {_NEAR}
    ) AS busy,
    ARRAY(SELECT (own.timeslot_id, own.id, own.starts_at) FROM own) AS own_holds
FROM providers provider
JOIN schedule_versions versions ON versions.provider_id = provider.id
LEFT JOIN appointment_types service
    ON service.id = $2 AND service.provider_id = provider.id AND service.is_active
WHERE provider.id = $1 AND provider.is_active
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
) -> Situation:
    """What decides about starts from ``since`` to ``until``, for a user (or for nobody).

    Raises ProviderNotFound or ServiceNotFound, also for what is not in use.
    """
    known = set_ups.find(provider_id, service_id)
    version = known.version if known else None
    row = await db.fetchrow(_SITUATION, provider_id, service_id, version, user_id, since, until)
    if row is None:
        raise ProviderNotFound("no such provider")
    if not row["has_service"]:
        raise ServiceNotFound("this provider does not offer this service")
    if row["set_up"] is not None:
        known = SetUp.of(provider_id, row["set_up_version"], row["set_up"])
        set_ups.keep(provider_id, known)
    if known is None:
        raise LookupError("the database knows a set-up that was never read")
    return Situation(
        now=row["now"],
        version=row["version"],
        set_up=known,
        exceptions=[_exception(*each) for each in row["exceptions"]],
        busy=[BusyTime(id_, minutes_down(a), minutes_up(b)) for id_, a, b in row["busy"]],
        claimed=[
            ClaimedUnit(unit_id, is_held, own_hold, _intervals(packed))
            for unit_id, is_held, own_hold, packed in row["claims"]
        ],
        own_holds={
            timeslot_id: OwnHold(appointment_id, minutes_down(starts_at))
            for timeslot_id, appointment_id, starts_at in row["own_holds"]
        },
    )


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


def _intervals(packed: bytes) -> list[Interval]:
    return sorted(
        (start // _MINUTE + _YEAR_2000, -(-end // _MINUTE) + _YEAR_2000)
        for start, end in iter_unpack(">qq", packed)
    )


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
    """Whole minutes: what is blocked never shrinks by it, what is available never grows."""
    blocks = kind == ExceptionKind.BLOCKED
    return AvailabilityException(
        id=id_,
        kind=ExceptionKind(kind),
        start=minutes_down(starts_at) if blocks else minutes_up(starts_at),
        end=minutes_up(ends_at) if blocks else minutes_down(ends_at),
        scope=Scope(service_id, location_id, room_id),
        created_order=int(created_at.timestamp() * 1_000_000),
    )
