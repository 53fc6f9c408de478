"""When nothing is under way any more: every event is published and has been taken in."""

import asyncio

import aio_pika
import asyncpg

from local.services import SERVICES, Surroundings
from local.waiting import wait_for


async def settled(surroundings: Surroundings, *, limit: float = 30) -> None:
    """Wait until all outboxes and all services' queues are empty."""
    connections = await asyncio.gather(
        *(asyncpg.connect(surroundings.databases[service.name]) for service in SERVICES)
    )
    broker = await aio_pika.connect(surroundings.amqp_url)
    try:
        channel = await broker.channel()

        async def look() -> bool:
            for connection in connections:
                if await connection.fetchval(
                    "SELECT true FROM outbox WHERE published_at IS NULL LIMIT 1"
                ):
                    return False
            for service in SERVICES:
                queue = await channel.declare_queue(service.name, passive=True)
                if queue.declaration_result.message_count:
                    return False
            return True

        await wait_for(look, "the delivery of the demo data to every service", limit=limit)
    finally:
        await broker.close()
        await asyncio.gather(*(connection.close() for connection in connections))
