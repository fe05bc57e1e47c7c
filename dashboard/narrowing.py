"""What the inbox can be narrowed to: groups of states, kinds of files, what was found in them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Self
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Value

from dashboard.findings import LABELS
from uploads import search
from uploads.models import Finding, Upload, UploadState, Verdict

MAX_QUESTION_CHARS = 500

WORKING = (UploadState.QUEUED, UploadState.RUNNING)
ENDED = (UploadState.SUCCEEDED, UploadState.CANCELLED)
# Held for a reason, and not only until its checks are made.
HELD_BACK = Q(held=True, verdict__in=(Verdict.QUARANTINED, Verdict.NOT_CHECKED))

# Each file is in one group: what is held back needs attention, whatever its state.
GROUPS: Mapping[str, Q] = {
    "all": Q(),
    "attention": Q(state=UploadState.FAILED) | HELD_BACK,
    "progress": Q(state__in=WORKING) & ~HELD_BACK,
    "done": Q(state__in=ENDED) & ~HELD_BACK,
}

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
OTHER = "other"

# Kind -> its name, and how its media types begin. A table in plain text is a text, too.
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "picture": ("Pictures", ("image/",)),
    "media": ("Sound and film", ("audio/", "video/")),
    "text": ("Texts", ("text/", "application/json", "application/xml", "application/yaml")),
    "table": (
        "Tables",
        ("text/csv", "text/tab-separated-values", "application/vnd.ms-excel",
         f"{_OFFICE}spreadsheetml.", f"{_ODF}spreadsheet", "application/x-ndjson",
         "application/vnd.apache.parquet"),
    ),
    "document": (
        "Documents",
        ("application/pdf", "application/rtf", "application/msword", "application/vnd.ms-word.",
         "application/vnd.ms-powerpoint", f"{_OFFICE}wordprocessingml.",
         f"{_OFFICE}presentationml.", f"{_ODF}text", f"{_ODF}presentation", f"{_ODF}graphics",
         "application/epub+zip"),
    ),
    "mail": ("Mail", ("message/", "application/mbox", "application/vnd.ms-outlook")),
    "archive": (
        "Archives",
        ("application/zip", "application/gzip", "application/x-tar", "application/x-7z-",
         "application/vnd.rar", "application/x-bzip2", "application/x-xz", "application/zstd",
         "application/java-archive"),
    ),
}  # fmt: skip

# What was found, or came of it -> how it is called.
FOUND: Mapping[str, str] = {
    "any": "With any",
    "none": "With none",
    "held": "Held back",
    **LABELS,
}


@dataclass(frozen=True)
class Narrowing:
    """What a list of files is narrowed to. Empty: it is not."""

    group: str = "all"
    kind: str = ""
    finding: str = ""
    question: str = ""

    kinds = (*((key, label) for key, (label, _) in KINDS.items()), (OTHER, "Others"))
    found = tuple(FOUND.items())

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read the query of an address. What it does not know narrows nothing."""
        group, kind, finding = (query.get(key, "") for key in ("show", "kind", "finding"))
        return cls(
            group=group if group in GROUPS else "all",
            kind=kind if kind in KINDS or kind == OTHER else "",
            finding=finding if finding in FOUND else "",
            question=query.get("search", "").strip()[:MAX_QUESTION_CHARS],
        )

    @property
    def is_chosen(self) -> bool:
        """Tell whether more than a group is asked for."""
        return bool(self.kind or self.finding or self.question)

    def of_those(self, uploads: QuerySet[Upload], *, owner_id: UUID) -> QuerySet[Upload]:
        """Return those of the uploads of one owner that it is narrowed to."""
        uploads = uploads.filter(GROUPS[self.group])
        if self.kind == OTHER:
            uploads = uploads.exclude(_of_kinds(*KINDS))
        elif self.kind:
            uploads = uploads.filter(_of_kinds(self.kind))
        if self.finding:
            uploads = uploads.filter(_with(self.finding))
        if self.question:
            uploads = search.having(uploads, owner_id=owner_id, question=self.question)
        return uploads


ALL = Narrowing()


def counts_of(uploads: QuerySet[Upload]) -> dict[str, int]:
    """Return how many of the uploads are in each group: one query over two indexes."""
    held_back = _by_state(uploads.filter(HELD_BACK), is_back=True)
    by_state: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for state, count, is_back in _by_state(uploads, is_back=False).union(held_back, all=True):
        (back if is_back else by_state)[state] = count
    progress = sum(by_state[state] - back[state] for state in WORKING)
    done = sum(by_state[state] - back[state] for state in ENDED)
    every = by_state.total()
    return {"all": every, "attention": every - progress - done, "progress": progress, "done": done}


def _by_state(uploads: QuerySet[Upload], *, is_back: bool) -> QuerySet[Upload, Any]:
    counted = uploads.order_by().values("state").annotate(count=Count("id"))
    return counted.values_list("state", "count", Value(is_back))


def _of_kinds(*kinds: str) -> Q:
    starts = (Q(media_type__startswith=start) for kind in kinds for start in KINDS[kind][1])
    return reduce(or_, starts)


def _with(finding: str) -> Q:
    if finding == "held":
        return Q(held=True)
    findings = Finding.objects.filter(upload=OuterRef("pk"))
    if finding in LABELS:
        return Q(Exists(findings.filter(code=finding)))
    return Q(Exists(findings)) if finding == "any" else ~Q(Exists(findings))
