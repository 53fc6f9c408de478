"""What people, browsers and integrators are told of one appointment, seen from outside."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any

import icalendar
import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from shared.http import AsyncClient, Response
from tests.e2e.system import Caller, Json, System, until

LIMIT = 60.0
REMINDED = "reminder_scheduled"


@dataclass
class Integrator:
    """A server that keeps what it is sent."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def of(self, appointment: Json, kind: str) -> list[tuple[dict[str, str], bytes]]:
        """What came of this kind about this appointment."""
        return [
            (headers, body)
            for headers, body in self.got
            if (told := json.loads(body))["type"] == kind
            and told["data"]["appointmentId"] == appointment["id"]
        ]

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response()


@pytest.fixture
async def integrator() -> AsyncIterator[Integrator]:
    server = Integrator()
    app = web.Application()
    app.router.add_post("/hook", server.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield server
    finally:
        await runner.cleanup()


class Stream:
    """Server-sent events, one after the other."""

    def __init__(self, answer: Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self, kind: str) -> Json:
        """The data of the next event of this kind; others are passed over."""
        async with asyncio.timeout(LIMIT):
            event = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: ") and event == kind:
                    data: Json = json.loads(line.removeprefix("data: "))
                    return data
        raise AssertionError(f"the stream has ended without {kind}")


@asynccontextmanager
async def watching(
    client: AsyncClient, channel: str, *, token: str | None = None, ticket: str | None = None
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    params = {"channels": channel} | ({"ticket": ticket} if ticket else {})
    async with client.stream("GET", "/v1/realtime", headers=headers, params=params) as answer:
        assert answer.status_code == 200, await answer.aread()
        stream = Stream(answer)
        assert (await stream.next("ready"))["channels"] == [channel]
        yield stream


async def test_everybody_is_told_of_an_appointment_and_of_its_end(
    system: System,
    client: AsyncClient,
    patient: Callable[[int], Caller],
    provider_caller: Caller,
    integrator: Integrator,
) -> None:
    patient_two, provider = patient(2), system.demo["providers"][0]
    hooks = f"/v1/providers/{provider['id']}/webhook-endpoints"
    wanted = {"url": integrator.url, "events": ["booking.confirmed", "booking.cancelled"]}
    created = await provider_caller.call("POST", hooks, wanted)
    assert created.status_code == 201, created.text
    ticket = (await patient_two.call("POST", "/v1/realtime/tickets")).json()["ticket"]
    own = f"user.{patient_two.sub}.bookings"
    theirs = f"provider.{provider['id']}.bookings"

    async with (
        watching(client, own, ticket=ticket) as patients_stream,
        watching(client, theirs, token=provider["token"]) as providers_stream,
    ):
        appointment = await booked(patient_two, provider)
        confirmed = [
            await each.next("booking.confirmed") for each in (patients_stream, providers_stream)
        ]
        await until(lambda: reminded(patient_two, appointment), "two reminders in the trail")
        requests = await until(lambda: calendars(system, appointment, "REQUEST"), "two invitations")
        await until(lambda: in_inbox(patient_two, appointment, ["confirmed"]), "an inbox entry")
        await cancel(patient_two, appointment)
        cancelled = [
            await each.next("booking.cancelled") for each in (patients_stream, providers_stream)
        ]

    assert [each["appointmentId"] for each in confirmed + cancelled] == [appointment["id"]] * 4
    assert {each["status"] for each in cancelled} == {"cancelled"}
    cancels = await until(lambda: calendars(system, appointment, "CANCEL"), "two withdrawals")
    check_calendars(requests, cancels, appointment)
    await until(
        lambda: in_inbox(patient_two, appointment, ["cancelled", "confirmed"]),
        "its end in the inbox",
    )
    await check_webhooks(integrator, created.json()["secret"], appointment)
    await until(lambda: nothing_waits(system, appointment), "no reminder is queued")
    sent = await deliveries(patient_two, appointment)
    assert sorted(sent) == [
        ("cancelled", "email", "sent"),
        ("cancelled", "in_app", "sent"),
        ("confirmed", "email", "sent"),
        ("confirmed", "in_app", "sent"),
    ]
    removed = await provider_caller.call("DELETE", f"{hooks}/{created.json()['id']}")
    assert removed.status_code == 204


async def booked(patient: Caller, provider: Json) -> Json:
    """An appointment so far ahead that all its reminders are still to come."""
    service = provider["services"][0]
    slot = (await patient.timeslots(provider, service))[-1]
    reserved = await patient.reserve(provider, service, slot)
    assert reserved.status_code == 201, reserved.text
    body = {"reservationToken": reserved.json()["reservationToken"]}
    answer = await patient.call("POST", "/v1/bookings", body)
    assert answer.status_code == 201, answer.text
    appointment: Json = answer.json()
    return appointment


async def cancel(patient: Caller, appointment: Json) -> None:
    answer = await patient.call("POST", f"/v1/appointments/{appointment['id']}/cancel", {})
    assert answer.status_code == 200, answer.text


async def reminded(patient: Caller, appointment: Json) -> bool:
    """Both defaults, a day and two hours before."""
    trail = await patient.call("GET", f"/v1/appointments/{appointment['id']}/audit")
    return [entry["action"] for entry in trail.json()["items"]].count(REMINDED) == 2


async def calendars(system: System, appointment: Json, method: str) -> list[Json]:
    """Of both mails about the appointment; nothing while one of them is missing."""
    found = [
        {"to": mail["To"], "event": event, "method": part.get_param("method")}
        for mail in system.mails()
        for part in mail.walk()
        if part.get_content_type() == "text/calendar" and part.get_param("method") == method
        for event in events_of(part)
        if appointment["id"] in event["UID"]
    ]
    return found if len(found) == 2 else []


def events_of(part: Message) -> list[Any]:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    calendar = icalendar.Calendar.from_ical(content)
    assert calendar["METHOD"] == part.get_param("method")
    return calendar.walk("VEVENT")


def check_calendars(requests: list[Json], cancels: list[Json], appointment: Json) -> None:
    assert {each["to"] for each in requests} == {each["to"] for each in cancels}
    assert len({each["to"] for each in requests}) == 2
    events = [each["event"] for each in requests + cancels]
    assert len({event["UID"] for event in events}) == 1
    assert {event.start for event in events} == {datetime.fromisoformat(appointment["start"])}
    assert max(each["event"]["SEQUENCE"] for each in requests) < min(
        each["event"]["SEQUENCE"] for each in cancels
    )


async def in_inbox(patient: Caller, appointment: Json, kinds: list[str]) -> bool:
    answer = await patient.call("GET", f"/v1/users/{patient.sub}/notifications")
    entries = answer.json()["items"]
    return [each["kind"] for each in entries if each["appointmentId"] == appointment["id"]] == kinds


async def check_webhooks(integrator: Integrator, secret: str, appointment: Json) -> None:
    for kind in ("booking.confirmed", "booking.cancelled"):

        async def told(kind: str = kind) -> Any:
            return integrator.of(appointment, kind)

        [(headers, body)] = await until(told, f"a webhook {kind}")
        message = Webhook(secret).verify(body, headers)
        assert message["data"]["userId"] == appointment["userId"]


async def nothing_waits(system: System, appointment: Json) -> bool:
    rows = await system.query(
        "notifications",
        "SELECT status FROM notification_jobs WHERE appointment_id = $1 AND kind = 'reminder'",
        appointment["id"],
    )
    return [row["status"] for row in rows] == ["withdrawn"] * 2


async def deliveries(patient: Caller, appointment: Json) -> list[tuple[str, str, str]]:
    path = f"/v1/users/{patient.sub}/notification-deliveries"
    entries = (await patient.call("GET", path)).json()["items"]
    return [
        (each["kind"], each["channel"], each["status"])
        for each in entries
        if each["appointmentId"] == appointment["id"]
    ]
