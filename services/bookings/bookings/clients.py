"""What other services keep about a patient, asked of them when the patient wants all of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from uuid import UUID

from bookings.settings import BookingsSettings
from shared.auth import ServiceTokens
from shared.errors import Unavailable
from shared.inner_calls import InnerCalls
from shared.observability import logger

_PATIENCE = 10.0


class Keepers:
    """The services that keep something of a patient's besides what bookings tells them."""

    def __init__(self, calls: Mapping[str, InnerCalls | None]) -> None:
        self._calls = calls

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: BookingsSettings) -> AsyncIterator[Self]:
        tokens = ServiceTokens(settings.service_secret.get_secret_value(), "bookings")
        urls = {
            "calendar-sync": settings.calendar_sync_url,
            "notifications": settings.notifications_url,
            "reservations": settings.reservations_url,
        }
        async with AsyncExitStack() as stack:
            calls = {
                name: await stack.enter_async_context(
                    InnerCalls.open(str(url), callee=name, tokens=tokens, total_timeout=_PATIENCE)
                )
                if url is not None
                else None
                for name, url in urls.items()
            }
            yield cls(calls)

    async def all_about(self, patient_id: UUID) -> dict[str, dict[str, Any] | None]:
        """By service; None for one that does not answer."""
        answers = await asyncio.gather(
            *(self._about(name, calls, patient_id) for name, calls in self._calls.items())
        )
        return dict(zip(self._calls, answers, strict=True))

    async def _about(
        self, name: str, calls: InnerCalls | None, patient_id: UUID
    ) -> dict[str, Any] | None:
        if calls is None:
            logger.warning("export_incomplete", service=name, why="its address is not set")
            return None
        try:
            answer = await calls.get(f"/internal/patients/{patient_id}/export")
        except Unavailable:
            return None
        if answer.status != 200 or not isinstance(answer.body, dict):
            logger.warning("export_incomplete", service=name, why=f"status {answer.status}")
            return None
        return answer.body
