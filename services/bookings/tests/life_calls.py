"""The calls that patients, staff, reservations and the worker make, on a clinic and a colleague."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID, uuid4

from bookings.consumers import save_appointment_type, save_provider
from bookings.use_cases.end_hold import expire_due_holds, expire_due_requests, release_hold
from bookings.use_cases.finish import finish_due_appointments
from shared.auth import ServiceTokens
from shared.db import Database
from shared.http import AsyncClient, Response
from shared.testing.tokens import SERVICE_SECRET

from .builders import Clinic, a_clinic, a_patient, a_service, an_event, tomorrow
from .life_model import MOST_MOVES, Model, Offered, Who
from .life_rows import Rows
from .stage import As, after, overdue

Result = TypeVar("Result")
WORKERS = [expire_due_holds, expire_due_requests, finish_due_appointments]


@dataclass
class Stage:
    """The running service, and the loop that it runs on."""

    api: AsyncClient
    database: Database
    as_user: As
    loop: asyncio.AbstractEventLoop
    seen: set[str] = field(default_factory=set)
    """Every action that has been brought about."""

    def now(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Done by the loop, while this thread waits."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Calls:
    """Two providers, three services, two patients: a story of their own in the database."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.first_slot = tomorrow(9) + timedelta(days=4)
        self.services: list[Offered] = []
        self.patients: list[UUID] = []
        self._tokens: dict[Who, dict[str, str]] = {}
        self._shifts = 9
        self._last: tuple[str, Any, dict[str, str], Response] | None = None

    async def set_up(self) -> Rows:
        database = self.stage.database
        clinic = await a_clinic(database, staff=2, max_reschedule_count=MOST_MOVES)
        asking = a_service(
            clinic.provider.id,
            requires_approval=True,
            duration_minutes=45,
            buffer_after_minutes=15,
            max_reschedule_count=MOST_MOVES,
        )
        colleague = await a_clinic(database, max_reschedule_count=MOST_MOVES)
        strict = colleague.provider.model_copy(
            update={"version": 2, "completion_policy": "no_show"}
        )
        async with database.transaction() as db:
            await save_appointment_type(db, an_event(asking))
            await save_provider(db, an_event(strict))
            self.patients = [await a_patient(db), await a_patient(db)]
            last = await db.fetchval("SELECT coalesce(max(position), 0) FROM outbox")
        self.services = [
            _offered(clinic, clinic.service, "completed"),
            _offered(clinic, asking, "completed"),
            _offered(colleague, colleague.service, "no_show"),
        ]
        return Rows([clinic.provider.id, colleague.provider.id], first_event=last)

    def slot(self, number: int) -> datetime:
        """Every quarter of an hour, so that neighbours overlap."""
        return self.first_slot + timedelta(minutes=15 * number)

    async def agree(self, rows: Rows, model: Model) -> None:
        async with self.stage.database.transaction() as db:
            await rows.agree(db, model)

    async def get(self, who: Who, path: str) -> Response:
        return await self.stage.api.get(path, headers=self._headers(who))

    async def post(self, who: Who, path: str, body: dict[str, Any]) -> Response:
        headers = self._headers(who) | {"Idempotency-Key": uuid4().hex}
        answer = await self.stage.api.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 403, 404, 409), answer.text
        self._last = (path, body, headers, answer)
        return answer

    async def repeat(self) -> None:
        """The newest call once more, as a client does that has not got its answer."""
        if self._last is not None:
            path, body, headers, answer = self._last
            again = await self.stage.api.post(path, json=body, headers=headers)
            assert again.status_code == answer.status_code
            if answer.status_code not in (403, 404):
                assert again.content == answer.content
                assert again.headers["idempotent-replayed"] == "true"

    async def hold(
        self, patient: UUID, service: Offered, start: datetime, *, by: Who, moves: UUID | None
    ) -> tuple[Response, str]:
        """What reservations asks for; bookings' answer, and the token of the reservation."""
        token = sha256(uuid4().bytes).hexdigest()[:32]
        body = {
            "userId": str(patient),
            "providerId": str(service.provider),
            "serviceId": str(service.id),
            "timeslotId": f"slot-{start:%H%M}",
            "start": start.isoformat(),
            "mode": "phone",
            "locationId": None,
            "roomId": None,
            "tokenHash": sha256(token.encode()).hexdigest(),
            "rescheduleOf": str(moves) if moves else None,
            "byType": by.role,
            "byId": str(by.id),
        }
        answer = await self._as_reservations("/internal/holds", body)
        assert answer.status_code in (201, 404, 409), answer.text
        return answer, token

    async def extend(self, id_: UUID, token: str) -> Response:
        body = {"tokenHash": sha256(token.encode()).hexdigest()}
        return await self._as_reservations(f"/internal/holds/{id_}/extend", body)

    async def let_go(self, id_: UUID, token: str) -> bool:
        """As the consumer does that hears of a released reservation."""
        async with self.stage.database.transaction() as db:
            return await release_hold(db, id_, token_hash=sha256(token.encode()).digest())

    async def work(self) -> None:
        """The worker's timers, until there is nothing left to do."""
        for timer in WORKERS:
            async with self.stage.database.transaction() as db:
                while await timer(db):
                    pass

    async def time_out(self, id_: UUID) -> None:
        await overdue(self.stage.database, id_)

    async def begin(self, *ids: UUID) -> timedelta:
        """Let their start pass; each time by other days, so that nothing meets there."""
        self._shifts += 1
        passed = timedelta(days=self._shifts)
        await after(self.stage.database, passed, *ids)
        return passed

    def _headers(self, who: Who) -> dict[str, str]:
        if who not in self._tokens:
            headers = self.stage.as_user(who.role, who.id)
            self._tokens[who] = {"Authorization": headers["Authorization"]}
        return self._tokens[who]

    async def _as_reservations(self, path: str, body: dict[str, Any]) -> Response:
        token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
        return await self.stage.api.post(
            path, json=body, headers={"Authorization": f"Bearer {token}"}
        )


def _offered(clinic: Clinic, service: Any, ends_as: str) -> Offered:
    return Offered(
        id=service.id,
        provider=clinic.provider.id,
        units=tuple(clinic.resource_ids),
        minutes=service.duration_minutes,
        buffer_after=service.buffer_after_minutes,
        needs_approval=service.requires_approval,
        ends_as=ends_as,
    )
