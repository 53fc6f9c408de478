"""What others see in the middle of a move: the old appointment, until the new one is there."""

import asyncio
from uuid import UUID

from bookings.refusals import PatientBusy
from shared.db import Database

from .builders import a_clinic
from .moving import Booked, active_of, at, broken_rows
from .stage import a_hold, somebody_waits


async def seen(database: Database, patient: UUID) -> list[UUID]:
    async with database.reading() as db:
        return [row["id"] for row in await active_of(db, patient)]


async def test_the_old_one_is_there_until_the_new_one_has_all_it_needs(database: Database) -> None:
    booked = await Booked.at_nine(database)
    rival = await a_hold(database, await a_clinic(database), start=at(11))
    wish = await booked.hold(at(11))

    async with database.transaction() as db:
        await db.execute(
            "INSERT INTO patient_claims VALUES ($1, $2, tstzrange($3, $4))",
            *(rival.id, booked.patient.id, rival.start, rival.end),
        )
        move = asyncio.create_task(booked.move(wish))
        await somebody_waits(database)
        in_the_middle = await seen(database, booked.patient.id)
    refused = await asyncio.gather(move, return_exceptions=True)

    assert in_the_middle == [booked.id]
    assert isinstance(refused[0], PatientBusy)
    assert await seen(database, booked.patient.id) == [booked.id]
    async with database.transaction() as db:
        await db.execute("DELETE FROM patient_claims WHERE appointment_id = $1", rival.id)
    moved = await booked.move(wish)
    assert await seen(database, booked.patient.id) == [moved.appointment.id]
    assert await broken_rows(database) == []
