"""Every process is told to stop in the middle of work; beside it there is another of its kind.

Their clocks are three minutes apart, and nobody notices that either.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

import aiohttp
import pytest

from local.demo_data import Clinic
from local.services import CURRENT, SERVICES, Service, api_name, worker_name
from tests.e2e import clocks
from tests.e2e.afterwards import caught_up, nothing_lost_and_nothing_doubled
from tests.e2e.rolling import Copy, Rolling, clinic_of, rolling
from tests.e2e.traffic import Traffic

TAKEN_OVER = 20.0
"""Seconds without a relay; on a machine that does nothing else it is half of one."""


async def test_a_process_that_is_told_to_stop_fails_nobody(
    tmp_path: Path, clock: Callable[[int], Mapping[str, str]]
) -> None:
    settings = {
        name: {"STOP_DELAY_SECONDS": "5", **clock(seconds)}
        for name, seconds in (("", 90), ("-2", -90))
    }
    async with rolling(tmp_path / "run", dict.fromkeys(settings, CURRENT), settings) as system:
        first, second = system.copies.values()
        await system.databases.migrate()
        await system.start(first)
        await system.ask_all(first)
        await system.open_gateway()
        clinic = await clinic_of(system, first)
        await system.start(second)
        await system.ask_all(first, second)

        await serve_the_databases_time(system, clinic, first, second)

        async with Traffic.open(system.base_url, clinic, per_second=10) as traffic:
            async with system.asking_who_is_ready(first, second), traffic.flowing():
                await traffic.until(more=50)
                without_relay = []
                for service in SERVICES:
                    ending = asyncio.create_task(system.end(api_name(service) + first.name))
                    without_relay.append(await takeover(system, service, first, second))
                    await ending
                    await traffic.until(more=25)

            assert traffic.failures == []
            assert max(without_relay) < TAKEN_OVER, without_relay
            await caught_up(system, traffic)
            await nothing_lost_and_nothing_doubled(system, traffic)


@pytest.fixture
def clock(tmp_path: Path) -> Callable[[int], Mapping[str, str]]:
    """What makes a process's clock differ by so many seconds; nothing where nothing compiles C."""
    made = clocks.library(tmp_path)
    if made is None:
        return lambda _: {}
    return lambda seconds: {"LD_PRELOAD": str(made), "CLOCK_SHIFT_SECONDS": str(seconds)}


async def serve_the_databases_time(system: Rolling, clinic: Clinic, *copies: Copy) -> None:
    """Each copy alone counts a hold down by the database's clock, whatever its own says."""
    provider, (_, token) = clinic.providers[0], clinic.patients[-1]
    async with Traffic.open(system.base_url, clinic, per_second=100) as alone:
        await alone.fill_up(provider)
        for copy in copies:
            await system.ask_all(copy)
            held = await alone.reserve(provider, token)
            [(now,)] = await system.query("bookings", "SELECT now()")
            [(ends,)] = await system.query(
                "bookings",
                "SELECT hold_expires_at FROM appointments WHERE id = $1",
                UUID(held["appointmentId"]),
            )
            assert abs(datetime.fromisoformat(held["serverTime"]) - now) < timedelta(seconds=30)
            assert abs(datetime.fromisoformat(held["expiresAt"]) - ends) < timedelta(seconds=1)
            await alone.release(held, token)
    await system.ask_all(*copies)


async def takeover(system: Rolling, service: Service, *copies: Copy) -> float:
    """Stops the worker whose relay publishes; the seconds until the other's does."""
    before = await system.relay_of(service.name)
    [active] = [copy for copy in copies if await relays(copy, service)]
    began = monotonic()
    ending = asyncio.create_task(system.end(worker_name(service) + active.name))
    while (await system.relay_of(service.name)) in (before, None):
        assert monotonic() < began + 60, f"nobody relays for {service.name}"
    seconds = monotonic() - began
    await ending
    return seconds


async def relays(copy: Copy, service: Service) -> bool:
    port = copy.surroundings.worker_ports[service.name]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        return "\noutbox_relay_active 1.0" in await answer.text()
