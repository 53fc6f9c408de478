"""The read model of people: the newest that is known of each, whatever the order of arrival."""

from uuid import UUID

from notifications.domain.news import Party
from shared.db import Connection
from shared.events.patient import CommunicationPreferences, PatientUpdated
from shared.events.provider import ProviderUpdated

_EVERY_WAY = CommunicationPreferences()

_SAVED = "version name email phone language timezone by_email by_sms by_push is_erased".split()
_SAVE = f"""
INSERT INTO contacts (party, person_id, {", ".join(_SAVED)})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, false)
ON CONFLICT (party, person_id) DO UPDATE
SET ({", ".join(_SAVED)}) = ROW ({", ".join(f"excluded.{name}" for name in _SAVED)})
WHERE contacts.version < excluded.version
RETURNING person_id
"""


async def save(db: Connection, party: Party, person: PatientUpdated | ProviderUpdated) -> bool:
    """False when something as new, or newer, is known already."""
    wishes = _EVERY_WAY
    if isinstance(person, PatientUpdated):
        wishes = person.communication_preferences
    row = await db.fetchrow(
        _SAVE,
        party.value,
        person.id,
        person.version,
        person.name,
        person.email,
        person.phone,
        person.language,
        person.timezone,
        wishes.email,
        wishes.sms,
        wishes.push,
    )
    return row is not None


async def erase(db: Connection, party: Party, person_id: UUID, *, version: int) -> bool:
    """Only that there was somebody stays; False when something newer is known already."""
    row = await db.fetchrow(
        """
        WITH erased AS (
            INSERT INTO contacts (party, person_id, version, language, timezone, is_erased)
            VALUES ($1, $2, $3, 'en', 'UTC', true)
            ON CONFLICT (party, person_id) DO UPDATE
            SET version = excluded.version, name = NULL, email = NULL, phone = NULL,
                language = excluded.language, timezone = excluded.timezone, is_erased = true,
                by_email = true, by_sms = true, by_push = true
            WHERE contacts.version < excluded.version
            RETURNING person_id
        ), preferences AS (
            DELETE FROM notification_preferences p USING erased WHERE p.user_id = erased.person_id
        ), links AS (
            DELETE FROM unsubscribe_links l USING erased WHERE l.user_id = erased.person_id
        ), devices AS (
            DELETE FROM push_devices d USING erased WHERE d.user_id = erased.person_id
        ), told AS (
            DELETE FROM in_app_notifications n USING erased WHERE n.user_id = erased.person_id
        )
        SELECT person_id FROM erased
        """,
        party.value,
        person_id,
        version,
    )
    return row is not None
