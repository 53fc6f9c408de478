"""Moving an appointment to another time: who may, until when, and what the new time may claim.

Pure. ``allowed_actions`` and the calls ask the same functions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from bookings.domain import policy
from bookings.domain.appointment import Actor, ActorType, Appointment, Claim
from bookings.domain.decisions import is_overdue
from bookings.domain.lifecycle import Action, IllegalTransition, Status
from bookings.domain.policy import AgainstPolicy
from bookings.refusals import ExtensionLimit, HoldExpired, RequestExpired

LONGEST_HOLD = timedelta(minutes=5)
"""How long a hold can last in all when it is extended; some services' holds are longer at once."""


def check_movable(old: Appointment, *, by: Actor, now: datetime) -> None:
    """Whether ``by`` may move it now, wherever to; the patient's limits bind nobody else."""
    if old.status not in (Status.CONFIRMED, Status.PENDING):
        raise IllegalTransition(old.status, Action.RESCHEDULED, rescheduledTo=old.rescheduled_to)
    if is_overdue(old, now=now):
        raise RequestExpired(
            "this request was not answered in time; book again",
            pendingExpiresAt=old.pending_expires_at,
        )
    if old.status is Status.PENDING and old.origin_stands:
        raise AgainstPolicy(
            "request_to_move",
            "this asks to move another appointment; move that one, or withdraw this request",
            appointmentId=str(old.rescheduled_from),
        )
    if by.type is ActorType.PATIENT:
        _check_patients_limits(old, now)


def _check_patients_limits(old: Appointment, now: datetime) -> None:
    terms = old.terms
    if not terms.allow_patient_reschedule:
        raise AgainstPolicy(
            "patient_reschedule", "this appointment is moved by the provider; ask them"
        )
    if old.reschedule_count >= terms.max_reschedule_count:
        raise AgainstPolicy(
            "max_reschedule_count",
            f"this appointment can be moved {terms.max_reschedule_count} times; ask the provider",
            maxRescheduleCount=terms.max_reschedule_count,
            rescheduleCount=old.reschedule_count,
        )
    policy.check_not_started(old, now=now)
    cutoff, notice = terms.cutoff_minutes, terms.min_notice_minutes
    if now >= old.start - timedelta(minutes=cutoff):
        raise AgainstPolicy(
            "cancellation_cutoff",
            f"this appointment is moved at least {cutoff} minutes ahead; ask the provider",
            cutoffMinutes=cutoff,
            movableUntil=old.start - timedelta(minutes=max(cutoff, notice)),
        )
    if now > old.start - timedelta(minutes=notice):
        raise AgainstPolicy(
            "min_notice",
            f"this appointment is moved at least {notice} minutes ahead; ask the provider",
            minNoticeMinutes=notice,
            movableUntil=old.start - timedelta(minutes=max(cutoff, notice)),
        )


def check_new_time(old: Appointment, new: Appointment, *, by: Actor, now: datetime) -> None:
    """Whether the held time can replace the old one; its notice counts from when it was picked."""
    check_same_parties(old, new.patient_id, new.provider_id)
    if new.rescheduled_from not in (None, old.id):
        raise AgainstPolicy(
            "reserved_for_another_move",
            "this reservation was made to move another appointment",
            appointmentId=str(new.rescheduled_from),
        )
    if new.status in (Status.PENDING, Status.CONFIRMED):
        raise IllegalTransition(new.status, Action.CONFIRMED)
    if new.status is not Status.HELD or is_overdue(new, now=now):
        raise HoldExpired(
            "this reservation is over; pick the time again", holdExpiresAt=new.hold_expires_at
        )
    policy.check_not_started(new, now=now)
    if by.type is ActorType.PATIENT:
        policy.check_bookable(
            new.terms, new.start, timezone=new.provider_timezone, now=new.created_at
        )


def check_same_parties(old: Appointment, patient_id: UUID, provider_id: UUID) -> None:
    """A move changes neither the patient nor the provider; the service it may."""
    if patient_id != old.patient_id:
        raise AgainstPolicy("same_patient", "this reservation is for somebody else")
    if provider_id != old.provider_id:
        raise AgainstPolicy(
            "same_provider",
            "an appointment is moved within its provider; book there and cancel here",
            providerId=str(old.provider_id),
        )


def replaces_at_once(old: Appointment, new: Appointment, *, by: Actor) -> bool:
    """A confirmed appointment stays until the provider approves the time that replaces it.

    A request that nobody has answered is replaced at once: there is nothing to keep.
    """
    return old.status is Status.PENDING or not asks_for_approval(new, by=by)


def asks_for_approval(new: Appointment, *, by: Actor) -> bool:
    return new.terms.requires_approval and by.type is ActorType.PATIENT


def answer_expiry(old: Appointment, new: Appointment, *, now: datetime) -> datetime:
    """When a request to move ends: never beyond the start of the new time or of a kept old one."""
    expiry = policy.pending_expiry(new.start, now=now)
    return min(expiry, old.start) if old.status is Status.CONFIRMED else expiry


def extended_until(hold: Appointment, *, now: datetime) -> datetime:
    """A live hold's next end: a hold's length from now, at most five minutes after it was made."""
    if hold.status is not Status.HELD and hold.is_active:
        raise IllegalTransition(hold.status, Action.HOLD_EXTENDED)
    if hold.status is not Status.HELD or hold.hold_expires_at is None or is_overdue(hold, now=now):
        raise HoldExpired(
            "this reservation is over; pick the time again", holdExpiresAt=hold.hold_expires_at
        )
    length = timedelta(seconds=hold.terms.hold_seconds)
    limit = hold.created_at + max(length, LONGEST_HOLD)
    until = min(now + length, limit)
    if until <= hold.hold_expires_at:
        raise ExtensionLimit(
            "this reservation cannot be extended any further; confirm it in time",
            expiresAt=hold.hold_expires_at,
            latestExpiresAt=limit,
            maxHoldSeconds=int(max(length, LONGEST_HOLD).total_seconds()),
        )
    return until


def beside(wanted: Iterable[Claim], old: Sequence[Claim]) -> list[Claim]:
    """What is left to claim of ``wanted`` while the old appointment keeps its claims.

    A unit that the old one covers altogether is named by an empty claim, which locks nothing.
    """
    return [piece for claim in wanted for piece in _pieces(claim, old)]


def _pieces(wanted: Claim, old: Sequence[Claim]) -> list[Claim]:
    pieces = [wanted]
    for taken in old:
        if taken.resource_id == wanted.resource_id:
            pieces = [rest for piece in pieces for rest in _without(piece, taken)]
    return pieces or [replace(wanted, end=wanted.start)]


def _without(piece: Claim, taken: Claim) -> list[Claim]:
    if taken.end <= piece.start or piece.end <= taken.start:
        return [piece]
    before = replace(piece, end=max(piece.start, taken.start))
    after = replace(piece, start=min(piece.end, taken.end))
    return [rest for rest in (before, after) if rest.start < rest.end]
