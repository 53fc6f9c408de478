"""What bookings and availability have told, and the links to the feeds made of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from calendar_sync.models.metadata import Base, Instant

# Read models, written by consumers.py alone: what the newest event told.

entries = Table(
    "entries",
    Base.metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("provider_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("status", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("provider_name", Text, nullable=False),
    Column("service_title", Text, nullable=False),
    Column("location_name", Text),
    Column("location_address", Text),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("replaces", Uuid),
    CheckConstraint(
        "status IN ('pending', 'confirmed', 'completed', 'cancelled', 'no_show')",
        name="status_known",
    ),
    Index("entries_provider_id_ends_at_idx", "provider_id", "ends_at"),
    Index("entries_user_id_ends_at_idx", "user_id", "ends_at"),
    Index("entries_replaces_idx", "replaces", postgresql_where=text("replaces IS NOT NULL")),
)
"""``replaces`` is the appointment that this one was moved from, once the move is done."""


class Provider(Base):
    """A deleted provider stays, with its version, so that a late event cannot bring it back."""

    __tablename__ = "providers"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    is_deleted: Mapped[bool] = mapped_column(Boolean)


class FeedLink(Base):
    """An address under which a provider's or a patient's feed is read without a bearer token."""

    __tablename__ = "feed_links"
    __table_args__ = (
        CheckConstraint("num_nonnulls(provider_id, user_id) = 1", name="one_owner"),
        Index("feed_links_user_id_idx", "user_id", postgresql_where=text("revoked_at IS NULL")),
        Index(
            "feed_links_provider_id_idx", "provider_id", postgresql_where=text("revoked_at IS NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    provider_id: Mapped[UUID | None] = mapped_column(Uuid)
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    detailed: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    label: Mapped[str | None] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
