"""The Pusher protocol, with peers that others wrote: pusher-js in Node, pusher for Python."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import aiohttp
import pusher
import pusher.errors
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from notifications.app import make_app
from notifications.realtime import telling
from notifications.realtime.pusher.application import Application, HostedApplication
from notifications.realtime.pusher.hosted import HandingOn, HostedPusher
from notifications.settings import NotificationsSettings
from shared.db import Database
from shared.events.booking import BookingConfirmed
from shared.http import MockTransport, Request, Response, new_client
from shared.testing.tokens import MakeToken

from .builders import PATIENT, PROVIDER, SETTINGS, an_appointment
from .conftest import Until
from .streams import listening, served

KEY, SECRET = "a-key", "a-secret-for-tests-only"
APP = f"4711:{KEY}:{SECRET}"
MINE = f"private-user.{PATIENT}.bookings"
TIMES = f"private-provider.{PROVIDER}.availability"
JS = Path(__file__).parent / "pusher_js"


@pytest.fixture
def app(settings_values: dict[str, Any]) -> FastAPI:
    return make_app(
        NotificationsSettings(**settings_values, pusher_app=APP, realtime_streams_per_user=3)
    )


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    async with served(app) as address:
        yield address


@pytest.fixture
def token(make_token: MakeToken) -> str:
    return make_token("patient", PATIENT)


@pytest.fixture
def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def tell(database: Database) -> Callable[..., Any]:
    async def tell(**given: Any) -> None:
        async with database.transaction() as db:
            await telling.tell_of_appointment(db, an_appointment(BookingConfirmed, **given))

    return tell


class Socket:
    """A client that speaks the protocol by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = socket
        self.id = ""

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            frame: dict[str, Any] = await self.raw.receive_json()
            return frame

    async def say(self, event: str, **data: Any) -> None:
        await self.raw.send_str(json.dumps({"event": event, "data": data}))

    async def is_told_to_go(self) -> int | None:
        """Reads on to the end; with which code the server closes."""
        async with asyncio.timeout(30):
            async for _ in self.raw:
                pass
        return self.raw.close_code


Dial = Callable[..., Any]


