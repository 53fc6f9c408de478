"""What can be seen of a running process: JSON log lines, trace context and metrics."""

from shared.observability.event_loop import watched_event_loop
from shared.observability.logs import configure_logging, logger
from shared.observability.metrics import metrics_response
from shared.observability.requests import RequestContextMiddleware, route_template
from shared.observability.trace import (
    current_request_id,
    current_trace_id,
    current_traceparent,
    note_user,
    trace_context,
)

__all__ = [
    "RequestContextMiddleware",
    "configure_logging",
    "current_request_id",
    "current_trace_id",
    "current_traceparent",
    "logger",
    "metrics_response",
    "note_user",
    "route_template",
    "trace_context",
    "watched_event_loop",
]
