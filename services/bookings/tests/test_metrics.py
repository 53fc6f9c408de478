"""What Prometheus is told of bookings: what is committed, and what is late."""

import asyncio
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from bookings import ledger, metrics
from bookings.domain.appointment import SYSTEM, Note
from bookings.domain.lifecycle import Action
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.end_hold import expire_due_holds
from bookings.use_cases.hold import hold_timeslot
from shared import due_work
from shared.db import Database
from shared.events.provider import CancellationTerms

from .builders import a_clinic, a_wish
from .stage import a_booking, a_hold, as_it_is, overdue, patient_of, somebody_waits

FREE_FOR_NOBODY = CancellationTerms(
    free_until_minutes=365 * 24 * 60, fee_cents=2000, fee_percent=0, cutoff_minutes=0
)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def changes(action: Action) -> float:
    return value("booking_changes_total", action=action.value)


async def test_a_hold_and_its_confirmation_are_counted_once_each(database: Database) -> None:
    held, confirmed = changes(Action.HELD_CREATED), changes(Action.CONFIRMED)
    spoken = value("booking_hold_to_confirmation_seconds_count")

    await a_booking(database, await a_clinic(database))

    assert changes(Action.HELD_CREATED) == held + 1
    assert changes(Action.CONFIRMED) == confirmed + 1
    assert value("booking_hold_to_confirmation_seconds_count") == spoken + 1


async def test_a_change_that_is_rolled_back_is_not_counted(database: Database) -> None:
    hold = await a_hold(database, await a_clinic(database))
    await overdue(database, hold.id)
    before = changes(Action.HOLD_EXPIRED)

    async def expire_and_fail() -> None:
        async with database.transaction() as db:
            assert await expire_due_holds(db) == 1
            assert changes(Action.HOLD_EXPIRED) == before
            raise LookupError

    with pytest.raises(LookupError):
        await expire_and_fail()
    assert changes(Action.HOLD_EXPIRED) == before

    async with database.transaction() as db:
        await expire_due_holds(db)
    assert changes(Action.HOLD_EXPIRED) == before + 1


async def test_an_overdue_hold_that_is_cleared_for_another_counts_as_expired(
    database: Database,
) -> None:
    clinic = await a_clinic(database)
    await overdue(database, (await a_hold(database, clinic)).id)
    before = changes(Action.HOLD_EXPIRED)

    async with database.autocommit() as db:
        await hold_timeslot(db, a_wish(clinic))

    assert changes(Action.HOLD_EXPIRED) == before + 1


async def test_a_fee_is_counted_when_it_is_charged_and_not_again(database: Database) -> None:
    clinic = await a_clinic(database, cancellation=FREE_FOR_NOBODY)
    booked = await a_booking(database, clinic)
    fees = value("booking_cancellation_fees_minor_units_total", currency="EUR")
    charged = value("booking_cancellations_charged_total")

    async with database.transaction() as db:
        await cancel_appointment(db, booked.id, reason=None, user=patient_of(booked))
    ended = await as_it_is(database, booked.id)
    async with database.transaction() as db:
        await ledger.add_note(db, ended, Note(uuid4(), "shared", SYSTEM, "late", ended.updated_at))

    assert value("booking_cancellation_fees_minor_units_total", currency="EUR") == fees + 2000
    assert value("booking_cancellations_charged_total") == charged + 1


async def test_a_unit_lost_to_a_rival_is_counted(database: Database) -> None:
    clinic = await a_clinic(database, staff=2)
    lost = value("booking_claims_lost_total")
    held = changes(Action.HELD_CREATED)

    async with database.transaction() as db:
        rival, _ = await hold_timeslot(db, a_wish(clinic))
        late = asyncio.create_task(a_hold(database, clinic))
        await somebody_waits(database)
        assert value("booking_claims_lost_total") == lost
    hold = await late

    assert {claim.resource_id for claim in hold.claims}.isdisjoint(
        claim.resource_id for claim in rival.claims
    )
    assert changes(Action.HELD_CREATED) == held + 2
    assert value("booking_claims_lost_total") == lost + 1


async def test_holds_that_nobody_has_ended_are_late(database: Database) -> None:
    clinic = await a_clinic(database, staff=2)
    await overdue(database, (await a_hold(database, clinic)).id)
    await a_hold(database, clinic)

    await due_work.measure(database, metrics.DUE)

    assert value("work_due", work="hold expiry") == 1
    assert value("work_due_oldest_seconds", work="hold expiry") > 0
    assert value("work_due", work="request expiry") == 0
    assert value("work_due", work="completion") == 0
