"""How the double reads requests and writes answers."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

import orjson
from aiohttp import web

from . import views
from .mailbox import Json

_ZONE = re.compile(r'outlook\.timezone="([^"]+)"')


class GraphError(Exception):
    def __init__(self, status: int, code: str, **headers: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers


def answer(body: Json, status: int = 200, **headers: str) -> web.Response:
    headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", headers=headers
    )


async def body_of(request: web.Request) -> Json:
    if request.content_type != "application/json":
        raise GraphError(415, "Request_BadRequest")
    found: Json = orjson.loads(await request.read())
    return found


def preferences(request: web.Request) -> str:
    return ", ".join(request.headers.getall("Prefer", []))


def wished_zone(request: web.Request) -> str | None:
    """Without the immutable preference an id would change, so nobody may forget it."""
    if 'IdType="ImmutableId"' not in preferences(request):
        raise GraphError(400, "ErrorInvalidIdMalformed")
    wished = _ZONE.search(preferences(request))
    return wished[1] if wished else None


def window_of(request: web.Request) -> views.Window:
    start, end = (
        datetime.fromisoformat(request.query[name]) for name in ("startDateTime", "endDateTime")
    )
    return start, end


def times_of(body: Json) -> Json:
    """``start`` and ``length``, when the body has them."""
    if "start" not in body:
        return {}
    start, end = (views.parsed_time(body[name]) for name in ("start", "end"))
    if end < start:
        raise GraphError(400, "ErrorPropertyValidationFailure")
    if body.get("isAllDay") and not all(views.is_midnight(body[each]) for each in ("start", "end")):
        raise GraphError(400, "ErrorInvalidRequest")
    return {"start": start, "length": end - start}


def properties_of(body: Json) -> dict[str, str]:
    return {each["id"]: each["value"] for each in body.get("singleValueExtendedProperties", [])}


def fields_of(body: Json) -> Json:
    known = ("subject", "body", "location", "isAllDay", "showAs")
    return {name: body[name] for name in known if name in body}
