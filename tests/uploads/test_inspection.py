"""What a whole file is, and what is noticed in it."""

import io
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks import detection
from tests.processing.steps.corpus import corpus, manifest
from tests.source import BytesSource
from tests.uploads.test_media_types import MACRO_MAIN, SHEET, WORD, office, packed
from uploads.media_types import Inspection, canonical, inspect, possible_types
from uploads.media_types.names import ENDINGS
from uploads.validation import ACTIONS, Policy, check_media_types

__all__ = ["corpus"]

VBA = "application/vnd.ms-office.vbaProject"
GIF = b"GIF89a\x01\0\x01\0\0\0\0;"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0\x3a\x7e\x9b\x55"
PROGRAM = b"MZ\x90\0" + b"\0" * 56 + b"\x40\0\0\0PE\0\0\x64\x86"
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n"
SCRIPT = b"4 0 <</S/JavaScript/JS(app.alert(1))>>"


def pdf_with(
    objects: bytes, *, says: bytes = b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode"
) -> bytes:
    """Return a PDF with a stream of objects, compressed."""
    packed_objects = zlib.compress(objects)
    head = b"5 0 obj<<%s/Length %d>>\nstream\r\n" % (says, len(packed_objects))
    return PDF + head + packed_objects + b"\r\nendstream endobj\n"


def look(content: bytes, name: str = "", declared: str = "") -> Inspection:
    return inspect(BytesSource(content), name=name, declared_type=declared)


def encrypted(content: bytes) -> bytes:
    """Set the flag in the local header and in the directory of a one-member ZIP."""
    raw = bytearray(content)
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(raw)


REMOTE = (
    '<Relationships><Relationship Id="a" Target="http://x.test/t.dotm" TargetMode="External" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"/>'
    "</Relationships>"
)


