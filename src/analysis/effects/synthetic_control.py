"""One treated unit against its synthetic counterfactual, with inference by permutation.

`fit` compares the treated unit with donors by one of the methods of
`analysis.effects.donor_weights`; `placebos` does the same to every donor; `estimate` makes the
result that a card takes. Periods may be uneven: each counts for the time it stands for.

References
----------
Abadie, A., A. Diamond and J. Hainmueller (2010, 2015): ratios of the RMSPE, placebos in space and
in time, leaving out donors. JASA 105, 493-505; American Journal of Political Science 59, 495-510.
Chernozhukov, V., K. Wüthrich and Y. Zhu (2021). An exact and robust conformal inference method for
counterfactual and synthetic controls. JASA 116, 1849-1864.
"""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import special

from analysis.effects import donor_weights
from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.donor_weights import METHODS, SHIFTED
from analysis.effects.estimates import Check, Detectable, Estimate
from analysis.effects.panels import Panel, PanelError

FEWEST_DONORS = 3
FEWEST_BEFORE = 3
# Permutations beyond this number are drawn instead of listed.
_LISTED = 5_000
_SMALL = 1e-9  # of the noise of all: a unit that never moves is measured by this


@dataclass(frozen=True)
class Fit:
    """The treated unit (or a placebo) beside its counterfactual.

    Attributes
    ----------
    method, unit
        What was fitted.
    path : DataFrame
        A row per period: ``time, actual, synthetic`` (shift included), ``gap, after`` (bool),
        ``counts`` (the share of the period among those before, or among those of the window).
    weights : Series
        Of the donors, by unit; they add up to 1 (negative ones only where it is augmented).
    period_weights : Series
        Of the periods before, by period; zero where there is no shift.
    shift
        The constant distance to the weighted donors.
    effect
        Mean gap in the window.
    pre_rmspe, post_rmspe
        Root mean squared gap before the start and in the window.
    """

    method: str
    unit: str
    path: pd.DataFrame
    weights: pd.Series
    period_weights: pd.Series
    shift: float
    effect: float
    pre_rmspe: float
    post_rmspe: float


@dataclass(frozen=True)
class Placebos:
    """The treated unit among donors that were not treated, each taken as if it had been.

    Attributes
    ----------
    fit
        Of the treated unit.
    table : DataFrame
        A row per unit, the treated one first: ``unit, effect, pre_rmspe, post_rmspe, ratio, noise``
        (standard deviation of the unit's own changes from period to period before the start),
        ``scaled`` (effect over noise), ``roughness`` (RMSPE before over noise).
    gaps : DataFrame
        Gaps by period (rows) and unit (columns).
    """

    fit: Fit
    table: pd.DataFrame
    gaps: pd.DataFrame

    @property
    def noise(self) -> float:
        """Of the treated unit."""
        return float(self.table["noise"].iloc[0])

    @property
    def p_value(self) -> float:
        """Share of units whose effect is as large as that of the treated one, each relative to its
        own noise. The RMSPE is no good yardstick where donors are many and periods before the
        start few: a donor that is fitted exactly by chance would rule the distribution."""
        return _rank(self.table["scaled"].abs())

    @property
    def p_ratio(self) -> float:
        """Share of units whose ratio of RMSPE is as large (Abadie, Diamond and Hainmueller)."""
        return _rank(self.table["ratio"])

    @property
    def p_fit(self) -> float:
        """Share of units whose fit before the start is as poor, relative to their noise."""
        return _rank(self.table["roughness"])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """All constant effects that the placebo test of ``p_value`` does not reject at 1 - level.

        It covers with probability ``level`` if the treated unit was drawn from the same units as
        the donors. Unbounded where there are too few donors for the level.
        """
        reach = _critical(self.table["scaled"], level) * self.noise
        return self.fit.effect - reach, self.fit.effect + reach

    def power(self, effects: Sequence[float], level: float = 0.95) -> pd.DataFrame:
        """How often the placebo test would find effects of a size: ``effect, power``.

        Every donor's placebo gets the effect, as large relative to its noise as it is to that of
        the treated unit; both signs count half.
        """
        chance = self.table["scaled"].to_numpy()[1:]
        threshold = _critical(self.table["scaled"], level)
        moved = np.asarray(effects, dtype=float)[:, None] / self.noise
        found = (np.abs(chance + moved) > threshold) / 2 + (np.abs(chance - moved) > threshold) / 2
        return pd.DataFrame({"effect": effects, "power": found.mean(axis=1)})

    def detectable(self, unit: str, power: float = 0.8, level: float = 0.95) -> Detectable:
        """The minimum detectable effect of the placebo test."""
        how = f"{self.fit.method}, placebos in {len(self.table) - 1} donors"
        chance = self.table["scaled"].to_numpy()[1:]
        threshold = _critical(self.table["scaled"], level)
        if math.isinf(threshold):
            return Detectable(math.inf, unit, how, power, 1 - level)
        # Where power steps up, and just beyond: the smallest step that reaches it.
        steps = np.unique(np.abs(np.concatenate([threshold - chance, threshold + chance])))
        sizes = np.append(steps, 2 * threshold + 1) * self.noise * (1 + 1e-9)
        curve = self.power(sizes, level)
        reached = curve.loc[curve["power"] >= power, "effect"]
        return Detectable(float(reached.min()), unit, how, power, 1 - level)


