"""What can be watched and by whom, and how several changes become one."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest

from notifications.realtime.changes import MOST_TIMESLOTS, Change
from notifications.realtime.channels import (
    MOST_CHANNELS,
    Channel,
    Kind,
    NotAChannel,
    channel_of,
    watched,
)
from shared.auth import Principal, Role
from shared.events.availability import AvailabilityChanged, TimeslotChange

ME = UUID("01900000-0000-7000-8000-00000000000a")
START = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize("kind", Kind)
def test_a_channel_is_what_its_name_says(kind: Kind) -> None:
    channel = Channel(kind, ME)

    assert channel_of(channel.name) == channel
    assert channel_of(channel.name.upper()) == channel


@pytest.mark.parametrize(
    "name",
    [
        "",
        "user",
        f"user.{ME}",
        f"user.{ME}.availability",
        f"user.{ME}.bookings ",
        f" user.{ME}.bookings",
        f"user.{ME}.bookings\n",
        f"user.{ME.hex}.bookings",
        f"user.{{{ME}}}.bookings",
        "user.*.bookings",
        f"provider.{ME}.schedule",
        f"clinic.{ME}.bookings",
        f"private-user.{ME}.bookings",
        f"user.{ME}.bookings;DROP TABLE",
        "user.١٢٣٤٥٦٧٨-0000-7000-8000-00000000000a.bookings",
        "x" * 10_000,
    ],
)
def test_anything_else_is_no_channel(name: str) -> None:
    with pytest.raises(NotAChannel):
        channel_of(name)


def test_a_list_names_each_channel_once_and_not_too_many() -> None:
    names = [Channel(Kind.AVAILABILITY, uuid4()).name for _ in range(MOST_CHANNELS)]

    assert watched(",".join([*names[:2], names[0]])).names == names[:2]
    assert len(watched(",".join(names)).channels) == MOST_CHANNELS
    for text in ("", ",", f"{names[0]},", ",".join([*names, names[0]]), ",".join(names * 500)):
        with pytest.raises(NotAChannel):
            watched(text)


@pytest.mark.parametrize(("kind", "role", "is_mine"), [*product(Kind, Role, (True, False))])
def test_who_may_watch_what(kind: Kind, role: Role, is_mine: bool) -> None:
    user = Principal(ME if is_mine else uuid4(), role)

    allowed = Channel(kind, ME).may_be_watched_by(user)

    owner = {Kind.USER_BOOKINGS: Role.PATIENT, Kind.PROVIDER_BOOKINGS: Role.PROVIDER}
    assert allowed == (
        kind is Kind.AVAILABILITY or role is Role.ADMIN or (is_mine and role is owner[kind])
    )


def a_change(*ids: str, version: int = 1, status: str = "booked", at: datetime = START) -> Change:
    return Change.of(
        AvailabilityChanged(
            provider_id=ME,
            version=version,
            start=at,
            end=at + timedelta(hours=1),
            is_complete=True,
            timeslots=[
                TimeslotChange(
                    timeslot_id=each, service_id=ME, start=at, status=status, capacity_left=0
                )
                for each in ids
            ],
        )
    )


def test_of_two_changes_of_a_timeslot_the_later_is_told() -> None:
    later = a_change("a", "b", version=2, status="available", at=START + timedelta(hours=2))

    both = a_change("a", "c").followed_by(later)

    told = both.messages(str(ME))
    assert [(event, data.get("timeslotId"), data.get("status")) for event, data in told] == [
        ("timeslot.updated", "a", "available"),
        ("timeslot.updated", "c", "booked"),
        ("timeslot.updated", "b", "available"),
        ("availability.changed", None, None),
    ]
    assert told[-1][1] == {
        "providerId": str(ME),
        "version": 2,
        "start": "2026-11-24T07:30:00.000Z",
        "end": "2026-11-24T10:30:00.000Z",
        "isComplete": True,
    }


def test_a_change_that_comes_late_is_not_believed_in_its_details() -> None:
    both = a_change("a", version=5, status="booked").followed_by(a_change("a", version=4))

    [(event, data)] = both.messages(str(ME))
    assert (event, data["version"], data["isComplete"]) == ("availability.changed", 5, False)


def test_many_timeslots_are_not_named() -> None:
    many = [f"slot {number}" for number in range(MOST_TIMESLOTS + 1)]

    assert len(a_change(*many[1:]).messages(str(ME))) == MOST_TIMESLOTS + 1
    assert len(a_change(*many).messages(str(ME))) == 1
    assert len(a_change(*many[1:]).followed_by(a_change(many[0], version=2)).messages("x")) == 1


def test_a_change_at_any_time_stays_one() -> None:
    anytime = Change(version=2, start=None, end=None, timeslots=None)

    for both in (a_change("a").followed_by(anytime), anytime.followed_by(a_change("a", version=3))):
        assert (both.start, both.end, both.timeslots) == (None, None, None)
