"""What a change of poverty, or a difference between groups, is made of; and who is vulnerable.

Two periods are two independent samples here. Where households or clusters are in both, standard
errors of changes are too large (the two errors agree) and want the overlap.

Where a line is a column, welfare is compared in multiples of the line: that takes the price change
out that the line measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from analysis.poverty.design import (
    COLLAPSED,
    Design,
    column,
    estimate,
    labels,
    read_values,
    replicate_factors,
)
from analysis.poverty.measures import (
    ALL,
    MEAN,
    Measure,
    MeasureError,
    check_rows,
    compute,
    measure,
    quantile_of,
    ratio_statistic,
)

SHAPLEY, DATT_RAVALLION = "shapley", "datt-ravallion"
PATHS = (SHAPLEY, DATT_RAVALLION)
_STEP = 200  # replicates at a time


@dataclass(frozen=True)
class Incidence:
    """A growth incidence curve.

    Attributes
    ----------
    curve : pandas.DataFrame
        ``percentile, before, after, growth_pct, se, lower, upper``: quantiles of welfare, and what
        they grew by, with standard error and interval in points.
    mean_growth_pct, mean_se : float
        Growth of the mean, and its standard error in points.
    """

    curve: pd.DataFrame
    mean_growth_pct: float
    mean_se: float


def growth_incidence(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    percentiles: Sequence[float] = tuple(range(1, 100)),
    welfare: str = "expenditure_per_capita_rp",
    line: str | None = None,
    years: float = 1,
    level: float = 0.95,
    **design: str | None,
) -> Incidence:
    """By how much each quantile of welfare grew (Ravallion and Chen 2003).

    g(p) = (y_2(p) / y_1(p))^(1 / years) - 1, with y_t(p) the quantile in period t. It says nothing
    of any household: those at p before are not those at p after.

    Parameters
    ----------
    before, after
        Two surveys, one row per household.
    percentiles
        Between 0 and 100.
    welfare
        Column of both.
    line
        Column of the line: growth is then of welfare in multiples of it. Without, welfare should
        be in constant prices.
    years
        Between the periods, for growth per year.
    level
        Of the intervals.
    **design
        Columns and options of `design.estimate` that hold for both: strata, clusters, weights,
        size, single.

    Returns
    -------
    Incidence
        Standard errors by the delta method from those of the quantiles; intervals are normal in
        the logarithm of the ratio. Missing where a quantile is not above zero.

    Raises
    ------
    MeasureError
        As `design.estimate`.

    References
    ----------
    Ravallion, M. and S. Chen (2003). Measuring pro-poor growth. Economics Letters 78, 93-99.
    """
    chosen = [quantile_of(p / 100) for p in percentiles]
    one, two = (
        estimate(_relative(survey, welfare, line), [*chosen, MEAN], welfare=_WELFARE, **design)
        for survey in (before, after)
    )
    ratio = (two["estimate"] / one["estimate"]).where(
        (two["estimate"] > 0) & (one["estimate"] > 0)
    ) ** (1 / years)
    error = np.hypot(one["cv"], two["cv"]) / years  # of log(ratio)
    reach = np.exp(stats.norm.isf((1 - level) / 2) * error)
    table = pd.DataFrame(
        {
            "percentile": [*percentiles, np.nan],
            "before": one["estimate"],
            "after": two["estimate"],
            "growth_pct": (ratio - 1) * 100,
            "se": ratio * error * 100,
            "lower": (ratio / reach - 1) * 100,
            "upper": (ratio * reach - 1) * 100,
        }
    )
    mean = table.iloc[-1]
    return Incidence(table.iloc[:-1], float(mean["growth_pct"]), float(mean["se"]))


def growth_redistribution(
    before: pd.DataFrame,
    after: pd.DataFrame,
    chosen: str | Measure = "p0",
    *,
    line: str | float,
    welfare: str = "expenditure_per_capita_rp",
    path: str = SHAPLEY,
    replicates: int = 200,
    seed: int = 0,
    level: float = 0.95,
    **design: str | None,
) -> pd.DataFrame:
    """A change of poverty as growth of the mean and change of the distribution around it.

    P(m, L) is poverty with the mean m (in multiples of the line) and the Lorenz curve L. Datt and
    Ravallion, with the first period for reference: growth P(m2, L1) - P(m1, L1), redistribution
    P(m1, L2) - P(m1, L1), and a residual. Shapley: the mean of each effect over both orders, which
    leaves no residual.

    Parameters
    ----------
    before, after
        Two surveys, one row per household.
    chosen
        A measure that needs a line: p0, p1, p2, watts, sst or `measures.fgt_of`.
    line
        Column of both, or a number in the constant prices of welfare.
    welfare
        Column of both.
    path
        ``shapley`` or ``datt-ravallion``.
    replicates, seed
        Of the bootstrap (`design.replicate_factors`); 0 leaves out standard errors.
    level
        Of the intervals.
    **design
        As in `growth_incidence`; single-cluster strata are collapsed.

    Returns
    -------
    pandas.DataFrame
        ``component`` (before, after, growth, redistribution, residual unless Shapley, change),
        ``estimate, se, lower, upper`` (estimate +- normal quantile times se; fractions).

    Raises
    ------
    MeasureError
        As `design.estimate`; the measure needs no line; mean welfare is not above zero.

    References
    ----------
    Datt, G. and M. Ravallion (1992). Growth and redistribution components of changes in poverty
    measures. Journal of Development Economics 38, 275-295.
    Shorrocks, A. F. (2013). Decomposition procedures for distributional analysis: a unified
    framework based on the Shapley value. Journal of Economic Inequality 11, 99-126.
    """
    chosen = measure(chosen)
    if path not in PATHS:
        raise MeasureError(f"path {path!r} is unknown: there are {', '.join(PATHS)}")
    if not chosen.needs_line:
        raise MeasureError(f"{chosen.name} has no line: the decomposition is of poverty measures")
    samples = [
        _Sample.of(_relative(survey, welfare, line), design, replicates, (seed, number))
        for number, survey in enumerate((before, after))
    ]
    # Column 0 is the sample itself.
    found = np.array(
        [
            _components(chosen, path, [(each.welfare, each.drawn(b)) for each in samples])
            for b in range(replicates + 1)
        ]
    )
    names = ["before", "after", "growth", "redistribution", "residual", "change"]
    table = pd.DataFrame({"component": names, "estimate": found[0]})
    _with_errors(table, found[0], found[1:], level)
    return table[(path != SHAPLEY) | (table["component"] != "residual")].reset_index(drop=True)


def sectoral(
    before: pd.DataFrame,
    after: pd.DataFrame,
    chosen: str | Measure = "p0",
    *,
    by: str,
    line: str | float | None = None,
    welfare: str = "expenditure_per_capita_rp",
    replicates: int = 200,
    seed: int = 0,
    **design: str | None,
) -> pd.DataFrame:
    """A change of poverty as changes within groups and shifts of people between them.

    With s_g the share of the population and P_g the measure of group g: within (P2_g - P1_g) s1_g,
    shift (s2_g - s1_g) P1_g, interaction (P2_g - P1_g) (s2_g - s1_g). Their sum over the groups is
    the change.

    Parameters
    ----------
    before, after, line, welfare, replicates, seed, **design
        As in `growth_redistribution`; poverty is measured with each period's own welfare and line.
    chosen
        A measure that is a mean over persons: FGT, Watts, mean, `measures.ratio_of` one column.
    by
        Column of the groups, in both surveys.

    Returns
    -------
    pandas.DataFrame
        One row per group and a last one of all: ``area, share_before, share_after, before, after,
        within, shift, interaction, within_se, shift_se, interaction_se``.

    Raises
    ------
    MeasureError
        As `design.estimate`; the measure cannot be split by group; a group is in one survey only.

    References
    ----------
    Ravallion, M. and M. Huppi (1991). Measuring changes in poverty: a methodological case study of
    Indonesia during an adjustment period. World Bank Economic Review 5, 57-82.
    """
    chosen = _additive(chosen)
    parts, groups = [], None
    for number, survey in enumerate((before, after)):
        codes, own = labels(survey, by)
        if groups is not None and list(own) != list(groups):
            lone = sorted(set(map(str, own)) ^ set(map(str, groups)))
            raise MeasureError(f"groups of {by} in one survey only: {', '.join(lone)}")
        groups = own
        drawn = Design.of(survey, **{"single": COLLAPSED, **design})
        weights = drawn.person_weights[:, None]
        values = read_values(survey, chosen, welfare, line)
        means, shares = _by_group(chosen, values, weights, codes)
        if replicates:
            # Totals by cluster would do; but with few replicates this is quick as well.
            factors = replicate_factors(drawn, replicates, (seed, number))
            pieces = [(means, shares)]
            for start in range(0, replicates, _STEP):
                some = weights * factors[drawn.clusters, start : start + _STEP]
                pieces.append(_by_group(chosen, values, some, codes))
            means, shares = (np.concatenate(each, axis=1) for each in zip(*pieces, strict=True))
        parts.append((means, shares))
    (p1, s1), (p2, s2) = parts
    effects = {
        "within": (p2 - p1) * s1,
        "shift": (s2 - s1) * p1,
        "interaction": (p2 - p1) * (s2 - s1),
    }
    table = pd.DataFrame({"area": [*groups, ALL]})
    table["share_before"], table["share_after"] = (np.append(s[:, 0], 1.0) for s in (s1, s2))
    table["before"] = np.append(p1[:, 0], p1[:, 0] @ s1[:, 0])
    table["after"] = np.append(p2[:, 0], p2[:, 0] @ s2[:, 0])
    for name, effect in effects.items():
        whole = np.vstack([effect, effect.sum(axis=0)])
        table[name] = whole[:, 0]
        table[f"{name}_se"] = _spread(whole[:, 0], whole[:, 1:].T)
    return table[[*table.columns[:5], *effects, *(f"{name}_se" for name in effects)]]


def profile(
    survey: pd.DataFrame,
    chosen: str | Measure = "p0",
    *,
    by: str,
    line: str | float | None = None,
    welfare: str = "expenditure_per_capita_rp",
    **design: str | None,
) -> pd.DataFrame:
    """What each group adds to poverty: P = sum_g s_g P_g (Foster, Greer and Thorbecke 1984).

    Parameters
    ----------
    survey, by, line, welfare, **design
        As in `design.estimate`.
    chosen
        As in `sectoral`.

    Returns
    -------
    pandas.DataFrame
        The columns of `design.estimate`, one row per group, and ``population_share``,
        ``contribution`` (s_g P_g / P, adding up to 1) with ``contribution_se,
        contribution_lower, contribution_upper`` (a ratio of totals; logit interval) and ``risk``
        (P_g / P). Missing where nobody is poor.
    """
    chosen = _additive(chosen)
    table = estimate(survey, chosen, welfare=welfare, line=line, by=by, **design)
    codes, groups = labels(survey, by)
    values = read_values(survey, chosen, welfare, line)[:, 0]
    drawn = Design.of(survey, **{k: v for k, v in design.items() if k in _DESIGN})
    weights = drawn.person_weights
    table["population_share"] = np.bincount(codes, weights) / weights.sum()
    if not weights @ values:
        return table.assign(**dict.fromkeys([*_CONTRIBUTION, "risk"], np.nan))
    parts = [
        Measure(
            str(group),
            partial(np.stack, [values * (codes == g), values], axis=1),
            ratio_statistic,
            columns=(),
            sorts=False,
        )
        for g, group in enumerate(groups)
    ]
    shares = estimate(survey, parts, **design)
    table[_CONTRIBUTION] = shares[["estimate", "se", "lower", "upper"]]
    table["risk"] = table["estimate"] / ((weights @ values) / weights.sum())
    return table


LINEAR, LOG = "linear", "log"
VARIANCES = (LINEAR, LOG)


@dataclass(frozen=True)
class Vulnerability:
    """Expected poverty of households.

    Attributes
    ----------
    households : pandas.DataFrame
        Indexed as the survey: ``expected_log`` (of welfare), ``sd_log``, ``vulnerability`` (the
        probability of being poor, 0 to 1), ``vulnerable`` (above the threshold).
    mean_model : statsmodels results
        Of log welfare, weighted by the inverse of its variance.
    variance_model : statsmodels results
        Of its squared residuals.
    floored : int
        Households whose fitted variance was not above zero (``linear`` only) and was replaced by
        the lowest that is.
    """

    households: pd.DataFrame
    mean_model: object
    variance_model: object
    floored: int


def vulnerability(
    survey: pd.DataFrame,
    covariates: Sequence[str],
    *,
    line: str | float,
    welfare: str = "expenditure_per_capita_rp",
    variance: str = LOG,
    threshold: float = 0.5,
    weights: str | None = None,
) -> Vulnerability:
    """Vulnerability as expected poverty, from one cross-section.

    ln y = x'b + e with Var(e) = v(x); the vulnerability of a household is
    Phi((ln z - x'b) / sqrt(v(x))) (Chaudhuri, Jalan and Suryahadi 2002). It takes differences
    between like households today for what may befall each of them tomorrow: a shock that hits all
    is not in it, and error of measurement is.

    Parameters
    ----------
    survey
        One row per household.
    covariates
        Columns x; an intercept is added. Text, booleans and categories become dummies without
        their first category.
    line
        Column, or a number in units of welfare.
    welfare
        Column of welfare per person, above zero.
    variance
        ``linear``: v = x't by feasible generalised least squares in three steps, as in the paper;
        it can be negative, and is floored then. ``log``: v = exp(x't), a Gamma model of the
        squared residuals with a log link, which cannot.
    threshold
        Who is more likely to be poor than this is called vulnerable.
    weights
        Column of household weights: the model is then that of the population, not of the sample
        (pseudo likelihood). The paper has none.

    Returns
    -------
    Vulnerability
        Its means by area with their errors: `expected_poverty`.

    Raises
    ------
    MeasureError
        A value is missing, welfare or a line not above zero, covariates collinear; the linear
        variance is positive for no household.

    References
    ----------
    Chaudhuri, S., J. Jalan and A. Suryahadi (2002). Assessing household vulnerability to poverty
    from cross-sectional data: a methodology and estimates from Indonesia. Discussion paper
    0102-52, Columbia University.
    """
    if variance not in VARIANCES:
        raise MeasureError(f"variance {variance!r} is unknown: there are {', '.join(VARIANCES)}")
    log_y, log_z, x = _log_model(survey, covariates, line, welfare)
    own = np.ones(len(log_y)) if weights is None else column(survey, weights)
    mean_model, model, fitted, floored = _fitted(log_y, x, own, variance)
    expected, sd = np.asarray(mean_model.fittedvalues), np.sqrt(fitted)
    probability = stats.norm.cdf((log_z - expected) / sd)
    households = pd.DataFrame(
        {
            "expected_log": expected,
            "sd_log": sd,
            "vulnerability": probability,
            "vulnerable": probability > threshold,
        },
        index=survey.index,
    )
    return Vulnerability(households, mean_model, model, floored)


OBSERVED, EXPECTED = "observed", "expected"
ABOVE_RATE, ABOVE_THRESHOLD = "above the rate", "above the threshold"
NOT_POOR = "not poor, above the rate"


def expected_poverty(
    survey: pd.DataFrame,
    covariates: Sequence[str],
    *,
    line: str | float,
    welfare: str = "expenditure_per_capita_rp",
    variance: str = LOG,
    threshold: float = 0.5,
    by: str | None = None,
    replicates: int = 100,
    seed: int = 0,
    level: float = 0.95,
    **design: str | None,
) -> pd.DataFrame:
    """Vulnerability of the people of areas, with the error of sample and model together.

    The model of `vulnerability`, weighted, is fitted anew to every replicate of the bootstrap.

    Parameters
    ----------
    survey, covariates, line, welfare, variance, threshold
        As in `vulnerability`.
    by
        Column of areas; without, one area "all". The model is one for all.
    replicates, seed, level, **design
        As in `growth_redistribution`; 0 replicates leave out standard errors.

    Returns
    -------
    pandas.DataFrame
        ``area, measure, estimate, se, lower, upper`` (fractions of people; estimate +- normal
        quantile times se, within 0 to 1). Measures: ``observed`` (P0), ``expected`` (mean
        vulnerability), ``above the rate`` (more likely to be poor than P0 of all),
        ``above the threshold``, and ``not poor, above the rate`` (a share of all people).

    Raises
    ------
    MeasureError
        As `vulnerability` and `design.estimate`.
    """
    if variance not in VARIANCES:
        raise MeasureError(f"variance {variance!r} is unknown: there are {', '.join(VARIANCES)}")
    log_y, log_z, x = _log_model(survey, covariates, line, welfare)
    drawn = Design.of(survey, **{"single": COLLAPSED, **design})
    if by is None:
        codes, areas = np.zeros(len(survey), dtype="int64"), pd.Index([ALL])
    else:
        codes, areas = labels(survey, by)
    poor = log_y < log_z
    start: list[np.ndarray] = []

    def shares(factors: np.ndarray) -> np.ndarray:
        used = factors > 0
        mean_model, model, fitted, _ = _fitted(
            log_y[used], x[used], (drawn.weights * factors)[used], variance, *start
        )
        start[:] = [np.asarray(model.params)]
        probability = stats.norm.cdf(
            (log_z[used] - np.asarray(mean_model.fittedvalues)) / np.sqrt(fitted)
        )
        people = (drawn.person_weights * factors)[used]
        rate = (people @ poor[used]) / people.sum()
        high = probability > rate
        each = [poor[used], probability, high, probability > threshold, high & ~poor[used]]
        own, count = codes[used], len(areas)
        totals = [np.bincount(own, people * value, minlength=count) for value in each]
        weight = np.bincount(own, people, minlength=count)
        return (np.divide(totals, weight, out=np.full((5, count), np.nan), where=weight > 0)).T

    found = shares(np.ones(len(survey))).ravel()
    replicated = np.empty((replicates, len(found)))
    if replicates:
        factors = replicate_factors(drawn, replicates, seed)
        for b in range(replicates):
            replicated[b] = shares(factors[drawn.clusters, b]).ravel()
    names = [OBSERVED, EXPECTED, ABOVE_RATE, ABOVE_THRESHOLD, NOT_POOR]
    table = pd.DataFrame(
        {"area": areas.repeat(len(names)), "measure": names * len(areas), "estimate": found}
    )
    _with_errors(table, found, replicated, level)
    table[["lower", "upper"]] = table[["lower", "upper"]].clip(0, 1)
    return table


def _log_model(
    survey: pd.DataFrame, covariates: Sequence[str], line: str | float, welfare: str
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Log welfare (n,), the log of the line (n,), and the covariates."""
    y = column(survey, welfare)
    check_rows(y > 0, f"column {welfare}", "not above zero")
    z = column(survey, line) if isinstance(line, str) else np.full(len(y), float(line))
    check_rows(z > 0, f"the line {line}", "not above zero")
    return np.log(y), np.log(z), _covariates(survey, covariates)


def _fitted(
    log_y: np.ndarray,
    x: pd.DataFrame,
    weights: np.ndarray,
    variance: str,
    start: np.ndarray | None = None,
) -> tuple[object, object, np.ndarray, int]:
    """The model of the mean, that of the variance, the fitted variance (n,), and how many of it
    were floored."""
    squares = np.asarray(sm.WLS(log_y, x, weights=weights).fit().resid) ** 2
    floored = 0
    if variance == LOG:
        family = sm.families.Gamma(sm.families.links.Log())
        model = sm.GLM(squares, x, family=family, var_weights=weights)
        # From a start near by (of a replicate), a relative change of 1e-7 is near enough.
        model = model.fit(start_params=start, rtol=0 if start is None else 1e-7)
        fitted = np.asarray(model.fittedvalues)
    else:
        first = np.asarray(sm.WLS(squares, x, weights=weights).fit().fittedvalues)
        first, _ = _floored(first)
        # Residuals of e^2 spread with the variance itself: weights are its inverse squared.
        model = sm.WLS(squares, x, weights=weights * first**-2).fit()
        fitted, floored = _floored(np.asarray(model.fittedvalues))
    return sm.WLS(log_y, x, weights=weights / fitted).fit(), model, fitted, floored


_CONTRIBUTION = [f"contribution{end}" for end in ("", "_se", "_lower", "_upper")]
_WELFARE = "welfare"
_DESIGN = ("strata", "clusters", "weights", "size", "single")


@dataclass(frozen=True)
class _Sample:
    """Welfare in multiples of the line, person weights, and factors of the bootstrap."""

    welfare: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    factors: np.ndarray | None

    @classmethod
    def of(
        cls, survey: pd.DataFrame, design: dict, replicates: int, seed: tuple[int, int]
    ) -> "_Sample":
        drawn = Design.of(survey, **{"single": COLLAPSED, **design})
        factors = replicate_factors(drawn, replicates, seed) if replicates else None
        return cls(column(survey, _WELFARE), drawn.person_weights, drawn.clusters, factors)

    def drawn(self, b: int) -> np.ndarray:
        """Weights of the sample (b = 0) or of a replicate (from 1 on)."""
        return self.weights * self.factors[self.clusters, b - 1] if b else self.weights


def _relative(survey: pd.DataFrame, welfare: str, line: str | float | None) -> pd.DataFrame:
    """The survey with welfare in multiples of the line (in its own units without a line)."""
    y = column(survey, welfare)
    if line is not None:
        z = column(survey, line) if isinstance(line, str) else np.full(len(y), float(line))
        check_rows(z > 0, f"the line {line}", "not above zero")
        y = y / z
    return survey.assign(**{_WELFARE: y})


def _components(
    chosen: Measure, path: str, samples: list[tuple[np.ndarray, np.ndarray]]
) -> list[float]:
    means = [(w * y).sum() / w.sum() for y, w in samples]
    if not min(means) > 0:
        raise MeasureError("mean welfare is not above zero: there is no distribution around it")

    def poverty(mean: int, lorenz: int) -> float:
        y, w = samples[lorenz]
        scale = 1.0 if mean == lorenz else means[mean] / means[lorenz]
        values = chosen.values(y * scale, np.ones(len(y)))
        return float(compute(chosen, values, w[:, None], np.zeros(len(y), dtype="int64"))[0][0, 0])

    first, last = poverty(0, 0), poverty(1, 1)
    grown, spread = poverty(1, 0), poverty(0, 1)
    growth, redistribution = grown - first, spread - first
    if path == SHAPLEY:
        growth = (growth + last - spread) / 2
        redistribution = (redistribution + last - grown) / 2
    residual = last - first - growth - redistribution
    return [first, last, growth, redistribution, residual, last - first]


def _with_errors(
    table: pd.DataFrame, found: np.ndarray, replicated: np.ndarray, level: float
) -> None:
    table["se"] = _spread(found, replicated)
    reach = stats.norm.isf((1 - level) / 2) * table["se"]
    table["lower"], table["upper"] = table["estimate"] - reach, table["estimate"] + reach


def _spread(found: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """Root mean square of the replicates (B, k) about the estimate (k,); missing without any."""
    if not len(replicated):
        return np.full(len(found), np.nan)
    used = np.isfinite(replicated)
    squares = np.where(used, (replicated - found) ** 2, 0).sum(axis=0)
    return np.sqrt(squares / np.maximum(used.sum(axis=0), 1))


def _by_group(
    chosen: Measure, values: np.ndarray, weights: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The measure and the share of the weight (G, B)."""
    means = compute(chosen, values, weights, codes)[0]
    shares = np.stack([weights[codes == g].sum(axis=0) for g in range(len(means))])
    return means, shares / shares.sum(axis=0)


def _additive(chosen: str | Measure) -> Measure:
    chosen = measure(chosen)
    if not chosen.additive:
        raise MeasureError(
            f"{chosen.name} is not a mean over persons, so that it has no parts by group: take "
            "p0, p1, p2 or watts"
        )
    return chosen


def _covariates(survey: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    missing = [name for name in covariates if name not in survey]
    if missing:
        raise MeasureError(f"the survey has no column {', '.join(missing)}")
    own = survey[list(covariates)]
    for name in covariates:
        check_rows(own[name].notna().to_numpy(), f"column {name}", "missing")
        if not pd.api.types.is_numeric_dtype(own[name]):
            # Categories that nobody has would be columns of zeros.
            own = own.assign(**{name: pd.Categorical(own[name].astype("str"))})
    x = pd.get_dummies(own, drop_first=True, dtype="float64").astype("float64")
    x.insert(0, "intercept", 1.0)
    rank = np.linalg.matrix_rank(x.to_numpy() / np.linalg.norm(x.to_numpy(), axis=0))
    if rank < x.shape[1]:
        raise MeasureError(
            f"the covariates are collinear: {x.shape[1]} columns, of which {rank} are independent"
        )
    return x


def _floored(fitted: np.ndarray) -> tuple[np.ndarray, int]:
    good = fitted > 0
    if not good.any():
        raise MeasureError("the linear variance is positive for no household: take variance='log'")
    return np.where(good, fitted, fitted[good].min()), int((~good).sum())
