"""Thumbnails, and what they must not carry."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from processing.steps import thumbnail
from processing.steps.contract import StepFailed
from tests.processing.steps.harness import Result, run

step = thumbnail.step
MARKER = b"SECRET-PLACE"


def picture(kind: str, size: tuple[int, int] = (40, 20), mode: str = "RGB", **save: Any) -> bytes:
    """Return an image whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    file = io.BytesIO()
    image.convert(mode).save(file, kind, **save)
    return file.getvalue()


def shown(result: Result) -> Image.Image:
    image = Image.open(io.BytesIO(result.content("thumbnail.webp")))
    image.load()
    return image


def chunks(webp: bytes) -> list[bytes]:
    """Return the names of a WebP's chunks. Source: RFC 9649, 2.4."""
    names, at = [], 12
    while at < len(webp):
        name, size = struct.unpack_from("<4sI", webp, at)
        names.append(name)
        at += 8 + size + size % 2
    return names


def exif(orientation: int = 1) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = MARKER.decode()  # ImageDescription
    data.get_ifd(0x8825)[1] = "N"
    data.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return data


@pytest.mark.parametrize("kind", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_every_known_format_gets_a_thumbnail(kind: str) -> None:
    result = run(step, picture(kind, (1200, 600)))
    assert result.artifacts["thumbnail.webp"].media_type == "image/webp"
    assert shown(result).size == (512, 256)
    assert {key: result.output[key] for key in ("width", "height", "format", "frames")} == {
        "width": 1200,
        "height": 600,
        "format": kind,
        "frames": 1,
    }


def test_a_small_image_is_not_blown_up() -> None:
    assert shown(run(step, picture("PNG"))).size == (40, 20)


def test_the_side_can_be_set() -> None:
    assert shown(run(step, picture("PNG"), settings={"side": 16})).size == (16, 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_way_to_store_pixels_is_understood(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    image = shown(run(step, picture(kind, mode=mode)))
    red, blue = image.convert("L").getpixel((5, 10)), image.convert("L").getpixel((35, 10))
    assert red > blue  # type: ignore[operator]


@pytest.mark.parametrize(
    ("mode", "dark", "light"), [("I;16", 0, 51_200), ("I", -5, 70_000), ("F", 0.0, 0.001)]
)
def test_deep_pixels_are_scaled_and_not_cut_off(mode: str, dark: float, light: float) -> None:
    image = Image.new(mode, (40, 20), light)
    image.paste(dark, (0, 0, 20, 20))
    file = io.BytesIO()
    image.save(file, "TIFF")
    small = shown(run(step, file.getvalue())).convert("L")
    assert small.getpixel((5, 10)) < 10  # type: ignore[operator]
    assert 190 <= small.getpixel((35, 10)) <= 255  # type: ignore[operator]
    if mode == "I;16":
        assert abs(small.getpixel((35, 10)) - 200) < 5  # type: ignore[operator]


def test_transparency_is_kept() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(file, "PNG")
    assert shown(run(step, file.getvalue())).convert("RGBA").getpixel((4, 4))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, (40, 20), (5, 10)),
        (3, (40, 20), (35, 10)),
        (6, (20, 40), (10, 5)),
        (8, (20, 40), (10, 35)),
    ],
)
def test_the_thumbnail_stands_upright(
    orientation: int, size: tuple[int, int], red_at: tuple[int, int]
) -> None:
    image = shown(run(step, picture("JPEG", exif=exif(orientation)))).convert("RGB")
    assert image.size == size
    red, _, blue = image.getpixel(red_at)  # type: ignore[misc]
    assert red - blue > 100


def with_png_text() -> dict[str, Any]:
    text = PngImagePlugin.PngInfo()
    text.add_text("Place", MARKER.decode())
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{MARKER.decode()}</x:xmpmeta>")
    return {"pnginfo": text}


PROFILE = b"\0" * 36 + b"acsp" + b"\0" * 88 + MARKER  # enough to be carried along


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (picture("JPEG", exif=exif()), {"exif", "gps"}),
        (picture("JPEG", comment=MARKER), {"comment"}),
        (picture("JPEG", icc_profile=PROFILE), {"icc_profile"}),
        (picture("JPEG", xmp=MARKER), {"xmp"}),
        (picture("PNG", **with_png_text()), {"text", "xmp"}),
        (picture("PNG", exif=exif(), icc_profile=PROFILE), {"exif", "gps", "icc_profile"}),
        (
            picture("WEBP", exif=exif(), xmp=MARKER, icc_profile=PROFILE),
            {"exif", "gps", "xmp", "icc_profile"},
        ),
        (picture("TIFF", icc_profile=PROFILE), {"icc_profile"}),
        (picture("GIF", comment=MARKER), {"comment"}),
        (picture("BMP"), set()),
    ],
)
def test_metadata_is_named_and_removed(content: bytes, kinds: set[str]) -> None:
    result = run(step, content)
    assert set(result.output["metadata_removed"]) == kinds  # type: ignore[arg-type]
    webp = result.content("thumbnail.webp")
    assert MARKER not in webp
    assert set(chunks(webp)) <= {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}


def test_the_frames_of_an_animation_are_counted_and_the_first_is_shown() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    result = run(step, file.getvalue())
    assert result.output["frames"] == 3
    assert shown(result).convert("RGB").getpixel((4, 4))[0] > 200  # type: ignore[index]


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that promises an image and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + check + b"\0\0\0\0IDAT"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "image_unreadable"),
        (b"not an image", "image_unreadable"),
        (picture("PNG")[:60], "image_unreadable"),
        (picture("JPEG")[:-200], "image_unreadable"),
        (picture("ICO"), "image_unreadable"),  # a format that is not on the list
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image_unreadable"),
        (png_header(8000, 8000), "image_too_large"),
        (png_header(10_000, 10_000), "image_too_large"),
        (png_header(60_000, 60_000), "image_too_large"),
    ],
)
def test_it_refuses(content: bytes, code: str) -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, content)
    assert failure.value.code == code


def test_the_limit_of_pixels_can_be_lowered() -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, picture("PNG"), settings={"max_pixels": 799})
    assert failure.value.code == "image_too_large"
    assert run(step, picture("PNG"), settings={"max_pixels": 800}).output["width"] == 40


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError, ZeroDivisionError])
def test_whatever_a_decoder_raises_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def decode(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(thumbnail, "_small_picture", decode)
    with pytest.raises(StepFailed) as failure:
        run(step, picture("PNG"))
    expected = "image_too_large" if error is MemoryError else "image_unreadable"
    assert failure.value.code == expected
