"""How uploads go: keys first, then rows, then bytes."""

import logging
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction

from config.accounts.forgetting import forget_name
from config.accounts.models import User, new_session_version
from config.events.announce import announce
from uploads import damage, erasures, quota, signals
from uploads.erasures import Cause
from uploads.key_models import Erasure
from uploads.models import Blob, Upload, UploadSession
from uploads.storage import StorageFailed, store
from uploads.tus import sessions

logger = logging.getLogger(__name__)

# Whatever is younger may belong to an upload that is still arriving.
GRACE_S = 24 * 60 * 60
BATCH = 500  # blobs looked up at once


@dataclass(frozen=True)
class Swept:
    """How much a sweep removed."""

    doomed: int
    orphans: int
    partials: int
    sessions: int
    keys: int = 0
    erased_again: int = 0


def delete_upload(upload: Upload, *, cause: Cause = erasures.SYSTEM) -> None:
    """Delete an upload with everything made of it, and the files that were in it.

    Its keys are destroyed first, and that is recorded with them: where keys have a database of
    their own, this is durable before anything else happens, and a crash after it leaves an upload
    that nobody can read and that the next sweep finishes. Then one transaction deletes the rows
    and dooms the blobs. Their bytes, unreadable by then, are removed after the commit, and by the
    next sweep where that fails.
    """
    with transaction.atomic():
        # Rows are locked from the top of the house to its bottom: a worker that ends a run holds
        # the run when it comes to the upload.
        for member in _family_of(upload.pk, locked=False):
            signals.upload_deleted.send(Upload, upload=member)
        family = _family_of(upload.pk, locked=True)
        if not family:
            return
        doomed = {member.pk: erasures.erase_upload(member, cause) for member in family}
        blob_ids = []
        for member in family:
            of_member = list(member.blobs.values_list("pk", flat=True))
            Blob.objects.filter(pk__in=of_member).update(upload=None, doomed_by=doomed[member.pk])
            blob_ids += of_member
        damage.forget(blob_ids)
        for member in reversed(family):  # members of a file go before it
            upload_id = member.pk  # a row that is gone has none
            member.delete()
            quota.give_back(member.owner_id, member.size)
            announce(member.owner_id, "upload.deleted", upload=upload_id)
        transaction.on_commit(lambda: _remove_blobs(blob_ids))
    for upload_id in doomed:
        logger.info("upload deleted", extra={"upload": str(upload_id)})


def delete_user(user: User, *, cause: Cause = erasures.SYSTEM) -> None:
    """Delete a user with all uploads: keys first, all of them at once, then everything else.

    Can be called again after any interruption, and a sweep does so.

    Raises:
        ProtectedError: a record that must stay names the user. Keys and uploads are gone.
    """
    User.objects.filter(pk=user.pk).update(
        is_active=False, session_version=new_session_version()
    )  # nobody begins anything in this name any more
    erasure_id = erasures.erase_owner(user.pk, cause)
    while uploads := list(Upload.objects.filter(owner=user)[:BATCH]):
        for upload in uploads:
            delete_upload(upload, cause=cause)
    for session in UploadSession.objects.filter(owner=user):
        sessions.end(session)
    forget_name(user)
    user.delete()
    _remove_drop_folder(user.username)
    erasures.close([erasure_id])
    logger.info("user deleted", extra={"erasure": str(erasure_id)})


def _remove_drop_folder(username: str) -> None:
    """Remove what the user put there: it is not encrypted."""
    root = Path(settings.UPLOADS["DROP_DIR"])
    folder = root / username
    if folder.parent == root and username not in {".", ".."} and folder.is_dir():
        shutil.rmtree(folder)


def delete_user_for_admin(user: User, *, by: UUID) -> None:
    """As `delete_user`, at the wish of an administrator."""
    delete_user(user, cause=Cause(Erasure.Via.ADMIN, by))


def sweep(*, grace_s: float = GRACE_S) -> Swept:
    """Remove what was left: doomed blobs, blobs without a row, interrupted writes, old sessions.

    Nothing younger than `grace_s` is touched: its row may be about to be committed. What was
    erased and is there all the same, after a crash or a restore, is erased again.
    """
    again = erase_again()
    doomed = remove_doomed()
    orphans = 0
    ids = store().ids(older_than_s=grace_s)
    while batch := set(islice(ids, BATCH)):
        known = Blob.objects.filter(pk__in=batch).values_list("pk", flat=True)
        orphans += len(_remove_bytes(batch.difference(known)))
    partials = store().sweep_partials(older_than_s=grace_s)
    expired = sessions.sweep(grace_s=grace_s)
    keys = erasures.sweep_keys(grace_s=grace_s)
    return Swept(doomed, orphans, partials, expired, keys, again)


def erase_again() -> int:
    """Finish the erasures that a crash or a restore left half done; return how many uploads."""
    again = _erased_but_there()
    for upload in again:
        delete_upload(upload)
    for user in list(erasures.users_left()):
        delete_user(user)
    return len(again)


def remove_doomed() -> int:
    """Remove the bytes of what was deleted and could not be removed at once; return how many.

    Closes the erasures that waited for them.
    """
    removed = _remove_blobs(list(Blob.objects.filter(upload=None).values_list("pk", flat=True)))
    _close_erasures()
    return removed


def _family_of(upload_id: UUID, *, locked: bool) -> list[Upload]:
    """Return an upload and what was in it, and in that; parents before their members."""
    rows = Upload.objects.select_for_update() if locked else Upload.objects.all()
    family = generation = list(rows.filter(pk=upload_id))
    while generation:
        generation = list(rows.filter(parent__in=generation))
        family = [*family, *generation]
    return family


def _erased_but_there() -> list[Upload]:
    """Return the uploads whose erasure is on record: a crash or a restore left them."""
    found: list[Upload] = []
    subjects = Erasure.objects.filter(kind=Erasure.Kind.UPLOAD).order_by("pk")
    for batch in erasures.batches(subjects.values_list("subject_id", flat=True)):
        found += Upload.objects.filter(pk__in=batch)
    return found


def _remove_blobs(blob_ids: Collection[UUID]) -> int:
    removed = _remove_bytes(blob_ids)
    doomed = Blob.objects.filter(pk__in=removed, upload=None)
    waiting = {pk for pk in doomed.values_list("doomed_by", flat=True) if pk is not None}
    doomed.delete()
    _close_erasures(waiting)
    return len(removed)


def _close_erasures(among: Collection[UUID] | None = None) -> None:
    """Note for the open erasures, or those of them that are named, that all bytes are gone."""
    opened = Erasure.objects.filter(done_at=None, kind=Erasure.Kind.UPLOAD)
    if among is not None:
        opened = opened.filter(pk__in=among)
    waiting = set(opened.values_list("pk", flat=True))
    left = Blob.objects.filter(doomed_by__in=waiting).values_list("doomed_by", flat=True)
    erasures.close(waiting - set(left))


def _remove_bytes(blob_ids: Collection[UUID]) -> list[UUID]:
    """Remove what can be removed now, and return it; the rest waits for the next sweep."""
    removed = []
    for blob_id in blob_ids:
        try:
            store().remove(blob_id)
        except StorageFailed:
            logger.warning("blob not removed yet", extra={"blob": str(blob_id)})
            continue
        removed.append(blob_id)
    return removed
