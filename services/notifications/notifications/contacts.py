"""The read model of people: the newest that is known of each, whatever the order of arrival."""

from uuid import UUID

from notifications.domain.news import Party
from shared.db import Connection


async def save(
    db: Connection,
    party: Party,
    person_id: UUID,
    *,
    version: int,
    name: str | None,
    email: str | None,
    phone: str | None,
    language: str,
    timezone: str,
) -> bool:
    """False when something as new, or newer, is known already."""
    row = await db.fetchrow(
        """
        INSERT INTO contacts (party, person_id, version, name, email, phone, language, timezone)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (party, person_id) DO UPDATE
        SET version = excluded.version, name = excluded.name, email = excluded.email,
            phone = excluded.phone, language = excluded.language, timezone = excluded.timezone,
            is_erased = false
        WHERE contacts.version < excluded.version
        RETURNING person_id
        """,
        party.value,
        person_id,
        version,
        name,
        email,
        phone,
        language,
        timezone,
    )
    return row is not None


async def erase(db: Connection, party: Party, person_id: UUID, *, version: int) -> bool:
    """Only that there was somebody stays; False when something newer is known already."""
    row = await db.fetchrow(
        """
        INSERT INTO contacts (party, person_id, version, language, timezone, is_erased)
        VALUES ($1, $2, $3, 'en', 'UTC', true)
        ON CONFLICT (party, person_id) DO UPDATE
        SET version = excluded.version, name = NULL, email = NULL, phone = NULL,
            language = excluded.language, timezone = excluded.timezone, is_erased = true
        WHERE contacts.version < excluded.version
        RETURNING person_id
        """,
        party.value,
        person_id,
        version,
    )
    return row is not None
