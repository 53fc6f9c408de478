"""A patient is erased: nothing that names or reaches them is left, wherever it was."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from notifications.channels.email import EmailChannel
from notifications.channels.in_app import InAppChannel
from notifications.channels.smtp import SmtpServer
from notifications.letters import LetterWriter
from notifications.realtime.telling import News as Told
from notifications.realtime.telling import tell as tell_clients
from notifications.unsubscribing import UnsubscribeLinks
from notifications.use_cases.erase import finish_erasures
from shared.auth import ServiceTokens
from shared.db import Database
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.events.patient import PatientDeleted
from shared.http import AsyncClient
from shared.messaging.broker import connected
from shared.messaging.parking import depth
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import Queues
from shared.messaging.wire import CONTENT_TYPE, encode
from shared.testing.leftovers import leftovers
from shared.testing.tokens import SERVICE_SECRET

from .builders import PATIENT, PROVIDER, a_patient, a_provider, an_appointment
from .conftest import SENDER, As, MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost

NAME, EMAIL, PHONE = "Zyxmark Name", "zyxmark.mail@example.org", "+302107770001"
DEVICE, CLIENT = "zyxmark-device-token-of-the-patient", "zyxmark-from-a-client"
MARKERS = [NAME, EMAIL, PHONE, DEVICE, CLIENT]


@pytest.fixture
async def queue(amqp_url: str) -> AsyncIterator[str]:
    """Queues of the test's own, as the service has them."""
    queues = Queues(f"notifications-{uuid4().hex}")
    async with connected(amqp_url, name="test") as connection:
        await queues.declare(connection, "medic.events", ())
        yield queues.main
        channel = await connection.channel()
        for name in (queues.main, queues.parked, *queues.retries):
            await channel.queue_delete(name)


async def left(database: Database) -> list[str]:
    async with database.reading() as db:
        return await leftovers(db, MARKERS)


async def confirmed(database: Database) -> list[Any]:
    async with database.reading() as db:
        return await db.fetch(
            "SELECT data FROM outbox WHERE type = 'notification.patient_erased' ORDER BY position"
        )


def a_deletion(version: int = 2) -> PatientDeleted:
    return PatientDeleted(id=PATIENT, version=version, erasure_id=uuid4())


@pytest.fixture
def lived(
    api: AsyncClient,
    as_user: As,
    tell: Tell,
    database: Database,
    mail_host: MailHost,
    make_sender: MakeSender,
    running: Running,
    until: Until,
) -> Any:
    """The patient has set, got and been refused all that there is."""

    async def live() -> None:
        mail_host.recipient_reply[EMAIL] = [f"550 5.1.1 <{EMAIL}>: {NAME} is not here"]
        await tell(a_patient(name=NAME, email=EMAIL, phone=PHONE), a_provider())
        user = f"/v1/users/{PATIENT}"
        headers = as_user("patient", PATIENT) | {"Idempotency-Key": uuid4().hex}
        for method, path, body in (
            ("PUT", "notification-preferences", {"language": "el"}),
            ("POST", "push-devices", {"token": DEVICE, "platform": "android"}),
        ):
            answer = await api.request(method, f"{user}/{path}", json=body, headers=headers)
            assert answer.status_code in (200, 201), answer.text
        async with database.transaction() as db:
            channel = f"user.{PATIENT}.bookings"
            await tell_clients(db, [Told(channel, "client-note", {"text": CLIENT})])
        await tell(an_appointment(BookingConfirmed))
        writer = LetterWriter("https://medic.example")
        channels = [
            InAppChannel(database, writer=writer),
            EmailChannel(
                SmtpServer.of(mail_host.url),
                sender=SENDER,
                writer=writer,
                links=UnsubscribeLinks("https://medic.example", secret="a secret"),
                answer_timeout=5.0,
            ),
        ]

        async def said() -> bool:
            async with database.reading() as db:
                waiting = await db.fetchval(
                    "SELECT count(*) FROM notification_jobs WHERE ended_at IS NULL "
                    "AND due_at <= now() AND channel IN ('email', 'in_app')"
                )
            return bool(waiting == 0)

        async with running(make_sender(channels=channels).run()):
            await until(said)

    return live


