"""The only door to httpx, so that moving to its successor is a change of one line."""

import ssl
from functools import cache
from typing import Any

import httpx
from httpx import (
    ASGITransport,
    AsyncBaseTransport,
    AsyncClient,
    BasicAuth,
    Client,
    Headers,
    HTTPError,
    InvalidURL,
    MockTransport,
    Request,
    Response,
    Timeout,
    TimeoutException,
    TransportError,
)

from shared.observability import step

__all__ = [
    "ASGITransport",
    "AsyncBaseTransport",
    "AsyncClient",
    "BasicAuth",
    "Client",
    "HTTPError",
    "Headers",
    "InvalidURL",
    "MockTransport",
    "Request",
    "Response",
    "Timeout",
    "TimeoutException",
    "TransportError",
    "new_client",
    "trusted_authorities",
]

_TIMEOUT = Timeout(10, connect=3)


def new_client(**options: Any) -> AsyncClient:
    """A client for systems outside ours: bounded waits, no redirect followed, nothing taken from
    the environment; ``options`` are httpx's and win."""
    return _Told(
        **{
            "timeout": _TIMEOUT,
            "follow_redirects": False,
            "trust_env": False,
            "verify": trusted_authorities(),
            **options,
        }
    )


class _Told(AsyncClient):
    """Each call is a step of whatever makes it."""

    async def send(self, request: Request, **options: Any) -> Response:
        told = {"http.request.method": request.method, "server.address": request.url.host}
        with step(f"{request.method} {request.url.host}", "client", told) as span:
            response = await super().send(request, **options)
            span.tell("http.response.status_code", response.status_code)
            return response


@cache
def trusted_authorities() -> ssl.SSLContext:
    """For every TLS connection to systems outside ours."""
    # Reading the certificates takes some 20 ms, during which the process answers nobody.
    return httpx.create_ssl_context(trust_env=False)
