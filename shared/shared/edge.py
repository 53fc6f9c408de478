"""The outermost layer of an API: addresses are checked on the way in, answers on the way out."""

import asyncio
import re
from urllib.parse import unquote_to_bytes

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import BadRequest, FieldError, Unavailable
from shared.places import plain
from shared.problems import problem_of, problem_of_failure

_ENCODED = re.compile(rb"[^\x21-\x7e]|%")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# The gateway and the router would read these as different paths.
_AMBIGUOUS = re.compile(rb"%2f|%5c|(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_TWO_MEANINGS = ("AMBIGUOUS", "Has an encoded slash, or a segment of dots only.")
_PATH = "path"


class InvalidUrl(BadRequest):
    """The address is broken, holds what no address should, or could be read in two ways."""

    code = "invalid_url"
    title = "The address is malformed"


class Edge:
    """Refuses odd addresses, answers HEAD as GET without the body, lets nobody store an answer that
    does not say that it may be stored, keeps no connection once the process is to end, and turns
    every exception into a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            _check_address(scope)
        except InvalidUrl as refusal:
            await problem_of(refusal)(scope, receive, answer.send)
            return
        if answer.is_head:
            scope["method"] = "GET"
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return  # nobody is left to answer
        except asyncio.CancelledError:
            # The server is to end, and has waited for this request for as long as it may.
            if answer.has_begun or not scope["app"].state.draining.has_begun:
                raise
            broken_off = Unavailable("broken off because this process ends", retry_after=1)
            await problem_of(broken_off)(scope, receive, answer.send)
        except Exception as error:  # the outermost loop of a request
            if answer.is_cut:
                return
            response = problem_of_failure(error)
            if answer.has_begun:
                raise  # too late for another answer: the server cuts the connection
            await response(scope, receive, answer.send)


class _HeadAnswered(Exception):
    """Ends a stream that goes on and on, once its headers are known."""


class _Answer:
    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.is_head = scope["method"] == "HEAD"
        self.has_begun = False
        self.is_cut = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            # The server sends no body, and metrics say HEAD, only when the scope says so again.
            if self.is_head:
                self._scope["method"] = "HEAD"
            headers = MutableHeaders(raw=list(message["headers"]))
            headers.setdefault("cache-control", "no-store")
            headers.setdefault("x-content-type-options", "nosniff")
            if self._scope["app"].state.draining.has_begun:
                # The next request shall go elsewhere.
                headers["connection"] = "close"
            message["headers"] = headers.raw
        elif self.is_head and message["type"] == "http.response.body":
            await self._send({"type": "http.response.body"})
            if message.get("more_body"):
                self.is_cut = True
                raise _HeadAnswered
            return
        await self._send(message)


def _check_address(scope: Scope) -> None:
    raw_path: bytes = scope.get("raw_path") or b""
    if _AMBIGUOUS.search(raw_path):
        raise InvalidUrl(errors=[_field_error(_PATH, _TWO_MEANINGS)])
    if _ENCODED.search(raw_path) and (fault := _fault(raw_path)):
        raise InvalidUrl(errors=[_field_error(_PATH, fault)])
    query: bytes = scope["query_string"]
    if _ENCODED.search(query):
        for part in query.replace(b"+", b" ").split(b"&"):
            if fault := _fault(part):
                name = part.partition(b"=")[0].decode("latin-1")
                raise InvalidUrl(errors=[_field_error(plain(name), fault)])


def _fault(encoded: bytes) -> tuple[str, str] | None:
    if _BROKEN_ESCAPE.search(encoded):
        return "BROKEN_ESCAPE", "A % is not followed by two hexadecimal digits."
    try:
        text = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        return "NOT_UTF8", "Is not UTF-8."
    if _CONTROL.search(text):
        return "FORBIDDEN_CHARACTER", "Contains a control character."
    return None


def _field_error(path: str, fault: tuple[str, str]) -> FieldError:
    code, message = fault
    return FieldError(path, code, message, in_body=False)
