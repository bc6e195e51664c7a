"""Where everything is, found from the package's own place."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RAW = ROOT / "data" / "raw"
BUILD = ROOT / "build"
BOUNDARY_PACKAGES = RAW / "boundaries" / "node_modules"


def processed() -> Path:
    """The folder of the processed tables: ``data/processed``, or ``ANALYSIS_PROCESSED``.

    The variable lets the tests build their own tables without touching the user's.
    """
    return Path(os.environ.get("ANALYSIS_PROCESSED") or ROOT / "data" / "processed").resolve()


def shown(path: str | os.PathLike) -> str:
    """A path as a person is told it: relative to the project where it lies inside."""
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
