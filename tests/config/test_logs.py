"""What a log line must not tell, and what it need not."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from config.logs import hide_addresses

ID = "01a214a9-5c52-7d36-9c41-230a826b7c9c"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/api/v1/uploads/private.txt", "/api/v1/uploads/..."),
        ("Not Found: /api/v1/uploads/private%20name.txt", "Not Found: /api/v1/uploads/..."),
        (f"/api/v1/uploads/{ID}.txt", "/api/v1/uploads/..."),
        (f"/api/v1/uploads/x{ID}", "/api/v1/uploads/..."),
        (f"/api/v1/uploads/{ID}", f"/api/v1/uploads/{ID}"),
        (f"/api/v1/uploads/{ID}/content/", f"/api/v1/uploads/{ID}/content/"),
        ("/api/v1/uploads/", "/api/v1/uploads/"),
        ("/api/v1/tus/token", "/api/v1/tus/..."),
    ],
)
def test_names_and_secret_addresses_are_cut_out(said, kept):
    assert hide_addresses(None, "info", {"path": said})["path"] == kept


@pytest.fixture
def log(settings: Any) -> Iterator[io.StringIO]:
    """Return what is logged as the console has it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    formatter = {**settings.LOGGING["formatters"]["json"]}
    handler.setFormatter(formatter.pop("()")(**formatter))
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/uploads/", "/api/v1/uploads/a.txt"])
def test_an_unknown_host_is_answered_with_400_and_one_line(
    client: Client, log: io.StringIO, path: str
) -> None:
    answer = client.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "bad_request" in answer.content.decode()
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert "evil.example" in line["event"]
    assert line["level"] == "warning"
    assert "exception" not in line


def test_other_failures_keep_their_traceback(log: io.StringIO) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("django.security.SuspiciousOperation").exception("a failure")
    assert "ZeroDivisionError" in json.loads(log.getvalue())["exception"]
