"""The edge between the network and Django: bodies, content and events; see the decision record.

A view calls one of these functions and returns what they return.
"""

from config.edge.frames import Event, Feed
from config.edge.handover import (
    Receiver,
    receive_body,
    send_content,
    send_pieces,
    stream_events,
)

__all__ = [
    "Event",
    "Feed",
    "Receiver",
    "receive_body",
    "send_content",
    "send_pieces",
    "stream_events",
]
