"""What a provider says about their time: weekly rules and one-off exceptions."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode, Place


class ExceptionKind(StrEnum):
    BLOCKED = "blocked"
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule or an exception is about; what it does not name, it is about all of."""

    service_id: UUID | None = None
    location_id: UUID | None = None
    room_id: UUID | None = None
    mode: Mode | None = None

    def covers(self, place: Place) -> bool:
        """A scope with a room covers only appointments that may be in that room."""
        return (
            self.service_id in (None, place.service_id)
            and self.location_id in (None, place.location_id)
            and self.mode in (None, place.mode)
            and (self.room_id is None or self.room_id in place.rooms)
        )

    @property
    def specificity(self) -> int:
        """How many things it names; who names a room has named its location too."""
        named = [self.service_id, self.location_id or self.room_id, self.room_id, self.mode]
        return len(named) - named.count(None)


@dataclass(frozen=True, slots=True)
class Break:
    """Local minutes of the day in which a rule's window is closed."""

    start: int
    end: int
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRule:
    """A weekly window in local minutes of an ISO weekday; 1440 is the midnight at its end.

    `created_order` is any number that is larger for younger rules.
    """

    id: UUID
    weekday: int
    start: int
    end: int
    slot_interval: int
    timezone: str
    breaks: tuple[Break, ...] = ()
    scope: Scope = Scope()
    priority: int = 0
    effective_from: date | None = None
    effective_to: date | None = None
    created_order: int = 0

    @property
    def precedence(self) -> tuple[int, int, int, UUID]:
        """Of two rules with a common minute, the one that sorts first owns it."""
        return (-self.priority, -self.scope.specificity, self.created_order, self.id)


@dataclass(frozen=True, slots=True)
class AvailabilityException:
    """A one-off interval of instants that is closed or open; its scope never names a mode."""

    id: UUID
    kind: ExceptionKind
    start: int
    end: int
    scope: Scope = Scope()
    created_order: int = 0

    @property
    def precedence(self) -> tuple[int, int, UUID]:
        """Of two available exceptions with a common minute, the one that sorts first owns it."""
        return (-self.scope.specificity, self.created_order, self.id)

    @classmethod
    def between(
        cls,
        starts_at: datetime,
        ends_at: datetime,
        *,
        id_: UUID,
        kind: ExceptionKind,
        scope: Scope,
        created_at: datetime,
    ) -> Self:
        """In whole minutes: what is blocked never shrinks by it, what is available never grows."""
        blocks = kind is ExceptionKind.BLOCKED
        return cls(
            id=id_,
            kind=kind,
            start=minutes_down(starts_at) if blocks else minutes_up(starts_at),
            end=minutes_up(ends_at) if blocks else minutes_down(ends_at),
            scope=scope,
            created_order=int(created_at.timestamp() * 1_000_000),
        )
