"""What somebody wants to be told, by which ways and when; whatever is not set follows a default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any, Self

from notifications.domain.news import Category, ChannelName, News, Party
from notifications.domain.quiet_hours import QuietHours
from notifications.domain.schedule import Line, Way

CHOICES = (ChannelName.EMAIL, ChannelName.SMS, ChannelName.PUSH)
"""What can be switched off; the inbox cannot, so that nobody misses what they must know."""

_SHORT_NOTICE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Preferences:
    channels: Mapping[Category, frozenset[ChannelName]] = field(default_factory=dict)
    """For each category that is set, the allowed ones of ``CHOICES``."""
    reminder_minutes: tuple[int, ...] | None = None
    """How long before the start reminders come, instead of the appointment type's times."""
    quiet: QuietHours | None = None
    language: str | None = None
    timezone: str | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self:
        """From what ``as_json`` has written; channels and categories of a newer release are
        read over."""
        kept = stored or {}
        quiet, minutes = kept.get("quiet"), kept.get("reminder_minutes")
        return cls(
            channels={
                category: frozenset(each for each in CHOICES if each in kept["channels"][category])
                for category in Category
                if category in kept.get("channels", {})
            },
            reminder_minutes=None if minutes is None else tuple(minutes),
            quiet=quiet and QuietHours(*(time.fromisoformat(each) for each in quiet)),
            language=kept.get("language"),
            timezone=kept.get("timezone"),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "channels": {
                category.value: sorted(each.value for each in allowed)
                for category, allowed in self.channels.items()
            },
            "reminder_minutes": self.reminder_minutes,
            "quiet": self.quiet and [f"{self.quiet.start:%H:%M}", f"{self.quiet.end:%H:%M}"],
            "language": self.language,
            "timezone": self.timezone,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody as far as planning has to know them."""

    preferences: Preferences = field(default_factory=Preferences)
    reachable_by: frozenset[ChannelName] = frozenset(CHOICES)
    """What they allow in their profile, for all that their preferences do not speak of."""
    has_device: bool = False
    timezone: str | None = None
    """As in their profile; the preferences' own goes first."""

    def allowed(self, category: Category) -> frozenset[ChannelName]:
        """The ones of ``CHOICES`` over which the person wants to hear of this."""
        return self.preferences.channels.get(category, self.reachable_by)

    def ways(self, line: Line) -> list[Way]:
        """Those of the line's ways that the person wants, each with what is left of it."""
        wanted = self.allowed(line.news.category) | {ChannelName.IN_APP}
        if not self.has_device:
            wanted -= {ChannelName.PUSH}
        left = [tuple(each for each in way if each in wanted) for way in line.ways]
        return [way for way in left if way]

    def reminders(self, lines: list[Line], party: Party) -> list[Line]:
        """The person's own times where they have set some, else the lines' reminders."""
        given = [line for line in lines if line.news is News.REMINDER and line.party is party]
        minutes = self.preferences.reminder_minutes
        if minutes is None:
            return given
        known = {line.offset: line.ways for line in given}
        return [
            Line(News.REMINDER, party, known.get(offset, _ways_ahead(-offset)), offset)
            for offset in (timedelta(minutes=-each) for each in minutes)
        ]


def _ways_ahead(notice: timedelta) -> tuple[Way, ...]:
    """By telephone when it is soon, and mail may be read too late."""
    if notice <= _SHORT_NOTICE:
        return ((ChannelName.SMS, ChannelName.EMAIL),)
    return ((ChannelName.EMAIL,),)
