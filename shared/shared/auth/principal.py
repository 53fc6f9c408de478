"""Who calls, and what they may be."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shared.errors import Unauthorized


class Role(StrEnum):
    PATIENT = "patient"
    PROVIDER = "provider"
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; for role ``provider`` the id is the provider's."""

    id: UUID
    role: Role


class Unauthenticated(Unauthorized):
    """The request carries no access token."""

    code = "unauthenticated"
    title = "An access token is needed"


class InvalidToken(Unauthorized):
    """Whatever is wrong with a token, the answer is this one, always in the same words."""

    code = "invalid_token"
    title = "The access token is not valid"
