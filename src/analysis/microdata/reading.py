"""From the files of a mapping to canonical tables: one recoding, in SQL, for all formats."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from analysis import paths, provenance, regions, sources
from analysis.microdata import files
from analysis.microdata import mapping as mappings
from analysis.microdata.columns import (
    AREA_DIGITS,
    CATEGORY,
    INTEGER,
    NUMBER,
    TABLES,
    YES_NO,
    Kind,
    MicrodataError,
    problems,
)
from analysis.microdata.mapping import Column, Mapping, Name, Part, near

VARIABLE = "MICRODATA"
LEVELS = ("kota", "kecamatan", "kelurahan")
_ROWS = '"row count"'  # how many rows of the file a row of a relation stands for
# A code seen in fewer rows than this is told only if it is so short that it names nobody.
_SHOWN_ROWS, _SHOWN_DIGITS = 8, 3
_TRUTH = {"1": "true", "0": "false", "t": "true", "f": "false"}


@dataclass(frozen=True)
class Microdata:
    """The canonical tables of one mapping; tables that it does not have are None.

    Attributes
    ----------
    survey
        A row per sampled household and period, with ``weight``, ``expenditure_rp`` and
        ``expenditure_per_capita_rp`` (both per month).
    census
        A row per pattern of the covariates, with the ``count`` of its households.
    podes
        A row per kelurahan.
    lines
        ``period, kota_code, poverty_line_rp, derived``.
    truth, areas
        Of a synthetic city: the true figures, and its invented names.
    synthetic
        Whether any of the files is simulated.
    notes
        What a reader has to know of the reading, in sentences (households left out, columns of
        the design that are not there).
    """

    survey: pd.DataFrame | None
    census: pd.DataFrame | None
    podes: pd.DataFrame | None
    lines: pd.DataFrame | None
    truth: pd.DataFrame | None
    areas: pd.DataFrame | None
    synthetic: bool
    notes: tuple[str, ...] = ()

    @property
    def periods(self) -> list[str]:
        """The periods of the survey, in order."""
        return [] if self.survey is None else sorted(self.survey["period"].unique())

    @property
    def lowest_level(self) -> str:
        """``kota``, ``kecamatan`` or ``kelurahan``: the smallest areas that can be estimated.

        Below the kota that takes codes in the survey and a census, both down to that level in
        every row.
        """
        tables = (self.survey, self.census)
        return LEVELS[min(0 if t is None else LEVELS.index(level(t)) for t in tables)]

    def needed_for_more(self) -> str:
        """What the files would have to hold for estimates of smaller areas, in sentences.

        Empty if estimates by kelurahan are possible.
        """
        if self.lowest_level == "kelurahan":
            return ""
        told = []
        if self.survey is None:
            told.append("There is no survey in the mapping: it is needed for any estimate.")
        else:
            told.append(_coverage("survey", "households", self.survey))
        if self.census is None:
            told.append(
                "There is no census or register in the mapping: estimates below the kota need "
                "one, with the covariates of the survey and the kelurahan of every household."
            )
        else:
            told.append(_coverage("census", "rows", self.census))
        told = [words for words in told if words]
        return f"Estimates are possible by {self.lowest_level}. " + " ".join(told)


def level(table: pd.DataFrame) -> str:
    """The lowest level whose codes every row has (``kota``, ``kecamatan`` or ``kelurahan``)."""
    for name in reversed(LEVELS):
        if table[f"{name}_code"].notna().all():
            return name
    raise MicrodataError("there are rows without kota_code")


def _coverage(name: str, rows: str, table: pd.DataFrame) -> str:
    reached = level(table)
    if reached == "kelurahan":
        return ""
    missing = table["kelurahan_code"].isna()
    how_many = "none" if missing.all() else f"{(~missing).sum():,} of {len(table):,}"
    return (
        f"Of the {rows} of the {name}, {how_many} carry a kelurahan code; the codes are complete "
        f"down to the {reached}. Estimates by kelurahan need the 10-digit code for all of them: "
        "ask the producer of the file for an edition that is not masked."
    )


def read(
    path: str | os.PathLike | None = None,
    *,
    tables: Sequence[str] = tuple(TABLES),
    periods: Sequence[str] | None = None,
    census_columns: Sequence[str] | None = None,
    memory: str | None = None,
) -> Microdata:
    """The canonical tables of a mapping of microdata.

    The files stay where they are; what is recorded of them is their name and checksum
    (`analysis.provenance`).

    Parameters
    ----------
    path
        A mapping, or a folder with a ``mapping.yml``; by default what ``MICRODATA`` names. A
        relative path of that variable counts from the project's folder.
    tables
        Those wanted, of ``survey, census, podes, lines, truth, areas``; others are None.
    periods
        Those wanted of the survey; by default all.
    census_columns
        Covariates wanted of the census (codes of areas are always there): the fewer, the fewer
        patterns.
    memory
        How much DuckDB may use before it goes to disk, for instance ``"2GB"``.

    Raises
    ------
    MicrodataError
        The mapping or a file is not what it should be. All problems of one stage are told
        together, each with the line of the mapping to change; never a row of data.
    """
    mapping = mappings.load(_mapping_file(path))
    known = [period for table, period in mapping.tables if table == "survey"]
    if unknown := sorted(set(periods or ()) - set(known)):
        raise MicrodataError(
            f"{mapping.path.name} has no survey of {', '.join(unknown)} (there are: "
            f"{', '.join(known) or 'none'})"
        )
    wanted = {
        (table, period): parts
        for (table, period), parts in mapping.tables.items()
        if table in tables and (period is None or periods is None or period in periods)
    }
    wanted = _with_columns(mapping, wanted)
    if census_columns is not None and ("census", None) in wanted:
        wanted["census", None] = _only(mapping, wanted["census", None], census_columns)

    synthetic = mapping.synthetic
    for file, part in {p.file: p for parts in wanted.values() for p in parts}.items():
        marked = mapping.synthetic or files.says_synthetic(part)
        provenance.record(file, synthetic=marked, name=_recorded(mapping, file))
        synthetic |= marked
    provenance.record(mapping.path, synthetic=synthetic, name=_recorded(mapping, mapping.path))

    notes: list[str] = []
    found: dict[tuple[str, str | None], pd.DataFrame] = {}
    with files.connection(memory) as con:
        for number, ((table, period), parts) in enumerate(wanted.items()):
            reading = _Reading(con, mapping, table, period, parts, number, notes)
            found[table, period] = reading.table()
    surveys = [t.assign(period=p) for (name, p), t in found.items() if name == "survey"]
    survey = _stacked(surveys) if surveys else None
    others = {name: _plain(t) for (name, _), t in found.items() if name != "survey"}
    return Microdata(
        survey=survey,
        **{name: others.get(name) for name in TABLES if name != "survey"},
        synthetic=synthetic,
        notes=tuple(notes),
    )


def _mapping_file(path: str | os.PathLike | None) -> Path:
    if path is None:
        named = os.environ.get(VARIABLE)
        if not named:
            raise MicrodataError(
                f"no microdata: give the path of a mapping, or set {VARIABLE} to it or its folder"
            )
        path = paths.ROOT / Path(named).expanduser()
    path = Path(path)
    return path / "mapping.yml" if path.is_dir() else path


def _recorded(mapping: Mapping, file: Path) -> str:
    """How a file is called in records: below the mapping's folder, which stays private."""
    folder, file = mapping.path.resolve().parent, file.resolve()
    inside = file.is_relative_to(folder)
    return f"{VARIABLE}/{file.relative_to(folder).as_posix() if inside else file.name}"


