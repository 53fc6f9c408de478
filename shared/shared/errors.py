"""Refusals in the words of the domain: plain exceptions that know nothing of HTTP.

A service declares its own (``class SlotTaken(Conflict): code = "slot_taken"``) and raises them;
``shared.problems`` alone decides what a client gets to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class DomainError(Exception):
    """A request that the rules refuse; ``members`` are further facts for the client."""

    code: ClassVar[str]
    """Stable, snake_case; clients decide by it, so it never changes."""
    title: ClassVar[str]
    """The same sentence for every occurrence."""
    retry_after: int | None = None
    """Seconds after which trying again makes sense; None when it makes none."""

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.members = members


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: ``FieldError("days.0.enabled", "NO_WINDOWS", "...")``."""

    path: str
    """Dotted, relative to the request body; for a parameter its name; empty for the whole body."""
    code: str
    message: str
    in_body: bool = True
    """False for a parameter of the path, the query string or the headers."""


class _NamesFields(DomainError):
    def __init__(
        self, detail: str = "", *, errors: Sequence[FieldError] = (), **members: Any
    ) -> None:
        super().__init__(detail, **members)
        self.errors = tuple(errors)


class BadRequest(_NamesFields):
    """The request itself is malformed, whatever it asks for."""

    code = "bad_request"
    title = "The request is malformed"


class Invalid(_NamesFields):
    """Fields of the request break a rule; ``errors`` names each of them."""

    code = "invalid"
    title = "Some fields are not valid"


class Unauthorized(DomainError):
    """Nobody has shown who they are."""

    code = "unauthorized"
    title = "A valid access token is needed"


class Forbidden(DomainError):
    """The caller may see this but not do that."""

    code = "forbidden"
    title = "This is not allowed"


class NotFound(DomainError):
    """It does not exist, or the caller may not know that it does."""

    code = "not_found"
    title = "Not found"


class Conflict(DomainError):
    """The present state of things refuses it; another time or another choice may succeed."""

    code = "conflict"
    title = "This conflicts with the present state"


class Stale(DomainError):
    """The caller wants to change a state that has been changed meanwhile (If-Match)."""

    code = "stale"
    title = "It has been changed meanwhile"


class _TryLater(DomainError):
    retry_after = 1

    def __init__(self, detail: str = "", *, retry_after: int = 1, **members: Any) -> None:
        super().__init__(detail, **members)
        self.retry_after = retry_after


class TooMany(_TryLater):
    """The caller has reached a limit that time or a release will lift."""

    code = "too_many"
    title = "Too many of these at once"


class Unavailable(_TryLater):
    """Something this needs does not answer now; nothing is wrong with the request."""

    code = "try_again"
    title = "Temporarily unavailable"
