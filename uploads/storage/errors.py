"""What storage may answer instead of bytes."""

from config.errors import AppError


class StorageFailed(AppError):
    code = "storage_failed"
    status = 503
    detail = "The storage did not take or give the bytes. Nothing of this was accepted."
    retry_after_s = 30


class BlobMissing(AppError):
    code = "blob_missing"
    status = 500
    detail = "The stored bytes of this file are gone."
