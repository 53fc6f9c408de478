"""Who may see an appointment, and as whom they act on it."""

from uuid import UUID

from bookings import queries
from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.refusals import AppointmentNotFound
from shared.auth import Principal, Role
from shared.db import Connection


def actor_for(user: Principal, appointment: Appointment) -> Actor | None:
    """The part this user has in the appointment; None means that it does not exist for them."""
    if user.role is Role.ADMIN:
        return Actor(ActorType.ADMIN, user.id)
    if user.role is Role.PATIENT and user.id == appointment.patient_id:
        return Actor(ActorType.PATIENT, user.id)
    if user.role is Role.PROVIDER and user.id == appointment.provider_id:
        return Actor(ActorType.PROVIDER, user.id)
    return None


async def locked_for(
    user: Principal, appointment_id: UUID, db: Connection
) -> tuple[queries.Found, Actor]:
    """The appointment, locked, and the part the user has in it; else it does not exist for them."""
    return _in_part(user, await queries.locked(db, appointment_id))


async def seen_by(
    user: Principal, appointment_id: UUID, db: Connection
) -> tuple[queries.Found, Actor]:
    """Likewise, without a lock."""
    return _in_part(user, await queries.appointment(db, appointment_id))


def _in_part(user: Principal, found: queries.Found | None) -> tuple[queries.Found, Actor]:
    by = actor_for(user, found.appointment) if found else None
    if found is None or by is None:
        raise AppointmentNotFound("no such appointment")
    return found, by


def may_see_provider(user: Principal, provider_id: UUID) -> bool:
    return user.role is Role.ADMIN or (user.role is Role.PROVIDER and user.id == provider_id)


def may_see_patient(user: Principal, patient_id: UUID) -> bool:
    return user.role is Role.ADMIN or (user.role is Role.PATIENT and user.id == patient_id)
