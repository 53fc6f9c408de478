"""The one module that knows OpenTelemetry's SDK; imported only where traces are exported.

Spans wait in a queue of fixed length and are sent by a thread of their own: a collector that is
slow or away costs spans, never a request.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.status import Status, StatusCode
from prometheus_client import Counter

from shared.observability.attributes import allowed, is_harmless
from shared.observability.logs import logger
from shared.observability.trace import (
    NOT_SAMPLED,
    SAMPLED,
    Attributes,
    Kind,
    TraceContext,
    recorded_by,
)
from shared.settings import ServiceSettings

_SPANS = Counter(
    "trace_spans_total", "Spans that were recorded, by what became of them.", ["outcome"]
)

_QUEUE = 2048
_BATCH = 512
_EVERY_MS = 2000
_FLUSH_SECONDS = 2.0

_ROOT = Context()
_SAMPLED_FLAGS = TraceFlags(TraceFlags.SAMPLED)
_ERROR = Status(StatusCode.ERROR)
_KINDS = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


@asynccontextmanager
async def exporting(settings: ServiceSettings, url: str, service: str) -> AsyncIterator[None]:
    """Spans go to the collector at ``url``; what is left at the end has two seconds for that."""
    # What becomes of exports is counted and told here, once for an outage and without addresses.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    queue = SpanQueue(OTLPSpanExporter(endpoint=url), size=_QUEUE, every_ms=_EVERY_MS)
    resource = Resource.create(
        {
            "service.name": settings.otel_service_name or service,
            "service.namespace": "medic",
            "deployment.environment.name": settings.environment,
        }
    )
    sampling = Sampling.of(settings.otel_traces_sampler, settings.otel_traces_sampler_arg)
    logger.info("traces_exported", sampler=settings.otel_traces_sampler)
    try:
        with recording(queue, sampling, resource):
            yield
    finally:
        await queue.close(_FLUSH_SECONDS)


@contextmanager
def recording(
    processor: SpanProcessor, sampling: "Sampling", resource: Resource | None = None
) -> Iterator[None]:
    """Inside, the spans of this process go to ``processor``."""
    provider = TracerProvider(
        sampler=_AtTheHead(sampling.root), resource=resource, shutdown_on_exit=False
    )
    provider.add_span_processor(processor)
    with recorded_by(_Recorder(provider, sampling)):
        yield


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which stories are recorded; decided where a story enters the system."""

    root: Sampler
    by_parent: bool

    @classmethod
    def of(cls, name: str, share: float) -> "Sampling":
        """By the names of OTEL_TRACES_SAMPLER."""
        roots: dict[str, Sampler] = {
            "always_on": ALWAYS_ON,
            "always_off": ALWAYS_OFF,
            "traceidratio": TraceIdRatioBased(share),
        }
        return cls(roots[name.removeprefix("parentbased_")], name.startswith("parentbased_"))

    def takes(self, caller: TraceContext, *, ours: bool) -> bool:
        """The word of one of our own services counts; that of an outsider never does."""
        if ours and self.by_parent:
            return caller.is_sampled
        result = self.root.should_sample(None, int(caller.trace_id, 16), "")
        return result.decision is not Decision.DROP


class _AtTheHead(Sampler):
    """Only what begins a trace is still to be decided: nothing is begun below an unsampled span."""

    def __init__(self, root: Sampler) -> None:
        self._root = root

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if parent_context is _ROOT:
            return self._root.should_sample(None, trace_id, name, kind, attributes)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return self._root.get_description()


