"""What is changed between the look for news and the look at what is new is noticed."""

from collections.abc import Awaitable, Callable

import pytest

from availability.domain.local_time import minutes_down
from availability.domain.schedule import ExceptionKind
from availability.domain.timeslots import Standing
from availability.known import Known
from availability.learning import Memory, learn, whatever_zone
from availability.queries import news_of
from availability.set_up import Asked
from availability.use_cases.exceptions import NewException, add_exception
from shared.db import Database

from .builders import MINUTE, Practice, a_booking, a_practice, in_days, receive

SPAN = (minutes_down(in_days(1, 0)), minutes_down(in_days(12, 0)))

Change = Callable[[Database, Practice, int], Awaitable[None]]


async def book(database: Database, practice: Practice, days: int) -> None:
    await receive(database, a_booking(practice, in_days(days, 10)))


async def block(database: Database, practice: Practice, days: int) -> None:
    start = in_days(days, 10)
    async with database.orm_transaction() as db:
        kind = ExceptionKind.BLOCKED
        new = NewException(kind=kind, starts_at=start, ends_at=start + 60 * MINUTE)
        await add_exception(db, practice.provider_id, new)


def starts_of(known: Known) -> list[tuple[int, Standing]]:
    return [
        (start, standing)
        for day, _ in known.days_with(SPAN)
        for runs in day.runs
        for run, standing in runs
        for start in run
    ]


@pytest.mark.parametrize("days", [3, 5, 7])
@pytest.mark.parametrize("change", [book, block])
async def test_what_changes_between_the_two_looks(
    change: Change, days: int, database: Database
) -> None:
    practice = await a_practice(database)
    asked = Asked(practice.provider_id, practice.service_id)
    memory = Memory()
    async with database.reading() as db:
        await learn(db, memory, asked, user_id=None, starts=whatever_zone(SPAN))
    await book(database, practice, 5)
    async with database.reading() as db:
        news = (await news_of(db, [asked.provider_id]))[asked.provider_id]

    await change(database, practice, days)
    async with database.reading() as db:
        known = await learn(db, memory, asked, user_id=None, starts=whatever_zone(SPAN), news=news)

        fresh = await learn(db, Memory(), asked, user_id=None, starts=whatever_zone(SPAN))
        assert known.facts.version == fresh.facts.version == news.version + 1
        assert starts_of(known) == starts_of(fresh)
