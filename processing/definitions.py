"""Pipelines in the database: versions are added, never changed; one of each is active.

Which one a file takes: the one that the request names, in the version that it names or else the
active one; without a name, the active version that `processing.pipelines.routing` finds closest.
"""

import logging

from django.db import transaction
from django.db.models import F, Max, QuerySet

from config.accounts.models import User
from config.prepared import Prepared
from processing.errors import NoPipeline, UnknownVersion
from processing.models import Origin, Pipeline, PipelineVersion
from processing.pipelines import (
    PipelineDefinition,
    Subject,
    builtin,
    is_for,
    parse,
    read_source,
    route,
    write_source,
)
from uploads.errors import UnknownPipeline
from uploads.models import Upload

logger = logging.getLogger(__name__)

_PARSED: dict[str, PipelineDefinition] = {}  # by digest


# --- Writing ----------------------------------------------------------------------------------


@transaction.atomic
def sync_builtin() -> None:
    """Bring the pipelines that come with the program into the database.

    A definition that is not among the versions of its pipeline becomes the next one. It becomes
    the active one too, unless somebody has chosen another than what came with the program.
    """
    for definition in builtin():
        pipeline, _ = Pipeline.objects.get_or_create(
            name=definition.name, defaults={"title": definition.title}
        )
        if not pipeline.versions.filter(digest=definition.digest).exists():
            active = pipeline.active
            ours = active is None or active.origin == Origin.PROGRAM
            add_version(pipeline, definition, active=ours)


@transaction.atomic
def import_source(
    text: str, *, origin: Origin, author: User | None = None, active: bool = False
) -> PipelineVersion:
    """Add what a YAML text says as the next version of the pipeline that it names.

    A definition that is there already is not added again. The first version of a pipeline
    becomes active; a later one only with `active`.

    Raises:
        InvalidPipeline
    """
    definition = read_source(text)
    pipeline, _ = Pipeline.objects.get_or_create(
        name=definition.name, defaults={"title": definition.title}
    )
    version = pipeline.versions.filter(digest=definition.digest).order_by("-number").first()
    if version is None:
        return add_version(
            pipeline,
            definition,
            source=text,
            origin=origin,
            author=author,
            active=active or pipeline.active_id is None,
        )
    if active:
        activate(version)
    return version


@transaction.atomic
def add_version(
    pipeline: Pipeline,
    definition: PipelineDefinition,
    *,
    source: str = "",
    origin: Origin = Origin.PROGRAM,
    author: User | None = None,
    active: bool = True,
) -> PipelineVersion:
    """Add the next version of `pipeline` and, with `active`, make it the active one."""
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)  # one number after the other
    last = pipeline.versions.aggregate(last=Max("number"))["last"] or 0
    version = PipelineVersion.objects.create(
        pipeline=pipeline,
        number=last + 1,
        definition=definition.to_data(),
        digest=definition.digest,
        source=source or write_source(definition),
        origin=origin,
        author=author,
    )
    logger.info("version added", extra={"pipeline": pipeline.name, "version": version.number})
    if active:
        activate(version)
    return version


def activate(version: PipelineVersion) -> None:
    """Make `version` the one that new runs of its pipeline take."""
    pipeline = version.pipeline
    pipeline.active = version
    pipeline.title = definition_of(version).title
    pipeline.save(update_fields=["active", "title"])
    logger.info("version activated", extra={"pipeline": pipeline.name, "version": version.number})


# --- Choosing ---------------------------------------------------------------------------------


def check_name(name: str | None, *, owner: User) -> None:
    """Refuse the name of no enabled pipeline; None means that the file itself decides.

    Raises:
        UnknownPipeline
    """
    if name is not None:
        _active(name, owner.get_username())


def subject_of(upload: Upload) -> Subject:
    """Return what pipelines may know of an upload before they open it."""
    return Subject(
        media_type=upload.media_type,
        size=upload.size,
        door=upload.door,
        owner=upload.owner.get_username(),
        folder=upload.folder,
        tags=tuple(upload.tag_list),
    )


