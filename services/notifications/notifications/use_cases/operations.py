"""A provider is told of something to look after."""

from datetime import datetime, timedelta

from notifications.domain.facts import OperationsFacts
from notifications.domain.news import News, Party
from notifications.domain.schedule import lines_at_once
from notifications.domain.tellings import Telling
from notifications.jobs import planning
from notifications.recipients import recipient_json, recipient_of
from shared.db import Connection

_USEFUL_FOR = timedelta(days=3)


async def tell_provider(
    db: Connection, news: News, facts: OperationsFacts, *, key: str, at: datetime
) -> None:
    """Once for each ``key``, over every way that the provider wants; true since ``at``."""
    [row] = await db.fetch(
        f"SELECT now() AS now, {recipient_json(Party.PROVIDER, '$1::uuid')} AS provider",
        facts.provider_id,
    )
    recipient = recipient_of(row["provider"])
    tellings = [
        Telling(
            dedupe_key=f"{key}:{way[0]}",
            news=news,
            way=way,
            party=Party.PROVIDER,
            recipient_id=facts.provider_id,
            about=None,
            facts=facts,
            due_at=None,
            expires_at=at + _USEFUL_FOR,
        )
        for line in lines_at_once(news)
        for way in recipient.ways(line)
    ]
    await planning.plan(db, tellings, now=row["now"])
