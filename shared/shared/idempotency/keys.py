"""The ``Idempotency-Key`` of a request: how it is written, and what it is bound to."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import orjson
from starlette.requests import Request

from shared.errors import BadRequest, Conflict, Invalid
from shared.fields import Body
from shared.fields.parsed import Parsed, wrong
from shared.observability import route_template

LONGEST_KEY = 255
KEY_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_KEY,
    "pattern": "^[ -~]+$",
    "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
}

_PRINTABLE = re.compile(r"[ -~]{1,255}")
# A structured-field string (RFC 8941), as the draft wants the header; the quotes are not the key's.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


class IdempotencyKeyRequired(BadRequest):
    code = "idempotency_key_required"
    title = "This request needs an Idempotency-Key"


class IdempotencyKeyInvalid(BadRequest):
    code = "idempotency_key_invalid"
    title = "An Idempotency-Key has 1 to 255 printable ASCII characters and is given once"


class IdempotencyKeysDiffer(BadRequest):
    code = "idempotency_keys_differ"
    title = "The Idempotency-Key header and idempotencyKey in the body differ"


class IdempotencyKeyReused(Invalid):
    """The key belongs to another request of the same caller."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for another request"


class RequestInProgress(Conflict):
    """The first request with this key is still being worked on."""

    code = "request_in_progress"
    title = "The first request with this Idempotency-Key has not ended"
    retry_after = 1


def _parse_field(value: Any) -> str:
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise wrong("NOT_A_KEY", "Write 1 to 255 printable ASCII characters.")
    return value


class KeyedBody(Body):
    """A body that may carry its Idempotency-Key itself; the header is the usual place."""

    idempotency_key: Annotated[str, Parsed(_parse_field, KEY_SCHEMA)] | None = None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes two requests the same one."""

    caller: UUID
    operation: str
    key: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """The number of the advisory lock that a request holds while it is worked on."""
        named = f"medic.idempotency\0{self.caller}\0{self.operation}\0{self.key}"
        return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], signed=True)


async def key_of(request: Request, caller: UUID) -> RequestKey | None:
    """None when the request carries no key, in neither place."""
    headers = [_from_header(value) for value in request.headers.getlist("idempotency-key")]
    content = await request.json() if await request.body() else None
    in_body = None
    if isinstance(content, dict):
        content = dict(content)
        in_body = content.pop("idempotencyKey", None)
    if in_body is not None and not (isinstance(in_body, str) and _PRINTABLE.fullmatch(in_body)):
        raise IdempotencyKeyInvalid
    if len(headers) > 1:
        raise IdempotencyKeyInvalid
    if headers and in_body is not None and headers[0] != in_body:
        raise IdempotencyKeysDiffer
    key = headers[0] if headers else in_body
    if key is None:
        return None
    operation = f"{request.method} {route_template(request.scope)}"
    return RequestKey(caller, operation, key, _fingerprint(request, operation, content))


def _from_header(value: str) -> str:
    value = value.strip(" \t")
    if value.startswith('"'):
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            raise IdempotencyKeyInvalid
        value = re.sub(r"\\(.)", r"\1", quoted.group(1))
    if not _PRINTABLE.fullmatch(value):
        raise IdempotencyKeyInvalid
    return value


def _fingerprint(request: Request, operation: str, content: Any) -> bytes:
    """The same for two requests exactly when they ask for the same thing."""
    query = request.scope["query_string"].decode("latin-1")
    asked = [operation, request.path_params, query, content]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()
