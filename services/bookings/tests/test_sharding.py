"""What stands between bookings and a database of many nodes, as docs/scaling.md tells it.

Read from the schema that the migrations make and from the statements that the use cases send; no
Citus is needed to know where the distribution column is missing. What is found and what is told
must be the same, so whoever adds a key or a statement is asked here where it would live.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg

from bookings import lists, queries
from bookings.lists import Schedule
from bookings.use_cases.cancel import cancel_appointment
from bookings.use_cases.confirm import Details, confirm_appointment
from bookings.use_cases.end_hold import expire_due_holds
from bookings.use_cases.hold import hold_timeslot
from bookings.use_cases.reschedule import reschedule_appointment
from shared.db import Connection, Database

from .builders import Clinic, a_clinic, a_wish, tomorrow
from .moving import Booked

OF_PROVIDER = {
    "appointments": "provider_id",
    "claims": "provider_id",
    "appointment_notes": "provider_id",
    "audit_events": "provider_id",
    "override_reasons": "provider_id",
    "resources": "provider_id",
}
OF_PATIENT = {"patient_claims": "patient_id", "patients": "id", "idempotency_keys": "caller"}
EVERYWHERE = {"providers", "appointment_types", "erasure_requests", "erasure_confirmations"}
"""Small and seldom written, the first two read by every hold: Citus's reference tables."""
OF_NODE = {"outbox", "inbox", "alembic_version"}
"""One of each per node, with a relay and a consumer of its own."""

DISTRIBUTED = OF_PROVIDER | OF_PATIENT

TO_CHANGE = {
    # The provider's id goes into these, and the promise is the same, because the id is random …
    "appointments_pkey": "(provider_id, id)",
    "appointment_notes_pkey": "(provider_id, id)",
    "override_reasons_pkey": "(provider_id, appointment_id)",
    "override_reasons_appointment_id_fkey": "(provider_id, appointment_id)",
    "audit_events_pkey": "(provider_id, id)",
    "resources_pkey": "(provider_id, id)",
    "appointments_reservation_token_hash_key": "(provider_id, reservation_token_hash)",
    # … or because what stands there belongs to one provider.
    "claims_pkey": "(provider_id, appointment_id, resource_id, period)",
    "claims_no_overlap": "provider_id WITH =, resource_id WITH =, period WITH &&",
    "claims_appointment_id_fkey": "(provider_id, appointment_id)",
    "appointment_notes_appointment_id_fkey": "(provider_id, appointment_id)",
    "audit_events_appointment_id_fkey": "(provider_id, appointment_id)",
    "audit_events_appointment_id_sequence_key": "(provider_id, appointment_id, sequence)",
    # The patient's own time lies on the patient's shard.
    "patient_claims_pkey": "(patient_id, appointment_id, period)",
    "patient_claims_appointment_id_fkey": "goes: the appointment is on another shard",
}
"""Constraints without their table's distribution column, and what has to become of them."""

NOT_ROUTED = {
    "hold": {"claims", "appointments", "audit_events", "override_reasons"},
    "confirm": {"appointments", "claims", "patients", "audit_events", "patient_claims"},
    "look": {"appointments", "claims", "audit_events", "override_reasons"},
    "reschedule": {"appointments", "claims", "audit_events", "patient_claims"},
    "cancel": {"appointments", "claims", "audit_events", "patient_claims"},
    "expire holds": {"appointments", "claims", "audit_events", "patient_claims"},
    "list of a patient": {"appointments", "claims"},
    "list of a provider": {"appointments", "claims"},
}
"""By use case: tables that a statement meets without an equality on the distribution column."""

TWO_SHARDS = {"confirm", "reschedule", "cancel", "expire holds"}
"""What writes on the provider's shard and on the patient's in one transaction."""

Statements: TypeAlias = list[str]
_MEETS = r"\b(?:FROM|JOIN|UPDATE|USING) {table}\b(?: (?!WHERE|SET|ON|USING|CROSS|JOIN)(\w+))?"
_WRITES = r"\b(?:INTO|UPDATE|DELETE FROM) {table}\b"
_INSERTS = r"INSERT INTO {table} \(([^)]*)\)"


async def test_every_table_has_its_place(database: Database) -> None:
    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT relname FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )

    assert {row["relname"] for row in rows} == DISTRIBUTED.keys() | EVERYWHERE | OF_NODE


async def test_the_constraints_without_the_distribution_column_are_those_we_know(
    database: Database,
) -> None:
    async with database.reading() as db:
        rows = await db.fetch(
            """
            SELECT conrelid::regclass::text AS relation, conname,
                ARRAY(SELECT attname::text FROM pg_attribute
                    WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS columns
            FROM pg_constraint
            WHERE contype IN ('p', 'u', 'x', 'f') AND conrelid::regclass::text = ANY ($1)
            """,
            list(DISTRIBUTED),
        )

    lacking = {row["conname"] for row in rows if DISTRIBUTED[row["relation"]] not in row["columns"]}
    assert lacking == TO_CHANGE.keys()


