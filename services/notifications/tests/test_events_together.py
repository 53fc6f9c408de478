"""Events of appointments that come together lead to what they lead to one by one."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from notifications.consumers import HANDLERS, appointments_changed
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingRequested,
)
from shared.messaging import InHand
from shared.observability import TraceContext, begin

from .builders import a_patient, a_provider, an_appointment, an_event
from .conftest import Events, Rows, Tell

KINDS = (BookingRequested, BookingConfirmed, BookingCancelled, BookingCompleted)


def lives() -> list[AppointmentEvent]:
    """Every order of four versions, a copy of each, mixed with those of other appointments."""
    orders = [
        [an_appointment(KINDS[(at + turn) % 4], id=id_, version=at) for at in order]
        for turn, order in enumerate(permutations(range(4)))
        for id_ in [uuid4()]
    ]
    return [event for column in zip(*orders, strict=True) for event in (*column, *column)]


async def tell_together(
    database: Database, facts: Sequence[AppointmentEvent], contexts: Sequence[TraceContext] = ()
) -> None:
    given = contexts or [begin("an event") for _ in facts]
    async with database.transaction() as db:
        await appointments_changed.handle(
            db,
            [InHand(an_event(fact), each) for fact, each in zip(facts, given, strict=True)],
        )


def as_told(jobs: Sequence[asyncpg.Record], numbers: dict[UUID, int]) -> list[tuple[Any, ...]]:
    """Without the ids and the moments, which differ."""
    return sorted(
        (
            numbers[job["appointment_id"]],
            *(job[name] for name in ("kind", "party", "channel", "status", "appointment_version")),
            job["last_error"] or "",
        )
        for job in jobs
    )


def numbers_of(facts: Sequence[AppointmentEvent]) -> dict[UUID, int]:
    return {id_: number for number, id_ in enumerate(dict.fromkeys(fact.id for fact in facts))}


async def test_a_batch_leaves_what_single_events_leave(
    tell: Tell, database: Database, jobs: Rows
) -> None:
    await tell(a_patient(), a_provider())
    singly, together = lives(), lives()

    await tell(*singly)
    await tell_together(database, together)

    one_by_one = as_told(await of(jobs, singly), numbers_of(singly))
    assert {row[4] for row in one_by_one} == {"queued", "withdrawn"}
    assert as_told(await of(jobs, together), numbers_of(together)) == one_by_one


async def of(jobs: Rows, facts: Sequence[AppointmentEvent]) -> list[asyncpg.Record]:
    return [job for id_ in numbers_of(facts) for job in await jobs(appointment_id=id_)]


async def test_later_tellings_are_planned_and_withdrawn_together(
    tell: Tell, database: Database, later_jobs: Rows, events: Events
) -> None:
    await tell(a_patient(), a_provider())
    confirmed = [an_appointment(BookingConfirmed, version=1) for _ in range(20)]
    kept, cancelled = confirmed[:10], confirmed[10:]

    await tell_together(database, confirmed)
    await tell_together(
        database, [an_appointment(BookingCancelled, id=each.id, version=2) for each in cancelled]
    )

    for each in kept:
        assert {job["status"] for job in await later_jobs(appointment_id=each.id)} == {"queued"}
    for each in cancelled:
        withdrawn = await later_jobs(appointment_id=each.id)
        assert {job["status"] for job in withdrawn} == {"withdrawn"}
        assert {job["last_error"] for job in withdrawn} == {"the appointment is cancelled"}
    announced = [event.appointment_id for event in await events()]
    assert set(announced) == {each.id for each in confirmed}


async def test_each_job_belongs_to_the_story_of_its_event(
    tell: Tell, database: Database, jobs: Rows
) -> None:
    await tell(a_patient(), a_provider())
    facts = [an_appointment(BookingConfirmed) for _ in range(20)]
    contexts = [begin("an event") for _ in facts]

    await tell_together(database, facts, contexts)

    for fact, context in zip(facts, contexts, strict=True):
        planned = await jobs(appointment_id=fact.id)
        assert {job["traceparent"] for job in planned} == {context.traceparent}


async def test_the_log_for_integrators_keeps_the_order(database: Database) -> None:
    facts = [an_appointment(BookingConfirmed) for _ in range(30)]

    await tell_together(database, facts)

    async with database.reading() as db:
        rows = await db.fetch("SELECT data FROM webhook_events ORDER BY position")
    assert [row["data"]["appointmentId"] for row in rows] == [str(fact.id) for fact in facts]


def test_all_that_happens_to_appointments_may_come_together() -> None:
    assert {HANDLERS[kind] for kind in KINDS} == {appointments_changed}
