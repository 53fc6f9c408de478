"""Who is told what, when and over which channels, unless somebody has set it otherwise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from notifications.domain.news import ChannelName, News, Party

Way = tuple[ChannelName, ...]
"""One message: over the first channel that reaches the recipient, else over the next one."""


class Anchor(StrEnum):
    """From which instant of the appointment an offset counts."""

    EVENT = "event"
    START = "start"
    END = "end"
    REQUEST_END = "request_end"


@dataclass(frozen=True, slots=True)
class Line:
    """``offset`` counts from the news' anchor; it is negative before it."""

    news: News
    party: Party
    ways: tuple[Way, ...]
    offset: timedelta = timedelta()
    is_on: bool = True


ANCHORS = {
    News.REQUEST_EXPIRES: Anchor.REQUEST_END,
    News.REMINDER: Anchor.START,
    News.THANKS: Anchor.END,
    News.FEEDBACK: Anchor.END,
}
"""All other news is told at once."""

HOLDS_WHILE = {
    News.REQUEST_EXPIRES: frozenset({"pending"}),
    News.REMINDER: frozenset({"confirmed"}),
    News.THANKS: frozenset({"confirmed", "completed"}),
    News.FEEDBACK: frozenset({"confirmed", "completed"}),
}
"""The statuses of the appointment in which what is told later is still true."""

_PATIENT, _PROVIDER = Party.PATIENT, Party.PROVIDER
_MAIL: Way = (ChannelName.EMAIL,)
_PHONE: Way = (ChannelName.SMS, ChannelName.EMAIL)
_AT_ONCE: tuple[Way, ...] = (_MAIL, (ChannelName.IN_APP,), (ChannelName.PUSH,))
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

# Everybody has an inbox; push messages go to those who have a device.
DEFAULTS: tuple[Line, ...] = (
    Line(News.REQUESTED, _PATIENT, _AT_ONCE),
    Line(News.REQUESTED, _PROVIDER, _AT_ONCE),
    Line(News.REQUEST_EXPIRES, _PATIENT, _AT_ONCE, -1 * _HOUR),
    Line(News.REQUEST_EXPIRED, _PATIENT, _AT_ONCE),
    Line(News.REQUEST_EXPIRED, _PROVIDER, _AT_ONCE),
    Line(News.REJECTED, _PATIENT, _AT_ONCE),
    Line(News.REJECTED, _PROVIDER, _AT_ONCE),
    Line(News.CONFIRMED, _PATIENT, _AT_ONCE),
    Line(News.CONFIRMED, _PROVIDER, _AT_ONCE),
    Line(News.RESCHEDULED, _PATIENT, _AT_ONCE),
    Line(News.RESCHEDULED, _PROVIDER, _AT_ONCE),
    Line(News.CANCELLED, _PATIENT, _AT_ONCE),
    Line(News.CANCELLED, _PROVIDER, _AT_ONCE),
    Line(News.REMINDER, _PATIENT, (_MAIL,), -24 * _HOUR),
    Line(News.REMINDER, _PATIENT, (_PHONE, (ChannelName.PUSH,)), -2 * _HOUR),
    Line(News.REMINDER, _PATIENT, (_PHONE,), -15 * _MINUTE, is_on=False),
    Line(News.THANKS, _PATIENT, (_MAIL,), 1 * _HOUR, is_on=False),
    Line(News.FEEDBACK, _PATIENT, (_MAIL,), 24 * _HOUR, is_on=False),
    Line(News.CONFLICT_FOUND, _PROVIDER, _AT_ONCE),
    Line(News.CALENDAR_BROKEN, _PROVIDER, _AT_ONCE),
    Line(News.WEBHOOK_DISABLED, _PROVIDER, _AT_ONCE),
)

WORDINGS = frozenset((line.news, line.party) for line in DEFAULTS) | {(News.REMINDER, _PROVIDER)}
"""What can be told to whom; each has a template."""


def lines_at_once(news: News) -> list[Line]:
    """What is told of it now; nobody can switch this off, only choose the channels."""
    return [line for line in DEFAULTS if line.news is news]


def lines_later(own: Sequence[Line] | None) -> list[Line]:
    """What is told at an offset: the appointment type's ``own`` lines where it has some."""
    lines: Iterable[Line] = DEFAULTS if own is None else own
    return [line for line in lines if line.news in ANCHORS and line.is_on]
