"""A hundred patients want one time at the same moment."""

import asyncio
from collections import Counter

from shared.http import AsyncClient
from tests.e2e.system import Caller, System, until

CLIENTS = 100


async def deadlocks(system: System) -> int:
    [row] = await system.query(
        "bookings", "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(row["deadlocks"])


async def test_exactly_the_capacity_wins_and_everybody_else_gets_alternatives(
    system: System, client: AsyncClient
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    crowd = [Caller(client, token, sub) for sub, token in system.tokens(CLIENTS)]
    slot = (await crowd[0].timeslots(provider, service))[-1]
    before = await deadlocks(system)

    async with AsyncClient(base_url=system.base_url, timeout=60) as wide:
        answers = await asyncio.gather(
            *(
                Caller(wide, token, sub).call(
                    "POST",
                    "/v1/reservations",
                    {
                        "providerId": provider["id"],
                        "serviceId": service["id"],
                        "timeslotId": slot["id"],
                    },
                )
                for sub, token in system.tokens(CLIENTS)
            )
        )

    capacity = slot["capacityLeft"]
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: capacity, 409: CLIENTS - capacity}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "slot_taken"
            assert answer.json()["alternatives"]
    assert await deadlocks(system) == before


async def test_an_expired_hold_is_bookable_at_once_with_all_workers_standing_still(
    system: System, client: AsyncClient
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    first, second = (Caller(client, token, sub) for sub, token in system.tokens(2))
    slot = (await first.timeslots(provider, service))[-2]
    reserved = await first.reserve(provider, service, slot)
    appointment = reserved.json()["appointmentId"]
    await until(lambda: heard_of(system, appointment), "availability has heard of the hold")
    workers = [
        f"{name}-worker"
        for name in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
    ]

    with system.frozen(*workers):
        for database, table, key in (
            ("bookings", "appointments", "id"),
            ("availability", "claims", "appointment_id"),
        ):
            await system.query(
                database,
                f"UPDATE {table} SET hold_expires_at = now() WHERE {key} = $1",
                appointment,
            )
        again = await second.reserve(provider, service, slot)

    assert again.status_code == 201, again.text
    assert again.json()["appointmentId"] != appointment


async def heard_of(system: System, appointment: str) -> bool:
    return bool(
        await system.query("availability", "SELECT 1 FROM appointments WHERE id = $1", appointment)
    )
