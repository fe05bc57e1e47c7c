"""Small files that are there whole, after a power cut too, or not at all. Pure."""

import os
from contextlib import suppress
from pathlib import Path

PARTIAL = ".partial"  # at the end of the name of a file that is being written


def write_private(path: Path, text: str) -> None:
    """Write `text` under `path`, mode 0600, in place of what is there."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_private_in(folder, path.name, text)
    finally:
        os.close(folder)


def write_private_in(folder: int, name: str, text: str) -> None:
    """Write `text` under `name` in the open folder with that descriptor, as `write_private`."""
    partial = name + PARTIAL
    with suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=folder)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
