"""Who gets in, and who does not, whatever is tried."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import APIRouter
from pydantic import SecretStr

from shared.app import create_app, new_router
from shared.auth import (
    CallingService,
    CurrentUser,
    InvalidToken,
    Principal,
    Role,
    ServiceTokens,
    UnsafeSettings,
    build_token_verifier,
    require,
)
from shared.auth.services import ServiceTokenCheck
from shared.auth.verified import Verified
from shared.http import ASGITransport, AsyncClient
from shared.settings import DEVELOPMENT_ISSUER, ServiceSettings
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET, MakeToken

USER = uuid4()


@pytest.fixture
def settings(jwks_file: Path) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql://nobody@127.0.0.1:1/nothing",
        amqp_url="amqp://nobody@127.0.0.1:1/",
        auth_issuer=ISSUER,
        auth_audience=AUDIENCE,
        auth_jwks=str(jwks_file),
        service_secret=SecretStr(SERVICE_SECRET),
    )


def a_router() -> APIRouter:
    router = new_router()

    @router.get("/v1/me")
    async def me(user: CurrentUser) -> dict[str, str]:
        return {"id": str(user.id), "role": user.role}

    @router.get("/v1/staff")
    async def staff(
        user: Annotated[Principal, require(Role.PROVIDER, Role.ADMIN)],
    ) -> dict[str, str]:
        return {"id": str(user.id)}

    @router.get("/internal/holds")
    async def holds(caller: CallingService) -> dict[str, str]:
        return {"caller": caller}

    return router


@pytest.fixture
async def client(settings: ServiceSettings) -> AsyncIterator[AsyncClient]:
    app = create_app(
        settings, service="bookings", title="Test", description="Test", routers=[a_router()]
    )
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_valid_token_says_who_calls(client: AsyncClient, make_token: MakeToken) -> None:
    answer = await client.get("/v1/me", headers=bearer(make_token("patient", USER)))

    assert answer.status_code == 200
    assert answer.json() == {"id": str(USER), "role": "patient"}


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "Bearer", "token abc"])
async def test_without_a_bearer_token_nobody_is_authenticated(
    client: AsyncClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = await client.get("/v1/me", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"unauthenticated", "invalid_token"}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(USER),
        "role": "patient",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: Any, payload: Any, signature: bytes = b"") -> str:
    return f"{segment(header)}.{segment(payload)}.{segment(signature)}"


def signed_with_public_key(key: rsa.RSAPrivateKey) -> str:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signing_input = f"{segment({'alg': 'HS256', 'typ': 'JWT', 'kid': 'test'})}.{segment(claims())}"
    signature = hmac.new(pem, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{segment(signature)}"


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": int(time.time()) - 60},
    "expired long ago": {"exp": 1},
    "wrong issuer": {"iss": "https://evil.test"},
    "issuer in a list": {"iss": [ISSUER]},
    "wrong audience": {"aud": "others"},
    "no audience": {"aud": ...},
    "no issuer": {"iss": ...},
    "no expiry": {"exp": ...},
    "no time of issue": {"iat": ...},
    "no subject": {"sub": ...},
    "subject no UUID": {"sub": "admin"},
    "subject in braces": {"sub": f"{{{USER}}}"},
    "subject without hyphens": {"sub": USER.hex},
    "subject a number": {"sub": 7},
    "no role": {"role": ...},
    "unknown role": {"role": "root"},
    "role of another type": {"role": {"patient": True}},
    "empty roles": {"role": []},
    "issued tomorrow": {"iat": int(time.time()) + 86_400},
    "not before tomorrow": {"nbf": int(time.time()) + 86_400},
    "time of issue not a number": {"iat": "now"},
    "time of issue not a finite number": {"iat": float("nan")},
    "expiry not a number": {"exp": "later"},
    "endless": {"exp": float("inf")},
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
async def test_a_signed_token_with_wrong_claims_is_refused(
    client: AsyncClient, signing_key: rsa.RSAPrivateKey, name: str
) -> None:
    payload = json.dumps(claims(**WRONG_CLAIMS[name])).encode()
    token = jwt.PyJWS().encode(payload, signing_key, "RS256", headers={"kid": "test"})

    await assert_refused(client, token)


async def test_forged_tokens_are_refused(
    client: AsyncClient, signing_key: rsa.RSAPrivateKey, make_token: MakeToken
) -> None:
    good = make_token("patient", USER)
    header, payload, signature = good.split(".")
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = {
        "alg none": unsigned({"alg": "none", "typ": "JWT"}, claims()),
        "alg None": unsigned({"alg": "None", "kid": "test"}, claims()),
        "HS256 with the public key": signed_with_public_key(signing_key),
        "another key of the same name": jwt.encode(
            claims(), other_key, "RS256", headers={"kid": "test"}
        ),
        "a key nobody knows": jwt.encode(claims(), other_key, "RS256", headers={"kid": "x"}),
        "signature cut off": f"{header}.{payload}.",
        "other payload": f"{header}.{segment(claims(role='admin'))}.{signature}",
        "PS256": jwt.encode(claims(), signing_key, "PS256", headers={"kid": "test"}),
        "another type": jwt.encode(
            claims(), signing_key, "RS256", headers={"kid": "test", "typ": "logout+jwt"}
        ),
        "service token": ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings"),
        "own key inside": jwt.encode(
            claims(),
            other_key,
            "RS256",
            headers={"jwk": {"kty": "RSA"}, "jku": "https://evil.test/jwks"},
        ),
    }

    for name, token in forged.items():
        await assert_refused(client, token, name)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        "...",
        "a" * 10_000,
        "αβγ".encode().decode("latin-1"),
        "\u00ff.\u00ff.\u00ff",
        unsigned({"alg": "RS256", "kid": ["test"]}, claims()),
        unsigned({"alg": "RS256", "kid": "test", "typ": 7}, claims()),
        unsigned({"alg": ["RS256"], "kid": "test"}, claims()),
        unsigned({"alg": "RS256", "crit": ["exp"], "exp": 1}, claims()),
        unsigned(b"[" * 5000, claims()),
        unsigned(b"9" * 5000, claims()),
        unsigned([], []),
        unsigned({}, {}),
        unsigned(b"\xff\xfe", b"\x00"),
    ],
)
async def test_garbage_is_refused(client: AsyncClient, token: str) -> None:
    await assert_refused(client, token)


async def test_a_long_but_valid_token_is_refused(
    client: AsyncClient, make_token: MakeToken
) -> None:
    await assert_refused(client, make_token("patient", USER, padding="x" * 8000))


async def test_two_tokens_are_none(client: AsyncClient, make_token: MakeToken) -> None:
    token = make_token("patient", USER)
    headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]

    answer = await client.get("/v1/me", headers=headers)

    assert answer.status_code == 401


async def assert_refused(client: AsyncClient, token: str, name: str = "") -> None:
    headers = {b"Authorization": b"Bearer " + token.encode("latin-1")}
    answer = await client.get("/v1/me", headers=headers)
    assert answer.status_code == 401, name
    assert answer.headers["www-authenticate"] == "Bearer"
    told = answer.json()
    assert told["code"] == "invalid_token", name
    assert told["detail"] == "The access token is not valid", "says why: an oracle"


@pytest.mark.parametrize("seconds", [-90, 90])
async def test_clocks_may_differ(client: AsyncClient, make_token: MakeToken, seconds: int) -> None:
    token = make_token("patient", USER, iat=int(time.time()) + seconds)

    answer = await client.get("/v1/me", headers=bearer(token))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["offline_access", "patient"], "patient"),
        (["patient", "admin", "provider"], "admin"),
        (["patient", "provider"], "provider"),
    ],
)
async def test_of_several_roles_the_strongest_counts(
    client: AsyncClient, signing_key: rsa.RSAPrivateKey, roles: list[str], expected: str
) -> None:
    token = jwt.encode(claims(role=roles), signing_key, "RS256", headers={"kid": "test"})

    answer = await client.get("/v1/me", headers=bearer(token))

    assert answer.json()["role"] == expected


async def test_the_role_may_stand_inside_another_claim(
    settings: ServiceSettings, make_token: MakeToken
) -> None:
    settings = settings.model_copy(update={"auth_role_claim": "realm_access.roles"})
    verifier = build_token_verifier(settings, "bookings")

    principal = await verifier.user(make_token("admin", USER, realm_access={"roles": ["provider"]}))

    assert principal == Principal(USER, Role.PROVIDER)


async def test_the_audience_may_be_one_of_several(
    client: AsyncClient, make_token: MakeToken
) -> None:
    token = make_token("patient", USER, aud=["other", AUDIENCE])

    assert (await client.get("/v1/me", headers=bearer(token))).status_code == 200


async def test_a_known_token_is_looked_at_again_once_it_has_expired(
    settings: ServiceSettings, make_token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise jwt.ExpiredSignatureError

    verifier = build_token_verifier(settings, "bookings")
    expires_at = int(time.time()) + 60
    token = make_token("patient", USER, exp=expires_at)
    await verifier.user(token)  # fetches the keys, too
    principal = await verifier.user(token)
    monkeypatch.setattr(jwt.PyJWT, "decode", refuse)

    remembered = await verifier.user(token)
    monkeypatch.setattr(time, "time", lambda: expires_at + 6)

    assert remembered == principal
    with pytest.raises(InvalidToken):
        await verifier.user(token)


def test_the_memory_of_tokens_is_bounded() -> None:
    verified: Verified[int] = Verified(most=3)
    for number in range(5):
        verified.keep(f"token {number}", number, expires_at=time.time() + 60)

    assert [verified.find(f"token {number}") for number in range(5)] == [None, None, 2, 3, 4]


async def test_only_the_named_roles_are_let_in(client: AsyncClient, make_token: MakeToken) -> None:
    statuses = {
        role: (await client.get("/v1/staff", headers=bearer(make_token(role, USER)))).status_code
        for role in Role
    }

    assert statuses == {"patient": 403, "provider": 200, "admin": 200, "service": 403}


async def test_internal_routes_accept_services_only(
    client: AsyncClient, make_token: MakeToken
) -> None:
    path = "/internal/holds"
    good = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
    bad = [
        make_token("service", USER),
        make_token("admin", USER),
        ServiceTokens(SERVICE_SECRET, "reservations").token_for("availability"),
        ServiceTokens("another-secret-of-more-than-32-characters", "reservations").token_for(
            "bookings"
        ),
        jwt.encode(
            claims(iss="medic-internal", aud="bookings", sub="x", role="service", exp=1),
            SERVICE_SECRET,
            "HS256",
        ),
        jwt.encode(
            claims(iss="medic-internal", aud="bookings", sub="x", role="admin"),
            SERVICE_SECRET,
            "HS256",
        ),
        unsigned({"alg": "none"}, claims(iss="medic-internal", aud="bookings", role="service")),
    ]

    accepted = await client.get(path, headers=bearer(good))
    refused = [(await client.get(path, headers=bearer(token))).status_code for token in bad]

    assert accepted.json() == {"caller": "reservations"}
    assert refused == [401] * len(bad)
    assert (await client.get(path)).status_code == 401


async def test_a_service_token_is_used_again_and_renewed_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = ServiceTokens(SERVICE_SECRET, "reservations")
    first = tokens.token_for("bookings")
    again = tokens.token_for("bookings")
    now, wall = time.monotonic(), time.time()
    monkeypatch.setattr(time, "monotonic", lambda: now + 45)
    monkeypatch.setattr(time, "time", lambda: wall + 45)

    renewed = tokens.token_for("bookings")

    assert first == again
    assert renewed != first


@pytest.mark.parametrize(("algorithm", "kind"), [("ES256", "ec"), ("EdDSA", "ed25519")])
async def test_other_kinds_of_keys_work(
    settings: ServiceSettings, tmp_path: Path, algorithm: str, kind: str
) -> None:
    key: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else ed25519.Ed25519PrivateKey.generate()
    )
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public | {"kid": "one"}]}))
    verifier = build_token_verifier(
        settings.model_copy(update={"auth_jwks": str(path)}), "bookings"
    )

    named = await verifier.user(jwt.encode(claims(), key, algorithm, headers={"kid": "one"}))
    unnamed = await verifier.user(jwt.encode(claims(), key, algorithm))

    assert named == unnamed == Principal(USER, Role.PATIENT)


def test_production_refuses_what_was_made_for_development(
    settings: ServiceSettings, jwks_file: Path, tmp_path: Path
) -> None:
    production = settings.model_copy(update={"environment": "production"})
    keys = json.loads(jwks_file.read_text())
    keys["keys"][0]["kid"] = "development-1"
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    development_key = {"auth_jwks": str(tmp_path / "jwks.json")}

    build_token_verifier(production, "bookings")
    build_token_verifier(settings.model_copy(update=development_key), "bookings")
    with pytest.raises(UnsafeSettings, match="ISSUER"):
        build_token_verifier(
            production.model_copy(update={"auth_issuer": DEVELOPMENT_ISSUER}), "bookings"
        )
    with pytest.raises(UnsafeSettings, match="development"):
        build_token_verifier(production.model_copy(update=development_key), "bookings")


@pytest.mark.parametrize(
    "source", ["/nowhere/jwks.json", "http://issuer.test/jwks", "file:///etc/passwd", __file__]
)
def test_unusable_key_sources_stop_the_start(settings: ServiceSettings, source: str) -> None:
    with pytest.raises(UnsafeSettings, match="AUTH_JWKS"):
        build_token_verifier(settings.model_copy(update={"auth_jwks": source}), "bookings")


async def test_openapi_names_both_ways_to_authenticate(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"accessToken", "serviceToken"}
    assert document["paths"]["/v1/me"]["get"]["security"] == [{"accessToken": []}]
    assert document["paths"]["/internal/holds"]["get"]["security"] == [{"serviceToken": []}]


@pytest.mark.parametrize(("maker", "checker"), [(90, -90), (-90, 90), (90, 0), (0, 90)])
def test_services_whose_clocks_differ_understand_each_other(
    monkeypatch: pytest.MonkeyPatch, maker: int, checker: int
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + maker)
    token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")

    # 40 s later it is still shown, before another one is made.
    late = datetime.fromtimestamp(now + checker + 40, UTC)
    monkeypatch.setattr(time, "time", late.timestamp)
    monkeypatch.setattr("jwt.api_jwt.datetime", _clock_that_says(late))

    assert ServiceTokenCheck(SERVICE_SECRET, "bookings").verify(token) == "reservations"


def _clock_that_says(instant: datetime) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.fromtimestamp(instant.timestamp(), tz)

    return Clock
