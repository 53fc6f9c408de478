"""The app around the routes: transactions, probes, its life, its OpenAPI document."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from fastapi import FastAPI, Request
from openapi_spec_validator import validate
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from shared.app import new_router
from shared.checked_route import TRIES
from shared.db import Connection, SqlTransaction, Transaction
from shared.errors import Conflict
from shared.fields import Body, Count, Id
from shared.testing.raw_http import ask
from shared.testing.toy_api import make_toy_api, toy_settings

SLOWLY = 30.0


class EffectIn(Body):
    id: Id


class Refused(Conflict):
    code = "refused"
    title = "No"


router = new_router("/v1/effects", tags=["effects"])


@router.post("/{way}/sql")
async def store_by_sql(way: Count, effect: EffectIn, db: SqlTransaction, request: Request) -> None:
    await db.execute("INSERT INTO effects (id) VALUES ($1)", effect.id)
    await _be_undone(request, way)


@router.post("/{way}/orm")
async def store_by_orm(way: Count, effect: EffectIn, db: Transaction, request: Request) -> None:
    await db.execute(text("INSERT INTO effects (id) VALUES (:id)"), {"id": effect.id})
    await _be_undone(request, way)


@router.post("/{way}/last")
async def store_at_commit(effect: EffectIn, db: SqlTransaction, way: Count) -> dict[str, str]:
    """What PostgreSQL checks only at COMMIT."""
    await db.execute("INSERT INTO late (id) VALUES ($1)", effect.id)
    return {"stored": str(effect.id)}


@router.post("/{way}/late-orm")
async def store_at_commit_by_orm(effect: EffectIn, db: Transaction, way: Count) -> dict[str, str]:
    await db.execute(text("INSERT INTO late (id) VALUES (:id)"), {"id": effect.id})
    return {"stored": str(effect.id)}


async def _be_undone(request: Request, times: int) -> None:
    request.app.state.tries += 1
    if request.app.state.tries <= times:
        raise asyncpg.SerializationError("could not serialize access")
    if times == 0:
        raise Refused


ANSWERS = "readiness_need_answers"


@pytest.fixture
async def app(jwks_file: Path, database_url: str) -> AsyncIterator[FastAPI]:
    app = make_toy_api(toy_settings(jwks_file, database_url), routers=[router])
    app.state.tries = 0
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def late_table(owner_url: str) -> None:
    """Its duplicates are found when the transaction commits, not before."""
    owner = await asyncpg.connect(owner_url)
    await owner.execute("CREATE TABLE late (id uuid UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    await owner.close()


async def store(app: FastAPI, path: str, effect: UUID) -> Any:
    return await ask(app, "POST", path, body=json.dumps({"id": str(effect)}).encode())


async def count(app: FastAPI, table: str = "effects") -> int:
    async with app.state.database.reading() as connection:
        counted: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return counted


@pytest.mark.parametrize("way", ["last", "late-orm"])
@pytest.mark.usefixtures("late_table")
async def test_a_commit_that_fails_is_never_answered_with_success(app: FastAPI, way: str) -> None:
    effect = uuid4()

    first = await store(app, f"/v1/effects/1/{way}", effect)
    with capture_logs():
        second = await store(app, f"/v1/effects/1/{way}", effect)

    assert first.status == 200
    assert second.status == 500
    assert second.headers["content-type"] == "application/problem+json"
    assert await count(app, "late") == 1


@pytest.mark.parametrize("way", ["sql", "orm"])
async def test_work_that_postgresql_undid_is_done_again(app: FastAPI, way: str) -> None:
    before = REGISTRY.get_sample_value("transactions_retried_total") or 0

    answer = await store(app, f"/v1/effects/{TRIES - 1}/{way}", uuid4())

    assert answer.status == 200
    assert app.state.tries == TRIES
    assert await count(app) == 1
    assert REGISTRY.get_sample_value("transactions_retried_total") == before + TRIES - 1


@pytest.mark.parametrize("way", ["sql", "orm"])
async def test_work_is_not_done_again_for_ever_and_never_at_once(
    app: FastAPI, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(
        "shared.checked_route.undone_pause", lambda times: pauses.append(times) or 0.0
    )

    answer = await store(app, f"/v1/effects/{TRIES}/{way}", uuid4())

    assert answer.status == 503
    assert app.state.tries == TRIES
    assert pauses == [1, 2, 3]
    assert await count(app) == 0


@pytest.mark.parametrize("way", ["sql", "orm"])
async def test_a_refusal_rolls_back_and_is_not_tried_again(app: FastAPI, way: str) -> None:
    answer = await store(app, f"/v1/effects/0/{way}", uuid4())

    assert answer.status == 409
    assert app.state.tries == 1
    assert await count(app) == 0


async def test_both_rivals_of_a_real_deadlock_succeed(jwks_file: Path, database_url: str) -> None:
    rows = [uuid4(), uuid4()]
    rivals = new_router("/v1/rivals")
    first_locks = asyncio.Barrier(2)
    met: set[int] = set()

    async def lock_both(turn: int, update: Any) -> None:
        await update(rows[turn])
        if turn not in met:
            met.add(turn)
            async with asyncio.timeout(SLOWLY):
                await first_locks.wait()
        await update(rows[1 - turn])

    @rivals.post("/{turn}/sql")
    async def by_sql(turn: Count, db: SqlTransaction) -> None:
        await lock_both(
            turn, lambda row: db.execute("UPDATE effects SET value = value + 1 WHERE id = $1", row)
        )

    @rivals.post("/{turn}/orm")
    async def by_orm(turn: Count, db: Transaction) -> None:
        update = text("UPDATE effects SET value = value + 1 WHERE id = :id")
        await lock_both(turn, lambda row: db.execute(update, {"id": row}))

    app = make_toy_api(toy_settings(jwks_file, database_url), routers=[rivals])
    async with app.router.lifespan_context(app):
        async with app.state.database.transaction() as connection:
            await _insert(connection, rows)

        answers = await asyncio.gather(
            ask(app, "POST", "/v1/rivals/0/sql"), ask(app, "POST", "/v1/rivals/1/orm")
        )
        async with app.state.database.reading() as connection:
            values = await connection.fetch("SELECT value FROM effects")

    assert [answer.status for answer in answers] == [200, 200]
    assert [row["value"] for row in values] == [3, 3]


async def _insert(connection: Connection, rows: list[UUID]) -> None:
    await connection.executemany("INSERT INTO effects (id) VALUES ($1)", [(row,) for row in rows])


async def test_a_real_serialization_failure_through_the_orm_is_done_again(
    jwks_file: Path, database_url: str
) -> None:
    row = uuid4()
    tries: list[int] = []
    rivals = new_router("/v1/rivals")

    @rivals.post("")
    async def raise_value(db: Transaction, request: Request) -> None:
        tries.append(1)
        await db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await db.execute(text("SELECT value FROM effects"))
        if len(tries) == 1:
            async with request.app.state.database.transaction() as rival:
                await rival.execute("UPDATE effects SET value = value + 1")
        await db.execute(text("UPDATE effects SET value = value + 1"))

    app = make_toy_api(toy_settings(jwks_file, database_url), routers=[rivals])
    async with app.router.lifespan_context(app):
        async with app.state.database.transaction() as connection:
            await _insert(connection, [row])

        answer = await ask(app, "POST", "/v1/rivals")
        async with app.state.database.reading() as connection:
            value = await connection.fetchval("SELECT value FROM effects")

    assert answer.status == 200
    assert len(tries) == 2
    assert value == 3


async def test_a_connection_killed_in_the_middle_is_a_503_and_the_next_request_works(
    jwks_file: Path, database_url: str
) -> None:
    killing = new_router("/v1/kill")

    @killing.post("/sql")
    async def by_sql(db: SqlTransaction) -> None:
        await db.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    @killing.post("/orm")
    async def by_orm(db: Transaction) -> None:
        await db.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    @killing.post("/none")
    async def nobody(db: SqlTransaction, orm: Transaction) -> None:
        await db.execute("SELECT 1")
        await orm.execute(text("SELECT 1"))

    app = make_toy_api(toy_settings(jwks_file, database_url), routers=[killing])
    async with app.router.lifespan_context(app):
        statuses = [
            (await ask(app, "POST", f"/v1/kill/{way}")).status
            for way in ("sql", "none", "orm", "none")
        ]

    assert statuses == [503, 200, 503, 200]


async def test_ready_while_the_database_answers_even_without_the_broker(app: FastAPI) -> None:
    answer = await ask(app, "GET", "/readyz")

    assert answer.status == 200
    assert answer.json() == {"database": True, "broker": False}
    told = {need: REGISTRY.get_sample_value(ANSWERS, {"need": need}) for need in answer.json()}
    assert told == {"database": 1, "broker": 0}


async def test_without_its_database_an_api_lives_but_is_not_ready(jwks_file: Path) -> None:
    app = make_toy_api(toy_settings(jwks_file), routers=[router])
    app.state.tries = 0
    async with app.router.lifespan_context(app):
        alive = await ask(app, "GET", "/healthz")
        ready = await ask(app, "GET", "/readyz")
        by_sql = await store(app, "/v1/effects/0/sql", uuid4())
        by_orm = await store(app, "/v1/effects/0/orm", uuid4())

    assert alive.status == 200
    assert (ready.status, ready.json()["database"]) == (503, False)
    assert REGISTRY.get_sample_value(ANSWERS, {"need": "database"}) == 0
    for refused in (by_sql, by_orm):
        assert refused.status == 503
        assert refused.json()["code"] == "try_again"
        assert "127.0.0.1" not in refused.body.decode()


async def test_metrics_are_served(jwks_file: Path) -> None:
    answer = await ask(make_toy_api(toy_settings(jwks_file)), "GET", "/metrics")

    assert answer.status == 200
    assert b"transactions_retried_total" in answer.body


async def test_what_a_service_opens_is_closed_before_the_database(
    jwks_file: Path, database_url: str
) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def client(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.database.reading() as connection:
            seen.append(await connection.fetchval("SELECT 'open'"))
        yield
        async with app.state.database.reading() as connection:
            seen.append(await connection.fetchval("SELECT 'still open'"))

    app = make_toy_api(toy_settings(jwks_file, database_url), lifespan_extras=client)
    async with app.router.lifespan_context(app):
        pass

    assert seen == ["open", "still open"]


def test_a_process_logs_json_from_its_start(jwks_file: Path) -> None:
    settings = toy_settings(jwks_file)
    environment = {
        "DATABASE_URL": settings.database_url,
        "AMQP_URL": settings.amqp_url,
        "AUTH_ISSUER": settings.auth_issuer,
        "AUTH_AUDIENCE": settings.auth_audience,
        "AUTH_JWKS": settings.auth_jwks,
        "SERVICE_SECRET": settings.service_secret.get_secret_value(),
    }
    program = """
