from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.source import BytesSource
from uploads.encryption import Damaged, floe

PUBLISHED = Path(__file__).parents[2] / "vectors" / "floe"
NAMES = sorted(path.name.removesuffix("_ct.txt") for path in PUBLISHED.glob("*_ct.txt"))
KEY = bytes(32)
DATA = b"This is AAD"


def published(name: str, kind: str) -> bytes:
    return bytes.fromhex((PUBLISHED / f"{name}_{kind}.txt").read_text(encoding="ascii"))


def rotation_of(name: str) -> int:
    return 2 if "rotation" in name else floe.ROTATION_MASK


def encrypt(plaintext: bytes, *, segment_bytes: int, rotation: int) -> bytes:
    message = floe.Message.create(
        KEY, associated_data=DATA, segment_bytes=segment_bytes, rotation=rotation
    )
    encryptor = floe.Encryptor(message)
    return message.header + encryptor.update(plaintext) + encryptor.finish()


def seal(message: floe.Message, plaintext: bytes, *, position: int, last: bool) -> bytes:
    segment = bytearray(floe.OVERHEAD + len(plaintext))
    message.seal_into(segment, plaintext, position=position, last=last)
    return bytes(segment)


def decrypt(ciphertext: bytes, *, rotation: int) -> bytes:
    message = floe.Message.open(
        KEY,
        associated_data=DATA,
        header=ciphertext[: floe.HEADER_BYTES],
        rotation=rotation,
    )
    decryptor = floe.Decryptor(BytesSource(ciphertext), message, start=floe.HEADER_BYTES)
    return decryptor.read_at(0, decryptor.size)


def test_all_published_files_are_here():
    assert len(NAMES) == 17


@pytest.mark.parametrize("name", NAMES)
def test_a_published_file_opens_to_its_plaintext(name):
    rotation = rotation_of(name)
    assert decrypt(published(name, "ct"), rotation=rotation) == published(name, "pt")


# An empty last segment after a full one is read, and never written.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "java_lastSegEmpty"])
def test_a_published_plaintext_is_sealed_to_the_published_bytes_with_their_nonces(
    name, monkeypatch
):
    ciphertext = published(name, "ct")
    segment_bytes = int.from_bytes(ciphertext[2:6], "big")
    starts = range(floe.HEADER_BYTES, len(ciphertext), segment_bytes)
    nonces = [ciphertext[10:42], *(ciphertext[start + 4 : start + 16] for start in starts)]
    monkeypatch.setattr("os.urandom", lambda _: nonces.pop(0))
    plaintext = published(name, "pt")
    rotation = rotation_of(name)
    assert encrypt(plaintext, segment_bytes=segment_bytes, rotation=rotation) == ciphertext


@pytest.mark.parametrize("name", [name for name in NAMES if "rotation" in name])
def test_a_published_rotation_file_needs_its_rotation(name):
    with pytest.raises(Damaged):
        decrypt(published(name, "ct"), rotation=3)


@given(
    plaintext=st.binary(max_size=400),
    segment_bytes=st.integers(33, 80),
    rotation=st.sampled_from([0, 1, 2, 20]),
)
def test_any_plaintext_comes_back(plaintext, segment_bytes, rotation):
    ciphertext = encrypt(plaintext, segment_bytes=segment_bytes, rotation=rotation)
    assert decrypt(ciphertext, rotation=rotation) == plaintext


@pytest.mark.parametrize(
    ("size", "lengths"),
    [(0, [32]), (1, [33]), (31, [63]), (32, [64]), (33, [64, 33]), (64, [64, 64])],
)
def test_the_last_segment_is_empty_for_an_empty_plaintext_only(size, lengths):  # rule W4
    ciphertext = encrypt(bytes(size), segment_bytes=64, rotation=20)
    body = ciphertext[floe.HEADER_BYTES :]
    assert [len(body[start : start + 64]) for start in range(0, len(body), 64)] == lengths


@given(pieces=st.lists(st.binary(max_size=100), max_size=12))
def test_how_the_plaintext_is_cut_into_updates_does_not_matter(pieces):
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    encryptor = floe.Encryptor(message)
    sealed = [encryptor.update(memoryview(piece)) for piece in pieces]
    body = b"".join([message.header, *sealed, encryptor.finish()])
    plaintext = b"".join(pieces)
    assert encryptor.size == len(plaintext)
    assert len(body) == len(encrypt(plaintext, segment_bytes=64, rotation=20))
    assert decrypt(body, rotation=20) == plaintext


