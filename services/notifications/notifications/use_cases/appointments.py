"""An appointment has changed: both parties are told, now and at the times of its schedule."""

from collections import Counter
from collections.abc import Sequence
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
from shared.messaging import InHand
from shared.observability import within

_OWN_LINES = """(
    SELECT lines FROM notification_schedules s
    WHERE s.provider_id = {0}.provider_id AND s.service_id = ({0}.facts ->> 'service_id')::uuid
)"""

_REMEMBER = f"""
INSERT INTO appointments (id, version, status, patient_id, provider_id, ends_at, facts)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::uuid[], $5::uuid[],
    $6::timestamptz[], $7::jsonb[])
    AS given (id, version, status, patient_id, provider_id, ends_at, facts)
ORDER BY id
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, status = excluded.status, patient_id = excluded.patient_id,
    provider_id = excluded.provider_id, ends_at = excluded.ends_at, facts = excluded.facts
WHERE appointments.version < excluded.version
    -- Written by the first release, which knew no facts: a history that is replayed brings them.
    OR (appointments.version = excluded.version AND appointments.facts IS NULL)
RETURNING id, xmax <> 0 AS was_there, now() AS now,
    {_OWN_LINES.format("appointments")} AS own_lines,
    {recipient_json(Party.PATIENT, "appointments.patient_id")} AS patient,
    {recipient_json(Party.PROVIDER, "appointments.provider_id")} AS provider
"""

_AHEAD = f"""
SELECT a.id, a.version, a.status, a.facts, now() AS now,
    {_OWN_LINES.format("a")} AS own_lines
FROM appointments a
WHERE a.{{0}} = $1 AND a.ends_at > now() - interval '3 days'
    AND a.status IN ('pending', 'confirmed', 'completed')
ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class _Change:
    taken: InHand[AppointmentEvent]
    facts: Facts

    @property
    def appointment(self) -> AppointmentEvent:
        return self.taken.event.data


async def follow_appointments(db: Connection, taken: Sequence[InHand[AppointmentEvent]]) -> None:
    """Tell both parties what is new; an event that comes late, or again, tells nothing."""
    for changes in _one_of_each(taken):
        await _follow(db, changes)


def _one_of_each(taken: Sequence[InHand[AppointmentEvent]]) -> list[list[_Change]]:
    """One after the other, each with at most one change of an appointment, in their order."""
    rounds: list[list[_Change]] = []
    seen = Counter[UUID]()
    for each in taken:
        id_ = each.event.data.id
        if seen[id_] == len(rounds):
            rounds.append([])
        rounds[seen[id_]].append(_Change(each, Facts.of(each.event.data)))
        seen[id_] += 1
    return rounds


async def _follow(db: Connection, changes: Sequence[_Change]) -> None:
    known = await _remember(db, changes)
    jobs: list[planning.Job] = []
    told_of = []
    for change in changes:
        appointment = change.appointment
        if (found := known.get(appointment.id)) is None:
            continue
        about = About(id=appointment.id, version=appointment.version, status=appointment.status)
        told = tellings_at_once(appointment, change.facts, found.recipients) + tellings_later(
            about, change.facts, own=found.own_lines, recipients=found.recipients, now=found.now
        )
        with within(change.taken.context):
            jobs += [planning.job_of(telling, found.now) for telling in told]
        if told or found.was_there:
            told_of.append(about)
    if told_of:
        await planning.save(db, jobs, about=told_of)


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
    """Of an appointment whose event is news."""

    was_there: bool
    now: datetime
    own_lines: list[Line] | None
    recipients: Recipients


async def _remember(db: Connection, changes: Sequence[_Change]) -> dict[UUID, _Known]:
    """Those by id of which neither this version is known already nor a newer one."""
    appointments = [change.appointment for change in changes]
    rows = await db.fetch(
        _REMEMBER,
        [each.id for each in appointments],
        [each.version for each in appointments],
        [each.status for each in appointments],
        [each.user_id for each in appointments],
        [each.provider_id for each in appointments],
        [each.end for each in appointments],
        [change.facts.stored for change in changes],
    )
    return {
        row["id"]: _Known(
            # A row that was there before is a new version of it, which has replaced another.
            was_there=row["was_there"],
            now=row["now"],
            own_lines=lines_of(row["own_lines"]),
            recipients={party: recipient_of(row[party.value]) for party in Party},
        )
        for row in rows
    }


async def _recipient(db: Connection, party: Party, person_id: UUID) -> Recipient:
    stored: dict[str, Any] = await db.fetchval(
        f"SELECT {recipient_json(party, '$1::uuid')}", person_id
    )
    return recipient_of(stored)
