"""Events in, calendar entries out: whatever the order, and however often."""

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import pytest

from calendar_sync import queries
from calendar_sync.consumers import HANDLERS
from calendar_sync.entries import Status
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingHeld,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
    Cancellation,
)
from shared.events.envelope import Event
from shared.events.provider import ProviderDeleted, ProviderUpdated
from shared.ids import new_id
from shared.messaging.handlers import InHand
from shared.messaging.handling import Handling
from shared.observability import begin

AnAppointment = Callable[..., AppointmentEvent]
Tell = Callable[..., Awaitable[None]]
Rows = list[dict[str, Any]]


@pytest.fixture
def life(an_appointment: AnAppointment) -> list[AppointmentEvent]:
    """An appointment's whole life, as bookings tells it."""
    first = an_appointment(BookingRequested, version=2)
    others = [
        (BookingConfirmed, 3, "confirmed"),
        (BookingRescheduled, 4, "confirmed"),
        (BookingCancelled, 5, "cancelled"),
    ]
    return [
        first,
        *(
            an_appointment(kind, id=first.id, version=version, status=status)
            for kind, version, status in others
        ),
    ]


async def rows(database: Database, table: str = "entries") -> Rows:
    async with database.reading() as db:
        return [dict(row) for row in await db.fetch(f"SELECT * FROM {table} ORDER BY id")]


async def test_an_entry_has_what_calendars_need(
    database: Database, tell: Tell, an_appointment: AnAppointment
) -> None:
    appointment = an_appointment(BookingConfirmed, version=7)

    await tell(appointment)

    async with database.reading() as db:
        entry = await queries.entry(db, appointment.id)
    assert entry is not None
    assert (entry.version, entry.status) == (7, Status.CONFIRMED)
    assert (entry.starts_at, entry.ends_at) == (appointment.start, appointment.end)
    assert (entry.provider_id, entry.user_id) == (appointment.provider_id, appointment.user_id)
    assert (entry.provider_name, entry.service_title) == (
        "Dr. Eleni Ioannou",
        "First consultation",
    )
    assert entry.location_address == "5 Example Street, Athens"


async def test_every_state_reaches_the_entry(
    database: Database, tell: Tell, an_appointment: AnAppointment
) -> None:
    states = {
        BookingRequested: "pending",
        BookingConfirmed: "confirmed",
        BookingRescheduled: "confirmed",
        BookingCancelled: "cancelled",
        BookingCompleted: "completed",
        BookingNoShow: "no_show",
    }
    told = [an_appointment(kind) for kind in states]

    await tell(*told)

    found = [row["status"] for row in await rows(database)]
    assert found == list(states.values())


async def test_in_every_order_the_newest_version_stays(
    database: Database, tell: Tell, an_appointment: AnAppointment, life: list[AppointmentEvent]
) -> None:
    await tell(*life)
    [in_order] = await rows(database)

    for number, order in enumerate(permutations(life)):
        another = new_id()
        await tell(*(event.model_copy(update={"id": another}) for event in order))
        found = {row["id"]: row for row in await rows(database)}
        assert found[another] | {"id": in_order["id"]} == in_order, f"order {number}"


async def test_events_told_twice_change_nothing(
    database: Database, tell: Tell, life: list[AppointmentEvent], the_provider: ProviderUpdated
) -> None:
    await tell(*life, the_provider)
    once = await rows(database), await rows(database, "providers")

    await tell(*life, the_provider, *reversed(life))

    assert (await rows(database), await rows(database, "providers")) == once


async def test_a_rebuilt_read_model_is_the_same(
    database: Database, tell: Tell, life: list[AppointmentEvent], an_appointment: AnAppointment
) -> None:
    history = [*life, an_appointment(BookingConfirmed), an_appointment(BookingCompleted)]
    await tell(*history)
    before = await rows(database)
    async with database.transaction() as db:
        await db.execute("DELETE FROM entries")

    # Of old events only the newest of each appointment is kept.
    await tell(*history[3:])

    assert await rows(database) == before


async def test_a_redelivered_message_has_no_second_effect(
    database: Database, an_appointment: AnAppointment
) -> None:
    seen = []

    async def count(_: Any, event: Event[Any]) -> None:
        seen.append(event.id)

    handlers = {kind.type: count for kind in HANDLERS}
    handling = Handling("calendar-sync", handlers, database, timeout=60, batch_timeout=60)
    appointment = an_appointment()
    event = Event[Any](
        id=new_id(),
        type=appointment.type,
        source=appointment.source,
        subject=appointment.subject,
        sequence=appointment.sequence,
        time=appointment.updated_at,
        data=appointment,
    )

    taken = InHand(event, begin("a message"))
    await handling.together([taken, taken])
    await handling.together([taken])

    assert seen == [event.id]


async def test_a_hold_is_in_no_calendar(
    database: Database, tell: Tell, an_appointment: AnAppointment
) -> None:
    held = an_appointment(BookingHeld, version=1)
    expired = an_appointment(
        BookingCancelled,
        id=held.id,
        version=2,
        hold_expires_at=held.hold_expires_at,
        cancellation=Cancellation(
            at=held.updated_at, cause="hold_expired", by_type="system", by_id=None, fee_cents=0
        ),
    )

    await tell(expired)

    assert await rows(database) == []


async def test_a_cancellation_that_comes_first_is_not_undone(
    database: Database, tell: Tell, life: list[AppointmentEvent]
) -> None:
    requested, confirmed, _, cancelled = life

    await tell(cancelled, confirmed, requested)

    assert [row["status"] for row in await rows(database)] == ["cancelled"]


async def test_a_provider_has_a_name_and_a_zone(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    renamed = the_provider.model_copy(update={"version": 3, "name": "Dr. E. Ioannou-Papa"})

    await tell(renamed, the_provider)

    [row] = await rows(database, "providers")
    assert (row["name"], row["timezone"], row["version"]) == (
        "Dr. E. Ioannou-Papa",
        "Europe/Athens",
        3,
    )


async def test_a_deleted_provider_does_not_come_back(
    database: Database, tell: Tell, the_provider: ProviderUpdated
) -> None:
    never_seen = the_provider.model_copy(update={"id": new_id()})

    await tell(the_provider, ProviderDeleted(id=the_provider.id, version=2), the_provider)
    await tell(ProviderDeleted(id=never_seen.id, version=2), never_seen)

    found = [(row["is_deleted"], row["version"]) for row in await rows(database, "providers")]
    assert found == [(True, 2), (True, 2)]
