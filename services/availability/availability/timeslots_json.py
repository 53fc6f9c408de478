"""Timeslots as JSON, written from strings.

588 of them take pydantic 1.5 ms, orjson 0.85 ms and this 0.1 ms; lists of them are what the API
answers with most.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b, sha256
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.local_time import moment
from availability.domain.resources import Mode, Offer
from availability.domain.timeslot_id import id_suffix
from availability.domain.timeslots import Run, Standing
from availability.finding import Found
from availability.known import Known, Piece, within
from availability.set_up import OfferedPlace
from shared.fields import instant_text


class Listing(NamedTuple):
    """The timeslots of one place, in order, and the starts that the asking user holds."""

    at: OfferedPlace
    runs: Sequence[Run]
    held: frozenset[int]
    is_unconfirmed: bool = False


class View(NamedTuple):
    """Which timeslots are wanted; None is any."""

    location_id: UUID | None
    mode: Mode | None
    statuses: frozenset[str]


def pieces(known: Known, starts: Interval, view: View) -> list[Piece]:
    """The timeslots with these starts that may be booked, day by day.

    A day that is shown whole, and on which the asking user holds nothing, is written once.
    """
    facts = known.facts
    is_unconfirmed = facts.is_unconfirmed
    places = [
        (number, at, facts.held_starts(at))
        for number, at in enumerate(facts.set_up.places)
        if view.location_id in (None, at.place.location_id) and view.mode in (None, at.place.mode)
    ]
    held = {start for *_, starts in places for start in starts}
    found = []
    for day, of_day in known.days_with(starts):
        is_same = of_day == (day.first, day.after) and not (
            held and any(day.first <= start < day.after for start in held)
        )
        written = day.piece(view) if is_same else None
        if written is None:
            listings = [
                Listing(
                    at,
                    [run for run in within(day.runs[n], of_day) if run[1].status in view.statuses],
                    held_starts,
                    is_unconfirmed,
                )
                for n, at, held_starts in places
            ]
            written = _piece(facts.set_up.offer, listings)
            if is_same:
                day.keep(view, written)
        found.append(written)
    return found


def etag(head: bytes, pieces: Iterable[Piece]) -> str:
    """Another one exactly when the answer is another."""
    digests = b"".join([piece.digest for piece in pieces])
    return f'"{blake2b(head + digests, digest_size=15).hexdigest()}"'


def body(head: bytes, pieces: Iterable[Piece]) -> bytes:
    """``head`` is a JSON object that lacks only its member ``timeslots``."""
    texts = [piece.text for piece in pieces if piece.text] or [b""]
    texts[0] = head[:-1] + b',"timeslots":[' + texts[0]
    texts[-1] += b"]}"
    return b",".join(texts)


def _piece(offer: Offer, listings: Sequence[Listing]) -> Piece:
    """The timeslots of all places, in the order of their starts."""
    if len(listings) == 1:
        texts = _texts(offer, listings[0])
    else:
        by_start: list[tuple[int, str]] = []
        for at, runs, held, is_unconfirmed in listings:
            apart = [(range(s, s + 1), standing) for run, standing in runs for s in run]
            starts = (run.start for run, _ in apart)
            each = Listing(at, apart, held, is_unconfirmed)
            by_start += zip(starts, _texts(offer, each), strict=True)
        by_start.sort(key=itemgetter(0))
        texts = [text for _, text in by_start]
    text = ",".join(texts).encode()
    return Piece(text, sha256(text).digest())


def _texts(offer: Offer, listing: Listing) -> list[str]:
    """The timeslots of each run, joined by commas."""
    at, runs, held, is_unconfirmed = listing
    begin, duration = f'{{"id":"{at.id_prefix}', offer.duration
    rests = {
        standing: _rest(at, standing, is_unconfirmed) for standing in {each for _, each in runs}
    }
    texts: list[str] = []
    for run, standing in runs:
        rest = rests[standing]
        if held.isdisjoint(run):
            end = f"{rest}false}}"
            middle = f"{end},{begin}".join(map(_when, run, repeat(duration)))
            texts.append(f"{begin}{middle}{end}")
        else:
            ends = (f"{rest}{'true' if start in held else 'false'}}}" for start in run)
            whens = map(_when, run, repeat(duration))
            texts.append(",".join(f"{begin}{w}{e}" for w, e in zip(whens, ends, strict=True)))
    return texts


@lru_cache(maxsize=1 << 15)
def _when(start: int, duration: int) -> str:
    """From the end of the id to the end of the timeslot."""
    return f'{id_suffix(start)}","start":"{_instant(start)}","end":"{_instant(start + duration)}'


def _rest(at: OfferedPlace, standing: Standing, is_unconfirmed: bool) -> str:
    status, capacity_left, room_id = standing
    unconfirmed = "true" if is_unconfirmed else "false"
    return (
        f'","status":"{status}","capacityLeft":{capacity_left},'
        f'"locationId":{_id(at.place.location_id)},"roomId":{_id(room_id)},'
        f'"mode":"{at.place.mode}",'
        f'"unconfirmedCalendar":{unconfirmed},"heldByYou":'
    )


def _id(id_: UUID | None) -> str:
    return f'"{id_}"' if id_ else "null"


def _instant(at: int) -> str:
    return instant_text(moment(at))


def listed(found: Found) -> dict[str, Any]:
    """One of a list, ready for ``orjson``."""
    start, at, standing, facts = found
    return one(at, start, facts.set_up.offer, standing) | {
        "status": standing.status.value,
        "capacityLeft": standing.capacity_left,
        "unconfirmedCalendar": facts.is_unconfirmed,
        "heldByYou": start in facts.held_starts(at),
    }


def named(found: Found) -> dict[str, Any]:
    """One of a list of several providers', besides what ``listed`` or ``one`` say of it."""
    set_up = found.facts.set_up
    return {"providerId": str(set_up.provider_id), "serviceId": str(set_up.offer.service_id)}


def one(at: OfferedPlace, start: int, offer: Offer, standing: Standing) -> dict[str, Any]:
    """A single timeslot, ready for ``orjson``."""
    location_id = at.place.location_id
    return {
        "id": at.id_prefix + id_suffix(start),
        "start": _instant(start),
        "end": _instant(start + offer.duration),
        "locationId": location_id and str(location_id),
        "roomId": standing.room_id and str(standing.room_id),
        "mode": at.place.mode.value,
    }
