"""The words by which a file is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.search_terms import step
from tests.processing.steps.harness import run
from tests.processing.steps.test_document_text import DOCX, docx
from uploads.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Café, the CAFE\u0301!", ["the", "cafe", "the", "cafe"]),
        ("Stra\u00dfe 12 a", ["strasse", "12"]),
        ("\ufb01ne \uff21\uff22", ["fine", "ab"]),
        ("東京に", ["東京に"]),
        ("", []),
    ],
)
def test_words_are_the_same_however_they_are_written(text: str, words: list[str]) -> None:
    assert list(words_of(text)) == words


def test_each_word_of_a_text_comes_once() -> None:
    result = run(step, b"to be or not to be", "text/plain")
    assert result.output == {"terms": ["to", "be", "or", "not"], "count": 4, "complete": True}


def test_a_document_has_the_words_of_its_text() -> None:
    result = run(step, docx("<w:p><w:r><w:t>Dear Ann</w:t></w:r></w:p>"), DOCX)
    assert result.output["terms"] == ["dear", "ann"]


def test_more_words_than_the_bound_are_left_out_and_told() -> None:
    text = " ".join(f"word{number}" for number in range(100)).encode()
    result = run(step, text, "text/plain", {"max_terms": 10})
    assert (result.output["count"], result.output["complete"]) == (10, False)


@given(st.integers(65_400, 65_600))
def test_no_word_is_cut_where_a_block_ends(size: int) -> None:
    result = run(step, b"x" * 10 + b" " * size + b"wholeword end", "text/plain")
    assert result.output["terms"] == ["xxxxxxxxxx", "wholeword", "end"]
