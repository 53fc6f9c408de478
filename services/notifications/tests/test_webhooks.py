"""Webhooks: signed so that the official library takes them, retried, replayed, and never inward."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications.app import make_app
from notifications.consumers import HANDLERS
from notifications.settings import NotificationsSettings
from notifications.webhooks import deliverer, deliveries
from notifications.webhooks.deliverer import Deliverer, Pace
from notifications.webhooks.log import forget_old
from notifications.webhooks.schedule import LONGEST_WISH, PAUSES, pause_after
from shared.db import Database
from shared.encryption import Cipher
from shared.events.booking import BookingCancelled, BookingCompleted, BookingConfirmed
from shared.events.envelope import EventData
from shared.http import AsyncClient
from shared.outside import Outside
from shared.testing.api import client_of
from shared.testing.tokens import MakeToken

from .builders import PROVIDER, PROVIDER_EMAIL, an_appointment, an_event
from .conftest import Rows, Until
from .mail_host import MailHost

KEYS = "k1:" + base64.b64encode(bytes(range(32))).decode()
HASTE = Pace(poll=0.02)
ALL = "/v1/webhook-endpoints"
OURS = f"/v1/providers/{PROVIDER}/webhook-endpoints"


class Receiver:
    """An integrator's server: keeps what it gets and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.retry_after = ""
        self.gate = asyncio.Event()
        """While it is not set, nobody is answered."""
        self.gate.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": "/elsewhere", "Retry-After": self.retry_after}
        return web.Response(status=status, headers=headers)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        await web.SockSite(runner, listening).start()
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with receiver.open():
        yield receiver


@pytest.fixture
async def api(
    settings_values: dict[str, Any], receiver: Receiver, make_token: MakeToken
) -> AsyncIterator[AsyncClient]:
    settings = NotificationsSettings(
        **settings_values,
        webhook_keys=KEYS,
        webhook_opened_hosts=f"127.0.0.1:{receiver.port}",
    )
    async with client_of(make_app(settings), token=make_token("provider", PROVIDER)) as client:
        yield client


@pytest.fixture
def as_user(make_token: MakeToken) -> Callable[..., dict[str, str]]:
    def headers(role: str, sub: UUID | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_token(role, sub or uuid4())}"}

    return headers


@pytest.fixture
def tell(database: Database) -> Callable[..., Any]:
    async def tell(*facts: EventData, **envelope: Any) -> None:
        for fact in facts:
            event = an_event(fact).model_copy(update=envelope)
            async with database.transaction() as db:
                await HANDLERS[type(fact)](db, event)

    return tell


@pytest.fixture
def rows(database: Database) -> Callable[..., Any]:
    async def rows(sql: str = "SELECT * FROM webhook_deliveries ORDER BY position") -> Any:
        async with database.reading() as db:
            return await db.fetch(sql)

    return rows


@pytest.fixture
def execute(database: Database) -> Callable[..., Any]:
    async def execute(sql: str, *values: Any) -> None:
        async with database.transaction() as db:
            await db.execute(sql, *values)

    return execute


@pytest.fixture
def deliver(database: Database, receiver: Receiver, running: Any) -> Callable[..., Any]:
    """``async with deliver():`` runs so many deliverers."""

    @asynccontextmanager
    async def deliver(count: int = 1, pace: Pace = HASTE, **options: Any) -> Any:
        options = {"opened": {f"127.0.0.1:{receiver.port}"}} | options
        async with Outside.open(**options) as outside:
            cipher = Cipher.of(KEYS)
            many = [Deliverer(database, cipher, outside, pace).run() for _ in range(count)]
            async with running(*many):
                yield

    return deliver


@pytest.fixture
def ended(rows: Any, until: Until) -> Callable[..., Any]:
    """Waits until nothing is due or under way; the deliveries by their status."""

    async def ended() -> list[str]:
        async def nothing_is_due() -> bool:
            due = await rows(
                "SELECT FROM webhook_deliveries WHERE status = 'sending' "
                "OR (status = 'queued' AND due_at <= now())"
            )
            return not due

        await until(nothing_is_due)
        return [row["status"] for row in await rows()]

    return ended


