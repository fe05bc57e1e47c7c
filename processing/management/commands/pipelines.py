"""Look at the pipelines, check and import definitions, choose which version runs.

Exit codes: 0 all is well, 1 a definition has mistakes or there is no such pipeline.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import AppError
from processing import definitions
from processing.models import Origin, Pipeline, PipelineVersion
from processing.pipelines import InvalidPipeline, read_source

COLUMNS = "{:<20} {:>7}  {:<8} {:<30} {}"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="name, active version, state, media types, steps")
        show = acts.add_parser("show", help="print a version as YAML")
        show.add_argument("name")
        show.add_argument("version", type=int, nargs="?", help="default: the active one")
        check = acts.add_parser("check", help="say what is wrong in a file; changes nothing")
        check.add_argument("file", type=Path)
        add = acts.add_parser("import", help="add a file as the next version of its pipeline")
        add.add_argument("file", type=Path)
        add.add_argument("--activate", action="store_true", help="let new runs take it")
        activate = acts.add_parser("activate", help="let new runs take a version")
        activate.add_argument("name")
        activate.add_argument("version", type=int)

    def handle(self, **options: Any) -> None:
        match options["act"]:
            case "list":
                self.list()
            case "show":
                version = version_named(options["name"], options["version"])
                self.stdout.write(definitions.source_of(version), ending="")
            case "check":
                definition = read(options["file"], read_source)
                self.stdout.write(f"{definition.name}: {len(definition.steps)} steps, no mistakes.")
            case "import":
                version = read(
                    options["file"],
                    lambda text: definitions.import_source(
                        text, origin=Origin.COMMAND, active=options["activate"]
                    ),
                )
                self.say(version)
            case "activate":
                version = version_named(options["name"], options["version"])
                definitions.activate(version)
                self.say(version)

    def list(self) -> None:
        self.stdout.write(COLUMNS.format("name", "version", "state", "media types", "steps"))
        for pipeline in Pipeline.objects.select_related("active").order_by("name"):
            if pipeline.active is None:
                continue
            definition = definitions.definition_of(pipeline.active)
            self.stdout.write(
                COLUMNS.format(
                    pipeline.name,
                    pipeline.active.number,
                    "on" if pipeline.enabled else "off",
                    " ".join(definition.media_types),
                    " ".join(definition.steps[place].name for place in definition.graph.order),
                )
            )

    def say(self, version: PipelineVersion) -> None:
        version.pipeline.refresh_from_db()
        state = "active" if version.pipeline.active_id == version.pk else "not active"
        self.stdout.write(f"{version.pipeline.name} {version.number}: {state}.")


def read(file: Path, use: Any) -> Any:
    """Give the text of a file to `use`; end with its mistakes, one a line."""
    try:
        return use(file.read_text("utf-8"))
    except InvalidPipeline as error:
        raise CommandError("\n".join(f"{file}: {mistake}" for mistake in error.mistakes)) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no UTF-8 text.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None


def version_named(name: str, number: int | None) -> PipelineVersion:
    """Return a version by its name and number; the active one without a number."""
    pipeline = Pipeline.objects.select_related("active__pipeline").filter(name=name).first()
    if pipeline is None:
        raise CommandError(f"There is no pipeline {name!r}.")
    if number is None and pipeline.active is not None:
        return pipeline.active
    try:
        return definitions.version_of(pipeline, number or 0)
    except AppError:
        raise CommandError(f"The pipeline {name!r} has no version {number}.") from None
