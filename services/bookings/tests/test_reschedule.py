"""Moving an appointment: one of old and new at every moment, also to a time that overlaps."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from bookings.domain.appointment import Actor, ActorType
from bookings.domain.lifecycle import IllegalTransition, Status
from bookings.domain.options import allowed_actions
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import (
    AppointmentNotFound,
    HoldExpired,
    PatientBusy,
    ReservationNotFound,
    ReservedForMove,
    SlotTaken,
)
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.decide import approve_request, reject_request
from bookings.use_cases.end_hold import expire_due_requests
from bookings.use_cases.hold import hold_timeslot
from shared.auth import Principal, Role
from shared.db import Database

from .builders import Clinic, a_clinic, a_resource, a_service, a_wish, an_event
from .moving import Booked, active_of, at, broken_rows, let_time_run_out


async def row(database: Database, id_: object) -> Any:
    async with database.reading() as db:
        return await db.fetchrow("SELECT * FROM appointments WHERE id = $1", id_)


async def story(database: Database, id_: object) -> list[str]:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT type FROM outbox WHERE subject = $1 ORDER BY position", str(id_)
        )
    return [each["type"] for each in rows]


async def another_service(database: Database, clinic: Clinic, **changes: Any) -> Any:
    from bookings import consumers

    service = a_service(clinic.provider.id, **changes)
    async with database.transaction() as db:
        await consumers.save_appointment_type(db, an_event(service))
    return service


async def test_the_new_appointment_takes_the_old_ones_place(database: Database) -> None:
    booked = await Booked.at_nine(database)

    new = (await booked.moved_to(at(11))).appointment

    old = await row(database, booked.id)
    assert (new.status, new.rescheduled_from, new.reschedule_count) == (
        Status.CONFIRMED,
        booked.id,
        1,
    )
    assert new.reason == "cough"
    assert (old["status"], old["cancellation_cause"]) == ("cancelled", "rescheduled")
    assert (old["rescheduled_to"], old["cancellation_reason"]) == (new.id, "work")
    assert old["cancellation_fee_cents"] == 0
    assert await story(database, new.id) == ["booking.held", "booking.rescheduled"]
    assert (await story(database, booked.id))[-1] == "booking.cancelled"
    assert await broken_rows(database) == []


@pytest.mark.parametrize("minute", [5, 15, 25, -25, -15, 0])
async def test_an_overlapping_time_works_on_the_same_unit(database: Database, minute: int) -> None:
    clinic = await a_clinic(database, buffer_before_minutes=10, buffer_after_minutes=5)
    booked = await Booked.at_nine(database, clinic)
    start = at(9) + timedelta(minutes=minute)

    wish = await booked.hold(start)
    assert await broken_rows(database) == []
    new = (await booked.move(wish)).appointment

    async with database.reading() as db:
        claims = await db.fetch("SELECT * FROM claims")
    assert [claim["appointment_id"] for claim in claims] == [new.id]
    assert claims[0]["period"].lower == start - timedelta(minutes=10)
    assert claims[0]["period"].upper == start + timedelta(minutes=35)
    assert await broken_rows(database) == []


@pytest.mark.parametrize("minute", [15, -15])
async def test_nobody_slips_in_between_hold_and_move(database: Database, minute: int) -> None:
    booked = await Booked.at_nine(database)
    start = at(9) + timedelta(minutes=minute)

    await booked.hold(start)

    for rival in (start, at(9), start - timedelta(minutes=20), start + timedelta(minutes=20)):
        with pytest.raises(SlotTaken):
            async with database.autocommit() as db:
                await hold_timeslot(db, a_wish(booked.clinic, start=rival))


@pytest.mark.parametrize("approval", [False, True])
async def test_a_longer_service_around_the_old_time_and_a_shorter_one_within(
    database: Database, approval: bool
) -> None:
    clinic = await a_clinic(database, duration_minutes=60)
    booked = await Booked.at_nine(database, clinic)
    long = await another_service(database, clinic, duration_minutes=180, requires_approval=approval)
    short = await another_service(database, clinic, duration_minutes=15)

    wish = await booked.hold(at(8), service_id=long.id)
    assert await broken_rows(database) == []
    with pytest.raises(SlotTaken):
        async with database.autocommit() as db:
            await hold_timeslot(db, a_wish(clinic, start=at(8)))
    new = (await booked.move(wish)).appointment
    assert await broken_rows(database) == []
    if approval:
        async with database.transaction() as db:
            new = (await approve_request(db, new.id, reason=None, user=booked.provider)).appointment
    booked.id = new.id
    last = (await booked.move(await booked.hold(at(9), service_id=short.id))).appointment

    async with database.reading() as db:
        period = await db.fetchval("SELECT period FROM claims")
        told = await db.fetchval(
            "SELECT data -> 'claims' FROM outbox WHERE subject = $1 "
            "AND type = 'booking.rescheduled'",
            str(new.id),
        )
    assert (period.lower, period.upper) == (at(9), at(9, 15))
    assert len(told) == 1
    assert last.terms.service_title == short.name
    assert await broken_rows(database) == []


async def test_the_other_room_stays_when_only_the_staff_overlaps(database: Database) -> None:
    clinic = await a_clinic(
        database, mode="in_person", resources=[{"kind": "room", "room_id": uuid4()}] * 2
    )
    booked = await Booked.at_nine(database, clinic)

    await booked.moved_to(at(9, 15))

    async with database.reading() as db:
        kinds = [c["kind"] for c in await db.fetch("SELECT kind FROM claims ORDER BY kind")]
    assert kinds == ["room", "staff"]
    assert await broken_rows(database) == []


async def test_asking_twice_is_the_same_as_asking_once(database: Database) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.hold(at(11))

    first = await booked.move(wish)
    second = await booked.move(wish)

    assert first.appointment.id == second.appointment.id
    assert second.appointment.version == 2


async def test_a_reservation_made_without_saying_so_moves_too(database: Database) -> None:
    booked = await Booked.at_nine(database)

    moved = await booked.move(await booked.hold(at(11), reschedule_of=None))

    assert moved.appointment.rescheduled_from == booked.id
    assert await broken_rows(database) == []


async def test_a_reservation_for_a_move_is_no_second_appointment(database: Database) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.hold(at(9, 15))

    with pytest.raises(ReservedForMove) as refused:
        async with database.transaction() as db:
            await confirm_appointment(db, wish.token_hash, Details(), user_id=booked.patient.id)

    assert refused.value.members["appointmentId"] == str(booked.id)


async def test_the_provider_moves_beyond_the_patients_limits(database: Database) -> None:
    clinic = await a_clinic(
        database,
        allow_patient_reschedule=False,
        max_reschedule_count=0,
        requires_approval=False,
    )
    booked = await Booked.at_nine(database, clinic)

    moved = await booked.move(await booked.provider_hold(at(9, 15)), booked.provider)

    assert (moved.appointment.status, moved.appointment.source) == (Status.CONFIRMED, "provider")
    assert (await row(database, booked.id))["cancelled_by_type"] == "provider"
    assert await broken_rows(database) == []


@pytest.mark.parametrize(
    ("service", "rule"),
    [
        ({"allow_patient_reschedule": False}, "patient_reschedule"),
        ({"max_reschedule_count": 0}, "max_reschedule_count"),
    ],
)
async def test_the_patients_limits_are_named_when_the_time_is_picked(
    database: Database, service: dict[str, Any], rule: str
) -> None:
    booked = await Booked.at_nine(database, await a_clinic(database, **service))

    with pytest.raises(AgainstPolicy) as refused:
        await booked.hold(at(11))

    assert refused.value.members["rule"] == rule


@pytest.mark.parametrize(
    ("terms", "shift", "rule"),
    [
        ({}, timedelta(days=-3), "already_started"),
        ({"cutoff_minutes": 60}, None, "cancellation_cutoff"),
        ({"min_notice_minutes": 60}, None, "min_notice"),
    ],
)
async def test_an_old_appointment_too_near_is_not_moved_by_its_patient(
    database: Database, terms: dict[str, int], shift: timedelta | None, rule: str
) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.hold(at(11))
    async with database.transaction() as db:
        await db.execute(
            "UPDATE appointments SET terms = terms || $2, ends_at = now() + interval '1 hour', "
            "starts_at = CASE WHEN $3::interval IS NULL THEN now() + interval '30 minutes' "
            "ELSE now() + $3 END WHERE id = $1",
            booked.id,
            terms,
            shift,
        )
    before = dict(await row(database, booked.id))

    with pytest.raises(AgainstPolicy) as refused:
        await booked.move(wish)

    assert refused.value.members["rule"] == rule
    assert dict(await row(database, booked.id)) == before


async def test_the_limit_counts_along_the_chain(database: Database) -> None:
    booked = await Booked.at_nine(database)
    for hour in (11, 12):
        booked.id = (await booked.moved_to(at(hour))).appointment.id

    with pytest.raises(AgainstPolicy) as refused:
        await booked.hold(at(13))

    assert refused.value.members == {
        "rule": "max_reschedule_count",
        "maxRescheduleCount": 2,
        "rescheduleCount": 2,
    }


async def test_a_start_that_has_passed_is_no_new_time_even_for_the_provider(
    database: Database,
) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.provider_hold(at(11))
    async with database.transaction() as db:
        await db.execute(
            "UPDATE appointments SET starts_at = now() - interval '1 minute' WHERE status = 'held'"
        )

    with pytest.raises(AgainstPolicy) as refused:
        await booked.move(wish, booked.provider)

    assert refused.value.members["rule"] == "already_started"


async def test_an_expired_reservation_moves_nothing(database: Database) -> None:
    booked = await Booked.at_nine(database)
    wish = await booked.hold(at(9, 15))
    await let_time_run_out(database)
    before = dict(await row(database, booked.id))

    with pytest.raises(HoldExpired):
        await booked.move(wish)

    assert dict(await row(database, booked.id)) == before
    assert await broken_rows(database) == []


async def test_others_find_neither_the_appointment_nor_the_reservation(database: Database) -> None:
    booked = await Booked.at_nine(database)
    other = await Booked.at_nine(database)
    wish = await booked.hold(at(11))
    foreign = await other.hold(at(11))

    with pytest.raises(AppointmentNotFound):
        await booked.move(wish, other.patient)
    with pytest.raises(AppointmentNotFound):
        await booked.move(wish, Principal(uuid4(), Role.PROVIDER))
    with pytest.raises(ReservationNotFound):
        await booked.move(foreign)
    with pytest.raises(AppointmentNotFound):
        await other.hold(at(12), reschedule_of=booked.id)
    with pytest.raises(AppointmentNotFound):
        await other.hold(at(12), reschedule_of=uuid4())
    assert (await row(database, booked.id))["status"] == "confirmed"


async def test_a_reservation_at_another_provider_moves_nothing(database: Database) -> None:
    booked = await Booked.at_nine(database)
    elsewhere = await a_clinic(database)
    wish = a_wish(elsewhere, patient_id=booked.patient.id, start=at(11))
    async with database.autocommit() as db:
        await hold_timeslot(db, wish)

    with pytest.raises(AgainstPolicy) as refused:
        await booked.move(wish)

    assert refused.value.members["rule"] == "same_provider"


async def test_a_refused_move_leaves_the_old_one_as_it_was(database: Database) -> None:
    booked = await Booked.at_nine(database)
    elsewhere = Booked(database, await a_clinic(database), booked.patient.id)
    other = await elsewhere.book(at(11, 15))
    wish = await booked.hold(at(11))
    async with database.reading() as db:
        before = [dict(r) for r in await db.fetch("SELECT * FROM claims ORDER BY 1, 2")]

    with pytest.raises(PatientBusy) as refused:
        await booked.move(wish)

    async with database.reading() as db:
        after = [dict(r) for r in await db.fetch("SELECT * FROM claims ORDER BY 1, 2")]
    assert refused.value.members["appointmentId"] == other.id
    assert before == after
    assert (await row(database, booked.id))["version"] == 2


@pytest.mark.parametrize("start", [at(9, 15), at(8, 45), at(9), at(11)])
async def test_the_old_one_stays_until_the_new_time_is_approved(
    database: Database, start: Any
) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    careful = await another_service(database, clinic, requires_approval=True)

    asked = (await booked.move(await booked.hold(start, service_id=careful.id))).appointment

    assert asked.status is Status.PENDING
    assert asked.pending_expires_at is not None
    assert asked.pending_expires_at <= min(asked.start, at(9))
    assert (await row(database, booked.id))["status"] == "confirmed"
    assert await broken_rows(database) == []
    async with database.transaction() as db:
        done = await approve_request(db, asked.id, reason=None, user=booked.provider)
    old = await row(database, booked.id)
    assert done.appointment.status is Status.CONFIRMED
    assert (old["status"], old["rescheduled_to"]) == ("cancelled", asked.id)
    assert await story(database, asked.id) == [
        "booking.held",
        "booking.requested",
        "booking.rescheduled",
    ]
    assert await broken_rows(database) == []


@pytest.mark.parametrize("end", ["rejected", "expired"])
async def test_what_is_not_approved_leaves_the_old_one_as_it_was(
    database: Database, end: str
) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    careful = await another_service(database, clinic, requires_approval=True)
    before = dict(await row(database, booked.id))
    asked = (await booked.move(await booked.hold(at(9, 15), service_id=careful.id))).appointment

    async with database.transaction() as db:
        if end == "rejected":
            await reject_request(db, asked.id, reason=None, user=booked.provider)
        else:
            await db.execute("UPDATE appointments SET pending_expires_at = now()")
            assert await expire_due_requests(db) == 1

    after = dict(await row(database, booked.id))
    assert before | {"pending_expires_at": None} == after | {"pending_expires_at": None}
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM claims") == 1
        assert await db.fetchval("SELECT count(*) FROM patient_claims") == 1
    assert await broken_rows(database) == []


async def test_a_newer_wish_ends_the_request_before_it(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    careful = await another_service(database, clinic, requires_approval=True)
    first = (await booked.move(await booked.hold(at(11), service_id=careful.id))).appointment

    new = (await booked.moved_to(at(9, 15))).appointment

    ended = await row(database, first.id)
    assert (ended["status"], ended["cancelled_by_type"]) == ("cancelled", "system")
    async with database.reading() as db:
        assert [r["id"] for r in await active_of(db, booked.patient.id)] == [new.id]
    assert await broken_rows(database) == []


async def test_cancelling_the_old_one_ends_the_request_to_move_it(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    careful = await another_service(database, clinic, requires_approval=True)
    asked = (await booked.move(await booked.hold(at(9, 15), service_id=careful.id))).appointment

    async with database.transaction() as db:
        await cancel_appointment(db, booked.id, reason=None, user=booked.patient)

    assert (await row(database, asked.id))["status"] == "cancelled"
    with pytest.raises(IllegalTransition):
        async with database.transaction() as db:
            await approve_request(db, asked.id, reason=None, user=booked.provider)
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM claims") == 0


async def test_an_unanswered_request_is_replaced_at_once(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    booked = await Booked.at_nine(database, clinic)

    new = (await booked.moved_to(at(9, 15))).appointment

    assert new.status is Status.PENDING
    assert (await row(database, booked.id))["cancellation_cause"] == "rescheduled"
    async with database.transaction() as db:
        done = await approve_request(db, new.id, reason=None, user=booked.provider)
    assert done.appointment.status is Status.CONFIRMED
    assert await broken_rows(database) == []


async def test_a_request_to_move_is_not_moved_itself(database: Database) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    careful = await another_service(database, clinic, requires_approval=True)
    asked = (await booked.move(await booked.hold(at(11), service_id=careful.id))).appointment

    with pytest.raises(AgainstPolicy) as refused:
        await booked.hold(at(13), reschedule_of=asked.id)

    assert refused.value.members["appointmentId"] == str(booked.id)


async def test_a_request_that_took_another_ones_place_can_be_moved_on(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    booked = await Booked.at_nine(database, clinic)
    second = (await booked.moved_to(at(9, 15))).appointment
    shown = allowed_actions(
        second, by=Actor(ActorType.PATIENT, booked.patient.id), now=second.updated_at
    )
    booked.id = second.id

    third = (await booked.moved_to(at(11))).appointment

    assert "reschedule" in shown
    assert (third.status, third.rescheduled_from) == (Status.PENDING, second.id)
    assert third.reschedule_count == 2
    assert (await row(database, second.id))["cancellation_cause"] == "rescheduled"
    assert await broken_rows(database) == []


async def test_with_two_units_a_move_stays_on_its_own_or_takes_the_free_one(
    database: Database,
) -> None:
    clinic = await a_clinic(database)
    booked = await Booked.at_nine(database, clinic)
    extra = a_resource(clinic.provider.id)
    from bookings import consumers

    async with database.transaction() as db:
        await consumers.save_resource(db, an_event(extra))

    new = (await booked.moved_to(at(9, 15))).appointment

    assert new.claims[0].resource_id in (extra.id, clinic.resources[0].id)
    assert await broken_rows(database) == []
