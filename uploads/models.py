"""Uploads, their blobs, and what is accepted from whom.

No column holds content or a file name in the clear: names are sealed under the upload's key.
"""

from typing import Self
from uuid import UUID, uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from config.accounts.models import User
from config.ids import uuid7
from uploads import folder_models, key_models  # noqa: F401 - they belong to this room
from uploads.validation import Action, mistakes_in


class UploadState(models.TextChoices):
    """Where the latest run over an upload stands. Written with the run, in its transaction."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Verdict(models.TextChoices):
    """What the required checks say of an upload. A missing verdict is not a pass."""

    PENDING = "pending", "Being checked"
    PASSED = "passed", "Passed"
    QUARANTINED = "quarantined", "In quarantine"
    NOT_CHECKED = "not_checked", "Not checked"


class Door(models.TextChoices):
    """How a file came in."""

    WEB = "web", "Web page"
    API = "api", "API"
    FOLDER = "folder", "Drop folder"
    COMMAND = "command", "Command line"
    MEMBER = "member", "Member of another file"


class UploadQuerySet(models.QuerySet["Upload"]):
    """Reads of uploads."""

    def owned_by(self, user: User) -> Self:
        """Keep what `user` may see. Every read for a user passes here."""
        return self.filter(owner=user)


class Upload(models.Model):
    """One accepted file. `size` and `sha256` are of its plaintext."""

    # Where they are at hand, so that nobody asks for them again; no columns.
    name: str | None = None  # in the clear
    found: "list[Finding] | None" = None
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploads", db_index=False
    )
    sealed_name = models.BinaryField()
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=127)
    declared_type = models.CharField(max_length=127, blank=True)
    door = models.CharField(max_length=8, choices=Door)
    folder = models.CharField(max_length=100, blank=True, help_text="A label: where it came from.")
    tags = models.CharField(
        max_length=255, blank=True, help_text="Labels in the clear, each between two spaces."
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        related_name="children",
        help_text="The archive or mail that this file was in.",
    )
    root_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, help_text="The upload that handed the whole family in."
    )
    depth = models.PositiveSmallIntegerField(default=0, help_text="How many parents are above it.")
    state = models.CharField(max_length=10, choices=UploadState, default=UploadState.QUEUED)
    verdict = models.CharField(max_length=11, choices=Verdict, default=Verdict.NOT_CHECKED)
    held = models.BooleanField(
        default=True, help_text="It leaves only when its owner says to take the risk."
    )
    released_at = models.DateTimeField(null=True, help_text="When the hold was lifted by hand.")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    run_id: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, help_text="The latest run."
    )
    idempotency = models.CharField(
        max_length=255, blank=True, help_text="A second file with the same key is the same upload."
    )
    began_at = models.DateTimeField(help_text="When its first byte arrived.")
    created_at = models.DateTimeField(help_text="When it was accepted.")

    objects = UploadQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="upload_of_owner"),
            models.Index(fields=["owner", "state", "-id"], name="upload_of_owner_in_state"),
            models.Index(
                fields=["root_id"], condition=Q(root_id__isnull=False), name="upload_of_family"
            ),
            models.Index(fields=["owner", "-id"], condition=Q(held=True), name="upload_held"),
        ]
        permissions = [("release_upload", "Can release an upload that is held")]
        constraints = [
            models.CheckConstraint(condition=Q(size__gt=0), name="upload_is_not_empty"),
            models.CheckConstraint(
                condition=Q(parent=None, root_id=None, depth=0)
                | Q(parent__isnull=False, root_id__isnull=False, depth__gt=0),
                name="upload_has_a_place_in_its_family",
            ),
            models.CheckConstraint(
                condition=~Q(verdict="quarantined") | Q(held=True) | Q(released_at__isnull=False),
                name="upload_in_quarantine_is_held",
            ),
            models.CheckConstraint(
                condition=Q(released_at=None) | Q(held=False), name="upload_released_is_not_held"
            ),
            models.UniqueConstraint(
                fields=["owner", "idempotency"],
                condition=~Q(idempotency=""),
                name="upload_is_made_once",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def tag_list(self) -> list[str]:
        """Return the tags one by one."""
        return self.tags.split()


class Finding(models.Model):
    """One reason why an upload is not simply fine. `source` is the check that found it.

    Codes only: what a scanner calls it may tell of the content, and stays sealed in the trace.
    """

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="findings")
    code = models.CharField(max_length=64, db_index=True)
    action = models.CharField(max_length=10, choices=[(a.value, a.value) for a in Action])
    source = models.CharField(max_length=64)
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["upload", "code", "source"], name="finding_is_kept_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.action})"


class Blob(models.Model):
    """Encrypted bytes in storage, under the random `id`.

    The row is made with what it belongs to, after the bytes are durable. A blob without an
    upload is doomed: it waits for its bytes to be removed.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="blobs")
    is_content = models.BooleanField(help_text="The upload itself, not something made of it.")
    size = models.PositiveBigIntegerField(help_text="Of the plaintext, in bytes.")
    doomed_by: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(
        null=True, db_index=True, help_text="The erasure that waits for the bytes to be removed."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["upload"],
                condition=Q(is_content=True),
                name="upload_has_one_content",
            ),
        ]


