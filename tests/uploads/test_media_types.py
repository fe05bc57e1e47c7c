"""What a file is, told from its head."""

import csv
import io
import json
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processing.steps.corpus import ROOT, corpus
from uploads.media_types import (
    HEAD_BYTES,
    declared_encoding,
    describe,
    detect,
    encoding_of,
    libmagic,
    table_in,
    told,
)
from uploads.media_types.text import _read_as_table

__all__ = ["corpus"]

PDF, GIF = b"%PDF-1.4\n", b"GIF89a\1\0\1\0\0\0\0;"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WITH_MACROS = "application/vnd.ms-word.document.macroenabled.12"
MACRO_MAIN = "application/vnd.ms-word.document.macroEnabled.main+xml"
TEXT_PACKAGE = "application/vnd.oasis.opendocument.text"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def packed(members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(member(name, method), content)
    return file.getvalue()


def member(name: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """Return a member of no particular day: what is packed twice must be the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


class OneWay(io.BytesIO):
    """A file that cannot be wound back, so that sizes follow their members."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation


def streamed(members: dict[str, str]) -> bytes:
    file = OneWay()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(member(name), content)
    return file.getvalue()


def office(main: str, **more: str) -> dict[str, str | bytes]:
    types = f'<Types><Override PartName="/main" ContentType="{main}"/></Types>'
    return {"[Content_Types].xml": types, "_rels/.rels": "<r/>", **more}


def ole(stream: str) -> bytes:
    return bytes.fromhex("d0cf11e0a1b11ae1").ljust(512, b"\0") + (stream + "\0").encode(
        "utf-16-le"
    ).ljust(512, b"\0")


LOG = "".join(f"2024-05-01 10:00:{at:02},{at:03} INFO Request served\n" for at in range(60))


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"", "application/x-empty"),
        (b"\0\1\2\3", "application/octet-stream"),
        (b"plain text\n", "text/plain"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"{\\rtf1 text}", "application/rtf"),
        (
            b"MZ\x90\0" + b"\0" * 56 + b"\x40\0\0\0PE\0\0\x64\x86",
            "application/vnd.microsoft.portable-executable",
        ),
        # Tables
        (b"a,b,c\n1,2,3\n", "text/csv"),
        (b"a;b\n1,5;2\n", "text/csv"),
        (b"a\tb\n1\t2\n", "text/tab-separated-values"),
        (b'name,note\nAda,"one, two\nthree"\n', "text/csv"),
        ("größe,maß\n1,2\n".encode("cp1252"), "text/csv"),
        ("a,b,c\n1,2,3\n".encode("utf-16"), "text/csv"),
        (b"\xef\xbb\xbfa,b,c\n1,2,3\n", "text/csv"),
        (b"a,b,c\n" + b"1,2,3\n" * 20 + b"ragged\n", "text/csv"),
        (b"alone\n1\n2\n", "text/plain"),
        (b"a,b,c\n", "text/plain"),
        (b"Dear reader,\nit rains, it pours\n", "text/plain"),
        (b"Hello, world\nGood, morning\n", "text/plain"),
        (LOG.encode(), "text/plain"),
        (b"#define x 1\n" + b"0x00, 0x01, 0x02,\n" * 20, "text/plain"),
        (b"| a | b |\n|---|---|\n| 1 | 2 |\n", "text/plain"),
        # JSON
        (b"{}", "application/json"),
        (b' [1, {"a": null}]\n', "application/json"),
        (b'\xef\xbb\xbf{"a": 1}', "application/json"),
        ('{"a": "ü"}'.encode("utf-16"), "application/json"),
        (json.dumps({"key": "value" * 20_000}).encode()[:HEAD_BYTES], "application/json"),
        (json.dumps(list(range(50_000))).encode()[:HEAD_BYTES], "application/json"),
        (b'{"n": ' + b"9" * 10_000 + b"}", "application/json"),
        (b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson"),
        (b'{"a": 1} and then', "text/plain"),
        (b"[INFO] started\n", "text/plain"),
        (b"[1] a footnote\n", "text/plain"),
        (b'{"a": 1', "text/plain"),
        (b"[" * 20_000, "text/plain"),
        # Containers
        (packed({"a.txt": "x"}), "application/zip"),
        (packed(office(f"{WORD}.main+xml")), WORD),
        (packed(office(f"{SHEET}.main+xml")), SHEET),
        (packed(office(MACRO_MAIN)), WITH_MACROS),
        (
            packed(office("application/vnd.ms-word.template.macroEnabledTemplate.main+xml")),
            "application/vnd.ms-word.template.macroenabled.12",
        ),
        (
            packed(office("application/vnd.ms-excel.sheet.binary.macroEnabled.main")),
            "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        ),
        (packed(office(f"{WORD}.main+xml", **{"word/vbaProject.bin": "x"})), WITH_MACROS),
        (
            packed(office(f"{SLIDES}.main+xml", **{"ppt/VBAPROJECT.BIN": "x"})),
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
        (packed(office(f'{WORD}.main+xml"/><Override ContentType="{MACRO_MAIN}')), WITH_MACROS),
        (packed({"word/document.xml": "x"}), WORD),
        (packed({"mimetype": TEXT_PACKAGE}, zipfile.ZIP_STORED), TEXT_PACKAGE),
        (
            packed({"META-INF/container.xml": "x", "mimetype": "application/epub+zip"}),
            "application/epub+zip",
        ),
        (packed({"AndroidManifest.xml": "x"}), "application/vnd.android.package-archive"),
        (
            streamed(
                {"a": "x" * 1000, "[Content_Types].xml": f'<O ContentType="{WORD}.main+xml"/>'}
            ),
            WORD,
        ),
        (
            packed({"inner.zip": packed(office(f"{WORD}.main+xml"))}, zipfile.ZIP_STORED),
            "application/zip",
        ),
        (ole("WordDocument"), "application/msword"),
        (ole("Workbook"), "application/vnd.ms-excel"),
        (ole("PowerPoint Document"), "application/vnd.ms-powerpoint"),
        (b"\x1aE\xdf\xa3\x93B\x82\x88webm\0", "video/webm"),
    ],
)
def test_detect(head: bytes, media_type: str) -> None:
    assert detect(head) == media_type


def test_a_zip_cannot_call_itself_a_picture() -> None:
    for claim in ("image/png", "text/html", "application/pdf", "application/zip; x"):
        assert detect(packed({"mimetype": claim}, zipfile.ZIP_STORED)) == "application/zip"
    claim = 'ContentType="application/vnd.evil.main+xml"'
    assert detect(packed({"a": "x", "[Content_Types].xml": claim})) == "application/zip"


@given(st.binary(max_size=200))
def test_detect_never_fails(head: bytes) -> None:
    for start in (b"", b"PK\x03\x04", b"[", b'{"a":', b"\xff\xfe", b"a,b\n"):
        assert "/" in detect(start + head)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_a_damaged_office_file_is_still_something(noise: bytes, at: int) -> None:
    content = packed(office(f"{WORD}.main+xml"))
    assert "/" in detect(content[:at] + noise + content[at:])


def test_only_the_head_counts() -> None:
    head = b"x" * HEAD_BYTES
    assert detect(head + b"\0" * 100) == detect(head) == "text/plain"


def test_a_member_that_inflates_without_end_is_left_alone() -> None:
    bomb = packed({"big": b"\0" * 60_000_000, "[Content_Types].xml": f'ContentType="{WORD}.main"'})
    assert len(bomb) < HEAD_BYTES
    assert detect(bomb) == "application/zip"


def test_descriptions_and_encodings_are_those_of_libmagic() -> None:
    assert describe(b"%PDF-1.4\n").startswith("PDF document")
    assert declared_encoding("Grüße".encode()) == "utf-8"
    assert declared_encoding(b"\0\1\2") == "binary"


def test_threads_that_ask_libmagic_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = libmagic.MAGIC._library
    together = threading.Barrier(2, timeout=20)
    made = []

    class Meeting(library.Magic):  # type: ignore[misc, name-defined]
        def __init__(self, magic_file: str | None) -> None:
            super().__init__(magic_file=magic_file)
            made.append(self)

        def from_buffer(self, head: bytes) -> object:
            together.wait()
            return super().from_buffer(head)

    monkeypatch.setattr(library, "Magic", Meeting)
    asked = libmagic._LibMagic(at_once=3)
    assert len(made) == 1, "the others are read when they are needed"
    with ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            questions = pool.map(asked.ask, [asked.media_type] * 2, [PDF, GIF], ["", ""])
            assert list(questions) == ["application/pdf", "image/gif"]
    assert len(made) == 2


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"", "utf-8"),
        (b"ascii", "utf-8"),
        ("é".encode(), "utf-8"),
        ("é".encode("cp1252"), "cp1252"),
        ("ééé".encode() + b"\xff", "utf-8"),
        (b"\xff\xff\xff" + "é".encode(), "cp1252"),
        (("x" * (HEAD_BYTES - 1) + "é").encode(), "utf-8"),
        ("é".encode("utf-16"), "utf-16"),
        ("é".encode("utf-32"), "utf-32"),
        ("abc".encode("utf-16-le"), "utf-16-le"),
        ("abc".encode("utf-16-be"), "utf-16-be"),
    ],
)
def test_encoding_of(head: bytes, codec: str) -> None:
    assert encoding_of(head) == codec


