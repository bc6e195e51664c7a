"""The mapping (YAML) from the columns and codes of a user's files to the canonical ones.

The format is shown, with comments, in ``data/mappings/susenas_example.yml``. Every node keeps its
line, so that whatever is wrong later is told with the line to change. All scalars are taken as
they are written: ``01`` stays ``01``, ``no`` stays ``no``.
"""

import codecs
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from analysis import paths
from analysis.microdata.columns import AREA, CATEGORY, TABLES, YES_NO, Kind, MicrodataError

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".gz": "csv",
    ".dbf": "dbf",
    ".dta": "stata",
    ".sav": "spss",
    ".zsav": "spss",
    ".parquet": "parquet",
}
_FILE_KEYS = ("file", "format", "encoding", "decimal", "id", "where", "total", "unmatched")
_COLUMN_KEYS = ("column", "sum", "join", "widths", "value", "codes", "missing", "times", "coding")


@dataclass(frozen=True)
class Name:
    """A column of a file, and the line of the mapping that names it."""

    name: str
    line: int


@dataclass(frozen=True)
class Column:
    """Where one canonical column comes from.

    ``sources`` are joined as text or summed up; none for a constant ``value``. ``codes`` lead
    from a code of the file to a canonical one (None: there are none), ``missing`` are those that
    stand for a missing value.
    """

    name: str
    kind: Kind
    line: int
    sources: tuple[Name, ...] = ()
    value: str | None = None
    codes: dict[str, str] | None = None
    codes_line: int = 0
    missing: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    times: float = 1.0
    kemendagri: bool = False
    bps: bool = False


@dataclass(frozen=True)
class Part:
    """One file of a table: the first has a row per household (or area), others join it by id."""

    file: Path
    line: int
    format: str
    encoding: str | None  # None: what the file itself says, or UTF-8
    decimal: str
    id: tuple[Name, ...]
    where: tuple[tuple[Name, tuple[str, ...]], ...]
    total: bool
    drop: bool
    columns: dict[str, Column] | None  # None: the file has canonical columns

    def used(self) -> list[Name]:
        """All columns of the file that the mapping names."""
        named = [*self.id, *(name for name, _ in self.where)]
        for column in (self.columns or {}).values():
            named += column.sources
        return named


@dataclass(frozen=True)
class Mapping:
    """A mapping file: ``tables`` by name (a key of `TABLES`) and period (None but for surveys)."""

    path: Path
    synthetic: bool
    tables: dict[tuple[str, str | None], tuple[Part, ...]]

    def at(self, line: int) -> str:
        return f"{self.path.name} line {line}"

    def error(self, problems: Iterable[str]) -> MicrodataError:
        return MicrodataError(_listed(self.path, problems))


def code(text: str) -> str:
    """A code as codes are compared: without space, leading zeros, a decimal zero, or case."""
    text = re.sub(r"^(-?[0-9]+)\.0+$", r"\1", text.strip())
    return re.sub(r"^0+([0-9])", r"\1", text).lower()


def near(name: str, known: Iterable[str]) -> str:
    """``; perhaps X or Y``: the known names that look like this one, or nothing."""
    by_letters = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), list(by_letters), n=3, cutoff=0.6)
    return f"; perhaps {' or '.join(by_letters[f] for f in found)}" if found else ""


