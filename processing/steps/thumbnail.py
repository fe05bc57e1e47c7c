"""A small picture of an image, without the metadata that images carry."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from PIL import Image, ImageOps

from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed

# Media type -> the decoder's name. Only these decoders run, whatever the file claims to be.
FORMATS = {
    "image/avif": "AVIF",
    "image/bmp": "BMP",
    "image/gif": "GIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
}
MAX_PIXELS = 50_000_000
SIDE = 512  # pixels
_EXIF_FOLDER, _GPS_FOLDER = 0x8769, 0x8825  # Source: Exif 3.0, 4.6.3

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "side": {"type": "integer", "minimum": 16, "maximum": SIDE, "default": SIDE},
        "max_pixels": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_PIXELS,
            "default": MAX_PIXELS,
        },
    },
}


def run(context: StepContext) -> Output:
    """Return the image's facts; the picture is the artifact `thumbnail.webp`.

    Raises:
        StepFailed: `image_unreadable`, `image_too_large` (by its header, before it is decoded).
    """
    max_pixels: Any = context.settings.get("max_pixels", MAX_PIXELS)
    side: Any = context.settings.get("side", SIDE)
    with refusals(), Image.open(context.content, formats=list(FORMATS.values())) as image:
        if image.width * image.height > max_pixels:
            raise StepFailed(
                "image_too_large",
                f"The image has {image.width:,} x {image.height:,} pixels, more than allowed.",
            )
        output: Output = {
            "width": image.width,
            "height": image.height,
            "format": image.format,
            "frames": getattr(image, "n_frames", 1),
        }
        image.draft("RGB", (side, side))
        picture = _small_picture(image, side)
        output["metadata_removed"] = _metadata_kinds(image)
    with context.open_artifact("thumbnail.webp", "image/webp") as artifact:
        artifact.write(picture)
    return output


@contextmanager
def refusals() -> Iterator[None]:
    """Turn whatever a decoder raises over a file into one of two refusals."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage and of size, which are judged here
            yield
    except StepFailed:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise StepFailed("image_too_large", "The image has more pixels than allowed.") from None
    except Exception:  # noqa: BLE001 - decoders raise nearly everything over damaged files
        raise StepFailed("image_unreadable", "The image is damaged, or of no known kind.") from None


def _small_picture(image: Image.Image, side: int) -> bytes:
    """Return the first frame as WebP, upright; nothing but its pixels is carried over."""
    image.thumbnail((side, side), reducing_gap=2.0)
    upright = eight_bits(ImageOps.exif_transpose(image))
    pixels = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    file = io.BytesIO()
    pixels.save(file, "WEBP", quality=80)
    return file.getvalue()


def eight_bits(image: Image.Image) -> Image.Image:
    """Return `image` with 8 bits a channel; the library would cut off what is brighter."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256) + 0).convert("L")
    if image.mode in ("I", "F"):  # without a known white: stretch what is there
        low, high = cast(tuple[float, float], image.getextrema())
        scale = 255 / (high - low) if high > low else 0
        return image.point(lambda value: value * scale - low * scale).convert("L")
    return image


def _metadata_kinds(image: Image.Image) -> list[JSON]:
    """Return which kinds of metadata the file has; the thumbnail has none of them."""
    info = image.info
    exif = image.getexif()
    kinds = {
        "comment": "comment" in info,
        "exif": bool(info.get("exif")) or _EXIF_FOLDER in exif,
        "gps": _GPS_FOLDER in exif,
        "icc_profile": bool(info.get("icc_profile")),
        "iptc": "photoshop" in info,
        "text": bool(getattr(image, "text", None)),
        "xmp": "xmp" in info or "XML:com.adobe.xmp" in info,
    }
    return [kind for kind, present in kinds.items() if present]


step = Step(
    "thumbnail",
    run,
    title="Thumbnail",
    media_types=tuple(FORMATS),
    limits=Limits(wall_s=60, cpu_s=40, memory_bytes=768 * MIB),
    settings_schema=SCHEMA,
)
