"""Look after the key ring: add master keys, activate one, remove one, protect them."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, router, transaction

from uploads import rotation
from uploads.key_models import OwnerKey
from uploads.master_keys import RingFile, change, document
from uploads.master_keys.custody import custody_of_kind, kinds
from uploads.master_keys.naming import next_id


class Command(BaseCommand):
    help = "Show the key ring, without its keys, or change it."
    requires_system_checks: list[str] = []  # without a ring, it has to say so itself

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="show the ids, and how many owner keys each wraps")
        add = actions.add_parser("add", help="make a new master key, which is not active yet")
        add.add_argument("--id")
        activate = actions.add_parser("activate", help="let a master key wrap from now on")
        activate.add_argument("id")
        remove = actions.add_parser("remove", help="destroy a master key that nothing needs")
        remove.add_argument("id")
        protect = actions.add_parser("protect", help="change what protects the keys in the ring")
        protect.add_argument("kind", choices=kinds())
        protect.add_argument("--kms-key", default="", help="id, alias or ARN of the key of KMS")
        protect.add_argument("--region", default="", help="region of KMS")

    def handle(self, **options: Any) -> None:
        act: Callable[[dict[str, Any]], str] = getattr(self, f"_{options['action']}")
        try:
            self.stdout.write(act(options))
        except (ImproperlyConfigured, ValueError, Error, OSError) as error:
            raise CommandError(f"The key ring was not changed: {error}") from error

    def _list(self, _: dict[str, Any]) -> str:
        ring = document()
        rows = dict.fromkeys(ring.protected, 0)
        for key_id in OwnerKey.objects.values_list("master_key_id", flat=True).iterator():
            rows[key_id] = rows.get(key_id, 0) + 1
        lines = [f"protected by: {ring.custody.kind}"]
        for key_id, count in sorted(rows.items()):
            role = "active" if key_id == ring.active else ""
            role = role if key_id in ring.protected else "NOT IN THE RING"
            lines.append(f"{key_id:<20} {role:<16} wraps {count}")
        return "\n".join(lines)

    def _add(self, options: dict[str, Any]) -> str:
        chosen: list[str] = []

        def edit(ring: RingFile) -> RingFile:
            chosen.append(options["id"] or next_id(ring.protected))
            return ring.with_new_key(chosen[0])

        change(edit)
        return (
            f"The master key {chosen[0]} is in the ring. Make a backup of the ring, bring it to "
            f"every machine, then run `manage.py master_keys activate {chosen[0]}`."
        )

    def _activate(self, options: dict[str, Any]) -> str:
        change(lambda ring: ring.with_active(options["id"]))
        return f"The master key {options['id']} is active. Now run `manage.py rotate_keys`."

    def _remove(self, options: dict[str, Any]) -> str:
        """Remove a key once it is certain, and while it stays certain, that nothing needs it."""
        key_id = options["id"]
        with transaction.atomic(using=router.db_for_write(OwnerKey)):
            rotation.lock_owner_keys()
            if needed := rotation.inspect_all().needed[key_id]:
                raise ValueError(
                    f"{needed} owner keys need {key_id}. Run `manage.py rotate_keys` first."
                )
            change(lambda ring: ring.without(key_id))
        return (
            f"The master key {key_id} is gone from the ring. Destroy its copies too: with one, and "
            "an old copy of the key tables, what was erased since could be read."
        )

    def _protect(self, options: dict[str, Any]) -> str:
        kind = custody_of_kind(options["kind"])
        custody = kind.create(kms_key=options["kms_key"], region=options["region"])
        change(lambda ring: ring.under(custody))
        return (
            f"The key ring is protected by: {custody.kind}. Its earlier form still lies in old "
            "backups, and perhaps on the disk: rotate the keys, if it has been in the clear."
        )
