"""Where the text of a document goes: one artifact, opened when there is something to write."""

from typing import BinaryIO

from processing.steps.contract import StepContext

MAX_TEXT_CHARS = 64_000_000
PIECE_CHARS = 64 * 1024


class Full(Exception):
    """No more text is taken."""


class TextSink:
    """A text artifact, bounded; `is_cut` says that something was left out."""

    def __init__(
        self, context: StepContext, max_chars: int = MAX_TEXT_CHARS, *, name: str = "text.txt"
    ) -> None:
        self._name = name
        self._context = context
        self._artifact: BinaryIO | None = None
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._max_chars = max_chars
        self.characters = 0
        self.is_cut = False

    def add(self, text: str) -> None:
        """Append text.

        Raises:
            Full: after what still had room.
        """
        room = self._max_chars - self.characters
        if len(text) > room:
            text = text[:room]
            self.is_cut = True
        self.characters += len(text)
        self._waiting.append(text)
        self._waiting_chars += len(text)
        if self._waiting_chars >= PIECE_CHARS:
            self._flush()
        if self.is_cut:
            raise Full

    def close(self) -> None:
        """Finish the artifact, if there is one."""
        self._flush()
        if self._artifact is not None:
            self._artifact.close()

    def _flush(self) -> None:
        text = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        if self._artifact is None and text.strip():
            self._artifact = self._context.open_artifact(self._name, "text/plain; charset=utf-8")
        if self._artifact is not None:
            self._artifact.write(text.encode("utf-8", "replace"))
        elif text:
            self._waiting, self._waiting_chars = [text[-PIECE_CHARS:]], 0
