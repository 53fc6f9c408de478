"""What events lead to: each fact is told once, in whatever order and however often it arrives."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

import asyncpg

from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingRequested,
)
from shared.events.patient import PatientDeleted
from shared.events.provider import ProviderDeleted

from .builders import PATIENT, PROVIDER, a_patient, a_provider, an_appointment
from .conftest import Rows, Tell


def the_life_of_one(*kinds: type[AppointmentEvent]) -> list[AppointmentEvent]:
    """The appointment's events, one version after the other."""
    id_ = uuid4()
    return [an_appointment(kind, id=id_, version=at) for at, kind in enumerate(kinds, 1)]


def told(jobs: list[asyncpg.Record]) -> list[tuple[str, str]]:
    """What is going to be said."""
    return [(job["kind"], job["party"]) for job in jobs if job["status"] == "queued"]


def to_both(kind: str) -> list[tuple[str, str]]:
    return [(kind, "patient"), (kind, "provider")]


async def test_an_event_that_comes_twice_makes_one_job_for_each_party(
    tell: Tell, jobs: Rows
) -> None:
    confirmed = an_appointment(BookingConfirmed)

    await tell(confirmed, confirmed, confirmed)

    assert told(await jobs()) == to_both("confirmed")


async def test_a_later_version_of_the_same_state_is_no_news(tell: Tell, jobs: Rows) -> None:
    confirmed = an_appointment(BookingConfirmed, version=2)

    await tell(confirmed, confirmed.model_copy(update={"version": 3}))

    assert told(await jobs()) == to_both("confirmed")


async def test_any_order_of_arrival_ends_with_the_newest_news(tell: Tell, jobs: Rows) -> None:
    lives = [
        [life[at] for at in order]
        for order in permutations(range(3))
        for life in [the_life_of_one(BookingRequested, BookingConfirmed, BookingCancelled)]
    ]

    await tell(*(event for life in lives for event in life))

    for life in lives:
        assert told(await jobs(appointment_id=life[0].id)) == to_both("cancelled")


async def test_a_confirmation_that_comes_after_the_cancellation_is_not_told(
    tell: Tell, jobs: Rows
) -> None:
    confirmed, cancelled = the_life_of_one(BookingConfirmed, BookingCancelled)

    await tell(cancelled, confirmed)

    assert [job["kind"] for job in await jobs()] == ["cancelled", "cancelled"]


async def test_a_cancellation_withdraws_what_has_not_been_said_yet(tell: Tell, jobs: Rows) -> None:
    confirmed, cancelled = the_life_of_one(BookingConfirmed, BookingCancelled)

    await tell(confirmed, cancelled)

    withdrawn = await jobs(status="withdrawn")
    assert [job["kind"] for job in withdrawn] == ["confirmed", "confirmed"]
    assert {job["last_error"] for job in withdrawn} == {"the appointment is cancelled"}
    assert told(await jobs()) == to_both("cancelled")


async def test_a_cancellation_leaves_other_appointments_alone(tell: Tell, jobs: Rows) -> None:
    confirmed, cancelled = the_life_of_one(BookingConfirmed, BookingCancelled)
    other = an_appointment(BookingConfirmed)

    await tell(confirmed, other, cancelled)

    left = await jobs(kind="confirmed", status="queued")
    assert {job["appointment_id"] for job in left} == {other.id}


async def test_what_has_taken_place_needs_no_confirmation(tell: Tell, jobs: Rows) -> None:
    await tell(*the_life_of_one(BookingConfirmed, BookingCompleted))

    assert told(await jobs()) == []


async def test_an_approval_replaces_the_news_of_the_request(tell: Tell, jobs: Rows) -> None:
    await tell(*the_life_of_one(BookingRequested, BookingConfirmed))

    assert told(await jobs()) == to_both("confirmed")


async def test_the_end_of_a_hold_is_nobodys_business(tell: Tell, jobs: Rows) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=2)

    await tell(an_appointment(BookingCancelled, cause="hold_expired", hold_expires_at=ends))

    assert await jobs() == []


async def test_of_a_move_only_the_new_time_is_told(tell: Tell, jobs: Rows) -> None:
    old, new = uuid4(), uuid4()

    await tell(
        an_appointment(BookingConfirmed, id=new, version=1, rescheduled_from=old),
        an_appointment(
            BookingCancelled, id=old, version=3, cause="rescheduled", rescheduled_to=new
        ),
    )

    assert told(await jobs()) == to_both("rescheduled")


async def test_a_history_that_is_replayed_tells_nothing_old(tell: Tell, jobs: Rows) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=4)

    await tell(an_appointment(BookingConfirmed, happened_at=long_ago))

    assert await jobs() == []


async def test_jobs_hold_no_contact_details(tell: Tell, jobs: Rows) -> None:
    await tell(a_patient(), a_provider(), an_appointment(BookingConfirmed))

    held = str([dict(job) for job in await jobs()])
    assert "Maria" not in held
    assert "@" not in held


async def contact(database: Database, party: str) -> asyncpg.Record:
    async with database.reading() as db:
        return await db.fetchrow("SELECT * FROM contacts WHERE party = $1", party)


async def test_the_newest_contact_details_stay(tell: Tell, database: Database) -> None:
    for version in (2, 3, 1, 3, 2):
        await tell(
            a_patient(version=version, name=f"Name {version}"),
            a_provider(version=version, name=f"Name {version}"),
        )

    for party in ("patient", "provider"):
        known = await contact(database, party)
        assert (known["version"], known["name"]) == (3, "Name 3")


async def test_a_deletion_erases_and_withdraws(tell: Tell, database: Database, jobs: Rows) -> None:
    await tell(a_patient(), a_provider(phone="+302101234567"))
    await tell(an_appointment(BookingConfirmed))

    await tell(ProviderDeleted(id=PROVIDER, version=2), a_provider(version=1))

    known = await contact(database, "provider")
    assert (known["name"], known["email"], known["phone"]) == (None, None, None)
    assert known["is_erased"]
    [withdrawn] = await jobs(status="withdrawn")
    assert withdrawn["party"] == "provider"
    assert told(await jobs()) == [("confirmed", "patient")]


async def test_a_deletion_that_comes_first_stays(tell: Tell, database: Database) -> None:
    await tell(ProviderDeleted(id=PROVIDER, version=2), a_provider(version=1))

    assert (await contact(database, "provider"))["is_erased"]


async def test_an_erased_patient_is_forgotten(tell: Tell, database: Database) -> None:
    await tell(a_patient(version=1), PatientDeleted(id=PATIENT, version=2), a_patient(version=1))

    known = await contact(database, "patient")
    assert (known["name"], known["email"], known["phone"]) == (None, None, None)
    assert known["is_erased"]
