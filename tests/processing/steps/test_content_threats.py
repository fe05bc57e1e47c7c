"""Content that was made to cost much: each file, through every step that claims its type, in the
sandbox. It ends well or with a reason, in seconds of CPU time and within its memory.

What the corpus of hostile files has is tried by `test_corpus.py` and the campaigns; this is what
it does not have.
"""

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from processing.sandbox import Sandbox, StepStopped
from processing.steps import registry
from tests.faults.corpus_campaign import Nowhere
from tests.processing.steps.test_archive import zipped
from tests.processing.steps.test_pdf_text import pdf
from tests.source import BytesSource
from tests.uploads.test_media_types import WORD, office
from uploads.media_types import HEAD_BYTES, detect

MIB = 1024 * 1024
WITHIN_CPU_S = 5.0
MEMORY_MIB = 300
ODS = "application/vnd.oasis.opendocument.spreadsheet"
# Limits of the sandbox that a child may meet with more memory than that.
STOPS = {"step_cpu_exceeded", "step_out_of_memory", "step_output_too_large"}


def docx(document: bytes) -> bytes:
    parts = {**office(f"{WORD}.main+xml"), "word/document.xml": document}
    return zipped(*((name, _bytes(part)) for name, part in parts.items()))


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()


def xlsx(sheet: bytes, strings: bytes = b"<sst/>") -> bytes:
    head = b'<?xml version="1.0"?>'
    main = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    return zipped(
        ("[Content_Types].xml", head + b'<Types><Override PartName="/xl/workbook.xml" '
         b'ContentType="' + main + b'"/></Types>'),
        ("xl/workbook.xml", head + b'<workbook><sheets><sheet name="One" id="r1"/></sheets>'
         b"</workbook>"),
        ("xl/_rels/workbook.xml.rels", head + b'<Relationships><Relationship Id="r1" '
         b'Target="worksheets/sheet1.xml"/></Relationships>'),
        ("xl/sharedStrings.xml", head + strings),
        ("xl/worksheets/sheet1.xml", head + sheet),
    )  # fmt: skip


def ods(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo("mimetype"), ODS)
        packed.writestr("content.xml", content)
    return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(kind: bytes, data: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(kind, data) + pixels + png_chunk(b"IEND", b"")


def gif_of(frames: int) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


def tiff_whose_folder_is_its_next() -> bytes:
    entries = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
               (273, 4, 1, 8), (278, 3, 1, 1), (279, 4, 1, 1)]  # fmt: skip
    folder = struct.pack("<H", len(entries))
    folder += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + folder + struct.pack("<I", 8)


def jpeg_of_scans(count: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan = content.rindex(b"\xff\xda")
    return content[:scan] + content[scan:-2] * count + b"\xff\xd9"


def pdf_of_pages(count: int) -> bytes:
    kids = b"3 0 R " * count
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count "
        + str(count).encode() + b"/Kids[" + kids + b"]>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R"
        b"/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n"
    )  # fmt: skip


def pdf_that_draws_itself() -> bytes:
    form = (
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 9 0 R>>>>"
        b"/Length 11>>stream\n/X Do /X Do\nendstream"
    )
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<</XObject<</X 9 0 R>>>>"
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids"
        b"[3 0 R]>>endobj\n3 0 obj" + page + b"/Contents 4 0 R>>endobj\n4 0 obj<</Length 5>>stream"
        b"\n/X Do\nendstream endobj\n9 0 obj" + form + b"endobj\ntrailer<</Root 1 0 R>>\n"
    )


def pdf_with_run_lengths() -> bytes:
    packed = b"\x81 " * 4_000_000 + b"\x80"  # each pair of bytes is 128 spaces
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids"
        b"[3 0 R]>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>"
        b"endobj\n4 0 obj<</Filter[/RunLengthDecode/RunLengthDecode]/Length "
        + str(len(packed)).encode() + b">>stream\n" + packed + b"\nendstream endobj\n"
        b"trailer<</Root 1 0 R>>\n"
    )  # fmt: skip


