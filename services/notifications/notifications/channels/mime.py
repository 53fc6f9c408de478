"""Mails as bytes: seven-bit, one message for both kinds of readers, headers that hold one line.

Written out here because ``EmailMessage`` takes 2.4 ms for each mail, ten times what the letter
takes. Its parser reads every mail back in the tests.
"""

import re
from binascii import b2a_qp
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, quote
from uuid import uuid4

from notifications.domain.plain_text import one_line
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
) -> bytes:
    """The letter as plain text and as HTML, from ``sender`` to ``recipient``.

    Mail programs offer ``unsubscribe_link`` as a button (RFC 8058).
    """
    boundary = f"=_{uuid4().hex}"
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
        "Content-Type": f'multipart/alternative; boundary="{boundary}"',
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    dashes = f"\r\n--{boundary}".encode("ascii")
    return b"".join(
        [
            # Not ASCII only where the address itself is not.
            head.encode(),
            *(dashes, _part("plain", letter.text)),
            *(dashes, _part("html", letter.html)),
            *(dashes, b"--\r\n"),
        ]
    )


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


def _phrase(text: str) -> str:
    """In encoded words (RFC 2047), folded, unless it is ASCII."""
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n")


def _part(subtype: str, text: str) -> bytes:
    content = "\r\n".join(text.splitlines()) + "\r\n"
    return (
        f"\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii") + b2a_qp(content.encode(), istext=True)