def test_a_segment_sealed_again_takes_another_nonce_and_opens():  # rule W3
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    first, second = (seal(message, b"x", position=0, last=True) for _ in range(2))
    assert first[4:16] != second[4:16]
    for segment in (first, second):
        assert message.unseal(segment, position=0, last=True) == b"x"


def test_the_key_of_segments_changes_at_each_rotation_and_not_between():
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64, rotation=2)
    ciphers = [message._cipher_at(position) for position in range(9)]
    same = [one is other for one, other in pairwise(ciphers)]
    assert same == [True, True, True, False] * 2


@pytest.mark.parametrize("segment_bytes", [0, 32, floe.MAX_SEGMENT_BYTES + 1])
def test_create_refuses_segments_of_an_impossible_length(segment_bytes):
    with pytest.raises(ValueError, match="16 MiB"):
        floe.Message.create(KEY, associated_data=DATA, segment_bytes=segment_bytes)


def test_a_short_key_is_refused_without_showing_it():
    with pytest.raises(ValueError, match=r"^A key has 32 bytes\.$"):
        floe.Message.create(b"secret", associated_data=DATA, segment_bytes=64)


@pytest.mark.parametrize(
    ("place", "byte"),
    [(0, 1), (1, 1), (5, 32), (2, 255), (9, 31), (10, None), (41, None), (42, None), (73, None)],
)
def test_open_refuses_a_changed_header(place, byte):
    header = bytearray(floe.Message.create(KEY, associated_data=DATA, segment_bytes=64).header)
    header[place] = header[place] ^ 1 if byte is None else byte
    with pytest.raises(Damaged) as caught:
        floe.Message.open(KEY, associated_data=DATA, header=bytes(header))
    assert caught.value.part == "header"


@pytest.mark.parametrize(
    ("key", "data"), [(bytes(31) + b"\1", DATA), (KEY, b""), (KEY, DATA + b"\0")]
)
def test_open_refuses_another_key_or_other_associated_data(key, data):
    header = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64).header
    with pytest.raises(Damaged):
        floe.Message.open(key, associated_data=data, header=header)


@pytest.mark.parametrize("cut", [slice(0, 73), slice(0, 0)])
def test_open_refuses_a_cut_header(cut):
    header = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64).header
    with pytest.raises(Damaged):
        floe.Message.open(KEY, associated_data=DATA, header=header[cut])


@pytest.mark.parametrize(
    ("written_at", "written_last", "read_at", "read_last"),
    [(0, False, 1, False), (0, False, 0, True), (3, True, 3, False), (3, True, 2, True)],
)
def test_a_segment_opens_only_at_its_place(written_at, written_last, read_at, read_last):
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    sealed = seal(message, bytes(32), position=written_at, last=written_last)[4:]
    # The first four bytes are no part of what is authenticated: make them fit.
    segment = (b"\0\0\0\x40" if read_last else b"\xff\xff\xff\xff") + sealed
    with pytest.raises(Damaged) as caught:
        message.unseal(segment, position=read_at, last=read_last)
    assert caught.value.part == "segment"


@pytest.mark.parametrize("bit", range(32))
@pytest.mark.parametrize("last", [True, False])
def test_a_changed_length_of_a_segment_is_refused(last, bit):
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    segment = bytearray(seal(message, bytes(32), position=0, last=last))
    segment[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        message.unseal(bytes(segment), position=0, last=last)


@pytest.mark.parametrize("length", [0, 3, 4, 15, 16, 31])
def test_a_segment_too_short_to_be_one_is_refused(length):
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    segment = length.to_bytes(4, "big") + bytes(28)
    with pytest.raises(Damaged):
        message.unseal(segment[:length], position=0, last=True)


def test_there_is_no_segment_number_2_to_the_40():
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    assert seal(message, b"", position=floe.MAX_SEGMENTS - 1, last=True)
    with pytest.raises(ValueError, match="segments"):
        seal(message, b"", position=floe.MAX_SEGMENTS, last=True)


def test_a_source_with_more_segments_than_floe_allows_is_refused_unread(monkeypatch):
    ciphertext = encrypt(bytes(96), segment_bytes=64, rotation=20)
    assert decrypt(ciphertext, rotation=20) == bytes(96)
    monkeypatch.setattr(floe, "MAX_SEGMENTS", 2)
    with pytest.raises(Damaged) as caught:
        decrypt(ciphertext, rotation=20)
    assert caught.value.part == "length"


def test_nothing_follows_the_last_segment():
    message = floe.Message.create(KEY, associated_data=DATA, segment_bytes=64)
    encryptor = floe.Encryptor(message)
    encryptor.finish()
    with pytest.raises(ValueError, match="finished"):
        encryptor.update(b"")
    with pytest.raises(ValueError, match="finished"):
        encryptor.finish()
