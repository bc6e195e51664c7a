"""Regression discontinuity and kink designs: a score and a cut-off decide who is treated.

Estimates, bandwidths and the density test are those of `diff_diff`, which gives the numbers of
rdrobust and rddensity (compared in the tests): local polynomials with the MSE-optimal bandwidth
and robust bias-corrected inference [Calonico, Cattaneo, Titiunik 2014], and the density test of
Cattaneo, Jansson, Ma (2020). Ours are the kink, the border, and the checks that need several fits.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from diff_diff import RDDensityTest, RegressionDiscontinuity, RegressionDiscontinuityResults
from linearmodels.iv import IV2SLS
from matplotlib.axes import Axes
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.effects import power
from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Check, Estimate

BELOW, ABOVE = "below", "above"
FEWEST = 30  # rows on each side of the cut-off, within the window and within the bandwidth
WEAK = 10.0  # F of a kink's first stage below which its interval is not to be trusted
LEVEL = 0.05  # of the checks: passed if p is at least this

DENSITY = "no sorting at the cut-off"
BALANCE = "nothing else changes at the cut-off"
PLACEBO = "the outcome is smooth elsewhere"
FIRST_STAGE = "the rule is kept"


class TooFew(EffectsError):
    """Too few rows near a cut-off for any estimate."""


@dataclass(frozen=True)
class Rule:
    """How a score decides.

    Attributes
    ----------
    score
        The column of the score.
    cutoff
        Where it decides; a score at the cut-off itself is on the treated side.
    treated
        ``below`` or ``above``: the side that is treated.
    takeup
        The column (0/1, or an amount) that says who got it in the end; without, the score alone
        decides (sharp).
    window
        Only scores in this range are used: choose it so that no other rule decides within.
    slope_change
        For a kink: the benefit's slope just above the cut-off less that just below, in units of
        benefit per point of score, if the rule is known and kept; otherwise ``takeup`` is the
        benefit as observed.
    """

    score: str
    cutoff: float
    treated: str = BELOW
    takeup: str | None = None
    window: tuple[float, float] = (-np.inf, np.inf)
    slope_change: float | None = None

    def __post_init__(self) -> None:
        if self.treated not in (BELOW, ABOVE):
            raise EffectsError(f"treated side {self.treated!r} is neither {BELOW!r} nor {ABOVE!r}")
        low, high = self.window
        if not low < self.cutoff < high:
            raise EffectsError(f"cut-off {self.cutoff:g} is not inside its window {low:g}-{high:g}")
        if self.slope_change is not None and not abs(self.slope_change) > 0:
            raise EffectsError(f"a kink of {self.slope_change!r} in the benefit is none")


def without_takeup(rule: Rule) -> Rule:
    """The same rule read as an offer: effects of being eligible, whoever took it up."""
    return replace(rule, takeup=None)


def near(data: pd.DataFrame, rule: Rule, columns: Sequence[str] = ()) -> pd.DataFrame:
    """What the estimators see: ``running`` (score minus cut-off, treated side at zero and above),
    take-up and ``columns`` as floats, within the window.

    Rows without a score, outcome or other column are an error: who is missing may depend on the
    cut-off, and that is for the user to decide.

    Raises
    ------
    EffectsError
        A column is missing or not a number, a value is missing, the cut-off lies outside the
        scores, nobody or everybody took it up, or fewer than `FEWEST` rows are left on a side.
    """
    wanted = list(dict.fromkeys([rule.score, *filter(None, [rule.takeup]), *columns]))
    for name in wanted:
        if name not in data:
            there = ", ".join(map(str, data.columns))
            raise EffectsError(f"the data have no column {name!r} (there are: {there})")
    if data.empty:
        raise EffectsError("the data have no rows")
    own = data[wanted].apply(pd.to_numeric, errors="coerce").astype(float)
    if (wrong := ~np.isfinite(own)).to_numpy().any():
        counts = wrong.sum()
        told = ", ".join(f"{name} ({count})" for name, count in counts[counts > 0].items())
        raise EffectsError(f"values are missing or no numbers: {told}; decide what they stand for")
    score = own[rule.score]
    if not score.min() < rule.cutoff < score.max():
        raise EffectsError(
            f"the cut-off {rule.cutoff:g} is outside the scores "
            f"({score.min():g} to {score.max():g}): is it on the scale of {rule.score!r}?"
        )
    running = (score - rule.cutoff) * (1 if rule.treated == ABOVE else -1)
    # A treated score at the cut-off must not become -0.0 or 1e-17 below it.
    running = running.where(score != rule.cutoff, 0.0)
    own = own.assign(running=running)[score.between(*rule.window)]
    for side, count in (
        ("treated", int((own["running"] >= 0).sum())),
        ("untreated", int((own["running"] < 0).sum())),
    ):
        if count < FEWEST:
            raise TooFew(
                f"too few near the cut-off: {count} rows on the {side} side of {rule.cutoff:g} "
                f"within the window; at least {FEWEST} are needed"
            )
    if rule.takeup and (own[rule.takeup] == own[rule.takeup].iloc[0]).all():
        who = "everybody" if own[rule.takeup].iloc[0] else "nobody"
        raise EffectsError(f"{who} near the cut-off is treated ({rule.takeup}): nothing to compare")
    return own.reset_index(drop=True)


def fit(
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    covariates: Sequence[str] = (),
    bandwidth: float | None = None,
    bias_bandwidth: float | None = None,
    donut: float = 0.0,
    alpha: float = 0.05,
) -> RegressionDiscontinuityResults:
    """The library's own result; `effect` puts it into an `Estimate`.

    Parameters
    ----------
    data
        One row per unit.
    rule
        Sharp without ``takeup``, fuzzy with it.
    outcome
        The column.
    covariates
        Columns fixed before the treatment, for precision only.
    bandwidth
        In points of the score, on both sides; MSE-optimal if not given.
    bias_bandwidth
        Of the local quadratic that measures the bias; with a ``bandwidth``, the same if not given.
    donut
        Rows nearer to the cut-off than this are left out.
    alpha
        One minus the level of the interval.

    Raises
    ------
    EffectsError
        See `near`; or fewer than `FEWEST` rows are within the bandwidth on a side.
    """
    own = near(data, rule, [outcome, *covariates])
    if donut:
        own = own[own["running"].abs() >= donut]
    return _fit(own, outcome, rule.takeup, covariates, (bandwidth, bias_bandwidth), alpha)


def _fit(
    own: pd.DataFrame,
    outcome: str,
    takeup: str | None = None,
    covariates: Sequence[str] = (),
    bandwidth: tuple[float | None, float | None] = (None, None),
    alpha: float = 0.05,
) -> RegressionDiscontinuityResults:
    if bandwidth[0] is not None:
        close = own["running"][own["running"].abs() < bandwidth[0]]
        _enough(min((close < 0).sum(), (close >= 0).sum()), bandwidth[0])
    with warnings.catch_warnings():
        # Mass points are adjusted for, and a weak first stage is what `first_stage` is for.
        warnings.simplefilter("ignore")
        try:
            found = RegressionDiscontinuity(h=bandwidth[0], b=bandwidth[1], alpha=alpha).fit(
                own, outcome, "running", takeup=takeup, covariates=list(covariates) or None
            )
        except ValueError as error:
            raise EffectsError(f"{outcome} at the cut-off cannot be estimated: {error}") from None
    _enough(min(found.n_h_left, found.n_h_right), found.h_left)
    return found


def _enough(fewest: int, bandwidth: float) -> None:
    if fewest < FEWEST:
        raise TooFew(
            f"too few near the cut-off: {fewest} rows on one side within {bandwidth:.3g} of it; "
            f"at least {FEWEST} are needed (a wider bandwidth= would use more)"
        )


def effect(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    scale: float = 1.0,
    covariates: Sequence[str] = (),
    bandwidth: float | None = None,
    bias_bandwidth: float | None = None,
    donut: float = 0.0,
    label: str = "",
) -> Estimate:
    """The jump at the cut-off: of the outcome (sharp), or per unit of take-up (fuzzy).

    Parameters as in `fit`; ``scale`` multiplies the outcome (100: a share becomes points).

    Returns
    -------
    Estimate
        ``effect`` is the conventional local linear estimate's bias-corrected value, in the middle
        of its robust interval; the units are those within the bandwidth.

    Raises
    ------
    EffectsError
        See `fit`.
    """
    declared(design)
    found = fit(
        data,
        rule,
        outcome,
        covariates=covariates,
        bandwidth=bandwidth,
        bias_bandwidth=bias_bandwidth,
        donut=donut,
        alpha=1 - design.level,
    )
    low, high = sorted(scale * np.array(found.conf_int))
    return Estimate(
        design=design,
        estimator=f"{'fuzzy' if rule.takeup else 'sharp'} regression discontinuity",
        effect=scale * found.att,
        standard_error=abs(scale) * found.se,
        lower=low,
        upper=high,
        p_value=found.p_value,
        inference=(
            f"robust bias-corrected inference, bandwidth {found.h_left:.1f} points, "
            f"{found.n_h_left:,} units on the untreated and {found.n_h_right:,} on the treated side"
        ),
        n_units=found.n_h_left + found.n_h_right,
        n_treated=found.n_h_right,
        n_periods=1,
        label=label,
    )


def first_stage(data: pd.DataFrame, rule: Rule) -> Check:
    """Whether take-up jumps at the cut-off: its robust interval lies above zero."""
    if rule.takeup is None:
        return Check(FIRST_STAGE, "first stage", None, "The score alone decides (sharp design).")
    found = _fit(near(data, rule), rule.takeup)
    low, high = found.conf_int
    return Check(
        FIRST_STAGE,
        "first stage",
        low > 0,
        f"Take-up jumps by {100 * found.att:.0f} points ({100 * low:.0f} to {100 * high:.0f}).",
        "the 95 % interval of the jump in take-up lies above zero",
        found.t_stat,
        found.p_value,
    )


def density(data: pd.DataFrame, rule: Rule) -> Check:
    """Whether more units lie on one side of the cut-off than its other side leads to expect.

    The test of Cattaneo, Jansson, Ma (2020), which asks McCrary's (2008) question.
    """
    own = near(data, rule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # repeated scores are adjusted for
        try:
            found = RDDensityTest().fit(own, "running")
        except ValueError as error:
            raise EffectsError(f"the density of the score cannot be tested: {error}") from None
    if not np.isfinite(found.p_value):
        return Check(DENSITY, "density of the score", None, "The density cannot be estimated.")
    return Check(
        DENSITY,
        "density of the score",
        found.p_value >= LEVEL,
        f"The density is {found.f_right / found.f_left:.2f} times as high on the treated side "
        f"(p = {found.p_value:.2f}).",
        f"p at least {LEVEL:g}",
        found.t_stat,
        found.p_value,
    )


def jumps(data: pd.DataFrame, rule: Rule, columns: Sequence[str]) -> pd.DataFrame:
    """Jumps of several columns at the cut-off, by who is eligible (sharp).

    Returns
    -------
    pandas.DataFrame
        ``column, jump, lower, upper, p_value, holm_p_value``, a row per column.
    """
    own = near(data, rule, columns)
    rows = []
    for column in columns:
        found = _fit(own, column)
        rows.append((column, found.att, *found.conf_int, found.p_value))
    return _holm(pd.DataFrame(rows, columns=["column", "jump", "lower", "upper", "p_value"]))


def balance(data: pd.DataFrame, rule: Rule, columns: Sequence[str]) -> Check:
    """Whether circumstances fixed before, or other programmes, jump at the cut-off (`jumps`)."""
    table = jumps(data, rule, columns)
    worst = table.loc[table["holm_p_value"].idxmin()]
    name = str(worst["column"]).replace("_", " ")
    return Check(
        BALANCE,
        "balance at the cut-off",
        worst["holm_p_value"] >= LEVEL,
        f"Of {len(table)} columns {(table['holm_p_value'] < LEVEL).sum()} jump; the clearest is "
        f"{name} by {worst['jump']:,.2f} (Holm p = {worst['holm_p_value']:.2f}).",
        f"the smallest p, adjusted by Holm, is at least {LEVEL:g}",
        p_value=worst["holm_p_value"],
    )


def placebo_cutoffs(
    data: pd.DataFrame, rule: Rule, outcome: str, at: Sequence[float] | None = None
) -> pd.DataFrame:
    """Jumps of the outcome where nothing is decided, each from one side of the true cut-off only.

    Parameters
    ----------
    at
        Scores; the middle row of each side if not given.

    Returns
    -------
    pandas.DataFrame
        ``cutoff, jump, lower, upper, p_value, holm_p_value``.
    """
    own = near(data, rule, [outcome])
    sign = 1 if rule.treated == ABOVE else -1
    if at is None:
        sides = own.groupby(own["running"] >= 0)["running"].median()
        at = [rule.cutoff + sign * value for value in sides]
    rows = []
    for cutoff in at:
        placed = sign * (cutoff - rule.cutoff)
        if placed == 0:
            raise EffectsError("a placebo at the cut-off itself is none")
        side = own[(own["running"] >= 0) == (placed > 0)]
        shifted = side.assign(running=side["running"] - placed)
        fewest = min((shifted["running"] < 0).sum(), (shifted["running"] >= 0).sum())
        if fewest < FEWEST:
            raise TooFew(f"too few near the placebo cut-off {cutoff:g}: {fewest} on a side")
        found = _fit(shifted, outcome)
        rows.append((cutoff, found.att, *found.conf_int, found.p_value))
    return _holm(pd.DataFrame(rows, columns=["cutoff", "jump", "lower", "upper", "p_value"]))


def placebo(
    data: pd.DataFrame, rule: Rule, outcome: str, at: Sequence[float] | None = None
) -> Check:
    """Whether the outcome jumps where nothing is decided (`placebo_cutoffs`).

    Notes
    -----
    It fails too often: in 7.9 % of 1,000 made-up registers with nothing wrong, where chance allows
    7.1 % (``benchmarks/effects_cutoffs.py``). Neither a narrower bandwidth nor more rows mended it.
    """
    table = placebo_cutoffs(data, rule, outcome, at)
    least = table["holm_p_value"].min()
    where = " and ".join(f"{cutoff:.3g}" for cutoff in table["cutoff"])
    return Check(
        PLACEBO,
        "placebo cut-offs",
        least >= LEVEL,
        f"At scores of {where} the smallest p, adjusted by Holm, is {least:.2f}.",
        f"the smallest p, adjusted by Holm, is at least {LEVEL:g}",
        p_value=least,
    )


def bandwidths(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    factors: Sequence[float] = (0.5, 0.75, 1.0, 1.5, 2.0),
    scale: float = 1.0,
) -> list[Estimate]:
    """The effect at multiples of the MSE-optimal bandwidth (and of that of its bias).

    Multiples that leave too few rows near the cut-off are left out.
    """
    best = fit(data, rule, outcome)
    made = []
    for factor in factors:
        h, b = best.h_left * factor, best.b_left * factor
        label = f"bandwidth × {factor:g} ({h:.1f})"
        try:
            made.append(
                effect(
                    design, data, rule, outcome, scale=scale, bandwidth=h, bias_bandwidth=b,
                    label=label,
                )
            )  # fmt: skip
        except TooFew:
            continue
    return made


def donuts(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    widths: Sequence[float],
    scale: float = 1.0,
) -> list[Estimate]:
    """The effect without the rows nearest to the cut-off, where sorting would show."""
    return [
        effect(
            design, data, rule, outcome, scale=scale, donut=width,
            label=f"without {width:g} points on each side",
        )
        for width in widths
    ]  # fmt: skip


def power_of(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    scale: float = 1.0,
    replicates: int = 100,
    share: float = 1.0,
) -> power.Power:
    """Power of the design on data like these, by simulation.

    Scores and take-up stay as they are, and so does the bandwidth; the outcome is a smooth curve of
    the score (a quartic, the effect found taken out) and its residuals with signs given anew.

    Parameters
    ----------
    data, rule, outcome, scale
        As in `effect`.
    replicates
        Draws.
    share
        Rows of the next round, as a multiple of these.

    Raises
    ------
    EffectsError
        See `fit` and `analysis.effects.power.power`.
    """
    found = fit(data, rule, outcome)
    own = near(data, rule, [outcome])
    given = own[rule.takeup] if rule.takeup else (own["running"] >= 0).astype(float)
    own, smooth, residual = _without(own, outcome, found.att * given)
    inside = own["running"].abs() <= max(found.h_left, found.b_left)
    own, smooth, residual = own[inside], smooth[inside], residual[inside]

    def simulate(size: float, seed: int) -> Estimate:
        random = np.random.default_rng(seed)
        rows = _next_round(random, len(own), share)
        drawn = own.iloc[rows].reset_index(drop=True)
        # Scores of repeated rows must not tie: variances look at the nearest others.
        drawn["running"] *= 1 + 1e-9 * random.random(len(drawn))
        signs = random.choice([-1.0, 1.0], len(drawn))
        drawn["y"] = scale * (smooth[rows] + signs * residual[rows])
        once = _fit(drawn, "y", rule.takeup, (), (found.h_left, found.b_left), 1 - design.level)
        return Estimate(
            design=design,
            estimator="regression discontinuity",
            effect=once.att,
            standard_error=once.se,
            lower=once.conf_int[0],
            upper=once.conf_int[1],
            inference="robust bias-corrected",
            n_units=len(drawn),
            n_treated=once.n_h_right,
            n_periods=1,
        )

    # An effect of take-up adds to the estimate what it adds to the outcome, and not to its errors.
    return power.power(
        design, simulate, replicates=replicates, additive=True, how="signs of residuals given anew"
    )


def _next_round(random: np.random.Generator, count: int, share: float) -> np.ndarray:
    if share == 1.0:
        return np.arange(count)
    return random.integers(count, size=round(count * share))


def _without(
    own: pd.DataFrame, outcome: str, effect: pd.Series
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The rows, a smooth curve of the outcome without an effect, and residuals from it."""
    clean = (own[outcome] - effect).to_numpy()
    running = own["running"].to_numpy()
    smooth = np.polynomial.Polynomial.fit(running, clean, 4)(running)
    return own, smooth, clean - smooth


