"""What the worker does for webhooks."""

from datetime import timedelta

from notifications.settings import NotificationsSettings
from notifications.webhooks.deliverer import Deliverer
from notifications.webhooks.log import forget_old
from shared.observability import logger
from shared.outside import Outside, opened_hosts
from shared.worker import Loops, Worker


async def webhook_loops(worker: Worker[NotificationsSettings]) -> Loops:
    """Without WEBHOOK_KEYS there are no endpoints to deliver to."""
    settings = worker.settings
    loops = {"webhook log": worker.timer("webhook log", timedelta(minutes=10), forget_old)}
    if settings.cipher is None:
        logger.warning("webhooks_off", missing="WEBHOOK_KEYS")
        return loops
    outside = await worker.resources.enter_async_context(
        Outside.open(opened=opened_hosts(settings.webhook_opened_hosts))
    )
    loops["webhooks"] = Deliverer(worker.database, settings.cipher, outside).run
    return loops
