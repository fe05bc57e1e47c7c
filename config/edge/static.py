"""Static files, served by the edge itself."""

from pathlib import Path
from typing import Any

from django.conf import settings
from servestatic.asgi import ServeStaticASGI

from config.edge.wire import Receive, Scope, Send


def with_static_files(application: Any) -> Any:
    """Return `application`, behind the collected files if there are any.

    Names with a content hash are cached for ever. The files are listed once, at the start: no
    request path is ever turned into a path of the file system.
    """
    if not settings.STATIC_ROOT or not Path(settings.STATIC_ROOT).is_dir():
        return application

    async def reads_only(scope: Scope, receive: Receive, send: Send) -> None:
        reading = scope["method"] in {"GET", "HEAD"}
        await (files if reading else application)(scope, receive, send)

    files = ServeStaticASGI(
        application,
        root=settings.STATIC_ROOT,
        prefix=settings.STATIC_URL,
        allow_all_origins=False,
        add_headers_function=_forbid_sniffing,
    )
    return reads_only


def _forbid_sniffing(headers: Any, path: str, url: str) -> None:  # noqa: ARG001
    headers["X-Content-Type-Options"] = "nosniff"
