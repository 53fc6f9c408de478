"""The one call that another service makes to availability: reservations asks before it holds."""

import orjson
from fastapi import Response

from availability import timeslots_json
from availability.checking import AROUND, MOST_ALTERNATIVES, WEEK, check
from availability.domain.local_time import moment
from availability.domain.timeslot_id import UnknownTimeslotId, read_timeslot_id
from availability.queries import look
from availability.refusals import ProviderNotFound, ServiceNotFound, TimeslotNotFound
from availability.routes.availability import KnownBefore
from availability.schemas.timeslots import CheckIn, CheckOut
from availability.use_cases.finding import others_instead
from shared.app import new_router
from shared.auth import CallingService
from shared.db import SqlReading
from shared.problems import problems

router = new_router(prefix="/internal", tags=["internal"])


@router.post(
    "/timeslots/check",
    response_model=CheckOut,
    responses=problems(ProviderNotFound, ServiceNotFound, TimeslotNotFound),
)
async def check_timeslot(
    body: CheckIn, db: SqlReading, memory: KnownBefore, _: CallingService
) -> Response:
    """Whether the timeslot is offered now. An estimate: what bookings then commits is the truth."""
    try:
        named = read_timeslot_id(
            body.timeslot_id, provider_id=body.provider_id, service_id=body.service_id
        )
    except UnknownTimeslotId:
        raise TimeslotNotFound from None
    start = moment(named.start)
    # Mostly there are enough alternatives close by; reading a week costs twice as much.
    for reach in (AROUND, WEEK):
        situation = await look(
            db,
            memory.set_ups,
            provider_id=body.provider_id,
            service_id=body.service_id,
            user_id=body.user_id,
            since=start - AROUND,
            until=start + reach,
            without=body.without_appointment_id,
        )
        verdict = check(situation, named, reach)
        if len(verdict.alternatives) == MOST_ALTERNATIVES:
            break
    found = verdict.alternatives
    if verdict.reason is not None and len(found) < MOST_ALTERNATIVES:
        at = situation.set_up.place(named.location_id, named.mode)
        found += await others_instead(
            db,
            memory,
            situation,
            [at] if at else situation.set_up.places,
            user_id=body.user_id,
            begin=start - AROUND,
            end=start + WEEK,
            limit=MOST_ALTERNATIVES - len(found),
        )
    answer = {
        "offered": verdict.reason is None,
        "reason": verdict.reason,
        "timeslot": verdict.timeslot,
        "alternatives": [
            timeslots_json.one(each.at, each.start, each.facts.set_up.offer, each.standing)
            | timeslots_json.named(each)
            for each in found
        ],
    }
    return Response(orjson.dumps(answer), media_type="application/json")
