"""Who offers appointments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes as schedule
from availability.announcements import announce_provider
from availability.models import Provider
from availability.ownership import apply, locked_provider
from availability.use_cases.resources import keep_staff
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    id: UUID = field(default_factory=new_id)
    name: str
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    timezone: str
    parallel_sessions: int = 1


async def create_provider(db: AsyncSession, new: NewProvider) -> Provider:
    """A provider with the staff to hold as many sessions at once as they say."""
    provider = Provider(
        id=new.id,
        version=0,
        name=new.name,
        email=new.email,
        phone=new.phone,
        language=new.language,
        timezone=new.timezone,
        is_active=True,
    )
    db.add(provider)
    await db.flush()
    await schedule.begin(db, provider.id)
    await announce_provider(db, provider)
    await keep_staff(db, provider.id, provider.name, new.parallel_sessions)
    return provider


async def change_provider(
    db: AsyncSession, provider_id: UUID, changes: Mapping[str, Any]
) -> Provider:
    """Of `name`, `email`, `phone`, `language`, `timezone`, `is_active` those that are given."""
    provider = await locked_provider(db, provider_id)
    if apply(provider, changes):
        await announce_provider(db, provider)
    return provider
