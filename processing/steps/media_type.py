"""What the file is, told from its content a second time, apart from the door it came through."""

from typing import BinaryIO

from processing.steps.contract import Output, Step, StepContext
from uploads.media_types import HEAD_BYTES, declared_encoding, describe, inspect, may_be

MAX_DESCRIPTION = 500  # characters


def run(context: StepContext) -> Output:
    """Return the detected `media_type` beside the `accepted` one, and what libmagic says."""
    head = context.content.read(HEAD_BYTES)
    found = inspect(_Ranges(context.content, context.size))
    accepted = context.media_type.partition(";")[0].strip().lower()
    return {
        "media_type": found.media_type,
        "accepted": accepted,
        "agrees": may_be(found.media_type, accepted),
        "description": describe(head)[:MAX_DESCRIPTION],
        "encoding": declared_encoding(head),
    }


class _Ranges:
    """A file, as a `RangeSource`."""

    def __init__(self, content: BinaryIO, size: int) -> None:
        self._content = content
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        self._content.seek(offset)
        return self._content.read(length)


# libmagic is written in C, but has judged the same bytes at the door, where there is more to win.
step = Step("media_type", run, title="Type detection", shares_child=("*/*",))
