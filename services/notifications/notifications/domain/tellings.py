"""What follows from an appointment: one piece of news for one person, to be told once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from notifications.domain.facts import AnyFacts, Facts
from notifications.domain.local_time import zone_of
from notifications.domain.news import News, Party, news_of
from notifications.domain.preferences import Recipient
from notifications.domain.quiet_hours import disturbing_nobody
from notifications.domain.schedule import (
    ANCHORS,
    HOLDS_WHILE,
    Anchor,
    Line,
    Way,
    lines_at_once,
    lines_later,
)
from shared.events.booking import AppointmentEvent

_AT_LEAST = timedelta(hours=1)
_AT_MOST = timedelta(days=3)
_AFTERWARDS = timedelta(days=1)

Recipients = Mapping[Party, Recipient]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The appointment that a telling holds for, as it was when it was planned."""

    id: UUID
    version: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One message; ``due_at`` is None for at once."""

    dedupe_key: str
    """Without a version: an appointment is confirmed once, however often it is changed."""
    news: News
    way: Way
    party: Party
    recipient_id: UUID
    about: About | None
    facts: AnyFacts
    due_at: datetime | None
    expires_at: datetime

    @property
    def id(self) -> UUID:
        """The same each time that the same thing is planned."""
        return uuid5(NAMESPACE_OID, f"medic:{self.dedupe_key}")


def tellings_at_once(
    appointment: AppointmentEvent, facts: Facts, recipients: Recipients
) -> list[Telling]:
    """For both parties, or nothing."""
    news = news_of(appointment)
    if news is None:
        return []
    about = About(id=appointment.id, version=appointment.version, status=appointment.status)
    return [
        _telling(line, way, about, facts, None, useful_until(appointment))
        for line in lines_at_once(news)
        for way in recipients[line.party].ways(line)
    ]


def tellings_later(
    about: About,
    facts: Facts,
    *,
    own: Sequence[Line] | None,
    recipients: Recipients,
    now: datetime,
) -> list[Telling]:
    """What is to be told at its time while the appointment stays as it is.

    ``own`` are the lines of the appointment type, if it has some. A time that is over is not made
    up for, but for what is said after the visit.
    """
    planned: list[Telling] = []
    for party, recipient in recipients.items():
        lines = lines_later(own)
        others = [line for line in lines if line.party is party and line.news is not News.REMINDER]
        for line in [*recipient.reminders(lines, party), *others]:
            if about.status not in HOLDS_WHILE[line.news]:
                continue
            times = _times(line, facts, recipient)
            if times is None:
                continue
            due_at, expires_at = times
            in_time = expires_at if ANCHORS[line.news] is Anchor.END else due_at
            if in_time <= now:
                continue
            planned += [
                _telling(line, way, about, facts, due_at, expires_at)
                for way in recipient.ways(line)
            ]
    return planned


def useful_until(appointment: AppointmentEvent) -> datetime:
    """Until the appointment begins, but for at least an hour and at most three days.

    The news counts from when it happened: a history that is replayed into an empty database tells
    nobody what was so weeks ago.
    """
    happened_at = appointment.change.at
    return min(max(appointment.start, happened_at + _AT_LEAST), happened_at + _AT_MOST)


def _times(line: Line, facts: Facts, recipient: Recipient) -> tuple[datetime, datetime] | None:
    """When the line is due, and until when it is of use: of the notice that it gives at least a
    quarter must be left; after the visit it may be a day late."""
    anchor = _anchor(line, facts)
    if anchor is None:
        return None
    try:
        due_at = anchor + line.offset
        latest = due_at + _AFTERWARDS if line.offset > timedelta() else anchor + line.offset / 4
    except OverflowError:
        return None
    if not line.news.can_wait:
        return due_at, latest
    zone = zone_of(recipient.preferences.timezone, recipient.timezone, _zone(line.party, facts))
    quiet = recipient.preferences.quiet
    return disturbing_nobody(due_at, latest=latest, quiet=quiet, zone=zone), latest


def _anchor(line: Line, facts: Facts) -> datetime | None:
    match ANCHORS[line.news]:
        case Anchor.START:
            return facts.start
        case Anchor.END:
            return facts.end
        case _:
            return facts.pending_expires_at


def _zone(party: Party, facts: Facts) -> str:
    return facts.patient_timezone if party is Party.PATIENT else facts.provider_timezone


def _telling(
    line: Line,
    way: Way,
    about: About,
    facts: Facts,
    due_at: datetime | None,
    expires_at: datetime,
) -> Telling:
    # The line's own first channel names the message, whatever the recipient leaves of the way.
    first = next(each for each in line.ways if set(way) <= set(each))[0]
    key = f"{about.id}:{line.news}:{line.party}:{first}"
    minutes = round(line.offset / timedelta(minutes=1))
    return Telling(
        dedupe_key=f"{key}:{minutes}" if minutes else key,
        news=line.news,
        way=way,
        party=line.party,
        recipient_id=facts.patient_id if line.party is Party.PATIENT else facts.provider_id,
        about=about,
        facts=facts,
        due_at=due_at,
        expires_at=expires_at,
    )
