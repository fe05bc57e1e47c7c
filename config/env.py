"""Configuration from the environment. A variable `X` may also be given as `X_FILE`, a path."""

from pathlib import Path

from environ import FileAwareEnv

env = FileAwareEnv()

PROJECT_DIR = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """Return the folder that holds everything a running system writes."""
    return Path(env.str("STRONGROOM_DATA_DIR", default=str(PROJECT_DIR / "var"))).absolute()
