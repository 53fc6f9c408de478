"""What a service needs to judge tokens, built from its settings."""

from pathlib import Path

from shared.auth.keys import KeySet, SigningKeys, from_file, from_url
from shared.auth.principal import Principal
from shared.auth.services import ServiceTokenCheck
from shared.auth.users import UserTokens
from shared.settings import DEVELOPMENT_ISSUER, ServiceSettings

DEVELOPMENT_KEY_PREFIX = "development"
"""Key ids of keys that `make run` makes begin like this."""


class UnsafeSettings(ValueError):
    """The settings would let in tokens that anybody can make, or none at all."""


class TokenVerifier:
    """Judges both kinds of tokens; lives on ``app.state.token_verifier``."""

    def __init__(self, users: UserTokens, services: ServiceTokenCheck) -> None:
        self._users = users
        self._services = services

    async def user(self, token: str) -> Principal:
        """Whom an access token stands for; InvalidToken for any other token."""
        return await self._users.verify(token)

    def service(self, token: str) -> str:
        """Which service calls; InvalidToken for any other token, users' included."""
        return self._services.verify(token)


def build_token_verifier(settings: ServiceSettings, service: str) -> TokenVerifier:
    """The verifier of ``service``; UnsafeSettings for what must not go into production."""
    if settings.environment == "production" and settings.auth_issuer == DEVELOPMENT_ISSUER:
        raise UnsafeSettings("AUTH_ISSUER is the development issuer")
    users = UserTokens(
        _keys(settings),
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        role_claim=settings.auth_role_claim,
    )
    secret = settings.service_secret.get_secret_value()
    return TokenVerifier(users, ServiceTokenCheck(secret, service))


def _keys(settings: ServiceSettings) -> SigningKeys:
    source = settings.auth_jwks
    if source.startswith("https://"):
        return SigningKeys(from_url(source))
    if "://" in source:
        raise UnsafeSettings("AUTH_JWKS must be the path of a file or an https URL")
    path = Path(source)
    try:
        keys = KeySet(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnsafeSettings(f"AUTH_JWKS: {path}: {error}") from error
    made_for_development = any(key_id.startswith(DEVELOPMENT_KEY_PREFIX) for key_id in keys.ids)
    if settings.environment == "production" and made_for_development:
        raise UnsafeSettings("AUTH_JWKS holds a key that was made for development")
    return SigningKeys(from_file(path))
