"""A provider's feed over HTTP: who may read it, what is in it, and when it has changed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from icalendar import Calendar

from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingRequested,
)
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.http import AsyncClient, Response
from shared.ids import new_id

AnAppointment = Callable[..., AppointmentEvent]
AsUser = Callable[[str, UUID], dict[str, str]]
Headers = dict[str, str]
Tell = Callable[..., Awaitable[None]]

DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def feed(client: AsyncClient, the_provider: ProviderUpdated) -> Callable[..., Awaitable[Response]]:
    """Reads the feed of the provider whom the tests are about."""

    async def read(headers: Headers, **more: str) -> Response:
        path = f"/v1/providers/{the_provider.id}/calendar-feed"
        return await client.get(path, headers=headers | more)

    return read


Read = Callable[..., Awaitable[Response]]


def in_feed(response: Response) -> dict[str, str]:
    """The status of each event by its appointment's id."""
    assert response.status_code == 200
    events = Calendar.from_ical(response.content).walk("VEVENT")
    return {str(event["UID"]).partition("@")[0]: str(event["STATUS"]) for event in events}


async def test_a_confirmed_appointment_is_in_the_feed(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    appointment = an_appointment(BookingConfirmed, version=2, start=now + DAY)
    await tell(the_provider, appointment)

    response = await feed(provider)

    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-store"
    [event] = Calendar.from_ical(response.content).walk("VEVENT")
    assert event["UID"] == f"{appointment.id}@clinic.example"
    assert event["SEQUENCE"] == 2
    assert event["SUMMARY"] == "Appointment"
    assert b"First consultation" not in response.content


async def test_a_feed_without_appointments_is_an_empty_calendar(
    feed: Read, tell: Tell, the_provider: ProviderUpdated, provider: Headers
) -> None:
    await tell(the_provider)

    response = await feed(provider)

    assert in_feed(response) == {}
    assert "Dr. Eleni Ioannou" in response.text


async def test_a_feed_shows_what_is_pending_confirmed_or_cancelled(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    pending, confirmed, cancelled = (
        an_appointment(kind, start=now + DAY, updated_at=now)
        for kind in (BookingRequested, BookingConfirmed, BookingCancelled)
    )
    await tell(the_provider, pending, confirmed, cancelled)

    found = in_feed(await feed(provider))

    assert found == {
        str(pending.id): "TENTATIVE",
        str(confirmed.id): "CONFIRMED",
        str(cancelled.id): "CANCELLED",
    }


async def test_a_cancelled_appointment_leaves_after_two_weeks(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    recent, old = (
        an_appointment(BookingCancelled, start=now + DAY, updated_at=now - days * DAY)
        for days in (13, 15)
    )
    await tell(the_provider, recent, old)

    assert in_feed(await feed(provider)) == {str(recent.id): "CANCELLED"}


async def test_a_feed_goes_back_a_while_and_has_no_end(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    outside, *inside = (
        an_appointment(BookingCompleted, start=now + days * DAY) for days in (-91, -89, 1, 730)
    )
    await tell(the_provider, outside, *inside)

    assert list(in_feed(await feed(provider))) == [str(appointment.id) for appointment in inside]


async def test_a_feed_holds_nothing_of_other_providers(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    other = new_id()
    await tell(
        the_provider,
        the_provider.model_copy(update={"id": other}),
        an_appointment(start=now + DAY, provider_id=other),
    )

    assert in_feed(await feed(provider)) == {}


# --- who may read it --------------------------------------------------------------------------


async def test_only_the_provider_and_admins_read_a_feed(
    feed: Read, tell: Tell, the_provider: ProviderUpdated, as_user: AsUser
) -> None:
    await tell(the_provider)
    own, other = the_provider.id, new_id()
    callers = {
        ("provider", own): 200,
        ("admin", other): 200,
        ("provider", other): 404,
        ("patient", other): 404,
        ("patient", own): 404,
        ("service", own): 404,
    }

    answered = {caller: (await feed(as_user(*caller))).status_code for caller in callers}

    assert answered == callers


async def test_without_a_token_there_is_no_feed(
    feed: Read, tell: Tell, the_provider: ProviderUpdated
) -> None:
    await tell(the_provider)

    assert (await feed({})).status_code == 401


async def test_what_one_may_not_see_looks_like_what_is_not_there(
    client: AsyncClient, tell: Tell, the_provider: ProviderUpdated, as_user: AsUser
) -> None:
    await tell(the_provider)
    stranger = as_user("provider", new_id())

    hidden, absent = [
        await client.get(f"/v1/providers/{id_}/calendar-feed", headers=stranger)
        for id_ in (the_provider.id, new_id())
    ]

    assert hidden.status_code == absent.status_code == 404
    assert without_ids(hidden) == without_ids(absent)
    assert hidden.json()["code"] == "provider_not_found"


async def test_a_deleted_provider_has_no_feed(
    feed: Read, tell: Tell, the_provider: ProviderUpdated, provider: Headers
) -> None:
    await tell(the_provider, ProviderDeleted(id=the_provider.id, version=2))

    assert (await feed(provider)).status_code == 404


def without_ids(response: Response) -> dict[str, object]:
    problem: dict[str, object] = response.json()
    return {key: problem[key] for key in problem.keys() - {"instance", "traceId"}}


# --- when it has changed ----------------------------------------------------------------------


async def test_an_unchanged_feed_is_not_sent_again(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    await tell(the_provider, an_appointment(start=now + DAY))
    first = await feed(provider)

    again = await feed(provider, **{"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "private, no-store"
    assert (await feed(provider)).content == first.content


async def test_every_form_of_if_none_match_is_understood(
    feed: Read, tell: Tell, the_provider: ProviderUpdated, provider: Headers
) -> None:
    await tell(the_provider)
    etag = (await feed(provider)).headers["etag"]
    forms = {
        f"W/{etag}": 304,
        f'"other", {etag}': 304,
        "*": 304,
        "": 200,
        '"other"': 200,
        "nonsense": 200,
        etag[1:-1]: 200,
        '"' + "x" * 5000 + '"': 200,
    }

    answered = {
        known: (await feed(provider, **{"If-None-Match": known})).status_code for known in forms
    }

    assert answered == forms


async def test_whatever_changes_the_feed_changes_its_tag(
    feed: Read,
    tell: Tell,
    the_provider: ProviderUpdated,
    provider: Headers,
    an_appointment: AnAppointment,
    now: datetime,
) -> None:
    appointment = an_appointment(BookingConfirmed, version=2, start=now + DAY)
    moved = appointment.model_copy(update={"version": 3, "location_name": "Annex"})
    cancelled = an_appointment(
        BookingCancelled, id=appointment.id, version=4, start=now + DAY, updated_at=now
    )
    renamed = the_provider.model_copy(update={"version": 2, "name": "Dr. E. Papa"})
    another = an_appointment(start=now + DAY)
    await tell(the_provider)
    tags = [(await feed(provider)).headers["etag"]]

    for event in (appointment, moved, cancelled, renamed, another):
        await tell(event)
        tags.append((await feed(provider)).headers["etag"])

    assert len(set(tags)) == len(tags)
    assert all(tag.startswith('"') for tag in tags)


async def test_a_head_request_tells_the_tag_alone(
    client: AsyncClient, tell: Tell, the_provider: ProviderUpdated, provider: Headers, feed: Read
) -> None:
    await tell(the_provider)

    head = await client.head(f"/v1/providers/{the_provider.id}/calendar-feed", headers=provider)

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["etag"] == (await feed(provider)).headers["etag"]