def test_the_most_regular_reading_of_a_table_wins() -> None:
    table = table_in("a;b;c\n1,5;2;3\n4;5,5;6\n")
    assert table is not None
    assert (table.delimiter, table.columns, table.rows, table.share) == (";", 3, 3, 1.0)
    assert table_in("no table\nat all\n") is None


@given(st.text(alphabet="ab \"'\n\r\0"), st.sampled_from(",;\t|"))
def test_a_text_without_a_delimiter_does_not_read_as_a_table(text: str, delimiter: str) -> None:
    assert _read_as_table(text, delimiter) is None


def test_every_csv_of_the_spectrum_is_a_table(corpus: Path) -> None:
    files = sorted((corpus / "csv-spectrum").glob("*.csv"))
    assert {detect(path.read_bytes()) for path in files} == {"text/csv"}


WITHOUT_SYSTEM_LIBRARY = """
import ctypes, ctypes.util
real = ctypes.CDLL
def library(name, *args, **kwargs):
    if name and "libmagic" in str(name) and "pylibmagic" not in str(name) and not loaded:
        raise OSError(name)
    loaded.append(name) if name and "pylibmagic" in str(name) else None
    return real(name, *args, **kwargs)
loaded = []
ctypes.CDLL = library
ctypes.util.find_library = lambda name: None
import sys
from uploads.media_types import detect
print(detect(b"%PDF-1.7"), len(loaded), "pylibmagic" in sys.modules)
"""


