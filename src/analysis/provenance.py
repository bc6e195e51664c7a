"""What a run has read.

Every reader of the library calls `record`. A processed table carries what was read to make it
(`analysis.tables`), so that a report lists raw files and publishers even where its notebook reads
nothing but processed tables. Inside a notebook that `analysis.runner` executes, the records also
go to the file named by ``ANALYSIS_READS``, from where the runner takes them into the notebook's
metadata and the report prints them on its last page.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from analysis import paths

READS_VARIABLE = "ANALYSIS_READS"
RECORD = "analysis_run"  # the key of the record in an executed notebook's metadata
DISTRIBUTION = "jakarta-poverty-analysis"  # whose version is recorded

_reads: dict[str, dict] = {}


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_of(files: Iterable[Path], folder: Path) -> str:
    """One SHA-256 over several files, by their names below a folder and their contents."""
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(f"{file.relative_to(folder)} {sha256(file)}\n".encode())
    return whole.hexdigest()


def checksum_of_text(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    path: Path,
    sources: Iterable[str] = (),
    checksum: str | None = None,
    behind: Iterable[dict] = (),
    synthetic: bool = False,
    name: str | None = None,
) -> None:
    """Note that ``path`` has been read.

    Parameters
    ----------
    path
        The file.
    sources
        Identifiers of its records in sources.yml: one for a raw file, none for others.
    checksum
        Its SHA-256, if known already.
    behind
        What was read to make it (`reads` at that time).
    synthetic
        Whether it holds simulated data; a file is synthetic too if anything behind it is.
    name
        How the record calls a file whose folder is nobody's business.
    """
    behind = list(behind)
    line = {
        "path": name or paths.shown(path),
        "sha256": checksum or sha256(path),
        "sources": sorted(sources),
        "direct": True,
        "synthetic": synthetic or any(read.get("synthetic") for read in behind),
    }
    _note(line)
    for read in behind:
        _note(read | {"direct": False})


def _note(line: dict) -> None:
    line = {"synthetic": False} | line  # tables of earlier versions do not say
    known = _reads.get(line["path"])
    if known is None or line["direct"]:
        _reads[line["path"]] = line
    if log := os.environ.get(READS_VARIABLE):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def reads() -> list[dict]:
    """All that this process has read, directly or through tables.

    ``path, sha256, sources, direct, synthetic`` each.
    """
    return [_reads[path] for path in sorted(_reads)]


def synthetic() -> bool:
    """Whether anything that this process has read is simulated: then every output says so."""
    return any(read["synthetic"] for read in _reads.values())


def read_log(log: Path) -> list[dict]:
    """The files noted in a log, each once, in order of their paths."""
    noted: dict[str, dict] = {}
    for text in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        line = json.loads(text)
        if line["path"] not in noted or line["direct"]:
            noted[line["path"]] = line
    return [noted[path] for path in sorted(noted)]
