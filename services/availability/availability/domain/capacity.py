"""How often a start can be booked: one sweep over the instants at which units are taken and freed.

A unit is free for a start when no claim on it overlaps what the start would claim. So claims with a
gap that is too short for the duration and the buffers are as good as one.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.resources import Need, Offer, Unit

BOOKED, RESERVED, IMPOSSIBLE = 0, -1, -2
BEGINNING, END = -(1 << 60), 1 << 60
_BOOKED, _HELD, _OUT = 0, 1, 2
_NEED_BITS = 16
_NEED_MASK = (1 << _NEED_BITS - 1) - 1

Step = tuple[int, int]


class Claims(NamedTuple):
    """When one unit is claimed, buffers included, by live holds and else; both sorted by start."""

    booked: Sequence[Interval] = ()
    held: Sequence[Interval] = ()


_NOTHING = Claims()


_Taken = tuple[list[Interval], list[Interval], list[Interval]]
"""When one unit is not to be had, by cause, in blocks."""


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
    if not all(need.units for need in needs):
        return [(BEGINNING, IMPOSSIBLE)]
    total = offer.buffer_before + offer.reach

    def taken(unit: Unit) -> _Taken:
        of_unit = claims.get(unit.id, _NOTHING)
        out = rooms_out.get(unit.room_id, ()) if unit.room_id and rooms_out else ()
        return (_blocks(of_unit.booked, total), _blocks(of_unit.held, total), _blocks(out, total))

    kinds = _kinds([[taken(unit) for unit in need.units] for need in needs])

    def left(*causes: int) -> list[Step]:
        return _least_free(
            offer,
            [
                [
                    _joined([each[cause] for each in unit for cause in causes], total)
                    for unit in units
                ]
                for units in kinds
            ],
        )

    some_held = any(each.held for each in claims.values())
    some_out = any(rooms_out.values())
    if not some_held and not some_out:
        return left(_BOOKED)
    with_all = left(_BOOKED, _HELD, _OUT)
    return _with_reasons(
        with_all,
        without_holds=left(_BOOKED, _OUT) if some_held else with_all,
        without_claims=left(_OUT) if some_out else [(BEGINNING, 1)],
    )


def _kinds(needs: list[list[_Taken]]) -> list[list[list[_Taken]]]:
    """The units of each need; needs of a single unit are one, whose one unit is all of theirs."""
    single = [units[0] for units in needs if len(units) == 1]
    several = [[[unit] for unit in units] for units in needs if len(units) > 1]
    return [[single], *several] if single else several


def _blocks(taken: Sequence[Interval], total: int) -> list[Interval]:
    """The same claims with every gap closed that is too short for one more."""
    if not taken:
        return []
    blocks: list[Interval] = []
    since = until = next_gap = BEGINNING
    for start, end in taken:
        if start >= next_gap:
            blocks.append((since, until))
            since, until, next_gap = start, end, end + total
        elif end > until:
            until, next_gap = end, end + total
    blocks.append((since, until))
    return blocks[1:]


def _joined(blocks: Iterable[list[Interval]], total: int) -> list[Interval]:
    """All these blocks as one list of blocks."""
    some = [each for each in blocks if each]
    if len(some) == 1:
        return some[0]
    return _blocks(sorted(chain.from_iterable(some)), total)


def _least_free(offer: Offer, needs: list[list[list[Interval]]]) -> list[Step]:
    """The smallest number of free units of any need, by start."""
    before, reach = offer.buffer_before, offer.reach
    if len(needs) == len(needs[0]) == 1:
        changes = [((start - reach + 1, 0), (end + before, 1)) for start, end in needs[0][0]]
        return [(BEGINNING, 1), *chain.from_iterable(changes)]
    edges: list[int] = []
    for need, units in enumerate(needs):
        is_taken, is_free = need << 1, need << 1 | 1
        for blocks in units:
            edges += [start - reach + 1 << _NEED_BITS | is_taken for start, _ in blocks]
            edges += [end + before << _NEED_BITS | is_free for _, end in blocks]
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