@pytest.fixture
def fails_for_days(execute: Any) -> Callable[..., Any]:
    """Every endpoint has failed for so long that its next failure disables it."""

    async def fails_for_days() -> None:
        await execute("UPDATE webhook_endpoints SET failing_since = now() - interval '6 days'")

    return fails_for_days


@pytest.fixture
def is_disabled_by(
    fails_for_days: Any, receiver: Receiver, tell: Any, deliver: Any, ended: Any
) -> Callable[..., Any]:
    """What is told next is answered so, after days of failure."""

    async def is_disabled_by(status: int) -> None:
        await fails_for_days()
        receiver.statuses = [status]
        await tell(an_appointment(BookingCompleted))
        async with deliver():
            await ended()

    return is_disabled_by


async def about_webhooks(jobs: Rows) -> list[Any]:
    return [
        job
        for channel in ("email", "in_app", "push")
        for job in await jobs(channel=channel, kind="webhook_disabled")
    ]


async def an_endpoint(api: AsyncClient, url: str, at: str = OURS, **given: Any) -> dict[str, Any]:
    headers = given.pop("headers", {})
    answer = await api.post(at, json={"url": url} | given, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_an_appointment_is_told_as_the_official_library_takes_it(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any
) -> None:
    endpoint = await an_endpoint(api, receiver.url)
    appointment = an_appointment(BookingConfirmed, version=3)
    await tell(appointment)

    async with deliver():
        assert await ended() == ["delivered"]

    [(headers, body)] = receiver.got
    message = Webhook(endpoint["secret"]).verify(body, headers)
    assert message["type"] == "booking.confirmed"
    assert message["data"]["appointmentId"] == str(appointment.id)
    assert message["data"]["version"] == 3
    assert message["data"]["position"] >= 1
    assert datetime.fromisoformat(message["timestamp"]) <= datetime.now(UTC)
    assert headers["Content-Type"] == "application/json"
    assert len(body) < 1000
    for private in (b"Eleni", b"HIV", b"Example Street"):
        assert private not in body
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(body + b" ", headers)


async def test_only_what_an_endpoint_wants_of_its_provider_is_told(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, as_user: Any
) -> None:
    await an_endpoint(api, receiver.url, events=["booking.cancelled"])
    await an_endpoint(api, f"{receiver.url}?all", at=ALL, headers=as_user("admin"))
    await an_endpoint(api, f"{receiver.url}?off", isEnabled=False)

    await tell(
        an_appointment(BookingConfirmed, version=1),
        an_appointment(BookingCancelled, version=2),
        an_appointment(BookingCancelled, version=3, provider_id=uuid4()),
        an_appointment(BookingCancelled, version=4, cause="hold_expired"),
    )
    await tell(an_appointment(version=5), time=datetime.now(UTC) - timedelta(days=2))

    async with deliver():
        await ended()
    assert sorted(message["data"]["version"] for message in receiver.messages) == [1, 2, 2, 3]


async def test_an_event_that_comes_twice_is_told_once(
    api: AsyncClient, receiver: Receiver, tell: Any, rows: Any
) -> None:
    await an_endpoint(api, receiver.url)
    id_ = uuid4()

    await tell(an_appointment(), id=id_)
    await tell(an_appointment(), id=id_)

    assert len(await rows()) == 1


async def test_any_number_of_workers_deliver_each_once(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any
) -> None:
    await an_endpoint(api, receiver.url)
    await tell(*(an_appointment(version=number) for number in range(1, 41)))

    async with deliver(4):
        assert await ended() == ["delivered"] * 40

    assert sorted(each["data"]["version"] for each in receiver.messages) == list(range(1, 41))
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 40


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
async def test_a_refused_delivery_is_tried_again_with_the_same_id(
    api: AsyncClient,
    receiver: Receiver,
    tell: Any,
    deliver: Any,
    ended: Any,
    rows: Any,
    execute: Any,
    status: int,
) -> None:
    endpoint = await an_endpoint(api, receiver.url)
    receiver.statuses = [status]
    await tell(an_appointment())
    # The second pause is of minutes, so that a machine that is busy is not too late for it.
    await execute("UPDATE webhook_deliveries SET attempts = 1")

    async with deliver():
        assert await ended() == ["queued"]
        [row] = await rows()
        assert (row["attempts"], row["last_status"]) == (2, status)
        assert row["last_error"] == f"status {status}"
        assert row["due_at"] > datetime.now(UTC)
        await execute("UPDATE webhook_deliveries SET due_at = now()")
        assert await ended() == ["delivered"]

    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    Webhook(endpoint["secret"]).verify(second[1], second[0])


def test_pauses_grow_over_about_a_day_and_end() -> None:
    pauses = [pause_after(attempts, chance=0.5) for attempts in range(1, 8)]

    assert pauses == list(PAUSES)
    assert all(a < b for a, b in pairwise(PAUSES))
    assert timedelta(hours=24) < sum(PAUSES, timedelta()) < timedelta(hours=36)
    assert pause_after(8, chance=0.5) is None
    assert pause_after(2, chance=0) < pause_after(2, chance=1)


async def test_a_receiver_is_left_alone_as_long_as_it_wishes(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, rows: Any
) -> None:
    await an_endpoint(api, receiver.url)
    receiver.statuses, receiver.retry_after = [429], "900"
    await tell(an_appointment())

    async with deliver():
        assert await ended() == ["queued"]

    [row] = await rows()
    wait = row["due_at"] - datetime.now(UTC)
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("attempts", "wish", "pause"),
    [
        (1, timedelta(minutes=2), timedelta(minutes=2)),
        (1, timedelta(days=2), LONGEST_WISH),
        (4, timedelta(minutes=2), PAUSES[3]),
        (8, timedelta(minutes=2), None),
    ],
)
def test_a_wish_makes_a_pause_longer_within_bounds(
    attempts: int, wish: timedelta, pause: timedelta | None
) -> None:
    assert pause_after(attempts, chance=0.5, wish=wish) == pause


