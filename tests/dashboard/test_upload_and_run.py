"""The page of a file and the page of a run, and what can be done there."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.urls import reverse

from processing.models import Run, RunState, StepRecord, StepState
from tests.dashboard.conftest import Visit
from tests.dashboard.scenes import (
    FAILURE,
    Scene,
    checked,
    csv_output,
    hand_in,
    lines_output,
    play,
)
from uploads.models import Upload

pytestmark = pytest.mark.usefixtures("pipelines")

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"

KINDS = {
    "thumbnail": (
        "picture.png",
        PNG,
        Scene(
            {"width": 4032, "height": 3024, "format": "PNG", "frames": 1,
             "metadata_removed": ["exif", "gps"]},
            [("thumbnail.webp", "image/webp", b"webp")],
        ),
        ["4032 \N{MULTIPLICATION SIGN} 3024", "exif, gps", '<img src="/api/v1/artifacts/'],
    ),
    "csv_profile": (
        "prices.csv",
        b"price;note\n1;a\n2;b\n3;c\n",
        Scene(csv_output()),
        ["price", "12.25", "4.33333", "1 like formulas", "=1"],
    ),
    "lines": (
        "server.log",
        b"hello\nworld\n",
        Scene(lines_output(), [("lines.txt", "text/plain", b"HELLO\n")]),
        ["warnings", "Tally report", "start → errors", "ERROR: &lt;b&gt;x&lt;/b&gt;", "lines.txt"],
    ),
    "pdf_text": (
        "report.pdf",
        PDF,
        Scene(
            {"pages": 12, "pages_read": 12, "characters": 32001, "complete": True,
             "metadata": {"Title": "Harbour report"}},
            [("text.txt", "text/plain", "Zwölf <i>Pages</i>".encode())],
        ),
        ["32,001", "Harbour report", "Zwölf &lt;i&gt;Pages&lt;/i&gt;", "text.txt"],
    ),
    "archive": (
        "photos.zip",
        b"PK\x05\x06" + bytes(18),
        Scene(
            {"format": "zip", "member_count": 1200, "unpacked_bytes": 2048, "ratio": 3.5,
             "depth": 2, "complete": False, "findings": {"slip": 1}, "listed": 1,
             "members": [{"index": 1, "depth": 1, "path": "../<b>up</b>", "kind": "file",
                          "size": 10, "media_type": "text/plain", "flags": ["slip"]}]},
        ),
        ["1,200", "2 KiB", "../&lt;b&gt;up&lt;/b&gt;", 'class="tag">Slip<', "1 of 1,200"],
    ),
    "table_profile": (
        "events.jsonl",
        b'{"a": 1}\n{"a": 2}\n',
        Scene(
            {"format": "json_lines", "rows": 2, "column_count": 1, "blank_rows": 0,
             "ragged_rows": 0, "bad_lines": 3, "header": True,
             "columns": [{"name": "<a>", "type": "integer", "values": 2, "nulls": 0, "min": 1,
                          "max": 2, "distinct": 2, "distinct_is_exact": True, "mean": 1.5,
                          "quantiles": [1, 1, 1, 2, 2], "histogram": [4, *[0] * 18, 2]}]},
        ),
        ["&lt;a&gt;", '<rect x="19" y="5.0" width="0.8" height="5.0"/>', "no JSON object"],
    ),
    "image_metadata": (
        "photo.png",
        PNG,
        Scene(
            {"format": "PNG", "exif": {"Model": "<i>Camera</i>"}, "gps": {}, "xmp": {},
             "texts": {}, "place": [48.51, -2.25], "copied": True},
            [("without-metadata.png", "image/png", b"png")],
        ),
        ["&lt;i&gt;Camera&lt;/i&gt;", "48.51", "without this is among"],
    ),
    "media_facts": (
        "film.webm",
        b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm",
        Scene(
            {"container": {"format": "WebM", "duration_ms": 2500, "title": "<b>Film</b>"},
             "track_count": 1,
             "tracks": [{"kind": "video", "format": "VP9", "width": 640, "height": 480}]},
        ),
        ["2.50 s", "640 \N{MULTIPLICATION SIGN} 480", "&lt;b&gt;Film&lt;/b&gt;"],
    ),
    "search_terms": (
        "report.pdf",
        PDF,
        Scene({"count": 1234, "complete": False}),
        ["found by 1,234 words; it has more"],
    ),
    "ocr": (
        "report.pdf",
        PDF,
        Scene(
            {"installed": True, "program": "Tesseract 5.3.0", "pages": 3, "pages_read": 2,
             "pages_with_text": 0, "characters": 1234, "sure_percent": 91, "complete": False,
             "out_of_time": True},
            [("text.txt", "text/plain", b"Dear <b>Ann</b>")],
        ),
        ["1,234", "91 %", "Dear &lt;b&gt;Ann&lt;/b&gt;", "the time for it was over"],
    ),
    "members": (
        "any.zip",
        b"PK\5\6" + bytes(18),
        Scene({"files": 1, "known": 0, "left_out": {"quota_exceeded": 3, "family_too_deep": 1},
               "children": [{"index": 7, "name": "<i>a</i>.txt",
                             "upload": "0199b2f0-0000-7000-8000-000000000000"}]}),
        ["&lt;i&gt;a&lt;/i&gt;.txt", "/0199b2f0-0000-7000-8000-000000000000/",
         "does not fit into what is left of your quota", "deeper than files are taken in"],
    ),
    "document_text": (
        "page.html",
        b"<!DOCTYPE html><html><body>hello</body></html>",
        Scene(
            {"characters": 4321, "complete": True, "metadata": {"title": "<i>Letter</i>"}},
            [("text.txt", "text/plain", b"Dear <b>Ann</b>")],
        ),
        ["4,321", "&lt;i&gt;Letter&lt;/i&gt;", "Dear &lt;b&gt;Ann&lt;/b&gt;"],
    ),
    "personal_data": (
        "letter.pdf",
        PDF,
        Scene(
            {"found": 1, "counts": {"email": 1, "phone": 0}, "redacted": True,
             "redacted_complete": True,
             "first": [{"kind": "email", "line": 3, "offset": 1500, "length": 9,
                        "masked": "a***@***.org"}]},
            [("redacted.txt", "text/plain", b"[email]")],
        ),
        ["a***@***.org", "1,500", "copy without these values"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("step", KINDS)
def test_every_kind_of_result_is_shown(visit: Visit, owner: Any, step: str) -> None:
    name, content, scene, expected = KINDS[step]
    upload = hand_in(owner, name, content)
    play(upload, {**checked(upload), step: scene}, state=RunState.SUCCEEDED)
    text = visit(owner).get(reverse("upload", args=[upload.pk])).content.decode()
    for part in [*expected, upload.sha256, upload.media_type]:
        assert part in text
    for artifact_name, _, _ in scene.artifacts:
        assert f'download="{artifact_name}"' in text


def test_a_text_without_words_is_said_to_have_none(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "empty.pdf", PDF)
    words = Scene({"count": 0, "complete": True})
    play(upload, {**checked(upload), "search_terms": words}, state=RunState.SUCCEEDED)
    text = visit(owner).get(reverse("upload", args=[upload.pk])).content.decode()
    assert "Its text has no words: the file is found by its name only." in text


def test_an_empty_table_is_said_to_be_empty(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "empty.csv", b"a,b,c\n1,2,3\n")
    profile = Scene({"rows": 0, "column_count": 0, "columns": [], "header": False})
    play(upload, {**checked(upload), "csv_profile": profile}, state=RunState.SUCCEEDED)
    text = visit(owner).get(reverse("upload", args=[upload.pk])).content.decode()
    assert "The table is empty." in text


def test_results_of_an_unknown_step_are_plain_facts(
    visit: Visit, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.results.TEMPLATES", frozenset())
    upload = hand_in(owner, "any.txt", b"some text\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    text = visit(owner).get(reverse("upload", args=[upload.pk])).content.decode()
    assert "<dt>Sha256</dt>" in text


def test_a_failed_step_says_why_on_both_pages(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "picture.png", PNG)
    failed = Scene(state=StepState.FAILED, error=FAILURE)
    run = play(upload, {**checked(upload), "thumbnail": failed}, state=RunState.FAILED)
    client = visit(owner)
    for path in (reverse("upload", args=[upload.pk]), reverse("run", args=[run.pk])):
        text = client.get(path).content.decode()
        assert FAILURE[0] in text
        assert FAILURE[1] in text
    record = StepRecord.objects.get(state=StepState.FAILED)
    assert f'id="record-{record.pk}-failed" open>' in text


@pytest.mark.parametrize("artifacts", [1, 5])
def test_the_pages_cost_the_same_for_any_number_of_runs_and_records(
    visit: Visit, owner: Any, django_assert_num_queries: Any, artifacts: int
) -> None:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    scene = Scene(lines_output(), [(f"{n}.txt", "text/plain", b"x") for n in range(artifacts)])
    run = play(upload, {**checked(upload), "lines": scene}, state=RunState.SUCCEEDED)
    client = visit(owner)
    # Session, user, upload, runs, two for the key, records, artifacts, two for the name, two for
    # the pipelines, findings, the family.
    with django_assert_num_queries(14):
        client.get(reverse("upload", args=[upload.pk]))
    # Session, user, run, two for the key, records, artifacts, two for the name, other runs.
    with django_assert_num_queries(11):
        client.get(reverse("run", args=[run.pk]))


def test_running_again_makes_a_run_of_the_chosen_pipeline(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    answer = visit(owner).post(reverse("upload-run", args=[upload.pk]), {"pipeline": "any"})
    upload.refresh_from_db()
    run = Run.objects.latest("id")
    assert run.pk == upload.run_id
    assert (run.version.pipeline.name, run.state) == ("any", "queued")
    assert answer["Location"] == reverse("run", args=[run.pk])


def test_running_again_from_a_step_keeps_what_came_before(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    play(upload, {**checked(upload), "lines": Scene(lines_output())}, state=RunState.SUCCEEDED)
    answer = visit(owner).post(
        reverse("upload-run", args=[upload.pk]), {"pipeline": "text", "from_step": "lines"}
    )
    text = visit(owner).get(answer["Location"]).content.decode()
    assert text.count("from an earlier run") == 2


# As in a request: a start that fails takes its own transaction back, and no savepoint.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"pipeline": "nonsense"}, "There is no pipeline with this name."),
        ({"pipeline": "text", "from_step": "nonsense"}, "The pipeline has no such step"),
    ],
)
def test_a_run_that_cannot_start_is_explained(
    visit: Visit, owner: Any, form: dict[str, str], reason: str
) -> None:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    answer = visit(owner).post(reverse("upload-run", args=[upload.pk]), form, follow=True)
    assert reason in answer.content.decode()
    assert Run.objects.count() == 1


def test_deleting_asks_first_and_leaves_no_name_in_the_session(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "very-secret-name.txt", b"some text\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    client = visit(owner)
    path = reverse("upload-delete", args=[upload.pk])
    assert "very-secret-name.txt" in client.get(path).content.decode()
    assert Upload.objects.filter(pk=upload.pk).exists()
    answer = client.post(path)
    assert answer["Location"] == reverse("home")
    assert not Upload.objects.filter(pk=upload.pk).exists()
    told = " ".join(str(m) for m in get_messages(answer.wsgi_request))
    kept = "".join(str(s.get_decoded()) for s in Session.objects.all()) + str(client.cookies)
    assert "deleted" in told
    assert "very-secret-name" not in told + kept


def test_a_queued_run_is_cancelled_and_then_retried(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "waiting.txt", b"some text\n")
    client = visit(owner)
    page = reverse("run", args=[upload.run_id])
    assert "Cancel run" in client.get(page).content.decode()
    client.post(reverse("run-cancel", args=[upload.run_id]))
    assert Run.objects.get().state == RunState.CANCELLED
    text = client.get(page).content.decode()
    assert "Retry" in text
    assert "Cancel run" not in text
    client.post(reverse("run-retry", args=[upload.run_id]))
    assert Run.objects.get().state == RunState.QUEUED


def test_what_has_ended_cannot_be_cancelled_and_says_so(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "done.txt", b"some text\n")
    run = play(upload, checked(upload), state=RunState.SUCCEEDED)
    answer = visit(owner).post(reverse("run-cancel", args=[run.pk]), follow=True)
    assert "has ended" in answer.content.decode()
    assert Run.objects.get().state == RunState.SUCCEEDED


def test_damage_is_an_error_page_not_a_wrong_result(visit: Visit, owner: Any) -> None:
    upload = hand_in(owner, "server.log", b"hello\nworld\n")
    play(upload, checked(upload), state=RunState.SUCCEEDED)
    record = StepRecord.objects.get(step="checksum")
    sealed = bytearray(bytes(record.sealed_output or b""))
    sealed[-1] ^= 1
    StepRecord.objects.filter(pk=record.pk).update(sealed_output=bytes(sealed))
    answer = visit(owner).get(reverse("upload", args=[upload.pk]))
    assert answer.status_code == 500
    assert "blob_damaged" in answer.content.decode()
