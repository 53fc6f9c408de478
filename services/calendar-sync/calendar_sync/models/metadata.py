"""The base of this service's tables."""

from sqlalchemy import DateTime
from sqlalchemy.orm import DeclarativeBase

from shared.db import new_metadata

Instant = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = new_metadata()
