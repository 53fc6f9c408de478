"""The only module that writes appointments, claims and audit events.

Each change is one statement: the row, its claims, its audit event and its outbox row stand or fall
together, in one round trip. It is plain SQL because hold and confirm are what the platform's
throughput hangs on (measured: one statement each 1,330 pairs a second, through the ORM 250).
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from bookings.announcements import announce
from bookings.domain.appointment import Actor, Appointment, Claim
from bookings.domain.audit import FIRST, Entry, hash_of
from bookings.domain.lifecycle import Action
from bookings.rows import CLAIMS_OF_A, appointment_of, row_of
from shared.db import Connection
from shared.ids import new_id
from shared.messaging import outbox

_INSERTED = ", ".join(
    """
    id version status patient_id provider_id service_id timeslot_id starts_at ends_at mode
    location_id room_id terms source patient_timezone provider_timezone hold_expires_at
    pending_expires_at reason notes participants rescheduled_from reschedule_count
    audit_sequence audit_hash created_at updated_at
    """.split()
)
_UPDATED = ", ".join(
    """
    version status pending_expires_at hold_expires_at reason notes participants patient_timezone
    cancelled_at cancellation_cause cancellation_reason cancelled_by_type cancelled_by_id
    cancellation_fee_cents rescheduled_to audit_sequence audit_hash updated_at
    """.split()
)
_AUDITED = (
    "id, appointment_id, sequence, action, actor_type, actor_id, occurred_at, metadata, "
    "previous_hash, hash"
)
_ANNOUNCED = "id, type, subject, sequence, occurred_at, traceparent, data"

_RECORD = f"""
audited AS (
    INSERT INTO audit_events ({_AUDITED})
    SELECT {_AUDITED} FROM jsonb_populate_record(NULL::audit_events, $2)
    WHERE EXISTS (SELECT FROM changed)
), announced AS (
    INSERT INTO outbox ({_ANNOUNCED})
    SELECT {_ANNOUNCED} FROM jsonb_populate_record(NULL::outbox, $3)
    WHERE EXISTS (SELECT FROM changed)
)
SELECT EXISTS (SELECT FROM changed)
"""

_HOLD = f"""
WITH claimed AS (
    INSERT INTO claims (appointment_id, resource_id, kind, period)
    SELECT ($1::jsonb ->> 'id')::uuid, claim.resource_id, claim.kind,
        tstzrange(claim.start, claim.end, '[)')
    FROM jsonb_to_recordset($4::jsonb)
        AS claim (resource_id uuid, kind text, start timestamptz, "end" timestamptz)
    ORDER BY claim.resource_id
    ON CONFLICT DO NOTHING
    RETURNING resource_id
), changed AS (
    INSERT INTO appointments ({_INSERTED}, reservation_token_hash)
    SELECT {_INSERTED}, $5 FROM jsonb_populate_record(NULL::appointments, $1)
    WHERE (SELECT count(*) FROM claimed) = jsonb_array_length($4::jsonb)
    RETURNING id
), {_RECORD}
"""
"""Claims come first. Without all of them there is no appointment, and the foreign key then throws
the whole statement away: nobody ever waits while holding half of what they need."""

_MOVE = f"""
WITH changed AS (
    UPDATE appointments SET ({_UPDATED}) = (
        SELECT {_UPDATED} FROM jsonb_populate_record(NULL::appointments, $1)
    )
    WHERE id = ($1::jsonb ->> 'id')::uuid AND version = ($1::jsonb ->> 'version')::integer - 1
    RETURNING id
), released AS (
    DELETE FROM claims USING changed WHERE appointment_id = changed.id AND NOT $4
), freed AS (
    DELETE FROM patient_claims USING changed WHERE appointment_id = changed.id AND NOT $4
), {_RECORD}
"""


class StaleAppointment(Exception):
    """The appointment has changed since it was read; it must be read FOR UPDATE."""


async def open_hold(
    db: Connection, hold: Appointment, *, token_hash: bytes | None, by: Actor
) -> Appointment | None:
    """The new hold as written, or None when a rival was faster to one of its claims.

    One statement and so a transaction of its own; inside a longer one it needs a savepoint,
    because losing a part of its claims is an error to PostgreSQL.
    """
    written, entry, event = _recorded(hold, Action.HELD_CREATED, by, {})
    try:
        done = await db.fetchval(
            _HOLD, row_of(written), entry, event, [_claim_row(c) for c in hold.claims], token_hash
        )
    except asyncpg.ForeignKeyViolationError as error:
        if error.constraint_name != "claims_appointment_id_fkey":
            raise
        return None
    return written if done else None


async def move(
    db: Connection,
    moved: Appointment,
    action: Action,
    *,
    by: Actor,
    metadata: dict[str, Any] | None = None,
) -> Appointment:
    """Write what ``Appointment.moved`` has decided; the caller holds the row's lock."""
    written, entry, event = _recorded(moved, action, by, metadata or {})
    if not await db.fetchval(_MOVE, row_of(written), entry, event, moved.is_active):
        raise StaleAppointment(f"appointment {moved.id} is no longer at {moved.version - 1}")
    return written


def _recorded(
    appointment: Appointment, action: Action, by: Actor, metadata: dict[str, Any]
) -> tuple[Appointment, dict[str, Any], dict[str, Any]]:
    """The appointment with its trail one entry longer, that entry's row and the outbox row."""
    entry = Entry(
        appointment_id=appointment.id,
        sequence=appointment.audit_sequence + 1,
        action=action.value,
        actor=by,
        at=appointment.updated_at,
        metadata=metadata,
    )
    previous = appointment.audit_hash or FIRST
    new_hash = hash_of(entry, previous)
    written = replace(appointment, audit_sequence=entry.sequence, audit_hash=new_hash)
    audit_row = {
        "id": new_id(),
        "appointment_id": entry.appointment_id,
        "sequence": entry.sequence,
        "action": entry.action,
        "actor_type": by.type.value,
        "actor_id": by.id,
        "occurred_at": entry.at,
        "metadata": metadata,
        "previous_hash": "\\x" + previous.hex(),
        "hash": "\\x" + new_hash.hex(),
    }
    return written, audit_row, outbox.row(announce(written, action, by), at=entry.at)


def _claim_row(claim: Claim) -> dict[str, Any]:
    return {
        "resource_id": claim.resource_id,
        "kind": claim.kind,
        "start": claim.start,
        "end": claim.end,
    }


async def rebind_hold(db: Connection, id_: UUID, *, token_hash: bytes) -> Appointment | None:
    """A live hold under its owner's newest token; None when it has just ended."""
    row = await db.fetchrow(
        f"""
        WITH bound AS (
            UPDATE appointments SET reservation_token_hash = $2
            WHERE id = $1 AND status = 'held' AND hold_expires_at > now()
            RETURNING *
        )
        SELECT a.*, {CLAIMS_OF_A} FROM bound a
        """,
        id_,
        token_hash,
    )
    return appointment_of(row) if row else None


async def claim_patient_time(db: Connection, appointment: Appointment) -> bool:
    """Lock the patient's own time, without buffers; False when another appointment has it."""
    status = await db.execute(
        """
        INSERT INTO patient_claims (appointment_id, patient_id, period)
        VALUES ($1, $2, tstzrange($3, $4, '[)')) ON CONFLICT DO NOTHING
        """,
        appointment.id,
        appointment.patient_id,
        appointment.start,
        appointment.end,
    )
    return status == "INSERT 0 1"