# ---- columns ---------------------------------------------------------------------------------


def _with_columns(mapping: Mapping, wanted: dict) -> dict:
    """The parts with their columns found in the files.

    Raises
    ------
    MicrodataError
        Files that are not there and columns that they do not have, all of them.
    """
    told, complete = [], {}
    for (table, period), parts in wanted.items():
        complete[table, period] = tuple(_with_own_columns(mapping, table, p, told) for p in parts)
    if told:
        raise mapping.error(told)
    return complete


def _with_own_columns(mapping: Mapping, table: str, part: Part, told: list[str]) -> Part:
    try:
        present = files.columns(part)
    except MicrodataError as error:
        told.append(f"{mapping.at(part.line)}: {error}")
        return part
    for name in part.used():
        if name.name not in present:
            hint = near(name.name, present) or f" (it has {len(present)} columns)"
            told.append(
                f"{mapping.at(name.line)}: {part.file.name} has no column {name.name!r}{hint}"
            )
    if part.columns is not None:
        return part
    own = mappings.canonical(table, present, part.line)
    given = set(own) | ({"household_id", "period"} if table == "survey" else set())
    lacking = [n for n, k in TABLES[table].items() if k.required and n not in given]
    if table == "survey" and not {"expenditure_rp", "expenditure_per_capita_rp"} & set(own):
        lacking.append("expenditure_rp")
    if table in ("survey", "census") and not set(AREA_DIGITS) & set(own):
        lacking.append("kota_code")
    id_ = part.id
    if table == "survey" and not id_:
        if "household_id" in present:
            id_ = (Name("household_id", part.line),)
        else:
            lacking.append("household_id")
    if lacking:
        told.append(
            f"{mapping.at(part.line)}: {part.file.name} has no {', '.join(lacking)}: "
            "say under columns: which of its columns they are"
        )
    return replace(part, columns=own, id=id_)


