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


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the corpus into a temporary folder and return it."""
    archive = FOLDER / "corpus.tar.gz"
    if not archive.is_file():
        pytest.skip("There is no corpus; STRONGROOM_CORPUS names the folder of corpus.tar.gz.")
    folder = tmp_path_factory.mktemp("corpus")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def manifest(corpus: Path) -> list[dict[str, str]]:
    """Return what is known about each file."""
    with (corpus / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
