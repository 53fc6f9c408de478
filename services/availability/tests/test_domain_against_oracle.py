"""Hypothesis makes up clinics, the oracle walks every minute of them, and the domain must agree."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import assume, event, given
from hypothesis import strategies as st

from availability.domain.capacity import Claims
from availability.domain.explanations import BusyTime, Claim, Obstacle, explain
from availability.domain.intervals import overlapping
from availability.domain.local_time import minutes_down, moment
from availability.domain.opening_hours import WeeklyHours, opening_hours
from availability.domain.resources import Kind, Mode, Offer, Unit, needs, place_of
from availability.domain.schedule import (
    AvailabilityException,
    Break,
    ExceptionKind,
    ScheduleRule,
    Scope,
)
from availability.domain.timeslots import (
    Status,
    find_timeslots,
    grid_of,
    span_of,
    starts_in_question,
)

from .oracle import Clinic, Seen, Taken, cases, walk

SERVICE, OTHER_SERVICE = UUID(int=1), UUID(int=2)
DAY = 24 * 60
HERE, ELSEWHERE = UUID(int=3), UUID(int=4)
ROOMS = [UUID(int=5), UUID(int=6)]
ROOM_ELSEWHERE = UUID(int=7)

DAYS = {
    "Europe/Athens": [date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "Africa/Casablanca": [date(2026, 2, 15), date(2026, 3, 22)],
    "Pacific/Apia": [date(2011, 12, 29), date(2011, 12, 31), date(2026, 5, 5)],
    "Asia/Kathmandu": [date(1986, 1, 1), date(2026, 6, 6)],
    "Pacific/Kiritimati": [date(1994, 12, 30), date(2026, 1, 1)],
    "America/Santiago": [date(2026, 4, 4), date(2026, 9, 6)],
    "America/St_Johns": [date(2009, 11, 1), date(2010, 3, 14)],
    "Africa/Monrovia": [date(1972, 1, 7)],
    "Asia/Beirut": [date(2026, 3, 29), date(2026, 10, 24)],
    "UTC": [date(2026, 2, 28)],
}

TIMES = st.integers(0, 96).map(lambda n: n * 15) | st.integers(0, 1440)
LONG_WINDOWS = [(0, 1440), (480, 1200), (45, 1425), (1, 1439)]
SCOPES = st.builds(
    Scope,
    service_id=st.sampled_from([None, None, None, None, SERVICE, OTHER_SERVICE]),
    location_id=st.sampled_from([None, None, None, HERE, ELSEWHERE]),
    room_id=st.sampled_from([None, *ROOMS]),
    mode=st.sampled_from([None, None, None, Mode.IN_PERSON, Mode.VIDEO]),
)
WIDE_SCOPES = st.sampled_from([Scope(), Scope(), *(Scope(room_id=room_id) for room_id in ROOMS)])
OFFERS = st.builds(
    Offer,
    service_id=st.just(SERVICE),
    mode=st.sampled_from([*[Mode.IN_PERSON] * 4, Mode.VIDEO, Mode.PHONE]),
    duration=st.sampled_from([5, 15, 20, 30, 45, 60, 90]),
    buffer_before=st.sampled_from([0, 0, 5, 15, 40]),
    buffer_after=st.sampled_from([0, 0, 5, 10, 60]),
    min_notice=st.sampled_from([0, 0, 0, 7, 600]),
    max_future_days=st.sampled_from([2, 1, 3, 365]),
    room_id=st.sampled_from([None, None, None, ROOMS[0], ROOM_ELSEWHERE]),
    equipment=st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"ecg"})]),
)
KINDS = [
    (Kind.STAFF, None, None),
    (Kind.STAFF, None, None),
    (Kind.STAFF, None, ELSEWHERE),
    (Kind.ROOM, ROOMS[0], HERE),
    (Kind.ROOM, ROOMS[0], HERE),
    (Kind.ROOM, ROOMS[1], HERE),
    (Kind.ROOM, ROOM_ELSEWHERE, ELSEWHERE),
    (Kind.TELEHEALTH_SLOT, None, None),
    (Kind.TELEHEALTH_SLOT, None, ELSEWHERE),
    (Kind.EQUIPMENT, None, None),
    (Kind.EQUIPMENT, None, HERE),
]
UNITS = [
    Unit(UUID(int=100 + n), kind, location_id, room_id, "ecg" if kind is Kind.EQUIPMENT else None)
    for n, (kind, room_id, location_id) in enumerate(KINDS)
]


@st.composite
def rules(draw: st.DrawFn, number: int, first_on: date, zones: list[str]) -> ScheduleRule:
    """The first of several is always in force and often long, so that most clinics open at all."""
    on = first_on + timedelta(days=draw(st.sampled_from([0, 0, 0, 1, -1, 2])) if number else 0)
    start, end = sorted(draw(st.sampled_from(LONG_WINDOWS) | st.tuples(TIMES, TIMES)))
    effective = [None, None, None, *(on + timedelta(days=n) for n in (-1, 0, 1))]
    times = st.tuples(TIMES, TIMES)
    breaks = [sorted(each) for each in draw(st.lists(times, max_size=2))]
    return ScheduleRule(
        id=UUID(int=200 + number),
        weekday=on.isoweekday(),
        start=start,
        end=end,
        slot_interval=draw(st.sampled_from([5, 10, 15, 20, 30, 60])),
        timezone=draw(st.sampled_from(zones)),
        breaks=tuple(Break(start, end) for start, end in breaks if draw(st.booleans())),
        scope=draw(WIDE_SCOPES | SCOPES if number else WIDE_SCOPES),
        priority=draw(st.integers(0, 2)),
        effective_from=draw(st.sampled_from(effective)) if number else None,
        effective_to=draw(st.sampled_from(effective)) if number else None,
        created_order=draw(st.integers(0, 3)),
    )


@st.composite
def clinics(draw: st.DrawFn) -> tuple[Clinic, date, date]:
    timezone = draw(st.sampled_from(sorted(DAYS)))
    from_on = draw(st.sampled_from(DAYS[timezone])) + timedelta(days=draw(st.integers(-1, 1)))
    to_on = from_on + timedelta(days=draw(st.sampled_from([0, 0, 1])))
    offer = draw(OFFERS)
    zones = [timezone, timezone, timezone, draw(st.sampled_from(sorted(DAYS)))]
    noon = _noon(from_on)
    minutes = st.integers(-48, 96).map(lambda n: n * 15) | st.integers(-1440, 2 * 1440)

    def at(minute: int) -> datetime:
        return noon + timedelta(minutes=minute)

    def span(longest: int) -> tuple[datetime, datetime]:
        start = at(draw(minutes))
        length = draw(st.sampled_from([longest, longest // 3, longest // 10, 1]))
        return start, start + timedelta(minutes=length)

    def a_claim(unit: Unit) -> Taken:
        """Often one that another appointment of the same type would make."""
        start, end = span(450)
        if draw(st.booleans()):
            start = at(draw(st.integers(-48, 96)) * 15 - offer.buffer_before)
            end = start + timedelta(minutes=offer.buffer_before + offer.reach)
        return Taken(unit.id, start, end, held=draw(st.booleans()))

    def an_exception(number: int) -> AvailabilityException:
        start, end = span(900)
        return AvailabilityException(
            UUID(int=300 + number),
            draw(st.sampled_from(ExceptionKind)),
            minutes_down(start),
            minutes_down(end),
            _without_mode(draw(WIDE_SCOPES | SCOPES)),
            draw(st.integers(0, 2)),
        )

    return (
        Clinic(
            timezone=timezone,
            offer=offer,
            location_id=draw(st.sampled_from([HERE, HERE, HERE, HERE, None])),
            units=[UNITS[0], *(unit for unit in UNITS[1:] if draw(st.integers(0, 3)))],
            rules=[
                draw(rules(number, from_on, zones)) for number in range(draw(st.integers(1, 6)))
            ],
            exceptions=[an_exception(number) for number in range(draw(st.integers(0, 4)))],
            claims=[
                a_claim(unit)
                for unit in [*UNITS[:2], *UNITS]
                for _ in range(draw(st.integers(0, 3)))
            ],
            busy=[span(150) for _ in range(draw(st.integers(0, 2)))],
            now=noon
            - timedelta(days=draw(st.sampled_from([1, 1, 1, 2, 0])))
            + timedelta(minutes=draw(minutes) % 1440, seconds=draw(st.sampled_from([0, 1, 59]))),
        ),
        from_on,
        to_on,
    )


def _without_mode(scope: Scope) -> Scope:
    return Scope(scope.service_id, scope.location_id, scope.room_id)


def found(clinic: Clinic, from_on: date, to_on: date) -> list[Seen]:
    place = place_of(clinic.offer, clinic.location_id, clinic.units)
    starts = starts_in_question(clinic.offer, clinic.timezone, from_on, to_on, clinic.now)
    # A grid may be known for more than is asked for.
    more = (starts[0] - 2 * DAY, starts[1] + 3 * DAY)
    hours = opening_hours(
        WeeklyHours(clinic.rules, place),
        clinic.exceptions,
        place,
        *span_of(clinic.offer, more),
    )
    runs = find_timeslots(
        clinic.offer,
        grid_of(clinic.offer, place, hours, more, clinic.units),
        starts,
        claims={unit.id: claims_of(clinic, unit) for unit in clinic.units},
        busy=[(minutes_down(start), minutes_down(end)) for start, end in clinic.busy],
    )
    return [
        Seen(moment(start), standing.status, standing.capacity_left, standing.room_id)
        for of_run, standing in runs
        for start in of_run
    ]


def claims_of(clinic: Clinic, unit: Unit) -> Claims:
    booked, held = (
        sorted(
            (minutes_down(claim.start), minutes_down(claim.end))
            for claim in clinic.claims
            if claim.unit_id == unit.id and claim.held is is_held
        )
        for is_held in (False, True)
    )
    return Claims(booked, held)


def explained(clinic: Clinic, start: datetime) -> list[Obstacle]:
    place = place_of(clinic.offer, clinic.location_id, clinic.units)
    return explain(
        minutes_down(start),
        clinic.offer,
        place,
        WeeklyHours(clinic.rules, place),
        exceptions=clinic.exceptions,
        units=clinic.units,
        claims=[
            _claim(UUID(int=400 + number), claim) for number, claim in enumerate(clinic.claims)
        ],
        busy=[
            BusyTime(UUID(int=500 + number), minutes_down(start), minutes_down(end))
            for number, (start, end) in enumerate(clinic.busy)
        ],
        timezone=clinic.timezone,
        now=clinic.now,
    )


def _claim(appointment_id: UUID, taken: Taken) -> Claim:
    start, end = minutes_down(taken.start), minutes_down(taken.end)
    return Claim(taken.unit_id, appointment_id, start, end, start, end)


@cases(120)
@given(clinics())
def test_timeslots_are_those_that_a_walk_over_every_minute_finds(
    drawn: tuple[Clinic, date, date],
) -> None:
    clinic, from_on, to_on = drawn

    seen = walk(clinic, from_on, to_on)

    for status in Status:
        event(f"some {status}: {any(each.status == status for each in seen)}")
    assert found(clinic, from_on, to_on) == seen


@cases(40)
@given(clinics(), st.lists(st.integers(-720, 2160), min_size=20, max_size=20))
def test_an_instant_has_no_obstacles_exactly_when_it_is_available(
    drawn: tuple[Clinic, date, date], minutes: list[int]
) -> None:
    clinic, from_on, to_on = drawn
    days = timedelta(days=3)
    seen = {each.start: each for each in found(clinic, from_on - days, to_on + days)}
    some = {_noon(from_on) + timedelta(minutes=minute) for minute in minutes}

    obstacles = {start: explained(clinic, start) for start in [*some, *list(seen)[::5]]}

    assert {start for start, found in obstacles.items() if not found} == {
        start for start in obstacles if start in seen and seen[start].status == Status.AVAILABLE
    }


@cases(40)
@given(clinics())
def test_claims_busy_times_and_notice_only_remove_starts(drawn: tuple[Clinic, date, date]) -> None:
    clinic, from_on, to_on = drawn
    at_once = replace(clinic.offer, min_notice=0)
    unhindered = replace(clinic, offer=at_once, claims=[], busy=[])

    all_starts = found(unhindered, from_on, to_on)

    assert {each.status for each in all_starts} <= {Status.AVAILABLE}
    assert {each.start for each in found(clinic, from_on, to_on)} <= {
        each.start for each in all_starts
    }


@cases(40)
@given(clinics())
def test_days_asked_for_together_are_the_days_asked_for_one_by_one(
    drawn: tuple[Clinic, date, date],
) -> None:
    clinic, from_on, _ = drawn
    days = [from_on + timedelta(days=n) for n in range(-1, 3)]

    together = found(clinic, days[0], days[-1])

    assert together == [each for on in days for each in found(clinic, on, on)]


@cases(40)
@given(clinics(), st.integers(0))
def test_booking_a_start_leaves_it_one_less(drawn: tuple[Clinic, date, date], choice: int) -> None:
    clinic, from_on, to_on = drawn
    free = [each for each in found(clinic, from_on, to_on) if each.capacity_left]
    assume(free)
    chosen = free[choice % len(free)]

    booked = replace(clinic, claims=[*clinic.claims, *_claims_for(clinic, chosen)])

    after = {each.start: each for each in found(booked, from_on, to_on)}[chosen.start]
    assert after.capacity_left == chosen.capacity_left - 1
    assert (after.status == Status.AVAILABLE) == (chosen.capacity_left > 1)


def _claims_for(clinic: Clinic, seen: Seen) -> list[Taken]:
    """One free unit of every kind, as whoever books would choose it."""
    start = seen.start - timedelta(minutes=clinic.offer.buffer_before)
    end = seen.start + timedelta(minutes=clinic.offer.reach)
    taken = {each.unit_id for each in clinic.claims if each.start < end and start < each.end}
    place = place_of(clinic.offer, clinic.location_id, clinic.units)
    out = opening_hours(
        WeeklyHours([], place), clinic.exceptions, place, minutes_down(start), minutes_down(end)
    ).rooms_out
    return [
        Taken(
            next(
                unit.id
                for unit in need.units
                if unit.id not in taken
                and not overlapping(
                    out.get(unit.room_id or unit.id, []), minutes_down(start), minutes_down(end)
                )
            ),
            start,
            end,
        )
        for need in needs(clinic.offer, place, clinic.units, room_id=seen.room_id)
    ]


def _noon(on: date) -> datetime:
    return datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
