"""An appointment has one event in its provider's calendar while it stands, and then none."""

import asyncio
from datetime import datetime
from itertools import permutations

import pytest

from calendar_sync.calendars.contract import AccessGone, Refused, Temporary
from calendar_sync.use_cases.choose import choose
from calendar_sync.use_cases.disconnect import disconnect
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.provider import ProviderUpdated
from shared.ids import new_id

from .conftest import PROVIDER, AnAppointment, Tell
from .practice import HOUR, Practice, a_practice, in_days
from .remote import Killed, Remote

AT, LATER = in_days(5), in_days(6)


@pytest.fixture
async def practice(database: Database, tell: Tell, the_provider: ProviderUpdated) -> Practice:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote())
    await practice.visit()
    await practice.told()
    return practice


@pytest.fixture
def confirmed(an_appointment: AnAppointment) -> AppointmentEvent:
    return an_appointment(BookingConfirmed, version=2, start=AT)


def times(practice: Practice, calendar: str = "main") -> list[datetime]:
    found = practice.remote.ours(calendar)
    return sorted(each.occurrences[0].start for each in found)  # type: ignore[type-var]


async def test_a_confirmed_appointment_is_written_at_once(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit(wait=False)

    assert times(practice) == [AT]
    (event,) = await practice.told()
    assert (event.type, event.action) == ("calendar.event_written", "created")
    assert event.appointment_id == confirmed.id
    assert await practice.busy() == []


async def test_a_request_is_not_written(
    practice: Practice, tell: Tell, an_appointment: AnAppointment
) -> None:
    await tell(an_appointment(BookingRequested, start=AT))
    await practice.visit()

    assert times(practice) == []
    assert await practice.told() == []


async def test_our_own_events_never_make_busy(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    for _ in range(3):
        await practice.visit()

    assert practice.remote.puts == 1
    assert await practice.busy() == []


async def test_our_own_events_never_make_busy_though_their_mark_is_lost(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit(wait=False)
    (event,) = practice.remote.ours()
    practice.remote.set(event.id, AT, AT + HOUR / 2)

    await practice.visit()

    assert practice.remote.ours() == []
    assert await practice.busy() == []


async def test_a_cancelled_appointment_is_removed(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed)
    await practice.visit()
    await practice.told()

    await tell(an_appointment(BookingCancelled, id=confirmed.id, version=3, start=AT))
    await practice.visit(wait=False)

    assert times(practice) == []
    assert [event.action for event in await practice.told()] == ["removed"]
    assert await practice.sql("SELECT FROM written_events") == []


async def test_one_that_was_never_written_needs_no_call(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed, an_appointment(BookingCancelled, id=confirmed.id, version=3, start=AT))
    await practice.visit()

    assert (practice.remote.puts, practice.remote.removed) == (0, [])


def a_move(confirmed: AppointmentEvent, an_appointment: AnAppointment) -> list[AppointmentEvent]:
    new = an_appointment(
        BookingRescheduled, id=new_id(), start=LATER, rescheduled_from=confirmed.id
    )
    old = an_appointment(
        BookingCancelled, id=confirmed.id, version=3, start=AT, rescheduled_to=new.id
    )
    return [new, old]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("visits_between", [False, True])
async def test_a_moved_appointment_keeps_its_event(
    practice: Practice,
    tell: Tell,
    confirmed: AppointmentEvent,
    an_appointment: AnAppointment,
    order: tuple[int, int],
    visits_between: bool,
) -> None:
    await tell(confirmed)
    await practice.visit()
    (before,) = practice.remote.ours()
    await practice.told()

    told = a_move(confirmed, an_appointment)
    for number in order:
        await tell(told[number])
        if visits_between:
            await practice.visit()
    await practice.visit()

    (after,) = practice.remote.ours()
    assert (after.id, times(practice)) == (before.id, [LATER])
    assert [event.action for event in await practice.told()] == ["updated"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_in_whatever_order_a_move_is_heard_of_one_event_remains(
    practice: Practice,
    tell: Tell,
    confirmed: AppointmentEvent,
    an_appointment: AnAppointment,
    order: tuple[int, ...],
) -> None:
    told = [confirmed, *a_move(confirmed, an_appointment)]

    for number in order:
        await tell(told[number])
        await practice.visit()
    await practice.visit()

    assert times(practice) == [LATER]


async def test_a_request_to_move_leaves_the_event_where_it_is(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed)
    await practice.visit()
    request = an_appointment(BookingRequested, start=LATER, rescheduled_from=confirmed.id)

    await tell(request)
    await practice.visit()
    rejected = an_appointment(
        BookingCancelled, id=request.id, version=3, start=LATER, rescheduled_from=confirmed.id
    )
    await tell(rejected)
    await practice.visit()

    assert times(practice) == [AT]


async def test_killed_between_the_insert_and_our_commit_there_is_one_event(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    practice.remote.dies_after_put = True
    with pytest.raises(Killed):
        await _die(practice)
    practice.remote.dies_after_put = False

    await practice.visit()
    held = practice.remote.puts
    await practice.sql("UPDATE connections SET lease_until = now() - interval '1 second'")
    await practice.visit()

    assert held == 1
    assert times(practice) == [AT]
    assert [event.action for event in await practice.told()] == ["created"]


async def test_killed_before_our_commit_and_cancelled_then_there_is_none(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed)
    practice.remote.dies_after_put = True
    with pytest.raises(Killed):
        await _die(practice)
    practice.remote.dies_after_put = False
    await tell(an_appointment(BookingCancelled, id=confirmed.id, version=3, start=AT))

    await practice.sql("UPDATE connections SET lease_until = NULL, lease_id = NULL")
    await practice.visit()

    assert times(practice) == []


async def _die(practice: Practice) -> None:
    """A visit that ends as with kill -9: nothing is written after it, not even its lease."""
    from calendar_sync.sync.lease import claim

    await practice.sql("UPDATE connections SET next_visit_at = now()")
    (lease,) = await claim(practice.database, 1)
    await practice.visitor._visits._visit(lease)


async def test_the_provider_is_down_for_an_hour(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed)
    others = [an_appointment(BookingConfirmed, start=in_days(7 + n)) for n in range(3)]
    for _ in range(8):
        practice.remote.faults = [Temporary("unreachable")] * 5
        await practice.visit()
    await tell(*others)
    await tell(an_appointment(BookingCancelled, id=others[0].id, version=3, start=in_days(7)))
    practice.remote.faults = []

    failed = [event.type for event in await practice.told()]
    await practice.visit()

    assert failed == ["calendar.event_failed"]
    assert times(practice) == [AT, in_days(8), in_days(9)]
    assert [each.action for each in await practice.told()] == ["created"] * 3


async def test_what_the_provider_refuses_is_told_once_and_delays_nobody_else(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed, an_appointment(BookingConfirmed, start=LATER))
    practice.remote.faults = [Refused("may_not_write")]
    await practice.visit()
    first = await practice.told()
    practice.remote.faults = [Refused("may_not_write")]
    await practice.visit()
    second = await practice.told()
    await practice.visit()

    assert [event.type for event in first] == ["calendar.event_failed", "calendar.event_written"]
    assert first[0].reason == "may_not_write"
    assert second == []
    assert times(practice) == [AT, LATER]


async def test_an_event_that_somebody_moves_is_put_back(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    (ours,) = practice.remote.ours()
    await practice.told()

    practice.remote.set(ours.id, LATER, LATER + HOUR, key=ours.key)
    await practice.visit()

    assert times(practice) == [AT]
    assert [event.action for event in await practice.told()] == ["repaired"]


async def test_an_event_that_somebody_deletes_is_put_back(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    practice.remote.delete(practice.remote.ours()[0].id)

    await practice.visit()

    assert times(practice) == [AT]


async def test_one_that_is_deleted_while_the_cursor_was_gone_is_put_back_too(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    for _ in range(2):
        await practice.visit()
    practice.remote.delete(practice.remote.ours()[0].id)
    practice.remote.oldest_cursor = len(practice.remote.changed)

    await practice.visit()

    assert times(practice) == [AT]


async def test_drift_is_left_and_shown_where_it_is_so_set(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    async with practice.database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"on_drift": "leave"})
    await tell(confirmed)
    await practice.visit()
    (ours,) = practice.remote.ours()

    practice.remote.set(ours.id, LATER, LATER + HOUR, key=ours.key)
    for _ in range(2):
        await practice.visit()
    (row,) = await practice.sql("SELECT drift FROM written_events")
    assert (row["drift"], times(practice)) == ("changed", [LATER])

    await tell(*a_move(confirmed, an_appointment))
    await practice.visit()
    assert times(practice) == [LATER]
    (row,) = await practice.sql("SELECT drift FROM written_events")
    assert row["drift"] is None


async def test_who_insists_is_not_fought_for_ever(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    (ours,) = practice.remote.ours()
    for _ in range(6):
        practice.remote.set(ours.id, LATER, LATER + HOUR, key=ours.key)
        await practice.visit()

    assert practice.remote.puts == 4
    (row,) = await practice.sql("SELECT drift FROM written_events")
    assert row["drift"] == "changed"


async def test_a_change_of_other_things_is_no_drift(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    (ours,) = practice.remote.ours()
    practice.remote.set(ours.id, AT, confirmed.end, key=ours.key)

    await practice.visit()

    assert practice.remote.puts == 1
    (row,) = await practice.sql("SELECT etag, drift FROM written_events")
    assert (row["etag"], row["drift"]) == (practice.remote.ours()[0].etag, None)


async def test_another_calendar_gets_the_events_of_future_appointments(
    database: Database, tell: Tell, the_provider: ProviderUpdated, confirmed: AppointmentEvent
) -> None:
    await tell(the_provider)
    practice = await a_practice(database, PROVIDER, Remote(), calendars=("main", "work"))
    await tell(confirmed)
    await practice.visit()
    (work,) = await practice.sql("SELECT id FROM calendars WHERE external_id = 'work'")

    async with database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"target_calendar_id": work["id"]})
    await practice.visit()
    moved = (times(practice), times(practice, "work"))
    async with database.transaction() as db:
        await choose(db, PROVIDER, practice.id, {"target_calendar_id": None})
    await practice.visit()

    assert moved == ([], [AT])
    assert times(practice, "work") == []


async def test_appointments_that_exist_are_written_when_a_calendar_is_connected(
    database: Database, tell: Tell, the_provider: ProviderUpdated, confirmed: AppointmentEvent
) -> None:
    await tell(the_provider, confirmed)
    practice = await a_practice(database, PROVIDER, Remote())

    await practice.visit()

    assert times(practice) == [AT]


async def test_a_completed_appointment_is_not_written_again(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, an_appointment: AnAppointment
) -> None:
    await tell(confirmed)
    await practice.visit()
    await tell(an_appointment(BookingCompleted, id=confirmed.id, version=3, start=AT))
    await practice.visit()

    assert (practice.remote.puts, times(practice)) == (1, [AT])


@pytest.mark.parametrize("remove_events", [False, True])
async def test_disconnecting_takes_back_what_is_wanted(
    practice: Practice, tell: Tell, confirmed: AppointmentEvent, remove_events: bool
) -> None:
    practice.remote.set("a", LATER, LATER + HOUR)
    await tell(confirmed)
    await practice.visit()
    await practice.told()

    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=remove_events)
        await disconnect(db, PROVIDER, practice.id, remove_events=remove_events)
    told = await practice.told_types()
    practice.remote.faults = [Temporary("unreachable")]
    await practice.visit()
    await practice.visit()

    assert told == ["connection_deleted"]
    assert times(practice) == ([] if remove_events else [AT])
    assert practice.remote.revoked == 1
    for table in ("connections", "calendars", "external_busy_times", "written_events"):
        assert await practice.sql(f"SELECT FROM {table}") == []


async def test_disconnecting_ends_although_the_access_is_gone(practice: Practice) -> None:
    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=True)
    practice.remote.faults = [AccessGone("invalid_grant")]

    await practice.visit()

    assert await practice.sql("SELECT FROM connections") == []


async def test_disconnecting_ends_although_nobody_answers_for_a_day(practice: Practice) -> None:
    async with practice.database.transaction() as db:
        await disconnect(db, PROVIDER, practice.id, remove_events=False)
    practice.remote.faults = [Temporary("unreachable")]
    await practice.sql("UPDATE connections SET ended_at = now() - interval '25 hours'")

    await practice.visit()

    assert await practice.sql("SELECT FROM connections") == []


async def test_twenty_workers_write_each_event_once(
    practice: Practice, tell: Tell, an_appointment: AnAppointment
) -> None:
    appointments = [an_appointment(BookingConfirmed, start=in_days(5 + n)) for n in range(20)]
    await asyncio.gather(*(tell(each) for each in appointments))

    await asyncio.gather(*(practice.visitor.tick() for _ in range(20)))
    await practice.visitor.idle()
    await practice.visit()

    assert practice.remote.puts == 20
    assert practice.remote.most_at_once == 1
    assert len(practice.remote.ours()) == 20
