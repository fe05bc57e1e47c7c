"""Check that everything stored is still there, and as it was."""

import json
import sys
from argparse import ArgumentTypeError
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from config.accounts.models import User
from uploads.deletion import GRACE_S
from uploads.keys import key_ring
from uploads.management.progress import Progress
from uploads.models import Upload
from uploads.storage import StorageFailed
from uploads.verification import Fault, Finding, blobs_of, look_at, look_for_strays

ALL_WELL, AT_FAULT, COULD_NOT_LOOK = 0, 1, 2


@dataclass
class Report:
    """What was looked at, and what was found."""

    blobs: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return 2 if all that was found is bytes that could not be read."""
        faults = {finding.fault for finding in self.findings}
        if faults - {Fault.UNREADABLE}:
            return AT_FAULT
        return COULD_NOT_LOOK if faults else ALL_WELL

    def as_json(self) -> str:
        """Return the report for a program."""
        findings = [
            {
                "fault": finding.fault.value,
                "detail": finding.detail,
                "blob": str(finding.blob) if finding.blob else None,
                "upload": str(finding.upload) if finding.upload else None,
            }
            for finding in self.findings
        ]
        return json.dumps(
            {
                "ok": self.exit_code == ALL_WELL,
                "checked": {"blobs": self.blobs, "bytes": self.bytes},
                "findings": findings,
            },
            indent=2,
        )

    def as_text(self) -> str:
        """Return the report for a person."""
        lines = [
            f"{finding.fault.value:<10} blob {finding.blob or '-'}  upload {finding.upload or '-'}"
            f"  ({finding.detail})"
            for finding in self.findings
        ]
        counts = Counter(finding.fault.value for finding in self.findings)
        found = ", ".join(f"{counts[fault.value]} {fault.value}" for fault in Fault)
        lines.append(f"{self.blobs} blobs, {self.bytes} bytes read: {found}.")
        return "\n".join(lines)


class Command(BaseCommand):
    help = (
        "Read every blob, or some, and compare it with its rows. Ends with 0 if all is well, 1 if "
        "something is damaged, missing, orphaned or without a key, 2 if it could not look."
    )
    requires_system_checks: list[str] = []  # what is wrong is what it has to say itself

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--sample",
            type=_percentage,
            default=100.0,
            metavar="N%",
            help="read only so much of everything, another part every day",
        )
        what.add_argument("--user", metavar="NAME", help="read what this user has handed in")
        what.add_argument("--upload", type=UUID, metavar="ID", help="read this upload")
        parser.add_argument(
            "--grace",
            type=float,
            default=GRACE_S,
            metavar="SECONDS",
            help="call nothing orphaned that is younger (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="report for a program")

    def handle(self, **options: Any) -> None:
        try:
            report = self._look(options)
        except (ImproperlyConfigured, StorageFailed, Error) as error:
            raise CommandError(f"Nothing could be verified: {error}", returncode=2) from error
        self.stdout.write(report.as_json() if options["json"] else report.as_text())
        sys.exit(report.exit_code)

    def _look(self, options: dict[str, Any]) -> Report:
        key_ring()  # without one, every single blob would be at fault
        username, upload_id = options["user"], options["upload"]
        if username is not None and not User.objects.filter(username=username).exists():
            raise CommandError(f"There is no user {username}.", returncode=2)
        if upload_id is not None and not Upload.objects.filter(pk=upload_id).exists():
            raise CommandError(f"There is no upload {upload_id}.", returncode=2)
        report = Report()
        blobs = blobs_of(username=username, upload_id=upload_id)
        slices = max(1, round(100 / options["sample"]))
        with Progress("verify") as progress:
            progress.expect(blobs.count())
            for look in look_at(blobs, slices=slices):
                progress.advance(look.size)
                report.blobs += look.checked
                report.bytes += look.size
                report.findings += look.findings
        if username is None and upload_id is None:
            report.findings += look_for_strays(grace_s=options["grace"])
        return report


def _percentage(text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0 < number <= 100:
        raise ArgumentTypeError("a percentage, such as 1% or 0.5%")
    return number
