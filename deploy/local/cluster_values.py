"""Secrets of the dev overlay of deploy/k8s, made once: ``python -m local.cluster_values``."""

import base64
import secrets
from pathlib import Path

from local.folder import CHECKOUT, write_private
from local.keys import signing_key
from local.services import SERVICES

GENERATED = CHECKOUT / "deploy" / "k8s" / "overlays" / "dev" / "generated"


def write_values(folder: Path) -> None:
    """Write what is missing; what is there stays, because databases remember passwords."""
    signing_key(folder / "keys")
    for service in SERVICES:
        _write(
            folder / f"{service.name}-database.env",
            {"password": _secret(), "owner-password": _secret()},
        )
    broker = _secret()
    _write(folder / "postgres-superuser.env", {"password": _secret()})
    _write(
        folder / "rabbitmq-default-user.env",
        {
            "username": "medic",
            "password": broker,
            "connection_string": f"amqp://medic:{broker}@rabbitmq:5672/",
        },
    )
    _write(folder / "medic-secrets.env", {"SERVICE_SECRET": _secret()})
    _write(folder / "reservations-secrets.env", {"RESERVATION_TOKEN_SECRET": _secret()})
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    _write(
        folder / "calendar-sync-secrets.env",
        {"CALENDAR_LINK_SECRET": _secret(), "CALENDAR_KEYS": f"development:{key}"},
    )
    _write(folder / "notifications-secrets.env", {"SMTP_URL": "smtp://mailpit:1025"})


def _secret() -> str:
    # Letters and digits alone: it becomes part of URLs.
    return secrets.token_hex(24)


def _write(file: Path, values: dict[str, str]) -> None:
    if not file.exists():
        write_private(file, "".join(f"{name}={value}\n" for name, value in values.items()))


if __name__ == "__main__":
    write_values(GENERATED)
    print(GENERATED)
