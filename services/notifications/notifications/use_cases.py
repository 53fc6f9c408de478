"""What follows for the people concerned when an event tells something new."""

from typing import Literal
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
    match await _remember(db, appointment):
        case None:
            return
        case "changed":
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


async def _remember(
    db: Connection, appointment: AppointmentEvent
) -> Literal["new", "changed"] | None:
    """None when this version, or a newer one, is known already."""
    # A row that was there before is a new version of it, which has replaced another.
    was_there = await db.fetchval(
        """
        INSERT INTO appointments (id, version, status) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status
        WHERE appointments.version < excluded.version
        RETURNING xmax <> 0
        """,
        appointment.id,
        appointment.version,
        appointment.status,
    )
    if was_there is None:
        return None
    return "changed" if was_there else "new"
