"""A booked appointment, holds beside it, and what the rows must look like at every moment."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from bookings.domain.appointment import Actor, ActorType, Appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.hold import Wish, hold_timeslot
from bookings.use_cases.reschedule import Moved, reschedule_appointment
from shared.auth import Principal, Role
from shared.db import Connection, Database

from .builders import Clinic, a_clinic, a_patient, a_wish, tomorrow


class Booked:
    """A patient's confirmed appointment of tomorrow at nine, and how it is moved."""

    def __init__(self, database: Database, clinic: Clinic, patient: UUID) -> None:
        self.database = database
        self.clinic = clinic
        self.patient = Principal(patient, Role.PATIENT)
        self.provider = Principal(clinic.provider.id, Role.PROVIDER)
        self.id = uuid4()

    @classmethod
    async def at_nine(cls, database: Database, clinic: Clinic | None = None) -> "Booked":
        clinic = clinic or await a_clinic(database)
        async with database.transaction() as db:
            booked = cls(database, clinic, await a_patient(db))
        booked.id = (await booked.book(tomorrow())).id
        return booked

    async def hold(self, start: datetime, **changes: Any) -> Wish:
        values = {"patient_id": self.patient.id, "reschedule_of": self.id} | changes
        wish = a_wish(self.clinic, start=start, **values)
        async with self.database.autocommit() as db:
            await hold_timeslot(db, wish)
        return wish

    async def provider_hold(self, start: datetime, **changes: Any) -> Wish:
        return await self.hold(start, by=Actor(ActorType.PROVIDER, self.provider.id), **changes)

    async def book(self, start: datetime, **changes: Any) -> Appointment:
        wish = await self.hold(start, **{"reschedule_of": None} | changes)
        async with self.database.transaction() as db:
            found = await confirm_appointment(
                db, wish.token_hash, Details(reason="cough"), user_id=self.patient.id
            )
        return found.appointment

    async def move(
        self, wish: Wish, user: Principal | None = None, *, id_: UUID | None = None
    ) -> Moved:
        async with self.database.transaction() as db:
            return await reschedule_appointment(
                db, id_ or self.id, wish.token_hash, reason="work", user=user or self.patient
            )

    async def moved_to(self, start: datetime) -> Moved:
        return await self.move(await self.hold(start))


async def active_of(db: Connection, patient: UUID) -> list[Any]:
    """The appointments that the patient really has; a hold or a request to move is none."""
    return await db.fetch(
        """
        SELECT a.id, a.starts_at FROM appointments a
        LEFT JOIN appointments old ON old.id = a.rescheduled_from
        WHERE a.patient_id = $1 AND (a.status = 'confirmed' OR a.status = 'pending'
            AND (old.id IS NULL OR old.status = 'cancelled'))
        """,
        patient,
    )


async def broken_rows(database: Database) -> list[str]:
    """What no interleaving may ever leave behind; empty when all is well."""
    checks = {
        "claims overlap": """
            SELECT count(*) FROM claims a JOIN claims b ON a.resource_id = b.resource_id
            AND a.period && b.period AND a.ctid < b.ctid""",
        "own times overlap": """
            SELECT count(*) FROM patient_claims a JOIN patient_claims b
            ON a.patient_id = b.patient_id AND a.period && b.period AND a.ctid < b.ctid""",
        "an ended appointment claims": """
            SELECT count(*) FROM claims JOIN appointments a ON a.id = appointment_id
            WHERE a.status NOT IN ('held', 'pending', 'confirmed')""",
        "an ended appointment claims its patient's time": """
            SELECT count(*) FROM patient_claims JOIN appointments a ON a.id = appointment_id
            WHERE a.status NOT IN ('pending', 'confirmed')""",
        "a confirmed appointment is not claimed in full": """
            SELECT count(*) FROM appointments a WHERE a.status = 'confirmed' AND NOT EXISTS (
                SELECT FROM claims c WHERE c.appointment_id = a.id AND c.kind = 'staff'
                AND c.period @> tstzrange(a.starts_at, a.ends_at, '[)'))""",
        "a confirmed appointment does not claim its patient's time": """
            SELECT count(*) FROM appointments a WHERE a.status = 'confirmed' AND NOT EXISTS (
                SELECT FROM patient_claims c WHERE c.appointment_id = a.id
                AND c.period = tstzrange(a.starts_at, a.ends_at, '[)'))""",
        "links point one way": """
            SELECT count(*) FROM appointments old LEFT JOIN appointments new
            ON new.id = old.rescheduled_to
            WHERE old.rescheduled_to IS NOT NULL AND new.rescheduled_from IS DISTINCT FROM old.id
            OR (old.cancellation_cause = 'rescheduled') <> (old.rescheduled_to IS NOT NULL)""",
        "trail and version differ": """
            SELECT count(*) FROM appointments a WHERE a.version <> (SELECT count(*) FROM
            audit_events e WHERE e.appointment_id = a.id
            AND e.action NOT IN ('note_added', 'words_erased'))""",
        "events and versions differ": """
            SELECT count(*) FROM appointments a WHERE a.version <> (SELECT count(*) FROM outbox o
            WHERE o.subject = a.id::text)""",
    }
    async with database.reading() as db:
        return [name for name, sql in checks.items() if await db.fetchval(sql)]


async def let_time_run_out(database: Database, column: str = "hold_expires_at") -> None:
    async with database.transaction() as db:
        await db.execute(
            f"UPDATE appointments SET {column} = now() - interval '1 ms' WHERE {column} > now()"
        )


def at(hour: int, minute: int = 0, days: int = 0) -> datetime:
    return tomorrow(hour, minute) + timedelta(days=days)