# ---- kink ------------------------------------------------------------------------------------


def kink(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    scale: float = 1.0,
    bandwidth: float | None = None,
    label: str = "",
) -> Estimate:
    """The effect of one unit of benefit, from the kink of its amount at the cut-off.

    The change of the outcome's slope over the change of the benefit's slope [Card, Lee, Pei, Weber
    2015]: by ``rule.slope_change`` where that is known (sharp), otherwise as observed in
    ``rule.takeup`` (fuzzy). Slopes are those of local quadratics with a triangular kernel at
    `kink_bandwidth`, which is chosen for local lines: this is the robust bias-corrected slope with
    equal bandwidths for estimate and bias [Calonico, Cattaneo, Titiunik 2014]. Standard errors are
    HC1.

    Parameters, returns and errors as in `effect`; also `EffectsError` if neither ``slope_change``
    nor ``takeup`` is given.
    """
    declared(design)
    if rule.slope_change is None and rule.takeup is None:
        raise EffectsError("a kink needs the slope change of the rule, or a column of the benefit")
    sharp = rule.slope_change is not None
    own = near(data, rule, [outcome])
    if bandwidth is None:
        bandwidth = _kink_bandwidth(own, outcome)
    slope, error, count, treated = _slope_change(
        own, outcome, None if sharp else rule.takeup, bandwidth
    )
    if sharp:
        # A change of slope is the same on the score's axis and on the one that runs to the treated.
        slope, error = slope / rule.slope_change, error / abs(rule.slope_change)
    z = stats.norm.ppf((1 + design.level) / 2)
    value, spread = scale * slope, abs(scale) * error
    return Estimate(
        design=design,
        estimator=f"{'sharp' if sharp else 'fuzzy'} regression kink",
        effect=value,
        standard_error=spread,
        lower=value - z * spread,
        upper=value + z * spread,
        p_value=float(2 * stats.norm.sf(abs(value / spread))),
        inference=(
            f"robust bias-corrected inference, bandwidth {bandwidth:.1f} points, {count:,} units"
        ),
        n_units=count,
        n_treated=treated,
        n_periods=1,
        label=label,
    )


