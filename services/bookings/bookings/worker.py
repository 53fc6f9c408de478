"""The bookings worker: relay, consumer, and what ends by itself. Wiring only."""

from datetime import timedelta

from bookings.consumers import HANDLERS
from bookings.erasures import measure
from bookings.metrics import DUE
from bookings.use_cases.cancel import cancel_at_deleted_providers
from bookings.use_cases.end_hold import expire_due_holds, expire_due_requests
from bookings.use_cases.finish import finish_due_appointments
from shared.db import Connection
from shared.due_work import due_work_loop
from shared.messaging.loops import messaging_loops
from shared.settings import ServiceSettings
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[ServiceSettings]) -> Loops:
    async def expire(db: Connection) -> bool:
        return await expire_due_holds(db) > 0

    async def expire_requests(db: Connection) -> bool:
        return await expire_due_requests(db) > 0

    async def finish(db: Connection) -> bool:
        return await finish_due_appointments(db) > 0

    async def cancel(db: Connection) -> bool:
        return await cancel_at_deleted_providers(db) > 0

    return {
        **messaging_loops(worker, "bookings", HANDLERS),
        **due_work_loop(worker, DUE),
        "hold expiry": worker.timer("hold expiry", timedelta(seconds=1), expire),
        "request expiry": worker.timer("request expiry", timedelta(seconds=1), expire_requests),
        "completion": worker.timer("completion", timedelta(seconds=10), finish),
        "erasures": worker.timer("erasures", timedelta(seconds=10), measure),
        "deleted providers": worker.timer("deleted providers", timedelta(seconds=5), cancel),
    }


def main() -> None:
    run_worker("bookings", ServiceSettings(), build)


if __name__ == "__main__":
    main()
