"""Folders that are watched besides those of the users, and what the watcher says of all of them."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from config.ids import uuid7
from uploads import signals
from uploads.errors import LabelMalformed, UnknownPipeline
from uploads.labels import check_labels, split_tags
from uploads.validation import mistakes_in


class WatchedFolder(models.Model):
    """A folder somewhere else that is a drop folder of its owner, with rules of its own.

    An empty rule says nothing: then the policies of its owner decide.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    path = models.CharField(
        max_length=500,
        unique=True,
        help_text="Absolute, below one of STRONGROOM_DROP_ROOTS. The four folders are made in it.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="watched_folders",
        help_text="Whose uploads the files become.",
    )
    enabled = models.BooleanField(default=True)
    pipeline = models.CharField(
        max_length=100, blank=True, help_text="Its name; without it, the type of a file decides."
    )
    label = models.CharField(
        max_length=100,
        blank=True,
        help_text="Folder of the uploads; names of inner folders follow.",
    )
    tags = models.CharField(max_length=200, blank=True, help_text="With commas between them.")
    allowed_types = models.TextField(
        blank=True, help_text="Patterns of media types, one a line, such as image/*."
    )
    denied_types = models.TextField(
        blank=True, help_text="As above. A type that both name is denied."
    )
    max_bytes = models.PositiveBigIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.path

    def clean(self) -> None:
        """Refuse what could not be obeyed, or leads where no folder is to be watched.

        Raises:
            ValidationError
        """
        types = [*self.allowed_types.split(), *self.denied_types.split()]
        mistakes = mistakes_in(types=types, checks=(), actions={})
        if sentence := misplaced(self, paths_by_id()):
            mistakes["path"] = [sentence]
        try:
            check_labels(folder=self.label, tags=split_tags(self.tags))
        except LabelMalformed as error:
            mistakes["label"] = [error.detail]
        try:
            if self.pipeline and self.owner_id is not None:
                signals.upload_announced.send(
                    WatchedFolder, owner=self.owner, pipeline=self.pipeline
                )
        except UnknownPipeline as error:
            mistakes["pipeline"] = [error.detail]
        if mistakes:
            raise ValidationError(mistakes)


def paths_by_id() -> dict[UUID, str]:
    """Return the paths of all watched folders."""
    return dict(WatchedFolder.objects.values_list("pk", "path"))


def misplaced(row: WatchedFolder, paths: Mapping[UUID, str]) -> str:
    """Return in a sentence why the folder must not be watched; nothing if it may.

    `paths` are those of all watched folders.
    """
    path = Path(row.path)
    roots = [Path(root) for root in settings.UPLOADS["DROP_ROOTS"]]
    if not path.is_absolute() or Path(*path.parts) != path.resolve():
        return "The path must be absolute, without links and without `..` in it."
    if not any(path != root.resolve() and path.is_relative_to(root.resolve()) for root in roots):
        return "The path must lie below one of STRONGROOM_DROP_ROOTS."
    others = [Path(path) for pk, path in paths.items() if pk != row.pk]
    taken = [*others, Path(settings.UPLOADS["DROP_DIR"]).resolve()]
    if any(path.is_relative_to(other) or other.is_relative_to(path) for other in taken):
        return "The path lies inside a folder that is watched already, or around one."
    return ""


class FolderState(models.Model):
    """What the watcher said last of one drop folder."""

    key = models.CharField(primary_key=True, max_length=200)
    path = models.CharField(max_length=500)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", null=True
    )
    polled = models.CharField(
        max_length=16,
        blank=True,
        help_text="The file system that keeps silent of changes; empty where the kernel tells.",
    )
    problem = models.CharField(max_length=64, blank=True, help_text="Why it cannot be looked into.")
    seen_at = models.DateTimeField(help_text="When the watcher last swept it.")

    def __str__(self) -> str:
        return self.key


class DropReport(models.Model):
    """That something in a drop folder was not taken, for the page of its owner.

    The name is sealed under a key of its owner; code and detail are those of a refusal.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="drop_reports",
        db_index=False,
    )
    mark = models.CharField(
        max_length=64, help_text="Of the thing in its state: it is reported once."
    )
    sealed_name = models.BinaryField()
    code = models.CharField(max_length=64)
    detail = models.CharField(max_length=255)
    kept_until = models.DateTimeField(
        null=True, help_text="When the original is removed; empty where it is not."
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    dismissed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "mark"], name="drop_report_is_made_once"),
        ]

    def __str__(self) -> str:
        return str(self.pk)
