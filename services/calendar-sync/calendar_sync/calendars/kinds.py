"""The kinds of calendars that this installation can reach."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from calendar_sync.calendars.caldav import CalDav
from calendar_sync.calendars.contract import Kind
from calendar_sync.calendars.expansion import Expander
from calendar_sync.calendars.google import GoogleKind
from calendar_sync.calendars.google import registration as google_registration
from calendar_sync.calendars.ics_url import IcsUrl
from calendar_sync.calendars.microsoft import MicrosoftKind
from calendar_sync.calendars.microsoft import registration as microsoft_registration
from calendar_sync.calendars.oauth import ConsentedKind, OAuth
from calendar_sync.settings import CalendarSyncSettings
from shared.events.calendar import CalendarKind
from shared.http import AsyncClient, new_client
from shared.observability import logger
from shared.outside import Outside


@dataclass(frozen=True, slots=True)
class Kinds:
    """They live as long as the process."""

    outside: Outside
    caldav: CalDav
    ics: IcsUrl
    consented: Mapping[CalendarKind, ConsentedKind]
    """Those that are set up here, of the kinds to which one is led by a consent."""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: CalendarSyncSettings) -> AsyncIterator[Self]:
        async with (
            Outside.open(opened=settings.opened) as outside,
            # A large file takes half a minute, which nobody else should wait for.
            Expander.open() as objects,
            Expander.open() as files,
            new_client() as http,
        ):
            caldav, ics = CalDav(outside, objects), IcsUrl(outside, files)
            consented = {kind.name: kind for kind in _consented(settings, http)}
            yield cls(outside, caldav, ics, consented)

    @property
    def by_name(self) -> Mapping[CalendarKind, Kind]:
        kinds: tuple[Kind, ...] = (self.caldav, self.ics, *self.consented.values())
        return {kind.name: kind for kind in kinds}


def _consented(settings: CalendarSyncSettings, http: AsyncClient) -> Iterator[ConsentedKind]:
    if settings.google_client_id:
        google = google_registration(
            client_id=settings.google_client_id,
            client_secret=settings.google_client_secret.get_secret_value(),
            authorize_url=str(settings.google_consent_url),
            token_url=str(settings.google_token_url),
            revoke_url=str(settings.google_revoke_url),
        )
        yield GoogleKind(OAuth(http, google), str(settings.google_api_url))
    else:
        logger.info("calendar_kind_off", kind="google", missing="GOOGLE_CLIENT_ID")
    if settings.microsoft_client_id:
        login_url = str(settings.microsoft_login_url).rstrip("/")
        microsoft = microsoft_registration(
            client_id=settings.microsoft_client_id,
            client_secret=settings.microsoft_client_secret.get_secret_value(),
            login_url=f"{login_url}/{settings.microsoft_tenant}",
        )
        yield MicrosoftKind(OAuth(http, microsoft), str(settings.microsoft_graph_url))
    else:
        logger.info("calendar_kind_off", kind="microsoft", missing="MICROSOFT_CLIENT_ID")
