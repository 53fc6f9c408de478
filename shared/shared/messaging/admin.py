"""For operators: ``python -m shared.messaging.admin list | show | replay | discard | republish``.

Reads AMQP_URL, and of each service whose outbox or inbox is asked for ``<SERVICE>_DATABASE_URL``.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson
from aio_pika.abc import AbstractConnection

from shared.db import Database
from shared.environment import Environment
from shared.messaging.broker import BrokerUnavailable, NotTaken, connected
from shared.messaging.parking import (
    Parked,
    depth,
    discard_parked,
    parked_messages,
    replay_parked,
)
from shared.messaging.publisher import Publisher
from shared.messaging.replay import republish, types_between
from shared.messaging.topology import LISTENERS, Listeners, Queues

_NAME = "messaging admin"
_BACKLOG = """
    SELECT count(*) AS waiting,
        coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::int AS age
    FROM outbox WHERE published_at IS NULL
"""
# Any other text may be a person's, or be one who is named.
_IMPERSONAL = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
)
_IMPERSONAL_FIELDS = {
    *("specversion", "source", "type", "datacontenttype", "traceparent"),
    *("status", "kind", "mode", "action", "cause", "actorType", "byType", "currency", "timezone"),
}

Write = Callable[[str], object]


class Refused(Exception):
    """The command cannot be carried out; the message says what to change."""


def masked(value: Any, field: str = "") -> Any:
    """The same JSON without any text that a person may have entered or be named by."""
    if isinstance(value, dict):
        return {key: masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, field) for inner in value]
    if isinstance(value, str) and field not in _IMPERSONAL_FIELDS:
        return value if _IMPERSONAL.fullmatch(value) else "***"
    return value


class Admin:
    """The commands, over one connection to the broker."""

    def __init__(
        self,
        connection: AbstractConnection,
        publisher: Publisher,
        databases: Mapping[str, str],
        write: Write,
        listeners: Listeners = LISTENERS,
    ) -> None:
        """``databases`` holds the URL of each known service's database."""
        self._connection = connection
        self._publisher = publisher
        self._databases = databases
        self._write = write
        self._listeners = listeners

    async def overview(self) -> None:
        """One line for each service: what waits in its queues and in its outbox."""
        self._write(f"{'queue':<16}{'ready':>8}{'retry':>8}{'parked':>8}\n")
        for service in sorted(self._listeners):
            queues = Queues(service)
            retries = [await depth(self._connection, name) for name in queues.retries]
            self._write(
                f"{service:<16}"
                f"{_shown(await depth(self._connection, queues.main)):>8}"
                f"{sum(count or 0 for count in retries):>8}"
                f"{_shown(await depth(self._connection, queues.parked)):>8}\n"
            )
        if self._databases:
            self._write(f"\n{'outbox':<16}{'waiting':>8}{'oldest':>8}\n")
        for service in sorted(self._databases):
            async with AsyncExitStack() as stack:
                database = await self._open(stack, service)
                connection = await stack.enter_async_context(database.reading())
                row = await connection.fetchrow(_BACKLOG)
            if row is not None:
                self._write(f"{service:<16}{row['waiting']:>8}{row['age']:>6} s\n")

    async def show(self, queue: str, *, most: int, body: bool) -> None:
        """The parked messages, oldest first; they stay parked."""
        parked = await parked_messages(self._connection, Queues(queue), most=most)
        for message in parked:
            self._write(_told(message, body=body))
        self._write(f"{len(parked)} shown\n")

    async def replay(self, queue: str, ids: list[str] | None) -> None:
        """Back to the queue with a fresh attempt counter; ``None`` means all."""
        queues = Queues(queue)
        count = await replay_parked(self._connection, self._publisher, queues, ids)
        self._write(f"{count} sent to {queue} again\n")

    async def discard(self, queue: str, ids: list[str]) -> None:
        count = await discard_parked(self._connection, Queues(queue), ids)
        self._write(f"{count} discarded from {queue}\n")

    async def republish(self, producer: str, consumer: str, types: list[str] | None) -> None:
        """The producer's history to this consumer only."""
        known = types_between(producer, consumer, self._listeners)
        unheard = set(types or ()) - known
        if unheard or not known:
            raise Refused(
                f"{consumer} hears no {', '.join(sorted(unheard)) or 'event'} of {producer}"
            )
        async with AsyncExitStack() as stack:
            count = await republish(
                producer=producer,
                history=await self._open(stack, producer),
                consumer=consumer,
                target=await self._open(stack, consumer),
                publisher=self._publisher,
                types=types or known,
            )
        self._write(f"{count} events of {producer} sent to {consumer}\n")

    async def _open(self, stack: AsyncExitStack, service: str) -> Database:
        if service not in self._databases:
            raise Refused(f"{_variable(service)} is not set")
        url = self._databases[service]
        opening = Database.open(url, application_name=_NAME, pool_size=2)
        return await stack.enter_async_context(opening)


def _shown(count: int | None) -> str:
    return "-" if count is None else str(count)


def _told(parked: Parked, *, body: bool) -> str:
    failures = parked.delivery.failures
    lines = [
        f"{parked.id}  {parked.delivery.type}  {parked.subject}",
        f"    {parked.reason}",
    ]
    if failures is not None:
        lines.append(
            f"    failed {failures.attempts} times, from {failures.first_at} to {failures.last_at}"
        )
    if body:
        lines.append(f"    {orjson.dumps(masked(parked.envelope)).decode()}")
    return "\n".join(lines) + "\n"


def _variable(service: str) -> str:
    return f"{service.upper().replace('-', '_')}_DATABASE_URL"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.messaging.admin")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what waits in every queue and outbox")
    show = commands.add_parser("show", help="parked messages and why they are parked")
    show.add_argument("queue")
    show.add_argument("--most", type=int, default=100)
    show.add_argument("--body", action="store_true", help="with the event, personal fields masked")
    replay = commands.add_parser("replay", help="send parked messages to their queue again")
    replay.add_argument("queue")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("--id", action="append", dest="ids")
    which.add_argument("--all", action="store_true")
    discard = commands.add_parser("discard", help="throw parked messages away")
    discard.add_argument("queue")
    discard.add_argument("--id", action="append", dest="ids", required=True)
    again = commands.add_parser("republish", help="a producer's history to one consumer")
    again.add_argument("--from", dest="producer", required=True)
    again.add_argument("--to", dest="consumer", required=True)
    again.add_argument("--types", nargs="+")
    return parser


async def run(arguments: argparse.Namespace, environment: Mapping[str, str], write: Write) -> None:
    """Carry out one command."""
    if "AMQP_URL" not in environment:
        raise Refused("AMQP_URL is not set")
    url = environment["AMQP_URL"]
    databases = {
        service: environment[_variable(service)]
        for service in LISTENERS
        if _variable(service) in environment
    }
    async with connected(url, name=_NAME) as connection, Publisher(url, name=_NAME) as publisher:
        admin = Admin(connection, publisher, databases, write)
        match arguments.command:
            case "list":
                await admin.overview()
            case "show":
                await admin.show(arguments.queue, most=arguments.most, body=arguments.body)
            case "replay":
                await admin.replay(arguments.queue, arguments.ids)
            case "discard":
                await admin.discard(arguments.queue, arguments.ids)
            case "republish":
                await admin.republish(arguments.producer, arguments.consumer, arguments.types)


def main() -> int:
    arguments = _arguments().parse_args()
    try:
        asyncio.run(run(arguments, Environment(), sys.stdout.write))
    except (Refused, BrokerUnavailable, NotTaken) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
