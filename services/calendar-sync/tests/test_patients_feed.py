"""A patient's feed and its links: the same as a provider's, about their own appointments."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from icalendar import Calendar

from calendar_sync.links import MOST_LINKS, hash_of
from shared.db import Database
from shared.events.booking import AppointmentEvent, BookingRequested
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient, Response
from shared.ids import new_id

from .conftest import PATIENT, PROVIDER

AnAppointment = Callable[..., AppointmentEvent]
AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]
Tell = Callable[..., Awaitable[None]]

PATH = f"/v1/users/{PATIENT}/calendar-feed"
OF_PROVIDER = f"/v1/providers/{PROVIDER}/calendar-feed"
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def summaries(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [str(event["SUMMARY"]) for event in Calendar.from_ical(response.content).walk("VEVENT")]


async def linked(client: AsyncClient, path: str, headers: Headers, **body: object) -> str:
    """The path of a new link's feed."""
    made = await client.post(f"{path}/links", headers=headers, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["url"]).removeprefix("https://clinic.example")


async def test_a_patient_without_appointments_has_an_empty_feed(
    client: AsyncClient, patient: Headers
) -> None:
    response = await client.get(PATH, headers=patient)

    assert summaries(response) == []
    assert "X-WR-TIMEZONE" not in response.text


async def test_it_has_the_patients_appointments_and_nobody_elses(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    mine = an_appointment(start=TOMORROW)
    with_another = an_appointment(BookingRequested, start=TOMORROW, provider_id=new_id())
    await tell(mine, with_another, an_appointment(start=TOMORROW, user_id=new_id()))

    response = await client.get(PATH, headers=patient)

    uids = {str(each["UID"]) for each in Calendar.from_ical(response.content).walk("VEVENT")}
    assert uids == {f"{each.id}@clinic.example" for each in (mine, with_another)}


async def test_by_default_it_says_neither_with_whom_nor_what(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    await tell(an_appointment(start=TOMORROW))

    answers = [
        await client.get(PATH, headers=patient),
        await client.get(await linked(client, PATH, patient)),
    ]

    for answer in answers:
        assert summaries(answer) == ["Appointment"]
        assert "Ioannou" not in answer.text
        assert "consultation" not in answer.text


async def test_a_detailed_link_of_a_patient_says_with_whom_and_what(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    await tell(an_appointment(start=TOMORROW))

    answer = await client.get(await linked(client, PATH, patient, detailed=True))

    assert summaries(answer) == ["Appointment with Dr. Eleni Ioannou"]
    assert "DESCRIPTION:First consultation" in answer.text


async def test_a_detailed_link_of_a_provider_says_what_and_never_with_whom(
    client: AsyncClient,
    tell: Tell,
    the_provider: ProviderUpdated,
    an_appointment: AnAppointment,
    provider: Headers,
) -> None:
    await tell(the_provider, an_appointment(start=TOMORROW))
    neutral, detailed = [
        await client.get(await linked(client, OF_PROVIDER, provider, detailed=each))
        for each in (False, True)
    ]

    assert summaries(neutral) == ["Appointment"]
    assert summaries(detailed) == ["Appointment: First consultation"]
    assert str(PATIENT) not in detailed.text
    assert neutral.headers["etag"] != detailed.headers["etag"]


async def test_an_unchanged_feed_is_not_sent_again(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, patient: Headers
) -> None:
    await tell(an_appointment(start=TOMORROW))
    path = await linked(client, PATH, patient, detailed=True)
    first = await client.get(path)

    same = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    await tell(an_appointment(start=TOMORROW))
    changed = await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (same.status_code, changed.status_code) == (304, 200)
    assert first.headers["cache-control"] == "private, no-store"


async def test_a_patients_links_are_listed_revoked_and_limited(
    client: AsyncClient, patient: Headers
) -> None:
    path = await linked(client, PATH, patient, label="phone", detailed=True)
    [shown] = (await client.get(f"{PATH}/links", headers=patient)).json()["items"]
    assert (shown["label"], shown["detailed"]) == ("phone", True)

    gone = await client.delete(f"{PATH}/links/{shown['id']}", headers=patient)

    assert gone.status_code == 204
    assert (await client.get(path)).status_code == 404
    answers = [await client.post(f"{PATH}/links", headers=patient) for _ in range(MOST_LINKS + 1)]
    assert [each.status_code for each in answers] == [201] * MOST_LINKS + [409]


@pytest.mark.parametrize("role", ["patient", "provider"])
async def test_for_strangers_there_is_no_such_user(
    client: AsyncClient, as_user: AsUser, patient: Headers, role: str
) -> None:
    # A provider whose id happens to be the patient's is somebody else all the same.
    stranger = as_user(role, PATIENT if role == "provider" else new_id())
    path = await linked(client, PATH, patient)
    [link] = (await client.get(f"{PATH}/links", headers=patient)).json()["items"]

    answers = [
        await client.get(PATH, headers=stranger),
        await client.get(f"{PATH}/links", headers=stranger),
        await client.post(f"{PATH}/links", headers=stranger),
        await client.delete(f"{PATH}/links/{link['id']}", headers=stranger),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [
        (404, "user_not_found")
    ] * 4
    assert (await client.get(path)).status_code == 200


async def test_a_link_is_revoked_by_its_owner_alone(
    client: AsyncClient,
    tell: Tell,
    the_provider: ProviderUpdated,
    patient: Headers,
    as_user: AsUser,
) -> None:
    await tell(the_provider)
    path = await linked(client, PATH, patient)
    [link] = (await client.get(f"{PATH}/links", headers=patient)).json()["items"]
    other = as_user("patient", PROVIDER)

    answers = [
        await client.delete(
            f"/v1/users/{PROVIDER}/calendar-feed/links/{link['id']}", headers=other
        ),
        await client.delete(
            f"{OF_PROVIDER}/links/{link['id']}", headers=as_user("provider", PROVIDER)
        ),
    ]

    assert [each.json()["code"] for each in answers] == ["feed_link_not_found"] * 2
    assert (await client.get(path)).status_code == 200


async def test_an_admin_reads_any_patients_feed(
    client: AsyncClient, tell: Tell, an_appointment: AnAppointment, as_user: AsUser
) -> None:
    await tell(an_appointment(start=TOMORROW))

    response = await client.get(PATH, headers=as_user("admin", new_id()))

    assert summaries(response) == ["Appointment"]


async def test_a_link_as_earlier_releases_make_it_opens_its_providers_feed(
    client: AsyncClient, tell: Tell, the_provider: ProviderUpdated, database: Database
) -> None:
    await tell(the_provider)
    token = "a" * 32
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO feed_links (id, provider_id, token_hash) VALUES ($1, $2, $3)",
            new_id(),
            PROVIDER,
            hash_of(token),
        )

    response = await client.get(f"/v1/calendar-feeds/{token}.ics")

    assert summaries(response) == []
    assert "Appointments: Dr. Eleni Ioannou" in response.text
