"""Calls from one of our services to another.

By aiohttp, because a call costs a seventh of what it costs by httpx, and on the way of every
reservation there are two.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, NamedTuple, Self

import aiohttp
import orjson
from prometheus_client import Histogram

from shared.auth import ServiceTokens
from shared.errors import Unavailable
from shared.observability import current_request_id, current_traceparent, logger, step

_SECONDS = Histogram(
    "inner_call_duration_seconds",
    "Calls to other services, by what came of them.",
    ["callee", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

_CONNECTIONS = 64
# Shorter than uvicorn's own 5 s: so it is we who close, and no request meets a closing connection.
_IDLE = 3.0
_RECONNECT_PAUSE = 0.05


class InnerAnswer(NamedTuple):
    """The status, below 500, and the parsed JSON body; None when there is none."""

    status: int
    body: Any


class InnerCalls:
    """One other service, as this one calls it; lives as long as the process."""

    def __init__(self, session: aiohttp.ClientSession, callee: str, tokens: ServiceTokens) -> None:
        self._session = session
        self._callee = callee
        self._tokens = tokens

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        base_url: str,
        *,
        callee: str,
        tokens: ServiceTokens,
        connect_timeout: float = 1.0,
        total_timeout: float = 4.0,
    ) -> AsyncIterator[Self]:
        """Keeps connections to ``callee`` at ``base_url``; makes none until the first call."""
        session = aiohttp.ClientSession(
            base_url,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE),
            timeout=aiohttp.ClientTimeout(total=total_timeout, sock_connect=connect_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json"},
        )
        async with session:
            yield cls(session, callee, tokens)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> InnerAnswer:
        """Ask; aiohttp by itself asks again when the connection broke."""
        return await self._call("GET", path, query=query, repeatable=False)

    async def post(self, path: str, body: Any, *, repeatable: bool = False) -> InnerAnswer:
        """Unavailable when ``callee`` cannot be reached, takes too long, or fails.

        After a broken connection nobody knows whether the call had its effect: it is made again
        only when it is ``repeatable``, that is, when twice is the same as once.
        """
        return await self._call("POST", path, body=body, repeatable=repeatable)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> InnerAnswer:
        began = perf_counter()
        outcome = "unreachable"
        try:
            data = orjson.dumps(body) if method == "POST" else None
            answer = await self._send(method, path, data, query, repeatable)
            outcome = f"{answer.status // 100}xx"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError):
                outcome = "timeout"
            raise self._unavailable(type(error).__name__) from error
        finally:
            _SECONDS.labels(self._callee, outcome).observe(perf_counter() - began)
        # Our own token refused is a fault between us, and no matter of whoever is served.
        if answer.status >= 500 or answer.status in (401, 403):
            raise self._unavailable(f"status {answer.status}")
        return answer

    async def _send(
        self,
        method: str,
        path: str,
        data: bytes | None,
        query: Mapping[str, str] | None,
        repeatable: bool,
    ) -> InnerAnswer:
        try:
            return await self._send_once(method, path, data, query)
        except aiohttp.ClientConnectorError:
            pass  # it never got there
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not repeatable:
                raise
        await asyncio.sleep(_RECONNECT_PAUSE)
        return await self._send_once(method, path, data, query)

    async def _send_once(
        self, method: str, path: str, data: bytes | None, query: Mapping[str, str] | None
    ) -> InnerAnswer:
        told = {"http.request.method": method, "server.address": self._callee}
        with step(f"{method} {self._callee}", "client", told) as span:
            # The headers name this very step as what the callee's work belongs to.
            async with self._session.request(
                method,
                path,
                data=data,
                params=query,
                headers=self._headers(data),
                allow_redirects=False,
            ) as response:
                content = await response.read()
            span.tell("http.response.status_code", response.status)
            if response.status >= 400:
                span.fail(str(response.status))
            return InnerAnswer(response.status, orjson.loads(content) if content else None)

    def _headers(self, data: bytes | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._tokens.token_for(self._callee)}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if (traceparent := current_traceparent()) is not None:
            headers["traceparent"] = traceparent
        if (request_id := current_request_id()) is not None:
            headers["X-Request-Id"] = request_id
        return headers

    def _unavailable(self, why: str) -> Unavailable:
        logger.warning("inner_call_failed", callee=self._callee, why=why)
        return Unavailable(f"{self._callee} does not answer", retry_after=1)
