"""7z, RAR and Zstandard: read by libraries, held to the same limits."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing import health
from processing.steps import archive
from processing.steps.archive import libarchive
from processing.steps.archive.limits import FREE_BYTES, REASONS
from processing.steps.contract import MIB, StepFailed
from tests.processing.steps.harness import run
from tests.processing.steps.packers import RAR, SEVEN_ZIP, rar, seven_zip
from tests.processing.steps.test_archive import (
    TWO,
    ZIP,
    members_of,
    name_only,
    paths_of,
    refused,
    tarred,
    zipped,
)
from uploads.media_types import HEAD_BYTES, detect

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

step = archive.step
ZSTD = "application/zstd"
MANY = tuple((str(number), b"x") for number in range(20))
SLIP = ("../../etc/cron.d/x", b"x")
installed = pytest.mark.skipif(not libarchive.is_installed(), reason="There is no libarchive.")


@installed
@pytest.mark.parametrize(
    ("content", "media_type", "form"),
    [(seven_zip(*TWO), SEVEN_ZIP, "7z"), (rar(*TWO), RAR, "rar")],
    ids=name_only,
)
def test_members_are_listed_and_handed_out_as_they_went_in(
    content: bytes, media_type: str, form: str
) -> None:
    assert detect(content[:HEAD_BYTES]) == media_type
    result = run(step, content, media_type, {"take": 10})
    assert result.output["format"] == form
    assert (result.output["complete"], result.output["findings"]) == (True, {})
    assert paths_of(result) == [name for name, _ in TWO]
    for member, (_, expected) in zip(members_of(result), TWO, strict=True):
        assert result.content(member["artifact"]) == expected


def test_a_frame_of_zstandard_is_one_member_and_frames_in_a_row_are_too() -> None:
    content = zstd.compress(b"one ") + zstd.compress(b"two")
    result = run(step, content, ZSTD, {"take": 1})
    assert result.content("member-00001") == b"one two"
    assert result.output["complete"] is True


def test_a_tar_in_zstandard_is_one_archive_with_it() -> None:
    result = run(step, zstd.compress(tarred(*TWO)), ZSTD, {"take": 10})
    assert (result.output["format"], result.output["depth"]) == ("zstd", 1)
    assert paths_of(result) == [name for name, _ in TWO]
    assert result.content("member-00001") == TWO[0][1]


@installed
@pytest.mark.parametrize("packer", [seven_zip, rar])
def test_archives_in_them_and_they_in_archives_are_read(packer: Callable[..., bytes]) -> None:
    inner = packer(("z.zip", zipped(("deep.txt", b"deep"))))
    result = run(step, zipped(("inner", inner)), ZIP)
    assert paths_of(result) == ["inner", "z.zip", "deep.txt"]
    assert (result.output["depth"], result.output["complete"]) == (3, True)


@installed
@pytest.mark.parametrize("packer", [seven_zip, rar])
def test_a_path_that_leads_elsewhere_is_a_finding_and_stays_inside(
    packer: Callable[..., bytes],
) -> None:
    media_type = SEVEN_ZIP if packer is seven_zip else RAR
    result = run(step, packer(SLIP, ("déjà/vü", b"y")), media_type, {"take": 10})
    assert result.output["findings"] == {"slip": 1}
    assert paths_of(result) == [SLIP[0], "déjà/vü"]
    assert list(result.artifacts) == ["member-00002"]


@installed
@pytest.mark.parametrize(
    ("content", "media_type", "chosen", "code"),
    [
        (seven_zip(("bomb", bytes(FREE_BYTES + MIB))), SEVEN_ZIP, {}, "archive_ratio"),
        (seven_zip(("a", bytes(3 * MIB))), SEVEN_ZIP, {"max_bytes": 2 * MIB}, "archive_bytes"),
        (rar(("a", bytes(3 * MIB))), RAR, {"max_bytes": 2 * MIB}, "archive_bytes"),
        (zstd.compress(bytes(FREE_BYTES + MIB)), ZSTD, {}, "archive_ratio"),
        (zstd.compress(tarred(("a", bytes(64 * MIB)))), ZSTD, {}, "archive_ratio"),
        (seven_zip(*MANY), SEVEN_ZIP, {"max_members": 19}, "archive_members"),
        (rar(*MANY), RAR, {"max_members": 19}, "archive_members"),
        (rar(("a", rar(("b", rar(("c", b"x")))))), RAR, {"max_depth": 2}, "archive_depth"),
        (seven_zip(*TWO)[:-10], SEVEN_ZIP, {}, "archive_damaged"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), SEVEN_ZIP, {}, "archive_damaged"),
        (b"Rar!\x1a\x07\x01\0" + bytes(100), RAR, {}, "archive_damaged"),
    ],
    ids=name_only,
)
def test_the_step_refuses(
    content: bytes, media_type: str, chosen: dict[str, Any], code: str
) -> None:
    assert refused(content, media_type, **chosen) == code


def test_a_window_of_zstandard_that_asks_for_too_much_memory_is_not_opened() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27}
    packer = zstd.ZstdCompressor(options=options)
    content = packer.compress(bytes(range(256)) * 1000) + packer.flush()
    result = run(step, content, ZSTD)
    assert (result.output["complete"], result.output["findings"]) == (False, {"damaged": 1})


@installed
def test_a_member_with_a_wrong_checksum_is_damaged_and_not_handed_out() -> None:
    result = run(step, seven_zip(("a.txt", b"alpha"), spoilt=True), SEVEN_ZIP, {"take": 10})
    assert (result.output["findings"], result.output["complete"]) == ({"damaged": 1}, False)
    assert result.artifacts == {}


@installed
def test_what_fails_while_the_library_reads_comes_through() -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100_000:
                raise ConnectionError("The worker is gone.")
            return super().read(size)

    with pytest.raises(ConnectionError):
        run(step, Lost(rar(*TWO, *TWO)), RAR)


def test_without_the_library_the_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libarchive, "LIBRARY", "libnowhere.so.1")
    libarchive._library.cache_clear()
    try:
        assert health.libarchive() == "not_installed"
        assert refused(seven_zip(*TWO), SEVEN_ZIP) == "archive_reader_missing"
        assert refused(rar(*TWO), RAR) == "archive_reader_missing"
        inner = run(step, zipped(("inner.7z", seven_zip(*TWO))), ZIP)
        assert (inner.output["complete"], inner.output["findings"]) == (False, {"not_opened": 1})
    finally:
        monkeypatch.undo()
        libarchive._library.cache_clear()


@installed
@given(st.data())
def test_whatever_is_cut_or_flipped_ends_with_a_listing_or_a_code(data: st.DataObject) -> None:
    whole, kind = data.draw(
        st.sampled_from(
            [
                (seven_zip(*TWO[:1], ("i.zip", zipped(("x", b"x")))), SEVEN_ZIP),
                (rar(*TWO[:1], ("i.7z", seven_zip(("x", b"x")))), RAR),
                (zstd.compress(tarred(*TWO[:1])), ZSTD),
            ]
        )
    )
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    try:
        ending = run(step, bytes(content[:cut]), kind, {"take": 5}).output["format"]
    except StepFailed as error:
        ending = error.code
    assert ending in {*REASONS, "7z", "rar", "zstd"}


@installed
def test_archives_of_the_corpus_end_as_they_must(corpus: Path) -> None:
    """Those that somebody made to be read are; the others end with a code, or a finding."""
    expected = {
        "test-documents.7z": (9, True, set()),
        "test-documents.rar": (9, True, set()),
        "test_read_format_rar_compress_best.rar": (6, True, {"link"}),
        "test_read_format_7zip_encryption.7z": (1, False, {"encrypted"}),
        "test_read_format_rar_encryption_partially.rar": (2, False, {"encrypted"}),
        "full_encrypted.7z": "archive_encrypted",
        "test_read_format_rar_encryption_header.rar": "archive_encrypted",
        "test_read_format_rar5_encrypted_filenames.rar": "archive_encrypted",
        "test_read_format_7zip_folders_oom.7z": "archive_damaged",
        "zstandard.zst": (1, True, set()),
    }
    found: dict[str, Any] = {}
    for path in corpus.rglob("*"):
        if path.suffix in (".7z", ".rar", ".zst"):
            content = path.read_bytes()
            try:
                output: Any = run(step, content, detect(content[:HEAD_BYTES])).output
                found[path.name] = (
                    output["member_count"],
                    output["complete"],
                    set(output["findings"]),
                )
            except StepFailed as error:
                found[path.name] = error.code
    assert {end for end in found.values() if isinstance(end, str)} <= set(REASONS)
    assert {name: found[name] for name in expected} == expected


class Cut(io.BytesIO):
    """Content that can be had up to its first seek inside the library."""

    seeks = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self.seeks += 1
        if self.seeks > 2:  # one for the first bytes, one for the library's start
            raise ConnectionResetError
        return super().seek(offset, whence)


@installed
def test_content_that_cannot_be_had_is_not_taken_for_a_damaged_archive() -> None:
    content = Cut(seven_zip(*TWO))
    with pytest.raises(ConnectionResetError):
        list(libarchive.entries("7z", content))
    assert content.seeks > 2
