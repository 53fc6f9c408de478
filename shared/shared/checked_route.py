"""The route class of every router: bounded, strict input, and a transaction that is tried again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from shared.database_trouble import DatabaseError, is_undone, undone_pause
from shared.errors import FieldError, Invalid
from shared.field_errors import MOST_ERRORS
from shared.fields.bounds import check_answer, check_body, check_parameter
from shared.json_body import LIMITS, USUAL_LIMITS, CheckedRequest, Limits
from shared.places import plain

TRIES = 4
_SHORTCUT = "shortcut"

_RETRIED = Counter(
    "transactions_retried", "Requests done again after a deadlock or a serialization failure."
)

_Door = Callable[[Request], Awaitable[Any]]
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_Model = TypeVar("_Model", bound=BaseModel)
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])
Shortcut = Callable[[CheckedRequest], Awaitable[Response | None]]


def first_tries(shortcut: Shortcut) -> Callable[[_Endpoint], _Endpoint]:
    """Decorates an endpoint whose answer may be known before its input is read.

    None from the shortcut means the long way, and that it has done nothing. It sees requests that
    nothing has been checked of, the caller's token included, so it asks ``caller(request)`` before
    it answers, and ``body_of`` for the input.
    """

    def mark(endpoint: _Endpoint) -> _Endpoint:
        endpoint.__dict__[_SHORTCUT] = shortcut
        return endpoint

    return mark


def reads_up_to(
    most_bytes: int, *, most_values: int = USUAL_LIMITS.values
) -> Callable[[_Endpoint], _Endpoint]:
    """Decorates an endpoint whose body has other limits than the usual ones."""

    def mark(endpoint: _Endpoint) -> _Endpoint:
        endpoint.__dict__[LIMITS] = Limits(most_bytes, most_values)
        return endpoint

    return mark


class CheckedRoute(APIRoute):
    """Reads JSON strictly, knows all its query parameters, and does its work again when PostgreSQL
    has undone it for a rival's sake. Whoever writes such a route gives every input a bound."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        where = f"{path} {self.name}"
        for dependant in _with_dependencies(self.dependant):
            for field in (
                *dependant.path_params,
                *dependant.query_params,
                *dependant.header_params,
                *dependant.cookie_params,
            ):
                check_parameter(field.field_info, f"{where}: {field.alias}")
        if self.body_field is not None:
            check_body(self.body_field.field_info, f"{where}: {self.body_field.alias}")
        if self.response_field is not None:
            check_answer(self.response_field.field_info, f"{where}: answer")

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()
        reads_json = self.body_field is not None and not isinstance(
            self.body_field.field_info, params.Form
        )
        parameters = _QueryParameters(self.dependant)
        shortcut: Shortcut | None = getattr(self.endpoint, _SHORTCUT, None)

        limits: Limits = getattr(self.endpoint, LIMITS, USUAL_LIMITS)
        doors = tuple(_doors(self.dependant))

        async def checked(request: Request) -> Response:
            request.scope[LIMITS] = limits
            request = CheckedRequest(request.scope, request.receive, request._send)
            if shortcut is not None and (answer := await _tried(shortcut, request)) is not None:
                return answer
            # Before anything is read, and before a dependency takes a connection: nobody who has no
            # token shall cost those who have one. The second look at a token costs nothing.
            for asks_who_calls in doors:
                await asks_who_calls(request)
            parameters.check(request.scope["query_string"])
            if reads_json:
                await request.json()
            return await _done(handle, request)

        return checked


async def body_of(request: CheckedRequest, model: type[_Model]) -> _Model | None:
    """For a shortcut: the body, when that and nothing else was sent, and every rule is kept.

    None leaves it to the long way to say what is wrong.
    """
    if request.scope["query_string"] or request.path_params:
        return None
    try:
        return model.model_validate(await request.json())
    except ValidationError:
        return None


async def _tried(shortcut: Shortcut, request: CheckedRequest) -> Response | None:
    """What PostgreSQL has undone for a rival's sake is done again the long way."""
    try:
        return await shortcut(request)
    except DatabaseError as error:
        if not is_undone(error):
            raise
        await _pause(1)
        return None


async def _done(handle: _Handler, request: Request) -> Response:
    """Each try has dependencies of its own, closed before the answer leaves: a failing commit is an
    exception here, never a 200."""
    for number in range(1, TRIES + 1):
        try:
            async with AsyncExitStack() as dependencies:
                request.scope["fastapi_function_astack"] = dependencies
                response = await handle(request)
        except DatabaseError as error:
            if number == TRIES or not is_undone(error):
                raise
            await _pause(number)
        else:
            return response
    raise AssertionError("the last try returns or raises")


async def _pause(times_undone: int) -> None:
    _RETRIED.inc()
    await asyncio.sleep(undone_pause(times_undone))


def _doors(dependant: Dependant) -> Iterator[_Door]:
    for each in _with_dependencies(dependant):
        if isinstance(each.call, SecurityBase):
            yield cast(_Door, each.call)


class _QueryParameters:
    """The names that a route knows, and which of them may occur more than once."""

    def __init__(self, dependant: Dependant) -> None:
        self._names: set[str] = set()
        self._lists: set[str] = set()
        self._takes_any = False
        for each in _with_dependencies(dependant):
            for field in each.query_params:
                self._learn(field.alias, field.field_info.annotation)

    def _learn(self, name: str, annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            self._takes_any |= annotation.model_config.get("extra") != "forbid"
            for inner_name, field in annotation.model_fields.items():
                self._learn(field.alias or inner_name, field.annotation)
        else:
            self._names.add(name)
            if _is_list(annotation):
                self._lists.add(name)

    def check(self, query: bytes) -> None:
        """Raises ``Invalid`` for names that are unknown or occur twice."""
        if not query:
            return
        faults: list[FieldError] = []
        seen: set[str] = set()
        for name, _ in parse_qsl(query.decode("ascii"), keep_blank_values=True):
            if name not in self._names and not self._takes_any:
                faults.append(_fault(name, "UNKNOWN_FIELD", "There is no such parameter here."))
            elif name in seen and name not in self._lists:
                faults.append(_fault(name, "REPEATED", "Must not occur more than once."))
            seen.add(name)
            if len(faults) == MOST_ERRORS:
                break
        if faults:
            raise Invalid(errors=faults)


def _fault(name: str, code: str, message: str) -> FieldError:
    return FieldError(plain(name), code, message, in_body=False)


def _is_list(annotation: Any) -> bool:
    kinds = (annotation, *getattr(annotation, "__args__", ()))
    return any(getattr(kind, "__origin__", kind) in (list, set, tuple) for kind in kinds)


def _with_dependencies(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _with_dependencies(inner)
