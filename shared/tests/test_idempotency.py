"""The same request many times: one effect, one answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from fastapi import APIRouter, Request, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.app import create_app, new_router
from shared.db import Connection, Database, SqlReading, database_of
from shared.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    TooMany,
    Unavailable,
)
from shared.fields import Answer, Id
from shared.fields.numbers import Whole
from shared.http import ASGITransport, AsyncClient
from shared.http import Response as Received
from shared.idempotency import KeyedBody, OnceIfKeyed, OnceOnly, purge_idempotency_keys
from shared.settings import ServiceSettings
from shared.testing.tokens import MakeToken

ALICE, BOB = uuid4(), uuid4()
PLACE = UUID("018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10")
OTHER_PLACE = UUID("018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e11")


class EffectOut(Answer):
    id: Id
    value: int


class EffectIn(KeyedBody):
    value: Annotated[int, Whole(1, 9)] = 1
    weight: Annotated[int, Whole(0, 9)] = 0


class SlotTaken(Conflict):
    code = "slot_taken"
    title = "The slot is taken"


async def make_effect(db: Connection, value: int = 1) -> EffectOut:
    made = EffectOut(id=uuid4(), value=value)
    await db.execute("INSERT INTO effects (id, value) VALUES ($1, $2)", made.id, value)
    return made


class Scene:
    """What the routes do when they are let to act; tests put their own thing here."""

    def __init__(self) -> None:
        self.acted = 0
        self.act: Callable[[Connection, int], Awaitable[Any]] = make_effect

    async def run(self, db: Connection, value: int) -> Any:
        self.acted += 1
        return await self.act(db, value)


def a_router(scene: Scene) -> APIRouter:
    router = new_router(prefix="/v1")

    @router.post("/places/{place_id}/effects", status_code=201, response_model=EffectOut)
    async def make(place_id: Id, body: EffectIn, once: OnceOnly) -> Response:
        return await once.in_sql(
            lambda db: scene.run(db, body.value),
            headers=lambda made: {"Location": f"/v1/effects/{made.id}", "ETag": '"1"'},
        )

    @router.post("/others/{place_id}", status_code=201, response_model=EffectOut)
    async def make_other(place_id: Id, body: EffectIn, once: OnceOnly) -> Response:
        return await once.in_sql(lambda db: scene.run(db, body.value))

    @router.post("/effects", response_model=EffectOut)
    async def make_at_will(body: EffectIn, once: OnceIfKeyed) -> Response:
        return await once.in_sql(lambda db: scene.run(db, body.value))

    @router.post("/sessions", status_code=201, response_model=EffectOut)
    async def make_in_session(body: EffectIn, once: OnceIfKeyed) -> Response:
        async def act(session: AsyncSession) -> EffectOut:
            scene.acted += 1
            made = {"id": uuid4(), "value": body.value}
            await session.execute(text("INSERT INTO effects VALUES (:id, :value)"), made)
            if body.value == 9:
                raise SlotTaken
            return EffectOut(**made)

        return await once.in_session(act, headers=lambda made: {"ETag": f'"{made.value}"'})

    @router.post("/signals", status_code=204)
    async def signal(once: OnceOnly) -> Response:
        async def act(db: Connection) -> None:
            await scene.run(db, 1)

        return await once.in_sql(act)

    @router.post("/ready-made", response_model=EffectOut)
    async def ready_made(once: OnceOnly) -> Response:
        async def act(_: Connection) -> bytes:
            return b'{"id":"x", "value":1}'

        return await once.in_sql(act)

    @router.post("/asks", status_code=201, response_model=EffectOut)
    async def ask_then_write(request: Request, body: EffectIn, once: OnceOnly) -> Response:
        database = database_of(request)
        async with database.transaction() as db:
            if (earlier := await once.earlier(db)) is not None:
                return earlier
        async with database.transaction() as db:
            try:
                made = await scene.run(db, body.value)
            except Conflict as refusal:
                return await once.keep_refusal(db, refusal)
            return await once.keep(db, made)

    @router.get("/effects")
    async def count(db: SqlReading) -> dict[str, int]:
        return {"count": await db.fetchval("SELECT count(*) FROM effects")}

    return router


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def client(
    database: Database, settings_values: dict[str, Any], scene: Scene
) -> AsyncIterator[AsyncClient]:
    settings = ServiceSettings(**settings_values)
    app = create_app(
        settings, service="test", title="Test", description="Test", routers=[a_router(scene)]
    )
    app.state.database = database
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


Post = Callable[..., Coroutine[Any, Any, Received]]
MAKE = f"/v1/places/{PLACE}/effects"


@pytest.fixture
def post(client: AsyncClient, make_token: MakeToken) -> Post:
    async def post(
        path: str = MAKE, *, key: str | None = "one", by: UUID = ALICE, **body: Any
    ) -> Received:
        headers = {"Authorization": f"Bearer {make_token('patient', by)}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await client.post(path, headers=headers, json=body)

    return post


async def effects(database: Database) -> int:
    async with database.reading() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM effects")
        return count


async def stored(database: Database) -> int:
    async with database.reading() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM idempotency_keys")
        return count


@pytest.mark.parametrize("path", [MAKE, "/v1/effects", "/v1/sessions", "/v1/asks"])
async def test_a_repeated_request_gets_the_first_answer_and_has_no_second_effect(
    post: Post, database: Database, path: str
) -> None:
    first = await post(path)
    again = [await post(path) for _ in range(3)]

    assert first.status_code in {200, 201}
    assert "idempotent-replayed" not in first.headers
    assert await effects(database) == 1
    for answer in again:
        assert answer.status_code == first.status_code
        assert answer.content == first.content
        assert answer.headers["idempotent-replayed"] == "true"
        for name in ("content-type", "location", "etag", "cache-control"):
            assert answer.headers.get(name) == first.headers.get(name)


async def test_fifty_at_once_have_one_effect(post: Post, database: Database, scene: Scene) -> None:
    turned_away = asyncio.Event()

    async def act_when_others_have_tried(db: Connection, value: int) -> EffectOut:
        try:
            async with asyncio.timeout(30):
                await turned_away.wait()
        except TimeoutError:
            turned_away.set()
        return await make_effect(db, value)

    async def one() -> Received:
        answer = await post()
        if answer.status_code == 409:
            turned_away.set()
        return answer

    scene.act = act_when_others_have_tried

    answers = await asyncio.gather(*(one() for _ in range(50)))

    assert await effects(database) == 1
    done = [answer for answer in answers if answer.status_code == 201]
    busy = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(busy) == 50
    assert len({answer.content for answer in done}) == 1
    assert {answer.json()["code"] for answer in busy} == {"request_in_progress"}
    assert {answer.headers["retry-after"] for answer in busy} == {"1"}
    assert (await post()).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("path", [MAKE, "/v1/sessions"])
async def test_a_race_without_pauses_has_one_effect(
    post: Post, database: Database, path: str
) -> None:
    for number in range(10):
        answers = await asyncio.gather(*(post(path, key=f"race {number}") for _ in range(20)))

        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await effects(database) == 10


async def test_a_stored_answer_is_given_while_another_reads_it(
    post: Post, database: Database
) -> None:
    first = await post()

    answers = await asyncio.gather(*(post() for _ in range(30)))

    assert {answer.content for answer in answers} == {first.content}


async def test_the_key_of_another_request_is_refused(post: Post, database: Database) -> None:
    await post(value=1)

    other_body = await post(value=2)
    other_place = await post(f"/v1/places/{OTHER_PLACE}/effects", value=1)

    for answer in (other_body, other_place):
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_key_reused"
    assert await effects(database) == 1
    assert (await post(value=1)).headers["idempotent-replayed"] == "true"


async def test_how_json_is_written_does_not_matter(
    client: AsyncClient, post: Post, make_token: MakeToken
) -> None:
    first = await post(value=3, weight=2)

    again = await client.post(
        MAKE,
        headers={
            "Authorization": f"Bearer {make_token('patient', ALICE)}",
            "Content-Type": "application/json",
        },
        content=b' { "weight" : 2, "idempotencyKey" : "one",\n "value" : 3 } ',
    )

    assert again.content == first.content


@pytest.mark.parametrize("path", [MAKE, "/v1/effects"])
async def test_keys_belong_to_their_caller(post: Post, database: Database, path: str) -> None:
    hers = await post(path, by=ALICE)
    his = await post(path, by=BOB)

    assert hers.json()["id"] != his.json()["id"]
    assert await effects(database) == 2


async def test_keys_belong_to_their_operation(post: Post, database: Database) -> None:
    await post(MAKE)
    await post(f"/v1/others/{PLACE}")

    assert await effects(database) == 2


async def test_header_and_body_must_agree(post: Post, database: Database) -> None:
    differing = await post(key="one", idempotencyKey="two")
    agreeing = await post(key="one", idempotencyKey="one")
    in_body = await post(key=None, idempotencyKey="one")
    quoted = await post(key='"one"')

    assert differing.status_code == 400
    assert differing.json()["code"] == "idempotency_keys_differ"
    assert agreeing.status_code == 201
    assert agreeing.content == in_body.content == quoted.content
    assert await effects(database) == 1


async def test_keys_in_all_their_spellings(post: Post, database: Database) -> None:
    spellings = {'"a b"': "a b", r'"a\"b\\c"': 'a"b\\c', "a,b;c": "a,b;c", "x" * 255: "x" * 255}

    for written in spellings:
        assert (await post(key=written)).status_code == 201

    async with database.reading() as connection:
        keys = await connection.fetch("SELECT key FROM idempotency_keys")
    assert {row["key"] for row in keys} == set(spellings.values())


async def test_malformed_keys_are_refused(post: Post, database: Database) -> None:
    in_header = ["", " ", "x" * 256, '"', '"a', '"a"b', r'"a\b"', '""', "a\tb"]
    in_body = ["", "x" * 256, "ключ", "a\nb", 5, ["a"], True]

    answers = [await post(key=key) for key in in_header]
    answers += [await post(key=None, idempotencyKey=key) for key in in_body]

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["code"] for answer in answers} == {"idempotency_key_invalid"}
    assert await effects(database) == 0


async def test_two_headers_or_odd_bytes_are_refused(
    client: AsyncClient, make_token: MakeToken
) -> None:
    bearer = ("Authorization", f"Bearer {make_token('patient', ALICE)}")
    twice = [bearer, ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    odd = {b"Authorization": bearer[1].encode(), b"Idempotency-Key": "ключ".encode()}

    assert (await client.post(MAKE, headers=twice, json={})).status_code == 400
    assert (await client.post(MAKE, headers=odd, json={})).status_code == 400


async def test_a_key_is_required_where_the_route_says_so(post: Post, database: Database) -> None:
    without = await post(MAKE, key=None)
    null = await post(MAKE, key=None, idempotencyKey=None)
    twice = [await post("/v1/effects", key=None) for _ in range(2)]

    assert without.status_code == null.status_code == 400
    assert without.json()["code"] == null.json()["code"] == "idempotency_key_required"
    assert [answer.status_code for answer in twice] == [200, 200]
    assert await effects(database) == 2
    assert await stored(database) == 0


async def test_nobody_is_asked_for_a_key_before_saying_who_they_are(client: AsyncClient) -> None:
    assert (await client.post(MAKE, json={})).status_code == 401


async def test_invalid_input_uses_up_no_key(post: Post, database: Database) -> None:
    refused = await post(value=77)
    accepted = await post(value=7)

    assert refused.status_code == 422
    assert accepted.status_code == 201


@pytest.mark.parametrize("path", [MAKE, "/v1/sessions", "/v1/asks"])
async def test_a_refusal_by_the_state_of_things_is_repeated(
    post: Post, database: Database, scene: Scene, path: str
) -> None:
    async def refuse(db: Connection, value: int) -> EffectOut:
        if path != "/v1/asks":  # which has no transaction of its own to undo
            await make_effect(db, value)
        raise SlotTaken("gone", alternatives=[1, 2])

    scene.act = refuse

    first = await post(path, value=9)
    scene.act = make_effect  # now it could be done
    again = await post(path, value=9)

    assert first.status_code == again.status_code == 409
    assert first.json()["code"] == "slot_taken"
    assert first.content == again.content
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"
    assert scene.acted == 1
    assert await effects(database) == 0, "what was refused has left something behind"
    assert (await post(path, value=9, key="two")).status_code in {201, 409}
    assert scene.acted == 2, "a new intent has to be tried anew"


async def test_other_refusals_use_up_no_key(post: Post, database: Database, scene: Scene) -> None:
    refusals = (Forbidden, NotFound, Invalid, TooMany, Unavailable)
    for number, refusal in enumerate(refusals, start=1):

        async def refuse(
            db: Connection, value: int, refusal: type[DomainError] = refusal
        ) -> EffectOut:
            await make_effect(db, value)
            raise refusal

        scene.act = refuse
        refused = await post(key=refusal.code)
        scene.act = make_effect
        accepted = await post(key=refusal.code)

        assert refused.status_code in {403, 404, 422, 429, 503}
        assert accepted.status_code == 201, refusal
        assert await effects(database) == number


async def test_a_failure_uses_up_no_key(post: Post, database: Database, scene: Scene) -> None:
    async def fail(db: Connection, value: int) -> EffectOut:
        await make_effect(db, value)
        raise ZeroDivisionError

    scene.act = fail
    failed = await post()
    scene.act = make_effect
    succeeded = await post()

    assert failed.status_code == 500
    assert succeeded.status_code == 201
    assert await effects(database) == 1


async def test_a_connection_that_dies_leaves_no_lock(
    post: Post, database: Database, scene: Scene
) -> None:
    async def die(db: Connection, value: int) -> EffectOut:
        made = await make_effect(db, value)
        async with database.reading() as other:
            await other.execute("SELECT pg_terminate_backend($1, 5000)", db.get_server_pid())
        return made

    scene.act = die
    died = await post()
    scene.act = make_effect
    again = await post()

    assert died.status_code == 503
    assert again.status_code == 201
    assert await effects(database) == 1


async def test_an_answer_is_stored_only_with_its_effect(
    post: Post, database: Database, owner_url: str, scene: Scene
) -> None:
    owner = await asyncpg.connect(owner_url)
    await owner.execute("CREATE TABLE numbers (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    await owner.execute("INSERT INTO numbers VALUES (1)")

    async def act(db: Connection, value: int) -> EffectOut:
        await db.execute("INSERT INTO numbers VALUES (1)")  # the commit will fail
        return await make_effect(db, value)

    scene.act = act
    failed = await post()
    kept_in_spite = await stored(database)
    scene.act = make_effect
    succeeded = await post()
    await owner.close()

    assert failed.status_code == 500
    assert kept_in_spite == 0
    assert succeeded.status_code == 201
    assert await effects(database) == 1


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_request_that_was_overtaken_repeats_the_others_answer(
    post: Post, database: Database, scene: Scene, refuses: bool
) -> None:
    """The stored answer is looked for as of an instant before the lock is obtained."""
    first = await post(value=5)
    async with database.transaction() as connection:
        row = await connection.fetchrow("DELETE FROM idempotency_keys RETURNING *")
    assert row is not None

    async def act(db: Connection, value: int) -> EffectOut:
        await make_effect(db, value)
        async with database.transaction() as other:
            await other.execute(
                "INSERT INTO idempotency_keys VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", *row
            )
        if refuses:
            raise SlotTaken
        return EffectOut(id=uuid4(), value=value)

    scene.act = act

    overtaken = await post(value=5)

    assert overtaken.status_code == 201
    assert overtaken.content == first.content
    assert overtaken.headers["idempotent-replayed"] == "true"
    assert await effects(database) == 1, "the effect of the one overtaken must go"


async def test_an_answer_without_body_is_repeated(post: Post, scene: Scene) -> None:
    first, again = await post("/v1/signals"), await post("/v1/signals")

    assert first.status_code == again.status_code == 204
    assert first.content == again.content == b""
    assert scene.acted == 1


async def test_ready_made_json_goes_out_as_it_is(post: Post) -> None:
    first, again = await post("/v1/ready-made"), await post("/v1/ready-made")

    assert first.content == again.content == b'{"id":"x", "value":1}'
    assert first.headers["content-type"] == "application/json"


async def test_an_effect_in_two_transactions_is_found_in_the_second(
    post: Post, database: Database, scene: Scene
) -> None:
    one_asked, both_asked = asyncio.Event(), asyncio.Barrier(2)
    only = uuid4()

    async def act(db: Connection, value: int) -> EffectOut:
        one_asked.set()
        async with asyncio.timeout(30):
            await both_asked.wait()
        await db.execute("INSERT INTO effects VALUES ($1, $2) ON CONFLICT DO NOTHING", only, value)
        return EffectOut(id=only, value=value)

    scene.act = act

    first = asyncio.create_task(post("/v1/asks"))
    await one_asked.wait()
    answers = [await post("/v1/asks"), await first]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert sorted("idempotent-replayed" in answer.headers for answer in answers) == [False, True]
    assert await effects(database) == 1


async def test_answers_are_forgotten_after_72_hours(post: Post, database: Database) -> None:
    await post(key="old")
    await post(key="young")
    async with database.transaction() as connection:
        await connection.execute(
            """
            UPDATE idempotency_keys
            SET created_at = now() - CASE key WHEN 'old' THEN interval '73 h' ELSE '71 h' END
            """
        )

    async with database.transaction() as connection:
        more = await purge_idempotency_keys(connection)

    assert not more
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT key FROM idempotency_keys") == "young"


async def test_a_backlog_of_answers_is_forgotten_in_batches(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO idempotency_keys
            SELECT gen_random_uuid(), 'POST /', 'key', '', 200, '{}', '', now() - interval '80 h'
            FROM generate_series(1, 1500)
            """
        )

    more = []
    for _ in range(2):
        async with database.transaction() as connection:
            more.append(await purge_idempotency_keys(connection))

    assert more == [True, False]
    assert await stored(database) == 0


async def test_openapi_tells_of_the_header_and_of_the_answer(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    operation = document["paths"]["/v1/places/{placeId}/effects"]["post"]
    header = next(each for each in operation["parameters"] if each["in"] == "header")
    assert header["name"] == "Idempotency-Key"
    assert "72 hours" in header["description"]
    assert "201" in operation["responses"]
    assert "idempotencyKey" in document["components"]["schemas"]["EffectIn"]["properties"]
