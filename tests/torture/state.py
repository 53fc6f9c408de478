"""Everything that a check may ask for, read when all is quiet, as one JSON document."""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from local.radicale import Radicale
from shared.messaging.broker import connected
from shared.messaging.parking import parked_messages
from shared.messaging.topology import LISTENERS, Queues
from tests.torture.history import Json, now
from tests.torture.looking import TAMPERING, is_let, looked
from tests.torture.outside import events_in, mails_in
from tests.torture.people import Door
from tests.torture.quiet import settle
from tests.torture.stand import PROCESSES, SERVICES, Stand

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
        """SELECT id, appointment_id, external_id, is_retired, handled_version, failures,
        last_error, written_at FROM written_events""",
    ),
    "deadlocks": (
        "bookings",
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    ),
}
_OUTBOX = """SELECT position, id, type, subject, sequence, occurred_at, published_at{}
FROM outbox ORDER BY position"""
_INBOX = "SELECT consumer, event_id, received_at FROM inbox"

_TRIES = 10
_MOST_PARKED = 100_000
_GAUGE = re.compile(r'^queue_parked\{queue="([^"]+)"\} (\S+)$', re.MULTILINE)
_END = re.compile(r"^(\S+ \S+),\d+ .* exited: (\S+) \(exit status (\d+);", re.MULTILINE)
_LOOKS, _BETWEEN_LOOKS = 12, 1.0
_ASKING = aiohttp.ClientTimeout(total=2)
_REBUILT_WITHIN = 60.0


async def taken(stand: Stand, door: Door, radicale: Radicale, *, rebuild: bool) -> Json:
    """The whole of it; ``rebuild`` also makes availability's view anew, and looks at it again."""
    before = {event["uid"] for event in events_in(await radicale.content())}
    state = await _tables(stand)
    state["waiting"] = {}
    state["calendar"] = events_in(await radicale.content())
    for event in state["calendar"]:
        event["stays"] = event["uid"] in before
    state["ends"] = _ends(stand.system.logs / "supervisord.log")
    state["mails"] = mails_in(Path(stand.system.demo["mailDir"]) / "new")
    state["parked"] = await _parked(stand)
    state["parked gauges"] = await _gauges(stand, door, state["parked"])
    code, output = await stand.command("bookings.audit", "verify")
    state["audit"] = {"code": code, "output": output}
    state["tampered"] = [change for change in TAMPERING if await is_let(stand, change)]
    for _ in range(_TRIES):
        state["looked"] = await looked(stand, door)
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


async def _parked(stand: Stand) -> dict[str, list[Json]]:
    """All that is parked by each listener, oldest first; it stays there."""
    async with connected(stand.system.demo["amqpUrl"], name="torture") as connection:
        return {
            name: [
                {"id": each.id, "type": each.delivery.type, "reason": each.reason}
                for each in await parked_messages(connection, Queues(name), most=_MOST_PARKED)
            ]
            for name in LISTENERS
        }


def _ends(log: Path) -> list[Json]:
    """Processes that ended with an error of their own, by the supervisor's log."""
    return [
        {"name": name, "at": datetime.fromisoformat(at).timestamp(), "status": int(status)}
        for at, name, status in _END.findall(log.read_text())
        if name in PROCESSES and status != "0"
    ]


async def _gauges(stand: Stand, door: Door, parked: dict[str, list[Json]]) -> dict[str, int]:
    """How many are parked as the workers tell it, who look every few seconds."""
    found: dict[str, int] = {}
    for _ in range(_LOOKS):
        for service in SERVICES:
            url = f"http://127.0.0.1:{stand.ports[f'{service}-worker']}/metrics"
            with suppress(aiohttp.ClientError, TimeoutError):
                async with door.session.get(url, timeout=_ASKING) as answer:
                    text = await answer.text()
                found |= {name: round(float(n)) for name, n in _GAUGE.findall(text)}
        if all(found.get(name) == len(each) for name, each in parked.items()):
            break
        await asyncio.sleep(_BETWEEN_LOOKS)
    return found
