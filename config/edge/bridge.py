"""Ask Django's WSGI application; return its whole answer, and what it hands over."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

from django.urls import Resolver404, resolve

from config.edge.handover import SLOT, Handover, Slot
from config.edge.wire import Answer

# Answers are kept whole in memory. A page is never that large; content goes through send_content.
MAX_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """What Django says. With a handover, the answer is only its status and headers."""

    answer: Answer
    handover: Handover | None


class UnreadBody(io.RawIOBase):
    """Stands for a body that is still on the wire.

    Django turns the error into its own for unreadable bodies, which its CSRF check takes as "no
    token in the form" and looks at the header.
    """

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise OSError("This body is received by its view.")


def takes_body_itself(path_info: str, method: str) -> bool:
    """Tell whether the edge must leave the body of such a request unread.

    That is so for view classes that list the method in `receives`, and where no view is: that
    refusal needs no body.
    """
    path = path_info.encode("latin-1").decode("utf-8", "replace")
    try:
        view = resolve(path).func
    except Resolver404:
        return True
    view_class = getattr(view, "view_class", None) or getattr(view, "cls", None)
    return method in getattr(view_class, "receives", frozenset())


def ask(application: WSGIApplication, environ: dict[str, Any]) -> Reply:
    """Run one request through Django, in the calling thread.

    Raises:
        ValueError: the answer is larger than any page.
    """
    slot = environ[SLOT] = Slot()
    head: list[Any] = []

    def start_response(*said: Any) -> Any:
        head[:] = said

    response: Any = None
    taken: object = None  # only a response that came through whole may stand for its handover
    try:
        response = application(environ, start_response)
        body = _collected(response)
        taken = response
    finally:
        if hasattr(response, "close"):
            response.close()
        handover = slot.take(taken)
    status, headers = head[:2]
    return Reply(Answer(int(status[:3]), headers, body), handover)


def _collected(pieces: Iterable[bytes]) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("An answer is larger than any page; use send_content for content.")
    return bytes(body)