class Bomb:
    """What a reader of pickles would run."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Path.touch, (Path("/tmp/strongroom-hostile-pickle"),)  # type: ignore[return-value]


DTD = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>'
XMP = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/">%s</x:xmpmeta><?xpacket end="w"?>'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
BOMBS: dict[str, Callable[[], bytes]] = {
    # office
    "docx with a part of 100 MiB": lambda: docx(b"<w:document>" + b" " * 100 * MIB),
    "xlsx with 80 MiB of shared texts": lambda: xlsx(
        b"<worksheet/>", b"<sst>" + (b"<si><t>" + b"x" * 990 + b"</t></si>") * 84_000 + b"</sst>"
    ),
    "xlsx with its last cell": lambda: xlsx(
        b'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row><row r="1048576">'
        b'<c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    ),
    "ods that repeats a cell 17 G times": lambda: ods(
        b"<office:document-content><office:body><office:spreadsheet><table:table>"
        b'<table:table-row table:number-rows-repeated="1048576"><table:table-cell '
        b'table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
        b"</table:table-row></table:table></office:spreadsheet></office:body>"
        b"</office:document-content>"
    ),
    # XML
    "docx with a document type": lambda: docx(DTD + b"<w:document><w:t>&c;</w:t></w:document>"),
    "xlsx with a document type": lambda: xlsx(DTD[21:] + b"<worksheet/>"),
    "svg with a document type": lambda: DTD + SVG + b"<text>&c;</text></svg>",
    "xml that includes": lambda: (
        b'<?xml version="1.0"?><a xmlns:xi="http://www.w3.org/2001/XInclude">'
        b'<xi:include href="file:///etc/passwd" parse="text"/></a>'
    ),
    "png with a document type in its xmp": lambda: png_with(
        b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % (DTD + b"<a>&c;</a>")
    ),
    "xml 100,000 deep": lambda: b'<?xml version="1.0"?>' + b"<a>" * 100_000 + b"</a>" * 100_000,
    "xml with 60,000 attributes": lambda: (
        b'<?xml version="1.0"?><a '
        + b" ".join(b'a%d="1"' % number for number in range(60_000))
        + b"/>"
    ),
    "docx 100,000 deep": lambda: docx(b"<w:p>" * 100_000 + b"</w:p>" * 100_000),
    # images
    "gif of 40,000 frames": lambda: gif_of(40_000),
    "png with a text that unpacks to 200 MiB": lambda: png_with(
        b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 * MIB))
    ),
    "png with a colour profile that unpacks to 200 MiB": lambda: png_with(
        b"iCCP", b"profile\0\0" + zlib.compress(bytes(200 * MIB))
    ),
    "tiff whose folder is its next": tiff_whose_folder_is_its_next,
    "jpeg of 1,500 scans": lambda: jpeg_of_scans(1_500),
    "svg that uses itself": lambda: (
        SVG + b'<g id="a0"/>' + b"".join(
            b'<g id="a%d">' % at + b'<use xlink:href="#a%d"/>' % (at - 1) * 10 + b"</g>"
            for at in range(1, 12)
        ) + b"</svg>"
    ),
    # PDF
    "pdf of 60,000 pages": lambda: pdf_of_pages(60_000),
    "pdf whose form draws itself": pdf_that_draws_itself,
    "pdf with a page of 2,000,000,000 points": lambda: pdf("text").replace(
        b"[0 0 612 792]", b"[0 0 2000000000 2000000000]"
    ),
    "pdf with two run-length filters": pdf_with_run_lengths,
    # never loaded
    "pickle": lambda: pickle.dumps(Bomb()),
    "yaml bomb": lambda: (
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (at + 98, at + 98, b",".join([b"*%c" % (at + 97)] * 9))
                   for at in range(9))
    ),
    "gzip 13 deep": lambda: _deep(13),
}  # fmt: skip


def _deep(levels: int) -> bytes:
    content = b"x"
    for _ in range(levels):
        content = gzip.compress(content)
    return content


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("name", BOMBS)
def test_it_ends_soon_with_a_reason_and_within_its_memory(sandbox: Sandbox, name: str) -> None:
    content = BOMBS[name]()
    media_type = detect(content[:HEAD_BYTES])
    claimed = [step for step in registry.BUILT_IN if step.reads(media_type)]
    assert {"checksum", "media_type"} <= {step.name for step in claimed}
    for step in claimed:
        end, cpu_s, mib = measured(sandbox, step.name, content, media_type)
        assert end not in ("step_crashed", "step_raised", "step_timed_out"), (step.name, end)
        assert cpu_s < WITHIN_CPU_S, (step.name, end, cpu_s)
        assert mib < MEMORY_MIB or end in STOPS, (step.name, end, mib)
    assert not Path("/tmp/strongroom-hostile-pickle").exists()


def measured(
    sandbox: Sandbox, name: str, content: bytes, media_type: str
) -> tuple[str, float, int]:
    """Return how a step ended, the CPU time that its child used, and its memory in MiB."""
    with sandbox.open(BytesSource(content), media_type) as session:
        try:
            used: Any = session.run(
                name, settings={}, results={}, open_artifact=lambda *_: Nowhere()
            )
            end = "ok"
        except StepStopped as stopped:
            used, end = stopped.usage, stopped.code
    return end, used.cpu_ms / 1000, used.max_rss_bytes >> 20
