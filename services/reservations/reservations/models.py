"""The table of the reservations database."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import new_metadata

Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = new_metadata()


class Status(StrEnum):
    REQUESTED = "requested"
    """Being asked for; counts towards the limit and is forgotten after seconds."""
    ACTIVE = "active"
    USED = "used"
    RELEASED = "released"
    EXPIRED = "expired"


_OPEN = text("status IN ('requested', 'active')")


class Reservation(Base):
    """A patient's short-lived token for one held appointment; only the token's hash is kept."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint(
            "status IN ('requested', 'active', 'used', 'released', 'expired')", name="status_known"
        ),
        CheckConstraint(
            "status <> 'active' OR (appointment_id IS NOT NULL AND timeslot IS NOT NULL)",
            name="active_is_complete",
        ),
        Index("reservations_reserved_by_open_idx", "reserved_by", postgresql_where=_OPEN),
        Index(
            "reservations_reserved_by_expired_idx",
            "reserved_by",
            "expires_at",
            postgresql_where=text("status = 'expired'"),
        ),
        Index("reservations_expires_at_open_idx", "expires_at", postgresql_where=_OPEN),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    """The patient it is for."""
    reserved_by: Mapped[UUID] = mapped_column(Uuid)
    """Whoever has the token: the patient, or somebody of the provider for them."""
    reschedule_of: Mapped[UUID | None] = mapped_column(Uuid)
    provider_id: Mapped[UUID] = mapped_column(Uuid)
    service_id: Mapped[UUID] = mapped_column(Uuid)
    timeslot_id: Mapped[str] = mapped_column(Text)
    timeslot: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    appointment_id: Mapped[UUID | None] = mapped_column(Uuid, index=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
