"""What reservations tells Prometheus."""

from prometheus_client import Gauge

from shared.db import Database
from shared.due_work import DueWork

_MOST = 5
_HOLDERS = Gauge(
    "reservations_holders",
    f"People who have so many timeslots reserved at this moment; {_MOST} means as many or more.",
    ["holds"],
)
_HOLDS = """
SELECT holds, count(*) AS people FROM (
    SELECT least(count(*), $1) AS holds FROM reservations
    WHERE status IN ('requested', 'active') AND expires_at > now() GROUP BY reserved_by
) each GROUP BY holds
"""

DUE: DueWork = {
    "reservation expiry": """
        SELECT expires_at AS due_at FROM reservations
        WHERE status IN ('requested', 'active') AND expires_at <= now() ORDER BY expires_at
    """
}


async def count_holders(database: Database) -> None:
    """Reads what is open and nothing of what has ended."""
    async with database.reading() as db:
        rows = await db.fetch(_HOLDS, _MOST)
    people = {row["holds"]: row["people"] for row in rows}
    for holds in range(1, _MOST + 1):
        _HOLDERS.labels(str(holds)).set(people.get(holds, 0))
