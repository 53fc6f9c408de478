"""The variables that only calendar-sync reads."""

from datetime import timedelta
from typing import Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator

from calendar_sync.vault import Vault
from shared.outside import opened_hosts
from shared.settings import ServiceSettings


class CalendarSyncSettings(ServiceSettings):
    calendar_link_secret: SecretStr = Field(min_length=32)
    """Makes the tokens of feed links; links that exist outlive a change of it."""
    calendar_keys: SecretStr
    """Encrypt the credentials of connections: ``<id>:<base64 of 32 bytes>``, separated by spaces,
    the one to encrypt with first."""
    calendar_poll_seconds: int = Field(default=300, ge=1, le=2400)
    """How often a calendar is looked at that nobody tells us of; always less than the hour after
    which it would not be trusted any more."""
    calendar_visits_at_once: int = Field(default=20, ge=1, le=200)
    """Accounts that one worker talks to at the same time."""
    calendar_opened_hosts: str = ""
    """Hosts, ``name`` or ``name:port``, that may have private addresses and no https."""

    calendar_return_url: HttpUrl | None = None
    """The front end's page to which a consent leads back; a page of ours when there is none."""
    google_client_id: str = ""
    google_client_secret: SecretStr = SecretStr("")
    """Of the registration with Google; without it Google calendars cannot be connected."""
    google_api_url: HttpUrl = HttpUrl("https://www.googleapis.com/calendar/v3")
    google_consent_url: HttpUrl = HttpUrl("https://accounts.google.com/o/oauth2/v2/auth")
    google_token_url: HttpUrl = HttpUrl("https://oauth2.googleapis.com/token")
    google_revoke_url: HttpUrl = HttpUrl("https://oauth2.googleapis.com/revoke")

    microsoft_client_id: str = ""
    microsoft_client_secret: SecretStr = SecretStr("")
    """Of the registration with Microsoft; without it its calendars cannot be connected."""
    microsoft_tenant: str = Field(default="common", pattern=r"^[A-Za-z0-9.-]{1,100}$")
    """Whose people may connect: ``common``, ``organizations``, ``consumers``, or a directory."""
    microsoft_login_url: HttpUrl = HttpUrl("https://login.microsoftonline.com")
    microsoft_graph_url: HttpUrl = HttpUrl("https://graph.microsoft.com/v1.0")

    @model_validator(mode="after")
    def _google_is_whole(self) -> Self:
        if bool(self.google_client_id) != bool(self.google_client_secret.get_secret_value()):
            raise ValueError("google_client_id and google_client_secret go together")
        return self

    @model_validator(mode="after")
    def _microsoft_is_whole(self) -> Self:
        if bool(self.microsoft_client_id) != bool(self.microsoft_client_secret.get_secret_value()):
            raise ValueError("microsoft_client_id and microsoft_client_secret go together")
        return self

    @field_validator("calendar_keys")
    @classmethod
    def _keys(cls, value: SecretStr) -> SecretStr:
        Vault.of(value.get_secret_value())
        return value

    @field_validator("calendar_opened_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        opened_hosts(value)
        return value

    @property
    def public_host(self) -> str:
        """The part behind the @ in the ids of our calendar events."""
        return self.public_url.host or "localhost"

    @property
    def push_origin(self) -> str | None:
        """Providers talk to https only."""
        return self.public_origin if self.public_url.scheme == "https" else None

    @property
    def vault(self) -> Vault:
        return Vault.of(self.calendar_keys.get_secret_value())

    @property
    def opened(self) -> frozenset[str]:
        return opened_hosts(self.calendar_opened_hosts)

    @property
    def poll_every(self) -> timedelta:
        return timedelta(seconds=self.calendar_poll_seconds)
