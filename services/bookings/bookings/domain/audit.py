"""The chain of an appointment's audit trail: each entry's hash covers the one before it."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bookings.domain.appointment import Actor

FIRST = b""
"""What stands before the first entry."""


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the trail; ``sequence`` counts from 1 without gaps within the appointment."""

    appointment_id: UUID
    sequence: int
    action: str
    actor: Actor
    at: datetime
    metadata: dict[str, Any]


def hash_of(entry: Entry, previous: bytes) -> bytes:
    """SHA-256 over the previous hash and the entry's canonical JSON (sorted keys, no spaces)."""
    fields = {
        "action": entry.action,
        "actorId": str(entry.actor.id) if entry.actor.id else None,
        "actorType": entry.actor.type.value,
        "appointmentId": str(entry.appointment_id),
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "metadata": entry.metadata,
        "sequence": entry.sequence,
    }
    return hashlib.sha256(previous + _CANONICAL.encode(fields).encode()).digest()
