"""How appointments end that took place: by their provider's word, or by themselves."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings import queries
from bookings.consumers import save_provider
from bookings.domain.lifecycle import IllegalTransition, Status
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import AppointmentNotFound
from bookings.use_cases.finish import (
    complete_appointment,
    finish_due_appointments,
    mark_no_show,
)
from shared.auth import Principal, Role
from shared.db import Database
from shared.errors import Forbidden

from .builders import Clinic, a_clinic, an_event, tomorrow
from .stage import (
    ADMIN,
    Explaining,
    a_booking,
    after,
    as_it_is,
    copies,
    count,
    patient_of,
    provider_of,
    told,
    trail,
    warm,
)

ENDS = [
    (complete_appointment, Status.COMPLETED, "booking.completed"),
    (mark_no_show, Status.NO_SHOW, "booking.no_show"),
]


async def finish_due(database: Database, **options: Any) -> int:
    async with database.transaction() as db:
        return await finish_due_appointments(db, **options)


async def let(database: Database, clinic: Clinic, policy: str, *, grace: int) -> None:
    clinic.provider = clinic.provider.model_copy(
        update={
            "version": clinic.provider.version + 1,
            "completion_policy": policy,
            "completion_grace_minutes": grace,
        }
    )
    async with database.transaction() as db:
        await save_provider(db, an_event(clinic.provider))


async def ended(database: Database, clinic: Clinic, *, minutes_ago: int) -> UUID:
    start = tomorrow()
    appointment = await a_booking(database, clinic, start=start)
    async with database.reading() as db:
        now = await db.fetchval("SELECT now()")
    over_since = timedelta(minutes=minutes_ago)
    await after(database, appointment.end - now + over_since, appointment.id)
    return appointment.id


@pytest.mark.parametrize(("use_case", "status", "event"), ENDS)
@pytest.mark.parametrize("by_admin", [False, True])
async def test_the_provider_says_how_it_went(
    database: Database, use_case: Any, status: Status, event: str, by_admin: bool
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    await after(database, timedelta(days=2), appointment.id)
    user = ADMIN if by_admin else provider_of(clinic)

    async with database.transaction() as db:
        await use_case(db, appointment.id, reason="as planned", user=user)

    stored = await as_it_is(database, appointment.id)
    assert (stored.status, stored.decision_reason) == (status, "as planned")
    assert await trail(database, appointment.id) == ["held_created", "confirmed", status.value]
    assert [each["type"] for each in await told(database, appointment.id)][2:] == [event]
    assert "as planned" not in str(await told(database, appointment.id))
    assert await count(database, "claims", appointment.id) == 0
    assert await count(database, "patient_claims", appointment.id) == 0


@pytest.mark.parametrize(("use_case", "status", "event"), ENDS)
async def test_nobody_says_how_it_went_before_the_start(
    database: Database, use_case: Any, status: Status, event: str
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)

    async with database.transaction() as db:
        with pytest.raises(AgainstPolicy) as refused:
            await use_case(db, appointment.id, reason=None, user=provider_of(clinic))

    assert refused.value.members == {"rule": "not_started", "start": appointment.start}


@pytest.mark.parametrize(("use_case", "status", "event"), ENDS)
async def test_it_is_not_the_patients_to_say(
    database: Database, use_case: Any, status: Status, event: str
) -> None:
    clinic = await a_clinic(database)
    appointment = await a_booking(database, clinic)
    await after(database, timedelta(days=2), appointment.id)

    for user, refusal in (
        (patient_of(appointment), Forbidden),
        (Principal(uuid4(), Role.PROVIDER), AppointmentNotFound),
    ):
        async with database.transaction() as db:
            with pytest.raises(refusal):
                await use_case(db, appointment.id, reason=None, user=user)


async def test_of_many_words_at_once_the_first_one_counts(database: Database) -> None:
    clinic = await a_clinic(database)
    await let(database, clinic, "completed", grace=0)
    id_ = await ended(database, clinic, minutes_ago=5)

    async def say(number: int) -> str:
        try:
            match number % 3:
                case 0:
                    return "timer" if await finish_due(database) else "nothing"
                case 1:
                    use_case = complete_appointment
                case _:
                    use_case = mark_no_show
            async with database.transaction() as db:
                await use_case(db, id_, reason=None, user=provider_of(clinic))
        except IllegalTransition:
            return "refused"
        return "said"

    await warm(database)
    results = Counter(await asyncio.gather(*(say(number) for number in range(30))))

    assert results["said"] + results["timer"] == 1
    assert len(await trail(database, id_)) == 3
    assert len(await told(database, id_)) == 3


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ("completed", Status.COMPLETED),
        ("no_show", Status.NO_SHOW),
        ("none", Status.CONFIRMED),
    ],
)
async def test_what_nobody_has_spoken_about_ends_as_its_provider_wants(
    database: Database, policy: str, status: Status
) -> None:
    clinic = await a_clinic(database)
    await let(database, clinic, policy, grace=60)
    id_ = await ended(database, clinic, minutes_ago=61)

    done = await finish_due(database)

    stored = await as_it_is(database, id_)
    assert (done, stored.status) == (int(policy != "none"), status)
    if done:
        assert (await told(database, id_))[-1]["change"]["actorType"] == "system"


@pytest.mark.parametrize(
    ("minutes_ago", "status"),
    [(-10, Status.CONFIRMED), (59, Status.CONFIRMED), (61, Status.COMPLETED)],
)
async def test_the_grace_counts_from_the_end(
    database: Database, minutes_ago: int, status: Status
) -> None:
    clinic = await a_clinic(database)
    await let(database, clinic, "completed", grace=60)
    id_ = await ended(database, clinic, minutes_ago=minutes_ago)

    await finish_due(database)

    assert (await as_it_is(database, id_)).status is status


@pytest.mark.parametrize(("minutes", "status"), [(-1, Status.CONFIRMED), (1, Status.COMPLETED)])
async def test_a_provider_who_has_set_nothing_has_a_day(
    database: Database, minutes: int, status: Status
) -> None:
    id_ = await ended(database, await a_clinic(database), minutes_ago=24 * 60 + minutes)

    await finish_due(database)

    assert (await as_it_is(database, id_)).status is status


async def test_many_workers_finish_each_appointment_once(database: Database) -> None:
    clinic = await a_clinic(database, staff=15)
    await let(database, clinic, "completed", grace=0)
    ids = [await ended(database, clinic, minutes_ago=5 + 40 * number) for number in range(15)]

    await warm(database)
    finished = await asyncio.gather(*(finish_due(database, limit=2) for _ in range(20)))
    while more := await finish_due(database, limit=2):
        finished.append(more)

    assert sum(finished) == 15
    for id_ in ids:
        assert await trail(database, id_) == ["held_created", "confirmed", "completed"]
        assert len(await told(database, id_)) == 3


async def test_what_others_leave_open_for_ever_costs_the_timer_nothing(
    database: Database,
) -> None:
    open_for_ever, clinic = await a_clinic(database), await a_clinic(database)
    await let(database, open_for_ever, "none", grace=0)
    await let(database, clinic, "completed", grace=0)
    pattern = await ended(database, open_for_ever, minutes_ago=60)
    due = await ended(database, clinic, minutes_ago=5)
    await copies(database, pattern, 5000, hours=-1)

    async with database.transaction() as db:
        looking = Explaining(db)
        found = await queries.due_to_finish(looking, limit=200)

    assert [id_ for id_, _ in found] == [due]
    assert looking.buffers < 60
