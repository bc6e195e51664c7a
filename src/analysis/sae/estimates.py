"""What the results of every model share: tables, and one look in JupyterLab."""

import html
from typing import Any

import numpy as np
import pandas as pd

from analysis.sae.inputs import SaeError, some

COLUMNS = ["area", "estimate", "mse", "rmse", "cv", "shrinkage", "synthetic", "direct"]


def estimates(fit: Any, indicator: str | None = "estimate") -> pd.DataFrame:
    """Estimates of one indicator by area.

    Parameters
    ----------
    fit
        An area level fit (its ``areas`` have ``estimate`` and ``mse``), a unit level fit (its
        ``areas`` have a column per indicator, and so has its table ``mse``, by ``area``), or a
        table like the ``areas`` of the former.
    indicator
        The column: ``estimate`` of an area level fit, ``p0`` and so on of a unit level one. None:
        ``estimate``, or ``p0`` where there is no such column.

    Returns
    -------
    pandas.DataFrame
        ``area, estimate, mse, rmse, cv, shrinkage, synthetic, direct``; what the fit does not have
        is NaN. ``synthetic`` is taken from ``shrinkage`` (0) or ``n_sample`` (0) where it is not a
        column of its own.

    Raises
    ------
    SaeError
        There is no such column, an area appears twice, or an estimate is missing.
    """
    areas = fit if isinstance(fit, pd.DataFrame) else getattr(fit, "areas", None)
    if not isinstance(areas, pd.DataFrame) or "area" not in areas:
        raise SaeError(
            f"{type(fit).__name__} has no estimates by area: give what fay_herriot or "
            f"empirical_best returned, or a table with the columns 'area' and 'estimate'"
        )
    if indicator is None:
        indicator = "estimate" if "estimate" in areas else "p0"
    if indicator not in areas:
        raise SaeError(
            f"there is no column {indicator!r} among the estimates: name another as indicator, of "
            f"{some(areas.columns.drop('area'))}"
        )
    if areas["area"].duplicated().any():
        twice = areas.loc[areas["area"].duplicated(), "area"].iloc[0]
        raise SaeError(f"area {twice!r} appears more than once in the table of estimates")
    if areas[indicator].isna().any():
        lost = areas.loc[areas[indicator].isna(), "area"]
        raise SaeError(f"{indicator!r} is missing in area {some(lost.tolist())}")
    table = pd.DataFrame({"area": areas["area"], "estimate": areas[indicator].astype("float64")})
    errors = getattr(fit, "mse", None)
    if isinstance(errors, pd.DataFrame) and indicator in errors:
        by_area = errors.set_index("area")[indicator] if "area" in errors else errors[indicator]
        table["mse"] = table["area"].map(by_area).astype("float64")
    elif "mse" in areas and indicator == "estimate":
        table["mse"] = areas["mse"].astype("float64")
    else:
        table["mse"] = np.nan
    table["rmse"] = np.sqrt(table["mse"])
    table["cv"] = table["rmse"] / table["estimate"].abs().where(table["estimate"] != 0)
    table["shrinkage"] = areas.get("shrinkage", np.nan)
    if "synthetic" in areas:
        table["synthetic"] = areas["synthetic"].astype(bool)
    elif "n_sample" in areas:
        table["synthetic"] = areas["n_sample"].fillna(0) == 0
    else:
        table["synthetic"] = table["shrinkage"] == 0
    table["direct"] = areas.get("direct", np.nan)
    return table[COLUMNS].reset_index(drop=True)


def by_area(part: Any, name: str, area: pd.Series, complete: bool = True) -> pd.Series:
    """A column in the order of ``area``: matched by index if it has one, by position if not.

    A Series that was never given an index (0 to n - 1, and no area is called so), such as a column
    of a fit's ``areas``, has none.

    Raises
    ------
    SaeError
        The number of values is another, or (if ``complete``) an area has none; it is named.
    """
    unnamed = isinstance(part, pd.Series) and part.index.equals(pd.RangeIndex(len(area)))
    if isinstance(part, pd.Series) and not (unnamed and not part.index.isin(area).any()):
        if part.index.has_duplicates:
            raise SaeError(f"{name}: area {part.index[part.index.duplicated()][0]!r} appears twice")
        values = pd.Series(part.reindex(area).to_numpy())
    else:
        values = pd.Series(np.asarray(part))
        if len(values) != len(area):
            raise SaeError(f"{name} has {len(values)} values for {len(area)} areas")
    if complete and values.isna().any():
        raise SaeError(f"{name} is missing for area {some(area[values.isna()].tolist())}")
    return values


def shares(weights: Any, group: pd.Series, area: pd.Series) -> pd.Series:
    """Weights by area (persons, or shares), scaled so that they sum to 1 in each group."""
    values = by_area(weights, "weights", area).astype("float64")
    wrong = ~(values >= 0) | np.isinf(values)
    if wrong.any():
        raise SaeError(f"weights must not be negative or infinite: area {some(area[wrong])}")
    total = values.groupby(group).transform("sum")
    if (total == 0).any():
        raise SaeError(f"the weights of group {group[total == 0].iloc[0]!r} are all 0")
    return values / total


def coefficient_table(fit: Any) -> pd.DataFrame:
    """``coefficient, standard_error, z, p`` by term; p two-sided, from the normal distribution."""
    from scipy.special import ndtr

    z = fit.coefficients / fit.standard_errors
    return pd.DataFrame(
        {
            "coefficient": fit.coefficients,
            "standard_error": fit.standard_errors,
            "z": z,
            "p": 2 * ndtr(-z.abs()),
        }
    )


def to_html(text: str, table: pd.DataFrame) -> str:
    """A summary and a table for JupyterLab."""
    shown = table.to_html(index=False, max_rows=12, float_format="{:.5g}".format, border=0)
    return f"<pre>{html.escape(text)}</pre>{shown}"
