"""The tables of realtime: a short history, who may watch, and who is connected."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from notifications.models import Instant, metadata

# Positions are in the order of commits, because whoever writes here waits for the writer before.
realtime_messages = Table(
    "realtime_messages",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("channel", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("data", Text, nullable=False),
    # Came over the Pusher protocol and does not leave over it again.
    Column("is_foreign", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Index("realtime_messages_channel_position_idx", "channel", "position"),
)

# One row: up to where the history has been forgotten.
realtime_history = Table(
    "realtime_history",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("forgotten_to", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("is_only", name="one_row"),
)

# When a provider's watchers were last told something, and what waits to be told next.
realtime_availability = Table(
    "realtime_availability",
    metadata,
    Column("provider_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("waiting", JSONB),
    Index(
        "realtime_availability_told_at_idx",
        "told_at",
        postgresql_where=text("waiting IS NOT NULL"),
    ),
)

realtime_tickets = Table(
    "realtime_tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

# API processes that hold connections; one that is gone is known by its silence.
realtime_copies = Table(
    "realtime_copies",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("seen_at", Instant, nullable=False, server_default=func.now()),
)

realtime_connections = Table(
    "realtime_connections",
    metadata,
    Column("copy_id", ForeignKey("realtime_copies.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Index("realtime_connections_user_id_idx", "user_id"),
)

# Up to where messages have been handed on to another system.
realtime_publications = Table(
    "realtime_publications",
    metadata,
    Column("target", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("locked_by", Uuid),
    Column("locked_until", Instant),
)
