"""Times of day of the schedule form, as whole minutes: unlike a clock, a day ends at 24:00."""

import re
from typing import Annotated, Any

from pydantic import PlainSerializer

from shared.fields import wrong
from shared.fields.parsed import Parsed

_START = "([01][0-9]|2[0-3]):[0-5][0-9]"
_END = f"{_START}|24:00"


def minute_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _start(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(_START, value):
        raise wrong("NOT_A_TIME", "Write a time of day as 09:30, from 00:00 to 23:59.")
    return _minute(value)


def _end(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(_END, value):
        raise wrong("NOT_A_TIME", "Write a time of day as 09:30, from 00:00 to 24:00.")
    return _minute(value)


def _minute(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


StartOfWork = Annotated[
    int, Parsed(_start, {"type": "string", "pattern": f"^{_START}$", "examples": ["09:00"]})
]

EndOfWork = Annotated[
    int, Parsed(_end, {"type": "string", "pattern": f"^({_END})$", "examples": ["17:00"]})
]
"""Up to ``24:00``, the midnight at the end of the day."""

TimeOfWork = Annotated[int, PlainSerializer(minute_text, return_type=str)]
"""How both are answered."""
