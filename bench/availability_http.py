"""What availability answers in a second, measured against the bare frameworks in the same run."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

from bench.figures import Row, at_least
from bench.load import CONNECTIONS, Outcome, get, load, load_after
from bench.practice import Bookings, Practice, a_practice, book, fortnight
from bench.stage import Stage

ROUNDS = 5
SECONDS = 0.6
BOOKINGS = 500

Prepare = Callable[[], Awaitable[None]]


class Line(NamedTuple):
    """One kind of request, and the share of the yardstick's rate that it shall reach."""

    name: str
    port: int
    requests: Sequence[bytes]
    wanted: float | None = None
    status: int = 200
    prepare: Prepare | None = None
    """Before each time that all of the requests are sent at once; without, they just go on."""

    async def load(self, begins: Callable[[], None]) -> Outcome:
        """Calls ``begins`` when what is measured does."""
        if self.prepare is not None:
            return await load_after(
                self.port, self.requests, self.prepare, seconds=SECONDS, when_warm=begins
            )
        begins()
        return await load(self.port, self.requests[0], seconds=SECONDS, status=self.status)


class Round(NamedTuple):
    per_second: float
    busy_ms: float
    """Of the server's processor time, for each request."""


async def compare(on: Stage, lines: Sequence[Line]) -> list[Row]:
    """In turns, so that whatever else the machine does meets all of them; the first is the measure.

    Medians of the rounds, and of each round's ratios.
    """
    rounds: list[list[Round]] = []
    for _ in range(ROUNDS):
        rounds.append([await _round(on, line) for line in lines])
    rows = []
    for number, line in enumerate(lines):
        rate = median(each[number].per_second for each in rounds)
        share = median(each[number].per_second / each[0].per_second for each in rounds)
        busy = median(each[number].busy_ms for each in rounds)
        rows.append(
            Row(
                name=f"{line.name} ({busy:.2f} ms of processor)",
                figure=rate,
                unit="/s",
                ratio=share if number else None,
                yardstick=lines[0].name if number else "",
                wanted=at_least(line.wanted) if line.wanted else None,
            )
        )
    return rows


async def _round(on: Stage, line: Line) -> Round:
    before = 0.0

    def begins() -> None:
        nonlocal before
        before = on.busy_seconds(line.port)

    outcome = await line.load(begins)
    busy = on.busy_seconds(line.port) - before
    return Round(outcome.per_second, busy / outcome.requests * 1000)


async def run(on: Stage) -> list[Row]:
    first_on = fortnight()
    practices = [await a_practice(on.database, first_on) for _ in range(CONNECTIONS)]
    async with on.database.transaction() as db:
        for each in practices:
            await book(db, each, first_on, 14, BOOKINGS)
    await on.as_admin("VACUUM ANALYZE")
    bookings = Bookings(on.database, practices)
    await bookings.choose()
    async with (
        on.serving("bench.yardstick:make_app") as bare,
        on.serving("availability.app:make_app") as port,
    ):
        return await answers(on, bookings, first_on, bare, port)


async def answers(on: Stage, bookings: Bookings, first_on: date, bare: int, port: int) -> list[Row]:
    authorization = f"Bearer {on.token()}"
    practices = bookings.practices
    path = listing(practices[0], first_on, 14)
    request = get(path, authorization=authorization)
    conditional = get(path, authorization=authorization, if_none_match=await _etag(port, request))
    rows = [get(f"/providers/{each.provider_id}") for each in practices]
    alone = await compare(
        on,
        [
            Line("FastAPI and asyncpg, one row", bare, rows),
            Line("14 days, unchanged", port, [request], 0.7),
            Line("304", port, [conditional], 0.8, status=304),
        ],
    )
    lists = [get(listing(each, first_on, 14), authorization=authorization) for each in practices]
    in_bursts = await compare(
        on,
        [
            Line("one row, in bursts", bare, rows, prepare=bookings.change),
            Line("14 days, after a booking", port, lists, 0.4, prepare=bookings.change),
            Line("14 days, nothing kept", port, lists, prepare=bookings.forget),
        ],
    )
    return alone + in_bursts


def listing(practice: Practice, first_on: date, days: int) -> str:
    last_on = first_on + timedelta(days=days - 1)
    return (
        f"/v1/providers/{practice.provider_id}/availability"
        f"?serviceId={practice.service_id}&from={first_on}&to={last_on}"
    )


async def _etag(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    found = re.search(rb"etag: (\S+)", head)
    assert found, head
    return found[1].decode()
