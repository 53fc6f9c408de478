"""What patients ask: when can I come?"""

from dataclasses import replace
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response

from availability import timeslots_json
from availability.answers import Answers, KeptAnswer, Letters, Question
from availability.domain.intervals import Interval
from availability.domain.local_time import instant, moment
from availability.domain.timeslots import span_of
from availability.learning import Memory, learn
from availability.queries import News, claims_in_full, look, news_of
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.routes.conditional import has_already
from availability.schemas.timeslots import (
    AvailabilityOut,
    AvailabilityQuery,
    ExplainedPlaceOut,
    ExplainQuery,
    ExplanationOut,
    ObstacleOut,
    SourceOut,
)
from availability.set_up import Asked
from availability.sources import told
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, caller
from shared.checked_route import first_tries
from shared.db import Connection, SqlReading, database_of
from shared.fields import FromQuery, Id
from shared.problems import problems

router = new_router(prefix="/v1/providers", tags=["availability"])

_CACHING = {"Cache-Control": "private, max-age=15", "Vary": "Authorization"}


async def memory_of(request: Request) -> Memory:
    """What this process remembers; see `learning.py`."""
    memory: Memory = request.app.state.memory
    return memory


KnownBefore = Annotated[Memory, Depends(memory_of)]


async def answer_known_question(request: Request) -> Response | None:
    """Without reading the question again: the answer given before, while it is right, or anew."""
    answers: Answers = request.app.state.answers
    question = answers.find(_letters(request))
    if question is None:
        return None
    user = await caller(request)
    async with database_of(request).reading() as db:
        news = (await news_of(db, [question.provider_id])).get(question.provider_id)
        if (kept := question.answer) is not None and news is not None:
            is_known = has_already(request, kept.etag)
            if kept.is_for(user.id, body=not is_known) and kept.is_right(news.version, news.now):
                return _answer(kept.etag, None if is_known else kept.body)
        return await _answer_anew(request, db, question, user, news)


@router.get(
    "/{provider_id}/availability",
    response_model=AvailabilityOut,
    responses=problems(ProviderNotFound, ServiceNotFound)
    | {304: {"description": "Nothing has changed since the answer with that `ETag`."}},
)
@first_tries(answer_known_question)
async def list_timeslots(
    provider_id: Id,
    wanted: FromQuery[AvailabilityQuery],
    request: Request,
    db: SqlReading,
    user: CurrentUser,
) -> Response:
    """The timeslots of some days, booked and reserved ones included unless `status` says otherwise.

    An `ETag` lets a client ask again with `If-None-Match` and get 304 while nothing has changed.
    """
    return await _answer_anew(request, db, Question(provider_id, wanted), user)


async def _answer_anew(
    request: Request,
    db: Connection,
    question: Question,
    user: Principal,
    news: News | None = None,
) -> Response:
    provider_id, wanted = question.provider_id, question.wanted
    from_on, to_on = wanted.days()

    def starts(zone: str) -> Interval:
        zone = wanted.timezone or zone
        return (
            instant(zone, from_on.toordinal(), 0),
            instant(zone, to_on.toordinal() + 1, 0),
        )

    memory, asked = await memory_of(request), Asked(provider_id, wanted.service_id)
    known = await learn(
        db,
        memory,
        asked,
        user_id=user.id,
        starts=starts,
        news=news,
    )
    facts = known.facts
    head = orjson.dumps(
        {
            "providerId": provider_id,
            "serviceId": wanted.service_id,
            "timezone": wanted.timezone or known.zone,
            "from": from_on,
            "to": to_on,
            "sources": told(facts.sources, facts.now),
        }
    )
    pieces = timeslots_json.pieces(
        known,
        starts(known.zone),
        timeslots_json.View(wanted.location_id, wanted.mode, wanted.statuses()),
    )
    memory.days.weigh(asked)
    etag = timeslots_json.etag(head, pieces)
    body = None if has_already(request, etag) else timeslots_json.body(head, pieces)
    answer = question.answer
    if user.id not in facts.holders:
        answer = KeptAnswer(facts.version, facts.holds_until, facts.holders, etag, body)
    answers: Answers = request.app.state.answers
    answers.keep(_letters(request), replace(question, answer=answer))
    return _answer(etag, body)


@router.get(
    "/{provider_id}/availability/explain",
    response_model=ExplanationOut,
    responses=problems(ProviderNotFound, ServiceNotFound),
)
async def explain_start(
    provider_id: Id,
    wanted: FromQuery[ExplainQuery],
    db: SqlReading,
    memory: KnownBefore,
    user: CurrentUser,
) -> ExplanationOut:
    """Why an instant is, or is not, offered as a start, at each place of the service."""
    start = wanted.minute()
    situation = await look(
        db,
        memory.set_ups,
        provider_id=provider_id,
        service_id=wanted.service_id,
        user_id=user.id,
        since=wanted.at,
        until=wanted.at,
    )
    first, after = span_of(situation.set_up.offer, (start, start + 1))
    claims = await claims_in_full(db, provider_id, moment(first), moment(after))
    may_see_ids = user.role is Role.ADMIN or (user.role is Role.PROVIDER and user.id == provider_id)
    places = []
    for at in situation.set_up.places:
        obstacles = situation.explain(at, start, claims)
        places.append(
            ExplainedPlaceOut(
                location_id=at.place.location_id,
                mode=at.place.mode,
                offered=not obstacles,
                reasons=[
                    ObstacleOut(reason=reason, ids=list(ids) if may_see_ids else [])
                    for reason, ids in obstacles
                ],
            )
        )
    return ExplanationOut(
        provider_id=provider_id,
        service_id=wanted.service_id,
        at=wanted.at,
        sources=[SourceOut.model_validate(each) for each in told(situation.sources, situation.now)],
        places=places,
    )


def _letters(request: Request) -> Letters:
    return request.scope["path"], request.scope["query_string"]


def _answer(etag: str, body: bytes | None) -> Response:
    """304 without a body."""
    headers = _CACHING | {"ETag": etag}
    if body is None:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
