"""Archives: the tree, what is odd in it, what is handed out, and where it stops."""

import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.steps.archive import step
from processing.steps.archive.entries import flags_of
from processing.steps.archive.limits import FREE_BYTES, REASONS
from processing.steps.contract import StepContext, StepFailed
from tests.processing.steps.harness import Result, run
from uploads.media_types import detect

MIB = 1024 * 1024
NOISE = random.Random(1).randbytes(300_000)

ZIP, TAR, GZIP = "application/zip", "application/x-tar", "application/gzip"
BZIP2, XZ, MAIL, MBOX = (
    "application/x-bzip2",
    "application/x-xz",
    "message/rfc822",
    "application/mbox",
)


def name_only(value: object) -> str:
    return "" if isinstance(value, bytes) or callable(value) else str(value)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def tarred(*members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def members_of(result: Result) -> list[dict[str, Any]]:
    members: Any = result.output["members"]
    return list(members)


def paths_of(result: Result) -> list[str]:
    return [member["path"] for member in members_of(result)]


def refused(content: bytes, media_type: str = ZIP, **settings: Any) -> str:
    with pytest.raises(StepFailed) as failure:
        run(step, content, media_type, settings)
    return failure.value.code


TWO = (("a.txt", b"alpha"), ("folder/b.bin", NOISE))


@pytest.mark.parametrize(
    ("make", "media_type", "form"),
    [
        (lambda: zipped(*TWO), ZIP, "zip"),
        (lambda: zipped(*TWO, method=zipfile.ZIP_STORED), ZIP, "zip"),
        (lambda: zipped(*TWO, method=zipfile.ZIP_BZIP2), ZIP, "zip"),
        (lambda: zipped(*TWO, method=zipfile.ZIP_LZMA), ZIP, "zip"),
        (lambda: b"#!/bin/sh\n" + zipped(*TWO), ZIP, "zip"),
        (lambda: tarred(*TWO), TAR, "tar"),
        (lambda: tarred(*TWO, form=tarfile.GNU_FORMAT), TAR, "tar"),
        (lambda: tarred(*TWO, form=tarfile.USTAR_FORMAT), TAR, "tar"),
        (lambda: tarred(*TWO, mode="w:gz"), GZIP, "gzip"),
        (lambda: tarred(*TWO, mode="w:bz2"), BZIP2, "bzip2"),
        (lambda: tarred(*TWO, mode="w:xz"), XZ, "xz"),
    ],
    ids=name_only,
)
def test_members_are_listed_and_handed_out_as_they_went_in(
    make: Callable[[], bytes], media_type: str, form: str
) -> None:
    result = run(step, make(), media_type, {"take": 10})
    assert result.output["format"] == form
    assert result.output["complete"] is True
    assert result.output["findings"] == {}
    assert paths_of(result) == [name for name, _ in TWO]
    for member, (_, expected) in zip(members_of(result), TWO, strict=True):
        assert member["size"] == len(expected)
        assert result.content(member["artifact"]) == expected
    assert len(result.artifacts) == result.output["taken"] == 2


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 99, GZIP),
        (bz2.compress(b"one ") + bz2.compress(b"two"), BZIP2),
        (lzma.compress(b"one ") + b"\0" * 4 + lzma.compress(b"two"), XZ),
    ],
    ids=name_only,
)
def test_streams_in_a_row_are_one_member(content: bytes, media_type: str) -> None:
    result = run(step, content, media_type, {"take": 1})
    assert result.content("member-00001") == b"one two"


def test_what_follows_a_stream_and_is_none_is_a_finding() -> None:
    result = run(step, gzip.compress(b"one") + b"PK and more", GZIP)
    assert result.output["findings"] == {"trailing_data": 1}


def test_a_gzip_member_has_the_name_that_it_was_given() -> None:
    file = io.BytesIO()
    with gzip.GzipFile("letter.txt", "wb", fileobj=file) as packed:
        packed.write(b"dear")
    assert paths_of(run(step, file.getvalue(), GZIP)) == ["letter.txt"]


def test_long_names_of_every_tar_are_read() -> None:
    name = "folder/" * 40 + "file.txt"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        assert paths_of(run(step, tarred((name, b"x"), form=form), TAR)) == [name]


