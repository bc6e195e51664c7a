"""The record of raw files (``data/raw/sources.yml``), their check, and reading them.

``python -m analysis.sources`` checks every record and every file (`make check-raw`).
"""

import sys
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

from analysis import paths, provenance

RECORDS = paths.RAW / "sources.yml"
SCHEMA = paths.RAW / "sources.schema.yml"

# Codes and values "as published" are text whatever they look like; the rest pandas may infer.
_TEXT_SUFFIXES = ("_code", "_as_published")
_TEXT_COLUMNS = {"period", "rw", "year"}


class SourceError(ValueError):
    """A raw file or its record is not what it should be."""


@dataclass(frozen=True)
class Source:
    """One raw file and where it comes from (the fields are those of ``sources.schema.yml``)."""

    id: str
    path: str
    producer: str
    title: str
    citation: str
    address: str
    date_published: date
    date_accessed: date
    licence: str
    licence_address: str | None
    redistributable: bool
    unit: str
    geography: str
    sha256: str
    bytes: int
    installed: bool = False
    synthetic: bool = False
    note: str | None = None

    @property
    def file(self) -> Path:
        return paths.RAW / self.path


@cache
def records() -> dict[str, Source]:
    """All records by identifier.

    Raises
    ------
    SourceError
        ``sources.yml`` is missing, is no YAML, or a record lacks a field or has an unknown one.
    """
    where = paths.shown(RECORDS)
    try:
        listed = yaml.safe_load(RECORDS.read_text(encoding="utf-8"))
        return {entry["id"]: Source(**entry) for entry in listed}
    except FileNotFoundError:
        raise SourceError(f"{where} is missing: restore it with 'git checkout {where}'") from None
    except (yaml.YAMLError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{where} cannot be read ({reason}): see 'make check-raw'") from None


def record(source_id: str) -> Source:
    """One record; raises `SourceError` naming the known ones if there is none."""
    try:
        return records()[source_id]
    except KeyError:
        known = ", ".join(sorted(records()))
        raise SourceError(f"no source {source_id!r} in sources.yml (there are: {known})") from None


def verified(source_id: str) -> Path:
    """The file of a source after its size and checksum have been compared with the record.

    Raises
    ------
    SourceError
        The file is missing or is not the one on record; the message names file and cure.
    """
    source = record(source_id)
    problem = _problem(source)
    if problem:
        raise SourceError(problem)
    provenance.record(source.file, [source.id], source.sha256, synthetic=source.synthetic)
    return source.file


def read(source_id: str) -> pd.DataFrame:
    """A raw CSV table as published, codes and periods as text, empty cells missing.

    Raises
    ------
    SourceError
        See `verified`.
    """
    path = verified(source_id)
    names = pd.read_csv(path, nrows=0).columns
    text = {n: "str" for n in names if n in _TEXT_COLUMNS or n.endswith(_TEXT_SUFFIXES)}
    return pd.read_csv(path, dtype=text)


def vintage(source_ids: list[str]) -> tuple[str, date]:
    """How figures say where they come from: the citations joined, and the latest access date."""
    used = [record(source_id) for source_id in dict.fromkeys(source_ids)]
    citations = dict.fromkeys(source.citation for source in used)
    return "; ".join(citations), max(source.date_accessed for source in used)


def check() -> list[str]:
    """All that is wrong with the records and the raw files; empty if nothing is.

    The records are compared with their schema, every file with its record, and the folders with
    the list: a raw file without a record is an error too. Installed files (boundaries) are
    checked when they are there.
    """
    import jsonschema  # slow to import, and needed here only

    try:
        schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
        listed = yaml.safe_load(RECORDS.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        return [f"{paths.shown(RECORDS)} or its schema cannot be read: {error}"]
    # JSON has no dates: compare their text.
    for entry in listed if isinstance(listed, list) else []:
        for key, value in entry.items() if isinstance(entry, dict) else []:
            if isinstance(value, date):
                entry[key] = value.isoformat()
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    problems = []
    for error in validator.iter_errors(listed):
        index = next(iter(error.absolute_path), None)
        name = listed[index].get("id", f"number {index}") if isinstance(index, int) else "the list"
        field = ".".join(str(part) for part in list(error.absolute_path)[1:])
        problems.append(
            f"sources.yml, record {name}{', ' + field if field else ''}: {error.message}"
        )
    if problems:
        return problems
    identifiers = [entry["id"] for entry in listed]
    for twice in sorted({i for i in identifiers if identifiers.count(i) > 1}):
        problems.append(f"sources.yml, record {twice}: there are two of this name")
    for source in records().values():
        if source.installed and not source.file.exists():
            continue
        problems += filter(None, [_problem(source)])
    on_record = {source.file.resolve() for source in records().values()}
    for file in sorted(paths.RAW.rglob("*.csv")):
        if "node_modules" not in file.parts and file.resolve() not in on_record:
            problems.append(f"{paths.shown(file)} has no record in data/raw/sources.yml: add one")
    return problems


def _problem(source: Source) -> str | None:
    shown = paths.shown(source.file)
    cure = (
        "run 'make boundaries'" if source.installed else f"restore it with 'git checkout {shown}'"
    )
    if not source.file.is_file():
        return f"{shown} is missing: {cure}"
    size, found = source.file.stat().st_size, provenance.sha256(source.file)
    if (size, found) == (source.bytes, source.sha256):
        return None
    if not source.installed:
        cure += (
            f", or, if the change is meant, put sha256: {found} and bytes: {size} "
            f"into the record {source.id} of data/raw/sources.yml"
        )
    return (
        f"{shown} is not the file on record ({size} bytes instead of {source.bytes}, "
        f"sha256 {found[:12]}... instead of {source.sha256[:12]}...): {cure}"
    )


def split(folder: Path) -> None:
    """Write each record to its own file in ``folder``, touching only those that changed.

    The Makefile's dependencies are these files, so that a change of one record reruns only what
    reads that source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in records().values():
        file, text = folder / f"{source.id}.txt", f"{source}\n"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["split"]:
            split(Path(arguments[1]))
            return 0
        problems = check()
    except SourceError as error:
        problems = [str(error)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        files = [source for source in records().values() if source.file.exists()]
        print(f"check-raw: {len(files)} files are as on record ({len(records())} records)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
