"""Benchmarking: small area estimates that add up to a figure that is published."""

from __future__ import annotations  # signatures are shown as they are written

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.sae.estimates import by_area, estimates, shares, to_html
from analysis.sae.inputs import SaeError, one_of, some

METHODS = ("ratio", "raking", "mse")
ALL = "all"


@dataclass(frozen=True, eq=False, repr=False)
class Benchmark:
    """Estimates before and after benchmarking.

    Attributes
    ----------
    method
        As asked for.
    areas
        ``area, group, share, estimate, benchmarked, factor, mse, mse_benchmarked,
        rmse_benchmarked, synthetic``: ``share`` is the weight within the group (its sum is 1) and
        ``factor`` is benchmarked / estimate.
    groups
        ``group, areas, target, aggregate, factor, difference``: the weighted mean of the
        estimates, and target / aggregate, target - aggregate.
    """

    method: str
    areas: pd.DataFrame
    groups: pd.DataFrame

    @property
    def factor(self) -> float | pd.Series:
        """Target / aggregate: one number, or a Series by group."""
        factors = self.groups.set_index("group")["factor"]
        return float(factors.iloc[0]) if list(factors.index) == [ALL] else factors

    def summary(self) -> str:
        """The factors in plain text. A factor far from 1 is a sign of a wrong model."""
        far = self.groups.loc[(self.groups["factor"] - 1).abs().fillna(0).idxmax()]
        lines = [
            f"Benchmarking by {self.method} of {len(self.areas)} areas to {len(self.groups)} "
            f"target{'' if len(self.groups) == 1 else 's'}",
            f"factor furthest from 1: {far['factor']:.4f} ({far['group']})",
            "",
            self.groups.to_string(index=False, float_format="{:.5g}".format),
        ]
        below = ((self.areas["benchmarked"] < 0) & (self.areas["estimate"] >= 0)).sum()
        if below:
            lines.append(f"Note: {below} estimates fell below 0: use method='ratio'.")
        if self.areas["mse"].isna().any():
            lines.append("Note: the MSE was not computed for all areas and is missing after, too.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary().partition(chr(10))[0]}>"

    def _repr_html_(self) -> str:
        return to_html(self.summary(), self.areas)


def benchmark(
    fit: Any,
    target: float | pd.Series | Mapping,
    weights: npt.ArrayLike | pd.Series,
    *,
    by: npt.ArrayLike | pd.Series | None = None,
    method: str = "ratio",
    indicator: str = "estimate",
) -> Benchmark:
    """Adjust estimates so that their weighted mean is the target, in each group.

    With w the share of an area in its group's population and t the target, the estimates e become

    - ``ratio``: e_d t / sum(w e); zeros stay zero and nothing changes its sign;
    - ``raking``: e_d + (t - sum(w e)): the same difference everywhere;
    - ``mse``: e_d + (t - sum(w e)) mse_d / sum(w mse): most where least is known.

    These are the solutions of Datta, Ghosh, Steorts and Maples (2011, theorem 1) with the loss
    weights w/e, w and w/mse, as ``benchmark`` of R's ``emdi``.

    The MSE after benchmarking is the MSE plus the square of the adjustment. The estimate before is
    the mean given the data, so that for any other estimate made of the data the expected squared
    error grows by exactly the squared distance to it (You, Rao and Dick 2004, Statistics in
    Transition 6, for the posterior MSE; Steorts and Ghosh 2013, Statistica Sinica 23, for the
    expectation of the same term; ``bench(mseMethod="model")`` of R's ``hbsae``). Where the target
    is known from elsewhere and not from the same survey, it brings information of its own, which
    this leaves out: the result is then on the safe side.

    Parameters
    ----------
    fit
        An area level fit, a unit level fit with ``indicator``, or a table
        (`analysis.sae.estimates.estimates`).
    target
        The published figure, in the unit of the estimates; with ``by`` one per group (a Series or
        a mapping).
    weights
        Population of the areas, in persons or as shares: by index (a Series) or by position
        (an array, or a column of the fit's ``areas``).
    by
        The group of each area, for instance its kota.
    method, indicator
        See above.

    Returns
    -------
    Benchmark

    Raises
    ------
    SaeError
        A weight, group, target or estimate is missing; the method is unknown; the weighted mean is
        0 (``ratio``); an MSE is missing (``mse``). The message names the areas or the group.
    """
    one_of("method", method, METHODS)
    table = estimates(fit, indicator)
    area = table["area"]
    group = pd.Series(ALL, index=table.index)
    if by is not None:
        group = by_area(by, "by", area)
    share = shares(weights, group, area)
    goals = _targets(target, group, by is not None)
    aggregate = (share * table["estimate"]).groupby(group).sum().reindex(goals.index)
    difference = goals - aggregate
    if method == "ratio" and (aggregate == 0).any():
        raise SaeError(
            f"the estimates of group {aggregate.index[aggregate == 0][0]!r} have a weighted mean "
            f"of 0, which no factor brings to its target: use method='raking'"
        )
    if method == "mse":
        lost = table["mse"].isna()
        if lost.any():
            raise SaeError(
                f"method='mse' needs the MSE of every area, but it is missing in {some(area[lost])}"
            )
        spread = (share * table["mse"]).groupby(group).transform("sum")
        if (spread == 0).any():
            raise SaeError(f"the MSE of group {group[spread == 0].iloc[0]!r} is 0: use 'ratio'")
        adjustment = group.map(difference) * table["mse"] / spread
    elif method == "raking":
        adjustment = group.map(difference)
    else:
        adjustment = table["estimate"] * group.map(difference / aggregate)

    adjusted = table["estimate"] + adjustment
    mse = table["mse"] + adjustment**2
    areas = pd.DataFrame(
        {
            "area": area,
            "group": group,
            "share": share,
            "estimate": table["estimate"],
            "benchmarked": adjusted,
            "factor": adjusted / table["estimate"].where(table["estimate"] != 0),
            "mse": table["mse"],
            "mse_benchmarked": mse,
            "rmse_benchmarked": np.sqrt(mse),
            "synthetic": table["synthetic"],
        }
    )
    groups = pd.DataFrame(
        {
            "group": goals.index,
            "areas": group.value_counts().reindex(goals.index).to_numpy(),
            "target": goals.to_numpy(),
            "aggregate": aggregate.to_numpy(),
            "factor": (goals / aggregate.where(aggregate != 0)).to_numpy(),
            "difference": difference.to_numpy(),
        }
    )
    return Benchmark(method, areas, groups)


def _targets(target: Any, group: pd.Series, grouped: bool) -> pd.Series:
    """A target per group, in the order in which the groups appear."""
    known = group.unique()
    if grouped:
        if not isinstance(target, pd.Series | Mapping):
            raise SaeError("with by, target must have a figure for each group (Series or mapping)")
        goals = pd.Series(target, dtype="float64").reindex(known)
    else:
        if not np.isscalar(target):
            raise SaeError("target must be one number; for a figure per group give by as well")
        goals = pd.Series(float(target), index=known)
    wrong = ~np.isfinite(goals)
    if wrong.any():
        raise SaeError(f"target has no figure for group {some(goals.index[wrong])}")
    return goals
