"""What an honest step can do."""

import hashlib
import io
import os
import time

import pytest
from PIL import Image

from config.errors import AppError
from processing.sandbox import Sandbox, Session, StepStopped, protocol
from processing.sandbox.exchange import Exchange
from processing.steps.contract import Output
from tests.processing.sandbox.cast import CONTENT, Artifacts, run
from tests.source import BytesSource

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R
/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj
4 0 obj<</Length 38>>stream
BT /F1 12 Tf 20 100 Td (Hello) Tj ET
endstream endobj
trailer<</Root 1 0 R>>
"""


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 262_144, 3_000_001])
def test_content_arrives_whole(sandbox: Sandbox, size: int) -> None:
    content = os.urandom(size)
    with sandbox.open(BytesSource(content), "application/octet-stream") as session:
        outcome = run(session, "digest")
        assert outcome.output == {"sha256": hashlib.sha256(content).hexdigest()}
        assert outcome.bytes_in == size


def test_content_can_be_read_anywhere(sandbox: Sandbox) -> None:
    content = os.urandom(1_000_000)
    ranges = [(999_999, 10), (0, 5), (500_000, 300_000), (262_140, 10), (1_000_000, 1)]
    with sandbox.open(BytesSource(content), "application/octet-stream") as session:
        output = run(session, "seek_about", settings={"ranges": [list(r) for r in ranges]}).output
    assert output["found"] == [content[start : start + length].hex() for start, length in ranges]
    assert (output["end"], output["after"]) == (1_000_000, "")


def test_a_small_file_comes_in_one_round_trip(sandbox: Sandbox) -> None:
    class Counted(BytesSource):
        reads = 0

        def read_at(self, offset: int, length: int) -> bytes:
            self.reads += 1
            return super().read_at(offset, length)

    source = Counted(bytes(100_000))
    with sandbox.open(source, "application/octet-stream") as session:
        run(session, "seek_about", settings={"ranges": [[0, 10], [10, 90_000], [99_999, 9]]})
    assert source.reads == 1


@pytest.mark.parametrize("size", [100, 60_000, 70_000])
def test_content_comes_along_with_a_request_if_both_fit_into_a_packet(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked = []
    served = Exchange._serve

    def serve(self: Exchange, kind: bytes, body: bytes) -> None:
        asked.append(kind)
        served(self, kind, body)

    monkeypatch.setattr(Exchange, "_serve", serve)
    content = os.urandom(size)
    expected = {"sha256": hashlib.sha256(content).hexdigest()}
    with sandbox.open(BytesSource(content), "application/octet-stream") as session:
        for length in (0, 10_000):
            fits = size + length < protocol.PIECE - 500
            asked.clear()
            outcome = run(session, "digest", settings={"long": "x" * length})
            assert (outcome.output, outcome.bytes_in) == (expected, size)
            assert asked == ([] if fits else [protocol.READ])


def test_content_that_cannot_be_read_concerns_only_the_step_that_reads(sandbox: Sandbox) -> None:
    class Broken(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            raise AppError

    with sandbox.open(Broken(CONTENT), "text/plain") as session:
        outcome = run(session, "echo", settings={"long": "x"})
        assert (outcome.output["settings"], outcome.bytes_in) == ({"long": "x"}, 0)
        with pytest.raises(AppError):
            run(session, "digest")


def test_artifacts_arrive_and_are_counted(session: Session) -> None:
    artifacts = Artifacts()
    outcome = run(session, "write_artifacts", artifacts=artifacts)
    contents = {name: sink.content for name, sink in artifacts.sinks.items()}
    assert contents == {"copy": CONTENT, "empty": b"", "text": "ü".encode() * 10}
    assert artifacts.media_types == ["application/octet-stream", "text/plain", "text/plain"]
    assert outcome.bytes_out == len(CONTENT) + 20 + len('{"written":3}')


def test_settings_and_results_reach_the_step(session: Session) -> None:
    settings: Output = {"long": "ä" * 200_000, "list": [1, None, {"a": 0.5}]}
    results: dict[str, Output] = {"earlier": {"text": "x" * 70_000}}
    output = run(session, "echo", settings=settings, results=results).output
    assert output == {"settings": settings, "results": results}


def test_results_reach_only_a_step_that_reads_them(session: Session) -> None:
    output = run(session, "echo_results", results={"earlier": {"text": "x"}}).output
    assert output == {"results": {}}


def test_a_step_knows_its_file(session: Session) -> None:
    output = run(session, "describe").output
    assert (output["size"], output["media_type"]) == (len(CONTENT), "text/plain")


def test_the_steps_of_one_file_share_a_child_and_those_of_another_do_not(sandbox: Sandbox) -> None:
    with (
        sandbox.open(BytesSource(CONTENT), "text/plain") as one,
        sandbox.open(BytesSource(CONTENT), "text/plain") as other,
    ):
        pids = [run(session, "describe").output["pid"] for session in (one, one, other, one)]
    assert pids[0] == pids[1] == pids[3] != pids[2]


def test_what_a_step_used_is_known(session: Session) -> None:
    outcome = run(session, "count_in_threads")
    assert 0 < outcome.cpu_ms < 1000
    assert 1024 * 1024 < outcome.max_rss_bytes < 1024 * 1024 * 1024


def test_threads_work(session: Session) -> None:
    assert run(session, "count_in_threads").output == {"sums": [sum(range(1000))] * 4}


def test_a_module_of_the_standard_library_can_be_imported_late(session: Session) -> None:
    assert run(session, "late_import").output == {"value": 0.0}


def test_pillow_reads_a_picture(sandbox: Sandbox) -> None:
    png = io.BytesIO()
    Image.effect_noise((300, 200), 50).save(png, "PNG")
    with sandbox.open(BytesSource(png.getvalue()), "image/png") as session:
        assert run(session, "picture").output == {"size": [300, 200], "format": "PNG"}


def test_pdfium_reads_a_document(sandbox: Sandbox) -> None:
    with sandbox.open(BytesSource(PDF), "application/pdf") as session:
        assert run(session, "document").output == {"pages": 1, "text": "Hello"}


def test_what_a_step_leaves_behind_stays_silent(session: Session) -> None:
    artifacts = Artifacts()
    run(session, "leave_things_behind", artifacts=artifacts)
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        assert run(session, "digest").output == {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert "unfinished" not in artifacts.sinks


def test_a_step_without_a_name_in_the_registry_is_an_error(session: Session) -> None:
    with pytest.raises(KeyError):
        run(session, "unheard_of")


def test_an_error_of_the_content_comes_through_and_the_next_step_works(sandbox: Sandbox) -> None:
    class Unreadable(Exception):
        pass

    class Damaged(BytesSource):
        damaged = True

        def read_at(self, offset: int, length: int) -> bytes:
            if self.damaged:
                raise Unreadable
            return super().read_at(offset, length)

    source = Damaged(CONTENT)
    with sandbox.open(source, "text/plain") as session:
        with pytest.raises(Unreadable):
            run(session, "digest")
        source.damaged = False
        assert run(session, "digest").bytes_in == len(CONTENT)


def test_content_that_ends_early_is_an_error_and_never_short(sandbox: Sandbox) -> None:
    class Short(BytesSource):
        size = 100

    with (
        sandbox.open(Short(CONTENT), "text/plain") as session,
        pytest.raises(EOFError),
    ):
        run(session, "digest")


def test_an_error_of_a_sink_comes_through_and_the_next_step_works(session: Session) -> None:
    class DiskFull(Exception):
        pass

    def refuse(name: str, media_type: str) -> io.BytesIO:
        raise DiskFull

    with pytest.raises(DiskFull):
        session.run("write_artifacts", settings={}, results={}, open_artifact=refuse)
    assert run(session, "noop").output == {}


def test_a_failed_step_does_not_end_its_child(session: Session) -> None:
    before = run(session, "describe").output["pid"]
    with pytest.raises(StepStopped):
        run(session, "fail")
    assert run(session, "describe").output["pid"] == before
