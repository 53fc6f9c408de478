"""What has become of holds, for a service whose events are late."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from shared.db import Connection

Outcome = Literal["held", "used", "released", "expired"]


async def hold_outcomes(db: Connection, appointment_ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """By appointment; one that there has never been is not among them."""
    rows = await db.fetch(
        """
        SELECT id, CASE
            WHEN status = 'held' AND hold_expires_at > now() THEN 'held'
            WHEN status = 'held' OR cancellation_cause = 'hold_expired' THEN 'expired'
            WHEN cancellation_cause = 'hold_released' THEN 'released'
            ELSE 'used'
        END AS outcome
        FROM appointments WHERE id = ANY($1::uuid[])
        """,
        list(appointment_ids),
    )
    return {row["id"]: row["outcome"] for row in rows}
