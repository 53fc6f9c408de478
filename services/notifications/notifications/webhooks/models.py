"""The tables of webhooks: endpoints, what happened, and what each endpoint was told of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from notifications.models import Instant, metadata

# Without a provider it hears of all of them.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider_id", Uuid),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("is_enabled", Boolean, nullable=False, server_default=text("true")),
    Column("disabled_because", Text),
    # Encrypted; the old one signs too, until its time is over.
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", Instant),
    Column("failing_since", Instant),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint(
        "disabled_because IN ('by_hand', 'gone', 'failing')", name="disabled_because_known"
    ),
    CheckConstraint("is_enabled = (disabled_because IS NULL)", name="disabled_has_reason"),
    CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name="old_secret_ends"),
    Index("webhook_endpoints_provider_id_idx", "provider_id"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("provider_id", Uuid),
    Column("occurred_at", Instant, nullable=False),
    Column("data", JSONB, nullable=False),
    UniqueConstraint("id", name="webhook_events_id_key"),
    Index("webhook_events_provider_id_position_idx", "provider_id", "position"),
    Index("webhook_events_occurred_at_idx", "occurred_at"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("endpoint_id", ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("position", ForeignKey("webhook_events.position", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", Instant, nullable=False, server_default=func.now()),
    Column("locked_by", Uuid),
    Column("locked_until", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", Instant, nullable=False, server_default=func.now()),
    Column("ended_at", Instant),
    UniqueConstraint("endpoint_id", "position", name="webhook_deliveries_endpoint_id_position_key"),
    CheckConstraint("status IN ('queued', 'sending', 'delivered', 'failed')", name="status_known"),
    CheckConstraint(
        "(status = 'sending') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)",
        name="sending_is_leased",
    ),
    CheckConstraint(
        "(status IN ('delivered', 'failed')) = (ended_at IS NOT NULL)", name="ended_has_instant"
    ),
    Index(
        "webhook_deliveries_due_at_idx",
        "due_at",
        postgresql_where=text("status IN ('queued', 'sending')"),
    ),
    Index("webhook_deliveries_position_idx", "position"),
    Index("webhook_deliveries_endpoint_id_created_at_id_idx", "endpoint_id", "created_at", "id"),
)
