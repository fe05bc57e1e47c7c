"""Pipelines, runs, step records, artifacts: the ledger of the work."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from config.accounts.models import User
from config.ids import uuid7
from uploads.models import Blob, Upload


class RunState(models.TextChoices):
    """A run ends in one of the last three."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class StepState(models.TextChoices):
    """A record that stays in `running` belongs to a worker that is at it, or died at it."""

    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"
    ABANDONED = "abandoned", "Abandoned"


class Priority(models.IntegerChoices):
    """Whose turn it is first. The smaller number goes first."""

    NORMAL = 0, "Normal"
    BACKGROUND = 1, "Background"


class Origin(models.TextChoices):
    """Who brought a pipeline version."""

    PROGRAM = "program", "Comes with Strongroom"
    COMMAND = "command", "Command line"
    ADMIN = "admin", "Admin"


class Pipeline(models.Model):
    """A name, and which of its versions new runs take."""

    name = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    active = models.ForeignKey(
        "PipelineVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.name


class PipelineVersion(models.Model):
    """One definition, never changed. `definition` is what `processing.pipelines` parses."""

    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    digest = models.CharField(max_length=64)
    source = models.TextField(blank=True, help_text="The YAML as its author wrote it.")
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.PROGRAM)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "number"], name="version_has_one_number"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline.name} {self.number}"


class RunQuerySet(models.QuerySet["Run"]):
    """Reads of runs."""

    def owned_by(self, user: User) -> Self:
        """Keep what `user` may see. Every read for a user passes here."""
        return self.filter(owner=user)


class Run(models.Model):
    """One execution of one pipeline version over one upload.

    `fence` grows with every claim. A worker writes only while the fence is the one it got.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="runs")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="runs", db_index=False
    )
    version = models.ForeignKey(PipelineVersion, on_delete=models.PROTECT, related_name="runs")
    state = models.CharField(max_length=10, choices=RunState, default=RunState.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    from_step = models.CharField(max_length=64, blank=True)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)
    due_at = models.DateTimeField(help_text="Not to be claimed before.")
    claimed_at = models.DateTimeField(null=True, help_text="When the latest claim began.")
    lease_expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="run_of_owner"),
            models.Index(fields=["due_at"], condition=Q(state="queued"), name="run_that_is_due"),
            # Each claim is a range of it: whose turn it is, and what waits longest.
            models.Index(
                fields=["priority", "owner", "due_at"],
                condition=Q(state="queued"),
                name="run_whose_turn_it_is",
            ),
            models.Index(
                fields=["lease_expires_at"], condition=Q(state="running"), name="run_with_lease"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class StepRecord(models.Model):
    """One attempt at one step of one run. `sealed_output` is JSON under the upload's key.

    `attempt` is the fence of the claim that made the record. Checks come before the first step:
    their positions are negative.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="records", db_index=False)
    position = models.SmallIntegerField()
    step = models.CharField(max_length=64)
    kind = models.CharField(max_length=64, blank=True, help_text="The registered step that ran.")
    attempt = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=StepState)
    queue_ms = models.FloatField(
        null=True, help_text="How long it could have begun, and had not: for want of a worker."
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.FloatField(null=True)
    cpu_ms = models.FloatField(null=True)
    max_rss_bytes = models.PositiveBigIntegerField(null=True)
    bytes_in = models.PositiveBigIntegerField(null=True)
    bytes_out = models.PositiveBigIntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    caused_by = models.CharField(
        max_length=64, blank=True, help_text="The step or run to which this record is owed."
    )
    sealed_output = models.BinaryField(null=True)

    class Meta:
        ordering = ["position", "attempt"]
        indexes = [
            models.Index(fields=["kind"], condition=Q(state="running"), name="step_in_progress"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "position", "attempt"], name="step_has_one_record_per_attempt"
            ),
            models.UniqueConstraint(
                fields=["run", "position"],
                condition=Q(state="succeeded"),
                name="step_has_one_effect",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.attempt}"


class Artifact(models.Model):
    """An output of a step: a blob under the upload's key.

    A run that begins at a later step takes over what an earlier one made: then two rows share
    a blob. Blobs go with their upload, so none loses its bytes early.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    record = models.ForeignKey(StepRecord, on_delete=models.CASCADE, related_name="artifacts")
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=127)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)


class ReplayQuerySet(models.QuerySet["Replay"]):
    """Reads of replays."""

    def owned_by(self, user: User) -> Self:
        """Keep what `user` may see. Every read for a user passes here."""
        return self.filter(owner=user)


class Replay(models.Model):
    """Many uploads run once more, on one pipeline version, to see what it would change.

    The uploads keep showing their own runs until the replay is adopted.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="replays", db_index=False
    )
    version = models.ForeignKey(PipelineVersion, on_delete=models.PROTECT, related_name="replays")
    selection = models.JSONField(help_text="What the uploads were chosen by.")
    size = models.PositiveIntegerField(help_text="How many uploads were chosen.")
    created_at = models.DateTimeField()
    adopted_at = models.DateTimeField(null=True)

    objects = ReplayQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["owner", "-id"], name="replay_of_owner")]

    def __str__(self) -> str:
        return str(self.pk)


class Outcome(models.TextChoices):
    """What a replay made of one file."""

    PENDING = "pending", "Not compared yet"
    SAME = "same", "Same"
    CHANGED = "changed", "Different"


class ReplayItem(models.Model):
    """One upload of a replay: its new run, and the run it showed before."""

    id = models.BigAutoField(primary_key=True)
    replay = models.ForeignKey(Replay, on_delete=models.CASCADE, related_name="items")
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="+")
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="replay_item")
    before = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, related_name="+")
    outcome = models.CharField(max_length=7, choices=Outcome, default=Outcome.PENDING)
    changes = models.JSONField(default=list, help_text="What differs: names, never content.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["replay", "upload"], name="replay_has_a_file_once"),
        ]


class Worker(models.Model):
    """A worker process that has shown a sign of life."""

    name = models.CharField(primary_key=True, max_length=100)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
