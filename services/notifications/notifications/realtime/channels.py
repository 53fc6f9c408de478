"""Channels: what can be watched, and by whom."""

import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from shared.auth import Principal, Role

MOST_CHANNELS = 20
LONGEST_NAME = 60

_NAME = re.compile(
    r"(user\.(?P<user>{id})\.bookings)|(provider\.(?P<provider>{id})\.(?P<what>bookings|availability))".replace(
        "{id}", "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    )
)


class NotAChannel(ValueError):
    """No channel could have this name."""


class Kind(StrEnum):
    USER_BOOKINGS = "user.bookings"
    PROVIDER_BOOKINGS = "provider.bookings"
    AVAILABILITY = "provider.availability"


@dataclass(frozen=True, slots=True)
class Channel:
    kind: Kind
    owner_id: UUID

    @property
    def name(self) -> str:
        owner, what = self.kind.split(".")
        return f"{owner}.{self.owner_id}.{what}"

    def may_be_watched_by(self, user: Principal) -> bool:
        """Free times are everybody's business who is signed in; appointments only their own."""
        if user.role is Role.ADMIN or self.kind is Kind.AVAILABILITY:
            return True
        role = Role.PATIENT if self.kind is Kind.USER_BOOKINGS else Role.PROVIDER
        return user.role is role and user.id == self.owner_id


def channel_of(name: str) -> Channel:
    """The channel of this name; raises NotAChannel."""
    found = _NAME.fullmatch(name.lower()) if len(name) <= LONGEST_NAME else None
    if found is None:
        raise NotAChannel
    if found["user"]:
        return Channel(Kind.USER_BOOKINGS, UUID(found["user"]))
    kind = Kind.PROVIDER_BOOKINGS if found["what"] == "bookings" else Kind.AVAILABILITY
    return Channel(kind, UUID(found["provider"]))


@dataclass(frozen=True, slots=True)
class Watched:
    """The channels of one stream, each once."""

    channels: tuple[Channel, ...]

    @property
    def names(self) -> list[str]:
        return [channel.name for channel in self.channels]


def watched(text: str) -> Watched:
    """From names with commas between them. Raises NotAChannel, also for too many."""
    names = text.split(",", MOST_CHANNELS)
    if len(names) > MOST_CHANNELS:
        raise NotAChannel
    return Watched(tuple(dict.fromkeys(channel_of(name) for name in names)))
