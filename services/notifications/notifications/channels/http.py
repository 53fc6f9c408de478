"""Calls to the systems that carry messages further: what a lost answer means, and when to retry."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from notifications.domain.job import DeliveryStatus, Outcome
from shared.observability import step
from shared.retry_after import retry_after

_TIMEOUT = 15.0
_LONGEST_PAUSE = timedelta(hours=1)
_LONGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    retry_after: timedelta
    body: Any
    """Parsed JSON; None when it is none."""


class Lost(Exception):
    """No answer came. ``may_have_arrived`` is False when nothing has left this machine."""

    def __init__(self, failure: str, *, may_have_arrived: bool) -> None:
        super().__init__(failure)
        self.may_have_arrived = may_have_arrived

    def outcome(self) -> Outcome:
        status = DeliveryStatus.UNKNOWN if self.may_have_arrived else DeliveryStatus.DEFERRED
        return Outcome(status, str(self))


class HttpCalls:
    """One connection pool, opened with the first call and kept."""

    def __init__(self, *, timeout: float = _TIMEOUT) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, 5.0))
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, url: str, **given: Any) -> HttpAnswer:
        """Raises Lost. Redirects are not followed: they would carry credentials elsewhere."""
        told = {"http.request.method": method, "server.address": urlsplit(url).hostname or ""}
        try:
            with step(method, "client", told) as span:
                async with self._open().request(
                    method, url, allow_redirects=False, **given
                ) as response:
                    raw = await response.content.read(_LONGEST_ANSWER)
                span.tell("http.response.status_code", response.status)
                return HttpAnswer(response.status, _pause(response.headers), _parsed(raw))
        except aiohttp.ClientConnectorError as error:
            raise Lost(type(error).__name__, may_have_arrived=False) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Lost(type(error).__name__, may_have_arrived=True) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


@asynccontextmanager
async def always_open(send: Any) -> AsyncIterator[Any]:
    """A line for what has none: nothing takes long before the message itself."""
    yield send


def _pause(headers: Mapping[str, str]) -> timedelta:
    return min(retry_after(headers) or timedelta(), _LONGEST_PAUSE)


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
