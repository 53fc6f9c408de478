"""The reservations worker: relay, consumer, and the ends of countdowns. Wiring only."""

from datetime import timedelta

from reservations.consumers import HANDLERS
from reservations.settings import ReservationsSettings
from reservations.use_cases.end import expire_due_reservations
from shared.db import Connection
from shared.messaging.loops import messaging_loops
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[ReservationsSettings]) -> Loops:
    async def expire(db: Connection) -> bool:
        return await expire_due_reservations(db) > 0

    return {
        **messaging_loops(worker, "reservations", HANDLERS),
        "expiry": worker.timer("expiry", timedelta(seconds=1), expire),
    }


def main() -> None:
    run_worker("reservations", ReservationsSettings(), build)


if __name__ == "__main__":
    main()
