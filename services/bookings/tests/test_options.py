"""What a caller is told they may do is exactly what is then accepted from them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings import queries
from bookings.access import actor_for
from bookings.domain.appointment import SYSTEM, Actor, ActorType, Appointment
from bookings.domain.lifecycle import ACTIVE, Status
from bookings.domain.options import CALLS, allowed_actions, fee_now_cents
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.decide import approve_request, reject_request
from bookings.use_cases.finish import complete_appointment, mark_no_show
from bookings.use_cases.hold import hold_timeslot
from bookings.use_cases.reschedule import reschedule_appointment
from shared.auth import Principal, Role
from shared.db import Connection, Database
from shared.errors import DomainError, Forbidden
from shared.events.provider import CancellationTerms

from .builders import NOW, Clinic, a_clinic, a_patient, a_wish, an_appointment, some_terms, tomorrow
from .stage import ADMIN, a_booking, a_hold, after, overdue, provider_of

TERMS: dict[str, dict[str, Any]] = {
    "lenient": {},
    "strict": {
        "allow_patient_reschedule": False,
        "cancellation": CancellationTerms(
            free_until_minutes=7 * 24 * 60, fee_cents=0, fee_percent=50, cutoff_minutes=12 * 60
        ),
    },
}
# By name: how far the start lies ahead when the calls are tried, and the state that it is brought
# into. Nothing is allowed in the last ones.
SITUATIONS = {
    "held": timedelta(days=1),
    "held overdue": timedelta(days=1),
    "pending": timedelta(days=1),
    "pending overdue": timedelta(days=1),
    "confirmed": timedelta(days=1),
    "confirmed, soon": timedelta(minutes=30),
    "confirmed, begun": timedelta(minutes=-10),
    "confirmed, over": timedelta(days=-3),
    "completed": timedelta(days=-3),
    "no_show": timedelta(days=-3),
    "cancelled": timedelta(days=1),
}


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("situation", SITUATIONS)
async def test_what_is_allowed_is_what_succeeds(
    database: Database, situation: str, terms: str
) -> None:
    async with database.transaction() as db:
        patient = await a_patient(db)
    needs_approval = situation.startswith("pending")
    clinic = await a_clinic(database, staff=2, requires_approval=needs_approval, **TERMS[terms])
    token = sha256(uuid4().bytes).digest()
    id_ = await in_situation(database, clinic, situation, patient=patient, token=token)
    new_time = a_wish(clinic, patient_id=patient, start=tomorrow() + timedelta(days=3))
    async with database.autocommit() as db:
        await hold_timeslot(db, new_time)
    users = (Principal(patient, Role.PATIENT), provider_of(clinic), ADMIN)

    for user in users:
        async with database.reading() as db:
            found = await queries.appointment(db, id_)
        assert found is not None
        by = actor_for(user, found.appointment)
        assert by is not None
        told = allowed_actions(found.appointment, by=by, now=found.now)
        accepted = [
            name
            for name, call in calls(id_, token, new_time.token_hash, user).items()
            if await is_accepted(database, call)
        ]
        assert accepted == told, user.role

        async with database.reading() as db:
            fee = fee_now_cents(found.appointment, by=by, now=found.now)
            assert (fee is not None) == ("cancel" in told)


async def in_situation(
    database: Database, clinic: Clinic, situation: str, *, patient: UUID, token: bytes
) -> UUID:
    status = situation.partition(",")[0].split()[0]
    make = a_hold if status == "held" else a_booking
    start = tomorrow(18)  # no limit of the terms passes while the calls are tried
    made = await make(database, clinic, patient_id=patient, start=start, token_hash=token)
    if situation.endswith("overdue"):
        await overdue(database, made.id)
        return made.id
    async with database.reading() as db:
        now: datetime = await db.fetchval("SELECT now()")
    if SITUATIONS[situation] < timedelta(days=1):
        await after(database, start - now - SITUATIONS[situation], made.id)
    ends = {
        "completed": complete_appointment,
        "no_show": mark_no_show,
        "cancelled": cancel_appointment,
    }
    if status in ends:
        async with database.transaction() as db:
            await ends[status](db, made.id, reason=None, user=ADMIN)
    return made.id


Call = Callable[[Connection], Awaitable[object]]


def calls(id_: UUID, token: bytes, new_token: bytes, user: Principal) -> dict[str, Call]:
    async def confirm(db: Connection) -> object:
        if user.role is not Role.PATIENT:  # the route asks for the role
            raise Forbidden
        found = await queries.locked(db, id_)
        assert found is not None
        if found.appointment.status in (Status.PENDING, Status.CONFIRMED):
            raise Forbidden  # asking twice gives the first answer, and nothing is done
        return await confirm_appointment(db, token, Details(), user_id=user.id)

    found: dict[str, Call] = {
        "confirm": confirm,
        "approve": lambda db: approve_request(db, id_, reason=None, user=user),
        "reject": lambda db: reject_request(db, id_, reason=None, user=user),
        "reschedule": lambda db: reschedule_appointment(db, id_, new_token, reason=None, user=user),
        "cancel": lambda db: cancel_appointment(db, id_, reason=None, user=user),
        "complete": lambda db: complete_appointment(db, id_, reason=None, user=user),
        "no_show": lambda db: mark_no_show(db, id_, reason=None, user=user),
    }
    assert list(found) == list(CALLS)
    return found


class _Undone(Exception):
    """Nothing that is tried here stays."""


async def is_accepted(database: Database, call: Call) -> bool:
    try:
        async with database.transaction() as db:
            await call(db)
            raise _Undone  # noqa: TRY301 -- rolls back
    except _Undone:
        return True
    except DomainError:
        return False


actors = st.sampled_from([SYSTEM] + [Actor(each, uuid4()) for each in ActorType])
instants = st.datetimes(datetime(2026, 2, 1), datetime(2026, 4, 1)).map(  # noqa: DTZ001
    lambda instant: instant.replace(tzinfo=NOW.tzinfo)
)


@st.composite
def appointments(draw: st.DrawFn) -> Appointment:
    return an_appointment(
        status=draw(st.sampled_from(Status)),
        start=draw(instants),
        hold_expires_at=draw(instants),
        pending_expires_at=draw(instants),
        terms=some_terms(
            price_cents=draw(st.integers(0, 10_000)),
            fee_cents=draw(st.integers(0, 10_000)),
            fee_percent=draw(st.integers(0, 100)),
            free_until_minutes=draw(st.integers(0, 10_000)),
            cutoff_minutes=draw(st.integers(0, 10_000)),
        ),
    )


@given(appointments(), actors, instants)
def test_a_verdict_is_a_yes_or_a_refusal_and_costs_at_most_the_price(
    appointment: Appointment, by: Actor, now: datetime
) -> None:
    allowed = allowed_actions(appointment, by=by, now=now)
    fee = fee_now_cents(appointment, by=by, now=now)

    if appointment.status not in ACTIVE:
        assert allowed == []
    if by.type is ActorType.PATIENT:
        assert not {"approve", "reject", "complete", "no_show"} & set(allowed)
        assert "cancel" not in allowed or now < appointment.start
    elif fee is not None:
        assert fee == 0
    assert fee is None or 0 <= fee <= appointment.terms.price_cents
