"""What a collector hears of a run."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from processing import queue, runner, spans
from processing.models import Run
from uploads.intake import Offer, receive_upload
from uploads.models import Door

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

NAME = "layoffs-of-next-week.txt"
CONTENT = b"a very secret line\n"


@pytest.fixture
def collector(settings: Any) -> Iterator[list[bytes]]:
    """Return what a collector on this machine has received, once the sender is flushed."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
    settings.PROCESSING = {**settings.PROCESSING, "OTLP_ENDPOINT": endpoint}
    spans._processor.cache_clear()
    yield bodies
    spans._processor().shutdown()
    spans._processor.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


def work(owner: Any) -> Run:
    offer = Offer(owner=owner, name=NAME, declared_type="text/plain", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(CONTENT))
    claim = queue.claim(Run.objects.get(upload=upload).pk, "worker")
    assert claim
    runner.execute(claim)
    return Run.objects.get(upload=upload)


def test_a_collector_hears_of_a_run_and_its_steps_and_nothing_of_the_file(owner, collector):
    run = work(owner)
    assert spans._processor().force_flush()
    (body,) = collector
    assert NAME.encode() not in body
    assert CONTENT.strip() not in body
    assert owner.username.encode() not in body
    request = ExportTraceServiceRequest.FromString(body)
    told = [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in told] == [
        "step checksum",
        "step media_type",
        "step lines",
        "queue",
        "run text",
    ]
    top = told[-1]
    assert {span.trace_id for span in told} == {run.pk.bytes}
    assert {span.parent_span_id for span in told[:-1]} == {top.span_id}
    assert len({span.span_id for span in told}) == 5
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in told)
    assert {a.key: a.value.string_value for a in top.attributes}["strongroom.run"] == str(run.pk)


def test_a_failed_step_is_an_error_with_its_code_only(owner, collector, monkeypatch):
    from processing.sandbox import Session
    from processing.steps.contract import StepFailed

    def fail(self: Session, name: str, **_: Any) -> Any:
        raise StepFailed("step_timed_out", "Too slow.")

    monkeypatch.setattr(Session, "run", fail)
    run = work(owner)
    first, *_, top = spans.spans_of(run)
    for span in (first, top):
        assert span.status.description == "step_timed_out"
        assert span.attributes is not None
        assert span.attributes["error.type"] == "step_timed_out"


def test_without_an_endpoint_nothing_is_sent(owner, monkeypatch):
    monkeypatch.setattr(spans, "send", lambda _: pytest.fail("sent"))
    work(owner)
