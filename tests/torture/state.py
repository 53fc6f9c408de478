"""Everything that a check may ask for, read when all is quiet, as one JSON document."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email import message_from_binary_file
from pathlib import Path
from typing import Any
from uuid import UUID

import aio_pika
import aiohttp
import asyncpg
import icalendar

from local.console import WentWrong
from local.radicale import Radicale
from shared.messaging.topology import LISTENERS, Queues
from tests.torture.history import Json, now
from tests.torture.people import Door
from tests.torture.stand import SERVICES, Stand
from tests.torture.watchers import Stream

_TABLES: Mapping[str, tuple[str, str]] = {
    "bookings.appointments": (
        "bookings",
        """SELECT id, version, status, patient_id, provider_id, service_id, timeslot_id, starts_at,
        ends_at, source, hold_expires_at, cancelled_at, cancellation_cause, rescheduled_from,
        rescheduled_to, created_at FROM appointments""",
    ),
    "bookings.claims": (
        "bookings",
        """SELECT appointment_id, resource_id, kind, lower(period) AS starts_at,
        upper(period) AS ends_at FROM claims""",
    ),
    "bookings.audit_events": (
        "bookings",
        "SELECT appointment_id, sequence, action, actor_id, occurred_at, metadata, "
        "xmin::text::bigint AS transaction "
        "FROM audit_events",
    ),
    "availability.appointments": (
        "availability",
        "SELECT id, version, status, hold_expires_at FROM appointments",
    ),
    "availability.claims": (
        "availability",
        "SELECT appointment_id, resource_id, starts_at, ends_at, hold_expires_at FROM claims",
    ),
    "availability.external_busy_times": (
        "availability",
        "SELECT external_id, starts_at, ends_at FROM external_busy_times",
    ),
    "reservations.reservations": (
        "reservations",
        "SELECT id, status, user_id, appointment_id, expires_at FROM reservations",
    ),
    "notifications.appointments": (
        "notifications",
        "SELECT id, version, status FROM appointments",
    ),
    "notifications.notification_jobs": (
        "notifications",
        """SELECT id, kind, channel, party, recipient_id, appointment_id, appointment_version,
        status, attempts, due_at, created_at, ended_at, last_error FROM notification_jobs""",
    ),
    "calendar-sync.entries": ("calendar-sync", "SELECT id, version, status FROM entries"),
    "calendar-sync.written_events": (
        "calendar-sync",
        """SELECT id, appointment_id, is_retired, handled_version, failures, last_error, written_at
        FROM written_events""",
    ),
    "deadlocks": (
        "bookings",
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    ),
}
_OUTBOX = """SELECT position, id, type, subject, sequence, occurred_at, published_at{}
FROM outbox ORDER BY position"""
_INBOX = "SELECT consumer, event_id, received_at FROM inbox"
_UNPUBLISHED = "SELECT count(*) AS n FROM outbox WHERE published_at IS NULL"
_WORK = {
    "bookings": """SELECT count(*) AS n FROM appointments
        WHERE status = 'held' AND hold_expires_at <= now()""",
    "notifications": """SELECT count(*) AS n FROM (
        SELECT FROM notification_jobs
        WHERE status = 'sending'
            OR status = 'queued' AND (due_at <= now() OR kind IN ('confirmed', 'rescheduled'))
        UNION ALL
        SELECT FROM webhook_deliveries WHERE status NOT IN ('delivered', 'failed')) AS due""",
    "calendar-sync": """SELECT (
        SELECT count(*) FROM written_events AS written
        LEFT JOIN entries ON entries.id = appointment_id
        WHERE is_retired OR entries.version IS DISTINCT FROM handled_version
    ) + (
        SELECT count(*) FROM entries JOIN connections USING (provider_id)
        WHERE entries.status = 'confirmed' AND connections.ended_at IS NULL
            AND entries.id NOT IN (SELECT appointment_id FROM written_events)
    ) AS n""",
}


_TRIES = 10
_REBUILT_WITHIN = 60.0


async def settle(
    stand: Stand, radicale: Radicale, streams: Sequence[Stream] = (), *, limit: float
) -> Json:
    """Wait until nothing is under way any more; what still was when the limit came."""
    deadline = now() + limit
    quiet, under_way = 0, {"nobody has looked": 1}
    while now() < deadline:
        try:
            under_way = await _under_way(stand) | await _untold(stand, streams)
            under_way["calendar's busy times"] = await _unread(stand, radicale)
        except (WentWrong, OSError, asyncpg.PostgresError, aio_pika.exceptions.AMQPError) as error:
            under_way = {f"not to be seen: {type(error).__name__}": 1}
        quiet = 0 if any(under_way.values()) else quiet + 1
        if quiet >= 3:
            break
        await asyncio.sleep(0.5)
    return {name: count for name, count in under_way.items() if count}


async def _under_way(stand: Stand) -> dict[str, int]:
    found: dict[str, int] = {}
    for service in SERVICES:
        found[f"{service}'s outbox"] = (await stand.rows(service, _UNPUBLISHED))[0]["n"]
        if service in _WORK:
            found[f"{service}'s work"] = (await stand.rows(service, _WORK[service]))[0]["n"]
    for queue, count in (await _depths(stand)).items():
        if not queue.endswith(".parked"):
            found[queue] = count
    return found


async def _unread(stand: Stand, radicale: Radicale) -> int:
    """Private events that do not block yet, and times that block without one any more."""
    entered = {
        event["starts_at"]
        for event in _events(await radicale.content())
        if event["uid"].endswith("@torture")
    }
    rows = await stand.rows("availability", "SELECT starts_at FROM external_busy_times")
    return len(entered ^ {row["starts_at"].timestamp() for row in rows})


async def _untold(stand: Stand, streams: Sequence[Stream]) -> dict[str, int]:
    """What is in the history of a channel and has not come to who listens there."""
    newer = "SELECT count(*) AS n FROM realtime_messages WHERE channel = $1 AND position > $2"
    found = {}
    for stream in streams:
        rows = await stand.rows("notifications", newer, stream.channel, int(stream.last or 0))
        found[stream.channel] = rows[0]["n"]
    return found


async def _depths(stand: Stand) -> dict[str, int]:
    connection = await aio_pika.connect(stand.system.demo["amqpUrl"], timeout=5)
    try:
        channel = await connection.channel()
        found = {}
        for name in LISTENERS:
            queues = Queues(name)
            for queue in (queues.main, *queues.retries, queues.parked):
                declared = await channel.declare_queue(queue, passive=True)
                found[queue] = declared.declaration_result.message_count or 0
        return found
    finally:
        await connection.close()


async def taken(stand: Stand, door: Door, radicale: Radicale, *, rebuild: bool) -> Json:
    """The whole of it; ``rebuild`` also makes availability's view anew, and looks at it again."""
    state = await _tables(stand)
    state["waiting"] = {}
    state["calendar"] = _events(await radicale.content())
    state["mails"] = _mails(Path(stand.system.demo["mailDir"]) / "new")
    state["parked"] = await _parked(stand)
    code, output = await stand.command("bookings.audit", "verify")
    state["audit"] = {"code": code, "output": output}
    state["tampered"] = [change for change in _TAMPERING if await _is_let(stand, change)]
    for _ in range(_TRIES):
        state["looked"] = await _looked(stand, door)
        if state["looked"]["before"] == state["looked"]["after"]:
            break  # else a hold may have ended meanwhile; what looking does, it does every time
    if rebuild:
        state["rebuild"] = await stand.command("availability.rebuild")
        state["waiting"] |= await settle(stand, radicale, limit=_REBUILT_WITHIN)
        for table in ("availability.claims", "availability.appointments"):
            service, statement = _TABLES[table]
            state[f"rebuilt.{table}"] = _plain(await stand.rows(service, statement))
    return state