def kink_power(
    design: Design,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    scale: float = 1.0,
    replicates: int = 100,
) -> power.Power:
    """Power of a kink on data like these, by simulation as in `power_of`."""
    found = kink(design, data, rule, outcome)
    own = near(data, rule, [outcome])
    bandwidth = _kink_bandwidth(own, outcome)
    if rule.slope_change is None:
        given = own[rule.takeup]
    else:  # the rule's amount, but for a line: above the cut-off in score
        beyond = own["running"] * (1 if rule.treated == ABOVE else -1)
        given = rule.slope_change * beyond.clip(lower=0)
    own, smooth, residual = _without(own, outcome, found.effect * given)
    inside = (own["running"].abs() <= bandwidth).to_numpy()
    score = own.loc[inside, [rule.score, *filter(None, [rule.takeup])]]

    def simulate(size: float, seed: int) -> Estimate:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], inside.sum())
        drawn = score.assign(y=smooth[inside] + signs * residual[inside])
        return kink(design, drawn, rule, "y", scale=scale, bandwidth=bandwidth)

    return power.power(
        design, simulate, replicates=replicates, additive=True, how="signs of residuals given anew"
    )


def kink_bandwidth(data: pd.DataFrame, rule: Rule, outcome: str) -> float:
    """The bandwidth of a kink, in points of the score: a rule of thumb after Fan, Gijbels (1996).

    It minimises the asymptotic mean squared error of the difference of two local lines' slopes,
    with curvature, error variance and density at the cut-off from a quadratic on each side of the
    window; it never reaches beyond the nearer end of the scores.
    """
    return _kink_bandwidth(near(data, rule, [outcome]), outcome)


