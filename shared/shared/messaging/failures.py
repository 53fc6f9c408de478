"""What is remembered of a message that failed: how often, when, and why, without personal data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from shared.observability.crashes import description_of

ATTEMPTS = "x-attempts"
REASON = "x-reason"
FIRST_FAILED_AT = "x-first-failed-at"
LAST_FAILED_AT = "x-last-failed-at"

_LONGEST_REASON = 500


@dataclass(frozen=True)
class Failures:
    """Travels in the headers of the message, through every retry and into the parked queue."""

    attempts: int
    reason: str
    first_at: str
    last_at: str

    @classmethod
    def of(cls, headers: Mapping[str, Any]) -> Self | None:
        """None for a message that has not failed yet."""
        attempts = headers.get(ATTEMPTS)
        if not isinstance(attempts, int) or attempts < 1:
            return None
        return cls(
            attempts=attempts,
            reason=str(headers.get(REASON, "")),
            first_at=str(headers.get(FIRST_FAILED_AT, "")),
            last_at=str(headers.get(LAST_FAILED_AT, "")),
        )

    @classmethod
    def after(cls, earlier: Self | None, reason: str) -> Self:
        """One more failure, now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(
            attempts=earlier.attempts + 1 if earlier else 1,
            reason=reason[:_LONGEST_REASON],
            first_at=earlier.first_at if earlier else now,
            last_at=now,
        )

    def headers(self) -> dict[str, Any]:
        return {
            ATTEMPTS: self.attempts,
            REASON: self.reason,
            FIRST_FAILED_AT: self.first_at,
            LAST_FAILED_AT: self.last_at,
        }


def reason_of(error: BaseException) -> str:
    """One line for an operator: the kind of error, what it safely says, and where it arose."""
    description = description_of(error)[0]
    kind, where = description.pop("type"), description.pop("where")
    details = [str(value) for value in description.values() if value]
    place = [f"at {'/'.join(where[-1].split('/')[-2:])}"] if where else []
    return " ".join([kind, *details, *place])
