"""The calendar-sync worker: it keeps the calendars' entries up to date. Wiring only."""

from calendar_sync.consumers import HANDLERS
from calendar_sync.settings import CalendarSyncSettings
from shared.messaging.loops import messaging_loops
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[CalendarSyncSettings]) -> Loops:
    return messaging_loops(worker, "calendar-sync", HANDLERS)


def main() -> None:
    run_worker("calendar-sync", CalendarSyncSettings(), build)


if __name__ == "__main__":
    main()
