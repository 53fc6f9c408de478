"""The engine with Microsoft's double: whatever goes wrong, the end is what is true there."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calendar_sync.domain.window import window_at
from calendar_sync.sync.visitor import Visitor
from shared.db import Database
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingConfirmed,
    BookingRescheduled,
)
from shared.events.provider import ProviderUpdated
from shared.http import AsyncClient, new_client
from shared.ids import new_id

from .conftest import PROVIDER, AnAppointment, Tell
from .graph.mailbox import Event, Mailbox, Recurrence
from .graph.server import Fault, GraphDouble
from .microsoft import a_connected_mailbox
from .practice import Practice, in_days

AT, LATER = in_days(5), in_days(6)
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def graph(client: AsyncClient) -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open(client) as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
async def practice(
    database: Database,
    tell: Tell,
    the_provider: ProviderUpdated,
    graph: GraphDouble,
    mailbox: Mailbox,
) -> AsyncIterator[Practice]:
    await tell(the_provider)
    async with new_client() as http:
        practice = await a_connected_mailbox(database, PROVIDER, graph, mailbox, http)
        await practice.visit()
        await practice.told()
        yield practice


@pytest.fixture
def confirmed(an_appointment: AnAppointment) -> AppointmentEvent:
    return an_appointment(BookingConfirmed, version=2, start=AT)


def ours(mailbox: Mailbox) -> list[datetime]:
    return sorted(
        event.fields["start"] for event in mailbox.default.events.values() if event.properties
    )


def truth(mailbox: Mailbox, practice: Practice) -> set[tuple[datetime, datetime]]:
    window = window_at(datetime.now(UTC), practice.id)
    return mailbox.busy((window.start, window.end))


async def test_an_appointment_comes_moves_and_goes(
    graph: GraphDouble,
    mailbox: Mailbox,
    practice: Practice,
    tell: Tell,
    an_appointment: AnAppointment,
    confirmed: AppointmentEvent,
) -> None:
    await tell(confirmed)
    await practice.visit(wait=False)
    assert ours(mailbox) == [AT]
    (only,) = mailbox.default.events

    new = new_id()
    await tell(
        an_appointment(BookingRescheduled, id=new, start=LATER, rescheduled_from=confirmed.id),
        an_appointment(BookingCancelled, id=confirmed.id, version=3, start=AT, rescheduled_to=new),
    )
    await practice.visit(wait=False)
    assert ours(mailbox) == [LATER]
    assert set(mailbox.default.events) == {only}

    await graph.subscriptions.deliver()
    await practice.visit()
    await tell(an_appointment(BookingCancelled, id=new, version=3, start=LATER))
    await practice.visit(wait=False)
    assert ours(mailbox) == []

    written = [event.action for event in await practice.told() if hasattr(event, "action")]
    assert written == ["created", "updated", "removed"]
    assert await practice.busy() == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_lost_answer_leaves_one_event(
    graph: GraphDouble,
    mailbox: Mailbox,
    practice: Practice,
    tell: Tell,
    confirmed: AppointmentEvent,
    method: str,
) -> None:
    graph.faults.append(Fault(method, "/events", 0, is_done=True))
    await tell(confirmed)

    for _ in range(3):
        await practice.visit()

    assert ours(mailbox) == [AT]
    assert await practice.busy() == []


async def test_a_worker_killed_while_it_writes_leaves_one_event(
    graph: GraphDouble,
    mailbox: Mailbox,
    practice: Practice,
    tell: Tell,
    confirmed: AppointmentEvent,
) -> None:
    graph.events.hold_after.clear()
    await tell(confirmed)
    await practice.visitor.tick()
    await asyncio.wait_for(graph.events.made.wait(), 30)
    killed = list(practice.visitor._under_way)
    for task in killed:
        task.cancel()
    await asyncio.gather(*killed, return_exceptions=True)
    graph.events.hold_after.set()
    assert ours(mailbox) == [AT]
    await practice.sql("UPDATE connections SET lease_until = NULL")  # it ends by itself

    await practice.visit()
    await practice.visit()

    assert ours(mailbox) == [AT]
    (row,) = await practice.sql("SELECT * FROM written_events")
    assert row["external_id"] in mailbox.default.events


async def test_what_its_owner_does_to_our_event_is_put_right(
    mailbox: Mailbox, practice: Practice, tell: Tell, confirmed: AppointmentEvent
) -> None:
    await tell(confirmed)
    await practice.visit()
    (event,) = mailbox.default.events.values()

    mailbox.change(event, start=LATER, end=LATER + HALF_AN_HOUR)
    await practice.visit()
    assert ours(mailbox) == [AT]

    mailbox.delete(event)
    await practice.visit()
    assert ours(mailbox) == [AT]
    assert await practice.busy() == []


async def test_a_cursor_that_dies_between_pages_frees_nothing_meanwhile(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    graph.rounds.page_size = 3
    for number in range(10):
        mailbox.add(in_days(2 + number))
    await practice.visit()
    known = set(await practice.busy())
    assert known == truth(mailbox, practice)
    for number in range(8):
        mailbox.add(in_days(20 + number))
    graph.rounds.die_after = 2

    for _ in range(3):
        await practice.visit()
        assert known <= set(await practice.busy())

    assert set(await practice.busy()) == truth(mailbox, practice)


async def test_access_taken_back_is_told_once_and_nobody_calls_any_more(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    graph.access.revoke(mailbox)
    await practice.visit()
    calls = len(graph.calls)

    for _ in range(3):
        await practice.visit()

    assert await practice.told_types() == ["connection_broken"]
    assert len(graph.calls) == calls


async def test_twenty_workers_renew_the_access_once(
    graph: GraphDouble, mailbox: Mailbox, practice: Practice
) -> None:
    graph.access.forget_access_tokens(mailbox)
    await practice.sql("UPDATE connections SET next_visit_at = now()")
    visits = practice.visitor._visits
    workers = [Visitor(practice.database, visits, 1) for _ in range(20)]

    await asyncio.gather(*(worker.tick() for worker in workers))
    await asyncio.gather(*(worker.idle() for worker in workers))

    assert graph.access.renewals == 1
    assert (await practice.row())["failures"] == 0


async def test_an_hour_without_microsoft_changes_nothing(
    graph: GraphDouble,
    mailbox: Mailbox,
    practice: Practice,
    tell: Tell,
    confirmed: AppointmentEvent,
) -> None:
    mailbox.add(in_days(3))
    await practice.visit()
    known = await practice.busy()
    graph.is_down = True
    mailbox.add(in_days(4))
    await tell(confirmed)
    for _ in range(12):
        await practice.visit()
        await practice.sql("UPDATE connections SET read_at = read_at - interval '5 minutes'")
    assert await practice.busy() == known
    row = await practice.row()
    assert (row["state"], row["last_error"]) == ("connected", "unreachable")

    graph.is_down = False
    graph.advance(timedelta(hours=1, minutes=30))
    await practice.visit()

    assert set(await practice.busy()) == truth(mailbox, practice)
    assert ours(mailbox) == [AT]
    assert (await practice.row())["last_error"] is None


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_a_storm_the_end_is_the_truth(
    graph: GraphDouble,
    mailbox: Mailbox,
    practice: Practice,
    client: AsyncClient,
    tell: Tell,
    an_appointment: AnAppointment,
    seed: int,
) -> None:
    chance = random.Random(seed)
    graph.rounds.page_size = 4
    graph.rounds.replays = True
    graph.subscriptions.lost = 0.3
    graph.subscriptions.repeats = 2
    owner = _Owner(mailbox, chance)
    appointments: dict[Any, AppointmentEvent] = {}

    for turn in range(60):
        owner.does_something()
        await _something_happens_here(appointments, tell, an_appointment, chance)
        _something_goes_wrong(graph, chance)
        await graph.subscriptions.deliver()
        if turn % 20 == 7:
            await graph.subscriptions.replay()
            forged = {"value": [{"clientState": f"{new_id()}.guessed"}]}
            await client.post("/v1/webhooks/calendar/microsoft", json=forged)
        await practice.visit(wait=chance.random() < 0.2)
    graph.faults.clear()
    # Time enough to ask once more for a subscription that was refused, or to renew one that has
    # been removed while nobody heard of it.
    await practice.sql(
        "UPDATE push_channels SET asked_at = asked_at - interval '1 h', "
        "expires_at = least(expires_at, now() + interval '5 min')"
    )
    for _ in range(2):
        await practice.visit()

    assert set(await practice.busy()) == truth(mailbox, practice)
    standing = [each.start for each in appointments.values() if each.status == "confirmed"]
    assert ours(mailbox) == sorted(standing)
    assert len(graph.subscriptions.live()) == 1


class _Owner:
    """Of the mailbox, who never rests."""

    def __init__(self, mailbox: Mailbox, chance: random.Random) -> None:
        self._mailbox = mailbox
        self._chance = chance
        self._events: list[Event] = []

    def does_something(self) -> None:
        chance, mailbox = self._chance, self._mailbox
        start = in_days(1 + chance.randrange(40), chance.randrange(6, 20))
        event = chance.choice(self._events) if self._events else None
        match chance.randrange(8):
            case 0 | 1 | 2:
                self._events.append(mailbox.add(start))
            case 3:
                series = Recurrence(every=chance.choice([1, 7]), count=chance.randrange(2, 9))
                zone = "GTB Standard Time"
                self._events.append(mailbox.add(start, windows_zone=zone, recurrence=series))
            case 4 if event is not None:
                mailbox.delete(event)
                self._events.remove(event)
            case 5 if event is not None:
                mailbox.change(event, showAs=chance.choice(["free", "busy", "oof", "tentative"]))
            case 6 if event is not None and event.recurrence is not None:
                day, _ = next(event.spans(), (None, None))
                if day is not None and chance.random() < 0.5:
                    mailbox.delete_occurrence(event, day)
                elif day is not None:
                    mailbox.move_occurrence(event, day, start)
            case _ if event is not None:
                mailbox.change(event, start=start, end=start + 2 * HALF_AN_HOUR)


async def _something_happens_here(
    appointments: dict[Any, AppointmentEvent],
    tell: Tell,
    an_appointment: AnAppointment,
    chance: random.Random,
) -> None:
    if chance.random() < 0.3:
        start = in_days(50 + len(appointments))
        event = an_appointment(BookingConfirmed, version=2, start=start)
    elif appointments and chance.random() < 0.2:
        known = chance.choice(list(appointments.values()))
        event = an_appointment(BookingCancelled, id=known.id, version=3, start=known.start)
    else:
        return
    appointments[event.id] = event
    await tell(event)


def _something_goes_wrong(graph: GraphDouble, chance: random.Random) -> None:
    match chance.randrange(12):
        case 0:
            graph.rounds.expire()
        case 1:
            graph.faults.append(Fault("*", "", chance.choice([429, 500, 503]), retry_after=1))
        case 2:
            graph.faults.append(Fault("*", "/events", 0, is_done=True))
        case 3:
            graph.rounds.die_after = chance.randrange(3)
        case 4:
            graph.advance(chance.choice([1, -1]) * timedelta(minutes=100))
        case 5:
            for each in graph.subscriptions.live():
                events = ["missed", "subscriptionRemoved", "reauthorizationRequired"]
                graph.subscriptions.lifecycle(each, chance.choice(events))