def _kink_bandwidth(own: pd.DataFrame, outcome: str) -> float:
    running, y = own["running"].to_numpy(), own[outcome].to_numpy()
    reach = min(-running.min(), running.max())
    curvature, variance = [], 0.0
    for side in (running < 0, running >= 0):
        curve = np.polynomial.Polynomial.fit(running[side], y[side], 2)
        curvature.append(curve.deriv(2)(0.0))
        residual = y[side] - curve(running[side])
        close = np.abs(running[side]) < reach / 2
        density = close.sum() / (len(own) * reach / 2)
        variance += residual[close].var() / density
    # At the edge of a triangular kernel a local line's slope has a bias of h times _SLOPE_BIAS
    # times the curvature (with opposite signs on the two sides), and a variance of _SLOPE_VARIANCE
    # times that of the error over density and n h cubed.
    bias = _SLOPE_BIAS * (curvature[1] + curvature[0])
    if not bias:
        return float(reach)
    h = (3 * _SLOPE_VARIANCE * variance / (2 * bias**2 * len(own))) ** 0.2
    return float(min(h, reach))


def _edge_constants() -> tuple[float, float]:
    moment = [1 / ((j + 1) * (j + 2)) for j in range(4)]  # of the kernel 1 - u on 0..1
    squared = [2 / ((j + 1) * (j + 2) * (j + 3)) for j in range(3)]  # of its square
    inverse = np.linalg.inv([[moment[0], moment[1]], [moment[1], moment[2]]])
    bias = inverse @ [moment[2], moment[3]] / 2
    spread = inverse @ [[squared[0], squared[1]], [squared[1], squared[2]]] @ inverse
    return float(bias[1]), float(spread[1, 1])


