"""What goes wrong at Google when a test wants it to."""

import asyncio
import re
from dataclasses import dataclass, field

from aiohttp import web

from .refusals import GoogleSaysNo


class Lost(Exception):
    """Nobody is there any more to be answered."""


@dataclass
class Fault:
    method: str
    path: re.Pattern[str]
    refusal: GoogleSaysNo | None
    """None: the connection breaks off."""
    is_after: bool
    """The request has its effect, and only the answer is lost."""
    skip: int
    times: int


@dataclass
class Faults:
    planned: list[Fault] = field(default_factory=list)
    is_down: bool = False
    held: asyncio.Event | None = None
    """While it is not set, answers to changes that have been made wait for it."""
    holding: asyncio.Event = field(default_factory=asyncio.Event)

    def plan(
        self,
        method: str,
        path: str,
        refusal: GoogleSaysNo | None = None,
        *,
        is_after: bool = False,
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """The next ``times`` requests after the next ``skip`` that match are answered so."""
        fault = Fault(method, re.compile(path), refusal, is_after, skip, times)
        self.planned.append(fault)

    def strike(self, request: web.Request, *, is_after: bool) -> None:
        if self.is_down:
            raise GoogleSaysNo(503, "backendError", "Backend Error")
        for fault in self.planned:
            fits = fault.method == request.method and fault.path.search(request.raw_path)
            if not fits or fault.is_after != is_after or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.refusal is not None:
                raise fault.refusal
            assert request.transport is not None
            request.transport.abort()
            raise Lost

    async def hold(self) -> None:
        if self.held is not None:
            self.holding.set()
            await self.held.wait()
