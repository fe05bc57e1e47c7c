"""Which drop folders there are, whose, and by which rules."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from config.accounts.models import User
from uploads.folder_models import WatchedFolder, misplaced, paths_by_id
from uploads.labels import split_tags

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """One drop folder. `key` is the same in every sweep; `watched` holds the rules of its own."""

    key: str
    root: Path
    owner: User
    watched: WatchedFolder | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags of what is put there."""
        return split_tags(self.watched.tags) if self.watched else ()

    @property
    def pipeline(self) -> str | None:
        """Return the name of the pipeline that is asked for."""
        return (self.watched.pipeline or None) if self.watched else None

    def label_of(self, inner: str) -> str:
        """Return the folder of an upload that lay in the inner folder `inner`."""
        label = self.watched.label if self.watched else ""
        return "/".join(part for part in (label, inner) if part)


def places(root: Path) -> Iterator[Place]:
    """Yield the folder below `root` of every active user, then the other folders."""
    for user in User.objects.filter(is_active=True):
        if user.username not in (
            ".",
            "..",
        ):  # Django accepts these, and they are no folders of ours
            yield Place(user.username, root / user.username, user)
    paths = paths_by_id()
    rows = WatchedFolder.objects.filter(enabled=True, owner__is_active=True)
    for row in rows.select_related("owner"):
        if misplaced(row, paths):  # by what has changed since it was saved
            logger.error("watched folder left out", extra={"folder": str(row.pk)})
        else:
            yield Place(f"folder:{row.pk}", Path(row.path), row.owner, row)


def receipt_until() -> datetime | None:
    """Return how long a receipt that is written now is kept; None for ever."""
    return _in_days(settings.UPLOADS["DROP_RECEIPT_DAYS"])


def refused_until() -> datetime | None:
    """Return how long a file that is refused now is kept; None for ever."""
    return _in_days(settings.UPLOADS["DROP_REFUSED_DAYS"])


def _in_days(days: int) -> datetime | None:
    return timezone.now() + timedelta(days=days) if days else None
