"""How fast due jobs leave, against what a server takes from a plain client in the same run."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path
from uuid import UUID, uuid4

from bench.figures import Row, at_least, at_most, no_more_than
from bench.stage import CHECKOUT, Stage
from notifications.channels.email import EmailChannel
from notifications.channels.smtp import SmtpServer
from notifications.consumers import HANDLERS
from notifications.domain.facts import Facts
from notifications.domain.job import Contact, Job
from notifications.domain.news import Party
from notifications.letters import LetterWriter
from notifications.unsubscribing import UnsubscribeLinks
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingConfirmed,
    Cancellation,
    Change,
)
from shared.events.envelope import Event
from shared.messaging import InHand
from shared.messaging.handling import Handling
from shared.observability import begin

LINES = 20
JOBS = 100_000
MOST_SECONDS = 150.0
"""After which the jobs that are left are left; the rate is that of those which were sent."""
LOOKS_EVERY = 2.0
"""A look reads all jobs: five of them a second took a sixth of a core from what is measured."""
SECONDS = 4.0
CANCELLED = 10_000
BATCH = 50
PAST = 20_000
PROVIDER = uuid4()
_A_PAST = """
WITH old AS (
    INSERT INTO notification_jobs (id, dedupe_key, kind, channel, party, recipient_id,
        appointment_id, payload, due_at, expires_at, status, attempts, ended_at)
    SELECT gen_random_uuid(), 'old ' || n, 'confirmed', 'email', 'patient', gen_random_uuid(),
        gen_random_uuid(), '{}', now(), now(), 'sent', 1, now()
    FROM generate_series(1, $1::integer) n RETURNING id
)
INSERT INTO notification_deliveries
    (id, job_id, recipient_id, attempt, channel, message_id, status, finished_at)
