"""Requests: answered once, by whom they concern, in time; unanswered ones block nobody."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from bookings.domain.lifecycle import IllegalTransition, Status
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import AppointmentNotFound, PatientBusy, RequestExpired, SlotTaken
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.decide import approve_request, reject_request
from bookings.use_cases.end_hold import expire_due_holds, expire_due_requests
from bookings.use_cases.hold import hold_timeslot
from shared.auth import Principal, Role
from shared.db import Database
from shared.errors import Forbidden

from .builders import a_clinic, a_patient, a_wish
from .stage import (
    ADMIN,
    a_booking,
    a_hold,
    after,
    as_it_is,
    count,
    overdue,
    patient_of,
    provider_of,
    told,
    trail,
    warm,
)


async def test_an_approved_request_is_an_appointment_and_is_announced_once(
    database: Database,
) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)

    async with database.transaction() as db:
        decided = await approve_request(db, request.id, reason="welcome", user=provider_of(clinic))

    stored = await as_it_is(database, request.id)
    assert decided.appointment == stored
    assert (stored.status, stored.version) == (Status.CONFIRMED, 3)
    assert (stored.decision_reason, stored.pending_expires_at) == ("welcome", None)
    assert await trail(database, request.id) == ["held_created", "request_submitted", "approved"]
    events = await told(database, request.id)
    assert [event["type"] for event in events] == [
        "booking.held",
        "booking.requested",
        "booking.confirmed",
    ]
    assert events[-1]["change"]["actorId"] == str(clinic.provider.id)
    assert "welcome" not in str(events)
    assert await count(database, "claims", request.id) == 1
    assert await count(database, "patient_claims", request.id) == 1


async def test_a_rejected_request_frees_its_time_at_no_cost(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)

    async with database.transaction() as db:
        await reject_request(db, request.id, reason="ask my colleague", user=ADMIN)

    stored = await as_it_is(database, request.id)
    assert stored.status is Status.CANCELLED
    assert stored.cancellation is not None
    assert (stored.cancellation.cause, stored.cancellation.fee_cents) == ("rejected", 0)
    assert stored.cancellation.reason == "ask my colleague"
    assert await trail(database, request.id) == ["held_created", "request_submitted", "rejected"]
    event = (await told(database, request.id))[-1]
    assert (event["cancellation"]["cause"], event["claims"]) == ("rejected", [])
    assert await count(database, "claims", request.id) == 0
    assert await count(database, "patient_claims", request.id) == 0


async def test_of_forty_decisions_at_once_exactly_one_counts(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)

    async def decide(number: int) -> str:
        use_case = approve_request if number % 2 else reject_request
        try:
            async with database.transaction() as db:
                await use_case(db, request.id, reason=None, user=provider_of(clinic))
        except IllegalTransition:
            return "refused"
        return "done"

    await warm(database)
    results = await asyncio.gather(*(decide(number) for number in range(40)))

    assert Counter(results) == {"done": 1, "refused": 39}
    assert len(await trail(database, request.id)) == 3
    assert len(await told(database, request.id)) == 3
    active = (await as_it_is(database, request.id)).is_active
    assert await count(database, "claims", request.id) == int(active)


@pytest.mark.parametrize("use_case", [approve_request, reject_request])
async def test_only_the_provider_and_admins_decide(database: Database, use_case: object) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)
    assert callable(use_case)

    for user, refusal in (
        (patient_of(request), Forbidden),
        (Principal(uuid4(), Role.PATIENT), AppointmentNotFound),
        (Principal(uuid4(), Role.PROVIDER), AppointmentNotFound),
        (Principal(uuid4(), Role.SERVICE), AppointmentNotFound),
    ):
        async with database.transaction() as db:
            with pytest.raises(refusal):
                await use_case(db, request.id, reason=None, user=user)

    assert (await as_it_is(database, request.id)).status is Status.PENDING


@pytest.mark.parametrize("use_case", [approve_request, reject_request, cancel_appointment])
async def test_an_overdue_request_can_be_neither_answered_nor_withdrawn(
    database: Database, use_case: object
) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)
    await overdue(database, request.id)
    assert callable(use_case)

    async with database.transaction() as db:
        with pytest.raises(RequestExpired) as refused:
            await use_case(db, request.id, reason=None, user=provider_of(clinic))

    assert refused.value.code == "request_expired"
    assert refused.value.members["pendingExpiresAt"] is not None


async def test_no_request_is_approved_after_its_start(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)
    await after(database, timedelta(days=3), request.id)
    async with database.transaction() as db:
        await db.execute("UPDATE appointments SET pending_expires_at = now() + interval '1 day'")

    async with database.transaction() as db:
        with pytest.raises(AgainstPolicy) as refused:
            await approve_request(db, request.id, reason=None, user=provider_of(clinic))

    assert refused.value.members["rule"] == "already_started"


async def test_an_overdue_request_gives_way_without_any_worker(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)
    async with database.autocommit() as db:
        with pytest.raises(SlotTaken):
            await hold_timeslot(db, a_wish(clinic))
    await overdue(database, request.id)

    async def attempt() -> str:
        try:
            await a_hold(database, clinic)
        except SlotTaken:
            return "taken"
        return "held"

    await warm(database)
    results = await asyncio.gather(*(attempt() for _ in range(30)))

    assert Counter(results) == {"held": 1, "taken": 29}
    stored = await as_it_is(database, request.id)
    assert stored.cancellation is not None
    assert stored.cancellation.cause == "pending_expired"
    assert (await trail(database, request.id))[-1] == "pending_expired"
    assert (await told(database, request.id))[-1]["cancellation"]["cause"] == "pending_expired"


async def test_an_overdue_request_does_not_keep_its_patient_busy(database: Database) -> None:
    asked, other = await a_clinic(database, requires_approval=True), await a_clinic(database)
    async with database.transaction() as db:
        patient = await a_patient(db)
    request = await a_booking(database, asked, patient_id=patient)
    wish = a_wish(other, patient_id=patient)
    async with database.autocommit() as db:
        await hold_timeslot(db, wish)
    async with database.transaction() as db:
        with pytest.raises(PatientBusy):
            await confirm_appointment(db, wish.token_hash, Details(), user_id=patient)
    await overdue(database, request.id)

    async with database.transaction() as db:
        found = await confirm_appointment(db, wish.token_hash, Details(), user_id=patient)

    assert found.appointment.status is Status.CONFIRMED
    assert (await as_it_is(database, request.id)).status is Status.CANCELLED


async def test_many_workers_end_each_overdue_request_once(database: Database) -> None:
    clinic = await a_clinic(database, requires_approval=True, staff=12)
    requests = [await a_booking(database, clinic) for _ in range(12)]
    for request in requests[:10]:
        await overdue(database, request.id)

    async def tick() -> int:
        async with database.transaction() as db:
            return await expire_due_requests(db, limit=3)

    await warm(database)
    ended = await asyncio.gather(*(tick() for _ in range(20)))

    assert sum(ended) == 10
    for request in requests[:10]:
        assert len(await trail(database, request.id)) == 3
        assert await count(database, "claims", request.id) == 0
    for request in requests[10:]:
        assert (await as_it_is(database, request.id)).status is Status.PENDING


async def test_a_decision_and_the_timer_at_the_same_moment_leave_one_story(
    database: Database,
) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    request = await a_booking(database, clinic)
    await overdue(database, request.id)

    async def approve() -> None:
        async with database.transaction() as db:
            await approve_request(db, request.id, reason=None, user=provider_of(clinic))

    async def tick() -> None:
        async with database.transaction() as db:
            await expire_due_requests(db)

    await warm(database)
    results = await asyncio.gather(
        *(approve() if number % 2 else tick() for number in range(20)), return_exceptions=True
    )
    # A tick leaves alone what somebody else has in hand; the next one comes.
    await tick()

    refused = [result for result in results if isinstance(result, Exception)]
    assert {type(refusal) for refusal in refused} <= {RequestExpired, IllegalTransition}
    assert len(refused) == 10
    assert await trail(database, request.id) == [
        "held_created",
        "request_submitted",
        "pending_expired",
    ]


@pytest.mark.parametrize("requires_approval", [False, True])
async def test_a_holds_end_is_told_of_holds_alone(
    database: Database, requires_approval: bool
) -> None:
    clinic = await a_clinic(database, staff=2, requires_approval=requires_approval)
    booked = await a_booking(database, clinic)
    hold = await a_hold(database, clinic)
    await overdue(database, hold.id)
    async with database.transaction() as db:
        await expire_due_holds(db)

    ended = await as_it_is(database, hold.id)

    assert (await as_it_is(database, booked.id)).hold_expires_at is None
    assert (await told(database, booked.id))[-1]["holdExpiresAt"] is None
    assert ended.status is Status.CANCELLED
    assert ended.hold_expires_at is not None
    assert (await told(database, hold.id))[-1]["holdExpiresAt"] is not None
