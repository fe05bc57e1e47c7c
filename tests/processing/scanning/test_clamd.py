"""The client of clamd: three answers, and the third is not the first."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from processing.scanning.clamd import Clamd, NotScanned, Version
from tests.processing.scanning.fake_clamd import FakeClamd

PATIENCE_S = 30.0


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Any]:
    started: list[FakeClamd] = []

    def start(*arguments: Any, **options: Any) -> FakeClamd:
        started.append(FakeClamd(tmp_path / "clamd.ctl", *arguments, **options))
        return started[-1]

    yield start
    for clamd in started:
        clamd.close()


def client(fake: FakeClamd, timeout_s: float = PATIENCE_S) -> Clamd:
    return Clamd(fake.address, timeout_s)


def test_a_clean_file_was_heard_to_its_last_byte(fake):
    clamd = fake()
    content = bytes(range(256)) * 4096
    assert client(clamd).scan([content, b"", b"end"]) is None
    assert clamd.streamed == [content + b"end"]


def test_what_is_found_has_its_name(fake):
    assert client(fake(b"stream: Win.Test.EICAR_HDB-1 FOUND\0")).scan([b"x"]) == (
        "Win.Test.EICAR_HDB-1"
    )


def test_an_empty_piece_does_not_end_the_stream_early(fake):
    clamd = fake()
    client(clamd).scan([b"a", b"", b"b"])
    assert clamd.streamed == [b"ab"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"INSTREAM size limit exceeded. ERROR\0", "scanner_limit"),
        (b"stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND\0", "scanner_limit"),
        (b"stream: Can't allocate memory ERROR\0", "scanner_failed"),
        (b"stream: Access denied. ERROR\0", "scanner_failed"),
        (b"stream: OK", "scanner_lost"),
        (b"", "scanner_lost"),
        (b"\0", "scanner_garbled"),
        (b"OK\0", "scanner_garbled"),
        (b"stream: OK OK\0", "scanner_garbled"),
        (b"other: OK\0", "scanner_garbled"),
        (b"stream: \xff\xfe FOUND\0", "scanner_garbled"),
        (b"UNKNOWN COMMAND\0", "scanner_garbled"),
        (b"stream: OK\n" + b"x" * 10_000 + b"\0", "scanner_lost"),
        (b"HTTP/1.1 200 OK\r\n\r\n\0", "scanner_garbled"),
    ],
)
def test_every_other_answer_means_that_nothing_was_scanned(fake, answer, code):
    with pytest.raises(NotScanned) as failure:
        client(fake(answer)).scan([b"content"])
    assert failure.value.code == code


def test_a_scanner_that_will_not_hear_it_all_is_asked_why(fake):
    """clamd answers, and closes, at StreamMaxLength; whoever still sends gets EPIPE."""
    clamd = fake(b"INSTREAM size limit exceeded. ERROR\0", reads_at_most=100)
    with pytest.raises(NotScanned) as failure:
        client(clamd).scan([b"x" * 1024 * 1024] * 64)
    assert failure.value.code in ("scanner_limit", "scanner_lost")


def test_half_a_file_is_not_clean_although_the_scanner_says_so(fake):
    clamd = fake(b"stream: OK\0", reads_at_most=100)
    with pytest.raises(NotScanned):
        client(clamd).scan([b"x" * 1024 * 1024] * 64)


def test_a_scanner_that_dies_in_the_middle_has_not_scanned(fake):
    def die(line: socket.socket, _: bytes) -> None:
        line.sendall(b"stream: ")

    with pytest.raises(NotScanned) as failure:
        client(fake(die)).scan([b"x"])
    assert failure.value.code == "scanner_lost"


def test_a_scanner_that_never_answers_is_left_at_the_deadline(fake):
    done = threading.Event()

    def wait(_: socket.socket, __: bytes) -> None:
        done.wait(PATIENCE_S)

    clamd = fake(wait)
    try:
        with pytest.raises(NotScanned) as failure:
            client(clamd, timeout_s=0.2).scan([b"x"])
    finally:
        done.set()
    assert failure.value.code == "scanner_timed_out"


def test_an_answer_byte_by_byte_does_not_outlast_the_deadline(fake):
    done = threading.Event()

    def drip(line: socket.socket, _: bytes) -> None:
        while not done.wait(0.01):
            line.sendall(b" ")

    clamd = fake(drip)
    try:
        with pytest.raises(NotScanned) as failure:
            client(clamd, timeout_s=0.3).scan([b"x"])
    finally:
        done.set()
    assert failure.value.code in ("scanner_timed_out", "scanner_lost")


@pytest.mark.parametrize(
    "address", ["unix:/nowhere/clamd.ctl", "tcp:127.0.0.1:1", "tcp:127.0.0.1:x", "clamd", ""]
)
def test_a_scanner_that_is_not_there_has_not_scanned(address):
    with pytest.raises(NotScanned) as failure:
        Clamd(address, 1.0).scan([b"x"])
    assert failure.value.code == "scanner_down"


def test_what_the_content_raises_comes_through_and_nothing_counts_as_scanned(fake):
    def damaged() -> Iterator[bytes]:
        yield b"x"
        raise LookupError

    with pytest.raises(LookupError):
        client(fake()).scan(damaged())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"ClamAV 1.4.6/27890/Wed Nov 25 08:00:00 2026\0",
            Version("1.4.6", 27890, datetime(2026, 11, 25, 8, tzinfo=UTC)),
        ),
        (b"ClamAV 1.4.6\0", Version("1.4.6", 0, None)),
        (b"ClamAV 1.4.6/27890/the day before\0", Version("1.4.6", 27890, None)),
    ],
)
def test_it_says_who_scans_and_by_which_signatures(fake, answer, expected):
    assert client(fake(version=answer)).version() == expected


def test_somebody_else_at_the_address_is_no_scanner(fake):
    with pytest.raises(NotScanned) as failure:
        client(fake(version=b"220 mail.example ESMTP\0")).version()
    assert failure.value.code == "scanner_garbled"
