"""The one call that another service makes to availability: reservations asks before it holds."""

from datetime import timedelta

import orjson
from fastapi import Response

from availability.checking import DAYS_LOOKED_AT, check
from availability.domain.local_time import moment
from availability.domain.timeslot_id import UnknownTimeslotId, read_timeslot_id
from availability.queries import look
from availability.refusals import ProviderNotFound, ServiceNotFound, TimeslotNotFound
from availability.routes.availability import KnownSetUps
from availability.schemas import CheckIn, CheckOut
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
    body: CheckIn, db: SqlReading, set_ups: KnownSetUps, _: CallingService
) -> Response:
    """Whether the timeslot is offered now. An estimate: what bookings then commits is the truth."""
    try:
        named = read_timeslot_id(
            body.timeslot_id, provider_id=body.provider_id, service_id=body.service_id
        )
    except UnknownTimeslotId:
        raise TimeslotNotFound from None
    start = moment(named.start)
    situation = await look(
        db,
        set_ups,
        provider_id=body.provider_id,
        service_id=body.service_id,
        user_id=body.user_id,
        since=start - timedelta(hours=1),
        until=start + timedelta(days=DAYS_LOOKED_AT),
    )
    verdict = check(situation, named)
    answer = {
        "offered": verdict.reason is None,
        "reason": verdict.reason,
        "timeslot": verdict.timeslot,
        "alternatives": verdict.alternatives,
    }
    return Response(orjson.dumps(answer), media_type="application/json")
