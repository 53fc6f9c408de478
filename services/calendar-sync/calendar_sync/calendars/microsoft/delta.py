"""What an answer of calendarView/delta says: pure translation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import ExternalEvent, Occurrence, Unreadable, Window
from calendar_sync.calendars.microsoft.events import Odd, graph_time, key_of, occurrence_of


@dataclass(frozen=True, slots=True)
class Delta:
    """``series`` are the ids of those that are mentioned, to be read whole."""

    alone: Sequence[ExternalEvent]
    unreadable: Sequence[Unreadable]
    series: frozenset[str]

    def add_series(self, known: set[str]) -> None:
        """To those mentioned on earlier pages, of which some may be gone, or series no more."""
        known.difference_update(event.id for event in self.alone)
        known.update(self.series)


def read_delta(answer: Mapping[str, Any], zone: ZoneInfo) -> Delta:
    """The same id may come several times; the last word counts."""
    alone: dict[str, ExternalEvent] = {}
    unreadable: dict[str, Unreadable] = {}
    series: set[str] = set()
    for item in items(answer):
        id_ = item.get("id")
        if not isinstance(id_, str):
            continue
        for known in (alone, unreadable):
            known.pop(id_, None)
        series.discard(id_)
        master = id_ if item.get("type") == "seriesMaster" else item.get("seriesMasterId")
        if "@removed" in item:
            alone[id_] = ExternalEvent(id=id_)
        elif isinstance(master, str):
            series.add(master)
        else:
            try:
                alone[id_] = event_of(item, [occurrence(item, zone)])
            except Odd as odd:
                unreadable[id_] = Unreadable(id_, str(odd))
    return Delta([*alone.values()], [*unreadable.values()], frozenset(series))


def event_of(item: Mapping[str, Any], occurrences: Sequence[Occurrence]) -> ExternalEvent:
    etag, uid = item.get("@odata.etag"), item.get("iCalUId")
    return ExternalEvent(
        id=str(item.get("id")),
        etag=etag if isinstance(etag, str) else None,
        uid=uid if isinstance(uid, str) else None,
        key=key_of(item),
        occurrences=tuple(occurrences),
    )


def occurrence(item: Mapping[str, Any], zone: ZoneInfo) -> Occurrence:
    """Raises Odd."""
    try:
        return occurrence_of(item, zone)
    except OverflowError:
        raise Odd("bad_time") from None


def items(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    value = answer.get("value")
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def bounds(window: Window) -> dict[str, str]:
    return {"startDateTime": graph_time(window.start), "endDateTime": graph_time(window.end)}
