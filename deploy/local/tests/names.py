"""A name server whose answers change, as they do where containers come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address

_ANSWER, _NO_ERROR, _NO_SUCH_NAME = 0x8180, 0, 3
_TYPE_A, _CLASS_IN, _THE_QUESTIONS_NAME = 1, 1, 0xC00C
_SECONDS = 600  # long on purpose: who believes it never asks again


@dataclass
class Names(asyncio.DatagramProtocol):
    """Every name has these addresses; none of them is no such name."""

    addresses: list[str] = field(default_factory=list)
    port: int = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = data[12 : data.index(b"\0", 12) + 5]
        code = _NO_ERROR if self.addresses else _NO_SUCH_NAME
        head = (_ANSWER | code, 1, len(self.addresses), 0, 0)
        answers = b"".join(
            b"".join(
                (
                    *(n.to_bytes(2, "big") for n in (_THE_QUESTIONS_NAME, _TYPE_A, _CLASS_IN)),
                    _SECONDS.to_bytes(4, "big"),
                    (4).to_bytes(2, "big"),
                    IPv4Address(address).packed,
                )
            )
            for address in self.addresses
        )
        words = b"".join(word.to_bytes(2, "big") for word in head)
        self._transport.sendto(data[:2] + words + question + answers, addr)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = transport.get_extra_info("sockname")[1]
        try:
            yield
        finally:
            transport.close()