def _only(mapping: Mapping, parts: tuple[Part, ...], wanted: Sequence[str]) -> tuple[Part, ...]:
    given = {name for part in parts for name in part.columns}
    if unknown := sorted(set(wanted) - given):
        raise MicrodataError(
            f"{mapping.at(parts[0].line)}: the census has no {', '.join(unknown)} (there are: "
            f"{', '.join(sorted(given))}): add them to its columns, or ask for others"
        )
    kept = {*wanted, *AREA_DIGITS, "count"}
    return tuple(
        replace(p, columns={n: c for n, c in p.columns.items() if n in kept}) for p in parts
    )


# ---- one table -------------------------------------------------------------------------------


def _source(relation: str, used: Sequence[str], decimal: str) -> str:
    """The file with its used columns as text and as code, in the words of `mapping.code`.

    In layers, so that each is computed once; and patterns, which are slow, are looked for only
    where they can be.
    """
    separator = "," if decimal == "," else "\\."
    raw, texts, codes = [_ROWS], [], []
    for name in used:
        r, t, c = (files.quoted(f"{kind}:{name}") for kind in ("raw", "text", "code"))
        raw.append(f"nullif(trim(CAST({files.quoted(name)} AS VARCHAR)), '') AS {r}")
        whole = f"regexp_replace({r}, '^(-?[0-9]+){separator}0+$', '\\1')"
        texts.append(f"CASE WHEN contains({r}, '{decimal}') THEN {whole} ELSE {r} END AS {t}")
        plain = f"regexp_replace({t}, '^0+([0-9])', '\\1')"
        codes.append(f"lower(CASE WHEN starts_with({t}, '0') THEN {plain} ELSE {t} END) AS {c}")
    inner = f"(SELECT {', '.join(raw)} FROM {relation})"
    for layer in (texts, codes):
        inner = f"(SELECT {', '.join(['*', *layer])} FROM {inner})"
    return inner


def _text(name: Name) -> str:
    """A value as text: no space around it, no decimal zero of a whole number, empty is missing."""
    return files.quoted(f"text:{name.name}")


def _code(name: Name) -> str:
    """A value as codes are compared."""
    return files.quoted(f"code:{name.name}")


def _among(expression: str, codes: Iterable[str]) -> str:
    return f"{expression} IN ({', '.join(files.literal(c) for c in codes)})"


@dataclass(frozen=True)
class _Recoded:
    """A canonical column in SQL: its ``value``, and what is true of a row that cannot be read."""

    column: Column
    value: str
    wrong: str | None


