"""Whose a job is: one worker's at a time, and only as long as its lease."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from notifications.channels import Message
from notifications.domain.job import Job
from notifications.jobs import attempts, claiming, upkeep
from shared.db import Connection, Database

from .conftest import Rows

pytestmark = pytest.mark.usefixtures("known_people", "confirmed")

LEASE = timedelta(seconds=30)


async def claim(db: Connection, worker: UUID, channel: str, *, limit: int) -> list[Job]:
    return await claiming.claim(db, worker, channels=[channel], off=[], limit=limit, lease=LEASE)


async def test_two_who_claim_at_the_same_time_get_different_jobs(database: Database) -> None:
    one, other = uuid4(), uuid4()

    async with database.transaction() as first, database.transaction() as second:
        mine = await claim(first, one, "email", limit=1)
        async with asyncio.timeout(20):  # what is locked is passed over, not waited for
            yours = await claim(second, other, "email", limit=10)

    assert len(mine) == len(yours) == 1
    assert mine[0].id != yours[0].id


async def test_only_jobs_that_are_due_on_a_channel_that_is_on_are_claimed(
    database: Database,
) -> None:
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET due_at = now() + interval '1 h' WHERE party = 'patient'"
        )
        assert not await claim(db, uuid4(), "sms", limit=10)
        claimed = await claim(db, uuid4(), "email", limit=10)

    assert len(claimed) == 1


async def test_what_only_a_newer_release_can_tell_is_left_to_its_workers(
    database: Database, jobs: Rows
) -> None:
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET kind = 'of_next_year' WHERE party = 'patient'"
        )
        claimed = await claim(db, uuid4(), "email", limit=10)

    assert [job.party for job in claimed] == ["provider"]
    assert {job["status"] for job in await jobs(kind="of_next_year")} == {"queued"}


async def test_whoever_has_lost_the_lease_can_neither_begin_nor_decide(
    database: Database, jobs: Rows
) -> None:
    late, owner = uuid4(), uuid4()
    async with database.transaction() as db:
        [job, _] = await claim(db, owner, "email", limit=10)

        begun = await attempts.begin(db, late, [(job, Message("<1@medic.example>", "a", b""))])
        await claiming.give_back(db, late, job.id, reason="late")

    assert begun == [None]
    assert {each["status"] for each in await jobs()} == {"sending"}
    assert {each["attempts"] for each in await jobs()} == {0}


async def test_a_lease_that_has_run_out_is_taken_back_and_no_other(
    database: Database, jobs: Rows
) -> None:
    async with database.transaction() as db:
        await claim(db, uuid4(), "email", limit=10)
        await db.execute(
            "UPDATE notification_jobs SET locked_until = now() - interval '1 s' "
            "WHERE party = 'patient'"
        )

        await upkeep.take_back_stalled(db)

    assert {job["party"]: job["status"] for job in await jobs()} == {
        "patient": "queued",
        "provider": "sending",
    }
