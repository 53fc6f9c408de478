"""A patient is erased: nothing personal is left in any table, and the trail still verifies."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings import consumers
from bookings.audit import verify
from bookings.erasures import OLDEST, OPEN, measure
from bookings.use_cases.confirm import Details, confirm_appointment
from shared.auth import ServiceTokens
from shared.db import Database
from shared.events.erasure import (
    AvailabilityPatientErased,
    CalendarPatientErased,
    NotificationPatientErased,
    PatientErased,
    ReservationPatientErased,
)
from shared.http import AsyncClient, Response
from shared.testing.leftovers import leftovers
from shared.testing.tokens import SERVICE_SECRET

from .builders import Clinic, a_clinic, a_patient, an_event, tomorrow
from .moving import broken_rows
from .stage import As, after, as_it_is, somebody_waits, trail

MARKERS = {
    "name": "Zyxmark Name",
    "email": "zyxmark.mail@example.org",
    "phone": "+302107770001",
    "contact": "Zyxmark Contact",
    "contact_phone": "+302107770002",
    "reason": "Zyxmark reason",
    "notes": "Zyxmark confirming",
    "companion": "Zyxmark Companion",
    "shared_note": "Zyxmark shared",
    "private_note": "Zyxmark private",
    "decision": "Zyxmark decision",
    "cancellation": "Zyxmark cancellation",
    "let_go": "Zyxmark let go",
    "override": "Zyxmark override",
    "moved": "Zyxmark moved",
}
CONFIRMING: tuple[type[PatientErased], ...] = (
    AvailabilityPatientErased,
    CalendarPatientErased,
    NotificationPatientErased,
    ReservationPatientErased,
)


@dataclass
class Life:
    """A patient who has left something personal in every way that the API offers."""

    api: AsyncClient
    as_user: As
    clinic: Clinic
    patient: UUID

    @property
    def own(self) -> dict[str, str]:
        return self.as_user("patient", self.patient)

    @property
    def staff(self) -> dict[str, str]:
        return self.as_user("provider", self.clinic.provider.id)

    async def post(self, path: str, headers: dict[str, str], **body: Any) -> Any:
        answer = await self.api.post(path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def profile(self) -> None:
        answer = await self.api.patch(
            f"/v1/patients/{self.patient}",
            json={
                "name": MARKERS["name"],
                "email": MARKERS["email"],
                "phone": MARKERS["phone"],
                "language": "el",
                "timezone": "Europe/Athens",
                "communicationPreferences": {"sms": False},
                "emergencyContact": {
                    "name": MARKERS["contact"],
                    "phone": MARKERS["contact_phone"],
                },
            },
            headers=self.own,
        )
        assert answer.status_code == 200, answer.text

    async def hold(self, start: datetime, **more: Any) -> tuple[str, UUID]:
        token = sha256(uuid4().bytes).hexdigest()[:32]
        secret = ServiceTokens(SERVICE_SECRET, "reservations").token_for("bookings")
        answer = await self.api.post(
            "/internal/holds",
            json={
                "userId": str(self.patient),
                "providerId": str(self.clinic.provider.id),
                "serviceId": str(self.clinic.service.id),
                "timeslotId": f"slot-{start:%d%H%M}",
                "start": start.isoformat(),
                "mode": self.clinic.service.mode,
                "locationId": None,
                "roomId": None,
                "tokenHash": sha256(token.encode()).hexdigest(),
            }
            | more,
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == 201, answer.text
        return token, UUID(answer.json()["appointmentId"])

    async def book(self, start: datetime) -> UUID:
        token, id_ = await self.hold(start)
        await self.post(
            "/v1/bookings",
            self.own,
            reservationToken=token,
            reason=MARKERS["reason"],
            notes=MARKERS["notes"],
            participants=[{"name": MARKERS["companion"], "email": MARKERS["email"]}],
        )
        return id_

    async def live(self, database: Database) -> list[UUID]:
        """Appointments of all sorts, of which two are to come and one is held."""
        await self.profile()
        first = await self.book(tomorrow(9))
        appointment = f"/v1/appointments/{first}"
        await self.post(f"{appointment}/approve", self.staff, reason=MARKERS["decision"])
        await self.post(
            f"{appointment}/notes", self.own, text=MARKERS["shared_note"], visibility="shared"
        )
        await self.post(
            f"{appointment}/notes", self.staff, text=MARKERS["private_note"], visibility="provider"
        )
        token, moved = await self.hold(tomorrow(10), rescheduleOf=str(first))
        await self.post(
            f"{appointment}/reschedule", self.own, reservationToken=token, reason=MARKERS["moved"]
        )
        cancelled = await self.book(tomorrow(11))
        await self.post(
            f"/v1/appointments/{cancelled}/cancel", self.own, reason=MARKERS["cancellation"]
        )
        _, let_go = await self.hold(tomorrow(12))
        await self.post(f"/v1/appointments/{let_go}/cancel", self.own, reason=MARKERS["let_go"])
        past = await self.book(tomorrow(13))
        await self.post(f"/v1/appointments/{past}/approve", self.staff)
        await after(database, timedelta(days=3), past)
        await self.post(f"/v1/appointments/{past}/no-show", self.staff, reason=MARKERS["decision"])
        outside = await self.post(
            f"/v1/providers/{self.clinic.provider.id}/appointments",
            self.staff,
            patientId=str(self.patient),
            serviceId=str(self.clinic.service.id),
            start=tomorrow(3).isoformat(),
            reason=MARKERS["reason"],
            override={"reason": MARKERS["override"]},
        )
        _, held = await self.hold(tomorrow(14))
        return [first, moved, cancelled, let_go, past, UUID(outside["id"]), held]

    async def erase(self, headers: dict[str, str] | None = None, **body: Any) -> Response:
        values = {"confirmUserId": str(self.patient), "reasonCode": "patient_request"} | body
        return await self.api.post(
            f"/v1/patients/{self.patient}/erasure", json=values, headers=headers or self.own
        )


@pytest.fixture
async def life(api: AsyncClient, as_user: As, database: Database) -> Life:
    clinic = await a_clinic(database, requires_approval=True, max_reschedule_count=5)
    return Life(api, as_user, clinic, uuid4())


async def left(database: Database) -> list[str]:
    async with database.reading() as db:
        return await leftovers(db, MARKERS.values())


async def test_nothing_personal_is_left_in_any_table(life: Life, database: Database) -> None:
    ids = await life.live(database)
    before = await left(database)
    trails = {id_: await trail(database, id_) for id_ in ids}

    erased = await life.erase(cancelUpcoming=True)

    assert {line.partition(": ")[2] for line in before} == set(MARKERS.values())
    assert erased.status_code == 202, erased.text
    assert erased.json()["cancelledAppointments"] == 2
    assert await left(database) == []
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM appointment_notes") == 0
        statuses = await db.fetch("SELECT status FROM appointments")
        async with db.transaction(isolation="repeatable_read", readonly=True):
            report = await verify(db)
    assert {row["status"] for row in statuses} == {"cancelled", "no_show"}
    assert (report.fault, report.appointments) == (None, len(ids))
    for id_ in ids:
        now = await trail(database, id_)
        assert now[: len(trails[id_])] == trails[id_]
    assert (await trail(database, ids[0]))[-1] == "words_erased"
    assert await broken_rows(database) == []


async def test_others_keep_what_is_theirs(life: Life, database: Database) -> None:
    await life.live(database)
    other = Life(life.api, life.as_user, life.clinic, uuid4())
    await other.profile()
    kept = await other.book(tomorrow(16))

    erased = await life.erase(cancelUpcoming=True)

    assert erased.status_code == 202, erased.text
    profile = await life.api.get(f"/v1/patients/{other.patient}", headers=other.own)
    appointment = await life.api.get(f"/v1/appointments/{kept}", headers=other.own)
    assert profile.json()["name"] == MARKERS["name"]
    assert appointment.json()["reason"] == MARKERS["reason"]
    assert appointment.json()["status"] == "pending"


async def test_appointments_to_come_are_named_and_nothing_is_erased(
    life: Life, database: Database
) -> None:
    await life.profile()
    id_ = await life.book(tomorrow(9))
    before = await left(database)

    refused = await life.erase()

    assert (refused.status_code, refused.json()["code"]) == (409, "appointments_to_come")
    [named] = refused.json()["appointments"]
    assert (named["appointmentId"], named["status"]) == (str(id_), "pending")
    assert set(await left(database)) == set(before)
    assert (await life.api.get(f"/v1/patients/{life.patient}", headers=life.own)).json()["name"]


async def test_what_was_cancelled_for_it_is_free_again_and_costs_nothing(
    life: Life, database: Database
) -> None:
    await life.profile()
    id_ = await life.book(tomorrow(9))

    await life.erase(cancelUpcoming=True)

    shown = (await life.api.get(f"/v1/appointments/{id_}", headers=life.staff)).json()
    assert shown["cancellation"]["cause"] == "system"
    assert shown["cancellation"]["feeCents"] == 0
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM claims") == 0
        assert await db.fetchval("SELECT count(*) FROM patient_claims") == 0


async def test_only_the_patient_and_admins_ask_for_it(life: Life, database: Database) -> None:
    await life.profile()
    before = await left(database)
    path = f"/v1/patients/{life.patient}"
    strangers = [
        life.as_user("patient", uuid4()),
        life.staff,
        life.as_user("provider", life.patient),
    ]

    for stranger in strangers:
        for method, what in (("POST", "erasure"), ("GET", "erasure"), ("GET", "export")):
            body = {"confirmUserId": str(life.patient), "reasonCode": "patient_request"}
            content = {"json": body} if method == "POST" else {}
            answer = await life.api.request(method, f"{path}/{what}", headers=stranger, **content)
            assert (answer.status_code, answer.json()["code"]) == (404, "patient_not_found")
    assert set(await left(database)) == set(before)

    by_admin = await life.erase(life.as_user("admin", uuid4()), reasonCode="legal_obligation")
    assert by_admin.status_code == 202, by_admin.text
    assert by_admin.json()["requestedByType"] == "admin"
    assert by_admin.json()["reasonCode"] == "legal_obligation"


@pytest.mark.parametrize(
    "body",
    [
        {"confirmUserId": str(uuid4())},
        {"confirmUserId": None},
        {"reasonCode": "because I say so"},
        {"cancelUpcoming": "yes"},
    ],
)
async def test_it_has_to_be_meant(life: Life, database: Database, body: dict[str, Any]) -> None:
    await life.profile()

    refused = await life.erase(**body)

    assert refused.status_code == 422, refused.text
    assert await left(database) != []


async def test_a_retry_is_the_same_erasure(life: Life, database: Database) -> None:
    await life.profile()
    headers = life.as_user("patient", life.patient, "the-same")

    first, second = await life.erase(headers), await life.erase(headers)

    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM erasure_requests") == 1


async def test_a_retry_of_what_was_erased_has_no_second_effect(
    life: Life, database: Database
) -> None:
    await life.profile()
    id_ = await life.book(tomorrow(9))
    path, headers = f"/v1/appointments/{id_}/notes", life.as_user("patient", life.patient, "once")
    note = {"text": MARKERS["shared_note"], "visibility": "shared"}
    await life.post(path, headers, **note)

    await life.erase(cancelUpcoming=True)
    again = await life.api.post(path, json=note, headers=headers)

    assert (again.status_code, again.json()["code"]) == (409, "answer_erased")
    assert await left(database) == []


async def test_whoever_comes_back_is_new(life: Life, database: Database) -> None:
    await life.live(database)
    await life.erase(cancelUpcoming=True)
    path = f"/v1/patients/{life.patient}"

    gone = await life.api.get(path, headers=life.own)
    token, _ = await life.hold(tomorrow(17))
    unreachable = await life.api.post(
        "/v1/bookings", json={"reservationToken": token}, headers=life.own
    )
    changed = await life.api.patch(
        path, json={"name": "Anna", "email": "anna@example.org"}, headers=life.own
    )
    booked = await life.api.post("/v1/bookings", json={"reservationToken": token}, headers=life.own)

    assert gone.status_code == 404
    assert unreachable.json()["code"] == "contact_details_missing"
    fresh = changed.json()
    assert (fresh["language"], fresh["timezone"]) == ("en", "UTC")
    assert (fresh["phone"], fresh["emergencyContact"]) == (None, None)
    assert fresh["communicationPreferences"] == {"email": True, "sms": True, "push": True}
    assert booked.status_code == 201, booked.text
    assert await left(database) == []
    async with database.reading() as db:
        [*_, deleted, updated] = await db.fetch(
            "SELECT type, sequence FROM outbox WHERE type LIKE 'patient.%' ORDER BY position"
        )
    assert [deleted["type"], updated["type"]] == ["patient.deleted", "patient.updated"]
    assert updated["sequence"] == deleted["sequence"] + 1


async def test_asked_again_it_erases_what_is_new(life: Life, database: Database) -> None:
    await life.profile()
    await life.erase()
    await life.profile()

    again = await life.erase()

    assert again.status_code == 202, again.text
    assert await left(database) == []
    async with database.reading() as db:
        versions = await db.fetch("SELECT version FROM erasure_requests ORDER BY version")
    assert [row["version"] for row in versions] == [2, 4]


async def test_the_request_is_kept_and_cannot_be_changed(life: Life, database: Database) -> None:
    await life.profile()
    await life.erase()

    for statement in (
        "UPDATE erasure_requests SET reason_code = 'account_closed'",
        "DELETE FROM erasure_requests",
        "TRUNCATE erasure_requests CASCADE",
    ):
        with pytest.raises(Exception, match=r"append-only|permission denied"):
            async with database.transaction() as db:
                await db.execute(statement)


async def test_it_is_complete_when_every_service_has_said_so(
    life: Life, database: Database
) -> None:
    await life.profile()
    asked = (await life.erase()).json()
    assert (asked["status"], asked["completedAt"]) == ("in_progress", None)
    async with database.transaction() as db:
        deleted = await db.fetchval("SELECT data FROM outbox WHERE type = 'patient.deleted'")
        assert deleted == {
            "id": str(life.patient),
            "version": 2,
            "erasureId": asked["id"],
        }
        await measure(db)
    assert OPEN._value.get() == 1
    assert OLDEST._value.get() > 0

    seen = []
    for kind in CONFIRMING:
        said = kind(erasure_id=UUID(asked["id"]), patient_id=life.patient, version=2)
        for _ in range(2):
            async with database.transaction() as db:
                await consumers.HANDLERS[kind](db, an_event(said))
        answer = await life.api.get(f"/v1/patients/{life.patient}/erasure", headers=life.own)
        seen.append(
            [each["service"] for each in answer.json()["services"] if each["status"] == "erased"]
        )

    assert seen[0] == ["availability", "bookings"]
    assert seen[-1] == [
        "availability",
        "bookings",
        "calendar-sync",
        "notifications",
        "reservations",
    ]
    assert answer.json()["status"] == "completed"
    assert answer.json()["completedAt"] is not None
    async with database.transaction() as db:
        await measure(db)
    assert (OPEN._value.get(), OLDEST._value.get()) == (0, 0)


async def test_word_of_an_unknown_erasure_is_nothing(life: Life, database: Database) -> None:
    said = AvailabilityPatientErased(erasure_id=uuid4(), patient_id=life.patient, version=2)

    async with database.transaction() as db:
        await consumers.note_erased(db, an_event(said))

    unknown = await life.api.get(f"/v1/patients/{life.patient}/erasure", headers=life.own)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "erasure_not_found")


async def test_of_twenty_who_book_and_one_who_erases_nothing_old_is_left(
    life: Life, database: Database
) -> None:
    """Each booking is either cancelled by the erasure, or refused for want of a contact."""
    await life.profile()
    held = [
        await life.hold(tomorrow(hour) + timedelta(days=day))
        for day in (0, 1)
        for hour in range(6, 16)
    ]

    async def confirm(token: str) -> Response:
        return await life.api.post(
            "/v1/bookings",
            json={"reservationToken": token, "reason": MARKERS["reason"]},
            headers=life.own,
        )

    answers = await asyncio.gather(
        *(confirm(token) for token, _ in held[:10]),
        life.erase(cancelUpcoming=True),
        *(confirm(token) for token, _ in held[10:]),
    )

    erased = answers.pop(10)
    assert erased.status_code == 202, erased.text
    assert all(answer.status_code < 500 for answer in answers)
    async with database.reading() as db:
        active = await db.fetchval(
            "SELECT count(*) FROM appointments WHERE status IN ('held', 'pending', 'confirmed')"
        )
    assert active == 0
    assert await left(database) == []
    assert await broken_rows(database) == []


async def test_what_becomes_an_appointment_meanwhile_is_not_cancelled_unasked(
    life: Life, database: Database
) -> None:
    await life.profile()
    token, id_ = await life.hold(tomorrow(9))
    token_hash = sha256(token.encode()).digest()

    async with database.transaction() as db:
        await confirm_appointment(db, token_hash, Details(), user_id=life.patient)
        asked = asyncio.create_task(life.erase())
        await somebody_waits(database)
    refused = await asked

    assert (refused.status_code, refused.json()["code"]) == (409, "appointments_to_come")
    assert (await as_it_is(database, id_)).status == "pending"


async def test_of_twenty_erasures_at_once_each_is_one(life: Life, database: Database) -> None:
    await life.profile()

    answers = await asyncio.gather(*(life.erase() for _ in range(20)))

    assert {answer.status_code for answer in answers} == {202}
    async with database.reading() as db:
        versions = await db.fetch("SELECT version FROM erasure_requests ORDER BY version")
    assert [row["version"] for row in versions] == list(range(2, 22))
    assert await left(database) == []


async def test_an_unknown_contact_is_a_stranger_to_the_provider(
    life: Life, database: Database
) -> None:
    async with database.transaction() as db:
        await a_patient(db, id=life.patient)
    await life.erase()

    booked = await life.api.post(
        f"/v1/providers/{life.clinic.provider.id}/appointments",
        json={
            "patientId": str(life.patient),
            "serviceId": str(life.clinic.service.id),
            "start": tomorrow(9).isoformat(),
            "override": {"reason": "an emergency"},
        },
        headers=life.staff,
    )

    assert (booked.status_code, booked.json()["code"]) == (404, "patient_not_found")
