"""What a provider has set up for one service, in the shape that timeslots are computed from.

It changes seldom and is read with every request, so each process keeps what it has read. A kept
set-up is used only after the database has said, in the same statement that reads everything else,
that its version is still the provider's.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Self
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.opening_hours import WeeklyHours, opening_hours
from availability.domain.resources import Kind, Mode, Offer, Place, Unit, place_of
from availability.domain.schedule import AvailabilityException, Break, ScheduleRule, Scope
from availability.domain.timeslot_id import id_prefix
from availability.domain.timeslots import Grid, grid_of, span_of
from availability.sources import UnhealthyCalendarPolicy

_MOST_KEPT = 1000


class Asked(NamedTuple):
    provider_id: UUID
    service_id: UUID


@dataclass(frozen=True, slots=True)
class OfferedPlace:
    """One of the places where the service is given, with its weekly hours."""

    place: Place
    weekly: WeeklyHours
    id_prefix: str
    city: str | None


@dataclass(frozen=True, slots=True)
class SetUp:
    version: int
    provider_id: UUID
    provider_name: str
    service_title: str
    slug: str
    timezone: str
    unhealthy_calendar_policy: UnhealthyCalendarPolicy
    offer: Offer
    units: tuple[Unit, ...]
    places: tuple[OfferedPlace, ...]

    @classmethod
    def of(cls, provider_id: UUID, version: int, row: Mapping[str, Any]) -> Self:
        """From the JSON that ``set_up_queries`` selects."""
        offer = _offer(row["service"])
        units = tuple(
            Unit(
                UUID(unit["id"]),
                Kind(unit["kind"]),
                _id(unit["location_id"]),
                _id(unit["room_id"]),
                unit["label"],
            )
            for unit in row["units"]
        )
        rules = [_rule(rule) for rule in row["rules"]]
        places = []
        cities = {UUID(each["id"]): each["city"] for each in row["locations"]}
        for location_id in _location_ids(offer.mode, row["listed"], cities):
            place = place_of(offer, location_id, units)
            prefix = id_prefix(provider_id, offer.service_id, location_id, offer.mode)
            city = cities[location_id] if location_id else None
            places.append(OfferedPlace(place, WeeklyHours(rules, place), prefix, city))
        policy = UnhealthyCalendarPolicy(row["unhealthy_calendar_policy"])
        return cls(
            version,
            provider_id,
            row["provider_name"],
            row["service"]["name"],
            row["service"]["slug"],
            row["timezone"],
            policy,
            offer,
            units,
            tuple(places),
        )

    def grid(
        self, at: OfferedPlace, starts: Interval, exceptions: Iterable[AvailabilityException]
    ) -> Grid:
        """The starts at one of the places that its hours allow."""
        hours = opening_hours(at.weekly, exceptions, at.place, *span_of(self.offer, starts))
        return grid_of(self.offer, at.place, hours, starts, self.units)

    def place(self, location_id: UUID | None, mode: Mode) -> OfferedPlace | None:
        """The place that a timeslot names, while the service is still given there."""
        for each in self.places:
            if (each.place.location_id, each.place.mode) == (location_id, mode):
                return each
        return None


class SetUps:
    """The set-ups that this process has read, those used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, UUID], SetUp] = OrderedDict()

    def find(self, provider_id: UUID, service_id: UUID) -> SetUp | None:
        key = (provider_id, service_id)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, set_up: SetUp) -> None:
        self._kept[set_up.provider_id, set_up.offer.service_id] = set_up
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def _location_ids(
    mode: Mode, listed: Iterable[str], in_use: Iterable[UUID]
) -> Iterable[UUID | None]:
    """Where the service is given: where its list says, or else, in person, everywhere."""
    if chosen := {UUID(each) for each in listed}:
        return [each for each in in_use if each in chosen]
    return (list(in_use) if mode is Mode.IN_PERSON else []) or [None]


def _offer(row: Mapping[str, Any]) -> Offer:
    return Offer(
        service_id=UUID(row["id"]),
        mode=Mode(row["mode"]),
        duration=row["duration_minutes"],
        buffer_before=row["buffer_before_minutes"],
        buffer_after=row["buffer_after_minutes"],
        min_notice=row["min_notice_minutes"],
        max_future_days=row["max_future_days"],
        room_id=_id(row["default_room_id"]),
        equipment=frozenset(row["required_equipment"]),
    )


def _rule(row: Mapping[str, Any]) -> ScheduleRule:
    return ScheduleRule(
        id=UUID(row["id"]),
        weekday=row["weekday"],
        start=row["start_minute"],
        end=row["end_minute"],
        slot_interval=row["slot_interval_minutes"],
        timezone=row["timezone"],
        breaks=tuple(
            Break(each["start_minute"], each["end_minute"], UUID(each["id"]))
            for each in row["breaks"]
        ),
        scope=Scope(
            _id(row["scope_appointment_type_id"]),
            _id(row["scope_location_id"]),
            _id(row["scope_room_id"]),
            row["scope_mode"] and Mode(row["scope_mode"]),
        ),
        priority=row["priority"],
        effective_from=_day(row["effective_from"]),
        effective_to=_day(row["effective_to"]),
        created_order=row["created_order"],
    )


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
