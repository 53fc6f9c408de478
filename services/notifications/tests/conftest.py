"""What the tests of notifications are about: events that arrive, and mails that leave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from email.headerregistry import Address
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI

from notifications.app import make_app
from notifications.channels.email import EmailChannel
from notifications.channels.smtp import SmtpServer
from notifications.consumers import HANDLERS
from notifications.domain.job import Backoff
from notifications.domain.schedule import ANCHORS
from notifications.letters import LetterWriter
from notifications.sender import Pace, Sender
from notifications.settings import NotificationsSettings
from notifications.unsubscribing import UnsubscribeLinks
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.events.envelope import EventData
from shared.events.notification import NotificationEvent
from shared.events.registry import EVENT_TYPES
from shared.http import AsyncClient
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

from .builders import a_patient, a_provider, an_appointment, an_event
from .mail_host import MailHost

SENDER = Address("Medic", "appointments", "medic.example")
HASTE = Pace(
    poll=0.05,
    lease=timedelta(seconds=1),
    contact_pause=timedelta(milliseconds=50),
    backoff=Backoff(timedelta(milliseconds=20), timedelta(milliseconds=50)),
)

LATER = {news.value for news in ANCHORS}

Events = Callable[[], Awaitable[list[NotificationEvent]]]
As = Callable[[str, UUID], dict[str, str]]
Tell = Callable[..., Awaitable[None]]
Rows = Callable[..., Awaitable[list[asyncpg.Record]]]
Statuses = Callable[[], Awaitable[list[str]]]
Until = Callable[..., Awaitable[Any]]
MakeSender = Callable[..., Sender]
Running = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture(scope="session")
def service_folder() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
def tell(database: Database) -> Tell:
    """Hands events to notifications, in this order, each in a transaction of its own."""

    async def tell(*facts: EventData) -> None:
        for fact in facts:
            async with database.transaction() as db:
                await HANDLERS[type(fact)](db, an_event(fact))

    return tell


@pytest.fixture
def app(settings_values: dict[str, Any]) -> FastAPI:
    return make_app(NotificationsSettings(**settings_values))


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> As:
    """``headers=as_user("patient", PATIENT)``"""

    def headers(role: str, sub: UUID) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(role, sub)}"}

    return headers


@pytest.fixture
async def known_people(tell: Tell) -> None:
    """Both parties' contact details have arrived."""
    await tell(a_patient(), a_provider())


@pytest.fixture
async def confirmed(tell: Tell) -> None:
    """An appointment is confirmed, so that two mails are due."""
    await tell(an_appointment(BookingConfirmed))


@pytest.fixture
def jobs(database: Database) -> Rows:
    """What is told at once by mail, or what has these values: ``await jobs(party="patient")``."""

    async def jobs(**wanted: Any) -> list[asyncpg.Record]:
        rows = await _all_jobs(database, {"channel": "email"} | wanted)
        return [row for row in rows if row["kind"] not in LATER]

    return jobs


@pytest.fixture
def later_jobs(database: Database) -> Rows:
    """Likewise of what is told at its time outside the inbox, the earliest first."""

    async def jobs(**wanted: Any) -> list[asyncpg.Record]:
        rows = [
            row
            for row in await _all_jobs(database, wanted)
            if row["kind"] in LATER and row["channel"] != "in_app"
        ]
        return sorted(rows, key=lambda row: row["due_at"])

    return jobs


async def _all_jobs(database: Database, wanted: dict[str, Any]) -> list[asyncpg.Record]:
    async with database.reading() as db:
        rows = await db.fetch("SELECT * FROM notification_jobs ORDER BY kind, party, channel")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


@pytest.fixture
def events(database: Database) -> Events:
    """What has been announced, as listeners read it, in this order."""

    async def events() -> list[NotificationEvent]:
        async with database.reading() as db:
            rows = await db.fetch("SELECT type, subject, data FROM outbox ORDER BY position")
        found = [EVENT_TYPES[row["type"]].model_validate(row["data"]) for row in rows]
        assert [event.subject for event in found] == [row["subject"] for row in rows]
        return [event for event in found if isinstance(event, NotificationEvent)]

    return events


@pytest.fixture
def deliveries(database: Database) -> Rows:
    """Every attempt outside the inbox."""

    async def deliveries() -> list[asyncpg.Record]:
        async with database.reading() as db:
            return await db.fetch(
                "SELECT * FROM notification_deliveries WHERE channel <> 'in_app' "
                "ORDER BY started_at"
            )

    return deliveries


@pytest.fixture
def delivery_statuses(deliveries: Rows) -> Statuses:
    """How all attempts ended, sorted."""

    async def statuses() -> list[str]:
        return sorted(row["status"] for row in await deliveries())

    return statuses


@pytest.fixture
def until() -> Until:
    """Waits for a condition's first truthy value; fails when there is none in time."""

    async def until(condition: Callable[[], Any], limit: float = 20.0) -> Any:
        deadline = monotonic() + limit
        while True:
            value = condition()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return value
            assert monotonic() < deadline, "the condition has not come true"
            await asyncio.sleep(0.01)

    return until


@pytest.fixture
async def mail_host() -> AsyncIterator[MailHost]:
    async with MailHost.open() as host:
        yield host


@pytest.fixture
def make_sender(database: Database, database_url: str, mail_host: MailHost) -> MakeSender:
    """A sender in a hurry, to the test's mail host."""

    def make(**given: Any) -> Sender:
        channel = EmailChannel(
            SmtpServer.of(mail_host.url),
            sender=SENDER,
            writer=LetterWriter("https://medic.example"),
            links=UnsubscribeLinks("https://medic.example", secret="a secret"),
            answer_timeout=given.pop("answer_timeout", 5.0),
        )
        values: dict[str, Any] = {
            "database": database,
            "database_url": database_url,
            "channels": [channel],
            "most_at_once": 10,
            "pace": HASTE,
        }
        return Sender(**values | given)

    return make


@pytest.fixture
def running() -> Running:
    """``async with running(sender.run()):`` and none of the loops may end by itself."""

    @asynccontextmanager
    async def running(*loops: Any) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            yield
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    return running


@pytest.fixture
def deliver_all(make_sender: MakeSender, running: Running, database: Database, until: Until) -> Any:
    """Runs a sender until nothing is left that is told at once by mail, and nothing of ``also``."""

    async def deliver_all(also: Sequence[asyncpg.Record] = ()) -> None:
        wanted = {job["id"] for job in also}

        async def nothing_left() -> bool:
            left = [job for job in await _all_jobs(database, {}) if job["ended_at"] is None]
            return not any(
                job["id"] in wanted or (job["channel"] == "email" and job["kind"] not in LATER)
                for job in left
            )

        async with running(make_sender().run()):
            await until(nothing_left)

    return deliver_all


@pytest.fixture(scope="session")
def account_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account as Google gives it out, with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "medic-test",
        "private_key_id": "key-1",
        "private_key": private.decode(),
        "client_email": "push@medic-test.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    path = tmp_path_factory.mktemp("google") / "account.json"
    path.write_text(json.dumps(account))
    return path
