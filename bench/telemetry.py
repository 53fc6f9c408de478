"""What recording costs: holds and confirmations with telemetry off, at a tenth, and at everything.

Three processes with one database are loaded in turns, so short that whatever else the machine does
meets all of them alike. The collector throws away what it is sent, in a process of its own.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from bench.bookings import MADE, pairs_per_second
from bench.clinic import Clinic, a_clinic
from bench.figures import Row, at_least
from bench.load import CONNECTIONS, load_sequences
from bench.stage import Stage, a_free_port, answers

ROUNDS = 36
SECONDS = 0.5

_COLLECTOR = """
import asyncio, sys

async def take(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\\r\\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(take, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


@dataclass
class Way:
    """A server and what was measured of it, all rounds together."""

    name: str
    port: int
    stage: Stage
    pairs: float = 0.0
    seconds: float = 0.0
    busy: float = 0.0

    async def measure(self, clinic: Clinic, seconds: float) -> None:
        before = self.stage.busy_seconds(self.port)
        sequences = [clinic.pairs(seconds) for _ in range(CONNECTIONS)]
        outcome = await load_sequences(self.port, sequences, statuses=[MADE])
        self.busy += self.stage.busy_seconds(self.port) - before
        self.pairs += outcome.requests / 2
        self.seconds += outcome.requests / outcome.per_second

    @property
    def rate(self) -> float:
        return self.pairs / self.seconds

    @property
    def cost(self) -> float:
        """Milliseconds of processor time for a pair, the exporter's thread included."""
        return self.busy / self.pairs * 1000


async def run(on: Stage) -> list[Row]:
    clinic = await a_clinic(on)
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(_collector())
        ways = []
        for name, share in (("off", None), ("a tenth", "0.1"), ("everything", "1")):
            own = {} if share is None else {"OTEL_TRACES_SAMPLER_ARG": share}
            if share is not None:
                own["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector}"
            serving = replace(on, settings={**on.settings, **own})
            port = await stack.enter_async_context(serving.serving("bookings.app:make_app"))
            ways.append(Way(name, port, serving))
        for way in ways:
            await pairs_per_second(way.port, clinic, 1)
        await on.as_admin("VACUUM ANALYZE")
        for number in range(ROUNDS):
            # Whoever comes first in a round gains or loses by that, so each does in turn.
            for shift in range(len(ways)):
                await ways[(number + shift) % len(ways)].measure(clinic, SECONDS)
    return _rows(ways)


def _rows(ways: list[Way]) -> list[Row]:
    off = ways[0]
    rows = []
    for way in ways:
        recording = f"pairs, recording {way.name}"
        if way is off:
            rows.append(Row(name=recording, figure=way.rate, unit="/s"))
            rows.append(Row(name="processor of a pair", figure=way.cost, unit="ms"))
            continue
        rows.append(
            Row(
                name=recording,
                figure=way.rate,
                unit="/s",
                ratio=way.rate / off.rate,
                yardstick="off",
                wanted=at_least(0.85) if way.name == "a tenth" else None,
            )
        )
        rows.append(
            Row(
                name="processor of a pair",
                figure=way.cost,
                unit="ms",
                ratio=way.cost / off.cost,
                yardstick="off",
            )
        )
    return rows


@asynccontextmanager
async def _collector() -> AsyncIterator[int]:
    port = a_free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _COLLECTOR, str(port))
    try:
        await answers(port)
        yield port
    finally:
        process.terminate()
        await process.wait()
