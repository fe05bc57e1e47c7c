"""Where the key ring lies: in the environment, or in a file that every process reads again as soon
as it has changed.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.durable import write_private
from uploads.encryption import KeyRing
from uploads.master_keys.ring_file import RingFile

_opening = Lock()  # a passphrase costs memory, and a service money: one thread asks for all


def current() -> KeyRing:
    """Return the master keys as they are now.

    Raises:
        ImproperlyConfigured: there is no key ring, or it does not open.
    """
    text = settings.UPLOADS["MASTER_KEYS_JSON"]
    if text:
        with _opening:
            return _open(text)
    path = _path()
    try:
        status = path.stat()
    except OSError as error:
        raise _missing(path) from error
    # A changed ring is a new file: see write_private.
    with _opening:
        return _open_file(path, status.st_ino, status.st_mtime_ns, status.st_size)


def document() -> RingFile:
    """Return the key ring as it is written down; raises as `current`."""
    if settings.UPLOADS["MASTER_KEYS_JSON"]:
        return RingFile.parse(settings.UPLOADS["MASTER_KEYS_JSON"])
    return RingFile.parse(_read(_path()))


def change(edit: Callable[[RingFile], RingFile]) -> RingFile:
    """Replace the key ring by what `edit` makes of it, durably and whole; return the new one.

    Two changes at once happen one after the other.

    Raises:
        ImproperlyConfigured: the ring is in the environment, or cannot be read.
        ValueError: from `edit`; nothing has changed.
    """
    if settings.UPLOADS["MASTER_KEYS_JSON"]:
        raise ImproperlyConfigured(
            "The key ring comes from STRONGROOM_MASTER_KEYS_JSON, which only its keeper can "
            "change. Change it there, then start every process again."
        )
    path = _path()
    with _locked(path):
        changed = edit(RingFile.parse(_read(path)))
        changed.ring()  # what does not open must not take the place of what does
        write_private(path, changed.text())
    return changed


@lru_cache(maxsize=1)
def _open(text: str) -> KeyRing:
    return RingFile.parse(text).ring()


@lru_cache(maxsize=1)
def _open_file(path: Path, *_version: int) -> KeyRing:
    return RingFile.parse(_read(path)).ring()


def _path() -> Path:
    return Path(settings.UPLOADS["MASTER_KEYS_FILE"])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(path) from error


def _missing(path: Path) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"The key ring of the files cannot be read at {path}. Restore it from your backup of the "
        "keys, or set STRONGROOM_MASTER_KEYS_FILE to where it is."
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
