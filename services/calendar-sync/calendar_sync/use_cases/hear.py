"""A provider tells that something has changed in a calendar; what, is then read."""

import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from prometheus_client import Counter

from calendar_sync.refusals import ChannelNotFound
from calendar_sync.sync.channels import hash_of
from shared.db import Connection
from shared.events.calendar import CalendarKind

REST = timedelta(milliseconds=500)
"""So long after a visit began there is no other one only for what is told."""

_MESSAGES = Counter(
    "calendar_messages",
    "Messages about changes, by whether they came through a channel of ours.",
    ["kind", "outcome"],
)

What = Literal["changed", "opened", "must_renew", "removed"]

_CHANNELS = """
SELECT push_channels.id, secret_hash, connections.id AS connection_id
FROM push_channels
JOIN calendars ON calendars.id = calendar_id
JOIN connections ON connections.id = connection_id
WHERE push_channels.id = ANY ($1::uuid[]) AND kind = $2 AND expires_at > now()
"""
# Within the time in which a channel is renewed (see ``sync.channels``), or over.
_END_SOON = """
UPDATE push_channels
SET expires_at = least(expires_at, now() + CASE WHEN id = ANY ($2::uuid[])
    THEN interval '0' ELSE interval '5 minutes' END)
WHERE id = ANY ($1::uuid[])
"""
# Ten messages in a second are one visit: who will be visited by then anyway is left as it is. By
# the clock and not by now(), so that of two messages at once the second finds what the first did.
_VISIT = """
WITH told AS (
    SELECT id, greatest(clock_timestamp(), read_at + $2::interval, not_before) AS visit_at
    FROM connections
    WHERE id = ANY ($1::uuid[]) AND state = 'connected' AND (
        lease_until > now()
        OR next_visit_at > greatest(clock_timestamp(), read_at + $2::interval, not_before)
    )
    ORDER BY id FOR UPDATE
)
UPDATE connections
SET nudges = nudges + 1, next_visit_at = least(next_visit_at, told.visit_at)
FROM told WHERE connections.id = told.id
"""
_NO_HASH = bytes(32)


class Message(NamedTuple):
    """What came through a channel, if it did."""

    channel_id: UUID
    secret: str
    what: What = "changed"


async def hear(db: Connection, kind: CalendarKind, messages: Sequence[Message]) -> None:
    """Raises ChannelNotFound unless one of them at least shows its channel's secret; of others
    there is no effect."""
    rows = await db.fetch(_CHANNELS, [each.channel_id for each in messages], kind)
    channels = {row["id"]: row for row in rows}
    believed = [
        each
        for each in messages
        if hmac.compare_digest(
            hash_of(each.secret),
            channels[each.channel_id]["secret_hash"] if each.channel_id in channels else _NO_HASH,
        )
    ]
    _MESSAGES.labels(kind, "heard").inc(len(believed))
    _MESSAGES.labels(kind, "unknown").inc(max(len(messages), 1) - len(believed))
    if not believed:
        raise ChannelNotFound
    told = {channels[e.channel_id]["connection_id"] for e in believed if e.what != "opened"}
    if told:
        # Connections before their channels, as everybody locks them in this order.
        await db.execute(_VISIT, sorted(told), REST)
    ending = [each.channel_id for each in believed if each.what in ("must_renew", "removed")]
    if ending:
        removed = [each.channel_id for each in believed if each.what == "removed"]
        await db.execute(_END_SOON, ending, removed)
