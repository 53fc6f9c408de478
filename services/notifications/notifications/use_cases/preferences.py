"""People say how they want to be told, in a form or with one click in a mail."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from notifications.catalogues import WRITTEN_IN
from notifications.domain.news import Category, ChannelName, Party
from notifications.domain.preferences import Preferences, Recipient
from notifications.recipients import recipient_json, recipient_of
from notifications.refusals import LinkNotFound
from notifications.unsubscribing import token_hash
from notifications.use_cases.appointments import plan_anew
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Set:
    """What somebody has set, on what their profile says beneath it."""

    recipient: Recipient
    language: str
    updated_at: datetime | None


async def preferences_of(db: Connection, user_id: UUID) -> Set:
    """Whoever is unknown so far has the defaults."""
    [row] = await db.fetch(
        f"""
        SELECT {recipient_json(Party.PATIENT, "$1::uuid")} AS patient,
            {recipient_json(Party.PROVIDER, "$1::uuid")} AS provider,
            (SELECT language FROM contacts WHERE person_id = $1 LIMIT 1) AS language,
            (SELECT updated_at FROM notification_preferences WHERE user_id = $1) AS updated_at
        """,
        user_id,
    )
    patient, provider = recipient_of(row["patient"]), recipient_of(row["provider"])
    recipient = patient if provider.timezone is None else provider
    return Set(recipient, row["language"] or WRITTEN_IN, row["updated_at"])


async def set_preferences(db: Connection, user_id: UUID, preferences: Preferences) -> Set:
    """From now on, also for what is planned already."""
    await _one_at_a_time(db, user_id)
    await db.execute(
        """
        INSERT INTO notification_preferences (user_id, data) VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE SET data = excluded.data, updated_at = now()
        """,
        user_id,
        preferences.as_json(),
    )
    for party in Party:
        await plan_anew(db, party, user_id)
    return await preferences_of(db, user_id)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link in a mail ends."""

    user_id: UUID
    category: Category
    language: str


async def link_behind(db: Connection, token: str) -> Link:
    """Raises LinkNotFound."""
    row = await db.fetchrow(
        """
        SELECT l.user_id, l.category, coalesce(p.data ->> 'language', c.language) AS language
        FROM unsubscribe_links l
        LEFT JOIN notification_preferences p ON p.user_id = l.user_id
        LEFT JOIN contacts c ON c.person_id = l.user_id
        WHERE l.token_hash = $1 LIMIT 1
        """,
        token_hash(token),
    )
    if row is None:
        raise LinkNotFound
    return Link(row["user_id"], Category(row["category"]), row["language"] or WRITTEN_IN)


async def unsubscribe(db: Connection, token: str) -> Link:
    """No more e-mails of the link's category; everything else stays as it was."""
    link = await link_behind(db, token)
    await _one_at_a_time(db, link.user_id)
    held = (await preferences_of(db, link.user_id)).recipient
    left = held.allowed(link.category) - {ChannelName.EMAIL}
    channels = {**held.preferences.channels, link.category: left}
    await set_preferences(db, link.user_id, replace(held.preferences, channels=channels))
    return link


async def _one_at_a_time(db: Connection, user_id: UUID) -> None:
    """There may be no row to lock yet."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(user_id))
