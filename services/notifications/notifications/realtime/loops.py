"""What the worker does for realtime."""

from datetime import timedelta

from notifications.realtime.connections import sweep
from notifications.realtime.consumers import HANDLERS, QUEUE
from notifications.realtime.telling import forget_old, tell_what_waits
from notifications.settings import NotificationsSettings
from shared.messaging.consumer import Consumer
from shared.worker import Loops, Worker


def realtime_loops(worker: Worker[NotificationsSettings]) -> Loops:
    consumer = Consumer(
        queue=QUEUE,
        handlers=HANDLERS,
        database=worker.database,
        amqp_url=worker.settings.amqp_url,
    )
    return {
        "realtime consumer": consumer.run,
        "realtime changes": worker.timer(
            "realtime changes", timedelta(milliseconds=100), tell_what_waits
        ),
        "realtime history": worker.timer("realtime history", timedelta(seconds=30), forget_old),
        "realtime sweep": worker.timer("realtime sweep", timedelta(seconds=15), sweep),
    }
