"""How a patient's data is asked to be erased, and how far that has come."""

from typing import Literal, Self
from uuid import UUID

from bookings.domain.erasure import Erasure, ReasonCode
from shared.fields import Answer, Flag, Id, Instant
from shared.idempotency import KeyedBody


class ErasureIn(KeyedBody):
    """``confirmUserId`` repeats whom it is about, because it cannot be undone."""

    confirm_user_id: Id
    reason_code: ReasonCode
    cancel_upcoming: Flag = False


class ServiceErasedOut(Answer):
    service: str
    status: Literal["erased", "pending"]
    confirmed_at: Instant | None


class ErasureOut(Answer):
    id: UUID
    user_id: UUID
    status: Literal["in_progress", "completed"]
    reason_code: str
    requested_by_type: str
    requested_by_id: UUID | None
    requested_at: Instant
    completed_at: Instant | None
    cancelled_appointments: int
    services: list[ServiceErasedOut]

    @classmethod
    def of(cls, erasure: Erasure) -> Self:
        completed_at = erasure.completed_at
        return cls(
            id=erasure.id,
            user_id=erasure.patient_id,
            status="completed" if completed_at else "in_progress",
            reason_code=erasure.reason_code,
            requested_by_type=erasure.requested_by.type.value,
            requested_by_id=erasure.requested_by.id,
            requested_at=erasure.requested_at,
            completed_at=completed_at,
            cancelled_appointments=erasure.cancelled_appointments,
            services=[
                ServiceErasedOut(
                    service=service, status="erased" if at else "pending", confirmed_at=at
                )
                for service, at in sorted(erasure.confirmed_at.items())
            ],
        )
