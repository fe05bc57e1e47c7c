"""Pipelines in the database: versions are added, never changed."""

from django.db import transaction
from django.db.models import F, Max

from processing.errors import NoPipeline, UnknownVersion
from processing.models import Pipeline, PipelineVersion
from processing.pipelines import PipelineDefinition, builtin, parse, route
from uploads.errors import UnknownPipeline

_PARSED: dict[str, PipelineDefinition] = {}  # by digest


@transaction.atomic
def sync_builtin() -> None:
    """Bring the pipelines that come with the program into the database.

    A definition that is not among the versions of its pipeline becomes the next one, and active.
    """
    for definition in builtin():
        pipeline, created = Pipeline.objects.get_or_create(
            name=definition.name, defaults={"title": definition.title}
        )
        known = pipeline.versions.filter(digest=definition.digest)
        if not created and known.exists():
            continue
        add_version(pipeline, definition)


def add_version(pipeline: Pipeline, definition: PipelineDefinition) -> PipelineVersion:
    """Add the next version of `pipeline` and make it the active one."""
    last = pipeline.versions.aggregate(last=Max("number"))["last"] or 0
    version = PipelineVersion.objects.create(
        pipeline=pipeline,
        number=last + 1,
        definition=definition.to_data(),
        digest=definition.digest,
    )
    pipeline.active = version
    pipeline.save(update_fields=["active"])
    return version


def check_name(name: str | None) -> None:
    """Refuse the name of no enabled pipeline; None means that the type decides.

    Raises:
        UnknownPipeline
    """
    if name is not None and not Pipeline.objects.filter(name=name, enabled=True).exists():
        raise UnknownPipeline


def choose(*, media_type: str, name: str | None, number: int | None = None) -> PipelineVersion:
    """Return the version that a new run takes.

    Raises:
        UnknownPipeline, UnknownVersion, NoPipeline
    """
    if name is None:
        return _by_type(media_type)
    pipeline = Pipeline.objects.select_related("active").filter(name=name, enabled=True).first()
    if pipeline is None or pipeline.active is None:
        raise UnknownPipeline
    if number is None:
        return pipeline.active
    version = pipeline.versions.filter(number=number).first()
    if version is None:
        raise UnknownVersion
    return version


def definition_of(version: PipelineVersion) -> PipelineDefinition:
    """Return what a version says. Versions never change, so each is parsed once a process."""
    if version.digest not in _PARSED:
        _PARSED[version.digest] = parse(version.definition)
    return _PARSED[version.digest]


def _by_type(media_type: str) -> PipelineVersion:
    versions = PipelineVersion.objects.filter(
        pk=F("pipeline__active_id"), pipeline__enabled=True
    ).select_related("pipeline")
    by_name = {version.pipeline.name: version for version in versions}
    chosen = route(media_type, [definition_of(version) for version in by_name.values()])
    if chosen is None:
        raise NoPipeline
    return by_name[chosen.name]
