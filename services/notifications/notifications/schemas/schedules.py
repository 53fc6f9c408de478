"""When people are told of the appointments of one type."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from notifications.domain.news import ChannelName, News, Party
from notifications.domain.schedule import WORDINGS, Line
from shared.fields import Answer, Body, Instant, Whole, wrong

Kind = Literal["reminder", "request_expires", "thanks", "feedback"]
_BEFORE = (News.REMINDER, News.REQUEST_EXPIRES)
_MINUTE = timedelta(minutes=1)


def _no_two(channels: list[str]) -> list[str]:
    if len(set(channels)) < len(channels):
        raise wrong("REPEATED", "Must not name anything twice.")
    return channels


class LineIn(Body):
    kind: Kind
    party: Literal["patient", "provider"] = "patient"
    channels: Annotated[
        list[Literal["email", "sms", "push", "in_app"]],
        Field(min_length=1, max_length=4),
        AfterValidator(_no_two),
    ]
    """The first that reaches the recipient is used."""
    minutes: Annotated[int, Whole(5, 43_200)]
    """Of a reminder before the start, of ``request_expires`` before that, else after the end."""

    @model_validator(mode="after")
    def _is_told(self) -> Self:
        if (News(self.kind), Party(self.party)) not in WORDINGS:
            raise wrong("NOT_TOLD", "This is told to patients only.")
        return self

    def line(self) -> Line:
        news = News(self.kind)
        return Line(
            news,
            Party(self.party),
            (tuple(ChannelName(each) for each in self.channels),),
            _MINUTE * (-self.minutes if news in _BEFORE else self.minutes),
        )


class ScheduleIn(Body):
    """All that is told later of appointments of this type; what is told at once never changes."""

    lines: Annotated[list[LineIn], Field(max_length=12)]

    @model_validator(mode="after")
    def _told_once(self) -> Self:
        keys = [(each.kind, each.party, each.minutes, each.channels[0]) for each in self.lines]
        if len(set(keys)) < len(keys):
            raise wrong("REPEATED", "The same is told twice at one time over one channel.")
        return self


class LineOut(Answer):
    kind: str
    party: str
    channels: list[str]
    minutes: int


class ScheduleOut(Answer):
    provider_id: UUID
    service_id: UUID
    is_default: bool
    lines: list[LineOut]
    updated_at: Instant | None
    """Null for the default."""

    @staticmethod
    def lines_of(lines: list[Line]) -> list[LineOut]:
        return [
            LineOut(
                kind=line.news,
                party=line.party,
                channels=[each.value for each in way],
                minutes=abs(round(line.offset / _MINUTE)),
            )
            for line in lines
            for way in line.ways
        ]
