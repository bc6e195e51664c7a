import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from conftest import listen_to_interrupts

from analysis import paths, provenance, runner


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of the given code cells, the first tagged as parameters."""

    def write(*cells: str, parameters: str | None = 'code = "0317"\nyears = 3\nrate = 2.5\n'):
        book = nbformat.v4.new_notebook()
        if parameters is not None:
            cell = nbformat.v4.new_code_cell(parameters, id="p")
            cell.metadata["tags"] = ["parameters"]
            book.cells.append(cell)
        book.cells += [nbformat.v4.new_code_cell(c, id=f"c{i}") for i, c in enumerate(cells)]
        path = tmp_path / "notebook.ipynb"
        nbformat.write(book, path)
        return path

    return write


def outputs(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "".join(out.get("text", "") for cell in cells for out in cell.get("outputs", []))


def main(capsys, *arguments) -> tuple[int, str]:
    """Exit status and the last line on stderr: what a person reads at the prompt."""
    status = runner.main([str(a) for a in arguments])
    return status, capsys.readouterr().err.strip().split("\n")[-1]


def test_codes_stay_text_and_numbers_numbers(notebook, tmp_path, capsys):
    path = notebook("print(repr(code), repr(years), repr(rate))")
    output = tmp_path / "out.ipynb"
    given = ["-p", "code", "0042", "-p", "years", "5", "-p", "rate", "3"]
    assert runner.main([str(path), "--output", str(output), *given]) == 0
    assert outputs(output) == "'0042' 5 3.0\n"


def test_parameters_from_a_file(notebook, tmp_path):
    path = notebook("print(repr(code), years)")
    (tmp_path / "own.yml").write_text("code: '0099'\nyears: 1\n")
    arguments = [str(path), "--output", str(tmp_path / "o.ipynb"), "-f", str(tmp_path / "own.yml")]
    assert runner.main(arguments) == 0
    assert outputs(tmp_path / "o.ipynb") == "'0099' 1\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-p", "yers", "4"], "has no parameter 'yers' (it has: code, rate, years)"),
        (
            ["-p", "years", "many"],
            "parameter years must be a whole number like 3, but 'many' is text",
        ),
        (["-p", "rate", "high"], "parameter rate must be a number like 2.5"),
    ],
)
def test_wrong_parameters_stop_the_run(notebook, tmp_path, capsys, arguments, told):
    output = tmp_path / "out.ipynb"
    output.write_text("earlier")
    status, line = main(capsys, notebook("1"), "--output", output, *arguments)
    assert status == 1 and told in line and "notebook.ipynb" in line
    assert output.read_text() == "earlier"


def test_a_code_without_quotes_in_a_file_is_refused(notebook, tmp_path, capsys):
    (tmp_path / "own.yml").write_text("code: 0042\n")
    status, line = main(
        capsys, notebook("1"), "-f", tmp_path / "own.yml", "--output", tmp_path / "o"
    )
    assert status == 1 and "code must be text like '0317'" in line and "quote it" in line


def test_files_that_are_no_notebook_or_no_parameters(notebook, tmp_path, capsys):
    status, line = main(capsys, tmp_path / "nothing.ipynb")
    assert status == 1 and "no notebook" in line and "11_target" in line
    (tmp_path / "text.ipynb").write_text("not json")
    status, line = main(capsys, tmp_path / "text.ipynb")
    assert status == 1 and "is no notebook" in line
    status, line = main(capsys, notebook("1"), "-f", tmp_path / "none.yml")
    assert status == 1 and "no parameter file" in line
    (tmp_path / "list.yml").write_text("- a\n")
    status, line = main(capsys, notebook("1"), "-f", tmp_path / "list.yml")
    assert status == 1 and "'NAME: VALUE'" in line


def test_a_derived_name_in_the_parameters_cell_is_refused(notebook, tmp_path, capsys):
    path = notebook("1", parameters='year = "2017"\nperiod = year + "-03"')
    status, line = main(capsys, path, "--output", tmp_path / "o.ipynb")
    assert status == 1 and "line 2 of the parameters cell" in line and "next cell" in line


def test_a_failing_cell_ends_in_one_line_and_keeps_the_earlier_output(notebook, tmp_path, capsys):
    output = tmp_path / "out.ipynb"
    output.write_text("earlier")
    path = notebook("raise ValueError('data/raw/x.csv is missing:\\nrestore it')")
    status, line = main(capsys, path, "--output", output)
    assert status == 1
    assert "notebook.ipynb, cell 2: ValueError: data/raw/x.csv is missing: restore it" in line
    assert output.read_text() == "earlier"
    failed = tmp_path / "failed-out.ipynb"
    assert str(failed) in line and "ValueError" in failed.read_text()


def test_the_record_holds_parameters_version_and_checksums(notebook, tmp_path):
    path = notebook("from analysis import sources\nsources.read('provinces');")
    runner.run(path, tmp_path / "o.ipynb", {"years": 4}, progress=False)
    assert (
        runner._shown(str(tmp_path / "mine.csv")) == "mine.csv"
    )  # the folder is nobody's business
    assert runner._shown("data/raw/x.csv") == "data/raw/x.csv"
    record = nbformat.read(tmp_path / "o.ipynb", as_version=4).metadata[provenance.RECORD]
    assert record["parameters"] == {"code": "0317", "years": 4, "rate": 2.5}
    assert record["version"]
    (read,) = record["reads"]
    assert read["path"] == "data/raw/bps/provinces.csv" and read["sources"] == ["provinces"]
    assert read["sha256"] == provenance.sha256(paths.RAW / "bps/provinces.csv")
    assert record["code"][paths.shown(path)] == provenance.sha256(path)


def test_two_runs_give_the_same_bytes(notebook, tmp_path):
    path = notebook("print(years)")
    for name in ("a", "b"):
        runner.run(path, tmp_path / name / "o.ipynb", {"years": 4}, progress=False)
    assert (tmp_path / "a/o.ipynb").read_bytes() == (tmp_path / "b/o.ipynb").read_bytes()


def test_in_place_leaves_no_record_and_no_trace_of_the_machine(notebook, tmp_path, capsys):
    path = notebook("print(years)")
    assert runner.main([str(path), "--in-place"]) == 0
    book = json.loads(path.read_text())
    assert set(book["metadata"]) == {"kernelspec"}
    assert [cell["metadata"] for cell in book["cells"]] == [{"tags": ["parameters"]}, {}]
    assert [cell["execution_count"] for cell in book["cells"]] == [1, 2]
    changed = path.stat().st_mtime_ns
    assert runner.main([str(path), "--in-place"]) == 0
    assert path.stat().st_mtime_ns == changed  # the same outputs are not written again


def test_warnings_of_a_cell_are_passed_on(notebook, tmp_path, capsys):
    path = notebook("import warnings; warnings.warn('odd')")
    runner.run(path, tmp_path / "o.ipynb", progress=False)
    assert "cell 2 warns:" in capsys.readouterr().err


def test_parallel_runs_do_not_take_one_anothers_kernel(notebook, tmp_path):
    path = notebook("print(years)")
    for _ in range(2):
        command = [sys.executable, "-m", "analysis.runner", path, "-p", "years"]
        runs = [
            subprocess.Popen(
                [*command, str(i), "--output", tmp_path / f"{i}.ipynb"], stderr=subprocess.PIPE
            )
            for i in range(4)
        ]
        for i, process in enumerate(runs):
            _, told = process.communicate(timeout=120)
            assert process.returncode == 0, told
            assert outputs(tmp_path / f"{i}.ipynb") == f"{i}\n"
    assert not list(path.parent.glob("kernel*"))


def test_progress_is_drawn_with_the_name(notebook, tmp_path, capsys):
    runner.run(notebook("1"), tmp_path / "o.ipynb")
    assert "notebook: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_nothing_that_counts_as_done(notebook, tmp_path, kind):
    started, output = tmp_path / "started", tmp_path / "out" / "o.ipynb"
    path = notebook(f"open({str(started)!r}, 'w').close()\nimport time; time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis.runner", path, "--output", output],
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=listen_to_interrupts,
    )
    deadline = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, kind)
    assert process.wait(timeout=60) != 0
    process.stderr.close()
    assert not output.exists()
    # The next run is not disturbed by what was left behind.
    runner.run(notebook("1"), output, progress=False)
    assert output.exists()
