"""The tables of the bookings database. What they refuse, no code can get past."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, ExcludeConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import new_metadata

Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = new_metadata()


class Patient(Base):
    """Somebody who books; the id is the token's ``sub``."""

    __tablename__ = "patients"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())


# Read models: what availability has told about the things that appointments are made of.
# ``data`` is the newest snapshot as it was sent; a deleted thing stays, inactive, with its version.

providers = Table(
    "providers",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("data", JSONB, nullable=False),
)

appointment_types = Table(
    "appointment_types",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("duration_minutes", Integer, nullable=False),
    Column("buffer_before_minutes", Integer, nullable=False),
    Column("buffer_after_minutes", Integer, nullable=False),
    Column("data", JSONB, nullable=False),
)

resources = Table(
    "resources",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("location_id", Uuid),
    Column("room_id", Uuid),
    Index("resources_provider_id_idx", "provider_id"),
)

# The authority. Only ledger.py writes these four.

appointments = Table(
    "appointments",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("patient_id", Uuid, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("service_id", Uuid, nullable=False),
    Column("timeslot_id", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("mode", Text, nullable=False),
    Column("location_id", Uuid),
    Column("room_id", Uuid),
    Column("terms", JSONB, nullable=False),
    Column("source", Text, nullable=False),
    Column("patient_timezone", Text, nullable=False),
    Column("provider_timezone", Text, nullable=False),
    Column("reservation_token_hash", LargeBinary),
    Column("hold_expires_at", Instant),
    Column("pending_expires_at", Instant),
    Column("reason", Text),
    Column("notes", Text),
    Column("participants", JSONB, nullable=False, server_default=text("'[]'")),
    Column("cancelled_at", Instant),
    Column("cancellation_cause", Text),
    Column("cancellation_reason", Text),
    Column("cancelled_by_type", Text),
    Column("cancelled_by_id", Uuid),
    Column("cancellation_fee_cents", Integer),
    Column("rescheduled_from", Uuid),
    Column("rescheduled_to", Uuid),
    Column("reschedule_count", Integer, nullable=False, server_default=text("0")),
    Column("audit_sequence", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint(
        "status IN ('held', 'pending', 'confirmed', 'completed', 'cancelled', 'no_show')",
        name="status_known",
    ),
    CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    CheckConstraint("status <> 'held' OR hold_expires_at IS NOT NULL", name="hold_ends"),
    CheckConstraint("status <> 'pending' OR pending_expires_at IS NOT NULL", name="pending_ends"),
    CheckConstraint(
        "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_has_instant"
    ),
    UniqueConstraint("reservation_token_hash", name="appointments_reservation_token_hash_key"),
    Index("appointments_patient_id_starts_at_id_idx", "patient_id", "starts_at", "id"),
    Index("appointments_provider_id_starts_at_id_idx", "provider_id", "starts_at", "id"),
    Index(
        "appointments_hold_expires_at_idx",
        "hold_expires_at",
        postgresql_where=text("status = 'held'"),
    ),
)

claims = Table(
    "claims",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id"), primary_key=True),
    Column("resource_id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("period", TSTZRANGE, nullable=False),
    ExcludeConstraint(("resource_id", "="), ("period", "&&"), name="claims_no_overlap"),
)

patient_claims = Table(
    "patient_claims",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id"), primary_key=True),
    Column("patient_id", Uuid, nullable=False),
    Column("period", TSTZRANGE, nullable=False),
    ExcludeConstraint(("patient_id", "="), ("period", "&&"), name="patient_claims_no_overlap"),
)

audit_events = Table(
    "audit_events",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("appointment_id", ForeignKey("appointments.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", Uuid),
    Column("occurred_at", Instant, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("appointment_id", "sequence", name="audit_events_appointment_id_sequence_key"),
)
