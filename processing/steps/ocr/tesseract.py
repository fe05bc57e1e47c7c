"""The recognition of letters, by the library of Tesseract in this process.

No child of the sandbox may start a program, so the program `tesseract` is not used: its library
does the same from memory to memory. Source: tesseract/capi.h of Tesseract 4 and 5.
"""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

LIBRARIES = ("libtesseract.so.5", "libtesseract.so.4")
# Where distributions keep what the library knows of each language.
DATA_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
)
DATA_ENDING = ".traineddata"
AUTOMATIC = 3  # PSM_AUTO: columns and blocks are found, pictures of text are not turned


class NotInstalled(Exception):
    """The library, or all that it knows of languages, is not on this machine."""


class LanguageMissing(Exception):
    """A language that is asked for is not installed."""


def is_installed() -> bool:
    """Tell whether letters can be recognised on this machine; nothing stays loaded for it."""
    return _data_folder() is not None and any(
        Path(folder, name).exists() for name in LIBRARIES for folder in _library_folders()
    )


def _library_folders() -> list[Path]:
    roots = [Path(name) for name in ("/usr/lib", "/lib", "/usr/lib64", "/usr/local/lib")]
    return [*roots, *(folder for root in roots for folder in root.glob("*-linux-gnu"))]


def _data_folder() -> Path | None:
    return next(
        (Path(name) for name in DATA_FOLDERS if any(Path(name).glob(f"*{DATA_ENDING}"))), None
    )


class Tesseract:
    """The recogniser of some languages, such as `eng`.

    Raises:
        NotInstalled, LanguageMissing: when it is made.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        folder = _data_folder()
        library = _library()
        if folder is None or library is None:
            raise NotInstalled
        if not all((folder / f"{language}{DATA_ENDING}").is_file() for language in languages):
            raise LanguageMissing
        self._library = library
        self._handle = ctypes.c_void_p(library.TessBaseAPICreate())
        data, names = os.fsencode(folder), "+".join(languages).encode()
        if library.TessBaseAPIInit3(self._handle, data, names):
            self._end()
            raise LanguageMissing
        library.TessBaseAPISetPageSegMode(self._handle, AUTOMATIC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def version(self) -> str:
        """Return the version of the library."""
        text: bytes = self._library.TessVersion()
        return text.decode("ascii", "replace")[:50]

    def read(
        self, pixels: bytes, *, width: int, height: int, stride: int, dpi: int
    ) -> tuple[str, int]:
        """Return the text in a grey picture, one byte a pixel, and how sure that is, in percent.

        `stride` is the number of bytes of a row. `dpi` 0 means that nobody knows.
        """
        library = self._library
        library.TessBaseAPISetImage(self._handle, pixels, width, height, 1, stride)
        if dpi:
            library.TessBaseAPISetSourceResolution(self._handle, dpi)
        found = library.TessBaseAPIGetUTF8Text(self._handle)
        if not found:
            return "", 0
        try:
            text = ctypes.string_at(found).decode("utf-8", "replace")
        finally:
            library.TessDeleteText(ctypes.c_void_p(found))
        sure: int = library.TessBaseAPIMeanTextConf(self._handle)
        library.TessBaseAPIClear(self._handle)
        return text, sure

    def _end(self) -> None:
        self._library.TessBaseAPIDelete(self._handle)


def _library() -> ctypes.CDLL | None:
    os.environ["OMP_THREAD_LIMIT"] = "1"  # more threads spend more than they save
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.TessVersion.restype = ctypes.c_char_p
        library.TessBaseAPICreate.restype = ctypes.c_void_p
        library.TessBaseAPIGetUTF8Text.restype = ctypes.c_void_p
        return library
    return None
