"""Retrying is safe: a request with an ``Idempotency-Key`` has one effect and one answer.

::

    @router.post("/v1/bookings", status_code=201, response_model=AppointmentOut,
                 responses=problems(SlotTaken, *KEY_REFUSALS))
    async def confirm(body: ConfirmIn, once: OnceOnly, user: CurrentUser) -> Response:
        return await once.in_sql(
            lambda db: confirm_appointment(db, body.reservation_token, user=user),
            headers=lambda made: {"Location": f"/v1/appointments/{made.id}"},
        )
"""

from shared.idempotency.answers import KEPT_COLUMNS, KEPT_FOR, Kept, purge_idempotency_keys
from shared.idempotency.erasing import AnswerErased, erase_answers
from shared.idempotency.keys import (
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    IdempotencyKeysDiffer,
    KeyedBody,
    RequestInProgress,
)
from shared.idempotency.once import Keep, Once, OnceIfKeyed, OnceOnly, once_of

KEY_REFUSALS = (
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
    IdempotencyKeysDiffer,
    RequestInProgress,
    IdempotencyKeyReused,
    AnswerErased,
)
"""What a route with ``OnceOnly`` may answer on account of the key, for its OpenAPI description."""

__all__ = [
    "KEPT_COLUMNS",
    "KEPT_FOR",
    "KEY_REFUSALS",
    "AnswerErased",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "IdempotencyKeysDiffer",
    "Keep",
    "Kept",
    "KeyedBody",
    "Once",
    "OnceIfKeyed",
    "OnceOnly",
    "RequestInProgress",
    "erase_answers",
    "once_of",
    "purge_idempotency_keys",
]
