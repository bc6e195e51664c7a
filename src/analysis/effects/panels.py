"""Panels of units by time in one declared long format, checked once at the border.

A row is a unit in a period. Codes of units are text. Treatment is given either as the period in
which it starts (missing: never) or as 0/1 in every row; once it has started it stays on. Periods
may be uneven: text that sorts (``2017-03``) or whole numbers (years).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from analysis import paths, provenance, regions
from analysis.effects.design import EffectsError

LEVELS = ("province", "kota", "kecamatan", "kelurahan", "rw")
NEVER, NOT_YET = "never treated", "not yet treated"


class PanelError(EffectsError):
    """A panel is not in the declared format, or cannot carry an evaluation."""


@dataclass(frozen=True)
class Panel:
    """A checked panel.

    Attributes
    ----------
    table : DataFrame
        One row per unit and period, sorted: ``unit`` (text), ``time`` (as given), ``t`` (int, the
        position of the period among all periods of the panel, from 1), ``treated`` (0/1),
        ``first_t`` (int, the ``t`` in which the unit's treatment starts, 0: never), ``cluster``
        (text; the unit where none was named), the outcomes and the covariates (float).
    outcomes, covariates
        Names of columns.
    times : tuple
        All periods in order; ``times[t - 1]``.
    """

    table: pd.DataFrame
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    times: tuple

    @property
    def units(self) -> list[str]:
        return list(self.starts.index)

    @cached_property
    def starts(self) -> pd.Series:
        """``first_t`` by unit (0: never treated)."""
        return self.table.groupby("unit")["first_t"].first()

    @property
    def treated_units(self) -> list[str]:
        return list(self.starts.index[self.starts > 0])

    @property
    def untreated_units(self) -> list[str]:
        return list(self.starts.index[self.starts == 0])

    @property
    def balanced(self) -> bool:
        return len(self.table) == len(self.units) * len(self.times)

    def wide(self, outcome: str) -> pd.DataFrame:
        """Units in rows, periods in columns; missing where the panel has no row."""
        return self.table.pivot(index="unit", columns="time", values=outcome)


def schema(outcomes: Sequence[str], covariates: Sequence[str] = ()) -> pa.DataFrameSchema:
    """The schema of ``Panel.table``."""
    number = pa.Column(float, pa.Check(np.isfinite, error="is not finite"))
    return pa.DataFrameSchema(
        {
            "unit": pa.Column(str, pa.Check.str_length(min_value=1)),
            "time": pa.Column(),
            "t": pa.Column("int64", pa.Check.ge(1)),
            "treated": pa.Column("int64", pa.Check.isin([0, 1])),
            "first_t": pa.Column("int64", pa.Check.ge(0)),
            "cluster": pa.Column(str),
            **{name: number for name in (*outcomes, *covariates)},
        },
        unique=["unit", "time"],
        strict=True,
    )


def panel(
    table: pd.DataFrame,
    *,
    unit: str = "unit",
    time: str = "time",
    outcomes: str | Sequence[str] = "outcome",
    start: str | None = None,
    treated: str | None = None,
    cluster: str | None = None,
    covariates: Sequence[str] = (),
    level: str | None = None,
    comparison: str = NEVER,
    pre_periods: int = 2,
    balanced: bool = False,
) -> Panel:
    """A table in the declared long format as a `Panel`, or an error that says what is wrong.

    Parameters
    ----------
    table
        One row per unit and period.
    unit, time, outcomes, cluster, covariates
        Names of its columns.
    start, treated
        One of the two: the column with the period in which a unit's treatment starts (missing, or
        0 where periods are numbers: never), or the column with 0 before and 1 from the start on.
    level
        One of `LEVELS`: the codes of units must then be BPS codes of that level (rw: the code of
        the kelurahan and three digits).
    comparison
        ``never treated`` or ``not yet treated``: who must exist to be compared with.
    pre_periods
        So many periods before the earliest start must be there, at least.
    balanced
        Whether every unit must be there in every period.

    Raises
    ------
    PanelError
        A column is missing; codes are numbers, empty or not of the level; a unit has two rows in a
        period; an outcome or covariate is missing or no number; treatment is not 0/1, switches off
        or has two starts; nobody is treated, or nobody is left to compare with; fewer periods
        before the start than asked for; a unit or period is missing from a balanced panel.
    """
    outcomes = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    covariates = tuple(covariates)
    if (start is None) == (treated is None):
        raise PanelError("name either the column start or the column treated of the panel")
    timing = start or treated
    named = [unit, time, timing, *outcomes, *covariates, *filter(None, [cluster])]
    for name in named:
        if name not in table:
            there = ", ".join(map(str, table.columns))
            raise PanelError(f"the panel has no column {name!r} (there are: {there})")
    if table.empty:
        raise PanelError("the panel has no rows")
    own = pd.DataFrame(
        {
            "unit": _codes(table[unit], unit),
            "time": _times(table[time], time),
            "cluster": _codes(table[cluster if cluster else unit], cluster or unit),
            **{name: _number(table, name, unit, time) for name in (*outcomes, *covariates)},
        }
    )
    _once(own)
    if level is not None:
        check_codes(own["unit"].unique(), level)
    times = tuple(sorted(own["time"].unique()))
    own["t"] = own["time"].map({value: number for number, value in enumerate(times, 1)})
    own["t"] = own["t"].astype("int64")
    given = table[timing].to_numpy()
    own["first_t"] = _first(own, times, given, timing) if start else _switched(own, given, timing)
    own["treated"] = ((own["first_t"] > 0) & (own["t"] >= own["first_t"])).astype("int64")
    _comparable(own, times, comparison, pre_periods)
    if balanced:
        _complete(own, times)
    columns = ["unit", "time", "t", "treated", "first_t", "cluster", *outcomes, *covariates]
    own = own[columns].sort_values(["unit", "t"], ignore_index=True)
    return Panel(schema(outcomes, covariates).validate(own), outcomes, covariates, times)


def read(path: str | Path, *, synthetic: bool = False, **columns: object) -> Panel:
    """A user's own panel from a CSV file; parameters as in `panel`.

    Codes are read as text. The record of the run holds the file's name and checksum, not its
    folder.

    Raises
    ------
    PanelError
        See `panel`; or the file cannot be read.
    """
    file = Path(path)
    file = file if file.is_absolute() else paths.ROOT / file
    texts = [columns.get("unit", "unit"), columns.get("cluster")]
    try:
        table = pd.read_csv(file, dtype=dict.fromkeys(filter(None, texts), "str"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PanelError(f"the panel {file.name} cannot be read ({reason})") from None
    provenance.record(file, synthetic=synthetic, name=file.name)
    try:
        return panel(table, **columns)
    except PanelError as error:
        raise PanelError(f"{file.name}: {error}") from None


def check_codes(codes: Sequence[str], level: str) -> None:
    """Raise `PanelError` unless all are BPS codes of a level (`LEVELS`)."""
    if level not in LEVELS:
        raise PanelError(f"level {level!r} is unknown (there are: {', '.join(LEVELS)})")
    if level == "province":
        known = set(regions.provinces().index) - {"00"}
    else:
        areas = regions.areas()
        column = "kelurahan_code" if level == "rw" else f"{level}_code"
        known = set(areas[column])
    codes = pd.Series(list(codes), dtype="str")
    fits = codes.isin(known)
    if level == "rw":
        fits = codes.str.fullmatch(r"\d{13}") & codes.str[:10].isin(known)
    unknown = sorted(codes[~fits])
    if unknown:
        example = f"{min(known)}{'001' if level == 'rw' else ''}"
        raise PanelError(
            f"{len(unknown)} of {len(codes)} codes of units are no BPS codes of a {level}: "
            f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''} (one is {example}; "
            "the numbering of Kemendagri is another)"
        )


def _codes(column: pd.Series, name: str) -> np.ndarray:
    if column.isna().any():
        raise PanelError(f"column {name}: {column.isna().sum()} rows have no code")
    if not pd.api.types.is_string_dtype(column):
        raise PanelError(
            f"column {name}: codes are text, not {column.dtype} (a leading zero may be lost): "
            "read the column as text"
        )
    return column.astype("str").to_numpy()


def _times(column: pd.Series, name: str) -> np.ndarray:
    if column.isna().any():
        raise PanelError(f"column {name}: {column.isna().sum()} rows have no period")
    if not (pd.api.types.is_integer_dtype(column) or pd.api.types.is_string_dtype(column)):
        raise PanelError(
            f"column {name}: periods are whole numbers (2017) or text (2017-03), not {column.dtype}"
        )
    return column.to_numpy()


def _number(table: pd.DataFrame, name: str, unit: str, time: str) -> np.ndarray:
    number = pd.to_numeric(table[name], errors="coerce").astype(float)
    wrong = ~np.isfinite(number.to_numpy())
    if wrong.any():
        first = table[wrong].iloc[0]
        raise PanelError(
            f"column {name}: {wrong.sum()} values are missing or no numbers, the first "
            f"{first[name]!r} of {first[unit]} in {first[time]}: leave such rows out, or say why "
            "they may be filled"
        )
    return number.to_numpy()


def _once(own: pd.DataFrame) -> None:
    twice = own[own.duplicated(["unit", "time"])]
    if len(twice):
        first = twice.iloc[0]
        raise PanelError(
            f"{len(twice)} rows repeat a unit and period, the first {first['unit']} in "
            f"{first['time']}: keep one row of each"
        )


def _first(own: pd.DataFrame, times: tuple, given: np.ndarray, name: str) -> np.ndarray:
    starts = pd.Series(given, index=own.index)
    numbers = isinstance(times[0], int | np.integer)
    if numbers:
        starts = pd.to_numeric(starts, errors="coerce").replace(0, np.nan)
    elif starts.notna().any() and not pd.api.types.is_string_dtype(starts.dropna()):
        raise PanelError(f"column {name}: the start is a period as in the column of periods")
    per_unit = starts.groupby(own["unit"]).nunique(dropna=False)
    if (per_unit > 1).any():
        unit = per_unit.index[per_unit > 1][0]
        raise PanelError(
            f"column {name}: {(per_unit > 1).sum()} units have more than one start, "
            f"the first {unit}: treatment starts once and stays on"
        )
    # A start between two periods counts from the next; one after the last is none in this panel.
    order = np.array(times)
    known = starts.notna()
    first = np.zeros(len(own), dtype="int64")
    asked = starts[known].to_numpy()
    at = np.searchsorted(order, asked.astype(order.dtype) if numbers else asked.astype(str))
    first[known.to_numpy()] = np.where(at < len(times), at + 1, 0)
    return first


def _switched(own: pd.DataFrame, given: np.ndarray, name: str) -> np.ndarray:
    treated = pd.to_numeric(pd.Series(given, index=own.index), errors="coerce")
    wrong = ~treated.isin([0, 1])
    if wrong.any():
        first = own[wrong].iloc[0]
        raise PanelError(
            f"column {name}: treatment is 0 or 1, but not in {wrong.sum()} rows, the first "
            f"{first['unit']} in {first['time']}"
        )
    ordered = own.assign(on=treated).sort_values(["unit", "t"])
    off = ordered[ordered.groupby("unit")["on"].diff() < 0]
    if len(off):
        first = off.iloc[0]
        raise PanelError(
            f"column {name}: the treatment of {off['unit'].nunique()} units switches off, the "
            f"first {first['unit']} in {first['time']}: these designs take it as staying on"
        )
    starts = ordered[ordered["on"] == 1].groupby("unit")["t"].min()
    return own["unit"].map(starts).fillna(0).astype("int64").to_numpy()


def _comparable(own: pd.DataFrame, times: tuple, comparison: str, pre_periods: int) -> None:
    if comparison not in (NEVER, NOT_YET):
        raise PanelError(f"comparison {comparison!r} is neither {NEVER!r} nor {NOT_YET!r}")
    starts = own.groupby("unit")["first_t"].first()
    treated = starts[starts > 0]
    if treated.empty:
        raise PanelError("no unit is treated within the periods of the panel")
    if comparison == NEVER and len(treated) == len(starts):
        raise PanelError(
            f"no unit is untreated: all {len(starts)} start within the panel, so that there is "
            f"nobody to compare with (or say comparison={NOT_YET!r})"
        )
    if len(treated) == len(starts) and (treated == treated.iloc[0]).all():
        raise PanelError("no unit is untreated: all start in the same period")
    before = int(treated.min()) - 1
    if before < pre_periods:
        raise PanelError(
            f"{before} period{'' if before == 1 else 's'} before the earliest start "
            f"({times[before]}): at least {pre_periods} are needed, or trends before it cannot be "
            "told from the effect"
        )


def _complete(own: pd.DataFrame, times: tuple) -> None:
    counts = own.groupby("unit")["t"].size()
    short = counts[counts < len(times)]
    if len(short):
        unit = short.index[0]
        there = set(own.loc[own["unit"] == unit, "time"])
        missing = [str(value) for value in times if value not in there]
        raise PanelError(
            f"{len(short)} of {len(counts)} units lack periods, the first {unit} (without "
            f"{', '.join(missing[:4])}{', ...' if len(missing) > 4 else ''}): the design needs all"
        )
