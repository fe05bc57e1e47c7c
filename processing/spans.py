"""Runs as OpenTelemetry traces, sent to a collector. Needs the extra `otel`.

A run is a span, its steps and the wait for a worker are spans in it. Ids of spans are made of our
own, so that the same run is the same trace wherever one looks. No name of a file, and no content.
What a collector does not take is forgotten: it is not part of what is promised.
"""

import atexit
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import TypeAlias
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from processing.models import Run, RunState, StepRecord, StepState

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError:
    raise ImproperlyConfigured(
        "STRONGROOM_OTLP_ENDPOINT needs OpenTelemetry: install the extra with "
        "`pip install strongroom[otel]`."
    ) from None

Attributes: TypeAlias = Mapping[str, str | int | float]

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
BAD = (StepState.FAILED, StepState.ABANDONED)


def send(run_ids: Collection[UUID]) -> None:
    """Hand the spans of runs that have ended to the thread that sends them."""
    runs = Run.objects.filter(pk__in=run_ids, state__in=ENDED)
    for run in runs.select_related("version__pipeline").prefetch_related("records"):
        for span in spans_of(run):
            _processor().on_end(span)


def spans_of(run: Run) -> Iterable[ReadableSpan]:
    """Yield the spans of a run that has ended, the run itself last."""
    for record in run.records.all():
        if record.ended_at is not None and record.state != StepState.SKIPPED:
            yield _step(run, record)
    began_at, ended_at = run.started_at or run.created_at, run.ended_at or run.created_at
    yield _span("queue", run, _half(run.pk) ^ 1, (run.created_at, began_at), {}, "")
    pipeline = run.version.pipeline.name
    about: dict[str, str | int | float] = {
        "strongroom.run": str(run.pk),
        "strongroom.upload": str(run.upload_id),
        "strongroom.pipeline": pipeline,
        "strongroom.version": run.version.number,
        "strongroom.attempt": run.attempt,
        "strongroom.state": run.state,
    }
    error = run.error_code if run.state == RunState.FAILED else ""
    span_id = _half(run.pk)
    yield _span(f"run {pipeline}", run, span_id, (run.created_at, ended_at), about, error, top=True)


def _step(run: Run, record: StepRecord) -> ReadableSpan:
    about: dict[str, str | int | float | None] = {
        "strongroom.step": record.kind or record.step,
        "strongroom.position": record.position,
        "strongroom.attempt": record.attempt,
        "strongroom.state": record.state,
        "strongroom.queue_ms": record.queue_ms,
        "strongroom.cpu_ms": record.cpu_ms,
        "strongroom.max_rss_bytes": record.max_rss_bytes,
        "strongroom.bytes_in": record.bytes_in,
        "strongroom.bytes_out": record.bytes_out,
    }
    known = {name: value for name, value in about.items() if value is not None}
    error = record.error_code if record.state in BAD else ""
    times = record.started_at, record.ended_at or record.started_at
    return _span(f"step {record.step}", run, _half(record.pk), times, known, error)


def _span(
    name: str,
    run: Run,
    span_id: int,
    times: tuple[datetime, datetime],
    about: Attributes,
    error: str,
    *,
    top: bool = False,
) -> ReadableSpan:
    began_at, ended_at = times
    return ReadableSpan(
        name=name,
        context=_context(run, span_id),
        parent=None if top else _context(run, _half(run.pk)),
        resource=_resource(),
        attributes={**about, **({"error.type": error} if error else {})},
        kind=SpanKind.CONSUMER if top else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.OK),
        start_time=_ns(began_at),
        end_time=max(_ns(began_at), _ns(ended_at)),
    )


def _context(run: Run, span_id: int) -> SpanContext:
    return SpanContext(
        trace_id=run.pk.int,
        span_id=span_id,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _half(identity: UUID) -> int:
    """Return the random half of an id: a span's id has eight bytes."""
    return identity.int & (2**64 - 1)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000


@cache
def _resource() -> Resource:
    return Resource.create({"service.name": "strongroom"})


@cache
def _processor() -> BatchSpanProcessor:
    """Return this process's sender; made late, since threads do not survive a fork."""
    exporter = OTLPSpanExporter(endpoint=settings.PROCESSING["OTLP_ENDPOINT"], timeout=5)
    processor = BatchSpanProcessor(exporter)
    atexit.register(processor.shutdown)
    return processor
