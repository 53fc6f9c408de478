"""The way to the broker: named connections, a limit for every wait, and few exceptions."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aio_pika
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, DeliveryError, PublishError

from shared.messaging.stopping import is_stray

HEARTBEAT = 15
TIMEOUT = 5.0
_CLOSE_TIMEOUT = 1.0


class BrokerUnavailable(Exception):
    """The broker did not answer, or refused; nothing is known about the message in hand."""


class NotTaken(Exception):
    """The broker works, and has not taken this message: a queue that it is meant for is full."""


class Unroutable(NotTaken):
    """The broker has no queue for this message and has given it back."""


@contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn whatever aio-pika raises inside into BrokerUnavailable or NotTaken.

    A connection that dies under a waiting call can end it with a CancelledError although nobody
    cancelled the task; unturned, that would silently end the loop around the call.
    """
    try:
        yield
    except PublishError as error:
        raise Unroutable(f"{doing}: no queue takes the message") from error
    except DeliveryError as error:
        raise NotTaken(f"{doing}: refused") from error
    except (AMQPError, OSError, RuntimeError, TimeoutError, EOFError, StopAsyncIteration) as error:
        # The last is aiormq's for a connection that the far side has closed before its greeting.
        raise BrokerUnavailable(f"{doing}: {type(error).__name__}") from error
    except asyncio.CancelledError as error:
        if is_stray(error):
            raise BrokerUnavailable(f"{doing}: the connection ended") from error
        raise
    except Exception as error:
        # aiormq ends pending calls of a channel that is closed without a reason with a bare one.
        if type(error) is Exception:
            raise BrokerUnavailable(f"{doing}: the channel ended") from error
        raise


@asynccontextmanager
async def connected(
    url: str, *, name: str, heartbeat: int = HEARTBEAT, timeout: float = TIMEOUT
) -> AsyncIterator[AbstractConnection]:
    """A connection that is not repaired behind one's back: when it is lost, open another."""
    connection = await open_connection(url, name=name, heartbeat=heartbeat, timeout=timeout)
    try:
        yield connection
    finally:
        await close_connection(connection)


async def open_connection(
    url: str, *, name: str, heartbeat: int = HEARTBEAT, timeout: float = TIMEOUT
) -> AbstractConnection:
    """Raises BrokerUnavailable when the broker does not greet back in time."""
    with broker_errors("connect"):
        async with asyncio.timeout(timeout):
            return await aio_pika.connect(
                url, heartbeat=heartbeat, client_properties={"connection_name": name}
            )


_closing: set["asyncio.Task[None]"] = set()


async def close_connection(connection: AbstractConnection) -> None:
    """Close it; a broker that does not say good-bye in time is left to the background."""
    task = asyncio.ensure_future(connection.close())
    _closing.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=_CLOSE_TIMEOUT)


def _forget(task: "asyncio.Task[None]") -> None:
    _closing.discard(task)
    if not task.cancelled():
        task.exception()
