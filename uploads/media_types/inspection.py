"""The decision over a whole file: what it is, and why it is not simply fine.

Content, name and declared type are compared. Containers are opened: their directory lies at
their end. All reads are ranges, and bounded.
"""

from dataclasses import dataclass

from config.ranges import RangeSource
from uploads.media_types import markup, names, ole, pdf, risks, signatures, zips
from uploads.media_types.libmagic import MAGIC
from uploads.media_types.text import HEAD_BYTES, encoding_of, is_json, is_readable, shape_of_text

UNKNOWN = "application/octet-stream"
STL = "model/x.stl-binary"  # told by its length alone
OLE_ANSWERS = (
    "application/x-ole-storage", "application/cdfv2", "application/vnd.ms-office",
    "application/encrypted",
)  # fmt: skip
# Answers of libmagic that are no more than "text".
_TEXTS = frozenset(
    {"text/plain", "text/csv", "application/json", "application/x-ndjson", "application/csv"}
)
_MARKUP = frozenset({"text/html", "text/xml", "image/svg+xml", "application/xhtml+xml"})
ZIP_TYPES = (
    "application/zip",
    *(kind for _, kind in zips.OFFICE_FOLDERS),
    *zips.WITH_MACROS.values(),
    "application/epub+zip",
    "application/java-archive",
    "application/vnd.android.package-archive",
    "application/vnd.google-earth.kmz",
    "application/vnd.ms-xpsdocument",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "application/vnd.ms-visio.drawing",
    *(
        f"application/vnd.oasis.opendocument.{kind}"
        for kind in ("text", "spreadsheet", "presentation", "graphics", "text-template")
    ),
)
_OFFICE = (
    "application/vnd.ms-",
    "application/vnd.oasis.",
    "application/vnd.openxmlformats-",
)
OLE_TYPES = ("application/x-ole-storage", "application/x-msi", *(t for _, t in ole.STREAMS))


@dataclass(frozen=True)
class Inspection:
    """What a whole file is, and why it is not simply fine: codes of findings."""

    media_type: str
    findings: tuple[str, ...] = ()


def detect(head: bytes) -> str:
    """Return the media type of the file that starts with `head`, in lower case.

    Never fails: `application/octet-stream` is the answer where nothing fits. For a container
    this is no more than what can be known before its end.
    """
    head = head[:HEAD_BYTES]
    if head.startswith(zips.MAGIC):
        answer = _ask(head)
        inside = zips.media_type_of(zips.members_in_head(head))
        return inside or (answer if answer != UNKNOWN else "application/zip")
    if head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64]:
        return "video/webm"
    return _detect_rest(head)


def possible_types(media_type: str, *, name: str) -> tuple[str, ...]:
    """Return what a file may turn out to be that looks like `media_type` at its head."""
    if media_type in ZIP_TYPES or media_type.startswith(_OFFICE):
        return (media_type, *ZIP_TYPES, *OLE_TYPES, *names.types_of(name))
    if media_type in OLE_TYPES or media_type in OLE_ANSWERS:
        return (media_type, *OLE_TYPES, *names.types_of(name))
    if names.is_text(media_type):
        return (media_type, *names.types_of(name))
    if media_type == UNKNOWN:
        return (media_type, STL)
    return (names.refined(media_type, name),)


def inspect(source: RangeSource, *, name: str = "", declared_type: str = "") -> Inspection:
    """Decide over the whole file."""
    head = source.read_at(0, HEAD_BYTES)
    media_type, found = _open(source, head)
    media_type = names.refined(media_type, name)
    if names.is_plain(media_type) and names.says_json(name) and is_json(head):
        media_type = "application/json"
    if media_type == UNKNOWN:
        found.add("type_uncertain")
    if risks.has_second_meaning(media_type, source, head):
        found.add("polyglot")
    if risks.is_active(media_type, source):
        found.add("active_content")
    found |= _disguises(media_type, name, declared_type, found)
    return Inspection(media_type, tuple(sorted(found)))