async def test_after_the_last_try_a_delivery_has_failed(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, execute: Any
) -> None:
    await an_endpoint(api, receiver.url)
    receiver.statuses = [500]
    await tell(an_appointment())
    await execute("UPDATE webhook_deliveries SET attempts = 7")

    async with deliver():
        assert await ended() == ["failed"]

    [endpoint] = (await api.get(OURS)).json()["items"]
    assert endpoint["isEnabled"]
    assert endpoint["failingSince"] is not None


async def test_410_disables_an_endpoint_at_once(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, execute: Any
) -> None:
    made = await an_endpoint(api, receiver.url)
    receiver.statuses = [410]
    await tell(an_appointment(), an_appointment())
    await execute(
        "UPDATE webhook_deliveries SET due_at = now() + interval '1 h' "
        "WHERE position = (SELECT max(position) FROM webhook_deliveries)"
    )

    async with deliver():
        assert await ended() == ["failed", "failed"]
    await tell(an_appointment())

    endpoint = (await api.get(f"{OURS}/{made['id']}")).json()
    assert (endpoint["isEnabled"], endpoint["disabledBecause"]) == (False, "gone")
    assert len(receiver.got) == 1
    for what in ("test", "replay"):
        body = {"afterPosition": 0} if what == "replay" else None
        answer = await api.post(f"{OURS}/{made['id']}/{what}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_disabled")


async def test_what_is_on_its_way_when_an_endpoint_is_disabled_is_not_tried_again(
    api: AsyncClient, receiver: Receiver, tell: Any, database: Database, rows: Any
) -> None:
    made = await an_endpoint(api, receiver.url)
    await tell(an_appointment())
    worker = uuid4()
    async with database.transaction() as db:
        [claimed] = await deliveries.claim(db, worker, limit=9, lease=timedelta(seconds=9))
    body = {"url": receiver.url, "isEnabled": False}
    assert (await api.put(f"{OURS}/{made['id']}", json=body)).status_code == 200

    async with database.transaction() as db:
        pause = timedelta(seconds=5)
        await deliveries.fail(db, worker, claimed, status=500, error="status 500", pause=pause)

    assert [row["status"] for row in await rows()] == ["failed"]


