"""The notifications worker: relay, consumer, sender and its upkeep. Wiring only."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from notifications import metrics
from notifications.channels import Channel
from notifications.channels.email import EmailChannel
from notifications.channels.in_app import InAppChannel
from notifications.channels.push import PushChannel
from notifications.channels.sms import SmsChannel
from notifications.consumers import HANDLERS
from notifications.domain.news import ChannelName
from notifications.jobs.upkeep import end_expired, forget_old, take_back_stalled
from notifications.letters import LetterWriter
from notifications.realtime.loops import realtime_loops
from notifications.sender import Sender
from notifications.settings import NotificationsSettings
from notifications.unsubscribing import UnsubscribeLinks
from notifications.use_cases.erase import finish_erasures
from notifications.webhooks.loops import webhook_loops
from shared.db import Database
from shared.due_work import due_work_loop
from shared.messaging.loops import messaging_loops
from shared.observability import logger
from shared.worker import Loops, Worker, run_worker

_NEEDS = {
    ChannelName.EMAIL: "SMTP_URL",
    ChannelName.SMS: "TWILIO_ACCOUNT_SID",
    ChannelName.PUSH: "FCM_SERVICE_ACCOUNT",
}


async def build(worker: Worker[NotificationsSettings]) -> Loops:
    settings = worker.settings
    channels = list(channels_that_are_on(settings, worker.database))
    _say_what_is_off(channels)
    sender = Sender(
        database=worker.database,
        database_url=settings.database_url,
        channels=channels,
        most_at_once=settings.most_at_once,
    )

    async def erasures() -> None:
        await finish_erasures(worker.database, settings.amqp_url, queue="notifications")

    return {
        **messaging_loops(worker, "notifications", HANDLERS),
        **due_work_loop(worker, metrics.DUE),
        **await realtime_loops(worker),
        **await webhook_loops(worker),
        "sender": sender.run,
        "stalled": worker.timer("stalled", timedelta(seconds=2), take_back_stalled),
        "expired": worker.timer("expired", timedelta(minutes=1), end_expired),
        "erasures": worker.chore("erasures", timedelta(seconds=2), erasures),
        "old": worker.timer("old", timedelta(hours=1), forget_old),
    }


def channels_that_are_on(settings: NotificationsSettings, database: Database) -> Iterator[Channel]:
    """A channel without settings is off, and says so."""
    writer = LetterWriter(settings.public_origin)
    secret = settings.service_secret.get_secret_value()
    yield InAppChannel(database, writer=writer)
    if server := settings.smtp_server:
        links = UnsubscribeLinks(settings.public_origin, secret=secret)
        yield EmailChannel(server, sender=settings.sender, writer=writer, links=links)
    if twilio := settings.twilio_account:
        yield SmsChannel(twilio, writer=writer)
    if account := settings.service_account:
        yield PushChannel(account, url=settings.fcm_url, writer=writer)


def _say_what_is_off(on: Iterable[Channel]) -> None:
    names = {channel.name for channel in on}
    for name in ChannelName:
        metrics.CHANNEL_DOWN.labels(name.value)
        metrics.CHANNEL_ON.labels(name.value).set(name in names)
        if name not in names:
            logger.warning("channel_off", channel=name.value, missing=_NEEDS[name])


def main() -> None:
    run_worker("notifications", NotificationsSettings(), build)


if __name__ == "__main__":
    main()
