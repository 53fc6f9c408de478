"""Timeslots as JSON, written from strings.

588 of them take pydantic 1.5 ms, orjson 0.85 ms and this 0.1 ms; lists of them are what the API
answers with most.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from availability.domain.local_time import moment
from availability.domain.resources import Offer
from availability.domain.timeslot_id import id_suffix
from availability.domain.timeslots import Run, Standing
from availability.finding import Found
from availability.set_up import OfferedPlace
from shared.fields import instant_text


class Listing(NamedTuple):
    """The timeslots of one place, in order, and the starts that the asking user holds."""

    at: OfferedPlace
    runs: Sequence[Run]
    held: frozenset[int]
    is_unconfirmed: bool = False


def etag(head: bytes, listings: Sequence[Listing]) -> str:
    """Another one exactly when the answer would be another; it costs less than the answer."""
    digest = blake2b(head, digest_size=15)
    for at, runs, held, is_unconfirmed in listings:
        starts = array("q")
        standings: dict[Standing, int] = {}
        before = 0
        for run, standing in runs:
            mark = standings.setdefault(standing, -1 - len(standings))
            if mark != before:
                starts.append(mark)
                before = mark
            starts.extend(run)
        digest.update(f"{at.id_prefix}{list(standings)}{sorted(held)}{is_unconfirmed}".encode())
        digest.update(starts)
    return f'"{digest.hexdigest()}"'


def body(head: bytes, offer: Offer, listings: Sequence[Listing]) -> bytes:
    """``head`` is a JSON object that lacks only its member ``timeslots``."""
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
    return b'%b,"timeslots":[%b]}' % (head[:-1], ",".join(texts).encode())


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
    start, at, standing, situation = found
    return one(at, start, situation.set_up.offer, standing) | {
        "status": standing.status.value,
        "capacityLeft": standing.capacity_left,
        "unconfirmedCalendar": situation.is_unconfirmed,
        "heldByYou": start in situation.held_starts(at),
    }


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
