"""The availability worker: relay, consumer, and word of what has changed. Wiring only."""

from availability.announcing import EVERY, announce_changes
from availability.consumers import HANDLERS
from availability.set_up import SetUps
from availability.use_cases.calendars import STALE_EVERY, note_stale
from shared.db import Connection
from shared.messaging.loops import messaging_loops
from shared.settings import ServiceSettings
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[ServiceSettings]) -> Loops:
    set_ups = SetUps()

    async def announce(db: Connection) -> bool:
        return await announce_changes(db, set_ups)

    return {
        **messaging_loops(worker, "availability", HANDLERS),
        "stale calendars": worker.timer("stale calendars", STALE_EVERY, note_stale),
        "changes": worker.timer("changes", EVERY, announce),
    }


def main() -> None:
    run_worker("availability", ServiceSettings(), build)


if __name__ == "__main__":
    main()