async def _tables(stand: Stand) -> Json:
    """All of them at a moment at which no event was on its way, as far as that can be had."""
    found: Json = {}
    for _ in range(_TRIES):
        before = await _newest(stand)
        found = {"taken_at": now(), "inbox": []}
        for name, (service, statement) in _TABLES.items():
            found[name] = _plain(await stand.rows(service, statement))
        for service in SERVICES:
            data = ", data" if service == "bookings" else ""
            found[f"{service}.outbox"] = _plain(await stand.rows(service, _OUTBOX.format(data)))
            found["inbox"] += _plain(await stand.rows(service, _INBOX))
        if before == await _newest(stand):
            break
        await asyncio.sleep(2)
    return found


async def _newest(stand: Stand) -> list[tuple[int, int, int]]:
    """What changes with every event: how many there are, are unpublished, and have been had."""
    counted = """SELECT (SELECT count(*) FROM outbox) AS events,
        (SELECT count(*) FROM outbox WHERE published_at IS NULL) AS unpublished,
        (SELECT count(*) FROM inbox) AS had"""
    rows = [(await stand.rows(service, counted))[0] for service in SERVICES]
    return [(row["events"], row["unpublished"], row["had"]) for row in rows]


def _plain(rows: list[dict[str, Any]]) -> list[Json]:
    return [{name: _value(name, value) for name, value in row.items()} for row in rows]


