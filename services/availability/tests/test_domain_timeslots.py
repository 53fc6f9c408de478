"""Openings become timeslots: what fits, what is taken, what is too soon or too late."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from availability.domain.capacity import Claims
from availability.domain.intervals import Interval
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

SERVICE, LOCATION, ELSEWHERE, ROOM, OTHER_ROOM = (UUID(int=n) for n in range(1, 6))
DOCTOR = Unit(UUID(int=10), Kind.STAFF)
COLLEAGUE = Unit(UUID(int=11), Kind.STAFF)
IN_ROOM = Unit(UUID(int=12), Kind.ROOM, LOCATION, ROOM)
IN_OTHER_ROOM = Unit(UUID(int=13), Kind.ROOM, LOCATION, OTHER_ROOM)
VISIT = Offer(SERVICE, Mode.IN_PERSON, duration=30)
MONDAY = date(2026, 6, 1)
NINE_TO_ELEVEN = ScheduleRule(UUID(int=20), 1, 9 * 60, 11 * 60, 30, "UTC")
YESTERDAY = datetime(2026, 5, 31, 12, tzinfo=UTC)


def at(text: str, on: date = MONDAY) -> int:
    hours, minutes = map(int, text.split(":"))
    return (
        int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp()) // 60
        + hours * 60
        + minutes
    )


def span(text: str, on: date = MONDAY) -> Interval:
    start, end = text.split("-")
    return at(start, on), at(end, on)


def timeslots(
    offer: Offer = VISIT,
    *rules: ScheduleRule,
    units: tuple[Unit, ...] = (DOCTOR,),
    claims: Mapping[UUID, Claims] | None = None,
    busy: tuple[str, ...] = (),
    exceptions: tuple[AvailabilityException, ...] = (),
    now: datetime = YESTERDAY,
    timezone: str = "UTC",
    from_on: date = MONDAY,
    to_on: date = MONDAY,
    location_id: UUID | None = LOCATION,
) -> dict[str, tuple[str, int, UUID | None]]:
    """By start: status, capacity left and room."""
    place = place_of(offer, location_id, units)
    starts = starts_in_question(offer, timezone, from_on, to_on, now)
    hours = opening_hours(
        WeeklyHours(rules or [NINE_TO_ELEVEN], place),
        exceptions,
        place,
        *span_of(offer, starts),
    )
    runs = find_timeslots(
        offer,
        grid_of(offer, place, hours, starts, units),
        starts,
        claims=claims or {},
        busy=[span(each) for each in busy],
    )
    return {
        f"{datetime.fromtimestamp(start * 60, UTC):%H:%M}": (
            standing.status,
            standing.capacity_left,
            standing.room_id,
        )
        for of_run, standing in runs
        for start in of_run
    }


def booked(*claims: str) -> Claims:
    return Claims(booked=[span(each) for each in claims])


def held(*claims: str) -> Claims:
    return Claims(held=[span(each) for each in claims])


def test_a_window_is_cut_into_starts_that_still_fit() -> None:
    assert list(timeslots()) == ["09:00", "09:30", "10:00", "10:30"]
    assert list(timeslots(replace(VISIT, duration=45))) == ["09:00", "09:30", "10:00"]


def test_buffers_must_lie_in_open_hours_and_do_not_move_the_grid() -> None:
    buffered = replace(VISIT, buffer_before=10, buffer_after=5)

    assert list(timeslots(buffered)) == ["09:30", "10:00"]


def test_an_appointment_may_run_from_one_window_into_the_next() -> None:
    evening = replace(NINE_TO_ELEVEN, start=23 * 60, end=1440)
    night = replace(NINE_TO_ELEVEN, id=UUID(int=21), weekday=2, start=0, end=60, slot_interval=20)

    found = timeslots(replace(VISIT, duration=60), evening, night)

    assert list(found) == ["23:00", "23:30"]
    assert list(timeslots(replace(VISIT, duration=60), evening)) == ["23:00"]


def test_a_break_is_not_bridged() -> None:
    rule = replace(NINE_TO_ELEVEN, breaks=(Break(9 * 60 + 50, 10 * 60),))

    assert list(timeslots(VISIT, rule)) == ["09:00", "10:00", "10:30"]


@pytest.mark.parametrize(
    ("on", "first", "last", "count"),
    [(date(2026, 3, 29), "23:30", "01:30", 5), (date(2026, 10, 25), "22:30", "02:30", 9)],
)
def test_starts_go_on_evenly_through_a_change_of_the_clock(
    on: date, first: str, last: str, count: int
) -> None:
    rule = replace(NINE_TO_ELEVEN, weekday=7, start=90, end=5 * 60, timezone="Europe/Athens")
    now = datetime(on.year, on.month, on.day, tzinfo=UTC) - timedelta(days=2)

    found = list(timeslots(VISIT, rule, timezone="Europe/Athens", from_on=on, to_on=on, now=now))

    assert (found[0], found[-1], len(found)) == (first, last, count)


def test_claims_of_neighbours_may_touch_and_their_buffers_add_up() -> None:
    buffered = replace(VISIT, buffer_before=5, buffer_after=10)
    rule = replace(NINE_TO_ELEVEN, start=8 * 60, end=12 * 60, slot_interval=5)
    neighbour = booked("09:00-09:45")

    found = timeslots(buffered, rule, claims={DOCTOR.id: neighbour})

    free = [start for start, (status, _, _) in found.items() if status == Status.AVAILABLE]
    assert "08:20" in free
    assert "08:25" not in free
    assert "09:45" not in free
    assert "09:50" in free


def test_capacity_is_what_is_free_for_the_whole_claim() -> None:
    found = timeslots(
        units=(DOCTOR, COLLEAGUE),
        claims={
            DOCTOR.id: booked("09:00-09:30"),
            COLLEAGUE.id: booked("09:15-09:45", "10:40-11:00"),
        },
    )

    assert found == {
        "09:00": (Status.BOOKED, 0, None),
        "09:30": (Status.AVAILABLE, 1, None),
        "10:00": (Status.AVAILABLE, 2, None),
        "10:30": (Status.AVAILABLE, 1, None),
    }


def test_two_halves_of_two_units_are_not_one_free_unit() -> None:
    found = timeslots(
        units=(DOCTOR, COLLEAGUE),
        claims={DOCTOR.id: booked("09:00-09:15"), COLLEAGUE.id: booked("09:15-09:30")},
    )

    assert found["09:00"] == (Status.BOOKED, 0, None)


def test_a_start_is_reserved_when_the_end_of_holds_would_free_it() -> None:
    claims = {
        DOCTOR.id: Claims(
            booked=[span("10:00-10:30")], held=[span("09:00-09:30"), span("10:20-10:40")]
        )
    }

    found = timeslots(claims=claims)

    assert {start: status for start, (status, _, _) in found.items()} == {
        "09:00": Status.RESERVED,
        "09:30": Status.AVAILABLE,
        "10:00": Status.BOOKED,
        "10:30": Status.RESERVED,
    }


def test_a_room_and_somebody_are_needed_at_the_same_time() -> None:
    units = (DOCTOR, COLLEAGUE, IN_ROOM)

    found = timeslots(units=units, claims={IN_ROOM.id: booked("09:00-09:30")})

    assert found["09:00"] == (Status.BOOKED, 0, ROOM)
    assert found["09:30"] == (Status.AVAILABLE, 1, ROOM)


def test_any_free_room_will_do_unless_the_rule_or_the_service_fixes_one() -> None:
    units = (DOCTOR, IN_ROOM, IN_OTHER_ROOM)
    claims = {IN_ROOM.id: booked("09:00-11:00")}
    in_the_room = replace(NINE_TO_ELEVEN, scope=Scope(room_id=ROOM))

    assert timeslots(units=units, claims=claims)["09:00"] == (Status.AVAILABLE, 1, None)
    assert timeslots(VISIT, in_the_room, units=units, claims=claims)["09:00"] == (
        Status.BOOKED,
        0,
        ROOM,
    )
    assert timeslots(replace(VISIT, room_id=ROOM), units=units, claims=claims)["09:00"] == (
        Status.BOOKED,
        0,
        ROOM,
    )
    assert timeslots(replace(VISIT, room_id=OTHER_ROOM), units=units, claims=claims)["09:00"] == (
        Status.AVAILABLE,
        1,
        OTHER_ROOM,
    )


def test_timeslots_of_several_rooms_come_in_order() -> None:
    rules = [
        replace(NINE_TO_ELEVEN, scope=Scope(room_id=ROOM), breaks=(Break(9 * 60 + 30, 10 * 60),)),
        replace(NINE_TO_ELEVEN, id=UUID(int=21), start=11 * 60, end=12 * 60),
        replace(NINE_TO_ELEVEN, id=UUID(int=22), start=8 * 60, end=9 * 60),
    ]

    found = timeslots(VISIT, *rules, units=(DOCTOR, IN_ROOM, IN_OTHER_ROOM))

    assert [(start, room) for start, (_, _, room) in found.items()] == [
        ("08:00", None),
        ("08:30", None),
        ("09:00", ROOM),
        ("10:00", ROOM),
        ("10:30", ROOM),
        ("11:00", None),
        ("11:30", None),
    ]


def test_a_room_out_of_use_is_not_booked_but_gone() -> None:
    repair = AvailabilityException(
        UUID(int=30), ExceptionKind.BLOCKED, *span("09:30-10:00"), Scope(room_id=ROOM)
    )

    both = timeslots(units=(DOCTOR, IN_ROOM, IN_OTHER_ROOM), exceptions=(repair,))
    with_claim = timeslots(
        units=(DOCTOR, IN_ROOM, IN_OTHER_ROOM),
        exceptions=(repair,),
        claims={IN_OTHER_ROOM.id: booked("09:30-09:40")},
    )
    only_one = timeslots(units=(DOCTOR, IN_ROOM), exceptions=(repair,))

    assert list(both) == ["09:00", "09:30", "10:00", "10:30"]
    assert with_claim["09:30"] == (Status.BOOKED, 0, None)
    assert list(only_one) == ["09:00", "10:00", "10:30"]


def test_without_any_unit_of_a_needed_kind_nothing_is_shown() -> None:
    elsewhere = Unit(UUID(int=14), Kind.EQUIPMENT, ELSEWHERE, None, "ecg")

    assert timeslots(units=()) == {}
    assert timeslots(replace(VISIT, equipment=frozenset({"ecg"})), units=(DOCTOR, elsewhere)) == {}


def test_busy_times_hide_starts_whose_claim_they_overlap() -> None:
    buffered = replace(VISIT, buffer_after=5)
    rule = replace(NINE_TO_ELEVEN, slot_interval=15)

    found = timeslots(buffered, rule, busy=("09:35-09:45",))

    assert list(found) == ["09:00", "09:45", "10:00", "10:15"]


def test_notice_counts_to_the_second() -> None:
    offer = replace(VISIT, min_notice=60)
    in_time = datetime(2026, 6, 1, 8, 30, tzinfo=UTC)

    assert next(iter(timeslots(offer, now=in_time))) == "09:30"
    assert next(iter(timeslots(offer, now=in_time + timedelta(seconds=1)))) == "10:00"
    assert next(iter(timeslots(now=datetime(2026, 6, 1, 9, tzinfo=UTC)))) == "09:00"


@pytest.mark.parametrize(
    ("now", "is_shown"),
    [
        (datetime(2026, 5, 29, 20, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 5, 29, 21, 0, tzinfo=UTC), True),
    ],
)
def test_the_last_day_counts_in_the_zone_of_the_provider(now: datetime, is_shown: bool) -> None:
    late = replace(NINE_TO_ELEVEN, start=23 * 60, end=1440, timezone="Europe/Athens")

    found = timeslots(replace(VISIT, max_future_days=2), late, now=now, timezone="Europe/Athens")

    assert list(found) == (["20:00", "20:30"] if is_shown else [])


def test_days_begin_and_end_in_the_zone_of_the_provider() -> None:
    always = replace(NINE_TO_ELEVEN, start=0, end=1440, slot_interval=60, timezone="Asia/Kathmandu")

    found = timeslots(VISIT, always, timezone="Asia/Kathmandu", now=YESTERDAY - timedelta(days=1))

    assert (min(found), max(found), len(found)) == ("00:15", "23:15", 24)
    assert next(iter(found)) == "18:15"


def test_past_days_and_reversed_days_have_no_starts() -> None:
    assert timeslots(from_on=date(2026, 5, 1), to_on=date(2026, 5, 30)) == {}
    assert timeslots(from_on=date(2026, 6, 2), to_on=MONDAY) == {}
    assert timeslots(from_on=date(9999, 1, 1), to_on=date(9999, 12, 31)) == {}


def test_video_needs_a_slot_only_where_some_are_defined() -> None:
    video = replace(VISIT, mode=Mode.VIDEO)
    slot = Unit(UUID(int=15), Kind.TELEHEALTH_SLOT)
    place = place_of(video, None, (DOCTOR, slot, IN_ROOM))

    assert [need.kind for need in needs(video, place, (DOCTOR, IN_ROOM))] == [Kind.STAFF]
    assert [need.kind for need in needs(video, place, (DOCTOR, slot, IN_ROOM))] == [
        Kind.STAFF,
        Kind.TELEHEALTH_SLOT,
    ]


def test_staff_of_another_location_do_not_count_unless_there_is_no_location() -> None:
    away = Unit(UUID(int=18), Kind.STAFF, ELSEWHERE)

    assert timeslots(units=(DOCTOR, away))["09:00"] == (Status.AVAILABLE, 1, None)
    assert timeslots(units=(DOCTOR, away), location_id=None)["09:00"] == (
        Status.AVAILABLE,
        2,
        None,
    )


def test_equipment_is_needed_by_its_labels() -> None:
    offer = replace(VISIT, equipment=frozenset({"ecg", "laser"}))
    ecg = Unit(UUID(int=16), Kind.EQUIPMENT, None, None, "ecg")
    laser = Unit(UUID(int=17), Kind.EQUIPMENT, LOCATION, None, "laser")
    units = (DOCTOR, ecg, laser)

    found = needs(offer, place_of(offer, LOCATION, units), units)

    assert [need.units for need in found] == [(DOCTOR,), (ecg,), (laser,)]
