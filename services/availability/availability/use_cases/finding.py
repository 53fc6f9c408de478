"""Looking for time: the next of one provider, and the earliest of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode
from availability.finding import (
    Candidate,
    Found,
    bookable,
    earliest_of,
    fair_page,
    is_settled,
)
from availability.queries import Asked, look, look_at
from availability.set_up import OfferedPlace, SetUps
from availability.situation import Situation
from shared.db import Connection

MOST_SERVICES = 200
"""How many services one search looks at."""

# Most providers have time within the first stretch; after the last there is none to be had.
_STRETCHES_OF_ONE = [timedelta(days=days) for days in (0, 14, 56, 370)]
_STRETCHES_OF_SEVERAL = [timedelta(days=days) for days in (0, 1, 5, 21, 62)]

# A provider's second service comes after everybody's first, and when there are too many, others are
# left out another day.
_MATCHES = """
SELECT service.provider_id, service.id
FROM appointment_types service
JOIN providers provider ON provider.id = service.provider_id AND provider.is_active
WHERE service.is_active
    AND ($1::uuid[] IS NULL OR provider.id = ANY ($1))
    AND ($2::text IS NULL OR service.slug = $2)
    AND ($3::text IS NULL OR service.mode = $3)
    AND ($4::text IS NULL OR EXISTS (
        SELECT FROM locations
        WHERE provider_id = provider.id AND is_active AND lower(city) = lower($4)
    ))
    AND ($5::text IS NULL OR lower(provider.language) = lower($5)
        OR starts_with(lower(provider.language), lower($5) || '-'))
ORDER BY row_number() OVER (PARTITION BY provider.id ORDER BY service.created_at, service.id),
    hashtext(provider.id::text || current_date), provider.id
LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is None may be anything."""

    provider_ids: Sequence[UUID] | None = None
    service: str | None = None
    mode: Mode | None = None
    city: str | None = None
    language: str | None = None

    def places(self, situation: Situation) -> list[OfferedPlace]:
        """Where the service is given in the wanted city; what has no place is given in any."""
        return [
            at
            for at in situation.set_up.places
            if self.city is None
            or at.place.location_id is None
            or (at.city or "").lower() == self.city.lower()
        ]


class Page(NamedTuple):
    found: list[Found]
    is_complete: bool
    """Whether every service that matches was looked at."""


async def find_next(
    db: Connection,
    set_ups: SetUps,
    asked: Asked,
    *,
    user_id: UUID,
    after: datetime | None,
    limit: int,
) -> tuple[Situation, list[Found]]:
    """The first bookable timeslots that start after an instant, within the service's horizon."""
    # This clock only says where to begin to look; what may be booked is up to the database's.
    begin = datetime.now(UTC) - timedelta(days=1)
    if after is not None:
        begin = max(begin, after + timedelta(minutes=1))
    found: list[Found] = []
    for since, until in pairwise(begin + each for each in _STRETCHES_OF_ONE):
        situation = await look(
            db, set_ups, **asked._asdict(), user_id=user_id, since=since, until=until
        )
        found += bookable(situation, (minutes_down(since), minutes_down(until)))
        if len(found) >= limit or minutes_down(until) >= situation.bookable[1]:
            break
    return situation, found[:limit]


async def search(
    db: Connection,
    set_ups: SetUps,
    wanted: Wanted,
    *,
    user_id: UUID,
    begin: datetime,
    end: datetime,
    limit: int,
) -> Page:
    """A fair page (see ``fair_page``) of the bookable timeslots in a span."""
    matches = await _matches(db, wanted)
    asked = matches[:MOST_SERVICES]
    found: dict[UUID, list[Found]] = {each.provider_id: [] for each in asked}
    for since, until in pairwise(min(begin + each, end) for each in _STRETCHES_OF_SEVERAL):
        if since == end or is_settled(found, limit):
            break
        situations = await look_at(db, set_ups, asked, user_id=user_id, since=since, until=until)
        candidates = [
            Candidate(key.provider_id, situation, wanted.places(situation))
            for key, situation in situations.items()
            if situation is not None
        ]
        starts = (minutes_up(since), minutes_up(until))
        for provider_id, of_provider in earliest_of(candidates, starts, limit).items():
            found[provider_id] += of_provider
    return Page(fair_page(found, limit), len(matches) <= MOST_SERVICES)


async def _matches(db: Connection, wanted: Wanted) -> list[Asked]:
    rows = await db.fetch(
        _MATCHES,
        wanted.provider_ids and list(wanted.provider_ids),
        wanted.service,
        wanted.mode and wanted.mode.value,
        wanted.city,
        wanted.language,
        MOST_SERVICES + 1,
    )
    return [Asked(*row) for row in rows]
