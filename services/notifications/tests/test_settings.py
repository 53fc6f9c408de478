"""Wrong settings stop the start, and give nothing away."""

import pytest
from pydantic import ValidationError

from notifications.channels.smtp import Security, SmtpServer
from notifications.settings import NotificationsSettings

from .builders import SETTINGS


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", SmtpServer("localhost", 25, Security.NONE, None, None)),
        ("smtp://127.0.0.1:1025", SmtpServer("127.0.0.1", 1025, Security.NONE, None, None)),
        ("smtp://[::1]:1025/", SmtpServer("::1", 1025, Security.NONE, None, None)),
        (
            "smtp+starttls://user%40clinic:p%3Aw%2Fd@mail.example",
            SmtpServer("mail.example", 587, Security.STARTTLS, "user@clinic", "p:w/d"),
        ),
        ("smtps://a:b@mail.example", SmtpServer("mail.example", 465, Security.TLS, "a", "b")),
    ],
)
def test_an_smtp_url_says_everything(url: str, server: SmtpServer) -> None:
    assert SmtpServer.of(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:25",
        "http://mail.example",
        "smtp://",
        "smtp://user@mail.example",
        "smtp://mail.example/inbox",
        "smtp://mail.example?tls=no",
        "smtp://user:s3cret@mail.example:many",
        "smtp://user:s3/cret@mail.example",
        "smtp://user:s3#cret@mail.example",
        "smtp://mail.example:99999",
    ],
)
def test_an_unreadable_smtp_url_stops_the_start(url: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        NotificationsSettings(**SETTINGS, smtp_url=url, mail_from="a@medic.example")

    assert "smtp_url" in str(refusal.value)
    assert "cret" not in str(refusal.value)


@pytest.mark.parametrize("sender", [None, "", "Medic", "a@b\r\nBcc: c@d", "ζωή@medic.example"])
def test_mails_need_a_sender(sender: str | None) -> None:
    with pytest.raises(ValidationError):
        NotificationsSettings(**SETTINGS, smtp_url="smtp://localhost:1025", mail_from=sender)


def test_the_sender_may_have_a_name() -> None:
    settings = NotificationsSettings(
        **SETTINGS,
        smtp_url="smtp://localhost:1025",
        mail_from="Κλινική Medic <appointments@medic.example>",
    )

    assert settings.sender.display_name == "Κλινική Medic"
    assert settings.sender.addr_spec == "appointments@medic.example"


def test_a_password_is_not_shown() -> None:
    settings = NotificationsSettings(
        **SETTINGS, smtp_url="smtp://user:s3cret@localhost", mail_from="a@medic.example"
    )

    assert "s3cret" not in repr(settings) + repr(settings.smtp_server)


@pytest.mark.parametrize(
    "given",
    [
        {"twilio_account_sid": "AC" + "0" * 32},
        {"twilio_auth_token": "s3cret", "twilio_from": "+15005550006"},
        {"twilio_account_sid": "AC1", "twilio_auth_token": "s3cret", "twilio_from": "+15005550006"},
        {"twilio_url": "ftp://api.twilio.com"},
        {"twilio_url": "https://api.twilio.com/path"},
        {"fcm_service_account": "/dev/null"},
        {"fcm_service_account": "/no/such/file"},
    ],
)
def test_half_an_account_stops_the_start(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        NotificationsSettings(**SETTINGS, **given)

    assert "cret" not in str(refusal.value)
