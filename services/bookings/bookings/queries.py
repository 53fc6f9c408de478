"""Reads that are more than one plain select."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from bookings.domain.appointment import Appointment
from bookings.domain.capacity import Unit
from bookings.models import ENDED_HOLD, HAS_ENDED, IS_BOOKED
from bookings.rows import REST_OF_A, appointment_of
from shared.db import Connection
from shared.events.provider import AppointmentTypeUpdated, ProviderUpdated

ALL_OF_PATIENT = " UNION ALL ".join(
    f"SELECT id FROM appointments WHERE patient_id = $1 AND ({which})"
    for which in ("status = 'held'", IS_BOOKED, HAS_ENDED, ENDED_HOLD)
)
"""The ids of all appointments that a patient has ever had, holds included: a branch for each index
that finds them."""


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
                coalesce(bool_and(a.status = 'held' AND a.hold_expires_at <= now()
                    OR a.status = 'pending' AND a.pending_expires_at <= now()), false))
        FROM resources r
        LEFT JOIN claims c ON c.resource_id = r.id AND c.period && tstzrange(
            $3::timestamptz - make_interval(mins => service.buffer_before_minutes),
            $3::timestamptz
                + make_interval(mins => service.duration_minutes + service.buffer_after_minutes))
            AND c.appointment_id IS DISTINCT FROM $7
        LEFT JOIN appointments a ON a.id = c.appointment_id
        WHERE r.provider_id = $1 AND r.is_active
        GROUP BY r.id
    ) AS units,
    (
        SELECT a.id FROM appointments a
        WHERE a.patient_id = $4 AND a.starts_at = $3 AND a.service_id = $2
          AND a.timeslot_id = $5 AND a.status = 'held' AND a.hold_expires_at > now()
          AND a.source = $6 AND (a.rescheduled_from IS NULL OR a.rescheduled_from = $7)
        LIMIT 1
    ) AS own_hold,
    (
        SELECT patient.timezone FROM patients patient
        WHERE patient.id = $4 AND patient.version IS DISTINCT FROM patient.erased_version
    ) AS patient_timezone
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
    source: str,
    beside: UUID | None = None,
) -> Offer | None:
    """What is known of the wanted time; None when the provider offers no such service.

    ``beside`` is an appointment that is to be moved there: what it claims stands in nobody's way.
    """
    row = await db.fetchrow(
        _OFFER, provider_id, service_id, start, patient_id, timeslot_id, source, beside
    )
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
            f"SELECT a.*, now() AS now, {REST_OF_A} FROM appointments a WHERE a.id = $1", id_
        )
    )


async def locked(db: Connection, id_: UUID) -> Found | None:
    """The appointment, unchanged by anybody else until this transaction ends."""
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {REST_OF_A} FROM appointments a WHERE a.id = $1 FOR UPDATE",
            id_,
        )
    )


@dataclass(frozen=True, slots=True)
class Contact:
    """How a patient can be told about an appointment."""

    name: str | None
    email: str | None
    phone: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Picked:
    """What a reservation token stands for, whom it is for, and the database's clock."""

    appointment: Appointment
    contact: Contact | None
    now: datetime


_PICKED = f"""
SELECT a.*, now() AS now, {REST_OF_A}, p.id IS NOT NULL AS is_known, p.name AS contact_name,
    p.email AS contact_email, p.phone AS contact_phone, p.timezone AS contact_timezone
FROM appointments a LEFT JOIN patients p ON p.id = a.patient_id
WHERE a.reservation_token_hash = $1
"""


async def picked(db: Connection, token_hash: bytes) -> Picked | None:
    """What is to be confirmed, and the patient's contact: one round trip."""
    return _picked(await db.fetchrow(_PICKED, token_hash))


async def locked_picked(db: Connection, token_hash: bytes) -> Picked | None:
    """Likewise, unchanged by anybody else until this transaction ends."""
    return _picked(await db.fetchrow(f"{_PICKED} FOR UPDATE OF a", token_hash))


def _picked(row: asyncpg.Record | None) -> Picked | None:
    if row is None:
        return None
    contact = Contact(
        row["contact_name"], row["contact_email"], row["contact_phone"], row["contact_timezone"]
    )
    return Picked(appointment_of(row), contact if row["is_known"] else None, row["now"])


