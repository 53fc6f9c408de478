"""What the worker does for realtime."""

from datetime import timedelta

from notifications.realtime.connections import sweep
from notifications.realtime.consumers import HANDLERS, QUEUE
from notifications.realtime.pusher.hosted import HandingOn, HostedPusher
from notifications.realtime.telling import forget_old, tell_what_waits
from notifications.settings import NotificationsSettings
from shared.http import new_client
from shared.messaging.consumer import Consumer
from shared.worker import Loops, Worker


async def realtime_loops(worker: Worker[NotificationsSettings]) -> Loops:
    consumer = Consumer(
        queue=QUEUE,
        handlers=HANDLERS,
        database=worker.database,
        amqp_url=worker.settings.amqp_url,
    )
    loops = {
        "realtime consumer": consumer.run,
        "realtime changes": worker.timer(
            "realtime changes", timedelta(milliseconds=100), tell_what_waits
        ),
        "realtime history": worker.timer("realtime history", timedelta(seconds=30), forget_old),
        "realtime sweep": worker.timer("realtime sweep", timedelta(seconds=15), sweep),
    }
    if (hosted := worker.settings.hosted_pusher) is not None:
        client = await worker.resources.enter_async_context(new_client())
        handing_on = HandingOn(worker.database, HostedPusher(hosted, client))
        loops["hosted pusher"] = worker.chore(
            "hosted pusher", timedelta(milliseconds=200), handing_on.tick
        )
    return loops
