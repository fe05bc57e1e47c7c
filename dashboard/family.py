"""The tree of an upload: what it was in, and what came out of it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from dashboard.names import printable
from uploads.models import Upload
from uploads.names import names_of

MAX_SHOWN = 500
DEEPEST = 6  # beyond, rows are not indented any further


@dataclass(frozen=True)
class Relative:
    """An upload of the family, `depth` below the one that is looked at."""

    upload: Upload
    name: str
    depth: int


@dataclass(frozen=True)
class Family:
    """The parent, if there is one, and all that came out of an upload, each below its parent."""

    parent: Relative | None
    members: Sequence[Relative]
    is_cut: bool


def family_of(upload: Upload) -> Family:
    """Return the family of an upload, in a fixed number of queries."""
    root_id = upload.root_id or upload.pk
    below = Upload.objects.filter(
        owner=upload.owner_id, root_id=root_id, depth__gt=upload.depth
    ).order_by("depth", "id")
    found = list(below[: MAX_SHOWN + 1])
    shown = found[:MAX_SHOWN]
    parents = [upload.parent] if upload.parent is not None else []
    names = names_of([*parents, *shown]) if parents or shown else {}
    by_parent: dict[UUID | None, list[Upload]] = defaultdict(list)
    for member in shown:
        by_parent[member.parent_id].append(member)

    def under(parent_id: UUID, depth: int) -> Iterator[Relative]:
        for member in by_parent[parent_id]:
            yield Relative(member, printable(names[member.pk]), min(depth, DEEPEST))
            yield from under(member.pk, depth + 1)

    return Family(
        parent=Relative(parents[0], printable(names[parents[0].pk]), 0) if parents else None,
        members=list(under(upload.pk, 0)),
        is_cut=len(found) > MAX_SHOWN,
    )
