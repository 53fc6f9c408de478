"""The telephone network says how far an SMS has come."""

from uuid import UUID

from notifications import announcements
from notifications.jobs.planning import WAKE_CHANNEL
from shared.db import Connection
from shared.messaging import outbox

_RANK = """
CASE {0} WHEN 'accepted' THEN 1 WHEN 'sent' THEN 2 WHEN 'delivered' THEN 3 WHEN 'undelivered' THEN 3
    ELSE 0 END
"""

_NOTE = f"""
WITH attempt AS (
    SELECT id FROM notification_deliveries
    WHERE job_id = $1 AND channel = 'sms' AND (provider_id = $2 OR provider_id IS NULL)
    ORDER BY provider_id = $2 DESC NULLS LAST, attempt DESC LIMIT 1
)
UPDATE notification_deliveries d
SET receipt = $3, provider_id = $2,
    status = CASE WHEN status = 'unknown' THEN 'sent' ELSE status END
FROM attempt
WHERE d.id = attempt.id AND {_RANK.format("coalesce(receipt, '')")} < {_RANK.format("$3")}
RETURNING d.id
"""

_ARRIVED = """
UPDATE notification_jobs SET status = 'sent', ended_at = now(), last_error = NULL
WHERE id = $1 AND channel = 'sms' AND status = 'queued'
"""
"""It waits for another attempt because nobody knew how the first one had ended."""

_NOT_DELIVERED = """
WITH job AS (
    SELECT id, fallback <> '{}' AND expires_at > now() AS moves_on FROM notification_jobs
    WHERE id = $1 AND channel = 'sms' AND status IN ('sent', 'queued') FOR UPDATE
)
UPDATE notification_jobs j
SET status = CASE WHEN moves_on THEN 'queued' ELSE 'failed' END,
    ended_at = CASE WHEN moves_on THEN NULL ELSE now() END,
    due_at = CASE WHEN moves_on THEN now() ELSE due_at END,
    channel = CASE WHEN moves_on THEN fallback[1] ELSE channel END,
    fallback = CASE WHEN moves_on THEN fallback[2:] ELSE fallback END,
    last_error = 'not delivered by the telephone network'
FROM job WHERE j.id = job.id
RETURNING j.id, j.kind, j.party, j.recipient_id, j.channel, j.appointment_id, j.due_at,
    now() AS now, moves_on
"""


async def note_receipt(db: Connection, job_id: UUID, *, message_sid: str, receipt: str) -> None:
    """Receipts come in any order and again: one never goes back, and the last word stays.

    What was not delivered goes over the message's next channel, while that is of use.
    """
    if not await db.fetchval(_NOTE, job_id, message_sid, receipt):
        return
    if receipt != "undelivered":
        await db.execute(_ARRIVED, job_id)
        return
    row = await db.fetchrow(_NOT_DELIVERED, job_id)
    if row is None:
        return
    if row["moves_on"]:
        await db.execute(f"NOTIFY {WAKE_CHANNEL}")
    elif event := announcements.failed_row(row, reason="refused"):
        await outbox.put(db, event)
