"""``make bench``: all that is measured on a stage of its own, one after the other."""

import asyncio

from bench import (
    availability_http,
    availability_pure,
    availability_scale,
    bookings,
    bookings_scale,
    calendar,
    notifications,
    telemetry,
    whole_path,
)
from bench.stage import stage


async def main() -> None:
    async with stage("availability") as on:
        await availability_pure.run(on)
        await availability_http.run(on)
        await availability_scale.run(on)
    async with stage("bookings") as on:
        await bookings.run(on)
        await bookings_scale.lists(on)
        await telemetry.run(on)
    await whole_path.run()
    async with stage("notifications") as on:
        await notifications.run(on)
    async with stage("bookings") as young, stage("bookings") as old:
        await bookings_scale.past(young, old)
    async with stage("calendar-sync", **calendar.SETTINGS) as on:
        await calendar.run(on)


if __name__ == "__main__":
    asyncio.run(main())
