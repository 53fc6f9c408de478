"""Which fault comes when: the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.torture.stand import OTHERS, PROCESSES, SERVERS, SERVICES

Kind = Literal["kill", "restart", "pause", "hang", "refuse", "reset", "sever", "outage", "clock"]
CUTS: tuple[Kind, ...] = ("hang", "refuse", "reset")
PERIOD = 7.0
"""Seconds from one fault to the next, in the mean."""
_OUTAGE = (15.0, 25.0)
_LONG_RUN = 300.0
"""Seconds; shorter ones leave out what lasts long."""


@dataclass(frozen=True)
class Fault:
    """``seconds`` is how long it lasts where that is ours to say; what was killed comes back."""

    at: float
    kind: Kind
    target: str
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.target}"


def planned(
    seed: int,
    seconds: float,
    *,
    period: float = PERIOD,
    only: str = "",
    links: bool = True,
    clocks: bool = True,
) -> list[Fault]:
    """Every kind on everything in turn, in an order that the seed decides.

    ``only`` keeps the faults whose name contains one of its words, for a suspicion.
    """
    chance = random.Random(f"plan {seed}")
    faults: list[Fault] = []
    at = period / 2
    turns = _turns(chance, links, clocks, outages=seconds >= _LONG_RUN)
    words = only.split(",")
    while at < seconds:
        kind, target = next(turns)
        if any(word in f"{kind} {target}" for word in words):
            longest = 3.0 if kind == "pause" and target in (*SERVERS, "gateway") else 6.0
            lasts = _OUTAGE if kind == "outage" else (0.5, longest)
            faults.append(Fault(at, kind, target, round(chance.uniform(*lasts), 2)))
            at += period * chance.uniform(0.7, 1.25)
    return faults


def _turns(
    chance: random.Random, links: bool, clocks: bool, *, outages: bool
) -> Iterator[tuple[Kind, str]]:
    programs = (*PROCESSES, "gateway", *SERVERS, *OTHERS)
    while True:
        turn: list[tuple[Kind, str]] = []
        turn += [("kill", name) for name in programs]
        turn += [("pause", name) for name in programs]
        turn += [("restart", name) for name in (*PROCESSES, "gateway")]
        turn += [("sever", service) for service in SERVICES]
        if links:
            turn += [(chance.choice(CUTS), f"{p} {s}") for p in PROCESSES for s in SERVERS]
        if links and outages:
            turn += [("outage", "rabbitmq")] * 2
        if clocks:
            turn += [("clock", name) for name in PROCESSES]
        chance.shuffle(turn)
        yield from turn
