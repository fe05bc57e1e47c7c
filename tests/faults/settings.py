"""Settings of a campaign: embedded defaults, with a short lease, so that it gets on."""

import os

from config.settings.local import *  # noqa: F403
from config.settings.local import LOGGING, PROCESSING

PROCESSING["LEASE_S"] = float(os.environ.get("FAULTS_LEASE_S", "20"))
LOGGING["root"]["level"] = "ERROR"
