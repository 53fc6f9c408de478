"""Book for a patient, as somebody of the provider: a reserved timeslot, or outside the rules."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import ledger, queries
from bookings.domain.appointment import Actor, Appointment
from bookings.domain.decisions import check_stands_alone, is_overdue
from bookings.domain.lifecycle import Action, Status
from bookings.refusals import (
    HoldExpired,
    PatientNotFound,
    ReservationNotFound,
    ServiceNotFound,
)
from bookings.use_cases.contact import check_reachable
from bookings.use_cases.hold import Wish, hold_timeslot
from bookings.use_cases.own_time import claim_own_time
from shared.db import Connection
from shared.errors import FieldError, Invalid
from shared.events.provider import AppointmentTypeUpdated, ProviderUpdated
from shared.ids import new_id

OFF_SCHEDULE = "off-schedule"
"""Stands for the timeslot of an appointment that was booked outside the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who comes to whom, and what is noted about it."""

    provider_id: UUID
    patient_id: UUID
    reason: str | None
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideRules:
    """A time that need not be offered, and why staff want it; None means as the service has it."""

    service_id: UUID
    start: datetime
    mode: str | None
    location_id: UUID | None
    room_id: UUID | None
    why: str


async def reachable(db: Connection, patient_id: UUID) -> queries.Contact:
    """Raises PatientNotFound for a stranger; for one nobody could reach, what is wrong there."""
    contact = await queries.contact_of(db, patient_id)
    if contact is None:
        raise PatientNotFound("no such patient")
    return check_reachable(patient_id, contact)


async def book_reserved(
    db: Connection, token_hash: bytes, visit: Visit, *, by: Actor
) -> queries.Found:
    """The reserved timeslot, confirmed at once: whoever would approve it has booked it."""
    contact = await reachable(db, visit.patient_id)
    found = await queries.locked_under(db, token_hash)
    if found is None or not _is_of(found.appointment, visit):
        raise ReservationNotFound("no such reservation for this patient")
    return await _confirm(db, found, visit, contact, by=by)


async def hold_outside_rules(
    db: Connection, wanted: OutsideRules, visit: Visit, *, by: Actor
) -> UUID:
    """A hold for the moment until it is confirmed; what others have claimed stays theirs.

    ``db`` must not be in a transaction.
    """
    service, provider = await _set_up(db, wanted.service_id, visit.provider_id)
    location_id, room_id = _place(wanted, service, provider)
    hold, _ = await hold_timeslot(
        db,
        Wish(
            patient_id=visit.patient_id,
            provider_id=visit.provider_id,
            service_id=service.id,
            timeslot_id=OFF_SCHEDULE,
            start=wanted.start,
            mode=service.mode,
            location_id=location_id,
            room_id=room_id,
            token_hash=hashlib.sha256(new_id().bytes).digest(),
            by=by,
            override=wanted.why,
        ),
    )
    return hold.id


async def book_held(db: Connection, hold_id: UUID, visit: Visit, *, by: Actor) -> queries.Found:
    """What ``hold_outside_rules`` holds, confirmed at once."""
    contact = await reachable(db, visit.patient_id)
    found = await queries.locked(db, hold_id)
    if found is None:
        raise LookupError(f"appointment {hold_id} has vanished")
    return await _confirm(db, found, visit, contact, by=by, metadata={"override": True})


def _is_of(hold: Appointment, visit: Visit) -> bool:
    return (hold.provider_id, hold.patient_id, hold.source) == (
        visit.provider_id,
        visit.patient_id,
        "provider",
    )


async def _confirm(
    db: Connection,
    found: queries.Found,
    visit: Visit,
    contact: queries.Contact,
    *,
    by: Actor,
    metadata: dict[str, bool] | None = None,
) -> queries.Found:
    hold, now = found.appointment, found.now
    check_stands_alone(hold)
    if hold.status is Status.CONFIRMED:
        return found
    if hold.status is Status.CANCELLED or is_overdue(hold, now=now):
        raise HoldExpired(
            "this reservation is over; pick the time again", holdExpiresAt=hold.hold_expires_at
        )
    booked = hold.moved(
        Action.CONFIRMED,
        now=now,
        patient_timezone=contact.timezone,
        reason=visit.reason,
        notes=visit.notes,
        hold_expires_at=None,
    )
    await claim_own_time(db, booked)
    written = await ledger.move(db, booked, Action.CONFIRMED, by=by, metadata=metadata)
    return queries.Found(written, now)


async def _set_up(
    db: Connection, service_id: UUID, provider_id: UUID
) -> tuple[AppointmentTypeUpdated, ProviderUpdated]:
    row = await db.fetchrow(
        """
        SELECT service.data AS service, provider.data AS provider
        FROM appointment_types service JOIN providers provider ON provider.id = $2
        WHERE service.id = $1 AND service.provider_id = $2
          AND service.is_active AND provider.is_active
        """,
        service_id,
        provider_id,
    )
    if row is None:
        raise ServiceNotFound("this provider does not offer this service")
    return (
        AppointmentTypeUpdated.model_validate(row["service"]),
        ProviderUpdated.model_validate(row["provider"]),
    )


def _place(
    wanted: OutsideRules, service: AppointmentTypeUpdated, provider: ProviderUpdated
) -> tuple[UUID | None, UUID | None]:
    """The location and the room, by default the service's own; Invalid names what is unknown."""
    location_id = wanted.location_id or service.default_location_id
    room_id = wanted.room_id
    if room_id is None and location_id == service.default_location_id:
        room_id = service.default_room_id
    rooms: dict[UUID | None, set[UUID]] = {
        place.id: {room.id for room in place.rooms} for place in provider.locations
    }
    wrong = []
    if wanted.mode not in (None, service.mode):
        wrong.append(FieldError("mode", "NOT_OFFERED", f"this service is {service.mode}"))
    if location_id is not None and location_id not in rooms:
        wrong.append(FieldError("locationId", "UNKNOWN", "the provider has no such location"))
    elif wanted.room_id is not None and wanted.room_id not in rooms.get(location_id, set()):
        wrong.append(FieldError("roomId", "UNKNOWN", "the location has no such room"))
    if wrong:
        raise Invalid("some fields name what the provider does not have", errors=wrong)
    return location_id, room_id
