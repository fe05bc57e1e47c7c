"""Lines on their way: a batch shares a tag and a past, so that costs are paid once for many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, TypeAlias

OpenArtifact: TypeAlias = Callable[[str, str], BinaryIO]


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines with one `tag` that have taken the same `path`; `numbers` are those in the file.

    Its lists belong to nobody: a processor that changes lines makes new ones.
    """

    numbers: Sequence[int]
    tag: str
    lines: list[str]
    path: tuple[str, ...] = ()


class Sink:
    """A text artifact of lines, in the order of the file, opened at its first line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines = 0
        self.bytes = 0
        self._window: list[Batch] = []
        self._artifact: BinaryIO | None = None

    def take(self, batch: Batch) -> None:
        """Keep `batch` until the window ends."""
        self._window.append(batch)

    def flush(self, open_artifact: OpenArtifact) -> None:
        """Write the window, in the order of the file whichever way its lines came."""
        if not self._window:
            return
        lines = _in_order(self._window)
        self._window = []
        if self._artifact is None:
            self._artifact = open_artifact(self.file, "text/plain; charset=utf-8")
        data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        self._artifact.write(data)
        self.lines += len(lines)
        self.bytes += len(data)

    def close(self) -> None:
        """Finish the artifact, if there is one."""
        if self._artifact is not None:
            self._artifact.close()


def _in_order(batches: list[Batch]) -> list[str]:
    if len(batches) == 1:
        return batches[0].lines
    numbers = list(chain.from_iterable(batch.numbers for batch in batches))
    lines = list(chain.from_iterable(batch.lines for batch in batches))
    return [lines[at] for at in sorted(range(len(lines)), key=numbers.__getitem__)]
