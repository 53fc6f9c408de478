"""A patient's feed and its links: shown to bookings, and erased on its word."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from shared.auth import ServiceTokens
from shared.db import Database
from shared.events.booking import AppointmentEvent
from shared.events.patient import PatientDeleted
from shared.http import AsyncClient
from shared.testing.leftovers import leftovers
from shared.testing.tokens import SERVICE_SECRET

from .conftest import PATIENT

LABEL = "Zyxmark's phone"
LINKS = f"/v1/users/{PATIENT}/calendar-feed/links"

AnAppointment = Callable[..., AppointmentEvent]
AsUser = Callable[[str, UUID], dict[str, str]]
Tell = Callable[..., Awaitable[None]]


async def a_link(client: AsyncClient, headers: dict[str, str]) -> str:
    answer = await client.post(
        LINKS, json={"label": LABEL}, headers=headers | {"Idempotency-Key": uuid4().hex}
    )
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url


async def test_links_open_nothing_and_their_names_are_gone(
    client: AsyncClient,
    tell: Tell,
    database: Database,
    patient: dict[str, str],
    an_appointment: AnAppointment,
) -> None:
    await tell(an_appointment())
    url = await a_link(client, patient)
    revoked = await a_link(client, patient)
    id_ = (await client.get(LINKS, headers=patient)).json()["items"][1]["id"]
    await client.delete(f"{LINKS}/{id_}", headers=patient)
    async with database.reading() as db:
        before = await leftovers(db, [LABEL])

    await tell(PatientDeleted(id=PATIENT, version=2, erasure_id=uuid4()))

    async with database.reading() as db:
        left = await leftovers(db, [LABEL])
        told = await db.fetchval("SELECT data FROM outbox WHERE type = 'calendar.patient_erased'")
    assert {line.partition(":")[0] for line in before} == {
        "public.feed_links",
        "public.idempotency_keys",
    }
    assert left == []
    assert told["patientId"] == str(PATIENT)
    for gone in (url, revoked):
        assert (await client.get(gone.removeprefix("https://clinic.example"))).status_code == 404


async def test_a_replayed_erasure_takes_nothing_that_is_new(
    client: AsyncClient, tell: Tell, patient: dict[str, str]
) -> None:
    deleted = PatientDeleted(id=PATIENT, version=2, erasure_id=uuid4())
    await tell(deleted)
    await a_link(client, patient)

    await tell(deleted)

    assert len((await client.get(LINKS, headers=patient)).json()["items"]) == 1


async def test_the_export_has_links_without_addresses(
    client: AsyncClient, patient: dict[str, str]
) -> None:
    url = await a_link(client, patient)
    secret = ServiceTokens(SERVICE_SECRET, "bookings").token_for("calendar-sync")

    answer = await client.get(
        f"/internal/patients/{PATIENT}/export", headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 200, answer.text
    [kept] = answer.json()["feedLinks"]
    assert kept["label"] == LABEL
    assert url.rpartition("/")[2].removesuffix(".ics") not in answer.text
