"""What a log line must not tell."""

import pytest

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
