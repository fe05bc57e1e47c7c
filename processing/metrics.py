"""What Prometheus learns about runs."""

from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from processing.health import live_workers
from processing.models import Run, RunState


def collect() -> Iterator[Metric]:
    """Count runs by state, and what waits for a worker."""
    counts = dict(Run.objects.values_list("state").annotate(Count("pk")))
    runs = GaugeMetricFamily("strongroom_runs", "Runs, by state.", labels=["state"])
    for state in RunState.values:
        runs.add_metric([state], counts.get(state, 0))
    yield runs

    now = timezone.now()
    due = Run.objects.filter(state=RunState.QUEUED, due_at__lte=now).aggregate(
        count=Count("pk"), oldest=Min("due_at")
    )
    age_s = (now - due["oldest"]).total_seconds() if due["oldest"] else 0.0
    yield GaugeMetricFamily("strongroom_queue_runs", "Runs that wait for a worker.", due["count"])
    yield GaugeMetricFamily(
        "strongroom_queue_oldest_seconds", "How long the oldest of them has waited.", age_s
    )
    yield GaugeMetricFamily("strongroom_workers", "Workers that show life.", live_workers())
