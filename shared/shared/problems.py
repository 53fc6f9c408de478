"""The one place where refusals and failures become RFC 9457 problem documents."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared import errors
from shared.database_trouble import is_passing, sqlstate
from shared.errors import DomainError, FieldError
from shared.field_errors import field_errors
from shared.fields import instant_text
from shared.json_body import BodyTooLarge, UnsupportedBody
from shared.methods import allowed_methods
from shared.observability import (
    current_request_id,
    current_trace_id,
    logger,
    route_template,
)
from shared.places import pointer

MEDIA_TYPE = "application/problem+json"
TYPES = "https://docs.medic.example/problems/"

_STATUS: dict[type[DomainError], HTTPStatus] = {
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedBody: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_NO_TRACE = "0" * 32

_REFUSALS = Counter(
    "http_refusals_total",
    "Requests that a rule has refused, by route template and the problem's code.",
    ["route", "code"],
)


class InternalError(DomainError):
    """A mistake of ours; what it was stands in the log under the same ids."""

    code = "internal_error"
    title = "Something went wrong on our side"


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


_Optional = Field(default=None, json_schema_extra=_without_default)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    path: str
    """Dotted, relative to the body; the name of a parameter; empty for the whole body."""
    pointer: str | SkipJsonSchema[None] = _Optional
    """The same as a JSON Pointer, for fields of the body."""
    code: str
    message: str


class Problem(BaseModel):
    """Every answer from 400 upwards (RFC 9457). Members beyond these depend on ``code``."""

    model_config = ConfigDict(alias_generator=to_camel)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    ok: bool | SkipJsonSchema[None] = _Optional
    errors: list[FieldProblem] | SkipJsonSchema[None] = _Optional


def status_of(error: type[DomainError]) -> HTTPStatus:
    """The status of the nearest class that has one; 500 for what is no refusal."""
    for each in error.__mro__:
        if each in _STATUS:
            return _STATUS[each]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problems(*refusals: type[DomainError]) -> dict[int | str, dict[str, Any]]:
    """``responses=problems(SlotTaken, HoldExpired)``: how a route tells what it may refuse.

    What every route may refuse (bad input, no token, a busy database) is told without being listed.
    """
    documented: dict[int | str, dict[str, Any]] = {}
    for refusal in refusals:
        document(refusal, documented)
    return documented


def document(refusal: type[DomainError], documented: dict[Any, dict[str, Any]]) -> None:
    """Add one refusal to the documented responses, beside others of the same status."""
    status = status_of(refusal)
    response = documented.setdefault(str(int(status)), {})
    content = response.setdefault("content", {}).setdefault(
        MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    )
    content["examples"][refusal.code] = {
        "summary": refusal.title,
        "value": _standard_members(status, refusal.code, refusal.title),
    }
    response["description"] = "  \n".join(
        f"`{code}`: {example['summary']}." for code, example in content["examples"].items()
    )
    if refusal.retry_after is not None:
        response["headers"] = {
            "Retry-After": {
                "description": "Seconds after which to try again.",
                "schema": {"type": "integer", "minimum": 0},
            }
        }


def problem(
    status: int,
    *,
    code: str,
    title: str,
    detail: str,
    members: Mapping[str, Any] | None = None,
    faults: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer itself; the standard members win over ``members`` of the same name."""
    content: dict[str, Any] = dict(members or {})
    content |= _standard_members(status, code, title)
    content["detail"] = detail
    content["instance"] = f"urn:request:{current_request_id()}"
    content["traceId"] = current_trace_id() or _NO_TRACE
    if faults or status == HTTPStatus.UNPROCESSABLE_ENTITY:
        content["ok"] = False
        content["errors"] = [_shown(fault) for fault in faults]
    return Response(
        orjson.dumps(content, default=_jsonable, option=orjson.OPT_PASSTHROUGH_DATETIME),
        status_code=int(status),
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def problem_of(error: DomainError) -> Response:
    """The answer to a refusal."""
    status = status_of(type(error))
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    faults = error.errors if isinstance(error, errors.BadRequest | errors.Invalid) else ()
    return problem(
        status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        members=error.members,
        faults=faults,
        headers=headers,
    )


def problem_of_failure(error: Exception) -> Response:
    """The answer to what nobody foresaw: 503 when it will pass, else 500; logged here, once."""
    if is_passing(error):
        logger.warning("try_again", error=type(error).__qualname__, sqlstate=sqlstate(error))
        return problem_of(errors.Unavailable("The database is busy or away; try again shortly."))
    logger.error("internal_error", exc_info=error)
    return problem_of(InternalError())


async def _refused(request: Request, error: DomainError) -> Response:
    _REFUSALS.labels(route_template(request.scope) or "unmatched", error.code).inc()
    return problem_of(error)


async def _not_valid(request: Request, error: RequestValidationError) -> Response:
    _REFUSALS.labels(route_template(request.scope) or "unmatched", errors.Invalid.code).inc()
    return problem_of(errors.Invalid(errors=field_errors(error.errors(), error.body)))


async def _refused_by_framework(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    headers = error.headers
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": allowed_methods(request)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    return problem(
        status,
        code=status.name.lower(),  # not_found, method_not_allowed
        title=status.phrase,
        detail=error.detail,
        headers=headers,
    )


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    DomainError: _refused,
    RequestValidationError: _not_valid,
    HTTPException: _refused_by_framework,
}
"""What ``FastAPI(exception_handlers=...)`` needs; all other exceptions reach ``shared.edge``."""


def _standard_members(status: int, code: str, title: str) -> dict[str, Any]:
    return {
        "type": TYPES + code,
        "title": title,
        "status": int(status),
        "detail": title,
        "instance": "urn:request:018f2d3c7b1a7c3e9d415f0c2b6a8e10",
        "code": code,
        "traceId": _NO_TRACE,
    }


def _shown(fault: FieldError) -> dict[str, str]:
    shown = {"path": fault.path, "code": fault.code, "message": fault.message}
    if fault.in_body:
        shown["pointer"] = pointer(fault.path)
    return shown


def _jsonable(value: Any) -> Any:
    """Writes in a problem's further members what an ``Answer`` would write in its fields."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):  # asyncpg gives ids as a subclass, which orjson does not take
        return str(value)
    raise TypeError(f"{type(value)} is not JSON")
