"""`demo.json`: what a script needs to drive the running system."""

import json
from collections.abc import Mapping
from pathlib import Path

from local.demo_data import Clinic
from local.folder import write_private


def write_demo_file(
    file: Path,
    clinic: Clinic,
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
        "databases": dict(databases),
        "amqpUrl": amqp_url,
        "mailDir": str(mail),
    }
    write_private(file, json.dumps(content, indent=2, ensure_ascii=False))