def _recoded(column: Column, decimal: str) -> _Recoded:
    kind = column.kind
    if column.value is not None:
        constant = files.literal(column.value)
        return _Recoded(column, f"CAST({constant} AS {_type(kind)})", None)
    texts = [_text(name) for name in column.sources]
    codes_of = [_code(name) for name in column.sources]
    if column.missing:
        texts, codes_of = (
            [
                f"CASE WHEN NOT ({_among(_code(name), column.missing)}) THEN {value} END"
                for name, value in zip(column.sources, values, strict=True)
            ]
            for values in (texts, codes_of)
        )
    if kind.numeric:
        return _number(column, texts, decimal)
    if kind.kind in (CATEGORY, YES_NO):
        codes = column.codes or (
            {c: c for c in kind.categories} or {"true": "true", "false": "false"} | _TRUTH
        )
        (of,) = codes_of
        branches = " ".join(
            f"WHEN {files.literal(c)} THEN {files.literal(v)}" for c, v in codes.items()
        )
        value = f"CAST(CASE {of} {branches} END AS {_type(kind)})"
        return _Recoded(column, value, f"{of} IS NOT NULL AND NOT ({_among(of, codes)})")
    wrong = None
    if column.widths:
        pairs = list(zip(texts, column.widths, strict=True))
        wrong = " OR ".join(f"length({t}) > {w}" for t, w in pairs)
        value = " || ".join(f"lpad({t}, {w}, '0')" for t, w in pairs)
    else:
        value = " || '-' || ".join(texts)
    return _Recoded(column, value, wrong)


def _number(column: Column, texts: list[str], decimal: str) -> _Recoded:
    if decimal == ",":
        texts = [f"replace(replace({t}, '.', ''), ',', '.')" for t in texts]
    numbers = [f"TRY_CAST({t} AS DOUBLE)" for t in texts]
    value = " + ".join(numbers)
    if column.times != 1:
        value = f"({value}) * {column.times!r}"
    wrong = [
        f"({t} IS NOT NULL AND NOT coalesce(isfinite({n}), false))"
        for t, n in zip(texts, numbers, strict=True)
    ]
    if column.kind.kind == INTEGER:
        wrong.append(f"coalesce({value} <> round({value}) OR abs({value}) > 1e15, false)")
        value = f"TRY_CAST({value} AS BIGINT)"
    if column.name == "count":  # a sum would hide what is missing or negative
        wrong.append(f"coalesce({value}, 0) < 1")
    return _Recoded(column, value, " OR ".join(wrong))


def _type(kind: Kind) -> str:
    if kind.kind == CATEGORY:
        return f"ENUM({', '.join(files.literal(c) for c in kind.categories)})"
    return {NUMBER: "DOUBLE", INTEGER: "BIGINT", YES_NO: "BOOLEAN"}.get(kind.kind, "VARCHAR")


