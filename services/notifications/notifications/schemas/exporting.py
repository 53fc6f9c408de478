"""Everything that notifications keeps of a patient and that they may see."""

from collections.abc import Mapping, Sequence
from typing import Self
from uuid import UUID

import asyncpg

from notifications.schemas.deliveries import DeliveryOut
from notifications.schemas.inbox import NotificationOut
from notifications.schemas.preferences import PreferencesOut
from notifications.use_cases.preferences import Set
from shared.fields import Answer, Instant


class DeviceKept(Answer):
    id: UUID
    platform: str
    created_at: Instant


class UnsubscribeLinkKept(Answer):
    category: str
    created_at: Instant


class PlannedKept(Answer):
    kind: str
    channel: str
    appointment_id: UUID | None
    due_at: Instant


class NotificationsKept(Answer):
    preferences: PreferencesOut
    devices: list[DeviceKept]
    unsubscribe_links: list[UnsubscribeLinkKept]
    inbox: list[NotificationOut]
    deliveries: list[DeliveryOut]
    planned: list[PlannedKept]

    @classmethod
    def of(cls, user_id: UUID, held: Set, kept: Mapping[str, Sequence[asyncpg.Record]]) -> Self:
        return cls(
            preferences=PreferencesOut.of(user_id, held),
            devices=[DeviceKept(**dict(row)) for row in kept["devices"]],
            unsubscribe_links=[
                UnsubscribeLinkKept(**dict(row)) for row in kept["unsubscribe_links"]
            ],
            inbox=[NotificationOut(**dict(row)) for row in kept["inbox"]],
            deliveries=[DeliveryOut(**dict(row)) for row in kept["deliveries"]],
            planned=[PlannedKept(**dict(row)) for row in kept["planned"]],
        )
