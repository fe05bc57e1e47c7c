"""Whatever goes wrong under /api/ is a problem; on a page it is a page. Both name the request."""

from typing import Any

import pytest
from django.test import override_settings
from django.urls import path

import config.urls

pytestmark = pytest.mark.django_db


def explode(request: Any) -> Any:
    raise RuntimeError("a secret that must not be shown")


urlpatterns = [
    path("api/v1/explode/", explode),
    path("explode/", explode),
    *config.urls.urlpatterns,
]
handler400, handler403 = config.urls.handler400, config.urls.handler403
handler404, handler500 = config.urls.handler404, config.urls.handler500


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "code"),
    [
        ("get", "/api/v1/no-such/", None, 404, "not_found"),
        ("get", "/api/v1/uploads/not-an-id/", None, 404, "not_found"),
        ("put", "/api/v1/uploads/", None, 405, "method_not_allowed"),
        ("post", "/api/v1/token/", b"{", 400, "malformed_body"),
        ("post", "/api/v1/token/", b"[]", 400, "invalid_input"),
        ("post", "/api/v1/token/", b'{"username": "x"}', 400, "invalid_input"),
        ("get", "/api/v1/uploads/?state=nonsense", None, 400, "invalid_input"),
        ("get", "/api/v1/uploads/?cursor=nonsense", None, 404, "not_found"),
        ("get", "/api/v1/explode/", None, 500, "internal_error"),
    ],
)
def test_a_program_gets_a_problem(client_of, owner, method, url, body, status, code):
    client = client_of(owner)
    with override_settings(ROOT_URLCONF=__name__):
        response = getattr(client, method)(url, data=body, content_type="application/json")
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code) == (response.status_code, code)
    assert problem["type"] == f"urn:strongroom:problem:{code}"
    assert problem["request_id"] == response["X-Request-ID"]
    assert b"secret" not in response.content


def test_invalid_input_points_at_the_field(client_of):
    response = client_of(None).post("/api/v1/token/", {"username": "x"}, format="json")
    assert response.json()["errors"] == [
        {"pointer": "/password", "code": "required", "detail": "This field is required."}
    ]


@pytest.mark.parametrize(("url", "status"), [("/no-such/", 404), ("/explode/", 500)])
def test_a_person_gets_a_page(client, url, status):
    client.raise_request_exception = False
    with override_settings(ROOT_URLCONF=__name__):
        response = client.get(url)
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")
    assert response["X-Request-ID"] in response.content.decode()
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("offered", "kept"),
    [("abc-123", True), ("x" * 65, False), ("a\nb", False), ("<b>", False)],
)
def test_a_request_id_is_taken_only_if_it_is_harmless(client, offered, kept):
    response = client.get("/healthz", HTTP_X_REQUEST_ID=offered)
    assert (response["X-Request-ID"] == offered) is kept