@pytest.mark.parametrize(
    ("content", "name", "declared", "findings"),
    [
        (b"plain\n", "a.txt", "text/plain", []),
        (b"plain\n", "a.unheard", "", []),
        (b"plain\n", "", "application/octet-stream", []),
        (b"a,b,c\n1,2,3\n", "a.csv", "application/vnd.ms-excel", []),
        (b"plain\n", "a.md", "text/plain; charset=utf-8", []),
        (b'{"a": 1}', "a.json", "text/plain", []),
        (b'{"a": 1}', "a.json", "image/png", ["type_mismatch"]),
        # Masquerades
        (PDF, "a.txt", "", ["type_mismatch"]),
        (PDF, "a.pdf", "image/png", ["type_mismatch"]),
        (PROGRAM, "a.pdf", "", ["executable_in_disguise"]),
        (PROGRAM, "a.exe", "", []),
        (PROGRAM, "a", "image/png", ["executable_in_disguise"]),
        (b"<html><script>1</script></html>", "a.png", "", ["active_content", "type_mismatch"]),
        (packed({"a": "x"}), "a.docx", "", ["type_mismatch"]),
        (b"\0\1\2\3" * 50, "a", "", ["type_uncertain"]),
        # Macros, under any name and in any case
        (packed(office(MACRO_MAIN)), "a.docm", "", ["macro"]),
        (packed(office(MACRO_MAIN)), "a", "", ["macro"]),
        (packed(office(MACRO_MAIN)), "a.docx", "", ["macro_in_disguise"]),
        (packed(office(MACRO_MAIN)), "a.docm", WORD, ["macro_in_disguise"]),
        (
            packed(office(f"{WORD}.main+xml", **{"Word/VbaProject.BIN": "x"})),
            "a.docx",
            "",
            ["macro_in_disguise"],
        ),
        (
            packed(office(f'{WORD}.main+xml"/><Default ContentType="{VBA.upper()}', other="x")),
            "a.docx",
            "",
            ["macro_in_disguise"],
        ),
        (
            packed(office(f"{SHEET}.main+xml", **{"xl/macrosheets/sheet1.xml": "x"})),
            "a.xlsx",
            "",
            ["macro_in_disguise"],
        ),
        (
            packed({"[CONTENT_TYPES].XML": f'<O ContentType="{MACRO_MAIN.upper()}"/>'}),
            "a.docx",
            "",
            ["macro_in_disguise"],
        ),
        (
            packed({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "x",
                    "Basic/Standard/Module1.xml": "x"}),
            "a.odt",
            "",
            ["macro"],
        ),
        # Active content, files inside
        (packed(office(f"{WORD}.main+xml", **{"word/_rels/settings.xml.rels": REMOTE})), "a.docx",
         "", ["active_content"]),
        (packed(office(f"{WORD}.main+xml", **{"word/embeddings/o.bin": "x"})), "a.docx", "",
         ["embedded_file"]),
        (PDF + b"<</S/JavaScript/JS(x)>>", "a.pdf", "", ["active_content"]),
        (PDF + b"<</S/J#61vaScript>>", "a.pdf", "", ["active_content"]),
        (pdf_with(b"4 0 <</S/GoTo>>"), "a.pdf", "", []),
        (pdf_with(SCRIPT), "a.pdf", "", ["active_content"]),
        (pdf_with(SCRIPT.replace(b"JavaScript", b"#4aavaScript").replace(b"/JS", b"/J#53")),
         "a.pdf", "", ["active_content"]),
        (pdf_with(SCRIPT)[:-30], "a.pdf", "", ["active_content"]),
        (pdf_with(SCRIPT, says=b"/Type/Obj#53tm/N 1/First 4/Filter[/Fl]"),
         "a.pdf", "", ["active_content"]),
        (pdf_with(SCRIPT, says=b"/N 1 /First 4 /Filter /FlateDecode"),
         "a.pdf", "", ["active_content"]),
        (pdf_with(b"4 0 <</EmbeddedFiles 1 0 R>>"), "a.pdf", "", ["embedded_file"]),
        # What is packed so that nobody can look into it
        (pdf_with(b"4 0 <</S/GoTo>>", says=b"/Type/ObjStm/N 1/First 4/Filter[/AHx/Fl]"),
         "a.pdf", "", ["active_content"]),
        (pdf_with(b"4 0 ", says=b"/Type/ObjStm/N 1/First 4/Filter/Fl/DecodeParms<</Predictor 12>>"),
         "a.pdf", "", ["active_content"]),
        (pdf_with(b"4 0 ", says=b"/Type/ObjStm/N 1/First 4/Filter 9 0 R"),
         "a.pdf", "", ["active_content"]),
        (pdf_with(bytes(5 * 1024 * 1024)), "a.pdf", "", ["active_content"]),
        (pdf_with(bytes(4_000_000)) * 5, "a.pdf", "", ["active_content"]),
        (pdf_with(b"4 0 ") * 2001, "a.pdf", "", ["active_content"]),
        (PDF + b"/First stream\n" * 10_000, "a.pdf", "", ["active_content"]),
        # Other streams are content of pages; an encrypted one cannot be looked into
        (pdf_with(SCRIPT, says=b"/Filter/FlateDecode"), "a.pdf", "", []),
        (pdf_with(SCRIPT) + b"trailer<</Encrypt 5 0 R>>", "a.pdf", "", ["encrypted_content"]),
        (PDF + b"<</Names<</EmbeddedFiles 1 0 R>>>>", "a.pdf", "", ["embedded_file"]),
        (PDF + b"trailer<</Encrypt 5 0 R>>", "a.pdf", "", ["encrypted_content"]),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0"/></svg>', "a.svg", "", []),
        (b'<svg onload="x()"></svg>', "a.svg", "", ["active_content"]),
        (b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://x.test/"><a/>', "a.xml", "",
         ["active_content"]),
        # Polyglots
        (GIF, "a.gif", "", []),
        (b"GIF89a/*" + GIF[8:] + b"*/=1;alert(1)", "a.gif", "", ["polyglot"]),
        (PNG + packed({"a": "x"}), "a.png", "", ["polyglot"]),
        (PNG + b"<script>alert(1)</script>", "a.png", "", ["polyglot"]),
        (PNG + b"\0%PDF-1.4\n", "a.png", "", ["polyglot"]),
        (PNG + b"Rar!\x1a\x07\x01\0", "a.png", "", ["polyglot"]),
        (PDF + packed({"a": "x"}), "a.pdf", "", ["polyglot"]),
        (PNG.ljust(32_769, b"\0") + b"CD001", "a.png", "", ["polyglot"]),
        (PNG.ljust(257, b"\0") + b"ustar\0", "a.png", "", ["polyglot"]),
        # Containers
        (packed({"a": "x"}), "a.zip", "", []),
        (encrypted(packed({"a": "x"})), "a.zip", "", ["encrypted_content"]),
        (packed({"a": "x" * 5000})[:-30], "a.zip", "", ["container_damaged"]),
        (b"PK\x03\x04", "a.zip", "", ["container_damaged"]),
    ],
)  # fmt: skip
def test_what_is_noticed(content: bytes, name: str, declared: str, findings: list[str]) -> None:
    assert list(look(content, name, declared).findings) == findings


