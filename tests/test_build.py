"""The whole way once, for real, in a fresh copy: papermill, pandoc, Typst."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import copy_project, makefile_lists
from test_make import REPORTS

from analysis import paths, provenance, report, sources


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy in which `make reports` has run."""
    folder = copy_project(tmp_path_factory.mktemp("build"))
    (folder / "data/raw/boundaries/node_modules").symlink_to(paths.BOUNDARY_PACKAGES)
    variables = {"BUILD": "build", "PROCESSED": "data/processed", "BOUNDARIES": "", "MICRODATA": ""}
    variables["PANEL"] = ""
    done = subprocess.run(
        [
            "make",
            "-j2",
            "reports",
            f"VENV={sys.prefix}",
            f"--old-file={sys.prefix}/.installed",
            "--old-file=data/raw/boundaries/node_modules/.package-lock.json",
            *(f"{name}={value}" for name, value in variables.items()),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warns" not in done.stderr
    return folder


def outputs(notebook: Path) -> list[list[dict]]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.outputs for cell in cells if cell.cell_type == "code"]


def test_every_report_is_made(built):
    assert {pdf.stem for pdf in (built / "reports").glob("*.pdf")} == set(REPORTS)


def test_a_build_has_the_outputs_that_are_committed_pictures_included(built):
    executed = sorted((built / "build").glob("*.ipynb"))
    assert executed
    for notebook in executed:
        assert outputs(notebook) == outputs(paths.ROOT / "notebooks" / notebook.name), notebook.name


def test_the_same_notebook_gives_the_same_bytes_in_another_folder(built, tmp_path):
    for pdf in (built / "reports").glob("*.pdf"):
        again = tmp_path / pdf.name
        report.build(built / "build" / f"{pdf.stem}.ipynb", again)
        assert provenance.sha256(again) == provenance.sha256(pdf), pdf.name


def test_each_notebook_reads_what_the_makefile_says(built):
    installed = {i for i, source in sources.records().items() if source.installed}
    for name, named in makefile_lists("SOURCES").items():
        executed = json.loads((built / "build" / f"{name}.ipynb").read_text())
        reads = executed["metadata"][provenance.RECORD]["reads"]
        raw = [r for r in reads if r["path"].startswith("data/raw/") and r["direct"]]
        assert {i for read in raw for i in read["sources"]} - installed == set(named), name
