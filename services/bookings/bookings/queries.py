"""Reads that are more than one plain select."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from bookings.domain.appointment import Appointment
from bookings.domain.capacity import Unit
from bookings.rows import CLAIMS_OF_A, appointment_of
from shared.clock import database_now
from shared.cursors import Position
from shared.db import Connection
from shared.events.provider import AppointmentTypeUpdated, ProviderUpdated


@dataclass(frozen=True, slots=True)
class Offer:
    """All that decides whether a time can be held, as of ``now`` by the database's clock."""

    now: datetime
    provider: ProviderUpdated
    service: AppointmentTypeUpdated
    units: list[Unit]
    own_hold: UUID | None
    patient_timezone: str | None


_OFFER = """
SELECT
    now() AS now,
    provider.data AS provider,
    service.data AS service,
    ARRAY(
        SELECT (r.id, r.kind, r.label, r.location_id, r.room_id,
                coalesce(string_agg(c.appointment_id::text, ' '), ''),
                coalesce(bool_and(a.status = 'held' AND a.hold_expires_at <= now()), false))
        FROM resources r
        LEFT JOIN claims c ON c.resource_id = r.id AND c.period && tstzrange(
            $3::timestamptz - make_interval(mins => service.buffer_before_minutes),
            $3::timestamptz
                + make_interval(mins => service.duration_minutes + service.buffer_after_minutes))
        LEFT JOIN appointments a ON a.id = c.appointment_id
        WHERE r.provider_id = $1 AND r.is_active
        GROUP BY r.id
    ) AS units,
    (
        SELECT a.id FROM appointments a
        WHERE a.patient_id = $4 AND a.starts_at = $3 AND a.service_id = $2
          AND a.timeslot_id = $5 AND a.status = 'held' AND a.hold_expires_at > now()
        LIMIT 1
    ) AS own_hold,
    (SELECT patient.timezone FROM patients patient WHERE patient.id = $4) AS patient_timezone
FROM appointment_types service
JOIN providers provider ON provider.id = service.provider_id
WHERE service.id = $2 AND service.provider_id = $1 AND provider.is_active AND service.is_active
"""


async def offer(
    db: Connection,
    *,
    provider_id: UUID,
    service_id: UUID,
    start: datetime,
    patient_id: UUID,
    timeslot_id: str,
) -> Offer | None:
    """What is known of the wanted time; None when the provider offers no such service."""
    row = await db.fetchrow(_OFFER, provider_id, service_id, start, patient_id, timeslot_id)
    if row is None:
        return None
    return Offer(
        now=row["now"],
        provider=ProviderUpdated.model_validate(row["provider"]),
        service=AppointmentTypeUpdated.model_validate(row["service"]),
        units=[
            Unit(id_, kind, label, location, room, tuple(map(UUID, taken_by.split())), expired)
            for id_, kind, label, location, room, taken_by, expired in row["units"]
        ],
        own_hold=row["own_hold"],
        patient_timezone=row["patient_timezone"],
    )


@dataclass(frozen=True, slots=True)
class Found:
    """An appointment and the database's clock as it was read."""

    appointment: Appointment
    now: datetime


def _found(row: asyncpg.Record | None) -> Found | None:
    return Found(appointment_of(row), row["now"]) if row else None


async def appointment(db: Connection, id_: UUID) -> Found | None:
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {CLAIMS_OF_A} FROM appointments a WHERE a.id = $1", id_
        )
    )


async def locked(db: Connection, id_: UUID) -> Found | None:
    """The appointment, unchanged by anybody else until this transaction ends."""
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {CLAIMS_OF_A} FROM appointments a WHERE a.id = $1 "
            "FOR UPDATE",
            id_,
        )
    )


async def locked_under(db: Connection, token_hash: bytes) -> Found | None:
    """The appointment that a reservation token stands for, locked likewise."""
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {CLAIMS_OF_A} FROM appointments a "
            "WHERE a.reservation_token_hash = $1 FOR UPDATE",
            token_hash,
        )
    )


async def rival_of_patient(db: Connection, wanted: Appointment) -> UUID | None:
    """The patient's other appointment at that time; None when it has just ended."""
    rival: UUID | None = await db.fetchval(
        """
        SELECT appointment_id FROM patient_claims
        WHERE patient_id = $1 AND period && tstzrange($2, $3, '[)') LIMIT 1
        """,
        wanted.patient_id,
        wanted.start,
        wanted.end,
    )
    return rival


async def audit_trail(db: Connection, appointment_id: UUID) -> list[asyncpg.Record]:
    """The appointment's audit events in the order in which they happened."""
    return await db.fetch(
        """
        SELECT id, appointment_id, sequence, action, actor_type, actor_id, occurred_at, metadata
        FROM audit_events WHERE appointment_id = $1 ORDER BY sequence
        """,
        appointment_id,
    )


_LIST = f"""
SELECT a.*, {CLAIMS_OF_A} FROM appointments a
WHERE a.patient_id = $1 AND a.status <> 'held'
  AND {{condition}} AND ($2::timestamptz IS NULL OR (a.starts_at, a.id) {{after}} ($2, $3))
ORDER BY a.starts_at {{order}}, a.id {{order}} LIMIT $4
"""
# A cancelled appointment is history, whenever it would have been.
_UPCOMING = _LIST.format(
    condition="a.starts_at >= now() AND a.status IN ('pending', 'confirmed')",
    after=">",
    order="ASC",
)
_HISTORY = _LIST.format(
    condition="(a.starts_at < now() OR a.status NOT IN ('pending', 'confirmed')) "
    "AND coalesce(a.cancellation_cause, '') NOT IN ('hold_expired', 'hold_released')",
    after="<",
    order="DESC",
)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the database's clock as it was read."""

    appointments: list[Appointment]
    now: datetime


async def appointments_of_patient(
    db: Connection, patient_id: UUID, *, upcoming: bool, after: Position | None, limit: int
) -> Page:
    """Upcoming ones by start, or past and ended ones newest first; holds are in neither."""
    rows = await db.fetch(
        _UPCOMING if upcoming else _HISTORY,
        patient_id,
        after and after.at,
        after and after.id,
        limit,
    )
    return Page([appointment_of(row) for row in rows], await database_now(db))