@dataclass
class _Reading:
    """The reading of one table."""

    con: duckdb.DuckDBPyConnection
    mapping: Mapping
    name: str
    period: str | None
    parts: tuple[Part, ...]
    number: int
    notes: list[str]

    @property
    def title(self) -> str:
        return f"{self.name} {self.period}" if self.period else self.name

    def where(self, column: str) -> str:
        """The place in the mapping of a canonical column."""
        for part in self.parts:
            if column in part.columns:
                return f"{self.mapping.at(part.columns[column].line)} ({self.title})"
        named = self.parts[0].id[0].line if self.parts[0].id else self.parts[0].line
        return f"{self.mapping.at(named)} ({self.title})"

    def ask(self, part: Part, query: str) -> pa.Table | None:
        try:
            answer = self.con.sql(query)
            return None if answer is None else answer.to_arrow_table()
        except duckdb.Error as error:
            line = re.search(r"CSV Error on Line: (\d+)", str(error))
            if line and "unicode" in str(error):
                cure = "is not in this encoding: add 'encoding: latin-1' or another"
            elif line:
                cure = "does not have the columns of the first line: correct it, or its delimiter"
            else:
                cure = f"cannot be read ({type(error).__name__}): export the file again"
            place = f"line {line[1]} of " if line else ""
            raise MicrodataError(
                f"{self.mapping.at(part.line)}: {place}{part.file.name} {cure}"
            ) from None

    def table(self) -> pd.DataFrame:
        joined = len(self.parts) > 1
        views = []
        for number, part in enumerate(self.parts):
            views.append(self.view(part, f"t{self.number}_{number}"))
        if self.parts[0].id:
            self.compare_ids(views)
        columns = {name for part in self.parts for name in part.columns}
        names = [name for name in TABLES[self.name] if name in columns]
        selected = [files.quoted(name) for name in names]
        source = views[0] + "".join(f" JOIN {view} USING (key)" for view in views[1:] if joined)
        if self.name == "census":
            rows = "1" if self.parts[0].id else _ROWS
            households = f"{rows} * count" if "count" in names else rows
            selected = [s for s in selected if s != '"count"']
            query = (
                f"SELECT {', '.join(selected)}, sum({households})::BIGINT AS count FROM {source} "
                "GROUP BY ALL"
            )
        elif self.name == "survey":
            query = f"SELECT id AS household_id, {', '.join(selected)} FROM {source}"
        else:
            query = f"SELECT {', '.join(selected)} FROM {source}"
        frame = _frame(self.ask(self.parts[0], f"{query} ORDER BY ALL"))
        return self.checked(frame)

    def view(self, part: Part, name: str) -> str:
        """A view of the canonical columns of one file (``id`` and ``key`` name its households)."""
        used = list(dict.fromkeys(n.name for n in part.used()))
        try:
            relation = files.relation(self.con, part, f"{name}_file", used)
        except MicrodataError as error:
            raise MicrodataError(f"{self.mapping.at(part.line)}: {error}") from None
        # Without ids the rows of a census are grouped as they are: only patterns are recoded.
        patterns = self.name == "census" and not part.id
        given = ", ".join([*map(files.quoted, used), f"{'count(*)' if patterns else 1} AS {_ROWS}"])
        relation = f"(SELECT {given} FROM {relation}{' GROUP BY ALL' if patterns else ''})"
        if patterns:
            self.ask(part, f"CREATE TEMP TABLE {name}_patterns AS {relation}")
            relation = f"{name}_patterns"
        source = _source(relation, used, part.decimal)
        if part.where:
            filters = " AND ".join(_among(_code(n), codes) for n, codes in part.where)
            source = f"(SELECT * FROM {source} WHERE {filters})"
        recoded = [_recoded(c, part.decimal) for c in part.columns.values()]
        self.compare_codes(part, source, recoded)
        selected = [f"{r.value} AS {files.quoted(r.column.name)}" for r in recoded]
        if part.id:
            texts = [_text(n) for n in part.id]
            key = " || '-' || ".join(_code(n) for n in part.id)
            if part.total:
                # Rows without a value add nothing.
                selected = [
                    f"CAST(coalesce(sum({r.value}), 0) AS {_type(r.column.kind)}) "
                    f"AS {files.quoted(r.column.name)}"
                    for r in recoded
                ]
                query = f"SELECT {key} AS key, {', '.join(selected)} FROM {source} GROUP BY 1"
            else:
                own = " || '-' || ".join(texts)
                query = f"SELECT {key} AS key, {own} AS id, {', '.join(selected)} FROM {source}"
        else:
            query = f"SELECT {', '.join([_ROWS, *selected])} FROM {source}"
        self.con.sql(f"CREATE TEMP VIEW {name} AS {query}")
        if self.parts[0] is part or not part.id:
            return name
        columns = ", ".join(["key", *(files.quoted(c) for c in part.columns)])
        return f"(SELECT {columns} FROM {name})"

    def compare_codes(self, part: Part, source: str, recoded: list[_Recoded]) -> None:
        """One scan that counts what cannot be read; a second for those columns that have some."""
        doubtful = [r for r in recoded if r.wrong]
        conditions = [r.wrong for r in doubtful] + [f"{_text(n)} IS NULL" for n in part.id]
        counted = [
            f"coalesce(sum({_ROWS}) FILTER (WHERE {condition}), 0)::BIGINT"
            for condition in ("true", *conditions)
        ]
        query = f"SELECT {', '.join(counted)} FROM {source}"
        rows, *counts = (column[0].as_py() for column in self.ask(part, query).columns)
        told = []
        if not rows:
            line = part.where[0][0].line if part.where else part.line
            reason = "where leaves no row of" if part.where else "there is no row in"
            told.append(f"{self.mapping.at(line)} ({self.title}): {reason} {part.file.name}")
        for r, count in zip(doubtful, counts, strict=False):
            if count:
                told.append(self.unreadable(part, source, r, count, rows))
        for name, count in zip(part.id, counts[len(doubtful) :], strict=True):
            if count:
                told.append(
                    f"{self.mapping.at(name.line)} ({self.title}): {name.name} is missing in "
                    f"{count:,} of {rows:,} rows of {part.file.name}, but it names the households"
                )
        if told:
            raise self.mapping.error(told)

    def unreadable(self, part: Part, source: str, r: _Recoded, count: int, rows: int) -> str:
        column = r.column
        named = " and ".join(name.name for name in column.sources)
        place = f"{self.mapping.at(column.codes_line or column.line)} ({self.title})"
        many = f"{count:,} of {rows:,} rows of {part.file.name}"
        if column.kind.numeric:
            whole = "whole number" if column.kind.kind == INTEGER else "number"
            return (
                f"{place}: {named} is no {whole} in {many}, needed for {column.name}: name another "
                "column, list its codes under missing:, or set decimal: ',' for the file"
            )
        if column.widths:
            return (
                f"{place}: {named} is longer than its width in {many}, needed for "
                f"{column.name}: correct widths"
            )
        of = _code(column.sources[0])
        query = (
            f"SELECT {of} AS code, sum({_ROWS})::BIGINT AS n FROM {source} WHERE {r.wrong} "
            "GROUP BY 1 ORDER BY n DESC, 1"
        )
        codes = self.ask(part, query).to_pylist()
        told = _shown([(c["code"], c["n"]) for c in codes])
        return (
            f"{place}: {named} has codes that are not in the mapping of {column.name}, in {many}: "
            f"{told}. Add them to codes: or missing:"
        )

    def compare_ids(self, views: list[str]) -> None:
        """Households that are twice in a file, or in one file and not in another."""
        told = []
        for number, part in enumerate(self.parts):
            name = f"t{self.number}_{number}"
            place = f"{self.mapping.at(part.id[0].line)} ({self.title})"
            query = f"SELECT count(*) - count(DISTINCT key) AS n FROM {name}"
            twice = 0 if part.total else self.ask(part, query)["n"][0].as_py()
            if twice:
                cure = (
                    "choose one row each with where: (the head), or sum them up with total: true"
                    if number
                    else "name all columns that make up the id"
                )
                told.append(
                    f"{place}: {twice:,} rows of {part.file.name} repeat the id of another: {cure}"
                )
        if told:
            raise self.mapping.error(told)
        first = self.parts[0]
        for number, part in enumerate(self.parts[1:], start=1):
            place = f"{self.mapping.at(part.id[0].line)} ({self.title})"
            own, name = f"t{self.number}_0", f"t{self.number}_{number}"
            query = (
                f"SELECT (SELECT count(*) FROM {own} ANTI JOIN {name} USING (key)) AS left_over, "
                f"(SELECT count(*) FROM {name} ANTI JOIN {own} USING (key)) AS orphans, "
                f"(SELECT count(*) FROM {own}) AS rows"
            )
            counts = self.ask(part, query).to_pylist()[0]
            if not counts["left_over"] and not counts["orphans"]:
                continue
            words = (
                f"{counts['left_over']:,} of the {counts['rows']:,} households of "
                f"{first.file.name} are not in {part.file.name}, and {counts['orphans']:,} of "
                f"{part.file.name} are not in {first.file.name}"
            )
            if counts["left_over"] == counts["rows"]:
                told.append(f"{place}: {words}: these are not the same ids")
            elif part.drop:
                self.notes.append(f"{self.title}: {words}; they are left out.")
            else:
                told.append(
                    f"{place}: {words}: correct id, or leave them out with 'unmatched: drop'"
                )
        if told:
            raise self.mapping.error(told)

    # ---- in pandas ---------------------------------------------------------------------------

    def checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        told = self.code_areas(frame)
        told += problems(frame, self.name, self.where)
        if told:
            raise self.mapping.error(told)
        if self.name == "survey":
            frame = self.with_expenditure(frame)
            for column in ("stratum", "cluster"):
                if column not in frame:
                    frame[column] = pd.Series(pd.NA, index=frame.index, dtype="str")
                    self.notes.append(
                        f"{self.title}: there is no {column} in the mapping, so standard errors "
                        "cannot take the design into account."
                    )
        if self.name in ("survey", "census"):
            for column in AREA_DIGITS:
                if column not in frame:
                    frame[column] = pd.Series(pd.NA, index=frame.index, dtype="str")
            self.compare_kota(frame)
        if self.name == "lines" and "derived" not in frame:
            frame["derived"] = False
        order = [c for c in TABLES[self.name] if c in frame]
        return frame[order]

    def with_expenditure(self, frame: pd.DataFrame) -> pd.DataFrame:
        size = frame["household_size"].astype("float64")
        if "expenditure_rp" not in frame:
            frame["expenditure_rp"] = frame["expenditure_per_capita_rp"] * size
        if "expenditure_per_capita_rp" not in frame:
            frame["expenditure_per_capita_rp"] = frame["expenditure_rp"] / size
        missing = int(
            frame[["expenditure_rp", "expenditure_per_capita_rp"]].isna().any(axis=1).sum()
        )
        if missing:
            name = next(c for p in self.parts for c in p.columns if c.startswith("expenditure"))
            raise self.mapping.error(
                [f"{self.where(name)}: {missing:,} of {len(frame):,} values of {name} are missing"]
            )
        return frame

    def code_areas(self, frame: pd.DataFrame) -> list[str]:
        """Put BPS codes in place, in ``frame`` itself; what cannot be is told."""
        told = []
        given = [c for c in AREA_DIGITS if c in frame]
        for column in given:
            spec = next(p.columns[column] for p in self.parts if column in p.columns)
            codes = frame[column]
            known = codes.dropna().unique()
            placed, problem = _bps_codes(list(known), column, spec.kemendagri)
            if problem:
                rows = int(codes.isin([c for c in known if c not in placed]).sum())
                told.append(f"{self.where(column)}: {rows:,} rows have {problem}")
            frame[column] = codes.map(placed).astype("str")
        if told or self.name not in ("survey", "census"):
            return told
        # Larger areas follow from smaller ones where those are known.
        for small, large in [(2, 1), (2, 0), (1, 0)]:
            lower, upper = f"{LEVELS[small]}_code", f"{LEVELS[large]}_code"
            if lower not in frame:
                continue
            prefix = frame[lower].str[: AREA_DIGITS[upper]]
            if upper not in frame:
                frame[upper] = prefix
            differ = int((prefix.notna() & frame[upper].notna() & (prefix != frame[upper])).sum())
            if differ:
                told.append(
                    f"{self.where(upper)}: {upper} contradicts {lower} in {differ:,} of "
                    f"{len(frame):,} rows. BPS and Kemendagri number the kota differently: if "
                    "these are Kemendagri's, write {column: ..., coding: kemendagri}"
                )
            frame[upper] = frame[upper].fillna(prefix)
        if not told and frame["kota_code"].isna().any():
            missing = int(frame["kota_code"].isna().sum())
            told.append(f"{self.where('kota_code')}: {missing:,} rows have no kota_code")
        return told

    def compare_kota(self, frame: pd.DataFrame) -> None:
        """Refuse kota codes that are plausible only as Kemendagri's.

        Both agencies use 3171 to 3175, for different kota. The residents by kota tell which of
        the two was meant.
        """
        spec = next((p.columns["kota_code"] for p in self.parts if "kota_code" in p.columns), None)
        if spec is None or spec.bps or spec.kemendagri or level(frame) != "kota":
            return
        households = frame["weight"] if self.name == "survey" else frame["count"]
        persons = (households * frame["household_size"]).groupby(frame["kota_code"]).sum()
        registered = sources.read("kelurahan_population_2024")
        official = registered.groupby(registered["kelurahan_code"].str[:4])[
            "population_count"
        ].sum()
        if not set(official.index) - {"3101"} <= set(persons.index):
            return
        swapped = {k.replace(".", ""): b for b, k in regions.KEMENDAGRI_KOTA.items()}
        as_bps, as_other = (
            _difference(p, official) for p in (persons, persons.rename(index=swapped))
        )
        if as_bps > 0.15 and as_other < 0.08:
            raise self.mapping.error(
                [
                    f"{self.where('kota_code')}: the residents by kota fit the codes of Kemendagri "
                    f"({as_other:.0%} in another kota), not those of BPS ({as_bps:.0%}): write "
                    "{column: ..., coding: kemendagri}, or coding: bps if they are BPS's after all"
                ]
            )


