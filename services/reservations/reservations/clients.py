"""The only two synchronous calls between services: is it offered, and hold it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.errors import Unavailable
from shared.inner_calls import InnerAnswer, InnerCalls


@dataclass(frozen=True, slots=True)
class Offered:
    """What availability says of a timeslot: None means that it is not to be had."""

    timeslot: dict[str, Any] | None
    alternatives: list[dict[str, Any]]


class Availability:
    def __init__(self, calls: InnerCalls) -> None:
        self._calls = calls

    async def check(
        self, *, provider_id: UUID, service_id: UUID, timeslot_id: str, user_id: UUID
    ) -> Offered | None:
        """None when the provider has no such service, or the id is of no timeslot of it."""
        answer = await self._calls.post(
            "/internal/timeslots/check",
            {
                "providerId": str(provider_id),
                "serviceId": str(service_id),
                "timeslotId": timeslot_id,
                "userId": str(user_id),
            },
            repeatable=True,
        )
        if answer.status == 404:
            return None
        body = _expect(answer, 200)
        return Offered(body["timeslot"] if body["offered"] else None, body["alternatives"])


@dataclass(frozen=True, slots=True)
class Hold:
    appointment_id: UUID
    expires_at: datetime
    server_time: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bookings' own words for why it does not hold the timeslot."""

    code: str
    detail: str
    members: dict[str, Any]


_OF_EVERY_PROBLEM = {"type", "title", "status", "detail", "instance", "code", "traceId"}


class Bookings:
    def __init__(self, calls: InnerCalls) -> None:
        self._calls = calls

    async def hold(
        self,
        *,
        user_id: UUID,
        provider_id: UUID,
        service_id: UUID,
        timeslot: dict[str, Any],
        token_hash: bytes,
    ) -> Hold | Refusal:
        """Repeatable: whoever already holds the timeslot gets the same hold again."""
        answer = await self._calls.post(
            "/internal/holds",
            {
                "userId": str(user_id),
                "providerId": str(provider_id),
                "serviceId": str(service_id),
                "timeslotId": timeslot["id"],
                "start": timeslot["start"],
                "mode": timeslot["mode"],
                "locationId": timeslot["locationId"],
                "roomId": timeslot["roomId"],
                "tokenHash": token_hash.hex(),
            },
            repeatable=True,
        )
        if answer.status in (404, 409):
            problem = answer.body
            own = problem.keys() - _OF_EVERY_PROBLEM
            members = {name: problem[name] for name in own}
            return Refusal(problem["code"], problem["detail"], members)
        body = _expect(answer, 201)
        return Hold(
            UUID(body["appointmentId"]),
            datetime.fromisoformat(body["expiresAt"]),
            datetime.fromisoformat(body["serverTime"]),
        )


def _expect(answer: InnerAnswer, status: int) -> dict[str, Any]:
    if answer.status != status:
        raise Unavailable("another service did not understand this one", retry_after=5)
    body: dict[str, Any] = answer.body
    return body
