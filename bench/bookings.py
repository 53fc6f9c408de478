"""Hold and confirm through the API, beside PostgreSQL alone and beside the same with an ORM."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

from bench import pgbench
from bench.clinic import Clinic, a_clinic
from bench.figures import Row, at_least
from bench.load import CONNECTIONS, load_sequences
from bench.stage import Stage, stage

ROUNDS = 3
SECONDS = 2
MADE, TAKEN = 201, 409


class Line(NamedTuple):
    """One kind of work and its rate, and how many times the rate of other lines it shall reach."""

    name: str
    measure: Callable[[], Awaitable[float]]
    wanted: Mapping[int, float] = MappingProxyType({})


async def run(on: Stage) -> list[Row]:
    clinic = await a_clinic(on)
    async with (
        stage("bookings") as apart,
        on.serving("bookings.app:make_app") as port,
        on.serving("bench.bookings_with_orm:make_app") as with_orm,
    ):
        for each in (port, with_orm):
            await pairs_per_second(each, clinic, 1)
        await pgbench.pairs_per_second(apart, 1)
        # Plans of empty tables are not those of a system that has been running for a minute.
        for each_stage in (on, apart):
            await each_stage.as_admin("VACUUM ANALYZE")
        return await compare(
            [
                Line("pgbench, pairs", partial(pgbench.pairs_per_second, apart, SECONDS)),
                Line("with an ORM, pairs", partial(pairs_per_second, with_orm, clinic)),
                Line("bookings, pairs", partial(pairs_per_second, port, clinic), {0: 0.25, 1: 3}),
                Line("holds of free times", partial(_free_holds, port, clinic)),
                Line("holds, all of one time", partial(_hot_holds, port, clinic), {3: 0.5}),
            ]
        )


async def compare(lines: Sequence[Line]) -> list[Row]:
    """In turns; medians of the rounds, and of each round's ratio."""
    rounds = [[await line.measure() for line in lines] for _ in range(ROUNDS)]
    rows = []
    for number, line in enumerate(lines):
        rate = median(each[number] for each in rounds)
        if not line.wanted:
            rows.append(Row(name=line.name, figure=rate, unit="/s"))
        for other, least in line.wanted.items():
            share = median(each[number] / each[other] for each in rounds)
            rows.append(
                Row(
                    name=line.name,
                    figure=rate,
                    unit="/s",
                    ratio=share,
                    yardstick=lines[other].name,
                    wanted=at_least(least),
                )
            )
    return rows


async def pairs_per_second(port: int, clinic: Clinic, seconds: float = SECONDS) -> float:
    return await _rate(port, [clinic.pairs(seconds) for _ in range(CONNECTIONS)], MADE) / 2


async def _free_holds(port: int, clinic: Clinic) -> float:
    return await _rate(port, [clinic.holds(SECONDS) for _ in range(CONNECTIONS)], MADE)


async def _hot_holds(port: int, clinic: Clinic) -> float:
    return await _rate(port, clinic.hot_holds(SECONDS, CONNECTIONS), MADE, TAKEN)


async def _rate(port: int, sequences: Sequence[Iterator[bytes]], *statuses: int) -> float:
    return (await load_sequences(port, sequences, statuses=statuses)).per_second
