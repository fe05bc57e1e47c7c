"""Personal data: what is found, what only looks so, and the copy without it."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.personal_data import BLOCK, step
from processing.steps.personal_data.patterns import KINDS, find, luhn
from tests.processing.steps.harness import Result, run
from tests.processing.steps.test_document_text import DOCX, docx


def kinds_in(text: str) -> list[str]:
    return [finding.kind for finding in find(text, frozenset(KINDS))]


def over(text: str, **settings: Any) -> Result:
    return run(step, text.encode(), "text/plain", settings)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ann.lee+list@mail.example.org.", "email"),
        ("<a@b.de>", "email"),
        ("4111 1111 1111 1111", "card"),
        ("5500-0000-0000-0004", "card"),
        ("378282246310005", "card"),
        ("6011111111111117,", "card"),
        ("2223003122003222", "card"),
        ("DE89 3704 0044 0532 0130 00 AND MORE", "iban"),
        ("GB82WEST12345698765432", "iban"),
        ("FR1420041010050500013M02606", "iban"),
        ("+49 (0)30 901820", "phone"),
        ("+1-202-555-0143", "phone"),
        ("0044 20 7946 0958", "phone"),
        ("(202) 555-0143", "phone"),
        ("202-555-0143", "phone"),
        ("030/901820-11", "phone"),
    ],
)
def test_personal_data_is_found(text: str, kind: str) -> None:
    assert kinds_in(f"so {text} here") == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # no valid check digit
        "0000 0000 0000 0000",
        "4.111111111111111",
        "1234567890123456",
        "DE89 3704 0044 0532 0130 01",
        "ZZ89370400440532013000",
        "a@b",
        "user@localhost",
        "2024-01-15 10:20:30",
        "10.12.2024",
        "192.168.100.200",
        "+12",
        "3.14159265358979",
        "version 1.2.3-4",
    ],
)
def test_what_only_looks_like_personal_data_is_not_found(text: str) -> None:
    assert kinds_in(f"so {text} here") == []


@pytest.mark.parametrize(("digits", "valid"), [("79927398713", True), ("79927398710", False)])
def test_the_check_digit_of_a_card_counts(digits: str, valid: bool) -> None:
    assert luhn(digits) is valid


LETTER = "Dear Ann,\nmy card is 4111 1111 1111 1111,\nmy mail ann@example.org\n"


def test_findings_are_counted_placed_and_masked() -> None:
    result = over(LETTER)
    assert result.output["found"] == 2
    assert result.output["counts"] == {"email": 1, "phone": 0, "card": 1, "iban": 0}
    first: Any = result.output["first"]
    assert first == [
        {"kind": "card", "line": 2, "offset": 21, "length": 19, "masked": "***1111"},
        {"kind": "email", "line": 3, "offset": 50, "length": 15, "masked": "a***@***.org"},
    ]
    assert LETTER[21:40] == "4111 1111 1111 1111"
    assert LETTER[50:65] == "ann@example.org"


def test_the_copy_has_the_kinds_in_the_place_of_the_values() -> None:
    result = over(LETTER)
    assert result.text("redacted.txt") == "Dear Ann,\nmy card is [card],\nmy mail [email]\n"
    assert result.output["redacted_complete"] is True


def test_no_value_is_in_the_output() -> None:
    assert "ann@example" not in str(over(LETTER).output)
    assert "4111" not in str(over(LETTER).output)


@pytest.mark.parametrize("text", ["nothing here", ""])
def test_a_text_without_findings_has_no_copy(text: str) -> None:
    result = over(text or " ")
    assert (result.output["found"], result.output["redacted"]) == (0, False)
    assert not result.artifacts


def test_only_the_kinds_that_are_asked_for_are_found() -> None:
    result = over(LETTER, kinds=["email"], redact=False)
    assert result.output["counts"] == {"email": 1}
    assert not result.artifacts


def test_places_are_named_up_to_a_bound_and_counted_beyond() -> None:
    result = over("a@example.org\n" * 500, max_named=3)
    assert result.output["found"] == 500
    assert len(result.output["first"]) == 3  # type: ignore[arg-type]


@given(st.integers(-400, 400))
def test_nothing_is_missed_where_one_block_ends(shift: int) -> None:
    before = "x " * ((BLOCK + shift) // 2)
    text = before + "4111 1111 1111 1111 ann@example.org" + " y" * 1000
    result = over(text)
    assert result.output["found"] == 2
    assert result.text("redacted.txt") == before + "[card] [email]" + " y" * 1000


def test_a_document_is_searched_by_its_text() -> None:
    body = "<w:p><w:r><w:t>ann@</w:t></w:r><w:r><w:t>example.org</w:t></w:r></w:p>"
    result = run(step, docx(body), DOCX)
    assert result.text("redacted.txt") == "[email]\n"


def test_a_text_of_one_endless_word_is_searched_in_bounded_time() -> None:
    result = run(step, io.BytesIO(b"a" * 2_000_000 + b"+" * 500_000 + b"1" * 500_000), "text/plain")
    assert result.output["found"] == 0
