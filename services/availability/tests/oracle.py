"""What the rules of timeslots say, worked out as naively as possible: by walking every minute.

Slow, and shares nothing with the domain but the shapes of what it is given: aware datetimes instead
of integers, the clock on the wall instead of zone transitions, a look at each minute instead of
intervals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings

from availability.domain.resources import Kind, Mode, Offer, Unit
from availability.domain.schedule import AvailabilityException, ExceptionKind, ScheduleRule, Scope
from shared.testing.run import NIGHTLY

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    """A claim of one unit."""

    unit_id: UUID
    start: datetime
    end: datetime
    held: bool = False


@dataclass(frozen=True)
class Clinic:
    """Everything that decides which timeslots there are, for one service at one location."""

    timezone: str
    offer: Offer
    location_id: UUID | None
    units: Sequence[Unit]
    rules: Sequence[ScheduleRule]
    exceptions: Sequence[AvailabilityException]
    claims: Sequence[Taken]
    busy: Sequence[tuple[datetime, datetime]]
    now: datetime

    @cached_property
    def rooms(self) -> set[UUID]:
        """The rooms that an appointment may be in; empty when it needs none."""
        if self.offer.mode is not Mode.IN_PERSON or self.location_id is None:
            return set()
        rooms = {
            unit.room_id
            for unit in self.units
            if unit.kind is Kind.ROOM and unit.location_id == self.location_id and unit.room_id
        }
        return {self.offer.room_id} if self.offer.room_id in rooms else rooms

    @cached_property
    def only_room(self) -> UUID | None:
        return min(self.rooms) if len(self.rooms) == 1 else None


@dataclass(frozen=True)
class Owner:
    """Who says that a minute is open; one stretch of minutes of the same owner is one interval."""

    id: UUID
    on: date | None
    grid: int
    grid_from: datetime | None
    room_id: UUID | None


@dataclass(frozen=True)
class Seen:
    start: datetime
    status: str
    capacity_left: int
    room_id: UUID | None


def cases(number: int) -> settings:
    """So many made-up cases, always the same; under HYPOTHESIS_PROFILE=nightly 50 times as many."""
    return settings(
        max_examples=number * 50 if NIGHTLY else number,
        suppress_health_check=list(HealthCheck),
    )


def walk(clinic: Clinic, from_on: date, to_on: date) -> list[Seen]:
    """All timeslots of these days, booked and reserved ones included, in order."""
    clinic = replace(
        clinic,
        rules=[rule for rule in clinic.rules if _covers(clinic, rule.scope)],
        exceptions=[each for each in clinic.exceptions if _covers(clinic, each.scope)],
    )
    zones = {clinic.timezone, *(rule.timezone for rule in clinic.rules)}
    minutes = _minutes(from_on, to_on)
    clocks = {zone: _clock(zone, from_on, to_on) for zone in zones}
    days = [clock.date() for clock in clocks[clinic.timezone]]
    last_on = _today(clinic) + timedelta(days=clinic.offer.max_future_days)
    before, reach = _claimed_minutes(clinic.offer)
    owners = [
        _owner(clinic, minute, {zone: clocks[zone][index] for zone in zones})
        for index, minute in enumerate(minutes)
    ]
    seen: list[Seen] = []
    began = minutes[0]
    for index, minute in enumerate(minutes):
        owner = owners[index]
        if index and owner != owners[index - 1]:
            began = minute
        if (
            owner is not None
            and from_on <= days[index] <= min(to_on, last_on)
            and minute >= clinic.now + clinic.offer.min_notice * MINUTE
            and (minute - (owner.grid_from or began)) % (owner.grid * MINUTE) == timedelta()
            and None not in owners[index - before : index + reach]
        ):
            seen += _standing(clinic, owner, minute)
    return seen


def _minutes(from_on: date, to_on: date) -> list[datetime]:
    """Every minute that is in these days, in a window of them or in a claim from them, anywhere."""
    first = datetime.combine(from_on, time(), UTC) - timedelta(hours=14 + 26)
    after = datetime.combine(to_on, time(), UTC) + timedelta(hours=24 + 12 + 4)
    return [first + n * MINUTE for n in range((after - first) // MINUTE)]


@lru_cache(maxsize=32)
def _clock(zone: str, from_on: date, to_on: date) -> list[datetime]:
    minutes = _minutes(from_on, to_on)
    earlier = [minutes[0] - n * MINUTE for n in range(27 * 60, 0, -1)]
    return furthest_clock(zone, earlier + minutes)[len(earlier) :]


def furthest_clock(zone: str, minutes: Sequence[datetime]) -> list[datetime]:
    """For each minute, the latest local time that the clock has shown by then.

    A local time has come once the clock has shown it or a later one: at its first occurrence when
    it is ambiguous, at the first instant after the gap when it is skipped.
    """
    info = ZoneInfo(zone)
    furthest = minutes[0].replace(tzinfo=None) - timedelta(days=2)
    clock = []
    for minute in minutes:
        furthest = max(furthest, minute.astimezone(info).replace(tzinfo=None))
        clock.append(furthest)
    return clock


def _today(clinic: Clinic) -> date:
    by_now = [clinic.now - n * MINUTE for n in range(27 * 60, -1, -1)]
    return furthest_clock(clinic.timezone, by_now)[-1].date()


def _claimed_minutes(offer: Offer) -> tuple[int, int]:
    return offer.buffer_before, offer.duration + offer.buffer_after


def _owner(clinic: Clinic, minute: datetime, clocks: Mapping[str, datetime]) -> Owner | None:
    ruling = [rule for rule in clinic.rules if _in_window(rule, clocks[rule.timezone])]
    if ruling:
        rule = min(
            ruling,
            key=lambda rule: (-rule.priority, -_names(rule.scope), rule.created_order, rule.id),
        )
        clock = clocks[rule.timezone]
        room_id = rule.scope.room_id or clinic.only_room
        on_break = any(each.start <= _minute_of_day(clock) < each.end for each in rule.breaks)
        is_blocked = any(
            exception.scope.room_id in (None, room_id)
            for exception in _exceptions_at(clinic, minute, ExceptionKind.BLOCKED)
        )
        if not on_break and not is_blocked:
            return Owner(rule.id, clock.date(), rule.slot_interval, None, rule.scope.room_id)
    opening = list(_exceptions_at(clinic, minute, ExceptionKind.AVAILABLE))
    if opening:
        first = min(opening, key=lambda each: (-_names(each.scope), each.created_order, each.id))
        return Owner(first.id, None, 15, EPOCH + first.start * MINUTE, first.scope.room_id)
    return None


def _in_window(rule: ScheduleRule, clock: datetime) -> bool:
    return (
        clock.isoweekday() == rule.weekday
        and rule.start <= _minute_of_day(clock) < rule.end
        and (rule.effective_from is None or rule.effective_from <= clock.date())
        and (rule.effective_to is None or clock.date() <= rule.effective_to)
    )


def _minute_of_day(clock: datetime) -> float:
    return clock.hour * 60 + clock.minute + clock.second / 60


def _covers(clinic: Clinic, scope: Scope) -> bool:
    if scope.service_id is not None and scope.service_id != clinic.offer.service_id:
        return False
    if scope.location_id is not None and scope.location_id != clinic.location_id:
        return False
    if scope.mode is not None and scope.mode != clinic.offer.mode:
        return False
    return scope.room_id is None or scope.room_id in clinic.rooms


def _names(scope: Scope) -> int:
    named = 0
    if scope.service_id is not None:
        named += 1
    if scope.location_id is not None or scope.room_id is not None:
        named += 1
    if scope.room_id is not None:
        named += 1
    if scope.mode is not None:
        named += 1
    return named


def _exceptions_at(
    clinic: Clinic, minute: datetime, kind: ExceptionKind
) -> Iterator[AvailabilityException]:
    since_epoch = (minute - EPOCH) / MINUTE
    for exception in clinic.exceptions:
        began, ended = exception.start <= since_epoch, exception.end <= since_epoch
        if exception.kind is kind and began and not ended:
            yield exception


def _standing(clinic: Clinic, owner: Owner, minute: datetime) -> list[Seen]:
    before, reach = _claimed_minutes(clinic.offer)
    start, end = minute - before * MINUTE, minute + reach * MINUTE
    if any(busy_start < end and start < busy_end for busy_start, busy_end in clinic.busy):
        return []
    possible, unheld, left = [], [], []
    for units in _needed(clinic, owner.room_id):
        in_use = [unit for unit in units if not _is_out(clinic, unit, start, end)]
        possible.append(len(in_use))
        unheld.append(sum(not _has_claim(clinic, u, start, end, held=False) for u in in_use))
        left.append(sum(not _has_claim(clinic, u, start, end, held=True) for u in in_use))
    if not min(possible):
        return []
    status = "available" if min(left) else "reserved" if min(unheld) else "booked"
    return [Seen(minute, status, min(left), owner.room_id or clinic.only_room)]


def _needed(clinic: Clinic, room_id: UUID | None) -> list[list[Unit]]:
    here = clinic.units
    if clinic.location_id is not None:
        here = [unit for unit in here if unit.location_id in (None, clinic.location_id)]
    needed = [[unit for unit in here if unit.kind is Kind.STAFF]]
    if clinic.rooms:
        rooms = {room_id} if room_id else clinic.rooms
        needed.append([u for u in here if u.kind is Kind.ROOM and u.room_id in rooms])
    slots = [unit for unit in clinic.units if unit.kind is Kind.TELEHEALTH_SLOT]
    if clinic.offer.mode is Mode.VIDEO and slots:
        needed.append(slots)
    for label in clinic.offer.equipment:
        needed.append([u for u in here if u.kind is Kind.EQUIPMENT and u.label == label])
    return needed


def _is_out(clinic: Clinic, unit: Unit, start: datetime, end: datetime) -> bool:
    if unit.room_id is None:
        return False
    minute = start
    while minute < end:
        kinds = {
            kind
            for kind in ExceptionKind
            for exception in _exceptions_at(clinic, minute, kind)
            if exception.scope.room_id == unit.room_id
        }
        if kinds == {ExceptionKind.BLOCKED}:
            return True
        minute += MINUTE
    return False


def _has_claim(clinic: Clinic, unit: Unit, start: datetime, end: datetime, *, held: bool) -> bool:
    return any(
        claim.unit_id == unit.id
        and (held or not claim.held)
        and claim.start < end
        and start < claim.end
        for claim in clinic.claims
    )
