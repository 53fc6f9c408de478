"""Approve or reject what a patient has asked for."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import ledger, queries
from bookings.access import locked_for
from bookings.domain import decisions
from bookings.domain.appointment import Actor, Appointment, Cancellation
from bookings.domain.lifecycle import Action
from bookings.use_cases.moves import replace_origin
from shared.auth import Principal
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Decided:
    """The appointment after the decision, who took it, and the database's clock."""

    appointment: Appointment
    by: Actor
    now: datetime


async def approve_request(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Decided:
    """The request is an appointment from now on; of rival decisions the first one counts.

    A request to move an appointment takes its place at the same moment.
    """
    origin = await queries.locked_origin(db, id_)
    found, by = await locked_for(user, id_, db)
    decisions.approve(found.appointment, by=by, now=found.now)
    approved = found.appointment.moved(
        Action.APPROVED, now=found.now, pending_expires_at=None, decision_reason=reason
    )
    written = await replace_origin(db, origin, approved, by=by)
    if written is None:
        written = await ledger.move(db, approved, Action.APPROVED, by=by)
    return Decided(written, by, found.now)


async def reject_request(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Decided:
    """The request has ended and blocks nobody any more, at no cost to the patient."""
    found, by = await locked_for(user, id_, db)
    decisions.reject(found.appointment, by=by, now=found.now)
    rejected = found.appointment.moved(
        Action.REJECTED,
        now=found.now,
        cancellation=Cancellation(
            at=found.now, cause="rejected", by=by, reason=reason, fee_cents=0
        ),
    )
    return Decided(await ledger.move(db, rejected, Action.REJECTED, by=by), by, found.now)
