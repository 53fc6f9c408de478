"""Deliveries by months, as docs/scaling.md says they could be: sent and recorded as before."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from notifications.jobs.upkeep import forget_old
from shared.db import Connection, Database
from shared.events.booking import BookingConfirmed
from shared.testing.partitions import History

from .builders import an_appointment
from .conftest import Rows, Tell
from .mail_host import MailHost

DELIVERIES = History("notification_deliveries", "started_at")


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(owner_url)
    yield connection
    await connection.close()


@pytest.mark.usefixtures("known_people")
async def test_mails_are_sent_recorded_and_forgotten_across_the_border(
    database: Database,
    owner: Connection,
    tell: Tell,
    deliver_all: Any,
    mail_host: MailHost,
    deliveries: Rows,
) -> None:
    await tell(an_appointment(BookingConfirmed))
    await deliver_all()
    border: datetime = await owner.fetchval("SELECT clock_timestamp()")
    lacking = [key.name for key in await DELIVERIES.keys(owner)]
    await DELIVERIES.prepare(owner, border)
    await DELIVERIES.change_over(owner, border, border + timedelta(days=30))

    await tell(an_appointment(BookingConfirmed))
    await deliver_all()

    assert lacking == [
        "notification_deliveries_pkey",  # a random id
        "notification_deliveries_job_id_attempt_key",  # the job's row, leased, counts attempts
    ]
    assert len(mail_host.mails) == 4
    assert {row["status"] for row in await deliveries()} == {"sent"}
    rows = await owner.fetch("SELECT tableoid::regclass::text FROM notification_deliveries")
    assert sorted(row[0] for row in rows) == sorted(
        [DELIVERIES.old] * 2 + [f"notification_deliveries_{border:%Y%m%d}"] * 2
    )
    async with database.transaction() as db:
        await forget_old(db, timedelta(0))
    assert await deliveries() == []
