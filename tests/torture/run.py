"""One torture: people act, faults happen, quiet comes, and everything is written down."""

import asyncio
import json
import os
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from local.folder import RunFolder
from local.radicale import Radicale
from tests.torture.carrier import Carrier
from tests.torture.check.checker import HISTORY, STATE
from tests.torture.faults import carry_out
from tests.torture.history import History, now
from tests.torture.patients import Crowd, Forgetful, Patient, introduced
from tests.torture.people import Door
from tests.torture.plan import PERIOD, planned
from tests.torture.poison import Poisoner
from tests.torture.quiet import settle
from tests.torture.staff import Approver, Changer, Desk, Operator
from tests.torture.stand import Stand
from tests.torture.state import taken
from tests.torture.texting import TextingDesk
from tests.torture.torn import Torn
from tests.torture.watchers import CalendarUser, Integrator, Stream
from tests.torture.world import Practice, built, calendar_practice

SETTLE_LIMIT = 150.0
_PAUSE_OF_REPUBLISH, _PAUSE_OF_POISON = 150.0, 20.0
_RELIABLE_AT_THE_END = 30.0
_BEAT, _LATE = 0.1, 0.15
"""Seconds."""
_MOST_RUNNABLE = 3
"""For each processor."""
_KERNEL = Path("/proc/stat")


@dataclass(frozen=True)
class Wanted:
    """How long and how hard."""

    seconds: float
    seed: int
    patients: int = 8
    crowd: int = 12
    period: float = PERIOD
    only: str = ""
    """Only faults whose name contains one of these words, separated by commas."""
    rebuild: bool = True
    settle: float = SETTLE_LIMIT


async def torture(stand: Stand, wanted: Wanted, folder: Path) -> None:
    """Leaves the history and the final state in ``folder``."""
    connector = aiohttp.TCPConnector(limit=0)
    with History.written_to(folder / HISTORY) as history:
        reliable_from = now() + wanted.seconds - _RELIABLE_AT_THE_END
        carrier = Carrier(history, random.Random(wanted.seed), reliable_from)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            carrier.serving(stand.carrier),
        ):
            door = Door(
                stand.system.base_url, session, history, stand.key, random.Random(wanted.seed)
            )
            history.add("run", start=now(), **vars(wanted))
            radicale = Radicale.of(RunFolder(stand.folder), port=stand.ports["radicale"])
            practices = [*await built(door), calendar_practice(door, stand.system.demo)]
            for practice in practices:
                history.add("practice", **practice.facts())
            streams = [Stream(door, p) for p in practices if p.name in ("solo", "group")]
            watchers = [asyncio.create_task(_hear(door, practices))]
            watchers += [asyncio.create_task(_watch(stream)) for stream in streams]
            watchers += [asyncio.create_task(_feel_the_pulse(history))]
            try:
                await _act(stand, door, practices, radicale, wanted)
                left = await settle(stand, radicale, streams, limit=wanted.settle)
                history.add("settled", start=now(), left=left)
                final = await taken(stand, door, radicale, rebuild=wanted.rebuild)
                final["waiting"] |= left
            finally:
                for watcher in watchers:
                    watcher.cancel()
    (folder / STATE).write_text(json.dumps(final, default=str))


async def _hear(door: Door, practices: list[Practice]) -> None:
    heard = [practice for practice in practices if practice.name in ("group", "buffers")]
    ready = asyncio.Event()
    for practice in heard:
        door.history.add("webhooks from", start=now(), provider=practice.person.id)
    await Integrator(door).live(heard, ready)


async def _act(
    stand: Stand, door: Door, practices: list[Practice], radicale: Radicale, wanted: Wanted
) -> None:
    chance = door.chance
    by_name = {practice.name: practice for practice in practices}
    plan = planned(
        wanted.seed,
        wanted.seconds,
        period=wanted.period,
        only=wanted.only,
        clocks=bool(stand.clocks),
    )
    patients = await asyncio.gather(*(introduced(door) for _ in range(wanted.patients)))
    torn = await introduced(door)
    until = now() + wanted.seconds

    def dice() -> random.Random:
        return random.Random(chance.getrandbits(64))

    rush = max(5.0, min(30.0, wanted.seconds / 5))
    again = min(_PAUSE_OF_REPUBLISH, max(4.0, wanted.seconds / 6))
    poison = max(5.0, min(_PAUSE_OF_POISON, wanted.seconds / 10))
    actors: list[Coroutine[Any, Any, None]] = [
        *(Patient(person, practices, dice()).live(until) for person in patients),
        Torn(door, torn, (by_name["rooms"], by_name["buffers"]), dice()).live(until),
        Crowd(door, [by_name["solo"], by_name["group"]], dice(), wanted.crowd).live(
            until, pause=rush
        ),
        *(Forgetful(door, by_name[name], dice()).live(until) for name in ("solo", "buffers")),
        Approver(by_name["approval"], dice()).live(until),
        Changer(by_name["changing"], dice()).live(until),
        *(Desk(door, by_name[name], dice()).live(until) for name in ("solo", "calendar")),
        TextingDesk(door, by_name["texts"], dice()).live(until),
        Operator(stand, door.person("admin"), dice()).live(until, pause=lambda: again),
        Poisoner(stand.system.demo["amqpUrl"], door.history, dice()).live(until, pause=poison),
        CalendarUser(door, by_name["calendar"], radicale, dice()).live(until),
    ]
    async with asyncio.TaskGroup() as group:
        for actor in actors:
            group.create_task(actor)
        group.create_task(carry_out(plan, stand, door.session, door.history, until=until))


async def _feel_the_pulse(history: History) -> None:
    """Note when the machine has more to do than it can: speed is not judged then.

    Whoever sleeps a lot is served first, so this being late is a rare sign; that many others wait
    is a better one.
    """
    while True:
        start = now()
        await asyncio.sleep(_BEAT)
        if now() - start - _BEAT > _LATE or _runnable() > _MOST_RUNNABLE * (os.cpu_count() or 1):
            history.add("starved", start=start, end=now())


def _runnable() -> int:
    """How many tasks of the whole machine run or wait for a processor; 0 where nobody tells."""
    try:
        text = _KERNEL.read_text()
    except OSError:
        return 0
    return int(text.partition("procs_running ")[2].split()[0])


async def _watch(stream: Stream) -> None:
    stream.door.history.add("streams from", start=now(), provider=stream.practice.person.id)
    await stream.live()