async def contact_of(db: Connection, patient_id: UUID) -> Contact | None:
    """None for somebody whom nobody knows."""
    row = await db.fetchrow(
        "SELECT name, email, phone, timezone FROM patients "
        "WHERE id = $1 AND version IS DISTINCT FROM erased_version",
        patient_id,
    )
    return Contact(*row) if row else None


async def locked_under(db: Connection, token_hash: bytes) -> Found | None:
    """The appointment that a reservation token stands for, locked likewise."""
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {REST_OF_A} FROM appointments a "
            "WHERE a.reservation_token_hash = $1 FOR UPDATE",
            token_hash,
        )
    )


async def locked_origin(db: Connection, id_: UUID) -> Found | None:
    """What the appointment was made to replace, locked; None when it replaces nothing.

    An old appointment is always locked before the new one, so that no two can wait for each other.
    """
    return _found(
        await db.fetchrow(
            f"SELECT a.*, now() AS now, {REST_OF_A} FROM appointments a "
            "WHERE a.id = (SELECT rescheduled_from FROM appointments WHERE id = $1) FOR UPDATE",
            id_,
        )
    )


async def locked_moves_of(db: Connection, id_: UUID) -> list[Found]:
    """The holds and requests made to replace the appointment, locked after it."""
    rows = await db.fetch(
        f"SELECT a.*, now() AS now, {REST_OF_A} FROM appointments a "
        "WHERE a.rescheduled_from = $1 AND a.status IN ('held', 'pending') "
        "ORDER BY a.id FOR UPDATE",
        id_,
    )
    return [Found(appointment_of(row), row["now"]) for row in rows]


async def rival_of_patient(db: Connection, wanted: Appointment) -> UUID | None:
    """The patient's other appointment at that time; None when it has just ended."""
    rival: UUID | None = await db.fetchval(
        """
        SELECT appointment_id FROM patient_claims
        WHERE patient_id = $1 AND period && tstzrange($2, $3, '[)')
          AND appointment_id <> $4 AND appointment_id IS DISTINCT FROM $5 LIMIT 1
        """,
        wanted.patient_id,
        wanted.start,
        wanted.end,
        wanted.id,
        wanted.rescheduled_from,
    )
    return rival


async def audit_trail(db: Connection, appointment_id: UUID) -> list[asyncpg.Record]:
    """The appointment's audit events in the order in which they happened.

    Why staff went outside the rules stands beside the appointment, until its patient is erased.
    """
    return await db.fetch(
        """
        SELECT e.id, appointment_id, sequence, action, actor_type, actor_id, occurred_at,
            CASE WHEN o.reason IS NOT NULL AND metadata -> 'override' = 'true'
                THEN metadata || jsonb_build_object('override', o.reason)
                ELSE metadata END AS metadata
        FROM audit_events e LEFT JOIN override_reasons o USING (appointment_id)
        WHERE appointment_id = $1 ORDER BY sequence
        """,
        appointment_id,
    )


async def due_to_finish(db: Connection, *, limit: int) -> list[tuple[UUID, str]]:
    """Appointments whose provider lets them finish by themselves, and how; each one locked.

    Provider by provider, so that what the others leave open for ever costs nothing.
    """
    rows = await db.fetch(
        """
        SELECT due.id, p.completion_policy FROM providers p CROSS JOIN LATERAL (
            SELECT a.id FROM appointments a
            WHERE a.provider_id = p.id AND a.status = 'confirmed'
              AND a.ends_at <= now() - make_interval(mins => p.completion_grace_minutes)
            ORDER BY a.ends_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE p.completion_policy <> 'none' LIMIT $1
        """,
        limit,
    )
    return [(row["id"], row["completion_policy"]) for row in rows]


async def due_to_cancel(db: Connection, *, limit: int) -> list[UUID]:
    """What is still to come at providers who have been deleted; each one locked."""
    rows = await db.fetch(
        """
        SELECT due.id FROM providers p CROSS JOIN LATERAL (
            SELECT a.id FROM appointments a
            WHERE a.provider_id = p.id AND a.status IN ('pending', 'confirmed')
              AND a.starts_at > now()
            ORDER BY a.starts_at LIMIT $1 FOR UPDATE SKIP LOCKED
        ) due
        WHERE p.deleted_at IS NOT NULL LIMIT $1
        """,
        limit,
    )
    return [row["id"] for row in rows]
