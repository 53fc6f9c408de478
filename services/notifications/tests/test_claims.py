"""Whose a job is: one worker's at a time, and only as long as its lease."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from notifications.jobs import sending
from shared.db import Database

from .conftest import Rows

pytestmark = pytest.mark.usefixtures("known_people", "confirmed")

LEASE = timedelta(seconds=30)


async def test_two_who_claim_at_the_same_time_get_different_jobs(database: Database) -> None:
    one, other = uuid4(), uuid4()

    async with database.transaction() as first, database.transaction() as second:
        mine = await sending.claim(first, one, channels=["email"], limit=1, lease=LEASE)
        async with asyncio.timeout(3):  # what is locked is passed over, not waited for
            yours = await sending.claim(second, other, channels=["email"], limit=10, lease=LEASE)

    assert len(mine) == len(yours) == 1
    assert mine[0].id != yours[0].id


async def test_only_jobs_that_are_due_on_a_channel_that_is_on_are_claimed(
    database: Database,
) -> None:
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET due_at = now() + interval '1 h' WHERE party = 'patient'"
        )
        assert not await sending.claim(db, uuid4(), channels=["sms"], limit=10, lease=LEASE)
        claimed = await sending.claim(db, uuid4(), channels=["email"], limit=10, lease=LEASE)

    assert len(claimed) == 1


async def test_whoever_has_lost_the_lease_can_neither_look_nor_begin_nor_decide(
    database: Database, jobs: Rows
) -> None:
    late, owner = uuid4(), uuid4()
    async with database.transaction() as db:
        [job, _] = await sending.claim(db, owner, channels=["email"], limit=10, lease=LEASE)

        looked = await sending.look(db, late, job.id)
        begun = await sending.begin_attempt(db, late, job.id, message_id="<1@medic.example>")
        await sending.give_back(db, late, job.id, reason="late")

    assert (looked, begun) == (None, None)
    assert {each["status"] for each in await jobs()} == {"sending"}
    assert {each["attempts"] for each in await jobs()} == {0}


async def test_a_lease_that_has_run_out_is_taken_back_and_no_other(
    database: Database, jobs: Rows
) -> None:
    async with database.transaction() as db:
        await sending.claim(db, uuid4(), channels=["email"], limit=10, lease=LEASE)
        await db.execute(
            "UPDATE notification_jobs SET locked_until = now() - interval '1 s' "
            "WHERE party = 'patient'"
        )

        await sending.take_back_stalled(db)

    assert {job["party"]: job["status"] for job in await jobs()} == {
        "patient": "queued",
        "provider": "sending",
    }