async def test_nothing_personal_is_left_in_any_table(
    lived: Any, tell: Tell, database: Database, amqp_url: str, queue: str
) -> None:
    await lived()
    before = await left(database)
    async with database.reading() as db:
        inboxes = await db.fetch("SELECT user_id FROM in_app_notifications")

    await tell(deletion := a_deletion())
    await finish_erasures(database, amqp_url, queue=queue)

    assert {line.partition(":")[0] for line in before} == {
        "public.contacts",
        "public.notification_deliveries",
        "public.notification_jobs",
        "public.push_devices",
        "public.realtime_messages",
    }
    assert {row["user_id"] for row in inboxes} == {PATIENT, PROVIDER}
    assert await left(database) == []
    async with database.reading() as db:
        for table in ("notification_preferences", "push_devices"):
            assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0
        kept = await db.fetch("SELECT user_id FROM in_app_notifications")
        answers = await db.fetch("SELECT status FROM idempotency_keys")
    assert {row["user_id"] for row in kept} == {PROVIDER}
    assert [row["status"] for row in answers] == [409, 409]
    [told] = await confirmed(database)
    assert told["data"] == {
        "erasureId": str(deletion.erasure_id),
        "patientId": str(PATIENT),
        "version": 2,
    }


async def test_an_old_word_of_the_patient_brings_nothing_back(
    lived: Any, tell: Tell, database: Database
) -> None:
    await lived()

    await tell(a_deletion(), a_patient(name=NAME, email=EMAIL, phone=PHONE))

    assert await left(database) == []


async def test_a_rebuilt_read_model_has_nobody_who_was_erased(
    lived: Any, tell: Tell, database: Database
) -> None:
    await lived()
    deletion = a_deletion()
    await tell(deletion)
    async with database.transaction() as db:
        await db.execute("DELETE FROM contacts")

    await tell(deletion)

    assert await left(database) == []
    async with database.reading() as db:
        known = await db.fetchrow("SELECT * FROM contacts WHERE party = 'patient'")
    assert (known["version"], known["is_erased"], known["name"]) == (2, True, None)


async def test_whoever_came_back_before_the_word_arrived_keeps_only_what_is_new(
    lived: Any, tell: Tell, database: Database
) -> None:
    await lived()
    again = a_patient(version=3, name="Anna", email="anna@example.org")

    await tell(again, a_deletion())

    assert await left(database) == []
    async with database.reading() as db:
        known = await db.fetchrow("SELECT * FROM contacts WHERE party = 'patient'")
        assert await db.fetchval("SELECT count(*) FROM push_devices") == 0
    assert (known["version"], known["name"], known["is_erased"]) == (3, "Anna", False)


async def test_a_replayed_erasure_takes_nothing_that_is_new_and_is_confirmed_again(
    lived: Any,
    tell: Tell,
    database: Database,
    api: AsyncClient,
    as_user: As,
    amqp_url: str,
    queue: str,
) -> None:
    await lived()
    deletion = a_deletion()
    await tell(deletion)
    await finish_erasures(database, amqp_url, queue=queue)
    await tell(a_patient(version=3, name="Anna", email="anna@example.org"))
    device = {"token": "a-device-of-somebody-new", "platform": "ios"}
    path = f"/v1/users/{PATIENT}/push-devices"
    await api.post(path, json=device, headers=as_user("patient", PATIENT))

    await tell(deletion)
    await finish_erasures(database, amqp_url, queue=queue)

    assert len(await confirmed(database)) == 2
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM push_devices") == 1
        assert await db.fetchval("SELECT name FROM contacts WHERE party = 'patient'") == "Anna"


async def test_what_is_on_its_way_is_waited_for(
    tell: Tell, database: Database, amqp_url: str, queue: str
) -> None:
    await tell(a_patient(name=NAME, email=EMAIL), a_provider(), an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET status = 'sending', locked_by = gen_random_uuid(), "
            "locked_until = now() + interval '1 hour' WHERE kind = 'confirmed'"
        )
    await tell(a_deletion())

    await finish_erasures(database, amqp_url, queue=queue)
    waited = await confirmed(database)
    async with database.transaction() as db:
        # As a worker does that has been told of the address meanwhile.
        await db.execute(
            "UPDATE notification_jobs SET status = 'failed', locked_by = NULL, ended_at = now(), "
            "locked_until = NULL, last_error = $1 WHERE status = 'sending'",
            f"550 {EMAIL} unknown",
        )
        await db.execute(
            "INSERT INTO notification_deliveries (id, job_id, recipient_id, attempt, channel, "
            "message_id, started_at) SELECT gen_random_uuid(), id, recipient_id, 1, channel, 'm', "
            "created_at FROM notification_jobs WHERE party = 'patient'"
        )
        await db.execute(
            "UPDATE notification_deliveries SET status = 'refused', finished_at = now(), "
            "response = $1",
            f"550 {EMAIL} unknown",
        )
        await db.execute("UPDATE notification_jobs SET last_error = NULL WHERE party = 'provider'")
    await finish_erasures(database, amqp_url, queue=queue)

    assert waited == []
    assert len(await confirmed(database)) == 1
    assert await left(database) == []


