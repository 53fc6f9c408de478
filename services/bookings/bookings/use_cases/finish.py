"""Say how an appointment went: by its provider, or by itself some time after its end."""

from uuid import UUID

from bookings import ledger, queries
from bookings.access import locked_for
from bookings.domain import decisions
from bookings.domain.appointment import SYSTEM
from bookings.domain.lifecycle import Action
from bookings.use_cases.decide import Decided
from shared.auth import Principal
from shared.db import Connection

_AUTOMATIC = {"completed": Action.COMPLETED, "no_show": Action.NO_SHOW}


async def complete_appointment(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Decided:
    """The appointment has taken place."""
    found, by = await locked_for(user, id_, db)
    decisions.complete(found.appointment, by=by, now=found.now)
    completed = found.appointment.moved(Action.COMPLETED, now=found.now, decision_reason=reason)
    return Decided(await ledger.move(db, completed, Action.COMPLETED, by=by), by, found.now)


async def mark_no_show(
    db: Connection, id_: UUID, *, reason: str | None, user: Principal
) -> Decided:
    """The patient did not come."""
    found, by = await locked_for(user, id_, db)
    decisions.mark_no_show(found.appointment, by=by, now=found.now)
    missed = found.appointment.moved(Action.NO_SHOW, now=found.now, decision_reason=reason)
    return Decided(await ledger.move(db, missed, Action.NO_SHOW, by=by), by, found.now)


async def finish_due_appointments(db: Connection, *, limit: int = 200) -> int:
    """Finish, as their providers have set it, what ended long enough ago; any number of workers
    share the work, and what a provider decides at the same moment counts first."""
    due = await queries.due_to_finish(db, limit=limit)
    for appointment_id, policy in due:
        found = await queries.locked(db, appointment_id)
        assert found is not None  # noqa: S101 -- it is locked since it was found
        action = _AUTOMATIC[policy]
        finished = found.appointment.moved(action, now=found.now)
        await ledger.move(db, finished, action, by=SYSTEM)
    return len(due)
