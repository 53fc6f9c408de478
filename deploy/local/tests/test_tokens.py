import uuid
from pathlib import Path

import pytest

from local.keys import signing_key
from local.tokens import AUDIENCE, token
from shared.auth import DEVELOPMENT_KEY_PREFIX, UnsafeSettings, build_token_verifier
from shared.settings import ServiceSettings


def settings(jwks: Path, *, environment: str = "development") -> ServiceSettings:
    return ServiceSettings.model_validate(
        {
            "environment": environment,
            "database_url": "postgresql://nowhere",
            "amqp_url": "amqp://nowhere",
            "auth_issuer": "medic-development" if environment == "development" else "https://id",
            "auth_audience": AUDIENCE,
            "auth_jwks": str(jwks),
            "service_secret": "between services, for this test only",
            "public_url": "http://localhost" if environment == "development" else "https://clinic",
        }
    )


async def test_the_services_accept_our_tokens(tmp_path: Path) -> None:
    sub = uuid.uuid4()
    ours = token(signing_key(tmp_path), "provider", sub)

    principal = await build_token_verifier(settings(tmp_path / "jwks.json"), "bookings").user(ours)

    assert (principal.id, principal.role) == (sub, "provider")


def test_the_key_is_kept_between_runs(tmp_path: Path) -> None:
    first = signing_key(tmp_path)

    assert signing_key(tmp_path).id == first.id
    assert first.id.startswith(DEVELOPMENT_KEY_PREFIX)
    assert (tmp_path / "token-key.pem").stat().st_mode & 0o077 == 0


def test_no_service_takes_our_key_into_production(tmp_path: Path) -> None:
    signing_key(tmp_path)

    with pytest.raises(UnsafeSettings):
        build_token_verifier(settings(tmp_path / "jwks.json", environment="production"), "bookings")
