"""Slum scores of RW by declared rules, their aggregation, and how much the rules decide."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.slums.published import SlumError
from analysis.slums.rules import Measure, Rules

NOT_SLUM = "not slum"
WEIGHTS, THRESHOLDS, CUTOFFS = "weights", "thresholds", "cut-offs"
VARIED = (WEIGHTS, THRESHOLDS, CUTOFFS)
_KEYS = ["kelurahan_code", "rw"]


def score(table: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Score and class of every RW.

    The score is ``maximum * sum(w_j p_j) / sum(w_j m_j)``: points p_j of criterion j, the most
    that it gives m_j, and its weight w_j.

    Parameters
    ----------
    table
        One row per RW with the columns of ``rules`` (shares in per cent, densities per 100 m2).
        Of a criterion with several measures one column is enough.
    rules
        `analysis.slums.read_rules`.

    Returns
    -------
    pandas.DataFrame
        With the index of ``table``: its columns that are no measures, ``score`` (0 to
        ``rules.maximum``), ``slum_class`` (ordered category: not slum, then from the mildest
        class to the worst) and ``points_<n>`` of every criterion n from 1. Where a criterion
        has no value, score and class are missing.

    Raises
    ------
    SlumError
        A criterion has none of its columns in the table; the message names all of them.
    """
    points = _points(_values(table, rules), rules)
    result = table.drop(columns=[c for c in rules.columns if c in table])
    result = result.assign(score=_score(points, rules.weights, rules))
    result["slum_class"] = _classified(result["score"].to_numpy(), rules)
    each = pd.DataFrame(
        points, index=table.index, columns=[f"points_{n + 1}" for n in range(points.shape[1])]
    )
    return pd.concat([result, each], axis=1)


def class_names(rules: Rules) -> list[str]:
    """Classes from not slum to the worst."""
    return [NOT_SLUM, *reversed(rules.classes)]


def by_class(scored: pd.DataFrame) -> pd.DataFrame:
    """Number of RW, their area and residents by class, worst first, where the table has them.

    Columns ``slum_class, rw_count, rw_share_pct`` and, if present in ``scored``, ``area_ha`` and
    ``population_count``.
    """
    sums = {"rw_count": ("score", "size")}
    sums |= {c: (c, "sum") for c in ("area_ha", "population_count") if c in scored}
    table = scored.groupby("slum_class", observed=False).agg(**sums).iloc[::-1].reset_index()
    table.insert(2, "rw_share_pct", table["rw_count"] / max(len(scored), 1) * 100)
    return table


def scores_by_kelurahan(scored: pd.DataFrame) -> pd.DataFrame:
    """Scores of RW brought to the kelurahan, each share over the denominator that belongs to it.

    Parameters
    ----------
    scored
        Result of `score` with ``kelurahan_code`` and, where known, ``area_ha`` and
        ``population_count`` of the RW.

    Returns
    -------
    pandas.DataFrame
        One row per kelurahan, sorted: ``kelurahan_code, rw_count`` (with a class),
        ``slum_rw_count``, ``<class>_rw_count`` of every class, ``slum_rw_of_rw_pct``,
        ``slum_area_of_rw_area_pct``, ``slum_residents_of_residents_pct``, ``mean_score`` and
        ``worst_score``. Areas and residents are those of the RW of the table, not of the
        kelurahan in other tables; a share is missing where one of its RW has no figure.
    """
    own = scored[scored["slum_class"].notna()]
    slum = own["slum_class"] != NOT_SLUM
    key = own["kelurahan_code"]
    result = pd.DataFrame({"rw_count": key.groupby(key).size(), "slum_rw_count": _sum(slum, key)})
    for name in own["slum_class"].cat.categories[1:]:
        column = f"{name.replace(' ', '_')}_rw_count"
        result[column] = _sum(own["slum_class"] == name, key)
    result["slum_rw_of_rw_pct"] = result["slum_rw_count"] / result["rw_count"] * 100
    for column, name in (
        ("area_ha", "slum_area_of_rw_area_pct"),
        ("population_count", "slum_residents_of_residents_pct"),
    ):
        amount = own[column].astype(float) if column in own else pd.Series(np.nan, own.index)
        whole = amount.groupby(key).sum(min_count=1)
        share = amount.where(slum, 0).groupby(key).sum() / whole * 100
        result[name] = share.mask(amount.isna().groupby(key).any())
    result["mean_score"] = own["score"].groupby(key).mean()
    result["worst_score"] = own["score"].groupby(key).max()
    return result.rename_axis("kelurahan_code").reset_index()


def _sum(flag: pd.Series, key: pd.Series) -> pd.Series:
    return flag.groupby(key).sum().astype("int64")


