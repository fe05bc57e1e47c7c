"""From a drop folder into the intake: one file at a time."""

import errno
import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from uuid import UUID

from config.errors import AppError
from uploads.drop_reports import report
from uploads.errors import Refusal
from uploads.intake import CHUNK_BYTES, Offer, receive_upload
from uploads.models import Door, Upload, UploadState
from uploads.policy import policy_of_folder
from uploads.validation import check_name
from uploads.watch.completeness import Stillness, is_complete, open_regular
from uploads.watch.errors import (
    CannotBeMoved,
    FolderTooDeep,
    HardLinked,
    NotARegularFile,
    Unreadable,
)
from uploads.watch.folders import (
    UNDERPROCESS,
    Claimed,
    DropFolder,
    Found,
    Version,
    kind_of,
)
from uploads.watch.places import Place, receipt_until, refused_until
from uploads.watch.receipts import kept_until, read_receipt, refusal_facts

logger = logging.getLogger(__name__)

UNFIT: dict[str, type[Refusal]] = {
    "folder": FolderTooDeep,
    "other": NotARegularFile,
}
# What a move fails with that the next try will fail with, too: rights, mounts.
IMMOVABLE = {errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY, errno.EROFS}
GONE = "deleted"  # the state in the receipt of an upload that its owner deleted meanwhile
ENDED = {UploadState.SUCCEEDED, UploadState.FAILED, UploadState.CANCELLED, GONE}
NOTES_AT_ONCE = 500


class Changed(Exception):
    """The file was written to while it was read."""


class Stopped(Exception):
    """The watcher has to stop in the middle of a file."""


class FolderDoor:
    """Takes files of one drop folder in. `stopping` is asked between two reads."""

    def __init__(self, place: Place, stopping: Callable[[], bool]) -> None:
        self.place = place
        self.folder = DropFolder(place.root)
        self._stopping = stopping
        self._stillness = Stillness()
        # Receipts whose runs had not ended when last seen, and their uploads.
        self.waiting: dict[str, UUID] = {}
        with self.folder.part(UNDERPROCESS) as folder:
            for note in self.folder.notes():
                with suppress(ValueError):  # not written by us
                    self.waiting[note] = UUID(str(read_receipt(folder, note).get("upload")))

    def offer(self, found: Found) -> bool:
        """Take `found` in, or move it to `failed`; False if it is not complete yet."""
        try:
            unfit = found.unfit or UNFIT.get(kind_of(found.status()))
            if unfit is not None:
                self._refuse_found(found, unfit())
                return True
            if not self._is_complete(found):
                return False
            claimed = self.folder.claim(found)
        except FileNotFoundError:  # whoever put it there has taken it away
            return True
        except OSError as error:
            if error.errno not in IMMOVABLE:
                raise
            self._report(found.name, CannotBeMoved(), _mark(found, CannotBeMoved.code))
            return True
        self.take(claimed)
        return True

    def take(self, claimed: Claimed) -> None:
        """Take a claimed file in; what it is worth, or when, decides where it goes."""
        key = f"folder:{claimed.token}"
        taken: Version | None
        try:
            upload = Upload.objects.filter(owner=self.place.owner, idempotency=key).first()
            if upload is None:
                upload, taken = self._receive(claimed, key)
            else:  # a crash came after the commit
                taken = self._if_same(claimed, upload)
        except Changed:
            self.folder.put_back(claimed)
        except AppError as error:
            if error.status >= 500:  # the fault is ours, and may pass
                raise
            self._refuse_claimed(claimed, error)
        else:
            self.folder.write_note(claimed, _facts(upload, claimed.name))
            self.folder.discard(claimed, taken)
            self.waiting[claimed.note] = upload.pk
            logger.info("file taken from the drop folder", extra={"upload": str(upload.pk)})

    def close_notes(self) -> None:
        """Move the receipts whose runs have ended to where they belong.

        Raises:
            OSError: one of them could not be moved; the others were.
        """
        some = dict(islice(self.waiting.items(), NOTES_AT_ONCE))
        rows = Upload.objects.filter(owner=self.place.owner, pk__in=some.values())
        states = dict(rows.values_list("pk", "state"))
        trouble: OSError | None = None
        for note, upload_id in some.items():
            self.waiting[note] = self.waiting.pop(note)  # at the end: all others come first
            state = states.get(upload_id, GONE)
            if state in ENDED:
                try:
                    self._close_note(note, state)
                except OSError as error:
                    trouble = error
                else:
                    del self.waiting[note]
        if trouble is not None:
            raise trouble

    def _close_note(self, note: str, state: str) -> None:
        with self.folder.part(UNDERPROCESS) as folder:
            facts = read_receipt(folder, note)
        well = state not in (UploadState.FAILED, UploadState.CANCELLED)
        name = str(facts.get("name", note))
        try:
            check_name(name)
        except Refusal:  # somebody else wrote it: a name that is a path leads out of the folder
            name = note
        ended = {**facts, "state": state, **kept_until(receipt_until())}
        self.folder.close_note(note, name, ended, well=well)

    def _receive(self, claimed: Claimed, key: str) -> tuple[Upload, Version]:
        place = self.place
        with _Reading(self.folder, claimed, self._stopping) as content:
            offer = Offer(
                owner=place.owner,
                name=claimed.name,
                declared_type="",
                door=Door.FOLDER,
                pipeline=place.pipeline,
                size=content.version.size,
                idempotency=key,
                folder=place.label_of(claimed.label),
                tags=place.tags,
                policy=policy_of_folder(place.watched) if place.watched else None,
            )
            return receive_upload(offer, content), content.version

    def _if_same(self, claimed: Claimed, upload: Upload) -> Version | None:
        """Return the version of the claimed file if it is what the upload was made of."""
        digest = hashlib.sha256()
        try:
            with _Reading(self.folder, claimed, self._stopping) as content:
                while chunk := content.read(CHUNK_BYTES):
                    digest.update(chunk)
                return content.version if digest.hexdigest() == upload.sha256 else None
        except (Changed, Refusal, FileNotFoundError):
            return None

    def _is_complete(self, found: Found) -> bool:
        try:
            descriptor = open_regular(found.name, folder=found.folder)
        except PermissionError:
            return True  # to be refused once it is claimed
        if descriptor is None:
            return False
        try:
            return is_complete((*found.above, found.name), descriptor, self._stillness)
        finally:
            os.close(descriptor)

    def _refuse_found(self, found: Found, error: Refusal) -> None:
        self._report(found.name, error, _mark(found, error.code))
        self.folder.fail_found(found, _refusal(found.name, error))

    def _refuse_claimed(self, claimed: Claimed, error: AppError) -> None:
        self._report(claimed.name, error, claimed.token)
        self.folder.fail_claimed(claimed, _refusal(claimed.name, error))

    def _report(self, name: str, error: AppError, mark: str) -> None:
        """Tell the owner, before anything is moved: a crash must not keep it from them."""
        owner = self.place.owner
        until = None if isinstance(error, CannotBeMoved) else refused_until()
        report(owner, name=name, error=error, mark=mark, kept_until=until)
        extra = {"owner": str(owner.pk), "code": error.code}
        logger.info("file in the drop folder refused", extra=extra)


