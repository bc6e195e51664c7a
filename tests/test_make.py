"""The Makefile as dependency graph, with a stand-in for the runner that only notes its calls."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import listen_to_interrupts

# Notes what it was called for and leaves the files that the real one would leave.
STAND_IN = """
import os, pathlib, sys, time
kind, *arguments = sys.argv[1:]
tables = {
    "01_regions": ["kelurahan"],
    "02_poverty_series": ["poverty_semester", "kota_poverty"],
    "03_slums": ["slum_rw", "slum_kelurahan", "slum_counts"],
    "05_households": ["households", "households_census"],
}
processed = pathlib.Path(os.environ["ANALYSIS_PROCESSED"])
target = processed / "boundaries.parquet" if kind == "regions" else pathlib.Path(arguments[-1])
log = lambda mark: open("calls", "a").write(f"{mark} {target.name}\\n")
log("start")
time.sleep(float(os.environ.get("SLEEP", 0)))
if target.stem == os.environ.get("FAIL"):
    sys.exit(f"run: {target.name}: something is wrong")
made = [target] if kind != "run" else [processed / f"{t}.parquet" for t in tables.get(target.stem, [])] + [target]
for file in made:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("made")
log("end")
"""
ON_ASSUMPTIONS = ("11_target", "16_target_arithmetic", "17_okoce_funnel")
ON_SERIES = (*ON_ASSUMPTIONS, "21_jakarta_counterfactual")  # need no boundaries
ON_NOTHING = ("04_sae_validation",)  # on simulated data alone
ON_PANEL = ("25_slum_upgrading_panel",)
ON_REGISTERS = ("23_okoce", "24_transfers")  # on made-up persons and households
ON_MICRODATA = ("05_households", "06_poverty_profile", "14_poverty_map", "18_slum_scores")
ON_TABLE = ("05_households", "06_poverty_profile")  # without boundaries
ON_SLUMS = ("12_slum_map", "15_slums_in_space", "22_slum_upgrading")
REPORTS = (
    "02_poverty_series",
    *ON_NOTHING,
    *ON_MICRODATA,
    *ON_PANEL,
    *ON_REGISTERS,
    *ON_SLUMS,
    "13_kelurahan_atlas",
    *ON_SERIES,
)
ALL = {
    "boundaries.parquet",
    *(f"{name}.ipynb" for name in ("01_regions", "03_slums", *REPORTS)),
    *(f"{name}.pdf" for name in REPORTS),
}


class Sandbox:
    """A copy of the project in which make runs the stand-in."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "stand_in.py").write_text(STAND_IN)
        (folder / "data/raw/boundaries/node_modules").mkdir(parents=True)
        self.npm = "data/raw/boundaries/node_modules/.package-lock.json"
        (folder / self.npm).touch()
        self.environment = os.environ | {"PYTHONPATH": str(folder / "src"), "MAKEFLAGS": ""}
        names = ("BOUNDARIES", "MICRODATA", "RW_VARIABLES", "RW_BOUNDARIES", "PANEL")
        for name in (*names, "ANALYSIS_PROCESSED", "VENV", "BUILD", "PROCESSED"):
            self.environment.pop(name, None)

    def command(self, *arguments: str) -> list[str]:
        stand_in = f"{sys.executable} {self.folder / 'stand_in.py'}"
        return [
            "make",
            *(arguments or ("reports",)),
            f"VENV={sys.prefix}",
            # The environment and the packages are there, whatever their times say.
            f"--old-file={sys.prefix}/.installed",
            f"--old-file={self.npm}",
            *(f"{name.upper()}={stand_in} {name}" for name in ("run", "report", "regions")),
        ]

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """What the stand-in noted since the last time."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def remade(self, *arguments: str, **environment: str) -> set[str]:
        """What one run of make makes; it must succeed."""
        done = self.make(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return {line.split()[1] for line in self.calls() if line.startswith("end")}

    def touch(self, name: str) -> None:
        """Change a file's time to now, after everything that was built."""
        time.sleep(0.02)
        os.utime(self.folder / name)


@pytest.fixture
def sandbox(clone):
    return Sandbox(clone)


@pytest.fixture
def built(sandbox):
    assert sandbox.remade() == ALL
    return sandbox


def test_a_second_run_does_nothing(built):
    assert built.remade() == set()


def after(*names: str) -> set[str]:
    """Executed notebooks and their reports."""
    made = {f"{name}.ipynb" for name in names} | {f"{name}.pdf" for name in names}
    return made & ALL


