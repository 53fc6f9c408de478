"""When providers work, and what has changed about it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from availability.models.metadata import PROVIDER, Base, Instant, own


class ScheduleRule(Base):
    """A weekly window in local minutes of the day; 1440 is the midnight at its end.

    What its scope leaves open, it is about all of.
    """

    __tablename__ = "schedule_rules"
    __table_args__ = (
        own(
            "scope_appointment_type_id", "appointment_types", name="schedule_rules_scope_type_fkey"
        ),
        own("scope_location_id", "locations", name="schedule_rules_scope_location_fkey"),
        own("scope_room_id", "rooms", name="schedule_rules_scope_room_fkey"),
        CheckConstraint("scope_mode IN ('in_person', 'video', 'phone')", name="scope_mode_known"),
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday_known"),
        CheckConstraint(
            "start_minute >= 0 AND end_minute > start_minute AND end_minute <= 1440",
            name="end_after_start",
        ),
        CheckConstraint("slot_interval_minutes BETWEEN 5 AND 60", name="interval_in_range"),
        CheckConstraint("effective_to >= effective_from", name="effective_in_order"),
        Index(None, "provider_id", "weekday"),
    )

    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER))
    timezone: Mapped[str]
    scope_appointment_type_id: Mapped[UUID | None]
    scope_location_id: Mapped[UUID | None]
    scope_room_id: Mapped[UUID | None]
    scope_mode: Mapped[str | None]
    weekday: Mapped[int]
    start_minute: Mapped[int]
    end_minute: Mapped[int]
    slot_interval_minutes: Mapped[int]
    priority: Mapped[int]
    effective_from: Mapped[date | None]
    effective_to: Mapped[date | None]
    is_active: Mapped[bool] = mapped_column(default=True)


schedule_rule_breaks = Table(
    "schedule_rule_breaks",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column(
        "schedule_rule_id",
        ForeignKey("schedule_rules.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("start_minute", Integer, nullable=False),
    Column("end_minute", Integer, nullable=False),
    Column("label", Text),
    CheckConstraint(
        "start_minute >= 0 AND end_minute > start_minute AND end_minute <= 1440",
        name="end_after_start",
    ),
)


class AvailabilityException(Base):
    """A one-off range that is closed or open."""

    __tablename__ = "availability_exceptions"
    __table_args__ = (
        own(
            "scope_appointment_type_id",
            "appointment_types",
            name="availability_exceptions_scope_type_fkey",
        ),
        own("scope_location_id", "locations", name="availability_exceptions_scope_location_fkey"),
        own("scope_room_id", "rooms", name="availability_exceptions_scope_room_fkey"),
        CheckConstraint("kind IN ('blocked', 'available')", name="kind_known"),
        CheckConstraint("source IN ('manual', 'time_off')", name="source_known"),
        CheckConstraint("ends_at > starts_at", name="end_after_start"),
        Index(None, "provider_id", "ends_at"),
        Index(None, "import_id", postgresql_where=text("import_id IS NOT NULL")),
    )

    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER))
    kind: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    scope_appointment_type_id: Mapped[UUID | None]
    scope_location_id: Mapped[UUID | None]
    scope_room_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    source: Mapped[str] = mapped_column(default="manual")
    import_id: Mapped[UUID | None]

    @property
    def origin(self) -> str:
        """Where it comes from, for those who read it."""
        return self.source if self.import_id is None else "import"


class TimeOffRequest(Base):
    """A range that a provider wants to be away in; an approved one is a blocked exception."""

    __tablename__ = "time_off_requests"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'approved', 'rejected', 'withdrawn')", name="status_known"
        ),
        CheckConstraint("ends_at > starts_at", name="end_after_start"),
        CheckConstraint(
            "(status = 'approved') = (exception_id IS NOT NULL)", name="approved_is_blocked"
        ),
        Index(None, "provider_id", "starts_at"),
    )

    provider_id: Mapped[UUID] = mapped_column(ForeignKey(PROVIDER))
    status: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str | None]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    exception_id: Mapped[UUID | None] = mapped_column(ForeignKey("availability_exceptions.id"))


schedule_versions = Table(
    "schedule_versions",
    Base.metadata,
    Column("provider_id", ForeignKey(PROVIDER), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("set_up_version", BigInteger, nullable=False),
    Column("notes", LargeBinary, nullable=False, server_default=""),
)
"""``version`` counts every change of anything that bookable times depend on, ``set_up_version``
only those of what the provider has set up; both change in the transaction that makes the change.
What ``notes`` tell of the last ones is in ``notes.py``."""

schedule_changes = Table(
    "schedule_changes",
    Base.metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("provider_id", Uuid, nullable=False),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
)
"""Changes that are not announced yet, and the time that each is about (any, when it has none)."""
