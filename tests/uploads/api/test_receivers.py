"""The content of a form reaches the file as it was sent, however the pieces are cut."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from uploads.api import receivers, searching
from uploads.api.receivers import MultipartReceiver
from uploads.api.searching import holds
from uploads.errors import MalformedMultipart, Refusal, TooManyParts, Truncated

BOUNDARY = "----a boundary"
DELIMITER = b"\r\n--" + BOUNDARY.encode()
HEAD = (
    b"--" + BOUNDARY.encode() + b'\r\nContent-Disposition: form-data; name="file"; filename="a"'
    b"\r\nContent-Type: text/plain\r\n\r\n"
)
FIELD = DELIMITER + b'\r\nContent-Disposition: form-data; name="folder"\r\n\r\nplace'
END = DELIMITER + b"--\r\n"

# What a delimiter could be taken for, and what is around it.
FRAGMENTS = [DELIMITER[:length] for length in range(1, len(DELIMITER))]
contents = st.lists(
    st.one_of(st.sampled_from([*FRAGMENTS, b"\r", b"\r\n", b"\n", b"--"]), st.binary(max_size=60)),
    max_size=12,
).map(b"".join)
cuts = st.lists(st.integers(1, 90), min_size=1, max_size=12)


class File:
    """Takes an upload. A piece is read when the next call comes, and is changed after that."""

    def __init__(self) -> None:
        self.content = b""
        self.views = 0  # pieces that came without a copy
        self.labels: dict[str, Any] = {}
        self._last: bytes | memoryview = b""

    def write(self, data: bytes | memoryview) -> None:
        self._take()
        self.views += isinstance(data, memoryview)
        self._last = data

    def learn(self, **labels: Any) -> None:
        self.labels = labels

    def commit(self, *, sha256: bytes | None = None) -> Any:
        self._take()

    def abort(self) -> None:
        self._last = b""

    def _take(self) -> None:
        self.content += bytes(self._last)


class Ring:
    """Memory that is used again: for a piece, while the receiver may hold the one before."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = lengths

    def pieces(self, body: bytes) -> Iterator[memoryview]:
        memory = [bytearray(max(self._lengths)), bytearray(max(self._lengths))]
        start = turn = 0
        while start < len(body):
            piece = body[start : start + self._lengths[turn % len(self._lengths)]]
            place = memory[turn % 2]
            place[:] = b"\xff" * len(place)
            place[: len(piece)] = piece
            yield memoryview(place)[: len(piece)]
            start, turn = start + len(piece), turn + 1


class ByTheParser(MultipartReceiver):
    """Lets nothing go past the parser."""

    def _may_end_in(self, data: bytes | memoryview) -> bool:
        return True


def received(
    body: bytes,
    lengths: list[int],
    by: type[MultipartReceiver] = MultipartReceiver,
    *,
    released: bool = False,
) -> File:
    file = File()
    receiver = by(
        BOUNDARY,
        lambda **_: file,  # type: ignore[arg-type,return-value]
        lambda _: HttpResponse(),
    )
    for piece in Ring(lengths).pieces(body):
        receiver.write(piece)
        if released:  # as bodies in a crowd are
            receiver.write(b"")
            piece[:] = b"\xff" * len(piece)
    receiver.finish()
    return file


def outcome(*given: Any) -> object:
    """Return what becomes of a form: the content of its file, or the refusal."""
    try:
        return received(*given).content
    except Refusal as refusal:
        return type(refusal)


@given(contents, cuts, st.booleans())
def test_a_file_is_what_was_sent_however_it_is_cut(
    content: bytes, lengths: list[int], released: bool
) -> None:
    whole = content.replace(DELIMITER, b"")
    file = received(HEAD + whole + FIELD + END, lengths, released=released)
    assert file.content == whole
    assert file.labels["folder"] == "place"


@given(contents, st.sampled_from([b"--", b"-X", b"\r\n", b"XX", b"-", b""]), contents, cuts)
def test_every_form_becomes_what_the_parser_alone_makes_of_it(
    content: bytes, after_delimiter: bytes, rest: bytes, lengths: list[int]
) -> None:
    body = HEAD + content + DELIMITER + after_delimiter + rest + b"\r\n" + b"e" * 80
    first = len(HEAD + content + DELIMITER) + 1
    for cut in (lengths, [first, *lengths], [first, 100]):
        assert outcome(body, cut) == outcome(body, cut, ByTheParser)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [(b"-\r\n" + b"e" * 80, b"content"), (b"X" * 100 + b"-\r\n", MalformedMultipart)],
)
def test_a_delimiter_that_is_cut_within_its_last_two_bytes_is_one(
    rest: bytes, expected: object
) -> None:
    begun = HEAD + b"content" + DELIMITER + b"-"
    assert outcome(begun + rest, [len(begun), 100]) == expected


@pytest.mark.parametrize("memmem", [searching._memmem, None])
@pytest.mark.parametrize("released", [False, True])
def test_large_pieces_within_a_file_are_passed_on_without_a_copy(
    monkeypatch: pytest.MonkeyPatch, memmem: Any, released: bool
) -> None:
    monkeypatch.setattr(searching, "_memmem", memmem)
    content = random.Random(1).randbytes(100_000)
    file = received(HEAD + content + END, [1000], released=released)
    assert file.content == content
    assert file.views > 90


def test_a_piece_is_let_go_of_though_the_next_one_holds_nothing_of_the_file_yet() -> None:
    begins_like_a_delimiter = DELIMITER[:10]
    content = b"a" * 5 + b"b" * 90 + begins_like_a_delimiter + b"c" * 90
    file = received(HEAD + content + END, [len(HEAD) + 5, 90, 10, 90])
    assert file.content == content
    assert file.views


@given(contents, cuts, st.integers(0, 40))
def test_a_form_that_ends_too_early_is_never_whole(
    content: bytes, lengths: list[int], missing: int
) -> None:
    body = HEAD + content.replace(DELIMITER, b"") + DELIMITER
    with pytest.raises((Truncated, MalformedMultipart)):
        received(body[: len(body) - missing], lengths)


def test_what_is_around_files_stays_bounded() -> None:
    padding = b"x" * (receivers.MAX_AROUND_BYTES + 1)
    with pytest.raises(TooManyParts):
        received(HEAD + b"content" + END + padding, [1000])


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=4))
def test_bytes_are_found_in_any_memory(data: bytes, needle: bytes) -> None:
    found = needle in data
    memory: list[bytes | memoryview] = [data, memoryview(data), memoryview(bytearray(data))]
    memory.append(memoryview(bytearray(b"--" + data + b"--"))[2:-2])
    assert [holds(each, needle) for each in memory] == [found] * 4
