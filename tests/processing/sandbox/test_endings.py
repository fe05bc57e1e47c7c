"""How a step that misbehaves ends, how soon, and that the next step does not notice."""

import time
from collections.abc import Sequence

import pytest

from processing.sandbox import Session, StepStopped, protocol
from processing.steps.contract import JSON
from tests.processing.sandbox.cast import CONTENT, Artifacts, run
from tests.processing.sandbox.hostile import REGISTRY, X86


@pytest.mark.parametrize(
    ("name", "code", "detail"),
    [
        ("spin", "step_cpu_exceeded", "CPU"),
        ("spin_deaf", "step_timed_out", "1.5 seconds"),
        ("sleep", "step_timed_out", "0.5 seconds"),
        ("allocate", "step_out_of_memory", "memory"),
        ("allocate_at_once", "step_out_of_memory", "memory"),
        ("segfault", "step_crashed", "SIGSEGV"),
        ("abort", "step_crashed", "SIGABRT"),
        ("real_time_signal", "step_crashed", "signal 40"),
        ("fork_without_end", "step_cpu_exceeded", "CPU"),
        ("leave", "step_crashed", "without an answer"),
        ("hang_up", "step_crashed", "protocol"),
        ("long_output", "step_output_too_large", "limits"),
        ("endless_output", "step_output_too_large", "limits"),
        ("endless_artifact", "step_output_too_large", "limits"),
        ("endless_artifacts", "step_output_too_large", "limits"),
        ("flood_of_reads", "step_timed_out", "0.5 seconds"),
        ("not_an_object", "step_raised", "TypeError"),
        ("raise_with_content", "step_raised", "ValueError"),
        ("recurse", "step_raised", "RecursionError"),
        ("fail", "no_text_layer", "The document has no text layer."),
    ],
)
def test_a_step_that_misbehaves_ends_in_time(
    session: Session, name: str, code: str, detail: str
) -> None:
    limits = REGISTRY[name].limits
    started = time.monotonic()
    with pytest.raises(StepStopped) as caught:
        run(session, name)
    assert time.monotonic() - started < limits.wall_s + 2
    assert caught.value.code == code
    assert detail in caught.value.detail
    assert caught.value.usage is not None
    assert caught.value.usage.cpu_ms < (limits.cpu_s + 1) * 1000
    assert run(session, "noop").output == {}


def test_a_step_that_starts_threads_without_end_ends_in_time(session: Session) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "start_threads_without_end")
    assert caught.value.code in {"step_raised", "step_timed_out", "step_out_of_memory"}
    assert run(session, "noop").output == {}


@pytest.mark.skipif(not X86, reason="only this architecture has calls of 32 bits")
def test_a_call_of_another_architecture_ends_the_child(session: Session) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "call_of_32_bits")
    assert caught.value.code == "step_crashed"
    assert "SIGSYS" in caught.value.detail or "SIGSEGV" in caught.value.detail


@pytest.mark.parametrize(
    ("what", "error"), [("nan", "ValueError"), ("set", "TypeError"), ("half", "UnicodeEncodeError")]
)
def test_an_answer_that_is_not_json_fails_the_step(session: Session, what: str, error: str) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "not_json", settings={"what": what})
    assert (caught.value.code, caught.value.detail) == ("step_raised", f"The step raised {error}.")


def test_a_failure_tells_nothing_of_the_content(session: Session) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "raise_with_content")
    assert CONTENT.decode() not in repr(caught.value)


def test_no_more_of_an_artifact_arrives_than_its_limit(session: Session) -> None:
    artifacts = Artifacts()
    with pytest.raises(StepStopped):
        run(session, "endless_artifact", artifacts=artifacts)
    sink = artifacts.sinks["a"]
    assert sink.content is None  # never closed: it is not whole
    limit = REGISTRY["endless_artifact"].limits.artifact_bytes
    assert limit - protocol.PIECE <= len(sink.getvalue()) <= limit


def test_what_a_killed_step_used_is_known(session: Session) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "spin")
    assert caught.value.usage is not None
    assert 500 < caught.value.usage.cpu_ms < 2000
    assert caught.value.usage.max_rss_bytes > 1024 * 1024


def packet(kind: bytes, body: bytes = b"") -> str:
    return (kind + body).hex()


READ, OPEN, WRITE, CLOSE = protocol.READ, protocol.OPEN, protocol.WRITE, protocol.CLOSE
FIRST = protocol.NUMBER.pack(0)


@pytest.mark.parametrize(
    "packets",
    [
        [packet(b"?")],
        [""],
        [packet(protocol.READY)],
        [packet(protocol.RUN, b"{}")],
        [packet(READ)],
        [packet(READ, protocol.RANGE.pack(0, 1)[:-1])],
        [packet(READ, protocol.RANGE.pack(0, 0))],
        [packet(READ, protocol.RANGE.pack(0, len(CONTENT) + 1))],
        [packet(READ, protocol.RANGE.pack(2**64 - 1, 2))],
        [packet(READ, protocol.RANGE.pack(0, protocol.MAX_READ + 1))],
        [packet(protocol.WHOLE)],
        [packet(protocol.WHOLE, protocol.LENGTH.pack(11) + b'["a", "b"]')],
        [packet(protocol.WHOLE, protocol.LENGTH.pack(2) + b"{}" + b"x")],
        [packet(OPEN)],
        [packet(OPEN, b"{}")],
        [packet(OPEN, b'["name"]')],
        [packet(OPEN, b'["name", 1]')],
        [packet(OPEN, b'["%s", ""]' % (b"n" * 256))],
        [packet(WRITE, FIRST + b"data")],
        [packet(OPEN, b'["a", "b"]'), packet(WRITE, FIRST[:-1])],
        [packet(OPEN, b'["a", "b"]'), packet(CLOSE, FIRST), packet(CLOSE, FIRST)],
        [packet(OPEN, b'["a", "b"]'), packet(CLOSE, FIRST), packet(WRITE, FIRST + b"data")],
        [packet(protocol.DONE, b"{not json")],
        [packet(protocol.DONE)],
        [packet(protocol.DONE, b"\xff")],
        [packet(protocol.DONE, b"[]")],
        [packet(protocol.DONE, b'{"a": NaN}')],
        [packet(protocol.DONE, b'{"a": -Infinity}')],
        [packet(protocol.DONE, b'{"a": "\\ud800"}')],
        [packet(protocol.DONE, b'{"a": %s}' % (b"9" * 5000))],
        [packet(protocol.DONE, b'{"a": ' + b"[" * 30_000)],
        [packet(protocol.FAILED, b"{}")],
        [packet(protocol.FAILED, b'["Not A Code", "x"]')],
        [packet(protocol.FAILED, b'["code", %s]' % (b'"' + b"x" * 1001 + b'"'))],
        [packet(protocol.DONE, b"{}" + b" " * protocol.PACKET)],
    ],
)
def test_a_forged_packet_ends_the_child(session: Session, packets: Sequence[JSON]) -> None:
    with pytest.raises(StepStopped) as caught:
        run(session, "forge", settings={"packets": list(packets)})
    assert caught.value.code == "step_crashed"
    assert caught.value.detail == "The step's process broke the protocol."
    assert run(session, "noop").output == {}