def date_weights(times: Sequence) -> np.ndarray:
    """How much each period counts: the time it stands for, half way to its neighbours; mean 1.

    Periods are whole numbers, ``2017`` or ``2017-03``; other text counts evenly. A period at an
    end stands for as much beyond as before it.
    """
    if all(re.fullmatch(r"\d{4}-\d\d", str(time)) for time in times):
        points = np.array([int(str(time)[:4]) + int(str(time)[5:]) / 12 for time in times])
    elif all(re.fullmatch(r"-?\d+", str(time)) for time in times):
        points = np.array([float(time) for time in times])
    else:
        return np.ones(len(times))
    if len(points) < 2:
        return np.ones(len(points))
    steps = np.diff(points)
    width = (np.append(steps[:1], steps) + np.append(steps, steps[-1:])) / 2
    return width / width.mean()


def fit(
    panel: Panel,
    method: str,
    *,
    outcome: str | None = None,
    window: Sequence | None = None,
    donors: Sequence[str] | None = None,
    start: object = None,
) -> Fit:
    """The treated unit against its counterfactual.

    Parameters
    ----------
    panel
        Balanced, with one treated unit.
    method
        One of `donor_weights.METHODS`.
    outcome
        The only one if not given.
    window
        Periods from the start on in which the effect is wanted; all if not given. Others are
        drawn, but nothing rests on them.
    donors
        Untreated units to compare with; all if not given.
    start
        Of a placebo in time: an earlier period; periods from the true start on are left out.

    Raises
    ------
    PanelError
        The panel is not balanced or has several treated units; the window has no period after the
        start; too few periods before it, or too few donors.
    """
    data = _data(panel, outcome, window, donors, start)
    return _fit_of(data, method, _gaps_of(data, _known(method), 0))


def fit_by_predictors(panel: Panel, predictors: pd.DataFrame, **choices: object) -> Fit:
    """The classic synthetic control with predictors (`donor_weights.by_predictors`).

    Parameters
    ----------
    panel, choices
        As for `fit`.
    predictors
        A row per unit, a column per predictor, none missing and none the same everywhere.

    Raises
    ------
    PanelError
        A unit has no predictors, or a predictor is missing or does not vary; otherwise as `fit`.
    """
    data = _data(panel, **choices)
    unknown = [unit for unit in data.units if unit not in predictors.index]
    if unknown:
        raise PanelError(f"no predictors of {', '.join(unknown[:5])}")
    table = predictors.loc[data.units].astype(float)
    useless = [name for name in table if table[name].isna().any() or not table[name].std() > 0]
    if useless:
        raise PanelError(f"predictors that are missing or do not vary: {', '.join(useless[:5])}")
    rows, before = table.to_numpy().T, data.outcomes[: data.n_pre]
    weights = donor_weights.by_predictors(rows[:, 0], rows[:, 1:], before[:, 0], before[:, 1:])[0]
    found = _gaps(data, 0, donor_weights.Weights(weights, np.zeros(data.n_pre)))
    return _fit_of(data, "classic synthetic control", found)


