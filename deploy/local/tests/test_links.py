"""A switch between a client and a server lets pass, holds back, refuses and resets."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.folder import RunFolder
from local.links import Links, switch
from local.ports import Ports
from local.processes import Program
from local.waiting import wait_for

LIMIT = 30.0
NAME = "worker postgres"


@pytest.fixture
async def links(tmp_path: Path) -> AsyncIterator[Links]:
    """An echo server behind one switch."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"postgresql://somebody:secret@127.0.0.1:{port}/db"
    program = Program("worker", "services", (), tmp_path, {"DATABASE_URL": url})
    with Ports.held(tmp_path / "ports.json") as ports:
        made = Links(RunFolder(tmp_path), ports)
        [moved] = made.through([program])
        assert moved.environment["DATABASE_URL"] == url.replace(str(port), str(made_port(ports)))
        process = await asyncio.create_subprocess_exec(
            *made.program().command, env=os.environ | made.program().environment
        )
        try:
            await wait_for(made.ready, "the switches", limit=LIMIT)
            yield made
        finally:
            process.kill()
            await process.wait()
            server.close()


def made_port(ports: Ports) -> int:
    return ports[f"link {NAME}"]


@asynccontextmanager
async def connected(
    links: Links,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", made_port(links.ports))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: bytes) -> bytes:
    writer.write(word + b"\n")
    return (await reader.readline()).rstrip()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_what_hangs_arrives_when_it_passes_again(links: Links) -> None:
    async with connected(links) as (reader, writer):
        assert await says(reader, writer, b"before") == b"before"
        await switch(links.socket, {NAME: "hang"})
        answer = asyncio.create_task(says(reader, writer, b"meanwhile"))
        done, _ = await asyncio.wait({answer}, timeout=0.2)
        assert not done

        await switch(links.socket, {NAME: "pass"})

        assert await answer == b"meanwhile"


async def test_a_refused_way_ends_old_connections_and_new_ones(links: Links) -> None:
    async with connected(links) as (reader, writer):
        await says(reader, writer, b"before")
        await switch(links.socket, {NAME: "refuse"})
        assert await ended(reader)
    async with connected(links) as (reader, _):
        assert await ended(reader)

    await switch(links.socket, {NAME: "pass"})

    async with connected(links) as (reader, writer):
        assert await says(reader, writer, b"after") == b"after"


async def test_a_reset_ends_what_is_open_and_nothing_else(links: Links) -> None:
    async with connected(links) as (reader, writer):
        await says(reader, writer, b"before")
        await switch(links.socket, {NAME: "reset"})
        assert await ended(reader)

    async with connected(links) as (reader, writer):
        assert await says(reader, writer, b"after") == b"after"
