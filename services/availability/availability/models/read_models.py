"""What other services tell: it comes in any order, so nothing here refers to a set-up table."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from availability.models.metadata import Base, Instant

appointments = Table(
    "appointments",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("service_id", Uuid, nullable=False),
    Column("timeslot_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("location_id", Uuid),
    Column("room_id", Uuid),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("hold_expires_at", Instant),
    CheckConstraint(
        "status IN ('held', 'pending', 'confirmed', 'completed', 'cancelled', 'no_show')",
        name="status_known",
    ),
    CheckConstraint("status <> 'held' OR hold_expires_at IS NOT NULL", name="hold_ends"),
    Index(None, "provider_id", "starts_at"),
    Index("appointments_held_idx", "provider_id", postgresql_where=text("status = 'held'")),
)

_SPAN = """
int4send(floor(extract(epoch FROM starts_at - timestamptz '1970-01-01 00:00Z') / 60)::int)
|| int4send(ceil(extract(epoch FROM ends_at - timestamptz '1970-01-01 00:00Z') / 60)::int)
"""
claims = Table(
    "claims",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id", ondelete="CASCADE"), primary_key=True),
    Column("resource_id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("hold_expires_at", Instant),
    Column("span", LargeBinary, Computed(_SPAN, persisted=True), nullable=False),
    Index(None, "provider_id", "starts_at"),
    Index(
        "claims_booked_idx",
        "resource_id",
        "starts_at",
        postgresql_include=["span"],
        postgresql_where=text("hold_expires_at IS NULL"),
    ),
    Index("claims_held_idx", "provider_id", postgresql_where=text("hold_expires_at IS NOT NULL")),
)
"""A claim with ``hold_expires_at`` is of a hold, and counts until then by the database's clock.

``span`` is its first minute and the one after its last, as they are read by the hundred.
"""

external_busy_times = Table(
    "external_busy_times",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    CheckConstraint("ends_at > starts_at", name="end_after_start"),
    UniqueConstraint(
        "connection_id", "external_id", "starts_at", name="external_busy_times_one_each_key"
    ),
    Index(None, "provider_id", "ends_at"),
)

external_busy_spans = Table(
    "external_busy_spans",
    Base.metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Which version of each span of a connection's time the busy times are of."""

calendar_sources = Table(
    "calendar_sources",
    Base.metadata,
    Column("connection_id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("as_of", Instant),
    Column("told_stale", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("state IN ('connected', 'broken', 'deleted')", name="state_known"),
)
"""The connections behind the busy times, by the newest word about each; a deleted one stays as
such, so that no late word revives it. ``told_stale`` when it is announced that nobody reads it."""

calendar_imports = Table(
    "calendar_imports",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
)
"""The newest word about each import behind imported exceptions; a deleted one stays as such."""
