"""What Google remembers of a calendar: events, tombstones, and in which order they changed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from .refusals import GoogleSaysNo, invalid, not_found
from .times import checked, instance_times, instances, instant_of, touches

_ID = re.compile(r"[a-v0-9]{5,1024}")
_OWN = {"etag", "kind", "htmlLink", "created", "updated", "creator", "organizer"}


@dataclass
class Event:
    data: dict[str, Any]
    revision: int
    changed: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Instances of a series that differ from it, moved or cancelled, by their id."""

    @property
    def is_series(self) -> bool:
        return "recurrence" in self.data


@dataclass
class Calendar:
    id: str
    summary: str
    zone: str
    owner: str
    role: str = "owner"
    is_primary: bool = False
    revision: int = 0
    oldest: int = 0
    """Sync tokens of before are dead."""
    events: dict[str, Event] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Of the list of calendars."""
        entry = {
            "kind": "calendar#calendarListEntry",
            "etag": f'"{self.revision}"',
            "id": self.id,
            "summary": self.summary,
            "timeZone": self.zone,
            "accessRole": self.role,
        }
        return {**entry, "primary": True} if self.is_primary else entry

    # Reading

    def get(self, id_: str) -> dict[str, Any]:
        """Deleted ones too, as ``cancelled``."""
        event = self.events.get(id_)
        if event is not None:
            return self._shown(event.data, event.revision)
        for series in self._series_of(id_):
            for revision, item in self._instances(series):
                if item["id"] == id_:
                    return self._shown(item, revision)
        raise not_found()

    def listed(
        self,
        after: int | None,
        start: datetime | None,
        end: datetime | None,
        *,
        single: bool,
        with_deleted: bool,
    ) -> list[dict[str, Any]]:
        """Everything in the time asked for, or everything that has changed ``after``."""
        found = []
        for revision, item in self._all(single):
            is_gone = item["status"] == "cancelled"
            if after is not None:
                is_instance = "recurringEventId" in item
                far = is_instance and not is_gone and not touches(item, self.zone, start, end)
                if revision > after and not far:
                    found.append(_tombstone(item) if is_gone else item)
            elif (with_deleted or not is_gone) and (
                is_gone or (item.get("recurrence") or touches(item, self.zone, start, end))
            ):
                found.append(item)
        return [self._shown(item, self._revision_of(item)) for item in found]

    def _all(self, single: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        for event in self.events.values():
            if single and event.is_series:
                yield from self._instances(event)
            else:
                yield event.revision, event.data

    def _instances(self, series: Event) -> Iterator[tuple[int, dict[str, Any]]]:
        seen = set()
        if series.data["status"] != "cancelled":
            for each in instances(series.data, self.zone):
                seen.add(each.id)
                if each.id in series.changed:
                    yield series.changed[each.id]
                else:
                    yield series.revision, instance_of(series.data, each)
        # Of what is no longer a part of the series only tombstones remain.
        for id_, known in series.changed.items():
            if id_ not in seen and known[1]["status"] == "cancelled":
                yield known

    def _series_of(self, instance_id: str) -> Iterator[Event]:
        series = self.events.get(instance_id.rpartition("_")[0])
        if series is not None and series.is_series:
            yield series

    def _revision_of(self, item: dict[str, Any]) -> int:
        revision: int = item.get("_revision", self.revision)
        return revision

    def _shown(self, item: dict[str, Any], revision: int) -> dict[str, Any]:
        shown = {key: value for key, value in item.items() if not key.startswith("_")}
        return {"kind": "calendar#event", "etag": f'"{item.get("_revision", revision)}"', **shown}

    # Writing

    def insert(self, body: dict[str, Any], now: str) -> dict[str, Any]:
        id_ = body.get("id") or uuid4().hex.translate(str.maketrans("wxyz", "abcd"))
        if not _ID.fullmatch(id_):
            raise invalid("Invalid resource id value.")
        if body.get("id") and body.get("iCalUID"):
            raise invalid("Only one of id and iCalUID may be given.")
        if id_ in self.events:
            message = "The requested identifier already exists."
            raise GoogleSaysNo(409, "duplicate", message)
        self.revision += 1
        data = {
            "id": id_,
            "status": "confirmed",
            "created": now,
            "iCalUID": f"{id_}@google.com",
            "eventType": "default",
            "sequence": 0,
            "creator": {"email": self.owner, "self": True},
            "organizer": {"email": self.owner, "self": True},
            "reminders": {"useDefault": True},
        }
        data = _merged(data, _own(body))
        self._check(data)
        self.events[id_] = Event(data, self.revision)
        return self._keep(id_, data, now)

    def change(
        self, id_: str, body: dict[str, Any], now: str, if_match: str | None, *, whole: bool
    ) -> dict[str, Any]:
        known = self.get(id_)
        _check_match(known, if_match)
        self.revision += 1
        fixed = ("id", "status", "iCalUID", "created", "creator", "organizer", "eventType")
        kept = {key: known[key] for key in fixed if key in known} if whole else known
        merged = _merged({**kept, "sequence": known.get("sequence", 0) + 1}, _own(body))
        return self._keep(id_, merged, now)

    def delete(self, id_: str, now: str, if_match: str | None) -> None:
        known = self.get(id_)
        if known["status"] == "cancelled":
            raise GoogleSaysNo(410, "deleted", "Resource has been deleted")
        _check_match(known, if_match)
        self.revision += 1
        self._keep(id_, {**known, "status": "cancelled"}, now)

    def _keep(self, id_: str, data: dict[str, Any], now: str) -> dict[str, Any]:
        data = {key: value for key, value in data.items() if key not in ("kind", "etag")}
        self._check(data)
        data |= {"updated": now, "_revision": self.revision}
        event = self.events.get(id_)
        if event is not None:
            before = self._live(event)
            event.data, event.revision = data, self.revision
            after = self._live(event)
            for gone in before.keys() - after.keys():
                item = {**before[gone], "status": "cancelled", "_revision": self.revision}
                event.changed[gone] = (self.revision, item)
        else:
            for series in self._series_of(id_):
                series.changed[id_] = (self.revision, data)
        return self._shown(data, self.revision)

    def _live(self, event: Event) -> dict[str, dict[str, Any]]:
        if not event.is_series:
            return {}
        found = self._instances(event)
        return {item["id"]: item for _, item in found if item["status"] != "cancelled"}

    def _check(self, data: dict[str, Any]) -> None:
        data["start"] = checked(data.get("start"), "start")
        data["end"] = checked(data.get("end"), "end")
        start, end = (instant_of(data[each], self.zone) for each in ("start", "end"))
        if end < start:
            raise invalid("The specified time range is empty.", "timeRangeEmpty")
        timed = "dateTime" in data["start"]
        if data.get("recurrence") and timed and "timeZone" not in data["start"]:
            raise invalid("Missing time zone definition for start time.", "required")
        for name, value in data.get("extendedProperties", {}).get("private", {}).items():
            if len(name) > 44 or len(value) > 1024:
                raise invalid("Invalid extended property")


def instance_of(master: dict[str, Any], each: Any) -> dict[str, Any]:
    item = {key: value for key, value in master.items() if key != "recurrence"}
    return {
        **item,
        "id": each.id,
        "recurringEventId": master["id"],
        "originalStartTime": each.original,
        **instance_times(each),
    }


def _own(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in _OWN}


def _merged(known: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """PATCH: null takes away, objects are merged, lists are replaced."""
    merged = dict(known)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def _check_match(known: dict[str, Any], if_match: str | None) -> None:
    if if_match not in (None, "*", known["etag"]):
        raise GoogleSaysNo(412, "conditionNotMet", "Precondition Failed")


def _tombstone(item: dict[str, Any]) -> dict[str, Any]:
    """No more than Google guarantees."""
    kept = ("id", "status", "recurringEventId", "originalStartTime", "_revision")
    return {key: item[key] for key in kept if key in item}
