"""The outbox: events are written in the transaction that made them true, and published after it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db import Connection, Database
from shared.events.envelope import EventData
from shared.ids import new_id
from shared.observability import current_traceparent

RETENTION = timedelta(days=30)

MAX_EVENT_LENGTH = 1024 * 1024
"""A larger event is refused while its cause can still be told; the broker would refuse it later."""

_COLUMNS = "id, type, subject, sequence, traceparent, data"

_ADD = text(
    f"INSERT INTO outbox ({_COLUMNS}) VALUES (:id, :type, :subject, :sequence, :traceparent, "
    "CAST(CAST(:data AS text) AS jsonb))"
)
_PUT_ONE = f"INSERT INTO outbox ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)"
_PUT_MANY = f"""
    INSERT INTO outbox ({_COLUMNS})
    SELECT id, type, subject, sequence, traceparent, data::jsonb
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
        WITH ORDINALITY AS event ({_COLUMNS}, place)
    ORDER BY place
"""

_ERASE = text("DELETE FROM outbox WHERE subject = :subject AND type = ANY(:types)")

_CHUNK = 1000

_PURGE = """
    WITH old AS (
        SELECT position, type, subject FROM outbox
        WHERE position > $1 AND published_at < now() - $2::interval
        ORDER BY position LIMIT $3
    ), gone AS (
        DELETE FROM outbox USING old
        WHERE outbox.position = old.position AND EXISTS (
            SELECT FROM outbox AS newer
            WHERE newer.subject = old.subject AND newer.type = old.type
                AND newer.position > old.position
        )
        RETURNING outbox.position
    )
    SELECT (SELECT max(position) FROM old) AS reached, (SELECT count(*) FROM gone) AS deleted
"""


async def add(session: AsyncSession, event: EventData) -> None:
    """Announce the event when, and only when, the session's transaction commits."""
    id_, type_, subject, sequence, traceparent, data = _values(event)
    await session.execute(
        _ADD,
        {
            "id": id_,
            "type": type_,
            "subject": subject,
            "sequence": sequence,
            "traceparent": traceparent,
            "data": data,
        },
    )


async def put(connection: Connection, *events: EventData) -> None:
    """Announce the events, in this order, when the connection's transaction commits."""
    rows = [_values(event) for event in events]
    if len(rows) == 1:
        await connection.execute(_PUT_ONE, *rows[0])
    elif rows:
        await connection.execute(_PUT_MANY, *(list(column) for column in zip(*rows, strict=True)))


def row(event: EventData, *, at: datetime | None = None) -> dict[str, Any]:
    """The event as JSON for ``jsonb_populate_record(NULL::outbox, …)`` in a statement of one's own.

    Without ``at`` the statement must leave out ``occurred_at``, which is then its own time. Such a
    statement must run in a transaction that wakes the relay (``Database.autocommit`` does).
    """
    id_, type_, subject, sequence, traceparent, data = _values(event)
    return {
        "id": id_,
        "type": type_,
        "subject": subject,
        "sequence": sequence,
        "occurred_at": at,
        "traceparent": traceparent,
        "data": orjson.Fragment(data),
    }


def _values(event: EventData) -> tuple[UUID, str, str, int, str | None, str]:
    data = event.model_dump_json(by_alias=True)
    if len(data) > MAX_EVENT_LENGTH:
        raise ValueError(f"{event.type} has {len(data)} characters, {MAX_EVENT_LENGTH} are allowed")
    return new_id(), event.type, event.subject, event.sequence, current_traceparent(), data


async def erase(connection: Connection, subject: str, types: Collection[str]) -> None:
    """Take events about the subject out of the history, told or not, so that no replay brings their
    content back. What is told in their place says that it is gone."""
    await connection.execute(
        "DELETE FROM outbox WHERE subject = $1 AND type = ANY($2::text[])", subject, list(types)
    )


async def erase_in_session(session: AsyncSession, subject: str, types: Collection[str]) -> None:
    """Likewise, in an ORM session's transaction."""
    await session.execute(_ERASE, {"subject": subject, "types": list(types)})


async def purge_outbox(database: Database, older_than: timedelta = RETENTION) -> int:
    """Delete published events past their retention, in short transactions; returns how many.

    The newest of each type and subject stays for ever, however old: events carry the whole state,
    so what is left still rebuilds the present.
    """
    deleted, position = 0, 0
    while True:
        async with database.transaction() as connection:
            step = await connection.fetchrow(_PURGE, position, older_than, _CHUNK)
        if step is None or step["reached"] is None:
            return deleted
        position, deleted = step["reached"], deleted + step["deleted"]
