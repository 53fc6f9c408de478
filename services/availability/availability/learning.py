"""Brings what is known of services up to date: one look for news, and one at what is new."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from availability.domain.intervals import Interval
from availability.domain.local_time import day_of, instant, minutes_down, moment
from availability.known import Known, KnownDays
from availability.queries import News, look_at, news_of
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.set_up import Asked, SetUps
from shared.db import Connection
from shared.errors import Unavailable

_TRIES = 5
_SOME_ZONE = "UTC"
_SOME_ZONES = 40 * 60
"""More than the days of two zones can be apart, and a day's length."""
# Nothing can be booked before or after, by a clock that is about right.
_SINCE, _UNTIL = timedelta(days=-3), timedelta(days=370)

Starts = Callable[[str], Interval]
"""The starts in question, when this is the provider's zone."""


def whatever_zone(starts: Interval) -> Starts:
    return lambda _: starts


class Memory:
    """What one process remembers between requests."""

    def __init__(self) -> None:
        self.set_ups = SetUps()
        self.days = KnownDays()


async def learn(
    db: Connection,
    memory: Memory,
    asked: Asked,
    *,
    user_id: UUID | None,
    starts: Starts,
    news: News | None = None,
) -> Known:
    """All timeslots with these starts that may be booked, as a user (or nobody) sees them.

    ``news`` is what has just been read of the provider. Raises ProviderNotFound or
    ServiceNotFound, also for what is not in use.
    """
    said = {asked.provider_id: news} if news else {}
    found = await learn_all(db, memory, [asked], user_id=user_id, starts=starts, news=said)
    if asked not in found:
        raise ProviderNotFound("no such provider")
    if (known := found[asked]) is None:
        raise ServiceNotFound("this provider does not offer this service")
    return known


_NO_NEWS: Mapping[UUID, News] = {}


async def learn_all(
    db: Connection,
    memory: Memory,
    asked: Collection[Asked],
    *,
    user_id: UUID | None,
    starts: Starts,
    news: Mapping[UUID, News] = _NO_NEWS,
) -> dict[Asked, Known | None]:
    """The same of several services; None for one that its provider does not offer."""
    found: dict[Asked, Known | None] = {}
    for tries_left in reversed(range(_TRIES)):
        # What is looked at whole at last is right whatever is changed meanwhile.
        before = {key: memory.days.find(key) if tries_left else None for key in asked}
        news = await _newest(db, before, news)
        known: dict[Asked, Known | None] = {}
        spans: list[Interval] = []
        for key, each in before.items():
            said = news.get(key.provider_id)
            after = each and said and each.after(said, user_id)
            if after is None:
                spans.append(_around(memory.set_ups, key, starts))
            elif (lacking := after.lacks(starts(after.zone))) is not None:
                spans.append(lacking)
            elif each and said and said.version == each.facts.version:
                found[key] = after
                continue
            known[key] = after
        if not known:
            return found
        looked = (min((a for a, _ in spans), default=0), max((b for _, b in spans), default=0))
        since, until = (moment(at) for at in looked)
        are_new = not all(each and each.grids.cover(looked) for each in known.values())
        situations = await look_at(
            db,
            memory.set_ups,
            known,
            user_id=user_id,
            since=since,
            until=until,
            exceptions=are_new,
        )
        asked = []
        for key, situation in situations.items():
            if situation is None:
                found[key] = None
                continue
            kept = known[key]
            version = situation.version
            if kept and version != news[key.provider_id].version:
                then = News(version, situation.set_up.version, situation.notes, situation.now)
                kept = kept.after(then, user_id)
            if kept is None and not are_new:
                asked.append(key)
                continue
            wanted = starts(situation.set_up.timezone)
            learned, is_all = Known.of(situation, looked, wanted, kept)
            memory.days.keep(key, learned)
            if is_all:
                found[key] = learned
            else:
                asked.append(key)
        if not asked:
            return found
        news = {}
    raise Unavailable("what can be booked changes faster than it can be read")


async def _newest(
    db: Connection, known: Mapping[Asked, Known | None], news: Mapping[UUID, News]
) -> Mapping[UUID, News]:
    """News of everybody of whom something is known, none older than that."""
    missing = {
        key.provider_id
        for key, each in known.items()
        if each is not None
        and ((said := news.get(key.provider_id)) is None or said.version < each.facts.version)
    }
    return {**news, **await news_of(db, missing)} if missing else news


def _around(set_ups: SetUps, asked: Asked, starts: Starts) -> Interval:
    """Whole days of the provider with all of these starts that could be bookable."""
    now = datetime.now(UTC)
    set_up = set_ups.find(*asked)
    zone = set_up.timezone if set_up else _SOME_ZONE
    first, after = starts(zone)
    first = max(first, minutes_down(now + _SINCE))
    after = min(after, minutes_down(now + _UNTIL))
    if set_up is None:
        return (first - _SOME_ZONES, after + _SOME_ZONES)
    if first >= after:
        return (first, first)
    return (instant(zone, day_of(zone, first), 0), instant(zone, day_of(zone, after - 1) + 1, 0))