def _open(source: RangeSource, head: bytes) -> tuple[str, set[str]]:
    """Return the type of the content alone, and what was found on the way."""
    if head.startswith((zips.MAGIC, zips.EMPTY)):
        return _open_zip(source, head)
    if head.startswith(ole.MAGIC):
        return _open_ole(source, head)
    media_type, found = detect(head), set()
    if media_type == "image/x-tga" and not signatures.looks_like_tga(_tail(source)):
        media_type = UNKNOWN
    if media_type == UNKNOWN and len(head) >= 84 and signatures.is_binary_stl(head, source.size):
        media_type = STL
    if media_type == "application/pdf":
        found |= pdf.findings(source)
    if media_type == "application/vnd.rar" and risks.rar_is_encrypted(head):
        found.add("encrypted_content")
    return media_type, found


def _open_zip(source: RangeSource, head: bytes) -> tuple[str, set[str]]:
    found: set[str] = set()
    directory = zips.find_directory(source)
    if directory is None:
        members = zips.members_in_head(head)
        found.add("container_damaged")
    else:
        members = zips.members_of(source, directory)
        hidden = set(zips.members_in_head(head).names).difference(members.names)
        if members.damaged or hidden:
            found.add("container_damaged")
    inside = zips.media_type_of(members)
    media_type = inside or "application/zip"
    if members.encrypted:
        found.add("encrypted_content")
    is_program_of_macros = ".macroenabled." in media_type and ".binary." not in media_type
    if inside and (zips.has_macros(members) or is_program_of_macros):
        found.add("macro")
    if inside and zips.fetches(members):
        found.add("active_content")
    if inside and zips.carries_files(members):
        found.add("embedded_file")
    return media_type, found


def _open_ole(source: RangeSource, head: bytes) -> tuple[str, set[str]]:
    names_inside, root_class = ole.names_in(source)
    media_type = ole.media_type_of(names_inside, root_class) or _detect_rest(head)
    found: set[str] = set()
    if not names_inside:
        found.add("container_damaged")
    if media_type == ole.ENCRYPTED_PACKAGE:
        found.add("encrypted_content")
    if ole.MACROS & names_inside:
        found.add("macro")
    return media_type, found


def _disguises(media_type: str, name: str, declared_type: str, found: set[str]) -> set[str]:
    """Return the findings that come from comparing; a macro in disguise is not also a macro."""
    honest = names.fits_name(media_type, name) and names.fits_declaration(
        media_type, declared_type, name
    )
    if honest:
        return set()
    if media_type in names.PROGRAMS:
        return {"executable_in_disguise"}
    if "macro" in found:
        found.discard("macro")
        return {"macro_in_disguise"}
    return {"type_mismatch"}


def _detect_rest(head: bytes) -> str:
    answer = _ask(head)
    if answer in signatures.FOR_FONTS or answer == UNKNOWN or answer.startswith("audio/x-"):
        answer = signatures.by_signature(head) or answer
    if answer == "application/vnd.ms-excel":
        return signatures.by_signature(head) or answer
    if answer in OLE_ANSWERS:
        return _ole_in_head(head) or answer
    if answer == UNKNOWN and is_readable(head):
        answer = "text/plain"
    if answer in _TEXTS or answer in _MARKUP or answer.startswith("text/"):
        return _as_text(head, answer)
    return names.canonical(answer)


def _as_text(head: bytes, answer: str) -> str:
    text = head.decode(encoding_of(head), "replace")
    if special := signatures.by_first_words(head) or markup.by_headers(text):
        return special
    if found := markup.by_markup(text):
        return found
    if answer in _TEXTS:
        return shape_of_text(head, answer)
    return names.canonical("text/plain" if answer == "text/xml" else answer)


def _ask(head: bytes) -> str:
    return MAGIC.ask(MAGIC.media_type, head, UNKNOWN).lower()


def _ole_in_head(head: bytes) -> str | None:
    for name, media_type in ole.STREAMS:
        if (name + "\0").encode("utf-16-le") in head.lower():
            return media_type
    return None


def _tail(source: RangeSource) -> bytes:
    return source.read_at(max(0, source.size - 64), 64)