@pytest.mark.parametrize(
    ("touched", "remade"),
    [
        ("notebooks/11_target.ipynb", after("11_target")),
        ("notebooks/12_slum_map.ipynb", after("12_slum_map")),
        ("notebooks/03_slums.ipynb", after("03_slums", *ON_SLUMS)),
        (
            "notebooks/02_poverty_series.ipynb",
            after("02_poverty_series", *ON_SERIES, "13_kelurahan_atlas"),
        ),
        (
            "data/raw/bps/dki_poverty_semester.csv",
            after("02_poverty_series", *ON_SERIES, *ON_MICRODATA, "13_kelurahan_atlas"),
        ),
        ("data/raw/reference/area.csv", after(*ON_NOTHING)),
        ("data/raw/assumptions/inputs.csv", after(*ON_ASSUMPTIONS)),
        ("data/raw/bps/dki_indicators.csv", after("17_okoce_funnel")),
        (
            "data/raw/bps/rw_kumuh_counts.csv",
            after("03_slums", *ON_SLUMS, *ON_MICRODATA, *ON_PANEL),
        ),
        ("data/raw/bps/kelurahan_social_vulnerability_2013.csv", after("15_slums_in_space")),
        ("data/raw/slum_rules/permen_2018.yml", after("18_slum_scores")),
        ("data/raw/pemprov-dki/slum_programme_rw.csv", after("22_slum_upgrading")),
        ("data/raw/pemprov-dki/poverty_targets.csv", after("11_target")),
        ("data/raw/bps/province_indicators_annual.csv", after("16_target_arithmetic")),
        (
            "data/raw/kartoza/kelurahan_rw.csv",
            after("01_regions", "03_slums", *ON_MICRODATA, *ON_SLUMS, "13_kelurahan_atlas"),
        ),
        ("src/analysis/report/template.typ", {name for name in ALL if name.endswith(".pdf")}),
        ("src/analysis/display.py", ALL - {"boundaries.parquet"}),
        ("src/analysis/regions.py", ALL),
        ("CITATION.cff", set()),
    ],
)
def test_a_change_reruns_what_depends_on_it(built, touched, remade):
    built.touch(touched)
    assert built.remade() == remade
    assert built.remade() == set()


def test_a_changed_record_reruns_what_reads_that_source(built):
    """Raw data are changed together with their record, and all records are in one file."""
    records = built.folder / "data/raw/sources.yml"
    old = "title: Dates on which the poverty figures"
    assert old in records.read_text()
    records.write_text(
        records.read_text().replace(old, "title: The dates on which the poverty figures")
    )
    expected = after("02_poverty_series", *ON_SERIES, "13_kelurahan_atlas")
    assert built.remade() == expected
    assert built.remade() == set()


@pytest.mark.parametrize(
    ("table", "remade"),
    [
        ("slum_counts", after("03_slums", *ON_SLUMS)),
        ("households", after("05_households", "06_poverty_profile")),
        ("kota_poverty", after("02_poverty_series", *ON_SERIES, "13_kelurahan_atlas")),
    ],
)
def test_a_deleted_table_is_made_again(built, table, remade):
    (built.folder / f"data/processed/{table}.parquet").unlink()
    assert built.remade() == remade


@pytest.mark.parametrize(
    "name",
    ["data/raw/bps/dki_poverty_semester.csv", "notebooks/11_target.ipynb", "data/raw/sources.yml"],
)
def test_a_missing_file_is_named_with_its_cure(built, name):
    (built.folder / name).unlink()
    done = built.make()
    assert done.returncode != 0
    told = f"{name} is missing: restore it with 'git checkout {name}'"
    assert told in done.stderr.splitlines()[0]
    assert built.calls() == []


def test_other_boundaries_are_another_input(built):
    own = built.folder / "my boundaries.gpkg"  # a space in the path must do no harm
    own.write_text("1")
    on_boundaries = ALL - after(
        "02_poverty_series", *ON_SERIES, *ON_NOTHING, *ON_PANEL, *ON_REGISTERS, *ON_TABLE
    )
    assert built.remade("reports", f"BOUNDARIES={own}") == on_boundaries
    assert built.remade("reports", f"BOUNDARIES={own}") == set()
    own.write_text("2")
    assert built.remade("reports", f"BOUNDARIES={own}") == on_boundaries
    assert built.remade() == on_boundaries  # and back


