"""What lists of appointments are asked by, and how they answer."""

from typing import Annotated, Literal

from pydantic import Field

from bookings.schemas.appointments import AppointmentOut
from shared.fields import Answer, Cursor, Id, Instant, Limit, Query


class ListQuery(Query):
    filter: Literal["upcoming", "history"] = "upcoming"
    limit: Limit = 20
    cursor: Cursor | None = None


class ScheduleQuery(Query):
    """Starts from `from` (included) to `to` (excluded); `status` may be given several times."""

    from_: Instant | None = Field(default=None, alias="from")
    to: Instant | None = None
    status: Annotated[
        list[Literal["pending", "confirmed", "completed", "cancelled", "no_show"]],
        Field(default_factory=list, max_length=5),
    ]
    service_id: Id | None = None
    location_id: Id | None = None
    limit: Limit = 20
    cursor: Cursor | None = None


class AppointmentsOut(Answer):
    """A page; others follow exactly when ``nextCursor`` is not null."""

    items: list[AppointmentOut]
    next_cursor: str | None
