"""One JSON object a line on standard output, from our own code and from every library."""

import logging
import re
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from shared.observability.crashes import description_of
from shared.observability.trace import current

logger: FilteringBoundLogger = structlog.get_logger()

# A name is compared without case and underscores, so patient_name is patientName is PatientName.
_PERSONAL_NAMES = re.compile(
    "body|displayname|firstname|fullname|lastname|mail|message|name|patientname|path|providername"
    "|query|reason|recipients?|surname|url|username"
)
_PERSONAL_PARTS = re.compile(
    "address|authorization|birth|contact|cookie|email|mobile|note|password|phone|secret|ssn|token"
)
_REMOVED = "[removed]"


def configure_logging(service: str, level: str) -> None:
    """From now on every line of this process is JSON and names ``service``."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _stamp(service),
        _describe_exception,
        remove_personal_fields,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.BytesLoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries say too much below this, some of them with the data they handle.
    root.setLevel(logging.WARNING)
    # uvicorn has put handlers of its own on its loggers before it could import the app.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    logging.getLogger("uvicorn").setLevel(level)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)


def remove_personal_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The last line of defence: a field whose name says that it is personal loses its value."""
    for name, value in event.items():
        if _is_personal(name):
            event[name] = _REMOVED
        elif isinstance(value, dict | list | tuple):
            event[name] = _cleaned(value)
    return event


@lru_cache(maxsize=1024)
def _is_personal(name: str) -> bool:
    plain = name.replace("_", "").replace("-", "").lower()
    return bool(_PERSONAL_NAMES.fullmatch(plain) or _PERSONAL_PARTS.search(plain))


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _REMOVED if _is_personal(str(name)) else _cleaned(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value


def _stamp(service: str) -> Processor:
    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["at"] = datetime.now(UTC)
        event["service"] = service
        context = current.get()
        if context is not None:
            event["trace_id"] = context.trace_id
            event["span_id"] = context.span_id
            if context.request_id is not None:
                event["request_id"] = context.request_id
            if context.user_id is not None:
                event["user_id"] = context.user_id
        return event

    return stamp


def _describe_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = description_of(error)
    return event


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["logger"] = event["_record"].name
    event["event"] = event["event"].strip()
    return event


def _to_bytes(event: EventDict, **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _to_text(event: EventDict, **_: Any) -> str:
    return _to_bytes(event).decode()
