"""What an appointment needs besides time: a place, and one free unit of every kind."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from availability.domain.intervals import Interval


class Mode(StrEnum):
    IN_PERSON = "in_person"
    VIDEO = "video"
    PHONE = "phone"


class Kind(StrEnum):
    STAFF = "staff"
    ROOM = "room"
    TELEHEALTH_SLOT = "telehealth_slot"
    EQUIPMENT = "equipment"


@dataclass(frozen=True, slots=True)
class Unit:
    """One bookable unit that is in use; without a location it serves at all of them.

    A room names its room, equipment has a label, and where a telehealth slot is does not matter.
    """

    id: UUID
    kind: Kind
    location_id: UUID | None = None
    room_id: UUID | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What an appointment type asks of a timeslot; lengths are in minutes."""

    service_id: UUID
    mode: Mode
    duration: int
    buffer_before: int = 0
    buffer_after: int = 0
    min_notice: int = 0
    max_future_days: int = 60
    room_id: UUID | None = None
    equipment: frozenset[str] = frozenset()

    @property
    def reach(self) -> int:
        """From the start of the appointment to the end of its claim."""
        return self.duration + self.buffer_after

    def met_by(self, taken: Interval) -> Interval:
        """The starts whose claims would meet an interval that is taken."""
        start, end = taken
        return (start - self.reach + 1, end + self.buffer_before)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a service is given; `rooms` are those it may use, none when it needs none."""

    service_id: UUID
    mode: Mode
    location_id: UUID | None = None
    rooms: frozenset[UUID] = frozenset()

    def is_served_by(self, unit: Unit) -> bool:
        """Without a location by all units; by telehealth slots in any case."""
        if self.location_id is None or unit.kind is Kind.TELEHEALTH_SLOT:
            return True
        return unit.location_id in (None, self.location_id)

    @property
    def only_room(self) -> UUID | None:
        return next(iter(self.rooms)) if len(self.rooms) == 1 else None


@dataclass(frozen=True, slots=True)
class Need:
    """One kind of unit that an appointment takes one of, and all units that would do."""

    kind: Kind
    units: tuple[Unit, ...]
    label: str | None = None


def place_of(offer: Offer, location_id: UUID | None, units: Iterable[Unit]) -> Place:
    """The offer at one location; in person in any of its rooms, or in the offer's if it is one."""
    if offer.mode is not Mode.IN_PERSON or location_id is None:
        return Place(offer.service_id, offer.mode, location_id)
    rooms = frozenset(
        unit.room_id
        for unit in units
        if unit.kind is Kind.ROOM and unit.location_id == location_id and unit.room_id is not None
    )
    if offer.room_id in rooms:
        rooms = frozenset({offer.room_id})
    return Place(offer.service_id, offer.mode, location_id, rooms)


def needs(
    offer: Offer, place: Place, units: Iterable[Unit], *, room_id: UUID | None = None
) -> list[Need]:
    """Staff always, and rooms, telehealth slots and equipment as far as the appointment needs them.

    A given room is the only one that will do. A video appointment needs a telehealth slot only
    where some are in use; a room or a label that no unit has is a need that nothing meets.
    """
    units = tuple(units)

    def of(kind: Kind) -> tuple[Unit, ...]:
        return tuple(unit for unit in units if unit.kind is kind and place.is_served_by(unit))

    found = [Need(Kind.STAFF, of(Kind.STAFF))]
    if place.rooms:
        rooms = place.rooms if room_id is None else {room_id}
        found.append(Need(Kind.ROOM, tuple(u for u in of(Kind.ROOM) if u.room_id in rooms)))
    if place.mode is Mode.VIDEO and (slots := of(Kind.TELEHEALTH_SLOT)):
        found.append(Need(Kind.TELEHEALTH_SLOT, slots))
    for label in sorted(offer.equipment):
        labelled = tuple(unit for unit in of(Kind.EQUIPMENT) if unit.label == label)
        found.append(Need(Kind.EQUIPMENT, labelled, label))
    return found
