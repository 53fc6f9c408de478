"""What other services tell: it comes in any order, so nothing here refers to a set-up table."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
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
    Index("appointments_held_by_user_idx", "user_id", postgresql_where=text("status = 'held'")),
)

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
    Index(None, "provider_id", "starts_at"),
)
"""A claim with ``hold_expires_at`` is of a hold, and counts until then by the database's clock."""

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
