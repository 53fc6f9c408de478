"""Access tokens of a Google service account (RFC 7523), kept until shortly before they expire."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import jwt
import orjson
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.channels.http import HttpCalls

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIVES = 3600
_EARLIER = 120


class NoAccess(Exception):
    """Google gives no token; says the status, nothing of the key."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    project_id: str
    email: str
    key_id: str
    private_key: str = field(repr=False)
    token_url: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the file that Google gives out; raises ValueError without quoting it."""
        try:
            kept = orjson.loads(path.read_bytes())
            account = cls(
                kept["project_id"],
                kept["client_email"],
                kept["private_key_id"],
                kept["private_key"],
                kept["token_uri"],
            )
            load_pem_private_key(account.private_key.encode(), None)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"is no service account ({type(error).__name__})") from None
        return account


class GoogleAccess:
    def __init__(self, account: ServiceAccount, calls: HttpCalls) -> None:
        self._account = account
        self._calls = calls
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def token(self) -> str:
        """Raises NoAccess, or Lost when Google does not answer."""
        async with self._one_at_a_time:
            if time.monotonic() >= self._until:
                await self._fetch()
            return self._token

    def forget(self) -> None:
        """It was not taken; the next call fetches another."""
        self._until = 0.0

    async def _fetch(self) -> None:
        answer = await self._calls.call(
            "POST",
            self._account.token_url,
            data={"grant_type": _GRANT, "assertion": self._assertion()},
        )
        body = answer.body if isinstance(answer.body, dict) else {}
        if answer.status != 200 or not isinstance(body.get("access_token"), str):
            raise NoAccess(answer.status)
        self._token = body["access_token"]
        lives = body.get("expires_in", _LIVES)
        self._until = time.monotonic() + max(int(lives) - _EARLIER, 0)

    def _assertion(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self._account.email,
            "scope": _SCOPE,
            "aud": self._account.token_url,
            "iat": now,
            "exp": now + _LIVES,
        }
        headers = {"kid": self._account.key_id}
        return jwt.encode(claims, self._account.private_key, "RS256", headers=headers)