@pytest.fixture
async def dial(url: str) -> AsyncIterator[Dial]:
    """``socket = await dial()``: an established connection."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def dial(key: str = KEY, query: str = "?protocol=7&client=test") -> Socket:
            raw = await stack.enter_async_context(session.ws_connect(f"{url}/app/{key}{query}"))
            socket = Socket(raw)
            first = await socket.hear()
            if first["event"] == "pusher:connection_established":
                socket.id = json.loads(first["data"])["socket_id"]
            return socket

        yield dial


@asynccontextmanager
async def pusher_js(folder: Path, url: str, token: str, *channels: str) -> Any:
    """The official client, as what it says: ``await said("subscribed")``."""
    at = urlsplit(url)
    told = {
        "host": at.hostname,
        "port": at.port,
        "key": KEY,
        "token": token,
        "channels": channels,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        str(folder / "client.mjs"),
        json.dumps(told),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    heard: list[dict[str, Any]] = []

    async def said(what: str) -> dict[str, Any]:
        """What nobody has asked for before; its answers to us come in any order."""
        async with asyncio.timeout(60):
            while not (found := [each for each in heard if what in each]):
                line = await process.stdout.readline()
                assert line, f"it has ended and said {heard}"
                heard.append(json.loads(line))
        heard.remove(found[0])
        return found[0]

    try:
        yield said
    finally:
        process.stdin.close()
        async with asyncio.timeout(30):
            await process.wait()
        # uvloop and asyncio alike keep the pipe's transport until the loop ends.
        process._transport.close()


@pytest.fixture(scope="session")
def pusher_js_folder() -> Path:
    """Where pusher-js is installed, at the version of its lock; outside of the repository."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    lock = (JS / "package-lock.json").read_bytes()
    digest = hashlib.sha256(lock + (JS / "client.mjs").read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"medic-pusher-js-{digest}-{os.getuid()}"
    if not (folder / "node_modules" / "pusher-js").is_dir():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    """All of it or nothing: other runs of the tests on this machine look for it as well."""
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    shutil.copytree(JS, draft, dirs_exist_ok=True)
    made = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=draft,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if made.returncode:
        shutil.rmtree(draft)
        pytest.skip(f"npm cannot install pusher-js: {made.stderr[-300:]!r}")
    try:
        draft.rename(folder)
    except OSError:  # somebody else was faster
        shutil.rmtree(draft)


async def test_pusher_js_hears_of_its_users_appointments(
    pusher_js_folder: Path, url: str, token: str, tell: Any
) -> None:
    async with pusher_js(pusher_js_folder, url, token, MINE) as said:
        assert (await said("subscribed"))["subscribed"] == MINE

        await tell(version=5)

        heard = await said("event")
        assert (heard["event"], heard["channel"]) == ("booking.confirmed", MINE)
        assert (heard["data"]["version"], heard["data"]["userId"]) == (5, str(PATIENT))


async def test_pusher_js_is_refused_what_is_not_its_users(
    pusher_js_folder: Path, url: str, token: str
) -> None:
    others = f"private-user.{uuid4()}.bookings"

    async with pusher_js(pusher_js_folder, url, token, others, MINE) as said:
        refused = await said("refused")
        await said("subscribed")

    assert refused == {"refused": others, "status": 404}


async def test_what_the_python_library_sends_reaches_pusher_js(
    pusher_js_folder: Path, url: str, token: str
) -> None:
    async with pusher_js(pusher_js_folder, url, token, TIMES) as said:
        await said("subscribed")

        await asyncio.to_thread(a_library(url).trigger, TIMES, "timeslot.updated", {"a": ["é", 1]})

        heard = await said("event")
        assert (heard["event"], heard["data"]) == ("timeslot.updated", {"a": ["é", 1]})


def a_library(url: str, secret: str = SECRET) -> pusher.Pusher:
    at = urlsplit(url)
    return pusher.Pusher(
        app_id="4711", key=KEY, secret=secret, host=at.hostname, port=at.port, ssl=False
    )


async def test_the_python_librarys_batches_reach_every_kind_of_stream(
    url: str, headers: dict[str, str]
) -> None:
    channel = MINE.removeprefix("private-")
    async with listening(url, headers=headers, query={"channels": channel}) as stream:
        await stream.next()

        batch = [{"channel": MINE, "name": f"e{n}", "data": {"n": n}} for n in range(10)]
        await asyncio.to_thread(a_library(url).trigger_batch, batch)

        heard = await stream.events(10)
        assert [each.event for each in heard] == [f"e{n}" for n in range(10)]
        assert heard[3].data == {"channel": channel, "n": 3}


async def test_calls_that_are_not_signed_by_the_application_have_no_effect(
    url: str, database: Database
) -> None:
    with pytest.raises(pusher.errors.PusherBadAuth):
        await asyncio.to_thread(a_library(url, "x" * 20).trigger, MINE, "e", {})

    application = Application.of(APP)
    body = json.dumps({"name": "e", "data": "{}", "channels": [MINE]}).encode()
    path = "/apps/4711/events"
    good = application.signed("POST", path, body)
    cases = {
        "altered body": (path, good, body + b" ", 401),
        "another path": ("/apps/4711/batch_events", good, body, 401),
        "long ago": (path, application.signed("POST", path, body, now=1_700_000_000), body, 401),
        "another application": ("/apps/4712/events", good, body, 404),
        "without signature": (path, good.partition("&auth_signature")[0], body, 422),
        "one field more": (path, f"{good}&x=1", body, 422),
        "not a time": (path, good.replace("auth_timestamp=", "auth_timestamp=x"), body, 401),
    }
    async with aiohttp.ClientSession() as session:
        for what, (where, query, sent, status) in cases.items():
            async with session.post(f"{url}{where}?{query}", data=sent) as answer:
                assert answer.status == status, what
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM realtime_messages") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"name": "e", "data": "{}", "channels": []}',
        b'{"name": "e", "data": "{}", "channels": ["user.1.bookings"]}',
        b'{"name": "e", "data": "{}", "channels": ["presence-room"]}',
        b'{"name": "e", "data": "{}", "channels": [7]}',
        b'{"name": "e", "data": "{}", "channels": "x"}',
        json.dumps({"name": "e", "data": "{}", "channels": [MINE] * 11}).encode(),
        json.dumps({"name": "e\n", "data": "{}", "channels": [MINE]}).encode(),
        json.dumps({"name": "", "data": "{}", "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": {}, "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": "no JSON", "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": "[1]", "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": '"' + "x" * 11_000, "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": "{}", "channels": [MINE], "socket_id": "1.1"}).encode(),
        json.dumps({"name": "e", "data": '{"a": "\\u0000"}', "channels": [MINE]}).encode(),
        json.dumps({"name": "e", "data": '{"a": "\\ud800"}', "channels": [MINE]}).encode(),
    ],
)
async def test_signed_nonsense_is_refused(url: str, database: Database, body: bytes) -> None:
    query = Application.of(APP).signed("POST", "/apps/4711/events", body)

    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/apps/4711/events?{query}", data=body) as answer,
    ):
        assert answer.status == 400
        assert answer.content_type == "application/problem+json"
    async with database.reading() as db:
        assert await db.fetchval("SELECT count(*) FROM realtime_messages") == 0


