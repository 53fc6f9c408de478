"""What the OpenAPI document says is all that ever happens."""

from typing import Any
from uuid import uuid4

import pytest

from bookings.app import make_app
from bookings.settings import BookingsSettings
from shared.auth import ServiceTokens
from shared.testing.promises import broken_promises
from shared.testing.tokens import SERVICE_SECRET, MakeToken


@pytest.mark.parametrize("caller", ["patient", "service"])
def test_the_api_keeps_its_promises(
    settings_values: dict[str, Any], make_token: MakeToken, caller: str
) -> None:
    token = (
        ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
        if caller == "service"
        else make_token(caller, uuid4())
    )
    app = make_app(BookingsSettings(**settings_values))

    assert broken_promises(app, headers={"Authorization": f"Bearer {token}"}, examples=5) == []
