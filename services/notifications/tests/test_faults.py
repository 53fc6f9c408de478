"""What happens when the mail server refuses, breaks off, or does not answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifications.domain.job import MOST_UNKNOWN, Backoff
from shared.db import Database

from .builders import PATIENT_EMAIL, PROVIDER_EMAIL
from .conftest import HASTE, MakeSender, Rows, Running, Statuses, Until
from .mail_host import MailHost, message_ids

pytestmark = pytest.mark.usefixtures("known_people", "confirmed")


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
    delivery_statuses: Statuses,
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
    assert await delivery_statuses() == ["deferred", "deferred", "sent", "sent"]


async def test_a_refused_recipient_stops_the_job_with_a_reason(
    deliver_all: Any, mail_host: MailHost, jobs: Rows, delivery_statuses: Statuses
) -> None:
    mail_host.recipient_reply = {PATIENT_EMAIL: [f"550 5.1.1 <{PATIENT_EMAIL}>: no such user"]}

    await deliver_all()

    [refused] = await jobs(party="patient")
    assert (refused["status"], refused["attempts"]) == ("failed", 1)
    assert refused["last_error"] == "550 5.1.1 <…>: no such user"
    assert await delivery_statuses() == ["refused", "sent"]
    assert len(mail_host.to(PROVIDER_EMAIL)) == 1


async def test_refused_content_stops_the_job(
    deliver_all: Any, mail_host: MailHost, jobs: Rows
) -> None:
    mail_host.content_reply = ["554 5.7.1 looks like spam"] * 2

    await deliver_all()

    assert [(job["status"], job["attempts"]) for job in await jobs()] == [("failed", 1)] * 2


async def test_tries_end_with_the_usefulness(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    until: Until,
    database: Database,
) -> None:
    mail_host.recipient_reply = {PATIENT_EMAIL: ["450 4.2.1 try later"] * 1000}

    async def tried_again() -> bool:
        return bool((await jobs(party="patient"))[0]["attempts"] > 1)

    async def given_up() -> bool:
        return len(await jobs(party="patient", status="failed")) == 1

    async with running(make_sender().run()):
        await until(tried_again)
        async with database.transaction() as db:
            await db.execute("UPDATE notification_jobs SET expires_at = now()")
        await until(given_up)

    assert (await jobs(party="patient"))[0]["last_error"].endswith("450 4.2.1 try later")


async def test_a_line_that_breaks_after_the_content_costs_one_copy_of_the_same_message(
    deliver_all: Any, mail_host: MailHost, jobs: Rows, delivery_statuses: Statuses
) -> None:
    mail_host.drops_after_content = 1

    await deliver_all()

    assert {job["status"] for job in await jobs()} == {"sent"}
    assert len(mail_host.mails) == 3
    assert len(message_ids(mail_host.mails)) == 2
    assert await delivery_statuses() == ["sent", "sent", "unknown"]


async def test_nobody_gets_endless_copies(
    deliver_all: Any, mail_host: MailHost, jobs: Rows
) -> None:
    mail_host.drops_after_content = 1000

    await deliver_all()

    assert {job["status"] for job in await jobs()} == {"failed"}
    assert len(mail_host.to(PATIENT_EMAIL)) == MOST_UNKNOWN


async def test_a_server_that_never_answers_is_given_up(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    delivery_statuses: Statuses,
    until: Until,
) -> None:
    mail_host.gate.clear()

    async def both_unknown() -> bool:
        return (await delivery_statuses())[:2] == ["unknown", "unknown"]

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    pace = replace(HASTE, backoff=Backoff(timedelta(seconds=1), timedelta(seconds=1)))
    async with running(make_sender(answer_timeout=0.2, pace=pace).run()):
        await until(both_unknown)
        mail_host.gate.set()
        await until(all_sent)

    assert len(message_ids(mail_host.mails)) == 2


async def test_a_server_that_is_away_costs_no_attempt(
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    jobs: Rows,
    delivery_statuses: Statuses,
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

    assert await delivery_statuses() == ["sent", "sent"]
    assert {job["attempts"] for job in await jobs()} == {1}