def placebos(panel: Panel, method: str, **choices: object) -> Placebos:
    """Placebos in space: the same done to every donor, the treated unit never among its donors.

    Parameters and errors as in `fit`.
    """
    data = _data(panel, **choices)
    fits = [_gaps_of(data, _known(method), column) for column in range(len(data.units))]
    before = data.outcomes[: data.n_pre]
    noise = np.array([donor_weights.noise(before[:, [column]]) for column in range(len(fits))])
    noise = np.maximum(noise, _SMALL * donor_weights.noise(before))
    table = pd.DataFrame(
        {
            "unit": data.units,
            "effect": [f.effect for f in fits],
            "pre_rmspe": [f.pre_rmspe for f in fits],
            "post_rmspe": [f.post_rmspe for f in fits],
            "ratio": [f.post_rmspe / max(f.pre_rmspe, 1e-300) for f in fits],
            "noise": noise,
        }
    )
    table["scaled"] = table["effect"] / table["noise"]
    table["roughness"] = table["pre_rmspe"] / table["noise"]
    gaps = pd.DataFrame(
        np.column_stack([f.gap for f in fits]),
        index=pd.Index(data.times, name="time"),
        columns=data.units,
    )
    return Placebos(_fit_of(data, method, fits[0]), table, gaps)


def estimate(design: Design, panel: Panel, method: str, **choices: object) -> Estimate:
    """The effect by one method, with the interval and p-value of placebos in space.

    Parameters and errors as in `fit`; the design comes first.
    """
    declared(design)
    return as_estimate(design, placebos(panel, method, **choices))


def as_estimate(design: Design, found: Placebos) -> Estimate:
    """`Placebos` as an `Estimate` of the declared design."""
    declared(design)
    lower, upper = found.interval(design.level)
    return Estimate(
        design=design,
        estimator=found.fit.method,
        effect=found.fit.effect,
        lower=lower,
        upper=upper,
        inference=f"placebos in space, {len(found.table) - 1} donors",
        n_units=len(found.table),
        n_treated=1,
        n_periods=int((found.fit.path["counts"] > 0).sum()),
        p_value=found.p_value,
    )


def conformal(
    design: Design, panel: Panel, method: str, *, draws: int = _LISTED, **choices: object
) -> Estimate:
    """The effect with a conformal interval: permutations in time instead of space.

    Under each effect the treated unit's outcome without it is known in all periods; the method is
    fitted to all of them, and the sum of residuals in the window is compared with that of every
    other set of as many periods (Chernozhukov, Wüthrich and Zhu 2021, section 2). It needs
    residuals that are exchangeable in time: without a trend or memory of their own. Those of DiD
    often have one (``benchmarks/effects_one_treated.py``), those of the demeaned less.

    Parameters
    ----------
    method
        ``demeaned synthetic control``, ``synthetic control`` or ``DiD``: the weights of the others
        look at the time of the start.
    draws
        Sets of periods: all if there are no more, else drawn with a fixed seed.

    Raises
    ------
    EffectsError
        Another method. Otherwise as `fit`.
    """
    declared(design)
    if method not in (donor_weights.DEMEANED, donor_weights.SYNTHETIC_CONTROL, donor_weights.DID):
        raise EffectsError(f"{method}: no conformal interval, for its weights depend on the start")
    data = _data(panel, **choices)
    found = _gaps_of(data, method, 0)
    outcomes, dates = data.outcomes[data.used], data.dates[data.used]
    sets = _sets(len(outcomes), len(outcomes) - data.n_pre, draws)

    def p_value(effect: float) -> float:
        own = outcomes[:, 0].copy()
        own[data.n_pre :] -= effect
        weights = donor_weights.weigh(method, own, outcomes[:, 1:], len(own), dates)
        residual = own - outcomes[:, 1:] @ weights.donors
        residual -= weights.periods @ residual
        sums = np.abs(residual[sets].sum(axis=1))
        return float((sums >= sums[0] * (1 - 1e-9)).mean())

    alpha = 1 - design.level
    step = max(found.pre_rmspe, _SMALL) / 4
    # The lowest p-value that so few sets can give must be below alpha, or nothing is rejected.
    if 1 / len(sets) > alpha:
        lower, upper = -math.inf, math.inf
    else:
        lower = _edge(p_value, found.effect, -step, alpha)
        upper = _edge(p_value, found.effect, step, alpha)
    return Estimate(
        design=design,
        estimator=method,
        effect=found.effect,
        lower=lower,
        upper=upper,
        inference=f"conformal, {len(sets):,} sets of periods",
        n_units=data.outcomes.shape[1],
        n_treated=1,
        n_periods=len(outcomes),
        p_value=p_value(0.0),
        label=f"{method}, conformal",
    )


