"""The public keys that an issuer signs its tokens with (JWKS, RFC 7517)."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from shared.errors import Unavailable
from shared.http import HTTPError, new_client
from shared.observability import logger

ALGORITHMS = ("RS256", "ES256", "EdDSA")

_SMALLEST_RSA_KEY = 2048
_UNKNOWN_KEY_PAUSE = 30.0
_FIRST_FETCH_PAUSE = 2.0
_FETCH_TIMEOUT = 5.0
_LARGEST_DOCUMENT = 256 * 1024
_SHORTEST_LIFE, _USUAL_LIFE, _LONGEST_LIFE = 30.0, 300.0, 86_400.0


class KeySet:
    """The usable keys of one JWKS document."""

    def __init__(self, document: bytes) -> None:
        """Raises ValueError when the document holds no public key for signatures."""
        content = orjson.loads(document)
        entries = content.get("keys") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ValueError("not a JWKS document")  # noqa: TRY004 -- the value is at fault
        keys = [key for entry in entries if (key := _usable(entry)) is not None]
        if not keys:
            raise ValueError("holds no usable public key for signatures")
        self.document = document
        self._keys = keys
        self._by_id = {key.key_id: key for key in reversed(keys) if key.key_id is not None}

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._by_id)

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key named by a token; without a name, the only key there is for its algorithm."""
        if key_id is not None:
            key = self._by_id.get(key_id)
            return key if key is not None and key.algorithm_name == algorithm else None
        candidates = [key for key in self._keys if key.algorithm_name == algorithm]
        return candidates[0] if len(candidates) == 1 else None


def _usable(entry: Any) -> jwt.PyJWK | None:
    """None for anything but a public key of an allowed algorithm, meant for signatures."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    too_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < _SMALLEST_RSA_KEY
    return None if too_short or key.algorithm_name not in ALGORITHMS else key


@dataclass(frozen=True, slots=True)
class Fetched:
    document: bytes
    max_age: float


Fetch = Callable[[], Awaitable[Fetched]]


def from_file(path: Path) -> Fetch:
    """Reads the file again once in a while, so that a mounted key can be replaced."""

    async def fetch() -> Fetched:
        return Fetched(await asyncio.to_thread(path.read_bytes), _USUAL_LIFE)

    return fetch


def from_url(url: str, **options: Any) -> Fetch:
    """Asks the issuer; ``options`` go to the HTTP client."""

    async def fetch() -> Fetched:
        async with asyncio.timeout(_FETCH_TIMEOUT), new_client(**options) as client:
            response = await client.get(url, headers={"Accept": "application/json"})
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        if len(response.content) > _LARGEST_DOCUMENT:
            raise ValueError("too large")
        return Fetched(response.content, max_age_of(response.headers))

    return fetch


def max_age_of(headers: Mapping[str, str]) -> float:
    """How long an answer may be used, in seconds: what it says, within reason."""
    found = re.search(r"(?:^|[,\s])max-age=(\d{1,9})", headers.get("cache-control", ""))
    if found is None:
        return _USUAL_LIFE
    age = headers.get("age", "")
    seconds = float(found.group(1)) - (float(age) if re.fullmatch(r"\d{1,9}", age) else 0)
    return min(max(seconds, _SHORTEST_LIFE), _LONGEST_LIFE)


class SigningKeys:
    """Keys that are fetched when first needed, renewed in good time, and kept while their source
    does not answer."""

    def __init__(self, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._stale_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self.version = 0
        """Changes whenever the keys do: what an earlier version let in is to be looked at again."""

    def keep_fresh(self) -> None:
        """Renew keys that are past their age, without making anybody wait."""
        if self._keys is not None and self._clock() >= self._stale_at and self._fetching is None:
            self._start_fetching()

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """None when there is no such key; Unavailable when no keys could be had at all."""
        if self._keys is None:
            if self._may_try(_FIRST_FETCH_PAUSE):
                await self._renewed()
            if self._keys is None:
                raise Unavailable("the keys of the token issuer cannot be read", retry_after=5)
        key = self._keys.find(key_id, algorithm)
        if key is None and key_id not in self._keys.ids and self._may_try(_UNKNOWN_KEY_PAUSE):
            await self._renewed()
            key = self._keys.find(key_id, algorithm)
        return key

    def _may_try(self, pause: float) -> bool:
        return self._fetching is not None or self._clock() - self._tried_at >= pause

    async def _renewed(self) -> None:
        # All who wait share one fetch, and one that gives up does not end it for the others.
        await asyncio.shield(self._fetching or self._start_fetching())

    def _start_fetching(self) -> asyncio.Task[None]:
        self._fetching = asyncio.create_task(self._renew(), name="signing-keys")
        return self._fetching

    async def _renew(self) -> None:
        self._tried_at = self._clock()
        try:
            fetched = await self._fetch()
            if self._keys is None or fetched.document != self._keys.document:
                self._keys = KeySet(fetched.document)
                self.version += 1
            self._stale_at = self._clock() + fetched.max_age
        except (HTTPError, OSError, TimeoutError, ValueError) as error:
            self._stale_at = self._clock() + _UNKNOWN_KEY_PAUSE
            logger.warning("signing_keys_not_renewed", exc_info=error)
        finally:
            self._fetching = None
