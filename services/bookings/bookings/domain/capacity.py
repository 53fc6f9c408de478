"""What an appointment needs, and which free units it takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Unit:
    """One bookable resource of the provider, as it stands over the wanted range."""

    id: UUID
    kind: str
    label: str
    location_id: UUID | None
    room_id: UUID | None
    taken_by: tuple[UUID, ...] = ()
    """Appointments whose claims overlap the range, overdue holds and requests among them."""
    only_expired: bool = False
    """Every one of them is a hold or a request whose time is over."""

    @property
    def is_free(self) -> bool:
        return not self.taken_by


@dataclass(frozen=True, slots=True)
class Need:
    """One unit of a kind; of equipment with a certain label, of rooms at a place."""

    kind: str
    label: str | None = None
    location_id: UUID | None = None
    room_id: UUID | None = None

    def fits(self, unit: Unit) -> bool:
        return (
            unit.kind == self.kind
            and (self.label is None or unit.label == self.label)
            and (self.location_id is None or unit.location_id in (None, self.location_id))
            and (self.room_id is None or unit.room_id == self.room_id)
        )


def needs_of(
    *,
    mode: str,
    location_id: UUID | None,
    room_id: UUID | None,
    equipment: Iterable[str],
    units: Sequence[Unit],
) -> list[Need]:
    """Staff always; a room in person where the location has any; a telehealth slot for video where
    the provider has defined some; each equipment by its label.
    """
    needs = [Need("staff", location_id=location_id)]
    if mode == "in_person":
        room = Need("room", location_id=location_id, room_id=room_id)
        if room_id is not None or any(room.fits(unit) for unit in units):
            needs.append(room)
    if mode == "video" and any(unit.kind == "telehealth_slot" for unit in units):
        needs.append(Need("telehealth_slot"))
    needs.extend(Need("equipment", label=label, location_id=location_id) for label in equipment)
    return needs


def choose_units(needs: Sequence[Need], units: Iterable[Unit]) -> list[Unit] | None:
    """The first free unit for each need, in the order of their ids; None when one need has none.

    Everybody who wants the same time tries the same units in the same order, so two bookings can
    never wait for each other.
    """
    free = sorted((unit for unit in units if unit.is_free), key=lambda unit: unit.id)
    chosen: list[Unit] = []
    for need in needs:
        unit = next((unit for unit in free if need.fits(unit)), None)
        if unit is None:
            return None
        free.remove(unit)
        chosen.append(unit)
    return sorted(chosen, key=lambda unit: unit.id)


def expired_rivals(needs: Sequence[Need], units: Iterable[Unit]) -> set[UUID]:
    """Holds and requests that are over and still stand in the way of something needed."""
    return {
        rival
        for unit in units
        if unit.only_expired and any(need.fits(unit) for need in needs)
        for rival in unit.taken_by
    }
