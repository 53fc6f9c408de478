"""Whether a wanted timeslot is offered, and what is instead. Pure: the situation goes in."""

from datetime import timedelta
from typing import Any, NamedTuple

from availability.domain.explanations import Reason
from availability.domain.intervals import Interval
from availability.domain.timeslot_id import NamedTimeslot, id_suffix
from availability.domain.timeslots import Standing
from availability.finding import Found, bookable, listed
from availability.set_up import OfferedPlace
from availability.situation import Situation
from availability.timeslots_json import one

MOST_ALTERNATIVES = 5
AROUND = timedelta(hours=1)
WEEK = timedelta(days=7)
_NEAR = 60
_DAY = 24 * 60


class Verdict(NamedTuple):
    """Offered exactly when there is no reason against it; the timeslot is ready for JSON."""

    reason: Reason | None
    timeslot: dict[str, Any] | None
    alternatives: list[Found]


def check(situation: Situation, wanted: NamedTimeslot, reach: timedelta) -> Verdict:
    """The rules as they are now; what the asking user holds already is offered to them.

    The situation is right from an hour before the wanted start to ``reach`` after it.
    """
    offer = situation.set_up.offer
    at = situation.set_up.place(wanted.location_id, wanted.mode)
    around = list(listed(situation, _around(wanted.start)))
    reason, standing = _judge(situation, at, wanted.start, around)
    return Verdict(
        reason,
        one(at, wanted.start, offer, standing) if at and standing and not reason else None,
        _nearest(situation, at, wanted.start, around, reach),
    )


def _judge(
    situation: Situation, at: OfferedPlace | None, start: int, around: list[Found]
) -> tuple[Reason | None, Standing | None]:
    if at is None:
        return Reason.OUTSIDE_RULES, None
    earliest, after = situation.bookable
    if start < earliest:
        return Reason.MIN_NOTICE, None
    if start >= after:
        return Reason.MAX_FUTURE, None
    own = situation.own_holds.get(at.id_prefix + id_suffix(start))
    if own is None:
        standing = next((e.standing for e in around if e.at is at and e.start == start), None)
    else:
        runs = situation.timeslots(at, (start, start + 1), without=own.appointment_id)
        standing = runs[0][1] if runs else None
    if standing is None:
        return _why_never(situation, at, start), None
    return (None if standing.capacity_left else Reason.CLAIMED), standing


def _why_never(situation: Situation, at: OfferedPlace, start: int) -> Reason:
    """The first thing other than claims that stands in the way."""
    obstacles = situation.explain(at, start)
    return obstacles[0].reason if obstacles else Reason.NO_RESOURCE


def nearest(situation: Situation, start: int, limit: int) -> list[Found]:
    """What can be booked around a wanted start, which may itself be among it."""
    around = bookable(situation, _around(start))
    return _nearest(situation, None, start, around, WEEK, limit)


def _nearest(
    situation: Situation,
    at: OfferedPlace | None,
    start: int,
    around: list[Found],
    reach: timedelta,
    limit: int = MOST_ALTERNATIVES,
) -> list[Found]:
    """Of the hours around the wanted start those nearest to it, then the days that follow."""
    near = [
        each
        for each in around
        if each.standing.capacity_left and (each.at, each.start) != (at, start)
    ]
    near.sort(key=lambda each: (abs(each.start - start), each.start, each.at is not at))
    found = near[:limit]
    first, last = start + _NEAR + 1, start + reach // timedelta(minutes=1)
    for after in (min(start + _DAY, last), last):
        if len(found) == limit or after <= first:
            break
        later = bookable(situation, (first, after))
        later.sort(key=lambda each: (each.start, each.at is not at))
        found += later[: limit - len(found)]
        first = after
    return found


def _around(start: int) -> Interval:
    return start - _NEAR, start + _NEAR + 1
