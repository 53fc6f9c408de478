"""The real nginx with the real template, in front of stand-in services."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.gateway import TEMPLATE, Gateway
from local.ports import Ports
from local.prepare import find_nginx
from local.supervisor import files_allowed
from local.waiting import listening, wait_for

from .upstream import Upstream

SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar-sync")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Front:
    """The gateway's port and what stands behind it."""

    port: int
    upstreams: Mapping[str, Upstream]
    access_log: Path

    async def send(self, raw: bytes) -> Answer:
        """Send these bytes as they are; a client library would tidy the path up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.close()
        return Answer(int(status.split()[1]), headers, body)

    async def get(self, path: str, *, method: str = "GET", headers: str = "") -> Answer:
        return await self.send(
            f"{method} {path} HTTP/1.1\r\nHost: clinic\r\n{headers}\r\n".encode()
        )

    @property
    def reached(self) -> list[str]:
        return [request for service in self.upstreams.values() for request in service.requests]


@asynccontextmanager
async def a_gateway(
    folder: Path,
    addresses: Mapping[str, str] | None = None,
    template: Path = TEMPLATE,
    **settings: str,
) -> AsyncIterator[Front]:
    """In front of one stand-in for each service, or of what has these addresses."""
    nginx = find_nginx()
    if nginx is None:
        pytest.skip("nginx is not installed")
    upstreams = {name: Upstream(name) for name in SERVICES}
    async with AsyncExitStack() as stack:
        for upstream in upstreams.values():
            await stack.enter_async_context(upstream.running())
        ports = stack.enter_context(Ports.held(folder / "ports.json"))
        gateway = Gateway(
            nginx=nginx,
            folder=folder / "gateway",
            port=ports["gateway"],
            upstreams=addresses or {name: f"127.0.0.1:{up.port}" for name, up in upstreams.items()},
            files=files_allowed(),
            settings=settings,
            template=template,
        )
        gateway.create()
        log = folder / "access.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *gateway.command(), stdout=output, stderr=output
            )
        try:
            await wait_for(lambda: listening(gateway.port), "nginx", limit=30)
            yield Front(gateway.port, upstreams, log)
        finally:
            process.terminate()
            await process.wait()
