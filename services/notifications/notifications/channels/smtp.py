"""Lines to one SMTP server: opened when needed, used again while they are warm."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from notifications.channels import ChannelDown

_CONNECT_TIMEOUT = 10.0
_CHECK_AFTER = 1.0
_DROP_AFTER = 20.0
_TROUBLE = (SMTPException, OSError, TimeoutError)


class Security(StrEnum):
    """How a line is protected; by the scheme of its URL."""

    NONE = "smtp"
    STARTTLS = "smtp+starttls"
    TLS = "smtps"


_PORTS: dict[str, int] = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    host: str
    port: int
    security: Security
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """From ``smtp+starttls://user:password@host:587``; raises ValueError without quoting it."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError(f"begins with none of {', '.join(f'{each}://' for each in _PORTS)}")
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("is not scheme://user:password@host:port")
        if (parts.username is None) != (parts.password is None):
            raise ValueError("has a user without a password")
        security = Security(parts.scheme)
        return cls(
            host=parts.hostname,
            port=_port(parts) or _PORTS[security],
            security=security,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:  # quotes what it could not read, which may be a password
        raise ValueError("has no usable port") from None


@dataclass(frozen=True, slots=True)
class _Idle:
    smtp: SMTP
    since: float


class SmtpLines:
    """As many lines as are asked for at the same time; the caller bounds their number."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        own_name: str,
        timeout: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``timeout`` is how long the server may take for each answer until the line is open. Then
        whoever speaks on it sets the limits: one timer for each answer costs as much as asking."""
        self._server = server
        self._own_name = own_name
        self._timeout = timeout
        self._tls = tls or _tls_for(server)
        self._idle: list[_Idle] = []

    @asynccontextmanager
    async def line(self) -> AsyncIterator[SMTP]:
        """A line on which nothing has been said yet. Raises ChannelDown on entering."""
        smtp = await self._warm_line() or await self._new_line()
        try:
            yield smtp
        except BaseException:
            smtp.close()
            raise
        if smtp.is_connected:
            self._idle.append(_Idle(smtp, monotonic()))

    async def close(self) -> None:
        """Say goodbye on every idle line."""
        while self._idle:
            await _hang_up(self._idle.pop().smtp)

    async def _warm_line(self) -> SMTP | None:
        while self._idle:
            idle = self._idle.pop()
            age = monotonic() - idle.since
            if age < _DROP_AFTER and await _answers(idle.smtp, check=age > _CHECK_AFTER):
                return idle.smtp
            await _hang_up(idle.smtp)
        return None

    async def _new_line(self) -> SMTP:
        server = self._server
        smtp = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security is Security.TLS,
            start_tls=server.security is Security.STARTTLS,
            tls_context=self._tls,
            local_hostname=self._own_name,
            timeout=min(self._timeout, _CONNECT_TIMEOUT),
        )
        try:
            await smtp.connect()
            await smtp.ehlo()
        except _TROUBLE as error:
            smtp.close()
            raise ChannelDown(_in_short(error)) from error
        smtp.timeout = None
        return smtp


def _tls_for(server: SmtpServer) -> ssl.SSLContext | None:
    return None if server.security is Security.NONE else ssl.create_default_context()


async def _answers(smtp: SMTP, *, check: bool) -> bool:
    if not smtp.is_connected:
        return False
    if check:
        try:
            await smtp.noop(timeout=2)
        except _TROUBLE:
            return False
    return True


async def _hang_up(smtp: SMTP) -> None:
    try:
        if smtp.is_connected:
            await smtp.quit(timeout=1)
    except _TROUBLE:
        pass
    finally:
        smtp.close()


def _in_short(error: Exception) -> str:
    """Servers' words may hold anything; their code says enough of a connection."""
    kind = type(error).__name__
    return f"{kind} {error.code}" if isinstance(error, SMTPResponseException) else kind
