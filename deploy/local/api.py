"""The running system as a client sees it: JSON over the gateway."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from local.console import WentWrong


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """What kind of refusal it is."""
        return (
            str(self.json.get("code", "")) if "json" in self.headers.get("Content-Type", "") else ""
        )


class Api:
    """The gateway's address and one caller's connections to it."""

    def __init__(self, base_url: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str) -> "AsyncIterator[Api]":
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(base_url, session)

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Whatever the system answers."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        try:
            async with self._session.request(
                method, self.base_url + path, json=body, headers=sent
            ) as response:
                return Answer(response.status, response.headers, await response.text())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WentWrong(f"{method} {path} was not answered: {error!r}") from None

    @asynccontextmanager
    async def stream(self, path: str, *, token: str) -> "AsyncIterator[AsyncIterator[str]]":
        """The lines of server-sent events, from the moment when they are listened to."""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.get(self.base_url + path, headers=headers) as response:
                if response.status != 200:
                    raise WentWrong(f"GET {path} answered {response.status}")
                yield (line.decode().rstrip("\r\n") async for line in response.content)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WentWrong(f"GET {path} did not go on: {error!r}") from None

    async def expect(self, status: int, method: str, path: str, **call: Any) -> Answer:
        """The answer, which has this status; any other is what went wrong."""
        answer = await self.call(method, path, **call)
        if answer.status != status:
            raise WentWrong(f"{method} {path} answered {answer.status}: {answer.text[:500]}")
        return answer


async def answers_200(url: str) -> bool:
    """Whether a GET of this address succeeds now."""
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
