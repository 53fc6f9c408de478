"""Who may see which calendar, and in which words."""

from uuid import UUID

from calendar_sync import wording
from calendar_sync.entries import Entry
from calendar_sync.refusals import ProviderNotFound, UserNotFound
from calendar_sync.wording import Wording
from shared.auth import Principal, Role
from shared.errors import NotFound


def check_owner(user: Principal, provider_id: UUID) -> None:
    """Raises ProviderNotFound unless it is the provider itself, or an admin."""
    check_is(user, Principal(provider_id, Role.PROVIDER))


def check_is(user: Principal, owner: Principal) -> None:
    """Raises the owner's ``missing`` unless it is they themselves, or an admin."""
    if user != owner and user.role is not Role.ADMIN:
        raise missing(owner)


def missing(owner: Principal) -> NotFound:
    """What anybody is answered who asks for an owner that does not exist."""
    return ProviderNotFound() if owner.role is Role.PROVIDER else UserNotFound()


def wording_for(user: Principal, entry: Entry) -> Wording | None:
    """How this user is told about the appointment; None means that it does not exist for them."""
    if user.role is Role.PATIENT and user.id == entry.user_id:
        return wording.for_patient
    if user.role is Role.ADMIN or (user.role is Role.PROVIDER and user.id == entry.provider_id):
        return wording.neutral
    return None


def detailed_wording_for(owner: Principal) -> Wording:
    """For whoever holds a link of the owner's that tells more."""
    return wording.for_provider if owner.role is Role.PROVIDER else wording.for_patient
