"""Runs one step in this process over bytes, and keeps its artifacts."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from processing.steps.contract import JSON, Output, Step, StepContext


class Artifact(io.BytesIO):
    """An artifact in memory that can be read after it was closed."""

    def __init__(self, media_type: str) -> None:
        super().__init__()
        self.media_type = media_type
        self.content: bytes | None = None  # until it is closed

    def close(self) -> None:
        if self.content is None:
            self.content = self.getvalue()
        super().close()


@dataclass
class Result:
    """What a step gave: its output, and its artifacts by name."""

    output: Output = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    def content(self, name: str) -> bytes:
        content = self.artifacts[name].content
        assert content is not None, f"{name} was not closed"
        return content

    def text(self, name: str) -> str:
        return self.content(name).decode()


class Unlikely(io.RawIOBase):
    """Content as the sandbox gives it: readable and seekable, and no more than a few bytes a read.

    It counts what was read, so that a test can tell a step that reads a head from one that
    reads all.
    """

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._inner.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._inner.readinto(memoryview(buffer)[:8191])
        self.bytes_read += count
        return count


def run(
    step: Step,
    content: bytes | BinaryIO,
    media_type: str = "application/octet-stream",
    settings: Mapping[str, JSON] | None = None,
    results: Mapping[str, Output] | None = None,
) -> Result:
    """Run `step` over `content` and return what it gave."""
    result = Result()

    def open_artifact(name: str, media_type: str) -> BinaryIO:
        assert name not in result.artifacts, f"{name} was opened twice"
        result.artifacts[name] = Artifact(media_type)
        return result.artifacts[name]

    if isinstance(content, bytes):
        source: BinaryIO = io.BufferedReader(Unlikely(content))
        size = len(content)
    else:
        source, size = content, content.seek(0, 2)
        content.seek(0)
    result.output = step.run(
        StepContext(source, size, media_type, open_artifact, settings or {}, results or {})
    )
    return result
