"""Questions to libmagic: the system's own library, or the bundled one where there is none."""

import ctypes
import importlib.util
import threading
from pathlib import Path
from types import ModuleType


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
    """Three questions to libmagic, over one database, which is read once, here.

    A sandboxed process may open no file: it must inherit the database already loaded. It pays for
    every page of it that it looks at, and would pay three times for one database a question.
    """

    def __init__(self) -> None:
        self._library, database = _load_libmagic()
        self._magic = self._library.Magic(magic_file=database)
        self._turn = threading.Lock()  # the question is a trait of the database
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
        with self._turn:
            self._library.magic_setflags(self._magic.cookie, question)
            try:
                return str(self._magic.from_buffer(head))
            except self._library.MagicException:  # a rule gave up on this content
                return otherwise


MAGIC = _LibMagic()
