"""`.run/env`: the running system's settings for commands that a person starts beside it."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from local.folder import CHECKOUT, write_private
from local.services import SERVICES, Surroundings, api_name, worker_name


def write_env_file(
    file: Path, surroundings: Surroundings, *, base_url: str, admin_url: str
) -> None:
    """As a shell reads it."""
    values = {
        "BASE_URL": base_url,
        "AMQP_URL": surroundings.amqp_url,
        "POSTGRES_ADMIN_URL": admin_url,
        "PROCESSES": " ".join(_processes(surroundings)),
        "SERVICES_FOLDER": str(CHECKOUT / "services"),
    }
    for service in SERVICES:
        url = surroundings.databases[service.name]
        values[f"{service.package.upper()}_DATABASE_URL"] = url
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    write_private(file, "".join(lines))


def _processes(surroundings: Surroundings) -> Iterator[str]:
    for service in SERVICES:
        yield f"{api_name(service)}=http://127.0.0.1:{surroundings.api_ports[service.name]}"
        yield f"{worker_name(service)}=http://127.0.0.1:{surroundings.worker_ports[service.name]}"
