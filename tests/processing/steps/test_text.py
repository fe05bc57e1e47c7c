"""Text out of bytes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.text import ENCODINGS, LineReader, choose_encoding


def read(
    content: bytes, encoding: str = "utf-8", *, max_chars: int = 1000, block_bytes: int = 7
) -> tuple[list[tuple[int, str]], LineReader]:
    source = io.BytesIO(content)
    reader = LineReader(
        source, choose_encoding(source, encoding), max_chars=max_chars, block_bytes=block_bytes
    )
    pairs: list[tuple[int, str]] = []
    for numbers, lines in reader.windows():
        assert lines
        pairs += zip(numbers, lines, strict=True)
    return pairs, reader


@given(st.text(alphabet="ab\r\n \u00e9\u2028\u0085\U0001f600\0", max_size=60), st.integers(1, 20))
def test_lines_do_not_depend_on_the_size_of_blocks(text: str, block_bytes: int) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if expected[-1] == "":
        expected.pop()
    pairs, reader = read(text.encode(), block_bytes=block_bytes)
    assert [line for _, line in pairs] == expected
    assert [number for number, _ in pairs] == list(range(1, len(expected) + 1))
    assert reader.lines == len(expected)
    assert (reader.undecodable, reader.cut) == (0, 0)


@given(
    st.lists(st.text(alphabet="xyz", max_size=30), max_size=12), st.integers(1, 9), st.booleans()
)
def test_a_long_line_is_cut_into_pieces_that_share_its_number(
    lines: list[str], max_chars: int, ends: bool
) -> None:
    content = "\n".join(lines) + ("\n" if ends and lines else "")
    pairs, reader = read(content.encode(), max_chars=max_chars)
    whole = content.split("\n")
    if whole[-1] == "":
        whole.pop()
    joined: dict[int, str] = {}
    for number, piece in pairs:
        assert len(piece) <= max_chars
        joined[number] = joined.get(number, "") + piece
    assert [joined[number] for number in sorted(joined)] == whole
    assert reader.lines == len(whole)
    assert reader.cut == sum(len(line) > max_chars for line in whole)


def test_memory_for_one_endless_line_is_bounded() -> None:
    reader = LineReader(io.BytesIO(b"x" * 100_000), "utf-8", max_chars=100, block_bytes=1000)
    assert max(sum(map(len, lines)) for _, lines in reader.windows()) <= 1100
    assert (reader.lines, reader.cut) == (1, 1)


def test_undecodable_lines_are_counted_and_repaired() -> None:
    pairs, reader = read(b"good\nb\xffd\n\xef\xbf\xbd kept\n\xfe\xfe\nlast \xc3")
    assert [line for _, line in pairs] == [
        "good",
        "b\ufffdd",
        "\ufffd kept",
        "\ufffd\ufffd",
        "last \ufffd",
    ]
    assert reader.undecodable == 3, "a replacement character in the file is not undecodable"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_reads_lines_in_pieces(encoding: str) -> None:
    pairs, reader = read("one\r\ntwo\n".encode(encoding), encoding, block_bytes=3)
    assert pairs == [(1, "one"), (2, "two")]
    assert reader.undecodable == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_fails_over_arbitrary_bytes(encoding: str) -> None:
    for start in (b"", b"\xff\xfe", b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        pairs, _ = read(start + bytes(range(256)) * 3 + b"\n", encoding)
        assert "\udcff" not in "".join(line for _, line in pairs)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("text".encode("utf-16"), "utf-16"),
        ("\ufefftext".encode(), "utf-8-sig"),
        ("Grüße".encode(), "utf-8"),
        ("Grüße".encode("cp1252"), "cp1252"),
        ("plain text".encode("utf-16-le"), "utf-16-le"),
        (b"", "utf-8"),
    ],
)
def test_an_encoding_is_chosen_from_the_head_and_nothing_is_lost(
    content: bytes, encoding: str
) -> None:
    source = io.BytesIO(content)
    assert choose_encoding(source, "auto") == encoding
    assert source.tell() == 0


def test_a_wanted_encoding_is_not_second_guessed() -> None:
    assert choose_encoding(io.BytesIO("\ufeff".encode()), "cp1252") == "cp1252"
