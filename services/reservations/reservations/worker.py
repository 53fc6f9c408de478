"""The reservations worker: relay, consumer, and the ends of countdowns. Wiring only."""

from datetime import timedelta
from functools import partial

from reservations.consumers import HANDLERS
from reservations.metrics import DUE, count_holders
from reservations.settings import ReservationsSettings
from reservations.use_cases.end import expire_due_reservations
from shared.db import Connection
from shared.due_work import EVERY, due_work_loop
from shared.messaging.loops import messaging_loops
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[ReservationsSettings]) -> Loops:
    async def expire(db: Connection) -> bool:
        return await expire_due_reservations(db) > 0

    return {
        **messaging_loops(worker, "reservations", HANDLERS),
        **due_work_loop(worker, DUE),
        "holders": worker.chore("holders", EVERY, partial(count_holders, worker.database)),
        "expiry": worker.timer("expiry", timedelta(seconds=1), expire),
    }


def main() -> None:
    run_worker("reservations", ReservationsSettings(), build)


if __name__ == "__main__":
    main()
