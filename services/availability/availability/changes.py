"""Notes that something has changed which bookable times depend on.

Each note belongs into the transaction that makes the change: it moves the provider's schedule
version, by which answers are known to be current, and is announced once it is committed.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import schedule_changes, schedule_versions


async def begin(db: AsyncSession, provider_id: UUID) -> None:
    """A new provider's version, before anything else is noted."""
    await db.execute(
        insert(schedule_versions).values(provider_id=provider_id, version=0, set_up_version=0)
    )


async def note_set_up(db: AsyncSession, provider_id: UUID) -> None:
    """What the provider has set up is another now, so any time may be."""
    await db.execute(
        update(schedule_versions)
        .where(schedule_versions.c.provider_id == provider_id)
        .values(
            version=schedule_versions.c.version + 1,
            set_up_version=schedule_versions.c.set_up_version + 1,
        )
    )
    await db.execute(insert(schedule_changes).values(provider_id=provider_id))


async def note_time(
    db: AsyncSession, provider_id: UUID, starts_at: datetime, ends_at: datetime
) -> None:
    """Only what touches this range may be another now."""
    await db.execute(
        update(schedule_versions)
        .where(schedule_versions.c.provider_id == provider_id)
        .values(version=schedule_versions.c.version + 1)
    )
    await db.execute(
        insert(schedule_changes).values(
            provider_id=provider_id, starts_at=starts_at, ends_at=ends_at
        )
    )
