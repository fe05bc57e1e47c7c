"""From a drop folder into the intake: one file at a time."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from uuid import UUID

from config.accounts.models import User
from config.errors import AppError
from uploads.errors import Refusal
from uploads.intake import Offer, receive_upload
from uploads.models import Door, Upload, UploadState
from uploads.validation import check_name
from uploads.watch.completeness import is_complete, open_regular
from uploads.watch.errors import FolderTooDeep, HardLinked, NotARegularFile, Unreadable
from uploads.watch.folders import Claimed, DropFolder, Found, kind_of
from uploads.watch.receipts import read_receipt, write_receipt

logger = logging.getLogger(__name__)

UNFIT: dict[str, type[Refusal]] = {
    "folder": FolderTooDeep,
    "other": NotARegularFile,
}
GONE = "deleted"  # the state in the receipt of an upload that its owner deleted meanwhile
ENDED = {UploadState.SUCCEEDED, UploadState.FAILED, UploadState.CANCELLED, GONE}
NOTES_AT_ONCE = 500


class Changed(Exception):
    """The file was written to while it was read."""


class Stopped(Exception):
    """The watcher has to stop in the middle of a file."""


class FolderDoor:
    """Takes files of one user in. `stopping` is asked between two reads."""

    def __init__(self, owner: User, folder: DropFolder, stopping: Callable[[], bool]) -> None:
        self.owner = owner
        self.folder = folder
        self._stopping = stopping
        # Receipts whose runs had not ended when last seen, and their uploads.
        self.waiting: dict[Path, UUID] = {}
        for note in folder.notes():
            with suppress(ValueError):  # not written by us
                self.waiting[note] = UUID(str(read_receipt(note).get("upload")))

    def offer(self, found: Found) -> bool:
        """Take `found` in, or move it to `failed`; False if it is not complete yet."""
        try:
            kind = kind_of(found.status())
            if kind in UNFIT:
                self.folder.fail_found(found, self._refused(UNFIT[kind]()))
                return True
            if not self._is_complete(found):
                return False
            claimed = self.folder.claim(found)
        except FileNotFoundError:  # whoever put it there has taken it away
            return True
        self.take(claimed)
        return True

    def take(self, claimed: Claimed) -> None:
        """Take a claimed file in; what it is worth, or when, decides where it goes."""
        key = f"folder:{claimed.token}"
        try:
            upload = Upload.objects.filter(owner=self.owner, idempotency=key).first()
            upload = upload or self._receive(claimed, key)
        except Changed:
            self.folder.put_back(claimed.path)
            claimed.path.parent.rmdir()
        except AppError as error:
            if error.status >= 500:  # the fault is ours, and may pass
                raise
            self.folder.fail_claimed(claimed, self._refused(error))
        else:
            write_receipt(claimed.note, **_facts(upload, claimed.name))
            claimed.discard()
            self.waiting[claimed.note] = upload.pk
            logger.info("file taken from the drop folder", extra={"upload": str(upload.pk)})

    def close_notes(self) -> None:
        """Move the receipts whose runs have ended to where they belong."""
        some = dict(islice(self.waiting.items(), NOTES_AT_ONCE))
        states = dict(
            Upload.objects.filter(owner=self.owner, pk__in=some.values()).values_list("pk", "state")
        )
        for note, upload_id in some.items():
            del self.waiting[note]
            state = states.get(upload_id, GONE)
            if state in ENDED:
                self._close_note(note, state)
            else:
                self.waiting[note] = upload_id  # at the end: all others come first

    def _close_note(self, note: Path, state: str) -> None:
        facts = read_receipt(note)
        write_receipt(note, **facts | {"state": state})
        well = state not in (UploadState.FAILED, UploadState.CANCELLED)
        name = str(facts.get("name", note.stem))
        try:
            check_name(name)
        except Refusal:  # somebody else wrote it: a name that is a path leads out of the folder
            name = note.stem
        self.folder.close_note(note, name, well=well)

    def _receive(self, claimed: Claimed, key: str) -> Upload:
        with _Reading(claimed, self._stopping) as content:
            return receive_upload(
                Offer(
                    owner=self.owner,
                    name=claimed.name,
                    declared_type="",
                    door=Door.FOLDER,
                    size=content.size,
                    idempotency=key,
                ),
                content,
            )

    def _is_complete(self, found: Found) -> bool:
        try:
            descriptor = open_regular(found.name, folder=found.folder)
        except PermissionError:
            return True  # to be refused once it is claimed
        if descriptor is None:
            return False
        try:
            return is_complete(found.name, descriptor)
        finally:
            os.close(descriptor)

    def _refused(self, error: AppError) -> AppError:
        extra = {"owner": str(self.owner.pk), "code": error.code}
        logger.info("file in the drop folder refused", extra=extra)
        return error


class _Reading:
    """The content of a claimed file, which must not change before its end.

    Raises:
        Refusal: when opened, if it is not a regular file of its own that can be read.
        Changed: at its end, if it was written to meanwhile.
        Stopped
    """

    def __init__(self, claimed: Claimed, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._descriptor = self._open(claimed)
        self._before = os.fstat(self._descriptor)
        self.size = self._before.st_size

    def _open(self, claimed: Claimed) -> int:
        folder = os.open(claimed.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = open_regular(claimed.name, folder=folder)
        except PermissionError:
            raise Unreadable from None
        finally:
            os.close(folder)
        if descriptor is None:
            raise NotARegularFile
        if os.fstat(descriptor).st_nlink > 1:
            os.close(descriptor)
            raise HardLinked
        return descriptor

    def __enter__(self) -> "_Reading":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, size: int, /) -> bytes:
        if self._stopping():
            raise Stopped
        data = os.read(self._descriptor, size)
        if not data:
            after = os.fstat(self._descriptor)
            if (after.st_size, after.st_mtime_ns) != (self.size, self._before.st_mtime_ns):
                raise Changed
        return data


def _facts(upload: Upload, name: str) -> dict[str, object]:
    return {
        "name": name,
        "upload": str(upload.pk),
        "size": upload.size,
        "sha256": upload.sha256,
        "media_type": upload.media_type,
        "state": upload.state,
        "url": f"/uploads/{upload.pk}/",
    }
