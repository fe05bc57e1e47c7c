"""Rotation: owner keys are wrapped again under the active master key; no blob changes.

Small transactions, each of some hundred keys: the system serves meanwhile. Whoever is killed in
the middle leaves every key wrapped by the old or by the new master key, and the next rotation goes
on with what is left.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connections, router, transaction

from uploads.encryption import Damaged, KeyRing, UnknownKey, owner_context
from uploads.key_models import OwnerKey
from uploads.keys import key_ring

BATCH = 1000


@dataclass
class Inspection:
    """Which master keys are needed: how many owner keys each of them wraps, and what is wrong."""

    needed: Counter[str] = field(default_factory=Counter)
    unopened: list[UUID] = field(default_factory=list)


def left() -> int:
    """Return how many owner keys are not under the active master key."""
    return OwnerKey.objects.exclude(master_key_id=key_ring().active).count()


def rewrap_all() -> Iterator[int]:
    """Wrap again what is not under the active master key; yield how many, batch by batch.

    Raises:
        UnknownKey: the master key of one is not in the ring.
        Damaged: one does not open. What was yielded before is done.
    """
    after: UUID | None = None
    while True:
        if batch := _next_batch(after):
            yield _rewrap(batch, key_ring())
            after = batch[-1]
        elif after is not None:
            after = None  # once more from the start: some may have come behind our back
        else:
            return


def inspect() -> Iterator[Inspection]:
    """Open every owner key; yield the growing inspection after each batch, at least once.

    What wrapped a key is read from the wrapped key itself, not from the column beside it.
    """
    inspection, ring = Inspection(), key_ring()
    rows = OwnerKey.objects.order_by("pk")
    batch = list(rows[:BATCH])
    while True:
        for row in batch:
            try:
                inspection.needed[KeyRing.key_id(bytes(row.wrapped))] += 1
                ring.unwrap(bytes(row.wrapped), context=owner_context(row.owner_id))
            except (Damaged, UnknownKey):
                inspection.unopened.append(row.owner_id)
        yield inspection
        if not batch:
            return
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def inspect_all() -> Inspection:
    """Open every owner key."""
    (*_, inspection) = inspect()
    return inspection


def lock_owner_keys() -> None:
    """Wait for everybody who writes owner keys, and let nobody begin, until the transaction ends.

    On SQLite the transaction itself does that.
    """
    connection = connections[router.db_for_write(OwnerKey)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {OwnerKey._meta.db_table} IN SHARE MODE")


def _next_batch(after: UUID | None = None) -> list[UUID]:
    rows = OwnerKey.objects.exclude(master_key_id=key_ring().active).order_by("pk")
    if after is not None:  # or every batch would look again at all that is done
        rows = rows.filter(pk__gt=after)
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _rewrap(owner_ids: list[UUID], ring: KeyRing) -> int:
    """Wrap these again, unless they are gone or somebody else was faster.

    One statement a row: a row that is destroyed meanwhile must not come back.
    """
    database = router.db_for_write(OwnerKey)
    with transaction.atomic(using=database):
        rows = OwnerKey.objects.using(database).select_for_update().filter(pk__in=owner_ids)
        connection = connections[database]
        changed: list[list[Any]] = [
            [
                ring.rewrap(bytes(row.wrapped), context=owner_context(row.owner_id)),
                ring.active,
                OwnerKey._meta.pk.get_db_prep_value(row.pk, connection),
            ]
            for row in rows.exclude(master_key_id=ring.active)
        ]
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {OwnerKey._meta.db_table} SET wrapped = %s, master_key_id = %s "  # noqa: S608
                "WHERE owner_id = %s",
                changed,
            )
    return len(changed)
