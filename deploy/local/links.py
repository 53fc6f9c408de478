"""A switch on each way between a process and PostgreSQL or RabbitMQ: `local run --links`.

``python -m local.links FILE`` forwards connections and does what it is told over a unix socket,
one JSON line for each switch: ``{"link": "bookings-worker rabbitmq", "mode": "hang"}``. The torture
cuts single processes off with it (docs/torture.md).
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from local.folder import CHECKOUT, RunFolder, write_private
from local.ports import Ports
from local.processes import Program

Mode = Literal["pass", "hang", "refuse", "reset"]
"""``hang``: nothing arrives any more, nobody is told. ``refuse``: every connection is ended, and
new ones at once. ``reset``: those of now are ended, new ones pass."""

SERVERS: Mapping[str, str] = {"DATABASE_URL": "postgres", "AMQP_URL": "rabbitmq"}
_CHUNK = 65536


@dataclass(frozen=True)
class Links:
    """The switches of one run folder, made before the programs whose ways they are on."""

    folder: RunFolder
    ports: Ports

    @property
    def socket(self) -> Path:
        return self.folder.socket("links.sock")

    @property
    def _file(self) -> Path:
        return self.folder.path / "links.json"

    def program(self) -> Program:
        return Program(
            name="links",
            group="servers",
            command=(sys.executable, "-m", "local.links", str(self._file)),
            folder=self.folder.path,
            environment={"PYTHONPATH": str(CHECKOUT / "deploy")},
        )

    def through(self, programs: list[Program]) -> list[Program]:
        """The programs with their servers behind a switch each, and the switches written down."""
        known: dict[str, dict[str, Any]] = {}
        moved = []
        for program in programs:
            environment = dict(program.environment)
            for variable, server in SERVERS.items():
                if variable not in environment:
                    continue
                name = f"{program.name} {server}"
                target = urlsplit(environment[variable])
                port = self.ports[f"link {name}"]
                known[name] = {"port": port, "host": target.hostname, "to": target.port}
                place = f"{target.hostname}:{target.port}"
                environment[variable] = environment[variable].replace(place, f"127.0.0.1:{port}", 1)
            moved.append(replace(program, environment=environment))
        write_private(self._file, json.dumps({"socket": str(self.socket), "links": known}))
        return moved

    async def ready(self) -> bool:
        """Whether the switches can be used."""
        try:
            await switch(self.socket, {})
        except OSError:
            return False
        return True


async def switch(socket: Path, modes: Mapping[str, Mode]) -> None:
    """Put links into modes; done when it returns. OSError when nobody is there to do it."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        for link, mode in modes.items():
            writer.write(json.dumps({"link": link, "mode": mode}).encode() + b"\n")
        writer.write_eof()
        await reader.read()
    finally:
        writer.close()


class _Link:
    """One way to one server."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._mode: Mode = "pass"
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def put(self, mode: Mode) -> None:
        if mode in ("refuse", "reset"):
            for writer in self._writers:
                writer.transport.abort()
        self._mode = "pass" if mode == "reset" else mode
        if self._mode == "hang":
            self._open.clear()
        else:
            self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._open.wait()
            if self._mode == "refuse":
                writer.transport.abort()
                return
            with suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
                self._writers.add(far_writer)
                try:
                    await asyncio.gather(
                        self._carry(reader, far_writer), self._carry(far_reader, writer)
                    )
                finally:
                    self._writers.discard(far_writer)
                    far_writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.transport.abort()


async def _serve(settings: Mapping[str, Any]) -> None:
    links = {name: _Link(each["host"], each["to"]) for name, each in settings["links"].items()}

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            told = json.loads(line)
            if told["mode"] in get_args(Mode):
                links[told["link"]].put(told["mode"])
        writer.close()

    for name, each in settings["links"].items():
        await asyncio.start_server(links[name].serve, "127.0.0.1", each["port"])
    async with await asyncio.start_unix_server(obey, settings["socket"]) as control:
        await control.serve_forever()


if __name__ == "__main__":
    known = json.loads(Path(sys.argv[1]).read_text())
    Path(known["socket"]).unlink(missing_ok=True)
    asyncio.run(_serve(known))
