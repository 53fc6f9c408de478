"""Who may set up what a provider offers, and who may look at it."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from availability.models import Provider
from availability.refusals import ProviderNotFound
from shared.auth import CurrentUser, Principal, Role
from shared.fields import Id


def may_set_up(user: Principal, provider_id: UUID) -> bool:
    is_own = user.role is Role.PROVIDER and user.id == provider_id
    return is_own or user.role is Role.ADMIN


def check_may_set_up(user: Principal, provider_id: UUID) -> None:
    """Raises ProviderNotFound unless the user is this provider or an admin."""
    if not may_set_up(user, provider_id):
        raise ProviderNotFound("no such provider")


async def _staff(provider_id: Id, user: CurrentUser) -> Principal:
    check_may_set_up(user, provider_id)
    return user


Staff = Annotated[Principal, Depends(_staff)]
"""The caller, who may set up the provider in the path; 404 for everybody else."""


async def seen_provider(db: AsyncSession, user: Principal, provider_id: UUID) -> Provider:
    """The provider, who is in use unless the caller may set them up; else ProviderNotFound."""
    provider = await db.get(Provider, provider_id)
    if (
        provider is None
        or provider.deleted_at is not None
        or not (provider.is_active or may_set_up(user, provider_id))
    ):
        raise ProviderNotFound("no such provider")
    return provider
