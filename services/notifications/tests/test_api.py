"""The API from outside: what was sent, shown to those whom it concerns."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from notifications.app import make_app
from notifications.settings import NotificationsSettings
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.http import AsyncClient
from shared.testing.promises import broken_promises
from shared.testing.tokens import MakeToken

from .builders import PATIENT, PATIENT_EMAIL, PROVIDER, an_appointment
from .conftest import As, Tell


def of(user_id: UUID | str) -> str:
    return f"/v1/users/{user_id}/notification-deliveries"


@pytest.fixture
def app(settings_values: dict[str, Any]) -> FastAPI:
    # Streams end at once, or whoever tries everything would wait for the first.
    return make_app(
        NotificationsSettings(
            **settings_values,
            realtime_longest_seconds=0,
            pusher_app="1:a-key:a-secret-for-tests-only",
            webhook_keys=f"k1:{'A' * 43}",
        )
    )


@pytest.mark.usefixtures("known_people")
async def test_everybody_sees_what_was_sent_to_them(
    api: AsyncClient, as_user: As, tell: Tell, deliver_all: Any, mail_host: Any
) -> None:
    appointment = an_appointment(BookingConfirmed)
    await tell(appointment)
    await deliver_all()
    [mail] = mail_host.to(PATIENT_EMAIL)

    for role, user in (("patient", PATIENT), ("admin", uuid4())):
        answer = await api.get(of(PATIENT), headers=as_user(role, user))

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        [shown] = answer.json()["items"]
        assert answer.json()["nextCursor"] is None
        assert {key: shown[key] for key in ("kind", "channel", "attempt", "status")} == {
            "kind": "confirmed",
            "channel": "email",
            "attempt": 1,
            "status": "sent",
        }
        assert shown["appointmentId"] == str(appointment.id)
        assert shown["messageId"] == mail.message["Message-ID"]
        assert datetime.fromisoformat(shown["startedAt"]) <= datetime.fromisoformat(
            shown["finishedAt"]
        )
        assert PATIENT_EMAIL not in answer.text
        assert "Maria" not in answer.text

    answer = await api.get(of(PROVIDER), headers=as_user("provider", PROVIDER))
    assert len(answer.json()["items"]) == 1


async def test_what_was_sent_to_others_does_not_exist(api: AsyncClient, as_user: As) -> None:
    for role in ("patient", "provider", "service"):
        for user in (uuid4(), PATIENT if role == "service" else uuid4()):
            answer = await api.get(of(PATIENT), headers=as_user(role, user))

            assert answer.status_code == 404
            assert answer.json()["code"] == "user_not_found"

    assert (await api.get(of(PATIENT))).status_code == 401


async def test_pages_are_complete_and_latest_first(
    api: AsyncClient, as_user: As, tell: Tell, database: Database
) -> None:
    await tell(an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        await db.execute(
            """
            INSERT INTO notification_deliveries
                (id, job_id, recipient_id, attempt, channel, message_id, started_at)
            SELECT gen_random_uuid(), id, recipient_id, number, 'email', '<1@medic.example>',
                now() + (number / 3) * interval '1 s'
            FROM notification_jobs, generate_series(1, 7) AS number
            WHERE party = 'patient' AND kind = 'confirmed' AND channel = 'email'
            """
        )

    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    for _ in range(3):
        answer = await api.get(of(PATIENT), params=query, headers=as_user("patient", PATIENT))
        seen += answer.json()["items"]
        query["cursor"] = answer.json()["nextCursor"]

    assert query["cursor"] is None
    assert len({each["id"] for each in seen}) == len(seen) == 7
    assert [each["startedAt"] for each in seen] == sorted(
        (each["startedAt"] for each in seen), reverse=True
    )


async def test_bad_requests_are_refused(api: AsyncClient, as_user: As) -> None:
    headers = as_user("patient", PATIENT)
    pages = {"limit=0": 422, "limit=101": 422, "cursor=abc": 400, "cursor=": 422, "page=2": 422}

    for query, status in pages.items():
        answer = await api.get(f"{of(PATIENT)}?{query}", headers=headers)
        assert answer.status_code == status, query
        assert answer.headers["content-type"] == "application/problem+json"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await api.request(method, of(PATIENT), headers=headers)).status_code == 405
    assert (await api.get(of("nobody"), headers=headers)).status_code == 422


def test_the_api_keeps_its_promises(app: FastAPI, make_token: MakeToken) -> None:
    token = make_token("admin", uuid4())

    assert broken_promises(app, headers={"Authorization": f"Bearer {token}"}) == []
