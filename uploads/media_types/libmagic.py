"""Questions to libmagic: the system's own library, or the bundled one where there is none."""

import ctypes
import importlib.util
from pathlib import Path
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
    """Three questions to libmagic. Its databases are read once, here.

    A sandboxed process may open no file: it must inherit them already loaded.
    """

    def __init__(self) -> None:
        magic, database = _load_libmagic()
        self.media_type = magic.Magic(mime=True, magic_file=database).from_buffer
        self.encoding = magic.Magic(mime_encoding=True, magic_file=database).from_buffer
        self.description = magic.Magic(magic_file=database).from_buffer
        self.failure: type[Exception] = magic.MagicException

    def ask(self, question: Any, head: bytes, otherwise: str) -> str:
        try:
            return str(question(head))
        except self.failure:  # a rule gave up on this content
            return otherwise


MAGIC = _LibMagic()
