"""Whether a message may leave at this moment, and when it is tried again."""

from datetime import timedelta
from typing import Any

import pytest

from notifications.domain.job import (
    MOST_UNKNOWN,
    Backoff,
    DeliveryStatus,
    JobStatus,
    job_after,
    objection,
)

from .builders import PATIENT_EMAIL, a_contact, a_job

NOBODY: Any = None


def test_nothing_is_against_a_job_that_is_still_true() -> None:
    assert objection(a_job(), address=PATIENT_EMAIL) is None


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"appointment_status": "cancelled"}, JobStatus.WITHDRAWN),
        ({"appointment_status": "completed"}, JobStatus.WITHDRAWN),
        ({"appointment_status": None}, JobStatus.WITHDRAWN),
        ({"recipient": a_contact(is_erased=True, email=None)}, JobStatus.WITHDRAWN),
        ({"expires_at": a_job().now}, JobStatus.FAILED),
        ({"unknown_attempts": MOST_UNKNOWN}, JobStatus.FAILED),
        ({"recipient": NOBODY}, JobStatus.QUEUED),
        ({"recipient": a_contact(email=None)}, JobStatus.QUEUED),
    ],
)
def test_what_speaks_against_sending(given: dict[str, Any], becomes: JobStatus) -> None:
    job = a_job(**given)

    against = objection(job, address=job.recipient.email if job.recipient else None)

    assert against is not None
    assert against.becomes is becomes


def test_an_unknown_recipient_is_not_waited_for_beyond_usefulness() -> None:
    job = a_job(recipient=None, expires_at=a_job().now)

    against = objection(job, address=None)

    assert against is not None
    assert against.becomes is JobStatus.FAILED


@pytest.mark.parametrize("attempt", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_pauses_grow_and_stay_bounded(attempt: int, jitter: float) -> None:
    backoff = Backoff(timedelta(seconds=10), timedelta(minutes=10))
    full = min(timedelta(seconds=10) * 2 ** min(attempt - 1, 9), timedelta(minutes=10))

    assert full / 2 <= backoff.pause(attempt, jitter=jitter) <= full


def test_only_what_may_help_is_tried_again() -> None:
    assert job_after(DeliveryStatus.SENT) is JobStatus.SENT
    assert job_after(DeliveryStatus.REFUSED) is JobStatus.FAILED
    assert job_after(DeliveryStatus.DEFERRED) is JobStatus.QUEUED
    assert job_after(DeliveryStatus.UNKNOWN) is JobStatus.QUEUED
