"""Wrap all owner keys again under the active master key."""

import json
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from uploads import master_keys, rotation
from uploads.encryption import Damaged, UnknownKey
from uploads.key_models import OwnerKey
from uploads.keys import key_ring
from uploads.management.progress import Progress
from uploads.master_keys.naming import next_id

DONE, AT_FAULT, COULD_NOT_LOOK = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Wrap all owner keys again under the active master key, while the system serves. No blob "
        "changes. Run it again after an interruption. Ends with 0 if every owner key opens and is "
        "under the active master key, 1 if not, 2 if it could not look."
    )
    requires_system_checks: list[str] = []  # what is wrong is what it has to say itself

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--new", action="store_true", help="make a new master key first, and activate it"
        )
        what.add_argument(
            "--check",
            action="store_true",
            help="change nothing: open every owner key, and tell which master keys are needed",
        )
        parser.add_argument("--json", action="store_true", help="report for a program")

    def handle(self, **options: Any) -> None:
        try:
            if options["new"]:
                self._add_key()
            rewrapped = 0 if options["check"] else self._rotate()
            inspection = self._inspect()
        except (ImproperlyConfigured, Error) as error:
            raise CommandError(
                f"The keys could not be looked at: {error}", returncode=COULD_NOT_LOOK
            ) from error
        except (UnknownKey, Damaged) as error:
            raise CommandError(
                f"An owner key could not be opened: {error.detail} What was done is done; "
                "`rotate_keys --check` names them all.",
                returncode=AT_FAULT,
            ) from error
        self._report(rewrapped, inspection, as_json=options["json"])

    def _add_key(self) -> None:
        def edit(ring: master_keys.RingFile) -> master_keys.RingFile:
            key_id = next_id(ring.protected)
            return ring.with_new_key(key_id).with_active(key_id)

        changed = master_keys.change(edit)
        self.stderr.write(
            f"The master key {changed.active} is new, and active. Make a backup of the key ring."
        )

    def _rotate(self) -> int:
        rewrapped = 0
        with Progress("rotate") as progress:
            progress.expect(rotation.left())
            for count in rotation.rewrap_all():
                rewrapped += count
                progress.advance(count=count)
        return rewrapped

    def _inspect(self) -> rotation.Inspection:
        inspection = rotation.Inspection()
        with Progress("check") as progress:
            progress.expect(OwnerKey.objects.count())
            seen = 0
            for inspection in rotation.inspect():
                looked_at = inspection.needed.total()
                progress.advance(count=looked_at - seen)
                seen = looked_at
        return inspection

    def _report(self, rewrapped: int, found: rotation.Inspection, *, as_json: bool) -> None:
        ring = key_ring()
        unneeded = [key_id for key_id in ring.ids if not found.needed[key_id]]
        unneeded = [key_id for key_id in unneeded if key_id != ring.active]
        left = found.needed.total() - found.needed[ring.active]
        report = {
            "active": ring.active,
            "rewrapped": rewrapped,
            "left": left,
            "needed": dict(sorted(found.needed.items())),
            "not_needed": unneeded,
            "unopened": [str(owner_id) for owner_id in found.unopened],
        }
        if as_json:
            self.stdout.write(json.dumps(report, indent=2))
        else:
            self.stdout.write(f"{rewrapped} owner keys were wrapped again; {left} are left.")
            for key_id in sorted({*ring.ids, *found.needed}):
                role = "active" if key_id == ring.active else "old"
                role = role if key_id in ring.ids else "NOT IN THE RING"
                self.stdout.write(f"{key_id:<20} {role:<16} wraps {found.needed[key_id]}")
            for owner_id in found.unopened:
                self.stdout.write(f"unopened   owner {owner_id}")
            for key_id in unneeded:
                self.stdout.write(f"Nothing needs {key_id}: remove it with `master_keys remove`.")
        sys.exit(AT_FAULT if left or found.unopened else DONE)
