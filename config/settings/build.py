"""For building an image: collects static files, and can neither serve nor open anything."""

from config.settings.base import *  # noqa: F403

SECRET_KEY = "not a secret: nothing is signed while an image is built"  # noqa: S105
QUEUE_SIGNING_KEY = "not a secret either: no queue is written to"
