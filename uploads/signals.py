"""All the news that travels up from this room.

Receivers run inside the caller's transaction; what they raise undoes the whole of it.
"""

from django.dispatch import Signal

# Before the first byte, where the door knows them by then: owner, pipeline (a name or None).
# A receiver may raise a Refusal.
upload_announced = Signal()

# The row exists: upload, pipeline (a name or None).
upload_stored = Signal()

# The row is about to go: upload. Whoever has rows over it locks them now, before it is locked.
upload_deleted = Signal()
