"""The bookable timeslots of situations, and which of several providers' make a page. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.timeslots import Standing
from availability.set_up import OfferedPlace
from availability.situation import Situation


class Found(NamedTuple):
    """A timeslot that can be booked."""

    start: int
    at: OfferedPlace
    standing: Standing
    situation: Situation


def bookable(
    situation: Situation, starts: Interval, places: Iterable[OfferedPlace] | None = None
) -> list[Found]:
    """Those of the service with these starts, in order; at all its places, or at some."""
    found = [
        Found(start, at, standing, situation)
        for at, run, standing in _runs(situation, starts, places)
        if standing.capacity_left
        for start in run
    ]
    found.sort(key=attrgetter("start"))
    return found


def listed(situation: Situation, starts: Interval) -> Iterator[Found]:
    """The same with those that are held or booked, place by place."""
    for at, run, standing in _runs(situation, starts, None):
        for start in run:
            yield Found(start, at, standing, situation)


def _runs(
    situation: Situation, starts: Interval, places: Iterable[OfferedPlace] | None
) -> Iterator[tuple[OfferedPlace, range, Standing]]:
    earliest, after = situation.bookable
    starts = (max(starts[0], earliest), min(starts[1], after))
    for at in situation.set_up.places if places is None else places:
        for run, standing in situation.timeslots(at, starts):
            yield at, run, standing


def fair_page(found: Mapping[UUID, Sequence[Found]], limit: int) -> list[Found]:
    """A page of the earliest timeslots of several providers, as many providers as it has room for.

    Nobody gets a second one before everybody who has any has their first, nobody a third before all
    second ones, and so on; within a round the earlier start comes first. The page itself is in the
    order of starts. Who has had less of it comes first among equal ones, and among equals in that
    they take turns: another one is first at another start.
    """
    rounds = range(_rounds(found, limit))
    ranked = sorted(
        (round_, each.start, turn(provider_id, each.start), each)
        for provider_id, of_provider in found.items()
        for round_, each in zip(rounds, of_provider, strict=False)
    )
    page = sorted((start, round_, at_turn, each) for round_, start, at_turn, each in ranked[:limit])
    return [each for *_, each in page]


def _rounds(found: Mapping[UUID, Sequence[Found]], limit: int) -> int:
    """How many rounds it takes to fill a page."""
    missing = limit
    for round_ in range(limit):
        missing -= sum(len(of_provider) > round_ for of_provider in found.values())
        if missing <= 0:
            return round_ + 1
    return limit


class Candidate(NamedTuple):
    """A service of a provider, and the places where it is wanted."""

    provider_id: UUID
    situation: Situation
    places: Sequence[OfferedPlace]


def earliest_of(
    candidates: Iterable[Candidate], starts: Interval, limit: int
) -> dict[UUID, list[Found]]:
    """The timeslots with these starts of each provider, in order; only of some if they fill a page.

    Those are looked at first who could have time first, and nobody any more once the first
    timeslots of as many others as have room come before all that is left.
    """
    found: dict[UUID, list[Found]] = {}
    firsts: dict[UUID, tuple[int, bytes]] = {}
    for at_best, candidate in _by_promise(candidates, starts):
        if sum(first < at_best for first in firsts.values()) >= limit:
            break
        provider_id, situation, places = candidate
        of_provider = found.setdefault(provider_id, [])
        of_provider += bookable(situation, starts, places)
        of_provider.sort(key=attrgetter("start"))
        if of_provider:
            start = of_provider[0].start
            firsts[provider_id] = (start, turn(provider_id, start))
    return found


def _by_promise(
    candidates: Iterable[Candidate], starts: Interval
) -> list[tuple[tuple[int, bytes], Candidate]]:
    promises = []
    for candidate in candidates:
        conceivable = [
            start
            for at in candidate.places
            if (start := candidate.situation.earliest_conceivable(at, starts)) is not None
        ]
        if conceivable:
            start = min(conceivable)
            promises.append(((start, turn(candidate.provider_id, start)), candidate))
    return sorted(promises, key=itemgetter(0))


def is_settled(found: Mapping[UUID, Sequence[Found]], limit: int) -> bool:
    """Whether later timeslots than those found of each provider cannot change the page any more."""
    missing = limit
    for round_ in range(limit):
        having = sum(len(of_provider) > round_ for of_provider in found.values())
        missing -= having
        if missing <= 0:
            return True
        if having < len(found):
            return False
    return True


def turn(provider_id: UUID, start: int) -> bytes:
    """Who comes first among equals at this start: the least."""
    return blake2b(provider_id.bytes + start.to_bytes(8), digest_size=8).digest()
