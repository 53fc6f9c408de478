"""Calendar connections, as clients see them: everything but what opens them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.events.calendar import CalendarKind
from shared.fields import Answer, Body, Flag, Id, Instant, Query, Text

Address = Annotated[str, Text(2000)]
Secret = Annotated[str, Text(500)]


class CalDavIn(Body):
    kind: Literal["caldav"]
    url: Address
    """Of the server, of the account or of one calendar: the rest is found."""
    username: Annotated[str, Text(200)]
    password: Secret
    """An app password, where the provider has such a thing."""


class IcsIn(Body):
    kind: Literal["ics"]
    url: Address
    """Where the calendar file is; it is read and never written to."""


ConnectionIn = Annotated[CalDavIn | IcsIn, Field(discriminator="kind")]
"""What is to be connected. Kinds that ask their user for consent are connected by a link."""


class PasswordIn(Body):
    password: Secret


class ChoiceIn(Body):
    """What is left out stays as it is."""

    busy_calendar_ids: list[Id] | None = Field(default=None, max_length=100)
    """The calendars whose events make the provider busy."""
    target_calendar_id: Id | None = None
    """The calendar that appointments are written to; null for none."""
    tentative_is_busy: Flag | None = None
    on_drift: Literal["repair", "leave"] | None = None
    """What becomes of an appointment's event that somebody has changed or deleted there."""


class Ending(Query):
    remove_events: Flag = False
    """Whether the events that were written there are taken away."""


class CalendarOut(Answer):
    id: UUID
    name: str
    timezone: str | None
    is_writable: bool
    is_primary: bool
    is_busy: bool
    is_target: bool
    is_gone: bool
    """The account does not have it any more. What it said last stands until it is not chosen."""
    read_at: Instant | None
    unreadable_events: int


class TroubleOut(Answer):
    """An appointment whose event is not as it should be."""

    appointment_id: UUID
    drift: Literal["changed", "deleted"] | None
    failure: str | None
    since: Instant | None


class ConnectionOut(Answer):
    id: UUID
    kind: CalendarKind
    account: str
    place: str
    state: Literal["connected", "broken", "disconnecting"]
    health: Literal["new", "healthy", "failing", "broken", "disconnecting"]
    last_sync_at: Instant | None
    last_error: str | None
    last_error_at: Instant | None
    next_try_at: Instant | None
    created_at: Instant
    tentative_is_busy: bool
    on_drift: Literal["repair", "leave"]
    calendars: list[CalendarOut]
    trouble: list[TroubleOut]
    """At most 50, the nearest appointments first."""


class ConnectionsOut(Answer):
    items: list[ConnectionOut]
