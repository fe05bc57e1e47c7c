"""Questions to libmagic: the system's own library, or the bundled one where there is none."""

import ctypes
import importlib.util
import os
from pathlib import Path
from queue import LifoQueue
from types import ModuleType
from typing import Any


def _load_libmagic() -> tuple[ModuleType, str | None]:
    """Return python-magic and the database it must use (None: the system's own).

    The system's library is preferred because the distribution patches it. `pylibmagic` is not
    imported, since that patches `ctypes` for the whole process: its library is loaded by path,
    and python-magic then finds it by its name.
    """
    try:
        import magic  # noqa: PLC0415 - importing it is what fails
    except ImportError:
        spec = importlib.util.find_spec("pylibmagic")
        if spec is None or not spec.submodule_search_locations:
            raise
        folder = Path(spec.submodule_search_locations[0])
        ctypes.CDLL(str(folder / "libmagic.so.1"), mode=ctypes.RTLD_GLOBAL)
        import magic  # noqa: PLC0415

        return magic, str(folder / "magic.mgc")
    return magic, None


class _LibMagic:
    """Three questions to libmagic, over one database, which is read here.

    A sandboxed process may open no file: it must inherit the database already loaded. It pays for
    every page of it that it looks at, and would pay three times for one database a question.
    Where several threads ask at once, each has a database of its own, up to `at_once` of them.
    """

    def __init__(self, at_once: int) -> None:
        self._library, self._file = _load_libmagic()
        # The question is a trait of the database, and so each has one asker at a time. The last
        # one that was given back is the next one taken: the others are read when they are needed.
        self._databases: LifoQueue[Any] = LifoQueue()
        for _ in range(at_once - 1):
            self._databases.put(None)
        self._databases.put(self._read_database())
        self.media_type: int = self._library.MAGIC_MIME_TYPE
        # An encoding is told without any of the rules, which take longest.
        self.encoding: int = (
            self._library.MAGIC_MIME_ENCODING
            | self._library.MAGIC_NO_CHECK_SOFT
            | self._library.MAGIC_NO_CHECK_COMPRESS
            | self._library.MAGIC_NO_CHECK_TAR
            | self._library.MAGIC_NO_CHECK_ELF
            | self._library.MAGIC_NO_CHECK_CDF
        )
        self.description: int = self._library.MAGIC_NONE

    def ask(self, question: int, head: bytes, otherwise: str) -> str:
        database = self._databases.get()
        try:
            database = database or self._read_database()
            self._library.magic_setflags(database.cookie, question)
            try:
                return str(database.from_buffer(head))
            except self._library.MagicException:  # a rule gave up on this content
                return otherwise
        finally:
            self._databases.put(database)

    def _read_database(self) -> Any:
        return self._library.Magic(magic_file=self._file)


MAGIC = _LibMagic(at_once=os.cpu_count() or 1)