class _Reading:
    """The content of a claimed file, which must not change before its end.

    Raises:
        Refusal: when opened, if it is not a regular file of its own that can be read.
        Changed: at its end, if it was written to meanwhile, or another one has its name.
        Stopped
    """

    def __init__(self, folder: DropFolder, claimed: Claimed, stopping: Callable[[], bool]) -> None:
        self._folder = folder
        self._claimed = claimed
        self._stopping = stopping
        self._descriptor = self._open()
        self.version = Version.of(os.fstat(self._descriptor))

    def _open(self) -> int:
        with self._folder.place_of(self._claimed) as place:
            try:
                descriptor = open_regular(self._claimed.name, folder=place)
            except PermissionError:
                raise Unreadable from None
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
        if not data and not self._is_the_same():
            raise Changed
        return data

    def _is_the_same(self) -> bool:
        """Tell whether neither the file nor what its name means has changed."""
        try:
            with self._folder.place_of(self._claimed) as place:
                named = os.stat(self._claimed.name, dir_fd=place, follow_symlinks=False)
        except FileNotFoundError:  # taken away: what was read of it is whole
            named = os.fstat(self._descriptor)
        return self.version == Version.of(os.fstat(self._descriptor)) == Version.of(named)


def _mark(found: Found, code: str) -> str:
    """Return what tells one thing in one state, which stays where it is, from all others."""
    try:
        status, name = found.status(), b""
    except PermissionError:
        status, name = os.fstat(found.folder), os.fsencode(found.name)
    state = f"{code}:{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}:"
    return hashlib.sha256(state.encode() + name).hexdigest()


def _refusal(name: str, error: AppError) -> dict[str, object]:
    return refusal_facts(name, error) | kept_until(refused_until())


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
