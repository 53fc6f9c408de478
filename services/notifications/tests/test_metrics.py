"""What Prometheus is told of messages that are late."""

from datetime import timedelta
from uuid import uuid4

from prometheus_client import REGISTRY

from notifications import metrics
from shared import due_work
from shared.db import Connection, Database


def value(work: str) -> float | None:
    return REGISTRY.get_sample_value("work_due", {"work": work})


async def plan(db: Connection, kind: str, channel: str, *, minutes: float) -> None:
    """A job that has been due for so many minutes."""
    await db.execute(
        """
        INSERT INTO notification_jobs (id, dedupe_key, kind, channel, party, recipient_id, payload,
            due_at, expires_at)
        VALUES ($1, $2, $3, $4, 'patient', $1, '{}', now() - $5::interval, now() + interval '1 day')
        """,
        uuid4(),
        uuid4().hex,
        kind,
        channel,
        timedelta(minutes=minutes),
    )


async def test_late_jobs_are_counted_by_channel_and_reminders_on_their_own(
    database: Database,
) -> None:
    async with database.transaction() as db:
        await plan(db, "reminder", "email", minutes=3)
        await plan(db, "confirmed", "email", minutes=1)
        await plan(db, "reminder", "sms", minutes=-60)

    await due_work.measure(database, metrics.DUE)

    late = {work: value(work) for work in ("email", "sms", "in_app", "reminders", "webhooks")}
    assert late == {"email": 2, "sms": 0, "in_app": 0, "reminders": 1, "webhooks": 0}
