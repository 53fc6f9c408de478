"""Push messages by FCM, to all devices of a person; dead ones are dropped."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.channels.google_access import ServiceAccount
from notifications.channels.push import PushChannel
from notifications.letters import LetterWriter
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.http import AsyncClient

from .builders import PATIENT, PROVIDER, a_patient, an_appointment
from .conftest import As, MakeSender, Running, Tell, Until
from .google_host import GoogleHost, problem

ONE, OTHER = "a-token-of-the-first-device", "a-token-of-the-other-device"


def devices_of(user_id: UUID) -> str:
    return f"/v1/users/{user_id}/push-devices"


@pytest.fixture
def account(account_file: Path) -> ServiceAccount:
    return ServiceAccount.read(account_file)


@pytest.fixture
async def google(account: ServiceAccount) -> AsyncIterator[GoogleHost]:
    key = load_pem_private_key(account.private_key.encode(), None)
    async with GoogleHost.open(key.public_key()) as host:
        yield host


@pytest.fixture
def with_push(make_sender: MakeSender, google: GoogleHost, account: ServiceAccount) -> MakeSender:
    def make(**given: Any) -> Any:
        there = replace(account, token_url=f"{google.url}/token")
        channel = PushChannel(there, url=google.url, writer=LetterWriter("https://medic.example"))
        return make_sender(channels=[channel], **given)

    return make


@pytest.fixture
async def told(api: AsyncClient, as_user: As, tell: Tell) -> None:
    """A patient with two devices has a confirmed appointment."""
    for token in (ONE, OTHER):
        answer = await api.post(
            devices_of(PATIENT),
            json={"token": token, "platform": "ios"},
            headers=as_user("patient", PATIENT),
        )
        assert answer.status_code == 201
    await tell(a_patient(), an_appointment(BookingConfirmed))


@pytest.fixture
def ended(with_push: MakeSender, running: Running, until: Until, database: Database) -> Any:
    """Runs a sender until the push message has ended, and returns its job."""

    async def the_job() -> asyncpg.Record:
        async with database.reading() as db:
            return await db.fetchrow(
                "SELECT * FROM notification_jobs WHERE channel = 'push' AND kind = 'confirmed'"
            )

    async def ended() -> asyncpg.Record:
        async def it_has() -> bool:
            return (await the_job())["ended_at"] is not None

        async with running(with_push().run()):
            await until(it_has)
        return await the_job()

    return ended


async def tokens(database: Database) -> set[str]:
    async with database.reading() as db:
        return {row["token"] for row in await db.fetch("SELECT token FROM push_devices")}


@pytest.mark.usefixtures("told")
async def test_every_device_shows_the_least(ended: Any, google: GoogleHost) -> None:
    job = await ended()

    assert job["status"] == "sent"
    assert {message["token"] for message in google.sent} == {ONE, OTHER}
    message = google.sent[0]
    assert message["notification"]["title"] == "Your appointment is confirmed"
    assert "(Europe/London, UTC" in message["notification"]["body"]
    assert "Ioannou" not in str(message)
    assert message["data"]["appointmentId"] == str(job["appointment_id"])
    assert message["apns"]["headers"]["apns-collapse-id"] == str(job["id"])
    assert google.tokens == 1


@pytest.mark.usefixtures("told")
async def test_a_device_that_is_gone_is_dropped(
    ended: Any, google: GoogleHost, database: Database
) -> None:
    google.replies[ONE] = [problem(404, "NOT_FOUND", "UNREGISTERED")]

    assert (await ended())["status"] == "sent"

    assert await tokens(database) == {OTHER}


@pytest.mark.usefixtures("told")
async def test_without_a_device_left_the_message_has_failed(
    ended: Any, google: GoogleHost, database: Database
) -> None:
    google.replies = {
        ONE: [problem(404, "NOT_FOUND", "UNREGISTERED")],
        OTHER: [problem(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")],
    }

    assert (await ended())["status"] == "failed"

    assert google.sent == []
    assert await tokens(database) == {OTHER}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "reply",
    [
        problem(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", **{"Retry-After": "0"}),
        problem(503, "UNAVAILABLE", "UNAVAILABLE"),
        problem(500, "INTERNAL", "INTERNAL"),
        problem(401, "UNAUTHENTICATED", None),
    ],
    ids=["quota", "unavailable", "internal", "token"],
)
async def test_what_may_pass_is_tried_again(ended: Any, google: GoogleHost, reply: Any) -> None:
    status, body, headers = reply.status, reply.body, {"Content-Type": "application/json"}
    from aiohttp import web

    for device in (ONE, OTHER):
        google.replies[device] = [web.Response(status=status, body=body, headers=headers)]

    job = await ended()

    assert (job["status"], job["attempts"]) == ("sent", 2)
    assert len(google.sent) == 2
    assert google.tokens == (2 if status == 401 else 1)


@pytest.mark.usefixtures("told")
async def test_a_lost_answer_costs_a_copy_that_replaces_the_first(
    ended: Any, google: GoogleHost
) -> None:
    google.drops = 2

    assert (await ended())["status"] == "sent"

    assert len(google.sent) == 4
    assert len({message["android"]["notification"]["tag"] for message in google.sent}) == 1


@pytest.mark.usefixtures("told")
async def test_without_access_nothing_is_lost(
    with_push: MakeSender,
    running: Running,
    until: Until,
    google: GoogleHost,
    database: Database,
) -> None:
    google.refuses_access = True

    async def it_waits() -> bool:
        async with database.reading() as db:
            return bool(
                await db.fetchval(
                    "SELECT count(*) FROM notification_jobs WHERE last_error = 'no access: 400'"
                )
            )

    async with running(with_push().run()):
        await until(it_waits)
        google.refuses_access = False
        await until(lambda: len(google.sent) == 2)


async def test_a_device_belongs_to_whoever_registered_it_last(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    body = {"token": ONE, "platform": "android"}
    first = await api.post(devices_of(PATIENT), json=body, headers=as_user("patient", PATIENT))
    again = await api.post(devices_of(PATIENT), json=body, headers=as_user("patient", PATIENT))
    assert first.json() == again.json()
    other = await api.post(devices_of(PROVIDER), json=body, headers=as_user("provider", PROVIDER))

    async with database.reading() as db:
        [row] = await db.fetch("SELECT * FROM push_devices")
    assert row["user_id"] == PROVIDER
    path = f"{devices_of(PATIENT)}/{first.json()['id']}"
    assert (await api.delete(path, headers=as_user("patient", PATIENT))).status_code == 404
    path = f"{devices_of(PROVIDER)}/{other.json()['id']}"
    assert (await api.delete(path, headers=as_user("provider", PROVIDER))).status_code == 204
    assert await tokens(database) == set()


async def test_nobody_has_devices_without_end(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    for number in range(23):
        body = {"token": f"a-device-with-number-{number:02}", "platform": "web"}
        await api.post(devices_of(PATIENT), json=body, headers=as_user("patient", PATIENT))

    assert await tokens(database) == {
        f"a-device-with-number-{number:02}" for number in range(3, 23)
    }


@pytest.mark.parametrize(
    "body",
    [
        {"token": "short", "platform": "ios"},
        {"token": "x" * 1001, "platform": "ios"},
        {"token": "a token with spaces in it", "platform": "ios"},
        {"token": "ένα-διακριτικό-συσκευής", "platform": "ios"},
        {"token": ONE, "platform": "pager"},
        {"token": ONE},
        {"token": ONE, "platform": "ios", "userId": str(PROVIDER)},
    ],
)
async def test_odd_devices_are_refused(
    api: AsyncClient, as_user: As, body: dict[str, str], database: Database
) -> None:
    answer = await api.post(devices_of(PATIENT), json=body, headers=as_user("patient", PATIENT))

    assert answer.status_code == 422
    assert await tokens(database) == set()


async def test_devices_of_others_do_not_exist(api: AsyncClient, as_user: As) -> None:
    stranger = as_user("patient", uuid4())
    body = {"token": ONE, "platform": "ios"}

    assert (await api.post(devices_of(PATIENT), json=body, headers=stranger)).status_code == 404
    path = f"{devices_of(PATIENT)}/{uuid4()}"
    assert (await api.delete(path, headers=stranger)).json()["code"] == "user_not_found"
