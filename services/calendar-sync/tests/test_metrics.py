"""What Prometheus is told of connections to calendars."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from calendar_sync import metrics
from calendar_sync.calendars.contract import Temporary
from shared import due_work
from shared.db import Connection, Database
from shared.http import Response


def value(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None, (name, labels)
    return found


async def connect(
    db: Connection, kind: str, state: str = "connected", *, minutes: float = 1, failures: int = 0
) -> UUID:
    """One that was last read, and is to be visited again, so many minutes ago."""
    id_ = uuid4()
    await db.execute(
        """
        INSERT INTO connections (id, provider_id, kind, account, place, account_hash, credentials,
            state, broken_because, read_at, next_visit_at, failures)
        VALUES ($1, $2, $3, 'a', 'p', $4, 'c', $5, $6, now() - $7::interval,
            now() - $7::interval, $8)
        """,
        id_,
        uuid4(),
        kind,
        id_.bytes,
        state,
        "invalid_grant" if state == "broken" else None,
        timedelta(minutes=minutes),
        failures,
    )
    return id_


async def test_connections_are_counted_by_their_health(database: Database) -> None:
    async with database.transaction() as db:
        await connect(db, "google", minutes=7)
        await connect(db, "google", minutes=90, failures=3)
        await connect(db, "caldav", "broken", minutes=4000)

    await metrics.look_at_connections(database)

    assert value("calendar_connections", kind="google", state="connected") == 2
    assert value("calendar_connections", kind="caldav", state="broken") == 1
    assert value("calendar_connections", kind="caldav", state="connected") == 0
    assert value("calendar_connections_failing", kind="google") == 1
    oldest = datetime.fromtimestamp(
        value("calendar_oldest_read_timestamp_seconds", kind="google"), UTC
    )
    assert timedelta(minutes=89) < datetime.now(UTC) - oldest < timedelta(minutes=100)
    nothing = datetime.fromtimestamp(
        value("calendar_oldest_read_timestamp_seconds", kind="caldav"), UTC
    )
    assert datetime.now(UTC) - nothing < timedelta(minutes=1), "a broken one is another alert's"


async def test_the_channel_that_ends_first_is_told_and_replaced_ones_are_not(
    database: Database,
) -> None:
    async with database.transaction() as db:
        connection = await connect(db, "google")
        calendar = uuid4()
        await db.execute(
            """
            INSERT INTO calendars (id, connection_id, external_id, name, is_writable, is_primary,
                is_busy, is_target) VALUES ($1, $2, 'c', 'n', true, true, true, false)
            """,
            calendar,
            connection,
        )
        for hours in (1, 100):
            await db.execute(
                """
                INSERT INTO push_channels (id, calendar_id, secret_hash, external_id, expires_at)
                VALUES ($1, $2, $3, 'x', now() + $4::interval)
                """,
                uuid4(),
                calendar,
                uuid4().bytes,
                timedelta(hours=hours),
            )

    await metrics.look_at_connections(database)

    assert value("calendar_push_channels") == 1
    expiry = datetime.fromtimestamp(value("calendar_push_channel_expiry_timestamp_seconds"), UTC)
    assert expiry - datetime.now(UTC) > timedelta(hours=99)


async def test_a_visit_that_nobody_makes_is_late(database: Database) -> None:
    async with database.transaction() as db:
        await connect(db, "google", minutes=5)
        await connect(db, "google", minutes=-5)
        await connect(db, "google", "broken", minutes=50)

    await due_work.measure(database, metrics.DUE)

    assert value("work_due", work="calendar visits") == 1
    assert 300 <= value("work_due_oldest_seconds", work="calendar visits") < 600


async def test_calls_are_counted_by_what_came_back() -> None:
    async def answer() -> Response:
        return Response(429)

    async def nothing() -> Response:
        raise Temporary("unreachable")

    await metrics.counted("google", answer())
    with pytest.raises(Temporary):
        await metrics.counted("google", nothing())

    assert value("calendar_calls_total", kind="google", outcome="4xx") >= 1
    assert value("calendar_calls_total", kind="google", outcome="nothing") >= 1
