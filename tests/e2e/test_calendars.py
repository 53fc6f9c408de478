"""A provider's own calendar, which appointments are written to and which takes time away."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local.radicale import Radicale
from shared.http import AsyncClient
from tests.e2e.calendar import enter, events_in, login, own_calendar
from tests.e2e.system import Caller, Json, System, until


@pytest.fixture
async def calendar(tmp_path: Path) -> AsyncIterator[Radicale]:
    async with own_calendar(tmp_path) as running:
        yield running


async def test_a_connected_calendar_follows_appointments_and_takes_time_away(
    system: System, client: AsyncClient, patient: Callable[[int], Caller], calendar: Radicale
) -> None:
    known = system.demo["providers"][0]
    provider = Caller(client, known["token"], known["id"])
    patient_three = patient(3)
    connections = f"/v1/providers/{known['id']}/calendar-connections"
    created = await provider.call("POST", connections, login(calendar))
    assert created.status_code == 201, created.text
    connection = f"{connections}/{created.json()['id']}"
    await until(lambda: healthy(provider, connection), "the first visit")

    first, second, third = apart(await patient_three.timeslots(known, known["services"][0]))[-3:]
    appointment = await booked(patient_three, known, first)
    written = await until(lambda: event_at(calendar, first), "the appointment in the calendar")
    assert system.demo["patients"][3]["name"] not in str(written)

    moved = await rescheduled(patient_three, known, appointment, second)
    same = await until(lambda: event_at(calendar, second), "the event at its new time")
    assert same["UID"] == written["UID"]
    assert not await event_at(calendar, first)

    await cancel(patient_three, moved)
    await until(lambda: nothing_at(calendar, second), "the event is removed")
    trail = await patient_three.call("GET", f"/v1/appointments/{moved['id']}/audit")
    assert "calendar_event_written" in {entry["action"] for entry in trail.json()["items"]}

    await enter(calendar, "dentist", start=third["start"], end=third["end"])
    await resync(provider, connection)
    await until(lambda: is_gone(patient_three, known, third), "the busy time is not offered")
    await calendar.delete("dentist")
    await resync(provider, connection)
    await until(lambda: is_offered(patient_three, known, third), "the free time is offered")

    await enter(calendar, "dentist", start=third["start"], end=third["end"])
    await resync(provider, connection)
    await until(lambda: is_gone(patient_three, known, third), "the busy time is not offered")
    other = await booked(patient_three, known, first)
    await until(lambda: event_at(calendar, first), "another appointment in the calendar")
    ended = await provider.call("DELETE", connection, params={"removeEvents": "true"})
    assert ended.status_code == 204, ended.text
    await until(lambda: is_offered(patient_three, known, third), "what it said does not count")
    await until(lambda: unknown(provider, connection), "the connection is taken down")
    assert [str(event["SUMMARY"]) for event in await events_in(calendar)] == ["Dentist"]
    await cancel(patient_three, other)


async def healthy(provider: Caller, connection: str) -> bool:
    answer = await provider.call("GET", connection)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["health"] == "healthy")


async def unknown(provider: Caller, connection: str) -> bool:
    return (await provider.call("GET", connection)).status_code == 404


async def resync(provider: Caller, connection: str) -> None:
    answer = await provider.call("POST", f"{connection}/resync")
    assert answer.status_code == 202, answer.text


async def reserved(patient: Caller, provider: Json, slot: Json) -> Json:
    answer = await patient.reserve(provider, provider["services"][0], slot)
    assert answer.status_code == 201, answer.text
    return {"reservationToken": answer.json()["reservationToken"]}


async def booked(patient: Caller, provider: Json, slot: Json) -> Json:
    answer = await patient.call("POST", "/v1/bookings", await reserved(patient, provider, slot))
    assert answer.status_code == 201, answer.text
    appointment: Json = answer.json()
    return appointment


async def rescheduled(patient: Caller, provider: Json, appointment: Json, slot: Json) -> Json:
    body = await reserved(patient, provider, slot)
    path = f"/v1/appointments/{appointment['id']}/reschedule"
    answer = await patient.call("POST", path, body)
    assert answer.status_code == 200, answer.text
    moved: Json = answer.json()
    return moved


async def cancel(patient: Caller, appointment: Json) -> None:
    answer = await patient.call("POST", f"/v1/appointments/{appointment['id']}/cancel", {})
    assert answer.status_code == 200, answer.text


async def event_at(calendar: Radicale, slot: Json) -> Any:
    """The one event that begins with the slot; None when there is none."""
    start = datetime.fromisoformat(slot["start"])
    found = [each for each in await events_in(calendar) if each.start == start]
    assert len(found) <= 1
    return found[0] if found else None


async def nothing_at(calendar: Radicale, slot: Json) -> bool:
    return await event_at(calendar, slot) is None


async def is_offered(patient: Caller, provider: Json, slot: Json) -> bool:
    slots = await patient.timeslots(provider, provider["services"][0])
    return slot["id"] in {each["id"] for each in slots}


async def is_gone(patient: Caller, provider: Json, slot: Json) -> bool:
    return not await is_offered(patient, provider, slot)


def apart(slots: list[Json]) -> list[Json]:
    """Slots of which none touches another."""
    chosen: list[Json] = []
    for slot in slots:
        if not chosen or slot["start"] > chosen[-1]["end"]:
            chosen.append(slot)
    return chosen
