"""A provider whose connected calendar is at the double of Google, visited by the real engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from calendar_sync.calendars.contract import MARKER, RemoteCalendar
from calendar_sync.calendars.google import GoogleKind, registration
from calendar_sync.calendars.oauth import OAuth
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from calendar_sync.use_cases.connect import Opened, connect
from calendar_sync.vault import Vault
from shared.db import Database
from shared.http import AsyncClient, new_client

from .conftest import PROVIDER
from .google_double import GoogleDouble
from .google_double.consent import Grant
from .google_double.server import CLIENT_ID, CLIENT_SECRET
from .google_double.store import Calendar
from .google_double.times import instant_of
from .practice import HOST, KEYS, POLL, Practice

ZONE = "Europe/Athens"


@dataclass(kw_only=True)
class GooglePractice(Practice):
    google: GoogleDouble
    calendar: Calendar
    grant: Grant
    http: AsyncClient

    def another_worker(self, push_origin: str | None = None) -> Visitor:
        visits = Visits(
            self.database,
            {"google": kind_of(self.google, self.http)},
            Vault.of(KEYS),
            HOST,
            POLL,
            push_origin,
        )
        return Visitor(self.database, visits, 5)

    def enter(self, start: datetime, length: timedelta, **details: Any) -> str:
        """What the provider enters by hand."""
        id_: str = self.google.enter(
            self.calendar, start=at(start), end=at(start + length), **details
        )["id"]
        return id_

    def live(self) -> list[dict[str, Any]]:
        """Single events and instances that are not deleted, at Google."""
        return self.calendar.listed(None, None, None, single=True, with_deleted=False)

    def truth(self) -> list[tuple[datetime, datetime]]:
        """When the provider is busy, by what stands at Google."""
        return sorted(
            (instant_of(item["start"], ZONE), instant_of(item["end"], ZONE))
            for item in self.live()
            if not is_ours(item) and item.get("transparency") != "transparent"
        )

    def written(self) -> list[datetime]:
        """When appointments are, by what stands at Google."""
        found = [item for item in self.live() if is_ours(item)]
        return sorted(instant_of(item["start"], ZONE) for item in found)


def is_ours(item: dict[str, Any]) -> bool:
    return MARKER in item.get("extendedProperties", {}).get("private", {})


def at(instant: datetime) -> dict[str, str]:
    return {"dateTime": instant.isoformat(), "timeZone": ZONE}


def kind_of(google: GoogleDouble, http: AsyncClient) -> GoogleKind:
    registered = registration(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        authorize_url=f"{google.url}/o/oauth2/v2/auth",
        token_url=f"{google.url}/token",
        revoke_url=f"{google.url}/revoke",
    )
    return GoogleKind(OAuth(http, registered), google.api_url)


@asynccontextmanager
async def a_google_practice(database: Database) -> AsyncIterator[GooglePractice]:
    """Connected, and not visited yet; its provider is known."""
    async with GoogleDouble.running() as google, new_client() as http:
        calendar, grant = google.an_account(), google.sign_in()
        opened = Opened(
            kind="google",
            account=calendar.owner,
            place="Google Calendar",
            identity=calendar.owner,
            credentials={"refresh_token": grant.refresh_token},
            calendars=[
                RemoteCalendar(
                    id=calendar.id,
                    name=calendar.summary,
                    timezone=ZONE,
                    is_writable=True,
                    is_primary=True,
                )
            ],
        )
        async with database.transaction() as db:
            id_ = await connect(db, PROVIDER, opened, Vault.of(KEYS))
        practice = GooglePractice(
            database,
            PROVIDER,
            google,  # type: ignore[arg-type]
            id_,
            None,  # type: ignore[arg-type]
            google=google,
            calendar=calendar,
            grant=grant,
            http=http,
        )
        practice.visitor = practice.another_worker()
        yield practice
