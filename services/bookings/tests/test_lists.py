"""Lists: complete, in order, each appointment once, at a cost that does not grow."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings import lists
from bookings.lists import Page, Schedule
from shared.auth import Principal, Role
from shared.cursors import Position
from shared.db import Database
from shared.http import AsyncClient

from .builders import a_clinic, a_patient, tomorrow
from .stage import ADMIN, As, Explaining, a_booking, a_hold, after, copies, overdue, provider_of

MANY = 10_000
PAGE = 20
Ask = Callable[[Any, Position | None], Awaitable[Page]]


async def everything(database: Database, ask: Ask, *, most: int = 400) -> list[UUID]:
    seen: list[UUID] = []
    position = None
    for _ in range(most):
        async with database.reading() as db:
            page = await ask(db, position)
        seen += [each.id for each in page.appointments]
        position = page.after
        if position is None:
            return seen
    raise AssertionError("the list does not end")


async def blocks(database: Database, ask: Ask, position: Position | None) -> tuple[Page, int]:
    async with database.reading() as db:
        looking = Explaining(db)
        page = await ask(looking, position)
    return page, looking.buffers


async def costs(database: Database, ask: Ask) -> list[int]:
    """Of the first page, of one in the middle and of the last ones."""
    found = []
    position, pages = None, 0
    while True:
        if pages in (0, 1, MANY // PAGE // 2, MANY // PAGE - 1):
            page, cost = await blocks(database, ask, position)
            assert len(page.appointments) == PAGE
            found.append(cost)
        else:
            async with database.reading() as db:
                page = await ask(db, position)
        pages += 1
        position = page.after
        if position is None or len(found) == 4:
            return found


async def test_ten_thousand_upcoming_cost_as_little_as_twenty(database: Database) -> None:
    clinic = await a_clinic(database)
    first = await a_booking(database, clinic)
    await copies(database, first.id, MANY)
    # What must not be paid for: as many holds that came to nothing, and as many cancelled ones.
    await copies(database, first.id, MANY, **_cancelled("hold_expired"))
    await copies(database, first.id, MANY, **_cancelled("patient"))

    async def upcoming(db: Any, position: Position | None) -> Page:
        return await lists.of_patient(
            db, first.patient_id, upcoming=True, after=position, limit=PAGE
        )

    found = await costs(database, upcoming)

    assert max(found) <= 150, found


async def test_history_costs_as_little_before_ten_thousand_upcoming(database: Database) -> None:
    clinic = await a_clinic(database)
    first = await a_booking(database, clinic)
    await copies(database, first.id, MANY)
    await copies(database, first.id, MANY, **_cancelled("hold_expired"))
    await copies(database, first.id, MANY, **_cancelled("patient"))

    async def history(db: Any, position: Position | None) -> Page:
        return await lists.of_patient(
            db, first.patient_id, upcoming=False, after=position, limit=PAGE
        )

    found = await costs(database, history)

    assert max(found) <= 150, found


@pytest.mark.parametrize(
    "wanted",
    [
        Schedule(),
        Schedule(start=tomorrow() - timedelta(days=1)),
        Schedule(statuses=["pending", "confirmed"]),
    ],
)
async def test_a_providers_ten_thousand_cost_as_little_as_twenty(
    database: Database, wanted: Schedule
) -> None:
    clinic = await a_clinic(database)
    first = await a_booking(database, clinic)
    await copies(database, first.id, MANY)
    await copies(database, first.id, MANY, **_cancelled("hold_released"))

    async def schedule(db: Any, position: Position | None) -> Page:
        return await lists.of_provider(db, clinic.provider.id, wanted, after=position, limit=PAGE)

    found = await costs(database, schedule)

    assert max(found) <= 150, found


async def test_the_few_that_match_among_ten_thousand_are_all_found_in_small_steps(
    database: Database,
) -> None:
    clinic = await a_clinic(database)
    first = await a_booking(database, clinic)
    await copies(database, first.id, MANY)
    await copies(database, first.id, 1, **_cancelled("patient"))
    async with database.transaction() as db:
        last = await db.fetchval(
            "UPDATE appointments SET service_id = $1 WHERE id = (SELECT id FROM appointments "
            "ORDER BY starts_at DESC LIMIT 1) RETURNING id",
            other := uuid4(),
        )

    async def of_other_service(db: Any, position: Position | None) -> Page:
        return await lists.of_provider(
            db, clinic.provider.id, Schedule(service_id=other), after=position, limit=PAGE
        )

    page, cost = await blocks(database, of_other_service, None)

    assert page.appointments == []
    assert page.after is not None
    assert cost < 1500
    assert await everything(database, of_other_service) == [last]


async def test_upcoming_and_history_together_are_everything_but_holds(database: Database) -> None:
    clinic = await a_clinic(database, staff=5)
    async with database.transaction() as db:
        patient = await a_patient(db)
    booked = [
        await a_booking(
            database, clinic, patient_id=patient, start=tomorrow() + timedelta(days=day)
        )
        for day in range(6)
    ]
    hold = await a_hold(database, clinic, patient_id=patient, start=tomorrow() + timedelta(days=20))
    gone = await a_hold(database, clinic, patient_id=patient, start=tomorrow() + timedelta(days=21))
    await overdue(database, gone.id)
    await a_hold(database, clinic, start=tomorrow() + timedelta(days=21))
    past, cancelled = booked[0], booked[3]
    await after(database, timedelta(days=5), past.id)
    async with database.transaction() as db:
        await db.execute(
            "UPDATE appointments SET status = 'cancelled', cancelled_at = now(), "
            "cancellation_cause = 'patient', cancelled_by_type = 'patient', "
            "cancellation_fee_cents = 0 WHERE id = $1",
            cancelled.id,
        )
        await db.execute(
            "UPDATE appointments SET status = 'cancelled', cancelled_at = now(), "
            "cancellation_cause = 'hold_expired', cancelled_by_type = 'system', "
            "cancellation_fee_cents = 0 WHERE id = $1",
            gone.id,
        )

    async def listed(upcoming: bool) -> list[UUID]:
        async def ask(db: Any, position: Position | None) -> Page:
            return await lists.of_patient(db, patient, upcoming=upcoming, after=position, limit=1)

        return await everything(database, ask)

    assert await listed(upcoming=True) == [booked[day].id for day in (1, 2, 4, 5)]
    assert await listed(upcoming=False) == [cancelled.id, past.id]
    assert hold.id not in await listed(upcoming=True)


async def test_appointments_of_one_instant_are_listed_once_each(database: Database) -> None:
    clinic = await a_clinic(database, staff=7)
    booked = [await a_booking(database, clinic) for _ in range(7)]

    async def ask(db: Any, position: Position | None) -> Page:
        return await lists.of_provider(db, clinic.provider.id, Schedule(), after=position, limit=2)

    assert await everything(database, ask) == sorted(each.id for each in booked)


async def test_a_cursor_is_stable_while_others_come_and_go(database: Database) -> None:
    clinic = await a_clinic(database, staff=3)
    days = [tomorrow() + timedelta(days=day) for day in range(4)]
    booked = [await a_booking(database, clinic, start=start) for start in days]
    async with database.reading() as db:
        first = await lists.of_provider(db, clinic.provider.id, Schedule(), after=None, limit=2)
    await a_booking(database, clinic, start=days[0])  # before the cursor: not seen any more
    later = await a_booking(database, clinic, start=days[2] + timedelta(hours=1))

    async with database.reading() as db:
        rest = await lists.of_provider(
            db, clinic.provider.id, Schedule(), after=first.after, limit=10
        )

    assert [each.id for each in first.appointments] == [each.id for each in booked[:2]]
    assert [each.id for each in rest.appointments] == [booked[2].id, later.id, booked[3].id]
    assert rest.after is None


async def test_a_week_with_filters(api: AsyncClient, as_user: As, database: Database) -> None:
    clinic = await a_clinic(database, staff=2, requires_approval=True)
    days = [tomorrow() + timedelta(days=day) for day in range(9)]
    booked = [await a_booking(database, clinic, start=start) for start in days]
    await a_hold(database, clinic, start=days[1])
    async with database.transaction() as db:
        await db.execute("UPDATE appointments SET status = 'confirmed' WHERE id = $1", booked[2].id)
    path = f"/v1/providers/{clinic.provider.id}/appointments"
    headers = as_user("provider", clinic.provider.id)

    async def ids(**query: Any) -> list[str]:
        answer = await api.get(path, params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    week = {"from": days[0].isoformat(), "to": days[7].isoformat()}
    service = str(clinic.service.id)
    assert await ids(**week) == [str(each.id) for each in booked[:7]]
    assert await ids(**week, status="confirmed") == [str(booked[2].id)]
    assert len(await ids(**week, status=["confirmed", "pending"])) == 7
    assert await ids(**week, status="completed") == []
    assert len(await ids(**week, serviceId=service)) == 7
    assert await ids(**week, serviceId=str(uuid4())) == []
    assert await ids(**week, locationId=str(uuid4())) == []
    assert len(await ids()) == 9


async def test_a_providers_list_tells_the_provider_what_they_may_do(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    clinic = await a_clinic(database, requires_approval=True)
    await a_booking(database, clinic)
    path = f"/v1/providers/{clinic.provider.id}/appointments"

    for user in (provider_of(clinic), ADMIN):
        page = (await api.get(path, headers=as_user(user.role.value, user.id))).json()
        assert {"approve", "reject"} <= set(page["items"][0]["allowedActions"])


@pytest.mark.parametrize("role", [Role.PATIENT, Role.PROVIDER])
async def test_somebody_elses_list_looks_like_none(
    api: AsyncClient, as_user: As, database: Database, role: Role
) -> None:
    clinic = await a_clinic(database)
    stranger = Principal(uuid4(), role)

    foreign, unknown = [
        await api.get(
            f"/v1/providers/{id_}/appointments", headers=as_user(stranger.role.value, stranger.id)
        )
        for id_ in (clinic.provider.id, uuid4())
    ]

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["code"] == unknown.json()["code"] == "provider_not_found"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-03-02T10:00:00Z", "to": "2026-03-02T10:00:00Z"}, "to"),
        ({"from": "yesterday"}, "from"),
        ({"status": "held"}, "status"),
        ({"status": "x"}, "status"),
        ({"limit": "1000"}, "limit"),
        ({"serviceId": "x"}, "serviceId"),
    ],
)
async def test_a_bad_filter_is_named(
    api: AsyncClient, as_user: As, query: dict[str, str], field: str
) -> None:
    id_ = uuid4()

    answer = await api.get(
        f"/v1/providers/{id_}/appointments", params=query, headers=as_user("provider", id_)
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"].split(".")[0] == field


def _cancelled(cause: str) -> dict[str, Any]:
    return {
        "status": "cancelled",
        "cancelled_at": "2026-01-01T00:00:00Z",
        "cancellation_cause": cause,
        "cancelled_by_type": "patient",
        "cancellation_fee_cents": 0,
    }
