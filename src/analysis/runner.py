"""Run a notebook with parameters through papermill, safely.

What papermill leaves open is closed here: an unknown or mistyped parameter stops the run instead
of warning, codes stay text, the kernel is the one of this environment, the output appears only
when the run has succeeded, and what two runs of the same inputs would differ in is stripped. The
parameters, the project's version and the checksums of everything read go into the notebook's
metadata (`analysis.provenance.RECORD`), from where the report prints them.

``python -m analysis.runner notebooks/11_target.ipynb --output build/11_target.ipynb``
``python -m analysis.runner notebooks/11_target.ipynb -p region_code 32 ... --pdf mine.pdf``
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml

from analysis import paths, provenance

KERNEL = "python3"


class RunError(RuntimeError):
    """A notebook could not be run, or failed; the message is one line for who started it."""


def run(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    record: bool = True,
    progress: bool = True,
) -> None:
    """Execute a notebook and write the executed one to ``output``, atomically.

    Parameters
    ----------
    notebook
        The notebook; it is not changed (unless it is ``output`` too).
    output
        Where the executed notebook goes. It appears complete or not at all; an earlier one stays
        if the run fails or is killed.
    parameters
        Values for the cell tagged ``parameters``, of the same types as there.
    record
        Keep parameters, version and checksums in the metadata. Without, the output depends on
        code and data alone: for notebooks that are committed.
    progress
        Draw a progress bar on stderr.

    Raises
    ------
    RunError
        The notebook does not exist or is none, a parameter is unknown or of another type, or a
        cell failed (the message names cell and error; the notebook with its traceback is kept
        beside ``output`` as ``failed-...``).
    """
    notebook, output = Path(notebook).resolve(), Path(output).resolve()
    if not notebook.is_file():
        known = ", ".join(path.stem for path in sorted((paths.ROOT / "notebooks").glob("*.ipynb")))
        raise RunError(f"no notebook {paths.shown(notebook)} (there are: {known})")
    defaults = parameter_defaults(notebook)
    values = checked(dict(parameters or {}), defaults, notebook)
    output.parent.mkdir(parents=True, exist_ok=True)
    # A folder beside the output, so that the final move stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as folder:
        temporary, log = Path(folder, output.name), Path(folder, "reads")
        executed = _execute(notebook, temporary, values, log, output, progress)
        _warn_of_stderr(executed, notebook)
        _strip(executed)
        if record:
            executed.metadata[provenance.RECORD] = {
                "notebook": paths.shown(notebook),
                "parameters": {name: _shown(v) for name, v in (defaults | values).items()},
                "version": version(provenance.DISTRIBUTION),
                "code": {
                    paths.shown(notebook): provenance.sha256(notebook),
                    "src/analysis": _library_checksum(),
                },
                "reads": provenance.read_log(log),
            }
        nbformat.write(executed, temporary)
        _failed(output).unlink(missing_ok=True)
        if not output.exists() or output.read_bytes() != temporary.read_bytes() or record:
            temporary.replace(output)


def _shown(value: Any) -> Any:
    """A parameter as the report prints it: of a file elsewhere the name, not the folder."""
    if isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", ".."))):
        return Path(value).name
    return value


def parameter_defaults(notebook: Path) -> dict[str, Any]:
    """Names and default values in the cell tagged ``parameters``; empty without such a cell.

    Raises
    ------
    RunError
        The file is no notebook, or the cell holds more than literals: a name derived there would
        keep its default when a parameter is changed.
    """
    import ast

    try:
        cells = nbformat.read(notebook, as_version=4).cells
    except Exception as error:  # nbformat raises many kinds
        raise RunError(f"{paths.shown(notebook)} is no notebook ({_one_line(error)})") from None
    defaults = {}
    for cell in cells:
        if "parameters" not in cell.metadata.get("tags", []):
            continue
        for statement in ast.parse(cell.source).body:
            try:
                (name,) = statement.targets
                defaults[name.id] = ast.literal_eval(statement.value)
            except (AttributeError, ValueError):
                raise RunError(
                    f"{paths.shown(notebook)}: line {statement.lineno} of the parameters cell is "
                    f"no 'name = literal': move it to the next cell"
                ) from None
    return defaults


def checked(values: dict[str, Any], defaults: dict[str, Any], notebook: Path) -> dict[str, Any]:
    """Parameters compared with the notebook's own: names and types.

    Text from the command line is read as the type of the default, so that a code stays text:
    ``-p region_code 03`` is ``"03"``. A whole number is accepted for a decimal one.

    Raises
    ------
    RunError
        A name is unknown (the known ones are listed) or a value is of another type.
    """
    unknown = sorted(set(values) - set(defaults))
    if unknown:
        known = ", ".join(sorted(defaults)) or "none"
        raise RunError(
            f"{paths.shown(notebook)} has no parameter {', '.join(map(repr, unknown))} "
            f"(it has: {known})"
        )
    result = {}
    for name, value in values.items():
        default = defaults[name]
        if isinstance(value, _CommandLine):
            value = str(value) if isinstance(default, str) else yaml.safe_load(value)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if default is not None and type(value) is not type(default):
            hint = f": quote it ('{value}')" if isinstance(default, str) else ""
            raise RunError(
                f"{paths.shown(notebook)}: parameter {name} must be {_KINDS[type(default)]} "
                f"like {default!r}, but {value!r} is "
                f"{_KINDS.get(type(value), type(value).__name__)}{hint}"
            )
        result[name] = value
    return result


class _CommandLine(str):
    """A value from the command line, whose type is not known yet."""


_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    type(None): "empty",
}


def _execute(
    notebook: Path,
    temporary: Path,
    parameters: dict[str, Any],
    log: Path,
    output: Path,
    progress: bool,
) -> nbformat.NotebookNode:
    import papermill
    from jupyter_client.kernelspec import KernelSpecManager
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    spec = KernelSpecManager(ensure_native_kernel=True).get_kernel_spec(KERNEL)
    if not Path(spec.resource_dir).resolve().is_relative_to(Path(sys.prefix).resolve()):
        raise RunError(
            f"the Jupyter kernel {KERNEL!r} of {spec.resource_dir} hides the one of this "
            f"environment: run with JUPYTER_PREFER_ENV_PATH=1, as make does"
        )
    before = os.environ.get(provenance.READS_VARIABLE)
    os.environ[provenance.READS_VARIABLE] = str(log)
    # In the system's folder for temporary files: a socket's path must be short.
    sockets = tempfile.mkdtemp(prefix="kernel-")
    try:
        return papermill.execute_notebook(
            notebook,
            temporary,
            parameters=parameters,
            kernel_name=KERNEL,
            language="python",
            cwd=notebook.parent,
            progress_bar={"desc": notebook.stem, "unit": "cell", "leave": True}
            if progress
            else False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            # Sockets instead of ports, and in a folder of their own: parallel runs cannot take
            # one another's, as they do with jupyter's defaults.
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        )
    except PapermillExecutionError as error:
        kept = _failed(output)
        if temporary.exists():
            temporary.replace(kept)
        raise RunError(
            f"{paths.shown(notebook)}, cell {error.cell_index + 1}: {error.ename}: "
            f"{_one_line(error.evalue)} (traceback: {paths.shown(kept)})"
        ) from None
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        if before is None:
            del os.environ[provenance.READS_VARIABLE]
        else:
            os.environ[provenance.READS_VARIABLE] = before


def _failed(output: Path) -> Path:
    return output.with_name(f"failed-{output.name}")


def _strip(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs between two runs of the same inputs, or between two machines."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("language_info", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": KERNEL,
    }
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"


def _warn_of_stderr(notebook: nbformat.NotebookNode, path: Path) -> None:
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                first = _one_line(output.text)[:200]
                print(f"{paths.shown(path)}, cell {number} warns: {first}", file=sys.stderr)


def _library_checksum() -> str:
    """One checksum over what the Makefile counts as the library: all but the report's files."""
    folder = paths.ROOT / "src" / "analysis"
    kinds = ("*.py", "*.mplstyle", "*/*.py")
    files = [f for kind in kinds for f in folder.glob(kind) if f.parent.name != "report"]
    return provenance.checksum_of(files, folder)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def main(arguments: list[str] | None = None) -> int:
    # The sums of several threads differ in their last digits from machine to machine, and on a
    # busy machine the threads of small matrices mostly wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(
        prog="python -m analysis.runner", description="Run a notebook with parameters."
    )
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--output", type=Path, help="the executed notebook (build/NAME.ipynb)")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebook; may be given several times",
    )
    parser.add_argument("-f", "--file", type=Path, help="parameters in a YAML file (NAME: VALUE)")
    parser.add_argument(
        "--in-place", action="store_true", help="write the notebook itself, no record"
    )
    parser.add_argument("--pdf", type=Path, help="also write the report to this PDF")
    options = parser.parse_args(arguments)
    try:
        values: dict[str, Any] = _from_file(options.file) if options.file else {}
        values |= {name: _CommandLine(value) for name, value in options.parameter}
        # A run with its own parameters must not pass for the default one.
        folder = paths.ROOT / "build" / ("own" if values else "")
        output = options.notebook if options.in_place else options.output
        output = output or folder / options.notebook.name
        run(options.notebook, output, values, record=not options.in_place)
        if options.pdf:
            from analysis import report  # heavy, and not needed for a run alone

            return report.main([str(output), str(options.pdf)])
    except RunError as error:
        print(f"run: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"run: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _from_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"no parameter file {path}") from None
    except yaml.YAMLError as error:
        raise RunError(f"{path} is no YAML ({_one_line(error)})") from None
    if not isinstance(values, dict):
        raise RunError(f"{path} must hold lines 'NAME: VALUE'")
    return values


if __name__ == "__main__":
    sys.exit(main())
