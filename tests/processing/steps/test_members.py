"""The step whose artifacts become uploads. What it reads is tested with `archive`."""

import io
import zipfile

from processing.steps import archive, members
from tests.processing.steps.harness import run


def test_it_hands_out_the_members_that_it_is_asked_for() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in ("a.txt", "b/c.txt", "d.txt"):
            made.writestr(name, f"content of {name}")
    settings = {"take": 2, "after": 1}
    result = run(members.step, file.getvalue(), "application/zip", settings)
    assert sorted(result.artifacts) == ["member-00002", "member-00003"]
    assert result.text("member-00002") == "content of b/c.txt"


def test_it_reads_what_archive_reads() -> None:
    assert members.step.media_types == archive.step.media_types
    assert members.step.makes_children
