"""Looking at processes, databases and the broker, all at once; what is away costs three seconds."""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
from aio_pika.abc import AbstractConnection
from alembic.config import Config
from alembic.script import ScriptDirectory
from prometheus_client.parser import text_string_to_metric_families

from shared.database_trouble import DatabaseError
from shared.messaging.broker import BrokerUnavailable, connected
from shared.messaging.parking import depth, parked_messages
from shared.messaging.topology import LISTENERS, Queues
from shared.status.facts import Copy, DatabaseState, Facts, QueueState, Samples

_PATIENCE = 3.0
_REASONS = 3

_OUTBOX = """
SELECT count(*) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::float AS oldest
FROM outbox WHERE published_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is."""

    processes: Mapping[str, str]
    """Name to URL; behind a host name there may be any number of copies."""
    databases: Mapping[str, str]
    amqp_url: str
    gateway_url: str | None
    migrations: Path | None
    """The folder that holds the services' folders."""


async def look(places: Places) -> Facts:
    """Never fails for what is away: that is what it is for."""
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        copies, databases, queues, gateway = await asyncio.gather(
            _copies(http, places.processes),
            _databases(places),
            _queues(places.amqp_url),
            _gateway(http, places.gateway_url),
        )
    return Facts(
        now=time.time(),
        services=list(places.databases),
        copies=copies,
        databases=databases,
        queues=queues,
        gateway=gateway,
    )


async def _copies(http: aiohttp.ClientSession, processes: Mapping[str, str]) -> list[Copy]:
    addresses = await asyncio.gather(*(_addresses(url) for url in processes.values()))
    each = [
        _copy(http, name, address)
        for name, found in zip(processes, addresses, strict=True)
        for address in found
    ]
    return list(await asyncio.gather(*each))


async def _addresses(url: str) -> Sequence[str]:
    """One URL for each copy that the name server knows; the URL itself when it knows none."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(
                parts.hostname, parts.port, family=socket.AF_INET, type=socket.SOCK_STREAM
            )
    except (OSError, TimeoutError):
        return [url]
    hosts = sorted({address[0] for *_, address in found})
    return [f"{parts.scheme}://{host}:{parts.port}" for host in hosts]


async def _copy(http: aiohttp.ClientSession, name: str, url: str) -> Copy:
    try:
        async with http.get(f"{url}/readyz") as answer:
            ready: Mapping[str, bool] = await answer.json()
        async with http.get(f"{url}/metrics") as answer:
            return Copy(name, ready, samples_of(await answer.text()))
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
        return Copy(name, None)


def samples_of(exposition: str) -> Samples:
    """Prometheus' text format as a mapping."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


async def _databases(places: Places) -> dict[str, DatabaseState | None]:
    states = await asyncio.gather(
        *(_database(url, service, places.migrations) for service, url in places.databases.items())
    )
    return dict(zip(places.databases, states, strict=True))


async def _database(url: str, service: str, migrations: Path | None) -> DatabaseState | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            connection = await asyncpg.connect(url)
            try:
                row = await connection.fetchrow(_OUTBOX)
                revision = await connection.fetchval("SELECT version_num FROM alembic_version")
            finally:
                connection.terminate()
    except asyncpg.UndefinedTableError:
        return DatabaseState(0, 0.0, None, _newest(service, migrations))
    except (*DatabaseError, OSError):
        return None
    waiting, oldest = (row["waiting"], row["oldest"]) if row is not None else (0, 0.0)
    return DatabaseState(waiting, oldest, revision, _newest(service, migrations))


def _newest(service: str, migrations: Path | None) -> str | None:
    if migrations is None:
        return None
    scripts = ScriptDirectory.from_config(Config(migrations / service / "alembic.ini"))
    return scripts.get_current_head()


async def _queues(amqp_url: str) -> dict[str, QueueState] | None:
    try:
        async with (
            asyncio.timeout(3 * _PATIENCE),
            connected(amqp_url, name="status", timeout=_PATIENCE) as connection,
        ):
            return {name: await _queue(connection, Queues(name)) for name in LISTENERS}
    except (BrokerUnavailable, TimeoutError):
        return None


async def _queue(connection: AbstractConnection, queues: Queues) -> QueueState:
    retrying = [await depth(connection, name) for name in queues.retries]
    parked = await depth(connection, queues.parked) or 0
    first = await parked_messages(connection, queues, most=_REASONS) if parked else []
    return QueueState(
        ready=await depth(connection, queues.main),
        retrying=sum(count or 0 for count in retrying),
        parked=parked,
        reasons=[f"{each.delivery.type}: {each.reason}" for each in first],
    )


async def _gateway(http: aiohttp.ClientSession, url: str | None) -> bool | None:
    if url is None:
        return None
    try:
        async with http.get(f"{url}/healthz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
