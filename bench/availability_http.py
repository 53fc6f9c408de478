"""What availability answers in a second, measured against the bare frameworks in the same run."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

from bench.load import Outcome, get, load
from bench.practice import Practice, a_practice, book, fortnight, hold_one
from bench.stage import Stage

ROUNDS = 5
SECONDS = 0.6
BOOKINGS = 500


class Line(NamedTuple):
    """One kind of request, and the share of the yardstick's rate that it shall reach."""

    name: str
    port: int
    request: bytes | Callable[[], bytes]
    wanted: float | None = None
    status: int = 200


async def compare(lines: Sequence[Line]) -> None:
    """In turns, so that whatever else the machine does meets all of them; the first is the measure.

    Medians of the rounds, and of each round's ratio.
    """
    rounds: list[list[Outcome]] = []
    for _ in range(ROUNDS):
        rounds.append(
            [
                await load(line.port, line.request, seconds=SECONDS, status=line.status)
                for line in lines
            ]
        )
    for number, line in enumerate(lines):
        rate = median(each[number].per_second for each in rounds)
        share = median(each[number].per_second / each[0].per_second for each in rounds)
        wanted = f"   (wanted {line.wanted:.0%})" if line.wanted else ""
        print(f"{line.name:<44}{rate:>8.0f}/s{share:>8.0%}{wanted}")


async def run(on: Stage) -> None:
    first_on = fortnight()
    practice = await a_practice(on.database, first_on)
    async with on.database.transaction() as db:
        made = await book(db, practice, first_on, 14, BOOKINGS)
    print(f"\nthrough uvicorn, {made} bookings, 14 days from {first_on}")
    await on.as_admin("VACUUM ANALYZE")
    async with (
        on.serving("bench.yardstick:make_app") as bare,
        on.serving("availability.app:make_app") as port,
    ):
        await answers(on, practice, first_on, bare, port)


async def answers(on: Stage, practice: Practice, first_on: date, bare: int, port: int) -> None:
    authorization = f"Bearer {on.token()}"
    path = listing(practice, first_on, 14)
    request = get(path, authorization=authorization)
    etag = await _etag(port, request)
    conditional = get(path, authorization=authorization, if_none_match=etag)
    one_row = get(f"/providers/{practice.provider_id}")

    # Whoever holds a timeslot gets an answer of their own, and it is never kept.
    holder = await hold_one(on.database, practice, first_on)
    fresh = get(path, authorization=f"Bearer {on.token(sub=holder)}")
    await compare(
        [
            Line("FastAPI and asyncpg, one row", bare, one_row),
            Line("14 days, computed afresh", port, fresh, 0.4),
            Line("14 days, unchanged", port, request, 0.7),
            Line("304", port, conditional, 0.8, status=304),
        ]
    )


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