def leave_one_out(panel: Panel, method: str, **choices: object) -> pd.DataFrame:
    """The effect without each donor that has a weight above 1 %: ``left_out, effect, pre_rmspe``,
    the largest weight first."""
    whole = fit(panel, method, **choices)
    heavy = whole.weights[whole.weights.abs() > 0.01].sort_values(ascending=False, key=abs)
    rows = []
    for donor in heavy.index:
        rest = [unit for unit in whole.weights.index if unit != donor]
        without = fit(panel, method, **(choices | {"donors": rest}))
        rows.append((donor, without.effect, without.pre_rmspe))
    return pd.DataFrame(rows, columns=["left_out", "effect", "pre_rmspe"])


def range_of_donors(panel: Panel, **choices: object) -> pd.DataFrame:
    """The treated unit beside the range of the donors before the start, which tells whether an
    unshifted comparison would extrapolate: ``time, actual, lowest, highest, outside``."""
    data = _data(panel, **choices)
    own, others = data.outcomes[: data.n_pre, 0], data.outcomes[: data.n_pre, 1:]
    lowest, highest = others.min(axis=1), others.max(axis=1)
    return pd.DataFrame(
        {
            "time": data.times[: data.n_pre],
            "actual": own,
            "lowest": lowest,
            "highest": highest,
            "outside": (own < lowest) | (own > highest),
        }
    )


# ---- checks: each with its criterion, as designs declare them --------------------------------


def fit_check(found: Placebos, assumption: str, size: float = 0.05) -> Check:
    """Whether the treated unit is followed before the start as well as placebos are.

    Relative to each unit's own noise, so that large and small provinces compare. Its size is
    ``size`` if the treated unit is drawn from the same units as the donors.
    """
    return Check(
        assumption,
        "fit before the start",
        found.p_fit > size,
        f"RMSPE {found.fit.pre_rmspe:.3g}; {100 * found.p_fit:.0f} % of all units are "
        "followed as badly or worse, relative to their noise.",
        f"more than {100 * size:g} % of units are followed as badly",
        found.fit.pre_rmspe,
        found.p_fit,
    )


def time_check(found: Placebos, assumption: str, size: float = 0.05) -> Check:
    """Whether a start that never was has an effect; ``found`` are placebos with that ``start``."""
    start = found.fit.path.loc[found.fit.path["after"], "time"].iloc[0]
    return Check(
        assumption,
        "placebo in time",
        found.p_value > size,
        f"With the start put to {start}, before anything happened, the effect is "
        f"{found.fit.effect:.2f} (p = {found.p_value:.2f}).",
        f"p above {size:g}",
        found.fit.effect,
        found.p_value,
    )


def range_check(table: pd.DataFrame, assumption: str) -> Check:
    """Whether the treated unit lies within the range of the donors before the start."""
    outside = int(table["outside"].sum())
    below = int((table["actual"] < table["lowest"]).sum())
    words = (
        f"In {outside} of {len(table)} periods before the start it lies outside the range of the "
        f"donors ({below} below, {outside - below} above)."
        if outside
        else f"It lies within the range of the donors in all {len(table)} periods before the start."
    )
    return Check(assumption, "range of the donors", outside == 0, words, "in no period outside")


