"""E-mail over SMTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from email.headerregistry import Address
from functools import partial

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPStatus,
)

from notifications.channels import Message, Send, Unsendable
from notifications.channels.mime import UnusableAddress, mail_address, mime_mail
from notifications.channels.smtp import SmtpLines, SmtpServer
from notifications.domain.facts import Facts
from notifications.domain.job import DeliveryStatus, Job, Outcome
from notifications.domain.news import ChannelName
from notifications.domain.plain_text import one_line
from notifications.invitations import METHODS, Method, invitation, withdrawal
from notifications.letters import Letter, LetterWriter
from notifications.unsubscribing import UnsubscribeLinks
from shared.appointment_uid import host_of

_ANSWER_TIMEOUT = 30.0
"""For the envelope, and for the mail itself again."""
_LONGEST_RESPONSE = 200
_NEEDS_UTF8 = (b"SMTPUTF8", b"BODY=8BITMIME")


class EmailChannel:
    """Hands each mail to one SMTP server, whose word counts as delivery."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        sender: Address,
        writer: LetterWriter,
        links: UnsubscribeLinks,
        answer_timeout: float = _ANSWER_TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sender = sender
        self._envelope_from = sender.addr_spec
        self._writer = writer
        self._links = links
        self._host = host_of(writer.origin)
        self._answer_timeout = answer_timeout
        self._lines = SmtpLines(server, own_name=sender.domain, timeout=answer_timeout, tls=tls)

    @property
    def name(self) -> str:
        return ChannelName.EMAIL.value

    def address_of(self, job: Job) -> str | None:
        return job.recipient.email if job.recipient else None

    def compose(self, job: Job, address: str) -> Message:
        """The same job makes the same ``Message-ID`` again."""
        try:
            recipient = mail_address(address, name=job.recipient.name if job.recipient else None)
        except UnusableAddress as error:
            raise Unsendable(str(error)) from None
        message_id = f"<{job.id}@{self._sender.domain}>"
        link = self._links.link(job.recipient_id, job.news.category) if job.news.can_wait else None
        url = link.url if link else None
        letter = self._writer.letter(job, unsubscribe_link=url)
        content = mime_mail(
            letter,
            sender=self._sender,
            recipient=recipient,
            message_id=message_id,
            unsubscribe_link=url,
            calendars=list(self._calendars(job, letter, recipient)),
        )
        return Message(message_id, recipient.addr_spec, content, link)

    def _calendars(
        self, job: Job, letter: Letter, recipient: Address
    ) -> Iterator[tuple[Method, str]]:
        facts = job.facts
        if job.news not in METHODS or not isinstance(facts, Facts):
            return
        people = {"organizer": self._sender, "attendee": recipient}
        yield (
            METHODS[job.news],
            invitation(job, facts, title=letter.title, host=self._host, **people),
        )
        if replaced := withdrawal(job, facts, host=self._host, **people):
            yield "CANCEL", replaced

    @asynccontextmanager
    async def line(self) -> AsyncIterator[Send]:
        async with self._lines.line() as smtp:
            yield partial(self._send, smtp)

    async def close(self) -> None:
        await self._lines.close()

    async def _send(self, smtp: SMTP, message: Message) -> Outcome:
        outcome = await self._transfer(smtp, message)
        if outcome.status is not DeliveryStatus.SENT:
            await _start_over(smtp)
        return Outcome(outcome.status, _without(message.address, outcome.response))

    async def _transfer(self, smtp: SMTP, message: Message) -> Outcome:
        international = not message.address.isascii()
        if international and not smtp.supports_extension("SMTPUTF8"):
            return Outcome(DeliveryStatus.REFUSED, "the server takes no international addresses")
        options = _NEEDS_UTF8 if international else ()
        content_has_left = False
        try:
            async with asyncio.timeout(self._answer_timeout):
                await _address_envelope(smtp, self._envelope_from, message.address, options)
            content_has_left = True
            async with asyncio.timeout(self._answer_timeout):
                response = await _hand_over(smtp, message.content)
        except (SMTPRecipientRefused, SMTPDataError) as error:
            # Of the other steps a refusal speaks of us, not of this message: mended, it can go.
            final = 500 <= error.code < 600
            status = DeliveryStatus.REFUSED if final else DeliveryStatus.DEFERRED
            return Outcome(status, f"{error.code} {error.message}")
        except (SMTPException, OSError, TimeoutError) as error:
            smtp.close()
            # The server may have taken it before the line broke.
            status = DeliveryStatus.UNKNOWN if content_has_left else DeliveryStatus.DEFERRED
            return Outcome(status, _words_of(error))
        return Outcome(DeliveryStatus.SENT, f"{response.code} {response.message}")


async def _address_envelope(
    smtp: SMTP, sender: str, recipient: str, options: Sequence[bytes]
) -> None:
    """Both are plain mailboxes (``mail_address``). aiosmtplib would read each of them as a whole
    header, which is a sixth of the work for a mail."""
    answer = await smtp.execute_command(b"MAIL", f"FROM:<{sender}>".encode("ascii"), *options)
    if answer.code != SMTPStatus.completed:
        raise SMTPSenderRefused(answer.code, answer.message, sender)
    answer = await smtp.execute_command(b"RCPT", f"TO:<{recipient}>".encode())
    if answer.code not in (SMTPStatus.completed, SMTPStatus.will_forward):
        raise SMTPRecipientRefused(answer.code, answer.message, recipient)


async def _hand_over(smtp: SMTP, content: bytes) -> SMTPResponse:
    """aiosmtplib would go through the mail twice with regular expressions, to mend line ends that
    our mails have not: more work than writing it."""
    protocol = smtp.protocol
    if protocol is None or not _has_whole_lines(content):
        return await smtp.data(content)
    answer = await smtp.execute_command(b"DATA")
    if answer.code != SMTPStatus.start_input:
        raise SMTPDataError(answer.code, answer.message)
    protocol.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    answer = await protocol.read_response()
    if answer.code != SMTPStatus.completed:
        raise SMTPDataError(answer.code, answer.message)
    return answer


def _has_whole_lines(content: bytes) -> bool:
    """No half of a line end anywhere, behind which a server could see the end of the mail."""
    ends = content.count(b"\r\n")
    return (
        content.count(b"\n") == ends == content.count(b"\r")
        and content.endswith(b"\r\n")
        and not content.startswith(b".")
    )


async def _start_over(smtp: SMTP) -> None:
    """Leave a line that the next message can use, or none."""
    try:
        if smtp.is_connected:
            await smtp.rset(timeout=2)
    except (SMTPException, OSError, TimeoutError):
        smtp.close()


def _words_of(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return type(error).__name__


def _without(address: str, response: str) -> str:
    """Servers like to repeat the address, and the record of deliveries holds none."""
    line = one_line(response, _LONGEST_RESPONSE * 2)
    for part in (address, address.rpartition("@")[0]):
        line = line.replace(part, "…")
    return one_line(line, _LONGEST_RESPONSE)
