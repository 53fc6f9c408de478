"""When people are told, by the table and by their own wishes: pure arithmetic."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.domain.facts import Facts
from notifications.domain.news import Category, ChannelName, News, Party
from notifications.domain.preferences import Preferences, Recipient
from notifications.domain.quiet_hours import QuietHours
from notifications.domain.schedule import ANCHORS, DEFAULTS, Line, lines_later
from notifications.domain.tellings import About, Telling, tellings_at_once, tellings_later
from notifications.schedules import as_json, lines_of
from shared.events.booking import BookingConfirmed

from .builders import an_appointment, some_facts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
START = NOW + timedelta(days=5)
HOUR = timedelta(hours=1)
PATIENT, PROVIDER = Party.PATIENT, Party.PROVIDER
EMAIL, SMS, PUSH = ChannelName.EMAIL, ChannelName.SMS, ChannelName.PUSH


def later(
    *,
    status: str = "confirmed",
    start: datetime = START,
    own: list[Line] | None = None,
    now: datetime = NOW,
    recipients: dict[Party, Recipient] | None = None,
    **facts: Any,
) -> list[Telling]:
    return tellings_later(
        About(id=uuid4(), version=2, status=status),
        some_facts(start=start, **facts),
        own=own,
        recipients=recipients or {party: Recipient() for party in Party},
        now=now,
    )


def patient(**preferences: Any) -> dict[Party, Recipient]:
    return {PATIENT: Recipient(preferences=Preferences(**preferences))}


def times(tellings: list[Telling]) -> list[tuple[News, Party, timedelta, tuple[str, ...]]]:
    return [
        (each.news, each.party, each.due_at - START, each.way) for each in tellings if each.due_at
    ]


def test_by_default_patients_are_reminded_a_day_and_two_hours_before() -> None:
    assert times(later()) == [
        (News.REMINDER, PATIENT, -24 * HOUR, (EMAIL,)),
        (News.REMINDER, PATIENT, -2 * HOUR, (SMS, EMAIL)),
    ]


def test_what_is_optional_stands_in_the_table_and_is_off() -> None:
    off = [(line.news, line.offset) for line in DEFAULTS if not line.is_on]

    assert off == [
        (News.REMINDER, timedelta(minutes=-15)),
        (News.THANKS, HOUR),
        (News.FEEDBACK, 24 * HOUR),
    ]


def test_a_patient_hears_an_hour_before_their_request_expires() -> None:
    ends = NOW + timedelta(days=1)

    told, in_app = later(status="pending", pending_expires_at=ends)

    assert (told.way, in_app.way) == ((EMAIL,), (ChannelName.IN_APP,))

    assert (told.news, told.party, told.due_at) == (News.REQUEST_EXPIRES, PATIENT, ends - HOUR)
    assert told.expires_at < ends


@pytest.mark.parametrize("status", ["held", "cancelled", "no_show", "completed"])
def test_nothing_is_planned_for_what_will_not_take_place(status: str) -> None:
    assert later(status=status) == []


@pytest.mark.parametrize(
    ("ahead", "reminders"),
    [(timedelta(days=2), 2), (24 * HOUR, 1), (3 * HOUR, 1), (2 * HOUR, 0), (-HOUR, 0)],
)
def test_a_reminder_whose_time_is_over_is_not_made_up_for(ahead: timedelta, reminders: int) -> None:
    assert len(later(start=NOW + ahead)) == reminders


def test_an_appointment_type_may_have_times_of_its_own() -> None:
    own = [
        Line(News.REMINDER, PATIENT, ((PUSH, SMS),), -3 * HOUR),
        Line(News.REMINDER, PROVIDER, ((EMAIL,),), -1 * HOUR),
        Line(News.THANKS, PATIENT, ((EMAIL,),), HOUR),
    ]

    told = later(own=lines_of(as_json(own)))

    assert [(each.news, each.party, each.way) for each in told] == [
        (News.REMINDER, PATIENT, (SMS,)),  # nobody has a device yet
        (News.THANKS, PATIENT, (EMAIL,)),
        (News.REMINDER, PROVIDER, (EMAIL,)),
    ]
    assert later(own=[]) == []


def test_after_the_visit_is_said_also_when_it_is_completed_late() -> None:
    own = [Line(News.THANKS, PATIENT, ((EMAIL,),), HOUR)]
    end = NOW - 5 * HOUR

    [told] = later(own=own, status="completed", start=end - HOUR, end=end)
    assert told.due_at == end + HOUR
    assert later(own=own, status="completed", start=end, end=end - timedelta(days=2)) == []


def test_people_choose_their_own_times() -> None:
    chosen = later(recipients=patient(reminder_minutes=(2880, 120, 30)))

    assert times(chosen) == [
        (News.REMINDER, PATIENT, -48 * HOUR, (EMAIL,)),
        (News.REMINDER, PATIENT, -2 * HOUR, (SMS, EMAIL)),
        (News.REMINDER, PATIENT, -HOUR / 2, (SMS, EMAIL)),
    ]
    assert later(recipients=patient(reminder_minutes=())) == []
    asked = {PROVIDER: Recipient(preferences=Preferences(reminder_minutes=(60,)))}
    assert [each.party for each in later(recipients=asked)] == [PROVIDER]


def test_people_choose_their_channels() -> None:
    by_sms = later(recipients=patient(channels={Category.REMINDERS: frozenset({SMS})}))
    assert times(by_sms) == [(News.REMINDER, PATIENT, -2 * HOUR, (SMS,))]

    by_profile = {PATIENT: Recipient(reachable_by=frozenset({EMAIL}))}
    assert [each.way for each in later(recipients=by_profile)] == [(EMAIL,), (EMAIL,)]

    nobody = {party: Recipient(reachable_by=frozenset()) for party in Party}
    confirmed = an_appointment(BookingConfirmed)
    told = tellings_at_once(confirmed, Facts.of(confirmed), nobody)
    assert {each.way for each in told} <= {(ChannelName.IN_APP,)}


def test_one_message_has_one_name_whatever_the_recipient_leaves_of_its_channels() -> None:
    everything = later()
    about = About(id=everything[0].about.id, version=3, status="confirmed")  # type: ignore[union-attr]
    by_mail = tellings_later(
        about,
        some_facts(start=START),
        own=None,
        recipients={PATIENT: Recipient(reachable_by=frozenset({EMAIL}))},
        now=NOW,
    )

    assert [each.id for each in by_mail] == [each.id for each in everything]
    assert len({each.id for each in everything}) == 2


@given(
    minutes=st.lists(st.integers(5, 10_080), max_size=5, unique=True),
    start=st.times(),
    end=st.times(),
    starts_in=st.timedeltas(timedelta(), timedelta(days=9)),
)
def test_reminders_come_in_time_and_not_by_night(
    minutes: list[int], start: time, end: time, starts_in: timedelta
) -> None:
    if start == end:
        return
    quiet = QuietHours(start, end)

    told = later(
        start=NOW + starts_in,
        recipients=patient(reminder_minutes=tuple(minutes), quiet=quiet),
    )

    for each in told:
        assert each.due_at is not None
        assert NOW < each.due_at < each.expires_at < NOW + starts_in


def test_every_line_has_one_way_that_needs_no_telephone() -> None:
    for line in DEFAULTS:
        assert any(EMAIL in way for way in line.ways)
        assert (line.offset != timedelta()) == (line.news in ANCHORS)
    assert lines_later(None) == [
        line for line in DEFAULTS if line.is_on and line.offset != timedelta()
    ]
