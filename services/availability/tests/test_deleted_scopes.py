"""With a location, a room or a service go the rules of the form that are about it alone."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from availability.use_cases.appointment_types import remove_appointment_type
from availability.use_cases.locations import NewRoom, remove_location, remove_room
from availability.use_cases.rules import add_rules
from shared.db import Database
from shared.http import AsyncClient

from .builders import Practice, a_practice, a_rule
from .conftest import As

Remove = Callable[[AsyncSession, Practice], Awaitable[None]]


async def without_location(db: AsyncSession, practice: Practice) -> None:
    assert practice.location_id is not None
    await remove_location(db, practice.provider_id, practice.location_id)


async def without_room(db: AsyncSession, practice: Practice) -> None:
    await remove_room(db, practice.provider_id, practice.room_ids[0])


async def without_service(db: AsyncSession, practice: Practice) -> None:
    await remove_appointment_type(db, practice.provider_id, practice.service_id)


async def a_practice_with_scopes(database: Database) -> Practice:
    rooms = [NewRoom(name="1"), NewRoom(name="2")]
    practice = await a_practice(database, rooms=rooms, weekdays=[1])
    scopes: list[dict[str, UUID | None]] = [
        {"scope_location_id": practice.location_id},
        {"scope_room_id": practice.room_ids[0]},
        {"scope_room_id": practice.room_ids[1]},
        {"scope_appointment_type_id": practice.service_id},
    ]
    async with database.orm_transaction() as db:
        await add_rules(db, practice.provider_id, [a_rule(2, **scope) for scope in scopes])
    return practice


async def scopes_seen(api: AsyncClient, practice: Practice, headers: dict[str, str]) -> set[str]:
    answer = await api.get(f"/v1/providers/{practice.provider_id}/schedule/rules", headers=headers)
    assert answer.status_code == 200, answer.text
    names = {
        str(practice.location_id): "location",
        str(practice.room_ids[0]): "room 1",
        str(practice.room_ids[1]): "room 2",
        str(practice.service_id): "service",
    }
    return {
        next((names[value] for value in item["scope"].values() if value in names), "everything")
        for item in answer.json()["items"]
    }


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        (without_location, {"everything", "service"}),
        (without_room, {"everything", "location", "room 2", "service"}),
        (without_service, {"everything", "location", "room 1", "room 2"}),
    ],
)
async def test_rules_about_it_alone_go_with_it_and_no_others(
    api: AsyncClient, database: Database, as_user: As, remove: Remove, left: set[str]
) -> None:
    practice = await a_practice_with_scopes(database)
    staff = as_user("provider", practice.provider_id)
    everything = {"everything", "location", "room 1", "room 2", "service"}
    assert await scopes_seen(api, practice, staff) == everything

    async with database.orm_transaction() as db:
        await remove(db, practice)

    assert await scopes_seen(api, practice, staff) == left


async def test_the_migration_takes_those_that_were_left_behind(
    api: AsyncClient,
    database: Database,
    as_user: As,
    owner_url: str,
    service_folder: Path,
) -> None:
    practice, other = [await a_practice_with_scopes(database) for _ in range(2)]
    staff = as_user("provider", practice.provider_id)
    rules = f"/v1/providers/{practice.provider_id}/schedule/rules"
    path = service_folder / "migrations/versions/0003_rules_of_what_is_gone.py"
    found: dict[str, str] = {}
    exec(path.read_text(), found)
    before = (await api.get(rules, headers=staff)).headers["etag"]
    owner = await asyncpg.connect(owner_url)
    await owner.execute(
        "UPDATE rooms SET is_active = false, deleted_at = now() WHERE id = $1",
        practice.room_ids[0],
    )
    await owner.execute(found["_RULES"])
    await owner.close()

    left = await scopes_seen(api, practice, staff)
    seen = await api.get(rules, headers=staff | {"If-None-Match": before})

    assert left == {"everything", "location", "room 2", "service"}
    assert seen.status_code == 200
    untouched = await scopes_seen(api, other, as_user("provider", other.provider_id))
    assert len(untouched) == 5


async def test_rules_that_are_known_are_not_sent_again(
    api: AsyncClient, database: Database, as_user: As
) -> None:
    practice = await a_practice(database)
    staff = as_user("provider", practice.provider_id)
    rules = f"/v1/providers/{practice.provider_id}/schedule/rules"
    etag = (await api.get(rules, headers=staff)).headers["etag"]
    known = staff | {"If-None-Match": f'"other", W/{etag}'}

    same = await api.get(rules, headers=known)
    async with database.orm_transaction() as db:
        await add_rules(db, practice.provider_id, [a_rule(3, priority=4)])
    other = await api.get(rules, headers=known)

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert other.status_code == 200
    assert other.headers["etag"] != etag
