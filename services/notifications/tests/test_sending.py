"""What leaves by SMTP: to both parties, once, and only while it is true."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from notifications.domain.news import Party
from notifications.jobs.upkeep import end_expired
from notifications.use_cases.people import erase_contact
from shared.db import Database
from shared.events.booking import BookingCancelled, BookingConfirmed, BookingRequested

from .builders import (
    PATIENT,
    PATIENT_EMAIL,
    PROVIDER_EMAIL,
    a_patient,
    a_provider,
    an_appointment,
)
from .conftest import HASTE, MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost


@pytest.mark.usefixtures("known_people")
async def test_both_parties_are_told_and_the_deliveries_recorded(
    tell: Tell, deliver_all: Any, mail_host: MailHost, jobs: Rows, deliveries: Rows
) -> None:
    await tell(an_appointment(BookingConfirmed))

    await deliver_all()

    [to_patient], [to_provider] = mail_host.to(PATIENT_EMAIL), mail_host.to(PROVIDER_EMAIL)
    assert to_patient.message["Subject"] == "Your appointment is confirmed"
    assert to_provider.message["Subject"] == "New appointment"
    assert {job["status"] for job in await jobs()} == {"sent"}
    recorded = await deliveries()
    assert [(row["status"], row["attempt"]) for row in recorded] == [("sent", 1)] * 2
    assert {row["message_id"] for row in recorded} == {
        mail.message["Message-ID"] for mail in mail_host.mails
    }


@pytest.mark.usefixtures("known_people")
async def test_each_reads_the_time_on_their_own_clock(
    tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    summer = datetime(datetime.now(UTC).year + 1, 7, 1, 9, 0, tzinfo=UTC)
    await tell(an_appointment(BookingConfirmed, start=summer))

    await deliver_all()

    [to_patient], [to_provider] = mail_host.to(PATIENT_EMAIL), mail_host.to(PROVIDER_EMAIL)
    assert "10:00 (Europe/London, UTC+01:00)" in to_patient.text
    assert "12:00 (Europe/Athens, UTC+03:00)" in to_provider.text


@pytest.mark.usefixtures("known_people")
async def test_mails_do_not_tell_what_the_visit_is_for(
    tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    await tell(an_appointment(BookingConfirmed), an_appointment(BookingRequested))

    await deliver_all()

    assert len(mail_host.mails) == 4
    assert "HIV" not in "".join(mail.text + mail.html for mail in mail_host.mails)


@pytest.mark.usefixtures("known_people")
async def test_a_mail_leaves_without_waiting_for_the_next_poll(
    tell: Tell, make_sender: MakeSender, running: Running, mail_host: MailHost, until: Until
) -> None:
    from dataclasses import replace

    async with running(make_sender(pace=replace(HASTE, poll=600)).run()):
        await tell(an_appointment(BookingConfirmed))
        await until(lambda: mail_host.mails)
        await tell(an_appointment(BookingConfirmed))

        await until(lambda: len(mail_host.mails) == 4)


@pytest.mark.usefixtures("known_people")
async def test_many_senders_send_each_job_once(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    jobs: Rows,
    mail_host: MailHost,
    until: Until,
) -> None:
    await tell(*(an_appointment(BookingConfirmed) for _ in range(20)))

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 40

    async with running(*(make_sender().run() for _ in range(4))):
        await until(all_sent)

    ids = [mail.message["Message-ID"] for mail in mail_host.mails]
    assert len(ids) == len(set(ids)) == 40


async def test_a_job_waits_for_contact_details_and_leaves_when_they_arrive(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    jobs: Rows,
    mail_host: MailHost,
    until: Until,
) -> None:
    from dataclasses import replace

    patience = replace(HASTE, contact_pause=timedelta(minutes=10))

    async def both_wait() -> bool:
        return len(await jobs(status="queued", waits_for_contact=True)) == 2

    async with running(make_sender(pace=patience).run()):
        await tell(an_appointment(BookingConfirmed))
        await until(both_wait)
        await tell(a_patient(email=None), a_provider())
        await until(lambda: mail_host.to(PROVIDER_EMAIL))
        assert not mail_host.to(PATIENT_EMAIL)
        await until(both_wait_for_less(jobs))
        await tell(a_patient(version=2))

        await until(lambda: mail_host.to(PATIENT_EMAIL))

    assert {job["attempts"] for job in await jobs()} == {1}


def both_wait_for_less(jobs: Rows) -> Any:
    async def one_waits() -> bool:
        return len(await jobs(status="queued", waits_for_contact=True)) == 1

    return one_waits


@pytest.mark.usefixtures("known_people")
async def test_nothing_is_sent_for_what_was_cancelled_in_time(
    tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    id_ = uuid4()
    await tell(
        an_appointment(BookingConfirmed, id=id_, version=2),
        an_appointment(BookingCancelled, id=id_, version=3, cause="provider"),
    )

    await deliver_all()

    subjects = {mail.message["Subject"] for mail in mail_host.mails}
    assert subjects == {"Your appointment is cancelled", "Appointment cancelled"}
    [to_patient] = mail_host.to(PATIENT_EMAIL)
    assert "Dr. Eleni Ioannou has had to cancel" in to_patient.text


@pytest.mark.usefixtures("known_people")
async def test_the_last_look_comes_when_the_line_is_open(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    jobs: Rows,
    mail_host: MailHost,
    until: Until,
    database: Database,
) -> None:
    id_ = uuid4()
    await tell(an_appointment(BookingConfirmed, id=id_, version=2))
    mail_host.welcome.clear()

    async def all_ended() -> bool:
        return len(await jobs(status="withdrawn")) == 2

    async with running(make_sender().run()):
        await until(lambda: mail_host.greeted == 2)
        # As the event would, but without withdrawing: the jobs are claimed already.
        async with database.transaction() as db:
            await db.execute("UPDATE appointments SET status = 'cancelled', version = 3")
        mail_host.welcome.set()
        await until(all_ended)

    assert mail_host.mails == []


@pytest.mark.usefixtures("known_people")
async def test_an_erased_recipient_gets_nothing(
    tell: Tell, deliver_all: Any, mail_host: MailHost, database: Database
) -> None:
    await tell(an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        await erase_contact(db, Party.PATIENT, PATIENT, version=2)
    await tell(an_appointment(BookingConfirmed))

    await deliver_all()

    assert [mail.recipient for mail in mail_host.mails] == [PROVIDER_EMAIL] * 2
    assert "Maria" not in mail_host.mails[0].text


@pytest.mark.usefixtures("known_people")
async def test_what_comes_too_late_is_not_sent(
    tell: Tell, deliver_all: Any, jobs: Rows, mail_host: MailHost, database: Database
) -> None:
    await tell(an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET expires_at = now()")

    await deliver_all()

    assert mail_host.mails == []
    assert {job["status"] for job in await jobs()} == {"failed"}


async def test_what_nobody_sends_in_time_ends_by_itself(
    tell: Tell, jobs: Rows, database: Database
) -> None:
    await tell(an_appointment(BookingConfirmed), an_appointment(BookingRequested))
    async with database.transaction() as db:
        await db.execute("UPDATE notification_jobs SET expires_at = now() WHERE kind = 'confirmed'")
        await end_expired(db)

    assert [job["status"] for job in await jobs()] == ["failed", "failed", "queued", "queued"]


@pytest.mark.usefixtures("known_people")
async def test_an_unusable_address_fails_once_and_is_not_repeated_in_the_record(
    tell: Tell, deliver_all: Any, jobs: Rows, mail_host: MailHost
) -> None:
    await tell(a_patient(version=2, email="maria@example.com\r\nRCPT TO:<all@example.com>"))
    await tell(an_appointment(BookingConfirmed))

    await deliver_all()

    [failed] = await jobs(party="patient")
    assert (failed["status"], failed["last_error"]) == ("failed", "not a usable e-mail address")
    assert [mail.recipient for mail in mail_host.mails] == [PROVIDER_EMAIL]


@pytest.mark.usefixtures("known_people")
async def test_a_hostile_name_reaches_the_reader_as_a_name(
    tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    await tell(a_patient(version=2, name="Eve\r\nBcc: all@example.com\r\n\r\n{{7*7}}<b>"))
    await tell(an_appointment(BookingConfirmed))

    await deliver_all()

    [mail] = mail_host.to(PATIENT_EMAIL)
    assert mail.message["To"].addresses[0].display_name == "Eve Bcc: all@example.com {{7*7}}<b>"
    assert "Bcc" not in mail.message
    assert len(mail_host.mails) == 2


@pytest.mark.usefixtures("known_people")
async def test_a_sender_that_is_stopped_ends_what_it_has_in_hand(
    tell: Tell, make_sender: MakeSender, jobs: Rows, mail_host: MailHost, until: Until
) -> None:
    await tell(an_appointment(BookingConfirmed))
    mail_host.gate.clear()
    stopped = asyncio.create_task(make_sender().run())
    await until(lambda: len(mail_host.mails) == 2)

    stopped.cancel()
    ended_at_once, _ = await asyncio.wait({stopped}, timeout=0.2)
    assert not ended_at_once
    mail_host.gate.set()
    await asyncio.wait({stopped}, timeout=20)

    assert stopped.cancelled()
    assert {job["status"] for job in await jobs()} == {"sent"}


async def test_jobs_of_a_channel_that_is_off_wait(
    tell: Tell, make_sender: MakeSender, running: Running, jobs: Rows, until: Until
) -> None:
    await tell(a_patient(), a_provider(), an_appointment(BookingConfirmed))
    off, on = make_sender(channels=[]), make_sender()

    async def all_sent() -> bool:
        return len(await jobs(status="sent")) == 2

    async with running(off.run()):
        # Nothing is to happen, so there is nothing to wait for: four polls in which it could.
        await asyncio.sleep(4 * HASTE.poll)
        assert len(await jobs(status="queued")) == 2
    async with running(on.run()):
        await until(all_sent)
