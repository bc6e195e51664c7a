"""From an executed notebook to a PDF: pandoc, then Typst, both from wheels.

No LaTeX, browser, system package or system font takes part, and the same notebook gives the same
bytes. Typst is asked for PDF/UA-1, so that a figure without alternative text or an unknown
reference ends the build instead of a report.

``python -m analysis.report build/11_target.ipynb reports/11_target.pdf``
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import metadata
from pathlib import Path

import pypandoc
import typst

from analysis import paths, provenance, sources
from analysis.display import FILE, FONTS, SYNTHETIC

_HERE = Path(__file__).parent
SERIES = "Poverty and slums in DKI Jakarta"


class ReportError(ValueError):
    """A notebook cannot be made into a report."""


def build(notebook: Path, output: Path) -> None:
    """Write the report of an executed notebook, atomically.

    Parameters
    ----------
    notebook
        A notebook executed by `analysis.runner`: its first cell holds the title (``# ...``) and
        the question as the first paragraph.
    output
        The PDF. Its bytes depend on the notebook and the installed versions alone. If its name
        ends in ``.png``, the first page as a picture instead. Beside a PDF are written the files
        that the notebook gives (`analysis.display.show_file`), as ``NAME_file.csv``.

    Raises
    ------
    ReportError
        The notebook does not exist, was not executed by the runner, or has no title; or pandoc
        or Typst refuse it (a figure without caption or alternative text, an unknown reference).
    """
    notebook, output = Path(notebook), Path(output)
    try:
        book = json.loads(notebook.read_text(encoding="utf-8"))
        run = book["metadata"].get(provenance.RECORD)
    except FileNotFoundError:
        raise ReportError(f"{paths.shown(notebook)} is missing: run 'make reports'") from None
    except (ValueError, KeyError, TypeError):
        raise ReportError(f"{paths.shown(notebook)} is no notebook") from None
    if run is None:
        raise ReportError(
            f"{paths.shown(notebook)} was not executed by analysis.runner: "
            f"run 'python -m analysis.runner' with --output"
        )
    title, question = _take_title(book, notebook)
    used = [source for read in run["reads"] for source in read["sources"]]
    producers = sorted({sources.record(source_id).producer for source_id in used})
    # The user's own files: recorded by name, without a record in sources.yml and so a date.
    own = [
        f"the user's own file {read['path']}"
        for read in run["reads"]
        if not read["sources"] and not read.get("synthetic") and "/" not in read["path"]
    ]
    if not used and not own:
        raise ReportError("the notebook has read no source: a report without sources is not built")
    _append_record(book, run)
    variables = {
        "title": title,
        "subtitle": question,
        "description": question.replace('"', "'"),
        "series": SERIES,
        "author": metadata(provenance.DISTRIBUTION)["Author"],
        "version": run["version"],
        **_dated(used),
        "footer-source": "; ".join([*producers, *own]),
        "synthetic": SYNTHETIC if any(read.get("synthetic") for read in run["reads"]) else "",
        "lang": "en",
        "region": "gb",
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        text = _to_typst(book, variables, Path(folder), notebook)
        _compile(text, output, Path(folder), notebook)
    if output.suffix != ".png":
        for name, content in _files(book):
            # With the mark by which spreadsheets recognise UTF-8.
            _replace(output.with_name(f"{output.stem}_{name}.csv"), content.encode("utf-8-sig"))


def _files(book: dict) -> list[tuple[str, str]]:
    """Names and contents of the files that a notebook gives."""
    outputs = [out for cell in book["cells"] for out in cell.get("outputs", [])]
    return [
        (out["metadata"][FILE]["name"], _text(out["data"][FILE]))
        for out in outputs
        if FILE in out.get("data", {}) and "name" in out.get("metadata", {}).get(FILE, {})
    ]


def _take_title(book: dict, notebook: Path) -> tuple[str, str]:
    first = book["cells"][0]
    lines = _text(first["source"]).strip().split("\n")
    if first["cell_type"] != "markdown" or not lines[0].startswith("# "):
        raise ReportError(f"{paths.shown(notebook)}: the first cell must begin with '# Title'")
    question, _, rest = "\n".join(lines[1:]).strip().partition("\n\n")
    first["source"] = rest
    return lines[0].removeprefix("# ").strip(), " ".join(question.split())


def _dated(used: list[str]) -> dict[str, str]:
    """The date of the newest source, for the template; none if there is none."""
    if not used:
        return {}
    newest = max(sources.record(source_id).date_accessed for source_id in used)
    return {
        "date": f"{newest.day} {newest:%B %Y}",
        "date-year": str(newest.year),
        "date-month": str(newest.month),
        "date-day": str(newest.day),
    }


def _append_record(book: dict, run: dict) -> None:
    """References, then what the run was made of: parameters, version, checksums."""
    parts = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "markdown"]
    for cell in book["cells"]:
        parts += [out.get("data", {}).get("text/markdown", "") for out in cell.get("outputs", [])]
    text = "\n".join(map(_text, parts))
    blocks = ["```{=typst}\n#pagebreak(weak: true)\n```"]
    if re.search(r"\[-?@(?!fig-|tbl-)", text):
        blocks += ["## References", "::: {#refs}\n:::"]
    parameters = [f"| `{name}` | `{value!r}` |" for name, value in run["parameters"].items()]
    own = [file for file in _HERE.iterdir() if file.suffix != ".pyc" and file.is_file()]
    code = run["code"] | {"src/analysis/report": provenance.checksum_of(own, _HERE)}
    checksums = [f"| `{path}` | `{sha256[:16]}` |" for path, sha256 in code.items()]
    checksums += [f"| `{read['path']}` | `{read['sha256'][:16]}` |" for read in run["reads"]]
    blocks += [
        "## How this report was made",
        f"Notebook `{run['notebook']}`, project version {run['version']}. The same inputs give the "
        f"same report, byte for byte.",
    ]
    if parameters:
        blocks.append("| Parameter | Value |\n|:---|:---|\n" + "\n".join(parameters))
    blocks.append(
        "| Code, and files read, directly or through tables | SHA-256, begins |\n|:---|:---|\n"
        + "\n".join(checksums)
    )
    record = {"cell_type": "markdown", "id": "record", "metadata": {}}
    book["cells"].append(record | {"source": "\n\n".join(blocks)})


def _text(source: str | list[str]) -> str:
    """Multi-line text of a notebook file, which may be a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def _to_typst(book: dict, variables: dict[str, str], folder: Path, notebook: Path) -> str:
    copy = folder / "report.ipynb"
    copy.write_text(json.dumps(book), encoding="utf-8")
    command = [
        pypandoc.get_pandoc_path(),
        "--from=ipynb+citations+fenced_divs+raw_attribute+pipe_tables",
        "--to=typst",
        "--standalone",
        "--wrap=none",
        "--columns=100000",
        "--ipynb-output=all",
        "--extract-media=media",
        "--shift-heading-level-by=-1",
        f"--template={_HERE / 'template.typ'}",
        f"--lua-filter={_HERE / 'filter.lua'}",
        "--citeproc",
        f"--bibliography={_HERE / 'references.bib'}",
        "--metadata=link-citations:true",
        "--fail-if-warnings",
        *(f"--variable={name}={_escaped(value)}" for name, value in variables.items()),
        copy.name,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split())
        raise ReportError(f"{paths.shown(notebook)} cannot be made into a report: {reason}")
    # pandoc's writer centres every table; there is no option for it.
    return re.sub(r"^  align\(center\)\[", "  align(left)[", done.stdout, flags=re.MULTILINE)


def _escaped(text: str) -> str:
    return re.sub(r"([#$*_@<>`\\\[\]])", r"\\\1", text)


def _compile(text: str, output: Path, folder: Path, notebook: Path) -> None:
    document = folder / "report.typ"
    document.write_text(text, encoding="utf-8")
    picture = output.suffix == ".png"
    try:
        made = typst.compile(
            str(document),
            root=str(folder),
            font_paths=[str(FONTS)],
            ignore_system_fonts=True,
            **({"format": "png", "ppi": 60.0} if picture else {"pdf_standards": ["ua-1"]}),
        )
    except typst.TypstError as error:
        reason = " ".join(str(error).split())
        raise ReportError(
            f"{paths.shown(notebook)} cannot be made into a report: {reason}"
        ) from None
    first = made[0] if isinstance(made, list) else made
    _replace(output, first)


def _replace(output: Path, content: bytes) -> None:
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m analysis.report EXECUTED.ipynb REPORT.pdf", file=sys.stderr)
        return 2
    try:
        build(Path(arguments[0]), Path(arguments[1]))
    except (ReportError, sources.SourceError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"report: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    return 0
