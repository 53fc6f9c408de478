"""The provider books for a patient, and moves for them: from outside."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings import consumers
from bookings.app import make_app
from bookings.settings import BookingsSettings
from shared.auth import ServiceTokens
from shared.db import Database
from shared.http import AsyncClient, Response
from shared.testing.api import client_of
from shared.testing.tokens import SERVICE_SECRET, MakeToken

from .builders import (
    Clinic,
    a_clinic,
    a_location,
    a_patient,
    a_provider,
    an_event,
    tomorrow,
)
from .moving import at, broken_rows, let_time_run_out


class Desk:
    """A provider's front desk, the patients that call, and reservations behind it."""

    def __init__(
        self, api: AsyncClient, token: MakeToken, database: Database, clinic: Clinic
    ) -> None:
        self.api, self.database, self.clinic = api, database, clinic
        self._token = token
        self.path = f"/v1/providers/{clinic.provider.id}/appointments"

    def headers(self, role: str, sub: UUID, key: str | None = None) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token(role, sub)}",
            "Idempotency-Key": key or uuid4().hex,
        }

    @property
    def staff(self) -> dict[str, str]:
        return self.headers("provider", self.clinic.provider.id)

    async def patient(self, **changes: Any) -> UUID:
        async with self.database.transaction() as db:
            return await a_patient(db, **changes)

    async def internal(self, path: str, body: dict[str, Any]) -> Response:
        token = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
        headers = {"Authorization": f"Bearer {token}"}
        return await self.api.post(f"/internal/holds{path}", json=body, headers=headers)

    async def reserve(self, patient: UUID, start: datetime, **changes: Any) -> tuple[str, Any]:
        """A reservation token, and bookings' answer to the hold behind it."""
        token = sha256(uuid4().bytes).hexdigest()[:32]
        body = {
            "userId": str(patient),
            "providerId": str(self.clinic.provider.id),
            "serviceId": str(self.clinic.service.id),
            "timeslotId": f"slot-{start:%H%M}",
            "start": start.isoformat(),
            "mode": self.clinic.service.mode,
            "locationId": None,
            "roomId": None,
            "tokenHash": sha256(token.encode()).hexdigest(),
            "byType": "provider",
            "byId": str(self.clinic.provider.id),
        }
        answer = await self.internal("", body | changes)
        return token, answer.json()

    async def book(self, headers: dict[str, str] | None = None, **body: Any) -> Response:
        return await self.api.post(self.path, json=body, headers=headers or self.staff)

    def outside(self, patient: UUID, when: datetime, **changes: Any) -> dict[str, Any]:
        return {
            "patientId": str(patient),
            "serviceId": str(self.clinic.service.id),
            "start": when.isoformat(),
            "override": {"reason": "an emergency"},
        } | changes


@pytest.fixture
async def desk(
    settings_values: dict[str, Any], make_token: MakeToken, database: Database
) -> AsyncIterator[Desk]:
    clinic = await a_clinic(database, requires_approval=True, min_notice_minutes=60 * 24 * 3)
    async with client_of(make_app(BookingsSettings(**settings_values))) as api:
        yield Desk(api, make_token, database, clinic)


async def counts(database: Database) -> tuple[int, int]:
    async with database.reading() as db:
        row = await db.fetchrow(
            "SELECT (SELECT count(*) FROM claims) AS c, (SELECT count(*) FROM appointments "
            "WHERE status = 'confirmed') AS a"
        )
        return row["c"], row["a"]


