"""How the double shows events: the fields, the zones, and what a delta leaves out."""

from datetime import UTC, datetime
from typing import Any

from .mailbox import Calendar, Event, Json, Mailbox, zone

Window = tuple[datetime, datetime]


def instant(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.0000000Z"


def as_time(value: datetime, zone_name: str, *, is_whole_day: bool = False) -> Json:
    local = value if is_whole_day else value.astimezone(zone(zone_name))
    return {"dateTime": f"{local:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": zone_name}


def event(found: Event, zone_name: str | None, said: Json | None = None) -> Json:
    """The whole event, or one occurrence of it that says ``said``."""
    fields = said or found.fields
    shown = zone_name or found.zone
    times = {
        name: as_time(fields[name], shown, is_whole_day=fields["isAllDay"])
        for name in ("start", "end")
    }
    return {
        **{name: value for name, value in fields.items() if value is not None},
        **times,
        "@odata.etag": found.etag,
        "changeKey": str(found.change_key),
        "id": found.id,
        "type": "seriesMaster" if found.recurrence else "singleInstance",
        "seriesMasterId": None,
        "iCalUId": f"040000008200E00074C5B7101A82E008{found.id}",
        "createdDateTime": instant(found.created_at),
        "originalStartTimeZone": found.zone,
    }


def occurrences(found: Event, zone_name: str | None, window: Window) -> list[tuple[bool, Json]]:
    """Whole, as ``instances`` gives them, and whether each is an exception."""
    listed = []
    for day, said in found.spans():
        if said["start"] < window[1] and said["end"] > window[0]:
            assert found.recurrence is not None
            is_exception = day in found.recurrence.moved
            shown = event(found, zone_name, said) | {
                "id": f"{found.id}.{day:%Y%m%d}",
                "type": "exception" if is_exception else "occurrence",
                "seriesMasterId": found.id,
            }
            shown.pop("transactionId", None)
            listed.append((is_exception, shown))
    return listed


def in_delta(found: Event, zone_name: str | None, window: Window) -> list[Json]:
    """Of a series: its master, and its occurrences with hardly more than their times."""
    if found.recurrence is None:
        return [event(found, zone_name)]
    bare = ("@odata.etag", "id", "type", "seriesMasterId", "start", "end")
    return [
        event(found, zone_name),
        *(
            shown if is_exception else {name: shown[name] for name in bare}
            for is_exception, shown in occurrences(found, zone_name, window)
        ),
    ]


def changed_since(
    calendar: Calendar, since: int, zone_name: str | None, window: Window, *, replays: bool
) -> list[Json]:
    """What a round of delta says, each id perhaps with something older before it."""
    told: list[Json] = []
    for id_ in dict.fromkeys(calendar.history[since:]):
        found = calendar.events.get(id_)
        if replays:
            told += calendar.said.get(id_, [])
        if found is None or not found.touches(window):
            says: list[Json] = [{"id": id_, "@removed": {"reason": "deleted"}}]
        else:
            says = in_delta(found, zone_name, window)
        told += says
        calendar.said[id_] = says
    return told


def selected(shown: Json, query: Any) -> Json:
    """As ``$select`` and ``$expand`` ask for it."""
    wanted = query.get("$select")
    if not wanted:
        return shown
    names = {*wanted.split(","), "id", "@odata.etag", "singleValueExtendedProperties"}
    return {name: value for name, value in shown.items() if name in names}


def calendar(found: Calendar) -> Json:
    return {
        "id": found.id,
        "name": found.name,
        "canEdit": found.can_edit,
        "isDefaultCalendar": found.is_default,
    }


def owner(mailbox: Mailbox) -> Json:
    return {"id": mailbox.id, "userPrincipalName": mailbox.name, "mail": mailbox.name}


def parsed_time(value: Json) -> datetime:
    local = datetime.fromisoformat(value["dateTime"])
    assert local.tzinfo is None
    return local.replace(tzinfo=zone(value["timeZone"])).astimezone(UTC)


def is_midnight(value: Json) -> bool:
    return datetime.fromisoformat(value["dateTime"]).time() == datetime.min.time()
