"""Who calls: access tokens of users, and the tokens of our own services."""

from shared.auth.dependencies import (
    CallingService,
    CurrentUser,
    bearer_token,
    caller,
    calling_service,
    require,
)
from shared.auth.principal import InvalidToken, Principal, Role, Unauthenticated
from shared.auth.services import ServiceTokens
from shared.auth.verifier import (
    DEVELOPMENT_KEY_PREFIX,
    TokenVerifier,
    UnsafeSettings,
    build_token_verifier,
)

__all__ = [
    "DEVELOPMENT_KEY_PREFIX",
    "CallingService",
    "CurrentUser",
    "InvalidToken",
    "Principal",
    "Role",
    "ServiceTokens",
    "TokenVerifier",
    "Unauthenticated",
    "UnsafeSettings",
    "bearer_token",
    "build_token_verifier",
    "caller",
    "calling_service",
    "require",
]