def _value(name: str, value: Any) -> Any:
    match value:
        case datetime():
            return value.timestamp()
        case UUID():
            return str(value)
        case str() if name in ("data", "metadata"):
            return json.loads(value)
        case _:
            return value


def _events(calendar: str) -> list[Json]:
    return [
        {"uid": str(event["UID"]), "starts_at": event.start.timestamp()}
        for event in icalendar.Calendar.from_ical(calendar).walk("VEVENT")
    ]


def _mails(folder: Path) -> list[Json]:
    found = []
    for path in folder.iterdir():
        with path.open("rb") as file:
            mail = message_from_binary_file(file)
        found.append(
            {
                "message_id": str(mail["Message-ID"]),
                "to": str(mail["X-RcptTo"]),
                "unsubscribe": str(mail["List-Unsubscribe"] or ""),
                "arrived": path.stat().st_mtime,
            }
        )
    return found


async def _parked(stand: Stand) -> dict[str, list[str]]:
    found = {}
    for queue, count in (await _depths(stand)).items():
        if queue.endswith(".parked") and count:
            name = queue.removesuffix(".parked")
            _, output = await stand.command("shared.messaging.admin", "show", name)
            found[name] = [output] + [""] * (count - 1)
    return found


async def _looked(stand: Stand, door: Door) -> Json:
    """Everything that can be looked at is, links in mails included, and nothing must change."""
    before = await _fingerprint(stand)
    asked = 0
    newest = await stand.rows(
        "bookings",
        "SELECT id, patient_id, provider_id, service_id FROM appointments "
        "ORDER BY updated_at DESC LIMIT 10",
    )
    for row in newest:
        patient = door.person("patient", str(row["patient_id"]))
        provider = door.person("provider", str(row["provider_id"]))
        appointment, person = f"/v1/appointments/{row['id']}", f"/v1/users/{row['patient_id']}"
        practice = f"/v1/providers/{row['provider_id']}"
        for who, path in (
            *((patient, f"{appointment}{part}") for part in ("", "/audit", "/calendar.ics")),
            *((patient, f"{person}/{part}") for part in ("appointments", "notifications")),
            (patient, f"{person}/notification-preferences"),
            (patient, f"{practice}/availability/next?serviceId={row['service_id']}"),
            *((provider, f"{practice}/{part}") for part in ("appointments", "schedule/rules")),
            *((provider, f"{practice}/{part}") for part in ("exceptions", "calendar-feed")),
        ):
            await who.ask("GET", path)
            asked += 1
    for mail in _mails(Path(stand.system.demo["mailDir"]) / "new")[-20:]:
        for link in re.findall(r"<(http[^>]+)>", mail["unsubscribe"]):
            path = "/v1/" + link.partition("/v1/")[2]
            async with door.session.get(
                door.base_url + path, timeout=aiohttp.ClientTimeout(total=10)
            ):
                asked += 1
    return {"before": before, "after": await _fingerprint(stand), "requests": asked}


_TAMPERING = (
    "UPDATE audit_events SET action = action WHERE false",
    "DELETE FROM audit_events WHERE false",
    "TRUNCATE audit_events",
)


async def _is_let(stand: Stand, change: str) -> bool:
    """Whether the service's own role may do it; nothing of it stays."""
    connection = await asyncpg.connect(stand.system.demo["databases"]["bookings"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(change)
    except asyncpg.PostgresError:
        return False
    else:
        return True
    finally:
        await transaction.rollback()
        await connection.close()


_LOOKED_AT = {
    "bookings": ("appointments", "claims", "patient_claims", "audit_events", "patients", "outbox"),
    "availability": ("schedule_rules", "availability_exceptions", "providers", "outbox"),
    "reservations": ("reservations",),
    "notifications": (
        "notification_jobs",
        "notification_preferences",
        "in_app_notifications",
        "unsubscribe_links",
    ),
}


async def _fingerprint(stand: Stand) -> Json:
    """Rows and their versions of every table that looking could change."""
    found = {}
    written = "count(*) AS n, coalesce(sum(xmin::text::bigint), 0)::text AS x"
    for service, tables in _LOOKED_AT.items():
        for table in tables:
            rows = await stand.rows(service, f"SELECT {written} FROM {table}")
            found[f"{service}.{table}"] = f"{rows[0]['n']} rows, {rows[0]['x']}"
    return found
