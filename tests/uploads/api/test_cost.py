"""What handing in a small file asks of the database: a bound, so that it stays cheap."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("pipelines", "gauge_of_the_queue_has_just_looked"),
]

URL = "/api/v1/uploads/"
CONTENT = bytes(range(256)) * 40
# On PostgreSQL also: a lock that keeps events in order, the bell, the clock.
MOST = {"sqlite": 19, "postgresql": 22}


def put(api: Any) -> Any:
    return api.put(f"{URL}some%20more.bin", CONTENT, content_type="application/octet-stream")


def post(api: Any) -> Any:
    return api.post(URL, {"file": SimpleUploadedFile("some more.bin", CONTENT)})


@pytest.mark.parametrize("hand_in", [put, post])
def test_a_small_file_takes_few_statements(client_of, owner, hand_in):
    api = client_of(owner)
    assert hand_in(api).status_code == 201  # the first one makes the owner's key and counters
    with CaptureQueriesContext(connection) as asked:
        assert hand_in(api).status_code == 201
    statements = [query["sql"] for query in asked.captured_queries]
    assert len(statements) <= MOST[connection.vendor], "\n".join(statements)


@pytest.mark.parametrize("hand_in", [put, post])
def test_no_statement_is_built_anew_for_each_file(client_of, owner, hand_in, monkeypatch):
    api = client_of(owner)
    assert hand_in(api).status_code == 201
    compiled: list[str] = []
    for kind in ("SQLCompiler", "SQLInsertCompiler", "SQLUpdateCompiler"):
        _note(compiled, connection.ops.compiler(kind), monkeypatch)
    assert hand_in(api).status_code == 201
    assert compiled == []


def _note(compiled: list[str], compiler: Any, monkeypatch: Any) -> None:
    as_sql = compiler.as_sql

    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        compiled.append(self.query.model.__name__)
        return as_sql(self, *args, **kwargs)

    monkeypatch.setattr(compiler, "as_sql", noting)