async def test_days_of_failure_disable_an_endpoint_and_a_success_ends_them(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, execute: Any
) -> None:
    made = await an_endpoint(api, receiver.url)

    async def fails_since(days: int, status: int) -> dict[str, Any]:
        await execute(
            "UPDATE webhook_endpoints SET failing_since = now() - $1::interval",
            timedelta(days=days),
        )
        receiver.statuses = [status]
        # What was refused before is not tried again meanwhile.
        await execute("UPDATE webhook_deliveries SET due_at = now() + interval '1 h'")
        await tell(an_appointment())
        async with deliver():
            await ended()
        shown: dict[str, Any] = (await api.get(f"{OURS}/{made['id']}")).json()
        return shown

    assert (await fails_since(4, 500))["isEnabled"]
    assert (await fails_since(6, 204))["failingSince"] is None
    failed = await fails_since(6, 500)
    assert (failed["isEnabled"], failed["disabledBecause"]) == (False, "failing")
    again = await api.put(f"{OURS}/{made['id']}", json={"url": receiver.url})
    assert (again.json()["isEnabled"], again.json()["failingSince"]) == (True, None)


@pytest.mark.parametrize(
    ("status", "says"), [(500, "failed for days"), (410, "answered that it is gone")]
)
@pytest.mark.usefixtures("known_people")
async def test_the_owner_of_a_disabled_endpoint_hears_of_it_and_what_to_do(
    api: AsyncClient,
    receiver: Receiver,
    is_disabled_by: Any,
    jobs: Rows,
    deliver_all: Any,
    mail_host: MailHost,
    status: int,
    says: str,
) -> None:
    made = await an_endpoint(api, f"{receiver.url}?key=a-secret")
    await is_disabled_by(status)

    await deliver_all()

    [mail] = mail_host.to(PROVIDER_EMAIL)
    assert mail.message["Subject"] == "Your webhook endpoint is disabled"
    assert f"Your webhook endpoint at 127.0.0.1 has {says}" in mail.text
    assert f"(PUT {OURS}/{made['id']}," in mail.text
    assert f"https://medic.example/providers/{PROVIDER}/webhook-endpoints" in mail.text.split()
    assert "a-secret" not in mail.text
    assert len(await jobs(channel="in_app", kind="webhook_disabled")) == 1


async def test_of_many_failures_at_once_one_message_comes(
    api: AsyncClient,
    receiver: Receiver,
    tell: Any,
    deliver: Any,
    ended: Any,
    fails_for_days: Any,
    jobs: Rows,
    until: Until,
) -> None:
    await an_endpoint(api, receiver.url)
    await fails_for_days()
    receiver.statuses = [500] * 24
    receiver.gate.clear()
    await tell(*(an_appointment(BookingCompleted) for _ in range(24)))

    async with deliver(4, Pace(poll=0.02, call_seconds=40.0), limit_per_host=24):
        await until(lambda: len(receiver.got) == 24)
        receiver.gate.set()
        assert await ended() == ["failed"] * 24

    assert sorted(job["channel"] for job in await about_webhooks(jobs)) == ["email", "in_app"]


async def test_each_disabling_is_told_and_enabling_ends_what_is_unsaid(
    api: AsyncClient,
    receiver: Receiver,
    is_disabled_by: Any,
    jobs: Rows,
) -> None:
    made = await an_endpoint(api, receiver.url)
    for _ in range(2):
        again = await api.put(f"{OURS}/{made['id']}", json={"url": receiver.url})
        assert again.status_code == 200
        await is_disabled_by(500)

    statuses = [job["status"] for job in await about_webhooks(jobs)]
    assert sorted(statuses) == ["queued"] * 2 + ["withdrawn"] * 2
    assert (await api.delete(f"{OURS}/{made['id']}")).status_code == 204
    assert {job["status"] for job in await about_webhooks(jobs)} == {"withdrawn"}


async def test_nobody_is_told_what_they_did_themselves_nor_of_the_clinics_endpoints(
    api: AsyncClient,
    receiver: Receiver,
    is_disabled_by: Any,
    jobs: Rows,
    as_user: Any,
) -> None:
    admin = as_user("admin")
    made = await an_endpoint(api, f"{receiver.url}?ours")
    theirs = await an_endpoint(api, receiver.url, at=ALL, headers=admin)
    body = {"url": receiver.url, "isEnabled": False}
    assert (await api.put(f"{OURS}/{made['id']}", json=body)).status_code == 200

    await is_disabled_by(500)

    shown = (await api.get(f"{ALL}/{theirs['id']}", headers=admin)).json()
    assert shown["disabledBecause"] == "failing"
    assert await about_webhooks(jobs) == []


