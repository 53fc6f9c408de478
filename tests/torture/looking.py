"""Everything that can be looked at is; nothing of it may change anything."""

import re
from pathlib import Path

import aiohttp
import asyncpg

from tests.torture.history import Json
from tests.torture.outside import mails_in
from tests.torture.people import Door
from tests.torture.stand import Stand


async def looked(stand: Stand, door: Door) -> Json:
    """Everything that can be looked at is, links in mails included, and nothing must change."""
    before = await _fingerprint(stand)
    asked = 0
    newest = await stand.rows(
        "bookings",
        "SELECT id, patient_id, provider_id, service_id FROM appointments "
        "ORDER BY updated_at DESC LIMIT 10",
    )
    for row in newest:
        patient = door.person("patient", str(row["patient_id"]))
        provider = door.person("provider", str(row["provider_id"]))
        appointment, person = f"/v1/appointments/{row['id']}", f"/v1/users/{row['patient_id']}"
        practice = f"/v1/providers/{row['provider_id']}"
        for who, path in (
            *((patient, f"{appointment}{part}") for part in ("", "/audit", "/calendar.ics")),
            *((patient, f"{person}/{part}") for part in ("appointments", "notifications")),
            (patient, f"{person}/notification-preferences"),
            (patient, f"{practice}/availability/next?serviceId={row['service_id']}"),
            *((provider, f"{practice}/{part}") for part in ("appointments", "schedule/rules")),
            *((provider, f"{practice}/{part}") for part in ("exceptions", "calendar-feed")),
        ):
            await who.ask("GET", path)
            asked += 1
    for mail in mails_in(Path(stand.system.demo["mailDir"]) / "new")[-20:]:
        for link in re.findall(r"<(http[^>]+)>", mail["unsubscribe"]):
            path = "/v1/" + link.partition("/v1/")[2]
            async with door.session.get(
                door.base_url + path, timeout=aiohttp.ClientTimeout(total=10)
            ):
                asked += 1
    return {"before": before, "after": await _fingerprint(stand), "requests": asked}


TAMPERING = (
    "UPDATE audit_events SET action = action WHERE false",
    "DELETE FROM audit_events WHERE false",
    "TRUNCATE audit_events",
)


async def is_let(stand: Stand, change: str) -> bool:
    """Whether the service's own role may do it; nothing of it stays."""
    connection = await asyncpg.connect(stand.system.demo["databases"]["bookings"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(change)
    except asyncpg.PostgresError:
        return False
    else:
        return True
    finally:
        await transaction.rollback()
        await connection.close()


_LOOKED_AT = {
    "bookings": ("appointments", "claims", "patient_claims", "audit_events", "patients", "outbox"),
    "availability": ("schedule_rules", "availability_exceptions", "providers", "outbox"),
    "reservations": ("reservations",),
    "notifications": (
        "notification_jobs",
        "notification_preferences",
        "in_app_notifications",
        "unsubscribe_links",
    ),
}


async def _fingerprint(stand: Stand) -> Json:
    """Rows and their versions of every table that looking could change."""
    found = {}
    written = "count(*) AS n, coalesce(sum(xmin::text::bigint), 0)::text AS x"
    for service, tables in _LOOKED_AT.items():
        for table in tables:
            rows = await stand.rows(service, f"SELECT {written} FROM {table}")
            found[f"{service}.{table}"] = f"{rows[0]['n']} rows, {rows[0]['x']}"
    return found
