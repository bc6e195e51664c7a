"""Multidimensional poverty by the counting method of Alkire and Foster (2011).

A person deprived in indicators that weigh k or more is poor (the dual cutoff). Deprivations of
those who are not poor are censored. What is deprived is for the user to say, as columns of the
survey; weights of indicators add up to 1.

References
----------
Alkire, S. and J. Foster (2011). Counting and multidimensional poverty measurement. Journal of
Public Economics 95, 476-487.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.poverty.decompositions import profile
from analysis.poverty.design import column, estimate
from analysis.poverty.measures import ALL, Measure, MeasureError, check_rows, ratio_of

# Weights in thirds and sixths add up to k only but for rounding.
_ROUNDING = 1e-9
H, A, M0, M1 = "H", "A", "M0", "M1"
UNCENSORED, CENSORED = "uncensored headcount", "censored headcount"
CONTRIBUTION = "contribution"


@dataclass(frozen=True)
class Multidimensional:
    """Measures of Alkire and Foster, each with its error (`design.estimate`'s columns).

    Attributes
    ----------
    measures : pandas.DataFrame
        By area: ``H`` (share of people who are poor), ``A`` (mean share of weighted deprivations
        among the poor), ``M0`` = H A, and with gaps ``M1`` (mean weighted gap of the poor).
    indicators : pandas.DataFrame
        By area, with ``indicator, dimension, weight``: the uncensored headcount (deprived), the
        censored headcount (poor and deprived) and the contribution to M0 (weight x censored
        headcount / M0).
    dimensions : pandas.DataFrame
        By area, with ``dimension, weight``: the contribution to M0 of its indicators.
    groups : pandas.DataFrame
        ``area, population_share, contribution``: of each area to the M0 of all, with
        ``contribution_se, contribution_lower, contribution_upper`` and ``risk`` (M0 of the area
        over that of all; `decompositions.profile`). With one area all shares are 1.
    households : pandas.DataFrame
        Indexed as the survey: ``score`` (the weighted share of deprivations) and ``poor``.
    weights : pandas.Series
        Of the indicators; they add up to 1.
    k : float
        The cutoff.
    """

    measures: pd.DataFrame
    indicators: pd.DataFrame
    dimensions: pd.DataFrame
    groups: pd.DataFrame
    households: pd.DataFrame
    weights: pd.Series
    k: float


def alkire_foster(
    survey: pd.DataFrame,
    dimensions: Mapping[str, Sequence[str]],
    k: float,
    *,
    indicator_weights: Mapping[str, float] | None = None,
    gaps: Mapping[str, str] | None = None,
    by: str | None = None,
    **design: object,
) -> Multidimensional:
    """H, A, M0 (and M1), censored headcounts and contributions, with their errors.

    Parameters
    ----------
    survey
        One row per household; all its members share its deprivations.
    dimensions
        The indicators of each dimension: columns that are True (1) where deprived, else False (0).
    k
        Cutoff, above 0 and up to 1: who is deprived in this weighted share of indicators or more
        is poor. A k no more than the lowest weight is the union, 1 the intersection.
    indicator_weights
        Of every indicator, adding up to 1. Without, dimensions weigh the same, and so do the
        indicators within each.
    gaps
        For M1, the column of the normalised gap (0 to 1) of each indicator: 0 where not deprived.
    by
        Column of areas.
    **design
        Other options of `design.estimate`: strata, clusters, weights, size, single, method, level,
        replicates, seed.

    Returns
    -------
    Multidimensional

    Raises
    ------
    MeasureError
        As `design.estimate`; an indicator is neither 0 nor 1 in a row, or is there twice; weights
        do not add up to 1 or are not above zero; k is out of its range; a gap is out of 0 to 1, or
        above zero where its indicator says not deprived.

    Notes
    -----
    With g0 the deprivations (0 or 1), w their weights, c_i = sum_j w_j g0_ij and s_i the person
    weights: H = sum s_i 1[c_i >= k] / sum s_i, M0 = sum s_i c_i 1[c_i >= k] / sum s_i, A = M0 / H;
    the censored headcount of j is that of 1[c_i >= k] g0_ij, and M0 = sum_j w_j CH_j. All are
    ratios of totals, linearised as such. M0 of all is the mean of the areas' by population share.
    """
    indicators = [(name, dim) for dim, names in dimensions.items() for name in names]
    names = [name for name, _ in indicators]
    weights = _weights(dimensions, names, indicator_weights)
    if not 0 < k <= 1:
        raise MeasureError(f"the cutoff k is a weighted share above 0 and up to 1, not {k!r}")
    deprived = np.stack([_deprived(survey, name) for name in names], axis=1)
    score = deprived @ weights.to_numpy()
    poor = score >= k - _ROUNDING
    censored = deprived * poor[:, None]

    # The columns of the measures, beside those of the survey that the design needs.
    needed = [design.get(key, default) for key, default in _columns_of_design()]
    needed = list(dict.fromkeys(name for name in [*needed, by] if name is not None))
    missing = [name for name in needed if name not in survey]
    if missing:
        raise MeasureError(f"the survey has no column {', '.join(missing)}")
    fresh = _Fresh(needed)
    head, total = fresh.add(poor), fresh.add(score * poor)
    chosen = [ratio_of(head, name=H), ratio_of(total, head, name=A), ratio_of(total, name=M0)]
    if gaps is not None:
        depth = np.stack([_gap(survey, name, gaps) for name in names], axis=1)
        depth = (depth * poor[:, None]) @ weights.to_numpy()
        chosen.append(ratio_of(fresh.add(depth), name=M1))
    asked: list[tuple[tuple[str, str], Measure]] = []
    for j, (name, dim) in enumerate(indicators):
        every, kept = fresh.add(deprived[:, j]), fresh.add(censored[:, j])
        part = fresh.add(weights[name] * censored[:, j])
        for each in (
            ratio_of(every, name=UNCENSORED),
            ratio_of(kept, name=CENSORED),
            ratio_of(part, total, name=CONTRIBUTION),
        ):
            asked.append(((name, dim), each))
    for dim, own in dimensions.items():
        part = sum(weights[name] * censored[:, names.index(name)] for name in own)
        asked.append((("", dim), ratio_of(fresh.add(part), total, name=CONTRIBUTION)))

    frame = pd.concat([survey[needed], pd.DataFrame(fresh.columns, index=survey.index)], axis=1)
    table = estimate(frame, [*chosen, *(each for _, each in asked)], by=by, **design)
    # Rows come area by area, in the order in which the measures were asked for.
    count = len(chosen) + len(asked)
    place = np.arange(len(table)) % count
    keys = [("", "")] * len(chosen) + [key for key, _ in asked]
    table.insert(1, "indicator", [keys[i][0] for i in place])
    table.insert(2, "dimension", [keys[i][1] for i in place])
    first = place < len(chosen)
    of_dimension = (table["indicator"] == "") & ~first
    of_indicator = table[~first & ~of_dimension].reset_index(drop=True)
    of_indicator.insert(3, "weight", of_indicator["indicator"].map(weights))
    of_dimension = table[of_dimension].drop(columns="indicator").reset_index(drop=True)
    heavy = {dim: float(weights[list(own)].sum()) for dim, own in dimensions.items()}
    of_dimension.insert(2, "weight", of_dimension["dimension"].map(heavy))
    return Multidimensional(
        measures=table[first].drop(columns=["indicator", "dimension"]).reset_index(drop=True),
        indicators=of_indicator,
        dimensions=of_dimension,
        groups=_groups(frame, total, by, design),
        households=pd.DataFrame({"score": score, "poor": poor}, index=survey.index),
        weights=weights,
        k=float(k),
    )


def over_cutoffs(
    survey: pd.DataFrame,
    dimensions: Mapping[str, Sequence[str]],
    cutoffs: Sequence[float],
    **options: object,
) -> pd.DataFrame:
    """The measures for each of several cutoffs: what of a result hangs on the choice of k.

    Parameters
    ----------
    survey, dimensions, **options
        As in `alkire_foster`.
    cutoffs
        The values of k.

    Returns
    -------
    pandas.DataFrame
        ``k`` and the columns of `Multidimensional.measures`.
    """
    found = [alkire_foster(survey, dimensions, k, **options).measures for k in cutoffs]
    return pd.concat(found, keys=cutoffs, names=["k"]).reset_index("k").reset_index(drop=True)


class _Fresh:
    """Collects columns under names that a survey with columns ``taken`` does not have."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.prefix = "value"
        while any(str(name).startswith(self.prefix) for name in taken):
            self.prefix += "_"
        self.columns: dict[str, np.ndarray] = {}

    def add(self, values: np.ndarray) -> str:
        name = f"{self.prefix}{len(self.columns)}"
        self.columns[name] = np.asarray(values, "float64")
        return name


def _columns_of_design() -> list[tuple[str, str]]:
    return [
        ("strata", "stratum"),
        ("clusters", "cluster"),
        ("weights", "weight"),
        ("size", "household_size"),
    ]


def _weights(
    dimensions: Mapping[str, Sequence[str]],
    names: list[str],
    given: Mapping[str, float] | None,
) -> pd.Series:
    if not names or not all(len(own) for own in dimensions.values()):
        raise MeasureError("every dimension needs an indicator")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MeasureError(f"indicators that are there twice: {', '.join(twice)}")
    if given is None:
        found = {
            name: 1 / len(dimensions) / len(own) for own in dimensions.values() for name in own
        }
    else:
        found = dict(given)
        if set(found) != set(names):
            wrong = ", ".join(sorted(set(found) ^ set(names)))
            raise MeasureError(f"weights and indicators are not the same: {wrong}")
    weights = pd.Series({name: float(found[name]) for name in names}, name="weight")
    if not (weights > 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise MeasureError(
            f"weights of indicators are above zero and add up to 1: these add up to "
            f"{weights.sum():.6g}, the lowest is {weights.min():.6g}"
        )
    return weights


def _deprived(survey: pd.DataFrame, name: str) -> np.ndarray:
    values = column(survey, name)
    check_rows((values == 0) | (values == 1), f"indicator {name}", "neither 0 nor 1")
    return values


def _gap(survey: pd.DataFrame, name: str, gaps: Mapping[str, str]) -> np.ndarray:
    if name not in gaps:
        raise MeasureError(f"M1 needs the gap of every indicator: {name} has none in gaps")
    values = column(survey, gaps[name])
    check_rows((values >= 0) & (values <= 1), f"gap {gaps[name]}", "not within 0 to 1")
    off = (values > 0) & (_deprived(survey, name) == 0)
    check_rows(~off, f"gap {gaps[name]}", f"above zero where {name} says not deprived")
    return values


def _groups(
    frame: pd.DataFrame, total: str, by: str | None, design: Mapping[str, object]
) -> pd.DataFrame:
    if by is None:
        by = f"{total}_area"
        frame = frame.assign(**{by: ALL})
    table = profile(frame, ratio_of(total), by=by, **design)
    shares = [name for name in table if name.startswith("contribution")]
    return table[["area", "population_share", *shares, "risk"]]
