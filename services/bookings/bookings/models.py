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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, ExcludeConstraint
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
    communication_preferences: Mapped[dict[str, bool]] = mapped_column(
        JSONB, server_default=text("'{}'")
    )
    """By channel, whether it may be used; a channel that is not named may."""
    emergency_contact: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    erased_version: Mapped[int | None] = mapped_column(Integer)
    """The version in which the profile was last erased; any later one is a fresh profile."""
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())

    @property
    def is_erased(self) -> bool:
        return self.version == self.erased_version


# Read models: what availability has told about the things that appointments are made of.
# ``data`` is the newest snapshot as it was sent; a deleted thing stays, inactive, with its version.

providers = Table(
    "providers",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("completion_policy", Text, nullable=False, server_default=text("'completed'")),
    Column("completion_grace_minutes", Integer, nullable=False, server_default=text("1440")),
    Column("data", JSONB, nullable=False),
    Column("deleted_at", Instant),
    Index("providers_deleted_idx", "id", postgresql_where=text("deleted_at IS NOT NULL")),
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

# The authority. Only the ledger writes these four, and the notes.

IS_BOOKED = "status IN ('pending', 'confirmed')"
HAS_ENDED = (
    "status IN ('completed', 'no_show') OR status = 'cancelled'"
    " AND coalesce(cancellation_cause, '') NOT IN ('hold_released', 'hold_expired')"
)
"""A hold that ended was never an appointment."""
ENDED_HOLD = "status = 'cancelled' AND cancellation_cause IN ('hold_released', 'hold_expired')"

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
    Column("decision_reason", Text),
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
    # One for each list, so that a page reads only what it shows, however much there is of the rest.
    Index(
        "appointments_held_by_patient_idx",
        "patient_id",
        "starts_at",
        postgresql_where=text("status = 'held'"),
    ),
    Index(
        "appointments_active_of_patient_idx",
        "patient_id",
        "starts_at",
        "id",
        postgresql_where=text(IS_BOOKED),
    ),
    Index(
        "appointments_ended_of_patient_idx",
        "patient_id",
        "starts_at",
        "id",
        postgresql_where=text(HAS_ENDED),
    ),
    Index(
        "appointments_ended_holds_of_patient_idx",
        "patient_id",
        postgresql_where=text(ENDED_HOLD),
    ),
    Index(
        "appointments_of_provider_by_start_idx",
        "provider_id",
        "starts_at",
        "id",
        postgresql_include=("status", "service_id", "location_id"),
        postgresql_where=text(f"{IS_BOOKED} OR {HAS_ENDED}"),
    ),
    Index(
        "appointments_moves_of_idx",
        "rescheduled_from",
        postgresql_where=text("status IN ('held', 'pending')"),
    ),
    # And one for each timer.
    Index(
        "appointments_hold_expires_at_idx",
        "hold_expires_at",
        postgresql_where=text("status = 'held'"),
    ),
    Index(
        "appointments_pending_expires_at_idx",
        "pending_expires_at",
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "appointments_confirmed_ends_at_idx",
        "provider_id",
        "ends_at",
        postgresql_where=text("status = 'confirmed'"),
    ),
)

# A unit stands here once for an appointment; while a move waits beside the appointment that it may
# replace, with the parts that the latter does not claim, or with an empty period (decision 0011).
claims = Table(
    "claims",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id"), primary_key=True),
    Column("resource_id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("period", TSTZRANGE, primary_key=True),
    ExcludeConstraint(("resource_id", "="), ("period", "&&"), name="claims_no_overlap"),
)

patient_claims = Table(
    "patient_claims",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id"), primary_key=True),
    Column("patient_id", Uuid, nullable=False),
    Column("period", TSTZRANGE, primary_key=True),
    ExcludeConstraint(("patient_id", "="), ("period", "&&"), name="patient_claims_no_overlap"),
)

appointment_notes = Table(
    "appointment_notes",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("appointment_id", ForeignKey("appointments.id"), nullable=False),
    Column("visibility", Text, nullable=False),
    Column("author_type", Text, nullable=False),
    Column("author_id", Uuid),
    Column("text", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("visibility IN ('provider', 'shared')", name="visibility_known"),
    Index(
        "appointment_notes_appointment_id_created_at_id_idx", "appointment_id", "created_at", "id"
    ),
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

# Like the trail, the requests are append-only: who had whom erased, when, and which services are
# waited for. Their confirmations come later.
erasure_requests = Table(
    "erasure_requests",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("patient_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("requested_by_type", Text, nullable=False),
    Column("requested_by_id", Uuid, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("cancelled_appointments", Integer, nullable=False),
    Column("awaits", ARRAY(Text), nullable=False),
    Column("requested_at", Instant, nullable=False),
    UniqueConstraint("patient_id", "version", name="erasure_requests_patient_id_version_key"),
)

override_reasons = Table(
    "override_reasons",
    Base.metadata,
    Column("appointment_id", ForeignKey("appointments.id"), primary_key=True),
    Column("reason", Text, nullable=False),
)
"""Why staff booked outside the rules. A column of ``appointments`` it cannot be: the release before
selects all of them, and PostgreSQL refuses its prepared statements when there is one more."""

erasure_confirmations = Table(
    "erasure_confirmations",
    Base.metadata,
    Column("erasure_id", ForeignKey("erasure_requests.id"), primary_key=True),
    Column("service", Text, primary_key=True),
    Column("confirmed_at", Instant, nullable=False),
)