def donors_check(found: Placebos, left_out: pd.DataFrame, assumption: str, level: float) -> Check:
    """Whether one donor decides: without it, the effect must stay inside the interval."""
    low, high = left_out["effect"].min(), left_out["effect"].max()
    lower, upper = found.interval(level)
    return Check(
        assumption,
        "leave one donor out",
        lower <= low and high <= upper,
        f"Without one of {len(left_out)} donors the effect goes from {low:.2f} to {high:.2f}.",
        f"inside the {100 * level:g} % interval of the estimate",
    )


# ---- arithmetic -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Data:
    """Outcomes (T, 1 + J), the treated unit first."""

    outcomes: np.ndarray
    units: list[str]
    times: tuple
    n_pre: int
    inside: np.ndarray  # (T,) bool: in the window
    dates: np.ndarray  # (T,) what each period counts, mean 1

    @property
    def used(self) -> np.ndarray:
        return self.inside | (np.arange(len(self.times)) < self.n_pre)

    @cached_property
    def counts(self) -> np.ndarray:
        """Shares among the periods before, and among those of the window."""
        counts = np.zeros(len(self.times))
        counts[: self.n_pre] = self.dates[: self.n_pre] / self.dates[: self.n_pre].sum()
        counts[self.inside] = self.dates[self.inside] / self.dates[self.inside].sum()
        return counts


def _data(panel, outcome=None, window=None, donors=None, start=None) -> _Data:
    treated = panel.treated_units
    if len(treated) != 1:
        raise PanelError(f"{len(treated)} units are treated: a synthetic control is of one")
    if not panel.balanced:
        raise PanelError(
            "the panel lacks rows: a synthetic control needs every unit in every period "
            "(analysis.effects.panel(..., balanced=True) names the first)"
        )
    if outcome is None:
        if len(panel.outcomes) > 1:
            raise PanelError(f"name one of the outcomes: {', '.join(panel.outcomes)}")
        outcome = panel.outcomes[0]
    others = panel.untreated_units
    if donors is not None:
        unknown = sorted(set(donors) - set(others))
        if unknown:
            raise PanelError(f"no untreated units, so no donors: {', '.join(unknown[:5])}")
        others = [unit for unit in others if unit in set(donors)]
    if len(others) < FEWEST_DONORS:
        raise PanelError(f"{len(others)} donors: at least {FEWEST_DONORS} are needed")
    wide = panel.wide(outcome)[list(panel.times)]
    times, first = panel.times, int(panel.starts[treated[0]]) - 1
    if start is not None:
        times = times[:first]
        if start not in times:
            raise PanelError(f"a placebo in time starts before {panel.times[first]}, not {start}")
        first = times.index(start)
    if first < FEWEST_BEFORE:
        raise PanelError(f"{first} periods before {times[first]}: at least {FEWEST_BEFORE}")
    wanted = frozenset(times[first:] if window is None else window)
    unknown = wanted - set(times[first:])
    if unknown or not wanted:
        raise PanelError(
            f"the window must be periods from {times[first]} on, and has "
            f"{', '.join(map(str, sorted(unknown))) or 'none'}"
        )
    units = [treated[0], *others]
    outcomes = wide.loc[units, list(times)].to_numpy().T
    inside = np.array([False] * first + [time in wanted for time in times[first:]])
    return _Data(outcomes, units, times, first, inside, date_weights(times))


@dataclass(frozen=True)
class _Gaps:
    """A unit less its counterfactual: ``gap`` (T,), and where it comes from."""

    donors: list[int]
    weights: donor_weights.Weights
    shift: float
    gap: np.ndarray
    effect: float
    pre_rmspe: float
    post_rmspe: float