def test_a_zip_of_the_large_kind_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        with archive.open("a", "w", force_zip64=True) as member:
            member.write(b"wide")
        archive.writestr("b", b"next")
    assert run(step, file.getvalue(), ZIP, {"take": 2}).content("member-00001") == b"wide"
    end = file.getvalue()[-22:]
    _, _, _, _, count, size, offset, _ = struct.unpack("<4s4H2IH", end)
    at = len(file.getvalue()) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    wide_end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    wide = file.getvalue()[:-22] + record + locator + wide_end
    assert paths_of(run(step, wide, ZIP)) == ["a", "b"]
    assert paths_of(run(step, b"before" + wide, ZIP)) == ["a", "b"]


def test_archives_in_archives_make_a_tree_and_are_handed_out_whole() -> None:
    inner = zipped(("deep.txt", b"deep"))
    outer = zipped(("inner.zip", inner), ("more.tar.gz", tarred(("t", b"tee"), mode="w:gz")))
    result = run(step, outer, ZIP, {"take": 10})
    tree = {m["path"]: (m["depth"], m["parent"]) for m in members_of(result)}
    assert tree == {
        "inner.zip": (1, None),
        "deep.txt": (2, 1),
        "more.tar.gz": (1, None),
        "t": (2, 3),
    }
    assert result.output["depth"] == 2
    assert result.content("member-00001") == inner
    assert len(result.artifacts) == 2


def test_members_are_handed_out_from_where_the_last_time_ended() -> None:
    content = zipped(*((f"{number}.txt", str(number).encode()) for number in range(5)))
    first = run(step, content, ZIP, {"take": 2})
    second = run(step, content, ZIP, {"take": 10, "after": 2})
    assert list(first.artifacts) == ["member-00001", "member-00002"]
    assert list(second.artifacts) == ["member-00003", "member-00004", "member-00005"]
    assert second.content("member-00005") == b"4"


MAIL_TEXT = b"""From: a@example.org\r
Subject: two
Content-Type: multipart/mixed; boundary="outer"

ignored
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 =
and tea
--inner
Content-Type: text/html

<b>tea</b>
--inner--
--outer
Content-Type: application/zip
Content-Disposition: attachment; filename*=utf-8''r%%C3%%A9sum%%C3%%A9.zip
Content-Transfer-Encoding: base64

%s
--outer
Content-Type: message/rfc822

Subject: inside
Content-Type: application/octet-stream; name="=?utf-8?q?n=C3=A4me?="

bytes
--outer--
ignored too
"""


ATTACHED = zipped(("z.txt", b"zed"))


def mail() -> bytes:
    return MAIL_TEXT % base64.encodebytes(ATTACHED)


def test_a_mail_is_its_texts_its_attachments_and_its_mails() -> None:
    result = run(step, mail(), MAIL, {"take": 10})
    assert [(m["depth"], m["path"]) for m in members_of(result)] == [
        (1, "part-1.txt"),
        (1, "part-2.html"),
        (1, "résumé.zip"),
        (2, "z.txt"),
        (1, "part-4.eml"),
        (2, "näme"),
    ]
    assert result.content("member-00001") == "café and tea".encode()
    assert result.content("member-00002") == b"<b>tea</b>"
    assert result.content("member-00003") == ATTACHED
    assert result.output["complete"] is True


def test_an_attachment_that_is_named_like_a_path_is_handed_out_and_marked() -> None:
    content = MAIL_TEXT.replace(b"r%%C3%%A9sum%%C3%%A9.zip", b"..%%2F..%%2Fetc%%2Fpasswd")
    result = run(step, content % b"YWJj", MAIL, {"take": 10})
    (named,) = [m for m in members_of(result) if m["path"] == "../../etc/passwd"]
    assert named["flags"] == ["slip"]
    assert result.content(named["artifact"]) == b"abc"


def test_an_mbox_is_its_mails() -> None:
    box = b"From a@x Mon\nSubject: 1\n\nhello\n>From quoted\n\nFrom b@x Tue\nSubject: 2\n\nbye\n"
    result = run(step, box, MBOX, {"take": 10})
    outer = [m["path"] for m in members_of(result) if m["depth"] == 1]
    assert outer == ["mail-00001.eml", "mail-00002.eml"]
    assert b"\nFrom quoted" in result.content("member-00001")


def encrypted_zip() -> bytes:
    content = bytearray(zipped(("secret.txt", b"secret")))
    for at, field in ((0, 6), (content.rfind(b"PK\x01\x02"), 8)):
        content[at + field] |= 1
    return bytes(content)


def test_encrypted_members_are_listed_and_not_complete_or_refused() -> None:
    result = run(step, encrypted_zip(), ZIP, {"take": 1})
    assert result.output["findings"] == {"encrypted": 1}
    assert result.output["complete"] is False
    assert not result.artifacts
    assert refused(encrypted_zip(), encrypted="refuse") == "archive_encrypted"


