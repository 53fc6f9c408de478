"""People become known, change their details, and are forgotten."""

from uuid import UUID

from notifications import contacts
from notifications.domain.news import Party
from notifications.jobs import planning
from notifications.use_cases.appointments import plan_anew
from shared.db import Connection
from shared.events.patient import PatientUpdated
from shared.events.provider import ProviderUpdated


async def save_contact(
    db: Connection, party: Party, person: PatientUpdated | ProviderUpdated
) -> None:
    """Know how to reach the person from now on, also for messages that have waited for it."""
    if await contacts.save(db, party, person):
        await plan_anew(db, party, person.id)
        await planning.hurry_for(db, party, person.id)


async def erase_contact(db: Connection, party: Party, person_id: UUID, *, version: int) -> None:
    """Forget all that is known of the person, and send them nothing any more."""
    if await contacts.erase(db, party, person_id, version=version):
        await planning.withdraw_all_for(db, party, person_id)
