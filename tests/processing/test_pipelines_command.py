"""manage.py pipelines."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from processing.models import Origin, Pipeline, PipelineVersion
from processing.pipelines import read_source

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

MINE = """\
# two branches
name: mine
title: Mine
media_types: ["text/plain"]
steps:
  - checksum
  - {step: media_type, needs: [checksum]}
  - {step: lines, needs: [checksum]}
"""


def pipelines(*arguments: object) -> str:
    out = io.StringIO()
    call_command("pipelines", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return path


def test_list_shows_what_runs():
    lines = [line.split() for line in pipelines("list").splitlines()]
    assert ["any", "1", "on", "*/*", "checksum", "media_type"] in lines
    assert len(lines) == 1 + Pipeline.objects.count()


def test_show_prints_what_import_takes():
    assert read_source(pipelines("show", "table")).name == "table"
    assert read_source(pipelines("show", "table", 1)).name == "table"


def test_check_changes_nothing(file):
    assert pipelines("check", file) == "mine: 3 steps, no mistakes.\n"
    assert not Pipeline.objects.filter(name="mine").exists()


def test_import_adds_a_version_and_keeps_the_text_of_its_author(file):
    assert pipelines("import", file) == "mine 1: active.\n"
    assert pipelines("show", "mine") == MINE
    assert PipelineVersion.objects.get(pipeline__name="mine").origin == Origin.COMMAND
    assert pipelines("import", file) == "mine 1: active.\n"
    file.write_text(MINE.replace("Mine", "My own"))
    assert pipelines("import", file) == "mine 2: not active.\n"
    assert pipelines("activate", "mine", 2) == "mine 2: active.\n"
    assert Pipeline.objects.get(name="mine").title == "My own"
    assert pipelines("activate", "mine", 1) == "mine 1: active.\n"
    assert pipelines("import", file, "--activate") == "mine 2: active.\n"
    assert PipelineVersion.objects.filter(pipeline__name="mine").count() == 2


@pytest.mark.parametrize("act", ["check", "import"])
def test_mistakes_are_printed_with_file_line_and_key(file, act):
    file.write_text(MINE.replace("step: lines", "step: linse").replace("text/plain", "text"))
    with pytest.raises(CommandError) as error:
        pipelines(act, file)
    first, second = str(error.value).splitlines()
    assert first.startswith(f"{file}: line 4: media_types[0]: must be a media type")
    assert second.startswith(f"{file}: line 8: steps[2].step: there is no step 'linse'")
    assert not Pipeline.objects.filter(name="mine").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nothing"), "There is no pipeline 'nothing'."),
        (("show", "any", 9), "The pipeline 'any' has no version 9."),
        (("activate", "any", 9), "The pipeline 'any' has no version 9."),
        (("check", "/nowhere.yaml"), "/nowhere.yaml cannot be read: No such file or directory."),
    ],
)
def test_what_is_not_there_is_said(arguments, message):
    with pytest.raises(CommandError, match=message):
        pipelines(*arguments)
