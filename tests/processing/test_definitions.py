"""Pipelines in the database."""

from typing import Any

import pytest

from processing import definitions
from processing.definitions import choose, import_source, sync_builtin
from processing.errors import NoPipeline, UnknownVersion
from processing.models import Origin, Pipeline, PipelineVersion
from processing.pipelines import Subject, parse
from uploads.errors import UnknownPipeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipelines")]

FILE = Subject("text/plain", owner="olive", folder="in", tags=("draft",))


def text(name: str, **keys: Any) -> str:
    lines = {"name": name, "media_types": '["*/*"]', "steps": "[checksum]", **keys}
    return "\n".join(f"{key}: {value}" for key, value in lines.items())


def added(name: str, *, active: bool = True, **keys: Any) -> PipelineVersion:
    return import_source(text(name, **keys), origin=Origin.ADMIN, active=active)


def test_the_request_weighs_more_than_all_that_is_known_of_the_file():
    added("by-tag", tags="[draft]")
    assert choose(FILE, name=None).pipeline.name == "by-tag"
    assert choose(FILE, name="any").pipeline.name == "any"
    assert choose(FILE, name="text", number=1).pipeline.name == "text"


def test_a_pipeline_of_other_owners_does_not_exist():
    added("theirs", owners="[sam]")
    for number in (None, 1):
        with pytest.raises(UnknownPipeline):
            choose(FILE, name="theirs", number=number)
    assert choose(Subject("text/plain", owner="sam"), name=None).pipeline.name == "theirs"


def test_a_name_that_no_database_can_hold_is_not_looked_for(owner, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(UnknownPipeline):
        definitions.check_name("a\0b", owner=owner)


def test_a_version_of_other_owners_does_not_exist(owner):
    added("mine", owners="[sam]")
    added("mine")
    with pytest.raises(UnknownVersion):
        choose(FILE, name="mine", number=1)
    with pytest.raises(UnknownVersion):
        definitions.named("mine", 1, owner=owner)
    assert choose(FILE, name="mine", number=2).number == 2
    assert choose(Subject("text/plain", owner="sam"), name="mine", number=1).number == 1


def test_a_pipeline_that_is_switched_off_does_not_exist():
    added("mine")
    Pipeline.objects.filter(name="mine").update(enabled=False)
    with pytest.raises(UnknownPipeline):
        choose(FILE, name="mine")
    Pipeline.objects.update(enabled=False)
    with pytest.raises(NoPipeline):
        choose(FILE, name=None)


def test_only_the_active_version_says_which_files_come():
    added("mine", tags="[draft]")
    added("mine", tags="[final]", active=False)
    assert choose(FILE, name=None).pipeline.name == "mine"
    definitions.activate(definitions.version_of(Pipeline.objects.get(name="mine"), 2))
    assert choose(FILE, name=None).pipeline.name == "text"


def later_program(monkeypatch: Any) -> None:
    data = {"name": "any", "title": "Later", "media_types": ["*/*"], "steps": ["checksum"]}
    monkeypatch.setattr(definitions, "builtin", lambda: (parse(data),))


def test_a_later_program_brings_later_versions_once(monkeypatch):
    later_program(monkeypatch)
    for _ in range(2):
        sync_builtin()
    pipeline = Pipeline.objects.get(name="any")
    assert (pipeline.versions.count(), pipeline.title) == (2, "Later")
    assert pipeline.active is not None
    assert pipeline.active.number == 2


def test_a_later_program_does_not_undo_what_an_operator_chose(monkeypatch):
    chosen = added("any", title="Chosen")
    later_program(monkeypatch)
    sync_builtin()
    pipeline = Pipeline.objects.get(name="any")
    assert pipeline.versions.count() == 3
    assert (pipeline.active, pipeline.title) == (chosen, "Chosen")


def test_versions_are_told_apart_by_meaning_and_not_by_spelling():
    first = added("mine")
    again = import_source("# said otherwise\n" + text("mine"), origin=Origin.ADMIN)
    assert again == first
