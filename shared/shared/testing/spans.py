"""What a test sees of traces: the spans of its own process, and a collector for those of others."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from shared.observability.recording import Sampling, recording

_LONGEST_HOLD = 10.0
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class SeenSpan:
    """A span in the words of our own code."""

    name: str
    kind: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: dict[str, Any]
    has_failed: bool
    texts: tuple[str, ...] = ()
    """What a span can hold besides: events, and the text of its status."""


@dataclass
class Seen:
    """Spans in the order in which they ended."""

    spans: list[SeenSpan] = field(default_factory=list)

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> SeenSpan:
        [span] = self.named(name)
        return span

    def of_trace(self, trace_id: str) -> "Seen":
        return Seen([span for span in self.spans if span.trace_id == trace_id])

    def above(self, span: SeenSpan) -> list[SeenSpan]:
        """Its parent, its parent's parent, and so on as far as they were seen."""
        by_id = {each.span_id: each for each in self.spans}
        line = []
        while span.parent_id in by_id:
            span = by_id[span.parent_id]
            line.append(span)
        return line

    def told(self) -> str:
        """Everything that all of them say, to look for what none may."""
        return repr([(span.name, span.attributes, span.texts) for span in self.spans])


@contextmanager
def recorded(sampler: str = "always_on", share: float = 1.0) -> Iterator[Seen]:
    """The spans of this process, as its code has made them: before anything is removed."""
    seen = Seen()
    with recording(SimpleSpanProcessor(_Keep(seen)), Sampling.of(sampler, share)):
        yield seen


class _Keep(SpanExporter):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            assert span.context is not None
            self._seen.spans.append(
                SeenSpan(
                    name=span.name,
                    kind=span.kind.name.lower(),
                    service="",
                    trace_id=f"{span.context.trace_id:032x}",
                    span_id=f"{span.context.span_id:016x}",
                    parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
                    attributes=dict(span.attributes or {}),
                    has_failed=not span.status.is_ok and not span.status.is_unset,
                    texts=(*map(repr, span.events), span.status.description or ""),
                )
            )
        return SpanExportResult.SUCCESS


class Collector:
    """An OTLP/HTTP receiver; ``hold`` makes it slower than anybody should wait for."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.requests = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["Collector"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go_on.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def hold(self) -> None:
        """It takes requests and does not answer, for ten seconds or until ``go_on``."""
        self.go_on.clear()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests += 1
                if not collector.go_on.wait(_LONGEST_HOLD):
                    collector.go_on.set()
                if self.path == "/v1/traces":
                    collector.seen.spans += _decoded(content)
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # whoever has sent it is gone

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _decoded(content: bytes) -> list[SeenSpan]:
    request = ExportTraceServiceRequest.FromString(content)
    found = []
    for resource in request.resource_spans:
        about = _plain(resource.resource.attributes)
        for scope in resource.scope_spans:
            found += [
                SeenSpan(
                    name=span.name,
                    kind=_KINDS[span.kind],
                    service=str(about["service.name"]),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex() or None,
                    attributes=_plain(span.attributes),
                    has_failed=span.status.code == 2,
                    texts=(*map(repr, span.events), span.status.message, repr(about)),
                )
                for span in scope.spans
            ]
    return found


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
