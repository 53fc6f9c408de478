"""The variables that only calendar-sync reads."""

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings


class CalendarSyncSettings(ServiceSettings):
    calendar_link_secret: SecretStr = Field(min_length=32)
    """Makes the tokens of feed links; links that exist outlive a change of it."""

    @property
    def public_host(self) -> str:
        """The part behind the @ in the ids of our calendar events."""
        return self.public_url.host or "localhost"
