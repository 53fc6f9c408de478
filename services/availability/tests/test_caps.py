"""A provider has so many of everything, and no more."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.refusals import TooMany
from availability.use_cases import appointment_types, exceptions, locations, resources
from shared.db import Database
from shared.http import AsyncClient

from .builders import a_practice, in_days
from .conftest import As


async def add_one_more(db: AsyncSession, what: str, provider_id: UUID, location_id: UUID) -> None:
    match what:
        case "MOST_LOCATIONS":
            new = locations.NewLocation(name="B", timezone="UTC")
            await locations.add_location(db, provider_id, new)
        case "MOST_ROOMS":
            await locations.add_room(db, provider_id, location_id, locations.NewRoom(name="B"))
        case "MOST_TYPES":
            service = appointment_types.NewAppointmentType(slug="b", name="B", mode=Mode.PHONE)
            await appointment_types.add_appointment_type(db, provider_id, service)
        case "MOST_RESOURCES":
            unit = resources.NewResource(kind=Kind.STAFF, label="B")
            await resources.add_resource(db, provider_id, unit)
        case "MOST_EXCEPTIONS":
            exception = exceptions.NewException(
                kind=ExceptionKind.BLOCKED,
                starts_at=in_days(3),
                ends_at=in_days(3) + timedelta(hours=1),
            )
            await exceptions.add_exception(db, provider_id, exception)


@pytest.mark.parametrize(
    ("module", "name", "there"),
    [
        (locations, "MOST_LOCATIONS", 1),
        (locations, "MOST_ROOMS", 1),
        (appointment_types, "MOST_TYPES", 1),
        (resources, "MOST_RESOURCES", 2),
        (exceptions, "MOST_EXCEPTIONS", 0),
    ],
)
async def test_one_more_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, there: int
) -> None:
    practice = await a_practice(database, rooms=[locations.NewRoom(name="A")])
    assert practice.location_id is not None
    monkeypatch.setattr(module, name, there)
    async with database.orm_transaction() as db:
        with pytest.raises(TooMany, match=f"there are {there} already"):
            await add_one_more(db, name, practice.provider_id, practice.location_id)

    monkeypatch.setattr(module, name, there + 1)
    async with database.orm_transaction() as db:
        await add_one_more(db, name, practice.provider_id, practice.location_id)


async def test_what_is_deleted_or_over_takes_no_room(
    api: AsyncClient, database: Database, as_user: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await a_practice(database)
    staff = as_user("provider", practice.provider_id)
    monkeypatch.setattr(locations, "MOST_LOCATIONS", 1)
    path = f"/v1/providers/{practice.provider_id}/locations"
    body = {"name": "A", "timezone": "UTC"}

    first = await api.post(path, json=body, headers=staff)
    second = await api.post(path, json=body, headers=staff)
    assert (second.status_code, second.json()["code"]) == (409, "too_many")
    assert second.json()["most"] == 1

    await api.delete(f"{path}/{first.json()['id']}", headers=staff)
    assert (await api.post(path, json=body, headers=staff)).status_code == 201
