"""Who may see and set what about whom."""

from uuid import UUID

from notifications.refusals import ProviderNotFound, UserNotFound
from shared.auth import Principal, Role


def check_user(user: Principal, user_id: UUID) -> None:
    """Everybody their own, admins everything; raises UserNotFound for the rest."""
    is_owner = user.id == user_id and user.role in (Role.PATIENT, Role.PROVIDER)
    if not (is_owner or user.role is Role.ADMIN):
        raise UserNotFound("no such user")


def check_provider(user: Principal, provider_id: UUID) -> None:
    """Providers their own, admins everything; raises ProviderNotFound for the rest."""
    is_owner = user.id == provider_id and user.role is Role.PROVIDER
    if not (is_owner or user.role is Role.ADMIN):
        raise ProviderNotFound("no such provider")
