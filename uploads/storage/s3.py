"""A bucket of a server that speaks S3. Needs the extra `aws` (boto3).

Keys are `<prefix><first two digits of the id>/<id>`, as in a folder, so that any tool can copy
blobs between the two. A blob appears with the completion of its upload, whole, or never.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

from uploads.errors import StorageFull
from uploads.storage.errors import BlobMissing, StorageFailed

try:
    import boto3.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    raise ImproperlyConfigured(
        "The S3 storage needs boto3: install the extra with `pip install strongroom[aws]`."
    ) from None

logger = logging.getLogger(__name__)

MISSING = {"404", "NoSuchKey", "NotFound"}
# Source: MinIO, Ceph RGW and Garage; Amazon's own storage is never full.
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"}

MIB = 1024 * 1024
PART_BYTES = 8 * MIB
# An object has at most 10,000 parts, so parts grow: a blob of 16 GiB takes buffers of 16 MiB,
# and the largest object that S3 allows, 5 TiB, still fits.
PARTS_OF_A_SIZE = 1000
READ_AHEAD_BYTES = 4 * MIB
TRIES = 4


class S3Store:
    """Blobs as objects of one bucket. Give it a bucket, or a prefix, of its own."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        checksums: bool = True,
    ) -> None:
        """Connect with the first request.

        `checksums` sends a CRC32 with every part, which the server compares; switch it off for
        servers that do not know them.
        """
        if not bucket:
            raise ImproperlyConfigured("The S3 storage needs a bucket: set STRONGROOM_S3_BUCKET.")
        self.bucket = bucket
        self.checksums = checksums
        self._prefix = prefix
        self._connection = {
            "endpoint_url": endpoint_url,
            "region_name": region,
            "aws_access_key_id": access_key,
            "aws_secret_access_key": secret_key,
        }
        self._client: Any = None
        self._client_pid = 0

    @property
    def client(self) -> Any:
        """Return the client of this process: connections do not survive a fork."""
        if self._client is None or self._client_pid != os.getpid():
            when = "when_supported" if self.checksums else "when_required"
            config = Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": TRIES},
                max_pool_connections=64,
                request_checksum_calculation=when,
                response_checksum_validation=when,
            )
            session = boto3.session.Session()
            self._client = session.client("s3", config=config, **self._connection)
            self._client_pid = os.getpid()
        return self._client

    def create(self, blob_id: UUID) -> "S3Sink":
        return S3Sink(self, self._key(blob_id))

    def open(self, blob_id: UUID) -> "S3Blob":
        return S3Blob(self, self._key(blob_id))

    def remove(self, blob_id: UUID) -> None:
        with refusing():
            self.client.delete_object(Bucket=self.bucket, Key=self._key(blob_id))

    def ids(self, *, older_than_s: float = 0) -> Iterator[UUID]:
        latest = _latest(older_than_s)
        with refusing():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    blob_id = self._id(item["Key"])
                    if blob_id and item["LastModified"] <= latest:
                        yield blob_id

    def sweep_partials(self, *, older_than_s: float) -> int:
        latest = _latest(older_than_s)
        removed = 0
        with refusing():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._prefix
            )
            for page in pages:
                for item in page.get("Uploads", ()):
                    if self._id(item["Key"]) and item["Initiated"] <= latest:
                        self.client.abort_multipart_upload(
                            Bucket=self.bucket, Key=item["Key"], UploadId=item["UploadId"]
                        )
                        removed += 1
        return removed

    def _key(self, blob_id: UUID) -> str:
        return f"{self._prefix}{blob_id.hex[:2]}/{blob_id.hex}"

    def _id(self, key: str) -> UUID | None:
        """Return the id in a key of ours; None for whatever else lies in the bucket."""
        with suppress(ValueError):
            blob_id = UUID(key[-32:])
            return blob_id if key == self._key(blob_id) else None
        return None


class S3Sink:
    """One object being written: small ones in one request, others part by part."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._place = {"Bucket": store.bucket, "Key": key}
        self._checksum = {"ChecksumAlgorithm": "CRC32"} if store.checksums else {}
        self._waiting = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._upload_id = ""
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._waiting += data
        self._size += len(data)
        while len(self._waiting) > self._part_bytes():
            self._send_part(self._part_bytes())

    def commit(self) -> None:
        with refusing():
            if self._upload_id:
                self._send_part(len(self._waiting))
                self._store.client.complete_multipart_upload(
                    **self._place,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                )
                self._upload_id = ""
            else:
                self._store.client.put_object(
                    **self._place, **self._checksum, Body=bytes(self._waiting)
                )
            stored = self._store.client.head_object(**self._place)
        if stored["ContentLength"] != self._size:
            self._store.client.delete_object(**self._place)
            raise StorageFailed

    def abort(self) -> None:
        self._waiting.clear()
        if self._upload_id:
            upload_id, self._upload_id = self._upload_id, ""
            try:
                self._store.client.abort_multipart_upload(**self._place, UploadId=upload_id)
            except (BotoCoreError, ClientError):
                logger.warning("interrupted write not removed yet", exc_info=True)

    def _part_bytes(self) -> int:
        return PART_BYTES << len(self._parts) // PARTS_OF_A_SIZE

    def _send_part(self, length: int) -> None:
        with refusing():
            client = self._store.client
            if not self._upload_id:
                begun = client.create_multipart_upload(**self._place, **self._checksum)
                self._upload_id = begun["UploadId"]
            number = len(self._parts) + 1
            sent = client.upload_part(
                **self._place,
                **self._checksum,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=bytes(memoryview(self._waiting)[:length]),
            )
        del self._waiting[:length]
        part = {"PartNumber": number, "ETag": sent["ETag"]}
        if checksum := sent.get("ChecksumCRC32"):
            part["ChecksumCRC32"] = checksum
        self._parts.append(part)


class S3Blob:
    """One object being read. Whoever reads it in order gets it in large pieces."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._place = {"Bucket": store.bucket, "Key": key}
        self._ahead, self._ahead_at = b"", 0
        with refusing():
            self._size = int(store.client.head_object(**self._place)["ContentLength"])

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        skip = offset - self._ahead_at
        if not 0 <= skip <= skip + end - offset <= len(self._ahead):
            in_order = 0 < skip <= len(self._ahead)
            wanted = max(end - offset, READ_AHEAD_BYTES) if in_order else end - offset
            self._ahead, self._ahead_at, skip = self._fetch(offset, wanted), offset, 0
        return self._ahead[skip : skip + max(0, end - offset)]

    def close(self) -> None:
        self._ahead = b""

    def _fetch(self, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with refusing():
            answer = self._store.client.get_object(
                **self._place, Range=f"bytes={offset}-{offset + length - 1}"
            )
            with closing(answer["Body"]) as body:
                return bytes(body.read())


def _latest(older_than_s: float) -> datetime:
    """Return when the newest that is meant was stored; the server's clock may be ahead of ours."""
    now = datetime.now(UTC)
    return (
        now - timedelta(seconds=older_than_s) if older_than_s else datetime.max.replace(tzinfo=UTC)
    )


@contextmanager
def refusing() -> Iterator[None]:
    """Name what the server, or the way to it, refused."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in MISSING:
            raise BlobMissing from error
        raise (StorageFull if code in FULL else StorageFailed) from error
    except BotoCoreError as error:
        raise StorageFailed from error
