"""Cursors survive the way to the client and back, and nothing else passes for one."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cursors import CursorInvalid, Position, position_of


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_position_comes_back_exactly(at: datetime, id_: object) -> None:
    position = Position(at, id_)

    assert position_of(position.cursor()) == position


def test_no_cursor_means_the_first_page() -> None:
    assert position_of(None) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "AAAA",
        "_" * 34,
        Position(datetime(2026, 3, 29, tzinfo=UTC), UUID(int=7)).cursor()[:-2],
        urlsafe_b64encode(b"\x01" + b"\x7f" + b"\xff" * 7 + b"\x00" * 16).decode(),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        position_of(cursor)