def parked(person: UUID, version: int) -> Outgoing:
    patient = a_patient(id=person, version=version, name=NAME)
    row = {
        "id": uuid4(),
        "type": patient.type,
        "subject": patient.subject,
        "sequence": patient.sequence,
        "occurred_at": datetime.now(UTC) - timedelta(hours=1),
        "traceparent": None,
        "data": patient.model_dump_json(by_alias=True),
    }
    return Outgoing(
        routing_key="",
        body=encode(row, "/bookings"),
        message_id=str(row["id"]),
        type=patient.type,
        content_type=CONTENT_TYPE,
    )


async def test_parked_words_of_the_patient_are_thrown_away_and_no_others(
    tell: Tell, database: Database, amqp_url: str, queue: str
) -> None:
    queues = Queues(queue)
    other = uuid4()
    unreadable = Outgoing(
        routing_key="",
        body=f'{{"id": "{PATIENT}", "name": "{NAME}"'.encode(),
        message_id=str(uuid4()),
        type="patient.updated",
        content_type=CONTENT_TYPE,
    )
    async with (
        Publisher(amqp_url, name="test") as publisher,
        connected(amqp_url, name="test") as connection,
    ):
        for message in (parked(PATIENT, 1), unreadable, parked(other, 1), parked(PATIENT, 3)):
            await publisher.publish(
                Outgoing(
                    routing_key=queues.parked,
                    body=message.body,
                    message_id=message.message_id,
                    type=message.type,
                    content_type=message.content_type,
                )
            )
        await tell(a_patient(), a_deletion())

        await finish_erasures(database, amqp_url, queue=queue)

        assert await depth(connection, queues.parked) == 2
    assert len(await confirmed(database)) == 1


async def test_what_waits_for_a_retry_is_waited_for(
    tell: Tell, database: Database, amqp_url: str, queue: str
) -> None:
    waiting = Queues(queue).retries[-1]
    async with Publisher(amqp_url, name="test") as publisher:
        message = parked(PATIENT, 1)
        await publisher.publish(
            Outgoing(
                routing_key=waiting,
                body=message.body,
                message_id=message.message_id,
                type=message.type,
                content_type=message.content_type,
            )
        )
    await tell(a_patient(), a_deletion())

    await finish_erasures(database, amqp_url, queue=queue)
    waited = await confirmed(database)
    async with database.transaction() as db:
        await db.execute("UPDATE erasures SET erased_at = now() - interval '10 minutes'")
    await finish_erasures(database, amqp_url, queue=queue)

    assert waited == []
    assert len(await confirmed(database)) == 1


async def test_without_the_broker_it_is_confirmed_later(tell: Tell, database: Database) -> None:
    await tell(a_patient(), a_deletion())

    await finish_erasures(database, "amqp://nobody@127.0.0.1:1/", queue="notifications")

    assert await confirmed(database) == []


@pytest.mark.usefixtures("known_people")
async def test_a_cancellation_that_follows_says_nothing_to_the_erased(
    tell: Tell, deliver_all: Any, mail_host: MailHost, jobs: Rows
) -> None:
    appointment = an_appointment(BookingConfirmed)
    await tell(appointment, a_deletion())
    cancelled = an_appointment(
        BookingCancelled, id=appointment.id, version=3, cause="system", start=appointment.start
    )

    await tell(cancelled)
    await deliver_all()

    assert all("maria" not in mail.recipient for mail in mail_host.mails)
    assert all(b"Maria" not in mail.content for mail in mail_host.mails)
    assert {job["status"] for job in await jobs(party="patient")} == {"withdrawn"}


async def test_the_export_has_everything_but_secrets(
    lived: Any, api: AsyncClient, tell: Tell
) -> None:
    await lived()
    token = ServiceTokens(SERVICE_SECRET, "bookings").token_for("notifications")

    answer = await api.get(
        f"/internal/patients/{PATIENT}/export", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 200, answer.text
    kept = answer.json()
    assert kept["preferences"]["language"] == "el"
    assert [each["platform"] for each in kept["devices"]] == ["android"]
    assert [each["kind"] for each in kept["inbox"]] == ["confirmed"]
    assert {each["channel"] for each in kept["deliveries"]} == {"email", "in_app"}
    assert {each["kind"] for each in kept["planned"]} >= {"reminder"}
    assert DEVICE not in orjson.dumps(kept).decode()


async def test_the_export_is_for_services_alone(api: AsyncClient, as_user: As) -> None:
    path = f"/internal/patients/{PATIENT}/export"

    for headers in ({}, as_user("patient", PATIENT), as_user("admin", uuid4())):
        assert (await api.get(path, headers=headers)).status_code == 401
