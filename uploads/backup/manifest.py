"""What a backup says of itself.

`manifest.json` names the two other files of the latest backup in the archive: the database, and
the SHA-256 of everything, in the format of `sha256sum`, so that `sha256sum -c` checks a backup.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from uuid import UUID

from uploads.backup.archive import Archive
from uploads.backup.errors import BackupFailed

FORMAT = "strongroom backup 1"
MANIFEST = "manifest.json"
LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9/.-]+)\n")
BLOB = re.compile(r"blobs/([0-9a-f]{2})/(\1[0-9a-f]{30})")


@dataclass(frozen=True)
class Manifest:
    """`gone` are uploads that were deleted while the backup was made: they stay deleted."""

    made_at: str
    vendor: str
    database: str
    sums: str
    sums_sha256: str
    blobs: int
    bytes: int
    migrations: list[str]
    gone: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    format: str = FORMAT


def read_manifest(archive: Archive) -> Manifest:
    """Return the manifest, once it is known to be one, and its list of sums to be whole.

    Raises:
        BackupFailed
    """
    try:
        with archive.read(MANIFEST) as file:
            manifest = Manifest(**json.load(file))
        if manifest.format != FORMAT:
            raise BackupFailed(f"The backup has the unknown format {manifest.format!r}.")
        with archive.read(manifest.sums) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except KeyError as error:
        raise BackupFailed(f"The backup is not whole: it has no {error}.") from None
    except (ValueError, TypeError) as error:
        raise BackupFailed(f"The manifest of the backup cannot be read: {error}.") from error
    if sha256 != manifest.sums_sha256:
        raise BackupFailed("The list of sums in the backup is not the one that was written.")
    return manifest


def write_manifest(archive: Archive, manifest: Manifest) -> None:
    """Make `manifest` the one that counts."""
    text = json.dumps(asdict(manifest), indent=2).encode() + b"\n"
    archive.write(MANIFEST, [text], len(text))


def sums_of(archive: Archive, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield name and SHA-256, in hex, of everything in the backup, in the order of names."""
    with archive.read(manifest.sums) as file:
        for line in file:
            match = LINE.fullmatch(line.decode("ascii", "replace"))
            if match is None:
                raise BackupFailed("A line in the list of sums cannot be understood.")
            yield match[2], match[1]


def name_of_blob(blob_id: UUID) -> str:
    """Return under which name a backup keeps a blob."""
    return f"blobs/{blob_id.hex[:2]}/{blob_id.hex}"


def blob_of_name(name: str) -> UUID | None:
    """Return which blob lies under `name`; None for anything else."""
    match = BLOB.fullmatch(name)
    return UUID(match[2]) if match else None


class Lookup:
    """Answers questions, asked in the order of names, from a list in that order."""

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        self._rows = iter(rows)
        self._name, self._value = "", ""

    def get(self, name: str) -> str | None:
        """Return the value of `name`, if the list has it."""
        while self._name < name:
            self._name, self._value = next(self._rows, ("\x7f", ""))
        return self._value if self._name == name else None
