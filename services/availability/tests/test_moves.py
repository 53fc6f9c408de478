"""An appointment that is to be moved, and a hold that was extended."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from shared.db import Database
from shared.http import AsyncClient

from .builders import MINUTE, a_booking, a_practice, in_days, later, receive
from .conftest import As
from .test_check import As_, Desk


async def test_what_only_the_moved_appointment_blocks_is_offered_to_its_patient(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database, duration_minutes=60)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    old = a_booking(practice, ten)
    other = a_booking(practice, ten + 120 * MINUTE)
    await receive(database, old, other)

    for start, mine, plain in (
        (ten, True, False),
        (ten + 30 * MINUTE, True, False),
        (ten - 30 * MINUTE, True, False),
        (ten + 90 * MINUTE, False, False),
    ):
        moving = await desk.check(practice, start, old.user_id, withoutAppointmentId=str(old.id))
        assert moving["offered"] is mine
        assert (await desk.check(practice, start, old.user_id))["offered"] is plain


async def test_somebody_elses_appointment_is_like_an_unknown_one(
    api: AsyncClient, database: Database, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    old = a_booking(practice, ten)
    await receive(database, old)

    foreign = await desk.check(practice, ten, uuid4(), withoutAppointmentId=str(old.id))
    unknown = await desk.check(practice, ten, uuid4(), withoutAppointmentId=str(uuid4()))

    assert foreign == unknown
    assert foreign["reason"] == "claimed"


async def test_an_extended_hold_is_still_ones_own_and_still_in_the_way_of_others(
    api: AsyncClient, database: Database, as_user: As, as_reservations: As_
) -> None:
    practice = await a_practice(database)
    desk, ten = Desk(api, as_reservations), in_days(3, 10)
    now = datetime.now(UTC)
    held = a_booking(practice, ten, "held", hold_expires_at=now - timedelta(seconds=1))
    extended = later(held, practice, "held", hold_expires_at=now + timedelta(minutes=2))

    await receive(database, held)
    over = (await desk.check(practice, ten))["offered"]
    # The older one comes once more, late.
    await receive(database, extended, held)
    mine = (await desk.check(practice, ten, held.user_id))["offered"]
    others = (await desk.check(practice, ten))["offered"]
    seen = await api.get(
        f"/v1/providers/{practice.provider_id}/availability",
        params={"serviceId": str(practice.service_id), "date": f"{ten:%Y-%m-%d}"},
        headers=as_user("patient", held.user_id),
    )

    assert (over, mine, others) == (True, True, False)
    assert [slot["start"][11:16] for slot in seen.json()["timeslots"] if slot["heldByYou"]] == [
        "10:00"
    ]
