"""What has become of holds, for a service whose events are late."""

from collections.abc import Sequence
from uuid import UUID

from bookings.domain.holds import Outcome, outcome_of
from bookings.domain.lifecycle import Status
from shared.db import Connection


async def hold_outcomes(db: Connection, appointment_ids: Sequence[UUID]) -> dict[UUID, Outcome]:
    """By appointment; one that there has never been is not among them."""
    rows = await db.fetch(
        """
        SELECT id, status, hold_expires_at, cancellation_cause, now() AS now
        FROM appointments WHERE id = ANY($1::uuid[])
        """,
        list(appointment_ids),
    )
    return {
        row["id"]: outcome_of(
            Status(row["status"]),
            hold_expires_at=row["hold_expires_at"],
            cause=row["cancellation_cause"],
            now=row["now"],
        )
        for row in rows
    }