def test_a_member_that_only_the_head_knows_is_noticed() -> None:
    """One reader walks from the beginning, another one trusts the directory at the end."""
    hidden = packed({"secret.exe": PROGRAM}, zipfile.ZIP_STORED)
    shown = packed({"a.txt": "x"}, zipfile.ZIP_STORED)
    local = hidden[: hidden.index(b"PK\x01\x02")]
    assert look(local + shown, "a.zip").findings == ("container_damaged",)


def test_the_directory_at_the_end_decides_however_long_the_file_is() -> None:
    filler = {f"word/media/{number}.bin": bytes([number]) * 200_000 for number in range(4)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in filler.items():
            archive.writestr(name, content)
        archive.writestr("[Content_Types].xml", f'<O ContentType="{MACRO_MAIN}"/>')
    found = look(file.getvalue(), "a.docx")
    assert found.media_type == "application/vnd.ms-word.document.macroenabled.12"
    assert found.findings == ("macro_in_disguise",)


def test_every_finding_has_a_default_action() -> None:
    for content, name in ((b"\0\1\2", "a"), (PROGRAM, "a.txt"), (PDF, "a.txt")):
        assert set(look(content, name).findings) <= set(ACTIONS)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"# Title\n\ntext\n", "a.md", "text/markdown"),
        (b"int main;\n", "a.c", "text/x-c"),
        (b"true", "a.json", "application/json"),
        (b"true", "a.txt", "text/plain"),
        (b"plain\n", "a.pdf", "text/plain"),
        (b"plain\n", "a.html", "text/plain"),
        ("größe\n".encode("utf-16"), "a.txt", "text/plain"),
        (b"<note><b/></note>", "a.xml", "application/xml"),
        (b"<!-- c --><!DOCTYPE html><p>x</p>", "a.html", "text/html"),
        (b"<p onclick=x>hi</p>", "a.txt", "text/html"),
        (b'<?xml version="1.0"?><rss/>', "a.rss", "application/rss+xml"),
        (b"From: a@x.test\nTo: b@x.test\nSubject: x\n\nhello\n", "a.eml", "message/rfc822"),
        (b"From a@x.test Mon Jun 01 10:00:00 2009\nSubject: x\n\nhi\n", "a.mbox",
         "application/mbox"),
        (b"name: x\nvalue: y\n", "a.yaml", "application/yaml"),
        (packed({"META-INF/MANIFEST.MF": "x"}), "a.jar", "application/java-archive"),
        (packed({"doc.kml": "<kml/>"}), "a.kmz", "application/vnd.google-earth.kmz"),
        (b"\x09\x04\x06\x00\x00\x00\x10\x00" + b"\0" * 50, "a.xls",
         "application/vnd.ms-excel.sheet.4"),
    ],
)  # fmt: skip
def test_the_name_only_chooses_between_types_of_the_same_content(
    content: bytes, name: str, media_type: str
) -> None:
    assert look(content, name).media_type == media_type


