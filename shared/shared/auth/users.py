"""Access tokens of users: signed by the issuer, verified with its public keys."""

import time
from typing import Any
from uuid import UUID

import jwt
from prometheus_client import Counter

from shared.auth.keys import ALGORITHMS, SigningKeys
from shared.auth.principal import InvalidToken, Principal, Role
from shared.auth.verified import Verified

_REFUSED = Counter("auth_tokens_refused_total", "Access tokens that were not accepted.", ["why"])

_LONGEST_TOKEN = 8192
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_EXPIRY_LEEWAY = 5
# A service's clock may be off by 90 s without anybody being locked out; `iat` protects nothing.
_CLOCK_DIFFERENCE = 120
_STRONGEST_FIRST = (Role.ADMIN, Role.PROVIDER, Role.PATIENT, Role.SERVICE)

# Beside PyJWT's own: what hostile numbers and nesting make of json and int().
_FAULTS = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)

_jwt = jwt.PyJWT()


class UserTokens:
    """Accepts the access tokens of one issuer for one audience, and no others."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, role_claim: str) -> None:
        self._keys = keys
        self._keys_version = keys.version
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim
        self._verified: Verified[Principal] = Verified()

    async def verify(self, token: str) -> Principal:
        """Whom the token stands for; InvalidToken, without saying why, for anything else."""
        self._keys.keep_fresh()
        if self._keys_version != self._keys.version:
            self._verified.clear()
            self._keys_version = self._keys.version
        known = self._verified.find(token)
        if known is not None:
            return known
        try:
            principal, expires_at = await self._verify(token)
        except _FAULTS as fault:
            _REFUSED.labels(type(fault).__name__).inc()
            raise InvalidToken from None
        self._verified.keep(token, principal, expires_at=expires_at)
        return principal

    async def _verify(self, token: str) -> tuple[Principal, float]:
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise jwt.DecodeError
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS or str(header.get("typ", "jwt")).lower() not in _TYPES:
            raise jwt.InvalidAlgorithmError
        key = await self._keys.find(header.get("kid"), algorithm)
        if key is None:
            raise jwt.InvalidKeyError
        claims = _jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            leeway=_EXPIRY_LEEWAY,
            options={
                "require": ["exp", "iat", "aud", "iss", "sub"],
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": True,
            },
        )
        refuse_from_the_future(claims, _CLOCK_DIFFERENCE)
        principal = Principal(_user_id(claims["sub"]), _role(claims, self._role_claim))
        return principal, float(claims["exp"]) + _EXPIRY_LEEWAY


def refuse_from_the_future(claims: dict[str, Any], seconds: float) -> None:
    """`iat` and `nbf` must be numbers and not lie further ahead than clocks may differ."""
    latest = time.time() + seconds
    for name in ("iat", "nbf"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value <= latest:
            raise jwt.ImmatureSignatureError


def _user_id(subject: str) -> UUID:
    user_id = UUID(subject)
    if str(user_id) != subject.lower():
        raise jwt.InvalidTokenError
    return user_id


def _role(claims: dict[str, Any], name: str) -> Role:
    """The strongest role that the claim names: a string, or a list that may hold others' words."""
    value = claims.get(name)
    if value is None:
        value = _inside(claims, name)
    named = value if isinstance(value, list) else [value]
    for role in _STRONGEST_FIRST:
        if role.value in named:
            return role
    raise jwt.MissingRequiredClaimError(name)


def _inside(claims: dict[str, Any], path: str) -> Any:
    """``realm_access.roles`` is a claim inside a claim, as Keycloak writes it."""
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
