"""What an answer costs when there is more of something: days, a full year, providers.

Where it says after a booking, one was made or cancelled since the answer before; where nothing is
kept, something has changed of which nobody has said what.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import NamedTuple

import orjson

from bench.availability_http import Prepare, listing
from bench.figures import Row, at_most
from bench.load import get, load_after, post
from bench.practice import Bookings, Practice, a_practice, book, fortnight
from bench.stage import Stage

PROVIDERS = 200
CHANGED = 20
ROUNDS = 7
SECONDS = 0.5


class Case(NamedTuple):
    """One kind of request, and what is done before each; it may cost so many times the first."""

    name: str
    request: bytes
    prepare: Prepare
    most: float | None = None


async def run(on: Stage) -> list[Row]:
    first_on = fortnight()
    practice = await a_practice(on.database, first_on)
    full = await a_practice(on.database, first_on)
    crowd = [await a_practice(on.database, first_on, simple=True) for _ in range(PROVIDERS)]
    today = datetime.now(UTC).date()
    async with on.database.transaction() as db:
        await book(db, practice, first_on, 14, 500)
        await book(db, practice, first_on + timedelta(days=14), 46, 1500)
        await book(db, full, today, 362, 1_000_000)
        for each in crowd:
            await book(db, each, today, 14, 100)
    await on.as_admin("VACUUM ANALYZE")

    authorization = f"Bearer {on.token()}"

    async def bookings_with(*practices: Practice) -> Bookings:
        bookings = Bookings(on.database, practices)
        await bookings.choose()
        return bookings

    def days_of(practice: Practice, days: int) -> bytes:
        return get(listing(practice, first_on, days), authorization=authorization)

    one, all_year, some = (
        await bookings_with(practice),
        await bookings_with(full),
        await bookings_with(*crowd[:: PROVIDERS // CHANGED]),
    )
    everybody = Bookings(on.database, crowd)
    year_long = _next(full, authorization=authorization)
    search = _search(crowd, authorization=authorization)
    async with on.serving("availability.app:make_app") as port:
        after_a_booking = await compare(
            port,
            [
                Case("one at a time, after a booking: 14 days", days_of(practice, 14), one.change),
                Case("60 days", days_of(practice, 60), one.change, 5),
                Case("next, the year almost full", year_long, all_year.change, 10),
                Case(f"search, {PROVIDERS} providers, {CHANGED} changed", search, some.change, 10),
            ],
        )
        # How far `next` has to go must not hang on how many changes there was time for.
        await all_year.restore()
        nothing_kept = await compare(
            port,
            [
                Case("one at a time, nothing kept: 14 days", days_of(practice, 14), one.forget),
                Case("60 days", days_of(practice, 60), one.forget, 5),
                Case("next, the year almost full", year_long, all_year.forget),
                Case(f"search, {PROVIDERS} providers", search, everybody.forget),
            ],
        )
        return after_a_booking + nothing_kept


async def compare(port: int, cases: Sequence[Case]) -> list[Row]:
    """Medians of rounds in turns, and of the ratios to the first."""
    rounds = [[await quartile_ms(port, case) for case in cases] for _ in range(ROUNDS)]
    return [
        Row(
            name=case.name,
            figure=median(each[number] for each in rounds),
            unit="ms",
            ratio=median(each[number] / each[0] for each in rounds) if number else None,
            yardstick="the cost of 14 days" if number else "",
            wanted=at_most(case.most) if case.most else None,
        )
        for number, case in enumerate(cases)
    ]


async def quartile_ms(port: int, case: Case) -> float:
    return (await load_after(port, [case.request], case.prepare, seconds=SECONDS)).quartile_ms


def _next(practice: Practice, **headers: str) -> bytes:
    path = f"/v1/providers/{practice.provider_id}/availability/next"
    return get(f"{path}?serviceId={practice.service_id}&limit=10", **headers)


def _search(crowd: Sequence[Practice], **headers: str) -> bytes:
    ids = [str(practice.provider_id) for practice in crowd]
    return post("/v1/availability/search", orjson.dumps({"providerIds": ids}), **headers)
