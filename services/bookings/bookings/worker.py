"""The bookings worker: relay, consumer, and the ends of holds. Wiring only."""

from datetime import timedelta

from bookings.consumers import HANDLERS
from bookings.use_cases.end_hold import expire_due_holds
from shared.db import Connection
from shared.messaging.loops import messaging_loops
from shared.settings import ServiceSettings
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[ServiceSettings]) -> Loops:
    async def expire(db: Connection) -> bool:
        return await expire_due_holds(db) > 0

    return {
        **messaging_loops(worker, "bookings", HANDLERS),
        "hold expiry": worker.timer("hold expiry", timedelta(seconds=1), expire),
    }


def main() -> None:
    run_worker("bookings", ServiceSettings(), build)


if __name__ == "__main__":
    main()
