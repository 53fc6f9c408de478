"""A real SMTP server in the test's own loop, which can be made to misbehave."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mail:
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


def message_ids(mails: list[Mail]) -> set[str]:
    """Copies of one message have one."""
    return {mail.message["Message-ID"] for mail in mails}


class MailHost:
    """Takes everything, unless told otherwise."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.connections = 0
        self.sender_reply: list[str] = []
        """Answers to the next MAIL commands instead of 250."""
        self.recipient_reply: dict[str, list[str]] = {}
        """By address: answers to the next RCPT commands instead of 250."""
        self.data_reply: list[str] = []
        """Answers to the next DATA commands instead of 354."""
        self.content_reply: list[str] = []
        """Answers to the next contents instead of 250; such mails are not kept."""
        self.drops_after_content = 0
        """So many of the next mails are taken, and the line breaks before the answer."""
        self.gate = asyncio.Event()
        """While it is not set, the answer to a content, which has been taken, does not come."""
        self.gate.set()
        self.welcome = asyncio.Event()
        """While it is not set, nobody gets an answer to EHLO."""
        self.welcome.set()
        self.greeted = 0
        self.attention = asyncio.Event()
        """While it is not set, nobody gets an answer to MAIL."""
        self.attention.set()
        self.url = ""
        self._place = socket.socket()
        """Keeps the port while the server is stopped."""
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self._smtp_options: dict[str, Any] = {}
        self._tls: ssl.SSLContext | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        scheme: str = "smtp",
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        international: bool = True,
    ) -> AsyncIterator[Self]:
        host = cls()
        host._smtp_options = {"enable_SMTPUTF8": international}
        if scheme == "smtp+starttls":
            host._smtp_options |= {"tls_context": tls, "require_starttls": True}
        elif scheme == "smtps":
            host._tls = tls
        if login:
            host._smtp_options |= {
                "authenticator": _only(*login),
                "auth_required": True,
                "auth_require_tls": False,
            }
        host._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        host._place.bind(("127.0.0.1", 0))
        await host.start()
        at = f"{login[0]}:{login[1]}@" if login else ""
        host.url = f"{scheme}://{at}localhost:{host._place.getsockname()[1]}"
        try:
            yield host
        finally:
            host.gate.set()
            host.welcome.set()
            host.attention.set()
            await host.stop()
            host._place.close()

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, *self._place.getsockname(), ssl=self._tls, reuse_port=True
        )

    async def stop(self) -> None:
        """Every line breaks, and new ones are refused."""
        assert self._server is not None
        self._server.close()
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)

    def _protocol(self) -> SMTP:
        host = self

        class Watched(SMTP):
            def connection_made(self, transport: Any) -> None:
                host.connections += 1
                host._transports.add(transport)
                super().connection_made(transport)

            async def smtp_DATA(self, arg: str) -> None:
                if host.data_reply:
                    await self.push(host.data_reply.pop(0))
                else:
                    await super().smtp_DATA(arg)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a login without TLS, which this is about
            return Watched(self, hostname="mail.test", timeout=30, **self._smtp_options)

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.greeted += 1
        await self.welcome.wait()
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self.attention.wait()
        if self.sender_reply:
            return self.sender_reply.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if replies := self.recipient_reply.get(address):
            return replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.content_reply:
            return self.content_reply.pop(0)
        assert isinstance(envelope.content, bytes)
        self.mails += [Mail(address, envelope.content) for address in envelope.rcpt_tos]
        if self.drops_after_content:
            self.drops_after_content -= 1
            server.transport.abort()
        await self.gate.wait()
        return "250 Taken"

    def to(self, address: str) -> list[Mail]:
        return [mail for mail in self.mails if mail.recipient == address]


def _only(username: str, password: str) -> Any:
    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        right = data == LoginPassword(username.encode(), password.encode())
        return AuthResult(success=right, handled=right)

    return authenticate
