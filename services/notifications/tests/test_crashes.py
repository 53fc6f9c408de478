"""What happens when a worker, the database or a lease is lost in the middle of it."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from notifications.jobs.upkeep import take_back_stalled
from shared.db import Database

from .builders import PATIENT_EMAIL, PROVIDER_EMAIL
from .conftest import HASTE, MakeSender, Rows, Running, Statuses, Until
from .mail_host import MailHost, message_ids
from .wire import Wire

pytestmark = pytest.mark.usefixtures("known_people", "confirmed")


async def taking_back(database: Database) -> None:
    """What the worker's timer does, without its pauses."""
    while True:
        async with database.transaction() as db:
            await take_back_stalled(db)
        await asyncio.sleep(0.05)


async def test_a_job_that_nobody_can_read_holds_up_no_other_and_ends(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    until: Until,
    database: Database,
) -> None:
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET payload = '{}', expires_at = now() + interval '1 s' "
            "WHERE party = 'patient'"
        )

    async def it_has_ended() -> bool:
        return len(await jobs(status="failed", party="patient")) == 1

    async with running(make_sender().run(), taking_back(database)):
        await until(lambda: mail_host.to(PROVIDER_EMAIL))
        await until(it_has_ended)

    assert not mail_host.to(PATIENT_EMAIL)


async def test_a_slow_server_keeps_its_jobs(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    until: Until,
    database: Database,
) -> None:
    mail_host.gate.clear()
    # Long enough to be renewed in time also on a machine that is busy.
    pace = replace(HASTE, lease=timedelta(seconds=4))

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async def leases_end() -> datetime:
        return min(job["locked_until"] for job in await jobs(status="sending"))

    senders = [make_sender(pace=pace, answer_timeout=60.0).run() for _ in range(2)]
    async with running(*senders, taking_back(database)):
        await until(lambda: len(mail_host.mails) == 2)
        first_end = await leases_end()

        async def they_were_renewed_after_it() -> bool:
            return await leases_end() > first_end + pace.lease

        await until(they_were_renewed_after_it)
        mail_host.gate.set()
        await until(all_sent)

    assert len(mail_host.mails) == 2


async def test_sent_is_sent_also_when_the_lease_was_lost(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    delivery_statuses: Statuses,
    until: Until,
    database: Database,
) -> None:
    mail_host.gate.clear()

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async with running(make_sender(pace=replace(HASTE, poll=600)).run()):
        await until(lambda: len(mail_host.mails) == 2)
        async with database.transaction() as db:
            await db.execute("UPDATE notification_jobs SET locked_until = now() - interval '1 s'")
            await take_back_stalled(db)
            await db.execute("UPDATE notification_jobs SET due_at = now() + interval '1 h'")
        mail_host.gate.set()
        await until(all_sent)

    assert len(mail_host.mails) == 2
    assert await delivery_statuses() == ["sent", "sent"]


async def test_a_database_that_is_away_delays_the_record_and_sends_nothing_twice(
    database_url: str,
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    delivery_statuses: Statuses,
    until: Until,
) -> None:
    mail_host.gate.clear()
    patience = replace(HASTE, lease=timedelta(minutes=1))

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async with (
        Wire(database_url) as wire,
        Database.open(wire.url, application_name="test") as database,
        running(make_sender(database=database, database_url=wire.url, pace=patience).run()),
    ):
        await until(lambda: len(mail_host.mails) == 2)
        wire.unplug()
        with structlog.testing.capture_logs() as lines:
            mail_host.gate.set()
            await until(lambda: "delivery_record_waits" in [line["event"] for line in lines])
        assert await delivery_statuses() == ["sending", "sending"]
        wire.plug_in()
        await until(all_sent)

    assert len(mail_host.mails) == 2


async def test_a_killed_worker_costs_at_most_one_copy_of_the_same_message(
    mail_host: MailHost,
    jobs: Rows,
    delivery_statuses: Statuses,
    until: Until,
    database: Database,
    deliver_all: Any,
    settings_values: dict[str, Any],
) -> None:
    mail_host.gate.clear()
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "notifications.worker",
        env=os.environ
        | {name.upper(): str(value) for name, value in settings_values.items()}
        | {"SMTP_URL": mail_host.url, "MAIL_FROM": "Medic <appointments@medic.example>"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: len(mail_host.mails) == 2, limit=60)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    mail_host.gate.set()
    assert len(await jobs(status="sending")) == 2
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET locked_until = now() - interval '1 s'")
        await take_back_stalled(db)

    await deliver_all()

    for address in (PATIENT_EMAIL, PROVIDER_EMAIL):
        copies = mail_host.to(address)
        assert len(copies) == 2
        assert len(message_ids(copies)) == 1
    assert await delivery_statuses() == ["sent", "sent", "unknown", "unknown"]
