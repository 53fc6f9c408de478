"""Who may see which calendar, and in which words."""

from uuid import UUID

from calendar_sync import wording
from calendar_sync.entries import Entry
from calendar_sync.refusals import ProviderNotFound
from calendar_sync.wording import Wording
from shared.auth import Principal, Role


def check_owner(user: Principal, provider_id: UUID) -> None:
    """Raises ProviderNotFound unless it is the provider itself, or an admin."""
    if user.role is Role.ADMIN or (user.role is Role.PROVIDER and user.id == provider_id):
        return
    raise ProviderNotFound


def wording_for(user: Principal, entry: Entry) -> Wording | None:
    """How this user is told about the appointment; None means that it does not exist for them."""
    if user.role is Role.PATIENT and user.id == entry.user_id:
        return wording.for_patient
    if user.role is Role.ADMIN or (user.role is Role.PROVIDER and user.id == entry.provider_id):
        return wording.neutral
    return None