def load(path: Path) -> Mapping:
    """A mapping file, checked as far as it can be without the data.

    Raises
    ------
    MicrodataError
        All that is wrong, each with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise MicrodataError(
            f"mapping {paths.shown(path)} does not exist: write one as in "
            "data/mappings/susenas_example.yml"
        ) from None
    except UnicodeDecodeError:
        raise MicrodataError(f"mapping {paths.shown(path)} is not UTF-8: save it as such") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise MicrodataError(
            _listed(path, [f"{path.name} line {mark.line + 1}: no valid YAML ({error.problem})"])
        ) from None
    reader = _Reader(path)
    mapping = reader.mapping(root)
    if reader.problems:
        raise MicrodataError(_listed(path, reader.problems))
    return mapping


def _listed(path: Path, problems: Iterable[str]) -> str:
    problems = list(dict.fromkeys(problems))
    if len(problems) == 1:
        return problems[0]
    return f"{path.name}: {len(problems)} problems" + "".join(f"\n  {p}" for p in problems)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


@dataclass
class _Reader:
    """Walks the nodes of one file and notes what is wrong with them."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def wrong(self, node: yaml.Node, words: str) -> None:
        self.problems.append(f"{self.path.name} line {_line(node)}: {words}")

    # ---- nodes -------------------------------------------------------------------------------

    def entries(
        self, node: yaml.Node | None, what: str, known: Iterable[str] | None = None
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Keys of a YAML mapping with the nodes of key and value; ``<<`` is followed."""
        if not isinstance(node, yaml.MappingNode):
            if node is not None:
                self.wrong(node, f"{what} should be 'name: value' pairs")
            return {}
        merged, own = {}, {}
        for key, value in node.value:
            if key.value == "<<":
                for base in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self.entries(base, what, known) | merged
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.wrong(key, f"a name in {what} should be one word")
            elif key.value in own:
                self.wrong(key, f"{key.value!r} is there twice in {what}")
            elif known is not None and key.value not in known:
                hint = near(key.value, known) or f" (there are: {', '.join(known)})"
                self.wrong(key, f"{what} has no {key.value!r}{hint}")
            else:
                own[key.value] = (key, value)
        return merged | own

    def scalar(self, node: yaml.Node, what: str) -> str:
        if isinstance(node, yaml.ScalarNode):
            return node.value.strip()
        self.wrong(node, f"{what} should be one value")
        return ""

    def scalars(self, node: yaml.Node, what: str) -> list[yaml.ScalarNode]:
        """One value or a list of them."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        good = [n for n in nodes if isinstance(n, yaml.ScalarNode)]
        if len(good) < len(nodes) or not nodes:
            self.wrong(node, f"{what} should be one value or a list of them")
        return good

    def names(self, node: yaml.Node, what: str) -> tuple[Name, ...]:
        return tuple(Name(n.value.strip(), _line(n)) for n in self.scalars(node, what))

    def choice(self, node: yaml.Node, what: str, choices: Iterable[str]) -> str:
        found = self.scalar(node, what).lower()
        if found not in choices:
            self.wrong(node, f"{what} is one of {', '.join(choices)}, not {found!r}")
        return found

    def number(self, node: yaml.Node, what: str) -> float:
        try:
            return float(self.scalar(node, what))
        except ValueError:
            self.wrong(node, f"{what} should be a number")
            return 1.0

    # ---- the format --------------------------------------------------------------------------

    def mapping(self, root: yaml.Node | None) -> Mapping:
        tables: dict[tuple[str, str | None], tuple[Part, ...]] = {}
        entries = self.entries(root, "the mapping", ("synthetic", *TABLES))
        synthetic = False
        if "synthetic" not in entries:
            self.problems.append(
                f"{self.path.name} line 1: say whether the data are simulated, with "
                "'synthetic: false' or 'synthetic: true'"
            )
        else:
            node = entries.pop("synthetic")[1]
            synthetic = self.choice(node, "synthetic", ("false", "true")) == "true"
        for name, (key, value) in entries.items():
            if name != "survey":
                tables[name, None] = self.parts(name, value)
                continue
            for period, (period_key, parts) in self.entries(value, "survey").items():
                if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
                    self.wrong(period_key, f"a period is written as 2017-03, not {period!r}")
                tables["survey", period] = self.parts("survey", parts)
            if not any(table == "survey" for table, _ in tables):
                self.wrong(key, "survey should have a file by period, as in '2017-03: ...'")
        if not tables and not self.problems:
            self.problems.append(f"{self.path.name} line 1: there is no table in the mapping")
        return Mapping(self.path, synthetic, tables)

    def parts(self, table: str, node: yaml.Node) -> tuple[Part, ...]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        parts = [self.part(table, n) for n in nodes]
        seen: dict[str, int] = {}
        for part, part_node in zip(parts, nodes, strict=True):
            if (len(parts) > 1 or table == "survey") and not part.id and part.columns is not None:
                self.wrong(part_node, "id is missing: the column(s) that name a household")
            for name, column in (part.columns or {}).items():
                if name in seen:
                    self.problems.append(
                        f"{self.path.name} line {column.line}: {name} is in line {seen[name]} too"
                    )
                seen[name] = column.line
        if len(parts) > 1 and any(part.columns is None for part in parts):
            self.wrong(node, "of several files each needs its columns")
        elif all(part.columns is not None for part in parts):
            self.complete(table, node, seen)
        return tuple(parts)

    def complete(self, table: str, node: yaml.Node, seen: dict[str, int]) -> None:
        """Note the canonical columns that a table cannot do without."""
        given = {"household_id", "period"} if table == "survey" else set()
        for name, kind in TABLES[table].items():
            if kind.required and name not in seen and name not in given:
                self.wrong(node, f"{table} needs a column for {name}")
        if table == "survey" and not {"expenditure_rp", "expenditure_per_capita_rp"} & set(seen):
            self.wrong(node, "survey needs expenditure_rp or expenditure_per_capita_rp")
        if table in ("survey", "census") and not any(n.endswith("_code") for n in seen):
            self.wrong(node, f"{table} needs at least a column for kota_code")

    def part(self, table: str, node: yaml.Node) -> Part:
        entries = self.entries(node, "a file", (*_FILE_KEYS, "columns"))

        def value(key: str) -> yaml.Node | None:
            return entries[key][1] if key in entries else None

        file, kind = Path(), ""
        if value("file") is None:
            self.wrong(node, f"{table}: file is missing")
        else:
            # Joined to an absolute path, the folder of the mapping has no part in it.
            named = Path(self.scalar(value("file"), "file")).expanduser()
            file = self.path.parent / named
            kind = FORMATS.get(file.suffix.lower(), "")
        if value("format") is not None:
            kind = self.choice(value("format"), "format", sorted(set(FORMATS.values())))
        elif not kind and value("file") is not None:
            known = ", ".join(sorted(set(FORMATS.values())))
            self.wrong(value("file"), f"the name does not tell the format: add format: ({known})")
        decimal = "."
        if value("decimal") is not None:
            decimal = self.choice(value("decimal"), "decimal", (".", ","))
        where = []
        for key, codes in self.entries(value("where"), "where").values():
            listed = tuple(code(n.value) for n in self.scalars(codes, "where"))
            where.append((Name(key.value, _line(key)), listed))
        columns = None
        total = False
        if value("total") is not None:
            total = self.choice(value("total"), "total", ("true", "false")) == "true"
        drop = False
        if value("unmatched") is not None:
            drop = self.choice(value("unmatched"), "unmatched", ("refuse", "drop")) == "drop"
        if value("columns") is not None:
            known = [c for c in TABLES[table] if c != "household_id"]
            listed = self.entries(value("columns"), f"the columns of {table}", known)
            columns = {name: self.column(table, name, v, total) for name, (_, v) in listed.items()}
        return Part(
            file=file,
            line=_line(entries["file"][0] if "file" in entries else node),
            format=kind,
            encoding=self.encoding(value("encoding")),
            decimal=decimal,
            id=self.names(value("id"), "id") if value("id") else (),
            where=tuple(where),
            total=total,
            drop=drop,
            columns=columns,
        )

    def encoding(self, node: yaml.Node | None) -> str | None:
        if node is None:
            return None
        try:
            return codecs.lookup(self.scalar(node, "encoding")).name
        except LookupError:
            self.wrong(node, "there is no such encoding: try utf-8, latin-1 or cp1252")
            return None

    def column(self, table: str, name: str, node: yaml.Node, total: bool) -> Column:
        kind = TABLES[table][name]
        if total and not kind.numeric:
            self.wrong(node, f"{name} cannot be summed up over the rows of a household")
        if isinstance(node, yaml.ScalarNode):
            return Column(name, kind, _line(node), (Name(node.value.strip(), _line(node)),))
        entries = self.entries(node, name, _COLUMN_KEYS)
        ways = [way for way in ("column", "sum", "join", "value") if way in entries]
        if len(ways) != 1:
            if isinstance(node, yaml.MappingNode):
                self.wrong(node, f"{name} needs one of column, sum, join, value")
            return Column(name, kind, _line(node))
        (way,) = ways
        source = entries[way][1]
        given: dict = {}
        if way == "value":
            given["value"] = self.constant(kind, source, name)
        elif way == "column":
            given["sources"] = (Name(self.scalar(source, "column"), _line(source)),)
        else:
            given["sources"] = self.names(source, way)
            if (way == "sum") != kind.numeric or kind.kind in (CATEGORY, YES_NO):
                self.wrong(source, f"{name} is {kind.kind}: it cannot come from a {way}")
        if "codes" in entries:
            given["codes"] = self.codes(kind, entries["codes"][1], name)
            given["codes_line"] = _line(entries["codes"][0])
        if "missing" in entries:
            listed = self.scalars(entries["missing"][1], "missing")
            given["missing"] = tuple(code(n.value) for n in listed)
        if "times" in entries:
            given["times"] = self.number(entries["times"][1], "times")
            if not kind.numeric:
                self.wrong(entries["times"][0], f"{name} is no number")
        if "widths" in entries:
            widths = [
                self.number(n, "widths") for n in self.scalars(entries["widths"][1], "widths")
            ]
            given["widths"] = tuple(int(w) for w in widths)
        padded = way == "join" and (kind.kind == AREA or "widths" in entries)
        if padded and len(given.get("widths", ())) != len(given["sources"]):
            self.wrong(source, "join needs widths: the digits of each column, as in [2, 2]")
        if "coding" in entries:
            coding = self.choice(entries["coding"][1], "coding", ("bps", "kemendagri"))
            given |= {"kemendagri": coding == "kemendagri", "bps": coding == "bps"}
            if kind.kind != AREA:
                self.wrong(entries["coding"][0], f"{name} is no code of an area")
        return Column(name, kind, _line(node), **given)

    def constant(self, kind: Kind, node: yaml.Node, name: str) -> str:
        text = self.scalar(node, "value")
        if kind.numeric:
            self.number(node, f"the value of {name}")
        allowed = ("true", "false") if kind.kind == YES_NO else kind.categories
        if allowed and text not in allowed:
            self.wrong(node, f"the value of {name} is one of {', '.join(allowed)}, not {text!r}")
        return text

    def codes(self, kind: Kind, node: yaml.Node, name: str) -> dict[str, str] | None:
        """From the codes of the file to canonical ones (written the other way round)."""
        if kind.kind not in (CATEGORY, YES_NO):
            self.wrong(node, f"{name} is {kind.kind}: it has no codes")
            return None
        allowed = kind.categories or ("true", "false")
        codes: dict[str, str] = {}
        for canonical, (_, listed) in self.entries(node, f"the codes of {name}", allowed).items():
            for scalar in self.scalars(listed, "codes"):
                if code(scalar.value) in codes:
                    self.wrong(scalar, f"{name}: code {scalar.value} is there twice")
                codes[code(scalar.value)] = canonical
        return codes


def canonical(table: str, columns: Iterable[str], line: int) -> dict[str, Column]:
    """The columns of a file that has the canonical names and codes already."""
    present = set(columns)
    return {
        name: Column(name, kind, line, (Name(name, line),))
        for name, kind in TABLES[table].items()
        if name in present and name != "household_id"
    }
