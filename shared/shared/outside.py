"""Calls to addresses that users have entered: webhooks, calendars, feeds.

What is checked is the address of the socket, when it connects, on every hop; so a name that leads
elsewhere a moment later gains nothing. Time and size are limited whatever the other side does.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from shared.http import trusted_authorities
from shared.observability import step
from shared.public_addresses import (
    AddressRefused,
    checked_url,
    is_opened,
    is_public,
    not_public,
)

__all__ = ["AddressRefused", "Answer", "BadAnswer", "Outside", "Unreachable", "opened_hosts"]

MayConnect = Callable[[IPv4Address | IPv6Address], bool]

_CONNECTIONS = 100
_CONNECTIONS_TO_ONE = 10
_CONNECT_SECONDS = 5.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


class Unreachable(Exception):
    """Nobody answered properly in time; says what happened, without the address."""


class BadAnswer(Exception):
    """The answer is larger than allowed, coded in a way not asked for, or redirects in circles."""


class Answer:
    """Status and headers; the body is still to be read, within the time of the whole call."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = str(response.url)
        """Where the answer came from in the end."""
        self._response = response

    async def chunks(self, most: int) -> AsyncIterator[bytes]:
        """The body as it comes; raises BadAnswer after ``most`` bytes."""
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise BadAnswer("is compressed, which was not asked for")
        if (self._response.content_length or 0) > most:
            raise BadAnswer(f"is larger than {most} bytes")
        had = 0
        async for chunk in self._response.content.iter_any():
            had += len(chunk)
            if had > most:
                raise BadAnswer(f"is larger than {most} bytes")
            yield chunk

    async def read(self, most: int) -> bytes:
        """The whole body; raises BadAnswer when it has more than ``most`` bytes."""
        return b"".join([chunk async for chunk in self.chunks(most)])


class Outside:
    """The way to hosts that users name; lives as long as the process."""

    def __init__(
        self,
        guarded: aiohttp.ClientSession,
        free: aiohttp.ClientSession,
        *,
        opened: frozenset[str],
        resolver: AbstractResolver,
        may_connect: MayConnect,
    ) -> None:
        self._guarded = guarded
        self._free = free
        self._opened = opened
        self._resolver = resolver
        self._may_connect = may_connect

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        opened: Collection[str] = (),
        resolver: AbstractResolver | None = None,
        may_connect: MayConnect = is_public,
        **options: Any,
    ) -> AsyncIterator[Self]:
        """``opened`` are hosts for which neither https nor a public address is asked
        (see ``opened_hosts``); ``options`` go to aiohttp's connectors."""

        def checked_socket(address: Any) -> socket.socket:
            family, kind, protocol, _, target = address
            if not may_connect(ip_address(target[0])):
                raise _NotPublic
            return socket.socket(family, kind, protocol)

        resolver = resolver or aiohttp.ThreadedResolver()
        common: dict[str, Any] = {
            "limit": _CONNECTIONS,
            "limit_per_host": _CONNECTIONS_TO_ONE,
            "use_dns_cache": False,
            "resolver": resolver,
            "ssl": trusted_authorities(),
            **options,
        }
        async with AsyncExitStack() as sessions:
            guarded = _session(aiohttp.TCPConnector(socket_factory=checked_socket, **common))
            free = _session(aiohttp.TCPConnector(**common))
            yield cls(
                await sessions.enter_async_context(guarded),
                await sessions.enter_async_context(free),
                opened=frozenset(opened),
                resolver=resolver,
                may_connect=may_connect,
            )

    @asynccontextmanager
    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        redirects: int = 0,
        seconds: float = 15.0,
    ) -> AsyncIterator[Answer]:
        """The answer, whatever its status; leaving the block ends the call.

        ``seconds`` are for everything from the first look-up to the last byte that is read. With
        ``redirects`` so many are followed, each checked like the first address, with the same
        method and body (after a 303 with GET), and without credentials where the origin changes;
        otherwise a redirect is an answer like any other. Raises AddressRefused, Unreachable, and
        BadAnswer after one redirect too many.
        """
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout, AsyncExitStack() as hops:
                # Without the host, which somebody has entered; and it is told nothing of the trace.
                span = hops.enter_context(step(method, "client", {"http.request.method": method}))
                target = checked_url(url, opened=self._opened)
                sent = dict(headers or {})
                for left in range(redirects, -1, -1):
                    response = await hops.enter_async_context(
                        self._session(target).request(
                            method, target, headers=sent, data=body, allow_redirects=False
                        )
                    )
                    place = response.headers.get("Location")
                    if not redirects or response.status not in _REDIRECTS or place is None:
                        break
                    if not left:
                        raise BadAnswer("redirects too often")
                    response.close()
                    following = _following(target, place, self._opened)
                    if following.origin() != target.origin():
                        sent = _without_secrets(sent)
                    if response.status == 303:
                        method, body = "GET", None
                    target = following
                span.tell("http.response.status_code", response.status)
                yield Answer(response)
        except aiohttp.InvalidURL as error:
            raise AddressRefused("NOT_A_URL", "The address is not one.") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _NotPublic):
                raise not_public() from None
            raise Unreachable(_reason(error)) from error
        except aiohttp.ClientError as error:
            raise Unreachable(_reason(error)) from error
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise Unreachable("no whole answer in time") from error

    async def check(self, url: str, *, seconds: float = 3.0) -> None:
        """Raises AddressRefused unless the address may be called as things are now.

        For whoever enters it, to be told at once; each call looks anew where it leads.
        """
        target = checked_url(url, opened=self._opened)
        if is_opened(target, self._opened):
            return
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolver.resolve(
                    target.raw_host or "", target.port or 0, family=socket.AF_UNSPEC
                )
        except (OSError, UnicodeError):  # a TimeoutError is an OSError
            raise AddressRefused("UNKNOWN_HOST", "There is no such host, as of now.") from None
        if not all(self._may_connect(ip_address(each["host"])) for each in found):
            raise not_public()

    def _session(self, url: URL) -> aiohttp.ClientSession:
        return self._free if is_opened(url, self._opened) else self._guarded


class _NotPublic(OSError):
    def __str__(self) -> str:
        return "not a public address"


def opened_hosts(text: str) -> frozenset[str]:
    """The value of a setting: ``receiver.test localhost:9000``. Raises ValueError."""
    hosts = frozenset(text.replace(",", " ").lower().split())
    for host in hosts:
        url = URL(f"http://{host}/")
        if url.raw_host is None or host not in (url.raw_host, f"{url.raw_host}:{url.port}"):
            raise ValueError("write hosts as name or name:port, separated by spaces")
    return hosts


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "Medic"},
    )


def _following(url: URL, place: str, opened: Collection[str]) -> URL:
    try:
        following = url.join(URL(place, encoded=place.isascii()))
    except ValueError:
        raise BadAnswer("redirects to what is no address") from None
    return checked_url(str(following), opened=opened)


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "the TLS certificate or protocol is not acceptable"
        case aiohttp.ClientConnectorDNSError():
            return "the host name is not known"
        case aiohttp.ClientConnectorError() | aiohttp.ServerTimeoutError():
            return "no connection"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "the connection ended too early"
        case _:
            return "not an HTTP answer"
