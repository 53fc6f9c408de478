"""Callers of the gateway whose every request is recorded, and who ask again like good clients."""

import asyncio
import hashlib
import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from local.keys import SigningKey
from local.tokens import token
from tests.torture.history import History, Json, now

PATIENCE = 25.0
"""Seconds for which an intent is asked again with its key before it is given up."""
_TIMEOUT = aiohttp.ClientTimeout(total=8)


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 means that nothing did."""

    status: int
    body: Any = None

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def is_final(self) -> bool:
        """Whether asking again with the same key would give the same."""
        return 0 < self.status < 500 and "in_progress" not in self.code


@dataclass
class Door:
    """The gateway, and the history of all that passes through it."""

    base_url: str
    session: aiohttp.ClientSession
    history: History
    key: SigningKey
    chance: random.Random = field(default_factory=random.Random)

    def person(self, role: str = "patient", sub: str | None = None) -> "Person":
        id_ = sub or str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        return Person(self, id_, role, token(self.key, role, uuid.UUID(id_)))


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    door: Door
    id: str
    role: str
    token: str = field(repr=False)

    async def ask(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None
    ) -> Answer:
        """One request, recorded with its answer, or with what came instead of one."""
        headers: dict[str, str] = {"Authorization": f"Bearer {self.token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        start, status, text, error = now(), 0, b"", None
        replayed = False
        try:
            async with self.door.session.request(
                method, self.door.base_url + path, json=body, headers=headers, timeout=_TIMEOUT
            ) as answer:
                text = await answer.read()
                status = answer.status
                replayed = answer.headers.get("Idempotent-Replayed") == "true"
        except (aiohttp.ClientError, TimeoutError, OSError) as failure:
            error = type(failure).__name__
        found = _parsed(text)
        self.door.history.add(
            "request",
            start=start,
            end=now(),
            by=self.id,
            role=self.role,
            method=method,
            path=path,
            key=key,
            sent=body,
            status=status,
            digest=hashlib.sha256(text).hexdigest()[:16],
            replayed=replayed,
            error=error,
            answer=_told(found),
        )
        return Answer(status, found)

    async def insist(
        self, method: str, path: str, body: Json | None = None, *, again: bool = False
    ) -> Answer:
        """The intent's answer, asked for with one key until it is final or patience has ended.

        ``again`` asks once more after the final answer, as clients do whose answer was lost.
        """
        key = str(uuid.UUID(int=self.door.chance.getrandbits(128), version=4))
        deadline = now() + PATIENCE
        answer = await self.ask(method, path, body, key=key)
        while not answer.is_final and now() < deadline:
            await asyncio.sleep(0.2 + 0.3 * self.door.chance.random())
            answer = await self.ask(method, path, body, key=key)
        if again and answer.is_final:
            await self.ask(method, path, body, key=key)
        return answer


_KEPT = (
    "id",
    "appointmentId",
    "reservationToken",
    "expiresAt",
    "serverTime",
    "status",
    "version",
    "start",
    "end",
    "code",
    "rescheduledFrom",
    "detail",
)


def _told(body: Any) -> Json | None:
    """What the checker needs of an answer; lists of timeslots would fill the disk."""
    if not isinstance(body, dict):
        return None
    if isinstance(body.get("appointment"), dict):
        body = body["appointment"]
    return {name: body[name] for name in _KEPT if name in body}


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def query(values: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={value}" for name, value in values.items())
