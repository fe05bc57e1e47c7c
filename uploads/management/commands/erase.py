"""Delete an upload, or a user with all uploads: keys first."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import ProtectedError

from config.accounts.models import User
from uploads.deletion import delete_upload, delete_user
from uploads.erasures import Cause
from uploads.key_models import Erasure
from uploads.models import Upload

COMMAND = Cause(Erasure.Via.COMMAND)


class Command(BaseCommand):
    help = (
        "Delete an upload, or a user with all uploads. Keys are destroyed first; a record without "
        "name or content stays. Run it again after an interruption."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--upload", type=UUID, metavar="ID")
        what.add_argument("--user", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, **options: Any) -> None:
        if options["upload"] is not None:
            self._erase_upload(options["upload"], ask=not options["yes"])
        else:
            self._erase_user(options["user"], ask=not options["yes"])

    def _erase_upload(self, upload_id: UUID, *, ask: bool) -> None:
        upload = Upload.objects.filter(pk=upload_id).first()
        if upload is None:
            raise CommandError(f"There is no upload {upload_id}.")
        self._confirm(f"upload {upload_id}", ask=ask)
        delete_upload(upload, cause=COMMAND)
        self._report(upload_id)

    def _erase_user(self, username: str, *, ask: bool) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.")
        user_id, uploads = user.pk, Upload.objects.filter(owner=user).count()
        self._confirm(f"user {username} with {uploads} uploads", ask=ask)
        try:
            delete_user(user, cause=COMMAND)
        except ProtectedError as error:
            kinds = sorted({str(row._meta.verbose_name) for row in error.protected_objects})
            raise CommandError(
                f"Keys and uploads are gone; the account stays, since records name it: "
                f"{', '.join(kinds)}."
            ) from error
        self._report(user_id)

    def _confirm(self, what: str, *, ask: bool) -> None:
        if ask and input(f"Destroy {what}? This cannot be undone. Type yes: ") != "yes":
            raise CommandError("Nothing was erased.")

    def _report(self, subject_id: UUID) -> None:
        record = Erasure.objects.get(subject_id=subject_id)
        rest = "" if record.done_at else " Some bytes are still to be removed: this is tried again."
        self.stdout.write(f"Erased; record {record.pk}.{rest}")
