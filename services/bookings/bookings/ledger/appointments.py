"""Appointments as rows: held, and moved from state to state."""

from typing import Any
from uuid import UUID

import asyncpg

from bookings import metrics
from bookings.domain.appointment import Actor, Appointment
from bookings.domain.lifecycle import Action
from bookings.ledger.claims import claim_row
from bookings.ledger.trail import RECORD, StaleAppointment, recorded
from bookings.rows import REST_OF_A, appointment_of, row_of
from shared.db import Connection
from shared.idempotency import KEPT_COLUMNS, Kept

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
    decision_reason
    cancelled_at cancellation_cause cancellation_reason cancelled_by_type cancelled_by_id
    cancellation_fee_cents rescheduled_from rescheduled_to reschedule_count audit_sequence
    audit_hash updated_at
    """.split()
)

_HOLD = f"""
WITH claimed AS (
    INSERT INTO claims (appointment_id, resource_id, kind, period)
    SELECT ($1::jsonb ->> 'id')::uuid, claim.resource_id, claim.kind,
        tstzrange(claim.start, claim.end, '[)')
    FROM jsonb_to_recordset($4::jsonb)
        AS claim (resource_id uuid, kind text, start timestamptz, "end" timestamptz)
    ORDER BY claim.resource_id, claim.start
    ON CONFLICT DO NOTHING
    RETURNING resource_id
), changed AS (
    INSERT INTO appointments ({_INSERTED}, reservation_token_hash)
    SELECT {_INSERTED}, $5 FROM jsonb_populate_record(NULL::appointments, $1)
    WHERE (SELECT count(*) FROM claimed) = jsonb_array_length($4::jsonb)
    RETURNING id
), explained AS (
    INSERT INTO override_reasons (appointment_id, reason)
    SELECT id, $6 FROM changed WHERE $6::text IS NOT NULL
), {RECORD}
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
), {RECORD}
"""


_CONFIRM = f"""
WITH held AS MATERIALIZED (
    SELECT id, patient_id, tstzrange(starts_at, ends_at, '[)') AS period FROM appointments
    WHERE id = ($1::jsonb ->> 'id')::uuid AND version = ($1::jsonb ->> 'version')::integer - 1
      AND audit_sequence = ($1::jsonb ->> 'audit_sequence')::integer - 1
      AND hold_expires_at > now()
    FOR UPDATE
), claimed AS (
    INSERT INTO patient_claims (appointment_id, patient_id, period)
    SELECT id, patient_id, period FROM held ON CONFLICT DO NOTHING RETURNING appointment_id
), changed AS (
    UPDATE appointments SET ({_UPDATED}) = (
        SELECT {_UPDATED} FROM jsonb_populate_record(NULL::appointments, $1)
    )
    FROM claimed WHERE id = claimed.appointment_id
    RETURNING id
), kept AS (
    INSERT INTO idempotency_keys ({KEPT_COLUMNS})
    SELECT $4, $5, $6, $7, $8, $9::text::jsonb, $10 WHERE EXISTS (SELECT FROM changed)
), {RECORD}
"""
"""The hold's row is locked before anything is claimed, as everywhere. Whoever has that lock finds
the version unchanged, or nothing. A key that is known already is an error and so undoes it all."""


async def open_hold(
    db: Connection,
    hold: Appointment,
    *,
    token_hash: bytes | None,
    by: Actor,
    metadata: dict[str, Any] | None = None,
    override_reason: str | None = None,
) -> Appointment | None:
    """The new hold as written, or None when a rival was faster to one of its claims.

    ``override_reason`` says why staff book outside the rules; the trail says that they did.

    One statement and so a transaction of its own; inside a longer one it needs a savepoint,
    because losing a part of its claims is an error to PostgreSQL.
    """
    written, entry, event = recorded(hold, Action.HELD_CREATED, by, metadata or {})
    try:
        done = await db.fetchval(
            _HOLD,
            row_of(written),
            entry,
            event,
            [claim_row(c) for c in hold.claims],
            token_hash,
            override_reason,
        )
    except asyncpg.ForeignKeyViolationError as error:
        if error.constraint_name != "claims_appointment_id_fkey":
            raise
        return None
    if not done:
        return None
    metrics.count(db, written, Action.HELD_CREATED)
    return written


async def move(
    db: Connection,
    moved: Appointment,
    action: Action,
    *,
    by: Actor,
    metadata: dict[str, Any] | None = None,
) -> Appointment:
    """Write what ``Appointment.moved`` has decided; the caller holds the row's lock."""
    written, entry, event = recorded(moved, action, by, metadata or {})
    if not await db.fetchval(_MOVE, row_of(written), entry, event, moved.is_active):
        raise StaleAppointment(f"appointment {moved.id} is no longer at {moved.version - 1}")
    metrics.count(db, written, action)
    return written


async def confirm(
    db: Connection, moved: Appointment, action: Action, *, by: Actor, kept: Kept
) -> bool:
    """Write what ``decisions.confirm`` has decided, the patient's own time and the answer.

    False, and nothing is written, when the hold has changed since it was read or the patient has
    another appointment then. One statement and so a transaction of its own.
    """
    written, entry, event = recorded(moved, action, by, {})
    done: bool = await db.fetchval(_CONFIRM, row_of(written), entry, event, *kept)
    if done:
        metrics.count(db, written, action)
    return done


async def rebind_hold(db: Connection, id_: UUID, *, token_hash: bytes) -> Appointment | None:
    """A live hold under its owner's newest token; None when it has just ended."""
    row = await db.fetchrow(
        f"""
        WITH bound AS (
            UPDATE appointments SET reservation_token_hash = $2
            WHERE id = $1 AND status = 'held' AND hold_expires_at > now()
            RETURNING *
        )
        SELECT a.*, {REST_OF_A} FROM bound a
        """,
        id_,
        token_hash,
    )
    return appointment_of(row) if row else None
