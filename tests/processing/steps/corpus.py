"""The corpus of real and hostile files, where it is at hand.

Its folder holds `corpus.tar.gz` and is named by STRONGROOM_CORPUS.
"""

import csv
import os
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("STRONGROOM_CORPUS", ROOT.parent / "shared" / "corpus"))
ARCHIVE = FOLDER / "corpus.tar.gz"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the corpus into a temporary folder and return it."""
    if not ARCHIVE.is_file():
        pytest.skip("There is no corpus; STRONGROOM_CORPUS names the folder of corpus.tar.gz.")
    return unpack(tmp_path_factory.mktemp("corpus"))


def unpack(folder: Path) -> Path:
    """Unpack the corpus into `folder` and return it."""
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return folder


def manifest(corpus: Path) -> list[dict[str, str]]:
    """Return what is known about each file."""
    with (corpus / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
