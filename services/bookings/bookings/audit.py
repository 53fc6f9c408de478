"""Whether the audit trail is what was once written: ``python -m bookings.audit verify``.

Each entry's hash covers the entry before it, and the appointment keeps the newest one's number and
hash. So whoever changes, takes out or adds an entry, with whatever rights, is found out here.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from bookings.domain.appointment import Actor, ActorType
from bookings.domain.audit import FIRST, Entry, hash_of
from shared.db import Connection, Database
from shared.environment import Environment

Write = Callable[[str], object]

_AT_ONCE = 500
_PATIENCE = 24 * 3600.0

# Both tables are read in the order of their indexes, so it streams however much there is.
_TRAILS = """
SELECT
    a.id, a.audit_sequence AS newest_sequence, a.audit_hash AS newest_hash,
    e.appointment_id, e.sequence, e.action, e.actor_type, e.actor_id, e.occurred_at, e.metadata,
    e.previous_hash, e.hash
FROM appointments a LEFT JOIN audit_events e ON e.appointment_id = a.id
WHERE $1::uuid IS NULL OR a.id = $1
ORDER BY a.id, e.sequence
"""
_WITHOUT_APPOINTMENT = """
SELECT appointment_id, sequence FROM audit_events e
WHERE ($1::uuid IS NULL OR appointment_id = $1)
  AND NOT EXISTS (SELECT FROM appointments a WHERE a.id = e.appointment_id)
ORDER BY appointment_id, sequence LIMIT 1
"""


class Refused(Exception):
    """The command cannot be carried out; says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry that is not as it was written."""

    appointment_id: UUID
    sequence: int
    reason: str


@dataclass(slots=True)
class Report:
    """What has been read, and what was wrong with it."""

    appointments: int = 0
    entries: int = 0
    fault: Fault | None = None


async def verify(db: Connection, appointment_id: UUID | None = None) -> Report:
    """Read all trails, or one, up to the first fault; ``db`` is in a transaction of its own."""
    await db.execute("SET LOCAL statement_timeout = 0")
    await db.execute("SET LOCAL enable_hashjoin = off")
    report = Report()
    lost = await db.fetchrow(_WITHOUT_APPOINTMENT, appointment_id, timeout=_PATIENCE)
    if lost is not None:
        report.fault = Fault(lost["appointment_id"], lost["sequence"], "its appointment is gone")
        return report
    trail: _Trail | None = None
    rows = db.cursor(_TRAILS, appointment_id, prefetch=_AT_ONCE, timeout=_PATIENCE)
    async for row in rows:
        if trail is None or row["id"] != trail.appointment_id:
            report.fault = trail.fault_at_end() if trail else None
            if report.fault:
                return report
            report.appointments += 1
            trail = _Trail(row["id"], row["newest_sequence"], row["newest_hash"])
        if row["sequence"] is not None:
            report.entries += 1
            report.fault = trail.fault_of(row)
            if report.fault:
                return report
    report.fault = trail.fault_at_end() if trail else None
    return report


@dataclass(slots=True)
class _Trail:
    """One appointment's trail, as far as it has been read."""

    appointment_id: UUID
    newest_sequence: int
    newest_hash: bytes
    sequence: int = 0
    hash: bytes = FIRST

    def fault_of(self, row: asyncpg.Record) -> Fault | None:
        """What is wrong with the next entry."""
        sequence: int = row["sequence"]
        if sequence != self.sequence + 1:
            return self._fault(self.sequence + 1, "this entry is gone")
        if row["previous_hash"] != self.hash:
            return self._fault(sequence, "it does not follow the entry before it")
        if row["actor_type"] not in set(ActorType) or row["hash"] != hash_of(
            _entry_of(row), self.hash
        ):
            return self._fault(sequence, "its content is not what its hash was made of")
        if sequence > self.newest_sequence:
            return self._fault(sequence, "the appointment knows nothing of this entry")
        self.sequence, self.hash = sequence, row["hash"]
        return None

    def fault_at_end(self) -> Fault | None:
        """What is wrong with where the trail ends."""
        if self.sequence != self.newest_sequence:
            return self._fault(self.sequence + 1, "this entry is gone")
        if self.hash != self.newest_hash:
            return self._fault(self.sequence, "the appointment knows it with another hash")
        return None

    def _fault(self, sequence: int, reason: str) -> Fault:
        return Fault(self.appointment_id, sequence, reason)


def _entry_of(row: asyncpg.Record) -> Entry:
    return Entry(
        row["appointment_id"],
        row["sequence"],
        row["action"],
        Actor(ActorType(row["actor_type"]), row["actor_id"]),
        row["occurred_at"],
        row["metadata"],
    )


async def run(arguments: argparse.Namespace, environment: Mapping[str, str], write: Write) -> bool:
    """Carry out the command; True when everything is as it was written."""
    url = environment.get("BOOKINGS_DATABASE_URL") or environment.get("DATABASE_URL")
    if not url:
        raise Refused("BOOKINGS_DATABASE_URL is not set")
    async with (
        Database.open(url, application_name="bookings-audit", pool_size=1) as database,
        database.reading() as db,
        db.transaction(isolation="repeatable_read", readonly=True),
    ):
        report = await verify(db, arguments.appointment)
    if report.fault is not None:
        fault = report.fault
        write(f"BROKEN appointment {fault.appointment_id} entry {fault.sequence}: {fault.reason}\n")
        return False
    if arguments.appointment is not None and report.appointments == 0:
        raise Refused("there is no such appointment, and no entry about it")
    write(f"intact: {report.appointments} appointments, {report.entries} entries\n")
    return True


def arguments_of(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bookings.audit")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("verify", help="whether every audit trail is as it was written")
    check.add_argument("--appointment", type=UUID, metavar="ID", help="only this one's")
    return parser.parse_args(words)


def main() -> int:
    """0 when intact, 1 when tampered with, 2 when it could not be found out."""
    arguments = arguments_of()
    try:
        intact = asyncio.run(run(arguments, Environment(), sys.stdout.write))
    except (Refused, OSError, asyncpg.PostgresError) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    return 0 if intact else 1


if __name__ == "__main__":
    sys.exit(main())
