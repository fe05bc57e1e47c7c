"""A resumable upload is judged like any other: at its first bytes, and as a whole at its end."""

import itertools
from typing import Any

import pytest

from tests.uploads.test_media_types import MACRO_MAIN, WORD, office, packed
from tests.uploads.tus.conftest import metadata
from uploads.models import Blob, IntakePolicy, Quota, Upload, UploadSession
from uploads.storage import store

FILLER = {f"media/{number}.bin": bytes(range(256)) * 400 for number in range(8)}


def arrive(tus: Any, content: bytes, name: str) -> Any:
    """Hand in a file in three requests, and return the answer to the last."""
    path = tus.create(len(content), Upload_Metadata=metadata(filename=name))
    cuts = [0, len(content) // 3, 2 * len(content) // 3, len(content)]
    for begin, end in itertools.pairwise(cuts):
        answer = tus.patch(path, begin, content[begin:end])
    return answer


def container(main: str) -> bytes:
    """An office file that says at its end what it is."""
    return packed({**FILLER, **office(main)}, 0)


def test_a_container_is_decided_from_what_came_in_all_requests(tus):
    IntakePolicy.objects.create(allowed_types=WORD)
    assert arrive(tus, container(f"{WORD}.main+xml"), "a.docx").status_code == 204
    upload = Upload.objects.get()
    assert upload.media_type == WORD
    assert not upload.findings.exists()


def test_a_macro_that_shows_at_the_end_is_held(tus):
    assert arrive(tus, container(MACRO_MAIN), "a.docx").status_code == 204
    upload = Upload.objects.get()
    assert (upload.verdict, upload.held) == ("quarantined", True)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"allowed_types": WORD}, "media_type_denied"),
        ({"actions": {"macro_in_disguise": "refuse"}}, "macro_in_disguise"),
    ],
)
def test_what_is_refused_at_the_end_leaves_nothing(tus, policy, code, settings):
    IntakePolicy.objects.create(**policy)
    answer = arrive(tus, container(MACRO_MAIN), "a.docx")
    assert (answer.status_code, answer.json()["code"]) == (415, code)
    assert not Upload.objects.exists()
    assert not UploadSession.objects.exists()
    assert not Blob.objects.exists()
    assert list(store().ids()) == []
    assert [p for p in settings.UPLOADS["BLOBS_DIR"].rglob("*") if p.is_file()] == []
    assert set(Quota.objects.values_list("used_bytes", "reserved_bytes")) <= {(0, 0)}
