"""The event that tells the other services what has happened to an appointment."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from bookings.domain.appointment import Actor, Appointment, Claim
from bookings.domain.lifecycle import Action
from shared.events import booking

_EVENT: dict[Action, type[booking.AppointmentEvent]] = {
    Action.HELD_CREATED: booking.BookingHeld,
    Action.HOLD_EXTENDED: booking.BookingHeld,
    Action.REQUEST_SUBMITTED: booking.BookingRequested,
    Action.CONFIRMED: booking.BookingConfirmed,
    Action.APPROVED: booking.BookingConfirmed,
    Action.COMPLETED: booking.BookingCompleted,
    Action.NO_SHOW: booking.BookingNoShow,
}


def announce(appointment: Appointment, action: Action, by: Actor) -> booking.AppointmentEvent:
    """The appointment as it is after ``action``; an action without its own event has ended it."""
    event = _EVENT.get(action, booking.BookingCancelled)
    if event is booking.BookingConfirmed and appointment.rescheduled_from is not None:
        event = booking.BookingRescheduled
    cancellation = appointment.cancellation
    return event(
        id=appointment.id,
        version=appointment.version,
        status=appointment.status.value,
        user_id=appointment.patient_id,
        provider_id=appointment.provider_id,
        provider_name=appointment.terms.provider_name,
        service_id=appointment.service_id,
        service_title=appointment.terms.service_title,
        timeslot_id=appointment.timeslot_id,
        start=appointment.start,
        end=appointment.end,
        mode=appointment.mode,
        location_id=appointment.location_id,
        location_name=appointment.terms.location_name,
        location_address=appointment.terms.location_address,
        room_id=appointment.room_id,
        price_cents=appointment.terms.price_cents,
        currency=appointment.terms.currency,
        booked_from=appointment.source,
        hold_expires_at=appointment.hold_expires_at,
        pending_expires_at=appointment.pending_expires_at,
        patient_timezone=appointment.patient_timezone,
        provider_timezone=appointment.provider_timezone,
        cancellation=cancellation
        and booking.Cancellation(
            at=cancellation.at,
            cause=cancellation.cause,
            by_type=cancellation.by.type.value,
            by_id=cancellation.by.id,
            fee_cents=cancellation.fee_cents,
        ),
        rescheduled_from=appointment.rescheduled_from,
        rescheduled_to=appointment.rescheduled_to,
        reschedule_count=appointment.reschedule_count,
        claims=[
            booking.Claim(
                resource_id=claim.resource_id, kind=claim.kind, start=claim.start, end=claim.end
            )
            for claim in _one_each(appointment.claims)
        ],
        change=booking.Change(
            action=action.value,
            actor_type=by.type.value,
            actor_id=by.id,
            at=appointment.updated_at,
        ),
        created_at=appointment.created_at,
        updated_at=appointment.updated_at,
    )


def _one_each(claims: Iterable[Claim]) -> list[Claim]:
    """One claim for each unit, around the parts it may have while a move waits; no empty ones."""
    whole: dict[UUID, Claim] = {}
    for claim in claims:
        if claim.start < claim.end:
            known = whole.get(claim.resource_id, claim)
            whole[claim.resource_id] = replace(
                claim, start=min(known.start, claim.start), end=max(known.end, claim.end)
            )
    return list(whole.values())
