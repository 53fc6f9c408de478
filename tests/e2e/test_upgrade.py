"""The release before this one and this one run together over one schema, and nobody notices."""

import asyncio
from pathlib import Path

import pytest

from local.demo_data import Clinic
from local.releases import HistoryMissing, previous_release
from local.services import CURRENT, SERVICES, Service, api_name, worker_name
from tests.e2e.afterwards import caught_up, nothing_lost_and_nothing_doubled
from tests.e2e.rolling import Copy, Rolling, clinic_of, rolling
from tests.e2e.system import until
from tests.e2e.traffic import Traffic

BY_NAME = {service.name: service for service in SERVICES}
ORDER = [
    BY_NAME[name]
    for name in ("bookings", "reservations", "notifications", "availability", "calendar-sync")
]
"""Any order does. In this one nobody is told of something that they have never heard of, which they
would put aside for up to five minutes."""


async def test_an_upgrade_under_load_fails_nobody(tmp_path: Path) -> None:
    try:
        before = previous_release(tmp_path / "previous")
    except HistoryMissing as missing:
        pytest.skip(str(missing))
    async with rolling(tmp_path / "run", {"-old": before, "-new": CURRENT}) as system:
        old, new = system.copies["-old"], system.copies["-new"]
        await asyncio.to_thread(system.migrate_as, before)
        await system.start(old)
        await system.ask_all(old)
        await system.open_gateway()
        clinic = await clinic_of(system, old)
        await until(lambda: known(system, clinic), "the clinic is known everywhere")

        async with Traffic.open(system.base_url, clinic, per_second=10) as traffic:
            async with traffic.flowing(), asyncio.TaskGroup() as leaving:
                await traffic.until(more=50)
                await system.databases.migrate()
                await traffic.until(more=25)
                for service in ORDER:
                    await system.start(new, service)
                    await system.ask(service.name, old, new)
                    await traffic.until(more=25)
                    await system.ask(service.name, new)
                    await system.end(worker_name(service) + old.name)
                    leaving.create_task(leave(system, service, old))
                await traffic.until(more=50)

            assert traffic.failures == []
            await caught_up(system, traffic)
            await nothing_lost_and_nothing_doubled(system, traffic)


async def leave(system: Rolling, service: Service, copy: Copy) -> None:
    """As a Pod does it: first nobody asks it any more, then it is told to stop."""
    await system.until_left_alone(service.name, copy)
    await system.end(api_name(service) + copy.name)


async def known(system: Rolling, clinic: Clinic) -> bool:
    [(providers,)] = await system.query("bookings", "SELECT count(*) FROM providers")
    [(people,)] = await system.query("notifications", "SELECT count(*) FROM contacts")
    everybody = len(clinic.providers) + len(clinic.patients)
    return bool(providers == len(clinic.providers) and people == everybody)
