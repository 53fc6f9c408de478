"""Lines to an SMTP server: kept while warm, protected and authenticated as its URL says."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifications.channels import ChannelDown, Message
from notifications.channels.email import EmailChannel
from notifications.channels.smtp import SmtpServer
from notifications.domain.job import DeliveryStatus
from notifications.letters import LetterWriter
from notifications.unsubscribing import UnsubscribeLinks

from .conftest import SENDER
from .mail_host import MailHost

MESSAGE = Message("<1@medic.example>", "maria@example.com", b"Subject: Hello\r\n\r\nHello\r\n")
ZOE = "ζωή@example.com"


def channel(
    url: str, tls: ssl.SSLContext | None = None, *, answer_timeout: float = 5
) -> EmailChannel:
    return EmailChannel(
        SmtpServer.of(url),
        sender=SENDER,
        writer=LetterWriter("https://medic.example"),
        links=UnsubscribeLinks("https://medic.example", secret="a secret"),
        answer_timeout=answer_timeout,
        tls=tls,
    )


async def send(channel: EmailChannel, message: Message = MESSAGE) -> DeliveryStatus:
    async with channel.line() as send:
        return (await send(message)).status


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> Iterator[ssl.SSLContext]:
    return ssl.create_default_context(cafile=certificate)


async def test_a_warm_line_is_used_again(mail_host: MailHost) -> None:
    mails = channel(mail_host.url)

    assert {await send(mails) for _ in range(5)} == {DeliveryStatus.SENT}

    assert mail_host.connections == 1
    await mails.close()


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: Dots\r\n\r\n.\r\n..\r\n.two\r\nlast.\r\n",
        b".Subject: a dot at the very beginning\r\n\r\nHello\r\n",
        b"Subject: Half a line end\r\n\r\none\n.\r\nMAIL FROM:<a@b.example>\r\n",
        b"Subject: The other half\r\n\r\none\r.\r\ntwo\r\n",
        b"Subject: No end\r\n\r\none",
    ],
)
async def test_nothing_in_a_mail_can_be_taken_for_its_end(
    mail_host: MailHost, content: bytes
) -> None:
    email = channel(mail_host.url)
    message = Message("<1@medic.example>", "maria@example.com", content)

    assert [await send(email, each) for each in (message, MESSAGE)] == [DeliveryStatus.SENT] * 2

    await email.close()
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines()
    assert [mail.content.splitlines() for mail in mail_host.mails] == [
        lines,
        MESSAGE.content.splitlines(),
    ]


async def test_a_server_that_wants_no_content_has_not_taken_it(mail_host: MailHost) -> None:
    mail_host.data_reply = ["451 not now", "554 never", "250 thank you for nothing"]
    email = channel(mail_host.url)

    assert [await send(email) for _ in range(4)] == [
        DeliveryStatus.DEFERRED,
        DeliveryStatus.REFUSED,
        DeliveryStatus.DEFERRED,
        DeliveryStatus.SENT,
    ]

    await email.close()
    assert len(mail_host.mails) == 1


async def test_a_server_that_falls_silent_may_have_taken_only_what_it_has_got(
    mail_host: MailHost,
) -> None:
    email = channel(mail_host.url, answer_timeout=2)
    mail_host.attention.clear()
    async with asyncio.timeout(60):
        before_the_content = await send(email)
        mail_host.attention.set()
        mail_host.gate.clear()
        behind_the_content = await send(email)
    mail_host.gate.set()
    with_answers = await send(email)

    assert before_the_content is DeliveryStatus.DEFERRED
    assert behind_the_content is DeliveryStatus.UNKNOWN
    assert with_answers is DeliveryStatus.SENT
    assert mail_host.connections == 3, "late answers would be taken for those to the next mail"
    await email.close()


async def test_a_refusal_does_not_spoil_the_line_for_the_next(mail_host: MailHost) -> None:
    mails = channel(mail_host.url)
    mail_host.recipient_reply = {MESSAGE.address: ["550 no", "450 later"]}

    outcomes = [await send(mails) for _ in range(3)]

    assert outcomes == [DeliveryStatus.REFUSED, DeliveryStatus.DEFERRED, DeliveryStatus.SENT]
    assert mail_host.connections == 1
    await mails.close()


async def test_a_refused_sender_is_no_fault_of_the_recipient(mail_host: MailHost) -> None:
    mails = channel(mail_host.url)
    mail_host.sender_reply = ["550 not you", "451 not now"]

    outcomes = [await send(mails) for _ in range(3)]

    assert outcomes == [DeliveryStatus.DEFERRED, DeliveryStatus.DEFERRED, DeliveryStatus.SENT]
    assert len(mail_host.mails) == 1
    await mails.close()


async def test_a_line_that_the_server_has_closed_is_replaced(mail_host: MailHost) -> None:
    mails = channel(mail_host.url)
    await send(mails)
    await mail_host.stop()
    await mail_host.start()

    assert await send(mails) is DeliveryStatus.SENT
    assert mail_host.connections == 2
    await mails.close()


async def test_a_server_that_is_away_is_a_channel_that_is_down(mail_host: MailHost) -> None:
    await mail_host.stop()

    with pytest.raises(ChannelDown, match="SMTPConnectError"):
        await send(channel(mail_host.url))


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_protected_line_needs_a_certificate_that_is_trusted(
    scheme: str, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with MailHost.open(scheme=scheme, tls=server_tls) as host:
        trusted, careful = channel(host.url, trusting), channel(host.url)

        assert await send(trusted) is DeliveryStatus.SENT
        with pytest.raises(ChannelDown):
            await send(careful)

        assert len(host.mails) == 1
        await trusted.close()


async def test_a_line_is_never_less_protected_than_its_url_says(mail_host: MailHost) -> None:
    with pytest.raises(ChannelDown):
        await send(channel(mail_host.url.replace("smtp:", "smtp+starttls:")))

    assert mail_host.mails == []


async def test_a_server_may_want_to_know_who_sends() -> None:
    async with MailHost.open(login=("medic", "right")) as host:
        known, unknown = channel(host.url), channel(host.url.replace("right", "wrong"))

        assert await send(known) is DeliveryStatus.SENT
        with pytest.raises(ChannelDown, match="SMTPAuthenticationError 535"):
            await send(unknown)
        await known.close()


@pytest.mark.parametrize(
    ("international", "outcome"),
    [(True, DeliveryStatus.SENT), (False, DeliveryStatus.REFUSED)],
)
async def test_international_addresses_need_a_server_that_takes_them(
    international: bool, outcome: DeliveryStatus
) -> None:
    async with MailHost.open(international=international) as host:
        mails = channel(host.url)

        assert await send(mails, Message("<1@medic.example>", ZOE, MESSAGE.content)) is outcome
        assert [mail.recipient for mail in host.mails] == ([ZOE] if international else [])
        await mails.close()
