"""Why an instant is not offered, reason by reason."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from availability.domain.explanations import BusyTime, Claim, Obstacle, Reason, explain
from availability.domain.opening_hours import WeeklyHours
from availability.domain.resources import Kind, Mode, Offer, Unit, place_of
from availability.domain.schedule import (
    AvailabilityException,
    Break,
    ExceptionKind,
    ScheduleRule,
    Scope,
)

SERVICE, LOCATION, ROOM, OTHER_ROOM = (UUID(int=n) for n in range(1, 5))
RULE, LUNCH, BLOCK, APPOINTMENT, BUSY = (UUID(int=n) for n in range(10, 15))
DOCTOR = Unit(UUID(int=20), Kind.STAFF)
COLLEAGUE = Unit(UUID(int=21), Kind.STAFF)
IN_ROOM = Unit(UUID(int=22), Kind.ROOM, LOCATION, ROOM)
IN_OTHER_ROOM = Unit(UUID(int=23), Kind.ROOM, LOCATION, OTHER_ROOM)
VISIT = Offer(SERVICE, Mode.IN_PERSON, 30, buffer_before=10, buffer_after=5, max_future_days=7)
NINE_TO_FIVE = ScheduleRule(RULE, 1, 9 * 60, 17 * 60, 15, "UTC", (Break(12 * 60, 13 * 60, LUNCH),))
MONDAY = date(2026, 6, 1)
YESTERDAY = datetime(2026, 5, 31, 12, tzinfo=UTC)


def at(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    midnight = datetime(MONDAY.year, MONDAY.month, MONDAY.day, tzinfo=UTC)
    return int(midnight.timestamp()) // 60 + hours * 60 + minutes


def span(text: str) -> tuple[int, int]:
    start, end = text.split("-")
    return at(start), at(end)


def obstacles(
    start: str,
    *rules: ScheduleRule,
    offer: Offer = VISIT,
    units: Iterable[Unit] = (DOCTOR,),
    exceptions: Iterable[AvailabilityException] = (),
    claims: Iterable[Claim] = (),
    busy: Iterable[BusyTime] = (),
    now: datetime = YESTERDAY,
) -> list[Obstacle]:
    place = place_of(offer, LOCATION, units)
    return explain(
        at(start),
        offer,
        place,
        WeeklyHours(rules or [NINE_TO_FIVE], place),
        exceptions=exceptions,
        units=units,
        claims=claims,
        busy=busy,
        timezone="UTC",
        now=now,
    )


def a_claim(unit: Unit, own: str, number: int = APPOINTMENT.int) -> Claim:
    start, end = span(own)
    return Claim(unit.id, UUID(int=number), start - 10, end + 5, start, end)


def a_block(window: str, scope: Scope = Scope()) -> AvailabilityException:
    return AvailabilityException(BLOCK, ExceptionKind.BLOCKED, *span(window), scope)


def test_nothing_is_in_the_way_of_an_available_start() -> None:
    assert obstacles("09:15") == []


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("08:00", [(Reason.OUTSIDE_RULES, ())]),
        ("16:45", [(Reason.OUTSIDE_RULES, ())]),
        ("09:20", [(Reason.OUTSIDE_RULES, (RULE,))]),
        ("09:00", [(Reason.BUFFER, ())]),
        ("11:45", [(Reason.BREAK, (LUNCH,))]),
        ("12:15", [(Reason.BREAK, (LUNCH,))]),
        ("13:00", [(Reason.BUFFER, (LUNCH,))]),
    ],
)
def test_hours_are_in_the_way(start: str, expected: list[Obstacle]) -> None:
    assert obstacles(start) == expected


def test_a_break_without_an_id_is_named_by_its_rule() -> None:
    rule = replace(NINE_TO_FIVE, breaks=(Break(12 * 60, 13 * 60),))

    assert obstacles("12:15", rule) == [(Reason.BREAK, (RULE,))]


def test_the_break_of_a_rule_that_does_not_own_the_minute_is_not_in_the_way() -> None:
    owner = replace(NINE_TO_FIVE, id=UUID(int=30), priority=1, breaks=())

    assert obstacles("12:15", NINE_TO_FIVE, owner) == []


def test_a_blocked_exception_is_in_the_way() -> None:
    assert obstacles("10:00", exceptions=[a_block("10:15-10:30")]) == [(Reason.EXCEPTION, (BLOCK,))]
    assert obstacles("10:15", exceptions=[a_block("10:50-11:00")]) == []
    assert obstacles("10:15", exceptions=[a_block("10:45-11:00")]) == [(Reason.BUFFER, (BLOCK,))]


def test_an_exception_of_another_service_is_not_in_the_way() -> None:
    elsewhere = Scope(service_id=UUID(int=31))

    assert obstacles("10:00", exceptions=[a_block("10:15-10:30", elsewhere)]) == []


def test_all_reasons_are_given_in_their_order() -> None:
    found = obstacles(
        "12:15",
        exceptions=[a_block("12:00-18:00")],
        claims=[a_claim(DOCTOR, "12:30-13:00")],
        busy=[BusyTime(BUSY, *span("12:20-12:25"))],
        now=datetime(2026, 6, 1, 13, tzinfo=UTC),
    )

    assert found == [
        (Reason.BREAK, (LUNCH,)),
        (Reason.EXCEPTION, (BLOCK,)),
        (Reason.CLAIMED, (APPOINTMENT,)),
        (Reason.MIN_NOTICE, ()),
        (Reason.EXTERNAL_BUSY, (BUSY,)),
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("10:15-10:45", [(Reason.CLAIMED, (APPOINTMENT,))]),
        ("09:30-10:00", [(Reason.BUFFER, (APPOINTMENT,))]),
        ("10:40-11:00", [(Reason.BUFFER, (APPOINTMENT,))]),
        ("10:45-11:00", []),
        ("09:15-09:45", []),
    ],
)
def test_an_appointment_is_in_the_way_itself_or_by_buffers(
    own: str, expected: list[Obstacle]
) -> None:
    assert obstacles("10:00", claims=[a_claim(DOCTOR, own)]) == expected


def test_claims_are_in_the_way_only_when_no_unit_is_left() -> None:
    claims = [a_claim(DOCTOR, "10:00-10:30", 40), a_claim(COLLEAGUE, "10:30-11:00", 41)]

    assert obstacles("10:00", units=[DOCTOR, COLLEAGUE], claims=claims[:1]) == []
    assert obstacles("10:00", units=[DOCTOR, COLLEAGUE], claims=claims) == [
        (Reason.CLAIMED, (UUID(int=40),)),
        (Reason.BUFFER, (UUID(int=41),)),
    ]


def test_an_appointment_that_takes_several_units_is_named_once() -> None:
    claims = [a_claim(DOCTOR, "10:00-10:30"), a_claim(IN_ROOM, "10:00-10:30")]

    found = obstacles("10:00", units=[DOCTOR, IN_ROOM], claims=claims)

    assert found == [(Reason.CLAIMED, (APPOINTMENT,))]


def test_a_kind_without_units_is_no_resource() -> None:
    with_ecg = replace(VISIT, equipment=frozenset({"ecg"}))

    assert obstacles("10:00", units=[]) == [(Reason.NO_RESOURCE, ())]
    assert obstacles("10:00", offer=with_ecg) == [(Reason.NO_RESOURCE, ())]


def test_rooms_out_of_use_are_no_resource_and_add_to_claims() -> None:
    out = [a_block("10:00-10:30", Scope(room_id=ROOM))]
    opened = AvailabilityException(UUID(int=50), ExceptionKind.AVAILABLE, *span("09:30-11:00"))
    claims = [a_claim(IN_OTHER_ROOM, "10:00-10:30")]
    both = [DOCTOR, IN_ROOM, IN_OTHER_ROOM]

    assert obstacles("10:00", units=both, exceptions=out) == []
    assert obstacles("10:00", units=both, exceptions=out, claims=claims) == [
        (Reason.EXCEPTION, (BLOCK,)),
        (Reason.CLAIMED, (APPOINTMENT,)),
    ]
    assert obstacles("10:00", units=[DOCTOR, IN_ROOM], exceptions=[*out, opened]) == [
        (Reason.NO_RESOURCE, (BLOCK,))
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 6, 1, 10, 0, 1, tzinfo=UTC), [(Reason.MIN_NOTICE, ())]),
        (datetime(2026, 6, 1, 10, 0, 0, tzinfo=UTC), []),
        (datetime(2026, 5, 25, 0, 0, 0, tzinfo=UTC), []),
        (datetime(2026, 5, 24, 23, 59, 59, tzinfo=UTC), [(Reason.MAX_FUTURE, ())]),
    ],
)
def test_an_instant_can_be_too_soon_or_too_far(now: datetime, expected: list[Obstacle]) -> None:
    assert obstacles("10:00", now=now) == expected


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("10:29-10:40", [(Reason.EXTERNAL_BUSY, (BUSY,))]),
        ("10:30-10:40", [(Reason.BUFFER, (BUSY,))]),
        ("10:35-10:40", []),
        ("09:40-09:50", []),
    ],
)
def test_an_external_busy_time_is_in_the_way(window: str, expected: list[Obstacle]) -> None:
    assert obstacles("10:00", busy=[BusyTime(BUSY, *span(window))]) == expected
