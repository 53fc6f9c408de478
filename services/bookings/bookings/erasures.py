"""How far erasures have come: what every service has said of them."""

from datetime import datetime
from uuid import UUID

from prometheus_client import Gauge

from bookings.domain.appointment import Actor, ActorType
from bookings.domain.erasure import Erasure
from shared.db import Connection

OPEN = Gauge("patient_erasures_open", "Erasures that some service has not confirmed yet.")
OLDEST = Gauge("patient_erasures_oldest_open_seconds", "Age of the oldest of them; 0 without any.")

_OPEN = """
SELECT count(*) AS open, coalesce(extract(epoch FROM now() - min(r.requested_at)), 0)::float AS age
FROM erasure_requests r
WHERE cardinality(r.awaits) > (
    SELECT count(*) FROM erasure_confirmations c
    WHERE c.erasure_id = r.id AND c.service = ANY(r.awaits)
)
"""


async def newest_erasure(db: Connection, patient_id: UUID) -> Erasure | None:
    """None when nobody has ever asked for one."""
    row = await db.fetchrow(
        """
        SELECT r.*, ARRAY(
            SELECT (c.service, c.confirmed_at) FROM erasure_confirmations c
            WHERE c.erasure_id = r.id
        ) AS confirmed
        FROM erasure_requests r WHERE patient_id = $1 ORDER BY version DESC LIMIT 1
        """,
        patient_id,
    )
    if row is None:
        return None
    heard: dict[str, datetime] = dict(row["confirmed"])
    return Erasure(
        id=row["id"],
        patient_id=row["patient_id"],
        version=row["version"],
        requested_by=Actor(ActorType(row["requested_by_type"]), row["requested_by_id"]),
        reason_code=row["reason_code"],
        requested_at=row["requested_at"],
        cancelled_appointments=row["cancelled_appointments"],
        confirmed_at={"bookings": row["requested_at"]}
        | {service: heard.get(service) for service in row["awaits"]},
    )


async def note_confirmation(
    db: Connection, erasure_id: UUID, service: str, *, at: datetime
) -> None:
    """The first word counts; one about an erasure that nobody knows is nothing to note."""
    await db.execute(
        """
        INSERT INTO erasure_confirmations (erasure_id, service, confirmed_at)
        SELECT id, $2, $3 FROM erasure_requests WHERE id = $1
        ON CONFLICT DO NOTHING
        """,
        erasure_id,
        service,
        at,
    )


async def measure(db: Connection) -> None:
    """A timer's tick: an erasure that is stuck shows."""
    row = await db.fetchrow(_OPEN)
    if row is not None:
        OPEN.set(row["open"])
        OLDEST.set(row["age"])
