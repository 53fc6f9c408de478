"""All that is kept about a patient, in one answer; what is missing is named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web

from bookings.app import make_app
from bookings.settings import BookingsSettings
from shared.auth.services import ServiceTokenCheck
from shared.db import Database
from shared.http import AsyncClient
from shared.testing.api import client_of
from shared.testing.tokens import SERVICE_SECRET

from .builders import a_clinic, tomorrow
from .stage import As
from .test_erasure import MARKERS, Life

OTHERS = ("calendar-sync", "notifications", "reservations")


@dataclass
class Keepers:
    """The other three services, each with something of everybody's."""

    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    _ports: dict[int, str] = field(default_factory=dict)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[dict[str, str]]:
        """The address of each; they differ by their ports."""
        app = web.Application()
        app.router.add_get("/internal/patients/{patient}/export", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        for _ in OTHERS:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._ports = {
            address[1]: name for address, name in zip(runner.addresses, OTHERS, strict=True)
        }
        try:
            yield {name: f"http://127.0.0.1:{port}" for port, name in self._ports.items()}
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        service = self._ports[request.transport.get_extra_info("sockname")[1]]
        token = request.headers["Authorization"].removeprefix("Bearer ")
        ServiceTokenCheck(SERVICE_SECRET, service).verify(token)
        self.asked.append(service)
        if service in self.silent:
            return web.json_response({}, status=503)
        return web.json_response({"kept": f"{service} of {request.match_info['patient']}"})


@pytest.fixture
def keepers() -> Keepers:
    return Keepers()


@pytest.fixture
async def api(settings_values: dict[str, Any], keepers: Keepers) -> AsyncIterator[AsyncClient]:
    async with keepers.served() as urls:
        settings = BookingsSettings(
            **settings_values,
            calendar_sync_url=urls["calendar-sync"],
            notifications_url=urls["notifications"],
            reservations_url=urls["reservations"],
        )
        async with client_of(make_app(settings)) as client:
            yield client


@pytest.fixture
async def life(api: AsyncClient, as_user: As, database: Database) -> Life:
    clinic = await a_clinic(database, requires_approval=True, max_reschedule_count=5)
    return Life(api, as_user, clinic, uuid4())


async def exported(life: Life, headers: dict[str, str] | None = None) -> Any:
    answer = await life.api.get(f"/v1/patients/{life.patient}/export", headers=headers or life.own)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def test_everything_is_in_it_but_what_the_patient_may_not_see(
    life: Life, database: Database, keepers: Keepers
) -> None:
    ids = await life.live(database)

    kept = await exported(life)

    assert (kept["isComplete"], kept["missing"]) == (True, [])
    assert sorted(keepers.asked) == list(OTHERS)
    assert kept["notifications"] == {"kept": f"notifications of {life.patient}"}
    assert kept["reservations"] == {"kept": f"reservations of {life.patient}"}
    assert kept["calendars"] == {"kept": f"calendar-sync of {life.patient}"}
    assert kept["profile"]["emergencyContact"]["name"] == MARKERS["contact"]
    assert {UUID(each["id"]) for each in kept["appointments"]} == set(ids)
    assert all(each["audit"] for each in kept["appointments"])
    text = str(kept)
    assert {name for name, marker in MARKERS.items() if marker not in text} == {"private_note"}


async def test_a_service_that_is_silent_is_named(life: Life, keepers: Keepers) -> None:
    await life.profile()
    keepers.silent = {"notifications"}

    kept = await exported(life)

    assert (kept["isComplete"], kept["missing"]) == (False, ["notifications"])
    assert kept["notifications"] is None
    assert kept["reservations"] is not None
    assert kept["profile"]["name"] == MARKERS["name"]


async def test_an_address_that_is_not_set_is_named_too(
    settings_values: dict[str, Any], as_user: As
) -> None:
    async with client_of(make_app(BookingsSettings(**settings_values))) as api:
        patient = uuid4()
        answer = await api.get(
            f"/v1/patients/{patient}/export", headers=as_user("patient", patient)
        )

    assert answer.json()["missing"] == list(OTHERS)
    assert (answer.json()["profile"], answer.json()["appointments"]) == (None, [])


async def test_after_the_erasure_ids_and_times_are_left(life: Life, database: Database) -> None:
    ids = await life.live(database)
    await life.erase(cancelUpcoming=True)

    kept = await exported(life, life.as_user("admin", uuid4()))

    assert kept["profile"] is None
    assert len(kept["appointments"]) == len(ids)
    assert kept["erasure"]["status"] == "in_progress"
    assert not any(marker in str(kept) for marker in MARKERS.values())


async def test_another_patients_things_are_in_no_export(life: Life, database: Database) -> None:
    await life.live(database)
    other = Life(life.api, life.as_user, life.clinic, uuid4())
    await other.profile()

    kept = await exported(other)

    assert kept["appointments"] == []
    await other.book(tomorrow(18))
    [appointment] = (await exported(other))["appointments"]
    assert appointment["userId"] == str(other.patient)
