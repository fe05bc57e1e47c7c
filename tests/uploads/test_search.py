"""Files are found by their words, by their owner alone, and the database has none of the words."""

import io
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from processing import queue, runner, traces
from processing.definitions import add_version
from processing.models import Pipeline, Run
from processing.pipelines import parse
from tests.dashboard.conftest import visit
from uploads import search
from uploads.deletion import delete_upload
from uploads.intake import Offer, receive_upload
from uploads.management.commands import index_names
from uploads.models import Door, SearchToken, Upload

__all__ = ["visit"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

NAME = "letter_of_spring.txt"
NAME_WORDS = {"letter_of_spring", "letter", "of", "spring", "txt"}
LETTER = b"Dear Zo\xc3\xab, the zebrafish are fine."


def indexed(owner: Any, text: bytes = LETTER) -> Upload:
    """Hand in a text and run it through the step that makes it findable."""
    definition = parse(
        {"name": "findable", "media_types": ["text/plain"], "steps": ["search_terms"]}
    )
    pipeline, created = Pipeline.objects.get_or_create(name="findable")
    if created:
        add_version(pipeline, definition)
    offer = Offer(
        owner=owner,
        name=NAME,
        declared_type="text/plain",
        door=Door.API,
        pipeline="findable",
    )
    upload = receive_upload(offer, io.BytesIO(text))
    assert upload.run_id is not None
    claim = queue.claim(upload.run_id, "worker")
    assert claim is not None
    runner.execute(claim)
    return upload


def found(client: Any, question: str) -> list[str]:
    answer = client.get(reverse("api-uploads"), {"search": question})
    assert answer.status_code == 200
    return [row["id"] for row in answer.json()["results"]]


def test_a_file_is_found_by_all_of_its_words(client_of, owner):
    upload = indexed(owner)
    indexed(owner, b"another text about zebrafish")
    client = client_of(owner)
    assert len(found(client, "ZEBRAFISH")) == 2
    assert found(client, "zoe zebrafish") == [str(upload.pk)]
    assert found(client, "zebrafish elephant") == []
    assert found(client, "!") == []


def test_a_stranger_finds_nothing_of_it(client_of, owner, stranger):
    indexed(owner)
    indexed(stranger, b"nothing of the kind")
    assert found(client_of(stranger), "zebrafish") == []


def test_the_same_word_of_two_owners_has_two_tokens(owner, stranger):
    indexed(owner, b"zebrafish")
    indexed(stranger, b"zebrafish")
    tokens = SearchToken.objects.values_list("token", flat=True)
    assert len(set(tokens)) == len(tokens) == 2 * (1 + len(NAME_WORDS))


def test_no_word_is_in_the_database(owner):
    upload = indexed(owner)
    assert SearchToken.objects.filter(upload=upload).count() == 6 + len(NAME_WORDS)
    run = Run.objects.get(upload=upload)
    (view,) = traces.trace_of(run)
    assert view.output == {"count": 6, "complete": True}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert "zebrafish" not in repr(cursor.fetchall()).lower()


def test_a_file_that_is_indexed_again_is_found_by_its_new_words_only(owner):
    upload = indexed(owner)
    search.index(upload, ["later"])
    assert SearchToken.objects.filter(upload=upload).count() == 1 + len(NAME_WORDS)


@pytest.mark.parametrize(
    "question", ["letter", "txt", "LETTER.txt", "spring", "letter_of_spring", "zebrafish letter"]
)
def test_a_file_is_found_by_the_words_of_its_name(client_of, owner, question):
    upload = indexed(owner)
    assert found(client_of(owner), question) == [str(upload.pk)]
    assert found(client_of(owner), f"{question} summer") == []


def test_a_name_is_found_before_any_step_has_run_and_by_its_owner_alone(client_of, owner, stranger):
    offer = Offer(owner=owner, name="Größe 7.bin", declared_type="", door=Door.API)
    upload = receive_upload(offer, io.BytesIO(bytes(range(256))))
    assert found(client_of(owner), "grosse") == [str(upload.pk)]
    assert found(client_of(stranger), "grosse") == []


def test_names_of_earlier_files_come_into_the_index_by_a_command(client_of, owner):
    upload = indexed(owner)
    SearchToken.objects.all().delete()
    for _ in range(2):
        call_command("index_names")
    assert SearchToken.objects.count() == len(NAME_WORDS)
    assert found(client_of(owner), "spring") == [str(upload.pk)]


def test_the_command_reads_page_by_page(owner, monkeypatch):
    uploads = [indexed(owner) for _ in range(3)]
    monkeypatch.setattr(index_names, "BATCH", 1)
    SearchToken.objects.all().delete()
    with CaptureQueriesContext(connection) as asked:
        call_command("index_names")
    assert SearchToken.objects.values("upload").distinct().count() == len(uploads)
    pages = [q for q in asked if re.search(r'FROM "uploads_upload".* LIMIT 1$', q["sql"])]
    assert len(pages) == len(uploads) + 1


def test_a_deleted_file_leaves_no_token(owner):
    delete_upload(indexed(owner))
    assert not SearchToken.objects.exists()


def test_the_inbox_has_a_search(visit, owner):
    upload = indexed(owner)
    client = visit(owner)
    text = client.get("/", {"search": "zebrafish"}).content.decode()
    assert reverse("upload", args=[upload.pk]) in text
    assert 'value="zebrafish"' in text
    text = client.get("/", {"search": 'no "such'}).content.decode()
    assert "No file is like this" in text
    assert reverse("upload", args=[upload.pk]) not in text
