"""Mails as bytes: seven-bit, one message for both kinds of readers, headers that hold one line.

Written out here because ``EmailMessage`` takes 2.4 ms for each mail, ten times what the letter
takes. Its parser reads every mail back in the tests.
"""

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, quote
from functools import lru_cache
from uuid import uuid4

from notifications.domain.plain_text import one_line
from notifications.invitations import Method
from notifications.letters import Letter

_LONGEST_NAME = 64
_LONGEST_ADDRESS = 254
_PART = r"[^\s\x00-\x20\x7f()<>@,;:\\\"\[\]]+"
_USABLE = re.compile(rf"{_PART}@{_PART}")


class UnusableAddress(ValueError):
    """Not one plain mailbox; what it is instead is not told."""


def mail_address(text: str, *, name: str | None = None) -> Address:
    """The mailbox with its domain in ASCII. Raises UnusableAddress."""
    if len(text) > _LONGEST_ADDRESS or not _USABLE.fullmatch(text) or one_line(text, 300) != text:
        raise UnusableAddress("not a usable e-mail address")
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        return Address(one_line(name, _LONGEST_NAME), local, ascii_domain)
    except (ValueError, IndexError):
        raise UnusableAddress("not a usable e-mail address") from None


def mime_mail(
    letter: Letter,
    *,
    sender: Address,
    recipient: Address,
    message_id: str,
    unsubscribe_link: str | None = None,
    calendars: Sequence[tuple[Method, str]] = (),
) -> bytes:
    """The letter as plain text and as HTML, from ``sender`` to ``recipient``.

    Mail programs offer ``unsubscribe_link`` as a button (RFC 8058), and do with ``calendars`` what
    their methods say: the first is a part of the letter, and all of them are files beside it.
    """
    encoded = [(method, _base64(content)) for method, content in calendars]
    kind, body = _letter(letter, encoded[:1])
    if encoded:
        files = [_file(method, content) for method, content in encoded]
        kind, body = _joined("mixed", [f"\r\nContent-Type: {kind}\r\n\r\n".encode() + body, *files])
    headers = {
        "From": _mailbox(sender),
        "To": _mailbox(recipient),
        "Subject": _phrase(one_line(letter.subject)),
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": message_id,
        "Auto-Submitted": "auto-generated",
        "Content-Language": letter.language,
        **_unsubscribing(unsubscribe_link),
        "MIME-Version": "1.0",
        "Content-Type": kind,
    }
    # Not ASCII only where the address itself is not.
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + body


def _letter(letter: Letter, calendars: Sequence[tuple[Method, bytes]]) -> tuple[str, bytes]:
    parts = [_part("plain", letter.text), _part("html", letter.html)]
    for method, content in calendars:
        head = f"text/calendar; charset=utf-8; method={method}"
        parts.append(_encoded(head, content))
    return _joined("alternative", parts)


def _file(method: Method, content: bytes) -> bytes:
    name = "appointment.ics" if method == "REQUEST" else "cancelled.ics"
    return _encoded(
        f'application/ics; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"',
        content,
    )


def _joined(subtype: str, parts: Sequence[bytes]) -> tuple[str, bytes]:
    """The content type of several parts as one, and its body."""
    boundary = f"=_{uuid4().hex}"
    dashes = f"\r\n--{boundary}".encode("ascii")
    body = b"".join(dashes + part for part in parts) + dashes + b"--\r\n"
    return f'multipart/{subtype}; boundary="{boundary}"', body


def _unsubscribing(link: str | None) -> dict[str, str]:
    if link is None:
        return {}
    return {
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _mailbox(address: Address) -> str:
    if not address.display_name:
        return address.addr_spec
    # Readers would decode what looks like an encoded word.
    name = address.display_name.replace("=?", "= ?")
    if name.isascii():
        return f'"{quote(name)}" <{address.addr_spec}>'
    return f"{_phrase(name)}\r\n <{address.addr_spec}>"


@lru_cache(maxsize=500)
def _phrase(text: str) -> str:
    """In encoded words (RFC 2047), folded, unless it is ASCII."""
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n")


def _part(subtype: str, text: str) -> bytes:
    content = "\r\n".join(text.splitlines()) + "\r\n"
    return (
        f"\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii") + b2a_qp(content.encode(), istext=True)


def _encoded(head: str, content: bytes) -> bytes:
    lines = f"\r\nContent-Type: {head}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return lines.encode("ascii") + content


def _base64(content: str) -> bytes:
    return encodebytes(content.encode()).replace(b"\n", b"\r\n")
