"""`demo.json`: what a script needs to drive the running system."""

import json
from collections.abc import Mapping
from pathlib import Path

from local.calendar_connection import CalendarConnection
from local.demo_data import Clinic
from local.folder import write_private
from local.radicale import USER


def write_demo_file(
    file: Path,
    clinic: Clinic,
    calendar: CalendarConnection,
    *,
    base_url: str,
    databases: Mapping[str, str],
    amqp_url: str,
    mail: Path,
) -> None:
    """Appears whole or not at all, and last of everything."""
    content = {
        "baseUrl": base_url,
        "providers": [
            {
                "id": provider.id,
                "name": provider.name,
                "timezone": provider.timezone,
                "token": provider.token,
                "services": list(provider.services),
            }
            for provider in clinic.providers
        ],
        "patients": [
            {"id": patient.id, "name": patient.name, "token": token}
            for patient, token in clinic.patients
        ],
        "admin": {"token": clinic.admin_token},
        "calendar": {
            "providerId": calendar.provider.id,
            "connectionId": calendar.id,
            "url": calendar.radicale.calendar_url,
            "username": USER,
            "password": calendar.radicale.password,
        },
        "databases": dict(databases),
        "amqpUrl": amqp_url,
        "mailDir": str(mail),
    }
    write_private(file, json.dumps(content, indent=2, ensure_ascii=False))