async def authorized(
    url: str, headers: dict[str, str], socket_id: str, channel: str, *, status: int = 200
) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{url}/v1/realtime/pusher-auth",
            data={"socket_id": socket_id, "channel_name": channel},
            headers=headers,
        ) as answer,
    ):
        assert answer.status == status, await answer.text()
        return str((await answer.json()).get("auth"))


async def test_signatures_are_those_of_the_python_library(
    url: str, headers: dict[str, str], dial: Dial
) -> None:
    socket = await dial()

    auth = await authorized(url, headers, socket.id, MINE)

    assert auth == a_library(url).authenticate(MINE, socket.id)["auth"]


async def test_a_socket_hears_after_it_has_subscribed_and_until_it_unsubscribes(
    app: FastAPI, url: str, headers: dict[str, str], dial: Dial, tell: Any, until: Until
) -> None:
    async def tell_and_wait(version: int) -> None:
        before = app.state.realtime.position
        await tell(version=version)
        await until(lambda: app.state.realtime.position > before)

    socket = await dial()
    await tell_and_wait(1)
    await socket.say(
        "pusher:subscribe",
        channel=MINE,
        auth=await authorized(url, headers, socket.id, MINE),
    )
    assert await socket.hear() == {
        "event": "pusher_internal:subscription_succeeded",
        "channel": MINE,
        "data": "{}",
    }
    await tell(version=2)
    heard = await socket.hear()
    assert (heard["event"], heard["channel"]) == ("booking.confirmed", MINE)
    assert json.loads(heard["data"])["version"] == 2
    await socket.say("pusher:unsubscribe", channel=MINE)
    await socket.say("pusher:ping")
    assert (await socket.hear())["event"] == "pusher:pong"
    await tell_and_wait(3)
    await socket.say("pusher:ping")
    assert (await socket.hear())["event"] == "pusher:pong"