def choose(subject: Subject, *, name: str | None, number: int | None = None) -> PipelineVersion:
    """Return the version that a new run takes.

    Raises:
        UnknownPipeline, UnknownVersion, NoPipeline
    """
    if name is None:
        return _closest(subject)
    active = _active(name, subject.owner)
    return active if number is None else _of_owner(active.pipeline, number, subject.owner)


def named(name: str, number: int, *, owner: User) -> PipelineVersion:
    """Return the version that `owner` names.

    Raises:
        UnknownPipeline, UnknownVersion
    """
    username = owner.get_username()
    return _of_owner(_active(name, username).pipeline, number, username)


def version_of(pipeline: Pipeline, number: int) -> PipelineVersion:
    """Return one version of a pipeline, active or not.

    Raises:
        UnknownVersion
    """
    version = pipeline.versions.select_related("pipeline").filter(number=number).first()
    if version is None:
        raise UnknownVersion
    return version


def versions_for(user: User) -> QuerySet[PipelineVersion]:
    """Return all versions that files of `user` may go through, the newest first; all for staff."""
    versions = PipelineVersion.objects.select_related("pipeline").order_by("-number")
    if user.is_staff:
        return versions
    name = user.get_username()
    closed = versions.filter(definition__has_key="owners").defer("source")
    theirs = [version.pk for version in closed if not is_for(definition_of(version), owner=name)]
    return versions.exclude(pk__in=theirs)


def visible_to(user: User) -> QuerySet[PipelineVersion]:
    """Return the active versions that files of `user` may go through, by name; all for staff."""
    versions = active_versions().order_by("pipeline__name")
    if user.is_staff:
        return versions
    name = user.get_username()
    ours = [version.pk for version in versions if is_for(definition_of(version), owner=name)]
    return versions.filter(pk__in=ours)


def active_versions() -> QuerySet[PipelineVersion]:
    """Return the active version of each enabled pipeline, with its pipeline."""
    active = PipelineVersion.objects.filter(pk=F("pipeline__active_id"), pipeline__enabled=True)
    return active.select_related("pipeline").defer("source")


def source_of(version: PipelineVersion) -> str:
    """Return the YAML of a version, as its author wrote it where that is known."""
    return version.source or write_source(definition_of(version))


def definition_of(version: PipelineVersion) -> PipelineDefinition:
    """Return what a version says. Versions never change, so each is parsed once a process."""
    if version.digest not in _PARSED:
        _PARSED[version.digest] = parse(version.definition)
    return _PARSED[version.digest]


def _active(name: str, owner: str) -> PipelineVersion:
    if "\0" in name:  # PostgreSQL knows no such text
        raise UnknownPipeline
    version = active_versions().filter(pipeline__name=name).first()
    if version is None or not is_for(definition_of(version), owner=owner):
        raise UnknownPipeline
    return version


def _of_owner(pipeline: Pipeline, number: int, owner: str) -> PipelineVersion:
    version = version_of(pipeline, number)
    if not is_for(definition_of(version), owner=owner):
        raise UnknownVersion
    return version


def _closest(subject: Subject) -> PipelineVersion:
    rows = {_said_by(pk, digest).name: (pk, digest) for pk, digest in _ACTIVE()}
    chosen = route(subject, [_PARSED[digest] for _, digest in rows.values()])
    if chosen is None:
        raise NoPipeline
    # Whoever wants to know more of it, asks for it.
    return PipelineVersion.from_db(None, ["id", "digest"], rows[chosen.name])


def _said_by(pk: int, digest: str) -> PipelineDefinition:
    known = _PARSED.get(digest)
    return known or definition_of(PipelineVersion.objects.get(pk=pk))


_ACTIVE = Prepared(PipelineVersion, lambda: active_versions().values_list("pk", "digest"))
