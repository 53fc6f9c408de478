"""Who offers appointments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from availability import changes as schedule
from availability.announcements import announce_provider, announce_provider_deleted
from availability.expected import check_provider_free
from availability.models import Provider
from availability.ownership import apply, locked_provider
from availability.refusals import ProviderExists
from availability.use_cases.resources import keep_staff
from shared.events.provider import ProviderUpdated
from shared.ids import new_id
from shared.messaging import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    """The id is the `sub` of the provider's own access tokens."""

    id: UUID = field(default_factory=new_id)
    name: str
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    timezone: str
    parallel_sessions: int = 1
    unhealthy_calendar_policy: str = "shown"
    time_off_needs_approval: bool = True
    completion_policy: str = "completed"
    completion_grace_minutes: int = 1440


async def create_provider(db: AsyncSession, new: NewProvider) -> Provider:
    """A provider with the staff to hold as many sessions at once as they say."""
    inserted = await db.execute(
        insert(Provider)
        .values(
            id=new.id,
            version=0,
            name=new.name,
            email=new.email,
            phone=new.phone,
            language=new.language,
            timezone=new.timezone,
            unhealthy_calendar_policy=new.unhealthy_calendar_policy,
            time_off_needs_approval=new.time_off_needs_approval,
            completion_policy=new.completion_policy,
            completion_grace_minutes=new.completion_grace_minutes,
            is_active=True,
        )
        .on_conflict_do_nothing(index_elements=[Provider.id])
        .returning(Provider.id)
    )
    if inserted.first() is None:
        raise ProviderExists("choose another id")
    provider = await locked_provider(db, new.id)
    await schedule.begin(db, provider.id)
    await announce_provider(db, provider)
    await keep_staff(db, provider.id, provider.name, new.parallel_sessions)
    return provider


async def change_provider(
    db: AsyncSession, provider_id: UUID, changes: Mapping[str, Any]
) -> Provider:
    """The fields of `NewProvider` but the id, and `is_active`, those that are given.

    Out of use, a provider is not offered to anybody; what is booked stays.
    """
    provider = await locked_provider(db, provider_id)
    values = dict(changes)
    sessions = values.pop("parallel_sessions", None)
    if apply(provider, values):
        await announce_provider(db, provider)
    if sessions is not None:
        await keep_staff(db, provider_id, provider.name, sessions)
    return provider


async def remove_provider(db: AsyncSession, provider_id: UUID) -> None:
    """For good, and how they were reached is forgotten; StillClaimed while anybody is expected."""
    provider = await locked_provider(db, provider_id)
    await check_provider_free(db, provider_id)
    provider.is_active, provider.deleted_at = False, func.now()
    provider.email = provider.phone = None
    await outbox.erase_in_session(db, str(provider_id), [ProviderUpdated.type])
    await announce_provider_deleted(db, provider)
