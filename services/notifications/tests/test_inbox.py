"""The inbox in the app, and templates as admins try them."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from notifications.channels.in_app import InAppChannel
from notifications.letters import LetterWriter
from shared.db import Database
from shared.events.booking import BookingCancelled, BookingConfirmed
from shared.http import AsyncClient

from .builders import PATIENT, PATIENT_EMAIL, PROVIDER, a_patient, a_provider, an_appointment
from .conftest import As, MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost


def inbox_of(user_id: UUID) -> str:
    return f"/v1/users/{user_id}/notifications"


@pytest.fixture
def delivered(
    make_sender: MakeSender, running: Running, until: Until, jobs: Rows, database: Database
) -> Any:
    """Runs a sender until everything is in the inboxes."""

    async def delivered() -> None:
        async def nothing_left() -> bool:
            return all(job["ended_at"] is not None for job in await jobs(channel="in_app"))

        channel = InAppChannel(database, writer=LetterWriter("https://medic.example"))
        async with running(make_sender(channels=[channel]).run()):
            await until(nothing_left)

    return delivered


async def test_the_inbox_has_everything_also_for_whom_nobody_knows(
    tell: Tell, delivered: Any, api: AsyncClient, as_user: As
) -> None:
    appointment = an_appointment(BookingConfirmed)
    await tell(appointment)
    await delivered()

    answer = await api.get(inbox_of(PATIENT), headers=as_user("patient", PATIENT))

    assert answer.status_code == 200
    shown = answer.json()
    [item] = shown["items"]
    assert (shown["nextCursor"], shown["unreadCount"]) == (None, 1)
    assert item["title"] == "Your appointment is confirmed"
    assert item["text"].startswith("Your appointment with Dr. Eleni Ioannou is confirmed.\n")
    assert "(Europe/London, UTC" in item["text"]
    assert item["link"] == f"https://medic.example/appointments/{appointment.id}"
    assert (item["appointmentId"], item["readAt"]) == (str(appointment.id), None)
    provider = await api.get(inbox_of(PROVIDER), headers=as_user("provider", PROVIDER))
    assert [item["title"] for item in provider.json()["items"]] == ["New appointment"]


async def test_pages_are_complete_and_what_is_read_is_counted_no_more(
    tell: Tell, delivered: Any, api: AsyncClient, as_user: As
) -> None:
    await tell(*(an_appointment(BookingConfirmed) for _ in range(7)))
    await delivered()
    headers = as_user("patient", PATIENT)

    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    for _ in range(3):
        page = (await api.get(inbox_of(PATIENT), params=query, headers=headers)).json()
        seen += page["items"]
        query["cursor"] = page["nextCursor"]
    assert query["cursor"] is None
    assert len({item["id"] for item in seen}) == len(seen) == 7
    assert [item["createdAt"] for item in seen] == sorted(
        (item["createdAt"] for item in seen), reverse=True
    )

    one = f"{inbox_of(PATIENT)}/{seen[2]['id']}/read"
    for _ in range(2):
        answer = await api.post(one, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"unreadCount": 6})
    unread = (await api.get(f"{inbox_of(PATIENT)}?unread=true", headers=headers)).json()
    assert [item["id"] for item in unread["items"]] == [
        item["id"] for item in seen if item is not seen[2]
    ]

    answer = await api.post(f"{inbox_of(PATIENT)}/read", headers=headers)
    assert answer.json() == {"unreadCount": 0}
    everything = (await api.get(inbox_of(PATIENT), headers=headers)).json()
    assert all(item["readAt"] for item in everything["items"])


async def test_what_was_cancelled_before_it_was_told_is_not_told(
    tell: Tell, delivered: Any, api: AsyncClient, as_user: As
) -> None:
    confirmed = an_appointment(BookingConfirmed)
    await tell(confirmed, an_appointment(BookingCancelled, id=confirmed.id, version=3))
    await delivered()

    shown = (await api.get(inbox_of(PATIENT), headers=as_user("patient", PATIENT))).json()

    assert [item["kind"] for item in shown["items"]] == ["cancelled"]


async def test_the_inbox_of_others_does_not_exist(
    tell: Tell, delivered: Any, api: AsyncClient, as_user: As
) -> None:
    await tell(an_appointment(BookingConfirmed))
    await delivered()
    mine = (await api.get(inbox_of(PATIENT), headers=as_user("patient", PATIENT))).json()
    one = mine["items"][0]["id"]

    stranger = uuid4()
    headers = as_user("patient", stranger)
    for method, path in (
        ("GET", inbox_of(PATIENT)),
        ("POST", f"{inbox_of(PATIENT)}/read"),
        ("POST", f"{inbox_of(PATIENT)}/{one}/read"),
    ):
        answer = await api.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")
    own = await api.post(f"{inbox_of(stranger)}/{one}/read", headers=headers)
    assert (own.status_code, own.json()["code"]) == (404, "notification_not_found")


async def test_admins_see_what_templates_say(api: AsyncClient, as_user: As) -> None:
    admin = as_user("admin", uuid4())
    known = (await api.get("/v1/notification-templates", headers=admin)).json()
    assert known["languages"] == ["de", "el", "en"]

    for name in known["names"]:
        answer = await api.post(
            f"/v1/notification-templates/{name}/preview",
            json={"language": "el", "timezone": "America/New_York"},
            headers=admin,
        )
        assert answer.status_code == 200, name
        shown = answer.json()
        assert shown["language"] == "el"
        assert shown["subject"] in shown["html"]
        assert "Sam Sample" in shown["text"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("nonsense", {}, 404),
        ("layout.html", {}, 404),
        ("..%2f..%2fetc", {}, 400),
        ("confirmed_patient", {"language": "xx"}, 422),
        ("confirmed_patient", {"timezone": "Mars/Base"}, 422),
        ("confirmed_patient", {"template": "{{7*7}}"}, 422),
    ],
)
async def test_odd_previews_are_refused(
    api: AsyncClient, as_user: As, name: str, body: dict[str, str], status: int
) -> None:
    path = f"/v1/notification-templates/{name}/preview"
    answer = await api.post(path, json=body, headers=as_user("admin", uuid4()))

    assert answer.status_code == status


async def test_only_admins_try_templates(api: AsyncClient, as_user: As) -> None:
    for role in ("patient", "provider"):
        for path, body in (
            ("/confirmed_patient/preview", {}),
            ("/confirmed_patient/test-send", {"userId": str(PATIENT)}),
        ):
            answer = await api.post(
                f"/v1/notification-templates{path}", json=body, headers=as_user(role, PATIENT)
            )
            assert answer.status_code == 403


async def test_a_test_message_goes_the_way_of_all_messages(
    api: AsyncClient, as_user: As, tell: Tell, deliver_all: Any, mail_host: MailHost
) -> None:
    await tell(a_patient(language="de"), a_provider())
    admin = as_user("admin", uuid4())
    path = "/v1/notification-templates/confirmed_patient/test-send"

    answer = await api.post(path, json={"userId": str(PATIENT)}, headers=admin)
    assert answer.status_code == 202
    await deliver_all()

    [mail] = mail_host.mails
    assert mail.recipient == PATIENT_EMAIL
    assert mail.message["Subject"] == "Ihr Termin ist bestätigt"
    assert "Dr. Sample" in mail.text
    assert answer.json()["notificationId"] in mail.message["Message-ID"]

    nobody = await api.post(path, json={"userId": str(uuid4())}, headers=admin)
    assert nobody.status_code == 404
    fax = await api.post(path, json={"userId": str(PATIENT), "channel": "fax"}, headers=admin)
    assert fax.status_code == 422
