"""What should have happened by now and has not: counted in the database, shown to Prometheus."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

from prometheus_client import Gauge

from shared.db import Database
from shared.settings import ServiceSettings
from shared.worker import Loops, Worker

Settings = TypeVar("Settings", bound=ServiceSettings)

EVERY = timedelta(seconds=15)
MOST = 10_000
"""As many are counted: more is known to be too much, and would only cost the database time."""

_WAITING = Gauge(
    "work_due", f"Work whose time has come and that is not done, up to {MOST:,}.", ["work"]
)
_OLDEST = Gauge("work_due_oldest_seconds", "For how long the oldest of it has been due.", ["work"])

DueWork = Mapping[str, str]
"""For each kind of work the statement that selects when each piece of it became due, ``due_at``."""


def due_work_loop(worker: Worker[Settings], works: DueWork) -> Loops:
    """In every worker, so that no one of them must be alive for all to be seen."""
    return {"due work": worker.chore("due work", EVERY, partial(measure, worker.database, works))}


async def measure(database: Database, works: DueWork) -> None:
    """Each statement reads the due part of an index and nothing else."""
    for work, statement in works.items():
        async with database.reading() as db:
            row = await db.fetchrow(
                f"""
                SELECT count(*) AS waiting,
                    coalesce(extract(epoch FROM now() - min(due_at)), 0)::float AS oldest
                FROM ({statement} LIMIT {MOST}) AS due
                """
            )
        if row is not None:
            _WAITING.labels(work).set(row["waiting"])
            _OLDEST.labels(work).set(max(row["oldest"], 0))
