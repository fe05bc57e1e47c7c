"""Members of an archive or a mail become uploads of its owner: the only maker of child uploads.

They come in through the intake like every file, under the same policy and quota, and get runs of
their own. Each is handed in under a key made of its parent and its place, so that a second attempt,
or another run, finds it there. What may not come in is left out, and counted by its reason.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Sum

from processing.pipelines import StepUse
from processing.sandbox import Session, StepOutcome
from processing.steps.contract import JSON, StepFailed
from processing.traces import Work
from uploads.errors import Refusal
from uploads.intake import Arrival, Offer, open_upload
from uploads.models import Door, Upload
from uploads.validation import NAME_CHARACTERS

AT_ONCE = 64  # members that are open together; each holds a segment in memory
PREFIX = "member-"


@dataclass
class Room:
    """How much more a family may hold: files and bytes."""

    files: int
    bytes: int

    @classmethod
    def of(cls, upload: Upload, *, max_files: int) -> "Room":
        """Return what is left of the limits, or of `max_files`, which may be fewer."""
        limits = settings.PROCESSING["FAMILY"]
        held = Upload.objects.filter(root_id=upload.root_id or upload.pk)
        held_bytes = held.aggregate(bytes=Sum("size"))["bytes"] or 0
        left = limits["MAX_FILES"] - held.count()
        return cls(files=min(left, max_files), bytes=limits["MAX_BYTES"] - held_bytes)


class Member:
    """One member while it arrives. `left_out` is why it does not come in, if it does not."""

    def __init__(self, offer: Offer, room: Room) -> None:
        self.left_out = ""
        self._room = room
        self._bytes = 0
        self._arrival: Arrival | None = None
        if room.files <= 0:
            self.left_out = "family_too_large"
            return
        room.files -= 1
        try:
            self._arrival = open_upload(offer)
        except Refusal as error:
            self.leave_out(error.code)

    def write(self, data: bytes) -> None:
        """Take the next bytes; those of a member that is left out are dropped."""
        if self._arrival is None:
            return
        self._bytes += len(data)
        self._room.bytes -= len(data)
        try:
            if self._room.bytes < 0:
                self.leave_out("family_too_large")
            else:
                self._arrival.write(data)
        except Refusal as error:
            self.leave_out(error.code)

    def close(self) -> None:
        """Wait for the others: all come in, or none."""

    def commit(self, name: str) -> Upload | None:
        """Make it an upload; None if it is left out."""
        if self._arrival is None:
            return None
        try:
            self._arrival.rename(name)
            upload = self._arrival.commit()
        except Refusal as error:
            self.leave_out(error.code)
            return None
        self._arrival = None
        return upload

    def leave_out(self, code: str) -> None:
        """Leave nothing of it behind."""
        self.abort()
        self.left_out = code
        self._room.files += 1
        self._room.bytes += self._bytes

    def abort(self) -> None:
        """Leave nothing behind. Harmless after a commit."""
        if self._arrival is not None:
            self._arrival.abort()
            self._arrival = None


@dataclass
class Taken:
    """What came in so far, and what it took."""

    children: list[JSON] = field(default_factory=list)
    known: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    usage: Counter[str] = field(default_factory=Counter)

    def outcome(self) -> StepOutcome:
        """Return it as the outcome of the step."""
        output: dict[str, JSON] = {
            "files": len(self.children),
            "known": self.known,
            "left_out": dict(sorted(self.left_out.items())),
            "children": self.children,
        }
        return StepOutcome(
            output=output,
            cpu_ms=float(self.usage["cpu_ms"]),
            max_rss_bytes=self.usage["max_rss_bytes"],
            bytes_in=self.usage["bytes_in"],
            bytes_out=self.usage["bytes_out"],
        )


def hand_in(work: Work, session: Session, use: StepUse) -> StepOutcome:
    """Take in the members of the upload of a run.

    Raises:
        StepFailed: what the step `archive` raises; child uploads that came in before stay.
    """
    parent = work.run.upload
    taken = Taken()
    if parent.depth >= settings.PROCESSING["FAMILY"]["MAX_DEPTH"]:
        taken.left_out["family_too_deep"] += 1
        return taken.outcome()
    max_files: Any = use.settings.get("max_files", settings.PROCESSING["FAMILY"]["MAX_FILES"])
    room = Room.of(parent, max_files=max_files)
    known = set(parent.children.values_list("idempotency", flat=True))
    after, more = 0, True
    while more:
        after, more = _hand_in_some(parent, session, use, after, known, room, taken)
    return taken.outcome()


def _hand_in_some(
    parent: Upload,
    session: Session,
    use: StepUse,
    after: int,
    known: set[str],
    room: Room,
    taken: Taken,
) -> tuple[int, bool]:
    """Take in the next members after a place; return the last place, and whether there are more."""
    members: dict[str, Member | None] = {}

    def open_member(name: str, media_type: str) -> Any:  # noqa: ARG001 - the content tells
        place = name.removeprefix(PREFIX)
        # Steps run in a child process that may be hostile: what it says is checked.
        if not place.isascii() or not place.isdigit() or name in members or len(members) >= AT_ONCE:
            raise StepFailed("artifact_refused", "The step named a member in an unfit way.")
        offer = _offer(parent, name, int(place))
        is_known = offer.idempotency in known
        members[name] = None if is_known else Member(offer, room)
        return members[name] or Dropped()

    try:
        outcome = session.run(
            use.step,
            settings={"take": AT_ONCE, "after": after},
            results={},
            open_artifact=open_member,
            wall_s=use.timeout_s,
        )
        listed = _listed(outcome.output)
        for name, member in members.items():
            _enter(name, member, str(listed.get(name, name)), taken)
    finally:
        for member in members.values():
            if member is not None:
                member.abort()
    for key in ("cpu_ms", "bytes_in", "bytes_out"):
        taken.usage[key] += getattr(outcome, key)
    taken.usage["max_rss_bytes"] = max(taken.usage["max_rss_bytes"], outcome.max_rss_bytes)
    last = max((int(name.removeprefix(PREFIX)) for name in members), default=after)
    return last, len(members) == AT_ONCE and last > after


class Dropped:
    """Takes the bytes of a member that is there already."""

    def write(self, data: bytes) -> None:
        """Drop them."""

    def close(self) -> None:
        """Do nothing."""


def _offer(parent: Upload, name: str, place: int) -> Offer:
    return Offer(
        owner=parent.owner,
        name=name,
        declared_type="",
        door=Door.MEMBER,
        idempotency=f"member:{parent.pk}:{place}",
        folder=parent.folder,
        tags=tuple(parent.tag_list),
        parent=parent,
    )


def _listed(output: Mapping[str, Any]) -> dict[str, str]:
    """Return the file name of each member that was handed out: the end of its path."""
    members = output.get("members")
    names = {}
    for member in members if isinstance(members, list) else []:
        if isinstance(member, dict) and isinstance(member.get("artifact"), str):
            path = str(member.get("path", "")).replace("\\", "/").replace("\0", "")
            name = path.rstrip("/").rpartition("/")[2][-NAME_CHARACTERS:]
            if name not in {"", ".", ".."}:
                names[member["artifact"]] = name
    return names


def _enter(name: str, member: Member | None, file_name: str, taken: Taken) -> None:
    if member is None:
        taken.known += 1
        return
    upload = member.commit(file_name)
    if upload is None:
        taken.left_out[member.left_out] += 1
        return
    index = int(name.removeprefix(PREFIX))
    taken.children.append({"index": index, "name": file_name, "upload": str(upload.pk)})
