"""Every process is killed in the middle of work; nothing is lost and nothing done twice."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from shared.http import AsyncClient
from tests.e2e.system import Caller, System, until

PROCESSES = [
    f"{service}-{kind}"
    for service in ("availability", "bookings", "reservations", "notifications", "calendar-sync")
    for kind in ("api", "worker")
]


async def book(patient: Caller, provider: dict, service: dict, slot: dict) -> str:
    """The appointment's id, through whatever happens on the way."""
    reserved = await patient.reserve(provider, service, slot)
    assert reserved.status_code in (200, 201), reserved.text
    body = {"reservationToken": reserved.json()["reservationToken"]}
    booked = await patient.insist("POST", "/v1/bookings", body)
    assert booked.status_code == 201, booked.text
    return str(booked.json()["id"])


async def test_killing_each_process_loses_and_doubles_nothing(
    system: System, client: AsyncClient, patient: Callable[[int], Caller]
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    slots = apart(await patient(0).timeslots(provider, service, days=30))
    before = len(system.mails())

    booked: list[str] = []
    for number, name in enumerate(PROCESSES):
        pair = slots[2 * number : 2 * number + 2]
        work = [
            asyncio.create_task(book(patient(2 * number % 20 + side), provider, service, slot))
            for side, slot in enumerate(pair)
        ]
        system.kill(name)
        booked += await asyncio.gather(*work)

    assert len(set(booked)) == 2 * len(PROCESSES)
    await until(lambda: settled(system, booked), "every consumer has caught up", limit=60)
    await check_bookings(system, booked)
    doctor = Caller(client, provider["token"], provider["id"])

    async def all_are_in_the_feed() -> bool:
        feed = await doctor.call("GET", f"/v1/providers/{provider['id']}/calendar-feed")
        uids = Counter(line for line in feed.text.splitlines() if line.startswith("UID:"))
        assert all(count == 1 for count in uids.values())
        return all(any(id_ in uid for uid in uids) for id_ in booked)

    await until(all_are_in_the_feed, "every appointment is in the feed", limit=60)
    mails = Counter(mail["Message-ID"] for mail in system.mails())
    assert len(mails) - before >= 2 * len(booked)
    assert max(mails.values()) <= 2, "a message is repeated once by one crash"
    repeated = sum(count - 1 for count in mails.values())
    assert repeated <= 8, "only what was on its way: the mails of two pairs of bookings"


def apart(slots: list[dict]) -> list[dict]:
    """Starts that do not overlap each other."""
    chosen: list[dict] = []
    for slot in slots:
        if not chosen or slot["start"] >= chosen[-1]["end"]:
            chosen.append(slot)
    return chosen[::2]


async def settled(system: System, booked: list[str]) -> bool:
    """All outboxes are published, all mail is sent, the view of availability is complete."""
    for service in ("bookings", "reservations", "availability"):
        if await system.query(service, "SELECT 1 FROM outbox WHERE published_at IS NULL LIMIT 1"):
            return False
    jobs = await system.query(
        "notifications",
        """
        SELECT status FROM notification_jobs
        WHERE appointment_id = ANY($1::uuid[]) AND channel = 'email' AND kind <> 'reminder'
        """,
        booked,
    )
    viewed = await system.query(
        "availability",
        "SELECT 1 FROM appointments WHERE id = ANY($1::uuid[]) AND status = 'confirmed'",
        booked,
    )
    return [job["status"] for job in jobs] == ["sent"] * 2 * len(booked) and len(viewed) == len(
        booked
    )


async def check_bookings(system: System, booked: list[str]) -> None:
    """Each change has one audit event and one outbox event; each appointment its claims."""
    rows = await system.query(
        "bookings",
        """
        SELECT a.status, a.version,
            (SELECT array_agg(e.action ORDER BY e.sequence) FROM audit_events e
             WHERE e.appointment_id = a.id AND e.action <> 'reminder_scheduled') AS actions,
            (SELECT array_agg(o.type ORDER BY o.position) FROM outbox o
             WHERE o.subject = a.id::text) AS events,
            (SELECT count(*) FROM claims c WHERE c.appointment_id = a.id) AS claims
        FROM appointments a WHERE a.id = ANY($1::uuid[])
        """,
        booked,
    )
    assert len(rows) == len(booked)
    for row in rows:
        assert (row["status"], row["version"]) == ("confirmed", 2)
        assert row["actions"] == ["held_created", "confirmed"]
        assert row["events"] == ["booking.held", "booking.confirmed"]
        assert row["claims"] >= 1


@pytest.mark.parametrize("name", ["rabbitmq", "postgres"])
async def test_a_server_is_killed_and_comes_back(
    system: System, patient: Callable[[int], Caller], name: str
) -> None:
    provider, service = system.demo["providers"][0], system.demo["providers"][0]["services"][0]
    slots = apart(await patient(0).timeslots(provider, service, days=30))

    system.kill(name)
    booked = [await book(patient(1), provider, service, slots[-3])]
    booked.append(await book(patient(2), provider, service, slots[-2]))

    await until(lambda: settled(system, booked), "every consumer has caught up", limit=60)
    await check_bookings(system, booked)
