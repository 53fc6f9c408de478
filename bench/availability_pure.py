"""The arithmetic alone: minutes and sweeps against aware datetimes and loops, on the same data."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from availability.domain.intervals import Interval
from availability.domain.local_time import instant, minutes_down, moment
from availability.queries import look
from availability.set_up import SetUps
from availability.situation import Situation
from bench import reference
from bench.figures import Row, at_least
from bench.practice import ZONE, a_practice, book, fortnight
from bench.stage import Stage

BOOKINGS = 500
ROUNDS = 7
DAYS = 14
WANTED = 40


async def run(on: Stage) -> list[Row]:
    """Both times, and how many times faster the domain is."""
    first_on = fortnight()
    practice = await a_practice(on.database, first_on)
    async with on.database.transaction() as db:
        made = await book(db, practice, first_on, DAYS, BOOKINGS)
        begin = datetime(first_on.year, first_on.month, first_on.day, tzinfo=UTC)
        situation = await look(
            db,
            SetUps(),
            provider_id=practice.provider_id,
            service_id=practice.service_id,
            user_id=None,
            since=begin,
            until=begin + timedelta(days=DAYS + 1),
        )
    last_on = first_on + timedelta(days=DAYS - 1)
    starts = (
        instant(ZONE, first_on.toordinal(), 0),
        instant(ZONE, first_on.toordinal() + DAYS, 0),
    )
    (at,) = situation.set_up.places
    work = _work(situation, starts)

    def ours() -> list[tuple[int, str, int]]:
        return [
            (start, standing.status.value, standing.capacity_left)
            for run, standing in situation.timeslots(at, starts)
            for start in run
        ]

    def theirs() -> list[tuple[int, str, int]]:
        return [
            (minutes_down(each.start), each.status, each.capacity_left)
            for each in reference.timeslots(work, first_on, last_on)
        ]

    assert ours() == theirs()
    fast = _time(lambda: situation.timeslots(at, starts), 50)
    slow = _time(theirs, 1)
    reference_name = f"aware datetimes and loops, {made} bookings, {DAYS} days"
    return [
        Row(name=reference_name, figure=slow * 1000, unit="ms"),
        Row(
            name="the domain's arithmetic",
            figure=fast * 1000,
            unit="ms",
            ratio=slow / fast,
            yardstick="as fast as datetimes and loops",
            wanted=at_least(WANTED),
        ),
    ]


def _work(situation: Situation, starts: Interval) -> reference.Work:
    """The same for the reference, in its own shapes."""
    (at,) = situation.set_up.places
    return reference.Work(
        timezone=ZONE,
        offer=situation.set_up.offer,
        place=at.place,
        units=situation.set_up.units,
        rules=list({window.rule.id: window.rule for window in at.weekly.windows(*starts)}.values()),
        exceptions=situation.exceptions,
        claims=[
            reference.Taken(each.unit_id, moment(start), moment(end), each.hold is not None)
            for each in situation.claimed
            for start, end in each.intervals
        ],
        busy=[(moment(each.start), moment(each.end)) for each in situation.busy],
        now=situation.now,
    )


def _time(work: Callable[[], Any], times: int) -> float:
    """Seconds of processor time: the median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds.append((time.process_time() - began) / times)
    return median(rounds)
