"""What Prometheus learns about runs."""

from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from processing import queue
from processing.health import PATIENCE_S
from processing.models import Run, RunState
from processing.scanning.antivirus import age_days, scanner
from processing.scanning.clamd import Clamd, NotScanned
from processing.webhooks import metrics as webhooks
from uploads.models import Upload, Verdict


def collect() -> Iterator[Metric]:
    """Count runs by state, what waits for a worker, and how long workers have been silent."""
    counts = dict(Run.objects.values_list("state").annotate(Count("pk")))
    runs = GaugeMetricFamily("strongroom_runs", "Runs, by state.", labels=["state"])
    for state in RunState.values:
        runs.add_metric([state], counts.get(state, 0))
    yield runs

    due = Run.objects.filter(state=RunState.QUEUED, due_at__lte=timezone.now()).count()
    health = queue.health()
    silence_s = float("nan") if health.last_beat_s is None else health.last_beat_s
    for name, about, value in (
        ("strongroom_queue_runs", "Runs that wait for a worker.", due),
        ("strongroom_queue_oldest_seconds", "Age of the oldest of them.", health.oldest_due_s),
        ("strongroom_worker_silence_seconds", "Since the last sign of life.", silence_s),
    ):
        yield GaugeMetricFamily(name, about, value)
    yield from webhooks.collect()
    yield from _verdicts()
    yield from _scanner()


def _verdicts() -> Iterator[Metric]:
    counts = dict(Upload.objects.values_list("verdict").annotate(Count("pk")))
    verdicts = GaugeMetricFamily(
        "strongroom_uploads_by_verdict", "Uploads, by verdict.", labels=["verdict"]
    )
    for verdict in Verdict.values:
        verdicts.add_metric([verdict], counts.get(verdict, 0))
    yield verdicts


def _scanner() -> Iterator[Metric]:
    """Tell how old the signatures are; not a number where nobody says."""
    clamd = scanner()
    if clamd is None:
        return
    try:
        age = age_days(Clamd(clamd.address, PATIENCE_S).version())
    except NotScanned:
        age = None
    yield GaugeMetricFamily(
        "strongroom_scanner_signature_age_seconds",
        "Age of the signatures of the virus scanner.",
        float("nan") if age is None else age * 86_400,
    )
