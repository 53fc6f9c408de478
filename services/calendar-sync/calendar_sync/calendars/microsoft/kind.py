"""How Microsoft 365's calendars are reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calendar_sync.calendars.contract import Credentials, Save
from calendar_sync.calendars.microsoft.account import MicrosoftAccount
from calendar_sync.calendars.microsoft.graph import Graph
from calendar_sync.calendars.oauth import Access, OAuth, Registration
from shared.events.calendar import CalendarKind

_SCOPES = ("openid", "profile", "offline_access", "User.Read", "Calendars.ReadWrite")


def registration(*, client_id: str, client_secret: str, login_url: str) -> Registration:
    """With Microsoft. ``login_url`` ends with the tenant: ``common``, or one directory."""
    return Registration(
        client_id=client_id,
        client_secret=client_secret,
        authorize_url=f"{login_url}/oauth2/v2.0/authorize",
        token_url=f"{login_url}/oauth2/v2.0/token",
        revoke_url=None,
        scopes=_SCOPES,
        # Microsoft does not name offline_access among those that were granted.
        needed_scopes=("Calendars.ReadWrite",),
        consent_parameters={"response_mode": "query", "prompt": "select_account"},
    )


class MicrosoftKind:
    """Needs a registration with Microsoft."""

    name: CalendarKind = "microsoft"
    is_writable = True

    def __init__(self, oauth: OAuth, graph_url: str) -> None:
        self.oauth = oauth
        self._graph_url = graph_url.rstrip("/")

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator[MicrosoftAccount]:
        """Costs no request by itself."""
        yield MicrosoftAccount(Graph(Access(self.oauth, credentials, save), self._graph_url))
