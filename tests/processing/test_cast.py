"""The built-in pipelines as most tests have them are those that a start brings in."""

from typing import Any

import pytest

from processing.definitions import sync_builtin
from processing.models import Pipeline, PipelineVersion
from tests import conftest

pytestmark = pytest.mark.django_db


def rows() -> list[dict[str, Any]]:
    """Return all that is said of the pipelines, except keys and moments."""
    fields = {field.attname for field in PipelineVersion._meta.concrete_fields}
    told = ["pipeline__name", "pipeline__title", "pipeline__enabled", "pipeline__active__number"]
    found = PipelineVersion.objects.order_by("pipeline__name")
    return list(found.values(*told, *fields - {"id", "pipeline_id", "created_at"}))


def test_they_are_the_same_however_often_they_are_brought_in(pipelines: None) -> None:
    expected: list[dict[str, Any]] = []
    for bring_in in (sync_builtin, conftest._bring_in, conftest._bring_in):
        Pipeline.objects.update(active=None)
        PipelineVersion.objects.all().delete()
        Pipeline.objects.all().delete()
        bring_in()
        expected = expected or rows()
        assert rows() == expected
    assert len(expected) > 5
    assert {row["pipeline__active__number"] for row in expected} == {1}


def test_the_active_version_is_of_its_own_pipeline(pipelines: None) -> None:
    for pipeline in Pipeline.objects.select_related("active"):
        assert pipeline.active is not None
        assert pipeline.active.pipeline_id == pipeline.pk
