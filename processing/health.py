"""Does anybody work on the runs?"""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from config.health import Health
from processing.models import Worker


def worker() -> Health:
    """Ask for a worker that shows life."""
    return Health.OK if live_workers() else Health.FAILED


def live_workers() -> int:
    """Count the workers that have shown life within the time that a claim holds."""
    earliest = timezone.now() - timedelta(seconds=settings.PROCESSING["LEASE_S"])
    return Worker.objects.filter(seen_at__gte=earliest).count()
