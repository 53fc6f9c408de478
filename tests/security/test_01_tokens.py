"""Line 1: without a token that the issuer has made for us, every route answers 401."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth import ServiceTokens
from shared.problems import Problem
from shared.testing.raw_http import ask
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET, MakeToken

from .apis import Operation
from .conftest import Apps

# Whoever calls these shows something else: an unguessable address, or a signature of the sender.
WITHOUT_TOKEN = {
    "GET /v1/notification-unsubscribe/{token}": "a link in a mail, which shows a page only",
    "POST /v1/notification-unsubscribe/{token}": "its button, and mail programs (RFC 8058)",
    "POST /v1/webhooks/notifications/twilio": "Twilio signs its calls",
    "POST /apps/{appId}/events": "the application signs; the gateway does not lead here",
    "POST /apps/{appId}/batch_events": "likewise",
    "GET /v1/calendar-feeds/{token}.ics": "calendar applications can show nothing but an address",
    "GET /v1/calendar-connections/oauth/{kind}/callback": "a way back: state and cookie",
    "POST /v1/webhooks/calendar/google": "Google shows its channel's token",
    "POST /v1/webhooks/calendar/microsoft": "Microsoft shows its subscription's clientState",
    "POST /v1/webhooks/calendar/microsoft/lifecycle": "likewise",
}


@pytest.fixture(scope="session")
def forged(
    signing_key: rsa.RSAPrivateKey, jwks_file: Path, make_token: MakeToken
) -> dict[str, str]:
    """Tokens that nobody may be let in with, by what is wrong with them."""
    now = datetime.now(UTC)
    sub = uuid4()
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(make_token("admin", sub), options={"verify_signature": False})
    public_pem = signing_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    header, payload, signature = make_token("patient", sub).split(".")
    return {
        "garbage": "not.a.token",
        "expired": make_token("admin", sub, exp=now - timedelta(minutes=5)),
        "from the future": make_token("admin", sub, nbf=now + timedelta(days=1)),
        "wrong issuer": make_token("admin", sub, iss="https://somebody.else"),
        "wrong audience": make_token("admin", sub, aud="something-else"),
        "no role": make_token("superuser", sub),
        "no uuid": make_token("admin", "1"),
        "alg none": jwt.encode(claims, "", "none", headers={"kid": "test"}),
        "another key": jwt.encode(claims, other_key, "RS256", headers={"kid": "test"}),
        "HS256 with the public key": _signed_with(public_pem, claims),
        "HS256 with the JWKS": _signed_with(jwks_file.read_bytes(), claims),
        "HS256 with nothing": _signed_with(b"", claims),
        "another payload": f"{header}.{_part(claims)}.{signature}",
        "no signature": f"{header}.{payload}.",
        "a secret of ours": jwt.encode(claims, SERVICE_SECRET, "HS256"),
    }


def _part(content: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _signed_with(secret: bytes, claims: dict[str, Any]) -> str:
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'test'})}.{_part(claims)}"
    mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_routes_without_a_token_are_these(every_operation: list[Operation]) -> None:
    assert {str(each) for each in every_operation if each.caller == "nobody"} == set(WITHOUT_TOKEN)


async def test_nobody_is_let_in_without_a_good_token(
    apps: Apps, every_operation: list[Operation], forged: dict[str, str]
) -> None:
    """The apps have no database here: nobody costs a connection before they have shown a token."""
    authorizations = {
        "nothing": [],
        "another scheme": [("authorization", "Basic YWRtaW46YWRtaW4=")],
        "two tokens": [("authorization", "Bearer a"), ("authorization", "Bearer b")],
    } | {why: [("authorization", f"Bearer {token}")] for why, token in forged.items()}
    let_in = []

    for operation in every_operation:
        if operation.caller == "nobody":
            continue
        for why, headers in authorizations.items():
            answer = await ask(
                apps[operation.service], operation.method, operation.target(), headers=headers
            )
            if answer.status != 401:
                let_in.append((str(operation), why, answer.status, answer.body[:200]))
                continue
            Problem.model_validate(answer.json())
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.headers["cache-control"] == "no-store"

    assert let_in == []


async def test_users_and_services_have_different_doors(
    apps: Apps, every_operation: list[Operation], make_token: MakeToken
) -> None:
    let_in = []

    for operation in every_operation:
        match operation.caller:
            case "service":
                tokens = [
                    *(make_token(role, uuid4()) for role in ("admin", "service")),
                    ServiceTokens(SERVICE_SECRET, "reservations").token_for("another-service"),
                    ServiceTokens("x" * 40, "reservations").token_for(operation.service),
                ]
            case "user":
                tokens = [
                    ServiceTokens(SERVICE_SECRET, "reservations").token_for(operation.service)
                ]
            case _:
                tokens = []
        for token in tokens:
            headers = [("authorization", f"Bearer {token}")]
            answer = await ask(
                apps[operation.service], operation.method, operation.target(), headers=headers
            )
            if answer.status != 401:
                let_in.append((str(operation), answer.status))

    assert let_in == []


async def test_the_answer_does_not_say_what_is_wrong(apps: Apps, forged: dict[str, str]) -> None:
    told = set()
    for token in forged.values():
        answer = await ask(
            apps["bookings"],
            "GET",
            f"/v1/appointments/{uuid4()}",
            headers=[("authorization", f"Bearer {token}")],
        )
        problem = answer.json()
        told.add((answer.status, problem["code"], problem["title"], problem["detail"]))

    assert len(told) == 1


def test_the_issuer_of_forged_tokens_would_be_ours(forged: dict[str, str]) -> None:
    """Each forged token is good but for one thing, so that it is this thing which is refused."""
    claims = jwt.decode(forged["alg none"], options={"verify_signature": False})

    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
