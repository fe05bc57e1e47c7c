"""The packets between a worker and the child that runs its steps.

The channel is a socket pair that keeps packets apart (SOCK_SEQPACKET). A packet is one byte
of kind and a body of at most `PIECE` bytes. A longer body goes ahead in `PART` packets, to
which the last one is added. The content is the exception: the worker answers a `READ` with
bare pieces, `PIECE` bytes each and the last one fewer, so that the child can receive them
where they belong. Content that fits comes along with the request, and is not asked for; an
artifact that fits into a packet arrives as one.
"""

import struct
from typing import TypedDict

from processing.steps.contract import JSON, Output

PIECE = 64 * 1024
PACKET = 1 + struct.calcsize("=I") + PIECE  # the longest: WRITE with its number
MAX_READ = 1024 * 1024  # bytes that one READ may ask for
READ_AHEAD = 256 * 1024  # bytes that a child fetches where a step reads fewer

PART = b"P"

# worker to child
RUN = b"S"  # JSON: Request
RUN_OVER = b"T"  # LENGTH of the JSON, JSON: Request, all of the content; always one packet

# child to worker
READY = b"L"  # locked in; always the first
READ = b"R"  # RANGE
WHOLE = b"V"  # LENGTH of the JSON, JSON: [name, media_type], all bytes of the next artifact
OPEN = b"A"  # JSON: [name, media_type]; the next artifact, numbered from 0 in each step
WRITE = b"W"  # NUMBER and bytes of that artifact
CLOSE = b"C"  # NUMBER
DONE = b"D"  # JSON: the output
FAILED = b"F"  # JSON: [code, detail]

RANGE = struct.Struct("=QI")  # offset, length
LENGTH = struct.Struct("=I")
NUMBER = struct.Struct("=I")

# What the zygote says of a child: its pid, with a pidfd and the channel attached, or minus an
# errno, and the address space it has from the zygote; then, when the worker has let go of it, its
# wait status, CPU seconds and largest memory. Sizes are in bytes.
FORK = b"F"  # worker to zygote, with the zygote's end of the report attached
STARTED = struct.Struct("=qq")
ENDED = struct.Struct("=idq")

EXIT_NO_MEMORY = 12  # a child's exit status after a MemoryError


class Request(TypedDict):
    """What a child must know to run one step."""

    name: str
    settings: dict[str, JSON]
    results: dict[str, Output]
    media_type: str
    size: int


def fits_along(head: bytes, size: int) -> bool:
    """Tell whether `size` bytes can come along with a request, or with what names an artifact."""
    return LENGTH.size + len(head) + size <= PIECE


def split(body: bytes) -> tuple[bytes, bytes]:
    """Return what the LENGTH at its beginning spans, and the rest.

    Raises:
        ValueError: it is shorter than that.
    """
    start = LENGTH.size
    if len(body) < start or len(body) < (end := start + LENGTH.unpack_from(body)[0]):
        raise ValueError("The packet ends too early.")
    return body[start:end], body[end:]


def packets(kind: bytes, body: bytes) -> list[bytes]:
    """Return `body` as the packets to send, each whole."""
    last = max(0, (len(body) - 1) // PIECE * PIECE)
    parts = [PART + body[start : start + PIECE] for start in range(0, last, PIECE)]
    return [*parts, kind + body[last:]]
