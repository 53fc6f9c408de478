"""Erase what is personal about a patient here, and have every other service do the same."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from bookings import ledger
from bookings.domain.appointment import Actor
from bookings.domain.erasure import AWAITED, Erasure, ReasonCode
from bookings.erasures import newest_erasure
from bookings.refusals import AppointmentsToCome
from bookings.use_cases.cancel import cancel_of_erased_patient
from shared.db import Connection
from shared.events.patient import PatientDeleted, PatientUpdated
from shared.fields import instant_text
from shared.idempotency import erase_answers
from shared.ids import new_id
from shared.messaging import outbox
from shared.observability import logger

MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureWish:
    """Who has whom erased, and whether what is still to come may be cancelled for it."""

    patient_id: UUID
    by: Actor
    reason_code: ReasonCode
    cancel_upcoming: bool


async def erase_patient(db: Connection, wish: ErasureWish) -> Erasure:
    """From the commit on nothing personal is here, and the other services are told.

    Ids, times and the audit trail stay. AppointmentsToCome names what stands in the way, unless it
    is to be cancelled. Asked again, it erases what has been told since.
    """
    patient_id, erasure_id = wish.patient_id, new_id()
    version = await _next_version(db, patient_id)
    cancelled = await _end_what_is_to_come(db, patient_id, may_cancel=wish.cancel_upcoming)
    words = await ledger.erase_words(db, patient_id, by=wish.by, erasure_id=erasure_id)
    await _erase_profile(db, patient_id, version)
    await outbox.erase(db, str(patient_id), [PatientUpdated.type])
    await erase_answers(db, patient_id, callers=words.involved, naming=[patient_id, *words.notes])
    await db.execute(
        """
        INSERT INTO erasure_requests (id, patient_id, version, requested_by_type, requested_by_id,
            reason_code, cancelled_appointments, awaits, requested_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
        """,
        erasure_id,
        patient_id,
        version,
        wish.by.type.value,
        wish.by.id,
        wish.reason_code,
        cancelled,
        list(AWAITED),
    )
    await outbox.put(db, PatientDeleted(id=patient_id, version=version, erasure_id=erasure_id))
    logger.info("erasure_requested", patient_id=str(patient_id), erasure_id=str(erasure_id))
    erasure = await newest_erasure(db, patient_id)
    if erasure is None:
        raise LookupError(f"erasure {erasure_id} has vanished")
    return erasure


async def _next_version(db: Connection, patient_id: UUID) -> int:
    """The profile is locked from here on; whoever is known by their id alone gets an empty one."""
    await db.execute(
        "INSERT INTO patients (id, version, language, timezone) VALUES ($1, 0, 'en', 'UTC') "
        "ON CONFLICT DO NOTHING",
        patient_id,
    )
    version: int = await db.fetchval(
        "SELECT version + 1 FROM patients WHERE id = $1 FOR UPDATE", patient_id
    )
    return version


_ACTIVE = """
SELECT id, status, starts_at,
    status <> 'held' AND starts_at > now() AND (status = 'confirmed' OR pending_expires_at > now())
        AS is_to_come,
    status <> 'confirmed' OR starts_at > now() AS is_to_end
FROM appointments WHERE patient_id = $1 AND status IN ('held', 'pending', 'confirmed')
ORDER BY rescheduled_from IS NOT NULL, starts_at, id FOR UPDATE
"""
"""All at once and locked: a hold must not turn into an appointment between two looks."""


async def _end_what_is_to_come(db: Connection, patient_id: UUID, *, may_cancel: bool) -> int:
    """How many appointments and requests were cancelled; holds are let go without a word.

    What has begun stays and ends as ever.
    """
    rows = await db.fetch(_ACTIVE, patient_id)
    to_come = [row for row in rows if row["is_to_come"]]
    if to_come and not may_cancel:
        raise AppointmentsToCome(
            "cancel them, or ask again with cancelUpcoming: true",
            count=len(to_come),
            appointments=[_named(row) for row in to_come[:MOST_NAMED]],
        )
    cancelled = 0
    for row in rows:
        if row["is_to_end"] and await cancel_of_erased_patient(db, row["id"]):
            cancelled += row["is_to_come"]
    return cancelled


def _named(row: asyncpg.Record) -> dict[str, str]:
    return {
        "appointmentId": str(row["id"]),
        "status": row["status"],
        "start": instant_text(row["starts_at"]),
    }


async def _erase_profile(db: Connection, patient_id: UUID, version: int) -> None:
    await db.execute(
        """
        UPDATE patients SET version = $2, erased_version = $2, name = NULL, email = NULL,
            phone = NULL, language = 'en', timezone = 'UTC', communication_preferences = '{}',
            emergency_contact = NULL, updated_at = now()
        WHERE id = $1
        """,
        patient_id,
        version,
    )
