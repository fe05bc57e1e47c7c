"""What Prometheus learns about runs."""

from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from processing import queue
from processing.models import Run, RunState


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
