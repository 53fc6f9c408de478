"""SMS by Twilio: once, in as few parts as it can be, and by mail where it does not arrive."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import pytest
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from notifications.app import make_app
from notifications.channels.email import EmailChannel
from notifications.channels.sms import SmsChannel, TwilioAccount
from notifications.channels.sms_text import parts_of
from notifications.channels.smtp import SmtpServer
from notifications.domain.job import Backoff
from notifications.domain.news import News
from notifications.jobs.upkeep import take_back_stalled
from notifications.letters import LetterWriter
from notifications.settings import NotificationsSettings
from notifications.unsubscribing import UnsubscribeLinks
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.http import AsyncClient
from shared.testing.api import client_of

from .builders import PATIENT_EMAIL, a_contact, a_job, a_patient, an_appointment
from .conftest import HASTE, SENDER, Events, MakeSender, Running, Statuses, Tell, Until
from .mail_host import MailHost
from .twilio_host import SID, TOKEN, TwilioHost, refusal

PHONE = "+302101234567"
ORIGIN = "https://medic.example"
_CALLBACK = "/v1/webhooks/notifications/twilio"


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioHost]:
    async with TwilioHost.open() as host:
        yield host


@pytest.fixture
def with_sms(make_sender: MakeSender, mail_host: MailHost, twilio: TwilioHost) -> MakeSender:
    """A sender that has SMS and e-mail."""

    def make(**given: Any) -> Any:
        writer = LetterWriter(ORIGIN)
        account = TwilioAccount(SID, TOKEN, "+15005550006", twilio.url)
        sms = SmsChannel(account, writer=writer, timeout=given.pop("timeout", 5.0))
        mail = EmailChannel(
            SmtpServer.of(mail_host.url),
            sender=SENDER,
            writer=writer,
            links=UnsubscribeLinks(ORIGIN, secret="a secret"),
        )
        return make_sender(channels=[mail, sms], **given)

    return make


@pytest.fixture
async def reminder(tell: Tell, database: Database) -> UUID:
    """The SMS that is due two hours before."""
    await tell(a_patient(phone=PHONE), an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        return await db.fetchval(
            "UPDATE notification_jobs SET due_at = now() WHERE channel = 'sms' RETURNING id"
        )


@pytest.fixture
def the_job(database: Database) -> Any:
    async def the_job(id_: UUID) -> asyncpg.Record:
        async with database.reading() as db:
            return await db.fetchrow("SELECT * FROM notification_jobs WHERE id = $1", id_)

    return the_job


@pytest.fixture
def ended(the_job: Any, with_sms: MakeSender, running: Running, until: Until) -> Any:
    """Runs a sender until the job has ended, and returns it."""

    async def ended(id_: UUID, **given: Any) -> asyncpg.Record:
        async def it_has() -> bool:
            return (await the_job(id_))["ended_at"] is not None

        async with running(with_sms(**given).run()):
            await until(it_has)
        return await the_job(id_)

    return ended


async def sms_deliveries(database: Database) -> list[asyncpg.Record]:
    async with database.reading() as db:
        return await db.fetch(
            "SELECT * FROM notification_deliveries WHERE channel = 'sms' ORDER BY attempt"
        )


@pytest.fixture
def sms_statuses(database: Database) -> Statuses:
    """How all attempts by SMS ended, in this order."""

    async def statuses() -> list[str]:
        return [row["status"] for row in await sms_deliveries(database)]

    return statuses


async def test_a_reminder_says_the_least_and_where_to_see_more(
    reminder: UUID, ended: Any, twilio: TwilioHost, database: Database
) -> None:
    assert (await ended(reminder))["status"] == "sent"

    [message] = twilio.messages
    assert (message["to"], message["from"]) == (PHONE, "+15005550006")
    assert message["body"].startswith("Reminder of your appointment: ")
    assert "(Europe/London, UTC" in message["body"]
    assert "Ioannou" not in message["body"]
    assert message["callback"] == f"{ORIGIN}{_CALLBACK}?notification={reminder}"
    [delivery] = await sms_deliveries(database)
    assert delivery["provider_id"] == message["sid"]
    assert PHONE not in str(dict(delivery))


@pytest.mark.parametrize(("language", "parts"), [("en", 2), ("de", 2), ("el", 3), ("en-US", 2)])
def test_greek_needs_more_parts(language: str, parts: int) -> None:
    job = a_job(news=News.REMINDER, recipient=a_contact(language=language))

    assert parts_of(LetterWriter(ORIGIN).letter(job).short) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("α" * 70, 1),
        ("α" * 71, 2),
        ("α" * 135, 3),
        ("Α" * 160, 3),  # a Greek capital that looks like A, and is not
        ("Ω" * 160, 1),  # one that GSM has
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_parts_are_counted_as_they_are_paid(text: str, parts: int) -> None:
    assert parts_of(text) == parts


async def test_what_may_pass_is_tried_again_when_twilio_wants_it(
    reminder: UUID, ended: Any, twilio: TwilioHost, sms_statuses: Statuses
) -> None:
    twilio.replies = [refusal(429, 20429), refusal(503, 20503), refusal(401, 20003)]

    assert (await ended(reminder))["status"] == "sent"

    assert await sms_statuses() == ["deferred", "deferred", "deferred", "sent"]
    assert len(twilio.messages) == 1


async def test_retry_after_is_kept(
    reminder: UUID,
    with_sms: MakeSender,
    running: Running,
    the_job: Any,
    until: Until,
    twilio: TwilioHost,
) -> None:
    twilio.replies = [refusal(429, 20429, **{"Retry-After": "600"})]

    async def it_waits() -> bool:
        return (await the_job(reminder))["last_error"] == "429 20429"

    async with running(with_sms().run()):
        await until(it_waits)

    left = (await the_job(reminder))["due_at"] - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


async def test_a_refused_number_gets_its_reminder_by_mail(
    reminder: UUID, ended: Any, twilio: TwilioHost, mail_host: MailHost, database: Database
) -> None:
    twilio.replies = [refusal(400, 21211)]

    job = await ended(reminder)

    assert (job["status"], job["channel"], job["fallback"]) == ("sent", "email", [])
    subjects = [mail.message["Subject"] for mail in mail_host.to(PATIENT_EMAIL)]
    assert "Reminder of your appointment" in subjects
    [refused] = await sms_deliveries(database)
    assert (refused["status"], refused["response"]) == ("refused", "400 21211")


async def test_a_number_that_is_none_is_not_tried(
    tell: Tell, reminder: UUID, ended: Any, twilio: TwilioHost, database: Database
) -> None:
    await tell(a_patient(version=2, phone="112\r\nTo: +1"))
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET due_at = now() WHERE id = $1", reminder)

    assert (await ended(reminder))["channel"] == "email"
    assert twilio.calls == []


async def test_a_lost_answer_costs_no_second_message(
    reminder: UUID, ended: Any, twilio: TwilioHost, sms_statuses: Statuses
) -> None:
    twilio.drops = 1

    assert (await ended(reminder))["status"] == "sent"

    assert len(twilio.messages) == 1
    assert twilio.calls == ["POST", "GET"]
    assert await sms_statuses() == ["unknown", "sent"]


async def test_without_an_answer_to_the_question_nothing_is_sent(
    reminder: UUID,
    with_sms: MakeSender,
    running: Running,
    until: Until,
    twilio: TwilioHost,
    sms_statuses: Statuses,
) -> None:
    twilio.drops, twilio.lists = 1, False

    async def asked_twice() -> bool:
        return twilio.calls.count("GET") >= 2

    async with running(with_sms().run()):
        await until(asked_twice)
        twilio.lists = True

        async def found() -> bool:
            return "sent" in await sms_statuses()

        await until(found)

    assert len(twilio.messages) == 1


async def test_what_never_arrived_is_sent_again(
    reminder: UUID, ended: Any, twilio: TwilioHost
) -> None:
    twilio.replies = [refusal(500, 20500)]

    assert (await ended(reminder))["status"] == "sent"

    assert twilio.calls == ["POST", "GET", "POST"]
    assert len(twilio.messages) == 1


@pytest.fixture
async def api(settings_values: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    settings = NotificationsSettings(
        **settings_values,
        public_url=ORIGIN,
        twilio_account_sid=SID,
        twilio_auth_token=TOKEN,
        twilio_from="+15005550006",
    )
    async with client_of(make_app(settings)) as client:
        yield client


Callback = Any


@pytest.fixture
def callback(api: AsyncClient, reminder: UUID) -> Callback:
    """As Twilio calls, signed by its own library; returns the status of the answer."""

    async def call(
        status: str, sid: str, *, path: str | None = None, token: str = TOKEN, **form: str
    ) -> int:
        target = path or f"{_CALLBACK}?notification={reminder}"
        fields = {"MessageSid": sid, "MessageStatus": status, "AccountSid": SID, **form}
        signature = RequestValidator(token).compute_signature(f"{ORIGIN}{target}", fields)
        answer = await api.post(
            target,
            content=urlencode(fields),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": signature,
                "X-Forwarded-Host": "evil.example",
            },
        )
        return answer.status_code

    return call


async def test_receipts_come_in_any_order_and_never_go_back(
    reminder: UUID, ended: Any, twilio: TwilioHost, callback: Callback, database: Database
) -> None:
    await ended(reminder)
    sid = twilio.messages[0]["sid"]

    for status, receipt in (
        ("queued", "accepted"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("undelivered", "delivered"),
        ("delivered", "delivered"),
    ):
        assert await callback(status, sid, ErrorMessage="ä & +") == 204
        [delivery] = await sms_deliveries(database)
        assert (delivery["receipt"], delivery["status"]) == (receipt, "sent")


async def test_what_the_network_does_not_deliver_goes_by_mail(
    reminder: UUID,
    ended: Any,
    the_job: Any,
    twilio: TwilioHost,
    mail_host: MailHost,
    callback: Callback,
) -> None:
    await ended(reminder)
    sid = twilio.messages[0]["sid"]

    for _ in range(2):
        assert await callback("undelivered", sid, ErrorCode="30003") == 204
    assert (await the_job(reminder))["channel"] == "email"
    await ended(reminder)

    assert len(twilio.messages) == 1
    subjects = [mail.message["Subject"] for mail in mail_host.to(PATIENT_EMAIL)]
    assert subjects.count("Reminder of your appointment") == 1


async def test_what_cannot_go_another_way_has_failed(
    reminder: UUID,
    ended: Any,
    the_job: Any,
    twilio: TwilioHost,
    callback: Callback,
    database: Database,
    events: Events,
) -> None:
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET fallback = '{}'")
    await ended(reminder)

    await callback("failed", twilio.messages[0]["sid"])

    assert (await the_job(reminder))["status"] == "failed"
    reminded = [event.type for event in await events() if "reminder" in event.type]
    assert reminded[-2:] == [
        "notification.reminder_sent",
        "notification.reminder_failed",
    ]


async def test_a_receipt_answers_what_nobody_knew(
    reminder: UUID,
    with_sms: MakeSender,
    running: Running,
    until: Until,
    the_job: Any,
    twilio: TwilioHost,
    callback: Callback,
    sms_statuses: Statuses,
) -> None:
    twilio.drops = 1

    async def unknown() -> bool:
        return await sms_statuses() == ["unknown"]

    slow = replace(HASTE, backoff=Backoff(timedelta(minutes=5), timedelta(minutes=5)))
    async with running(with_sms(pace=slow).run()):
        await until(unknown)

    await callback("delivered", twilio.messages[0]["sid"])

    assert (await the_job(reminder))["status"] == "sent"
    assert await sms_statuses() == ["sent"]


async def test_forged_callbacks_change_nothing(
    reminder: UUID,
    ended: Any,
    twilio: TwilioHost,
    callback: Callback,
    api: AsyncClient,
    database: Database,
) -> None:
    await ended(reminder)
    sid = twilio.messages[0]["sid"]
    path = f"{_CALLBACK}?notification={reminder}"
    form = urlencode({"MessageSid": sid, "MessageStatus": "failed"})
    signature = RequestValidator(TOKEN).compute_signature(
        f"{ORIGIN}{_CALLBACK}?notification={uuid4()}",
        {"MessageSid": sid, "MessageStatus": "failed"},
    )

    assert await callback("failed", sid, token="another") == 403
    for headers in (
        {},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": signature},  # of another address
        {"X-Twilio-Signature": "=" * 100},
    ):
        answer = await api.post(path, content=form, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["code"] == "callback_forged"
    for content in (b"\xff\xfe", b"a=%zz&b", b"&".join([b"a=1"] * 1000), b"{}"):
        assert (await api.post(path, content=content)).status_code == 403

    [delivery] = await sms_deliveries(database)
    assert delivery["receipt"] is None


async def test_callbacks_about_nothing_we_know_are_read_over(
    callback: Callback, ended: Any, reminder: UUID, twilio: TwilioHost, database: Database
) -> None:
    await ended(reminder)
    sid = twilio.messages[0]["sid"]

    for status, sid_, path in (
        ("delivered", sid, f"{_CALLBACK}?notification={uuid4()}"),
        ("delivered", f"SM{uuid4().hex}", None),
        ("dreamt", sid, None),
        ("failed", "SM1", None),
        ("failed", "", None),
    ):
        assert await callback(status, sid_, path=path) == 204

    [delivery] = await sms_deliveries(database)
    assert delivery["receipt"] is None


async def test_without_an_account_no_callback_is_believed(app: FastAPI, reminder: UUID) -> None:
    target = f"{_CALLBACK}?notification={reminder}"
    signature = RequestValidator("").compute_signature(f"http://localhost:8080{target}", {})
    async with client_of(app) as api:
        answer = await api.post(target, headers={"X-Twilio-Signature": signature})

    assert answer.status_code == 403


async def test_a_killed_worker_costs_no_second_sms(
    reminder: UUID,
    ended: Any,
    until: Until,
    twilio: TwilioHost,
    sms_statuses: Statuses,
    database: Database,
    settings_values: dict[str, Any],
) -> None:
    twilio.gate.clear()
    account = {
        "TWILIO_ACCOUNT_SID": SID,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM": "+15005550006",
        "TWILIO_URL": twilio.url,
        "PUBLIC_URL": ORIGIN,
    }
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "notifications.worker"),
        env=os.environ
        | {name.upper(): str(value) for name, value in settings_values.items()}
        | account,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: twilio.messages, limit=60)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    twilio.gate.set()
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET locked_until = now() - interval '1 s' "
            "WHERE status = 'sending'"
        )
        await take_back_stalled(db)

    assert (await ended(reminder))["status"] == "sent"

    assert len(twilio.messages) == 1
    assert await sms_statuses() == ["unknown", "sent"]