@given(st.binary(max_size=300), st.sampled_from(sorted(ENDINGS)))
def test_it_never_fails(noise: bytes, ending: str) -> None:
    for start in (b"", b"PK\x03\x04", b"%PDF-", b"<svg", bytes.fromhex("d0cf11e0a1b11ae1"), GIF):
        found = look(start + noise, f"a.{ending}")
        assert "/" in found.media_type
        assert set(found.findings) <= set(ACTIONS)


@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_a_damaged_container_is_still_something(noise: bytes, at: int, replaces: bool) -> None:
    content = packed(office(f"{WORD}.main+xml"))
    found = look(content[:at] + noise + content[at + len(noise) * replaces :], "a.docx")
    assert "/" in found.media_type


class Counting(BytesSource):
    """Counts what is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.longest = 0
        self.total = 0

    def read_at(self, offset: int, length: int) -> bytes:
        found = super().read_at(offset, length)
        self.longest = max(self.longest, len(found))
        self.total += len(found)
        return found


@pytest.mark.parametrize("start", [b"%PDF-1.7\n", PNG, b"PK\x03\x04", b"text "])
def test_little_of_a_long_file_is_read(start: bytes) -> None:
    source = Counting(start + b"x" * 40_000_000)
    inspect(source, name="a.bin")
    assert source.longest <= 8 * 1024 * 1024
    assert source.total < 64 * 1024 * 1024


def test_types_of_the_corpus_are_told_right_and_the_hostile_are_noticed(corpus: Path) -> None:
    measured = detection.measure(corpus)
    assert measured.known > 800
    assert measured.share >= detection.GOAL, measured.wrong
    assert measured.missed == []
    assert measured.alarms == []
    assert measured.share > measured.right_alone / measured.known


def test_every_benign_file_is_accepted_where_its_type_is_allowed(corpus: Path) -> None:
    """At its head, and at its end."""
    for row in manifest(corpus):
        if not detection.is_certain(row):
            continue
        content, name = (corpus / row["file"]).read_bytes(), row["file"].rpartition("/")[2]
        found = look(content, name)
        rules = Policy(max_bytes=2**40, allowed_types=(found.media_type,), denied_types=())
        from uploads.media_types import HEAD_BYTES, detect

        if len(content) >= HEAD_BYTES:
            check_media_types(possible_types(detect(content[:HEAD_BYTES]), name=name), rules)
        check_media_types((found.media_type,), rules)
        assert rules.action_on("type_mismatch") == "flag"


@pytest.mark.parametrize(
    ("at_its_head", "name", "at_its_end"),
    [
        ("application/zip", "a.docx", WORD),
        ("application/zip", "a.apk", "application/vnd.android.package-archive"),
        (WORD, "a.docx", "application/zip"),
        ("application/x-ole-storage", "a.doc", "application/msword"),
        ("application/vnd.ms-office", "a.vsd", "application/vnd.visio"),
        ("application/vnd.oasis.opendocument.text-master", "a.odm", "application/zip"),
        ("application/octet-stream", "a.stl", "model/x.stl-binary"),
        ("text/plain", "a.md", "text/markdown"),
        ("video/x-ms-asf", "a.wmv", "video/x-ms-wmv"),
    ],
)
def test_nothing_is_refused_at_its_head_that_its_end_makes_acceptable(
    at_its_head: str, name: str, at_its_end: str
) -> None:
    assert at_its_end in possible_types(at_its_head, name=name)


def test_a_picture_stays_a_picture() -> None:
    assert possible_types("image/png", name="a.docx") == ("image/png",)


def test_other_names_of_a_type_are_one_type() -> None:
    assert canonical("Text/XML; charset=utf-8") == "application/xml"
    assert canonical("image/jpg") == "image/jpeg"
