"""Artifacts while a step makes them: encrypted as they come, kept only if the step succeeds."""

import hashlib
import re
from uuid import uuid4

from processing.steps.contract import StepFailed
from uploads.encryption import BlobWriter
from uploads.models import Upload
from uploads.storage import Sink, store

MAX_ARTIFACTS = 64
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,80}(?:; charset=[a-z0-9-]{1,20})?")


class Draft:
    """One artifact being written: what a step's bytes go into."""

    def __init__(self, upload: Upload, key: bytes, *, name: str, media_type: str) -> None:
        self.blob_id = uuid4()
        self.name = name
        self.media_type = media_type
        self.size = 0
        self._digest = hashlib.sha256()
        self._sink: Sink = store().create(self.blob_id)
        self._writer = BlobWriter(
            upload_key=key, upload_id=upload.pk, owner_id=upload.owner_id, blob_id=self.blob_id
        )

    @property
    def sha256(self) -> str:
        """Return the digest of the plaintext so far, in hex."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self._digest.update(data)
        if ciphertext := self._writer.update(data):
            self._sink.write(ciphertext)

    def close(self) -> None:
        self._sink.write(self._writer.finish())

    def commit(self) -> None:
        """Make the bytes durable."""
        self._sink.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._sink.abort()
        store().remove(self.blob_id)


class Drafts:
    """All artifacts of one attempt at one step."""

    def __init__(self, upload: Upload, key: bytes) -> None:
        self._upload = upload
        self._key = key
        self.items: list[Draft] = []

    def open(self, name: str, media_type: str) -> Draft:
        """Begin an artifact. Steps run in a child that may be hostile: names are checked here.

        Raises:
            StepFailed: `artifact_refused`
        """
        if (
            len(self.items) >= MAX_ARTIFACTS
            or not NAME.fullmatch(name)
            or not MEDIA_TYPE.fullmatch(media_type)
            or any(draft.name == name for draft in self.items)
        ):
            raise StepFailed("artifact_refused", "The step named an artifact in an unfit way.")
        draft = Draft(self._upload, self._key, name=name, media_type=media_type)
        self.items.append(draft)
        return draft

    def commit(self) -> None:
        """Make all of them durable."""
        for draft in self.items:
            draft.commit()

    def discard(self) -> None:
        """Leave none behind."""
        for draft in self.items:
            draft.discard()