def test_the_bundled_library_stands_in_where_the_system_has_none() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_SYSTEM_LIBRARY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["application/pdf", "1", "False"], done.stderr


def test_importing_it_brings_in_no_django() -> None:
    code = "import sys, uploads.media_types; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_tables_are_read_the_way_the_standard_library_writes_them() -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], ["1,5", 'say "x"\nagain']])
    assert detect(text.getvalue().encode()) == "text/csv"


PROGRAM = "application/vnd.microsoft.portable-executable"
EXCEL = "application/vnd.ms-excel"


@pytest.mark.parametrize(
    ("media_type", "name", "declared_type", "sentence"),
    [
        (PROGRAM, "invoice.pdf", "", "This is a Windows program, not a PDF."),
        (PROGRAM, "setup.exe", "", "This is a Windows program."),
        (PROGRAM, "no ending", "image/png", "This is a Windows program, not a PNG picture."),
        (PROGRAM, "no ending", "x/<b>", "This is a Windows program."),
        ("text/plain", "letter.pdf", "", "This is plain text, not a PDF."),
        ("application/zip", "a.docx", "", "This is a ZIP archive, not a Word document."),
        (f"{EXCEL}.sheet.macroenabled.12", "a", "", "This is an Excel workbook with macros."),
        (f"{EXCEL}.sheet.4", "a.xls", "", "This is an Excel workbook."),
        ("application/x-rare", "a.rare", "", "This is a file of the type application/x-rare."),
        ("application/octet-stream", "a.pdf", "", ""),
    ],
)
def test_what_a_file_is_and_is_not_is_told_in_words(media_type, name, declared_type, sentence):
    assert told(media_type, name=name, declared_type=declared_type) == sentence
