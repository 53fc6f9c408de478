"""A patient is erased: nothing names or reaches them in any database, queue or calendar."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from local.radicale import Radicale
from shared.db import Database
from shared.events.patient import PatientUpdated
from shared.http import AsyncClient
from shared.messaging.admin import Admin
from shared.messaging.broker import connected
from shared.messaging.parking import depth, parked_messages
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import LISTENERS, Queues
from shared.messaging.wire import CONTENT_TYPE
from shared.testing.leftovers import leftovers
from tests.e2e.calendar import events_in, login, own_calendar
from tests.e2e.system import Caller, Json, System, until
from tests.e2e.test_calendars import apart, event_at, healthy

MARKERS = {
    "name": "Zyxmark Name",
    "email": "zyxmark.mail@example.org",
    "phone": "+302107770001",
    "contact": "Zyxmark Contact",
    "reason": "Zyxmark reason",
    "notes": "Zyxmark confirming",
    "companion": "Zyxmark Companion",
    "note": "Zyxmark shared",
    "private": "Zyxmark private",
    "device": "zyxmark-device-token-of-the-patient",
    "label": "Zyxmark's phone",
}
NAMES = ("availability", "bookings", "calendar-sync", "notifications", "reservations")


@pytest.fixture
async def calendar(tmp_path: Path) -> AsyncIterator[Radicale]:
    async with own_calendar(tmp_path) as running:
        yield running


async def left(system: System) -> list[str]:
    found = []
    for service in NAMES:
        connection = await asyncpg.connect(system.demo["databases"][service])
        try:
            tables = await leftovers(connection, MARKERS.values())
        finally:
            await connection.close()
        found += [f"{service} {line}" for line in tables]
    return found


async def queued(amqp_url: str) -> list[str]:
    """What is parked with a marker in it, and queues in which something waits."""
    found = []
    async with connected(amqp_url, name="test") as connection:
        for name in LISTENERS:
            queues = Queues(name)
            for each in (queues.main, *queues.retries):
                if await depth(connection, each):
                    found.append(f"{each}: waits")
            for parked in await parked_messages(connection, queues):
                text = parked.delivery.body.decode(errors="replace")
                found += [f"{name} parked: {m}" for m in MARKERS.values() if m in text]
    return found


async def lived(system: System, patient: Caller, doctor: Caller) -> Json:
    """Profile, settings, an appointment with notes; the patient is told of it."""
    user = f"/v1/users/{patient.sub}"
    profile = {
        "name": MARKERS["name"],
        "email": MARKERS["email"],
        "phone": MARKERS["phone"],
        "emergencyContact": {"name": MARKERS["contact"], "phone": "+302107770002"},
    }
    device = {"token": MARKERS["device"], "platform": "android"}
    for method, path, body in (
        ("PATCH", f"/v1/patients/{patient.sub}", profile),
        ("PUT", f"{user}/notification-preferences", {"language": "el"}),
        ("POST", f"{user}/push-devices", device),
        ("POST", f"{user}/calendar-feed/links", {"label": MARKERS["label"]}),
    ):
        answer = await patient.call(method, path, body)
        assert answer.status_code in (200, 201), answer.text
    known = system.demo["providers"][0]
    slot = apart(await patient.timeslots(known, known["services"][0]))[-5]
    token = (await patient.reserve(known, known["services"][0], slot)).json()["reservationToken"]
    booked = await patient.call(
        "POST",
        "/v1/bookings",
        {
            "reservationToken": token,
            "reason": MARKERS["reason"],
            "notes": MARKERS["notes"],
            "participants": [{"name": MARKERS["companion"]}],
        },
    )
    assert booked.status_code == 201, booked.text
    appointment: Json = booked.json()
    notes = f"/v1/appointments/{appointment['id']}/notes"
    for who, text, visibility in (
        (patient, MARKERS["note"], "shared"),
        (doctor, MARKERS["private"], "provider"),
    ):
        written = await who.call("POST", notes, {"text": text, "visibility": visibility})
        assert written.status_code == 201, written.text
    return appointment | {"slot": slot}


async def park(amqp_url: str, patient: Caller) -> None:
    """As if notifications had once failed at a word of the patient."""
    said = PatientUpdated(
        id=patient.sub,  # type: ignore[arg-type]
        version=1,
        name=MARKERS["name"],
        email=MARKERS["email"],
        phone=None,
        language="el",
        timezone="UTC",
    )
    body = {"subject": patient.sub, "sequence": 1, "data": said.model_dump(mode="json")}
    async with Publisher(amqp_url, name="test") as publisher:
        await publisher.publish(
            Outgoing(
                routing_key=Queues("notifications").parked,
                body=json.dumps(body).encode(),
                message_id=str(uuid4()),
                type=said.type,
                content_type=CONTENT_TYPE,
            )
        )


async def test_after_an_erasure_nothing_is_left_anywhere(
    system: System, client: AsyncClient, provider_caller: Caller, calendar: Radicale
) -> None:
    amqp_url = system.variable("AMQP_URL")
    [(sub, token)] = system.tokens(1)
    patient, doctor = Caller(client, token, sub), provider_caller
    connections = f"/v1/providers/{doctor.sub}/calendar-connections"
    created = await doctor.call("POST", connections, login(calendar))
    connection = f"{connections}/{created.json()['id']}"
    await until(lambda: healthy(doctor, connection), "the first visit")
    appointment = await lived(system, patient, doctor)
    await until(lambda: event_at(calendar, appointment["slot"]), "the event in the calendar")
    await until(lambda: mailed(system), "the mail to the patient")
    await park(amqp_url, patient)
    before = await left(system)
    shown = await patient.call("GET", f"/v1/patients/{sub}/export")
    assert {line.partition(": ")[2] for line in before} == set(MARKERS.values())
    assert any("parked" in line for line in await queued(amqp_url))
    export = shown.json()
    assert (export["isComplete"], export["missing"]) == (True, [])
    missing = {name for name, marker in MARKERS.items() if marker not in json.dumps(export)}
    assert missing == {"device", "private"}

    path = f"/v1/patients/{sub}/erasure"
    wish = {"confirmUserId": sub, "reasonCode": "patient_request"}
    refused = await patient.call("POST", path, wish)
    asked = await patient.call("POST", path, wish | {"cancelUpcoming": True})
    assert (refused.status_code, asked.status_code) == (409, 202), asked.text

    async def completed() -> bool:
        answer = await patient.call("GET", path)
        return bool(answer.json()["status"] == "completed")

    await until(completed, "every service has confirmed", limit=60)
    await until(lambda: nothing_waits(amqp_url), "the queues are empty")
    assert await left(system) == []
    assert await queued(amqp_url) == []

    async def removed() -> bool:
        return await event_at(calendar, appointment["slot"]) is None

    await until(removed, "the event is gone from the calendar")
    events = await events_in(calendar)
    assert not any(m in str(event) for event in events for m in MARKERS.values())

    await rebuilt(system, amqp_url)
    assert await left(system) == []
    ended = await doctor.call("DELETE", connection, params={"removeEvents": "true"})
    assert ended.status_code == 204, ended.text


async def mailed(system: System) -> bool:
    mails = await asyncio.to_thread(system.mails)
    return any(mail["To"] and MARKERS["email"] in mail["To"] for mail in mails)


async def nothing_waits(amqp_url: str) -> bool:
    return not any("waits" in line for line in await queued(amqp_url))


async def rebuilt(system: System, amqp_url: str) -> None:
    """Notifications forgets all contacts, and hears the history of bookings once more."""
    databases = system.demo["databases"]
    async with (
        connected(amqp_url, name="test") as connection,
        Publisher(amqp_url, name="test") as publisher,
        Database.open(databases["notifications"], application_name="test") as database,
    ):
        async with database.transaction() as db:
            await db.execute("DELETE FROM contacts WHERE party = 'patient'")
        admin = Admin(connection, publisher, databases, lambda _: None)
        await admin.republish("bookings", "notifications", ["patient.updated", "patient.deleted"])
        others = len(system.demo["patients"])

        async def known() -> bool:
            async with database.reading() as db:
                count: Any = await db.fetchval(
                    "SELECT count(*) FROM contacts WHERE party = 'patient' AND name IS NOT NULL"
                )
            return bool(count >= others)

        await until(known, "the other patients are known again")
