"""What a provider of the demonstration is made of; every id follows from its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.use_cases.appointment_types import NewAppointmentType
from availability.use_cases.exceptions import NewException
from availability.use_cases.locations import NewLocation, NewRoom
from availability.use_cases.providers import NewProvider
from availability.use_cases.resources import NewResource
from availability.use_cases.rules import NewBreak, NewRule

EVERY_DAY = range(1, 8)
WORKING_DAYS = range(1, 6)
WEEKEND = (6, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """All that one provider sets up."""

    provider: NewProvider
    locations: Sequence[tuple[NewLocation, Sequence[NewRoom]]]
    resources: Sequence[NewResource] = ()
    services: Sequence[NewAppointmentType]
    rules: Sequence[NewRule]
    exceptions: Sequence[NewException] = ()


def named(path: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"https://example.org/clinic/{path}")


def week(
    provider: str,
    name: str,
    timezone: str,
    weekdays: Sequence[int],
    start: str,
    end: str,
    *,
    every: int = 30,
    coffee: str | None = None,
    mode: Mode | None = None,
    service: UUID | None = None,
    priority: int = 0,
) -> list[NewRule]:
    """The same window on several days, with half an hour's break from ``coffee`` on."""
    breaks = []
    if coffee is not None:
        began = _minute(coffee)
        breaks.append(NewBreak(start_minute=began, end_minute=began + 30, label="Break"))
    return [
        NewRule(
            id=named(f"{provider}/{name}/{weekday}"),
            timezone=timezone,
            weekday=weekday,
            start_minute=_minute(start),
            end_minute=_minute(end),
            slot_interval_minutes=every,
            scope_mode=mode,
            scope_appointment_type_id=service,
            priority=priority,
            breaks=breaks,
        )
        for weekday in weekdays
    ]


def one_off(
    provider: str,
    timezone: str,
    today: date,
    days_ahead: int,
    start: str,
    end: str,
    kind: ExceptionKind,
    reason: str,
) -> NewException:
    def at(clock: str) -> datetime:
        on = today + timedelta(days=days_ahead)
        local = datetime.combine(on, time.fromisoformat(clock), ZoneInfo(timezone))
        return local.astimezone(UTC)

    return NewException(
        id=named(f"{provider}/{kind.value}/{reason}"),
        kind=kind,
        starts_at=at(start),
        ends_at=at(end),
        reason=reason,
    )


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
