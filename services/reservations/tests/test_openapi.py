"""What the OpenAPI document says is all that ever happens."""

import asyncio
from collections.abc import Iterator
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from reservations.app import make_app
from reservations.settings import ReservationsSettings
from shared.testing.promises import broken_promises
from shared.testing.tokens import MakeToken

from .others import Others


@pytest.fixture
def address() -> Iterator[str]:
    """The other services, beside a test that blocks its own event loop."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    served = Others().served()
    yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(10)
    asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize("role", ["patient", "admin"])
def test_the_api_keeps_its_promises(
    settings_values: dict[str, Any], make_token: MakeToken, address: str, role: str
) -> None:
    settings = ReservationsSettings(
        **settings_values,
        availability_url=address,
        bookings_url=address,
        reservation_token_secret="a-secret-for-reservation-tokens-in-tests",
    )
    headers = {"Authorization": f"Bearer {make_token(role, uuid4())}"}

    # A released reservation can still be looked at, and says that it is released.
    unjudged = ["use_after_free"]
    assert broken_promises(make_app(settings), headers=headers, examples=5, unjudged=unjudged) == []
