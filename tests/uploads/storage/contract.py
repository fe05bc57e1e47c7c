"""What every storage backend must hold: subclass, and give it a fixture `store`."""

from contextlib import closing
from uuid import UUID, uuid4

import pytest

from uploads.storage import BlobMissing, Store, pieces_of


def put(store: Store, content: bytes, blob_id: UUID | None = None) -> UUID:
    blob_id = blob_id or uuid4()
    sink = store.create(blob_id)
    sink.write(content)
    sink.commit()
    return blob_id


def get(store: Store, blob_id: UUID) -> bytes:
    with closing(store.open(blob_id)) as stored:
        return b"".join(pieces_of(stored))


class StoreContract:
    @pytest.mark.parametrize("size", [0, 1, 1024, 3 * 1024 * 1024 + 1])
    def test_a_blob_comes_back_as_it_was(self, store, size):
        content = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
        blob_id = put(store, content[:size])
        assert get(store, blob_id) == content[:size]

    def test_a_blob_in_many_small_writes_comes_back_as_it_was(self, store):
        blob_id, sink = uuid4(), None
        sink = store.create(blob_id)
        for number in range(1000):
            sink.write(number.to_bytes(2, "big"))
        sink.commit()
        assert get(store, blob_id) == b"".join(n.to_bytes(2, "big") for n in range(1000))

    def test_reads_at_any_offset_are_right_and_short_only_at_the_end(self, store):
        content = bytes(range(256)) * 40
        with closing(store.open(put(store, content))) as stored:
            assert stored.size == len(content)
            for offset, length in [
                (0, 1),
                (5, 300),
                (10_000, 500),
                (10_239, 1),
                (10_240, 5),
                (3, 0),
            ]:
                assert stored.read_at(offset, length) == content[offset : offset + length]

    def test_before_the_commit_there_is_no_blob(self, store):
        blob_id = uuid4()
        sink = store.create(blob_id)
        sink.write(b"half")
        with pytest.raises(BlobMissing):
            store.open(blob_id)
        assert list(store.ids()) == []
        sink.abort()

    def test_an_abort_leaves_nothing(self, store):
        sink = store.create(uuid4())
        sink.write(b"half" * 1_000_000)
        sink.abort()
        sink.abort()
        assert list(store.ids()) == []
        assert store.sweep_partials(older_than_s=0) == 0

    def test_an_abort_after_the_commit_leaves_the_blob(self, store):
        blob_id = uuid4()
        sink = store.create(blob_id)
        sink.write(b"whole")
        sink.commit()
        sink.abort()
        assert get(store, blob_id) == b"whole"

    def test_a_blob_that_is_removed_is_gone_and_removing_it_again_is_no_error(self, store):
        blob_id = put(store, b"content")
        store.remove(blob_id)
        store.remove(blob_id)
        with pytest.raises(BlobMissing):
            store.open(blob_id)

    def test_all_ids_are_listed_and_nothing_else(self, store):
        ids = {put(store, b"content") for _ in range(5)}
        sink = store.create(uuid4())
        sink.write(b"half")
        assert set(store.ids()) == ids
        assert list(store.ids(older_than_s=3600)) == []
        sink.abort()

    def test_writing_the_same_blob_again_is_possible_beside_an_interrupted_write(self, store):
        blob_id = uuid4()
        interrupted = store.create(blob_id)
        interrupted.write(b"half" * 3_000_000)
        put(store, b"whole", blob_id)
        assert get(store, blob_id) == b"whole"
        interrupted.abort()
        assert get(store, blob_id) == b"whole"
