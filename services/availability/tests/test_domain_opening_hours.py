"""Who owns which minute, and where each grid begins."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from availability.domain.local_time import moment
from availability.domain.opening_hours import OpeningHours, WeeklyHours, opening_hours
from availability.domain.resources import Mode, Place
from availability.domain.schedule import (
    AvailabilityException,
    Break,
    ExceptionKind,
    ScheduleRule,
    Scope,
)

SERVICE, LOCATION, ROOM, OTHER_ROOM = (UUID(int=n) for n in range(1, 5))
BLOCKED, AVAILABLE = ExceptionKind.BLOCKED, ExceptionKind.AVAILABLE
PLACE = Place(SERVICE, Mode.IN_PERSON, LOCATION, frozenset({ROOM, OTHER_ROOM}))
MONDAY = date(2026, 6, 1)


def minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def a_rule(
    window: str,
    *,
    number: int = 100,
    on: date = MONDAY,
    interval: int = 15,
    timezone: str = "UTC",
    breaks: tuple[str, ...] = (),
    scope: Scope = Scope(),
    priority: int = 0,
    effective_from: date | None = None,
    effective_to: date | None = None,
    created_order: int = 0,
) -> ScheduleRule:
    start, end = window.split("-")
    return ScheduleRule(
        UUID(int=number),
        on.isoweekday(),
        minute(start),
        minute(end),
        interval,
        timezone,
        tuple(a_break(each) for each in breaks),
        scope,
        priority,
        effective_from,
        effective_to,
        created_order,
    )


def a_break(window: str) -> Break:
    start, end = window.split("-")
    return Break(minute(start), minute(end))


def an_exception(
    kind: ExceptionKind, window: str, *, number: int = 200, scope: Scope = Scope()
) -> AvailabilityException:
    start, end = (at(MONDAY, each) for each in window.split("-"))
    return AvailabilityException(UUID(int=number), kind, start, end, scope)


def at(on: date, text: str) -> int:
    midnight = datetime(on.year, on.month, on.day, tzinfo=UTC)
    return int(midnight.timestamp()) // 60 + minute(text)


def hours_of(
    rules: list[ScheduleRule],
    *exceptions: AvailabilityException,
    on: date = MONDAY,
    place: Place = PLACE,
) -> OpeningHours:
    day = (at(on, "00:00"), at(on, "24:00"))
    return opening_hours(WeeklyHours(rules, place), exceptions, place, *day)


def shown(hours: OpeningHours) -> list[str]:
    """When and by whom."""
    return [
        f"{moment(each.start):%H:%M}-{moment(each.end):%H:%M} {each.source_id.int}"
        for each in hours.openings
    ]


def test_breaks_divide_a_window() -> None:
    hours = hours_of([a_rule("09:00-17:00", breaks=("12:00-13:00", "15:00-15:10"))])

    assert shown(hours) == ["09:00-12:00 100", "13:00-15:00 100", "15:10-17:00 100"]
    assert [each.grid_from for each in hours.openings] == [each.start for each in hours.openings]


def test_the_higher_priority_owns_the_overlap() -> None:
    rules = [
        a_rule("09:00-17:00", number=1, created_order=1, scope=Scope(SERVICE)),
        a_rule("11:00-12:00", number=2, created_order=2, priority=1),
    ]

    assert shown(hours_of(rules)) == ["09:00-11:00 1", "11:00-12:00 2", "12:00-17:00 1"]


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        (Scope(), Scope(service_id=SERVICE)),
        (Scope(service_id=SERVICE), Scope(service_id=SERVICE, mode=Mode.IN_PERSON)),
        (Scope(location_id=LOCATION), Scope(room_id=ROOM)),
    ],
)
def test_of_equal_priority_the_more_specific_scope_owns_the_overlap(
    wider: Scope, narrower: Scope
) -> None:
    rules = [
        a_rule("09:00-12:00", number=1, created_order=1, scope=wider),
        a_rule("11:00-13:00", number=2, created_order=2, scope=narrower),
    ]

    assert shown(hours_of(rules)) == ["09:00-11:00 1", "11:00-13:00 2"]


def test_of_equal_scopes_the_older_rule_owns_the_overlap() -> None:
    rules = [
        a_rule("11:00-13:00", number=1, created_order=2),
        a_rule("09:00-12:00", number=2, created_order=1),
    ]

    assert shown(hours_of(rules)) == ["09:00-12:00 2", "12:00-13:00 1"]


def test_the_break_of_the_owner_is_closed_whatever_a_lower_rule_says() -> None:
    rules = [
        a_rule("09:00-17:00", number=1),
        a_rule("10:00-14:00", number=2, priority=1, breaks=("12:00-13:00",)),
    ]

    assert shown(hours_of(rules)) == [
        "09:00-10:00 1",
        "10:00-12:00 2",
        "13:00-14:00 2",
        "14:00-17:00 1",
    ]


def test_rules_of_two_zones_share_a_day() -> None:
    rules = [
        a_rule("00:00-24:00", number=1, timezone="Pacific/Kiritimati"),
        a_rule("08:00-09:00", number=2, timezone="America/New_York", priority=1),
    ]

    assert shown(hours_of(rules)) == ["10:00-10:00 1", "12:00-13:00 2"]
    assert shown(hours_of(rules[:1], on=date(2026, 5, 31))) == ["10:00-10:00 1"]


@pytest.mark.parametrize(
    ("scope", "is_open"),
    [
        (Scope(SERVICE, LOCATION, ROOM, Mode.IN_PERSON), True),
        (Scope(service_id=LOCATION), False),
        (Scope(location_id=SERVICE), False),
        (Scope(room_id=SERVICE), False),
        (Scope(mode=Mode.VIDEO), False),
    ],
)
def test_a_rule_counts_where_all_that_its_scope_names_is_equal(scope: Scope, is_open: bool) -> None:
    assert bool(hours_of([a_rule("09:00-12:00", scope=scope)]).openings) is is_open


def test_a_rule_for_a_room_says_nothing_about_appointments_without_one() -> None:
    by_phone = Place(SERVICE, Mode.PHONE, LOCATION)

    hours = hours_of([a_rule("09:00-12:00", scope=Scope(room_id=ROOM))], place=by_phone)

    assert hours.openings == []


@pytest.mark.parametrize(
    ("first_on", "last_on", "is_open"),
    [
        (MONDAY, MONDAY, True),
        (None, date(2026, 5, 31), False),
        (date(2026, 6, 2), None, False),
    ],
)
def test_a_rule_is_in_force_from_its_first_to_its_last_day(
    first_on: date | None, last_on: date | None, is_open: bool
) -> None:
    rule = a_rule("09:00-12:00", effective_from=first_on, effective_to=last_on)

    assert bool(hours_of([rule]).openings) is is_open


def test_windows_that_touch_at_midnight_are_joined_and_keep_their_grids() -> None:
    tuesday = date(2026, 6, 2)
    rules = [
        a_rule("20:10-24:00", number=1, timezone="Europe/Athens"),
        a_rule("00:00-02:00", number=2, on=tuesday, interval=20, timezone="Europe/Athens"),
    ]

    hours = opening_hours(
        WeeklyHours(rules, PLACE), [], PLACE, at(MONDAY, "12:00"), at(tuesday, "12:00")
    )

    assert shown(hours) == ["17:10-21:00 1", "21:00-23:00 2"]
    assert hours.joined == [(at(MONDAY, "17:10"), at(MONDAY, "23:00"))]
    assert [(each.grid_from, each.grid) for each in hours.openings] == [
        (at(MONDAY, "17:10"), 15),
        (at(MONDAY, "21:00"), 20),
    ]


def test_a_day_that_the_zone_skips_has_no_hours_and_its_neighbours_are_joined() -> None:
    days = [date(2011, 12, day) for day in (29, 30, 31)]
    rules = [a_rule("00:00-24:00", number=day.day, on=day, timezone="Pacific/Apia") for day in days]

    hours = opening_hours(
        WeeklyHours(rules, PLACE), [], PLACE, at(days[0], "12:00"), at(days[2], "09:00")
    )

    assert shown(hours) == ["10:00-10:00 29", "10:00-10:00 31"]
    assert hours.joined == [(at(days[0], "10:00"), at(days[2], "10:00"))]


@pytest.mark.parametrize(
    ("on", "window", "expected"),
    [
        (date(2026, 3, 29), "00:00-24:00", 23 * 60),
        (date(2026, 3, 29), "02:00-05:00", 2 * 60),
        (date(2026, 3, 29), "03:10-03:50", 0),
        (date(2026, 10, 25), "00:00-24:00", 25 * 60),
        (date(2026, 10, 25), "02:00-05:00", 4 * 60),
        (date(2026, 10, 25), "03:00-03:30", 30),
    ],
)
def test_a_window_on_the_day_of_a_change_is_as_long_as_the_clock_gives(
    on: date, window: str, expected: int
) -> None:
    hours = hours_of([a_rule(window, on=on, timezone="Europe/Athens")], on=on)

    assert sum(end - start for start, end in hours.joined) == expected


def test_a_blocked_exception_starts_the_grid_anew_behind_it() -> None:
    hours = hours_of([a_rule("09:00-12:00")], an_exception(BLOCKED, "09:50-10:07"))

    assert shown(hours) == ["09:00-09:50 100", "10:07-12:00 100"]
    assert hours.openings[1].grid_from == at(MONDAY, "10:07")


def test_an_available_exception_wins_over_a_blocked_one_and_over_breaks() -> None:
    rule = a_rule("09:00-12:00", breaks=("11:00-11:30",))

    hours = hours_of(
        [rule],
        an_exception(BLOCKED, "08:00-10:00", number=201),
        an_exception(AVAILABLE, "09:30-10:30", number=202),
        an_exception(AVAILABLE, "11:10-11:20", number=203),
    )

    assert shown(hours) == [
        "09:30-10:00 202",
        "10:00-11:00 100",
        "11:10-11:20 203",
        "11:30-12:00 100",
    ]


def test_an_available_exception_keeps_the_grid_of_its_own_beginning() -> None:
    hours = hours_of([a_rule("09:00-12:05")], an_exception(AVAILABLE, "11:55-14:00"))

    assert shown(hours) == ["09:00-12:05 100", "12:05-14:00 200"]
    assert hours.openings[1].grid_from == at(MONDAY, "11:55")
    assert hours.openings[1].grid == 15
    assert len(hours.joined) == 1


def test_of_two_available_exceptions_the_more_specific_one_owns_the_overlap() -> None:
    hours = hours_of(
        [],
        an_exception(AVAILABLE, "09:00-11:00", number=201),
        an_exception(AVAILABLE, "10:00-12:00", number=202, scope=Scope(service_id=SERVICE)),
    )

    assert shown(hours) == ["09:00-10:00 201", "10:00-12:00 202"]


@pytest.mark.parametrize("kind", [BLOCKED, AVAILABLE])
@pytest.mark.parametrize("scope", [Scope(ROOM), Scope(None, ROOM), Scope(None, None, SERVICE)])
def test_exceptions_of_other_scopes_change_nothing(kind: ExceptionKind, scope: Scope) -> None:
    rules = [a_rule("09:00-12:00")]

    hours = hours_of(rules, an_exception(kind, "08:00-10:00", scope=scope))

    assert hours == hours_of(rules)


def test_a_blocked_room_closes_only_the_intervals_that_fix_it() -> None:
    rules = [
        a_rule("09:00-11:00", number=1, scope=Scope(room_id=ROOM)),
        a_rule("11:00-13:00", number=2),
    ]

    hours = hours_of(rules, an_exception(BLOCKED, "10:00-12:00", scope=Scope(room_id=ROOM)))

    assert shown(hours) == ["09:00-10:00 1", "11:00-13:00 2"]
    assert hours.rooms_out == {ROOM: [(at(MONDAY, "10:00"), at(MONDAY, "12:00"))]}


def test_a_blocked_room_is_back_where_an_exception_makes_the_same_room_available() -> None:
    room = Scope(room_id=ROOM)

    hours = hours_of(
        [a_rule("09:00-17:00")],
        an_exception(BLOCKED, "09:00-12:00", number=201, scope=room),
        an_exception(AVAILABLE, "10:00-11:00", number=202, scope=room),
    )

    assert hours.rooms_out == {
        ROOM: [
            (at(MONDAY, "09:00"), at(MONDAY, "10:00")),
            (at(MONDAY, "11:00"), at(MONDAY, "12:00")),
        ]
    }


def test_a_place_without_rules_is_closed() -> None:
    assert hours_of([]) == OpeningHours([], [], {})
