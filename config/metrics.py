"""Prometheus metrics, counted from the database whenever somebody asks.

The rooms above register what they count by the dotted paths in settings.METRICS: functions
without arguments that return metric families.
"""

from collections.abc import Iterator

from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class _Rooms(Collector):
    def collect(self) -> Iterator[Metric]:
        for path in settings.METRICS:
            yield from import_string(path)()


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Rooms())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
