"""An appointment type's own times, as they are stored."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from notifications.domain.news import ChannelName, News, Party
from notifications.domain.schedule import Line


def lines_of(stored: list[dict[str, Any]] | None) -> list[Line] | None:
    """None when the type has no times of its own."""
    if stored is None:
        return None
    return [
        Line(
            News(each["kind"]),
            Party(each["party"]),
            (tuple(ChannelName(name) for name in each["channels"]),),
            timedelta(minutes=each["minutes"]),
        )
        for each in stored
    ]


def as_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [
        {
            "kind": line.news.value,
            "party": line.party.value,
            "channels": [each.value for each in way],
            "minutes": round(line.offset / timedelta(minutes=1)),
        }
        for line in lines
        for way in line.ways
    ]
