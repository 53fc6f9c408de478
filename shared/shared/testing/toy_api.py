"""An API with a route for every kind of input, to try what all services share."""

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from pydantic import Field, SecretStr, model_validator

from shared.app import create_app, new_router
from shared.auth import CurrentUser
from shared.errors import Conflict, NotFound
from shared.fields import (
    Answer,
    Body,
    Cents,
    Count,
    Currency,
    Cursor,
    Email,
    Flag,
    FromQuery,
    Id,
    Instant,
    Language,
    Limit,
    Line,
    LocalDate,
    LocalTime,
    Minutes,
    Name,
    Note,
    OneOf,
    Phone,
    Query,
    Weekday,
    ZoneId,
    wrong,
)
from shared.problems import problems
from shared.settings import ServiceSettings
from shared.testing.raw_http import RawAnswer, ask
from shared.testing.tokens import AUDIENCE, ISSUER, SERVICE_SECRET


class Mode(StrEnum):
    IN_PERSON = "in_person"
    VIDEO = "video"


class VisitTaken(Conflict):
    code = "visit_taken"
    title = "Somebody else has this visit"


class VisitNotFound(NotFound):
    code = "visit_not_found"
    title = "There is no such visit"


class Window(Body):
    start_local: LocalTime
    end_local: LocalTime

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end_local <= self.start_local:
            raise wrong("END_BEFORE_START", "End time must be after start time.")
        return self


class ByMail(Body):
    kind: Literal["mail"]
    address: Email


class ByPhone(Body):
    kind: Literal["phone"]
    number: Phone


class VisitIn(Body):
    provider_id: Id
    starts_at: Instant
    name: Name
    mode: OneOf[Mode] = Mode.IN_PERSON
    born_on: LocalDate | None = None
    zone: ZoneId = "UTC"
    title: Line | None = None
    reason: Note | None = None
    email: Email | None = None
    phone: Phone | None = None
    language: Language | None = None
    currency: Currency = "EUR"
    price_cents: Cents = 0
    duration: Minutes = 30
    guests: Count = 0
    weekday: Weekday | None = None
    urgent: Flag = False
    windows: list[Window] = Field(default_factory=list, max_length=10)
    contact: Annotated[ByMail | ByPhone, Field(discriminator="kind")] | None = None
    when: Instant | LocalDate | None = None


class VisitOut(Answer):
    id: UUID
    starts_at: Instant
    name: str
    born_on: LocalDate | None = None


class Wanted(Query):
    limit: Limit = 20
    cursor: Cursor | None = None
    since: Instant | None = None
    day: LocalDate | None = None
    at: LocalTime | None = None
    zone: ZoneId | None = None
    provider_id: Id | None = None
    mode: OneOf[Mode] | None = None
    named: Name | None = None
    language: Language | None = None
    currency: Currency | None = None
    urgent: Flag | None = None
    weekdays: list[Weekday] = Field(default_factory=list, max_length=7)


class Page(Answer):
    items: list[VisitOut]
    next_cursor: str | None = None


router = new_router("/v1/visits", tags=["visits"])


@router.post("", status_code=201, responses=problems(VisitTaken))
async def book_visit(visit: VisitIn, request: Request) -> VisitOut:
    """Stores any visit but Nobody's."""
    if visit.name == "Nobody":
        raise VisitTaken("Nobody has it.", alternatives=[visit.starts_at])
    stored = VisitOut(
        id=visit.provider_id,
        starts_at=visit.starts_at,
        name=visit.name,
        born_on=visit.born_on,
    )
    request.app.state.stored.append(visit)
    request.app.state.ever_stored += 1
    return stored


@router.get("")
async def list_visits(wanted: FromQuery[Wanted], request: Request) -> Page:
    """Takes every kind of parameter and finds nothing."""
    request.app.state.wanted = wanted
    return Page(items=[], next_cursor=wanted.cursor)


@router.get("/{visit_id}", responses=problems(VisitNotFound))
async def show_visit(visit_id: Id, request: Request) -> VisitOut:
    """The visit stored under this id."""
    visit = _find(request, visit_id)
    return VisitOut(id=visit_id, starts_at=visit.starts_at, name=visit.name)


@router.delete("/{visit_id}", status_code=204, responses=problems(VisitNotFound))
async def drop_visits(visit_id: Id, user: CurrentUser, request: Request) -> None:
    """For those who have a token."""
    _find(request, visit_id)
    stored = request.app.state.stored
    stored[:] = [visit for visit in stored if visit.provider_id != visit_id]


@router.get("/{visit_id}/guests/{number}", responses=problems(VisitNotFound))
async def show_guest(visit_id: Id, number: Count, request: Request) -> dict[str, int]:
    """A route with a number in its path."""
    _find(request, visit_id)
    return {"number": number}


def _find(request: Request, visit_id: UUID) -> VisitIn:
    for visit in request.app.state.stored:
        if visit.provider_id == visit_id:
            found: VisitIn = visit
            return found
    raise VisitNotFound


def toy_settings(
    jwks_file: Path, database_url: str = "postgresql://nobody@127.0.0.1:1/nothing"
) -> ServiceSettings:
    """Settings with which an app can start; nothing listens at their addresses."""
    return ServiceSettings(
        database_url=database_url,
        amqp_url="amqp://127.0.0.1:1/",
        auth_issuer=ISSUER,
        auth_audience=AUDIENCE,
        auth_jwks=str(jwks_file),
        service_secret=SecretStr(SERVICE_SECRET),
    )


def make_toy_api(
    settings: ServiceSettings, *, routers: Iterable[APIRouter] = (), **options: Any
) -> FastAPI:
    """The API, with an empty list ``app.state.stored`` and the given routers beside its own."""
    app = create_app(
        settings,
        service="toy",
        title="Toy",
        description="Every kind of input.",
        routers=[router, *routers],
        **options,
    )
    app.state.stored = []
    app.state.ever_stored = 0
    return app


GOOD_VISIT: dict[str, Any] = {
    "providerId": "018f2d3c-7b1a-7c3e-9d41-5f0c2b6a8e10",
    "startsAt": "2026-03-29T09:30:00+03:00",
    "name": "Anna",
}


async def book(app: FastAPI, body: Any = None, **changes: Any) -> RawAnswer:
    """Post ``body``, or a good visit with ``changes``, as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(GOOD_VISIT | changes if body is None else body).encode()
    return await ask(app, "POST", "/v1/visits", body=body)


async def assert_refused(
    app: FastAPI, answer: RawAnswer, status: int, path: str | None = None, code: str | None = None
) -> None:
    """A problem that names the field and quotes nothing, nothing stored, the next request fine."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].endswith(f"/{problem['code']}")
    if path is not None:
        found = [(error["path"], error["code"]) for error in problem["errors"]]
        assert problem["ok"] is False
        assert path in [each for each, _ in found], found
        assert code is None or (path, code) in found, found
    assert app.state.stored == []
    assert (await book(app)).status == 201
    app.state.stored.clear()