class SearchToken(models.Model):
    """That an upload has a word, which `token` stands for without telling it."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="search_tokens")
    token = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "upload"], name="upload_has_a_word_once"),
        ]


class Damage(models.Model):
    """A blob whose bytes were found changed, cut or gone, and nothing of them was released."""

    blob_id = models.UUIDField(primary_key=True)
    upload_id = models.UUIDField()
    part = models.CharField(max_length=16, help_text="Where it showed first.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name_plural = "damage"

    def __str__(self) -> str:
        return f"Damage of {self.blob_id}"


class UploadSession(models.Model):
    """One file that is still arriving, or has arrived a short while ago.

    Whoever knows the token may write, so only its SHA-256 is kept. `offset` is durable. The row
    holds what goes on after a restart: `checkpoint` is sealed, and so is `sealed_metadata`, the
    client's own header.
    """

    id = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the token.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="upload_sessions"
    )
    session_version = models.BigIntegerField(help_text="Of the owner, when the session began.")
    token_family: "models.UUIDField[UUID | None, UUID | None]" = models.UUIDField(null=True)
    sign_in = models.CharField(
        max_length=64, blank=True, help_text="Digest of the browser's session, which ends this one."
    )
    upload_id = models.UUIDField(unique=True, help_text="Of the upload that this becomes.")
    blob_id = models.UUIDField(unique=True)
    door = models.CharField(max_length=8, choices=Door)
    sealed_metadata = models.BinaryField()
    length = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    media_type = models.CharField(max_length=127, blank=True)
    checkpoint = models.BinaryField(default=b"")
    fence = models.PositiveBigIntegerField(
        default=0, help_text="Grows with every writer: what an earlier one writes is refused."
    )
    lease_expires_at = models.DateTimeField(null=True, help_text="Until then a writer holds it.")
    began_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # The last byte becomes durable with the upload itself, in one transaction.
            models.CheckConstraint(
                condition=Q(finished_at=None, offset__lt=F("length"))
                | Q(finished_at__isnull=False, offset=F("length")),
                name="upload_session_is_whole_when_finished",
            ),
        ]

    def __str__(self) -> str:
        return f"Session of {self.upload_id}"


class Quota(models.Model):
    """What one user may hold, and holds. Empty limits are the deployment's."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="quota"
    )
    max_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    max_files = models.PositiveBigIntegerField(null=True, blank=True)
    used_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    used_files = models.PositiveBigIntegerField(default=0, editable=False)
    reserved_bytes = models.PositiveBigIntegerField(default=0, editable=False)
    reserved_files = models.PositiveBigIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return f"Quota of {self.user_id}"


class IntakePolicy(models.Model):
    """What is accepted, and what is done with what is found: of a user, a group, or everybody.

    An empty field says nothing: the next wider policy decides, the settings at last.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="intake_policy",
    )
    group = models.OneToOneField(
        "auth.Group",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="intake_policy",
    )
    rank = models.PositiveSmallIntegerField(
        default=100, help_text="Of several groups of a user, the one with the lowest rank decides."
    )
    allowed_types = models.TextField(
        blank=True, help_text="Patterns of media types, one a line, such as image/*."
    )
    denied_types = models.TextField(
        blank=True, help_text="As above. A type that both name is denied."
    )
    max_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    quota_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    quota_files = models.PositiveBigIntegerField(null=True, blank=True)
    required_checks = models.TextField(
        blank=True, help_text='Names of checks, one a line; "none" for none at all.'
    )
    not_checked = models.CharField(
        max_length=7,
        blank=True,
        choices=[("hold", "Hold"), ("release", "Release")],
        help_text="What happens to a file whose required checks could not be made.",
    )
    actions = models.JSONField(
        default=dict,
        blank=True,
        help_text='What happens to each finding: {"polyglot": "quarantine"}. '
        "One of allow, flag, quarantine, refuse.",
    )
    retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="After so many days an upload is deleted."
    )

    class Meta:
        verbose_name_plural = "intake policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None) | Q(group=None), name="intake_policy_has_one_subject"
            ),
            models.UniqueConstraint(
                models.Value(1),
                condition=Q(user=None, group=None),
                name="intake_policy_for_everybody_is_one",
            ),
        ]

    def __str__(self) -> str:
        if self.user_id is not None:
            return f"Policy of user {self.user_id}"
        return f"Policy of group {self.group_id}" if self.group_id else "Policy of everybody"

    def clean(self) -> None:
        """Refuse what could not be obeyed.

        Raises:
            ValidationError
        """
        mistakes = mistakes_in(
            types=[*self.allowed_types.split(), *self.denied_types.split()],
            checks=self.required_checks.split(),
            actions=self.actions,
        )
        if mistakes:
            raise ValidationError(mistakes)
