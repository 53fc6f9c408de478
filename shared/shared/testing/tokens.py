"""Tokens that the services under test accept, signed by a key made for this test run."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://issuer.test"
AUDIENCE = "medic"
SERVICE_SECRET = "a-secret-between-services-for-tests-only"

MakeToken = Callable[..., str]


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def jwks_file(signing_key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public half, as a JWKS document."""
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing_key.public_key()))
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps({"keys": [key | {"kid": "test", "alg": "RS256", "use": "sig"}]}))
    return path


@pytest.fixture(scope="session")
def make_token(signing_key: rsa.RSAPrivateKey) -> MakeToken:
    """``make_token("patient", sub)`` is a valid token; keywords override its claims."""

    def token(role: str, sub: UUID | str, **claims: Any) -> str:
        now = datetime.now(UTC)
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(sub),
            "role": role,
            "iat": now,
            "exp": now + timedelta(hours=1),
        }
        return jwt.encode(payload | claims, signing_key, "RS256", headers={"kid": "test"})

    return token


@pytest.fixture
def settings_values(database_url: str, jwks_file: Path) -> dict[str, Any]:
    """What every service's settings need, for the test's database; no broker listens behind it."""
    return {
        "database_url": database_url,
        "amqp_url": "amqp://nobody@127.0.0.1:1/",
        "auth_issuer": ISSUER,
        "auth_audience": AUDIENCE,
        "auth_jwks": str(jwks_file),
        "service_secret": SERVICE_SECRET,
    }