async def test_a_timeslot_reserved_for_the_patient_is_confirmed_at_once(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient()
    token, _ = await desk.reserve(patient, at(9, days=4))

    made = await desk.book(
        patientId=str(patient), reservationToken=token, reason="cough", notes="by phone"
    )

    appointment = made.json()
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/appointments/{appointment['id']}"
    assert (appointment["status"], appointment["source"]) == ("confirmed", "provider")
    assert (appointment["userId"], appointment["reason"]) == (str(patient), "cough")
    async with database.reading() as db:
        event = await db.fetchval("SELECT data FROM outbox WHERE type = 'booking.confirmed'")
    assert event["bookedFrom"] == "provider"
    assert event["change"]["actorType"] == "provider"
    assert await broken_rows(database) == []


async def test_outside_the_rules_needs_a_reason_which_is_kept_in_the_trail(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient()
    soon = tomorrow(3)

    made = await desk.book(**desk.outside(patient, soon))
    seen = await desk.api.get(f"/v1/appointments/{made.json()['id']}/audit", headers=desk.staff)

    assert (made.status_code, made.json()["status"]) == (201, "confirmed")
    trail = seen.json()["items"]
    assert [entry["action"] for entry in trail] == ["held_created", "confirmed"]
    assert {entry["metadata"]["override"] for entry in trail} == {"an emergency"}
    assert {entry["actorType"] for entry in trail} == {"provider"}
    assert await broken_rows(database) == []


async def test_a_patient_whose_kept_address_is_none_is_not_booked(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient(email="maria at example.org")
    token, _ = await desk.reserve(patient, at(9, days=4))

    reserved = await desk.book(patientId=str(patient), reservationToken=token)
    outside = await desk.book(**desk.outside(patient, at(11)))

    for refused in (reserved, outside):
        assert (refused.status_code, refused.json()["code"]) == (422, "contact_details_invalid")
        assert [each["path"] for each in refused.json()["errors"]] == ["email"]
    assert (await counts(database))[1] == 0


async def test_what_others_have_claimed_is_nobodys_to_override(
    desk: Desk, database: Database
) -> None:
    one, other = await desk.patient(), await desk.patient()
    await desk.book(**desk.outside(one, at(9)))

    refused = await desk.book(**desk.outside(other, at(9, 15)))
    busy_elsewhere = await a_clinic(database)
    elsewhere = Desk(desk.api, desk._token, database, busy_elsewhere)
    busy = await elsewhere.book(**elsewhere.outside(one, at(9, 15)))

    assert (refused.status_code, refused.json()["code"]) == (409, "slot_taken")
    assert (busy.status_code, busy.json()["code"]) == (409, "patient_busy")
    assert await counts(database) == (1, 1)
    assert await broken_rows(database) == []


async def test_of_twenty_who_override_at_once_one_wins(desk: Desk, database: Database) -> None:
    patients = [await desk.patient() for _ in range(20)]

    answers = await asyncio.gather(
        *(desk.book(**desk.outside(patient, at(9, n))) for n, patient in enumerate(patients))
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert await counts(database) == (1, 1)
    assert await broken_rows(database) == []


async def test_the_same_key_books_once(desk: Desk, database: Database) -> None:
    patient = await desk.patient()
    headers = desk.staff

    answers = await asyncio.gather(
        *(desk.book(headers, **desk.outside(patient, at(9))) for _ in range(20))
    )
    later = await desk.book(headers, **desk.outside(patient, at(9)))
    other = await desk.book(headers, **desk.outside(patient, at(11)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {a.json()["id"] for a in answers if a.status_code == 201} == {later.json()["id"]}
    assert later.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(database) == (1, 1)


async def test_a_stranger_is_no_patient(desk: Desk, database: Database) -> None:
    outside = await desk.book(**desk.outside(uuid4(), at(9)))
    token, _ = await desk.reserve(uuid4(), at(9, days=4))
    reserved = await desk.book(patientId=str(uuid4()), reservationToken=token)

    assert (outside.status_code, outside.json()["code"]) == (404, "patient_not_found")
    assert (reserved.status_code, reserved.json()["code"]) == (404, "patient_not_found")


async def test_a_patient_whom_nobody_could_reach_is_named_as_such(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient(name=None)

    answer = await desk.book(**desk.outside(patient, at(9)))

    assert (answer.status_code, answer.json()["missing"]) == (422, ["name"])
    assert await counts(database) == (0, 0)


async def test_only_the_providers_own_staff_and_admins_book(desk: Desk) -> None:
    patient = await desk.patient()
    body = desk.outside(patient, at(9))

    as_patient = await desk.book(desk.headers("patient", patient), **body)
    as_other = await desk.book(desk.headers("provider", uuid4()), **body)
    as_admin = await desk.book(desk.headers("admin", uuid4()), **body)

    assert as_patient.status_code == 403
    assert (as_other.status_code, as_other.json()["code"]) == (404, "provider_not_found")
    assert as_admin.status_code == 201
    assert as_admin.json()["source"] == "provider"


async def test_tokens_of_others_and_of_ended_holds_book_nothing(
    desk: Desk, database: Database
) -> None:
    patient, other = await desk.patient(), await desk.patient()
    own, _ = await desk.reserve(patient, at(9, days=4), byType="patient", byId=str(patient))
    foreign, _ = await desk.reserve(other, at(11, days=4))
    over, _ = await desk.reserve(patient, at(13, days=4))
    for token in (own, foreign, "x" * 32):
        answer = await desk.book(patientId=str(patient), reservationToken=token)
        assert (answer.status_code, answer.json()["code"]) == (404, "reservation_not_found")
    await let_time_run_out(database)

    expired = await desk.book(patientId=str(patient), reservationToken=over)

    assert (expired.status_code, expired.json()["code"]) == (409, "hold_expired")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"override": None}, "reservationToken"),
        ({"serviceId": None}, "serviceId"),
        ({"start": None}, "start"),
        ({"reservationToken": "x" * 32}, "serviceId"),
        ({"mode": "video"}, "mode"),
        ({"locationId": str(uuid4())}, "locationId"),
        ({"roomId": str(uuid4())}, "roomId"),
        ({"override": {"reason": ""}}, "override.reason"),
        ({"status": "confirmed"}, "status"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
    ],
)
async def test_what_is_wrong_is_named(
    desk: Desk, database: Database, changes: dict[str, Any], path: str
) -> None:
    body = desk.outside(await desk.patient(), at(9), **changes)

    answer = await desk.book(**body)

    assert answer.status_code == 422, answer.text
    assert path in [error["path"] for error in answer.json()["errors"]]
    assert await counts(database) == (0, 0)


async def test_what_is_over_cannot_be_booked_but_what_has_begun_can(desk: Desk) -> None:
    patient = await desk.patient()
    now = datetime.now(UTC).replace(microsecond=0)

    over = await desk.book(**desk.outside(patient, now - timedelta(minutes=30)))
    begun = await desk.book(**desk.outside(patient, now - timedelta(minutes=10)))

    assert (over.status_code, over.json()["rule"]) == (409, "already_over")
    assert begun.status_code == 201


async def test_the_services_own_place_is_the_default(desk: Desk, database: Database) -> None:
    place = a_location()
    provider = a_provider(id=desk.clinic.provider.id, version=2, locations=[place])
    service = desk.clinic.service.model_copy(
        update={"version": 2, "default_location_id": place.id, "mode": "in_person"}
    )
    async with database.transaction() as db:
        await consumers.save_provider(db, an_event(provider))
        await consumers.save_appointment_type(db, an_event(service))

    made = await desk.book(**desk.outside(await desk.patient(), at(9)))

    assert made.json()["locationId"] == str(place.id)
    assert made.json()["locationName"] == place.name


async def test_the_provider_moves_a_patients_appointment_with_their_own_reservation(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient()
    old = (await desk.book(**desk.outside(patient, at(9, days=4)))).json()
    token, held = await desk.reserve(patient, at(9, 15, days=4), rescheduleOf=old["id"])
    path = f"/v1/appointments/{old['id']}/reschedule"
    body = {"reservationToken": token, "reason": "the doctor is away"}
    headers = desk.staff

    foreign = await desk.api.post(path, json=body, headers=desk.headers("provider", uuid4()))
    unkeyed = await desk.api.post(
        path, json=body, headers={"Authorization": headers["Authorization"]}
    )
    moved = await desk.api.post(path, json=body, headers=headers)
    replay = await desk.api.post(path, json=body, headers=headers)
    other = await desk.api.post(path, json=body | {"reason": "x"}, headers=headers)
    seen = await desk.api.get(f"/v1/appointments/{old['id']}", headers=desk.staff)

    assert (foreign.status_code, unkeyed.status_code) == (404, 400)
    assert (moved.status_code, moved.json()["id"]) == (200, held["appointmentId"])
    assert moved.json()["status"] == "confirmed"
    assert moved.json()["rescheduledFrom"] == old["id"]
    assert (replay.content, replay.headers["idempotent-replayed"]) == (moved.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert seen.json()["cancellation"]["cause"] == "rescheduled"
    assert seen.json()["rescheduledTo"] == moved.json()["id"]
    assert await broken_rows(database) == []


async def test_a_hold_for_a_move_of_somebody_elses_appointment_is_refused_like_an_unknown_one(
    desk: Desk,
) -> None:
    patient, other = await desk.patient(), await desk.patient()
    old = (await desk.book(**desk.outside(patient, at(9, days=4)))).json()
    as_other = {"byType": "patient", "byId": str(other)}

    _, foreign = await desk.reserve(other, at(11, days=4), rescheduleOf=old["id"], **as_other)
    _, unknown = await desk.reserve(other, at(11, days=4), rescheduleOf=str(uuid4()), **as_other)

    assert foreign["code"] == unknown["code"] == "appointment_not_found"
    assert foreign["detail"] == unknown["detail"]


async def test_a_hold_is_extended_five_minutes_in_all_and_told_each_time(
    desk: Desk, database: Database
) -> None:
    patient = await desk.patient()
    token, held = await desk.reserve(patient, at(9, days=4))
    made = datetime.fromisoformat(held["expiresAt"]) - timedelta(seconds=120)
    body = {"tokenHash": sha256(token.encode()).hexdigest()}
    path = f"/{held['appointmentId']}/extend"

    ends = []
    for _ in range(5):
        async with database.transaction() as db:
            # A minute and a half goes by.
            await db.execute(
                "UPDATE appointments SET created_at = created_at - interval '90 s', "
                "hold_expires_at = hold_expires_at - interval '90 s'"
            )
            made -= timedelta(seconds=90)
        answer = await desk.internal(path, body)
        if answer.status_code != 200:
            break
        ends.append(datetime.fromisoformat(answer.json()["expiresAt"]) - made)

    assert answer.status_code == 409
    assert answer.json()["code"] in ("extension_limit", "hold_expired")
    # Database time goes on between the calls, on a busy machine by seconds.
    first, last = ends
    assert timedelta(seconds=210) <= first < timedelta(seconds=240)
    assert last == timedelta(minutes=5)
    async with database.reading() as db:
        told = await db.fetch("SELECT type, sequence FROM outbox ORDER BY position")
        audit = await db.fetch("SELECT action FROM audit_events ORDER BY sequence")
    assert {row["type"] for row in told} == {"booking.held"}
    assert [row["sequence"] for row in told] == list(range(1, len(ends) + 2))
    assert [row["action"] for row in audit] == ["held_created"] + ["hold_extended"] * len(ends)


async def test_an_extension_is_refused_with_figures(desk: Desk, database: Database) -> None:
    token, held = await desk.reserve(await desk.patient(), at(9, days=4))
    path, body = (
        f"/{held['appointmentId']}/extend",
        {"tokenHash": sha256(token.encode()).hexdigest()},
    )
    async with database.transaction() as db:
        await db.execute(
            "UPDATE appointments SET created_at = now() - interval '6 minutes', "
            "hold_expires_at = now() + interval '60 s'"
        )

    at_limit = await desk.internal(path, body)
    wrong = await desk.internal(path, {"tokenHash": "0" * 64})
    elsewhere = await desk.internal(f"/{uuid4()}/extend", body)
    async with database.transaction() as db:
        await db.execute("UPDATE appointments SET hold_expires_at = now()")
    over = await desk.internal(path, body)

    assert (at_limit.status_code, at_limit.json()["code"]) == (409, "extension_limit")
    assert at_limit.json()["maxHoldSeconds"] == 300
    assert {"expiresAt", "latestExpiresAt"} <= at_limit.json().keys()
    assert (wrong.status_code, elsewhere.status_code) == (404, 404)
    assert (over.status_code, over.json()["code"]) == (409, "hold_expired")
