"""The search that proves an erasure finds a marker in whatever column it is."""

from uuid import uuid4

from shared.db import Database
from shared.idempotency import KEPT_COLUMNS, erase_answers
from shared.messaging import outbox
from shared.testing.leftovers import leftovers


async def test_a_marker_is_found_in_text_json_and_bytes(database: Database) -> None:
    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO outbox (id, type, subject, sequence, data) "
            "VALUES ($1, 'a.type', 'Marker \"one\"', 1, $2)",
            uuid4(),
            {"deep": [{"name": "Marker two"}]},
        )
        await db.execute(
            f"INSERT INTO idempotency_keys ({KEPT_COLUMNS}) "
            "VALUES ($1, 'POST /', 'key', '', 200, '{}', $2)",
            uuid4(),
            b'{"name": "Marker three"}',
        )

    async with database.reading() as db:
        found = await leftovers(db, ["marker two", "Marker three", "Marker", "Marker four"])

    assert found == [
        "public.idempotency_keys: Marker",
        "public.idempotency_keys: Marker three",
        "public.outbox: Marker",
        "public.outbox: marker two",
    ]


async def test_only_what_was_told_of_the_subject_leaves_the_history(database: Database) -> None:
    rows = [("one", "a.updated"), ("one", "a.deleted"), ("two", "a.updated")]
    async with database.transaction() as db:
        for subject, kind in rows:
            await db.execute(
                "INSERT INTO outbox (id, type, subject, sequence, data) "
                "VALUES ($1, $2, $3, 1, '{}')",
                uuid4(),
                kind,
                subject,
            )
        await outbox.erase(db, "one", ["a.updated"])
        left = await db.fetch("SELECT subject, type FROM outbox ORDER BY position")

    assert [tuple(row) for row in left] == rows[1:]


async def test_an_answer_of_somebody_else_goes_only_if_it_names_the_person(
    database: Database,
) -> None:
    person, helper, stranger = uuid4(), uuid4(), uuid4()
    answers = [(person, "own"), (helper, f"about {person}"), (helper, "other"), (stranger, person)]
    async with database.transaction() as db:
        for number, (caller, body) in enumerate(answers):
            await db.execute(
                f"INSERT INTO idempotency_keys ({KEPT_COLUMNS}) "
                "VALUES ($1, 'POST /', $2, '', 200, '{}', $3)",
                caller,
                str(number),
                str(body).encode(),
            )
        await erase_answers(db, person, callers=[helper], naming=[person])
        rows = await db.fetch("SELECT status, body FROM idempotency_keys ORDER BY key")

    assert [row["status"] for row in rows] == [409, 409, 200, 200]
    assert b"answer_erased" in rows[0]["body"]
