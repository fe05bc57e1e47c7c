"""The text of documents that are no PDF."""

import io
import zipfile
from typing import Any

import pytest

from processing.steps.contract import StepFailed
from processing.steps.document_text import step
from processing.steps.document_text.html import text_of
from tests.processing.steps.harness import Result, run

OOXML = "application/vnd.openxmlformats-officedocument."
ODF = "application/vnd.oasis.opendocument."
DOCX, PPTX = OOXML + "wordprocessingml.document", OOXML + "presentationml.presentation"
XLSX, ODT = OOXML + "spreadsheetml.sheet", ODF + "text"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


TARGET = "worksheets/s.xml"


def package(**parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def docx(body: str) -> bytes:
    core = '<c xmlns:dc="d"><dc:title>A letter</dc:title><dc:creator>Ann</dc:creator></c>'
    document = f"<w:document {W}><w:body>{body}</w:body></w:document>"
    return package(**{"word/document.xml": document, "docProps/core.xml": core})


def text(result: Result) -> str:
    return result.text("text.txt")


def refused(content: bytes, media_type: str) -> str:
    with pytest.raises(StepFailed) as failure:
        run(step, content, media_type)
    return failure.value.code


def test_a_word_document_is_its_paragraphs_and_cells() -> None:
    body = (
        "<w:p><w:r><w:t>Dear </w:t><w:tab/><w:t>you,</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
        "<w:p><w:r><w:delText>gone</w:delText><w:instrText>HYPERLINK</w:instrText></w:r></w:p>"
    )
    result = run(step, docx(body), DOCX)
    assert text(result) == "Dear \tyou,\n1\n\t\n\n"
    assert result.output["metadata"] == {"title": "A letter", "author": "Ann"}
    assert result.output["complete"] is True


def test_the_slides_of_a_presentation_come_in_the_order_of_their_numbers() -> None:
    slide = '<p:s xmlns:a="a" xmlns:p="p"><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:s>'
    names = ("slides/slide10", "slides/slide2", "notesSlides/notesSlide1")
    content = package(**{f"ppt/{name}.xml": slide.format(name[-2:]) for name in names})
    assert text(run(step, content, PPTX)) == "e2\n\f10\n\fe1\n\f"


def workbook(rows: str, *, shared: str = "", styles: str = "") -> bytes:
    return package(
        **{
            "xl/workbook.xml": f'<workbook {S} {R}><sheets><sheet name="One" r:id="r1"/></sheets>'
            "</workbook>",
            "xl/_rels/workbook.xml.rels": f'<R><Relationship Id="r1" Target="{TARGET}"/></R>',
            "xl/worksheets/s.xml": f"<worksheet {S}><sheetData>{rows}</sheetData></worksheet>",
            "xl/sharedStrings.xml": f"<sst {S}>{shared}</sst>",
            "xl/styles.xml": f"<styleSheet {S}>{styles}</styleSheet>",
        }
    )


def test_the_cells_of_a_workbook_are_read_by_their_kinds() -> None:
    rows = (
        '<row r="1"><c r="A1" t="s"><v>1</v></c><c r="C1"><v>1.5</v></c><c t="b"><v>1</v></c></row>'
        '<row r="9"><c r="A9" s="1"><v>43363</v></c>'
        '<c r="B9" t="inlineStr"><is><t>in </t><t>line</t></is></c><c t="s"><v>99</v></c></row>'
    )
    shared = "<si><t>no</t></si><si><r><t>ri</t></r><r><t>ch</t></r><rPh><t>x</t></rPh></si>"
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    result = run(step, workbook(rows, shared=shared, styles=styles), XLSX)
    assert text(result) == "One\nrich\t1.5\ttrue\n2018-09-20 00:00:00\tin line\n\f"


def test_an_open_document_is_its_paragraphs() -> None:
    content = (
        '<d xmlns:text="t"><text:h>Head</text:h><text:p>a<text:s text:c="3"/>b<text:tab/>c</text:p>'
        "<script>no</script></d>"
    )
    assert text(run(step, package(**{"content.xml": content}), ODT)) == "Head\na   b\tc\n"


HTML = (
    "<!DOCTYPE html><html><head><title>T &amp; t</title><style>p{}</style><script>if (a<b) x()"
    "</script></head><body><!-- no > --><p class='>'>caf\u00e9 &lt;b&gt; 1 < 2</p><td>x<td>y</body>"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_html_is_the_same_text_however_it_arrives(size: int) -> None:
    blocks = [HTML[at : at + size] for at in range(0, len(HTML), size)]
    whole = "".join(text_of(blocks))
    assert whole.split() == ["T", "&", "t", "'>caf\u00e9", "<b>", "1", "<", "2", "x", "y"]


def test_a_page_says_its_encoding() -> None:
    page = '<meta charset="koi8-r"><p>\u043c\u0438\u0440</p>'.encode("koi8-r")
    result = run(step, page, "text/html")
    assert result.output["encoding"] == "koi8-r"
    assert text(result).strip() == "\u043c\u0438\u0440"


def test_a_mail_is_its_headers_and_its_plain_text() -> None:
    mail = (
        b"From: Ann <ann@example.org>\nSubject: =?utf-8?q?caf=C3=A9?=\n"
        b"Content-Type: multipart/alternative; boundary=b\n\n"
        b"--b\nContent-Type: text/plain; charset=iso-8859-1\n\ncaf\xe9\n"
        b"--b\nContent-Type: text/html\n\n<p>other</p>\n--b--\n"
    )
    result = run(step, mail, "message/rfc822")
    assert result.output["subject"] == "caf\u00e9"
    assert text(result) == "From: Ann <ann@example.org>\nSubject: caf\u00e9\n\ncaf\u00e9\n"


def test_rtf_is_read_with_its_escapes() -> None:
    content = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator x;}\pard caf\'e9 \u8364?\par"
        rb"{\pict 00ff}\u-10188?\u-8900?\{x\}\tab y\bin3 {{{z}"
    )
    expected = "caf\u00e9 \u20ac\n\U0001d13c{x}\tyz"
    assert text(run(step, content, "application/rtf")) == expected


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-8", "utf-8"), ("utf-16", "utf-16"), ("cp1251", "cp1251"), ("shift_jis", "cp932")],
)
def test_plain_text_of_any_encoding_is_told(encoding: str, named: str) -> None:
    sentence = {
        "cp1251": "Однажды, в студеную зимнюю пору, я из лесу вышел. ",
        "shift_jis": "豊田の車は速いです。東京に行きます。",
    }.get(encoding, "caf\u00e9 and tea. ")
    result = run(step, (sentence * 20).encode(encoding), "text/plain")
    assert result.output["encoding"] == named
    assert text(result) == sentence * 20


