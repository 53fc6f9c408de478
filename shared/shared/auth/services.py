"""Short-lived tokens with which our services call each other's ``/internal`` routes."""

import time

import jwt

from shared.auth.principal import InvalidToken, Role
from shared.auth.users import refuse_from_the_future
from shared.auth.verified import Verified

_ISSUER = "medic-internal"
_ALGORITHM = "HS256"
_LIFE = 60
_RENEW_AFTER = 40.0
# Of two machines one may be 90 s ahead and the other 90 s behind.
_LEEWAY = 200

_FAULTS = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
_jwt = jwt.PyJWT()


class ServiceTokens:
    """The tokens that the service ``name`` shows when it calls others."""

    def __init__(self, secret: str, name: str) -> None:
        self._secret = secret
        self._name = name
        self._made: dict[str, tuple[float, str]] = {}

    def token_for(self, callee: str) -> str:
        """Valid for ``callee`` alone and for 60 s at least 20 s of which are left."""
        renew_at, token = self._made.get(callee, (0.0, ""))
        if time.monotonic() >= renew_at:
            token = self._make(callee)
            self._made[callee] = (time.monotonic() + _RENEW_AFTER, token)
        return token

    def _make(self, callee: str) -> str:
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "sub": self._name,
            "aud": callee,
            "role": Role.SERVICE.value,
            "iat": now,
            "exp": now + _LIFE,
        }
        return jwt.encode(claims, self._secret, _ALGORITHM)


class ServiceTokenCheck:
    """Accepts the tokens that other services made for the service ``name``."""

    def __init__(self, secret: str, name: str) -> None:
        self._secret = secret
        self._name = name
        self._verified: Verified[str] = Verified(most=100)

    def verify(self, token: str) -> str:
        """The calling service's name; InvalidToken for anything else."""
        known = self._verified.find(token)
        if known is not None:
            return known
        try:
            claims = _jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=self._name,
                leeway=_LEEWAY,
                options={
                    "require": ["exp", "iat", "aud", "iss", "sub"],
                    "verify_iat": False,
                    "enforce_minimum_key_length": True,
                },
            )
            refuse_from_the_future(claims, _LEEWAY)
            if claims.get("role") != Role.SERVICE or not claims["sub"]:
                raise jwt.InvalidTokenError
        except _FAULTS:
            raise InvalidToken from None
        caller: str = claims["sub"]
        self._verified.keep(token, caller, expires_at=float(claims["exp"]) + _LEEWAY)
        return caller
