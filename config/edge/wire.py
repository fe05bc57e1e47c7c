"""The shapes that travel between the server, the edge and Django."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

Header = tuple[str, str]

# Source: RFC 9110, section 7.6.1. They belong to one connection, which the server keeps.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
BODILESS = frozenset({204, 304})
# What an answer says about its own body, and so not about the body of another.
ABOUT_THE_BODY = frozenset(
    {
        "accept-ranges",
        "content-digest",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
        "repr-digest",
    }
)


@dataclass(frozen=True)
class Answer:
    """A whole answer. Header names keep their spelling and may repeat."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        """Return what a rendered Django response says."""
        headers = [(name, value) for name, value in response.items()]
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
        return cls(response.status_code, headers, response.content)

    def under(self, earlier: list[Header]) -> "Answer":
        """Return this answer with the headers that middleware gave to an earlier one.

        Where both name a header, this answer's word counts, except that cookies are all kept and
        `Vary` is joined. What the earlier one says about its body is dropped.
        """
        own = {name.lower() for name, _ in self.headers} - {"set-cookie", "vary"}
        varies = [v for name, v in earlier + self.headers if name.lower() == "vary"]
        kept = [
            (name, value)
            for name, value in earlier
            if name.lower() not in own | ABOUT_THE_BODY | {"vary"}
        ]
        headers = kept + [(n, v) for n, v in self.headers if n.lower() != "vary"]
        if varies:
            headers.append(("Vary", ", ".join(dict.fromkeys(", ".join(varies).split(", ")))))
        return Answer(self.status, headers, self.body)


def encoded(headers: list[Header], *, without: frozenset[str] = frozenset()) -> list[Any]:
    """Return `headers` as ASGI wants them, without those of one connection and `without`.

    Blanks around a value belong to the line, not to the value; Django's cookies begin with one.
    """
    dropped = HOP_BY_HOP | without
    return [
        (name.lower().encode("latin-1"), value.strip(" \t").encode("latin-1"))
        for name, value in headers
        if name.lower() not in dropped
    ]
