"""The S3 storage against a server of that protocol (moto, on the loopback address)."""

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.uploads.storage.contract import StoreContract, get, put
from uploads.storage import BlobMissing, StorageFailed, Store

pytest.importorskip("boto3", reason="boto3 is not installed: pip install strongroom[aws]")
moto_server = pytest.importorskip(
    "moto.server", reason="moto is not installed: pip install 'moto[server]'"
)

from uploads.storage import s3  # noqa: E402 (needs boto3)

pytestmark = pytest.mark.services

BUCKET = "blobs"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def make_store(endpoint: str) -> Any:
    def make(**changes: Any) -> s3.S3Store:
        options = {"prefix": f"{uuid4().hex}/", "region": "us-east-1", **changes}
        return s3.S3Store(
            BUCKET, endpoint_url=endpoint, access_key="key", secret_key="secret", **options
        )

    make().client.create_bucket(Bucket=BUCKET)
    return make


@pytest.fixture
def store(make_store: Any) -> Store:
    return make_store()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * s3.MIB)  # the least that S3 allows


class TestS3Store(StoreContract):
    """As every backend."""


class TestWithoutChecksums(StoreContract):
    """For servers that do not know them."""

    @pytest.fixture
    def store(self, make_store: Any) -> Store:
        return make_store(checksums=False)