_SLOPE_BIAS, _SLOPE_VARIANCE = _edge_constants()


def kinks(data: pd.DataFrame, rule: Rule, columns: Sequence[str]) -> pd.DataFrame:
    """Kinks of several columns at the cut-off: none of what is fixed before should have one.

    Returns
    -------
    pandas.DataFrame
        ``column, kink`` (slope above less slope below, per point of score), ``lower, upper,
        p_value, holm_p_value``.
    """
    own = near(data, rule, columns)
    rows = []
    for column in columns:
        slope, error, *_ = _slope_change(own, column, None, _kink_bandwidth(own, column))
        p = float(2 * stats.norm.sf(abs(slope / error)))
        rows.append((column, slope, slope - 1.96 * error, slope + 1.96 * error, p))
    return _holm(pd.DataFrame(rows, columns=["column", "kink", "lower", "upper", "p_value"]))


def kink_first_stage(data: pd.DataFrame, rule: Rule, outcome: str) -> Check:
    """Whether the benefit's own slope changes clearly, at the bandwidth of the outcome."""
    if rule.takeup is None:
        return Check(FIRST_STAGE, "kink of the benefit", None, "The rule says it (sharp design).")
    own = near(data, rule, [outcome])
    slope, error, *_ = _slope_change(own, rule.takeup, None, _kink_bandwidth(own, outcome))
    f = (slope / error) ** 2
    return Check(
        FIRST_STAGE,
        "kink of the benefit",
        f >= WEAK,
        f"The benefit's slope changes by {slope:,.0f} per point of score (F = {f:.0f}).",
        f"F at least {WEAK:g}",
        f,
    )


