"""One appointment as a file: for its patient, its provider and admins."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from icalendar import Calendar

from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingHeld,
)
from shared.http import AsyncClient, Response
from shared.ids import new_id

AnAppointment = Callable[..., AppointmentEvent]
AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]
Tell = Callable[..., Awaitable[None]]


def path_of(appointment: AppointmentEvent) -> str:
    return f"/v1/appointments/{appointment.id}/calendar.ics"


async def test_a_patient_downloads_the_appointment(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    appointment = an_appointment()
    await tell(appointment)

    response = await client.get(path_of(appointment), headers=patient)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-disposition"] == 'attachment; filename="appointment.ics"'
    [event] = Calendar.from_ical(response.content).walk("VEVENT")
    assert event["UID"] == f"{appointment.id}@clinic.example"
    assert event["SUMMARY"] == "Appointment with Dr. Eleni Ioannou"
    assert event["DESCRIPTION"] == "First consultation"
    assert event["LOCATION"] == "Main clinic, 5 Example Street, Athens"
    assert event.start == appointment.start


async def test_the_provider_is_told_in_neutral_words(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, provider: Headers
) -> None:
    appointment = an_appointment()
    await tell(appointment)

    response = await client.get(path_of(appointment), headers=provider)

    [event] = Calendar.from_ical(response.content).walk("VEVENT")
    assert event["SUMMARY"] == "Appointment"
    assert "DESCRIPTION" not in event


async def test_a_later_download_updates_the_earlier_one(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    appointment = an_appointment(version=2)
    await tell(appointment)
    [before] = await events(client, appointment, patient)

    await tell(an_appointment(BookingCancelled, id=appointment.id, version=3))
    [after] = await events(client, appointment, patient)

    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["STATUS"] == "CANCELLED"


async def test_an_appointment_is_for_those_who_take_part(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, as_user: AsUser
) -> None:
    appointment = an_appointment()
    await tell(appointment)
    patient, provider, nobody = appointment.user_id, appointment.provider_id, new_id()
    callers = {
        ("patient", patient): 200,
        ("provider", provider): 200,
        ("admin", nobody): 200,
        ("patient", nobody): 404,
        ("provider", nobody): 404,
        ("patient", provider): 404,
        ("provider", patient): 404,
        ("service", patient): 404,
        ("service", provider): 404,
    }

    answered = {
        caller: (await client.get(path_of(appointment), headers=as_user(*caller))).status_code
        for caller in callers
    }

    assert answered == callers


async def test_without_a_token_there_is_no_file(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment
) -> None:
    appointment = an_appointment()
    await tell(appointment)

    assert (await client.get(path_of(appointment))).status_code == 401


async def test_somebody_elses_appointment_looks_like_none(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, as_user: AsUser
) -> None:
    appointment = an_appointment()
    await tell(appointment)
    stranger = as_user("patient", new_id())

    hidden, absent, held = [
        await client.get(path_of(each), headers=stranger)
        for each in (appointment, an_appointment(), an_appointment(BookingHeld))
    ]

    assert hidden.status_code == 404
    assert same_problem(hidden) == same_problem(absent) == same_problem(held)
    assert hidden.json()["code"] == "appointment_not_found"


async def test_an_odd_id_is_refused(client: AsyncClient, patient: Headers) -> None:
    response = await client.get("/v1/appointments/7/calendar.ics", headers=patient)

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "NOT_AN_ID"


async def events(
    client: AsyncClient, appointment: AppointmentEvent, headers: Headers
) -> list[dict[str, object]]:
    response = await client.get(path_of(appointment), headers=headers)
    return [dict(event) for event in Calendar.from_ical(response.content).walk("VEVENT")]


def same_problem(response: Response) -> dict[str, object]:
    problem: dict[str, object] = response.json()
    return {key: problem[key] for key in problem.keys() - {"instance", "traceId"}}