def mismatched(old: bytes, new: bytes) -> bytes:
    """Change a local header only."""
    return zipped(("one.txt", b"x"), ("two.txt", b"y")).replace(old, new, 1)


def wrong_checksum() -> bytes:
    content = zipped(("a.txt", b"content"), method=zipfile.ZIP_STORED)
    return content.replace(b"content", b"CONTENT", 1)


def symlink() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def tar_of(kind: bytes, *, mode: int = 0o644) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("thing")
        info.type, info.linkname, info.mode = kind, "../../etc/passwd", mode
        archive.addfile(info)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type", "finding", "taken"),
    [
        (mismatched(b"one.txt", b"two.txt"), ZIP, "mismatch", 1),
        (wrong_checksum(), ZIP, "damaged", 0),
        (gzip.compress(b"x")[:-9], GZIP, "damaged", 0),
        (zipped(("../up.txt", b"x")), ZIP, "slip", 0),
        (zipped(("..\\up.txt", b"x")), ZIP, "slip", 0),
        (zipped(("/etc/cron.d/x", b"x")), ZIP, "slip", 0),
        (zipped(("c:/boot.ini", b"x")), ZIP, "slip", 0),
        (zipped(("．．／up.txt", b"x")), ZIP, "slip", 0),  # noqa: RUF001 - full-width dots
        (zipped(("a\r\nb", b"x")), ZIP, "odd_name", 1),
        (zipped(("\u202etxt.exe", b"x")), ZIP, "odd_name", 1),
        (zipped(("n" * 2000, b"x")), ZIP, "long_name", 1),
        (symlink(), ZIP, "link", 0),
        (tar_of(tarfile.SYMTYPE), TAR, "link", 0),
        (tar_of(tarfile.LNKTYPE), TAR, "link", 0),
        (tar_of(tarfile.FIFOTYPE), TAR, "special", 0),
        (tar_of(tarfile.CHRTYPE), TAR, "special", 0),
        (tar_of(tarfile.REGTYPE, mode=0o4755), TAR, "setuid", 1),
        (zipped(("inner.zip", zipped(("x", b"x"))[:60])), ZIP, "not_opened", 1),
    ],
    ids=name_only,
)
def test_what_is_odd_is_a_finding(
    content: bytes, media_type: str, finding: str, taken: int
) -> None:
    result = run(step, content, media_type, {"take": 10})
    findings: Any = result.output["findings"]
    assert findings[finding] == 1
    assert result.output["taken"] == len(result.artifacts) == taken
    unread = finding in ("mismatch", "damaged", "not_opened")
    assert result.output["complete"] is not unread


def test_two_members_of_one_name_are_a_finding() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        content = zipped(("a", b"1"), ("a", b"2"))
    assert run(step, content, ZIP).output["findings"] == {"duplicate": 1}


def overlapping(count: int = 200) -> bytes:
    """Make a ZIP whose directory names one local member again and again."""
    content = zipped(("a", b"\0" * MIB))
    directory = content.find(b"PK\x01\x02")
    line = content[directory : content.find(b"PK\x05\x06")]
    lines = line * count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(lines), directory, 0)
    return content[:directory] + lines + end


def deep(levels: int) -> bytes:
    content = b"x" * 100
    for _ in range(levels):
        content = gzip.compress(content)
    return content


def sparse() -> bytes:
    info = tarfile.TarInfo("holes")
    info.type, info.size = b"S", 512
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(512 * 3)


def pax_sparse() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("holes")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": "1099511627776"}
        archive.addfile(info)
    return file.getvalue()


