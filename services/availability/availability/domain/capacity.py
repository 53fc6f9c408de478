"""How often a start can be booked: one sweep over the instants at which units are taken and freed.

A unit is free for a start when no claim on it overlaps what the start would claim. So between two
of its claims there are starts for it only if the gap holds the duration and the buffers.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.resources import Need, Offer, Unit

BOOKED, RESERVED, IMPOSSIBLE = 0, -1, -2
BEGINNING, END = -(1 << 60), 1 << 60
_NEED_BITS = 16
_NEED_MASK = (1 << _NEED_BITS - 1) - 1

Step = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Claims:
    """When one unit is claimed, buffers included, by live holds and else; both sorted by start."""

    booked: Sequence[Interval] = ()
    held: Sequence[Interval] = ()


_NOTHING = Claims()


def capacity_steps(
    offer: Offer,
    needs: Sequence[Need],
    claims: Mapping[UUID, Claims],
    rooms_out: Mapping[UUID, Sequence[Interval]],
) -> list[Step]:
    """From which start on how many more appointments find a free unit of every need.

    The first step is from BEGINNING. Where no appointment finds one, the number says why: BOOKED,
    or RESERVED if one would without the holds, or IMPOSSIBLE if none would without any claim.
    """

    def booked(unit: Unit) -> Sequence[Interval]:
        return claims.get(unit.id, _NOTHING).booked

    def held(unit: Unit) -> Sequence[Interval]:
        return claims.get(unit.id, _NOTHING).held

    def out(unit: Unit) -> Sequence[Interval]:
        return () if unit.room_id is None else rooms_out.get(unit.room_id, ())

    def left(*taken: Callable[[Unit], Sequence[Interval]]) -> list[Step]:
        return _least_free(
            offer,
            [[_together([of(unit) for of in taken]) for unit in need.units] for need in needs],
        )

    if not all(need.units for need in needs):
        return [(BEGINNING, IMPOSSIBLE)]
    units = [unit for need in needs for unit in need.units]
    some_held, some_out = any(map(held, units)), any(map(out, units))
    with_all = left(booked, held, out)
    if not some_held and not some_out:
        return with_all
    return _with_reasons(
        with_all,
        without_holds=left(booked, out) if some_held else with_all,
        without_claims=left(out) if some_out else [(BEGINNING, 1)],
    )


def _together(intervals: list[Sequence[Interval]]) -> Sequence[Interval]:
    largest, *others = sorted(intervals, key=len, reverse=True)
    if not any(others):
        return largest
    together = list(largest)
    for interval in chain.from_iterable(others):
        insort(together, interval)
    return together


def _least_free(offer: Offer, needs: list[list[Sequence[Interval]]]) -> list[Step]:
    """The smallest number of free units of any need, by start."""
    edges: list[int] = []
    for need, units in enumerate(needs):
        for taken in units:
            edges += _edges(need, taken, offer)
    edges.sort()
    free = [len(units) for units in needs]
    least = min(free)
    steps = [(BEGINNING, least)]
    for edge in edges:
        need = edge >> 1 & _NEED_MASK
        if edge & 1:
            free[need] += 1
            level = min(free)
        else:
            free[need] -= 1
            level = min(least, free[need])
        if level != least:
            least = level
            at = edge >> _NEED_BITS
            if steps[-1][0] == at:
                steps.pop()
            if steps[-1][1] != level:
                steps.append((at, level))
    return steps


def _edges(need: int, taken: Iterable[Interval], offer: Offer) -> list[int]:
    """From which starts on a unit of the need is taken and free again: one sortable number each."""
    before, reach = offer.buffer_before, offer.reach
    total = before + reach
    is_taken, is_free = need << 1, need << 1 | 1
    edges: list[int] = []
    until, next_gap = BEGINNING, BEGINNING
    for start, end in taken:
        if start >= next_gap:
            edges.append(until + before << _NEED_BITS | is_free)
            edges.append(start - reach + 1 << _NEED_BITS | is_taken)
            until, next_gap = end, end + total
        elif end > until:
            until, next_gap = end, end + total
    edges.append(until + before << _NEED_BITS | is_free)
    return edges[1:]


def _with_reasons(
    steps: list[Step], *, without_holds: list[Step], without_claims: list[Step]
) -> list[Step]:
    reasons: list[Step] = []
    unheld, unclaimed = [*without_holds, (END, 0)], [*without_claims, (END, 0)]
    u = c = 0
    for (at, left), (until, _) in pairwise([*steps, (END, 0)]):
        if left:
            reasons.append((at, left))
            continue
        while at < until:
            while unheld[u + 1][0] <= at:
                u += 1
            while unclaimed[c + 1][0] <= at:
                c += 1
            reason = IMPOSSIBLE if not unclaimed[c][1] else RESERVED if unheld[u][1] else BOOKED
            if not reasons or reasons[-1][1] != reason:
                reasons.append((at, reason))
            at = min(until, unheld[u + 1][0], unclaimed[c + 1][0])
    return reasons
