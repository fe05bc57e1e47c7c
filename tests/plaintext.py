"""Searches files for what must not be in them, in every form in which it could lie there."""

import base64
import os
import secrets
import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

PIECE = 8 * 1024 * 1024
SHORTEST_FAMILY = 16  # letters


def new_marker(family: str = "") -> str:
    """Return a word that is nowhere by chance: `family`, then 24 random letters."""
    return family + "".join(secrets.choice(string.ascii_letters) for _ in range(24))


def forms(marker: str) -> dict[str, bytes]:
    """Return how the bytes of `marker` may lie in a file, by name."""
    raw = marker.encode()
    found = {
        "raw": raw,
        "reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "utf-16-le": marker.encode("utf-16-le"),
        "utf-16-be": marker.encode("utf-16-be"),
    }
    for shift in range(3):
        for name, encode in (
            ("base64", base64.b64encode),
            ("base64url", base64.urlsafe_b64encode),
        ):
            encoded = encode(bytes(shift) + raw)
            # The first characters mix with what stands before, the last with what comes after.
            found[f"{name} at {shift}"] = encoded[4 if shift else 0 : len(encoded) - 4]
    return found


def find(markers: Iterable[str], paths: Iterable[Path]) -> set[tuple[str, str, str]]:
    """Return marker, form and file of everything that was found.

    Fast for many markers of one family: where no form of its name is, none of theirs is.
    """
    markers = list(markers)
    family = os.path.commonprefix(markers)  # noqa: RUF071 - letters are meant
    first = list(forms(family).values()) if len(family) >= SHORTEST_FAMILY else [b""]
    wanted = [(marker, form, raw) for marker in markers for form, raw in forms(marker).items()]
    longest = max(len(raw) for _, _, raw in wanted)
    found = set()
    for path in paths:
        try:
            with path.open("rb") as file:
                rest = b""
                while piece := file.read(PIECE):
                    window = rest + piece
                    if any(raw in window for raw in first):
                        found |= {(m, form, str(path)) for m, form, raw in wanted if raw in window}
                    rest = window[-longest:]
        except OSError:
            if path.exists() and path.is_file():
                raise
            continue  # it went while we looked, or is no file
    return found


def files_below(*folders: Path) -> Iterator[Path]:
    """Yield every file in these folders, at any depth."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path


def files_behind(processes: Iterable[psutil.Process]) -> Iterator[Path]:
    """Yield the files on disks that these processes have mapped writable, or hold open.

    Through /proc, so that one that was deleted is found, too. What is in memory alone (memfd,
    shared memory) has no file behind it.
    """
    for process in processes:
        proc = Path("/proc") / str(process.pid)
        try:
            lines = (proc / "maps").read_text().splitlines()
            opened = list((proc / "fd").iterdir())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for line in lines:
            place, rights, _, device, *_ = line.split(maxsplit=5)
            if "w" in rights and device != "00:00" and "memfd:" not in line:
                low, high = place.split("-")
                yield proc / "map_files" / f"{low.lstrip('0')}-{high.lstrip('0')}"
        for descriptor in opened:
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/memfd:")):
                yield descriptor
