"""What can be seen of a running process: JSON log lines, trace context and metrics."""

from shared.observability.event_loop import watched_event_loop
from shared.observability.logs import configure_logging, logger
from shared.observability.metrics import metrics_response
from shared.observability.requests import RequestContextMiddleware, route_template
from shared.observability.trace import (
    TraceContext,
    begin,
    current_request_id,
    current_trace_id,
    current_traceparent,
    note_user,
    step,
    story,
    within,
)

__all__ = [
    "RequestContextMiddleware",
    "TraceContext",
    "begin",
    "configure_logging",
    "current_request_id",
    "current_trace_id",
    "current_traceparent",
    "logger",
    "metrics_response",
    "note_user",
    "route_template",
    "step",
    "story",
    "watched_event_loop",
    "within",
]
