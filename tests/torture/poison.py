"""Somebody publishes what no consumer can read, to every queue by way of the exchange."""

import asyncio
import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.messaging.broker import BrokerUnavailable, NotTaken
from shared.messaging.publisher import Outgoing, Publisher
from shared.messaging.topology import EXCHANGE, LISTENERS, RETRY_PAUSES
from shared.messaging.wire import CONTENT_TYPE
from tests.torture.history import History, Json, now

KEYS = ("booking.confirmed", "reservation.released")
"""Each queue hears of exactly one of them."""
UNTIL_PARKED = sum(RETRY_PAUSES) + 60
"""Seconds until a message of an unknown type is parked, outages included."""
_LARGE = 2 * 1024 * 1024


def _garbage(_: str) -> bytes:
    return b"\x00\xff{not even JSON"


def _without_envelope(_: str) -> bytes:
    return b'{"hello": ["world"]}'


def _other_schema(key: str) -> bytes:
    return _event(key, {"version": "the newest", "claims": {"start": None}})


def _too_large(key: str) -> bytes:
    return _event(key, {"status": "x" * _LARGE})


def _unknown_type(_: str) -> bytes:
    return _event("booking.enchanted", {"version": 1})


def _event(event_type: str, data: Json) -> bytes:
    envelope = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "urn:somebody"}
    envelope |= {"type": event_type, "subject": str(uuid.uuid4()), "sequence": 1}
    envelope |= {"time": datetime.now(UTC).isoformat(), "datacontenttype": "application/json"}
    return json.dumps({**envelope, "data": data}).encode()


SORTS: Mapping[str, Callable[[str], bytes]] = {
    "garbage": _garbage,
    "without envelope": _without_envelope,
    "other schema": _other_schema,
    "too large": _too_large,
    "unknown type": _unknown_type,
}


@dataclass
class Poisoner:
    """One message for each queue at a time; the sorts come in turn."""

    amqp_url: str
    history: History
    chance: random.Random

    async def live(self, until: float, *, pause: float) -> None:
        async with Publisher(self.amqp_url, name="somebody") as publisher:
            number = 0
            while now() + pause < until:
                await asyncio.sleep(pause * self.chance.uniform(0.7, 1.3))
                sort = list(SORTS)[number % len(SORTS)]
                number += 1
                if sort == "unknown type" and now() + UNTIL_PARKED > until:
                    continue  # it would not be parked before the end
                for key in KEYS:
                    await self._publish(publisher, f"poison-{number}-{key}", sort, key)

    async def _publish(self, publisher: Publisher, id_: str, sort: str, key: str) -> None:
        start, sure = now(), True
        message = Outgoing(key, SORTS[sort](key), id_, key, CONTENT_TYPE, exchange=EXCHANGE)
        try:
            await publisher.publish(message)
        except (BrokerUnavailable, NotTaken):
            sure = False  # it may have arrived
        queues = [name for name, types in LISTENERS.items() if key in types]
        self.history.add(
            "poison", start=start, end=now(), id=id_, sort=sort, queues=queues, sure=sure
        )
