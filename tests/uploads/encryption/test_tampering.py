"""Right bytes or an error: whatever is done to a blob, no other byte comes out of it."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.source import BytesSource
from tests.uploads.encryption.cast import (
    BLOB,
    OTHERS,
    PLAIN,
    SEGMENT,
    plaintext_of,
    segments_of,
)
from uploads.encryption import HEAD_BYTES, BlobReader, Damaged
from uploads.encryption.envelope import BlobIds, make_envelope

CONTENT = plaintext_of(3 * PLAIN + 9)
Segments = list[bytes]


def assert_refused(ciphertext: bytes, plaintext: bytes) -> str:
    """Read the whole: it must fail, and give nothing but a beginning of `plaintext` before."""
    seen = b""
    try:
        for chunk in BLOB.reader(ciphertext).chunks():
            seen += chunk
            assert plaintext.startswith(seen)
    except Damaged as refusal:
        return refusal.part
    pytest.fail("a tampered blob was read to its end")


@given(size=st.integers(0, 4 * PLAIN), data=st.data())
def test_any_flipped_bit_is_refused(size, data):
    plaintext = plaintext_of(size)
    ciphertext = bytearray(BLOB.write(plaintext))
    bit = data.draw(st.integers(0, 8 * len(ciphertext) - 1))
    ciphertext[bit // 8] ^= 1 << bit % 8
    assert_refused(bytes(ciphertext), plaintext)


@pytest.mark.parametrize("place", range(HEAD_BYTES))
def test_each_byte_of_the_head_matters(place):
    ciphertext = bytearray(BLOB.write(b"content"))
    for flip in (0x01, 0x80, 0xFF):
        ciphertext[place] ^= flip
        assert_refused(bytes(ciphertext), b"content")
        ciphertext[place] ^= flip


def test_a_cut_anywhere_is_refused_when_the_blob_is_opened():
    ciphertext = BLOB.write(CONTENT)
    for length in range(len(ciphertext)):
        with pytest.raises(Damaged) as caught:
            BLOB.reader(ciphertext[:length])
        if length <= HEAD_BYTES:
            assert caught.value.part == "length"


@pytest.mark.parametrize("size", [0, 1, PLAIN, PLAIN + 1, 3 * PLAIN])
@given(tail=st.binary(min_size=1, max_size=3 * SEGMENT))
def test_anything_appended_is_refused_when_the_blob_is_opened(size, tail):
    with pytest.raises(Damaged):
        BLOB.reader(BLOB.write(plaintext_of(size)) + tail)


@given(order=st.lists(st.integers(0, 3), max_size=7).filter(lambda order: order != [0, 1, 2, 3]))
def test_segments_in_any_other_order_or_number_are_refused(order):
    ciphertext = BLOB.write(CONTENT)
    segments = segments_of(ciphertext)
    assert_refused(ciphertext[:HEAD_BYTES] + b"".join(segments[i] for i in order), CONTENT)


@given(data=st.data())
def test_a_range_is_right_or_refused_in_a_damaged_blob(data):  # rule P7
    ciphertext = bytearray(BLOB.write(CONTENT))
    damaged = data.draw(st.integers(0, 2))
    place = HEAD_BYTES + damaged * SEGMENT + data.draw(st.integers(0, SEGMENT - 1))
    ciphertext[place] ^= data.draw(st.integers(1, 255))
    reader = BLOB.reader(bytes(ciphertext))
    offset, length = data.draw(st.tuples(st.integers(0, 120), st.integers(1, 120)))
    touched = range(offset // PLAIN, (min(offset + length, len(CONTENT)) - 1) // PLAIN + 1)
    for _ in range(2):  # the second time, nothing must have been kept from the first
        if damaged in touched:
            with pytest.raises(Damaged):
                reader.read_at(offset, length)
        else:
            assert reader.read_at(offset, length) == CONTENT[offset : offset + length]


def _marked_last(segment: bytes) -> bytes:
    return len(segment).to_bytes(4, "big") + segment[4:]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda own, _: [own[1], own[0], *own[2:]], "segment"),
        (lambda own, _: [own[0], own[0], *own[2:]], "segment"),
        (lambda own, _: [own[0], *own[2:]], "segment"),
        (lambda own, _: [own[0], own[0], *own[1:]], "segment"),
        (lambda own, _: [*own, own[3]], "length"),
        (lambda own, _: own[:3], "segment"),
        (lambda own, _: own[:1], "segment"),
        (lambda own, _: [], "length"),
        (lambda own, _: [*own[:2], _marked_last(own[2])], "segment"),
        (lambda own, _: [*own[:3], b"\xff" * 4 + own[3][4:]], "segment"),
        (lambda own, other: [own[0], other[1], *own[2:]], "segment"),
        (lambda own, other: [*own[:3], other[3]], "segment"),
        (lambda own, other: other, "segment"),
        (lambda own, _: [*own[:3], own[3][:31]], "length"),
        (lambda own, _: [*own[:3], own[3][:32]], "segment"),
        (lambda own, _: [bytes(SEGMENT)] * 4, "segment"),
    ],
    ids=[
        "two exchanged",
        "one repeated in place of its neighbour",
        "one dropped",
        "one inserted",
        "last repeated",
        "cut at the last edge",
        "cut at the first edge",
        "all dropped",
        "cut at an edge and marked as last",
        "last marked as not last",
        "one of another blob in its place",
        "last of another blob",
        "all of another blob",
        "last too short for one",
        "last without its content",
        "zeros",
    ],
)
def test_segments_are_refused(change: Callable[[Segments, Segments], Segments], part: str):
    ciphertext = BLOB.write(CONTENT)
    own, other = segments_of(ciphertext), segments_of(BLOB.write(CONTENT))
    changed = ciphertext[:HEAD_BYTES] + b"".join(change(own, other))
    assert assert_refused(changed, CONTENT) == part


@pytest.mark.parametrize("start", [0, 10, 12, 28, 44, 60, 120, 130, 162])
def test_no_field_of_the_head_can_be_taken_from_another_blob(start):
    ends = {0: 10, 10: 12, 12: 28, 28: 44, 44: 60, 60: 120, 120: 130, 130: 162, 162: 194}
    end = ends[start]
    ciphertext = BLOB.write(CONTENT)
    for other in (BLOB, *OTHERS.values(), replace(BLOB, segment_bytes=SEGMENT + 1)):
        taken = other.write(CONTENT)[start:end]
        changed = ciphertext[:start] + taken + ciphertext[end:]
        if changed != ciphertext:
            assert_refused(changed, CONTENT)


@pytest.mark.parametrize(("end", "part"), [(60, "wrapped_key"), (120, "header")])
@pytest.mark.parametrize("name", ["upload_id", "owner_id", "blob_id"])
def test_a_blob_given_the_names_or_the_envelope_of_another_is_refused(name, end, part):
    moved = OTHERS[name].write(CONTENT)
    assert assert_refused(BLOB.write(CONTENT)[:end] + moved[end:], CONTENT) == part


@pytest.mark.parametrize("name", ["upload_id", "owner_id", "blob_id"])
def test_a_payload_under_the_right_data_key_is_refused_after_another_envelope(name):
    writer = OTHERS[name].writer()
    moved = writer.update(CONTENT) + writer.finish()
    forged = make_envelope(
        writer._data_key, upload_key=BLOB.upload_key, ids=BlobIds(**BLOB.names())
    )
    assert assert_refused(forged + moved[len(forged) :], CONTENT) == "header"


@pytest.mark.parametrize("version", [b"\0\0", b"\0\2", b"\xff\xff"])
def test_another_version_is_refused_before_anything_is_decrypted(version):  # rule E3
    ciphertext = BLOB.write(CONTENT)
    assert assert_refused(ciphertext[:10] + version + ciphertext[12:], CONTENT) == "envelope"


def test_a_source_that_gives_fewer_bytes_than_it_says_is_refused():
    class Shrinking(BytesSource):
        shrunk = False

        def read_at(self, offset: int, length: int) -> bytes:
            return super().read_at(offset, length - self.shrunk)

    source = Shrinking(BLOB.write(CONTENT))
    reader = BlobReader(source, upload_key=BLOB.upload_key, **BLOB.names())
    source.shrunk = True
    with pytest.raises(Damaged) as caught:
        reader.read_at(0, 1)
    assert caught.value.part == "length"


def _random_tampering(rng: random.Random, ciphertext: bytes) -> bytes:
    changed = bytearray(ciphertext)
    start, end = sorted(rng.randrange(len(changed) + 1) for _ in range(2))
    match rng.randrange(6):
        case 0:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case 1:
            changed[start:end] = rng.randbytes(end - start)
        case 2:
            del changed[start:end]
        case 3:
            changed[start:start] = rng.randbytes(rng.randrange(1, 100))
        case 4:
            changed[start:start] = changed[start:end]
        case 5:
            changed[start:end] = bytes(end - start)
    return bytes(changed)


@pytest.mark.parametrize(
    "wanted", [5000, pytest.param(200_000, marks=pytest.mark.slow)], ids=["short", "campaign"]
)
def test_random_tamperings_are_refused(wanted):
    rng = random.Random(2025)
    trials = 0
    while trials < wanted:
        plaintext = plaintext_of(rng.randrange(6 * PLAIN))
        ciphertext = BLOB.write(plaintext)
        for _ in range(50):
            changed = _random_tampering(rng, ciphertext)
            if changed != ciphertext:
                assert_refused(changed, plaintext)
                trials += 1
