"""The rules of timeslots as one would write them down first: aware datetimes and plain loops.

What the domain's arithmetic of minutes is measured against, and held against in a test. It shares
with the domain only the shapes of what providers set up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.domain.resources import Offer, Place, Unit, needs
from availability.domain.schedule import AvailabilityException, ExceptionKind, ScheduleRule

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXCEPTION_GRID = 15 * MINUTE

Span = tuple[datetime, datetime]


class Taken(NamedTuple):
    unit_id: UUID
    start: datetime
    end: datetime
    is_held: bool


class Timeslot(NamedTuple):
    start: datetime
    status: str
    capacity_left: int
    room_id: UUID | None


class Opening(NamedTuple):
    start: datetime
    end: datetime
    grid_from: datetime
    grid: timedelta
    room_id: UUID | None


@dataclass(frozen=True)
class Work:
    """All that decides about the timeslots of one service at one place."""

    timezone: str
    offer: Offer
    place: Place
    units: Sequence[Unit]
    rules: Sequence[ScheduleRule]
    exceptions: Sequence[AvailabilityException]
    claims: Sequence[Taken]
    busy: Sequence[Span]
    now: datetime


def timeslots(work: Work, from_on: date, to_on: date) -> list[Timeslot]:
    """Those of these days, booked and reserved ones included, in order."""
    offer = work.offer
    before, reach = offer.buffer_before * MINUTE, offer.reach * MINUTE
    exceptions = [each for each in work.exceptions if each.scope.covers(work.place)]
    openings = _openings(work, exceptions, from_on, to_on)
    open_spans = _merged((each.start, each.end) for each in openings)
    today = _today(work)
    first = max(
        _instant(work.timezone, max(from_on, today), 0),
        _ceiling(work.now) + offer.min_notice * MINUTE,
    )
    last_on = min(to_on, today + offer.max_future_days * DAY)
    after = _instant(work.timezone, last_on + DAY, 0)
    claims: dict[UUID, list[Taken]] = {}
    for claim in work.claims:
        claims.setdefault(claim.unit_id, []).append(claim)
    found: list[Timeslot] = []
    for opening in openings:
        start = opening.start + (opening.grid_from - opening.start) % opening.grid
        while start < opening.end:
            claim_start, claim_end = start - before, start + reach
            if (
                first <= start < after
                and any(a <= claim_start and claim_end <= b for a, b in open_spans)
                and not any(a < claim_end and claim_start < b for a, b in work.busy)
            ):
                found += _standing(
                    work, exceptions, claims, opening, start, (claim_start, claim_end)
                )
            start += opening.grid
    found.sort(key=lambda each: each.start)
    return found


def _standing(
    work: Work,
    exceptions: Sequence[AvailabilityException],
    claims: dict[UUID, list[Taken]],
    opening: Opening,
    start: datetime,
    claim: Span,
) -> Iterator[Timeslot]:
    free, unheld, there = [], [], []
    for need in needs(work.offer, work.place, work.units, room_id=opening.room_id):
        in_use = [unit for unit in need.units if not _is_out(unit, exceptions, claim)]
        overlapping = {
            unit.id: [
                each
                for each in claims.get(unit.id, ())
                if each.start < claim[1] and claim[0] < each.end
            ]
            for unit in in_use
        }
        there.append(len(in_use))
        free.append(sum(not each for each in overlapping.values()))
        unheld.append(
            sum(all(each.is_held for each in of_unit) for of_unit in overlapping.values())
        )
    room_id = opening.room_id or work.place.only_room
    if all(free):
        yield Timeslot(start, "available", min(free), room_id)
    elif all(unheld):
        yield Timeslot(start, "reserved", 0, room_id)
    elif all(there):
        yield Timeslot(start, "booked", 0, room_id)


def _openings(
    work: Work, exceptions: Sequence[AvailabilityException], from_on: date, to_on: date
) -> list[Opening]:
    windows = []
    for rule in work.rules:
        on = from_on - 3 * DAY
        while on <= to_on + 3 * DAY:
            if rule.scope.covers(work.place) and _is_in_force(rule, on):
                windows.append((rule.precedence, on, rule))
            on += DAY
    windows.sort(key=lambda window: window[0])
    taken: list[Span] = []
    openings = []
    for _, on, rule in windows:
        window = (_instant(rule.timezone, on, rule.start), _instant(rule.timezone, on, rule.end))
        breaks = [
            (_instant(rule.timezone, on, each.start), _instant(rule.timezone, on, each.end))
            for each in rule.breaks
        ]
        grid, room_id = rule.slot_interval * MINUTE, rule.scope.room_id
        for start, end in _less([window], taken + breaks):
            blocks = _spans(
                exceptions, ExceptionKind.BLOCKED, None, room_id or work.place.only_room
            )
            openings += [Opening(a, b, a, grid, room_id) for a, b in _less([(start, end)], blocks)]
        taken.append(window)
    open_spans = [(each.start, each.end) for each in openings]
    available = [each for each in exceptions if each.kind is ExceptionKind.AVAILABLE]
    for each in sorted(available, key=lambda each: each.precedence):
        start = EPOCH + each.start * MINUTE
        opened = _less([(start, EPOCH + each.end * MINUTE)], open_spans)
        openings += [Opening(a, b, start, EXCEPTION_GRID, each.scope.room_id) for a, b in opened]
        open_spans += opened
    return sorted(openings)


def _is_in_force(rule: ScheduleRule, on: date) -> bool:
    return (
        rule.weekday == on.isoweekday()
        and (rule.effective_from is None or rule.effective_from <= on)
        and (rule.effective_to is None or on <= rule.effective_to)
    )


def _is_out(unit: Unit, exceptions: Sequence[AvailabilityException], claim: Span) -> bool:
    if unit.room_id is None:
        return False
    blocked = _spans(exceptions, ExceptionKind.BLOCKED, unit.room_id)
    available = _spans(exceptions, ExceptionKind.AVAILABLE, unit.room_id)
    return any(a < claim[1] and claim[0] < b for a, b in _less(blocked, available))


def _spans(
    exceptions: Iterable[AvailabilityException], kind: ExceptionKind, *room_ids: UUID | None
) -> list[Span]:
    return [
        (EPOCH + each.start * MINUTE, EPOCH + each.end * MINUTE)
        for each in exceptions
        if each.kind is kind and each.scope.room_id in room_ids
    ]


def _less(spans: Sequence[Span], removed: Iterable[Span]) -> list[Span]:
    left = list(spans)
    for start, end in removed:
        pieces = []
        for a, b in left:
            if end <= a or b <= start or start >= end:
                pieces.append((a, b))
                continue
            if a < start:
                pieces.append((a, start))
            if end < b:
                pieces.append((end, b))
        left = pieces
    return sorted((a, b) for a, b in left if a < b)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _instant(timezone: str, on: date, minute: int) -> datetime:
    """An ambiguous time's first occurrence; for a skipped one the first instant after the gap."""
    zone = ZoneInfo(timezone)
    naive = datetime.combine(on, time()) + minute * MINUTE
    instant = naive.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != naive:
        offset = instant.astimezone(zone).utcoffset()
        while (instant - MINUTE).astimezone(zone).utcoffset() == offset:
            instant -= MINUTE
    return _ceiling(instant)


def _today(work: Work) -> date:
    today = work.now.astimezone(ZoneInfo(work.timezone)).date()
    has_tomorrow_begun = _instant(work.timezone, today + DAY, 0) <= work.now
    return today + DAY if has_tomorrow_begun else today


def _ceiling(at: datetime) -> datetime:
    return EPOCH - (EPOCH - at) // MINUTE * MINUTE
