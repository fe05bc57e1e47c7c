"""Replay the files of every user on a version of a pipeline: one replay for each, which is theirs.

Their files are those that show a run of this pipeline, or of `--shown-pipeline`. Each user sees the
replay of their own files and decides whether to adopt it; what is printed are counts.

Exit codes: 0 all was begun, 1 some users had more files than one replay takes.
"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.accounts.models import User
from processing import definitions
from processing.errors import NothingToReplay, TooMuchToReplay, UnknownVersion
from processing.models import Pipeline
from processing.replays import Selection, start_replay
from uploads.errors import UnknownPipeline


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pipeline", help="its name")
        parser.add_argument("version", type=int)
        parser.add_argument("--shown-pipeline", help="files whose shown run is of this pipeline")
        parser.add_argument("--user", help="the files of this user alone")

    def handle(self, **options: Any) -> None:
        name: str = options["pipeline"]
        selection = Selection(pipeline=options["shown_pipeline"] or name)
        pipeline = Pipeline.objects.filter(name=name).first()
        if pipeline is None:
            raise CommandError(f"There is no pipeline {name}.")
        try:
            version = definitions.version_of(pipeline, options["version"])
        except UnknownVersion as error:
            raise CommandError(str(error)) from None
        users = User.objects.order_by("pk")
        if options["user"]:
            users = users.filter(username=options["user"])
        too_many = []
        for user in users:
            try:
                replay = start_replay(owner=user, version=version, selection=selection)
            except (NothingToReplay, UnknownPipeline):  # the pipeline is not for everybody
                continue
            except TooMuchToReplay:
                too_many.append(user.get_username())
                continue
            self.stdout.write(f"{user.get_username()}: {replay.size} files, replay {replay.pk}")
        if too_many:
            self.stderr.write(f"More files than one replay takes: {', '.join(too_many)}")
            sys.exit(1)
