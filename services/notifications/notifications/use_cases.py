"""What follows for the people concerned when an event tells something new."""

from uuid import UUID

from notifications import contacts
from notifications.domain.news import Party, tellings
from notifications.jobs import planning
from shared.db import Connection
from shared.events.booking import AppointmentEvent
from shared.events.patient import PatientUpdated
from shared.events.provider import ProviderUpdated


async def follow_appointment(db: Connection, appointment: AppointmentEvent) -> None:
    """Tell both parties what is new; an event that comes late, or again, tells nothing."""
    if not await _remember(db, appointment):
        return
    await planning.withdraw_outdated(db, appointment.id, appointment.status)
    if news := tellings(appointment):
        await planning.plan(db, news)


async def save_contact(
    db: Connection, party: Party, person: PatientUpdated | ProviderUpdated
) -> None:
    """Know how to reach the person from now on, also for messages that have waited for it."""
    is_new = await contacts.save(
        db,
        party,
        person.id,
        version=person.version,
        name=person.name,
        email=person.email,
        phone=person.phone,
        language=person.language,
        timezone=person.timezone,
    )
    if is_new:
        await planning.hurry_for(db, party, person.id)


async def erase_contact(db: Connection, party: Party, person_id: UUID, *, version: int) -> None:
    """Forget the person's name and addresses, and send them nothing any more."""
    if await contacts.erase(db, party, person_id, version=version):
        await planning.withdraw_all_for(db, party, person_id)


async def _remember(db: Connection, appointment: AppointmentEvent) -> bool:
    """False when this version, or a newer one, is known already."""
    row = await db.fetchrow(
        """
        INSERT INTO appointments (id, version, status) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status
        WHERE appointments.version < excluded.version
        RETURNING id
        """,
        appointment.id,
        appointment.version,
        appointment.status,
    )
    return row is not None
