"""The engine on two real servers, from the API to the calendar and back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from calendar_sync.calendars.caldav import CalDav, CalDavAccount
from calendar_sync.calendars.contract import Credentials, OurEvent, Save, Written
from calendar_sync.calendars.kinds import Kinds
from calendar_sync.sync.lease import claim
from calendar_sync.sync.visit import Visits
from calendar_sync.sync.visitor import Visitor
from shared.db import Database
from shared.events.booking import BookingCancelled, BookingConfirmed, BookingRescheduled
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient
from shared.ids import new_id

from .conftest import PROVIDER, AnAppointment, Tell
from .dav_servers import PASSWORD, USER, DavServer, radicale, xandikos
from .practice import in_days
from .remote import Killed

CONNECTIONS = f"/v1/providers/{PROVIDER}/calendar-connections"
AT, LATER = in_days(4), in_days(5)


@pytest.fixture(scope="module", params=[radicale, xandikos], ids=lambda each: each.__name__)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DavServer]:
    with request.param(tmp_path_factory.mktemp("dav")) as server:
        yield server


class Clinic:
    """A provider with one calendar of their own, on a real server."""

    def __init__(
        self, client: AsyncClient, owner: dict[str, str], server: DavServer, database: Database
    ) -> None:
        self.server = server
        self.calendar = server.new_calendar()
        self.visits: Visits
        self.path = ""
        self._client = client
        self._owner = owner
        self._database = database

    async def connect(self) -> None:
        to = {"kind": "caldav", "url": self.server.url, "username": USER, "password": PASSWORD}
        made = await self._client.post(CONNECTIONS, json=to, headers=self._owner)
        assert made.status_code == 201, made.text
        async with self._database.reading() as db:
            id_ = await db.fetchval(
                "SELECT id FROM calendars WHERE external_id = $1", self.calendar
            )
        self.path = f"{CONNECTIONS}/{made.json()['id']}"
        choice = {"busyCalendarIds": [str(id_)], "targetCalendarId": str(id_)}
        chosen = await self._client.patch(self.path, json=choice, headers=self._owner)
        assert chosen.status_code == 200, chosen.text

    async def visit(self) -> None:
        async with self._database.autocommit() as db:
            await db.execute("UPDATE connections SET next_visit_at = now(), lease_until = NULL")
            await db.execute("UPDATE written_events SET try_at = NULL")
        visitor = Visitor(self._database, self.visits, 5)
        await visitor.tick()
        await visitor.idle()

    async def shown(self) -> Any:
        return (await self._client.get(self.path, headers=self._owner)).json()

    async def end(self) -> None:
        answer = await self._client.delete(f"{self.path}?removeEvents=true", headers=self._owner)
        assert (answer.status_code, answer.content) == (204, b"")

    async def types(self) -> list[str]:
        async with self._database.reading() as db:
            rows = await db.fetch("SELECT type FROM outbox ORDER BY position")
        return [row["type"].removeprefix("calendar.") for row in rows]

    async def busy(self) -> list[Any]:
        async with self._database.reading() as db:
            rows = await db.fetch("SELECT starts_at FROM external_busy_times ORDER BY starts_at")
        return [row["starts_at"] for row in rows]

    def events(self) -> list[tuple[str, str]]:
        """Path and content of what is there, as another application sees it."""
        listing = self.server.call("PROPFIND", self.calendar, Depth="1").decode()
        paths = {
            part.split("<")[0]
            for part in listing.split("href>")
            if part.split("<")[0].endswith(".ics")
        }
        return [(path, self.server.call("GET", path).decode()) for path in sorted(paths)]

    def starts(self) -> list[str]:
        return sorted(
            line.removeprefix("DTSTART:").strip()
            for _, text in self.events()
            for line in text.splitlines()
            if line.startswith("DTSTART:")
        )


@pytest.fixture
async def clinic(
    client: AsyncClient,
    provider: dict[str, str],
    server: DavServer,
    database: Database,
    app: FastAPI,
    tell: Tell,
    the_provider: ProviderUpdated,
) -> AsyncIterator[Clinic]:
    await tell(the_provider)
    clinic = Clinic(client, provider, server, database)
    settings = app.state.settings
    async with Kinds.open(settings) as kinds:
        clinic.visits = Visits(
            database, kinds.by_name, settings.vault, settings.public_host, timedelta(minutes=5)
        )
        await clinic.connect()
        yield clinic


def written(at: Any) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


async def test_the_whole_way_in_both_directions(
    clinic: Clinic, tell: Tell, an_appointment: AnAppointment
) -> None:
    busy = f"UID:b\nDTSTART:{written(in_days(3))}\nDURATION:PT1H"
    clinic.server.put(f"{clinic.calendar}b.ics", busy)
    appointment = an_appointment(BookingConfirmed, start=AT)
    await tell(appointment)

    await clinic.visit()

    shown = await clinic.shown()
    assert (shown["health"], shown["lastError"], shown["trouble"]) == ("healthy", None, [])
    assert clinic.starts() == [written(in_days(3)), written(AT)]
    assert await clinic.busy() == [in_days(3)]
    assert await clinic.types() == ["event_written", "busy_changed", "connection_connected"]

    new = an_appointment(
        BookingRescheduled, id=new_id(), start=LATER, rescheduled_from=appointment.id
    )
    await tell(new)
    clinic.server.call("DELETE", f"{clinic.calendar}b.ics")
    await clinic.visit()
    assert clinic.starts() == [written(LATER)]
    assert await clinic.busy() == []

    await tell(an_appointment(BookingCancelled, id=new.id, version=3, start=LATER))
    await clinic.visit()
    quiet = await clinic.types()
    await clinic.visit()
    assert clinic.starts() == []
    assert await clinic.types() == quiet


async def test_disconnecting_takes_our_events_away(
    clinic: Clinic, tell: Tell, an_appointment: AnAppointment
) -> None:
    clinic.server.put(f"{clinic.calendar}b.ics", f"UID:b\nDTSTART:{written(LATER)}\nDURATION:PT1H")
    await tell(an_appointment(BookingConfirmed, start=AT))
    await clinic.visit()

    await clinic.end()
    assert (await clinic.shown())["state"] == "disconnecting"
    await clinic.visit()

    assert (await clinic.shown())["code"] == "calendar_connection_not_found"
    assert clinic.starts() == [written(LATER)]


async def test_what_somebody_does_to_our_event_is_put_right(
    clinic: Clinic, tell: Tell, an_appointment: AnAppointment
) -> None:
    await tell(an_appointment(BookingConfirmed, start=AT))
    await clinic.visit()
    await clinic.visit()
    ((path, text),) = clinic.events()
    clinic.server.call(
        "PUT", path, text.replace(written(AT), written(LATER)), **{"Content-Type": "text/calendar"}
    )
    await clinic.visit()
    after_move = clinic.starts()
    clinic.server.call("DELETE", path)
    await clinic.visit()

    assert after_move == clinic.starts() == [written(AT)]
    assert await clinic.busy() == []


class _Dying(CalDav):
    """Dies right after the server has the event."""

    @asynccontextmanager
    async def open(self, credentials: Credentials, save: Save) -> AsyncIterator[CalDavAccount]:
        async with super().open(credentials, save) as account:
            put = account.put

            async def put_and_die(
                calendar_id: str, event: OurEvent, *, etag: str | None
            ) -> Written:
                await put(calendar_id, event, etag=etag)
                raise Killed

            account.put = put_and_die  # type: ignore[method-assign]
            yield account


async def test_killed_between_the_insert_and_our_commit_there_is_one_event(
    clinic: Clinic, tell: Tell, an_appointment: AnAppointment, database: Database
) -> None:
    await tell(an_appointment(BookingConfirmed, start=AT))
    caldav = clinic.visits.kinds["caldav"]
    assert isinstance(caldav, CalDav)
    dying = Visits(
        database,
        {"caldav": _Dying(caldav._outside, caldav._expander)},
        clinic.visits.vault,
        clinic.visits.host,
        clinic.visits.poll_every,
    )
    (lease,) = await claim(database, 1)
    with pytest.raises(Killed):
        await dying._visit(lease)
    assert clinic.starts() == [written(AT)]

    await clinic.visit()

    assert clinic.starts() == [written(AT)]
    assert (await clinic.types()).count("event_written") == 1
