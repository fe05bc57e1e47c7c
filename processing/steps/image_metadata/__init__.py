"""What an image says besides its pixels, and a copy that does not."""

from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext
from processing.steps.image_metadata.stripping import (
    MAX_BYTES,
    STRIPPERS,
    Unstrippable,
    without_metadata,
)
from processing.steps.markup import BadMarkup, events
from processing.steps.thumbnail import FORMATS, refusals

MAX_ENTRIES = 200
MAX_VALUE_CHARS = 200
MAX_XMP_BYTES = 1 * MIB
_EXIF, _GPS, _MAKER_NOTE = 0x8769, 0x8825, 0x927C
_ENDINGS = {
    "JPEG": ("jpg", "image/jpeg"),
    "PNG": ("png", "image/png"),
    "WEBP": ("webp", "image/webp"),
}

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"copy": {"type": "boolean", "default": True}},
}


def run(context: StepContext) -> Output:
    """Return what there is; the copy without it is the artifact `without-metadata.*`.

    Raises:
        StepFailed: `image_unreadable`, `image_too_large`.
    """
    with refusals(), Image.open(context.content, formats=list(FORMATS.values())) as image:
        kind = str(image.format)
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        found: Output = {
            "exif": _named(exif, ExifTags.TAGS) | _named(exif.get_ifd(_EXIF), ExifTags.TAGS),
            "gps": _named(exif.get_ifd(_GPS), ExifTags.GPSTAGS),
            "xmp": _xmp(image.info.get("xmp")),
            "texts": _texts(image),
        }
        place = _place(exif.get_ifd(_GPS))
    copied = context.settings.get("copy", True) and any(found.values())
    made = _copy(context, kind, orientation) if copied else False
    return {"format": kind, **found, "place": place, "copied": made}


def _named(entries: Mapping[int, Any], names: Mapping[int, str]) -> dict[str, JSON]:
    named: dict[str, JSON] = {}
    for tag, value in entries.items():
        if tag in (_EXIF, _GPS, _MAKER_NOTE) or len(named) == MAX_ENTRIES:
            continue
        named[names.get(tag, f"0x{tag:04x}")] = _shown(value)
    return named


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0 ").decode("utf-8", "replace")
        value = text if text.isprintable() else f"{len(value)} bytes"
    return str(value)[:MAX_VALUE_CHARS].strip("\0 ")


def _place(gps: Mapping[int, Any]) -> list[JSON] | None:
    """Return latitude and longitude in degrees, if the image says where it was made."""
    place: list[JSON] = []
    for reference, value, negative in ((1, 2, "S"), (3, 4, "W")):
        try:
            degrees, minutes, seconds = map(float, gps[value])
            sign = -1 if gps.get(reference) == negative else 1
            place.append(round(sign * (degrees + minutes / 60 + seconds / 3600), 6))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
    return place


def _xmp(packet: Any) -> dict[str, JSON]:
    """Return the properties of an XMP packet that are texts; an unreadable one is only named."""
    if not isinstance(packet, bytes | str):
        return {}
    data = packet.encode() if isinstance(packet, str) else packet
    found: dict[str, JSON] = {}
    try:
        name = ""
        for event in events(_Bytes(data[:MAX_XMP_BYTES])):
            if event.kind == "text" and event.name.strip() and name:
                found[name] = event.name.strip()[:MAX_VALUE_CHARS]
            elif event.kind == "start":
                name = event.name if event.name not in ("li", "Bag", "Seq", "Alt") else name
                if event.name == "Description":
                    shown = {
                        key: value[:MAX_VALUE_CHARS] for key, value in event.attributes.items()
                    }
                    found.update(shown)
            if len(found) >= MAX_ENTRIES:
                break
    except BadMarkup:
        found["unreadable"] = f"{len(data)} bytes"
    return found


def _texts(image: Image.Image) -> dict[str, JSON]:
    texts = dict(getattr(image, "text", None) or {})
    if comment := image.info.get("comment"):
        texts["comment"] = comment
    if "photoshop" in image.info:
        texts["iptc"] = "present"
    return {str(key)[:80]: _shown(value) for key, value in list(texts.items())[:MAX_ENTRIES]}


def _copy(context: StepContext, kind: str, orientation: Any) -> bool:
    """Write the copy; False: this kind, or this file, cannot be copied without being decoded."""
    if kind not in STRIPPERS or context.size > MAX_BYTES:
        return False
    context.content.seek(0)
    data = context.content.read()
    turned = orientation if isinstance(orientation, int) else 1
    try:
        pieces = list(without_metadata(kind, data, orientation=turned))
    except (Unstrippable, IndexError):
        return False
    ending, media_type = _ENDINGS[kind]
    with context.open_artifact(f"without-metadata.{ending}", media_type) as artifact:
        for piece in pieces:
            artifact.write(piece)
    return True


class _Bytes:
    """Bytes in memory, to be read from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece


step = Step(
    "image_metadata",
    run,
    title="Image metadata",
    media_types=tuple(FORMATS),
    limits=Limits(wall_s=60, cpu_s=40, memory_bytes=768 * MIB),
    settings_schema=SCHEMA,
)
