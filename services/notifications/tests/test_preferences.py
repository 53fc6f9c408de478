"""What people set is what holds, from the next message on and for what is planned already."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.events.patient import CommunicationPreferences, PatientDeleted
from shared.http import AsyncClient

from .builders import PATIENT, PATIENT_EMAIL, PROVIDER, a_patient, a_provider, an_appointment
from .conftest import As, Rows, Tell
from .mail_host import MailHost

EVERYTHING = ["email", "sms", "push"]
DEFAULTS: dict[str, Any] = {
    "userId": str(PATIENT),
    "channels": dict.fromkeys(
        ("appointments", "reminders", "afterVisit", "operations"), EVERYTHING
    ),
    "reminderMinutes": None,
    "quietHours": None,
    "language": "en",
    "timezone": "Europe/London",
    "updatedAt": None,
}
WISHES: dict[str, Any] = {
    "channels": {"reminders": ["sms"], "afterVisit": []},
    "reminderMinutes": [60, 2880],
    "quietHours": {"start": "22:00", "end": "07:30"},
    "language": "el",
    "timezone": "Europe/Athens",
}


def of(user_id: UUID) -> str:
    return f"/v1/users/{user_id}/notification-preferences"


def schedule_of(provider_id: UUID, service_id: UUID) -> str:
    return f"/v1/providers/{provider_id}/notification-schedules/{service_id}"


async def test_before_anybody_sets_them_the_profile_holds(
    api: AsyncClient, as_user: As, tell: Tell
) -> None:
    headers = as_user("patient", PATIENT)
    unknown = (await api.get(of(PATIENT), headers=headers)).json()
    assert unknown == DEFAULTS | {"timezone": "UTC"}

    await tell(a_patient())
    assert (await api.get(of(PATIENT), headers=headers)).json() == DEFAULTS

    no_sms = CommunicationPreferences(sms=False)
    await tell(a_patient(version=2, communication_preferences=no_sms))
    by_profile = (await api.get(of(PATIENT), headers=headers)).json()
    assert by_profile["channels"]["reminders"] == ["email", "push"]


async def test_what_is_set_holds_and_what_is_left_out_is_the_default_again(
    api: AsyncClient, as_user: As, tell: Tell
) -> None:
    await tell(a_patient())
    headers = as_user("patient", PATIENT)

    for role, user in (("patient", PATIENT), ("admin", uuid4())):
        answer = await api.put(of(PATIENT), json=WISHES, headers=as_user(role, user))
        assert answer.status_code == 200
    held = (await api.get(of(PATIENT), headers=headers)).json()
    assert held == answer.json()
    assert held["updatedAt"] is not None
    assert held["channels"] == {
        "appointments": EVERYTHING,
        "reminders": ["sms"],
        "afterVisit": [],
        "operations": EVERYTHING,
    }
    assert held["reminderMinutes"] == [2880, 60]
    assert {key: held[key] for key in ("quietHours", "language", "timezone")} == {
        key: WISHES[key] for key in ("quietHours", "language", "timezone")
    }

    again = (await api.put(of(PATIENT), json={}, headers=headers)).json()
    assert again == DEFAULTS | {"updatedAt": again["updatedAt"]}


async def test_what_is_planned_follows_at_once(
    api: AsyncClient, as_user: As, tell: Tell, later_jobs: Rows
) -> None:
    by_day = (datetime.now(UTC) + timedelta(days=7)).replace(hour=12)
    appointment = an_appointment(BookingConfirmed, start=by_day)
    await tell(a_patient(phone="+302101234567"), appointment)

    await api.put(of(PATIENT), json=WISHES, headers=as_user("patient", PATIENT))

    queued = await later_jobs(status="queued")
    assert [(row["channel"], row["fallback"]) for row in queued] == [("sms", [])]
    assert queued[0]["due_at"] == appointment.start - timedelta(hours=1)

    await api.put(of(PATIENT), json={"reminderMinutes": []}, headers=as_user("patient", PATIENT))
    assert not await later_jobs(status="queued")


async def test_the_preferences_of_others_do_not_exist(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    for role, user in (("patient", uuid4()), ("provider", PROVIDER), ("service", PATIENT)):
        for answer in (
            await api.get(of(PATIENT), headers=as_user(role, user)),
            await api.put(of(PATIENT), json=WISHES, headers=as_user(role, user)),
        ):
            assert answer.status_code == 404
            assert answer.json()["code"] == "user_not_found"
    assert (await api.put(of(PATIENT), json=WISHES)).status_code == 401
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM notification_preferences") == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"channels": {"reminders": ["fax"]}}, "channels.reminders.0"),
        ({"channels": {"gossip": ["email"]}}, "channels.gossip"),
        ({"channels": {"reminders": ["email"] * 4}}, "channels.reminders"),
        ({"reminderMinutes": [4]}, "reminderMinutes.0"),
        ({"reminderMinutes": [10**9]}, "reminderMinutes.0"),
        ({"reminderMinutes": ["60"]}, "reminderMinutes.0"),
        ({"reminderMinutes": [60, 60]}, "reminderMinutes"),
        ({"reminderMinutes": [10, 20, 30, 40, 50, 60]}, "reminderMinutes"),
        ({"quietHours": {"start": "24:00", "end": "07:00"}}, "quietHours.start"),
        ({"quietHours": {"start": "07:00", "end": "07:00"}}, "quietHours"),
        ({"quietHours": {"start": "22:00"}}, "quietHours.end"),
        ({"language": "xx"}, "language"),
        ({"language": "../../etc"}, "language"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"userId": str(PROVIDER)}, "userId"),
    ],
)
async def test_odd_wishes_are_refused_by_the_field(
    api: AsyncClient, as_user: As, body: dict[str, Any], path: str
) -> None:
    answer = await api.put(of(PATIENT), json=body, headers=as_user("patient", PATIENT))

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


@pytest.fixture
async def link(
    tell: Tell, deliver_all: Any, mail_host: MailHost, later_jobs: Rows, database: Database
) -> str:
    """The link in a reminder that has arrived."""
    await tell(a_patient(), a_provider(), an_appointment(BookingConfirmed))
    async with database.transaction() as db:
        await db.execute(
            "UPDATE notification_jobs SET due_at = now() WHERE kind = 'reminder' "
            "AND channel = 'email'"
        )
    await deliver_all(await later_jobs(channel="email"))
    mails = {mail.message["Subject"]: mail for mail in mail_host.to(PATIENT_EMAIL)}
    confirmation, reminder = (
        mails["Your appointment is confirmed"],
        mails["Reminder of your appointment"],
    )
    assert "List-Unsubscribe" not in confirmation.message
    assert "notification-unsubscribe" not in confirmation.text + confirmation.html
    assert reminder.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = reminder.message["List-Unsubscribe"].strip("<>")
    assert url.startswith("https://medic.example/v1/notification-unsubscribe/")
    assert url in reminder.text
    assert url in reminder.html
    return url.removeprefix("https://medic.example")


async def reminders_by_mail(api: AsyncClient, as_user: As) -> bool:
    held = (await api.get(of(PATIENT), headers=as_user("patient", PATIENT))).json()
    assert "email" in held["channels"]["appointments"]
    return "email" in held["channels"]["reminders"]


async def test_looking_at_the_link_changes_nothing_and_one_click_ends_it(
    api: AsyncClient, as_user: As, link: str, later_jobs: Rows
) -> None:
    for _ in range(2):
        page = await api.get(link)
        assert page.status_code == 200
        assert '<form method="post">' in page.text
        assert page.headers["cache-control"] == "no-store"
    assert await reminders_by_mail(api, as_user)

    for _ in range(2):
        done = await api.post(
            link,
            content="List-Unsubscribe=One-Click",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert done.status_code == 200

    assert not await reminders_by_mail(api, as_user)
    assert [row["fallback"] for row in await later_jobs(status="queued")] == [[]]


async def test_a_token_is_stored_hashed_and_good_for_nothing_else(
    api: AsyncClient, link: str, database: Database, tell: Tell
) -> None:
    token = link.rpartition("/")[2]
    assert len(token) == 22  # 128 bits
    async with database.reading() as db:
        assert token not in str(await db.fetch("SELECT * FROM unsubscribe_links"))

    for other in ("x", token[:-1], token.swapcase(), "%00", "a" * 101, "..%2f"):
        answer = await api.post(f"{link.rpartition('/')[0]}/{other}")
        assert answer.status_code in (400, 404, 422)

    await tell(PatientDeleted(id=PATIENT, version=9))
    assert (await api.get(link)).status_code == 404


async def test_a_provider_sets_the_times_of_an_appointment_type(
    api: AsyncClient, as_user: As, tell: Tell, later_jobs: Rows
) -> None:
    appointment = an_appointment(BookingConfirmed)
    path = schedule_of(PROVIDER, appointment.service_id)
    headers = as_user("provider", PROVIDER)
    default = (await api.get(path, headers=headers)).json()
    assert default["isDefault"]
    assert {"kind": "reminder", "party": "patient", "channels": ["email"], "minutes": 1440} in (
        default["lines"]
    )

    lines = [
        {"kind": "reminder", "party": "provider", "channels": ["email"], "minutes": 30},
        {"kind": "feedback", "party": "patient", "channels": ["push", "email"], "minutes": 60},
    ]
    answer = await api.put(path, json={"lines": lines}, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["lines"] == lines
    assert not answer.json()["isDefault"]

    await tell(appointment)
    planned = await later_jobs()
    assert [(row["kind"], row["due_at"]) for row in planned] == [
        ("reminder", appointment.start - timedelta(minutes=30)),
        ("feedback", appointment.end + timedelta(hours=1)),
    ]

    assert (await api.delete(path, headers=headers)).status_code == 204
    assert (await api.get(path, headers=headers)).json() == default


async def test_only_providers_set_their_times(api: AsyncClient, as_user: As) -> None:
    path = schedule_of(PROVIDER, uuid4())
    for role, user in (("patient", PROVIDER), ("provider", uuid4()), ("service", PROVIDER)):
        for method, body in (("GET", None), ("PUT", {"lines": []}), ("DELETE", None)):
            answer = await api.request(method, path, json=body, headers=as_user(role, user))
            assert answer.status_code == 404
    admin = await api.put(path, json={"lines": []}, headers=as_user("admin", uuid4()))
    assert admin.status_code == 200


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ({"kind": "confirmed"}, "lines.0.kind"),
        ({"party": "nobody"}, "lines.0.party"),
        ({"channels": []}, "lines.0.channels"),
        ({"channels": ["pigeon"]}, "lines.0.channels.0"),
        ({"channels": ["sms", "sms"]}, "lines.0.channels"),
        ({"minutes": -60}, "lines.0.minutes"),
        ({"kind": "thanks", "party": "provider"}, "lines.0"),
    ],
)
async def test_odd_times_are_refused(
    api: AsyncClient, as_user: As, line: dict[str, Any], path: str
) -> None:
    usual = {"kind": "reminder", "party": "patient", "channels": ["email"], "minutes": 60}

    answer = await api.put(
        schedule_of(PROVIDER, uuid4()),
        json={"lines": [usual | line]},
        headers=as_user("provider", PROVIDER),
    )

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_quiet_hours_move_what_is_planned(
    api: AsyncClient, as_user: As, tell: Tell, later_jobs: Rows
) -> None:
    day = (datetime.now(UTC) + timedelta(days=5)).replace(hour=8, minute=0, second=0, microsecond=0)
    await tell(a_patient(timezone="UTC"), an_appointment(BookingConfirmed, start=day))

    await api.put(
        of(PATIENT),
        json={"quietHours": {"start": "22:00", "end": "07:00"}},
        headers=as_user("patient", PATIENT),
    )

    assert [row["due_at"] for row in await later_jobs()] == [
        day - timedelta(days=1),
        day - timedelta(hours=1),  # not at 06:00
    ]
