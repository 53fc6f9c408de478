"""What a page of a list costs when the list is longer."""

import time
from datetime import datetime
from statistics import median
from typing import NamedTuple
from uuid import UUID

from bench.bookings import pairs_per_second
from bench.clinic import Clinic, a_clinic
from bench.figures import Row, at_most
from bench.load import get, load
from bench.stage import Stage
from bookings.models import appointments
from shared.cursors import Position

LONG, SHORT = 10_000, 50
ROUNDS = 5
SECONDS = 0.6

_COPIED = {
    "id": "gen_random_uuid()",
    "reservation_token_hash": "NULL",
    "status": "'{status}'",
    "patient_id": "({patient})::uuid",
    "provider_id": "({provider})::uuid",
    "starts_at": "at",
    "ends_at": "at + interval '30 minutes'",
}
_COLUMNS = [column.name for column in appointments.columns]
COPIES = f"""
INSERT INTO appointments ({", ".join(_COLUMNS)})
SELECT {", ".join(_COPIED.get(name, f"a.{name}") for name in _COLUMNS)}
FROM (SELECT * FROM appointments WHERE status = 'confirmed' LIMIT 1) a
CROSS JOIN generate_series(1, {{count}}) AS number
CROSS JOIN LATERAL (
    SELECT now() + number * interval '1 minute' * {{direction}} AS at
) AS times
"""


class Page(NamedTuple):
    name: str
    request: bytes


async def lists(on: Stage) -> list[Row]:
    """Pages of 20, one at a time: of a short list, of a long one, and near the end of that."""
    clinic = await a_clinic(on)
    async with on.serving("bookings.app:make_app") as port:
        await pairs_per_second(port, clinic, 0.2)
        rows: list[Row] = []
        for name, path, role in (
            ("patient, upcoming", "/v1/users/{id}/appointments?filter=upcoming", "patient"),
            ("patient, history", "/v1/users/{id}/appointments?filter=history", "patient"),
            ("provider, filtered", "/v1/providers/{id}/appointments?status={status}", "provider"),
        ):
            status = "completed" if "history" in path else "confirmed"
            pages = []
            for count in (SHORT, LONG):
                id_, last = await _a_list(on, clinic, role, status, count)
                address = path.format(id=id_, status=status)
                headers = {"authorization": f"Bearer {on.token(role, id_)}"}
                pages.append(Page(f"{name}, {count:,}", get(address, **headers)))
            deep = get(f"{address}&cursor={last.cursor()}", **headers)
            rows += await _compare(port, [*pages, Page(f"{name}, {LONG:,}, page 450", deep)])
    return rows


async def _compare(port: int, pages: list[Page]) -> list[Row]:
    rounds = [
        [
            (await load(port, page.request, seconds=SECONDS / 2, connections=1)).quartile_ms
            for page in pages
        ]
        for _ in range(ROUNDS)
    ]
    return [
        Row(
            name=f"a page of 20: {page.name}",
            figure=median(each[number] for each in rounds),
            unit="ms",
            ratio=median(each[number] / each[0] for each in rounds) if number else None,
            yardstick=f"a list of {SHORT}" if number else "",
            wanted=at_most(1.2) if number else None,
        )
        for number, page in enumerate(pages)
    ]


async def _a_list(
    on: Stage, clinic: Clinic, role: str, status: str, count: int
) -> tuple[UUID, Position]:
    """Somebody with so many appointments, and the one 450 pages from the start of the list."""
    id_ = UUID(int=time.time_ns())
    patient, provider = ("gen_random_uuid()", f"'{id_}'::uuid")
    if role == "patient":
        patient, provider = f"'{id_}'::uuid", f"'{clinic.services[0][0]}'"
    direction = -1 if status == "completed" else 1
    await on.as_admin(
        COPIES.format(
            count=count,
            direction=direction,
            status=status,
            patient=patient,
            provider=provider,
        ),
        "VACUUM ANALYZE appointments",
    )
    async with on.database.reading() as db:
        row = await db.fetchrow(
            f"SELECT starts_at, id FROM appointments WHERE {role}_id = $1 "
            f"ORDER BY starts_at {'DESC' if direction < 0 else 'ASC'} OFFSET $2 LIMIT 1",
            id_,
            min(9000, count - 1),
        )
    assert row is not None
    at: datetime = row["starts_at"]
    return id_, Position(at, row["id"])
