"""Interval arithmetic against the same arithmetic on plain sets of minutes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from availability.domain.intervals import (
    Interval,
    intersect,
    merge,
    overlapping,
    remainders,
    shares,
    subtract,
    take,
    within,
)

from .oracle import cases

ANY = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)
MERGED = ANY.map(merge)
SORTED_CUTS = st.lists(st.integers(0, 40), unique=True, max_size=12).map(sorted)
DISJOINT = SORTED_CUTS.map(
    lambda cuts: [each for n, each in enumerate(pairwise(cuts)) if n % 5 in (0, 1, 3)]
)


def minutes(intervals: list[Interval]) -> set[int]:
    return {minute for start, end in intervals for minute in range(start, end)}


def is_disjoint(intervals: list[Interval]) -> bool:
    cuts = [cut for interval in intervals for cut in interval]
    return cuts == sorted(cuts) and all(start < end for start, end in intervals)


@cases(60)
@given(ANY)
def test_merging_keeps_every_minute_and_leaves_nothing_that_touches(drawn: list[Interval]) -> None:
    merged = merge(drawn)

    assert minutes(merged) == minutes(drawn)
    assert is_disjoint(merged)
    assert all(end < start for (_, end), (start, _) in pairwise(merged))


@cases(60)
@given(DISJOINT, DISJOINT)
def test_subtracting_and_intersecting_divide_the_minutes(
    left: list[Interval], right: list[Interval]
) -> None:
    outside, inside = subtract(left, right), intersect(left, right)

    assert minutes(outside) == minutes(left) - minutes(right)
    assert minutes(inside) == minutes(left) & minutes(right)
    assert is_disjoint(outside)
    assert is_disjoint(inside)


@cases(60)
@given(DISJOINT, DISJOINT)
def test_each_interval_gets_its_own_pieces(left: list[Interval], right: list[Interval]) -> None:
    for interval, outside, inside in zip(
        left, remainders(left, right), shares(left, right), strict=True
    ):
        assert outside == subtract([interval], right)
        assert inside == intersect([interval], right)


@cases(60)
@given(DISJOINT, st.integers(0, 40), st.integers(1, 40))
def test_overlapping_intervals_are_those_that_share_a_minute(
    intervals: list[Interval], start: int, length: int
) -> None:
    asked = minutes([(start, start + length)])

    found = overlapping(intervals, start, start + length)
    inside = within(intervals, start, start + length)

    assert found == [each for each in intervals if minutes([each]) & asked]
    assert minutes(inside) == minutes(intervals) & asked
    assert is_disjoint(inside)


@cases(60)
@given(MERGED, st.integers(0, 40), st.integers(0, 40))
def test_minutes_can_be_taken_once(taken: list[Interval], start: int, end: int) -> None:
    before = minutes(taken)

    won = take(taken, start, end)

    assert minutes(won) == minutes([(start, end)]) - before
    assert minutes(taken) == before | minutes(won)
    assert taken == merge(taken)
    assert take(taken, start, end) == []


def test_pieces_that_touch_stay_apart() -> None:
    assert subtract([(0, 10), (10, 20)], [(5, 6)]) == [(0, 5), (6, 10), (10, 20)]
