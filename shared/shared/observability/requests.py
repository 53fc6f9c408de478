"""Every HTTP request gets its ids, one log line at its end, and its place in the metrics."""

import os
import re
from time import perf_counter
from typing import Any, Final

from prometheus_client import Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.observability.logs import logger
from shared.observability.trace import TraceContext, begin, current

_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time until the answer began, by route template.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_IN_FLIGHT = Gauge("http_requests_in_flight", "Requests whose answer has not ended.")

_SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_UNMATCHED: Final = "unmatched"


class RequestContextMiddleware:
    """Goes outermost, so that even the answer to a crash carries its request id.

    The log line has the route's template and never the path or the query: both may hold tokens.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._series: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
            return
        if scope["type"] == "websocket":
            current.set(_context_of(scope))
        await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        context = _context_of(scope)
        token = current.set(context)
        status, failure = 0, None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = context.request_id or ""
                # A new list, because a route may answer with one Response object again and again.
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
                self._observe(scope, status, perf_counter() - started)
            await send(message)

        _IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, send_with_id)
        except BaseException as error:
            # The context stays: the server logs the traceback next, and the ids belong to it.
            _log(scope, status or 500, started)
            failure = type(error).__name__
            raise
        else:
            _log(scope, status, started)
            current.reset(token)
        finally:
            _IN_FLIGHT.dec()
            if context.recorded is not None:
                _tell(context, scope, status or 500, failure)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"]
        key = (
            method if method in _METHODS else "OTHER",
            route_template(scope) or _UNMATCHED,
            status // 100,
        )
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _DURATION.labels(key[0], key[1], f"{key[2]}xx")
        series.observe(seconds)


def route_template(scope: Scope) -> str | None:
    """``/v1/appointments/{appointment_id}``, or None when no route matched."""
    # A router that was included under a prefix knows its whole template only in this context.
    context = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(context or scope.get("route"), "path_format", None)


def _context_of(scope: Scope) -> TraceContext:
    """Who comes through a proxy comes from outside: our services call each other directly."""
    request_id: str | None = None
    traceparent: str | None = None
    ours = True
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if _SAFE_REQUEST_ID.fullmatch(value):
                request_id = value.decode("ascii")
        elif name == b"traceparent":
            traceparent = value.decode("latin-1")
        elif name == b"x-forwarded-for":
            ours = False
    if scope["type"] == "websocket" or scope["path"] in _PROBES:
        # A socket lives for an hour, a probe comes every few seconds: ids for the log, no span.
        caller = TraceContext.of(traceparent)
        trace_id = caller.trace_id if caller else os.urandom(16).hex()
        context = TraceContext(trace_id, os.urandom(8).hex())
    else:
        context = begin("request", "server", traceparent=traceparent, ours=ours)
    context.request_id = request_id or os.urandom(16).hex()
    return context


def _tell(context: TraceContext, scope: Scope, status: int, failure: str | None) -> None:
    """No path, no query, no address, no header: the route's template says what was asked."""
    method = scope["method"] if scope["method"] in _METHODS else "HTTP"
    route = route_template(scope)
    context.tell("http.request.method", method if method in _METHODS else "_OTHER")
    context.tell("http.response.status_code", status)
    if route is not None:
        context.tell("http.route", route)
    if status >= 500:
        context.fail(failure or str(status))
    context.end(f"{method} {route}" if route else method)


def _log(scope: Scope, status: int, started: float) -> None:
    route = route_template(scope)
    if route in _PROBES and status < 500:
        return
    log = logger.error if status >= 500 else logger.info
    log(
        "request",
        method=scope["method"],
        route=route or _UNMATCHED,
        status=status,
        ms=round((perf_counter() - started) * 1000, 2),
    )
