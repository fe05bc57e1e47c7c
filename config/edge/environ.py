"""From an ASGI scope to a WSGI environ. Source: PEP 3333; ASGI specification, HTTP 2.3."""

import re
import sys
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from config.edge.wire import Scope
from config.problems import BadRequest

# Request lines with control characters, in the clear or encoded, come from no honest client.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_ONCE = (b"host", b"content-length", b"content-type", b"authorization")


def declared_length(scope: Scope) -> int | None:
    """Return the body's length in bytes, or None if it is only known at its end.

    Raises:
        BadRequest: a header that must stand once stands twice, the length is no number, or the
            body is framed in another way than by a length or in chunks.
    """
    seen = [name.lower() for name, _ in scope["headers"]]
    if any(seen.count(name) > 1 for name in _ONCE):
        raise BadRequest
    framing = [
        value.strip().lower()
        for name, value in scope["headers"]
        if name.lower() == b"transfer-encoding"
    ]
    for name, value in scope["headers"]:
        if name.lower() == b"content-length":
            if not _LENGTH.fullmatch(value) or framing:
                raise BadRequest
            return int(value)
    if b"transfer-encoding" in seen:
        if framing != [b"chunked"]:
            raise BadRequest
        return None
    # HTTP/2 frames a body without any header that says so.
    may_have_body = scope["http_version"] == "2" and scope["method"] not in {"GET", "HEAD"}
    return None if may_have_body else 0


def path_of(scope: Scope) -> bytes:
    """Return the path as the client sent it, without the query, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
    return raw


def path_info(scope: Scope) -> str:
    """Return PATH_INFO: the decoded bytes below the mount point, one character each.

    Raises:
        BadRequest: there is a control character in it.
    """
    path = unquote_to_bytes(path_of(scope)).decode("latin-1")
    root = scope.get("root_path") or ""
    if _CONTROL.search(path.encode("latin-1")):
        raise BadRequest
    return path.removeprefix(root) or "/"


def environ_of(scope: Scope, *, body: Any, length: int | None, request_id: str) -> dict[str, Any]:
    """Return the environ of a request whose `wsgi.input` is `body`, `length` bytes if known.

    Names with an underscore are dropped: in an environ they cannot be told from ones with a
    hyphen, so that anybody could speak as the proxy.
    """
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("root_path") or "",
        "PATH_INFO": path_info(scope),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": str((scope.get("client") or ("", 0))[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name.lower() in {"content-length", "transfer-encoding"}:
            continue
        key = name.upper().replace("-", "_")
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    environ["HTTP_X_REQUEST_ID"] = request_id
    return environ
