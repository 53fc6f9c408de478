"""What the rules of a booking allow at a given instant, and what they cost.

Pure: the terms, the instants and who asks go in; a verdict or a refusal with its figures comes out.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bookings.domain.appointment import Actor, ActorType, Appointment, Terms
from bookings.domain.lifecycle import Status
from shared.errors import Conflict


class AgainstPolicy(Conflict):
    """A rule of the booking forbids this; ``rule`` names it, the other members give its figures."""

    code = "against_policy"
    title = "A rule of this booking forbids this"

    def __init__(self, rule: str, detail: str, **figures: str | int | datetime) -> None:
        super().__init__(detail, rule=rule, **figures)


@dataclass(frozen=True, slots=True)
class Refund:
    """What a cancellation costs, in minor units: ``fee`` stays with the provider."""

    refundable: bool
    fee_cents: int
    refund_cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class CancellationPolicy:
    """Until ``refundable_until`` cancelling is free; afterwards it costs ``fee_cents``.

    From ``cancellable_until`` on, at the latest from the start on, a patient can no longer cancel
    and nothing is refunded.
    """

    refundable_until: datetime
    cancellable_until: datetime
    fee_cents: int


def check_bookable(terms: Terms, start: datetime, *, timezone: str, now: datetime) -> None:
    """Minimum notice and the horizon in calendar days of the provider's zone, last day included."""
    earliest = now + timedelta(minutes=terms.min_notice_minutes)
    if start <= now or start < earliest:
        raise AgainstPolicy(
            "min_notice",
            f"this service is booked at least {terms.min_notice_minutes} minutes ahead",
            minNoticeMinutes=terms.min_notice_minutes,
            earliestStart=f"{earliest:%Y-%m-%dT%H:%M:%SZ}",
        )
    last_day = last_bookable_day(terms, timezone=timezone, now=now)
    if start.astimezone(ZoneInfo(timezone)).date() > last_day:
        raise AgainstPolicy(
            "max_future",
            f"this service is booked at most {terms.max_future_days} days ahead",
            maxFutureDays=terms.max_future_days,
            lastDay=last_day.isoformat(),
        )


def check_not_over(start: datetime, minutes: int, *, now: datetime) -> None:
    """Whoever books outside the rules may book what runs already, not what is over."""
    if start + timedelta(minutes=minutes) <= now:
        raise AgainstPolicy(
            "already_over", "this time is over; pick one that still lasts", start=start
        )


def last_bookable_day(terms: Terms, *, timezone: str, now: datetime) -> date:
    return now.astimezone(ZoneInfo(timezone)).date() + timedelta(days=terms.max_future_days)


def cancellation_policy(appointment: Appointment) -> CancellationPolicy:
    """The fee schedule in the words that a client shows before anybody presses a button."""
    terms = appointment.terms
    return CancellationPolicy(
        refundable_until=appointment.start - timedelta(minutes=terms.free_until_minutes),
        cancellable_until=appointment.start - timedelta(minutes=terms.cutoff_minutes),
        fee_cents=late_fee_cents(terms),
    )


def late_fee_cents(terms: Terms) -> int:
    """The fixed fee plus the percentage, never more than the price."""
    fee = terms.fee_cents + terms.price_cents * terms.fee_percent // 100
    return min(fee, terms.price_cents)


def cancel(appointment: Appointment, *, by: Actor, now: datetime) -> Refund:
    """The refund; raises AgainstPolicy when the patient comes too late.

    Whoever provides the service may cancel until somebody has said how it went, also after the
    start, and never at the patient's cost.
    """
    terms = appointment.terms
    price = terms.price_cents
    if by.type is not ActorType.PATIENT:
        return Refund(True, 0, price, terms.currency)
    if now >= appointment.start:
        raise AgainstPolicy(
            "already_started",
            "this appointment has begun and nothing of it is refunded; ask the provider",
            start=appointment.start,
        )
    if now >= appointment.start - timedelta(minutes=terms.cutoff_minutes):
        raise AgainstPolicy(
            "cancellation_cutoff",
            f"this appointment is cancelled at least {terms.cutoff_minutes} minutes ahead",
            cutoffMinutes=terms.cutoff_minutes,
            cancellableUntil=appointment.start - timedelta(minutes=terms.cutoff_minutes),
        )
    free = appointment.status is Status.PENDING or now < appointment.start - timedelta(
        minutes=terms.free_until_minutes
    )
    fee = 0 if free else late_fee_cents(terms)
    return Refund(fee < price or price == 0, fee, price - fee, terms.currency)


def check_not_started(appointment: Appointment, *, now: datetime) -> None:
    if now >= appointment.start:
        raise AgainstPolicy(
            "already_started", "this appointment's time has come", start=appointment.start
        )


def check_started(appointment: Appointment, *, now: datetime) -> None:
    if now < appointment.start:
        raise AgainstPolicy(
            "not_started", "say how it went after the start", start=appointment.start
        )


def pending_expiry(start: datetime, *, now: datetime, hours: int = 24) -> datetime:
    """When an unanswered request ends: after ``hours``, but never later than the start."""
    return min(now + timedelta(hours=hours), start)
