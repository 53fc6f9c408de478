"""Half-open intervals of whole minutes: `start <= minute < end`.

A list of intervals is *disjoint* when it is sorted, none is empty and none overlap; it is *merged*
when, besides, none touch.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

Interval = tuple[int, int]


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The minutes of any intervals, in any order, as a merged list."""
    merged: list[Interval] = []
    last_end = None
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if last_end is None or start > last_end:
            merged.append((start, end))
            last_end = end
        elif end > last_end:
            merged[-1] = (merged[-1][0], end)
            last_end = end
    return merged


def overlapping(intervals: Sequence[Interval], start: int, end: int) -> Sequence[Interval]:
    """Those of a disjoint list that share a minute with one interval."""
    first = bisect_left(intervals, (start,))
    if first and intervals[first - 1][1] > start:
        first -= 1
    return intervals[first : bisect_left(intervals, (end,), first)]


def within(intervals: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """The minutes of a disjoint list that lie in one interval."""
    inside = list(overlapping(intervals, start, end))
    if inside:
        inside[0] = (max(start, inside[0][0]), inside[0][1])
        inside[-1] = (inside[-1][0], min(end, inside[-1][1]))
    return inside


def remainders(
    intervals: Iterable[Interval], removed: Sequence[Interval]
) -> Iterator[list[Interval]]:
    """For each of a disjoint list in turn, the pieces that another disjoint list leaves of it."""
    position, count = 0, len(removed)
    for interval in intervals:
        start, end = interval
        while position < count and removed[position][1] <= start:
            position += 1
        if position == count or removed[position][0] >= end:
            yield [interval]
        else:
            yield _pieces(start, end, removed, position)


def _pieces(start: int, end: int, removed: Sequence[Interval], position: int) -> list[Interval]:
    pieces: list[Interval] = []
    while start < end and position < len(removed) and removed[position][0] < end:
        hole_start, hole_end = removed[position]
        if start < hole_start:
            pieces.append((start, hole_start))
        start = hole_end
        position += 1
    if start < end:
        pieces.append((start, end))
    return pieces


def shares(intervals: Iterable[Interval], others: Sequence[Interval]) -> Iterator[list[Interval]]:
    """For each of a disjoint list in turn, the pieces that are in another disjoint list too."""
    position, count = 0, len(others)
    for start, end in intervals:
        while position < count and others[position][1] <= start:
            position += 1
        pieces: list[Interval] = []
        ahead = position
        while ahead < count and others[ahead][0] < end:
            first, after = others[ahead]
            if first < start:
                first = start
            if after > end:
                after = end
            pieces.append((first, after))
            ahead += 1
        yield pieces


def subtract(intervals: Iterable[Interval], removed: Sequence[Interval]) -> list[Interval]:
    """The minutes of one disjoint list that are not in another; what touched stays apart."""
    return [piece for pieces in remainders(intervals, removed) for piece in pieces]


def intersect(intervals: Iterable[Interval], others: Sequence[Interval]) -> list[Interval]:
    """The minutes of one disjoint list that are in another too; what touched stays apart."""
    return [piece for pieces in shares(intervals, others) for piece in pieces]


def take(taken: list[Interval], start: int, end: int) -> list[Interval]:
    """The minutes of an interval that a merged list does not have; afterwards it has them."""
    if start >= end:
        return []
    first = bisect_left(taken, (start,))
    if first and taken[first - 1][1] >= start:
        first -= 1
    after = bisect_left(taken, (end + 1,), first)
    near = taken[first:after]
    won = subtract([(start, end)], near)
    if near:
        start, end = min(start, near[0][0]), max(end, near[-1][1])
    taken[first:after] = [(start, end)]
    return won
