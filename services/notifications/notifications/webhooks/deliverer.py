"""The loop that delivers: any number of workers run it, each delivery is one worker's at a time."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
from prometheus_client import Counter

from notifications.webhooks import deliveries
from notifications.webhooks.deliveries import Claimed
from notifications.webhooks.disabling import tell_owner
from notifications.webhooks.schedule import pause_after
from notifications.webhooks.signing import signed_headers
from shared.database_trouble import DatabaseError, is_passing
from shared.db import Database
from shared.encryption import Cipher, NotDecryptable, Place
from shared.fields import instant_text
from shared.ids import new_id
from shared.messaging.stopping import Stop, run_until_cancelled
from shared.observability import logger, story
from shared.outside import AddressRefused, BadAnswer, Outside, Unreachable
from shared.retry_after import retry_after

_ATTEMPTS = Counter("webhook_attempts", "Calls to integrators' endpoints.", ["outcome"])
for _outcome in ("delivered", "failed"):
    _ATTEMPTS.labels(_outcome)

_GONE = 410
_GRACE = 6.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a call: ``error`` says what is wrong, None for a success; ``wish`` is how long
    the receiver wants to be left alone."""

    error: str | None
    status: int | None = None
    wish: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    poll: float = 0.5
    lease: timedelta = timedelta(seconds=60)
    call_seconds: float = 15.0
    most_at_once: int = 20


class Deliverer:
    def __init__(
        self, database: Database, cipher: Cipher, outside: Outside, pace: Pace | None = None
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._outside = outside
        self._pace = pace or Pace()
        self._id = new_id()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stop = Stop()

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then is finished, or given back."""
        await run_until_cancelled(self._work(), self._stop.request, grace=_GRACE)

    async def _work(self) -> None:
        try:
            await self._deliver_all()
        finally:
            for task in self._in_hand:
                task.cancel()
            await asyncio.gather(*self._in_hand, return_exceptions=True)

    async def _deliver_all(self) -> None:
        while not self._stop.requested:
            try:
                claimed = await self._claim()
            except (*DatabaseError, OSError) as error:
                if not is_passing(error):
                    raise
                logger.warning("webhooks_wait_for_database", failure=type(error).__name__)
                claimed = []
            for each in claimed:
                task = asyncio.create_task(self._carry(each))
                self._in_hand.add(task)
                task.add_done_callback(self._in_hand.discard)
            if not claimed:
                await self._stop.pause(self._pace.poll)
        if self._in_hand:
            await asyncio.wait(self._in_hand)

    async def _claim(self) -> list[Claimed]:
        free = self._pace.most_at_once - len(self._in_hand)
        if not free:
            return []
        async with self._database.autocommit() as db:
            return await deliveries.claim(db, self._id, limit=free, lease=self._pace.lease)

    async def _carry(self, claimed: Claimed) -> None:
        try:
            with story("deliver webhook", attributes={"messaging.message.id": str(claimed.id)}):
                await self._deliver(claimed)
        except asyncio.CancelledError:
            with suppress(*DatabaseError, OSError):
                async with self._database.autocommit() as db:
                    await deliveries.give_back(db, self._id, claimed.id)
            raise
        except Exception as error:  # noqa: BLE001 -- the outermost of this delivery
            # The lease runs out, and it is taken up again.
            logger.error("webhook_crashed", delivery_id=str(claimed.id), exc_info=error)

    async def _deliver(self, claimed: Claimed) -> None:
        tried = await self._call(claimed)
        if tried.error is None and tried.status is not None:
            async with self._database.transaction() as db:
                await deliveries.succeed(db, self._id, claimed, status=tried.status)
            _ATTEMPTS.labels("delivered").inc()
            return
        _ATTEMPTS.labels("failed").inc()
        is_gone = tried.status == _GONE
        pause = pause_after(claimed.attempts, chance=random.random(), wish=tried.wish)  # noqa: S311
        async with self._database.transaction() as db:
            gone = await deliveries.disable_gone(db, claimed.endpoint_id) if is_gone else None
            failed = await deliveries.fail(
                db,
                self._id,
                claimed,
                status=tried.status,
                error=tried.error or "",
                pause=None if is_gone else pause,
            )
            disabled = gone or failed
            if disabled is not None:
                await tell_owner(db, disabled)
        if disabled is not None:
            logger.warning(
                "webhook_endpoint_disabled",
                endpoint_id=str(disabled.id),
                because=disabled.disabled_because,
            )

    async def _call(self, claimed: Claimed) -> Tried:
        try:
            keys = [
                self._cipher.decrypt(stored, secret_place(claimed.endpoint_id))
                for stored in (claimed.secret, claimed.old_secret)
                if stored is not None
            ]
        except NotDecryptable as error:
            return Tried(f"the secret {error}")
        body = body_of(claimed)
        headers = signed_headers(
            f"msg_{claimed.event_id.hex}", int(claimed.now.timestamp()), body, keys
        )
        try:
            async with self._outside.call(
                "POST",
                claimed.url,
                headers=headers | {"Content-Type": "application/json"},
                body=body,
                seconds=self._pace.call_seconds,
            ) as answer:
                if 200 <= answer.status < 300:
                    return Tried(None, answer.status)
                wish = retry_after(answer.headers)
                return Tried(f"status {answer.status}", answer.status, wish)
        except AddressRefused as error:
            return Tried(f"the address is not allowed: {error}")
        except (Unreachable, BadAnswer) as error:
            return Tried(str(error))


def secret_place(endpoint_id: UUID) -> Place:
    """One for both secrets, so that rotating moves the old one as it is."""
    return Place("webhook_endpoints", "secret", endpoint_id)


def body_of(claimed: Claimed) -> bytes:
    """The same for every attempt."""
    return orjson.dumps(
        {
            "type": claimed.type,
            "timestamp": instant_text(claimed.occurred_at),
            "data": claimed.data | {"position": claimed.position},
        }
    )