def _difference(persons: pd.Series, official: pd.Series) -> float:
    """Half the sum of the absolute differences of the shares by kota."""
    persons = persons.reindex(official.index, fill_value=0)
    return float(np.abs(persons / persons.sum() - official / official.sum()).sum() / 2)


def _shown(codes: list[tuple[str, int]]) -> str:
    """The first codes with their rows; those that might name a person are counted only."""
    short = re.compile(rf"\d{{1,{_SHOWN_DIGITS}}}")
    shown = [(c, n) for c, n in codes if n >= _SHOWN_ROWS or short.fullmatch(c)][:5]
    rest = len(codes) - len(shown)
    told = [f"{c} ({n:,} rows)" for c, n in shown]
    if rest:
        told.append(f"{rest} {'more' if shown else 'different ones, rare and not shown'}")
    return ", ".join(told)


def _bps_codes(
    codes: list[str], column: str, kemendagri: bool
) -> tuple[dict[str, str], str | None]:
    """BPS codes by the codes of a file, and what is wrong with those that have none."""
    digits = AREA_DIGITS[column]
    listed = set(regions.areas()[column])
    placed = {} if kemendagri else {c: c for c in codes if c in listed}
    rest = [c for c in codes if c not in placed]
    # A dot is Kemendagri's. Without one, its kelurahan have a 1 where BPS has a 0.
    dotted = [c for c in rest if re.fullmatch(r"31(\.\d\d)+(\.\d{4})?", c)]
    if kemendagri or dotted:
        translated = _from_kemendagri(digits)
        pool = rest if kemendagri else dotted
        placed |= {c: translated[k] for c in pool if (k := c.replace(".", "")) in translated}
        rest = [c for c in rest if c not in placed]
    if not rest:
        return placed, None
    shape = re.compile(r"[0-9.]{4,13}")
    first = ", ".join([c for c in sorted(rest) if shape.fullmatch(c)][:3]) or "not shown"
    if not kemendagri and any(
        re.fullmatch(r"31\d{4}1\d{3}" if digits == 10 else r"31\d{4}", c) for c in rest
    ):
        return placed, (
            f"codes of Kemendagri as {column} (first: {first}): write "
            "{column: ..., coding: kemendagri}, and they are translated"
        )
    return placed, (
        f"a {column} that is none of DKI Jakarta ({len(rest)} codes; first: {first}): BPS codes "
        f"have {digits} digits; name another column, or keep only Jakarta with where:"
    )


def _from_kemendagri(digits: int) -> dict[str, str]:
    """BPS codes of one level by the digits of Kemendagri's."""
    if digits == 4:
        return {k.replace(".", ""): b for b, k in regions.KEMENDAGRI_KOTA.items()}
    codes = regions.kemendagri_codes()
    other = codes.str.replace(".", "")
    if digits == 10:
        return dict(zip(other, codes.index, strict=True))
    return dict(zip(other.str[:6], codes.index.str[:7], strict=True))


def _frame(table: pa.Table) -> pd.DataFrame:
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return table.to_pandas(types_mapper=nullable.get)


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Periods below each other; a column that a period lacks is missing there."""
    survey = pd.concat(tables, ignore_index=True)
    order = ["household_id", "period", *(c for c in TABLES["survey"] if c in survey)]
    return _plain(survey[list(dict.fromkeys(order))])


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Nullable types only where something is missing."""
    for column in table.columns:
        if table[column].dtype in ("Int64", "boolean") and not table[column].isna().any():
            table[column] = table[column].astype(table[column].dtype.numpy_dtype)
    return table
