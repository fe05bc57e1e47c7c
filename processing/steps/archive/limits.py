"""What an archive may cost, counted while it is read. Declared sizes are never believed."""

from dataclasses import dataclass

from processing.steps.contract import MIB, StepFailed

GIB = 1024 * MIB
FREE_BYTES = 16 * MIB  # unpacked before the ratio counts: small files compress very well
MAX_PATH_CHARS = 1024
MAX_NAME_BYTES = 65_535  # what a ZIP can say at most
MAX_STREAMS = 1_000_000  # compressed streams in a row, as `bgzip` and `pigz` write them
MAX_WINDOW_BYTES = 64 * MIB  # memory that a stream may ask its decompressor for
BUFFER_BYTES = 48 * MIB  # for inner archives that can be read only from their end

REASONS = {
    "archive_bytes": "The archive unpacks to more bytes than allowed.",
    "archive_damaged": "The archive is damaged, or is none.",
    "archive_depth": "The archive has archives in archives, deeper than allowed.",
    "archive_encrypted": "The archive has members that are encrypted.",
    "archive_members": "The archive has more members than allowed.",
    "archive_overlap": "The archive has members that share their bytes.",
    "archive_ratio": "The archive unpacks to many times its size, more than allowed.",
    "archive_reader_missing": "Archives of this kind are read by libarchive, which is not here.",
    "archive_sparse": "The archive has members with holes.",
    "archive_unsupported": "The archive is of a kind that is not read.",
}


class Damaged(Exception):
    """Content does not say what its format says it must; where it stops is its reader's matter."""


class Unsupported(Exception):
    """A format, or a method in it, that is not read."""


class ReaderMissing(Unsupported):
    """A format that is read by a library which is not installed."""


def refusal(code: str) -> StepFailed:
    """Return the failure with this code."""
    return StepFailed(code, REASONS[code])


@dataclass(frozen=True)
class ArchiveLimits:
    """What one archive may have, everything inside it included."""

    max_bytes: int = 4 * GIB
    max_members: int = 10_000
    max_depth: int = 5
    max_ratio: int = 200


class Budget:
    """What was used so far of the limits, for an archive of `size` bytes."""

    def __init__(self, limits: ArchiveLimits, size: int) -> None:
        self.limits = limits
        self.bytes = 0
        self.members = 0
        self.buffer_bytes = BUFFER_BYTES
        self._ratio_bytes = max(FREE_BYTES, size * limits.max_ratio)

    def take_member(self) -> int:
        """Count one more member and return its index, from 1.

        Raises:
            StepFailed: `archive_members`
        """
        if self.members == self.limits.max_members:
            raise refusal("archive_members")
        self.members += 1
        return self.members

    def take_bytes(self, count: int) -> None:
        """Count unpacked bytes.

        Raises:
            StepFailed: `archive_bytes`, `archive_ratio`
        """
        self.bytes += count
        if self.bytes > self.limits.max_bytes:
            raise refusal("archive_bytes")
        if self.bytes > self._ratio_bytes:
            raise refusal("archive_ratio")

    def enter(self, depth: int) -> None:
        """Go into an archive whose members are at `depth`, the outermost being 1.

        Raises:
            StepFailed: `archive_depth`
        """
        if depth > self.limits.max_depth:
            raise refusal("archive_depth")
