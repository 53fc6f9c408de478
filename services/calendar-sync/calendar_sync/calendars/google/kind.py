"""How Google's calendars are reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calendar_sync.calendars.contract import Credentials, Save
from calendar_sync.calendars.google.account import GoogleAccount
from calendar_sync.calendars.oauth import Access, OAuth, Registration
from shared.events.calendar import CalendarKind

_SCOPES = "https://www.googleapis.com/auth/"
_NEEDED = (
    # Events on calendars that the account owns; no right to any calendar itself.
    f"{_SCOPES}calendar.events.owned",
    f"{_SCOPES}calendar.calendarlist.readonly",
)


def registration(
    *, client_id: str, client_secret: str, authorize_url: str, token_url: str, revoke_url: str
) -> Registration:
    """With Google: a consent that lasts while its owner is away, and is asked for each time,
    because only then a refresh token comes."""
    return Registration(
        client_id=client_id,
        client_secret=client_secret,
        authorize_url=authorize_url,
        token_url=token_url,
        revoke_url=revoke_url,
        scopes=_NEEDED,
        needed_scopes=_NEEDED,
        consent_parameters={
            "access_type": "offline",
            "prompt": "consent",
            "include_granted_scopes": "true",
        },
    )


class GoogleKind:
    """Needs a registration with Google."""

    name: CalendarKind = "google"
    is_writable = True

    def __init__(self, oauth: OAuth, api_url: str) -> None:
        self.oauth = oauth
        self._api_url = api_url.rstrip("/")

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator[GoogleAccount]:
        """Costs no request by itself."""
        yield GoogleAccount(Access(self.oauth, credentials, save), self._api_url)
