"""Lists of what has a beginning and an end, a page at a time, in the order of their beginnings."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnExpressionArgument, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import AvailabilityException, TimeOffRequest
from shared.cursors import Position, position_of
from shared.errors import FieldError, Invalid

Ranged = TypeVar("Ranged", AvailabilityException, TimeOffRequest)


async def ranges_of(
    db: AsyncSession,
    kind: type[Ranged],
    provider_id: UUID,
    *conditions: ColumnExpressionArgument[bool],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Ranged], str | None]:
    """Those with a part in the time asked for, and the cursor after them if there are more."""
    if since is not None and until is not None and until <= since:
        raise Invalid(
            errors=[FieldError("to", "END_BEFORE_START", "Must be after from.", in_body=False)]
        )
    wanted = select(kind).where(kind.provider_id == provider_id, *conditions)
    if since is not None:
        wanted = wanted.where(kind.ends_at > since)
    if until is not None:
        wanted = wanted.where(kind.starts_at < until)
    if (after := position_of(cursor)) is not None:
        wanted = wanted.where(tuple_(kind.starts_at, kind.id) > (after.at, after.id))
    found = (await db.scalars(wanted.order_by(kind.starts_at, kind.id).limit(limit + 1))).all()
    shown = found[:limit]
    if len(found) == len(shown):
        return shown, None
    return shown, Position(shown[-1].starts_at, shown[-1].id).cursor()
