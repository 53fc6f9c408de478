"""Times as Google reads and writes them, and the instances of a series."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from .refusals import invalid

_MOST_INSTANCES = 730


def checked(time: Any, name: str) -> dict[str, str]:
    """A start or an end as it is kept; refuses what Google refuses."""
    if not isinstance(time, dict):
        raise invalid(f"Missing {name} time.", "required")
    time = {key: value for key, value in time.items() if value is not None}
    if ("date" in time) == ("dateTime" in time):
        raise invalid("Invalid start or end: one of date and dateTime is needed.")
    try:
        if "date" in time:
            date.fromisoformat(time["date"])
            return time
        instant = datetime.fromisoformat(time["dateTime"])
        zone = ZoneInfo(time["timeZone"]) if "timeZone" in time else None
    except (ValueError, TypeError, OSError) as error:
        raise invalid(f"Invalid value for: {name}") from error
    if instant.tzinfo is None and zone is None:
        raise invalid("Missing time zone definition for start time.", "required")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=zone)
    time["dateTime"] = rfc3339(instant)
    return time


def rfc3339(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def parsed_bound(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise invalid("Bad Request: a time needs an offset", "badRequest")
    return instant


def instant_of(time: dict[str, str], zone: str) -> datetime:
    if "date" in time:
        return datetime.fromisoformat(time["date"]).replace(tzinfo=ZoneInfo(zone))
    return datetime.fromisoformat(time["dateTime"])


@dataclass(frozen=True)
class Instance:
    id: str
    original: dict[str, str]
    start: dict[str, str]
    end: dict[str, str]


def instances(master: dict[str, Any], zone: str) -> Iterator[Instance]:
    """All of a series, by its own zone's clock; at most two years of a daily one."""
    start, end = master["start"], master["end"]
    is_day = "date" in start
    own = ZoneInfo(start.get("timeZone", zone))
    first = _local(start, own)
    length = (_local(end, own) - first) if is_day else _utc(end) - _utc(start)
    rules = rrulestr("\n".join(master["recurrence"]), dtstart=first, ignoretz=True, forceset=True)
    for number, local in enumerate(rules):
        if number >= _MOST_INSTANCES:
            return
        if is_day:
            at = {"date": local.date().isoformat()}
            until = {"date": (local + length).date().isoformat()}
            name = f"{local:%Y%m%d}"
        else:
            instant = local.replace(tzinfo=own)
            at = {"dateTime": rfc3339(instant), "timeZone": str(own)}
            ends = (instant.astimezone(UTC) + length).astimezone(own)
            until = {"dateTime": rfc3339(ends), "timeZone": str(own)}
            name = f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        yield Instance(f"{master['id']}_{name}", at, at, until)


def instance_times(each: Instance) -> dict[str, dict[str, str]]:
    return {"start": each.start, "end": each.end}


def touches(item: dict[str, Any], zone: str, start: datetime | None, end: datetime | None) -> bool:
    """``timeMin`` bounds an event's end and ``timeMax`` its start, both exclusively."""
    ends, starts = instant_of(item["end"], zone), instant_of(item["start"], zone)
    return (start is None or ends > start) and (end is None or starts < end)


def _local(time: dict[str, str], zone: ZoneInfo) -> datetime:
    if "date" in time:
        return datetime.fromisoformat(time["date"])
    return datetime.fromisoformat(time["dateTime"]).astimezone(zone).replace(tzinfo=None)


def _utc(time: dict[str, str]) -> datetime:
    return datetime.fromisoformat(time["dateTime"]).astimezone(UTC)
