"""What is written beside every change: the next entry of the audit trail, and the event."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from bookings import metrics
from bookings.announcements import announce
from bookings.domain.appointment import Actor, Appointment
from bookings.domain.audit import FIRST, Entry, hash_of
from bookings.domain.lifecycle import Action
from bookings.rows import row_of
from shared.db import Connection
from shared.ids import new_id
from shared.messaging import outbox

AUDITED = (
    "id, appointment_id, sequence, action, actor_type, actor_id, occurred_at, metadata, "
    "previous_hash, hash"
)
_ANNOUNCED = "id, type, subject, sequence, occurred_at, traceparent, data"

RECORD = f"""
audited AS (
    INSERT INTO audit_events ({AUDITED})
    SELECT {AUDITED} FROM jsonb_populate_record(NULL::audit_events, $2)
    WHERE EXISTS (SELECT FROM changed)
), announced AS (
    INSERT INTO outbox ({_ANNOUNCED})
    SELECT {_ANNOUNCED} FROM jsonb_populate_record(NULL::outbox, $3)
    WHERE EXISTS (SELECT FROM changed)
)
SELECT EXISTS (SELECT FROM changed)
"""

_ENTER = f"""
WITH changed AS (
    UPDATE appointments SET (audit_sequence, audit_hash) = (
        SELECT audit_sequence, audit_hash FROM jsonb_populate_record(NULL::appointments, $1)
    )
    WHERE id = ($1::jsonb ->> 'id')::uuid
      AND audit_sequence = ($1::jsonb ->> 'audit_sequence')::integer - 1
    RETURNING id
), audited AS (
    INSERT INTO audit_events ({AUDITED})
    SELECT {AUDITED} FROM jsonb_populate_record(NULL::audit_events, $2)
    WHERE EXISTS (SELECT FROM changed)
)
SELECT EXISTS (SELECT FROM changed)
"""


class StaleAppointment(Exception):
    """The appointment has changed since it was read; it must be read FOR UPDATE."""


async def enter(
    db: Connection,
    appointment: Appointment,
    action: Action,
    *,
    by: Actor,
    metadata: dict[str, Any],
    at: datetime,
) -> None:
    """Note in the trail what has happened beside the appointment, which itself does not change and
    keeps its version. The caller holds the row's lock."""
    written, entry = entered(appointment, action, by, metadata, at=at)
    if not await db.fetchval(_ENTER, row_of(written), entry):
        raise StaleAppointment(f"the trail of {appointment.id} has grown meanwhile")
    metrics.count(db, written, action)


def recorded(
    appointment: Appointment, action: Action, by: Actor, metadata: dict[str, Any]
) -> tuple[Appointment, dict[str, Any], dict[str, Any]]:
    """The appointment with its trail one entry longer, that entry's row and the outbox row."""
    at = appointment.updated_at
    written, audit_row = entered(appointment, action, by, metadata, at=at)
    return written, audit_row, outbox.row(announce(written, action, by), at=at)


def entered(
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