# ---- sensitivity --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How the classes move when the rules do.

    Attributes
    ----------
    rows
        With the index of the table: its ``kelurahan_code`` and ``rw``, ``score, slum_class``,
        ``kept_share`` (draws in which the RW keeps its class), ``slum_share`` (draws in which it
        is slum at all), ``p_<class>`` of every class, ``rank`` (1 is the worst; equal scores
        share the mean), ``rank_low`` and ``rank_high`` (5th and 95th percentile).
    draws
        One row per draw: ``kept_pct`` (RW that keep their class), ``slum_rw_count``, ``kappa``
        (Cohen's, against the declared rules) and ``kappa_weighted`` (linear weights).
    varied
        What was varied, of weights, thresholds and cut-offs.
    rules
        The declared set.
    """

    rows: pd.DataFrame
    draws: pd.DataFrame
    varied: tuple[str, ...]
    rules: Rules

    @property
    def kept_pct(self) -> float:
        """Share of RW that keep their class, mean over draws."""
        return float(self.draws["kept_pct"].mean())

    @property
    def robust_pct(self) -> float:
        """Share of RW that keep their class in at least nine of ten draws."""
        return float((self.rows["kept_share"] >= 0.9).mean() * 100)

    def words(self) -> str:
        """What the variation does to the classes, in a sentence."""
        low, high = self.draws["slum_rw_count"].quantile([0.05, 0.95])
        slum = self.rows["slum_class"] != NOT_SLUM
        kept = self.rows.loc[slum, "kept_share"].mean() * 100
        return (
            f"With {_listed(self.varied)} varied, {self.kept_pct:.0f} % of all RW keep their "
            f"class and {kept:.0f} % of the slum RW do, and the number of slum RW lies between "
            f"{low:.0f} and {high:.0f} in nine of ten draws (declared rules: {slum.sum()}). "
            f"Cohen's kappa is {self.draws['kappa'].median():.2f} (median)."
        )


def sensitivity(
    table: pd.DataFrame,
    rules: Rules,
    vary: Collection[str] = VARIED,
    draws: int = 500,
    seed: int = 0,
) -> Sensitivity:
    """Uncertainty analysis of the classes (Saisana, Saltelli and Tarantola 2005).

    In each draw the weights are Dirichlet with the declared ones as their mean, the limits of
    each criterion are multiplied by one uniform factor, and every cut-off is moved by a uniform
    amount; how far, the rules say. What is varied is what the analyst does not know; an error in
    the table itself is not part of it.

    Parameters
    ----------
    table, rules
        As of `score`. RW without a score are left out.
    vary
        Any of ``weights, thresholds, cut-offs``.
    draws, seed
        Number of draws, and of the generator. Each of the three has a stream of its own, so that
        varying less does not change the draws of the rest.

    Raises
    ------
    SlumError
        As `score`; nothing, or something unknown, is to be varied; no RW has a score.
    """
    if unknown := sorted(set(vary) - set(VARIED)):
        raise SlumError(f"cannot vary {', '.join(unknown)}: only {', '.join(VARIED)}")
    if not vary or draws < 1:
        raise SlumError(
            f"nothing to vary: name some of {', '.join(VARIED)}, and draws of 1 or more"
        )
    values = _values(table, rules)
    declared_points = _points(values, rules)
    complete = ~np.isnan(declared_points).any(axis=1)
    if not complete.any():
        raise SlumError("no RW of the table has a score: values of a criterion are missing")
    values = {name: column[complete] for name, column in values.items()}
    declared_points = declared_points[complete]
    base_score = _score(declared_points, rules.weights, rules)
    base = _class_codes(base_score, rules)

    names = class_names(rules)
    counts = np.zeros((len(base), len(names)))
    scores = np.empty((len(base), draws))
    told = []
    weights_rng, limits_rng, cutoffs_rng = (np.random.default_rng([seed, n]) for n in range(3))
    alpha = rules.weights * len(rules.criteria) * rules.weight_concentration
    spread = rules.threshold_spread_pct / 100
    lows = np.array(list(rules.classes.values()))
    for draw in range(draws):
        weights, points, own = rules.weights, declared_points, rules
        if WEIGHTS in vary:
            weights = weights_rng.dirichlet(alpha)
        if THRESHOLDS in vary:
            factors = limits_rng.uniform(1 - spread, 1 + spread, len(rules.criteria))
            points = _points(values, rules, factors)
        if CUTOFFS in vary:
            moved = lows + cutoffs_rng.uniform(-rules.cutoff_spread, rules.cutoff_spread, len(lows))
            moved = np.sort(moved)[::-1]
            own = replace(rules, classes=dict(zip(rules.classes, moved, strict=True)))
        drawn_score = _score(points, weights, rules)
        codes = _class_codes(drawn_score, own)
        counts[np.arange(len(base)), codes] += 1
        scores[:, draw] = drawn_score
        told.append(_agreement(base, codes, len(names)))
    share = counts / draws
    rows = table.loc[complete, [c for c in _KEYS if c in table]].assign(
        score=base_score,
        slum_class=pd.Categorical.from_codes(base, names, ordered=True),
        kept_share=share[np.arange(len(base)), base],
        slum_share=1 - share[:, 0],
    )
    for position, name in enumerate(names):
        rows[f"p_{name.replace(' ', '_')}"] = share[:, position]
    ranks = pd.DataFrame(scores).rank(ascending=False).to_numpy()
    rows["rank"] = rows["score"].rank(ascending=False)
    rows["rank_low"], rows["rank_high"] = np.quantile(ranks, [0.05, 0.95], axis=1)
    varied = tuple(name for name in VARIED if name in vary)
    columns = ["kept_pct", "slum_rw_count", "kappa", "kappa_weighted"]
    return Sensitivity(rows, pd.DataFrame(told, columns=columns), varied, rules)


def sensitivity_table(
    table: pd.DataFrame, rules: Rules, draws: int = 500, seed: int = 0
) -> pd.DataFrame:
    """What each part of the rules decides: one row per part varied alone, and all together.

    ``varied, kept_pct, robust_pct, kappa, kappa_low, kappa_high`` (median, 5th and 95th
    percentile), ``slum_rw_low_count, slum_rw_high_count``.
    """
    rows = []
    for vary in [(name,) for name in VARIED] + [VARIED]:
        found = sensitivity(table, rules, vary, draws, seed)
        low, high = found.draws["slum_rw_count"].quantile([0.05, 0.95])
        kappa = found.draws["kappa"].quantile([0.5, 0.05, 0.95])
        rows.append(
            [_listed(vary), found.kept_pct, found.robust_pct, *kappa, round(low), round(high)]
        )
    columns = ["varied", "kept_pct", "robust_pct", "kappa", "kappa_low", "kappa_high"]
    return pd.DataFrame(rows, columns=[*columns, "slum_rw_low_count", "slum_rw_high_count"])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _agreement(
    base: np.ndarray, codes: np.ndarray, classes: int
) -> tuple[float, int, float, float]:
    from statsmodels.stats.inter_rater import cohens_kappa  # slow to import

    kept = float((codes == base).mean() * 100)
    crossed = np.bincount(base * classes + codes, minlength=classes**2).reshape(classes, classes)
    if crossed.max() == len(base):  # all in one class: chance agrees always, kappa says nothing
        return kept, int((codes > 0).sum()), np.nan, np.nan
    plain, linear = (cohens_kappa(crossed, wt=wt, return_results=False) for wt in (None, "linear"))
    return kept, int((codes > 0).sum()), float(plain), float(linear)


# ---- points, scores, classes --------------------------------------------------------------------


def _values(table: pd.DataFrame, rules: Rules) -> dict[str, np.ndarray]:
    """Columns of the measures that the table has, as floats."""
    absent = [
        " or ".join(m.column for m in criterion.measures)
        for criterion in rules.criteria
        if not any(m.column in table for m in criterion.measures)
    ]
    if absent:
        raise SlumError(f"the table of RW has no column {', '.join(absent)} ({rules.name})")
    return {c: table[c].to_numpy(dtype=float, na_value=np.nan) for c in rules.columns if c in table}


def _points(
    values: dict[str, np.ndarray], rules: Rules, factors: np.ndarray | None = None
) -> np.ndarray:
    """Points, shape (RW, criteria), limits times ``factors`` (criteria,); NaN without a value."""
    count = len(next(iter(values.values())))
    points = np.empty((count, len(rules.criteria)))
    for j, criterion in enumerate(rules.criteria):
        factor = 1.0 if factors is None else factors[j]
        measured = [_measured(values[m.column], m, factor) for m in criterion.measures
                    if m.column in values]  # fmt: skip
        points[:, j] = np.fmax.reduce(measured)
    return points


def _measured(value: np.ndarray, measure: Measure, factor: float) -> np.ndarray:
    points = np.where(np.isnan(value), np.nan, 0.0)
    for step in measure.steps:  # limits rise, and points with them
        limit = step.limit * factor
        points[value > limit if step.strict else value >= limit] = step.points
    return points


def _score(points: np.ndarray, weights: np.ndarray, rules: Rules) -> np.ndarray:
    most = np.array([criterion.most for criterion in rules.criteria])
    # Rounded so that 7 of 11 equal weights meet a cut-off of 7/11 whatever the order of the sum.
    return np.round(rules.maximum * (points @ weights) / (most @ weights), 9)


def _class_codes(score: np.ndarray, rules: Rules) -> np.ndarray:
    """Position in `class_names`; a score at a cut-off is in the class above it."""
    return np.searchsorted(sorted(rules.classes.values()), score, side="right")


def _classified(score: np.ndarray, rules: Rules) -> pd.Categorical:
    codes = np.where(np.isnan(score), -1, _class_codes(score, rules))
    return pd.Categorical.from_codes(codes, class_names(rules), ordered=True)
