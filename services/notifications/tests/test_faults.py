"""What happens when the mail server, the worker or the network fails in the middle of it."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifications.domain.job import MOST_UNKNOWN, Backoff
from notifications.jobs.sending import take_back_stalled
from shared.db import Database
from shared.events.booking import BookingConfirmed

from .builders import PATIENT_EMAIL, PROVIDER_EMAIL, an_appointment
from .conftest import HASTE, MakeSender, Rows, Running, Tell, Until
from .mail_host import Mail, MailHost
from .wire import Wire

pytestmark = pytest.mark.usefixtures("known_people")


@pytest.fixture
async def confirmed(tell: Tell, known_people: None) -> None:
    await tell(an_appointment(BookingConfirmed))


def ids(mails: list[Mail]) -> set[str]:
    return {mail.message["Message-ID"] for mail in mails}


async def statuses(deliveries: Rows) -> list[str]:
    return sorted(row["status"] for row in await deliveries())


@pytest.mark.usefixtures("confirmed")
@pytest.mark.parametrize(
    ("sender_reply", "recipient_reply", "content_reply"),
    [
        ([], ["450 4.2.1 try later", "451 4.3.0 still busy"], []),
        (["451 4.3.0 busy", "550 5.7.1 not you, today"], [], []),
        ([], [], ["452 4.3.1 no space", "451 4.3.0 busy"]),
    ],
    ids=["recipient", "sender", "content"],
)
async def test_what_may_pass_is_tried_again(
    deliver_all: Any,
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
    sender_reply: list[str],
    recipient_reply: list[str],
    content_reply: list[str],
) -> None:
    mail_host.sender_reply = sender_reply
    mail_host.recipient_reply = {PATIENT_EMAIL: recipient_reply}
    mail_host.content_reply = content_reply

    await deliver_all()

    assert {job["status"] for job in await jobs()} == {"sent"}
    assert len(mail_host.mails) == 2
    assert await statuses(deliveries) == ["deferred", "deferred", "sent", "sent"]


@pytest.mark.usefixtures("confirmed")
async def test_a_refused_recipient_stops_the_job_with_a_reason(
    deliver_all: Any, mail_host: MailHost, jobs: Rows, deliveries: Rows
) -> None:
    mail_host.recipient_reply = {PATIENT_EMAIL: [f"550 5.1.1 <{PATIENT_EMAIL}>: no such user"]}

    await deliver_all()

    [refused] = await jobs(party="patient")
    assert (refused["status"], refused["attempts"]) == ("failed", 1)
    assert refused["last_error"] == "550 5.1.1 <…>: no such user"
    assert await statuses(deliveries) == ["refused", "sent"]
    assert len(mail_host.to(PROVIDER_EMAIL)) == 1


@pytest.mark.usefixtures("confirmed")
async def test_refused_content_stops_the_job(
    deliver_all: Any, mail_host: MailHost, jobs: Rows
) -> None:
    mail_host.content_reply = ["554 5.7.1 looks like spam"] * 2

    await deliver_all()

    assert [(job["status"], job["attempts"]) for job in await jobs()] == [("failed", 1)] * 2


@pytest.mark.usefixtures("confirmed")
async def test_tries_end_with_the_usefulness(
    deliver_all: Any, mail_host: MailHost, jobs: Rows, database: Database
) -> None:
    mail_host.recipient_reply = {PATIENT_EMAIL: ["450 4.2.1 try later"] * 1000}
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET expires_at = now() + interval '0.5 s'")

    await deliver_all()

    [given_up] = await jobs(party="patient")
    assert given_up["status"] == "failed"
    assert given_up["last_error"].endswith("450 4.2.1 try later")
    assert 1 < given_up["attempts"] < 100


@pytest.mark.usefixtures("confirmed")
async def test_a_line_that_breaks_after_the_content_costs_one_copy_of_the_same_message(
    deliver_all: Any, mail_host: MailHost, jobs: Rows, deliveries: Rows
) -> None:
    mail_host.drops_after_content = 1

    await deliver_all()

    assert {job["status"] for job in await jobs()} == {"sent"}
    assert len(mail_host.mails) == 3
    assert len(ids(mail_host.mails)) == 2
    assert await statuses(deliveries) == ["sent", "sent", "unknown"]


@pytest.mark.usefixtures("confirmed")
async def test_nobody_gets_endless_copies(
    deliver_all: Any, mail_host: MailHost, jobs: Rows
) -> None:
    mail_host.drops_after_content = 1000

    await deliver_all()

    assert {job["status"] for job in await jobs()} == {"failed"}
    assert len(mail_host.to(PATIENT_EMAIL)) == MOST_UNKNOWN


@pytest.mark.usefixtures("confirmed")
async def test_a_server_that_never_answers_is_given_up(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
    until: Until,
) -> None:
    mail_host.gate.clear()

    async def both_unknown() -> bool:
        return (await statuses(deliveries))[:2] == ["unknown", "unknown"]

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    pace = replace(HASTE, backoff=Backoff(timedelta(seconds=1), timedelta(seconds=1)))
    async with running(make_sender(answer_timeout=0.2, pace=pace).run()):
        await until(both_unknown)
        mail_host.gate.set()
        await until(all_sent)

    assert len(ids(mail_host.mails)) == 2


@pytest.mark.usefixtures("confirmed")
async def test_a_server_that_is_away_costs_no_attempt(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
    until: Until,
) -> None:
    await mail_host.stop()

    async def both_wait() -> bool:
        errors = [job["last_error"] for job in await jobs(status="queued")]
        return errors == ["email is down: SMTPConnectError"] * 2

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async with running(make_sender().run()):
        await until(both_wait)
        await mail_host.start()
        await until(all_sent)

    assert await statuses(deliveries) == ["sent", "sent"]
    assert {job["attempts"] for job in await jobs()} == {1}


@pytest.mark.usefixtures("confirmed")
async def test_a_slow_server_keeps_its_jobs(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    until: Until,
    database: Database,
) -> None:
    mail_host.gate.clear()

    async def stalled() -> None:
        while True:
            async with database.transaction() as db:
                await take_back_stalled(db)
            await asyncio.sleep(0.05)

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async with running(make_sender().run(), make_sender().run(), stalled()):
        await until(lambda: len(mail_host.mails) == 2)
        await asyncio.sleep(3 * HASTE.lease.total_seconds())
        mail_host.gate.set()
        await until(all_sent)

    assert len(mail_host.mails) == 2


@pytest.mark.usefixtures("confirmed")
async def test_sent_is_sent_also_when_the_lease_was_lost(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
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
    assert await statuses(deliveries) == ["sent", "sent"]


@pytest.mark.usefixtures("confirmed")
async def test_a_database_that_is_away_delays_the_record_and_sends_nothing_twice(
    database_url: str,
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
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
        mail_host.gate.set()
        await asyncio.sleep(0.3)
        assert await statuses(deliveries) == ["sending", "sending"]
        await wire.plug_in()
        await until(all_sent)

    assert len(mail_host.mails) == 2


@pytest.mark.usefixtures("confirmed")
async def test_a_killed_worker_costs_at_most_one_copy_of_the_same_message(
    mail_host: MailHost,
    jobs: Rows,
    deliveries: Rows,
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
        await until(lambda: len(mail_host.mails) == 2, limit=30)
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
        assert len(ids(copies)) == 1
    assert await statuses(deliveries) == ["sent", "sent", "unknown", "unknown"]
