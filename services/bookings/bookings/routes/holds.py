"""The one call that another service makes to bookings: reservations asks it to hold a timeslot."""

from bookings.domain.policy import AgainstPolicy
from bookings.refusals import ServiceNotFound, SlotTaken
from bookings.schemas import HoldIn, HoldOut
from bookings.use_cases.hold import Wish, hold_timeslot
from shared.app import new_router
from shared.auth import CallingService
from shared.db import SqlAutocommit
from shared.problems import problems

router = new_router(prefix="/internal", tags=["internal"])


@router.post(
    "/holds",
    status_code=201,
    response_model=HoldOut,
    responses=problems(SlotTaken, AgainstPolicy, ServiceNotFound),
)
async def hold(body: HoldIn, db: SqlAutocommit, _: CallingService) -> HoldOut:
    """Holding again what one already holds gives the same hold, so the call may be repeated."""
    held, now = await hold_timeslot(
        db,
        Wish(
            patient_id=body.user_id,
            provider_id=body.provider_id,
            service_id=body.service_id,
            timeslot_id=body.timeslot_id,
            start=body.start,
            mode=body.mode,
            location_id=body.location_id,
            room_id=body.room_id,
            token_hash=bytes.fromhex(body.token_hash),
        ),
    )
    return HoldOut(
        appointment_id=held.id,
        expires_at=held.hold_expires_at or now,
        server_time=now,
    )
