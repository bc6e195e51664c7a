"""Inference where the usual errors fail: few clusters, many outcomes.

Both rest on the stacked regression: every start against the units never treated, with effects of
units and periods for each start (Cengiz, Dube, Lindner and Zipperer, 2019), so that no unit
treated before serves as comparison.
"""

import math
from collections.abc import Sequence

import diff_diff
import numpy as np
import pandas as pd
from scipy import stats

from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Estimate
from analysis.effects.panels import Panel

REPLICATES = 1999
WEBB_BELOW = 10  # clusters: two-point weights then have too few different draws (Webb, 2023)


def wild_bootstrap(
    design: Design,
    panel: Panel,
    outcome: str | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """The stacked regression with a wild cluster bootstrap over the panel's clusters.

    For few clusters, such as six kota: the restricted bootstrap of Cameron, Gelbach and Miller
    (2008), with six-point weights below ten clusters. The interval inverts the test, and may be
    infinite.

    Raises
    ------
    EffectsError
        Fewer than four clusters; no unit is never treated; the outcome is not in the panel.
    """
    outcome = _outcome(design, panel, outcome)
    table, y, x = _stacked(panel, outcome)
    clusters = table["cluster"].nunique()
    if clusters < 4:
        raise EffectsError(
            f"{clusters} clusters are too few for any bootstrap: four at least, better ten"
        )
    solved = np.linalg.lstsq(x, y, rcond=None)[0]
    result = diff_diff.wild_bootstrap_se(
        x,
        y,
        y - x @ solved,
        pd.factorize(table["cluster"])[0],
        0,
        n_bootstrap=replicates,
        weight_type="webb" if clusters < WEBB_BELOW else "rademacher",
        alpha=1 - design.level,
        seed=seed,
    )
    return Estimate(
        design=design,
        estimator="stacked regression",
        effect=float(solved[0]),
        standard_error=float(result.se),
        lower=_bound(result.ci_lower, -math.inf),
        upper=_bound(result.ci_upper, math.inf),
        p_value=float(result.p_value),
        inference=f"wild bootstrap, {clusters} clusters",
        n_units=len(panel.units),
        n_treated=len(panel.treated_units),
        n_periods=len(panel.times),
    )


def many_outcomes(
    design: Design,
    panel: Panel,
    outcomes: Sequence[str] | None = None,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Effects on several outcomes, with p-values that know how many were looked at.

    Romano and Wolf (2005) keep the chance of any false finding at the size, stepping down over a
    multiplier bootstrap of the units that keeps the outcomes' correlation; Benjamini and Hochberg
    (1995) keep the share of false findings among those made.

    Returns
    -------
    pandas.DataFrame
        ``outcome, effect, standard_error`` (by unit, in each outcome's own unit), ``p_value,
        p_romano_wolf, p_benjamini_hochberg``, a row each.

    Raises
    ------
    EffectsError
        See `wild_bootstrap`.
    """
    outcomes = list(panel.outcomes if outcomes is None else outcomes)
    effects, influence = [], []
    for outcome in outcomes:
        table, y, x = _stacked(panel, _outcome(design, panel, outcome))
        solved = np.linalg.lstsq(x, y, rcond=None)[0]
        own = x[:, 0] - x[:, 1:] @ np.linalg.lstsq(x[:, 1:], x[:, 0], rcond=None)[0]
        score = pd.Series(own * (y - x @ solved)).groupby(table["unit"].to_numpy()).sum()
        effects.append(solved[0])
        influence.append(score.to_numpy() / (own @ own))
    influence = np.array(influence)  # outcomes by units
    units = influence.shape[1]
    error = np.sqrt((influence**2).sum(axis=1) * units / (units - 1))
    t = np.array(effects) / error
    random = np.random.default_rng(seed)
    draws = influence @ random.choice([-1.0, 1.0], (units, replicates)) / error[:, None]
    p = 2 * stats.t.sf(np.abs(t), units - 1)
    return pd.DataFrame(
        {
            "outcome": outcomes,
            "effect": effects,
            "standard_error": error,
            "p_value": p,
            "p_romano_wolf": romano_wolf(t, draws.T),
            "p_benjamini_hochberg": stats.false_discovery_control(p, method="bh"),
        }
    )


def romano_wolf(t: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Step-down p-values of hypotheses from their statistics and draws under the null.

    Parameters
    ----------
    t
        Statistics, one per hypothesis.
    draws
        Replicates by hypotheses, with the dependence between them.

    Returns
    -------
    numpy.ndarray
        One p-value per hypothesis, never below ``1 / (replicates + 1)`` (Romano and Wolf, 2016).

    Raises
    ------
    EffectsError
        Shapes do not fit.
    """
    t, draws = np.abs(np.asarray(t, dtype=float)), np.abs(np.asarray(draws, dtype=float))
    if draws.ndim != 2 or draws.shape[1] != len(t):
        raise EffectsError(f"{len(t)} statistics, but draws of shape {draws.shape}")
    order = np.argsort(-t)
    # The largest draw among the hypotheses that are still there at each step.
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    p = ((largest >= t[order]).sum(axis=0) + 1) / (len(draws) + 1)
    adjusted = np.empty(len(t))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def _outcome(design: Design, panel: Panel, outcome: str | None) -> str:
    declared(design)
    outcome = panel.outcomes[0] if outcome is None else outcome
    if outcome not in panel.outcomes:
        raise EffectsError(f"the panel has no outcome {outcome!r}: {', '.join(panel.outcomes)}")
    if not panel.untreated_units:
        raise EffectsError("no unit is never treated: the stacked regression has no comparison")
    return outcome


def _stacked(panel: Panel, outcome: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows of all stacks, the outcome, and the regressors with treatment first; effects of units
    are taken out (they lie within clusters, so that no bootstrap changes by it), those of periods
    are columns."""
    table = panel.table
    starts = sorted(set(table["first_t"]) - {0})
    stacks = [table[table["first_t"].isin([0, start])].assign(stack=start) for start in starts]
    table = pd.concat(stacks, ignore_index=True)
    period = pd.get_dummies(
        table["stack"].astype("str") + "-" + table["t"].astype("str"), dtype=float
    )
    firsts = [f"{start}-{table['t'].min()}" for start in starts]
    columns = pd.concat([table[[outcome, "treated"]], period.drop(columns=firsts)], axis=1)
    within = columns - columns.groupby([table["stack"], table["unit"]]).transform("mean")
    return table, within[outcome].to_numpy(), within.drop(columns=outcome).to_numpy()


def _bound(value: float, otherwise: float) -> float:
    return float(value) if math.isfinite(value) else otherwise
