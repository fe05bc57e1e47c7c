"""What Prometheus learns about webhooks."""

from collections.abc import Iterator

from django.db.models import Count, Min
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from processing import queue
from processing.webhooks.models import Delivery, DeliveryState


def collect() -> Iterator[Metric]:
    """Count deliveries on record by state, and tell for how long the oldest one has been due."""
    counts = dict(Delivery.objects.values_list("state").annotate(Count("pk")))
    family = GaugeMetricFamily(
        "strongroom_webhook_deliveries", "Deliveries on record, by state.", labels=["state"]
    )
    for state in DeliveryState.values:
        family.add_metric([state], counts.get(state, 0))
    yield family
    waiting = Delivery.objects.filter(state=DeliveryState.WAITING, endpoint__enabled=True)
    due = waiting.aggregate(oldest=Min("due_at"))["oldest"]
    late_s = max(0.0, (queue.now() - due).total_seconds()) if due else 0.0
    yield GaugeMetricFamily(
        "strongroom_webhook_oldest_due_seconds", "For how long the oldest one is due.", late_s
    )
