"""A producer's history, sent once more to one consumer only, so that its read model is rebuilt."""

from collections.abc import Collection

from shared.db import Database
from shared.events.registry import EVENT_TYPES
from shared.messaging import inbox
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import Listeners
from shared.messaging.wire import CONTENT_TYPE, encode

_HISTORY = """
    SELECT position, id, type, subject, sequence, occurred_at, traceparent, data::text AS data
    FROM outbox WHERE published_at IS NOT NULL AND position > $1 AND type = ANY($2::text[])
    ORDER BY position LIMIT $3
"""
_CHUNK = 500


def types_between(producer: str, consumer: str, listeners: Listeners) -> set[str]:
    """The event types that the consumer hears from the producer."""
    return {
        event_type
        for event_type in listeners.get(consumer, ())
        if event_type in EVENT_TYPES and EVENT_TYPES[event_type].source == f"/{producer}"
    }


async def republish(
    *,
    producer: str,
    history: Database,
    consumer: str,
    target: Database,
    publisher: Publisher,
    types: Collection[str],
) -> int:
    """Make the consumer take the producer's published events again, oldest first.

    Its inbox forgets each event just before it is sent. What is still unpublished comes from the
    relay as ever. Stopped half-way, it can simply be started again.
    """
    position = sent = 0
    while True:
        async with history.reading() as connection:
            rows = await connection.fetch(_HISTORY, position, list(types), _CHUNK)
        if not rows:
            return sent
        async with target.transaction() as connection:
            await inbox.forget(connection, consumer, [row["id"] for row in rows])
        outcomes = await publisher.publish_all(
            [
                Outgoing(
                    routing_key=consumer,
                    body=encode(row, f"/{producer}"),
                    message_id=str(row["id"]),
                    type=row["type"],
                    content_type=CONTENT_TYPE,
                )
                for row in rows
            ]
        )
        for failure in outcomes:
            if failure is not None:
                raise failure
        position, sent = rows[-1]["position"], sent + len(rows)
