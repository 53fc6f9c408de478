"""Hear from bookings itself what has become of a user's holds, when its events are late.

A limit must not stop somebody who has used what they held: while the broker is away nobody says so
here (robustness: bookings stay fully available meanwhile).
"""

from contextlib import suppress
from uuid import UUID

from reservations import queries
from reservations.clients import Bookings
from reservations.models import Status
from shared.db import Database
from shared.errors import Unavailable

_ENDED = {"used": Status.USED, "released": Status.RELEASED}


async def catch_up(
    database: Database, bookings: Bookings, user_id: UUID, *, window_seconds: int
) -> bool:
    """Whether any of the user's holds turned out to be used or released. No transaction is open
    while bookings is asked; if it does not answer, nothing is known and nothing changes."""
    async with database.reading() as db:
        late = await queries.of_late(db, user_id, window_seconds=window_seconds)
    holds = [each.appointment_id for each in late if each.appointment_id is not None]
    outcomes: dict[UUID, str] = {}
    with suppress(Unavailable):
        outcomes = await bookings.outcomes(holds)
    ended = {id_: _ENDED[outcome] for id_, outcome in outcomes.items() if outcome in _ENDED}
    async with database.transaction() as db:
        for id_, status in ended.items():
            await queries.end_by_appointment(db, id_, status)
    return bool(ended)
