"""What several tests share."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import paths, sources

SHARED = paths.ROOT.parent / "shared"


def makefile_lists(variable: str) -> dict[str, list[str]]:
    """The words of the Makefile's lists ``VARIABLE_notebook := ...``, by notebook."""
    makefile = (paths.ROOT / "Makefile").read_text()
    return {
        name: words.split()
        for name, words in re.findall(rf"^{variable}_(\w+) :=(.*)$", makefile, re.MULTILINE)
    }


@pytest.fixture(scope="session")
def shared() -> Path:
    """Material beside the checkout of the project's developers; users do not have it."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout: cross-checks against it are left out")
    return SHARED


def copy_project(folder: Path) -> Path:
    """Copy the project's files as git has them, with their times."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in listed:
        if (paths.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the project where make can play."""
    return copy_project(tmp_path)


@pytest.fixture
def raw_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of data/raw that a test may spoil; `analysis.sources` reads from it."""
    raw = tmp_path / "raw"
    shutil.copytree(paths.RAW, raw, ignore=shutil.ignore_patterns("node_modules"))
    monkeypatch.setattr(paths, "RAW", raw)
    monkeypatch.setattr(sources, "RECORDS", raw / "sources.yml")
    monkeypatch.setattr(sources, "SCHEMA", raw / "sources.schema.yml")
    sources.records.cache_clear()
    yield raw
    sources.records.cache_clear()
