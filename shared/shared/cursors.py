"""Cursors of lists ordered by an instant and an id: where one page ends, the next begins."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.errors import BadRequest

_VERSION = b"\x01"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTH = 1 + 8 + 16


class CursorInvalid(BadRequest):
    code = "cursor_invalid"
    title = "The cursor is not one that this list has given out"


@dataclass(frozen=True, slots=True)
class Position:
    """The last item of a page."""

    at: datetime
    id: UUID

    def cursor(self) -> str:
        """Opaque text for the client, exact to the microsecond."""
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        packed = _VERSION + micros.to_bytes(8, "big", signed=True) + self.id.bytes
        return urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(cursor: str | None) -> Position | None:
    """The position behind a cursor; None for the first page. Raises CursorInvalid."""
    if cursor is None:
        return None
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if len(packed) != _LENGTH or packed[:1] != _VERSION:
            raise CursorInvalid
        micros = int.from_bytes(packed[1:9], "big", signed=True)
        return Position(_EPOCH + timedelta(microseconds=micros), UUID(bytes=packed[9:]))
    except (ValueError, OverflowError):
        raise CursorInvalid from None
