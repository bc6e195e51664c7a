"""Comparing the treated with others like them: matching and weighting, and how far to trust it.

All estimates are of the mean effect on the treated, given that everything that leads to treatment
and to the outcome is among the covariates. Weighting by the propensity score and its doubly robust
form are those of statsmodels, the weights of entropy balancing those of `diff_diff`; ours are
nearest-neighbour matching with the errors of Abadie and Imbens, balance, and sensitivity.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import statsmodels.api as sm
from diff_diff.balancing import BalanceError, entropy_balance
from matplotlib.axes import Axes
from scipy import stats
from scipy.spatial import KDTree
from statsmodels.tools.sm_exceptions import PerfectSeparationError
from statsmodels.treatment.treatment_effects import TreatmentEffect

from analysis.effects import inference, power
from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Check, Estimate

FEWEST = 30  # treated, and untreated
BALANCED = 0.10  # standardised difference that counts as balanced
# An untreated person with this propensity stands for 19 treated ones.
COMMON = 0.95
UNCOMMON_SHARE = 0.05  # of the treated may lie above it
LEVEL = 0.05

IPW, DOUBLY_ROBUST = "propensity weighting", "doubly robust weighting"
ENTROPY, NEAREST = "entropy balancing", "nearest-neighbour matching"
METHODS = (ENTROPY, IPW, DOUBLY_ROBUST, NEAREST)

OVERLAP = "overlap"
BALANCE = "balance of what is measured"
UNMEASURED = "nothing unmeasured leads to both"


@dataclass(frozen=True, eq=False)
class Groups:
    """Checked data of treated and untreated units.

    Attributes
    ----------
    table : DataFrame
        All columns named, as floats, one row per unit; missing values nowhere.
    treated : str
        The column of treatment (0/1).
    covariates : tuple of str
        Fixed before the treatment.
    propensity : Series
        Chance of treatment by a logit of the covariates, index of the table.
    """

    table: pd.DataFrame
    treated: str
    covariates: tuple[str, ...]
    propensity: pd.Series

    @property
    def is_treated(self) -> np.ndarray:
        return self.table[self.treated].to_numpy() == 1

    def standardised(self) -> np.ndarray:
        """The covariates, centred and in standard deviations of all units."""
        own = self.table[list(self.covariates)]
        return ((own - own.mean()) / own.std()).to_numpy()


def groups(
    data: pd.DataFrame, treated: str, covariates: Sequence[str], outcomes: Sequence[str]
) -> Groups:
    """Data at the border, and the propensity score.

    Parameters
    ----------
    data
        One row per unit.
    treated
        The column of treatment, 0 or 1.
    covariates, outcomes
        Columns of numbers.

    Raises
    ------
    EffectsError
        A column is missing, no number, or has missing values; treatment is not 0/1; nobody or
        everybody is treated, or fewer than `FEWEST` are (or are not); a covariate is constant; the
        covariates decide treatment completely, or one is a sum of others.
    """
    covariates = tuple(covariates)
    if not covariates:
        raise EffectsError("matching needs covariates: name columns fixed before the treatment")
    wanted = list(dict.fromkeys([treated, *covariates, *outcomes]))
    for name in wanted:
        if name not in data:
            there = ", ".join(map(str, data.columns))
            raise EffectsError(f"the data have no column {name!r} (there are: {there})")
    own = data[wanted].apply(pd.to_numeric, errors="coerce").astype(float).reset_index(drop=True)
    wrong = (~np.isfinite(own)).sum()
    if wrong.any():
        told = ", ".join(f"{name} ({count})" for name, count in wrong[wrong > 0].items())
        raise EffectsError(f"values are missing or no numbers: {told}; decide what they stand for")
    if not own[treated].isin([0, 1]).all():
        raise EffectsError(f"column {treated!r}: treatment is 0 or 1")
    count = int(own[treated].sum())
    if count in (0, len(own)):
        raise EffectsError(f"{'nobody' if count == 0 else 'everybody'} is treated ({treated})")
    if min(count, len(own) - count) < FEWEST:
        raise EffectsError(
            f"{count} treated and {len(own) - count} untreated: at least {FEWEST} of each "
            "are needed"
        )
    constant = [name for name in covariates if own[name].std() == 0]
    if constant:
        raise EffectsError(f"constant covariates say nothing, leave them out: {constant}")
    design = _with_constant(own[list(covariates)])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise EffectsError(f"one of the covariates follows from others: {', '.join(covariates)}")
    try:
        logit = sm.Logit(own[treated], design).fit(disp=False)
        separated = not logit.mle_retvals["converged"]
    except (PerfectSeparationError, np.linalg.LinAlgError, UserWarning):
        separated = True
    if separated:
        raise EffectsError(
            "the covariates decide treatment completely: there is nobody to compare with. Leave "
            "out what makes treatment certain, or use a discontinuity if a rule does"
        )
    return Groups(own, treated, covariates, pd.Series(logit.predict(design), index=own.index))


def estimate(
    design: Design,
    data: Groups,
    outcome: str,
    method: str = ENTROPY,
    *,
    scale: float = 1.0,
    neighbours: int = 1,
    label: str = "",
) -> Estimate:
    """The mean effect on the treated.

    Parameters
    ----------
    design
        As declared.
    data
        From `groups`, with the outcome among its columns.
    outcome
        The column.
    method
        One of `METHODS`. ``entropy balancing`` [Hainmueller 2012]: weights of the untreated with
        the treated's means of all covariates; errors by the influence function with a linear
        outcome model, which the weights make exact for the estimate. ``propensity weighting`` and
        ``doubly robust weighting`` (weighted regression): statsmodels, errors of the joint GMM.
        ``nearest-neighbour matching``: with replacement, on the standardised covariates, adjusted
        for what differences are left by a regression among the untreated, errors as in Abadie,
        Imbens (2006, 2011).
    scale
        Multiplies the outcome (100: a share becomes points).
    neighbours
        Matches per treated unit.
    label
        What the estimate is called; the method if not given.

    Raises
    ------
    EffectsError
        The method is unknown, the outcome is not in the data, or no weights balance the covariates
        (the treated lie outside the range of the untreated).
    """
    declared(design)
    if method not in METHODS:
        raise EffectsError(f"method {method!r} is unknown (there are: {', '.join(METHODS)})")
    if outcome not in data.table:
        raise EffectsError(f"outcome {outcome!r} was not named when the groups were made")
    y = scale * data.table[outcome].to_numpy()
    if method == ENTROPY:
        value, error = _weighted(y, data, weights(data))
    elif method == NEAREST:
        value, error = _matched(y, data, neighbours)
    else:
        value, error = _statsmodels(y, data, method)
    if not error > 0:
        raise EffectsError(f"{outcome!r} follows exactly from the covariates: nothing to infer")
    z = stats.norm.ppf((1 + design.level) / 2)
    return Estimate(
        design=design,
        estimator=method,
        effect=float(value),
        standard_error=float(error),
        lower=float(value - z * error),
        upper=float(value + z * error),
        p_value=float(2 * stats.norm.sf(abs(value / error))),
        inference="normal approximation",
        n_units=len(y),
        n_treated=int(data.is_treated.sum()),
        n_periods=1,
        label=label,
    )


def weights(data: Groups, method: str = ENTROPY) -> np.ndarray:
    """Weights of all units: 1 for the treated, those of the untreated with the treated's number.

    ``entropy balancing`` or ``propensity weighting`` (the odds of the propensity).
    """
    treated = data.is_treated
    made = np.ones(len(treated))
    if method == IPW:
        odds = data.propensity[~treated] / (1 - data.propensity[~treated])
        made[~treated] = odds / odds.sum() * treated.sum()
        return made
    x = data.standardised()
    try:
        # The library's own 1e-8 is now and then missed by rounding alone.
        balanced, _ = entropy_balance(x[~treated], x[treated].mean(axis=0), tol=1e-6)
    except BalanceError:
        raise EffectsError(
            "no weights give the untreated the treated's means: the two groups do not overlap. "
            "Look at `overlap`, and ask about those who do"
        ) from None
    made[~treated] = balanced * treated.sum()
    return made


def many_outcomes(
    data: Groups, outcomes: Sequence[str], *, replicates: int = 1999, seed: int = 0
) -> pd.DataFrame:
    """Effects on several outcomes by entropy balancing, with p-values that know how many there are.

    Romano and Wolf's step-down over a multiplier bootstrap of the units, which keeps the outcomes'
    correlation, and Benjamini and Hochberg's.

    Returns
    -------
    pandas.DataFrame
        ``outcome, effect, standard_error, p_value, p_romano_wolf, p_benjamini_hochberg``.

    Raises
    ------
    EffectsError
        An outcome was not named when the groups were made.
    """
    for outcome in outcomes:
        if outcome not in data.table:
            raise EffectsError(f"outcome {outcome!r} was not named when the groups were made")
    weight = weights(data)
    own = [_influence(data.table[name].to_numpy(), data, weight) for name in outcomes]
    effects = np.array([value for value, _ in own])
    influence = np.array([row for _, row in own])  # outcomes by units
    error = np.sqrt((influence**2).sum(axis=1))
    random = np.random.default_rng(seed)
    signs = random.choice(np.array([-1.0, 1.0], dtype=np.float32), (influence.shape[1], replicates))
    draws = (influence / error[:, None]).astype(np.float32) @ signs
    t = effects / error
    p = 2 * stats.norm.sf(np.abs(t))
    return pd.DataFrame(
        {
            "outcome": list(outcomes),
            "effect": effects,
            "standard_error": error,
            "p_value": p,
            "p_romano_wolf": inference.romano_wolf(t, draws.T),
            "p_benjamini_hochberg": stats.false_discovery_control(p, method="bh"),
        }
    )


def _weighted(y: np.ndarray, data: Groups, weight: np.ndarray) -> tuple[float, float]:
    value, influence = _influence(y, data, weight)
    return value, math.sqrt((influence**2).sum())


def _influence(y: np.ndarray, data: Groups, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """The effect, and what each unit adds to its error."""
    # With exact balance the estimate is the same for any linear outcome model: errors are taken
    # about the one that fits the weighted untreated (Zhao, Percival 2017: doubly robust).
    treated = data.is_treated
    design = _with_constant(data.standardised())
    left = ~treated
    model = sm.WLS(y[left], design[left], weights=weight[left]).fit()
    residual = y - model.predict(design)
    count = treated.sum()
    value = residual[treated].mean() - (weight[left] * residual[left]).sum() / count
    influence = np.where(treated, residual - value, -weight * residual) / count
    # Degrees of freedom of the outcome model, as HC1.
    small = len(y) / (len(y) - design.shape[1])
    return float(value), math.sqrt(small) * influence


def _statsmodels(y: np.ndarray, data: Groups, method: str) -> tuple[float, float]:
    design = _with_constant(data.standardised())
    treated = data.is_treated.astype(float)
    unit = y.std() or 1.0  # its minimisation is slow, and may stop early, far from one
    effects = TreatmentEffect(
        sm.OLS(y / unit, design), treated, results_select=sm.Logit(treated, design).fit(disp=False)
    )
    call = effects.ipw if method == IPW else effects.ipw_ra
    found = call(effect_group=1, disp=False)
    gmm = found.results_gmm
    return unit * float(gmm.params[0]), unit * float(gmm.bse[0])


def _matched(y: np.ndarray, data: Groups, neighbours: int) -> tuple[float, float]:
    treated = data.is_treated
    x = data.standardised()
    left = ~treated
    if not 1 <= neighbours < left.sum():
        raise EffectsError(f"{neighbours} matches of {left.sum()} untreated are not possible")
    found = _nearest(x[left], x[treated], neighbours)
    uses = np.bincount(found.ravel(), minlength=left.sum())
    # Bias left by inexact matches, by a regression among the matched (Abadie, Imbens 2011).
    design = _with_constant(x)
    used = uses > 0
    model = sm.WLS(y[left][used], design[left][used], weights=uses[used]).fit()
    fitted = model.predict(design)
    residual = y - fitted
    without = fitted[treated] + residual[left][found].mean(axis=1)
    gain = y[treated] - without
    value = gain.mean()
    # Variance of the outcome given the covariates, from the nearest of the same group.
    near = _nearest(x[left], x[left], 2)[:, 1]
    spread = (residual[left] - residual[left][near]) ** 2 / 2
    repeated = uses * (uses - 1) / neighbours**2
    variance = ((gain - value) ** 2).sum() + (repeated * spread).sum()
    return value, math.sqrt(variance) / treated.sum()


def _nearest(of: np.ndarray, to: np.ndarray, count: int) -> np.ndarray:
    _, found = KDTree(of).query(to, k=count)
    return np.asarray(found).reshape(len(to), count)


def _with_constant(x: pd.DataFrame | np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), np.asarray(x, dtype=float)])


# ---- checks ----------------------------------------------------------------------------------


def balance(data: Groups, weight: np.ndarray | None = None) -> pd.DataFrame:
    """Standardised differences of the covariates, before and after weighting.

    Differences of means over the standard deviation of the treated.

    Returns
    -------
    pandas.DataFrame
        ``covariate, treated_mean, untreated_mean, weighted_mean, difference_before,
        difference_after``.
    """
    treated = data.is_treated
    weight = weights(data) if weight is None else weight
    rows = []
    for name in data.covariates:
        x = data.table[name].to_numpy()
        means = (
            x[treated].mean(),
            x[~treated].mean(),
            np.average(x[~treated], weights=weight[~treated]),
        )
        spread = x[treated].std(ddof=1) or math.nan
        rows.append((name, *means, (means[0] - means[1]) / spread, (means[0] - means[2]) / spread))
    names = ["covariate", "treated_mean", "untreated_mean", "weighted_mean"]
    return pd.DataFrame(rows, columns=[*names, "difference_before", "difference_after"])


def balanced(data: Groups, weight: np.ndarray | None = None) -> Check:
    """Whether weighting leaves no covariate further apart than `BALANCED`."""
    table = balance(data, weight)
    before, after = (table[f"difference_{when}"].abs() for when in ("before", "after"))
    return Check(
        BALANCE,
        "standardised differences",
        after.max() < BALANCED,
        f"The largest is {before.max():.2f} before and {after.max():.2f} after weighting.",
        f"the largest is below {BALANCED:g} after weighting",
        float(after.max()),
    )


def overlap(data: Groups) -> Check:
    """Whether there are untreated units like the treated.

    Passed if at most `UNCOMMON_SHARE` of the treated have a propensity above `COMMON` or above
    that of all untreated.
    """
    treated = data.is_treated
    ceiling = min(COMMON, data.propensity[~treated].max())
    share = float((data.propensity[treated] > ceiling).mean())
    return Check(
        OVERLAP,
        "propensity of the treated",
        share <= UNCOMMON_SHARE,
        f"{100 * share:.1f} % of the treated have a propensity above {ceiling:.2f}, where there "
        f"are next to no untreated; the weights leave an effective number of "
        f"{effective(data):,.0f} of {(~treated).sum():,} untreated.",
        f"at most {100 * UNCOMMON_SHARE:g} % above {COMMON:g} and above all untreated",
        share,
    )


def effective(data: Groups) -> float:
    """The number of untreated that weights of equal size would need for the same precision."""
    left = weights(data, IPW)[~data.is_treated]
    return float(left.sum() ** 2 / (left**2).sum())


def placebo(data: Groups, before: str, method: str = ENTROPY) -> Check:
    """Whether the treated differed before in an outcome that the treatment cannot have changed.

    Parameters
    ----------
    before
        A column of `groups` (named among its outcomes), measured before the treatment and not
        among the covariates.

    Raises
    ------
    EffectsError
        The column is a covariate: balanced, it can only agree.
    """
    if before in data.covariates:
        raise EffectsError(f"{before!r} is a covariate: a placebo must be left out of them")
    if before not in data.table:
        raise EffectsError(f"outcome {before!r} was not named when the groups were made")
    y = data.table[before].to_numpy()
    if method == ENTROPY:
        value, error = _weighted(y, data, weights(data))
    elif method == NEAREST:
        value, error = _matched(y, data, 1)
    else:
        value, error = _statsmodels(y, data, method)
    p = float(2 * stats.norm.sf(abs(value / error)))
    return Check(
        UNMEASURED,
        "placebo outcome",
        p >= LEVEL,
        f"Before, the treated differed by {value:,.0f} from those like them (p = {p:.2f}).",
        f"p at least {LEVEL:g}",
        float(value / error),
        p,
    )


def power_of(
    design: Design, data: Groups, outcome: str, *, scale: float = 1.0, replicates: int = 200
) -> power.Power:
    """Power of entropy balancing on data like these, by simulation.

    Who is treated and their circumstances stay; the outcome is its regression on the covariates
    (the effect found taken out) and its residuals with signs given anew.

    Raises
    ------
    EffectsError
        See `estimate` and `analysis.effects.power.power`.
    """
    weight = weights(data)
    lead = estimate(design, data, outcome, scale=scale)
    clean = scale * data.table[outcome].to_numpy() - lead.effect * data.is_treated
    x = _with_constant(data.standardised())
    smooth = x @ np.linalg.lstsq(x, clean, rcond=None)[0]
    residual = clean - smooth
    z = stats.norm.ppf((1 + design.level) / 2)

    def simulate(size: float, seed: int) -> Estimate:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(clean))
        value, error = _weighted(smooth + signs * residual, data, weight)
        return replace(
            lead,
            effect=value,
            standard_error=error,
            lower=value - z * error,
            upper=value + z * error,
        )

    return power.power(
        design, simulate, replicates=replicates, additive=True, how="signs of residuals given anew"
    )


# ---- sensitivity -----------------------------------------------------------------------------


def rosenbaum(data: Groups, outcome: str, gammas: Sequence[float]) -> pd.DataFrame:
    """How strong hidden bias would have to be to explain the effect.

    Pairs of a treated and the nearest untreated unit (each used once, without replacement, by
    propensity); the signed rank test when, within a pair, the odds of treatment may differ by up
    to gamma [Rosenbaum 2002, section 4.3].

    Returns
    -------
    pandas.DataFrame
        ``gamma, p_value``: the largest one-sided p-value, in the direction of the effect.
    """
    difference = _pairs(data, outcome)
    if np.median(difference) < 0 or (np.median(difference) == 0 and difference.mean() < 0):
        difference = -difference
    difference = difference[difference != 0]
    ranks = stats.rankdata(np.abs(difference))
    observed = ranks[difference > 0].sum()
    rows = []
    for gamma in gammas:
        if gamma < 1:
            raise EffectsError(f"gamma {gamma!r} is below 1, which stands for no hidden bias")
        chance = gamma / (1 + gamma)
        mean, spread = chance * ranks.sum(), math.sqrt(chance * (1 - chance) * (ranks**2).sum())
        rows.append((gamma, float(stats.norm.sf((observed - mean) / spread))))
    return pd.DataFrame(rows, columns=["gamma", "p_value"])


def critical_gamma(data: Groups, outcome: str, step: float = 0.01, most: float = 10.0) -> float:
    """The smallest gamma of `rosenbaum` at which the effect is no longer significant (1: none is
    needed)."""
    table = rosenbaum(data, outcome, np.arange(1.0, most + step, step))
    lost = table.loc[table["p_value"] > LEVEL, "gamma"]
    return float(lost.iloc[0]) if len(lost) else math.inf


def _pairs(data: Groups, outcome: str) -> np.ndarray:
    """Differences of the outcome, treated less untreated, in pairs by propensity."""
    score = np.log(data.propensity / (1 - data.propensity)).to_numpy()
    y = data.table[outcome].to_numpy()
    treated, left = np.flatnonzero(data.is_treated), np.flatnonzero(~data.is_treated)
    # Highest propensity first: for these there is least choice.
    order = treated[np.argsort(-score[treated], kind="stable")]
    left = left[np.argsort(score[left], kind="stable")]
    values, free = score[left], np.ones(len(left), dtype=bool)
    differences = []
    caliper = 0.2 * score.std()
    for unit in order:
        open_ = np.flatnonzero(free)
        if not len(open_):
            break
        at = open_[np.abs(values[open_] - score[unit]).argmin()]
        if abs(values[at] - score[unit]) <= caliper:
            free[at] = False
            differences.append(y[unit] - y[left[at]])
    if len(differences) < FEWEST:
        raise EffectsError(f"{len(differences)} pairs are too few; at least {FEWEST} are needed")
    return np.array(differences)


@dataclass(frozen=True)
class Oster:
    """How selection on what is not measured would change a regression's effect.

    Attributes
    ----------
    without, effect
        Of treatment, without covariates and with them.
    r_squared_without, r_squared, r_squared_max
        Of the two regressions, and the most that everything together could reach.
    delta
        How much more selection on the unmeasured than on the measured would make the effect zero.
    bound
        The effect if both were equal (delta 1).
    """

    without: float
    effect: float
    r_squared_without: float
    r_squared: float
    r_squared_max: float
    delta: float
    bound: float


def oster(data: Groups, outcome: str, scale: float = 1.0, most: float = 1.3) -> Oster:
    """Selection on unobservables against selection on observables [Oster 2019].

    The approximation of her section 3.2 (equal relative contributions of the covariates), with
    R-squared at most ``most`` times that of the regression with covariates.
    """
    y = scale * data.table[outcome].to_numpy()
    treated = data.table[data.treated].to_numpy()
    short = sm.OLS(y, _with_constant(treated[:, None])).fit()
    x = np.column_stack([treated, data.standardised()])
    full = sm.OLS(y, _with_constant(x)).fit()
    ceiling = min(1.0, most * full.rsquared)
    gained, left = full.rsquared - short.rsquared, ceiling - full.rsquared
    moved = short.params[1] - full.params[1]
    delta = full.params[1] * gained / (moved * left) if moved * left else math.inf
    return Oster(
        float(short.params[1]),
        float(full.params[1]),
        float(short.rsquared),
        float(full.rsquared),
        float(ceiling),
        float(delta),
        float(full.params[1] - moved * left / gained) if gained else math.nan,
    )


# ---- figures ---------------------------------------------------------------------------------


def draw_love(axes: Axes, table: pd.DataFrame, names: dict[str, str] | None = None) -> None:
    """Standardised differences before and after weighting (`balance`), a row per covariate."""
    own = table.iloc[::-1]
    rows = np.arange(len(own))
    axes.scatter(own["difference_before"], rows, color="C1", s=22, label="before weighting")
    axes.scatter(own["difference_after"], rows, color="C0", s=22, label="after", marker="D")
    axes.axvspan(-BALANCED, BALANCED, color="0.92", zorder=0)
    axes.axvline(0, color="0.4", lw=0.8)
    axes.set_yticks(rows, [(names or {}).get(name, name) for name in own["covariate"]])
    axes.set_xlabel("Standardised difference, treated less untreated")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="best")


def draw_overlap(axes: Axes, data: Groups, bins: int = 30) -> None:
    """The propensity of treated (upwards) and untreated (downwards)."""
    edges = np.linspace(0, 1, bins + 1)
    for group, sign, color, label in (
        (data.is_treated, 1, "C0", "treated"),
        (~data.is_treated, -1, "C2", "untreated"),
    ):
        counts, _ = np.histogram(data.propensity[group], edges)
        axes.bar(
            edges[:-1], sign * counts, np.diff(edges), align="edge", color=color, label=label,
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
    axes.axhline(0, color="0.4", lw=0.8)
    ticks = axes.get_yticks()
    axes.set_yticks(ticks, [f"{abs(tick):,.0f}" for tick in ticks])
    axes.set(xlabel="Propensity score", ylabel="Units")
    axes.legend(loc="best")
