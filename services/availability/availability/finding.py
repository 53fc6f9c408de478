"""The bookable timeslots of situations, and which of several providers' make a page. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.timeslots import Standing
from availability.facts import Facts
from availability.known import Known, within
from availability.set_up import OfferedPlace
from availability.situation import Situation


class Found(NamedTuple):
    """A timeslot that can be booked."""

    start: int
    at: OfferedPlace
    standing: Standing
    facts: Facts


def bookable(situation: Situation, starts: Interval) -> list[Found]:
    """Those of the service with these starts, in order."""
    found = [
        Found(start, at, standing, situation)
        for at, run, standing in _runs(situation, starts)
        if standing.capacity_left
        for start in run
    ]
    found.sort(key=attrgetter("start"))
    return found


def listed(situation: Situation, starts: Interval) -> Iterator[Found]:
    """The same with those that are held or booked, place by place."""
    for at, run, standing in _runs(situation, starts):
        for start in run:
            yield Found(start, at, standing, situation)


def first_bookable(
    known: Known, starts: Interval, limit: int, places: Sequence[OfferedPlace] | None = None
) -> list[Found]:
    """The first of the service with these starts, in order; at all its places, or at some."""
    found: list[Found] = []
    facts = known.facts
    for day, of_day in known.days_with(starts):
        if len(found) >= limit:
            break
        if not day.is_free:
            continue
        with_day = [
            Found(start, at, standing, facts)
            for at, runs in zip(facts.set_up.places, day.runs, strict=True)
            if places is None or at in places
            for run, standing in within(runs, of_day)
            if standing.capacity_left
            for start in run[: limit - len(found)]
        ]
        with_day.sort(key=attrgetter("start"))
        found += with_day
    return found[:limit]


def _runs(situation: Situation, starts: Interval) -> Iterator[tuple[OfferedPlace, range, Standing]]:
    earliest, after = situation.bookable
    starts = (max(starts[0], earliest), min(starts[1], after))
    for at in situation.set_up.places:
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
    known: Known
    places: Sequence[OfferedPlace]


def earliest_of(
    candidates: Iterable[Candidate], starts: Interval, limit: int
) -> dict[UUID, list[Found]]:
    """The timeslots with these starts of each provider, in order; only of some if they fill a page.

    Nobody is looked at any more once the first timeslots of as many others as have room come
    before theirs.
    """
    found: dict[UUID, list[Found]] = {}
    for _, (provider_id, known, places) in _by_first(candidates, starts):
        if provider_id not in found and len(found) >= limit:
            break
        found.setdefault(provider_id, []).extend(first_bookable(known, starts, limit, places))
    for of_provider in found.values():
        of_provider.sort(key=attrgetter("start"))
    return found


def _by_first(
    candidates: Iterable[Candidate], starts: Interval
) -> list[tuple[tuple[int, bytes], Candidate]]:
    firsts = [
        ((first, turn(each.provider_id, first)), each)
        for each in candidates
        if (first := _first(each, starts)) is not None
    ]
    return sorted(firsts, key=itemgetter(0))


def _first(candidate: Candidate, starts: Interval) -> int | None:
    """The first start that can be booked at the places."""
    known, places = candidate.known, candidate.places
    for day, (first, after) in known.days_with(starts):
        if not day.is_free:
            continue
        found = after
        for at, runs in zip(known.facts.set_up.places, day.runs, strict=True):
            if at not in places:
                continue
            for run, standing in runs:
                if run.start >= found:
                    break
                if standing.capacity_left and run[-1] >= first:
                    found = min(found, max(run.start, first + (run.start - first) % run.step))
                    break
        if found < after:
            return found
    return None


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
