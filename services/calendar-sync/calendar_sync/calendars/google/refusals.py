"""What Google means when it does not answer with success (its guide "Handle API errors")."""

from collections.abc import Mapping
from typing import Any

from calendar_sync.calendars.contract import (
    AccessGone,
    CalendarError,
    NotFound,
    Refused,
    Stale,
    Temporary,
)
from calendar_sync.calendars.oauth import json_of
from shared.http import Response
from shared.observability import logger
from shared.retry_after import retry_after

_SLOW_DOWN = frozenset(
    "rateLimitExceeded userRateLimitExceeded quotaExceeded calendarUsageLimitsExceeded "
    "dailyLimitExceeded variableTermLimitExceeded".split()
)
_SWITCHED_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_NOT_ALLOWED = frozenset(
    "forbidden forbiddenForNonOrganizer insufficientPermissions requiredAccessLevel".split()
)

_PUSH = "push"


def reason_of(response: Response) -> str:
    """Google's word for what is wrong; empty when it gives none."""
    error = json_of(response).get("error")
    errors = error.get("errors") if isinstance(error, Mapping) else None
    first: Any = errors[0] if isinstance(errors, list) and errors else None
    reason = first.get("reason") if isinstance(first, Mapping) else None
    return reason if isinstance(reason, str) else ""


def refusal_of(response: Response) -> CalendarError:
    """The error that the answer is; decided by its reason before its status, since Google uses
    several statuses for one thing."""
    status, reason = response.status_code, reason_of(response)
    if reason in _SLOW_DOWN or status == 429:
        return Temporary("rate_limited", retry_after(response.headers))
    if reason in _SWITCHED_OFF:
        logger.error("google_calendar_api_switched_off")
        return Temporary("api_switched_off")
    if reason.startswith(_PUSH) or reason == "channelIdNotUnique":
        return Refused("push_refused")
    if status >= 500 or status in (408, 409):
        return Temporary("provider_busy", retry_after(response.headers))
    match status:
        case 401:
            return AccessGone("unauthorized")
        case 404 | 410:
            return NotFound("calendar_not_found")
        case 412:
            return Stale()
        case _:
            return Refused("not_allowed" if reason in _NOT_ALLOWED else "refused")
