"""The only module that writes appointments, claims and audit events.

Each change is one statement: the row, its claims, its audit event and its outbox row stand or fall
together, in one round trip. It is plain SQL because hold and confirm are what the platform's
throughput hangs on (measured: one statement each 1,330 pairs a second, through the ORM 250).
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from bookings.announcements import announce
from bookings.domain.appointment import Actor, Appointment, Claim, Note, claims_in_full
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
    decision_reason
    cancelled_at cancellation_cause cancellation_reason cancelled_by_type cancelled_by_id
    cancellation_fee_cents rescheduled_from rescheduled_to reschedule_count audit_sequence
    audit_hash updated_at
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
    ORDER BY claim.resource_id, claim.start
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

_NOTED = "id, appointment_id, visibility, author_type, author_id, text, created_at"

_ADD_NOTE = f"""
WITH changed AS (
    UPDATE appointments SET (audit_sequence, audit_hash) = (
        SELECT audit_sequence, audit_hash FROM jsonb_populate_record(NULL::appointments, $1)
    )
    WHERE id = ($1::jsonb ->> 'id')::uuid
      AND audit_sequence = ($1::jsonb ->> 'audit_sequence')::integer - 1
    RETURNING id
), audited AS (
    INSERT INTO audit_events ({_AUDITED})
    SELECT {_AUDITED} FROM jsonb_populate_record(NULL::audit_events, $2)
    WHERE EXISTS (SELECT FROM changed)
), noted AS (
    INSERT INTO appointment_notes ({_NOTED})
    SELECT {_NOTED} FROM jsonb_populate_record(NULL::appointment_notes, $3)
    WHERE EXISTS (SELECT FROM changed)
)
SELECT EXISTS (SELECT FROM changed)
"""


class StaleAppointment(Exception):
    """The appointment has changed since it was read; it must be read FOR UPDATE."""


async def open_hold(
    db: Connection,
    hold: Appointment,
    *,
    token_hash: bytes | None,
    by: Actor,
    metadata: dict[str, Any] | None = None,
) -> Appointment | None:
    """The new hold as written, or None when a rival was faster to one of its claims.

    One statement and so a transaction of its own; inside a longer one it needs a savepoint,
    because losing a part of its claims is an error to PostgreSQL.
    """
    written, entry, event = _recorded(hold, Action.HELD_CREATED, by, metadata or {})
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


async def add_note(db: Connection, appointment: Appointment, note: Note) -> None:
    """Keep the note and enter in the trail that it was added, without its text.

    The appointment itself does not change, so nothing is announced and its version stays. The
    caller holds the row's lock.
    """
    metadata = {"noteId": str(note.id), "visibility": note.visibility}
    action = Action.NOTE_ADDED
    written, entry = _entered(appointment, action, note.author, metadata, at=note.created_at)
    row = {
        "id": note.id,
        "appointment_id": appointment.id,
        "visibility": note.visibility,
        "author_type": note.author.type.value,
        "author_id": note.author.id,
        "text": note.text,
        "created_at": note.created_at,
    }
    if not await db.fetchval(_ADD_NOTE, row_of(written), entry, row):
        raise StaleAppointment(f"the trail of {appointment.id} has grown meanwhile")


def _recorded(
    appointment: Appointment, action: Action, by: Actor, metadata: dict[str, Any]
) -> tuple[Appointment, dict[str, Any], dict[str, Any]]:
    """The appointment with its trail one entry longer, that entry's row and the outbox row."""
    at = appointment.updated_at
    written, audit_row = _entered(appointment, action, by, metadata, at=at)
    return written, audit_row, outbox.row(announce(written, action, by), at=at)


def _entered(
    appointment: Appointment, action: Action, by: Actor, metadata: dict[str, Any], *, at: datetime
) -> tuple[Appointment, dict[str, Any]]:
    """The appointment with its trail one entry longer, and that entry's row."""
    entry = Entry(
        appointment_id=appointment.id,
        sequence=appointment.audit_sequence + 1,
        action=action.value,
        actor=by,
        at=at,
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
    return written, audit_row


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


async def claim_patient_time_beside(db: Connection, asked: Appointment) -> bool:
    """Likewise for a request to move, while the appointment that it may replace keeps its own."""
    done: bool = await db.fetchval(
        """
        WITH wanted AS (
            SELECT unnest(tstzmultirange(tstzrange($3, $4, '[)')) - coalesce(
                (SELECT range_agg(period) FROM patient_claims WHERE appointment_id IN ($1, $5)),
                '{}'
            )) AS period
        ), claimed AS (
            INSERT INTO patient_claims (appointment_id, patient_id, period)
            SELECT $1, $2, period FROM wanted ORDER BY period
            ON CONFLICT DO NOTHING RETURNING period
        )
        SELECT (SELECT count(*) FROM claimed) = (SELECT count(*) FROM wanted)
        """,
        asked.id,
        asked.patient_id,
        asked.start,
        asked.end,
        asked.rescheduled_from,
    )
    return done


async def take_over(db: Connection, new: Appointment) -> tuple[Claim, ...] | None:
    """All that the new appointment locks of its units, now that the old one is gone.

    In the transaction that has ended the old one, whose claims nobody else can have taken before
    it commits. None if something else stands there nevertheless.
    """
    units = await db.fetch(
        "SELECT DISTINCT resource_id, kind FROM claims WHERE appointment_id = $1", new.id
    )
    claims = claims_in_full(new, [(unit["resource_id"], unit["kind"]) for unit in units])
    done = await db.fetchval(
        """
        WITH wanted AS (
            SELECT claim.resource_id, claim.kind, tstzrange(claim.start, claim.end, '[)') AS period
            FROM jsonb_to_recordset($2::jsonb)
                AS claim (resource_id uuid, kind text, start timestamptz, "end" timestamptz)
        ), partial AS (
            DELETE FROM claims USING wanted
            WHERE claims.appointment_id = $1 AND claims.resource_id = wanted.resource_id
              AND claims.period <> wanted.period
            RETURNING wanted.*
        ), missing AS (
            SELECT DISTINCT resource_id, kind, period FROM partial
        ), claimed AS (
            INSERT INTO claims (appointment_id, resource_id, kind, period)
            SELECT $1, resource_id, kind, period FROM missing ORDER BY resource_id
            ON CONFLICT DO NOTHING RETURNING resource_id
        ), own_time AS (
            DELETE FROM patient_claims WHERE appointment_id = $1
        )
        SELECT (SELECT count(*) FROM claimed) = (SELECT count(*) FROM missing)
        """,
        new.id,
        [_claim_row(claim) for claim in claims],
    )
    return tuple(claims) if done else None