def nested_mail(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\n\n" * depth + b"Subject: end\n\nend"


@pytest.mark.parametrize(
    ("make", "media_type", "chosen", "code"),
    [
        (lambda: zipped(("a", bytes(FREE_BYTES + MIB))), ZIP, {}, "archive_ratio"),
        (lambda: zipped(("a", bytes(3 * MIB))), ZIP, {"max_bytes": 2 * MIB}, "archive_bytes"),
        (lambda: gzip.compress(bytes(FREE_BYTES + MIB)), GZIP, {}, "archive_ratio"),
        (lambda: bz2.compress(bytes(64 * MIB)), BZIP2, {}, "archive_ratio"),
        (lambda: lzma.compress(bytes(64 * MIB)), XZ, {}, "archive_ratio"),
        (lambda: zipped(("a", bytes(64 * MIB)), method=zipfile.ZIP_LZMA), ZIP, {}, "archive_ratio"),
        (lambda: gzip.compress(bytes(MIB)) * 64, GZIP, {}, "archive_ratio"),
        (overlapping, ZIP, {}, "archive_overlap"),
        (
            lambda: zipped(*((str(n), b"") for n in range(20))),
            ZIP,
            {"max_members": 19},
            "archive_members",
        ),
        (
            lambda: tarred(*((str(n), b"") for n in range(20))),
            TAR,
            {"max_members": 19},
            "archive_members",
        ),
        (lambda: deep(13), GZIP, {}, "archive_depth"),
        (lambda: deep(300), GZIP, {"max_depth": 10}, "archive_depth"),
        (lambda: nested_mail(2000), MAIL, {}, "archive_depth"),
        (sparse, TAR, {}, "archive_sparse"),
        (pax_sparse, TAR, {}, "archive_sparse"),
        (lambda: zipped(*TWO)[:-10], ZIP, {}, "archive_damaged"),
        (lambda: zipped(*TWO)[:100], ZIP, {}, "archive_damaged"),
        (lambda: tarred(*TWO)[: 200 * 1024], TAR, {}, "archive_damaged"),
        (lambda: tarred(*TWO, mode="w:gz")[:-9], GZIP, {}, "archive_damaged"),
        (lambda: b"no archive at all", "text/plain", {}, "archive_unsupported"),
    ],
    ids=name_only,
)
def test_the_step_refuses(
    make: Callable[[], bytes], media_type: str, chosen: dict[str, Any], code: str
) -> None:
    assert refused(make(), media_type, **chosen) == code


def test_a_bomb_gives_no_member_at_all() -> None:
    content = zipped(("good.txt", b"good"), ("bomb", bytes(FREE_BYTES + MIB)))
    opened = []

    def open_artifact(name: str, _: str) -> Any:
        opened.append(name)

    context = StepContext(io.BytesIO(content), len(content), ZIP, open_artifact, {"take": 5})
    with pytest.raises(StepFailed, match="many times its size"):
        step.run(context)
    assert opened == []


def test_an_honest_archive_that_compresses_very_well_is_no_bomb() -> None:
    assert run(step, zipped(("zeros", bytes(4 * MIB))), ZIP).output["complete"] is True


def test_the_listing_is_bounded_and_says_how_much_it_names() -> None:
    content = zipped(*((f"{number:04}", b"") for number in range(1200)))
    result = run(step, content, ZIP, {"take": 1000})
    assert result.output["member_count"] == 1200
    assert result.output["listed"] == len(members_of(result)) == 1000


@pytest.mark.parametrize("name", ["a.txt", "folder/a.txt", "..a", "a..b/c", "déjà/vu"])
def test_ordinary_names_have_no_flags(name: str) -> None:
    assert flags_of(name) == []


@given(st.data())
def test_whatever_is_cut_or_flipped_ends_with_a_listing_or_a_code(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                zipped(*TWO[:1], ("i.zip", zipped(("x", b"x")))),
                tarred(*TWO[:1]),
                mail(),
                tarred(*TWO[:1], mode="w:gz"),
            ]
        )
    )
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    kind = data.draw(st.sampled_from([ZIP, TAR, GZIP, MAIL, MBOX]))
    try:
        ending = run(step, bytes(content[:cut]), kind, {"take": 5}).output["format"]
    except StepFailed as error:
        ending = error.code
    assert ending in {*REASONS, "zip", "tar", "gzip", "bzip2", "xz", "mail", "mbox", "lzma"}


@pytest.mark.parametrize("folder", ["hostile/archive", "hostile/mail"])
def test_hostile_archives_of_the_corpus_end_as_they_must(corpus: Path, folder: str) -> None:
    expected = {
        "bomb_200MiB.gz": "archive_ratio",
        "bomb_flat_200MiB.zip": "archive_ratio",
        "bomb_nested_5_levels.zip": "archive_ratio",
        "many_entries_20000.zip": "archive_members",
        "sparse_1TiB.tar": "archive_sparse",
        "truncated.zip": "archive_damaged",
        "nested_120.eml": "archive_depth",
    }
    for path in sorted((corpus / folder).iterdir()):
        content = path.read_bytes()
        try:
            run(step, content, detect(content), {"take": 100})
            code = ""
        except StepFailed as error:
            code = error.code
        assert code == expected.get(path.name, ""), path.name
