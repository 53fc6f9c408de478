"""Who is still expected: appointments to come, which keep what they have claimed in use.

This is what availability knows by now. Bookings has the last word on claims: an appointment that
was made in this very moment stays as it is, whatever is taken out of use.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import appointments, claims
from availability.refusals import StillClaimed
from shared.fields import instant_text

_MOST_NAMED = 50
_LONGEST_CLAIM = timedelta(days=1)


async def claimed_units(db: AsyncSession, provider_id: UUID) -> set[UUID]:
    """The units that anybody still expected has claimed."""
    return set(await db.scalars(select(claims.c.resource_id).where(*_to_come(provider_id))))


async def check_units_free(
    db: AsyncSession, provider_id: UUID, resource_ids: Collection[UUID]
) -> None:
    """Raises StillClaimed, with the appointments, when anybody is expected on one of the units."""
    await _check_nobody(db, provider_id, claims.c.resource_id.in_(resource_ids))


async def check_location_free(
    db: AsyncSession, provider_id: UUID, location_id: UUID, resource_ids: Collection[UUID]
) -> None:
    """The same for a location with its units."""
    await _check_nobody(
        db,
        provider_id,
        or_(appointments.c.location_id == location_id, claims.c.resource_id.in_(resource_ids)),
    )


async def check_provider_free(db: AsyncSession, provider_id: UUID) -> None:
    """The same for all that the provider has."""
    await _check_nobody(db, provider_id)


async def _check_nobody(
    db: AsyncSession, provider_id: UUID, *conditions: ColumnElement[bool]
) -> None:
    expected = (
        select(appointments.c.id, appointments.c.starts_at, appointments.c.ends_at)
        .join(claims, claims.c.appointment_id == appointments.c.id)
        .where(*_to_come(provider_id), *conditions)
        .distinct()
        .subquery()
    )
    rows = (
        await db.execute(
            select(expected, func.count().over().label("count"))
            .order_by(expected.c.starts_at, expected.c.id)
            .limit(_MOST_NAMED)
        )
    ).all()
    if rows:
        raise StillClaimed(
            "move or cancel these appointments first",
            appointments=[
                {
                    "id": str(row.id),
                    "start": instant_text(row.starts_at),
                    "end": instant_text(row.ends_at),
                }
                for row in rows
            ],
            appointmentCount=rows[0].count,
        )


def _to_come(provider_id: UUID) -> list[ColumnElement[bool]]:
    """Claims that are not over, those of holds only while the hold lasts."""
    now = func.now()
    return [
        claims.c.provider_id == provider_id,
        claims.c.starts_at > now - _LONGEST_CLAIM,
        claims.c.ends_at > now,
        or_(claims.c.hold_expires_at.is_(None), claims.c.hold_expires_at > now),
    ]
