"""How somebody wants to be told."""

from typing import Annotated, Literal, Self
from uuid import UUID

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, Field, model_validator

from notifications.domain.news import Category, ChannelName
from notifications.domain.preferences import CHOICES, Preferences
from notifications.domain.quiet_hours import QuietHours
from notifications.use_cases.preferences import Set
from shared.fields import Answer, Body, Instant, Language, LocalTime, Whole, ZoneId, wrong


def _known_language(tag: str) -> str:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        raise wrong("UNKNOWN_LANGUAGE", "There is no such language.") from None
    return tag


def _no_two(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise wrong("REPEATED", "Must not name anything twice.")
    return values


ChannelChoice = Literal["email", "sms", "push"]
Channels = Annotated[list[ChannelChoice], Field(max_length=len(CHOICES))]
ReminderMinutes = Annotated[
    list[Annotated[int, Whole(5, 10_080)]], Field(max_length=5), AfterValidator(_no_two)
]
KnownLanguage = Annotated[Language, AfterValidator(_known_language)]


class ChannelsIn(Body):
    """Only these channels are used, besides the inbox, which has everything; null follows the
    person's profile."""

    appointments: Channels | None = None
    reminders: Channels | None = None
    after_visit: Channels | None = None
    operations: Channels | None = None


class QuietHoursIn(Body):
    """Over midnight when the end is the earlier one; on the wall clock of the person's zone."""

    start: LocalTime
    end: LocalTime

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.start == self.end:
            raise wrong("EMPTY", "The end must differ from the start.")
        return self


class PreferencesIn(Body):
    """All preferences at once; null, or left out, means the default."""

    channels: ChannelsIn = ChannelsIn()
    reminder_minutes: ReminderMinutes | None = None
    """How long before an appointment its reminders come; none for an empty list."""
    quiet_hours: QuietHoursIn | None = None
    """Reminders and what comes after a visit are not sent then; everything else is."""
    language: KnownLanguage | None = None
    timezone: ZoneId | None = None

    def preferences(self) -> Preferences:
        quiet = self.quiet_hours
        chosen = {category: getattr(self.channels, category) for category in Category}
        return Preferences(
            channels={
                category: frozenset(ChannelName(each) for each in names)
                for category, names in chosen.items()
                if names is not None
            },
            reminder_minutes=None
            if self.reminder_minutes is None
            else tuple(sorted(self.reminder_minutes, reverse=True)),
            quiet=QuietHours(quiet.start, quiet.end) if quiet else None,
            language=self.language,
            timezone=self.timezone,
        )


class ChannelsOut(Answer):
    appointments: list[ChannelChoice]
    reminders: list[ChannelChoice]
    after_visit: list[ChannelChoice]
    operations: list[ChannelChoice]


class QuietHoursOut(Answer):
    start: LocalTime
    end: LocalTime


class PreferencesOut(Answer):
    """What holds for the user now; where they have set nothing, their profile's or the default."""

    user_id: UUID
    channels: ChannelsOut
    reminder_minutes: list[int] | None
    """Null: as each appointment type has it."""
    quiet_hours: QuietHoursOut | None
    language: str
    timezone: str
    updated_at: Instant | None
    """Null while the user has set nothing."""

    @classmethod
    def of(cls, user_id: UUID, held: Set) -> Self:
        preferences = held.recipient.preferences
        return cls(
            user_id=user_id,
            channels=ChannelsOut.model_validate(
                {
                    category.value: [
                        each.value for each in CHOICES if each in held.recipient.allowed(category)
                    ]
                    for category in Category
                }
            ),
            reminder_minutes=None
            if preferences.reminder_minutes is None
            else list(preferences.reminder_minutes),
            quiet_hours=preferences.quiet
            and QuietHoursOut(start=preferences.quiet.start, end=preferences.quiet.end),
            language=preferences.language or held.language,
            timezone=preferences.timezone or held.recipient.timezone or "UTC",
            updated_at=held.updated_at,
        )
