"""A drop folder with a user, and a watcher that is driven by hand."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from uploads.models import Upload, UploadState
from uploads.reading import open_content
from uploads.watch import watcher
from uploads.watch.folders import PARTS, DropFolder
from uploads.watch.watcher import Watcher


class Told:
    """Notices that the test gives."""

    def __init__(self) -> None:
        self.topics: set[str] = set()

    def watch(self, descriptor: int, topic: str) -> None:
        pass

    def polled(self, topic: str) -> str:
        return ""

    def wait(self, timeout_s: float) -> Iterable[str] | None:
        topics, self.topics = self.topics, set()
        return topics

    def close(self) -> None:
        pass


class Scene:
    """The drop folder of the owner, and one watcher after another."""

    def __init__(self, root: Path, owner: Any) -> None:
        self.root = root
        self.owner = owner
        self.folder = DropFolder(root / owner.username)
        self.folder.make()
        self.watcher = Watcher(root, Told())

    @property
    def unprocessed(self) -> Path:
        return self.folder.root / "unprocessed"

    @property
    def underprocess(self) -> Path:
        return self.folder.root / "underprocess"

    def restart(self) -> None:
        """Let a new process take the place of one that was killed."""
        self.watcher = Watcher(self.root, Told())

    def drop(self, name: str, content: bytes = b"one line\n") -> Path:
        path = self.unprocessed / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        return path

    def watch(self) -> None:
        """Sweep, and take turns until nothing is left to do at once."""
        self.watcher.sweep()
        while self.watcher.take_turns():
            pass

    def end_runs(self, state: UploadState = UploadState.SUCCEEDED) -> None:
        Upload.objects.update(state=state)
        self.watcher.close_notes()

    def names(self, part: str) -> list[str]:
        return sorted(path.name for path in (self.folder.root / part).iterdir())

    def everything(self) -> dict[str, list[str]]:
        return {part: names for part in PARTS if (names := self.names(part))}

    def receipt(self, name: str) -> dict[str, Any]:
        receipt: dict[str, Any] = json.loads((self.folder.root / name).read_text())
        return receipt


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the connection whose transaction the test takes back."""
    monkeypatch.setattr(watcher, "close_old_connections", lambda: None)


@pytest.fixture
def scene(tmp_path: Path, settings: Any, owner: Any, pipelines: None) -> Scene:
    return Scene(tmp_path / "drop", owner)


def content_of(upload: Upload) -> bytes:
    return b"".join(open_content(upload).chunks())
