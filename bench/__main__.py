"""``make bench``: all that is measured, one part after the other, and one table at the end.

``python -m bench [PART,…]`` measures these parts; only a run without a choice is kept in
``results.json``.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence

from bench import (
    availability_http,
    availability_pure,
    availability_scale,
    bookings,
    bookings_scale,
    calendar,
    events,
    growth,
    notifications,
    realtime,
    results,
    telemetry,
    whole_path,
)
from bench.figures import Parts, Row, table
from bench.machine import this_machine
from bench.stage import stage


async def _availability() -> list[Row]:
    async with stage("availability") as on:
        return [
            *await availability_pure.run(on),
            *await availability_http.run(on),
            *await availability_scale.run(on),
        ]


async def _bookings() -> list[Row]:
    async with stage("bookings") as on:
        return [*await bookings.run(on), *await bookings_scale.lists(on)]


async def _events() -> list[Row]:
    async with stage("bookings") as source, stage("notifications") as sink:
        return await events.run(source, sink)


async def _notifications() -> list[Row]:
    async with stage("notifications") as on:
        return await notifications.run(on)


async def _telemetry() -> list[Row]:
    async with stage("bookings") as on:
        return await telemetry.run(on)


async def _realtime() -> list[Row]:
    async with stage("bookings") as source, stage("notifications") as on:
        return await realtime.run(source, on)


async def _calendar() -> list[Row]:
    async with stage("calendar-sync", **calendar.SETTINGS) as on:
        return await calendar.run(on)


PARTS: dict[str, Callable[[], Awaitable[list[Row]]]] = {
    "availability": _availability,
    "bookings": _bookings,
    "whole-path": whole_path.run,
    "events": _events,
    "notifications": _notifications,
    "realtime": _realtime,
    "calendar": _calendar,
    "telemetry": _telemetry,
    "growth": growth.run,
}


async def main(wanted: Sequence[str]) -> int:
    """0 when every part could be measured, whatever it has found."""
    if unknown := set(wanted) - PARTS.keys():
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    began = time.monotonic()
    machine = await this_machine()
    parts: Parts = {}
    for name in wanted or PARTS:
        started = time.monotonic()
        try:
            parts[name] = await PARTS[name]()
        except Exception:  # noqa: BLE001 -- one part that fails leaves the others their figures
            traceback.print_exc()
            print(f"{name}: not measured", flush=True)
            continue
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
        if not wanted:
            # Also of a run that is interrupted, what it has measured stays.
            machine["minutes"] = f"{(time.monotonic() - began) / 60:.0f}"
            results.write(machine, parts)
    print(f"\n{table(parts)}")
    if not wanted:
        print(f"kept in {results.FILE}; `make bench-results` makes a page of it")
    return 0 if parts.keys() >= set(wanted or PARTS) else 1


if __name__ == "__main__":
    asked = ",".join(sys.argv[1:]).split(",")
    sys.exit(asyncio.run(main([name for name in asked if name])))