def _gaps_of(data: _Data, method: str, column: int) -> _Gaps:
    """Of the unit in a column, by one of the methods."""
    donors, used = data.outcomes[:, _donors(data, column)], data.used
    own = data.outcomes[:, column]
    weights = donor_weights.weigh(method, own[used], donors[used], data.n_pre, data.dates[used])
    return _gaps(data, column, weights)


def _donors(data: _Data, column: int) -> list[int]:
    """Columns of the donors of a unit: the treated one, the first, is nobody's."""
    return [c for c in range(1, len(data.units)) if c != column]


def _gaps(data: _Data, column: int, weights: donor_weights.Weights) -> _Gaps:
    donors = _donors(data, column)
    n_pre, inside, counts = data.n_pre, data.inside, data.counts
    apart = data.outcomes[:, column] - data.outcomes[:, donors] @ weights.donors
    shift = float(weights.periods @ apart[:n_pre])
    gap = apart - shift
    return _Gaps(
        donors=donors,
        weights=weights,
        shift=shift,
        gap=gap,
        effect=float(counts[inside] @ gap[inside]),
        pre_rmspe=float(np.sqrt(counts[:n_pre] @ gap[:n_pre] ** 2)),
        post_rmspe=float(np.sqrt(counts[inside] @ gap[inside] ** 2)),
    )


def _fit_of(data: _Data, method: str, found: _Gaps) -> Fit:
    """Of the treated unit."""
    own = data.outcomes[:, 0]
    path = pd.DataFrame(
        {
            "time": data.times,
            "actual": own,
            "synthetic": own - found.gap,
            "gap": found.gap,
            "after": np.arange(len(data.times)) >= data.n_pre,
            "counts": data.counts,
        }
    )
    return Fit(
        method=method,
        unit=data.units[0],
        path=path,
        weights=pd.Series(found.weights.donors, index=[data.units[c] for c in found.donors]),
        period_weights=pd.Series(found.weights.periods, index=list(data.times[: data.n_pre])),
        shift=found.shift,
        effect=found.effect,
        pre_rmspe=found.pre_rmspe,
        post_rmspe=found.post_rmspe,
    )


def _known(method: str) -> str:
    if method not in METHODS:
        raise EffectsError(f"method {method!r} is unknown (there are: {', '.join(METHODS)})")
    return method


def _rank(values: pd.Series) -> float:
    """Share of all values at least as large as the first, which counts itself."""
    return float((values >= values.iloc[0] * (1 - 1e-12)).mean())


def _critical(scaled: pd.Series, level: float) -> float:
    """The absolute value that a placebo exceeds with probability 1 - level at most."""
    chance = np.sort(scaled.abs().to_numpy()[1:])
    number = math.ceil(level * (len(chance) + 1) - 1e-9)
    return float(chance[number - 1]) if number <= len(chance) else math.inf


def _sets(periods: int, chosen: int, draws: int) -> np.ndarray:
    """Sets of periods, the true window (the last ones) first: all of them, or drawn."""
    if special.comb(periods, chosen) <= draws:
        return np.array(list(itertools.combinations(range(periods), chosen)))[::-1]
    random = np.random.default_rng(0)
    drawn = np.argsort(random.random((draws - 1, periods)), axis=1)[:, :chosen]
    return np.vstack([np.arange(periods - chosen, periods), drawn])


def _edge(p_value, centre: float, step: float, alpha: float) -> float:
    """Where the p-value falls to alpha on one side of the estimate."""
    inside, width = centre, step
    for _ in range(40):
        if p_value(inside + width) <= alpha:
            break
        inside, width = inside + width, width * 1.5
    else:
        return math.copysign(math.inf, step)
    outside = inside + width
    for _ in range(14):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if p_value(middle) <= alpha else (middle, outside)
    return outside


__all__ = [
    "METHODS",
    "SHIFTED",
    "Fit",
    "Placebos",
    "as_estimate",
    "conformal",
    "date_weights",
    "donors_check",
    "estimate",
    "fit",
    "fit_by_predictors",
    "fit_check",
    "leave_one_out",
    "placebos",
    "range_check",
    "range_of_donors",
    "time_check",
]
