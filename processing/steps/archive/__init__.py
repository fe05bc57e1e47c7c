"""What is in an archive or a mail: its tree, what is odd about it, and its members one by one."""

from typing import Any

from processing.steps.archive import formats
from processing.steps.archive.entries import FILE, Entry
from processing.steps.archive.limits import (
    GIB,
    ArchiveLimits,
    Budget,
    Damaged,
    Unsupported,
    refusal,
)
from processing.steps.archive.streams import BLOCK
from processing.steps.archive.walk import (
    KEPT_BACK,
    KEPT_BACK_OF_MAIL,
    Member,
    Metered,
    Walk,
    failure_of,
    open_archive,
)
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext

MAX_LISTED = 1000  # members of the outermost archive; of those inside it, as many again
MAX_LISTED_CHARS = 300_000  # of their paths, for either
MAX_TAKEN = 1000

DEFAULTS = ArchiveLimits()
SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "max_bytes": {
            "type": "integer",
            "minimum": 1,
            "maximum": 64 * GIB,
            "default": DEFAULTS.max_bytes,
        },
        "max_members": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "default": DEFAULTS.max_members,
        },
        "max_depth": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10,
            "default": DEFAULTS.max_depth,
        },
        "max_ratio": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "default": DEFAULTS.max_ratio,
        },
        "encrypted": {"enum": ["list", "refuse"], "default": "list"},
        "take": {"type": "integer", "minimum": 0, "maximum": MAX_TAKEN, "default": 0},
        "after": {"type": "integer", "minimum": 0, "default": 0},
    },
}


def run(context: StepContext) -> Output:
    """Return the tree; with `take`, members of the outermost archive become artifacts.

    The archive is read once to its end before any member is handed out: a bomb, or a member
    that is damaged, gives nothing.

    Raises:
        StepFailed: the codes of `processing.steps.archive.limits.REASONS`.
    """
    settings: Any = context.settings
    limits = ArchiveLimits(
        settings.get("max_bytes", DEFAULTS.max_bytes),
        settings.get("max_members", DEFAULTS.max_members),
        settings.get("max_depth", DEFAULTS.max_depth),
        settings.get("max_ratio", DEFAULTS.max_ratio),
    )
    budget = Budget(limits, context.size)
    walk = Walk(budget)
    listing = Listing()
    try:
        kind, source = open_archive(context.content, context.size, context.media_type)
        for member in walk.members(kind, source):
            listing.add(member)
    except (Damaged, Unsupported) as error:
        raise failure_of(error) from None
    if settings.get("encrypted") == "refuse" and walk.findings["encrypted"]:
        raise refusal("archive_encrypted")
    taken = {}
    if count := settings.get("take", 0):
        back = KEPT_BACK_OF_MAIL if kind == "mail" else KEPT_BACK
        wanted = listing.to_take(after=settings.get("after", 0), keep_back=back)
        taken = _hand_out(context, Budget(limits, context.size), wanted[:count])
    return {
        "format": kind,
        "member_count": budget.members,
        "kinds": dict(walk.kinds),
        "unpacked_bytes": budget.bytes,
        "ratio": round(budget.bytes / context.size, 2) if context.size else 0,
        "depth": walk.depth,
        "complete": walk.is_complete,
        "findings": dict(sorted(walk.findings.items())),
        "members": listing.to_data(taken),
        "listed": len(listing.outer) + len(listing.inner),
        "taken": len(taken),
    }


class Listing:
    """The members that are named in the output: first those of the outermost archive."""

    def __init__(self) -> None:
        self.outer: list[Member] = []
        self.inner: list[Member] = []
        self._chars = {True: 0, False: 0}

    def add(self, member: Member) -> None:
        """Take a member in, if there is room."""
        outermost = member.depth == 1
        members = self.outer if outermost else self.inner
        if len(members) < MAX_LISTED and self._chars[outermost] < MAX_LISTED_CHARS:
            self._chars[outermost] += len(member.path)
            members.append(member)

    def to_take(self, *, after: int, keep_back: frozenset[str]) -> list[Member]:
        """Return the files after the index `after` that have none of the flags `keep_back`."""
        return [
            member
            for member in self.outer
            if member.kind == FILE and member.index > after and not keep_back & set(member.flags)
        ]

    def to_data(self, taken: dict[int, str]) -> list[JSON]:
        """Return the members in the order of the tree."""
        members = sorted(self.outer + self.inner, key=lambda member: member.index)
        return [
            {
                "index": member.index,
                "parent": member.parent,
                "depth": member.depth,
                "path": member.path,
                "kind": member.kind,
                "size": member.size,
                "media_type": member.media_type,
                "flags": list(member.flags),
                "artifact": taken.get(member.index),
            }
            for member in members
        ]


def _hand_out(context: StepContext, budget: Budget, wanted: list[Member]) -> dict[int, str]:
    """Write each member to an artifact, one after the other, and return their names by index."""
    names: dict[int, str] = {}
    left = iter(wanted)
    member = next(left, None)
    context.content.seek(0)
    kind, source = open_archive(context.content, context.size, context.media_type)
    try:
        for place, entry in enumerate(formats.entries(kind, source, _never_needed)):
            if member is None:
                break
            if place == member.place:
                names[member.index] = _write(context, budget, member, entry)
                member = next(left, None)
    except (Damaged, Unsupported) as error:  # it was right a moment ago
        raise failure_of(error) from None
    return names


def _write(context: StepContext, budget: Budget, member: Member, entry: Entry) -> str:
    assert entry.open is not None  # noqa: S101 - it was read before
    name = f"member-{member.index:05}"
    content = Metered(entry.open(), budget)
    with context.open_artifact(name, "application/octet-stream") as artifact:
        while data := content.read(BLOCK):
            artifact.write(data)
    return name


def _never_needed(_: object) -> formats.Source:
    raise Unsupported  # the outermost archive is seekable


step = Step(
    "archive",
    run,
    title="Archive members",
    media_types=(*formats.BY_MEDIA_TYPE,),
    limits=Limits(wall_s=600, cpu_s=300, memory_bytes=512 * MIB, output_bytes=2 * MIB),
    settings_schema=SCHEMA,
)
