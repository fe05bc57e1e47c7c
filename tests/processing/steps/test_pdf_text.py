"""Text out of PDF files."""

import pytest

from processing.steps import pdf_text
from processing.steps.contract import StepFailed
from tests.processing.steps.harness import run

step = pdf_text.step


def pdf(*pages: str, title: str = "", trailer: str = "") -> bytes:
    """Return a PDF with a line of text a page."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        f"<</Title({title})>>",
    ]
    font = "<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    for at, text in enumerate(pages):
        drawn = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources{font}"
            f"/Contents {5 + 2 * at} 0 R>>",
            f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
        ]
    body = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return (
        body
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
            f"trailer<</Size {len(objects) + 1}/Root 1 0 R/Info 3 0 R{trailer}>>\n"
            f"startxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )


LOCKED = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>"


def test_the_text_of_each_page_ends_with_a_form_feed() -> None:
    result = run(step, pdf("first page", "", "third"), "application/pdf")
    assert result.text("text.txt") == "first page\n\f\n\fthird\n\f"
    assert result.artifacts["text.txt"].media_type == "text/plain; charset=utf-8"
    assert result.output == {
        "pages": 3,
        "pages_read": 3,
        "unreadable_pages": 0,
        "first_unreadable_pages": [],
        "characters": 15,
        "complete": True,
        "protected": False,
        "version": 17,
        "metadata": {},
    }


def test_the_form_feeds_of_blank_pages_before_the_first_text_are_kept() -> None:
    assert run(step, pdf("", "two")).text("text.txt") == "\n\ftwo\n\f"


def test_a_pdf_without_text_has_no_artifact() -> None:
    result = run(step, pdf("", ""))
    assert (result.artifacts, result.output["characters"]) == ({}, 0)


def test_metadata_is_reported_and_bounded() -> None:
    output = run(step, pdf("x", title="A title" + "!" * 1000)).output
    assert output["metadata"] == {"Title": ("A title" + "!" * 1000)[:500]}


def test_metadata_that_is_not_valid_text_does_no_harm() -> None:
    output = run(step, pdf("x", title="\xfe\xff\xd8\x41\x00B")).output
    assert output["metadata"] == {"Title": "\ufffdB"}


def test_no_more_pages_are_read_than_wanted() -> None:
    result = run(step, pdf("one", "two", "three"), settings={"max_pages": 2})
    assert result.text("text.txt") == "one\n\ftwo\n\f"
    assert (result.output["pages"], result.output["pages_read"]) == (3, 2)
    assert result.output["complete"] is False


def test_a_page_that_is_too_long_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "MAX_PAGE_CHARS", 4)
    result = run(step, pdf("abcdef", "gh"))
    assert result.text("text.txt") == "abcd\n\fgh\n\f"
    assert result.output["complete"] is False


def test_reading_stops_when_there_is_too_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "MAX_TEXT_CHARS", 5)
    result = run(step, pdf("abcdef", "gh"))
    assert result.text("text.txt") == "abcdef\n\f"
    assert (result.output["pages_read"], result.output["complete"]) == (1, False)


def test_a_page_that_cannot_be_loaded_is_counted_and_its_place_kept() -> None:
    content = pdf("one", "two", "three").replace(
        b"6 0 obj\n<</Type/Page/", b"6 0 obj\n<</Type/Font/"
    )
    result = run(step, content)
    assert result.output["complete"] is False
    assert result.output["unreadable_pages"] == 1
    assert result.output["first_unreadable_pages"] == [2]
    assert result.text("text.txt") == "one\n\f\n\fthree\n\f"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "pdf_unreadable"),
        (b"not a PDF", "pdf_unreadable"),
        (pdf("x")[:200], "pdf_unreadable"),
        (pdf(), "pdf_unreadable"),
        (pdf("x").replace(b"4 0 R", b"9 9 R"), "pdf_unreadable"),
        (pdf("x", trailer=LOCKED), "pdf_encrypted"),
    ],
)
def test_it_refuses(content: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, content)
    assert failure.value.code == code