def test_a_long_text_is_cut_and_says_so() -> None:
    result = run(step, b"x" * 1000, "text/plain", {"max_characters": 10})
    assert text(result) == "x" * 10
    assert (result.output["characters"], result.output["complete"]) == (10, False)


def test_a_document_without_text_has_no_artifact() -> None:
    assert not run(step, docx("<w:p/>"), DOCX).artifacts


ENTITY = f'<!DOCTYPE d [<!ENTITY a "b">]><w:document {W}>&a;</w:document>'
MANIFEST = '<m xmlns:m="m"><m:encryption-data/></m>'


def bomb() -> bytes:
    body = f"<w:document {W}><w:p><w:t>" + "0" * 40_000_000 + "</w:t></w:p></w:document>"
    return package(**{"word/document.xml": body})


def encrypted_part() -> bytes:
    content = bytearray(docx("<w:p/>"))
    for mark, field in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(mark) + field] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "media_type", "code"),
    [
        (package(**{"word/document.xml": ENTITY}), DOCX, "document_damaged"),
        (package(**{"word/document.xml": "<a>" * 2000}), DOCX, "document_damaged"),
        (package(**{"word/document.xml": "<a><b></a>"}), DOCX, "document_damaged"),
        (package(other="x"), DOCX, "document_damaged"),
        (package(other="x"), PPTX, "document_damaged"),
        (package(other="x"), XLSX, "sheet_damaged"),
        (package(other="x"), ODT, "document_damaged"),
        (docx("")[:100], DOCX, "document_damaged"),
        (b"no rtf", "application/rtf", "document_damaged"),
        (b"{\\rtf1" + b"{" * 20_000, "application/rtf", "document_damaged"),
        (package(**{"content.xml": "<d/>", "META-INF/manifest.xml": MANIFEST}), ODT,
         "document_encrypted"),
        (encrypted_part(), DOCX, "document_encrypted"),
        (bomb(), DOCX, "archive_ratio"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_the_step_refuses(content: bytes, media_type: str, code: str) -> None:
    assert refused(content, media_type) == code


def test_what_is_read_says_which_types_they_are() -> None:
    readable: Any = step.media_types
    assert {DOCX, PPTX, XLSX, ODT, "text/html", "text/plain", "message/rfc822"} <= set(readable)