async def test_a_forged_or_borrowed_signature_subscribes_to_nothing(
    url: str, headers: dict[str, str], dial: Dial
) -> None:
    mine, other = await dial(), await dial()
    auth = await authorized(url, headers, mine.id, MINE)
    forged: list[tuple[Any, Any, int]] = [
        (MINE, None, 401),
        (MINE, "", 401),
        (MINE, 7, 401),
        (MINE, f"{KEY}:{'0' * 64}", 401),
        (MINE, "é", 401),
        (TIMES, auth, 401),
        (MINE, auth, 401),  # of another socket
        (MINE.removeprefix("private-"), auth, 404),
        (MINE.upper(), auth, 404),
        ("presence-room", auth, 404),
        (f"private-{MINE}", auth, 404),
        ("x" * 5000, auth, 404),
        (None, auth, 404),
        ([MINE], auth, 404),
    ]

    for channel, claimed, status in forged:
        await other.say("pusher:subscribe", channel=channel, auth=claimed)
        heard = await other.hear()
        assert heard["event"] == "pusher:subscription_error"
        assert heard["data"]["status"] == status, (channel, claimed)


async def test_who_may_not_watch_gets_no_signature(
    url: str, headers: dict[str, str], make_token: MakeToken, dial: Dial
) -> None:
    socket = await dial()
    others = f"private-user.{uuid4()}.bookings"

    for channel in (others, MINE.removeprefix("private-"), "", "private-", "x" * 9000):
        await authorized(url, headers, socket.id, channel, status=404)
    await authorized(url, {}, socket.id, MINE, status=401)
    for bad in ("", "1", "1.2.3", "a.b", "1.2\n", "9" * 40 + ".1"):
        await authorized(url, headers, bad, MINE, status=400)
    async with aiohttp.ClientSession() as session:
        for body in (b"", b"\xff", b"&" * 50, urlencode({"socket_id": "1"} | {}).encode()):
            async with session.post(
                f"{url}/v1/realtime/pusher-auth", data=body, headers=headers
            ) as answer:
                assert answer.status == 400


async def test_sockets_count_among_a_users_streams(
    url: str, headers: dict[str, str], dial: Dial
) -> None:
    sockets = [await dial() for _ in range(4)]

    for socket in sockets[:3]:
        for channel in (MINE, TIMES):  # of one socket however many
            await authorized(url, headers, socket.id, channel)

    await authorized(url, headers, sockets[3].id, MINE, status=429)


@pytest.mark.parametrize(
    ("key", "query", "code"),
    [
        ("another", "?protocol=7", 4001),
        (KEY, "?protocol=4", 4007),
        (KEY, "?protocol=99", 4007),
        (KEY, "?protocol=x", 4007),
        (KEY, "", 4007),
    ],
)
async def test_a_connection_that_cannot_be_is_told_why(
    url: str, key: str, query: str, code: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/app/{key}{query}") as raw,
    ):
        socket = Socket(raw)

        heard = await socket.hear()

        assert (heard["event"], heard["data"]["code"]) == ("pusher:error", code)
        assert await socket.is_told_to_go() == code


async def test_garbage_is_answered_for_a_while(dial: Dial) -> None:
    socket = await dial()
    garbage = ["", "x", "[]", "7", "null", '{"event": 7}', '{"event": "x"}', "{" * 5000, "\x00"]

    for text in garbage:
        await socket.raw.send_str(text)
        assert (await socket.hear())["event"] == "pusher:error"
    await socket.raw.send_bytes(b"\x00\xff")
    assert (await socket.hear())["event"] == "pusher:error"
    await socket.say("client-typing", channel=MINE)
    assert (await socket.hear())["data"]["code"] == 4301
    await socket.say("pusher:ping")
    assert (await socket.hear())["event"] == "pusher:pong"
    for _ in range(20):
        await socket.raw.send_str("x")

    assert await socket.is_told_to_go() == 4000


async def test_a_huge_frame_ends_the_connection(dial: Dial) -> None:
    for size in (10_001, 1_000_000):
        socket = await dial()
        await socket.raw.send_str(json.dumps({"event": "pusher:ping", "data": "x" * size}))

        assert await socket.is_told_to_go() == 1009


async def test_a_server_that_stops_has_its_sockets_come_again(app: FastAPI, dial: Dial) -> None:
    socket = await dial()

    app.state.realtime.close()

    assert await socket.is_told_to_go() == 4200