async def test_a_worker_that_is_gone_leaves_its_deliveries_to_another(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, database: Database
) -> None:
    await an_endpoint(api, receiver.url)
    await tell(an_appointment())
    async with database.transaction() as db:
        lease = timedelta(milliseconds=100)
        [claimed] = await deliveries.claim(db, uuid4(), limit=9, lease=lease)
        assert await deliveries.claim(db, uuid4(), limit=9, lease=lease) == []

    async with deliver():
        assert await ended() == ["delivered"]

    async with database.transaction() as db:
        late = await deliveries.fail(
            db, uuid4(), claimed, status=500, error="late", pause=timedelta()
        )
    assert not late
    assert await ended() == ["delivered"]


async def test_a_worker_without_time_gives_back_what_is_on_its_way(
    api: AsyncClient,
    receiver: Receiver,
    tell: Any,
    deliver: Any,
    rows: Any,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliverer, "_GRACE", 0.1)
    await an_endpoint(api, receiver.url)
    await tell(an_appointment(BookingConfirmed))
    receiver.gate.clear()

    async with deliver():
        await until(lambda: receiver.got)

    [delivery] = await rows()
    assert (delivery["status"], delivery["locked_until"]) == ("queued", None)
    receiver.gate.set()


async def test_one_slow_endpoint_gets_few_at_a_time(
    api: AsyncClient, receiver: Receiver, tell: Any, database: Database
) -> None:
    await an_endpoint(api, receiver.url)
    await tell(*(an_appointment() for _ in range(10)))
    await an_endpoint(api, f"{receiver.url}?other")
    await tell(an_appointment())

    async with database.transaction() as db:
        claimed = await deliveries.claim(db, uuid4(), limit=20, lease=timedelta(seconds=9))

    assert sorted(each.url.endswith("other") for each in claimed) == [False] * 3 + [True]


async def test_both_secrets_sign_while_one_rotates(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, execute: Any
) -> None:
    made = await an_endpoint(api, receiver.url)
    rotated = (await api.post(f"{OURS}/{made['id']}/rotate-secret")).json()
    assert rotated["secret"] != made["secret"]
    left = datetime.fromisoformat(rotated["oldSecretUntil"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24, minutes=2)
    await tell(an_appointment())
    async with deliver():
        await ended()
        [(headers, body)] = receiver.got
        for secret in (made["secret"], rotated["secret"]):
            Webhook(secret).verify(body, headers)

        await execute("UPDATE webhook_endpoints SET old_secret_until = now()")
        await tell(an_appointment())
        await ended()

    headers, body = receiver.got[1]
    Webhook(rotated["secret"]).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body, headers)


