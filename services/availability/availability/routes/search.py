"""Looking for a time: the next one, the nearest to one, the earliest of many providers'."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from fastapi import Response

from availability import checking, timeslots_json
from availability.facts import Facts
from availability.finding import Found
from availability.queries import look
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.routes.availability import KnownBefore
from availability.schemas.finding import (
    AlternativesOut,
    AlternativesQuery,
    FiltersIn,
    FoundOut,
    NextQuery,
    SearchIn,
    SearchOut,
)
from availability.set_up import Asked
from availability.sources import told
from availability.use_cases.finding import Page, Wanted, find_next, others_instead, search
from shared.app import new_router
from shared.auth import CurrentUser
from shared.db import Connection, SqlReading
from shared.fields import FromQuery, Id
from shared.idempotency import KEY_REFUSALS, OnceIfKeyed
from shared.problems import problems

of_provider = new_router(prefix="/v1/providers/{provider_id}/availability", tags=["availability"])
of_all = new_router(prefix="/v1/availability", tags=["availability"])


@of_provider.get(
    "/next",
    response_model=FoundOut,
    responses=problems(ProviderNotFound, ServiceNotFound),
)
async def find_next_timeslots(
    provider_id: Id,
    wanted: FromQuery[NextQuery],
    db: SqlReading,
    memory: KnownBefore,
    user: CurrentUser,
) -> Response:
    """The next timeslots that can be booked, however far away within the service's horizon."""
    facts, found = await find_next(
        db,
        memory,
        Asked(provider_id, wanted.service_id),
        user_id=user.id,
        after=wanted.after,
        limit=wanted.limit,
    )
    return _answer(_found(provider_id, facts, found))


@of_provider.get(
    "/alternatives",
    response_model=AlternativesOut,
    responses=problems(ProviderNotFound, ServiceNotFound),
)
async def find_alternatives(
    provider_id: Id,
    wanted: FromQuery[AlternativesQuery],
    db: SqlReading,
    memory: KnownBefore,
    user: CurrentUser,
) -> Response:
    """What can be booked around a start: within an hour of it the nearest first, then what comes
    later, up to a week. The start itself is among it if it can be booked.

    Where the provider has less than was asked for, other providers' timeslots of the same week
    follow: for a service of the same slug and mode and, in person, in the same city.
    """
    start = wanted.minute()
    situation = await look(
        db,
        memory.set_ups,
        provider_id=provider_id,
        service_id=wanted.service_id,
        user_id=user.id,
        since=wanted.start - checking.AROUND,
        until=wanted.start + checking.WEEK,
    )
    found = checking.nearest(situation, start, wanted.limit)
    if len(found) < wanted.limit:
        found += await others_instead(
            db,
            memory,
            situation,
            situation.set_up.places,
            user_id=user.id,
            begin=wanted.start - checking.AROUND,
            end=wanted.start + checking.WEEK,
            limit=wanted.limit - len(found),
        )
    answer = _found(provider_id, situation, found)
    for timeslot, each in zip(answer["timeslots"], found, strict=True):
        timeslot |= timeslots_json.named(each)
    return _answer(answer)


@of_all.post("/search", response_model=SearchOut, responses=problems(*KEY_REFUSALS))
async def search_timeslots(
    body: SearchIn, once: OnceIfKeyed, memory: KnownBefore, user: CurrentUser
) -> Response:
    """The earliest timeslots that can be booked with any of several providers.

    They are in the order of their starts, and shared out fairly: nobody gets a second place on
    the page before every provider with a timeslot in the span has had a first one, nobody a third
    before all second ones. Of those for whom there is no room the earlier starts win. Where
    providers have the same start, the one with fewer places on the page so far comes first; among
    equals they take turns, from start to start.
    """
    begin, end = body.span()
    filters = body.filters or FiltersIn()
    wanted = Wanted(
        provider_ids=body.provider_ids and tuple(dict.fromkeys(body.provider_ids)),
        service=filters.service,
        mode=filters.mode,
        city=filters.city,
        language=filters.language,
    )

    async def act(db: Connection) -> bytes:
        page = await search(
            db, memory, wanted, user_id=user.id, begin=begin, end=end, limit=body.limit
        )
        return orjson.dumps(_page(page))

    return await once.in_sql(act)


def _found(provider_id: UUID, facts: Facts, found: Sequence[Found]) -> dict[str, Any]:
    return {
        "providerId": str(provider_id),
        "serviceId": str(facts.set_up.offer.service_id),
        "timezone": facts.set_up.timezone,
        "sources": told(facts.sources, facts.now),
        "timeslots": [timeslots_json.listed(each) for each in found],
    }


def _page(page: Page) -> dict[str, Any]:
    providers: dict[UUID, Facts] = {}
    timeslots = []
    for each in page.found:
        set_up = each.facts.set_up
        providers.setdefault(set_up.provider_id, each.facts)
        timeslots.append(
            timeslots_json.listed(each)
            | timeslots_json.named(each)
            | {"serviceTitle": set_up.service_title}
        )
    return {
        "timeslots": timeslots,
        "providers": [
            {
                "providerId": str(provider_id),
                "providerName": facts.set_up.provider_name,
                "timezone": facts.set_up.timezone,
                "sources": told(facts.sources, facts.now),
            }
            for provider_id, facts in providers.items()
        ],
        "isComplete": page.is_complete,
    }


def _answer(found: dict[str, Any]) -> Response:
    return Response(orjson.dumps(found), media_type="application/json")
