"""The keys that open uploads, and the record of those that were destroyed.

No foreign keys: these tables can be kept in a database of their own, see `uploads.key_store`.
"""

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from config.ids import uuid7


class OwnerKey(models.Model):
    """The key of one user, wrapped by a master key. Its upload keys are wrapped by it.

    No foreign key: key tables can be kept in a database of their own, apart from backups.
    """

    owner_id = models.UUIDField(primary_key=True)
    wrapped = models.BinaryField()
    master_key_id = models.CharField(max_length=64, db_index=True)


class UploadKey(models.Model):
    """The key of one upload, wrapped by its owner's key. Deleting the row shreds the upload."""

    upload_id = models.UUIDField(primary_key=True)
    owner_id = models.UUIDField(db_index=True)
    wrapped = models.BinaryField()
    made_at = models.DateTimeField(default=timezone.now)


class Erasure(models.Model):
    """That something was erased: when, by whom, which id. No name, nothing of the content.

    It lies with the keys, so that it survives a restore of everything else: what is erased and
    comes back is erased again. No foreign key, for the same reason.
    """

    class Kind(models.TextChoices):
        UPLOAD = "upload", "Upload"
        USER = "user", "User with all uploads"

    class Via(models.TextChoices):
        OWNER = "owner", "The owner"
        ADMIN = "admin", "Admin"
        COMMAND = "command", "Command line"
        SYSTEM = "system", "Strongroom itself"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=6, choices=Kind)
    subject_id = models.UUIDField(db_index=True)
    owner_id = models.UUIDField()
    by_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, help_text="The user who asked for it."
    )
    via = models.CharField(max_length=7, choices=Via)
    keys_destroyed = models.PositiveIntegerField()
    erased_at = models.DateTimeField(help_text="When the keys were destroyed.")
    done_at = models.DateTimeField(null=True, help_text="When the last byte was removed.")

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(done_at=None), name="erasure_that_goes_on"),
        ]

    def __str__(self) -> str:
        return f"Erasure of {self.kind} {self.subject_id}"
