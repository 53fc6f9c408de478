"""How routes ask who calls: ``CurrentUser``, ``require(Role.ADMIN)``, ``CallingService``."""

from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from shared.auth.principal import InvalidToken, Principal, Role, Unauthenticated
from shared.auth.verifier import TokenVerifier
from shared.errors import Forbidden
from shared.observability import note_user


class _AccessToken(SecurityBase):
    scheme_name = "accessToken"
    model = HTTPBearer(bearerFormat="JWT", description="An access token of the identity provider.")

    async def __call__(self, connection: HTTPConnection) -> Principal:
        return await caller(connection)


class _ServiceToken(SecurityBase):
    scheme_name = "serviceToken"
    model = HTTPBearer(bearerFormat="JWT", description="A token that one of our services made.")

    async def __call__(self, connection: HTTPConnection) -> str:
        return calling_service(connection)


CurrentUser = Annotated[Principal, Depends(_AccessToken())]
"""The caller; 401 when no valid access token says who it is."""

CallingService = Annotated[str, Depends(_ServiceToken())]
"""The calling service's name, for ``/internal`` routes: users' tokens do not open them."""


def require(*roles: Role) -> Any:
    """``Annotated[Principal, require(Role.ADMIN)]``: the caller, who has one of ``roles``."""
    allowed = frozenset(roles)

    async def allowed_caller(user: CurrentUser) -> Principal:
        if user.role not in allowed:
            raise Forbidden(f"only for: {', '.join(sorted(allowed))}")
        return user

    return Depends(allowed_caller)


async def caller(connection: HTTPConnection) -> Principal:
    """Who calls; raises as ``CurrentUser`` does, for code that runs before dependencies do."""
    principal = await _verifier(connection).user(bearer_token(connection))
    note_user(principal.id)
    return principal


def calling_service(connection: HTTPConnection) -> str:
    """Likewise, as ``CallingService`` does."""
    return _verifier(connection).service(bearer_token(connection))


def bearer_token(connection: HTTPConnection) -> str:
    """The one bearer token of the request."""
    values = connection.headers.getlist("authorization")
    if not values:
        raise Unauthenticated
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    token = token.strip(" ")
    if len(values) > 1 or not token:
        raise InvalidToken
    return token


def _verifier(connection: HTTPConnection) -> TokenVerifier:
    verifier: TokenVerifier = connection.app.state.token_verifier
    return verifier
