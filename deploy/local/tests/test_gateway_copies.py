"""The gateway as containers run it: services have names, and any number of copies behind each."""

import asyncio
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.prepare import find_nginx
from local.waiting import wait_for

from .front import SERVICES, Front, a_gateway
from .names import Names
from .upstream import Upstream

LOOKS_UP_NAMES_AGAIN = (1, 27, 3)


@dataclass
class Scaled:
    front: Front
    names: Names
    copies: dict[str, Upstream]
    """By the address of each; all of them run all the time."""

    async def status(self) -> int:
        return (await self.front.get("/v1/bookings")).status

    async def reached(self, requests: int = 10) -> set[str]:
        """Which copies answered the next requests."""
        for copy in self.copies.values():
            copy.requests.clear()
        for _ in range(requests):
            await self.front.get("/v1/bookings")
        return {address for address, copy in self.copies.items() if copy.requests}

    async def until_reached(self, *expected: str) -> None:
        async def is_so() -> bool:
            return await self.reached() == set(expected)

        await wait_for(is_so, f"requests reach {expected} and nobody else", limit=60)


@contextmanager
def deaf(address: str, port: int) -> Iterator[None]:
    """Who connects there gets no answer at all, as from a container that is gone."""
    with socket.socket() as listening, socket.socket() as waiting:
        listening.bind((address, port))
        listening.listen(0)
        waiting.connect((address, port))
        yield


@pytest.fixture
def fitting_nginx() -> None:
    nginx = find_nginx()
    if nginx is None:
        pytest.skip("nginx is not installed")
    answer = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"/(\d+)\.(\d+)\.(\d+)", answer)
    if version is None or tuple(map(int, version.groups())) < LOOKS_UP_NAMES_AGAIN:
        pytest.skip(f"{answer.strip()} cannot look names up again; nginx 1.27.3 or newer can")


@pytest.fixture
async def scaled(fitting_nginx: None, tmp_path: Path) -> AsyncIterator[Scaled]:
    names = Names()
    first = Upstream("first")
    copies = {"127.0.0.1": first, "127.0.0.2": Upstream("second"), "127.0.0.3": Upstream("third")}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(names.running())
        for address, copy in copies.items():
            await stack.enter_async_context(copy.running(address, first.port))
        front = await stack.enter_async_context(
            a_gateway(
                tmp_path,
                {name: f"{name}-api:{first.port} resolve" for name in SERVICES},
                GATEWAY_RESOLVER=f"127.0.0.1:{names.port}",
            )
        )
        yield Scaled(front, names, copies)


async def test_copies_are_found_when_they_come_and_left_alone_when_they_go(scaled: Scaled) -> None:
    scaled.names.addresses = ["127.0.0.1"]
    await scaled.until_reached("127.0.0.1")

    scaled.names.addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    await scaled.until_reached("127.0.0.1", "127.0.0.2", "127.0.0.3")

    scaled.names.addresses = ["127.0.0.3"]
    await scaled.until_reached("127.0.0.3")


async def test_it_starts_before_its_services_and_finds_them_later(scaled: Scaled) -> None:
    assert await scaled.status() == 503

    scaled.names.addresses = ["127.0.0.2"]
    await scaled.until_reached("127.0.0.2")

    assert await scaled.status() == 200


@pytest.mark.parametrize("silent", [1, 9])
async def test_copies_that_are_named_and_do_not_listen_cost_no_answer(
    scaled: Scaled, silent: int
) -> None:
    nobody = [f"127.0.0.{number}" for number in range(10, 10 + silent)]
    scaled.names.addresses = ["127.0.0.2", *nobody]
    await scaled.until_reached("127.0.0.2")

    answers = [await scaled.front.get("/v1/bookings", method="GET") for _ in range(20)]
    posts = [
        await scaled.front.get("/v1/bookings", method="POST", headers="Content-Length: 0\r\n")
        for _ in range(20)
    ]

    assert {answer.status for answer in (*answers, *posts)} == {200}


async def test_a_copy_that_is_gone_but_still_named_costs_no_answer(scaled: Scaled) -> None:
    scaled.names.addresses = ["127.0.0.2"]
    await scaled.until_reached("127.0.0.2")

    async def the_names_are_known() -> bool:
        return await scaled.reached(1) == {"127.0.0.3"}

    with deaf("127.0.0.8", scaled.copies["127.0.0.3"].port):
        scaled.names.addresses = ["127.0.0.3", "127.0.0.8"]
        await wait_for(the_names_are_known, "the gateway knows the new addresses", limit=60)
        answers = await asyncio.gather(
            *(scaled.front.get("/v1/bookings", method="GET") for _ in range(4)),
            *(
                scaled.front.get("/v1/bookings", method="POST", headers="Content-Length: 0\r\n")
                for _ in range(4)
            ),
        )

    assert {answer.status for answer in answers} == {200}
