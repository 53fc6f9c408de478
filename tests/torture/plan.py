"""Which fault comes when: the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.torture.stand import OTHERS, PROCESSES, SERVERS, SERVICES

Kind = Literal["kill", "restart", "pause", "hang", "refuse", "reset", "sever"]
CUTS: tuple[Kind, ...] = ("hang", "refuse", "reset")
PERIOD = 7.0
"""Seconds from one fault to the next, in the mean."""


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
    seed: int, seconds: float, *, period: float = PERIOD, only: str = "", links: bool = True
) -> list[Fault]:
    """Every kind on everything in turn, in an order that the seed decides.

    ``only`` keeps the faults whose name contains one of its words, for a suspicion.
    """
    chance = random.Random(f"plan {seed}")
    faults: list[Fault] = []
    at = period / 2
    turns = _turns(chance, links)
    words = only.split(",")
    while at < seconds:
        kind, target = next(turns)
        if any(word in f"{kind} {target}" for word in words):
            longest = 3.0 if kind == "pause" and target in (*SERVERS, "gateway") else 6.0
            faults.append(Fault(at, kind, target, round(chance.uniform(0.5, longest), 2)))
            at += period * chance.uniform(0.7, 1.25)
    return faults


def _turns(chance: random.Random, links: bool) -> Iterator[tuple[Kind, str]]:
    programs = (*PROCESSES, "gateway", *SERVERS, *OTHERS)
    while True:
        turn: list[tuple[Kind, str]] = []
        turn += [("kill", name) for name in programs]
        turn += [("pause", name) for name in programs]
        turn += [("restart", name) for name in (*PROCESSES, "gateway")]
        turn += [("sever", service) for service in SERVICES]
        if links:
            turn += [(chance.choice(CUTS), f"{p} {s}") for p in PROCESSES for s in SERVERS]
        chance.shuffle(turn)
        yield from turn
