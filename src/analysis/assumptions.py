"""Inputs that are declared, not measured: each a distribution with its source.

The table is ``data/raw/assumptions/inputs.csv``; a user's own has the same columns. An input
without a source is refused: what cannot be argued for cannot be used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy import special, stats

from analysis import paths, provenance, sources

ALL = "all"  # used by every part

# What each distribution needs of low, central and high. `normal` lies between low and high, and
# `halfnormal` (of what cannot be negative) below high, with 95 per cent.
_NEEDS = {
    "fixed": ("central",),
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "triangular": ("low", "central", "high"),
    "normal": ("low", "central", "high"),
    "halfnormal": ("high",),
}
_Z95 = special.ndtri(0.975)
_BASES = {"published", "literature", "judgement"}


class AssumptionError(ValueError):
    """A declared input is incomplete, contradicts itself or has no source."""


@dataclass(frozen=True)
class Input:
    """One declared input.

    Attributes
    ----------
    name, used_by
        What it is called, and the part of the analysis that uses it.
    distribution, low, central, high
        Its distribution: ``fixed`` (central), ``uniform``, ``loguniform`` (low, high),
        ``triangular`` (low, mode, high), ``normal`` (mean, between low and high with 95 per
        cent), ``halfnormal`` (below high with 95 per cent). Missing where it is not needed.
    unit, basis, source
        ``basis`` is published, literature (a range that the source gives) or judgement.
    """

    name: str
    used_by: str
    distribution: str
    low: float
    central: float
    high: float
    unit: str
    basis: str
    source: str

    def quantile(self, u: np.ndarray | float) -> np.ndarray:
        """The value below which a share ``u`` (0 to 1, any shape) of the distribution lies."""
        u = np.asarray(u, dtype=float)
        low, central, high = self.low, self.central, self.high
        match self.distribution:
            case "fixed":
                return np.full(u.shape, central)
            case "uniform":
                return low + u * (high - low)
            case "loguniform":
                return low * (high / low) ** u
            case "triangular":
                width = high - low
                return stats.triang.ppf(u, (central - low) / width, low, width)
            case "normal":
                return central + special.ndtri(u) * self.sd
            case "halfnormal":
                return special.ndtri((1 + u) / 2) * self.sd

    @property
    def median(self) -> float:
        return float(self.quantile(0.5))

    @property
    def sd(self) -> float:
        """Standard deviation of a normal input, scale of a half-normal one."""
        half = (self.high - self.low) / 2 if self.distribution == "normal" else self.high
        return half / _Z95

    def fixed(self, value: float | None = None) -> "Input":
        """The same input without uncertainty, at its median or at a given value."""
        value = self.median if value is None else value
        return replace(self, distribution="fixed", low=np.nan, central=value, high=np.nan)


def _in_order(table: pd.DataFrame) -> pd.Series:
    given = table[["low", "central", "high"]].astype(float)
    filled = given.bfill(axis=1).ffill(axis=1)
    low, central, high = (filled[name] for name in given.columns)
    spread = table["distribution"].eq("fixed") | (low < high)
    positive = ~table["distribution"].isin(["loguniform", "halfnormal"]) | (filled.min(axis=1) >= 0)
    positive &= table["distribution"].ne("loguniform") | (low > 0)
    middle = table["distribution"].ne("normal") | np.isclose(central, (low + high) / 2)
    return (low <= central) & (central <= high) & spread & positive & middle


def _complete(table: pd.DataFrame) -> pd.Series:
    return pd.Series(
        [
            row["distribution"] not in _NEEDS or row[[*_NEEDS[row["distribution"]]]].notna().all()
            for _, row in table.iterrows()
        ],
        index=table.index,
    )


def _one_of(known: Iterable[str]) -> pa.Check:
    return pa.Check.isin(sorted(known), error=f"is none of {', '.join(sorted(known))}")


_SCHEMA = pa.DataFrameSchema(
    {
        "used_by": pa.Column(str, pa.Check.str_length(min_value=1)),
        "input": pa.Column(str, pa.Check.str_matches(r"^[a-z][a-z0-9_]*$"), unique=True),
        "distribution": pa.Column(str, _one_of(_NEEDS)),
        "low": pa.Column(float, nullable=True),
        "central": pa.Column(float, nullable=True),
        "high": pa.Column(float, nullable=True),
        "unit": pa.Column(str, pa.Check.str_length(min_value=1)),
        "basis": pa.Column(str, _one_of(_BASES)),
        "source": pa.Column(
            str,
            pa.Check(
                lambda s: s.fillna("").str.strip().str.len() >= 10,
                error="an input needs a source",
                ignore_na=False,
            ),
            nullable=True,
        ),
    },
    checks=[
        pa.Check(_complete, error="low, central or high is missing that the distribution needs"),
        pa.Check(_in_order, error="low, central and high are not in order"),
    ],
    strict=True,
)


def checked(table: pd.DataFrame) -> dict[str, Input]:
    """The inputs of a table by name.

    Parameters
    ----------
    table
        ``used_by, input, distribution, low, central, high, unit, basis, source``, a row per input.

    Raises
    ------
    AssumptionError
        A column is missing; an input has no source, no known distribution or basis, lacks a
        number that its distribution needs, or has them in the wrong order. The message names it.
    """
    if table.empty:
        raise AssumptionError("there is no input in the table")
    try:
        table = _SCHEMA.validate(_numeric(table.reset_index(drop=True)), lazy=True)
    except pa.errors.SchemaErrors as errors:
        raise AssumptionError("; ".join(_told(table, errors.failure_cases))) from None
    columns = ["input", *(c for c in _SCHEMA.columns if c != "input")]
    return {row[0]: Input(*row) for row in table[columns].itertuples(index=False, name=None)}


def _numeric(table: pd.DataFrame) -> pd.DataFrame:
    numbers = [name for name in ("low", "central", "high") if name in table]
    for name in numbers:
        value = pd.to_numeric(table[name], errors="coerce")
        wrong = table[(value.isna() | np.isinf(value)) & table[name].notna()]
        if len(wrong):
            first = wrong.iloc[0]
            raise AssumptionError(f"input {first['input']}: {name} {first[name]!r} is no number")
    return table.astype(dict.fromkeys(numbers, float))


# What the checks of pandera mean.
_SAID = {
    "column_in_schema": "is unknown",
    "column_in_dataframe": "is missing",
    "not_nullable": "is empty",
    "field_uniqueness": "is there twice",
}


def _told(table: pd.DataFrame, cases: pd.DataFrame) -> list[str]:
    told = []
    for case in cases.drop_duplicates(["column", "check", "index"]).itertuples():
        # A check of a whole row names every column of it.
        row = None if pd.isna(case.index) else table.iloc[int(case.index)]
        where = f"input {row['input']}" if row is not None and "input" in table else "the table"
        check = _SAID.get(case.check, case.check)
        whole = case.schema_context == "DataFrameSchema" and row is not None
        what = check if whole else f"{case.column or 'column'}: {check}"
        shown = "" if whole else f" ({case.failure_case!r})"
        told.append(f"{where}: {what}{shown}")
    return list(dict.fromkeys(told))[:3]


def read(path: str | None = None) -> dict[str, Input]:
    """The declared inputs by name: the project's, or those of a user's own CSV of the same form.

    Raises
    ------
    AssumptionError
        See `checked`; or the file cannot be read.
    """
    if not path:
        return checked(sources.read("assumptions"))
    file = Path(path)
    file = file if file.is_absolute() else paths.ROOT / file
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise AssumptionError(f"{path} cannot be read ({reason})") from None
    try:
        inputs = checked(table)
    except AssumptionError as error:
        raise AssumptionError(f"{path}: {error}") from None
    provenance.record(file)
    return inputs


def of(inputs: Mapping[str, Input], part: str) -> dict[str, Input]:
    """The inputs that one part of the analysis uses, those for all included."""
    return {name: i for name, i in inputs.items() if i.used_by in (part, ALL)}


def without_uncertainty(inputs: Mapping[str, Input]) -> dict[str, Input]:
    """All inputs at their medians."""
    return {name: declared.fixed() for name, declared in inputs.items()}


def draw(inputs: Mapping[str, Input], draws: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Independent draws of each input, by name (arrays of length ``draws``).

    Each input has a stream of random numbers of its own, by its name: adding or leaving out
    another input does not change its draws.
    """
    return {
        name: declared.quantile(np.random.default_rng([seed, *name.encode()]).uniform(size=draws))
        for name, declared in inputs.items()
    }


def table(inputs: Iterable[Input]) -> pd.DataFrame:
    """The inputs as a reader wants them: ``input, distribution, median, basis, source``."""
    return pd.DataFrame(
        [
            {
                "input": words(declared.name),
                "unit": declared.unit,
                "distribution": _words(declared),
                "basis": declared.basis,
                "source": declared.source,
            }
            for declared in inputs
        ]
    )


def words(name: str) -> str:
    """The name of an input as a reader sees it: ``income_gain_rp`` is income gain."""
    return name.removesuffix("_rp").replace("_", " ").replace("p0", "P0").replace("gini", "Gini")


def _words(declared: Input) -> str:
    low, central, high = (f"{v:,.4g}" if abs(v) < 1000 else f"{v:,.0f}" for v in (
        declared.low, declared.central, declared.high))  # fmt: skip
    match declared.distribution:
        case "fixed":
            return central
        case "triangular":
            return f"{low} to {high}, mostly {central}"
        case "normal":
            return f"{low} to {high} with 95 %"
        case "halfnormal":
            return f"below {high} with 95 %"
        case "loguniform":
            return f"{low} to {high}, even in logarithms"
    return f"{low} to {high}, even"
