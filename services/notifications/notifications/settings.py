"""The variables that only notifications reads."""

from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from notifications.channels.google_access import ServiceAccount
from notifications.channels.mime import mail_address
from notifications.channels.sms import TwilioAccount
from notifications.channels.smtp import SmtpServer
from notifications.domain.plain_text import one_line
from notifications.realtime.pusher.application import Application, HostedApplication
from shared.encryption import Cipher
from shared.outside import opened_hosts
from shared.settings import ServiceSettings


class NotificationsSettings(ServiceSettings):
    smtp_url: str | None = Field(default=None, repr=False)
    """``smtp://``, ``smtp+starttls://`` or ``smtps://``; without it no e-mail is sent."""
    mail_from: str | None = None
    """``Clinic <appointments@clinic.example>``; needed with SMTP_URL."""
    twilio_account_sid: str | None = Field(default=None, pattern="^AC[0-9a-f]{32}$")
    """With the next two; without them no SMS is sent."""
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = Field(
        default=None, pattern=r"^(\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{1,11})$"
    )
    """A number (``+302101234567``), a messaging service (``MG…``) or a sender's name."""
    twilio_url: str = Field(default="https://api.twilio.com", pattern="^https?://[^/?#]+$")
    fcm_service_account: Path | None = None
    """The file that Google gives out for a service account; without it no push message is sent."""
    fcm_url: str = Field(default="https://fcm.googleapis.com", pattern="^https?://[^/?#]+$")
    most_at_once: int = Field(default=20, ge=1, le=500)
    """How many messages one worker has on their way at the same time."""

    realtime_streams_per_user: int = Field(default=10, ge=1, le=1000)
    """How many streams a user may have open in all copies of the API together."""
    realtime_streams: int = Field(default=5000, ge=1, le=50_000)
    """How many streams one API process serves."""
    realtime_longest_seconds: int = Field(default=3600, ge=0, le=86_400)
    """After it a stream ends, and its client has to show anew who it is."""

    pusher_app: SecretStr | None = None
    """``<numeric id>:<key>:<secret>``: offers streams over the Pusher protocol too."""
    pusher_url: SecretStr | None = None
    """``https://key:secret@host/apps/id``: hands messages on to a hosted Pusher application."""

    webhook_keys: SecretStr | None = None
    """``<id>:<base64 of 32 bytes>``, the one to encrypt with first; without it nobody can have
    webhooks."""
    webhook_opened_hosts: str = ""
    """Hosts, as ``name`` or ``name:port``, to which webhooks may go without https, wherever they
    are; for development."""

    @field_validator("webhook_keys")
    @classmethod
    def _keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Cipher.of(value.get_secret_value())
        return value

    @field_validator("webhook_opened_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        opened_hosts(value)
        return value

    @property
    def cipher(self) -> Cipher | None:
        keys = self.webhook_keys
        return None if keys is None else Cipher.of(keys.get_secret_value())

    @field_validator("pusher_app")
    @classmethod
    def _an_application(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Application.of(value.get_secret_value())
        return value

    @field_validator("pusher_url")
    @classmethod
    def _a_hosted_application(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            HostedApplication.of(value.get_secret_value())
        return value

    @property
    def pusher_application(self) -> Application | None:
        text = self.pusher_app
        return None if text is None else Application.of(text.get_secret_value())

    @property
    def hosted_pusher(self) -> HostedApplication | None:
        url = self.pusher_url
        return None if url is None else HostedApplication.of(url.get_secret_value())

    @field_validator("smtp_url")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            SmtpServer.of(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _one_mailbox(cls, value: str | None) -> str | None:
        if value is not None:
            _mailbox(value)
        return value

    @model_validator(mode="after")
    def _has_sender(self) -> Self:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("SMTP_URL needs MAIL_FROM")
        return self

    @field_validator("fcm_service_account")
    @classmethod
    def _readable_account(cls, value: Path | None) -> Path | None:
        if value is not None:
            ServiceAccount.read(value)
        return value

    @model_validator(mode="after")
    def _whole_account(self) -> Self:
        given = (self.twilio_account_sid, self.twilio_auth_token, self.twilio_from)
        if any(given) and not all(given):
            raise ValueError("TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM go together")
        return self

    @property
    def twilio_account(self) -> TwilioAccount | None:
        if not (self.twilio_account_sid and self.twilio_auth_token and self.twilio_from):
            return None
        return TwilioAccount(
            self.twilio_account_sid,
            self.twilio_auth_token.get_secret_value(),
            self.twilio_from,
            self.twilio_url,
        )

    @property
    def service_account(self) -> ServiceAccount | None:
        path = self.fcm_service_account
        return None if path is None else ServiceAccount.read(path)

    @property
    def smtp_server(self) -> SmtpServer | None:
        return None if self.smtp_url is None else SmtpServer.of(self.smtp_url)

    @property
    def sender(self) -> Address:
        """From whom mails come. Only with SMTP_URL."""
        if self.mail_from is None:
            raise ValueError("MAIL_FROM is not set")
        return _mailbox(self.mail_from)


def _mailbox(text: str) -> Address:
    if one_line(text, 300) != text:
        raise ValueError("must be one line")
    name, address = parseaddr(text)
    mailbox = mail_address(address, name=name)
    if not mailbox.addr_spec.isascii():
        raise ValueError("must be an ASCII address, which every server takes")
    return mailbox
