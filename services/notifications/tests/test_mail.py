"""Mails as bytes: headers hold one line, and every reader finds a text for them."""

from email import message_from_bytes, policy
from email.headerregistry import Address
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest

from notifications.channels import Message, Unsendable
from notifications.channels.email import EmailChannel
from notifications.channels.mime import UnusableAddress, mail_address, mime_mail
from notifications.channels.smtp import SmtpServer
from notifications.domain.news import News, Party
from notifications.domain.schedule import WORDINGS
from notifications.letters import Letter, LetterWriter
from notifications.unsubscribing import UnsubscribeLinks

from .builders import a_contact, a_job
from .conftest import SENDER

LETTER = LetterWriter("https://medic.example").letter(a_job())


def channel() -> EmailChannel:
    return EmailChannel(
        SmtpServer.of("smtp://localhost:1"),
        sender=SENDER,
        writer=LetterWriter("https://medic.example"),
        links=UnsubscribeLinks("https://medic.example", secret="a secret"),
    )


def composed(name: str | None = "Maria Pappas", address: str = "maria@example.com") -> Message:
    return channel().compose(a_job(recipient=a_contact(name=name, email=address)), address)


def test_the_headers_say_what_machines_need() -> None:
    mail = message_from_bytes(composed().content, policy=policy.default)

    assert mail["From"] == "Medic <appointments@medic.example>"
    assert mail["To"] == "Maria Pappas <maria@example.com>"
    assert mail["Subject"] == "Your appointment is confirmed"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "en"
    assert mail["Date"].datetime is not None
    assert mail.get_content_type() == "multipart/mixed"
    letter, file = mail.iter_parts()
    assert [part.get_content_type() for part in letter.iter_parts()] == [
        "text/plain",
        "text/html",
        "text/calendar",
    ]
    assert (file.get_content_type(), file.get_filename()) == ("application/ics", "appointment.ics")


def test_every_attempt_of_a_job_has_the_same_message_id() -> None:
    job = a_job(id=UUID("01900000-0000-7000-8000-0000000000aa"))

    ids = {channel().compose(job, "maria@example.com").id for _ in range(3)}

    assert ids == {"<01900000-0000-7000-8000-0000000000aa@medic.example>"}
    assert channel().compose(a_job(), "maria@example.com").id not in ids


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Anna\r\nBcc: all@example.com", "Anna Bcc: all@example.com"),
        ("Anna\nX-Evil: 1\n\nbody", "Anna X-Evil: 1 body"),
        ("{{7*7}}", "{{7*7}}"),
        ('Eve" <evil@example.com>', 'Eve" <evil@example.com>'),
        ("a@b, c@d; e", "a@b, c@d; e"),
        ("Ζωή Παπαδοπούλου", "Ζωή Παπαδοπούλου"),
        ("=?utf-8?q?Bcc:_x?=", "= ?utf-8?q?Bcc:_x?="),
        ("Anna\u202egnp", "Annagnp"),
        ("Z\u00eb\r\n\t\x00\x0b\u2028 Bcc: x", "Z\u00eb Bcc: x"),
        (None, ""),
    ],
)
def test_names_stay_in_their_header(name: str | None, shown: str) -> None:
    content = composed(name).content
    mail = message_from_bytes(content, policy=policy.default)

    [recipient] = mail["To"].addresses
    assert (recipient.display_name, recipient.addr_spec) == (shown, "maria@example.com")
    assert "Bcc" not in mail
    assert "X-Evil" not in mail
    assert mail.get_content_type() == "multipart/mixed"


def test_a_huge_name_makes_no_huge_header() -> None:
    content = composed("Ω" * 100_000).content

    assert len(content.partition(b"\r\n\r\n")[0]) < 1_500
    assert max(map(len, content.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(("news", "party"), sorted(WORDINGS))
def test_content_is_seven_bit_in_whole_lines(news: News, party: Party) -> None:
    job = a_job(news=news, party=party, recipient=a_contact(name="Ζωή"))

    content = channel().compose(job, "maria@example.com").content

    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")


def test_a_line_with_one_dot_survives() -> None:
    text = "one\n.\ntwo\n"
    content = mime_mail(
        cast(Letter, SimpleNamespace(subject="s", text=text, html="<p>.</p>", language="en")),
        sender=SENDER,
        recipient=Address("", "maria", "example.com"),
        message_id="<1@medic.example>",
    )

    part = message_from_bytes(content, policy=policy.default).get_body(("plain",))
    assert part.get_content().replace("\r\n", "\n") == text


@pytest.mark.parametrize(
    "address",
    [
        "",
        "maria",
        "maria@",
        "@example.com",
        "maria@example.com\r\nRCPT TO:<all@example.com>",
        "maria@example.com, all@example.com",
        "Maria <maria@example.com>",
        "<maria@example.com>",
        "maria @example.com",
        "maria@exam ple.com",
        "maria@example.com>",
        '"a b"@example.com',
        "a@b@example.com",
        "maria@example..com",
        "maria@" + "x" * 70 + ".com",
        "m" * 300 + "@example.com",
        "maria\u200b@example.com",
        "maria\x00@example.com",
    ],
)
def test_what_is_no_plain_mailbox_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(UnusableAddress):
        mail_address(address)
    with pytest.raises(Unsendable) as refusal:
        composed(address=address)

    assert str(refusal.value) == "not a usable e-mail address"


def test_international_addresses_keep_their_local_part() -> None:
    mail = composed(address="ζωή@παράδειγμα.ελ")

    assert mail.address == "ζωή@xn--hxajbheg2az3al.xn--qxam"
    assert "ζωή@".encode() in mail.content
