"""The notifications worker: relay, consumer, sender and its upkeep. Wiring only."""

from collections.abc import Iterator
from datetime import timedelta

from notifications import metrics
from notifications.channels import Channel
from notifications.channels.email import EmailChannel
from notifications.consumers import HANDLERS
from notifications.domain.news import ChannelName
from notifications.jobs.upkeep import end_expired, forget_old, take_back_stalled
from notifications.letters import LetterWriter
from notifications.realtime.loops import realtime_loops
from notifications.sender import Sender
from notifications.settings import NotificationsSettings
from notifications.unsubscribing import UnsubscribeLinks
from notifications.webhooks.loops import webhook_loops
from shared.messaging.loops import messaging_loops
from shared.observability import logger
from shared.worker import Loops, Worker, run_worker


async def build(worker: Worker[NotificationsSettings]) -> Loops:
    settings = worker.settings
    sender = Sender(
        database=worker.database,
        database_url=settings.database_url,
        channels=list(channels_that_are_on(settings)),
        most_at_once=settings.most_at_once,
    )
    return {
        **messaging_loops(worker, "notifications", HANDLERS),
        **await realtime_loops(worker),
        **await webhook_loops(worker),
        "sender": sender.run,
        "stalled": worker.timer("stalled", timedelta(seconds=2), take_back_stalled),
        "expired": worker.timer("expired", timedelta(minutes=1), end_expired),
        "old": worker.timer("old", timedelta(hours=1), forget_old),
    }


def channels_that_are_on(settings: NotificationsSettings) -> Iterator[Channel]:
    """A channel without settings is off, and says so."""
    server = settings.smtp_server
    metrics.CHANNEL_ON.labels(ChannelName.EMAIL).set(server is not None)
    if server is None:
        logger.warning("channel_off", channel=ChannelName.EMAIL.value, missing="SMTP_URL")
        return
    yield EmailChannel(
        server,
        sender=settings.sender,
        writer=LetterWriter(settings.public_origin),
        links=UnsubscribeLinks(
            settings.public_origin, secret=settings.service_secret.get_secret_value()
        ),
    )


def main() -> None:
    run_worker("notifications", NotificationsSettings(), build)


if __name__ == "__main__":
    main()
