"""What a run has read.

Every reader of the library calls `record`. A processed table carries the raw sources it was made
from (`analysis.tables`), so that a report names the publishers even where its notebook reads
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

_sources_read: set[str] = set()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(path: Path, sources: Iterable[str], checksum: str | None = None) -> None:
    """Note that ``path`` has been read.

    Parameters
    ----------
    path
        The file.
    sources
        Identifiers of the records in sources.yml that it is, or was made from.
    checksum
        Its SHA-256, if known already.
    """
    sources = sorted(set(sources))
    _sources_read.update(sources)
    log = os.environ.get(READS_VARIABLE)
    if not log:
        return
    line = {"path": paths.shown(path), "sha256": checksum or sha256(path), "sources": sources}
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def sources_read() -> list[str]:
    """Identifiers of all sources that this process has read, directly or through tables."""
    return sorted(_sources_read)


def read_log(log: Path) -> list[dict]:
    """The files noted in a log, each once, in order of their paths."""
    if not log.exists():
        return []
    lines = set(log.read_text(encoding="utf-8").splitlines())
    return sorted((json.loads(line) for line in lines), key=lambda read: read["path"])
