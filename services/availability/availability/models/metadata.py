"""What all tables of the availability database are made from."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, DateTime, Double, ForeignKeyConstraint, Text, Uuid, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.db import new_metadata

PROVIDER = "providers.id"
Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    """Every set-up row knows since when it is there and when it was changed last."""

    metadata = new_metadata()
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads it from the class
        str: Text,
        UUID: Uuid,
        datetime: Instant,
        date: Date,
        float: Double,
    }

    # So that `updated_at` is known after an UPDATE without another question to the database.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012

    id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


def own(column: str, of: str, *, name: str, **options: Any) -> ForeignKeyConstraint:
    """A reference to a thing of the same provider: nobody else's can be named."""
    target = [f"{of}.provider_id", f"{of}.id"]
    return ForeignKeyConstraint(["provider_id", column], target, name=name, **options)
