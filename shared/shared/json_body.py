"""How a request's body is read: strict JSON, of limited size, or not at all."""

import json
import math
import re
from collections.abc import AsyncGenerator, Iterable
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request

from shared.errors import BadRequest, FieldError
from shared.places import dotted

MOST_BYTES = 256 * 1024
DEEPEST = 32
MOST_VALUES = 10_000
LONGEST_NAME = 128
LIMITS = "body_limits"
"""Where a request's scope has the limits of its route."""
_INT64 = 2**63

_JSON = "application/json"
_SURROGATE = re.compile("[\ud800-\udfff]")


class Limits(NamedTuple):
    """What a body may have at most; what is read costs time, whoever sent it."""

    bytes: int
    values: int


USUAL_LIMITS = Limits(MOST_BYTES, MOST_VALUES)


class InvalidJson(BadRequest):
    """The body is no JSON that every reader would understand in the same way."""

    code = "invalid_json"
    title = "The body is not valid JSON"


class UnsupportedBody(BadRequest):
    """The body has a media type or an encoding that is not read here."""

    code = "unsupported_media_type"
    title = "The body must be application/json in UTF-8, without a Content-Encoding"


class BodyTooLarge(BadRequest):
    """The body is longer than the route reads, whatever its headers say."""

    code = "body_too_large"
    title = "The body is too large"


class CheckedRequest(Request):
    """A request whose body is never longer than its route allows and whose JSON is strict."""

    _parsed: Any
    _has_parsed = False

    @property
    def _limits(self) -> "Limits":
        limits: Limits = self.scope[LIMITS]
        return limits

    async def stream(self) -> AsyncGenerator[bytes, None]:
        most = self._limits.bytes
        announced = self.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
            raise BodyTooLarge(f"A body may have at most {most} bytes.")
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > most:
                raise BodyTooLarge(f"A body may have at most {most} bytes.")
            yield chunk

    async def json(self) -> Any:
        """The parsed body; None when there is none."""
        if not self._has_parsed:
            raw = await self.body()
            if raw:
                check_media_type(self.headers)
            most = self._limits.values
            self._parsed = parse_json(raw, most_values=most) if raw else None
            self._has_parsed = True
        return self._parsed


def check_media_type(headers: Headers) -> None:
    """Raises ``UnsupportedBody`` unless the body is plain ``application/json`` in UTF-8."""
    encodings = headers.getlist("content-encoding")
    if encodings and any(each.strip().lower() != "identity" for each in encodings):
        raise UnsupportedBody
    types = headers.getlist("content-type")
    if types != [_JSON] and not (len(types) == 1 and _is_json(types[0])):
        raise UnsupportedBody


def _is_json(content_type: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type != _JSON and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return False
    return all(
        not parameter or parameter in ("charset=utf-8", 'charset="utf-8"')
        for parameter in parameters
    )


def parse_json(raw: bytes, *, most_values: int = MOST_VALUES) -> Any:
    """The value of ``raw``; ``InvalidJson`` for what two readers could understand differently."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
        # Surrogates and NUL come only from escapes: raw ones are neither UTF-8 nor JSON.
        _inspect([value], 0, most_values, odd_text=b"\\u" in raw)
    except UnicodeDecodeError:
        fault = _Fault("NOT_UTF8", "The body is not UTF-8.")
    except json.JSONDecodeError as error:
        fault = _Fault("SYNTAX", f"Not JSON at line {error.lineno}, column {error.colno}.")
    except RecursionError:
        fault = _TOO_DEEP
    except ValueError:  # int() refuses thousands of digits
        fault = _NUMBER_TOO_LARGE
    except _Found as found:
        fault, place = found.fault, found.place[1:]
        raise InvalidJson(fault.message, errors=[_field_error(fault, place)]) from None
    else:
        return value
    raise InvalidJson(fault.message, errors=[_field_error(fault, [])])


class _Fault(NamedTuple):
    code: str
    message: str


_TOO_DEEP = _Fault("TOO_DEEP", f"Nested deeper than {DEEPEST} levels.")
_TOO_MANY_VALUES = _Fault("TOO_MANY_VALUES", "There are too many values.")
_NAME_TOO_LONG = _Fault("NAME_TOO_LONG", f"A name is longer than {LONGEST_NAME} characters.")
_NAME_TWICE = _Fault("NAME_TWICE", "The same name occurs twice in one object.")
_NUMBER_TOO_LARGE = _Fault("NUMBER_TOO_LARGE", "A number does not fit into 64 bits.")
_NOT_FINITE = _Fault("NOT_FINITE", "A number is not finite.")
_FORBIDDEN_CHARACTER = _Fault("FORBIDDEN_CHARACTER", "Contains NUL or half a character.")


class _Found(Exception):
    """A fault on its way up; every level puts its own step before the place."""

    def __init__(self, fault: _Fault, *place: str | int) -> None:
        super().__init__(fault)
        self.fault = fault
        self.place = list(place)


class _Twice(NamedTuple):
    """Stands where an object has a name twice, until the inspection knows the place."""

    name: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    return _Twice(next(name for name in names if names.count(name) > 1))


def _number(text: str) -> int | float:
    # 7.0 is an integer in JSON Schema, so in OpenAPI too.
    number = float(text)
    return int(number) if number.is_integer() else number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number)


def _inspect(
    container: dict[str, Any] | list[Any], depth: int, most_values: int, *, odd_text: bool
) -> int:
    """The number of values inside; raises ``_Found`` at the first that may not be there."""
    if depth > DEEPEST:
        raise _Found(_TOO_DEEP)
    values = len(container)
    if type(container) is dict:
        for name in container:
            if len(name) > LONGEST_NAME:
                raise _Found(_NAME_TOO_LONG)
            if odd_text and _is_odd(name):
                raise _Found(_FORBIDDEN_CHARACTER)
        steps: Iterable[tuple[str | int, Any]] = container.items()
    else:
        steps = enumerate(container)
    for step, value in steps:
        kind = type(value)
        if kind is str:
            if odd_text and _is_odd(value):
                raise _Found(_FORBIDDEN_CHARACTER, step)
        elif kind is dict or kind is list:
            try:
                values += _inspect(value, depth + 1, most_values, odd_text=odd_text)
            except _Found as found:
                found.place.insert(0, step)
                raise
        elif kind is int:
            if not -_INT64 <= value < _INT64:
                raise _Found(_NUMBER_TOO_LARGE, step)
        elif kind is float:
            if not math.isfinite(value):
                raise _Found(_NOT_FINITE, step)
        elif kind is _Twice:
            raise _Found(_NAME_TWICE, step, value.name)
    if values > most_values:
        raise _Found(_TOO_MANY_VALUES)
    return values


def _is_odd(text: str) -> bool:
    return "\0" in text or (not text.isascii() and _SURROGATE.search(text) is not None)


def _field_error(fault: _Fault, place: list[str | int]) -> FieldError:
    return FieldError(dotted(place), fault.code, fault.message)
