"""Which change of an appointment is news, and for how long."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifications.domain.facts import Facts
from notifications.domain.news import News, Party, news_of
from notifications.domain.preferences import Recipient
from notifications.domain.schedule import WORDINGS
from notifications.domain.tellings import Telling, tellings_at_once, useful_until
from shared.events.booking import (
    AppointmentEvent,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingHeld,
    BookingNoShow,
    BookingRequested,
    BookingRescheduled,
)

from .builders import PATIENT, PROVIDER, an_appointment

ANYBODY = {party: Recipient() for party in Party}
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def tellings(appointment: AppointmentEvent) -> list[Telling]:
    """To people who have set nothing."""
    return tellings_at_once(appointment, Facts.of(appointment), ANYBODY)


def by_mail(appointment: AppointmentEvent) -> list[Telling]:
    return [each for each in tellings(appointment) if each.way == ("email",)]


@pytest.mark.parametrize(
    ("kind", "given", "news"),
    [
        (BookingHeld, {}, None),
        (BookingRequested, {}, News.REQUESTED),
        (BookingConfirmed, {}, News.CONFIRMED),
        (BookingConfirmed, {"rescheduled_from": uuid4()}, News.RESCHEDULED),
        (BookingRescheduled, {"rescheduled_from": uuid4()}, News.RESCHEDULED),
        (BookingCompleted, {}, None),
        (BookingNoShow, {}, None),
        (BookingCancelled, {"cause": "patient"}, News.CANCELLED),
        (BookingCancelled, {"cause": "provider"}, News.CANCELLED),
        (BookingCancelled, {"cause": "system"}, News.CANCELLED),
        (BookingCancelled, {"cause": "rejected"}, News.REJECTED),
        (BookingCancelled, {"cause": "pending_expired"}, News.REQUEST_EXPIRED),
        (BookingCancelled, {"cause": "rescheduled"}, None),
        (BookingCancelled, {"cause": "hold_released"}, None),
        (BookingCancelled, {"cause": "hold_expired"}, None),
    ],
)
def test_what_is_news(kind, given, news) -> None:
    assert news_of(an_appointment(kind, **given)) is news


@pytest.mark.parametrize("cause", ["patient", "provider", "system"])
def test_the_end_of_a_mere_hold_is_no_news(cause: str) -> None:
    ended = an_appointment(BookingCancelled, cause=cause, hold_expires_at=NOW)

    assert tellings(ended) == []


def test_each_party_is_told_once_whatever_the_version() -> None:
    first = an_appointment(BookingConfirmed, version=2)
    later = first.model_copy(update={"version": 7})

    told, again = by_mail(first), by_mail(later)

    assert [(each.party, each.recipient_id) for each in told] == [
        (Party.PATIENT, PATIENT),
        (Party.PROVIDER, PROVIDER),
    ]
    assert [each.dedupe_key for each in told] == [each.dedupe_key for each in again]
    assert told[0].dedupe_key != told[1].dedupe_key


def test_different_news_of_one_appointment_never_share_a_key() -> None:
    confirmed = an_appointment(BookingConfirmed)
    cancelled = an_appointment(BookingCancelled, id=confirmed.id)

    keys = {each.dedupe_key for each in [*by_mail(confirmed), *by_mail(cancelled)]}

    assert len(keys) == 4


@pytest.mark.parametrize(
    ("starts_in", "useful_for"),
    [
        (timedelta(hours=-1), timedelta(hours=1)),
        (timedelta(minutes=10), timedelta(hours=1)),
        (timedelta(hours=5), timedelta(hours=5)),
        (timedelta(days=30), timedelta(days=3)),
    ],
)
def test_news_is_useful_until_the_start_within_bounds(
    starts_in: timedelta, useful_for: timedelta
) -> None:
    appointment = an_appointment(start=NOW + starts_in, happened_at=NOW)

    assert useful_until(appointment) == NOW + useful_for


def test_the_job_keeps_neither_contacts_nor_what_the_visit_is_for() -> None:
    kept = str([each.facts.stored for each in tellings(an_appointment())])

    assert "@" not in kept
    assert "HIV" not in kept


def test_every_news_has_a_wording_for_everybody_whom_it_is_told() -> None:
    from notifications.templating import TEMPLATES

    written = {path.name for path in TEMPLATES.glob("*_p*.jinja")}

    assert written == {f"{news}_{party}.jinja" for news, party in WORDINGS}
