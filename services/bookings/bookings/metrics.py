"""What bookings tells Prometheus: what has happened to appointments, once it is committed."""

from functools import partial

from prometheus_client import Counter, Histogram

from bookings.domain.appointment import Appointment
from bookings.domain.lifecycle import Action
from shared.db import Connection, after_commit
from shared.due_work import DueWork

CHANGES = Counter(
    "booking_changes_total",
    "What has happened to appointments, by its word in their trails.",
    ["action"],
)
FEES = Counter(
    "booking_cancellation_fees_minor_units_total",
    "Fees of cancelled appointments, in cents or whatever the currency's smallest unit is.",
    ["currency"],
)
CHARGED = Counter("booking_cancellations_charged_total", "Cancellations that cost a fee.")
HELD_FOR = Histogram(
    "booking_hold_to_confirmation_seconds",
    "From the hold to the patient's word, be it a confirmation or a request.",
    buckets=(1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 900),
)
UNITS_LOST = Counter(
    "booking_claims_lost_total",
    "Free units that a rival was faster to claim; the next free one was tried.",
)

# A rate needs a beginning: what has not happened yet has happened no times.
_COUNTED = {action: CHANGES.labels(action.value) for action in Action}

_ENDING = frozenset(
    {Action.CANCELLED_BY_PATIENT, Action.CANCELLED_BY_PROVIDER, Action.CANCELLED_BY_SYSTEM}
)
_SPOKEN = frozenset({Action.CONFIRMED, Action.REQUEST_SUBMITTED})

DUE: DueWork = {
    "hold expiry": """
        SELECT hold_expires_at AS due_at FROM appointments
        WHERE status = 'held' AND hold_expires_at <= now() ORDER BY hold_expires_at
    """,
    "request expiry": """
        SELECT pending_expires_at AS due_at FROM appointments
        WHERE status = 'pending' AND pending_expires_at <= now() ORDER BY pending_expires_at
    """,
    "completion": """
        SELECT due_at FROM providers p CROSS JOIN LATERAL (
            SELECT a.ends_at + make_interval(mins => p.completion_grace_minutes) AS due_at
            FROM appointments a
            WHERE a.provider_id = p.id AND a.status = 'confirmed'
              AND a.ends_at <= now() - make_interval(mins => p.completion_grace_minutes)
        ) each WHERE p.completion_policy <> 'none'
    """,
}


def count(db: Connection, changed: Appointment, action: Action) -> None:
    """Count the change when it is committed."""
    after_commit(db, partial(_count, changed, action))


def _count(changed: Appointment, action: Action) -> None:
    _COUNTED[action].inc()
    if action in _SPOKEN:
        HELD_FOR.observe(max((changed.updated_at - changed.created_at).total_seconds(), 0))
    ended = changed.cancellation if action in _ENDING else None
    if ended is not None and ended.fee_cents:
        CHARGED.inc()
        FEES.labels(changed.terms.currency).inc(ended.fee_cents)
