"""What one point of poverty takes: jobs, transfers or growth, each as a distribution.

Below the line the distribution of welfare is not published, only summaries of it. A lognormal
takes its place, fitted either to P0 and P1 (what is published about the poor) or to P0 and the
Gini (what is published about everybody). The two disagree, and both are carried along.

All functions take arrays as well as numbers, so that the same formula serves the closed form and
the simulation. Welfare is measured in units of the poverty line, persons and rupiah are per month.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special
from scipy.optimize import elementwise

from analysis import assumptions, periods, poverty
from analysis.assumptions import AssumptionError, Input

GAP, GINI = "P0 and P1", "P0 and Gini"  # what the lognormal is fitted to
NEAREST, UNIFORM, POOREST = "nearest the line first", "the same to every poor", "poorest first"
RULES = (NEAREST, UNIFORM, POOREST)
JOBS, TRANSFERS, GROWTH = "jobs", "transfers", "growth"
OUTCOMES = {JOBS: "jobs", TRANSFERS: NEAREST, GROWTH: "growth"}  # the one that stands for each way

# The inputs that each way needs: lowest and highest possible value, and the one of the two that an
# input cannot have throughout, since the points would then never be reached.
_NEEDED = {
    JOBS: {
        "poor_household_size": (1, np.inf, np.inf),
        "share_to_poor": (0, 1, 0),
        "income_gain_rp": (0, np.inf, 0),
        "survival": (0, 1, 0),
        "displacement": (0, 1, 1),
    },
    TRANSFERS: {"leakage": (0, 1, 1), "exclusion": (0, 1, 1), "administration": (0, 1, 1)},
    GROWTH: {"gini_change": (-1, 1, 1)},
}
_LARGEST_GAP = 0.95  # of the line, that the poor can lack on average
_ERRORS = ("p0_relative_error", "gap_ratio_relative_error")  # of every way, of any size

Numbers = np.ndarray | float


class BaselineError(ValueError):
    """Something that the arithmetic needs is not published and was not given."""


@dataclass(frozen=True)
class Baseline:
    """Where the arithmetic starts: the published figures of a region in a period.

    ``p1_pct`` and ``gini`` are missing (NaN) where they are neither published nor given; ``given``
    names those that the user gave.
    """

    region_code: str
    region: str
    period: str
    population_count: float
    p0_pct: float
    poverty_line_rp: float
    p1_pct: float
    gini: float
    given: tuple[str, ...] = ()

    @property
    def full_gap_rp(self) -> float:
        """What would lift every poor person exactly to the line, per month: P1 x population x
        line (Foster, Greer and Thorbecke 1984)."""
        return self.p1_pct / 100 * self.population_count * self.poverty_line_rp

    @property
    def fits(self) -> tuple[str, ...]:
        """The lognormals that can be fitted."""
        known = {GAP: self.p1_pct, GINI: self.gini}
        return tuple(fit for fit, value in known.items() if not np.isnan(value))

    def persons(self, points: Numbers) -> Numbers:
        """How many persons so many percentage points of the population are."""
        return points / 100 * self.population_count


def baseline(
    series: pd.DataFrame,
    region_code: str,
    period: str,
    *,
    annual: pd.DataFrame | None = None,
    poverty_line_rp: float | None = None,
    p1_pct: float | None = None,
    gini: float | None = None,
) -> Baseline:
    """The published figures of a region and period; what is not published can be given.

    Parameters
    ----------
    series
        Table ``poverty_semester``.
    region_code, period
        Which row; its P0 and number of poor must be published.
    annual
        Raw table ``province_indicators_annual``, whose Gini is used where ``series`` has none.
    poverty_line_rp, p1_pct, gini
        Values to use instead of the published ones, or where there are none.

    Raises
    ------
    BaselineError
        There is no such row, it has no P0 or number of poor, the line is neither published nor
        given, or neither P1 nor Gini is; or a given value is impossible.
    """
    own = series[(series["region_code"] == region_code) & (series["period"] == period)]
    if own.empty:
        known = ", ".join(series["region_code"].unique())
        raise BaselineError(
            f"no figures of region {region_code!r} in {period!r} (regions: {known}; periods: "
            f"{series['period'].min()} to {series['period'].max()})"
        )
    row = own.iloc[0]
    if pd.isna(row["p0_pct"]) or pd.isna(row["poor_count"]):
        raise BaselineError(
            f"P0 of {row['region']} in {periods.written(period)} is {row['status']}: choose "
            "another period"
        )
    given = {"poverty_line_rp": poverty_line_rp, "p1_pct": p1_pct, "gini": gini}
    given = {name: value for name, value in given.items() if value is not None}
    used = {
        name: float(given.get(name, np.nan if pd.isna(row[name]) else row[name]))
        for name in ("poverty_line_rp", "p1_pct", "gini")
    }
    if np.isnan(used["gini"]) and annual is not None:
        used["gini"] = _annual_gini(annual, region_code, period)
    where = f"of {row['region']} in {periods.written(period)}"
    if np.isnan(used["poverty_line_rp"]):
        raise BaselineError(f"the line {where} is not in the tables: give poverty_line_rp")
    if np.isnan(used["p1_pct"]) and np.isnan(used["gini"]):
        raise BaselineError(f"neither P1 nor Gini {where} is in the tables: give p1_pct or gini")
    if used["poverty_line_rp"] <= 0:
        raise BaselineError("poverty_line_rp must be above 0")
    if not (np.isnan(used["p1_pct"]) or 0 < used["p1_pct"] <= _LARGEST_GAP * row["p0_pct"]):
        raise BaselineError(
            f"p1_pct must lie between 0 and P0 ({row['p0_pct']}), and be at most "
            f"{100 * _LARGEST_GAP:g} % of it"
        )
    if not (np.isnan(used["gini"]) or 0 < used["gini"] < 1):
        raise BaselineError("gini must lie between 0 and 1")
    population = poverty.implied_population(own["poor_count"], own["p0_pct"])
    return Baseline(
        region_code=region_code,
        region=row["region"],
        period=period,
        population_count=float(population["population_count"].iloc[0]),
        p0_pct=float(row["p0_pct"]),
        given=tuple(given),
        **used,
    )


def _annual_gini(annual: pd.DataFrame, region_code: str, period: str) -> float:
    """The Gini of a province, published for September from 2014 on; missing where there is none."""
    own = annual[(annual["province_code"] == region_code) & (annual["indicator"] == "gini")]
    year, month = period.split("-")
    values = own.loc[own["year"] == year, "value"]
    return float(values.iloc[0]) if len(values) and month == "09" and year >= "2014" else np.nan


def check(base: Baseline, points: float, *, draws: int = 1, years: float = 1.0) -> None:
    """Refuse what the arithmetic has no answer for.

    Raises
    ------
    BaselineError
        The points are not above 0 and below P0, or draws or years are not above 0.
    """
    if not 0 < points < base.p0_pct:
        raise BaselineError(
            f"points is {points:g}, but must lie above 0 and below P0 of {base.region} in "
            f"{periods.written(base.period)} ({base.p0_pct} %)"
        )
    if draws < 1:
        raise BaselineError(f"draws is {draws}, but must be at least 1")
    if not years > 0:
        raise BaselineError(f"years is {years:g}, but must be above 0")


# ---- welfare below the line ------------------------------------------------------------------


@dataclass(frozen=True)
class Lognormal:
    """Welfare in units of the line, lognormal with a share ``p0`` (0 to 1) below 1.

    Attributes
    ----------
    p0, sigma
        Headcount and the standard deviation of the logarithm; numbers or arrays of one shape.
    """

    p0: Numbers
    sigma: Numbers

    @property
    def mu(self) -> Numbers:
        """Mean of the logarithm: P0 = Phi(-mu / sigma)."""
        return -special.ndtri(self.p0) * self.sigma

    def share_below(self, x: Numbers) -> Numbers:
        """Share of persons with welfare below ``x``; 0 for what is not above 0."""
        with np.errstate(divide="ignore"):
            return special.ndtr((np.log(np.maximum(x, 0)) - self.mu) / self.sigma)

    def quantile(self, share: Numbers) -> Numbers:
        """Welfare below which a share lies."""
        return np.exp(self.mu + self.sigma * special.ndtri(share))

    def gap_below(self, x: Numbers) -> Numbers:
        """Integral of (1 - y) f(y) up to ``x``: what those below ``x`` lack to the line.

        The partial mean of a lognormal is ``exp(mu + sigma^2 / 2) Phi((ln x - mu) / sigma -
        sigma)`` (Aitchison and Brown 1957, The Lognormal Distribution, section 2.4).
        """
        with np.errstate(divide="ignore"):
            z = (np.log(np.maximum(x, 0)) - self.mu) / self.sigma
        partial_mean = np.exp(self.mu + self.sigma**2 / 2 + special.log_ndtr(z - self.sigma))
        return special.ndtr(z) - partial_mean

    @property
    def p1(self) -> Numbers:
        """The poverty gap index (0 to 1)."""
        return self.gap_below(1.0)

    @property
    def gini(self) -> Numbers:
        """``2 Phi(sigma / sqrt 2) - 1``."""
        return 2 * special.ndtr(self.sigma / np.sqrt(2)) - 1


def sigma_of_gini(gini: Numbers) -> Numbers:
    """Standard deviation of the logarithm of a lognormal with that Gini index."""
    return np.sqrt(2) * special.ndtri((1 + np.asarray(gini)) / 2)


def lognormal_of_gap(p0: Numbers, p1: Numbers) -> Lognormal:
    """The lognormal with that headcount and gap (both 0 to 1).

    Raises
    ------
    BaselineError
        No lognormal has them: the gap is not above 0 and below the headcount, or too near to one
        of the two.
    """
    p0, p1 = np.broadcast_arrays(np.asarray(p0, dtype=float), np.asarray(p1, dtype=float))
    found = elementwise.find_root(
        lambda sigma, p0, p1: Lognormal(p0, sigma).p1 - p1,
        (np.full(p0.shape, 1e-6), np.full(p0.shape, 200.0)),
        args=(p0, p1),
    )
    if not np.all(found.success):
        first = np.flatnonzero(~np.atleast_1d(found.success))[0]
        raise BaselineError(
            f"no lognormal has P0 {100 * p0.flat[first]:.4g} % and P1 {100 * p1.flat[first]:.4g} %"
        )
    return Lognormal(p0, found.x)


def lognormal_of_gini(p0: Numbers, gini: Numbers) -> Lognormal:
    """The lognormal with that headcount and Gini index (both 0 to 1)."""
    return Lognormal(np.asarray(p0, dtype=float), sigma_of_gini(gini))


def welfare(
    base: Baseline,
    fit: str,
    p0_relative_error: Numbers = 0.0,
    gap_ratio_relative_error: Numbers = 0.0,
) -> Lognormal:
    """The lognormal of a baseline, its figures moved by relative errors.

    Raises
    ------
    BaselineError
        What it is to be fitted to is neither published nor given.
    """
    if fit not in base.fits:
        missing = "p1_pct" if fit == GAP else "gini"
        raise BaselineError(
            f"{missing} of {base.region} in {periods.written(base.period)} is not in the tables: "
            f"give {missing}"
        )
    p0 = base.p0_pct / 100 * np.maximum(1 + p0_relative_error, 0.05)
    if fit == GINI:
        return lognormal_of_gini(p0, np.full(np.shape(p0), base.gini))
    ratio = base.p1_pct / base.p0_pct * np.maximum(1 + gap_ratio_relative_error, 0.05)
    return lognormal_of_gap(p0, p0 * np.minimum(ratio, _LARGEST_GAP))


# ---- jobs ------------------------------------------------------------------------------------


def households(base: Baseline, points: Numbers, poor_household_size: Numbers) -> Numbers:
    """How many poor households so many points are: persons = households x size."""
    return base.persons(points) / poor_household_size


def lifted_share(
    base: Baseline, poor: Lognormal, income_gain_rp: Numbers, poor_household_size: Numbers
) -> Numbers:
    """Share of poor households that a gain lifts over the line, if it falls on them at random."""
    gain = income_gain_rp / (poor_household_size * base.poverty_line_rp)
    return (poor.p0 - poor.share_below(1 - gain)) / poor.p0


def jobs_needed(
    base: Baseline,
    poor: Lognormal,
    points: Numbers,
    *,
    poor_household_size: Numbers,
    share_to_poor: Numbers,
    income_gain_rp: Numbers,
    survival: Numbers,
    displacement: Numbers,
) -> Numbers:
    """Jobs or new businesses that lower P0 by so many points.

    ``households / (share to the poor x survival x (1 - displacement) x share lifted)``, one job a
    household. Whether there are so many poor households is said by `reachable_points`.
    """
    lifted = lifted_share(base, poor, income_gain_rp, poor_household_size)
    per_job = share_to_poor * survival * (1 - displacement) * lifted
    return households(base, points, poor_household_size) / per_job


def reachable_points(
    base: Baseline,
    poor: Lognormal,
    *,
    poor_household_size: Numbers,
    income_gain_rp: Numbers,
    survival: Numbers,
    displacement: Numbers,
    **_: Numbers,
) -> Numbers:
    """Points by which P0 falls if every poor household gets one job."""
    lifted = lifted_share(base, poor, income_gain_rp, poor_household_size)
    return 100 * poor.p0 * survival * (1 - displacement) * lifted


def points_of_jobs(base: Baseline, poor: Lognormal, jobs: Numbers, **inputs: Numbers) -> Numbers:
    """Points by which so many jobs lower P0, at most those of `reachable_points`."""
    each = 1 / jobs_needed(base, poor, 1.0, **inputs)
    return np.minimum(jobs * each, reachable_points(base, poor, **inputs))


# ---- transfers -------------------------------------------------------------------------------


def transfer_cost_rp(
    base: Baseline,
    poor: Lognormal,
    points: Numbers,
    rule: str,
    *,
    exclusion: Numbers = 0.0,
    leakage: Numbers = 0.0,
    administration: Numbers = 0.0,
) -> Numbers:
    """Rupiah a month that lower P0 by so many points, by targeting rule.

    Parameters
    ----------
    base, poor, points
        The baseline, welfare below the line, and the points.
    rule
        `NEAREST`: those who lack least are lifted to the line, each by what he lacks. `UNIFORM`:
        all poor get the same, as much as lifts enough of them. `POOREST`: as nearest, but those
        who lack most come first.
    exclusion
        Share of the poor (at random) who are not reached; the points must come from the others.
        That makes them dearer under `NEAREST` and `UNIFORM`, but cheaper under `POOREST`, where
        those who take the place of the poorest lack less.
    leakage
        Share of the money that reaches people who are not poor.
    administration
        Share of the budget that is spent on running it.

    Returns
    -------
    numbers
        Infinite where fewer poor are reached than the points need.
    """
    reached = 1 - exclusion
    share = points / 100 / reached  # of the population as if all were reached
    possible = share < poor.p0
    share = np.where(possible, share, poor.p0 / 2)  # any possible value; replaced below
    if rule == POOREST:
        lacking = poor.gap_below(poor.quantile(share))
    else:
        lowest = poor.quantile(poor.p0 - share)  # the poorest of those who are lifted
        if rule == NEAREST:
            lacking = poor.p1 - poor.gap_below(lowest)
        elif rule == UNIFORM:
            lacking = poor.p0 * (1 - lowest)
        else:
            raise BaselineError(f"no rule {rule!r} (there are: {', '.join(RULES)})")
    net = reached * lacking * base.population_count * base.poverty_line_rp
    gross = net / ((1 - leakage) * (1 - administration))
    return np.where(possible, gross, np.inf)


# ---- growth ----------------------------------------------------------------------------------


def growth_needed(
    base: Baseline, poor: Lognormal, points: Numbers, gini_change: Numbers = 0.0
) -> Numbers:
    """Growth of everybody's welfare beyond that of the line that lowers P0 by so many points.

    With the Gini unchanged all welfare grows alike; with a change the spread of the lognormal
    grows by as much as that of one fitted to the Gini, around the same mean (Lopez and Servén
    2006, section 2). Returned is the growth of the mean (0.05 is 5 per cent), infinite where the
    points are more than P0.
    """
    after = poor.p0 - points / 100
    spread = 1.0
    if np.any(np.asarray(gini_change) != 0):
        if np.isnan(base.gini):
            raise BaselineError(
                f"gini of {base.region} in {periods.written(base.period)} is not in the tables: "
                "give gini"
            )
        spread = sigma_of_gini(base.gini + gini_change) / sigma_of_gini(base.gini)
    sigma = poor.sigma * spread
    z = special.ndtri(np.where(after > 0, after, 0.5))
    log_mean_after = -z * sigma + sigma**2 / 2
    growth = np.expm1(log_mean_after - (poor.mu + poor.sigma**2 / 2))
    return np.where(after > 0, growth, np.inf)


def per_year(growth: Numbers, years: float) -> Numbers:
    """The yearly rate that compounds to so much growth."""
    return (1 + growth) ** (1 / years) - 1


# ---- simulation ------------------------------------------------------------------------------


def outcomes(
    base: Baseline, drawn: Mapping[str, np.ndarray], points: float, fit: str, part: str
) -> dict[str, np.ndarray]:
    """What one way to the points takes for each draw of the inputs.

    Parameters
    ----------
    base, points, fit
        The baseline, the points, and what the lognormal is fitted to.
    drawn
        Values of the declared inputs of that part by name, numbers or arrays of one shape.
    part
        `JOBS`, `TRANSFERS` or `GROWTH`.

    Returns
    -------
    dict
        `JOBS`: ``jobs`` (as if there were poor households enough) and ``reachable_points``.
        `TRANSFERS`: rupiah a month by rule. `GROWTH`: ``growth`` and ``growth_even`` (with the
        Gini unchanged).
    """
    own = dict(drawn)
    poor = welfare(base, fit, *(own.pop(name) for name in _ERRORS))
    if part == JOBS:
        return {
            "jobs": jobs_needed(base, poor, points, **own),
            "reachable_points": reachable_points(base, poor, **own),
        }
    if part == TRANSFERS:
        return {rule: transfer_cost_rp(base, poor, points, rule, **own) for rule in RULES}
    return {
        "growth": growth_needed(base, poor, points, own["gini_change"]),
        "growth_even": growth_needed(base, poor, points),
    }


def inputs_of(base: Baseline, inputs: Mapping[str, Input], part: str) -> dict[str, Input]:
    """The declared inputs of one way; without a Gini there is none that could change.

    Raises
    ------
    AssumptionError
        One that is needed is missing, one is there that is not used, or one can be impossible.
    """
    own = assumptions.of(inputs, part)
    needed = [*_NEEDED[part], *_ERRORS]
    for name in needed:
        if name not in own:
            raise AssumptionError(f"input {name} is missing, which {part} needs")
    for name in own:
        if name not in needed:
            raise AssumptionError(f"input {name} is not used by {part} ({', '.join(needed)} are)")
    for name, (lowest, highest, never) in _NEEDED[part].items():
        low, middle, high = own[name].quantile(np.array([0, 0.5, 1]))
        if not lowest <= low <= high <= highest or middle == never:
            raise AssumptionError(
                f"input {name} goes from {low:g} to {high:g}, but must lie between {lowest:g} and "
                f"{highest:g}, and not at {never:g}"
            )
    if part == GROWTH and np.isnan(base.gini):
        own["gini_change"] = own["gini_change"].fixed(0.0)
    return own


def simulate(
    base: Baseline,
    inputs: Mapping[str, Input],
    points: float,
    draws: int = 50_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Monte Carlo over the declared inputs: all three ways, by every fit.

    Returns
    -------
    pandas.DataFrame
        A row per draw and a column per fit and outcome (two levels; see `outcomes`). All fits and
        ways share the draws.

    Raises
    ------
    BaselineError, AssumptionError
        See `check` and `inputs_of`.
    """
    check(base, points, draws=draws)
    columns = {}
    for part in (JOBS, TRANSFERS, GROWTH):
        drawn = assumptions.draw(inputs_of(base, inputs, part), draws, seed)
        for fit in base.fits:
            found = outcomes(base, drawn, points, fit, part)
            columns |= {(fit, name): values for name, values in found.items()}
    return pd.DataFrame(columns)


