"""What patients ask: when can I come?"""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response

from availability import timeslots_json
from availability.answers import Answers, KeptAnswer, Letters, Question
from availability.domain.local_time import instant, moment
from availability.domain.timeslots import span_of
from availability.queries import claims_in_full, look, version_of
from availability.refusals import ProviderNotFound, ServiceNotFound
from availability.schemas.timeslots import (
    AvailabilityOut,
    AvailabilityQuery,
    ExplainedPlaceOut,
    ExplainQuery,
    ExplanationOut,
    ObstacleOut,
    SourceOut,
)
from availability.set_up import SetUps
from availability.situation import Situation
from availability.sources import told
from shared.app import new_router
from shared.auth import CurrentUser, Principal, Role, caller
from shared.checked_route import first_tries
from shared.db import Connection, SqlReading, database_of
from shared.fields import FromQuery, Id
from shared.problems import problems

router = new_router(prefix="/v1/providers", tags=["availability"])

_CACHING = {"Cache-Control": "private, max-age=15", "Vary": "Authorization"}


async def set_ups_of(request: Request) -> SetUps:
    """What this process has read of set-ups; see `set_up.py`."""
    set_ups: SetUps = request.app.state.set_ups
    return set_ups


KnownSetUps = Annotated[SetUps, Depends(set_ups_of)]


async def answer_known_question(request: Request) -> Response | None:
    """Without reading the question again: the answer given before, while it is right, or anew."""
    answers: Answers = request.app.state.answers
    question = answers.find(_letters(request))
    if question is None:
        return None
    user = await caller(request)
    database, kept = database_of(request), question.answer
    if kept is not None:
        is_known = _is_known(request, kept.etag)
        if kept.is_for(user.id, body=not is_known):
            found = await version_of(database, question.provider_id)
            if found is not None and kept.is_right(*found):
                return _answer(kept.etag, None if is_known else kept.body)
    async with database.reading() as db:
        return await _answer_anew(request, db, question, user)


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
    request: Request, db: Connection, question: Question, user: Principal
) -> Response:
    provider_id, wanted = question.provider_id, question.wanted
    from_on, to_on = wanted.days()
    situation = await look(
        db,
        await set_ups_of(request),
        provider_id=provider_id,
        service_id=wanted.service_id,
        user_id=user.id,
        since=_midnight(from_on),
        until=_midnight(to_on + timedelta(days=1)),
    )
    timezone = wanted.timezone or situation.set_up.timezone
    head = orjson.dumps(
        {
            "providerId": provider_id,
            "serviceId": wanted.service_id,
            "timezone": timezone,
            "from": from_on,
            "to": to_on,
            "sources": told(situation.sources, situation.now),
        }
    )
    listings = _listings(situation, wanted, timezone, from_on, to_on)
    etag = timeslots_json.etag(head, listings)
    is_known = _is_known(request, etag)
    body = None if is_known else timeslots_json.body(head, situation.set_up.offer, listings)
    answer = question.answer
    if user.id not in situation.holders:
        answer = KeptAnswer(situation.version, situation.holds_until, situation.holders, etag, body)
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
    set_ups: KnownSetUps,
    user: CurrentUser,
) -> ExplanationOut:
    """Why an instant is, or is not, offered as a start, at each place of the service."""
    start = wanted.minute()
    situation = await look(
        db,
        set_ups,
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


def _listings(
    situation: Situation,
    wanted: AvailabilityQuery,
    timezone: str,
    from_on: date,
    to_on: date,
) -> list[timeslots_json.Listing]:
    statuses = wanted.statuses()
    earliest, after = situation.bookable
    starts = (
        max(earliest, instant(timezone, from_on.toordinal(), 0)),
        min(after, instant(timezone, to_on.toordinal() + 1, 0)),
    )
    return [
        timeslots_json.Listing(
            at,
            [run for run in situation.timeslots(at, starts) if run[1].status in statuses],
            situation.held_starts(at),
            situation.is_unconfirmed,
        )
        for at in situation.set_up.places
        if wanted.location_id in (None, at.place.location_id)
        and wanted.mode in (None, at.place.mode)
    ]


def _letters(request: Request) -> Letters:
    return request.scope["path"], request.scope["query_string"]


def _answer(etag: str, body: bytes | None) -> Response:
    """304 without a body."""
    headers = _CACHING | {"ETag": etag}
    if body is None:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _is_known(request: Request, etag: str) -> bool:
    """Whether the client has this answer already (RFC 9110, 13.1.2: the comparison is weak)."""
    named = request.headers.get("if-none-match", "")
    known = [each.strip().removeprefix("W/") for each in named.split(",")]
    return etag in known or known == ["*"]


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(), UTC)
