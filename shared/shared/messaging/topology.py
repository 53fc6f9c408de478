"""Exchange and queues as data: their names, arguments and bindings, the same in every process.

A service has one main queue, one queue for each pause before a retry, and one where messages are
parked that no retry has cured. Arguments of a queue that exists can never change: another value is
refused with 406. What operators may want to tune belongs into a policy.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from shared.messaging.broker import TIMEOUT, BrokerUnavailable, broker_errors
from shared.observability import logger

EXCHANGE = "medic.events"

RETRY_PAUSES = (1.0, 5.0, 30.0, 300.0)
"""Seconds to wait after the first, second, … failure of a message; after the last it is parked."""

DELIVERY_LIMIT = 100
"""Only a message that takes its process down again and again is delivered that often."""

# RabbitMQ 4 drops a message after 20 deliveries unless told otherwise, and looking is a delivery.
_PARKED_DELIVERY_LIMIT = 2_000_000_000

Listeners = Mapping[str, Collection[str]]
"""Which event types each queue receives."""

_BOOKING = frozenset(
    f"booking.{change}"
    for change in (
        "held",
        "requested",
        "confirmed",
        "rescheduled",
        "cancelled",
        "completed",
        "no_show",
    )
)

# Known to every relay, so that a service's queue exists, and fills, before the service first runs.
# A name is a service, or a service and the concern of it that must not wait for its others.
LISTENERS: Listeners = {
    "availability": _BOOKING
    | {
        "calendar.busy_changed",
        "calendar.connection_connected",
        "calendar.connection_broken",
        "calendar.connection_deleted",
        "calendar.imported",
        "calendar.import_deleted",
        "patient.deleted",
    },
    "bookings": frozenset(
        {
            "provider.updated",
            "provider.deleted",
            "appointment_type.updated",
            "appointment_type.deleted",
            "resource.updated",
            "resource.deleted",
            "reservation.released",
            "notification.reminder_scheduled",
            "notification.reminder_sent",
            "notification.reminder_failed",
            "calendar.event_written",
            "calendar.event_failed",
            "availability.patient_erased",
            "calendar.patient_erased",
            "notification.patient_erased",
            "reservation.patient_erased",
        }
    ),
    "reservations": frozenset(
        {
            "booking.requested",
            "booking.confirmed",
            "booking.rescheduled",
            "booking.cancelled",
            "patient.deleted",
        }
    ),
    "notifications": _BOOKING - {"booking.held"}
    | {
        "patient.updated",
        "patient.deleted",
        "provider.updated",
        "provider.deleted",
        "availability.conflict_found",
        "calendar.connection_connected",
        "calendar.connection_broken",
        "calendar.connection_deleted",
    },
    "notifications-realtime": _BOOKING - {"booking.held"} | {"availability.changed"},
    "calendar-sync": _BOOKING - {"booking.held"}
    | {"provider.updated", "provider.deleted", "patient.deleted"},
}


class TopologyMismatch(Exception):
    """A queue or exchange cannot be as the code wants it: it exists otherwise, or is forbidden."""


@dataclass(frozen=True)
class Queues:
    """The names of one service's queues."""

    main: str
    pauses: tuple[float, ...] = RETRY_PAUSES

    @property
    def parked(self) -> str:
        return f"{self.main}.parked"

    @property
    def retries(self) -> tuple[str, ...]:
        return tuple(f"{self.main}.retry.{_milliseconds(pause)}" for pause in self.pauses)

    def after_failure(self, attempts: int) -> str:
        """Where a message waits that has failed so many times."""
        return self.retries[attempts - 1] if attempts <= len(self.pauses) else self.parked

    def _arguments(self) -> Mapping[str, Mapping[str, Any]]:
        retries = {
            name: {"x-message-ttl": _milliseconds(pause)} | _dead_letters_to(self.main)
            for name, pause in zip(self.retries, self.pauses, strict=True)
        }
        main = {"x-delivery-limit": DELIVERY_LIMIT} | _dead_letters_to(self.parked)
        return {
            self.parked: {"x-delivery-limit": _PARKED_DELIVERY_LIMIT},
            self.main: main,
        } | retries

    async def declare(
        self, connection: AbstractConnection, exchange: str, types: Collection[str]
    ) -> None:
        """Make the queues and let those event types in; raises TopologyMismatch when refused."""
        with _refusals(f"declare {self.main}"):
            channel = await connection.channel()
            try:
                await channel.declare_exchange(
                    exchange, ExchangeType.TOPIC, durable=True, timeout=TIMEOUT
                )
                for name, arguments in self._arguments().items():
                    queue = await channel.declare_queue(
                        name,
                        durable=True,
                        arguments={"x-queue-type": "quorum", **arguments},
                        timeout=TIMEOUT,
                    )
                    if name == self.main:
                        for event_type in types:
                            await queue.bind(exchange, event_type, timeout=TIMEOUT)
            finally:
                await channel.close()

    async def keep_out(
        self, connection: AbstractConnection, exchange: str, types: Collection[str]
    ) -> None:
        """Let those event types in no more, which an earlier release may have asked for."""
        with _refusals(f"unbind {self.main}"):
            channel = await connection.channel()
            try:
                queue = await channel.get_queue(self.main, ensure=False)
                for event_type in types:
                    await queue.unbind(exchange, event_type, timeout=TIMEOUT)
            finally:
                await channel.close()


async def declare_listeners(
    connection: AbstractConnection, exchange: str, listeners: Listeners
) -> None:
    """Make every listener's queue, so that nothing is lost before its service first ran.

    A queue that cannot be made is left to its own service, which refuses to start with it.
    """
    with _refusals("declare the exchange"):
        channel = await connection.channel()
        await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True, timeout=TIMEOUT)
        await channel.close()
    for name, types in listeners.items():
        try:
            await Queues(name, pauses=()).declare(connection, exchange, types)
        except TopologyMismatch as error:
            logger.error("queue_mismatch", queue=name, failure=str(error))


@contextmanager
def _refusals(doing: str) -> Iterator[None]:
    try:
        with broker_errors(doing):
            yield
    except BrokerUnavailable as error:
        if isinstance(error.__cause__, ChannelPreconditionFailed | ChannelAccessRefused):
            raise TopologyMismatch(f"{doing}: {error.__cause__}") from error
        raise


def _milliseconds(pause: float) -> int:
    return round(pause * 1000)


def _dead_letters_to(queue: str) -> dict[str, Any]:
    """At least once: without this strategy a dead letter may be lost on its way."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
