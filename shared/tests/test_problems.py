"""Every answer from 400 upwards is a problem document, whatever went wrong."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from shared import errors
from shared.app import new_router
from shared.database_trouble import DatabaseError, is_passing, is_undone, sqlstate
from shared.errors import DomainError, FieldError
from shared.fields import Answer, Instant
from shared.problems import TYPES, Problem, problems
from shared.testing.raw_http import RawAnswer, ask
from shared.testing.toy_api import VisitNotFound, VisitTaken, book, make_toy_api, toy_settings

Raise = Callable[[BaseException], Any]


@pytest.fixture
def app(jwks_file: Path) -> FastAPI:
    router = new_router("/v1/trouble")

    @router.get("")
    async def cause_trouble(request: Request) -> None:
        raise request.app.state.trouble

    @router.delete("")
    async def remove() -> None: ...

    @router.get("/half-way")
    async def stop_half_way() -> StreamingResponse:
        async def chunks() -> Any:
            yield b"one"
            raise ValueError("secret")

        return StreamingResponse(chunks())

    @router.get("/endless")
    async def go_on() -> StreamingResponse:
        async def chunks() -> Any:
            while True:
                yield b"on and "
                await asyncio.sleep(0)

        return StreamingResponse(chunks(), headers={"Cache-Control": "private"})

    return make_toy_api(toy_settings(jwks_file), routers=[router])


async def refused_with(app: FastAPI, trouble: BaseException) -> RawAnswer:
    app.state.trouble = trouble
    answer = await ask(app, "GET", "/v1/trouble")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    Problem.model_validate_json(answer.body)
    return answer


class HoldExpired(errors.Conflict):
    code = "hold_expired"
    title = "The hold has ended"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthorized, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.Stale, 412),
        (HoldExpired, 409),
        (errors.Invalid, 422),
        (errors.TooMany, 429),
        (errors.Unavailable, 503),
    ],
)
async def test_a_refusal_has_the_status_of_its_kind(
    app: FastAPI, refusal: type[DomainError], status: int
) -> None:
    answer = await refused_with(app, refusal("Because."))

    problem = answer.json()
    assert answer.status == problem["status"] == status
    assert problem["code"] == refusal.code
    assert problem["type"] == TYPES + refusal.code
    assert problem["title"] == refusal.title
    assert problem["detail"] == "Because."


async def test_a_problem_can_be_found_in_logs_and_traces(app: FastAPI) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    app.state.trouble = errors.NotFound()

    answer = await ask(
        app,
        "GET",
        "/v1/trouble",
        headers=[("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"), ("x-request-id", "abc")],
    )

    assert answer.json()["traceId"] == trace_id
    assert answer.json()["instance"] == "urn:request:abc"
    assert answer.headers["x-request-id"] == "abc"


class Slot(Answer):
    starts_at: Instant


async def test_further_facts_stand_beside_the_standard_members(app: FastAPI) -> None:
    start = datetime(2026, 3, 29, 9, tzinfo=UTC)

    answer = await refused_with(
        app,
        VisitTaken(
            alternatives=[Slot(starts_at=start)],
            until=start,
            day=start.date(),
            holder=UUID(int=1),
            status=200,
            code="ok",
        ),
    )

    problem = answer.json()
    assert problem["alternatives"] == [{"startsAt": "2026-03-29T09:00:00.000Z"}]
    assert problem["day"] == "2026-03-29"
    assert problem["until"] == "2026-03-29T09:00:00.000Z"
    assert problem["holder"] == str(UUID(int=1))
    assert (problem["status"], problem["code"]) == (409, "visit_taken")


async def test_a_rule_over_fields_names_them_like_a_bad_field(app: FastAPI) -> None:
    fault = FieldError("days.0.windows.1.workEndLocal", "END_BEFORE_START", "End before start.")

    answer = await refused_with(app, errors.Invalid(errors=[fault]))

    problem = answer.json()
    assert problem["ok"] is False
    assert problem["errors"] == [
        {
            "path": "days.0.windows.1.workEndLocal",
            "pointer": "/days/0/windows/1/workEndLocal",
            "code": "END_BEFORE_START",
            "message": "End before start.",
        }
    ]


async def test_who_should_come_back_is_told_when(app: FastAPI) -> None:
    limited = await refused_with(app, errors.TooMany(retry_after=30))
    away = await refused_with(app, errors.Unavailable())
    unknown = await refused_with(app, errors.Unauthorized())

    assert limited.headers["retry-after"] == "30"
    assert away.headers["retry-after"] == "1"
    assert unknown.headers["www-authenticate"] == "Bearer"


def wrapped(error: Exception) -> DBAPIError:
    """As SQLAlchemy hands it on."""
    dialect_error = Exception(str(error))
    dialect_error.sqlstate = getattr(error, "sqlstate", None)  # type: ignore[attr-defined]
    dialect_error.__cause__ = error
    return DBAPIError("SELECT secret", {}, dialect_error)


PASSING: list[Exception] = [
    asyncpg.DeadlockDetectedError("secret"),
    asyncpg.SerializationError("secret"),
    asyncpg.LockNotAvailableError("secret"),
    asyncpg.QueryCanceledError("secret"),
    asyncpg.TooManyConnectionsError("secret"),
    asyncpg.ConnectionDoesNotExistError("secret"),
    asyncpg.CannotConnectNowError("secret"),
    asyncpg.AdminShutdownError("secret"),
    asyncpg.CrashShutdownError("secret"),
    asyncpg.IdleInTransactionSessionTimeoutError("secret"),
    asyncpg.ReadOnlySQLTransactionError("secret"),
    asyncpg.OutOfMemoryError("secret"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InterfaceError("pool is closing"),
    wrapped(asyncpg.DeadlockDetectedError("secret")),
    wrapped(asyncpg.InterfaceError("cannot perform operation: connection is closed")),
    PoolTimeout("secret"),
    ConnectionRefusedError(111, "secret"),
    ConnectionResetError(),
    TimeoutError(),
    OSError("Multiple exceptions: secret"),
]


@pytest.mark.parametrize("trouble", PASSING, ids=lambda error: repr(error)[:60])
async def test_trouble_of_the_database_that_passes_is_a_503(
    app: FastAPI, trouble: Exception
) -> None:
    with capture_logs() as lines:
        answer = await refused_with(app, trouble)

    assert answer.status == 503
    assert answer.json()["code"] == "try_again"
    assert answer.headers["retry-after"] == "1"
    assert "secret" not in answer.body.decode()
    assert [line["event"] for line in lines] == ["try_again", "request"]


MISTAKES: list[Exception] = [
    ValueError("secret"),
    KeyError("secret"),
    RuntimeError("secret"),
    asyncpg.UniqueViolationError("secret"),
    asyncpg.UndefinedTableError("secret"),
    asyncpg.CharacterNotInRepertoireError("secret"),
    asyncpg.DataError("secret"),
    asyncpg.InterfaceError("another operation is in progress: secret"),
    wrapped(asyncpg.NotNullViolationError("secret")),
    FileNotFoundError(2, "secret", "/etc/secret"),
    ExceptionGroup("secret", [ValueError("secret")]),
    UnicodeEncodeError("utf-8", "\ud800secret", 0, 1, "secret"),
]


@pytest.mark.parametrize("trouble", MISTAKES, ids=lambda error: repr(error)[:60])
async def test_a_mistake_of_ours_is_a_500_that_tells_nothing(
    app: FastAPI, trouble: Exception
) -> None:
    with capture_logs() as lines:
        answer = await refused_with(app, trouble)

    assert answer.status == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.body.decode()
    assert "Error" not in answer.body.decode()
    mistakes = [line for line in lines if line["event"] == "internal_error"]
    assert [line["exc_info"] for line in mistakes] == [trouble]
    assert (await book(app)).status == 201


async def test_an_answer_that_is_not_what_was_declared_is_a_500(jwks_file: Path) -> None:
    router = new_router()

    @router.get("/wrong", response_model=Slot)
    async def give() -> Any:
        return {"startsAt": "secret"}

    with capture_logs():
        answer = await ask(make_toy_api(toy_settings(jwks_file), routers=[router]), "GET", "/wrong")

    assert answer.status == 500
    assert "secret" not in answer.body.decode()


async def test_an_answer_that_has_begun_is_cut_off(app: FastAPI) -> None:
    """Swallowing the error would make half an answer look like a whole one."""
    with capture_logs(), pytest.raises(ValueError, match="secret"):
        await ask(app, "GET", "/v1/trouble/half-way")


async def test_a_client_that_leaves_before_its_body_has_ended_is_no_mistake(app: FastAPI) -> None:
    async def leave() -> Any:
        return {"type": "http.disconnect"}

    async def nobody(_: Any) -> None:
        raise AssertionError("was answered")

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/visits",
        "raw_path": b"/v1/visits",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    with capture_logs() as lines:
        await app(scope, leave, nobody)

    assert [line["event"] for line in lines] == ["request"]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "BREW"])
async def test_an_unknown_path_is_not_found(app: FastAPI, method: str) -> None:
    answer = await ask(app, method, "/v1/nothing")

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body == b"" if method == "HEAD" else answer.json()["code"] == "not_found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "BREW", "get"])
async def test_another_method_is_refused_with_those_that_work(app: FastAPI, method: str) -> None:
    answer = await ask(app, method, "/v1/trouble")

    assert answer.status == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, DELETE, HEAD, OPTIONS"


async def test_options_names_the_methods(app: FastAPI) -> None:
    answer = await ask(app, "OPTIONS", "/v1/visits")

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"


async def test_head_is_get_without_the_body(app: FastAPI) -> None:
    got = await ask(app, "GET", "/v1/visits?limit=5")
    head = await ask(app, "HEAD", "/v1/visits?limit=5")
    refused = await ask(app, "HEAD", "/v1/visits?limit=0")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (refused.status, refused.body) == (422, b"")


@pytest.mark.parametrize("target", ["/v1/trouble", "/v1/visits/%00", "/v1/nothing"])
async def test_head_of_a_problem_has_no_body_either(app: FastAPI, target: str) -> None:
    app.state.trouble = ValueError("secret")

    with capture_logs():
        head = await ask(app, "HEAD", target)
        got = await ask(app, "GET", target)

    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-type"] == "application/problem+json"


async def test_head_of_an_endless_answer_ends(app: FastAPI) -> None:
    async with asyncio.timeout(20):
        head = await ask(app, "HEAD", "/v1/trouble/endless")

    assert (head.status, head.body) == (200, b"")


async def test_nobody_stores_an_answer_unless_it_says_so(app: FastAPI) -> None:
    plain = await book(app)
    stated = await ask(app, "HEAD", "/v1/trouble/endless")

    assert plain.headers["cache-control"] == "no-store"
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert stated.headers["cache-control"] == "private"


def test_a_route_documents_its_refusals_by_status_and_code() -> None:
    documented = problems(VisitTaken, HoldExpired, VisitNotFound, errors.TooMany)

    assert list(documented) == ["409", "404", "429"]
    conflict = documented["409"]["content"]["application/problem+json"]
    assert list(conflict["examples"]) == ["visit_taken", "hold_expired"]
    assert conflict["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert "`hold_expired`: The hold has ended." in documented["409"]["description"]
    assert "Retry-After" in documented["429"]["headers"]
    for example in conflict["examples"].values():
        Problem.model_validate(example["value"])


def test_only_what_postgresql_has_undone_is_done_again() -> None:
    deadlock = asyncpg.DeadlockDetectedError("secret")
    translated = VisitTaken()
    translated.__cause__ = deadlock

    assert is_undone(deadlock)
    assert is_undone(wrapped(asyncpg.SerializationError("")))
    assert sqlstate(wrapped(deadlock)) == "40P01"
    assert not is_undone(asyncpg.LockNotAvailableError())
    assert not is_undone(translated)
    assert not is_passing(VisitTaken())


def test_a_connection_that_asyncpg_has_lost_count_of_is_a_lost_one() -> None:
    cut = asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress")

    assert isinstance(cut, DatabaseError)
    assert is_passing(cut)
