"""Lists of what has been set up, a page at a time, oldest first; what is deleted is in none."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnExpressionArgument, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import AppointmentType, Location, Provider, Resource, Room
from shared.cursors import Position, position_of

Listed = TypeVar("Listed", AppointmentType, Location, Provider, Resource, Room)


async def page_of(
    db: AsyncSession,
    kind: type[Listed],
    *conditions: ColumnExpressionArgument[bool],
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Listed], str | None]:
    """At most so many after the cursor, and the cursor after them if there are more."""
    wanted = select(kind).where(kind.deleted_at.is_(None), *conditions)
    if (after := position_of(cursor)) is not None:
        wanted = wanted.where(tuple_(kind.created_at, kind.id) > (after.at, after.id))
    found = (await db.scalars(wanted.order_by(kind.created_at, kind.id).limit(limit + 1))).all()
    shown = found[:limit]
    if len(found) == len(shown):
        return shown, None
    return shown, Position(shown[-1].created_at, shown[-1].id).cursor()
