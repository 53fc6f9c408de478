"""A patient is erased: nothing that is known of them, or was said to them, stays.

Jobs and deliveries stay as ids and times; what providers were told by the app names no patient.
What is on its way at that moment may still write down what the next system answers, and a parked
message may hold the contact: so the erasure is confirmed only when nothing is on its way any more,
after one more look.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from aio_pika.abc import AbstractConnection

from notifications.domain.news import Party
from notifications.realtime.channels import Channel, Kind
from notifications.use_cases.people import erase_contact
from shared import erasures
from shared.db import Connection, Database
from shared.events.envelope import Event
from shared.events.erasure import NotificationPatientErased
from shared.events.patient import PatientDeleted, PatientUpdated
from shared.idempotency import erase_answers
from shared.messaging.broker import BrokerUnavailable, connected
from shared.messaging.parking import Parked, depth, discard_parked_if
from shared.messaging.topology import RETRY_PAUSES, Queues
from shared.observability import logger

_AT_ONCE = 100
_ALL_PAUSES = sum(RETRY_PAUSES) + 60
"""Seconds after which no message from before is in a queue for retries any more."""

_FORGET = (
    "DELETE FROM notification_preferences WHERE user_id = $1",
    "DELETE FROM unsubscribe_links WHERE user_id = $1",
    "DELETE FROM push_devices WHERE user_id = $1",
    "DELETE FROM in_app_notifications WHERE user_id = $1",
    "DELETE FROM realtime_tickets WHERE user_id = $1",
)
"""What belongs to the patient; what they make anew after this stays theirs."""

_THEIR_APPOINTMENTS = "SELECT id FROM appointments WHERE patient_id = $1"
_TRACES = (
    # An inbox entry has its job's id.
    f"""
    DELETE FROM in_app_notifications n USING notification_jobs j
    WHERE n.user_id = $1 AND j.id = n.id AND j.created_at <= $2
        AND j.appointment_id IN ({_THEIR_APPOINTMENTS})
    """,
    # What the next system answered may quote whom it was for.
    f"""
    UPDATE notification_jobs SET last_error = 'the recipient is erased'
    WHERE recipient_id = $1 AND last_error IS NOT NULL AND created_at <= $2
        AND appointment_id IN ({_THEIR_APPOINTMENTS})
    """,
    """
    UPDATE notification_deliveries SET response = NULL, provider_id = NULL
    WHERE recipient_id = $1 AND started_at <= $2 AND num_nonnulls(response, provider_id) > 0
    """,
)
_ON_ITS_WAY = """
SELECT EXISTS (
    SELECT FROM notification_jobs
    WHERE recipient_id = $1 AND status = 'sending' AND created_at <= $2
)
"""
_UNCONFIRMED = """
SELECT patient_id, version, erased_at, erased_at < now() - make_interval(secs => $1) AS is_old
FROM erasures WHERE confirmed_at IS NULL ORDER BY erased_at LIMIT $2
"""


async def erase_patient(db: Connection, event: Event[PatientDeleted]) -> None:
    """Forget the patient, who may have come back already with a newer profile; that one stays."""
    patient_id, version = event.data.id, event.data.version
    is_new = await erasures.begin(db, event.data)
    await erase_contact(db, Party.PATIENT, patient_id, version=version)
    if not is_new:
        return
    for statement in _FORGET:
        await db.execute(statement, patient_id)
    channel = Channel(Kind.USER_BOOKINGS, patient_id).name
    await db.execute("DELETE FROM realtime_messages WHERE channel = $1", channel)
    await erase_answers(db, patient_id)
    erased_at = await db.fetchval(
        "SELECT erased_at FROM erasures WHERE patient_id = $1 AND version = $2", patient_id, version
    )
    await _erase_traces(db, patient_id, erased_at)


async def _erase_traces(db: Connection, patient_id: UUID, before: datetime) -> None:
    for statement in _TRACES:
        await db.execute(statement, patient_id, before)


async def finish_erasures(database: Database, amqp_url: str, *, queue: str) -> None:
    """Confirm what is complete; what is not is looked at again by the next tick."""
    async with database.reading() as db:
        unconfirmed = await db.fetch(_UNCONFIRMED, _ALL_PAUSES, _AT_ONCE)
    if not unconfirmed:
        return
    try:
        async with connected(amqp_url, name="notifications erasures") as connection:
            swept = await _sweep(connection, Queues(queue), unconfirmed)
    except BrokerUnavailable as error:
        logger.warning("erasure_waits_for_broker", failure=str(error))
        return
    for row in swept:
        async with database.transaction() as db:
            await _finish(db, row)


async def _sweep(
    connection: AbstractConnection, queues: Queues, erased: Sequence[asyncpg.Record]
) -> list[asyncpg.Record]:
    """Those of whom no parked message holds anything, and none will that waits for its retry."""
    waiting = [await depth(connection, name) for name in queues.retries]
    ready = [row for row in erased if row["is_old"] or not any(waiting)]
    versions = {str(row["patient_id"]).encode(): row["version"] for row in ready}

    def is_void(parked: Parked) -> bool:
        # By the body's text, because it may be parked for being no event that can be read.
        if parked.delivery.type != PatientUpdated.type:
            return False
        sequence = parked.envelope.get("sequence", 0)
        return any(
            id_ in parked.delivery.body and not (isinstance(sequence, int) and sequence > version)
            for id_, version in versions.items()
        )

    if versions and await depth(connection, queues.parked):
        gone = await discard_parked_if(connection, queues, is_void)
        logger.info("erasures_swept", discarded=gone)
    return ready


async def _finish(db: Connection, row: asyncpg.Record) -> None:
    patient_id, erased_at = row["patient_id"], row["erased_at"]
    if await db.fetchval(_ON_ITS_WAY, patient_id, erased_at):
        return
    await _erase_traces(db, patient_id, erased_at)
    await erasures.confirm(db, patient_id, row["version"], NotificationPatientErased)