def requests_of(store: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Record operation and bytes of every request that is sent from now on."""
    sent: list[tuple[str, int]] = []
    original = store.client._make_api_call

    def record(operation: str, arguments: dict[str, Any]) -> Any:
        sent.append((operation, len(arguments.get("Body", b""))))
        return original(operation, arguments)

    monkeypatch.setattr(store.client, "_make_api_call", record)
    return sent


@pytest.mark.usefixtures("small_parts")
def test_a_large_blob_goes_in_parts_through_bounded_memory(store, monkeypatch):
    sent, sink, content = requests_of(store, monkeypatch), None, bytes(range(256)) * 4096
    blob_id = uuid4()
    sink = store.create(blob_id)
    for _ in range(12):
        sink.write(content)
        assert len(sink._waiting) <= s3.PART_BYTES
    sink.commit()
    assert [operation for operation, _ in sent] == [
        "CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart",
        "CompleteMultipartUpload", "HeadObject",
    ]  # fmt: skip
    assert max(size for _, size in sent) == s3.PART_BYTES
    assert get(store, blob_id) == content * 12


def test_a_small_blob_is_one_request_and_a_check(store, monkeypatch):
    sent = requests_of(store, monkeypatch)
    put(store, b"content")
    assert [operation for operation, _ in sent] == ["PutObject", "HeadObject"]


@pytest.mark.usefixtures("small_parts")
def test_an_interrupted_upload_is_aborted_and_an_abandoned_one_is_swept(store, make_store):
    for leave in (lambda sink: sink.abort(), lambda sink: None):
        sink = store.create(uuid4())
        sink.write(b"x" * 6 * s3.MIB)
        leave(sink)
    century_s = 100 * 365 * 24 * 3600  # the server dates every upload back by years
    assert store.sweep_partials(older_than_s=century_s) == 0
    assert make_store().sweep_partials(older_than_s=0) == 0  # another prefix
    assert store.sweep_partials(older_than_s=0) == 1
    assert store.sweep_partials(older_than_s=0) == 0
    assert list(store.ids()) == []


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("size", [10, 6 * 1024 * 1024])
def test_an_object_that_is_not_as_long_as_what_was_sent_is_no_blob(store, monkeypatch, size):
    blob_id = uuid4()
    sink = store.create(blob_id)
    sink.write(b"x" * size)
    sink._size += 1
    with pytest.raises(StorageFailed):
        sink.commit()
    with pytest.raises(BlobMissing):
        store.open(blob_id)


def test_each_part_carries_a_checksum_that_the_server_compares(store, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 * s3.MIB)
    asked: list[dict[str, Any]] = []
    original = store.client._make_api_call

    def record(operation: str, arguments: dict[str, Any]) -> Any:
        asked.append({"operation": operation, **arguments})
        return original(operation, arguments)

    monkeypatch.setattr(store.client, "_make_api_call", record)
    put(store, b"x" * 6 * s3.MIB)
    parts = [call for call in asked if call["operation"] == "UploadPart"]
    assert {call["ChecksumAlgorithm"] for call in parts} == {"CRC32"}
    (done,) = (call for call in asked if call["operation"] == "CompleteMultipartUpload")
    assert all("ETag" in part for part in done["MultipartUpload"]["Parts"])


def test_reading_in_order_takes_few_requests_and_a_range_only_its_own_bytes(store, monkeypatch):
    piece, count = 256 * 1024, 64
    content = bytes(range(256)) * (piece * count // 256)
    blob_id = put(store, content)
    sent = requests_of(store, monkeypatch)
    with closing(store.open(blob_id)) as stored:
        for number in range(count):
            at = number * piece
            assert stored.read_at(at, piece) == content[at : at + piece]
    assert len(sent) <= 2 + len(content) // s3.READ_AHEAD_BYTES
    with closing(store.open(blob_id)) as stored:
        assert stored.read_at(5_000_001, 10) == content[5_000_001:5_000_011]
        assert len(stored._ahead) == 10


def test_only_our_own_objects_are_blobs(store):
    blob_id = put(store, b"content")
    prefix = store._prefix
    for key in (
        "readme.txt",
        f"00/{blob_id.hex}",
        f"{blob_id.hex}",
        f"{blob_id.hex[:2]}/{'z' * 32}",
    ):
        store.client.put_object(Bucket=BUCKET, Key=prefix + key, Body=b"")
    assert list(store.ids()) == [blob_id]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [({"bucket": "no-such-bucket"}, BlobMissing), ({}, BlobMissing)],
)
def test_what_is_not_there_is_missing(make_store, change, refusal):
    store = make_store()
    store.bucket = change.get("bucket", store.bucket)
    with pytest.raises(refusal):
        store.open(UUID(int=1))


def test_a_server_out_of_reach_is_a_failure_that_passes(monkeypatch):
    monkeypatch.setattr(s3, "TRIES", 1)
    store = s3.S3Store(
        BUCKET, endpoint_url="http://127.0.0.1:9", access_key="key", secret_key="secret"
    )
    for attempt in (
        lambda: store.open(uuid4()),
        lambda: put(store, b"content"),
        lambda: store.remove(uuid4()),
        lambda: list(store.ids()),
        lambda: store.sweep_partials(older_than_s=0),
    ):
        with pytest.raises(StorageFailed):
            attempt()


def test_an_upload_larger_than_ten_thousand_parts_of_the_first_size_fits(store):
    sink = store.create(uuid4())
    total, number = 0, 0
    for number in range(10_000):
        sink._parts = [{}] * number
        total += sink._part_bytes()
    assert total > 5 * 1024**4


@pytest.mark.django_db
@pytest.mark.usefixtures("pipelines")
def test_uploads_live_in_a_bucket_and_move_there_and_back_while_they_are_read(
    owner, settings, make_store, endpoint
):
    import io

    from django.core.management import call_command

    from uploads.intake import Offer, receive_upload
    from uploads.models import Blob, Door
    from uploads.reading import open_content
    from uploads.storage import stores

    prefix = f"{uuid4().hex}/"
    options = {
        "bucket": BUCKET, "prefix": prefix, "endpoint_url": endpoint,
        "region": "us-east-1", "access_key": "key", "secret_key": "secret",
    }  # fmt: skip
    settings.STORAGES = {
        **settings.STORAGES,
        "s3": {"BACKEND": "uploads.storage.s3.S3Store", "OPTIONS": options},
    }
    settings.UPLOADS = {**settings.UPLOADS, "STORAGE": ["s3", "local"]}
    content = bytes(range(256)) * 8192
    offer = Offer(owner=owner, name="a.bin", declared_type="", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(content))
    with open_content(upload) as reader:
        first = reader.read_at(0, 300_000)
        for target, other in (("local", "s3"), ("s3", "local")):
            call_command("move_blobs", to=target)
            lies_in = {name: set(store.ids()) for name, store in stores().items()}
            assert lies_in[target] == set(Blob.objects.values_list("pk", flat=True))
            assert lies_in[other] == set()
            rest = reader.read_at(300_000, len(content))
            assert first + rest == content
            with open_content(upload) as again:
                assert b"".join(again.chunks()) == content
