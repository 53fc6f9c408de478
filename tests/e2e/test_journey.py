"""One appointment through five services, seen from outside."""

from collections.abc import Callable

import pytest

from tests.e2e.system import Caller, System, until


@pytest.fixture
def patient_zero(patient: Callable[[int], Caller]) -> Caller:
    return patient(0)


async def test_an_appointment_is_booked_told_entered_and_cancelled(
    system: System, patient_zero: Caller, provider_caller: Caller
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    slot = (await patient_zero.timeslots(provider, service))[0]

    reserved = await patient_zero.reserve(provider, service, slot)
    token = reserved.json()["reservationToken"]
    booked = await patient_zero.call("POST", "/v1/bookings", {"reservationToken": token})
    appointment = booked.json()

    assert (reserved.status_code, booked.status_code) == (201, 201), booked.text
    assert appointment["status"] == "confirmed"
    assert appointment["start"] == slot["start"]
    await until(lambda: used(patient_zero, token), "the reservation is used")
    await until(lambda: gone(patient_zero, provider, service, slot), "the time is not offered")
    await until(lambda: entered(provider_caller, appointment), "an entry in the feed")
    await until(lambda: mailed(system, appointment, 2), "two e-mails")
    ics = await patient_zero.call("GET", f"/v1/appointments/{appointment['id']}/calendar.ics")
    assert ics.headers["content-type"].startswith("text/calendar")
    assert appointment["id"] in ics.text

    cancelled = await patient_zero.call(
        "POST", f"/v1/appointments/{appointment['id']}/cancel", {"reason": "feeling better"}
    )

    assert cancelled.json()["appointment"]["status"] == "cancelled"
    await until(lambda: offered(patient_zero, provider, service, slot), "the time is offered again")
    await until(lambda: mailed(system, appointment, 4), "two more e-mails")
    trail = await patient_zero.call("GET", f"/v1/appointments/{appointment['id']}/audit")
    actions = [entry["action"] for entry in trail.json()["items"]]
    assert [each for each in actions if each != "reminder_scheduled"] == [
        "held_created",
        "confirmed",
        "cancelled_by_patient",
    ]


async def test_a_released_time_is_offered_again(system: System, patient_zero: Caller) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    slot = (await patient_zero.timeslots(provider, service))[3]
    reserved = await patient_zero.reserve(provider, service, slot)
    await until(lambda: gone(patient_zero, provider, service, slot), "the time is not offered")

    released = await patient_zero.call(
        "DELETE", f"/v1/reservations/{reserved.json()['reservationToken']}"
    )

    assert released.status_code == 204
    await until(lambda: offered(patient_zero, provider, service, slot), "the time is offered again")


async def used(patient: Caller, token: str) -> bool:
    answer = await patient.call("GET", f"/v1/reservations/{token}")
    return bool(answer.json()["status"] == "used")


async def gone(patient: Caller, provider: dict, service: dict, slot: dict) -> bool:
    return not await offered(patient, provider, service, slot)


async def offered(patient: Caller, provider: dict, service: dict, slot: dict) -> bool:
    return slot["id"] in {each["id"] for each in await patient.timeslots(provider, service)}


async def entered(provider: Caller, appointment: dict) -> bool:
    feed = await provider.call("GET", f"/v1/providers/{provider.sub}/calendar-feed")
    return feed.status_code == 200 and appointment["id"] in feed.text


async def mailed(system: System, appointment: dict, count: int) -> bool:
    rows = await system.query(
        "notifications",
        """
        SELECT status FROM notification_jobs
        WHERE appointment_id = $1 AND channel = 'email' AND kind <> 'reminder'
        """,
        appointment["id"],
    )
    return [row["status"] for row in rows] == ["sent"] * count
