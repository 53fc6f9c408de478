"""The calendar-sync worker: it keeps entries up to date and visits calendars. Wiring only."""

from datetime import timedelta
from functools import partial

from calendar_sync import metrics
from calendar_sync.calendars.kinds import Kinds
from calendar_sync.consumers import HANDLERS
from calendar_sync.settings import CalendarSyncSettings
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.seal_anew import seal_anew
from shared.db import Connection
from shared.due_work import due_work_loop
from shared.messaging.loops import messaging_loops
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[CalendarSyncSettings]) -> Loops:
    settings, database = worker.settings, worker.database
    kinds = await worker.resources.enter_async_context(Kinds.open(settings))
    vault = settings.vault
    visits = Visits(
        database,
        kinds.by_name,
        vault,
        settings.public_host,
        settings.poll_every,
        settings.push_origin,
    )

    async def rotate(db: Connection) -> bool:
        return await seal_anew(db, vault)

    return {
        **messaging_loops(worker, "calendar-sync", HANDLERS),
        **due_work_loop(worker, metrics.DUE),
        "connections": worker.chore(
            "connections", metrics.EVERY, partial(metrics.look_at_connections, database)
        ),
        "calendar visits": Visitor(database, visits, settings.calendar_visits_at_once).run,
        "key rotation": worker.timer("key rotation", timedelta(minutes=10), rotate),
    }


def main() -> None:
    run_worker("calendar-sync", CalendarSyncSettings(), build)


if __name__ == "__main__":
    main()