async def test_no_unique_index_is_without_a_constraint(database: Database) -> None:
    """Or the test above would not see it."""
    async with database.reading() as db:
        assert not await db.fetch(
            "SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indrelid "
            "WHERE indisunique AND relnamespace = 'public'::regnamespace AND relname = ANY ($1) "
            "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
            list(DISTRIBUTED),
        )


async def test_a_unit_belongs_to_one_provider(database: Database) -> None:
    """So an exclusion that carries the provider, too, excludes what it did before."""
    async with database.reading() as db:
        nullable = await db.fetchval(
            "SELECT NOT attnotnull FROM pg_attribute "
            "WHERE attrelid = 'resources'::regclass AND attname = 'provider_id'"
        )

    assert nullable is False


async def test_the_statements_that_cross_shards_are_those_we_know(database: Database) -> None:
    sent = await statements_of_use_cases(database)

    assert {name: not_routed(statements) for name, statements in sent.items()} == NOT_ROUTED
    assert {
        name
        for name, statements in sent.items()
        if written(statements, OF_PROVIDER) and written(statements, {"patient_claims": ""})
    } == TWO_SHARDS


async def statements_of_use_cases(database: Database) -> dict[str, Statements]:
    """What each really sends, in a transaction of its own."""
    clinic = await a_clinic(database, staff=2)
    booked = await Booked.at_nine(database, clinic)
    sent: dict[str, Statements] = {}

    async def record(name: str, act: Callable[[Connection], Awaitable[object]]) -> None:
        statements: Statements = []

        def note(query: asyncpg.connection.LoggedQuery) -> None:
            statements.append(" ".join(query.query.split()))

        async with database.transaction() as db:
            with db.query_logger(note):
                await act(db)
        sent[name] = statements

    wish = a_wish(clinic, start=tomorrow() + timedelta(hours=1), patient_id=booked.patient.id)
    move = a_wish(
        clinic,
        start=tomorrow() + timedelta(hours=3),
        patient_id=booked.patient.id,
        reschedule_of=booked.id,
    )
    await record("hold", lambda db: hold_timeslot(db, wish))
    await record(
        "confirm",
        lambda db: confirm_appointment(
            db, wish.token_hash, Details(reason="cough"), user_id=booked.patient.id
        ),
    )
    async with database.transaction() as db:
        await hold_timeslot(db, move)
    await record("look", lambda db: _look(db, booked.id))
    await record(
        "reschedule",
        lambda db: reschedule_appointment(
            db, booked.id, move.token_hash, reason=None, user=booked.patient
        ),
    )
    async with database.reading() as db:
        found = await queries.picked(db, wish.token_hash)
    assert found is not None
    confirmed = found.appointment.id
    await record(
        "cancel", lambda db: cancel_appointment(db, confirmed, reason=None, user=booked.patient)
    )
    await _a_hold_that_is_over(database, clinic)
    await record("expire holds", expire_due_holds)
    await record(
        "list of a patient",
        lambda db: lists.of_patient(db, booked.patient.id, upcoming=False, after=None, limit=5),
    )
    await record(
        "list of a provider",
        lambda db: lists.of_provider(db, clinic.provider.id, Schedule(), after=None, limit=5),
    )
    return sent


async def _look(db: Connection, id_: UUID) -> None:
    await queries.appointment(db, id_)
    await queries.audit_trail(db, id_)


async def _a_hold_that_is_over(database: Database, clinic: Clinic) -> None:
    async with database.transaction() as db:
        held, _ = await hold_timeslot(db, a_wish(clinic, start=tomorrow() + timedelta(hours=5)))
        await db.execute("UPDATE appointments SET hold_expires_at = now() WHERE id = $1", held.id)


def not_routed(statements: Statements) -> set[str]:
    return {
        table
        for statement in statements
        for table, column in DISTRIBUTED.items()
        if not is_routed(statement, table, column)
    }


def is_routed(statement: str, table: str, column: str) -> bool:
    """Whether all that the statement does with the table says on which shard: by a row's column, or
    by a parameter. Nobody else's column counts: ``p.id = a.patient_id`` leads somewhere only when
    ``a`` has been read."""
    inserted = re.findall(_INSERTS.format(table=table), statement)
    met = re.findall(_MEETS.format(table=table), statement)
    places = [rf"\b{alias}\.{column} = \$\d" for alias in met if alias]
    places += [rf"(?<![.\w]){column} = \$\d" for alias in met if not alias]
    return all(column in re.split(r",\s*", columns) for columns in inserted) and all(
        re.search(place, statement) for place in places
    )


def written(statements: Statements, tables: dict[str, str]) -> bool:
    return any(
        re.search(_WRITES.format(table=table), statement)
        for statement in statements
        for table in tables
    )
