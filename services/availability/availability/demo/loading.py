"""Puts the clinic into the database, through the same use cases as everybody."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from availability.demo.athens import papadaki
from availability.demo.kathmandu import shrestha
from availability.demo.london import okafor
from availability.demo.new_york import whitfield
from availability.demo.practice import Practice
from availability.models import Provider
from availability.use_cases.appointment_types import add_appointment_type
from availability.use_cases.exceptions import add_exception
from availability.use_cases.locations import add_location, add_room
from availability.use_cases.providers import create_provider
from availability.use_cases.resources import add_resource
from availability.use_cases.rules import add_rules
from shared.db import Database


def clinic(today: date) -> list[Practice]:
    """Everybody, with their exceptions in the weeks after ``today``."""
    return [papadaki(today), whitfield(today), shrestha(), okafor(today)]


async def load(database: Database) -> list[Practice]:
    """The clinic, each provider loaded whole or, when they are there already, not touched."""
    async with database.orm_reading() as db:
        today = (await db.execute(select(func.now()))).scalar_one().date()
    practices = clinic(today)
    for practice in practices:
        async with database.orm_transaction() as db:
            if await db.get(Provider, practice.provider.id) is None:
                await _set_up(db, practice)
    return practices


async def _set_up(db: AsyncSession, practice: Practice) -> None:
    provider = await create_provider(db, practice.provider)
    for location, rooms in practice.locations:
        await add_location(db, provider.id, location)
        for room in rooms:
            await add_room(db, provider.id, location.id, room)
    for resource in practice.resources:
        await add_resource(db, provider.id, resource)
    for service in practice.services:
        await add_appointment_type(db, provider.id, service)
    await add_rules(db, provider.id, practice.rules)
    for exception in practice.exceptions:
        await add_exception(db, provider.id, exception)
