"""How long another system wants to be left alone."""

from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

_LONGEST_NUMBER = 9


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """From ``Retry-After``, be it seconds or a date, which counts from the answer's own ``Date``;
    None when there is none that makes sense. ``headers`` know no case."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER:
        return timedelta(seconds=int(value))
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return max(wait, timedelta())
