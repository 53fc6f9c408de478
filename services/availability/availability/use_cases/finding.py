"""Looking for time: the next of one provider, and the earliest of several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from availability.domain.local_time import minutes_down, minutes_up
from availability.domain.resources import Mode
from availability.facts import Facts
from availability.finding import (
    Candidate,
    Found,
    earliest_of,
    fair_page,
    first_bookable,
    is_settled,
)
from availability.learning import Memory, learn, learn_all, whatever_zone
from availability.set_up import Asked, OfferedPlace
from shared.db import Connection

MOST_SERVICES = 200
"""How many services one search looks at."""

# Most providers have time within the first stretch; after the last there is none to be had.
_STRETCHES_OF_ONE = [timedelta(days=days) for days in (14, 56, 370)]
_STRETCHES_OF_SEVERAL = [timedelta(days=days) for days in (0, 1, 5, 21, 62)]

# A provider's second service comes after everybody's first, and when there are too many, others are
# left out another day.
_MATCHES = """
SELECT service.provider_id, service.id
FROM appointment_types service
JOIN providers provider ON provider.id = service.provider_id AND provider.is_active
WHERE service.is_active AND service.deleted_at IS NULL{conditions}
ORDER BY row_number() OVER (PARTITION BY provider.id ORDER BY service.created_at, service.id),
    hashtext(provider.id::text || current_date), provider.id
LIMIT {most}
"""


_OTHERS = """
SELECT service.provider_id, service.id
FROM appointment_types service
JOIN providers provider ON provider.id = service.provider_id AND provider.is_active
WHERE service.slug = $1 AND service.mode = $2 AND service.is_active AND provider.id <> $3
    AND ($4::text[] IS NULL OR EXISTS (
        SELECT FROM locations
        WHERE provider_id = provider.id AND is_active AND lower(city) = ANY ($4)
    ))
ORDER BY hashtext(provider.id::text || current_date), provider.id
LIMIT $5
"""
_MOST_OTHERS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is None may be anything."""

    provider_ids: Sequence[UUID] | None = None
    service: str | None = None
    mode: Mode | None = None
    city: str | None = None
    language: str | None = None

    def places(self, facts: Facts) -> list[OfferedPlace]:
        """Where the service is given in the wanted city; what has no place is given in any."""
        return [
            at
            for at in facts.set_up.places
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
    memory: Memory,
    asked: Asked,
    *,
    user_id: UUID,
    after: datetime | None,
    limit: int,
) -> tuple[Facts, list[Found]]:
    """The first bookable timeslots that start after an instant, within the service's horizon."""
    # This clock only says where to begin to look; what may be booked is up to the database's.
    begin = datetime.now(UTC) - timedelta(days=1)
    if after is not None:
        begin = max(begin, after + timedelta(minutes=1))
    first = minutes_down(begin)
    for until in (minutes_up(begin + each) for each in _STRETCHES_OF_ONE):
        starts = (first, until)
        known = await learn(db, memory, asked, user_id=user_id, starts=whatever_zone(starts))
        found = first_bookable(known, starts, limit)
        if len(found) == limit or until >= known.facts.bookable[1]:
            break
    return known.facts, found


async def search(
    db: Connection,
    memory: Memory,
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
    found = await _earliest(
        db, memory, asked, wanted.places, user_id=user_id, begin=begin, end=end, limit=limit
    )
    return Page(fair_page(found, limit), len(matches) <= MOST_SERVICES)


async def others_instead(
    db: Connection,
    memory: Memory,
    facts: Facts,
    places: Sequence[OfferedPlace],
    *,
    user_id: UUID | None,
    begin: datetime,
    end: datetime,
    limit: int,
) -> list[Found]:
    """A fair page of other providers' timeslots for what would have been at one of these places.

    They have a service with the same slug and mode, and in person in the same city. Of many
    providers some are looked at, others another day.
    """
    cities = sorted({at.city.lower() for at in places if at.city})
    asked = [
        Asked(*row)
        for row in await db.fetch(
            _OTHERS,
            facts.set_up.slug,
            facts.set_up.offer.mode.value,
            facts.set_up.provider_id,
            cities or None,
            _MOST_OTHERS,
        )
    ]

    def there(others: Facts) -> list[OfferedPlace]:
        return [
            at
            for at in others.set_up.places
            if not cities or at.city is None or at.city.lower() in cities
        ]

    found = await _earliest(
        db, memory, asked, there, user_id=user_id, begin=begin, end=end, limit=limit
    )
    return fair_page(found, limit)


async def _earliest(
    db: Connection,
    memory: Memory,
    asked: Sequence[Asked],
    places: Callable[[Facts], list[OfferedPlace]],
    *,
    user_id: UUID | None,
    begin: datetime,
    end: datetime,
    limit: int,
) -> dict[UUID, list[Found]]:
    """As much of every provider's bookable timeslots in a span as decides about a page."""
    found: dict[UUID, list[Found]] = {each.provider_id: [] for each in asked}
    for since, until in pairwise(min(begin + each, end) for each in _STRETCHES_OF_SEVERAL):
        if since == end or is_settled(found, limit):
            break
        starts = (minutes_up(since), minutes_up(until))
        known = await learn_all(db, memory, asked, user_id=user_id, starts=whatever_zone(starts))
        candidates = [
            Candidate(key.provider_id, each, places(each.facts))
            for key, each in known.items()
            if each is not None
        ]
        for provider_id, of_provider in earliest_of(candidates, starts, limit).items():
            found[provider_id] += of_provider
    return found


async def _matches(db: Connection, wanted: Wanted) -> list[Asked]:
    # Only conditions that are asked for: one plan for all of them would read every provider.
    given = {
        "service.provider_id = ANY ({})": wanted.provider_ids and list(wanted.provider_ids),
        "service.slug = {}": wanted.service,
        "service.mode = {}": wanted.mode and wanted.mode.value,
        "EXISTS (SELECT FROM locations WHERE provider_id = provider.id AND is_active"
        " AND lower(city) = lower({}))": wanted.city,
        "(lower(provider.language) = lower({0})"
        " OR starts_with(lower(provider.language), lower({0}) || '-'))": wanted.language,
    }
    asked = {condition: value for condition, value in given.items() if value is not None}
    conditions = "".join(
        f" AND {condition.format(f'${number}')}" for number, condition in enumerate(asked, 1)
    )
    statement = _MATCHES.format(conditions=conditions, most=MOST_SERVICES + 1)
    return [Asked(*row) for row in await db.fetch(statement, *asked.values())]
