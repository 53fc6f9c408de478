"""What the provider decides: approve, reject, complete, no-show."""

from collections.abc import Awaitable
from typing import Protocol
from uuid import UUID

from fastapi import Response

from bookings.domain.lifecycle import IllegalTransition
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import AppointmentNotFound, RequestExpired
from bookings.schemas.appointments import AppointmentOut, DecisionIn
from bookings.use_cases.decide import Decided, approve_request, reject_request
from bookings.use_cases.finish import complete_appointment, mark_no_show
from shared.app import new_router
from shared.auth import CurrentUser, Principal
from shared.db import Connection
from shared.errors import Forbidden
from shared.fields import Id
from shared.idempotency import KEY_REFUSALS, Once, OnceIfKeyed
from shared.problems import problems

router = new_router(prefix="/v1/appointments", tags=["decisions"])

_ALWAYS = (AppointmentNotFound, Forbidden, IllegalTransition, AgainstPolicy, *KEY_REFUSALS)


class Decide(Protocol):
    """A use case that takes a decision."""

    def __call__(
        self, db: Connection, id_: UUID, *, reason: str | None, user: Principal
    ) -> Awaitable[Decided]: ...


async def _decided(
    decide: Decide, appointment_id: UUID, body: DecisionIn | None, once: Once
) -> Response:
    async def act(db: Connection) -> AppointmentOut:
        reason = body.reason if body else None
        done = await decide(db, appointment_id, reason=reason, user=once.user)
        return AppointmentOut.of(done.appointment, by=done.by, now=done.now)

    return await once.in_sql(act)


@router.post(
    "/{appointment_id}/approve",
    response_model=AppointmentOut,
    responses=problems(*_ALWAYS, RequestExpired),
)
async def approve(
    appointment_id: Id, once: OnceIfKeyed, _: CurrentUser, body: DecisionIn | None = None
) -> Response:
    """Turn a request into a confirmed appointment."""
    return await _decided(approve_request, appointment_id, body, once)


@router.post(
    "/{appointment_id}/reject",
    response_model=AppointmentOut,
    responses=problems(*_ALWAYS, RequestExpired),
)
async def reject(
    appointment_id: Id, once: OnceIfKeyed, _: CurrentUser, body: DecisionIn | None = None
) -> Response:
    """End a request; its time is free again and the patient pays nothing."""
    return await _decided(reject_request, appointment_id, body, once)


@router.post(
    "/{appointment_id}/complete", response_model=AppointmentOut, responses=problems(*_ALWAYS)
)
async def complete(
    appointment_id: Id, once: OnceIfKeyed, _: CurrentUser, body: DecisionIn | None = None
) -> Response:
    """Say that an appointment has taken place; possible from its start on."""
    return await _decided(complete_appointment, appointment_id, body, once)


@router.post(
    "/{appointment_id}/no-show", response_model=AppointmentOut, responses=problems(*_ALWAYS)
)
async def no_show(
    appointment_id: Id, once: OnceIfKeyed, _: CurrentUser, body: DecisionIn | None = None
) -> Response:
    """Say that the patient did not come; possible from its start on."""
    return await _decided(mark_no_show, appointment_id, body, once)
