"""Asking for time off, and what becomes of it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain import time_off
from availability.domain.schedule import ExceptionKind
from availability.domain.time_off import Action, Status
from availability.models import AvailabilityException, TimeOffRequest
from availability.ownership import locked_provider, own
from availability.use_cases.exceptions import (
    TIME_OFF,
    drop_exception,
    range_faults,
    store_exception,
)
from shared.auth import Principal, Role
from shared.errors import Forbidden, Invalid
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTimeOff:
    id: UUID = field(default_factory=new_id)
    starts_at: datetime
    ends_at: datetime
    reason: str | None = None


async def request_time_off(
    db: AsyncSession, provider_id: UUID, new: NewTimeOff, *, user: Principal
) -> TimeOffRequest:
    """Pending where the practice wants it approved; approved at once where it does not."""
    provider = await locked_provider(db, provider_id)
    if faults := range_faults(new.starts_at, new.ends_at):
        raise Invalid(errors=faults)
    request = TimeOffRequest(
        id=new.id,
        provider_id=provider_id,
        status=Status.PENDING.value,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        reason=new.reason,
    )
    db.add(request)
    await db.flush()
    if not provider.time_off_needs_approval:
        await _approve(db, request, user)
    return request


async def approve_time_off(
    db: AsyncSession, provider_id: UUID, request_id: UUID, *, user: Principal
) -> TimeOffRequest:
    """The range is blocked from now on; tells of the appointments in it."""
    request = await _locked(db, provider_id, request_id, decided_by=user)
    await _approve(db, request, user)
    return request


async def reject_time_off(
    db: AsyncSession, provider_id: UUID, request_id: UUID, *, user: Principal
) -> TimeOffRequest:
    request = await _locked(db, provider_id, request_id, decided_by=user)
    await _move(db, request, Action.REJECT, user)
    return request


async def withdraw_time_off(
    db: AsyncSession, provider_id: UUID, request_id: UUID, *, user: Principal
) -> TimeOffRequest:
    """The provider will be there after all; what was blocked for it is not any more."""
    await locked_provider(db, provider_id)
    request = await own(db, TimeOffRequest, provider_id, request_id)
    exception_id, request.exception_id = request.exception_id, None
    await _move(db, request, Action.WITHDRAW, user)
    if exception_id is not None:
        await drop_exception(db, await db.get_one(AvailabilityException, exception_id))
    return request


async def _locked(
    db: AsyncSession, provider_id: UUID, request_id: UUID, *, decided_by: Principal
) -> TimeOffRequest:
    """The request for somebody who may decide it; raises Forbidden for others."""
    provider = await locked_provider(db, provider_id)
    request = await own(db, TimeOffRequest, provider_id, request_id)
    if provider.time_off_needs_approval and decided_by.role is not Role.ADMIN:
        raise Forbidden("in this practice an admin decides about time off")
    return request


async def _approve(db: AsyncSession, request: TimeOffRequest, user: Principal) -> None:
    time_off.after(Status(request.status), Action.APPROVE)
    exception = AvailabilityException(
        id=new_id(),
        provider_id=request.provider_id,
        kind=ExceptionKind.BLOCKED.value,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        reason=request.reason,
        source=TIME_OFF,
    )
    await store_exception(db, exception, cause="time_off", cause_id=request.id)
    request.exception_id = exception.id
    await _move(db, request, Action.APPROVE, user)


async def _move(db: AsyncSession, request: TimeOffRequest, action: Action, user: Principal) -> None:
    request.status = time_off.after(Status(request.status), action).value
    request.decided_by, request.decided_at = user.id, func.now()
    await db.flush()
    await db.refresh(request, ["decided_at"])