SELECT gen_random_uuid(), id, gen_random_uuid(), 1, 'email', '<old>', 'sent', now() FROM old
"""
"""Plans that were made while tables were empty would be measured otherwise."""
_SETTINGS = {"MAIL_FROM": "Clinic <clinic@bench.example>", "LOG_LEVEL": "INFO"}


async def drain(on: Stage, jobs: int) -> list[Row]:
    """All at once due, sent by one worker process."""
    facts = Facts.of(an_appointment())
    await on.as_admin(
        "INSERT INTO contacts (party, person_id, version, name, email, language, timezone) "
        "SELECT 'patient', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, "
        "'Maria Pappas', 'patient' || n || '@bench.example', (ARRAY['en', 'el', 'de'])[n % 3 + 1], "
        f"'Europe/Athens' FROM generate_series(1, {jobs}) n",
    )
    async with on.database.transaction() as db:
        await db.execute(
            """
            WITH made AS (
                INSERT INTO appointments (id, version, status)
                SELECT gen_random_uuid(), 2, 'confirmed' FROM generate_series(1, $1::integer)
                RETURNING id
            ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
            INSERT INTO notification_jobs (id, dedupe_key, kind, channel, party, recipient_id,
                appointment_id, appointment_version, appointment_status, payload, due_at,
                expires_at)
            SELECT gen_random_uuid(), id::text, 'confirmed', 'email', 'patient',
                ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, id, 2, 'confirmed',
                $2::jsonb || jsonb_build_object('appointment_id', id,
                    'patient_id', ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid),
                now(), now() + interval '1 day'
            FROM numbered
            """,
            jobs,
            facts.stored,
        )
        await db.execute(_A_PAST, PAST)
    await on.as_admin("VACUUM ANALYZE")
    async with sink() as (port, sink_pid):
        bare = await from_a_plain_client(port)
        sink_before = cpu(sink_pid)
        started = datetime.now(UTC)
        async with worker(on, port) as pid:
            first: int | None = None
            left, latest_end, until = jobs, started, time.monotonic() + MOST_SECONDS
            while left and time.monotonic() < until:
                await asyncio.sleep(LOOKS_EVERY)
                left, latest_end = await progress(on)
                if first is None and left < jobs * 0.8:
                    first = memory(pid)
            last, used = memory(pid), cpu(pid)
            sent, seconds = jobs - left, (latest_end - started).total_seconds()
        sink_used = cpu(sink_pid) - sink_before
        again = await from_a_plain_client(port)
    async with on.database.reading() as db:
        tries = await db.fetchval("SELECT count(*) FROM notification_deliveries") - PAST
    bare, rate = (bare + again) / 2, sent / seconds
    each, of_server = used / sent * 1000, sink_used / sent * 1000
    return [
        Row(
            name=f"a plain client, {LINES} lines, one letter again and again",
            figure=bare,
            unit="/s",
        ),
        Row(
            name=f"{sent:,} of {jobs:,} due jobs, one worker, start included",
            figure=rate,
            unit="/s",
            ratio=rate / bare,
            yardstick="the plain client",
            wanted=at_least(0.6),
        ),
        Row(name="processor for each: the worker", figure=each, unit="ms"),
        Row(name="processor for each: the mail server", figure=of_server, unit="ms"),
        Row(
            name="attempts",
            figure=tries,
            unit="",
            ratio=tries / sent,
            yardstick="one for each job",
            wanted=at_most(1 + LINES * 4 / sent),
        ),
        Row(
            name="memory of the worker at the end",
            figure=last / 1024,
            unit="MB",
            ratio=last / (first or last),
            yardstick="after a fifth of the jobs",
            wanted=at_most(1.1),
        ),
    ]


async def cancel(on: Stage) -> list[Row]:
    """Events of as many cancellations as in a catastrophe, as a consumer takes them."""
    appointments = [an_appointment() for _ in range(CANCELLED)]
    await handle(on, [an_event(each) for each in appointments])
    await on.as_admin("VACUUM ANALYZE")
    cancelled = [
        an_event(an_appointment(BookingCancelled, appointment_id=each.id, version=3))
        for each in appointments
    ]
    started, used = time.monotonic(), time.process_time()
    await handle(on, cancelled)
    seconds, used = time.monotonic() - started, time.process_time() - used
    async with on.database.reading() as db:
        left = await db.fetchval(
            "SELECT count(*) FROM notification_jobs WHERE kind = 'reminder' AND status = 'queued'"
        )
    return [
        Row(
            name=f"{CANCELLED:,} cancellations followed",
            figure=seconds,
            unit="s",
            wanted=no_more_than(5),
        ),
        Row(name="    processor for each", figure=used / CANCELLED * 1000, unit="ms"),
        Row(name="    reminders left of them", figure=left, unit="", wanted=no_more_than(0)),
    ]


async def handle(on: Stage, events: list[Event[AppointmentEvent]]) -> None:
    """In batches as a consumer makes them, the inbox included."""
    handlers = {kind.type: handler for kind, handler in HANDLERS.items()}
    handling = Handling("bench", handlers, on.database, timeout=10, batch_timeout=10)
    for at in range(0, len(events), BATCH):
        taken = [InHand(event, begin("a message")) for event in events[at : at + BATCH]]
        if not await handling.together(taken):
            raise RuntimeError("a batch was not handled")


def an_appointment(
    kind: type[AppointmentEvent] = BookingConfirmed,
    *,
    appointment_id: UUID | None = None,
    version: int = 2,
) -> AppointmentEvent:
    now = datetime.now(UTC)
    start = now + timedelta(days=3)
    status = "confirmed" if kind is BookingConfirmed else "cancelled"
    ended = Cancellation(at=now, cause="provider", by_type="provider", by_id=None, fee_cents=0)
    return kind(
        id=appointment_id or uuid4(),
        version=version,
        status=status,
        user_id=uuid4(),
        provider_id=PROVIDER,
        provider_name="Dr. Eleni Ioannou",
        service_id=PROVIDER,
        service_title="Consultation",
        timeslot_id="t",
        start=start,
        end=start + timedelta(minutes=30),
        mode="in_person",
        location_id=None,
        location_name="Main clinic",
        location_address="5 Example Street, Athens",
        room_id=None,
        price_cents=0,
        currency="EUR",
        booked_from="api",
        hold_expires_at=None,
        pending_expires_at=None,
        patient_timezone="Europe/Athens",
        provider_timezone="Europe/Athens",
        cancellation=ended if status == "cancelled" else None,
        rescheduled_from=None,
        rescheduled_to=None,
        reschedule_count=0,
        claims=[],
        change=Change(action=status, actor_type="system", actor_id=None, at=now),
        created_at=now,
        updated_at=now,
    )


def an_event(data: AppointmentEvent) -> Event[AppointmentEvent]:
    return Event(
        id=uuid4(),
        type=data.type,
        source=data.source,
        subject=data.subject,
        sequence=data.sequence,
        time=datetime.now(UTC),
        data=data,
    )


@asynccontextmanager
async def sink() -> AsyncIterator[tuple[int, int]]:
    """aiosmtpd in a process of its own, which takes everything and keeps nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", f"127.0.0.1:{port}"),
        *("--class", "aiosmtpd.handlers.Sink"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


async def from_a_plain_client(port: int) -> float:
    """Mails a second, the same letter again and again, over as many lines as a worker has."""
    content = a_mail()
    until = time.monotonic() + SECONDS
    counts = await asyncio.gather(*(_one_line(port, content, until) for _ in range(LINES)))
    return sum(counts) / SECONDS


async def _one_line(port: int, content: bytes, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"HELO bench\r\n")
    await reader.readline()
    sent = 0
    while time.monotonic() < until:
        for command in (b"MAIL FROM:<a@bench.example>\r\n", b"RCPT TO:<b@bench.example>\r\n"):
            writer.write(command)
            await reader.readline()
        writer.write(b"DATA\r\n")
        await reader.readline()
        writer.write(content + b"\r\n.\r\n")
        await reader.readline()
        sent += 1
    writer.close()
    return sent


def a_mail() -> bytes:
    now = datetime.now(UTC)
    contact = Contact(
        name="Maria Pappas",
        email="maria@bench.example",
        phone=None,
        language="el",
        timezone="Europe/Athens",
        is_erased=False,
    )
    job = Job(
        id=uuid4(),
        kind="confirmed",
        party=Party.PATIENT,
        channel="email",
        fallback=(),
        recipient_id=uuid4(),
        recipient=contact,
        patient_name="Maria Pappas",
        stored=Facts.of(an_appointment()).stored,
        appointment_id=uuid4(),
        version=2,
        wanted_status="confirmed",
        appointment_status="confirmed",
        replaced_version=None,
        now=now,
        due_at=now,
        expires_at=now,
        unknown_attempts=0,
        unknown_since=None,
        traceparent=None,
    )
    channel = EmailChannel(
        SmtpServer.of("smtp://127.0.0.1:1"),
        sender=Address("Clinic", "clinic", "bench.example"),
        writer=LetterWriter("https://bench.example"),
        links=UnsubscribeLinks("https://bench.example", secret="bench"),
    )
    return channel.compose(job, "maria@bench.example").content


@asynccontextmanager
async def worker(on: Stage, smtp_port: int) -> AsyncIterator[int]:
    """A worker as in production; without a broker, so that it does nothing but send."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "notifications.worker"),
        env=os.environ | on.settings | _SETTINGS | {"SMTP_URL": f"smtp://127.0.0.1:{smtp_port}"},
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def progress(on: Stage) -> tuple[int, datetime]:
    """How many jobs are left, and when the latest of the others ended."""
    async with on.database.reading() as db:
        [row] = await db.fetch(
            """
            SELECT count(*) FILTER (WHERE status IN ('queued', 'sending')) AS unfinished,
                max(ended_at) AS latest_end
            FROM notification_jobs
            """
        )
    return row["unfinished"], row["latest_end"]


def memory(pid: int) -> int:
    """Resident, in KB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(on: Stage) -> list[Row]:
    return [*await drain(on, JOBS), *await cancel(on)]
