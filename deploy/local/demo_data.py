"""The believable clinic: providers come from availability's own loader, patients from here."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.api import Api
from local.console import WentWrong
from local.keys import SigningKey
from local.services import CURRENT, Release, Service
from local.tokens import token


@dataclass(frozen=True)
class Provider:
    """Whoever offers appointments, with the token that acts for them."""

    id: str
    name: str
    timezone: str
    token: str
    services: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Patient:
    """Somebody to book for."""

    name: str
    email: str
    phone: str
    language: str
    timezone: str

    @property
    def id(self) -> str:
        """The same on every run and every machine."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.org/patients/{self.email}"))


@dataclass(frozen=True)
class Clinic:
    """Everybody who is there."""

    providers: tuple[Provider, ...]
    patients: tuple[tuple[Patient, str], ...]
    """Each with their token."""
    admin_token: str


def patients() -> tuple[Patient, ...]:
    """Invented people; their numbers are reserved for stories and films, or belong to nobody."""
    entries = json.loads(Path(__file__).with_name("patients.json").read_text())
    return tuple(Patient(**entry) for entry in entries)


async def load_providers(
    service: Service,
    settings: Mapping[str, str],
    key: SigningKey,
    release: Release = CURRENT,
) -> tuple[Provider, ...]:
    """What availability's loader has put there, or found there from an earlier run."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{service.package}.demo"),
        cwd=release.folder(service),
        env={**os.environ, **settings, **release.environment(service)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
    if process.returncode:
        words = errors.decode(errors="replace")[-3000:]
        raise WentWrong(f"python -m {service.package}.demo failed:\n{words}")
    return tuple(_provider(entry, key) for entry in json.loads(output)["providers"])


def _provider(entry: Mapping[str, Any], key: SigningKey) -> Provider:
    return Provider(
        id=entry["id"],
        name=entry["name"],
        timezone=entry["timezone"],
        token=token(key, "provider", uuid.UUID(entry["id"])),
        services=tuple({"id": s["id"], "title": s["title"]} for s in entry["services"]),
    )


async def load_patients(api: Api, key: SigningKey) -> tuple[tuple[Patient, str], ...]:
    """The patients with their tokens; whose contact details were not there yet, has them now."""
    known = tuple((p, token(key, "patient", uuid.UUID(p.id))) for p in patients())
    await asyncio.gather(*(_write(api, patient, its_token) for patient, its_token in known))
    return known


async def _write(api: Api, patient: Patient, access_token: str) -> None:
    path = f"/v1/patients/{patient.id}"
    wanted = {
        "name": patient.name,
        "email": patient.email,
        "phone": patient.phone,
        "language": patient.language,
        "timezone": patient.timezone,
    }
    known = await api.call("GET", path, token=access_token)
    if known.status == 200 and wanted.items() <= known.json.items():
        return
    await api.expect(200, "PATCH", path, token=access_token, body=wanted)


def admin_token(key: SigningKey) -> str:
    return token(key, "admin", uuid.uuid5(uuid.NAMESPACE_URL, "https://example.org/admin"))