class _Recorder:
    def __init__(self, provider: TracerProvider, sampling: Sampling) -> None:
        self._tracer = provider.get_tracer("medic")
        self._sampling = sampling

    def begin(
        self, name: str, kind: Kind, attributes: Attributes, caller: TraceContext | None, ours: bool
    ) -> TraceContext:
        if caller is None:
            return _context_of(
                self._tracer.start_span(name, _ROOT, _KINDS[kind], attributes=dict(attributes))
            )
        if not self._sampling.takes(caller, ours=ours):
            return TraceContext(caller.trace_id, os.urandom(8).hex())
        return self._below(name, kind, attributes, caller, is_remote=True)

    def step(
        self, name: str, kind: Kind, attributes: Attributes, parent: TraceContext
    ) -> TraceContext:
        context = self._below(name, kind, attributes, parent, is_remote=False)
        context.request_id, context.user_id = parent.request_id, parent.user_id
        return context

    def _below(
        self, name: str, kind: Kind, attributes: Attributes, parent: TraceContext, is_remote: bool
    ) -> TraceContext:
        ids = int(parent.trace_id, 16), int(parent.span_id, 16)
        above = SpanContext(*ids, is_remote, _SAMPLED_FLAGS)
        place = set_span_in_context(NonRecordingSpan(above), _ROOT)
        return _context_of(
            self._tracer.start_span(name, place, _KINDS[kind], attributes=dict(attributes))
        )


def _context_of(span: Span) -> TraceContext:
    ids = span.get_span_context()
    is_recording = span.is_recording()
    return TraceContext(
        f"{ids.trace_id:032x}",
        f"{ids.span_id:016x}",
        SAMPLED if is_recording else NOT_SAMPLED,
        recorded=_Recorded(span) if is_recording else None,
    )


class _Recorded:
    __slots__ = ("_span", "end", "rename", "tell")

    def __init__(self, span: Span) -> None:
        self._span = span
        self.tell = span.set_attribute
        self.rename = span.update_name
        self.end = span.end

    def fail(self, what: str) -> None:
        self._span.set_attribute("error.type", what)
        self._span.set_status(_ERROR)


class SpanQueue(SpanProcessor):
    """The SDK's batches, with a limit that counts what it drops and an end that ends in time."""

    def __init__(self, exporter: SpanExporter, *, size: int, every_ms: float) -> None:
        self._size = size
        self._exporter = _Exporter(exporter)
        self._given = 0
        self._batches = BatchSpanProcessor(
            self._exporter,
            # Never full: this class stops before. Its own way of dropping is not counted.
            max_queue_size=2 * size,
            max_export_batch_size=min(_BATCH, size),
            schedule_delay_millis=every_ms,
        )

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        pass

    def on_end(self, span: ReadableSpan) -> None:
        if self._given - self._exporter.done >= self._size:
            _SPANS.labels("dropped").inc()
            return
        self._given += 1
        self._batches.on_end(span)

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        return self._batches.force_flush(timeout_millis or 30_000)

    async def close(self, seconds: float) -> None:
        """Send what waits, within this time; after it the rest is lost and counted as dropped."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # the loop has not waited so long
                loop.call_soon_threadsafe(closed.set)

        # A daemon, because the interpreter waits for any other thread before it exits.
        Thread(target=close, name="last spans", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), seconds)
        if lost := self._given - self._exporter.done:
            _SPANS.labels("dropped").inc(lost)
            logger.warning("traces_lost", spans=lost)


class _Exporter(SpanExporter):
    """Lets only pass what may leave, and says once that nothing gets through."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False
        self.done = 0
        """Spans that need no place in the queue any more."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export([harmless(span) for span in spans])
        except Exception as error:  # noqa: BLE001 -- the outermost loop of the thread
            logger.error("trace_export_crashed", exc_info=error)
            result = SpanExportResult.FAILURE
        finally:
            self.done += len(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        _SPANS.labels("failed" if is_failing else "exported").inc(len(spans))
        if is_failing is not self._is_failing:
            self._is_failing = is_failing
            logger.warning("traces_not_taken" if is_failing else "traces_taken_again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def harmless(span: ReadableSpan) -> ReadableSpan:
    """The span as it may leave: listed attributes only, no events, no texts of errors."""
    attributes = dict(span.attributes or {})
    kept = allowed(attributes)
    if len(kept) == len(attributes) and not span.events and is_harmless(span.name):
        return span
    _SPANS.labels("cleaned").inc()
    return ReadableSpan(
        name=span.name if is_harmless(span.name) else "unnamed",
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=kept,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
