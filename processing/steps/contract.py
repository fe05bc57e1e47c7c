"""What a step is given, and what it may answer. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, TypeAlias

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Output: TypeAlias = dict[str, JSON]

MIB = 1024 * 1024


class StepFailed(Exception):
    """A step could not do its work, for a reason that its owner may read.

    `code` is stable and snake_case. `detail` is a sentence without content of the file.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class StepContext:
    """One step's view of one file.

    `content` is readable and seekable, `size` bytes long, and fetched on demand: nothing of
    it is held in memory. `results` are the outputs of the steps that ran before, by name,
    for a step that `reads_results`.
    `open_artifact(name, media_type)` gives a writable binary file; what is written and closed
    becomes an artifact of the run if the step succeeds.
    """

    content: BinaryIO
    size: int
    media_type: str
    open_artifact: Callable[[str, str], BinaryIO]
    settings: Mapping[str, JSON] = field(default_factory=dict)
    results: Mapping[str, Output] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What one execution of a step may use at the most."""

    wall_s: float = 60.0
    cpu_s: int = 60
    memory_bytes: int = 512 * MIB  # address space, above what the warm process maps
    output_bytes: int = 1 * MIB  # of the JSON answer
    artifact_bytes: int = 4096 * MIB  # of all artifacts together


@dataclass(frozen=True)
class Step:
    """One function over one file, registered under `name`.

    `media_types` are the patterns that it can read (`text/*`, `*/*`); others are skipped.
    `reads_results`: it is given the outputs of the steps before it; others are not.
    `makes_children`: its artifacts are members of the file, and become uploads.
    `shares_child` are the patterns of types that it reads with Python's own code, or with what has
    read the same bytes at the door already. No content takes its process over that could not do
    worse before, so that process may go on to the owner's next file. None where a parser in C or
    Rust is at work.
    `tells`: once it succeeds, the endpoint that its settings name is told of the run.
    `varies` names the keys of its output that differ each time, such as times it took.
    `settings_schema` is the JSON Schema of its settings; `check_settings` says what a schema
    cannot: it returns a sentence for each mistake, as (key path, sentence), before any run.
    """

    name: str
    run: Callable[[StepContext], Output]
    title: str
    media_types: tuple[str, ...] = ("*/*",)
    limits: Limits = field(default_factory=Limits)
    settings_schema: Mapping[str, JSON] = field(default_factory=dict)
    check_settings: Callable[[Mapping[str, JSON]], list[tuple[str, str]]] | None = None
    varies: frozenset[str] = frozenset()
    reads_results: bool = False
    makes_children: bool = False
    shares_child: tuple[str, ...] = ()
    tells: bool = False

    def reads(self, media_type: str) -> bool:
        """Tell whether the step can read a file of this type."""
        return any(matches(pattern, media_type) for pattern in self.media_types)

    def leaves_child_clean(self, media_type: str) -> bool:
        """Tell whether its process may go on to another file after one of this type."""
        return any(matches(pattern, media_type) for pattern in self.shares_child)


@lru_cache(maxsize=1024)
def matches(pattern: str, media_type: str) -> bool:
    """Tell whether `media_type`, parameters and case aside, is one that `pattern` names."""
    essence = media_type.partition(";")[0].strip().lower()
    if pattern == "*/*":
        return True
    if pattern.endswith("/*"):
        return essence.startswith(pattern[:-1])
    return essence == pattern