async def test_a_secret_is_shown_once_and_kept_encrypted(
    api: AsyncClient, receiver: Receiver, rows: Any
) -> None:
    key = {"Idempotency-Key": "the-users-intent"}
    first = await api.post(OURS, json={"url": receiver.url}, headers=key)
    again = await api.post(OURS, json={"url": receiver.url}, headers=key)
    rotation = {"Idempotency-Key": "another-intent"}
    path = f"{OURS}/{first.json()['id']}"
    rotated = await api.post(f"{path}/rotate-secret", headers=rotation)
    rotated_again = await api.post(f"{path}/rotate-secret", headers=rotation)

    assert first.json()["secret"].startswith("whsec_")
    assert again.json() == first.json() | {"secret": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rotated_again.json() == rotated.json() | {"secret": None}
    for answer in (await api.get(OURS), await api.get(path)):
        assert "whsec_" not in answer.text
    stored = str(
        [tuple(row) for row in await rows("SELECT * FROM webhook_endpoints")]
        + [tuple(row) for row in await rows("SELECT * FROM idempotency_keys")]
    )
    for secret in (first.json()["secret"], rotated.json()["secret"]):
        assert secret not in stored
        assert secret.removeprefix("whsec_") not in stored
    assert stored.count("v1.k1.") == 2


async def test_of_twenty_with_the_same_key_one_gets_the_secret(
    api: AsyncClient, receiver: Receiver, rows: Any
) -> None:
    answers = await asyncio.gather(
        *(
            api.post(OURS, json={"url": receiver.url}, headers={"Idempotency-Key": "one-intent"})
            for _ in range(20)
        )
    )

    assert len(await rows("SELECT FROM webhook_endpoints")) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert len({each["id"] for each in made}) == 1
    assert len([each for each in made if each["secret"]]) == 1


async def test_a_test_is_sent_and_shows_in_the_log(
    api: AsyncClient, receiver: Receiver, deliver: Any, ended: Any
) -> None:
    made = await an_endpoint(api, receiver.url, events=["booking.no_show"])

    answer = await api.post(f"{OURS}/{made['id']}/test")
    async with deliver():
        await ended()

    assert answer.status_code == 202
    headers, body = receiver.got[0]
    assert Webhook(made["secret"]).verify(body, headers)["type"] == "webhook.test"
    [entry] = (await api.get(f"{OURS}/{made['id']}/deliveries")).json()["items"]
    assert entry["id"] == answer.json()["id"]
    assert (entry["type"], entry["status"], entry["attempts"], entry["lastStatus"]) == (
        "webhook.test",
        "delivered",
        1,
        204,
    )


async def test_the_log_is_complete_page_by_page(
    api: AsyncClient, receiver: Receiver, tell: Any
) -> None:
    made = await an_endpoint(api, receiver.url)
    await tell(*(an_appointment() for _ in range(7)))

    seen: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    for _ in range(3):
        page = (await api.get(f"{OURS}/{made['id']}/deliveries", params=query)).json()
        seen += page["items"]
        query["cursor"] = page["nextCursor"]

    assert query["cursor"] is None
    assert [each["position"] for each in seen] == sorted(
        (each["position"] for each in seen), reverse=True
    )
    assert len(seen) == 7


async def test_what_happened_after_a_position_is_sent_again(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any
) -> None:
    await tell(*(an_appointment(version=number) for number in (1, 2, 3)))
    await tell(an_appointment(version=9, provider_id=uuid4()))
    made = await an_endpoint(api, receiver.url)
    path = f"{OURS}/{made['id']}/replay"

    answer = await api.post(path, json={"afterPosition": 0})
    async with deliver():
        await ended()
        assert (answer.status_code, answer.json()) == (202, {"queued": 3})
        assert sorted(each["data"]["version"] for each in receiver.messages) == [1, 2, 3]
        second = next(each for each in receiver.messages if each["data"]["version"] == 2)

        answer = await api.post(path, json={"afterPosition": second["data"]["position"]})
        await ended()

    assert answer.json() == {"queued": 1}
    assert [each["data"]["version"] for each in receiver.messages[3:]] == [3]
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == 3  # the receiver sees that it has had it


async def test_the_log_is_forgotten_after_its_time(
    api: AsyncClient, receiver: Receiver, tell: Any, rows: Any, execute: Any, database: Database
) -> None:
    await an_endpoint(api, receiver.url)
    await tell(an_appointment(), an_appointment())
    await execute(
        "UPDATE webhook_events SET occurred_at = now() - interval '31 days' "
        "WHERE position = (SELECT min(position) FROM webhook_events)"
    )

    async with database.transaction() as db:
        assert not await forget_old(db)

    assert len(await rows()) == 1


async def test_addresses_into_private_networks_are_refused_with_a_reason(
    api: AsyncClient, receiver: Receiver
) -> None:
    made = await an_endpoint(api, receiver.url)
    refused = {
        "http://example.com/": "NOT_HTTPS",
        "https://localhost/": "NOT_PUBLIC",
        "https://127.0.0.1/": "NOT_PUBLIC",
        "https://169.254.169.254/latest/meta-data/": "NOT_PUBLIC",
        "https://[::ffff:10.0.0.1]/": "NOT_PUBLIC",
        "https://[64:ff9b::a00:1]/": "NOT_PUBLIC",
        "https://2130706433/": "NOT_PUBLIC",
        "https://rabbitmq:15672/": "NOT_PUBLIC",
        "https://user:secret@example.com/": "HAS_CREDENTIALS",
        "https://example.com:22/": "PORT_NOT_ALLOWED",
        "https://no-such-host.invalid/": "UNKNOWN_HOST",
        f"http://127.0.0.1:{receiver.port + 1}/": "NOT_HTTPS",
        "nonsense": "NOT_A_URL",
        "javascript:alert(1)": "NOT_A_URL",
    }
    for url, code in refused.items():
        for answer in (
            await api.post(OURS, json={"url": url}),
            await api.put(f"{OURS}/{made['id']}", json={"url": url}),
        ):
            assert answer.status_code == 422, url
            [fault] = answer.json()["errors"]
            assert (fault["path"], fault["code"]) == ("url", code), url
            assert "secret" not in answer.text
    assert len((await api.get(OURS)).json()["items"]) == 1


async def test_an_address_that_has_become_private_gets_nothing(
    api: AsyncClient, receiver: Receiver, tell: Any, deliver: Any, ended: Any, rows: Any
) -> None:
    await an_endpoint(api, receiver.url)
    await tell(an_appointment())

    async with deliver(opened=()):  # the host is not opened any more
        assert await ended() == ["queued"]

    assert receiver.got == []
    [row] = await rows()
    assert row["last_error"].startswith("the address is not allowed")


async def test_endpoints_of_others_do_not_exist(
    api: AsyncClient, receiver: Receiver, as_user: Any
) -> None:
    made = await an_endpoint(api, receiver.url)
    path = f"{OURS}/{made['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", OURS, None),
        ("POST", OURS, {"url": receiver.url}),
        ("GET", path, None),
        ("PUT", path, {"url": receiver.url}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate-secret", None),
        ("POST", f"{path}/test", None),
        ("POST", f"{path}/replay", {"afterPosition": 0}),
        ("GET", f"{path}/deliveries", None),
    ]
    for headers in (
        as_user("provider"),
        as_user("patient", PROVIDER),
        as_user("patient"),
        as_user("service"),
    ):
        for method, where, body in calls:
            answer = await api.request(method, where, json=body, headers=headers)
            assert answer.status_code == 404, (method, where)
            assert answer.json()["code"] == "webhook_endpoint_not_found"
            clinic = where.replace(OURS, ALL)
            assert (
                await api.request(method, clinic, json=body, headers=headers)
            ).status_code == 403
    # The clinic's list has not the provider's, and a provider's not the clinic's.
    admin = as_user("admin")
    theirs = await an_endpoint(api, receiver.url, at=ALL, headers=admin)
    assert (await api.get(f"{ALL}/{made['id']}", headers=admin)).status_code == 404
    assert (await api.get(f"{OURS}/{theirs['id']}")).status_code == 404
    assert (await api.get(f"{OURS}/{uuid4()}")).status_code == 404
    assert (await api.get(path, headers=admin)).status_code == 200
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_there_are_ten_at_most_however_they_come(
    api: AsyncClient, receiver: Receiver
) -> None:
    answers = await asyncio.gather(
        *(api.post(OURS, json={"url": f"{receiver.url}?{number}"}) for number in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 10


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 7},
        {"url": "https://example.com/" + "x" * 2000},
        {"url": "https://example.com/", "events": []},
        {"url": "https://example.com/", "events": ["booking.held"]},
        {"url": "https://example.com/", "events": ["booking.confirmed"] * 21},
        {"url": "https://example.com/", "secret": "whsec_mine"},
        {"url": "https://example.com/", "providerId": str(PROVIDER)},
        {"url": "https://example.com/", "description": "x" * 201},
        {"url": "https://example.com/", "description": "a\u0000"},
        {"url": "https://example.com/", "isEnabled": "yes"},
    ],
)
async def test_bad_bodies_are_refused(api: AsyncClient, body: Any) -> None:
    answer = await api.post(OURS, json=body)

    assert answer.status_code in (400, 422)
    assert (await api.get(OURS)).json()["items"] == []


async def test_without_keys_there_are_no_webhooks(
    settings_values: dict[str, Any], make_token: MakeToken
) -> None:
    app = make_app(NotificationsSettings(**settings_values))
    async with client_of(app, token=make_token("provider", PROVIDER)) as api:
        answer = await api.post(OURS, json={"url": "https://example.com/"})

    assert (answer.status_code, answer.json()["code"]) == (503, "webhooks_not_offered")
