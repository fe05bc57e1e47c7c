"""The edge between the network and Django: bodies, content and events; see the decision record.

A view calls one of the three functions and returns what they return.
"""

from config.edge.frames import Event, Feed
from config.edge.handover import Receiver, receive_body, send_content, stream_events

__all__ = ["Event", "Feed", "Receiver", "receive_body", "send_content", "stream_events"]