def test_other_microdata_are_another_input(built):
    own = built.folder / "my microdata"
    own.mkdir()
    (own / "mapping.yml").write_text("synthetic: false")
    (own / "survey.csv").write_text("1")
    ours = after(*ON_MICRODATA)
    for named in (own, own / "mapping.yml"):
        assert built.remade("reports", f"MICRODATA={named}") == ours
        assert built.remade("reports", f"MICRODATA={named}") == set()
    (own / "mapping.yml").write_text("synthetic: true")
    assert built.remade("reports", f"MICRODATA={own}") == ours
    (own / "survey.csv").write_text("12")
    assert built.remade("reports", MICRODATA=str(own)) == ours
    assert built.remade() == ours  # and back


@pytest.mark.parametrize("variable", ["RW_VARIABLES", "RW_BOUNDARIES"])
def test_other_files_on_rw_are_another_input(built, variable):
    own = built.folder / "my rw.shp"
    own.write_text("1")
    ours = after("15_slums_in_space", "18_slum_scores")
    assert built.remade("reports", f"{variable}={own}") == ours
    assert built.remade("reports", f"{variable}={own}") == set()
    own.with_suffix(".dbf").write_text("2")  # the names of its RW
    assert built.remade("reports", f"{variable}={own}") == ours
    assert built.remade() == ours  # and back


def test_another_panel_is_another_input(built):
    own = built.folder / "my panel.csv"
    own.write_text("1")
    assert built.remade("reports", f"PANEL={own}") == after(*ON_PANEL)
    assert built.remade("reports", f"PANEL={own}") == set()
    own.write_text("2")
    assert built.remade("reports", PANEL=str(own)) == after(*ON_PANEL)
    assert built.remade() == after(*ON_PANEL)  # and back


def test_parallel_runs_keep_the_order(sandbox):
    assert sandbox.make("-j2", "reports", SLEEP="0.2").returncode == 0
    calls = sandbox.calls()
    for first, then in (
        ("boundaries.parquet", "01_regions.ipynb"),
        ("01_regions.ipynb", "03_slums.ipynb"),
        ("02_poverty_series.ipynb", "11_target.ipynb"),
        ("03_slums.ipynb", "12_slum_map.ipynb"),
        ("12_slum_map.ipynb", "12_slum_map.pdf"),
    ):
        assert calls.index(f"end {first}") < calls.index(f"start {then}")
    kinds = [call.split()[0] for call in calls]
    assert any(a == b == "start" for a, b in itertools.pairwise(kinds))  # two at a time


def test_a_failure_stops_and_leaves_the_rest_whole(built):
    before = (built.folder / "reports/12_slum_map.pdf").stat().st_mtime_ns
    built.touch("notebooks/03_slums.ipynb")
    done = built.make(FAIL="03_slums")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "run: 03_slums.ipynb: something is wrong"
    assert (built.folder / "reports/12_slum_map.pdf").stat().st_mtime_ns == before
    built.calls()
    assert built.remade() == after("03_slums", *ON_SLUMS)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_make_leaves_nothing_that_counts_as_done(sandbox, kind):
    process = subprocess.Popen(
        sandbox.command("reports"),
        cwd=sandbox.folder,
        env=sandbox.environment | {"SLEEP": "0.4"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=listen_to_interrupts,
    )
    log = sandbox.folder / "calls"
    deadline = time.monotonic() + 30
    while not log.exists() or "start 03_slums.ipynb" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, kind)
    assert process.wait(timeout=30) != 0
    done = {line.split()[1] for line in sandbox.calls() if line.startswith("end")}
    assert "03_slums.ipynb" not in done
    assert sandbox.remade() == ALL - done
    assert sandbox.remade() == set()


def test_help_lists_every_public_target(sandbox):
    done = sandbox.make("help")
    for target in ("reports", "test", "lab", "notebooks", "check-raw", "format", "clean"):
        assert f"make {target} " in done.stdout


def test_an_old_python_is_refused_in_one_line(sandbox):
    old = sandbox.folder / "python3.9"
    old.write_text('#!/bin/sh\ntest "$1" = --version && echo Python 3.9.2 || exit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "reports", f"PYTHON={old}", "VENV=.venv-new"],
        cwd=sandbox.folder,
        env=sandbox.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    told = done.stderr.splitlines()[0]
    assert "Python 3.11 or newer is needed" in told and "is Python 3.9.2" in told
    assert "make reports PYTHON=" in told
    assert not (sandbox.folder / ".venv-new").exists()


def test_without_network_it_says_so_and_leaves_no_half_environment(sandbox):
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    done = subprocess.run(
        ["make", "reports", f"PYTHON={base}", "VENV=.venv-new"],
        cwd=sandbox.folder,
        env=sandbox.environment
        | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "The packages could not be installed" in done.stderr
    assert "check the network" in done.stderr
    assert not (sandbox.folder / ".venv-new").exists()