from shared.app import process_settings
from shared.observability import logger
from shared.settings import ServiceSettings
settings = process_settings("toy", ServiceSettings)
logger.info("started", pool_size=settings.database_pool_size)
"""

    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )

    line = json.loads(ended.stdout)
    assert (line["event"], line["service"], line["pool_size"]) == ("started", "toy", 10)


@pytest.fixture
def document(jwks_file: Path) -> dict[str, Any]:
    return make_toy_api(toy_settings(jwks_file), routers=[router]).openapi()


def test_the_openapi_document_is_valid_and_names_things_our_way(document: dict[str, Any]) -> None:
    validate(document)

    book = document["paths"]["/v1/visits"]["post"]
    show = document["paths"]["/v1/visits/{visitId}"]["get"]
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "http://localhost:8080"}]
    assert document["tags"] == [{"name": "visits"}, {"name": "effects"}]
    assert book["operationId"] == "book_visit"
    assert show["parameters"][0]["name"] == "visitId"
    assert "/healthz" not in document["paths"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_operation_tells_what_it_may_refuse(document: dict[str, Any]) -> None:
    book = document["paths"]["/v1/visits"]["post"]["responses"]
    show = document["paths"]["/v1/visits/{visitId}"]["get"]["responses"]

    assert set(book) == {"201", "400", "409", "413", "415", "422", "500", "503"}
    assert set(show) == {"200", "400", "404", "422", "500", "503"}
    for status, response in (book | show).items():
        if status >= "400":
            assert set(response["content"]) == {"application/problem+json"}
            assert response["description"]
    not_found = show["404"]["content"]["application/problem+json"]["examples"]
    assert set(not_found) == {"visit_not_found", "not_found"}


def test_the_document_is_made_once(jwks_file: Path) -> None:
    app = make_toy_api(toy_settings(jwks_file))

    first = json.dumps(app.openapi())

    assert json.dumps(app.openapi()) == first


def test_field_types_show_their_limits(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["VisitIn"]["properties"]

    assert fields["providerId"]["format"] == "uuid"
    assert fields["startsAt"]["format"] == "date-time"
    assert fields["guests"] | {"title": ""} == {
        "type": "integer",
        "minimum": 0,
        "maximum": 10_000,
        "default": 0,
        "title": "",
    }
    assert fields["name"]["maxLength"] == 100
    assert fields["windows"]["maxItems"] == 10
    assert document["components"]["schemas"]["VisitIn"]["additionalProperties"] is False
