"""Synchronous calls: is it offered, hold it, hold it longer, and what became of holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.auth import Principal, Role
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
        self,
        *,
        provider_id: UUID,
        service_id: UUID,
        timeslot_id: str,
        user_id: UUID,
        without: UUID | None = None,
    ) -> Offered | None:
        """None when the provider has no such service, or the id is of no timeslot of it.

        ``without`` is an appointment of the user's, whose claims stand in nobody's way.
        """
        answer = await self._calls.post(
            "/internal/timeslots/check",
            {
                "providerId": str(provider_id),
                "serviceId": str(service_id),
                "timeslotId": timeslot_id,
                "userId": str(user_id),
            }
            | ({"withoutAppointmentId": str(without)} if without is not None else {}),
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


_MOST_ASKED = 100
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
        by: Principal,
        reschedule_of: UUID | None = None,
    ) -> Hold | Refusal:
        """Repeatable: whoever already holds the timeslot gets the same hold again."""
        move = {} if reschedule_of is None else {"rescheduleOf": str(reschedule_of)}
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
            }
            | _by(by)
            | move,
            repeatable=True,
        )
        return _hold_of(answer, 201)

    async def extend(
        self, appointment_id: UUID, *, token_hash: bytes, by: Principal
    ) -> Hold | Refusal:
        """Not repeatable: each call extends the hold once more."""
        answer = await self._calls.post(
            f"/internal/holds/{appointment_id}/extend",
            {"tokenHash": token_hash.hex()} | _by(by),
        )
        return _hold_of(answer, 200)

    async def outcomes(self, appointment_ids: Sequence[UUID]) -> dict[UUID, str]:
        """``held``, ``used``, ``released`` or ``expired``, of those that bookings knows."""
        if not appointment_ids:
            return {}
        answer = await self._calls.post(
            "/internal/holds/outcomes",
            {"appointmentIds": [str(id_) for id_ in appointment_ids[-_MOST_ASKED:]]},
            repeatable=True,
        )
        found = _expect(answer, 200)["outcomes"]
        return {UUID(each["appointmentId"]): each["outcome"] for each in found}


def _by(user: Principal) -> dict[str, str]:
    """Said only where it is not the patient, so that bookings of an earlier release understands."""
    if user.role is Role.PATIENT:
        return {}
    return {"byType": user.role.value, "byId": str(user.id)}


def _hold_of(answer: InnerAnswer, status: int) -> Hold | Refusal:
    if answer.status in (404, 409):
        problem = answer.body
        own = problem.keys() - _OF_EVERY_PROBLEM
        members = {name: problem[name] for name in own}
        return Refusal(problem["code"], problem["detail"], members)
    body = _expect(answer, status)
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
