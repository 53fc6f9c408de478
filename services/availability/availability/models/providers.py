"""Who offers what, and where, and with what.

What is deleted stays as a row, out of use for good, for the sake of what refers to it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from availability.models.metadata import PROVIDER, Base, own
from shared.events.provider import CompletionPolicy

_DELETED_IS_INACTIVE = "deleted_at IS NULL OR NOT is_active"


class Provider(Base):
    """Whoever offers appointments; the id is also the token's ``sub``."""

    __tablename__ = "providers"
    __table_args__ = (
        CheckConstraint(
            "unhealthy_calendar_policy IN ('shown', 'marked', 'closed')",
            name="unhealthy_calendar_policy_known",
        ),
        CheckConstraint(_DELETED_IS_INACTIVE, name="deleted_is_inactive"),
        CheckConstraint(
            "completion_policy IN ('completed', 'no_show', 'none')", name="completion_known"
        ),
        CheckConstraint(
            "completion_grace_minutes BETWEEN 0 AND 10080", name="completion_grace_in_range"
        ),
    )

    version: Mapped[int] = mapped_column(default=1)
    name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    language: Mapped[str]
    timezone: Mapped[str]
    unhealthy_calendar_policy: Mapped[str] = mapped_column(default="shown", server_default="shown")
    time_off_needs_approval: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    is_active: Mapped[bool] = mapped_column(default=True)
    completion_policy: Mapped[CompletionPolicy] = mapped_column(
        Text, default="completed", server_default=text("'completed'")
    )
    completion_grace_minutes: Mapped[int] = mapped_column(default=1440, server_default=text("1440"))
    deleted_at: Mapped[datetime | None]


class Location(Base):
    __tablename__ = "locations"
    __table_args__ = (
        UniqueConstraint("provider_id", "id"),
        Index(
            "locations_one_primary_idx",
            "provider_id",
            unique=True,
            postgresql_where=text("is_primary"),
        ),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude_known"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude_known"),
        CheckConstraint(_DELETED_IS_INACTIVE, name="deleted_is_inactive"),
    )

    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER))
    name: Mapped[str]
    address: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]
    timezone: Mapped[str]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    is_primary: Mapped[bool]
    is_active: Mapped[bool] = mapped_column(default=True)
    deleted_at: Mapped[datetime | None]


class Room(Base):
    """A room is booked through its resources: as many units as it has capacity."""

    __tablename__ = "rooms"
    __table_args__ = (
        own("location_id", "locations", name="rooms_location_fkey"),
        UniqueConstraint("provider_id", "id"),
        CheckConstraint("capacity BETWEEN 1 AND 50", name="capacity_in_range"),
        CheckConstraint(_DELETED_IS_INACTIVE, name="deleted_is_inactive"),
    )

    provider_id: Mapped[UUID]
    location_id: Mapped[UUID]
    name: Mapped[str]
    capacity: Mapped[int]
    is_virtual: Mapped[bool]
    is_active: Mapped[bool] = mapped_column(default=True)
    deleted_at: Mapped[datetime | None]


class AppointmentType(Base):
    """A service that patients book."""

    __tablename__ = "appointment_types"
    __table_args__ = (
        own("default_location_id", "locations", name="appointment_types_default_location_fkey"),
        own("default_room_id", "rooms", name="appointment_types_default_room_fkey"),
        UniqueConstraint("provider_id", "id"),
        Index(
            "appointment_types_offered_idx",
            "slug",
            "mode",
            postgresql_where=text("is_active"),
        ),
        Index(
            "appointment_types_slug_idx",
            "provider_id",
            "slug",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint("mode IN ('in_person', 'video', 'phone')", name="mode_known"),
        CheckConstraint("duration_minutes BETWEEN 5 AND 360", name="duration_in_range"),
        CheckConstraint("buffer_before_minutes BETWEEN 0 AND 240", name="buffer_before_in_range"),
        CheckConstraint("buffer_after_minutes BETWEEN 0 AND 240", name="buffer_after_in_range"),
        CheckConstraint("price_cents >= 0", name="price_not_negative"),
        CheckConstraint("hold_seconds BETWEEN 60 AND 900", name="hold_in_range"),
        CheckConstraint("min_notice_minutes BETWEEN 0 AND 43200", name="notice_in_range"),
        CheckConstraint("max_future_days BETWEEN 1 AND 365", name="future_in_range"),
        CheckConstraint("max_reschedule_count BETWEEN 0 AND 20", name="reschedules_in_range"),
        CheckConstraint(
            "cancellation_free_until_minutes >= 0 AND cancellation_fee_cents >= 0 "
            "AND cancellation_fee_percent BETWEEN 0 AND 100 AND cancellation_cutoff_minutes >= 0",
            name="cancellation_in_range",
        ),
        CheckConstraint(_DELETED_IS_INACTIVE, name="deleted_is_inactive"),
    )

    version: Mapped[int] = mapped_column(default=1)
    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER))
    slug: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    mode: Mapped[str]
    duration_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int]
    buffer_after_minutes: Mapped[int]
    price_cents: Mapped[int]
    currency: Mapped[str]
    requires_approval: Mapped[bool]
    hold_seconds: Mapped[int]
    min_notice_minutes: Mapped[int]
    max_future_days: Mapped[int]
    allow_patient_reschedule: Mapped[bool]
    max_reschedule_count: Mapped[int]
    cancellation_free_until_minutes: Mapped[int]
    cancellation_fee_cents: Mapped[int]
    cancellation_fee_percent: Mapped[int]
    cancellation_cutoff_minutes: Mapped[int]
    required_equipment: Mapped[list[str]] = mapped_column(ARRAY(Text))
    default_location_id: Mapped[UUID | None]
    default_room_id: Mapped[UUID | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    deleted_at: Mapped[datetime | None]


appointment_type_locations = Table(
    "appointment_type_locations",
    Base.metadata,
    Column("provider_id", Uuid, nullable=False),
    Column("appointment_type_id", Uuid, primary_key=True),
    Column("location_id", Uuid, primary_key=True),
    own(
        "appointment_type_id",
        "appointment_types",
        name="appointment_type_locations_type_fkey",
        ondelete="CASCADE",
    ),
    own("location_id", "locations", name="appointment_type_locations_location_fkey"),
)
"""Where a service is given; one without any is given wherever its provider is."""


class Resource(Base):
    """One bookable unit; without a location it serves at all of them."""

    __tablename__ = "resources"
    __table_args__ = (
        own("location_id", "locations", name="resources_location_fkey"),
        own("room_id", "rooms", name="resources_room_fkey"),
        CheckConstraint(
            "kind IN ('staff', 'room', 'telehealth_slot', 'equipment')", name="kind_known"
        ),
        CheckConstraint(
            "kind <> 'room' OR (room_id IS NOT NULL AND location_id IS NOT NULL)",
            name="room_has_place",
        ),
        CheckConstraint(_DELETED_IS_INACTIVE, name="deleted_is_inactive"),
    )

    version: Mapped[int] = mapped_column(default=1)
    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER), index=True)
    kind: Mapped[str]
    label: Mapped[str]
    location_id: Mapped[UUID | None]
    room_id: Mapped[UUID | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    deleted_at: Mapped[datetime | None]
