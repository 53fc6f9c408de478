"""An appointment has changed: both parties are told, now and at the times of its schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.domain.facts import Facts
from notifications.domain.news import Party
from notifications.domain.preferences import Recipient
from notifications.domain.schedule import Line
from notifications.domain.tellings import (
    About,
    Recipients,
    tellings_at_once,
    tellings_later,
)
from notifications.jobs import planning
from notifications.recipients import recipient_json, recipient_of
from notifications.schedules import lines_of
from shared.db import Connection
from shared.events.booking import AppointmentEvent

_OWN_LINES = """(
    SELECT lines FROM notification_schedules s WHERE s.provider_id = {0} AND s.service_id = {1}
)"""

_REMEMBER = f"""
INSERT INTO appointments (id, version, status, patient_id, provider_id, ends_at, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, status = excluded.status, patient_id = excluded.patient_id,
    provider_id = excluded.provider_id, ends_at = excluded.ends_at, facts = excluded.facts
WHERE appointments.version < excluded.version
    -- Written by the first release, which knew no facts: a history that is replayed brings them.
    OR (appointments.version = excluded.version AND appointments.facts IS NULL)
RETURNING xmax <> 0 AS was_there, now() AS now,
    {_OWN_LINES.format("$5", "$8")} AS own_lines,
    {recipient_json(Party.PATIENT, "$4::uuid")} AS patient,
    {recipient_json(Party.PROVIDER, "$5::uuid")} AS provider
"""

_AHEAD = f"""
SELECT a.id, a.version, a.status, a.facts, now() AS now,
    {_OWN_LINES.format("a.provider_id", "(a.facts ->> 'service_id')::uuid")} AS own_lines
FROM appointments a
WHERE a.{{0}} = $1 AND a.ends_at > now() - interval '3 days'
    AND a.status IN ('pending', 'confirmed', 'completed')
ORDER BY a.id
"""


async def follow_appointment(db: Connection, appointment: AppointmentEvent) -> None:
    """Tell both parties what is new; an event that comes late, or again, tells nothing."""
    facts = Facts.of(appointment)
    known = await _remember(db, appointment, facts)
    if known is None:
        return
    about = About(id=appointment.id, version=appointment.version, status=appointment.status)
    told = tellings_at_once(appointment, facts, known.recipients) + tellings_later(
        about, facts, own=known.own_lines, recipients=known.recipients, now=known.now
    )
    if told or known.was_there:
        await planning.plan(db, told, now=known.now, about=about)


async def plan_anew(db: Connection, party: Party, person_id: UUID) -> None:
    """What is still to come for the person follows from how they want it by now."""
    recipient = await _recipient(db, party, person_id)
    column = "patient_id" if party is Party.PATIENT else "provider_id"
    wanted = []
    now = None
    for row in await db.fetch(_AHEAD.format(column), person_id):
        now = row["now"]
        wanted += tellings_later(
            About(id=row["id"], version=row["version"], status=row["status"]),
            Facts.model_validate(row["facts"]),
            own=lines_of(row["own_lines"]),
            recipients={party: recipient},
            now=now,
        )
    if now is not None:
        await planning.withdraw_unwanted(db, party, person_id, wanted)
        await planning.plan(db, wanted, now=now)


@dataclass(frozen=True, slots=True)
class _Known:
    was_there: bool
    now: datetime
    own_lines: list[Line] | None
    recipients: Recipients


async def _remember(db: Connection, appointment: AppointmentEvent, facts: Facts) -> _Known | None:
    """None when this version, or a newer one, is known already."""
    row = await db.fetchrow(
        _REMEMBER,
        appointment.id,
        appointment.version,
        appointment.status,
        appointment.user_id,
        appointment.provider_id,
        appointment.end,
        facts.stored,
        appointment.service_id,
    )
    if row is None:
        return None
    return _Known(
        # A row that was there before is a new version of it, which has replaced another.
        was_there=row["was_there"],
        now=row["now"],
        own_lines=lines_of(row["own_lines"]),
        recipients={party: recipient_of(row[party.value]) for party in Party},
    )


async def _recipient(db: Connection, party: Party, person_id: UUID) -> Recipient:
    stored: dict[str, Any] = await db.fetchval(
        f"SELECT {recipient_json(party, '$1::uuid')}", person_id
    )
    return recipient_of(stored)
