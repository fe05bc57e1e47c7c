"""What Prometheus learns about uploads."""

from collections.abc import Iterator

from django.db.models import Count, Sum
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from uploads.folder_models import DropReport, FolderState
from uploads.key_models import Erasure
from uploads.models import Blob, Damage, Upload, UploadState


def collect() -> Iterator[Metric]:
    """Count uploads by the state of their latest run, and the bytes that are stored."""
    counts = dict(Upload.objects.values_list("state").annotate(Count("pk")))
    uploads = GaugeMetricFamily(
        "strongroom_uploads", "Uploads, by the state of their latest run.", labels=["state"]
    )
    for state in UploadState.values:
        uploads.add_metric([state], counts.get(state, 0))
    yield uploads

    sums = dict(Blob.objects.values_list("is_content").annotate(Sum("size")))
    stored = GaugeMetricFamily(
        "strongroom_stored_bytes", "Plaintext bytes of all that is stored.", labels=["kind"]
    )
    stored.add_metric(["content"], sums.get(True, 0))
    stored.add_metric(["artifact"], sums.get(False, 0))
    yield stored

    damage = Damage.objects.aggregate(blobs=Count("pk"), times=Sum("times"))
    yield GaugeMetricFamily(
        "strongroom_damaged_blobs", "Blobs that were found damaged or gone.", damage["blobs"]
    )
    yield CounterMetricFamily(
        "strongroom_damage_met", "How often their bytes were refused.", value=damage["times"] or 0
    )
    yield GaugeMetricFamily(
        "strongroom_open_erasures",
        "Erasures whose keys are destroyed and whose bytes are not all removed yet.",
        Erasure.objects.filter(done_at=None).count(),
    )

    folders = GaugeMetricFamily(
        "strongroom_drop_folders",
        "Drop folders, by the file system because of which they are polled (none: events).",
        labels=["polled"],
    )
    by_reason = FolderState.objects.order_by().values_list("polled").annotate(Count("key"))
    for polled, count in by_reason:
        folders.add_metric([polled or "none"], count)
    yield folders
    yield GaugeMetricFamily(
        "strongroom_drop_folder_problems",
        "Drop folders that cannot be looked into.",
        FolderState.objects.exclude(problem="").count(),
    )
    yield GaugeMetricFamily(
        "strongroom_drop_reports",
        "Things in drop folders that were not taken, and not dismissed by their owners.",
        DropReport.objects.filter(dismissed_at=None).count(),
    )
