"""How often the type of a file is told right, and which hostile ones are noticed.

`python -m tests.benchmarks.detection` reads the corpus of real and hostile files and compares what
the intake decides with what is known of them, beside what libmagic says alone.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.processing.steps.corpus import manifest, unpack
from tests.source import BytesSource
from uploads.media_types import HEAD_BYTES, Inspection, canonical, inspect
from uploads.media_types.libmagic import MAGIC

GOAL = 0.98

# What must be noticed, and as what.
HOSTILE = {
    "hostile/markup/html_as_png.png": "type_mismatch",
    "hostile/masquerade/elf_as_jpg.jpg": "executable_in_disguise",
    "hostile/masquerade/mz_as_pdf.pdf": "executable_in_disguise",
    "hostile/masquerade/pdf_as_txt.txt": "type_mismatch",
    "hostile/masquerade/zip_as_docx.docx": "type_mismatch",
    "hostile/office/external_template.docx": "active_content",
    "hostile/office/macro_renamed.docx": "macro_in_disguise",
    "hostile/pdf/embedded_file.pdf": "embedded_file",
    "hostile/pdf/javascript.pdf": "active_content",
    "hostile/polyglot/gif_js.gif": "polyglot",
    "hostile/polyglot/jpg_html.jpg": "polyglot",
    "hostile/polyglot/pdf_zip.pdf": "polyglot",
    "hostile/polyglot/png_zip.png": "polyglot",
    "hostile/archive/duplicate_names.zip": "container_damaged",
    "hostile/archive/truncated.zip": "container_damaged",
    "hostile/markup/billion_laughs.xml": "active_content",
    "hostile/markup/script.html": "active_content",
    "hostile/markup/script.svg": "active_content",
    "hostile/markup/foreignobject.svg": "active_content",
    "hostile/markup/xxe_file.xml": "active_content",
    "hostile/markup/xxe_ssrf.xml": "active_content",
}
# What says that somebody means harm; of benign files it would be a false alarm.
ALARMS = {"polyglot", "macro_in_disguise", "executable_in_disguise"}


@dataclass
class Measured:
    """The figures, and what they are made of."""

    known: int = 0
    right: int = 0
    right_alone: int = 0
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    findings: Counter[str] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.right / self.known


def is_certain(row: dict[str, str]) -> bool:
    """Tell whether the type of a file is known from more than libmagic's own answer."""
    return row["class"] == "benign" and row["mime_basis"] != "libmagic only"


def measure(corpus: Path) -> Measured:
    """Inspect every file of the corpus."""
    measured = Measured()
    for row in manifest(corpus):
        content = (corpus / row["file"]).read_bytes()
        began = time.perf_counter()
        found = inspect(BytesSource(content), name=row["file"].rpartition("/")[2])
        measured.times_ms.append((time.perf_counter() - began) * 1000)
        must_be = HOSTILE.get(row["file"])
        if must_be and must_be not in found.findings:
            measured.missed.append(row["file"])
        if is_certain(row):
            _count(measured, row, content, found)
    return measured


def _count(measured: Measured, row: dict[str, str], content: bytes, found: Inspection) -> None:
    expected = canonical(row["mime_expected"])
    alone = canonical(MAGIC.ask(MAGIC.media_type, content[:HEAD_BYTES], ""))
    measured.known += 1
    measured.right += found.media_type == expected
    measured.right_alone += alone == expected
    measured.findings.update(found.findings)
    if found.media_type != expected:
        measured.wrong.append((row["file"], expected, found.media_type))
    if ALARMS.intersection(found.findings):
        measured.alarms.append(row["file"])


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(unpack(Path(folder)))
    print(f"benign files whose type is certain   {measured.known}")
    print(f"  told right                         {measured.right} ({measured.share:.1%})")
    print(f"  by libmagic alone                  {measured.right_alone / measured.known:.1%}")
    print(f"  with a false alarm                 {len(measured.alarms)}")
    print(f"hostile files that must be noticed   {len(HOSTILE)}")
    print(f"  not noticed                        {len(measured.missed)}")
    times = sorted(measured.times_ms)
    print(
        f"time of one file                     median {statistics.median(times):.2f} ms, "
        f"p95 {times[len(times) * 95 // 100]:.2f} ms, longest {times[-1]:.0f} ms"
    )
    print("findings in benign files:", dict(measured.findings.most_common()))
    for name, expected, got in measured.wrong:
        print(f"  wrong: {name}: {got}, is {expected}")
    return 0 if measured.share >= GOAL and not measured.missed else 1


if __name__ == "__main__":
    sys.exit(main())