def kink_balance(data: pd.DataFrame, rule: Rule, columns: Sequence[str]) -> Check:
    """Whether circumstances fixed before have a kink at the cut-off (`kinks`)."""
    table = kinks(data, rule, columns)
    least = table["holm_p_value"].min()
    return Check(
        BALANCE,
        "kinks of what is fixed before",
        least >= LEVEL,
        f"Of {len(table)} columns {(table['holm_p_value'] < LEVEL).sum()} have a kink; the "
        f"smallest p, adjusted by Holm, is {least:.2f}.",
        f"the smallest p, adjusted by Holm, is at least {LEVEL:g}",
        p_value=least,
    )


def _slope_change(
    own: pd.DataFrame, outcome: str, benefit: str | None, bandwidth: float
) -> tuple[float, float, int, int]:
    """Change of slope at zero (per unit of benefit, if one is named), its error, and the rows."""
    inside = own[own["running"].abs() < bandwidth]
    running = inside["running"]
    above = (running >= 0).astype(float)
    counts = int((above == 0).sum()), int(above.sum())
    if min(counts) < FEWEST:
        raise TooFew(
            f"too few near the kink: {min(counts)} rows on one side within {bandwidth:.3g} of it; "
            f"at least {FEWEST} are needed (a wider bandwidth= would use more)"
        )
    exog = pd.DataFrame(
        {"one": 1.0, "jump": above, "x": running, "x2": running**2, "jump_x2": above * running**2}
    )
    bend = (above * running).rename("bend")
    weights = 1 - running.abs() / bandwidth
    keep = weights > 0
    named = benefit or "bend"
    model = IV2SLS(
        inside.loc[keep, outcome],
        exog[keep] if benefit else exog[keep].join(bend[keep]),
        inside.loc[keep, benefit] if benefit else None,
        bend[keep] if benefit else None,
        weights=weights[keep],
    )
    found = model.fit(cov_type="robust", debiased=True)
    return float(found.params[named]), float(found.std_errors[named]), sum(counts), counts[1]


