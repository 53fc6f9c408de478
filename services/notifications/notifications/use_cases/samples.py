"""An admin has one message sent with made-up facts."""

from datetime import timedelta
from uuid import UUID

from notifications.domain.news import ChannelName, News, Party
from notifications.domain.tellings import Telling
from notifications.jobs import planning
from notifications.refusals import UserNotFound
from notifications.samples import sample_facts
from shared.db import Connection
from shared.ids import new_id

_USEFUL_FOR = timedelta(minutes=15)


async def send_sample(
    db: Connection, news: News, party: Party, user_id: UUID, channel: ChannelName
) -> UUID:
    """The way all messages go, so that it shows whether that way works. Raises UserNotFound."""
    now = await db.fetchval(
        "SELECT now() FROM contacts WHERE person_id = $1 AND party = $2 AND NOT is_erased",
        user_id,
        party.value,
    )
    if now is None:
        raise UserNotFound(f"no such {party}")
    telling = Telling(
        dedupe_key=f"sample:{new_id()}",
        news=news,
        way=(channel,),
        party=party,
        recipient_id=user_id,
        about=None,
        facts=sample_facts(news, now),
        due_at=None,
        expires_at=now + _USEFUL_FOR,
    )
    await planning.plan(db, [telling], now=now)
    return telling.id
