"""The id of a timeslot: opaque to clients, and the same for the same timeslot, always.

40 characters of base64url. The first 32 tell the location, the mode and a fingerprint of provider
and service; the last 8 tell the start. It carries no authority: what it names may not be offered.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from availability.domain.resources import Mode

_SHAPE = re.compile(r"[A-Za-z0-9_-]{40}")
_NOWHERE = UUID(int=0)
_MODES = (Mode.IN_PERSON, Mode.VIDEO, Mode.PHONE)
_LAST_START = (date(9998, 12, 31) - date(1970, 1, 1)).days * 24 * 60


class UnknownTimeslotId(ValueError):
    """No timeslot of this provider and service could have this id."""


class NamedTimeslot(NamedTuple):
    location_id: UUID | None
    mode: Mode
    start: int


def id_prefix(provider_id: UUID, service_id: UUID, location_id: UUID | None, mode: Mode) -> str:
    """What the ids of all timeslots that differ only in their start begin with."""
    where = (location_id or _NOWHERE).bytes + bytes([_MODES.index(mode)])
    return urlsafe_b64encode(where + _fingerprint(provider_id, service_id)).decode()


@lru_cache(maxsize=1 << 15)
def id_suffix(start: int) -> str:
    """What the ids of all timeslots with this start end with."""
    return urlsafe_b64encode(start.to_bytes(6)).decode()


def timeslot_id(
    provider_id: UUID, service_id: UUID, location_id: UUID | None, mode: Mode, start: int
) -> str:
    return id_prefix(provider_id, service_id, location_id, mode) + id_suffix(start)


def read_timeslot_id(text: str, *, provider_id: UUID, service_id: UUID) -> NamedTimeslot:
    """What an id names; refuses what is no id of this provider and service."""
    if _SHAPE.fullmatch(text) is None:
        raise UnknownTimeslotId("not the shape of a timeslot id")
    raw = urlsafe_b64decode(text)
    location_id, mode, start = UUID(bytes=raw[:16]), raw[16], int.from_bytes(raw[24:])
    if raw[17:24] != _fingerprint(provider_id, service_id):
        raise UnknownTimeslotId("a timeslot of another provider or service")
    if mode >= len(_MODES) or start > _LAST_START:
        raise UnknownTimeslotId("not a timeslot that could exist")
    return NamedTimeslot(None if location_id == _NOWHERE else location_id, _MODES[mode], start)


def _fingerprint(provider_id: UUID, service_id: UUID) -> bytes:
    return sha256(provider_id.bytes + service_id.bytes).digest()[:7]