def simulate_points(
    base: Baseline,
    inputs: Mapping[str, Input],
    jobs: float,
    draws: int = 50_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Points by which so many jobs lower P0: a row per draw and a column per fit."""
    drawn = assumptions.draw(inputs_of(base, inputs, JOBS), draws, seed)
    errors = [drawn.pop(name) for name in _ERRORS]
    return pd.DataFrame(
        {fit: points_of_jobs(base, welfare(base, fit, *errors), jobs, **drawn) for fit in base.fits}
    )


def summary(values: pd.Series | np.ndarray) -> dict[str, float]:
    """Median and central 90 per cent of draws, some of which may be infinite.

    ``median, low, high`` (5 and 95 per cent) and ``impossible_pct``, the share that is infinite.
    """
    values = np.asarray(values, dtype=float)
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95], method="inverted_cdf")
    impossible = 100 * float(np.mean(np.isinf(values)))
    return {"median": median, "low": low, "high": high, "impossible_pct": impossible}


def sensitivity(
    base: Baseline,
    inputs: Mapping[str, Input],
    points: float,
    fit: str,
    part: str,
    outcome: str,
    samples: int = 2048,
    seed: int = 0,
) -> pd.DataFrame:
    """Sobol indices: how much of the variance of an outcome's logarithm each input explains.

    By SALib (Saltelli and others 2010; Iwanaga and others 2022), in logarithms since the outcomes
    are products and their right tails long. Draws for which the points cannot be reached count as
    the largest that can.

    Returns
    -------
    pandas.DataFrame
        ``input, first_order, total, total_low, total_high`` (95 per cent), largest total first;
        no row if no input is uncertain.
    """
    from SALib.analyze import sobol as analyze
    from SALib.sample import sobol as sample

    check(base, points)
    own = inputs_of(base, inputs, part)
    uncertain = [name for name, declared in own.items() if declared.distribution != "fixed"]
    if not uncertain:
        return pd.DataFrame(columns=["input", "first_order", "total", "total_low", "total_high"])
    problem = {
        "num_vars": len(uncertain),
        "names": uncertain,
        "bounds": [[1e-9, 1 - 1e-9]] * len(uncertain),
    }
    unit = sample.sample(problem, samples, calc_second_order=False, seed=seed)
    drawn = {name: declared.quantile(np.full(len(unit), 0.5)) for name, declared in own.items()}
    drawn |= {name: own[name].quantile(unit[:, i]) for i, name in enumerate(uncertain)}
    values = outcomes(base, drawn, points, fit, part)[outcome]
    values = np.log1p(values) if part == GROWTH else np.log(values)
    values = np.minimum(values, values[np.isfinite(values)].max())
    # SALib takes the seed 0 for none.
    found = analyze.analyze(problem, values, calc_second_order=False, seed=seed + 1)
    table = pd.DataFrame({"input": uncertain, "first_order": found["S1"], "total": found["ST"]})
    table["total_low"] = table["total"] - found["ST_conf"]
    table["total_high"] = table["total"] + found["ST_conf"]
    return table.sort_values("total", ascending=False, ignore_index=True)


# ---- in words --------------------------------------------------------------------------------


def _range(values: pd.Series | np.ndarray, scale: float = 1, places: int = 0) -> str:
    """Median and central 90 per cent: ``430 (110 to 1,900)``; what is infinite is said."""
    found = summary(values)
    told = [
        "no amount" if np.isinf(found[name]) else f"{found[name] / scale:,.{places}f}"
        for name in ("median", "low", "high")
    ]
    return f"{told[0]} ({told[1]} to {told[2]})".replace("-", "−")


def point_table(base: Baseline, points: float, size: Input) -> pd.DataFrame:
    """What the points are, in persons, households and rupiah: ``item, value, unit, how``."""
    sizes = size.quantile(np.array([1.0, 0.0]))  # the larger size gives fewer households
    low, high = households(base, points, sizes)
    rows = [
        ("Population", base.population_count / 1e6, "million persons", "number of poor / P0"),
        (counted(points), base.persons(points) / 1000, "thousand persons", f"{points:g} % of it"),
        ("Households", low / 1000, "thousand households, at least", f"{sizes[0]:.2f} persons each"),
        ("Households", high / 1000, "thousand households, at most", f"{sizes[1]:.2f} persons each"),
        ("The line", base.poverty_line_rp / 1000, "thousand Rp a month", "per person"),
    ]
    if not np.isnan(base.p1_pct):
        lacking = base.p1_pct / base.p0_pct * base.poverty_line_rp / 1000
        full = base.full_gap_rp / 1e9
        rows += [
            ("Lacking", lacking, "thousand Rp a month", "per poor person: P1 / P0 x line"),
            ("Full gap", full, "billion Rp a month", "P1 x population x line"),
        ]
    return pd.DataFrame(rows, columns=["item", "value", "unit", "how"])


def counted(points: float) -> str:
    """``1 point``, ``0.5 points``."""
    return f"{points:g} point{'' if points == 1 else 's'}"


def between(values: list[float], places: int = 0) -> str:
    """``4 to 6``: the lowest and the highest; one number if they print alike."""
    low, high = (f"{value:,.{places}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def answer(
    base: Baseline,
    inputs: Mapping[str, Input],
    simulated: pd.DataFrame,
    points: float,
    promised: Mapping[str, float],
) -> str:
    """What the points take, in plain words, over both fits (Markdown, a paragraph per way).

    ``promised`` maps words (``200,000 jobs promised``) to a number of jobs.
    """
    size = inputs["poor_household_size"].quantile(np.array([0.0, 1.0]))
    homes = [households(base, points, s) / 1000 for s in size]
    jobs = [summary(simulated[fit]["jobs"]) for fit in base.fits]
    exact = {
        rule: [
            12e-9 * transfer_cost_rp(base, welfare(base, fit), points, rule) for fit in base.fits
        ]
        for rule in (NEAREST, POOREST)
    }
    losses = [
        12e-9 * summary(simulated[fit][NEAREST])["median"] / net
        for fit, net in zip(base.fits, exact[NEAREST], strict=True)
    ]
    even = [100 * growth_needed(base, welfare(base, fit), points) for fit in base.fits]
    short = [_short_pct(simulated[fit], points) for fit in base.fits]
    words = [
        f"{points:g} percent of {base.region}'s population in {periods.written(base.period)} is "
        f"**{base.persons(points) / 1000:,.0f} thousand "
        f"persons**, some {between(homes)} thousand poor households.",
        f"*By jobs*, the median is **{between([j['median'] / 1000 for j in jobs])} thousand** new "
        f"jobs or businesses, and the 90 % range reaches from "
        f"{_count(min(j['low'] for j in jobs))} to {_count(max(j['high'] for j in jobs))}: most "
        "places do not go to the poor, and not every income lifts a household over the line. In "
        f"{between(short)} % of the draws even a job for every poor household is not enough.",
    ]
    for name, number in promised.items():
        drawn = simulate_points(base, inputs, number)
        found = [summary(drawn[fit]) for fit in base.fits]
        words.append(
            f"The {name} would have moved poverty by "
            f"**{between([f['median'] for f in found], 1)} points** "
            f"(90 % range {min(f['low'] for f in found):.1f} to "
            f"{max(f['high'] for f in found):.1f})."
        )
    lost = "more than can be reached in most draws"
    if np.isfinite(losses).all():
        lost = f"about {between(losses, 1)} times as much"
    words.append(
        f"\n\n*By transfers*, it costs Rp **{between(exact[NEAREST])} billion a year** if those "
        f"nearest the line come first and nothing is lost, {between(exact[POOREST])} billion if "
        f"the poorest do; what programmes lose makes the first {lost}."
    )
    if not np.isnan(base.p1_pct):
        words.append(
            f"To lift all the poor to the line would take {12e-9 * base.full_gap_rp:,.0f} billion "
            "if nothing were lost."
        )
    words.append(
        f"\n\n*By growth*, all welfare must grow by **{between(even, 1)} %** beyond the "
        "line, more if inequality rises."
    )
    return " ".join(words).replace(" \n", "\n")


def _short_pct(simulated: pd.DataFrame, points: float) -> float:
    """In how many draws (percent) there are too few poor households for the points."""
    return 100 * float((simulated["reachable_points"] < points).mean())


def _count(value: float) -> str:
    """A large number in words: ``129 thousand``, ``3.2 million``."""
    return f"{value / 1e6:,.1f} million" if value >= 1e6 else f"{value / 1000:,.0f} thousand"


def jobs_words(base: Baseline, simulated: pd.DataFrame, points: float) -> str:
    """Jobs needed, by fit, and how often there are too few poor households for them."""
    told = []
    for fit in base.fits:
        own = simulated[fit]
        short = _short_pct(own, points)
        told.append(
            f"**{_range(own['jobs'], 1000)} thousand** with the lognormal of {fit} "
            f"(out of reach in {short:.0f} % of the draws)"
        )
    return (
        f"Jobs needed for {counted(points)}, median and central 90 %: {'; '.join(told)}. Out of "
        "reach: even a job for every poor household is not enough."
    )


def transfer_words(base: Baseline, simulated: pd.DataFrame, points: float) -> str:
    """Cost of the points under perfect targeting and as programmes are, in Rp billion a year."""
    told = []
    for fit in base.fits:
        poor = welfare(base, fit)
        exact = {rule: 12e-9 * transfer_cost_rp(base, poor, points, rule) for rule in RULES}
        times = exact[POOREST] / exact[NEAREST]
        told.append(
            f"with the lognormal of {fit} {exact[NEAREST]:,.0f} ({NEAREST}), "
            f"{exact[UNIFORM]:,.0f} ({UNIFORM}) or {exact[POOREST]:,.0f} ({POOREST}, "
            f"{times:.0f} times the first), and with leakage, exclusion and administration "
            f"{_range(12 * simulated[fit][NEAREST], 1e9)}, "
            f"{_range(12 * simulated[fit][UNIFORM], 1e9)} or "
            f"{_range(12 * simulated[fit][POOREST], 1e9)}"
        )
    return f"Rupiah billion a year under perfect targeting: {'; '.join(told)}."


def transfer_table(base: Baseline, simulated: pd.DataFrame, points: float) -> pd.DataFrame:
    """Cost of the points in Rp billion a year, by fit and rule.

    ``fit, rule, exact`` (nothing lost), ``median, low, high`` (5 and 95 per cent, with all losses)
    and ``impossible_pct``.
    """
    rows = []
    for fit in base.fits:
        poor = welfare(base, fit)
        for rule in RULES:
            exact = float(12e-9 * transfer_cost_rp(base, poor, points, rule))
            row = {"fit": fit, "rule": rule, "exact": exact}
            rows.append(row | summary(12e-9 * simulated[fit][rule]))
    return pd.DataFrame(rows)


def growth_words(base: Baseline, simulated: pd.DataFrame, points: float, years: float) -> str:
    """Growth needed beyond that of the line, even and with inequality moving."""
    told = []
    for fit in base.fits:
        even = 100 * growth_needed(base, welfare(base, fit), points)
        yearly = 100 * per_year(even / 100, years)
        words = f"**{even:.1f} %** ({yearly:.1f} % a year) with the lognormal of {fit}"
        if not np.isnan(base.gini):
            moved = _range(100 * simulated[fit]["growth"], 1, 1)
            words += f", {moved} if inequality moves as it has"
        told.append(words)
    return (
        f"Growth of everybody's welfare beyond that of the line, over {years:g} years, for "
        f"{counted(points)}: {'; '.join(told)}."
    )


def fits_words(base: Baseline) -> str:
    """How the two lognormals disagree, and what that means; empty if only one can be fitted."""
    if len(base.fits) < 2:
        missing = "P1" if base.fits[0] == GINI else "Gini"
        return (
            f"Only the lognormal of {base.fits[0]} can be fitted, since there is no {missing}: how "
            "far the two would disagree is not known."
        )
    of_gap, of_gini = (welfare(base, fit) for fit in (GAP, GINI))
    more = "more" if of_gini.p1 > of_gap.p1 else "less"
    nearer = "nearer to" if of_gini.p1 > of_gap.p1 else "farther from"
    return (
        f"The lognormal that has the published Gini ({base.gini:.3f}) would have a gap P1 of "
        f"{100 * of_gini.p1:.2f} %, {abs(of_gini.p1 / of_gap.p1 - 1) * 100:.0f} % {more} than the "
        f"{base.p1_pct:.2f} % published; the one that has the published gap would have a Gini of "
        f"{of_gap.gini:.3f}. So the poor are {nearer} the line than the inequality of the whole "
        "population suggests, and no lognormal describes both. P1 says more about what is near "
        "the line, but comes from the few poor households of the sample; the Gini comes from all "
        "households, but is about everybody. Where the two differ, the truth is not known from "
        "what is published."
    )


# ---- drawing ---------------------------------------------------------------------------------


def draw_ranges(
    axes: Axes,
    ranges: Mapping[str, pd.Series],
    marks: Mapping[str, float],
    *,
    logarithmic: bool = True,
) -> None:
    """Central 90 and 50 per cent and the median of draws, a line each, and marks to compare.

    ``ranges`` maps words to draws, ``marks`` words to values drawn as vertical lines.
    """
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = [np.quantile(np.asarray(v), shares, method="inverted_cdf") for v in ranges.values()]
    finite = np.concatenate([[v for v in five if np.isfinite(v)] for five in found])
    for y, five in enumerate(found):
        color = f"C{y % 2}"
        five = np.where(np.isfinite(five), five, 1.5 * finite.max())  # open to the right
        axes.plot(five[[0, 4]], [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
        axes.plot(five[[1, 3]], [y, y], color=color, linewidth=6, solid_capstyle="butt", alpha=0.6)
        axes.plot(five[2], y, marker="o", color="white", markeredgecolor=color, markersize=5)
    axes.set_yticks(range(len(ranges)), ranges)
    axes.set_ylim(len(ranges) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    if logarithmic:
        log_axis(axes, [*finite, *marks.values()])
    for words, value in marks.items():
        axes.axvline(value, color="0.35", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            words,
            (value, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color="0.3",
        )


def round_numbers(low: float, high: float, steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """The numbers ``steps`` x 10^k between two positive bounds."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    numbers = [step * 10.0**power for power in powers for step in steps]
    return [number for number in numbers if low <= number <= high]


def log_axis(axes: Axes, values: list[float]) -> None:
    """A logarithmic x axis around the values, with a few round numbers as ticks."""
    low, high = 0.8 * min(values), 1.25 * max(values)
    ticks = next(
        found
        for steps in ((1, 2, 5), (1, 3), (1,))
        if len(found := round_numbers(low, high, steps)) <= 7 or steps == (1,)
    )
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.minorticks_off()


def draw_break_even(
    axes: Axes,
    base: Baseline,
    inputs: Mapping[str, Input],
    fit: str,
    points: float,
    promised: Mapping[str, float],
) -> None:
    """Where so many jobs lower P0 by the points: share reaching the poor by income gain.

    A line per number of jobs, round ones and those ``promised`` (words to number); all other
    inputs at their medians. Above and right of a line fewer jobs are enough; where it is hatched,
    a job for every poor household is not.
    """
    own = {name: declared.median for name, declared in inputs_of(base, inputs, JOBS).items()}
    poor = welfare(base, fit, *(own.pop(name) for name in _ERRORS))
    least, most = inputs["income_gain_rp"].quantile(np.array([0.0, 1.0]))
    if least == most:  # known: drawn around it
        least, most = least / 3, 3 * most
    gain = np.geomspace(least, most, 200)
    own["income_gain_rp"] = gain
    # Jobs are inverse to the share that reaches the poor, so that each line is a formula.
    of_all = 100 * jobs_needed(base, poor, points, **(own | {"share_to_poor": 1.0}))
    share_to_poor = inputs["share_to_poor"]
    known = share_to_poor.distribution == "fixed"
    highest = 100 * min((3 if known else 1) * float(share_to_poor.quantile(1.0)), 1.0)
    levels = {f"{n:,.0f}": n for n in round_numbers(of_all[-1] / highest, of_all[-1] / 3, (1, 4))}
    for words, number in (levels | dict(promised)).items():
        share = of_all / number
        color = "C1" if words in promised else "C0"
        axes.plot(gain / 1000, share, color=color, linewidth=1.3)
        if share[-1] < highest:
            axes.annotate(
                words.replace(" ", "\n"),
                (gain[-1] / 1000, share[-1]),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=color,
            )
    axes.set_ylim(0, highest)
    short = reachable_points(base, poor, **own) < points
    axes.fill_between(
        gain / 1000, 0, highest, where=short, facecolor="none", edgecolor="0.7", hatch="////"
    )
    lacking = base.p1_pct / base.p0_pct * base.poverty_line_rp * own["poor_household_size"] / 1000
    if gain[0] < 1000 * lacking < gain[-1]:
        axes.axvline(lacking, color="0.3", linewidth=1, linestyle="--")
        axes.annotate(
            "average poor\nhousehold lacks",
            (lacking, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=6.5,
            color="0.3",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    log_axis(axes, list(gain / 1000))
    axes.set_xlim(gain[0] / 1000, gain[-1] / 1000)


def draw_sensitivity(axes: Axes, table: pd.DataFrame, most: int = 5) -> None:
    """Total Sobol indices with their intervals, largest on top, in percent."""
    own = table.head(most)
    y = range(len(own))
    axes.barh(y, 100 * own["total"], color="C0", height=0.6)
    error = 100 * (own["total_high"] - own["total"])
    axes.errorbar(100 * own["total"], y, xerr=error, fmt="none", color="0.25", linewidth=0.9)
    axes.set_yticks(y, [assumptions.words(name) for name in own["input"]])
    axes.invert_yaxis()
    axes.set_xlim(0, 105)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")


def transfer_marks(base: Baseline) -> dict[str, float]:
    """What the cost of transfers is held against: the full gap, in Rp billion a year, if known."""
    return {} if np.isnan(base.p1_pct) else {"full gap": 12e-9 * base.full_gap_rp}


def line_words(series: pd.DataFrame, base: Baseline, years: float) -> str:
    """How fast the line itself grew from the baseline on; empty without a later line."""
    last = periods.later(base.period, round(2 * years))
    rate = 100 * line_growth(series, base.region_code, base.period, last)
    if np.isnan(rate):
        return ""
    return (
        f"The line itself grew by {rate:.1f} % a year from {periods.written(base.period)} to "
        f"{periods.written(last)}: incomes had to grow by that much before growth could lower "
        "poverty at all."
    )


def sensitivity_words(found: Mapping[str, pd.DataFrame], inputs: Mapping[str, Input]) -> str:
    """The input that matters most for each way, and on what it is based.

    ``found`` maps words (``jobs``) to the table of `sensitivity`.
    """
    told = []
    for words, indices in found.items():
        if indices.empty:
            told.append(f"for {words} none is uncertain")
            continue
        largest = indices.iloc[0]
        told.append(
            f"for {words} {assumptions.words(largest['input'])} ({100 * largest['total']:.0f} %; "
            f"basis: {inputs[largest['input']].basis})"
        )
    return f"The input that matters most is {', '.join(told)}."


def inputs_used(base: Baseline, inputs: Mapping[str, Input]) -> list[str]:
    """The names of the declared inputs that the arithmetic uses."""
    parts = [assumptions.of(inputs, part) for part in (JOBS, TRANSFERS, GROWTH)]
    return list(dict.fromkeys(name for part in parts for name in part))


def line_growth(series: pd.DataFrame, region_code: str, first: str, last: str) -> float:
    """Growth of the poverty line between two periods, per year; missing without both lines."""
    own = series[series["region_code"] == region_code].set_index("period")["poverty_line_rp"]
    years = periods.decimal_year(last) - periods.decimal_year(first)
    return float((own.get(last, np.nan) / own.get(first, np.nan)) ** (1 / years) - 1)
