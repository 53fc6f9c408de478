"""What must be true when the load is over: nothing lost, nothing doubled, nothing left behind."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from email import message_from_binary_file
from pathlib import Path
from typing import Any
from uuid import UUID

import aio_pika
import asyncpg
from aio_pika.exceptions import ChannelNotFoundEntity

from local.services import SERVICES
from shared.messaging.topology import LISTENERS, Queues
from tests.e2e.rolling import Rolling
from tests.e2e.traffic import Traffic


async def caught_up(system: Rolling, traffic: Traffic, *, limit: float = 90) -> None:
    """Returns when everybody knows everything and every mail is sent."""
    deadline = time.monotonic() + limit
    while left := await unfinished(system, traffic):
        assert time.monotonic() < deadline, f"not done after {limit:.0f} s: {left}"
        await asyncio.sleep(0.2)


async def unfinished(system: Rolling, traffic: Traffic) -> list[str]:
    """What is still on its way."""
    found = []
    for service in SERVICES:
        if await system.query(
            service.name, "SELECT 1 FROM outbox WHERE published_at IS NULL LIMIT 1"
        ):
            found.append(f"outbox of {service.name}")
    found += [name for name, messages in (await depths(system)).items() if messages]
    told = Counter(
        row["appointment_id"]
        for row in await jobs(system)
        if row["kind"] in ("confirmed", "rescheduled") and row["status"] == "sent"
    )
    silent = [id_ for id_ in traffic.kept if told[UUID(id_)] != len(("patient", "provider"))]
    if silent:
        found.append(f"mails of {len(silent)} appointments")
    if any(row["status"] in ("queued", "sending") and row["is_due"] for row in await jobs(system)):
        found.append("due jobs")
    if await claims_as_seen(system) != await claims(system):
        found.append("the view of availability")
    return found


async def depths(system: Rolling) -> dict[str, int]:
    """Messages in each queue, parked and waiting for a retry as well."""
    found = {}
    connection = await aio_pika.connect(system.amqp_url)
    async with connection:
        for listener in LISTENERS:
            for name in (listener, *Queues(listener).retries, Queues(listener).parked):
                channel = await connection.channel()
                try:
                    queue = await channel.declare_queue(name, passive=True)
                except ChannelNotFoundEntity:
                    continue
                found[name] = queue.declaration_result.message_count or 0
    return found


async def jobs(system: Rolling) -> list[asyncpg.Record]:
    return await system.query(
        "notifications",
        """
        SELECT id, appointment_id, kind, party, status, due_at <= now() AS is_due
        FROM notification_jobs WHERE channel = 'email'
        """,
    )


_LIVE = """
SELECT appointment_id, resource_id, lower(period) AS starts_at, upper(period) AS ends_at
FROM claims JOIN appointments a ON a.id = appointment_id
WHERE a.status IN ('held', 'pending', 'confirmed')
"""
_SEEN = """
SELECT appointment_id, resource_id, c.starts_at, c.ends_at
FROM claims c JOIN appointments a ON a.id = appointment_id
WHERE a.status IN ('held', 'pending', 'confirmed')
"""


async def claims(system: Rolling) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await system.query("bookings", _LIVE)}


async def claims_as_seen(system: Rolling) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await system.query("availability", _SEEN)}


async def nothing_lost_and_nothing_doubled(system: Rolling, traffic: Traffic) -> None:
    """Everything that people were told has happened is so, and was told once."""
    rows = await system.query("bookings", "SELECT id, status FROM appointments")
    status = {str(row["id"]): row["status"] for row in rows}
    assert {status[id_] for id_ in traffic.kept} == {"confirmed"}
    assert {status[id_] for id_ in traffic.ended} == {"cancelled"}
    verifying = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bookings.audit", "verify"),
        env=os.environ | {"BOOKINGS_DATABASE_URL": system.databases.urls()["bookings"]},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await verifying.communicate()
    assert verifying.returncode == 0, told.decode()
    sent = {str(row["id"]) for row in await jobs(system) if row["status"] == "sent"}
    mails = Counter(message_ids(system.mail))
    assert set(mails) == sent
    assert set(mails.values()) == {1}, "nobody is told twice"
    assert {row["status"] for row in await jobs(system) if row["is_due"]} <= {"sent", "withdrawn"}


def message_ids(folder: Path) -> Iterator[str]:
    """Which job each mail is of."""
    for path in (folder / "new").iterdir():
        with path.open("rb") as file:
            id_ = message_from_binary_file(file)["Message-ID"]
        yield id_.strip("<>").partition("@")[0]
