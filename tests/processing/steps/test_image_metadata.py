"""What images say besides their pixels, and copies that do not."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from processing.steps.contract import StepFailed
from processing.steps.image_metadata import step
from processing.steps.image_metadata.stripping import STRIPPERS, Unstrippable
from tests.processing.steps.harness import Result, run

XMP = (
    b'<x:xmpmeta xmlns:x="x"><rdf:RDF xmlns:rdf="r"><rdf:Description xmlns:dc="d" dc:rights="Ann">'
    b"<dc:creator><rdf:Seq><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator></rdf:Description></rdf:RDF>"
    b"</x:xmpmeta>"
)
MARKS = (b"SECRETCAM", b"Bob", b"a-hidden-note", b"appended")


def picture() -> Image.Image:
    image = Image.radial_gradient("L").resize((64, 48)).convert("RGB")
    image.putpixel((3, 4), (255, 0, 0))
    return image


def exif(*, orientation: int = 6) -> Image.Exif:
    found = Image.Exif()
    found[0x0110] = "SECRETCAM"
    found[0x0112] = orientation
    found.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 36.0), 3: "W", 4: (2.0, 15.0, 0.0)})
    return found


def saved(kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture().save(file, kind, **options)
    return file.getvalue()


def jpeg() -> bytes:
    options = {"exif": exif(), "xmp": XMP, "comment": b"a-hidden-note", "progressive": True}
    return saved("JPEG", **options) + b"appended"


def png() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("Comment", "a-hidden-note")
    notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return saved("PNG", exif=exif(), pnginfo=notes) + b"appended"


def webp() -> bytes:
    return saved("WEBP", exif=exif(), xmp=XMP, lossless=True)


def copy_of(result: Result) -> bytes:
    (name,) = result.artifacts
    return result.content(name)


def pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        return image.tobytes()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(jpeg(), "image/jpeg"), (png(), "image/png"), (webp(), "image/webp")],
    ids=["jpeg", "png", "webp"],
)
def test_metadata_is_listed_and_the_copy_has_the_same_pixels_without_it(
    content: bytes, media_type: str
) -> None:
    result = run(step, content, media_type)
    found: Any = result.output
    assert found["exif"]["Model"] == "SECRETCAM"
    assert found["place"] == [48.51, -2.25]
    assert found["gps"]["GPSLatitudeRef"] == "N"
    copy = copy_of(result)
    assert pixels(copy) == pixels(content)
    assert [mark for mark in MARKS if mark in copy] == []


def test_the_properties_of_an_xmp_packet_are_listed() -> None:
    found: Any = run(step, jpeg(), "image/jpeg").output
    assert found["xmp"] == {"rights": "Ann", "creator": "Bob"}
    assert found["texts"]["comment"] == "a-hidden-note"


def test_a_photograph_stays_upright_in_its_copy() -> None:
    copy = copy_of(run(step, jpeg(), "image/jpeg"))
    with Image.open(io.BytesIO(copy)) as image:
        assert dict(image.getexif()) == {0x0112: 6}


def test_an_image_without_metadata_has_no_copy() -> None:
    result = run(step, saved("PNG"), "image/png")
    assert (result.output["copied"], result.artifacts) == (False, {})


def test_a_kind_that_cannot_be_copied_says_so() -> None:
    result = run(step, saved("TIFF", exif=exif()), "image/tiff")
    assert result.output["copied"] is False


def test_a_copy_can_be_left_out() -> None:
    assert not run(step, jpeg(), "image/jpeg", {"copy": False}).artifacts


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(StepFailed) as failure:
        run(step, b"\x89PNG\r\n\x1a\n no", "image/png")
    assert failure.value.code == "image_unreadable"


@pytest.mark.parametrize("kind", STRIPPERS)
def test_no_cut_of_an_image_is_taken_for_another_error(kind: str) -> None:
    content = {"JPEG": jpeg, "PNG": png, "WEBP": webp}[kind]()
    for end in range(0, len(content), 37):
        try:
            list(STRIPPERS[kind](content[:end], 1))
        except (Unstrippable, IndexError):
            continue


def test_every_good_image_of_the_corpus_is_read(corpus: Path) -> None:
    from uploads.media_types import detect

    for path in sorted((corpus / "pillow-good").iterdir()):
        content = path.read_bytes()
        media_type = detect(content)
        if not step.reads(media_type) or path.name == "hopper_webp.tif":
            continue
        result = run(step, content, media_type)
        if result.output["copied"]:
            assert pixels(copy_of(result)) == pixels(content), path.name
