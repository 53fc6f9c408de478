"""Writing appointments into calendars of Microsoft 365, by the double of Graph."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from calendar_sync.calendars.contract import NotFound, OurEvent, Refused, Stale, Temporary, Window
from calendar_sync.calendars.microsoft import MicrosoftAccount

from .graph.mailbox import Mailbox
from .graph.server import Fault, GraphDouble
from .microsoft import an_account

START = datetime(2026, 12, 1, 9, tzinfo=UTC)
WINDOW = Window(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
async def graph() -> AsyncIterator[GraphDouble]:
    async with GraphDouble.open() as double:
        yield double


@pytest.fixture
def mailbox(graph: GraphDouble) -> Mailbox:
    return graph.new_mailbox()


@pytest.fixture
async def account(graph: GraphDouble, mailbox: Mailbox) -> AsyncIterator[MicrosoftAccount]:
    async with an_account(graph, mailbox) as account:
        yield account


def an_event(start: datetime = START) -> OurEvent:
    key = uuid4()
    return OurEvent(
        key=key,
        uid=f"{key}@clinic.example",
        start=start,
        end=start + timedelta(minutes=30),
        summary="Appointment {{7*7}} <b>\r\n",
        location="5 Example Street",
        description=None,
        sequence=1,
        changed_at=START,
    )


def times(mailbox: Mailbox) -> list[datetime]:
    return [event.fields["start"] for event in mailbox.default.events.values()]


async def test_an_appointment_is_written_as_it_is(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()

    written = await account.put(mailbox.default.id, event, etag=None)

    there = mailbox.default.events[written.id]
    assert written.etag == there.etag
    assert there.fields["subject"] == event.summary
    assert there.fields["location"] == {"displayName": event.location}
    assert (there.fields["start"], there.fields["end"]) == (event.start, event.end)
    assert there.fields["showAs"] == "busy"


async def test_written_again_and_again_it_is_one_event(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()

    first = await account.put(mailbox.default.id, event, etag=None)
    moved = replace(event, start=START + timedelta(days=1), end=START + timedelta(days=1, hours=1))
    second = await account.put(mailbox.default.id, moved, etag=first.etag)
    third = await account.put(mailbox.default.id, moved, etag=None)

    assert {first.id, second.id, third.id} == {first.id}
    assert times(mailbox) == [moved.start]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_answer_that_is_lost_makes_no_second_event(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox, method: str
) -> None:
    graph.faults.append(Fault(method, "/events", 0, is_done=True))
    event = an_event()
    with pytest.raises(Temporary, match="unreachable"):
        await account.put(mailbox.default.id, event, etag=None)

    await account.put(mailbox.default.id, replace(event, summary="Later"), etag=None)

    assert [each.fields["subject"] for each in mailbox.default.events.values()] == ["Later"]


async def test_what_the_search_does_not_know_yet_is_not_made_twice(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    await account.put(mailbox.default.id, event, etag=None)
    only = next(iter(mailbox.default.events.values()))
    only.properties.clear()  # as if it had not been indexed
    moved = replace(event, start=START + timedelta(hours=2), end=START + timedelta(hours=3))

    written = await account.put(mailbox.default.id, moved, etag=None)

    assert written.id == only.id
    assert times(mailbox) == [moved.start]


async def test_an_event_that_somebody_deleted_is_there_again(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    written = await account.put(mailbox.default.id, event, etag=None)
    mailbox.delete(mailbox.default.events[written.id])

    with pytest.raises(Stale):
        await account.put(mailbox.default.id, event, etag=written.etag)
    await account.put(mailbox.default.id, event, etag=None)

    assert times(mailbox) == [START]


async def test_an_event_that_somebody_changed_is_stale_until_it_is_wanted_anyway(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    written = await account.put(mailbox.default.id, event, etag=None)
    mailbox.change(mailbox.default.events[written.id], start=START + timedelta(hours=5))

    with pytest.raises(Stale):
        await account.put(mailbox.default.id, event, etag=written.etag)
    assert times(mailbox) == [START + timedelta(hours=5)]

    await account.put(mailbox.default.id, event, etag=None)
    assert times(mailbox) == [START]


async def test_an_event_changed_at_the_last_moment_is_stale(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    written = await account.put(mailbox.default.id, event, etag=None)
    graph.events.before_patch = lambda: mailbox.change(
        mailbox.default.events[written.id], subject="Mine"
    )

    with pytest.raises(Stale):
        await account.put(mailbox.default.id, event, etag=written.etag)

    assert mailbox.default.events[written.id].fields["subject"] == "Mine"


async def test_our_events_are_known_by_their_keys_when_they_are_read(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    written = await account.put(mailbox.default.id, event, etag=None)
    mailbox.add(START, subject=f"medic-event:{event.key}")

    keys = {}
    async for page in account.changes(mailbox.default.id, None, window=WINDOW, zone=UTC_ZONE):
        keys |= {each.id: (each.key, each.etag) for each in page.events}

    assert keys.pop(written.id) == (event.key, written.etag)
    assert [key for key, _ in keys.values()] == [None]


async def test_what_is_removed_is_gone_however_often(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event, other = an_event(), an_event(START + timedelta(hours=1))
    await account.put(mailbox.default.id, other, etag=None)
    written = await account.put(mailbox.default.id, event, etag=None)

    for external_id in (written.id, written.id, None, "AAkAnothing="):
        await account.remove(mailbox.default.id, event.key, external_id)

    assert times(mailbox) == [other.start]


async def test_what_nobody_knows_to_be_written_is_removed_too(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    graph.faults.append(Fault("POST", "/events", 0, is_done=True))
    event = an_event()
    with pytest.raises(Temporary):
        await account.put(mailbox.default.id, event, etag=None)

    await account.remove(mailbox.default.id, event.key, None)

    assert times(mailbox) == []


async def test_an_event_moved_to_another_calendar_is_removed_there(
    account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    event = an_event()
    written = await account.put(mailbox.default.id, event, etag=None)
    other = mailbox.add_calendar("Private")
    other.events[written.id] = mailbox.default.events.pop(written.id)

    await account.remove(mailbox.default.id, event.key, written.id)

    assert other.events == {}


async def test_a_calendar_that_is_gone_is_not_found(account: MicrosoftAccount) -> None:
    with pytest.raises(NotFound):
        await account.put("AQMknothing=", an_event(), etag=None)
    await account.remove("AQMknothing=", uuid4(), None)


async def test_a_refusal_is_no_matter_of_trying_again(
    graph: GraphDouble, account: MicrosoftAccount, mailbox: Mailbox
) -> None:
    graph.faults.append(Fault("POST", "/events", 403))

    with pytest.raises(Refused):
        await account.put(mailbox.default.id, an_event(), etag=None)
