"""Confirming: a live hold of one's own becomes an appointment, once."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from bookings.domain.lifecycle import Status
from bookings.refusals import (
    ContactDetailsInvalid,
    ContactDetailsMissing,
    HoldExpired,
    PatientBusy,
    ReservationNotFound,
)
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.end_hold import expire_due_holds, release_hold
from bookings.use_cases.hold import Wish, hold_timeslot
from shared.db import Database

from .builders import Clinic, a_clinic, a_patient, a_wish, tomorrow


async def held(database: Database, clinic: Clinic, patient: UUID, **changes: object) -> Wish:
    wish = a_wish(clinic, patient_id=patient, **changes)
    async with database.autocommit() as db:
        await hold_timeslot(db, wish)
    return wish


async def a_known_patient(database: Database, **changes: object) -> UUID:
    async with database.transaction() as db:
        return await a_patient(db, **changes)


async def confirm(database: Database, wish: Wish, user: UUID) -> Status:
    async with database.transaction() as db:
        found = await confirm_appointment(db, wish.token_hash, Details(), user_id=user)
        return found.appointment.status


async def counts(database: Database) -> dict[str, int]:
    async with database.reading() as db:
        row = await db.fetchrow(
            "SELECT (SELECT count(*) FROM claims) AS claims, "
            "(SELECT count(*) FROM patient_claims) AS own, "
            "(SELECT count(*) FROM audit_events) AS audit, (SELECT count(*) FROM outbox) AS outbox"
        )
        return dict(row)


async def test_a_hold_becomes_an_appointment_with_its_trail_and_event(database: Database) -> None:
    patient = await a_known_patient(database)
    wish = await held(database, await a_clinic(database), patient)

    async with database.transaction() as db:
        found = await confirm_appointment(
            db, wish.token_hash, Details(reason="cough", notes="bring reports"), user_id=patient
        )

    appointment = found.appointment
    assert (appointment.status, appointment.version) == (Status.CONFIRMED, 2)
    assert (appointment.reason, appointment.patient_timezone) == ("cough", "Europe/Athens")
    assert await counts(database) == {"claims": 1, "own": 1, "audit": 2, "outbox": 2}
    async with database.reading() as db:
        event = await db.fetchrow("SELECT type, data FROM outbox ORDER BY position DESC LIMIT 1")
    assert event["type"] == "booking.confirmed"
    assert "cough" not in str(event["data"])


async def test_a_type_that_needs_approval_becomes_a_request(database: Database) -> None:
    patient = await a_known_patient(database)
    wish = await held(database, await a_clinic(database, requires_approval=True), patient)

    async with database.transaction() as db:
        found = await confirm_appointment(db, wish.token_hash, Details(), user_id=patient)

    assert found.appointment.status is Status.PENDING
    assert found.appointment.pending_expires_at == min(found.now + timedelta(days=1), wish.start)
    assert (await counts(database))["claims"] == 1


async def test_asking_twice_is_the_same_as_asking_once(database: Database) -> None:
    patient = await a_known_patient(database)
    wish = await held(database, await a_clinic(database), patient)

    results = await asyncio.gather(*(confirm(database, wish, patient) for _ in range(20)))

    assert set(results) == {Status.CONFIRMED}
    assert await counts(database) == {"claims": 1, "own": 1, "audit": 2, "outbox": 2}


async def test_somebody_elses_reservation_does_not_exist(database: Database) -> None:
    wish = await held(database, await a_clinic(database), await a_known_patient(database))

    with pytest.raises(ReservationNotFound):
        await confirm(database, wish, await a_known_patient(database))


async def test_an_unknown_token_does_not_exist(database: Database) -> None:
    wish = a_wish(await a_clinic(database))

    with pytest.raises(ReservationNotFound):
        await confirm(database, wish, wish.patient_id)


@pytest.mark.parametrize("swept", [False, True])
async def test_an_expired_hold_cannot_be_confirmed(database: Database, swept: bool) -> None:
    patient = await a_known_patient(database)
    wish = await held(database, await a_clinic(database), patient)
    async with database.transaction() as db:
        await db.execute("UPDATE appointments SET hold_expires_at = now()")
    if swept:
        async with database.transaction() as db:
            assert await expire_due_holds(db) == 1

    with pytest.raises(HoldExpired):
        await confirm(database, wish, patient)


@pytest.mark.parametrize(
    ("profile", "missing"),
    [
        ({"name": None}, ["name"]),
        ({"email": None}, ["email"]),
        ({"name": None, "email": None}, ["name", "email"]),
    ],
)
async def test_the_refusal_names_the_contact_details_that_are_missing(
    database: Database, profile: dict[str, object], missing: list[str]
) -> None:
    patient = await a_known_patient(database, **profile)
    wish = await held(database, await a_clinic(database), patient)

    with pytest.raises(ContactDetailsMissing) as refused:
        await confirm(database, wish, patient)

    assert refused.value.members["missing"] == missing


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        ({"email": "maria at example.org"}, ("email", "NOT_AN_EMAIL")),
        ({"phone": "210 1234567"}, ("phone", "NOT_A_PHONE")),
        ({"phone": "+30999"}, ("phone", "NOT_A_PHONE")),
        ({"phone": "+301111111111"}, ("phone", "NO_SUCH_PHONE")),
    ],
)
async def test_contact_details_that_were_kept_earlier_are_judged_by_todays_rules(
    database: Database, profile: dict[str, object], fault: tuple[str, str]
) -> None:
    patient = await a_known_patient(database, **profile)
    wish = await held(database, await a_clinic(database), patient)

    with pytest.raises(ContactDetailsInvalid) as refused:
        await confirm(database, wish, patient)

    assert [(each.path, each.code) for each in refused.value.errors] == [fault]
    assert (await counts(database))["own"] == 0


async def test_somebody_known_from_a_token_alone_can_hold_but_not_confirm(
    database: Database,
) -> None:
    stranger = uuid4()
    wish = await held(database, await a_clinic(database), stranger)

    with pytest.raises(ContactDetailsMissing):
        await confirm(database, wish, stranger)

    assert (await counts(database))["claims"] == 1


async def test_a_phone_is_contact_enough(database: Database) -> None:
    patient = await a_known_patient(database, email=None, phone="+302101234567")
    wish = await held(database, await a_clinic(database), patient)

    assert await confirm(database, wish, patient) is Status.CONFIRMED


async def test_nobody_is_booked_in_two_places_at_once(database: Database) -> None:
    patient = await a_known_patient(database)
    first = await held(database, await a_clinic(database), patient)
    second = await held(database, await a_clinic(database), patient, start=tomorrow(9, 15))
    await confirm(database, first, patient)

    with pytest.raises(PatientBusy) as refused:
        await confirm(database, second, patient)

    async with database.reading() as db:
        other = await db.fetchval("SELECT appointment_id FROM patient_claims")
    assert refused.value.members["appointmentId"] == other


async def test_of_rival_confirmations_of_one_patient_one_wins(database: Database) -> None:
    patient = await a_known_patient(database)
    wishes = [await held(database, await a_clinic(database), patient) for _ in range(20)]

    results = await asyncio.gather(
        *(confirm(database, wish, patient) for wish in wishes), return_exceptions=True
    )

    assert sum(result is Status.CONFIRMED for result in results) == 1
    assert sum(isinstance(result, PatientBusy) for result in results) == 19


async def test_releasing_needs_the_token_under_which_the_hold_stands(database: Database) -> None:
    clinic, patient = await a_clinic(database), uuid4()
    old = await held(database, clinic, patient)
    new = await held(database, clinic, patient)
    async with database.reading() as db:
        id_ = await db.fetchval("SELECT id FROM appointments")

    async with database.transaction() as db:
        assert not await release_hold(db, id_, token_hash=old.token_hash)
        assert await release_hold(db, id_, token_hash=new.token_hash)
        assert not await release_hold(db, id_, token_hash=new.token_hash)

    assert (await counts(database))["claims"] == 0


async def test_a_confirmed_appointment_is_not_released_with_its_token(database: Database) -> None:
    patient = await a_known_patient(database)
    wish = await held(database, await a_clinic(database), patient)
    await confirm(database, wish, patient)

    async with database.transaction() as db:
        id_ = await db.fetchval("SELECT id FROM appointments")
        assert not await release_hold(db, id_, token_hash=wish.token_hash)

    assert (await counts(database))["claims"] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET action = 'approved'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ],
)
async def test_the_database_refuses_to_change_the_audit_trail(
    database: Database, statement: str
) -> None:
    await held(database, await a_clinic(database), uuid4())

    async with database.transaction() as db:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute(statement)
