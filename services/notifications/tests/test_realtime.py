"""Streams of server-sent events: the right ones, in order, to the right people, none missing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest

from notifications.app import make_app
from notifications.realtime import clients, history, telling
from notifications.realtime.consumers import HANDLERS
from notifications.realtime.hub import Hub, Limits
from notifications.realtime.messages import Message
from notifications.settings import NotificationsSettings
from shared.db import Database
from shared.events.availability import AvailabilityChanged, TimeslotChange
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
)
from shared.events.envelope import EventData
from shared.testing.tokens import MakeToken

from .builders import PATIENT, PROVIDER, an_appointment, an_event
from .conftest import Until
from .streams import Stream, listening, served

Tell = Callable[..., Any]
Watch = Callable[..., Any]

MINE = f"user.{PATIENT}.bookings"
THEIRS = f"provider.{PROVIDER}.bookings"
TIMES = f"provider.{PROVIDER}.availability"


@pytest.fixture
def tell(database: Database) -> Tell:
    """Hands events to realtime, each in a transaction of its own."""

    async def tell(*facts: EventData, **envelope: Any) -> None:
        for fact in facts:
            event = an_event(fact).model_copy(update=envelope)
            async with database.transaction() as db:
                await HANDLERS[type(fact)](db, event)

    return tell


@pytest.fixture
def settings(settings_values: dict[str, Any]) -> NotificationsSettings:
    return NotificationsSettings(**settings_values, realtime_streams_per_user=3)


@pytest.fixture
async def url(settings: NotificationsSettings) -> AsyncIterator[str]:
    async with served(make_app(settings)) as address:
        yield address


@pytest.fixture
def headers(make_token: MakeToken) -> Callable[..., dict[str, str]]:
    def headers(role: str = "patient", sub: UUID = PATIENT) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(role, sub)}"}

    return headers


@pytest.fixture
async def watch(url: str, headers: Any) -> AsyncIterator[Watch]:
    """``stream = await watch(MINE)``: a stream that is ready."""
    async with AsyncExitStack() as streams:

        async def watch(
            *channels: str,
            role: str = "patient",
            sub: UUID = PATIENT,
            last: str | None = None,
            at: str = url,
            first: str = "ready",
        ) -> Stream:
            sent = headers(role, sub) | ({"Last-Event-ID": last} if last else {})
            stream = await streams.enter_async_context(
                listening(at, headers=sent, query={"channels": ",".join(channels)})
            )
            ready = await stream.next()
            assert ready is not None
            assert ready.event == first
            stream.ready = ready
            return stream

        yield watch


def slots(*ids: str, version: int = 1, status: str = "booked") -> AvailabilityChanged:
    start = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
    return AvailabilityChanged(
        provider_id=PROVIDER,
        version=version,
        start=start,
        end=start + timedelta(hours=1),
        is_complete=True,
        timeslots=[
            TimeslotChange(
                timeslot_id=each,
                service_id=UUID(int=7),
                start=start,
                status=status,
                capacity_left=0,
            )
            for each in ids
        ],
    )


KINDS = [
    BookingRequested,
    BookingConfirmed,
    BookingRescheduled,
    BookingCancelled,
    BookingCompleted,
    BookingNoShow,
]


@pytest.mark.parametrize("kind", KINDS)
async def test_patient_and_provider_see_what_becomes_of_an_appointment(
    tell: Tell, watch: Watch, kind: type[AppointmentEvent]
) -> None:
    patient = await watch(MINE)
    provider = await watch(THEIRS, role="provider", sub=PROVIDER)
    appointment = an_appointment(kind, version=4)

    await tell(appointment)

    for stream, channel in ((patient, MINE), (provider, THEIRS)):
        heard = await stream.next()
        assert heard.event == kind.type
        assert heard.data == {
            "channel": channel,
            "appointmentId": str(appointment.id),
            "version": 4,
            "status": appointment.status,
            "cause": appointment.cancellation and appointment.cancellation.cause,
            "userId": str(PATIENT),
            "providerId": str(PROVIDER),
            "serviceId": str(appointment.service_id),
            "timeslotId": "a-timeslot",
            "start": appointment.start.isoformat(timespec="milliseconds")[:-6] + "Z",
            "end": appointment.end.isoformat(timespec="milliseconds")[:-6] + "Z",
            "rescheduledFrom": None,
            "rescheduledTo": None,
        }


async def test_nothing_is_told_of_others_of_holds_and_of_long_ago(tell: Tell, watch: Watch) -> None:
    stream = await watch(MINE)

    await tell(
        an_appointment(user_id=uuid4()),
        an_appointment(BookingCancelled, cause="hold_expired"),
        an_appointment(BookingCancelled, cause="hold_released"),
    )
    await tell(an_appointment(), time=datetime.now(UTC) - timedelta(hours=1))
    last = an_appointment(BookingCompleted)
    await tell(last)

    heard = await stream.next()
    assert heard.data["appointmentId"] == str(last.id)


async def test_watchers_of_a_provider_see_times_come_and_go(tell: Tell, watch: Watch) -> None:
    stream = await watch(TIMES, sub=uuid4())

    await tell(slots("slot-1", "slot-2"))

    one, two, summary = await stream.events(3)
    assert (one.event, one.data) == (
        "timeslot.updated",
        {
            "channel": TIMES,
            "providerId": str(PROVIDER),
            "serviceId": str(UUID(int=7)),
            "timeslotId": "slot-1",
            "start": "2026-11-24T07:30:00.000Z",
            "status": "booked",
            "capacityLeft": 0,
        },
    )
    assert two.data["timeslotId"] == "slot-2"
    assert (summary.event, summary.data["isComplete"]) == ("availability.changed", True)


async def test_a_burst_of_changes_is_told_as_one(
    tell: Tell, watch: Watch, database: Database, until: Until
) -> None:
    stream = await watch(TIMES)

    async def change(*versions: int) -> None:
        for version in versions:
            status = ["booked", "available"][version % 2]
            await tell(slots("slot-1", version=version, status=status))

    async def first_was_told(at: str) -> datetime:
        async with database.transaction() as db:
            told_at: datetime = await db.fetchval(
                f"UPDATE realtime_availability SET told_at = {at} RETURNING told_at"
            )
        return told_at

    await change(1)
    # However slow the machine is, its pause lasts until all others have come.
    await first_was_told("clock_timestamp() + interval '1 h'")
    await change(*range(2, 40))
    told_at = await first_was_told("clock_timestamp()")

    async def told() -> bool:
        async with database.transaction() as db:
            await telling.tell_what_waits(db)
            return await db.fetchval("SELECT bool_and(waiting IS NULL) FROM realtime_availability")

    await until(told)
    versions = []
    while not versions or versions[-1] < 39:
        heard = await stream.next()
        if heard.event == "availability.changed":
            versions.append(heard.data["version"])
    async with database.reading() as db:
        last_at = await db.fetchval("SELECT max(created_at) FROM realtime_messages")
    assert heard.data["isComplete"]
    assert versions == [1, 39]
    assert last_at - told_at >= timedelta(milliseconds=240)


async def test_whoever_comes_back_gets_what_was_missed_in_order_and_once(
    tell: Tell, watch: Watch, url: str, headers: Any
) -> None:
    async with listening(url, headers=headers(), query={"channels": f"{MINE},{TIMES}"}) as stream:
        await stream.next()
        await tell(an_appointment(version=1))
        seen = await stream.next()
    await tell(an_appointment(version=2), an_appointment(user_id=uuid4()), slots("s"))
    await tell(an_appointment(version=3))

    again = await watch(MINE, TIMES, last=seen.id)
    await tell(an_appointment(version=4))

    heard = await again.events(5)
    assert [each.event for each in heard] == [
        "booking.confirmed",
        "timeslot.updated",
        "availability.changed",
        "booking.confirmed",
        "booking.confirmed",
    ]
    assert [heard[at].data["version"] for at in (0, 3, 4)] == [2, 3, 4]
    ids = [int(each.id) for each in heard]
    assert ids == sorted(set(ids))
    assert int(seen.id) < ids[0]


async def test_a_client_that_has_heard_nothing_yet_can_resume_too(tell: Tell, watch: Watch) -> None:
    first = await watch(MINE)
    await tell(an_appointment(version=7))

    again = await watch(MINE, last=first.ready.id)

    assert (await again.next()).data["version"] == 7


async def test_ids_are_also_taken_from_the_query(
    tell: Tell, watch: Watch, url: str, headers: Any
) -> None:
    first = await watch(MINE)
    await tell(an_appointment(version=7))

    query = {"channels": MINE, "lastEventId": first.ready.id}
    async with listening(url, headers=headers(), query=query) as again:
        assert [each.event for each in await again.events(2)] == ["ready", "booking.confirmed"]


async def test_a_copy_that_lags_behind_repeats_nothing(tell: Tell, database: Database) -> None:
    await tell(an_appointment(version=1), an_appointment(version=2))
    async with database.reading() as db:
        first, _, second, _ = await history.after(db, 0)
    lagging = Hub(database, "", Limits())
    client = clients.Client(1, after=0)

    began = await lagging.watch_since(client, [MINE], str(second.position))

    assert (began.event, began.position, began.missed) == ("ready", second.position, [])
    for message in (first, second, replace(second, position=second.position + 1)):
        client.offer(message)
    assert [each.position for each in await client.next(0)] == [second.position + 1]


@pytest.mark.parametrize("last", ["0", "999999", "abc", "-1", "1e3", "9" * 30])
async def test_what_nobody_knows_any_more_is_to_be_asked_for_again(
    tell: Tell, watch: Watch, database: Database, last: str
) -> None:
    await tell(an_appointment(), an_appointment())
    async with database.transaction() as db:
        await db.execute("UPDATE realtime_messages SET created_at = now() - interval '1 h'")
        await telling.forget_old(db)
        assert await db.fetchval("SELECT count(*) FROM realtime_messages") == 0

    stream = await watch(MINE, last=last, first="resync")
    await tell(an_appointment(version=9))

    assert (await stream.next()).data["version"] == 9


async def test_whoever_has_missed_too_much_is_to_ask_again(
    watch: Watch, database: Database
) -> None:
    stream, last_of_all = await watch(MINE), await watch(TIMES)
    async with database.transaction() as db:
        await telling.tell(db, [telling.News(MINE, "booking.confirmed", {})] * 1001)
        await telling.tell(db, [telling.News(TIMES, "availability.changed", {})])
    await last_of_all.next()

    await watch(MINE, last=stream.ready.id, first="resync")


async def test_several_copies_give_the_same_ids_in_the_same_order(
    tell: Tell, watch: Watch, settings: NotificationsSettings
) -> None:
    async with served(make_app(settings)) as other:
        here, there = await watch(MINE), await watch(MINE, at=other)

        await asyncio.gather(*(tell(an_appointment(version=number)) for number in range(1, 31)))

        first, second = await here.events(30), await there.events(30)
        assert first == second
        ids = [int(each.id) for each in first]
        assert ids == sorted(set(ids))


async def test_none_is_lost_between_writers_that_commit_in_another_order(
    tell: Tell, watch: Watch, database: Database, until: Until
) -> None:
    stream = await watch(MINE)
    async with database.transaction() as slow:
        await telling.tell_of_appointment(slow, an_appointment(version=1))
        fast = asyncio.create_task(tell(an_appointment(version=2)))

        async def waits() -> bool:
            async with database.reading() as db:
                return await db.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' "
                    "AND NOT granted AND database = "
                    "(SELECT oid FROM pg_database WHERE datname = current_database()))"
                )

        await until(waits)
    await fast

    assert [each.data["version"] for each in await stream.events(2)] == [1, 2]


async def test_a_lost_database_connection_loses_no_message(
    tell: Tell, watch: Watch, postgres_url: str, database_name: str, until: Until
) -> None:
    stream = await watch(MINE)
    admin = await asyncpg.connect(postgres_url)
    cut = await admin.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = $1 AND application_name = 'notifications realtime'",
        database_name,
    )
    await admin.close()
    await tell(an_appointment(version=1), an_appointment(version=2))

    assert cut == 1
    assert [each.data["version"] for each in await stream.events(2)] == [1, 2]


async def test_a_lost_call_only_costs_the_next_look(watch: Watch, database: Database) -> None:
    stream = await watch(MINE)

    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO realtime_messages (channel, event, data) VALUES ($1, 'x', '{}')", MINE
        )

    assert (await stream.next()).data == {"channel": MINE}


async def test_a_stream_says_how_to_come_back_and_that_it_lives(
    app_in_haste: str, headers: Any
) -> None:
    async with listening(app_in_haste, headers=headers(), query={"channels": MINE}) as stream:
        await stream.next()

        assert stream.retry == 2000
        assert await stream.comment() == "ping"
        assert stream.response.headers["Content-Type"].startswith("text/event-stream")
        assert stream.response.headers["Cache-Control"] == "no-store"
        assert stream.response.headers["X-Accel-Buffering"] == "no"


@pytest.fixture
async def app_in_haste(settings: NotificationsSettings) -> AsyncIterator[str]:
    """Heartbeats without pause, so that a test need not wait for one."""
    app = make_app(settings)
    async with served(app) as address:
        app.state.realtime.limits = type(app.state.realtime.limits)(heartbeat=0.02)
        yield address


async def test_a_stream_ends_so_that_its_client_shows_again_who_it_is(
    settings_values: dict[str, Any], headers: Any
) -> None:
    settings = NotificationsSettings(**settings_values, realtime_longest_seconds=0)
    async with (
        served(make_app(settings)) as url,
        listening(url, headers=headers(), query={"channels": MINE}) as stream,
    ):
        assert (await stream.next()).event == "ready"
        assert await stream.next() is None


async def test_a_client_that_does_not_read_is_let_go(
    settings: NotificationsSettings, headers: Any, database: Database, until: Until
) -> None:
    app = make_app(settings)
    async with served(app) as url, aiohttp.ClientSession(read_bufsize=1024) as session:
        hub = app.state.realtime
        answer = await session.get(
            f"{url}/v1/realtime", params={"channels": MINE}, headers=headers()
        )
        await until(lambda: hub.connected)
        big = {"filler": "x" * 50_000}

        async def is_let_go() -> bool:
            async with database.transaction() as db:
                await telling.tell(db, [telling.News(MINE, "filler", big)] * 100)
            return hub.connected == 0

        await until(is_let_go)
        answer.close()


def test_what_waits_for_a_client_is_bounded() -> None:
    client = clients.Client(1, after=0)
    cut: list[bool] = []
    client.cut = lambda: cut.append(True)
    for position in range(1, clients.MOST_WAITING + 1):
        client.offer(Message(position, MINE, "x", "{}"))
    assert not client.is_over

    client.offer(Message(10_000, MINE, "x", "{}"))

    assert client.is_over
    assert client.is_too_slow
    assert cut == [True]


async def test_a_closed_stream_is_forgotten(
    settings: NotificationsSettings, headers: Any, database: Database, until: Until
) -> None:
    app = make_app(settings)
    async with served(app) as url:
        # Not by the tick that looks after what else was forgotten.
        app.state.realtime.limits = replace(app.state.realtime.limits, keep=3600.0)
        for _ in range(5):
            async with listening(url, headers=headers(), query={"channels": MINE}) as stream:
                await stream.next()
            await until(lambda: app.state.realtime.connected == 0)

            async def is_forgotten() -> bool:
                async with database.reading() as db:
                    return not await db.fetch("SELECT FROM realtime_connections")

            await until(is_forgotten)


async def test_a_user_has_so_many_streams_in_all_copies_together(
    url: str, settings: NotificationsSettings, headers: Any, watch: Watch
) -> None:
    async with served(make_app(settings)) as other, aiohttp.ClientSession() as session:
        answers = await asyncio.gather(
            *(
                session.get(
                    f"{[url, other][number % 2]}/v1/realtime",
                    params={"channels": MINE},
                    headers=headers(),
                )
                for number in range(20)
            )
        )
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [200] * 3 + [429] * 17
        refused = next(answer for answer in answers if answer.status == 429)
        problem = await refused.json()
        assert (problem["code"], refused.headers["Retry-After"]) == ("too_many_connections", "5")
        await watch(TIMES, sub=uuid4())  # somebody else
        for answer in answers:
            answer.close()


async def test_a_process_serves_so_many_streams(
    settings_values: dict[str, Any], headers: Any
) -> None:
    app = make_app(NotificationsSettings(**settings_values, realtime_streams=1))
    async with (
        served(app) as url,
        listening(url, headers=headers(), query={"channels": MINE}) as stream,
        aiohttp.ClientSession() as session,
    ):
        await stream.next()
        async with session.get(
            f"{url}/v1/realtime", params={"channels": MINE}, headers=headers()
        ) as answer:
            assert answer.status == 503
            assert "Retry-After" in answer.headers


async def test_what_one_may_not_watch_does_not_exist(url: str, headers: Any) -> None:
    cases = [
        ("patient", uuid4(), MINE, 404),
        ("provider", PATIENT, MINE, 404),
        ("provider", uuid4(), THEIRS, 404),
        ("patient", PROVIDER, THEIRS, 404),
        ("patient", PATIENT, f"{MINE},{THEIRS}", 404),
        ("patient", PATIENT, "", 422),
        ("patient", PATIENT, f"{MINE},nonsense", 422),
        ("patient", PATIENT, f"private-{MINE}", 422),
        ("patient", PATIENT, ",".join([MINE] * 1000), 422),
    ]
    async with aiohttp.ClientSession() as session:
        for role, sub, channels, status in cases:
            async with session.get(
                f"{url}/v1/realtime", params={"channels": channels}, headers=headers(role, sub)
            ) as answer:
                assert answer.status == status, channels
                assert answer.content_type == "application/problem+json"
                if status == 404:
                    assert (await answer.json())["code"] == "channel_not_found"
        for query in ("", "channels=", f"channels={MINE}&x=1", f"channels={MINE}&channels={MINE}"):
            async with session.get(f"{url}/v1/realtime?{query}", headers=headers()) as answer:
                assert answer.status == 422
        async with session.get(f"{url}/v1/realtime?channels={MINE}") as answer:
            assert answer.status == 401


async def test_a_ticket_opens_streams_for_a_while_and_nothing_else(
    url: str, headers: Any, database: Database
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/v1/realtime/tickets", headers=headers()) as answer:
            assert answer.status == 201
            ticket = (await answer.json())["ticket"]
        async with database.reading() as db:
            [row] = await db.fetch("SELECT * FROM realtime_tickets")
        assert len(ticket) >= 43
        assert ticket.encode() not in row["hash"]
        assert timedelta() < row["expires_at"] - datetime.now(UTC) <= timedelta(seconds=65)

        query = {"channels": MINE, "ticket": ticket}
        async with listening(url, headers={}, query=query) as stream:
            assert (await stream.next()).event == "ready"
        async with session.get(
            f"{url}/v1/realtime", params={"channels": THEIRS, "ticket": ticket}
        ) as answer:
            assert answer.status == 404
        async with session.get(
            f"{url}/v1/users/{PATIENT}/notification-deliveries",
            headers={"Authorization": f"Bearer {ticket}"},
        ) as answer:
            assert answer.status == 401

        async with database.transaction() as db:
            await db.execute("UPDATE realtime_tickets SET expires_at = now()")
        for bad in (ticket, "x", "é" * 50):
            async with session.get(
                f"{url}/v1/realtime", params={"channels": MINE, "ticket": bad}
            ) as answer:
                assert answer.status == 401
        async with session.post(f"{url}/v1/realtime/tickets") as answer:
            assert answer.status == 401
