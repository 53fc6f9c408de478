"""Line 7: a consent leads back to us alone, with a proof that only its beginner has.

States that are stolen, used twice or late, and scopes that are missing:
services/calendar-sync/tests/test_consents.py and test_microsoft_consent.py.
"""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from fastapi import FastAPI

from shared.db import Database
from shared.testing.raw_http import RawAnswer, ask
from shared.testing.tokens import MakeToken

from .apis import PUBLIC_URL
from .conftest import SERVICES_FOLDER

KINDS = ("google", "microsoft")


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return SERVICES_FOLDER / "calendar-sync"


async def begun(app: FastAPI, provider_id: UUID, token: str, kind: str) -> RawAnswer:
    """As from a browser that a hostile proxy has led here under another name."""
    path = f"/v1/providers/{provider_id}/calendar-connections/oauth/{kind}/start"
    headers = [
        ("authorization", f"Bearer {token}"),
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("origin", "https://evil.example"),
    ]
    return await ask(app, "POST", path, headers=headers)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_consent_leads_back_to_us_alone(
    app: FastAPI, provider_id: UUID, make_token: MakeToken, kind: str
) -> None:
    token = make_token("provider", provider_id)
    asked = []
    for _ in range(20):
        answer = await begun(app, provider_id, token, kind)
        assert answer.status in (200, 201), answer.body
        asked.append(parse_qs(urlsplit(answer.json()["authorizationUrl"]).query))

    back = f"{PUBLIC_URL}/v1/calendar-connections/oauth/{kind}/callback"
    assert {each["redirect_uri"][0] for each in asked} == {back}
    assert {each["code_challenge_method"][0] for each in asked} == {"S256"}
    assert {each["response_type"][0] for each in asked} == {"code"}
    assert len({each["state"][0] for each in asked}) == 20
    assert len({each["code_challenge"][0] for each in asked}) == 20
    assert min(len(each["state"][0]) for each in asked) >= 22  # 128 bits in base64


@pytest.mark.parametrize("kind", KINDS)
async def test_a_state_of_somebody_else_connects_nothing(
    app: FastAPI, provider_id: UUID, make_token: MakeToken, database: Database, kind: str
) -> None:
    started = await begun(app, provider_id, make_token("provider", provider_id), kind)
    state = parse_qs(urlsplit(started.json()["authorizationUrl"]).query)["state"][0]
    back = f"/v1/calendar-connections/oauth/{kind}/callback"

    for tried in (state, "A" * 43, state[:-1], state.swapcase()):
        answer = await ask(app, "GET", f"{back}?state={tried}&code=stolen")
        assert answer.status in (400, 403, 404, 409)
        assert state.encode() not in answer.body

    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM connections") == 0
