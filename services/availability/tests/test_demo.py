"""The believable clinic: enough to book, and the same however often it is loaded."""

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from typing import Any

from availability.demo.loading import clinic, load
from shared.db import Database
from shared.http import AsyncClient

from .builders import in_days

TABLES = (
    "providers locations rooms appointment_types resources schedule_rules schedule_rule_breaks "
    "availability_exceptions schedule_versions outbox"
).split()


async def contents(database: Database) -> dict[str, Any]:
    async with database.reading() as db:
        return {
            table: [tuple(row) for row in await db.fetch(f"SELECT * FROM {table} ORDER BY 1")]
            for table in TABLES
        }


async def test_a_second_load_changes_nothing(database: Database) -> None:
    await load(database)
    first = await contents(database)

    await load(database)

    assert await contents(database) == first


async def test_there_is_something_of_everything(database: Database) -> None:
    practices = await load(database)

    services = [service for practice in practices for service in practice.services]
    assert len({practice.provider.timezone for practice in practices}) >= 4
    assert practices[0].provider.timezone == "Europe/Athens"
    assert all(len(practice.services) >= 2 for practice in practices)
    assert {service.mode.value for service in services} == {"in_person", "video", "phone"}
    assert any(service.requires_approval for service in services)
    assert any(service.required_equipment for service in services)
    assert any(service.buffer_after_minutes for service in services)
    kinds = {each.kind.value for practice in practices for each in practice.exceptions}
    assert kinds == {"blocked", "available"}
    assert any(rule.breaks for practice in practices for rule in practice.rules)
    assert all((practice.provider.email or "").endswith("@example.org") for practice in practices)
    assert clinic(in_days(0).date()) == clinic(in_days(0).date())


async def test_every_service_can_be_booked_and_the_first_one_on_most_days(
    api: AsyncClient, database: Database
) -> None:
    practices = await load(database)
    first, last = in_days(1), in_days(30)

    days: list[set[str]] = []
    most = 0
    for practice in practices:
        for service in practice.services:
            answer = await api.get(
                f"/v1/providers/{practice.provider.id}/availability?serviceId={service.id}"
                f"&from={first:%Y-%m-%d}&to={last:%Y-%m-%d}&status=available"
            )
            found = answer.json()["timeslots"]
            days.append({slot["start"][:10] for slot in found})
            most = max([most, *(slot["capacityLeft"] for slot in found)])

    assert all(days)
    assert len(days[0]) >= 28
    assert not practices[0].services[0].requires_approval
    assert practices[0].services[0].min_notice_minutes <= 60
    assert most > 1


async def test_the_exceptions_of_the_clinic_show(api: AsyncClient, database: Database) -> None:
    practice = (await load(database))[0]
    closed, opened = practice.exceptions

    async def starts(around: datetime) -> list[datetime]:
        answer = await api.get(
            f"/v1/providers/{practice.provider.id}/availability"
            f"?serviceId={practice.services[0].id}&date={around:%Y-%m-%d}"
        )
        return [datetime.fromisoformat(slot["start"]) for slot in answer.json()["timeslots"]]

    assert not [at for at in await starts(closed.starts_at) if at >= closed.starts_at]
    assert opened.starts_at in await starts(opened.starts_at)
    a_week_later = closed.starts_at + timedelta(days=7)
    assert [at for at in await starts(a_week_later) if at >= a_week_later]


async def test_the_command_prints_who_is_there(
    database: Database, settings_values: dict[str, Any]
) -> None:
    practices = await load(database)
    before = await contents(database)
    settings = {name.upper(): str(value) for name, value in settings_values.items()}

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "availability.demo"),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0
    assert json.loads(printed) == {
        "providers": [
            {
                "id": str(practice.provider.id),
                "name": practice.provider.name,
                "timezone": practice.provider.timezone,
                "services": [
                    {"id": str(service.id), "title": service.name} for service in practice.services
                ],
            }
            for practice in practices
        ]
    }
    assert await contents(database) == before
