"""A system that runs, as its clients see it, and what its processes use."""

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

CHECKOUT = Path(__file__).resolve().parents[1]
RUN_FOLDER = Path(os.environ.get("RUN_DIR") or CHECKOUT / ".run")

Json = dict[str, Any]


class Person(NamedTuple):
    id: str
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Slot(NamedTuple):
    provider_id: str
    service_id: str
    id: str
    capacity: int


class Clinic:
    """The system under load, as its clients see it."""

    def __init__(self, session: aiohttp.ClientSession, demo: Json) -> None:
        self._session = session
        self._url = demo["baseUrl"]
        self.demo = demo

    async def call(
        self, method: str, path: str, by: Person, body: Json | None = None, **headers: str
    ) -> tuple[int, Json]:
        given = {**by.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self._session.request(
            method, self._url + path, json=body, headers=given
        ) as answer:
            return answer.status, await answer.json()

    async def slots(self, provider: Json, service: Json, by: Person) -> list[Slot]:
        """Timeslots of the next 30 days that do not overlap each other."""
        first = datetime.now(UTC).date() + timedelta(days=1)
        path = (
            f"/v1/providers/{provider['id']}/availability?serviceId={service['id']}"
            f"&from={first}&to={first + timedelta(days=30)}&status=available"
        )
        _, answer = await self.call("GET", path, by)
        found: list[Slot] = []
        end = ""
        for each in answer["timeslots"]:
            if each["start"] >= end:
                found.append(Slot(provider["id"], service["id"], each["id"], each["capacityLeft"]))
                end = each["end"]
        return found

    async def reserve(self, slot: Slot, by: Person) -> tuple[int, Json]:
        wish = {
            "providerId": slot.provider_id,
            "serviceId": slot.service_id,
            "timeslotId": slot.id,
        }
        return await self.call("POST", "/v1/reservations", by, wish)


async def introduced(clinic: Clinic, count: int) -> list[Person]:
    """New people whose contact details are known."""
    limit = asyncio.Semaphore(20)

    async def introduce(person: Person) -> None:
        profile = {"name": "P", "email": f"p{person.id[:8]}@example.org", "timezone": "UTC"}
        async with limit:
            status, _ = await clinic.call("PATCH", f"/v1/patients/{person.id}", person, profile)
            assert status == 200, status

    people = new_people(count)
    await asyncio.gather(*map(introduce, people))
    return people


def new_people(count: int) -> list[Person]:
    """Patients whom nobody knows yet, with tokens."""
    command = [sys.executable, "-m", "local", "token", "--role", "patient", "--count", str(count)]
    output = subprocess.run(
        [*command, "--run-dir", str(RUN_FOLDER)],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "deploy")},
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [Person(*line.split()) for line in output.splitlines()]


def processor_seconds() -> dict[str, float]:
    """What each of the system's processes has used so far; PostgreSQL's by database."""
    processes = json.loads((RUN_FOLDER / "processes.json").read_text())
    names: dict[int, str] = {each["pid"]: each["name"] for each in processes}
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = defaultdict(float)
    for pid, seconds in used.items():
        owner = pid
        while owner not in names and owner in parents:
            owner = parents[owner]
        if owner in names:
            name = names[owner]
            if name == "postgres":
                words = titles[pid].split()
                name += f" {words[2]}" if len(words) > 3 and words[0] == "postgres:" else ""
            found[name] += seconds
    return dict(found)


def spread(values: Iterable[float]) -> str:
    ordered: Sequence[float] = sorted(values)
    if not ordered:
        return "none"
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    return f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, most {ordered[-1] * 1000:.0f} ms"
