"""News of events, for rooms above."""

from django.dispatch import Signal

# Sent inside the transaction that changes what is told: events. What a receiver raises undoes it.
announced = Signal()
