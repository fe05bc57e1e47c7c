"""Keeps the key tables in a database of their own, where one is configured.

Then a copy of the main database holds no key, and one that is brought back brings none back.
"""

from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.models import Model

from uploads.key_models import Erasure, OwnerKey, UploadKey

ALIAS = "keys"
BATCH = 500
MODELS: tuple[type[Model], ...] = (OwnerKey, UploadKey, Erasure)


class KeyStoreRouter:
    """A database router, for `DATABASE_ROUTERS`."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        return ALIAS if model in MODELS and is_apart() else None

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        return self.db_for_read(model)

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **_: Any
    ) -> bool | None:
        """Each table in one database only; the record of migrations is in both."""
        if not is_apart():
            return None
        ours = app_label == "uploads" and model_name in {m._meta.model_name for m in MODELS}
        return ours == (db == ALIAS)


def is_apart() -> bool:
    """Tell whether the keys have a database of their own."""
    return ALIAS in settings.DATABASES


def move_in() -> int:
    """Move the rows of the key tables out of the main database into their own; return how many.

    For an installation that has kept them in the main database so far, and is stopped. Rows are
    durable in the new place before they go from the old one; it can be run again.
    """
    main = connections["default"]
    moved = 0
    for model in MODELS:
        if model._meta.db_table not in main.introspection.table_names():
            continue
        rows: Any = model._default_manager
        while batch := list(rows.using("default").order_by("pk")[:BATCH]):
            rows.using(ALIAS).bulk_create(batch, ignore_conflicts=True)
            pks = [row.pk for row in batch]
            kept = set(rows.using(ALIAS).filter(pk__in=pks).values_list("pk", flat=True))
            with transaction.atomic(using="default"):
                moved += rows.using("default").filter(pk__in=kept).delete()[0]
    if main.vendor == "sqlite":
        with main.cursor() as cursor:  # nothing of them may stay in the file or in its log
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return moved
