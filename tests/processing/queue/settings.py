"""Settings of a cluster that a test starts: the test's own database, keys and bell."""

import os

from config.settings.local import *  # noqa: F403
from config.settings.local import LOGGING, PROCESSING

if "STANDIN_LEASE_S" in os.environ:
    PROCESSING["LEASE_S"] = float(os.environ["STANDIN_LEASE_S"])
LOGGING["root"]["level"] = "WARNING"
LOGGING["loggers"]["django-q"]["level"] = "CRITICAL"  # it reports each process that we kill