def _holm(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(holm_p_value=multipletests(table["p_value"], method="holm")[1])


# ---- figures ---------------------------------------------------------------------------------


def draw(
    axes: Axes,
    data: pd.DataFrame,
    rule: Rule,
    outcome: str,
    *,
    scale: float = 1.0,
    bins: int = 20,
    bandwidth: float | None = None,
) -> None:
    """Means of the outcome in bins of the score, and the local lines that give the jump."""
    own = near(data, rule, [outcome])
    h = bandwidth or _fit(own, outcome).h_left
    for side, color in ((own["running"] < 0, "C2"), (own["running"] >= 0, "C0")):
        part = own[side]
        edges = np.linspace(part[rule.score].min(), part[rule.score].max(), bins + 1)
        groups = part.groupby(pd.cut(part[rule.score], edges, include_lowest=True), observed=True)
        axes.scatter(
            groups[rule.score].mean(), scale * groups[outcome].mean(), s=9, color=color, zorder=2
        )
        close = part[part["running"].abs() < h]
        slope = np.polyfit(
            close["running"], close[outcome], 1, w=np.sqrt(1 - close["running"].abs() / h)
        )
        ends = np.array([close["running"].min(), close["running"].max()])
        ends[np.abs(ends).argmin()] = 0.0
        sign = 1 if rule.treated == ABOVE else -1
        axes.plot(rule.cutoff + sign * ends, scale * np.polyval(slope, ends), color=color)
    axes.axvline(rule.cutoff, color="0.4", lw=0.8, ls="--")


def draw_scores(axes: Axes, data: pd.DataFrame, rule: Rule, width: float) -> None:
    """How many units have which score; bars of the given width, none across the cut-off."""
    own = near(data, rule)
    low, high = own[rule.score].min(), own[rule.score].max()
    first = rule.cutoff - width * np.ceil((rule.cutoff - low) / width)
    edges = np.arange(first, high + width, width)
    axes.hist(own[rule.score], edges, color="C0", edgecolor="white", linewidth=0.4)
    axes.axvline(rule.cutoff, color="0.4", lw=0.8, ls="--")
