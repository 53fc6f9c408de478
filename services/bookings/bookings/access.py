"""Who may see an appointment, and as whom they act on it."""

from uuid import UUID

from bookings.domain.appointment import Actor, ActorType, Appointment
from shared.auth import Principal, Role


def actor_for(user: Principal, appointment: Appointment) -> Actor | None:
    """The part this user has in the appointment; None means that it does not exist for them."""
    if user.role is Role.ADMIN:
        return Actor(ActorType.ADMIN, user.id)
    if user.role is Role.PATIENT and user.id == appointment.patient_id:
        return Actor(ActorType.PATIENT, user.id)
    if user.role is Role.PROVIDER and user.id == appointment.provider_id:
        return Actor(ActorType.PROVIDER, user.id)
    return None


def may_see_patient(user: Principal, patient_id: UUID) -> bool:
    return user.role is Role.ADMIN or (user.role is Role.PATIENT and user.id == patient_id)
