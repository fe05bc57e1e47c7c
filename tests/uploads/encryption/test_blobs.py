import traceback
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.source import BytesSource
from tests.uploads.encryption.cast import BLOB, OTHERS, PLAIN, SEGMENT, Blob, plaintext_of
from uploads.encryption import HEAD_BYTES, SEGMENT_BYTES, BlobReader, Damaged

EDGES = sorted({max(0, PLAIN * count + step) for count in range(5) for step in (-1, 0, 1)})
DEFAULT = Blob(segment_bytes=SEGMENT_BYTES)


class CountingSource(BytesSource):
    """Remembers which reads were made."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return super().read_at(offset, length)


def counted(ciphertext: bytes) -> tuple[CountingSource, BlobReader]:
    source = CountingSource(ciphertext)
    reader = BlobReader(source, upload_key=BLOB.upload_key, **BLOB.names())
    source.reads.clear()
    return source, reader


@pytest.mark.parametrize("size", EDGES)
def test_a_blob_of_a_size_around_a_segments_edge_comes_back(size):
    plaintext = plaintext_of(size)
    ciphertext = BLOB.write(plaintext)
    assert BLOB.reader(ciphertext).size == size
    assert BLOB.read(ciphertext) == plaintext
    assert len(ciphertext) == HEAD_BYTES + size + 32 * max(1, -(-size // PLAIN))


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_blob_of_the_default_segments_comes_back(count, step):
    plaintext = plaintext_of(max(0, count * (SEGMENT_BYTES - 32) + step))
    assert DEFAULT.read(DEFAULT.write(plaintext)) == plaintext


@given(plaintext=st.binary(max_size=300), segment_bytes=st.integers(33, 200))
def test_any_plaintext_comes_back_from_segments_of_any_length(plaintext, segment_bytes):
    blob = Blob(segment_bytes=segment_bytes)
    assert blob.read(blob.write(plaintext)) == plaintext


@given(
    size=st.integers(0, 5 * PLAIN),
    ranges=st.lists(st.tuples(st.integers(0, 6 * PLAIN), st.integers(0, 6 * PLAIN)), max_size=8),
)
@example(size=2 * PLAIN, ranges=[(2 * PLAIN, 1), (2 * PLAIN - 1, 5), (PLAIN, PLAIN)])
def test_reading_anywhere_equals_slicing(size, ranges):
    plaintext = plaintext_of(size)
    reader = BLOB.reader(BLOB.write(plaintext))
    for offset, length in ranges:
        assert reader.read_at(offset, length) == plaintext[offset : offset + length]
        assert b"".join(reader.chunks(offset, offset + length)) == plaintext[offset:][:length]
        assert b"".join(reader.chunks(offset)) == plaintext[offset:]


def test_an_offset_before_the_start_is_refused():
    reader = BLOB.reader(BLOB.write(b"content"))
    with pytest.raises(ValueError, match="negative"):
        reader.read_at(-1, 2)
    assert reader.read_at(2, -1) == b""


def test_opening_reads_the_head_and_the_last_segment_only():  # rule P6
    source = CountingSource(BLOB.write(plaintext_of(4 * PLAIN + 5)))
    BlobReader(source, upload_key=BLOB.upload_key, **BLOB.names())
    assert source.reads == [(0, HEAD_BYTES), (HEAD_BYTES + 4 * SEGMENT, 37)]


def test_a_read_touches_its_segments_only_and_keeps_the_last_one():
    source, reader = counted(BLOB.write(plaintext_of(5 * PLAIN)))
    reader.read_at(PLAIN + 1, PLAIN)
    assert source.reads == [(HEAD_BYTES + number * SEGMENT, SEGMENT) for number in (1, 2)]
    source.reads.clear()
    for offset in range(2 * PLAIN, 3 * PLAIN):
        reader.read_at(offset, 1)
    assert source.reads == []


def test_a_blob_of_one_segment_is_decrypted_once():
    source, reader = counted(BLOB.write(b"content"))
    assert reader.read_at(0, 7) == b"content"
    assert source.reads == []


def test_chunks_are_read_as_they_are_asked_for():
    source, reader = counted(BLOB.write(plaintext_of(5 * PLAIN)))
    chunks = reader.chunks()
    assert [len(next(chunks)), len(source.reads)] == [PLAIN, 1]


def test_the_writer_gives_ciphertext_as_it_goes_and_counts_it():
    writer = BLOB.writer()
    assert (writer.size, writer.ciphertext_bytes) == (0, 0)
    given_out = len(writer.update(b""))
    assert given_out == writer.ciphertext_bytes == HEAD_BYTES
    for taken in range(1, 4 * PLAIN):
        given_out += len(writer.update(b"x"))
        assert (writer.size, writer.ciphertext_bytes) == (taken, given_out)
        assert given_out == HEAD_BYTES + (taken - 1) // PLAIN * SEGMENT
    given_out += len(writer.finish())
    assert (writer.size, writer.ciphertext_bytes) == (4 * PLAIN - 1, given_out)


def test_the_ciphertext_has_no_plaintext_and_no_key_in_it():
    plaintext = b"a sentence that must not be seen" * 20
    ciphertext = BLOB.write(plaintext)
    assert plaintext[:8] not in ciphertext
    assert BLOB.upload_key[:8] not in ciphertext


def test_every_blob_has_a_data_key_of_its_own():  # rule W1
    keys = {BLOB.upload_key, *(BLOB.writer()._data_key for _ in range(9))}
    assert len(keys) == 10


def test_two_blobs_of_the_same_content_share_nothing_but_their_names():  # rule W2
    one, two = BLOB.write(b"content"), BLOB.write(b"content")
    assert one[:60] == two[:60]
    assert one[60:] != two[60:]
    assert one[130:162] != two[130:162]


@pytest.mark.parametrize("segment_bytes", [0, 32, 16 * 1024 * 1024 + 1])
def test_the_writer_refuses_segments_of_an_impossible_length(segment_bytes):
    with pytest.raises(ValueError, match="16 MiB"):
        Blob(segment_bytes=segment_bytes).writer()


@pytest.mark.parametrize("other", OTHERS)
def test_a_blob_does_not_open_under_another(other):  # rules E4, E5
    with pytest.raises(Damaged) as caught:
        OTHERS[other].reader(BLOB.write(b"content"))
    assert caught.value.part == ("wrapped_key" if other == "upload_key" else "envelope")


def test_a_failure_shows_no_key_and_no_content():
    plaintext = plaintext_of(PLAIN)
    ciphertext = bytearray(BLOB.write(plaintext))
    ciphertext[-1] ^= 1
    with pytest.raises(Damaged) as caught:
        BLOB.read(bytes(ciphertext))
    shown = repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert (caught.value.code, caught.value.status) == ("blob_damaged", 500)
    assert str(caught.value) == Damaged.detail
    for secret in (plaintext, BLOB.upload_key):
        assert secret.hex() not in shown
        assert repr(secret)[2:20] not in shown


def test_the_repr_of_writer_and_reader_shows_no_key():
    writer = BLOB.writer()
    reader = BLOB.reader(writer.update(b"x") + writer.finish())
    for shown in (repr(writer), repr(reader)):
        assert BLOB.upload_key.hex() not in shown
        assert repr(writer._data_key)[2:10] not in shown


# Interrupted writing


@given(
    size=st.integers(0, 5 * PLAIN),
    cuts=st.lists(st.integers(0, 5 * PLAIN), max_size=4).map(sorted),
    lost=st.integers(0, 3 * PLAIN),
)
def test_a_writer_interrupted_anywhere_goes_on_from_its_checkpoint(size, cuts, lost):
    plaintext = plaintext_of(size)
    writer = BLOB.writer()
    stored = writer.update(b"")
    for cut in cuts:
        stored += writer.update(plaintext[writer.size : cut])
        checkpoint = writer.checkpoint()
        # What was written after the checkpoint and never acknowledged.
        stored += writer.update(b"?" * lost)
        writer = BLOB.resume(stored[:HEAD_BYTES], checkpoint)
        assert writer.size == min(cut, size)
        stored = stored[: writer.ciphertext_bytes]
    stored += writer.update(plaintext[writer.size :]) + writer.finish()
    assert BLOB.read(stored) == plaintext


def test_a_checkpoint_does_not_end_the_writer():
    writer = BLOB.writer()
    stored = writer.update(b"first ")
    writer.checkpoint()
    stored += writer.update(b"second") + writer.finish()
    assert BLOB.read(stored) == b"first second"


def test_no_segment_is_sealed_for_a_checkpoint():  # rule C2
    writer = BLOB.writer()
    head = writer.update(plaintext_of(PLAIN))
    checkpoints = [writer.checkpoint() for _ in range(2)]
    assert checkpoints[0] != checkpoints[1]
    for checkpoint in checkpoints:
        ciphertext = head + b"\xff\xff\xff\xff" + checkpoint[8:]
        with pytest.raises(Damaged):
            BLOB.read(ciphertext)


@pytest.mark.parametrize("plaintext", [b"", b"x", plaintext_of(PLAIN), plaintext_of(PLAIN + 1)])
def test_a_checkpoint_grows_with_one_segment_at_the_most(plaintext):
    writer = BLOB.writer()
    writer.update(plaintext)
    assert len(writer.checkpoint()) <= SEGMENT + 4


def test_there_is_no_checkpoint_before_the_first_update_and_after_the_finish():
    writer = BLOB.writer()
    with pytest.raises(ValueError, match="checkpoint"):
        writer.checkpoint()
    writer.finish()
    with pytest.raises(ValueError, match="checkpoint"):
        writer.checkpoint()


def _written() -> tuple[bytes, bytes]:
    writer = BLOB.writer()
    stored = writer.update(plaintext_of(PLAIN + 5))
    return stored[:HEAD_BYTES], writer.checkpoint()


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_does_not_resume_under_another(other):
    with pytest.raises(Damaged):
        OTHERS[other].resume(*_written())


@pytest.mark.parametrize(
    "change",
    [
        lambda head, _: (head, _written()[1]),
        lambda _, checkpoint: (_written()[0], checkpoint),
        lambda head, checkpoint: (head, (2).to_bytes(8, "big") + checkpoint[8:]),
        lambda head, _: (head, b""),
        lambda head, checkpoint: (head, checkpoint[:7]),
        lambda head, checkpoint: (head, checkpoint[:-1]),
        lambda head, checkpoint: (head[:-1], checkpoint),
        lambda head, checkpoint: (head + b"\0", checkpoint),
    ],
    ids=["replayed", "exchanged", "segment", "empty", "no count", "cut", "head cut", "longer"],
)
def test_resume_refuses(change):  # rule C1
    with pytest.raises(Damaged):
        BLOB.resume(*change(*_written()))


@given(data=st.data())
def test_any_flipped_bit_of_head_or_checkpoint_is_refused(data):
    head, checkpoint = _written()
    both = bytearray(head + checkpoint)
    bit = data.draw(st.integers(0, 8 * len(both) - 1))
    both[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        BLOB.resume(bytes(both[:HEAD_BYTES]), bytes(both[HEAD_BYTES:]))


def test_ids_may_be_any_uuid():
    blob = Blob(upload_id=UUID(int=0), owner_id=UUID(int=2**128 - 1))
    assert blob.read(blob.write(b"content")) == b"content"