async def test_without_an_application_there_is_nothing(
    settings_values: dict[str, Any], headers: dict[str, str]
) -> None:
    async with (
        served(make_app(NotificationsSettings(**settings_values))) as url,
        aiohttp.ClientSession() as session,
    ):
        async with session.ws_connect(f"{url}/app/{KEY}?protocol=7") as raw:
            assert await Socket(raw).is_told_to_go() == 4001
        await authorized(url, headers, "1.1", MINE, status=404)


async def test_messages_are_handed_on_to_a_hosted_application_once_and_in_batches(
    url: str, database: Database, tell: Any, until: Until, headers: dict[str, str]
) -> None:
    """The hosted application is our own edge, which takes what Pusher would."""
    at = urlsplit(url)
    hosted = HostedApplication.of(f"http://{KEY}:{SECRET}@{at.netloc}/apps/4711")
    async with new_client() as client:
        handing_on = [HandingOn(database, HostedPusher(hosted, client)) for _ in range(2)]
        await handing_on[0].tick()
        for version in range(1, 13):
            await tell(version=version)

        await asyncio.gather(*(each.tick() for each in handing_on))
        await handing_on[0].tick()

    async with database.reading() as db:
        rows = await db.fetch(
            "SELECT is_foreign, channel, event, data::jsonb FROM realtime_messages "
            "ORDER BY position"
        )
    own = [tuple(row)[1:] for row in rows if not row["is_foreign"]]
    published = [tuple(row)[1:] for row in rows if row["is_foreign"]]
    assert len(own) == 24
    assert published == own


async def test_what_the_hosted_application_does_not_take_is_handed_on_later(
    database: Database, tell: Any
) -> None:
    answers = [Response(503), Response(200)]
    taken: list[Any] = []

    def answer(request: Request) -> Response:
        taken.append(json.loads(request.content)["batch"])
        return answers[min(len(taken), 2) - 1]

    hosted = HostedApplication.of(f"https://{KEY}:{SECRET}@api.example/apps/1")
    async with new_client(transport=MockTransport(answer)) as client:
        handing_on = HandingOn(database, HostedPusher(hosted, client))
        await handing_on.tick()
        await tell()
        await handing_on.tick()
        await handing_on.tick()
        assert len(taken) == 1
        async with database.transaction() as db:
            await db.execute("UPDATE realtime_publications SET locked_until = now()")
        await handing_on.tick()

    assert len(taken) == 2
    assert taken[0] == taken[1]
    assert [each["channel"] for each in taken[0]] == [
        MINE,
        f"private-provider.{PROVIDER}.bookings",
    ]


def test_settings_of_applications_are_checked_and_not_shown() -> None:
    good = NotificationsSettings(
        **SETTINGS, pusher_app=APP, pusher_url=f"https://{KEY}:{SECRET}@api.example/apps/1"
    )
    assert good.pusher_application == Application("4711", KEY, SECRET)
    assert good.hosted_pusher == HostedApplication(
        Application("1", KEY, SECRET), "https://api.example"
    )
    assert SECRET not in repr(good) + repr(good.pusher_application) + repr(good.hosted_pusher)
    for name, value in [
        ("pusher_app", f"app:{KEY}:{SECRET}"),
        ("pusher_app", f"1:{KEY}:short"),
        ("pusher_app", ""),
        ("pusher_url", f"https://{KEY}@api.example/apps/1"),
        ("pusher_url", f"https://{KEY}:{SECRET}@api.example/apps/x"),
        ("pusher_url", f"ftp://{KEY}:{SECRET}@api.example/apps/1"),
        ("pusher_url", f"https://{KEY}:{SECRET}@api.example:x/apps/1"),
    ]:
        with pytest.raises(ValidationError) as refused:
            NotificationsSettings(**SETTINGS, **{name: value})
        assert SECRET not in str(refused.value)
