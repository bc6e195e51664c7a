"""Forecasts of P0 by a structural time series, with the survey's sampling error declared.

The logarithm of P0 is a level that moves by a drift and by chance; what is published is that level
plus sampling error (Harvey 1989, Forecasting, Structural Time Series Models and the Kalman Filter,
sections 2.3 and 3.2). BPS publishes no standard errors here, so the sampling error is a declared
scenario (``data/raw/assumptions/survey_error.csv``), March and September apart. A declared
intervention, the pandemic, shifts the level at one period. The one parameter that is left, how
much the level moves by chance, is not set to its most likely value but averaged over: with some
twenty figures it is hardly known, and intervals that ignore this are too narrow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

from analysis import periods
from analysis.assumptions import Input

EXACT = "exact"  # the scenario without sampling error
_EVERY_REGION = "*"
FEWEST = 5  # figures that a forecast needs
_GRID = 15  # values of the standard deviation of the level that are averaged over
_STEP_SD = 1.0  # of an intervention, in logarithms: says nothing
_LEVEL_SD = 3.0  # of the first level around the first figure: says nothing
_ROUNDING = 0.01 / np.sqrt(12)  # standard deviation of the rounding of P0, in points


class ForecastError(ValueError):
    """A forecast cannot be made from what is there."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of P0 at each period, as of some release.

    Given each value of the level's standard deviation, the logarithm of P0 is normal; over all of
    them it is a mixture. Arrays are (values, periods).

    Attributes
    ----------
    last
        The last period with a figure that was known.
    periods
        The periods, from the first of the series on.
    weight
        Posterior weight of each value.
    mean, sd
        Of the logarithm of P0 (in percent) given each value; up to ``last`` they are the filtered
        level.
    survey_sd
        Standard deviation of the sampling error (and rounding) of the logarithm, by period.
    log_likelihood
        Logarithm of the likelihood of the figures, averaged over the values.
    """

    last: str
    periods: tuple[str, ...]
    weight: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    survey_sd: np.ndarray
    log_likelihood: float

    def _normal(self, period: str, published: bool) -> tuple[np.ndarray, np.ndarray]:
        at = self.periods.index(period)
        sd = self.sd[:, at]
        return self.mean[:, at], np.hypot(sd, self.survey_sd[at]) if published else sd

    def probability_at_most(
        self, p0_pct: np.ndarray | float, period: str, *, published: bool = True
    ) -> np.ndarray | float:
        """Probability that the figure of a period (or P0 itself) is at most ``p0_pct``."""
        mean, sd = self._normal(period, published)
        z = (np.log(np.asarray(p0_pct, dtype=float))[..., None] - mean) / sd
        return special.ndtr(z) @ self.weight

    def quantile(
        self, share: Iterable[float], period: str, *, published: bool = True
    ) -> np.ndarray:
        """P0 (percent) below which the figure of a period lies with each probability."""
        mean, sd = self._normal(period, published)
        share = np.asarray(share, dtype=float)
        # Halving: the mixture has no closed quantile, but lies between those of its parts.
        z = special.ndtri(share)[:, None]
        low, high = (mean + z * sd).min(axis=1), (mean + z * sd).max(axis=1)
        for _ in range(40):
            middle = (low + high) / 2
            below = special.ndtr((middle[:, None] - mean) / sd) @ self.weight < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.exp((low + high) / 2)

    def crps(self, p0_pct: float, period: str) -> float:
        """Continuous ranked probability score of a published figure, in percentage points.

        The integral of (F(x) - 1{x >= y})^2 over x (Gneiting and Raftery 2007, Strictly Proper
        Scoring Rules, equation 20), by the trapezoidal rule; smaller is better.
        """
        mean, sd = self._normal(period, published=True)
        low, high = np.exp((mean - 5 * sd).min()), np.exp((mean + 5 * sd).max())
        parts = [
            np.geomspace(min(low, p0_pct), p0_pct, 150),
            np.geomspace(p0_pct, max(high, p0_pct), 150),
        ]
        return sum(
            float(np.trapezoid((self.probability_at_most(x, period) - above) ** 2, x))
            for x, above in zip(parts, (0, 1), strict=True)
        )


# ---- the survey's error ----------------------------------------------------------------------


def survey_error_pct(
    p0_pct: pd.Series, scenarios: pd.DataFrame, region_code: str, scenario: str
) -> pd.Series:
    """Standard error of P0 in percentage points under a declared scenario.

    Parameters
    ----------
    p0_pct
        P0 in percent by period.
    scenarios
        Table ``survey_error``: households in the sample of March and of September from a period
        on, and the design effect; ``*`` stands for a region that has no rows of its own.
    region_code, scenario
        Which.

    Returns
    -------
    pandas.Series
        ``sqrt(deff p (1 - p) / n)`` in percentage points; 0 without sampling error.

    Raises
    ------
    ForecastError
        There is no such scenario (the known ones are listed).
    """
    own = scenarios[scenarios["scenario"] == scenario]
    if own.empty:
        known = ", ".join(scenarios["scenario"].unique())
        raise ForecastError(f"no scenario {scenario!r} of sampling error (there are: {known})")
    regions = own["region_code"].astype(str)
    own = own[regions == (region_code if region_code in set(regions) else _EVERY_REGION)]
    if own["design_effect"].isna().all():
        return pd.Series(0.0, index=p0_pct.index)
    own = own.sort_values("from_period")
    row = np.searchsorted(own["from_period"].to_numpy(str), p0_pct.index.to_numpy(str), "right") - 1
    own = own.iloc[np.maximum(row, 0)]
    march = p0_pct.index.str.endswith("-03")
    households = np.where(march, own["march_households"], own["september_households"])
    share = p0_pct.to_numpy() / 100
    error = np.sqrt(own["design_effect"].to_numpy() * share * (1 - share) / households)
    return pd.Series(100 * error, index=p0_pct.index)


def smoothness(p0_pct: pd.Series, error_pct: pd.Series, leave_out: str = "") -> dict[str, float]:
    """Whether a series moves less than independent sampling errors alone would make it move.

    Under independent errors the change from one figure to the next has at least the variance
    ``se_1^2 + se_2^2``, whatever P0 itself does. The sum of squared changes is held against its
    distribution if P0 stood still, a lower bound in the usual sense: if P0 moved too, the changes
    would be larger.

    Parameters
    ----------
    p0_pct, error_pct
        P0 and its standard error by period, in points.
    leave_out
        A period whose change is left out (a declared intervention).

    Returns
    -------
    dict
        ``observed_sd`` and ``expected_sd`` of the changes in points (root mean square), ``changes``
        their number, and ``probability`` that errors alone would give changes as small.
    """
    known = p0_pct.dropna()
    error = error_pct[known.index].to_numpy()
    keep = known.index[1:] != leave_out
    change = np.diff(known.to_numpy())[keep]
    # Simulated, since neighbouring changes share a figure.
    rng = np.random.default_rng(0)
    simulated = np.diff(rng.normal(size=(20_000, len(error))) * error, axis=1)[:, keep]
    return {
        "observed_sd": float(np.sqrt(np.mean(change**2))),
        "expected_sd": float(np.sqrt(np.mean(error[1:][keep] ** 2 + error[:-1][keep] ** 2))),
        "changes": len(change),
        "probability": float(np.mean((simulated**2).sum(axis=1) <= (change**2).sum())),
    }


def smoothness_words(told: Mapping[str, float], scenario: str) -> str:
    """`smoothness` in a sentence or two; empty without sampling error."""
    if scenario == EXACT:
        return ""
    words = (
        f"If the errors of successive surveys were independent and as large as in the scenario "
        f"'{scenario}', the published figures would change from one to the next by "
        f"{told['expected_sd']:.2f} points (root mean square) even if poverty itself stood still; "
        f"they change by {told['observed_sd']:.2f}. "
    )
    if told["probability"] >= 0.05:
        return words + "That is no contradiction."
    chance = "under 0.1" if told["probability"] < 0.001 else f"{100 * told['probability']:.1f}"
    return words + (
        f"So little movement would come by chance with a probability of {chance} %. Either the "
        "samples are larger, or successive surveys share their errors, or the figures are smoother "
        "than the surveys: without published standard errors it cannot be told which."
    )


# ---- the model -------------------------------------------------------------------------------


def fit(
    p0_pct: pd.Series,
    error_pct: pd.Series,
    until: str,
    priors: Mapping[str, Input],
    intervention: str = "",
) -> Forecast:
    """Fit the structural time series to the figures known and look ahead.

    Parameters
    ----------
    p0_pct
        P0 in percent by period, missing where there is no figure (or none was known).
    error_pct
        Standard error of each figure in points (`survey_error_pct`).
    until
        The last period to look at.
    priors
        The declared inputs ``level_sd`` (half-normal) and ``drift`` (normal), per semester.
    intervention
        The period from which a shift of the level is allowed for (none if empty); it counts only
        if a figure of that period or a later one is known.

    Returns
    -------
    Forecast

    Raises
    ------
    ForecastError
        Fewer than five figures are known.
    """
    known = p0_pct.dropna()
    if len(known) < FEWEST:
        raise ForecastError(f"a forecast needs {FEWEST} figures, but {len(known)} are known")
    first, last = known.index[0], known.index[-1]
    grid = periods.semesters(first, max(until, last))
    begun = bool(intervention) and last >= intervention
    stepped = np.array([begun and period >= intervention for period in grid])
    observed = np.log(p0_pct.reindex(grid).to_numpy(dtype=float))
    relative = np.hypot(error_pct.reindex(grid), _ROUNDING) / p0_pct.reindex(grid)
    survey_sd = relative.to_numpy(dtype=float)

    # The values of the level's standard deviation stand in the middle of shares of equal prior
    # weight, so that the likelihood alone weighs them.
    values = priors["level_sd"].quantile((np.arange(_GRID) + 0.5) / _GRID)
    model = _model(observed, survey_sd, stepped, priors["drift"])
    means, sds, likelihoods = [], [], []
    design = model["design"][0]
    for value in values:
        model["state_cov", 0, 0] = value**2
        filtered = model.filter()
        state, covariance = filtered.filtered_state, filtered.filtered_state_cov
        means.append(np.einsum("st,st->t", design, state))
        sds.append(np.sqrt(np.einsum("st,srt,rt->t", design, covariance, design)))
        likelihoods.append(filtered.llf)
    weight = special.softmax(likelihoods)
    mean, sd = np.array(means), np.array(sds)
    # Ahead, the error is that of the P0 that is expected there.
    missing = np.isnan(survey_sd)
    expected = pd.Series(np.exp(weight @ mean), index=grid)
    survey_sd = np.where(missing, _relative_ahead(expected, known, error_pct), survey_sd)
    return Forecast(
        last=last,
        periods=tuple(grid),
        weight=weight,
        mean=mean,
        sd=sd,
        survey_sd=survey_sd,
        log_likelihood=float(special.logsumexp(likelihoods) - np.log(_GRID)),
    )


def _model(
    observed: np.ndarray, survey_sd: np.ndarray, stepped: np.ndarray, drift: Input
) -> KalmanFilter:
    """States: level, drift, step."""
    model = KalmanFilter(k_endog=1, k_states=3, k_posdef=1)
    model.bind(observed[:, None])
    length = len(observed)
    model["design"] = np.array([np.ones(length), np.zeros(length), stepped])[None]
    model["obs_cov"] = np.nan_to_num(survey_sd**2, nan=1.0)[None, None]
    model["transition"] = np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    model["selection"] = np.array([[1.0], [0], [0]])
    model.initialize_known(
        np.array([observed[0], drift.median, 0.0]),
        np.diag([_LEVEL_SD**2, drift.sd**2, _STEP_SD**2]),
    )
    return model


def _relative_ahead(expected: pd.Series, known: pd.Series, error_pct: pd.Series) -> np.ndarray:
    """Standard deviation of the logarithm of figures to come.

    As that of the last March and the last September with a figure, carried over to the P0
    expected: of a binomial share the relative error goes with sqrt((1 - p) / p).
    """
    relative = np.zeros(len(expected))
    for month in ("-03", "-09"):
        own = known[known.index.str.endswith(month)]
        share = (own if len(own) else known).iloc[-1] / 100
        error = error_pct[(own if len(own) else known).index[-1]] / 100
        ahead = expected.to_numpy() / 100
        scaled = error / share * np.sqrt((1 - ahead) / ahead * share / (1 - share))
        at = expected.index.str.endswith(month)
        relative[at] = np.hypot(scaled, _ROUNDING / expected.to_numpy())[at]
    return relative


def scenario_table(
    p0_pct: pd.Series, scenarios: pd.DataFrame, region_code: str, priors: Mapping[str, Input]
) -> pd.DataFrame:
    """What each scenario of sampling error means for a series, and how well the two agree.

    Returns
    -------
    pandas.DataFrame
        A row per scenario: ``scenario, march_error_points, september_error_points`` (standard
        errors of the last figures) and ``log_likelihood`` of the figures (larger agrees better;
        missing where they are too few).
    """
    rows = []
    for scenario in scenarios["scenario"].unique():
        error = survey_error_pct(p0_pct, scenarios, region_code, scenario)
        enough = p0_pct.count() >= FEWEST
        likelihood = (
            fit(p0_pct, error, p0_pct.index[-1], priors).log_likelihood if enough else np.nan
        )
        march = error.index.str.endswith("-03")
        rows.append(
            {
                "scenario": scenario,
                "march_error_points": error[march].iloc[-1] if march.any() else np.nan,
                "september_error_points": error[~march].iloc[-1] if (~march).any() else np.nan,
                "log_likelihood": likelihood,
            }
        )
    return pd.DataFrame(rows)


def random_walk(p0_pct: pd.Series, until: str, *, drift: bool) -> Forecast:
    """The rivals of the backtest: the last figure stands still, or goes on by the mean change.

    The variance is that of the changes of the logarithm per semester; with drift, that of the mean
    change comes on top (``s^2 (h + h^2 / n)``).
    """
    known = np.log(p0_pct.dropna())
    if len(known) < FEWEST:
        raise ForecastError(f"a forecast needs {FEWEST} figures, but {len(known)} are known")
    time = 2 * periods.decimal_year(known.index).to_numpy()  # in semesters
    step, change = np.diff(time), np.diff(known)
    span = time[-1] - time[0]
    slope = (known.iloc[-1] - known.iloc[0]) / span if drift else 0.0
    variance = np.sum((change - slope * step) ** 2 / step) / (len(change) - drift)
    last = known.index[-1]
    grid = periods.semesters(last, max(until, last))
    ahead = np.arange(len(grid))
    sd = np.sqrt(variance * (ahead + (ahead**2 / span if drift else 0)))
    nothing = np.full(len(grid), _ROUNDING / np.exp(known.iloc[-1]))
    return Forecast(
        last=last,
        periods=tuple(grid),
        weight=np.ones(1),
        mean=(known.iloc[-1] + slope * ahead)[None],
        sd=sd[None],
        survey_sd=nothing,
        log_likelihood=np.nan,
    )


# ---- how good it is --------------------------------------------------------------------------


def backtest(
    series: pd.DataFrame,
    scenarios: pd.DataFrame,
    scenario: str,
    priors: Mapping[str, Input],
    intervention: str,
    horizons: Iterable[int] = (1, 2, 4, 6, 10),
) -> pd.DataFrame:
    """Forecasts from every release on, against what came, with two rivals.

    Parameters
    ----------
    series
        ``region_code, period, p0_pct``, one row per region and period of the grid.
    scenarios, scenario, priors, intervention
        As for `survey_error_pct` and `fit`.
    horizons
        Semesters ahead that are scored.

    Returns
    -------
    pandas.DataFrame
        A row per region, model, origin and horizon: ``region_code, model`` (structural, naive,
        drift), ``origin, period, horizon, era, crps`` (points), ``inside_80, inside_95``
        (bool: the figure lay in the central interval). ``era`` is before (the figure is earlier
        than the intervention), across (the intervention lies between) or after.
    """
    rows = []
    for region_code, own in series.groupby("region_code"):
        p0 = own.set_index("period")["p0_pct"]
        known = p0.dropna().index
        grid = list(p0.index)
        for origin in known[FEWEST - 1 : -1]:
            ahead = {
                h: grid[grid.index(origin) + h]
                for h in horizons
                if grid.index(origin) + h < len(grid) and pd.notna(p0.iloc[grid.index(origin) + h])
            }
            if not ahead:
                continue
            past, until = p0[p0.index <= origin], max(ahead.values())
            error = survey_error_pct(past, scenarios, str(region_code), scenario)
            models = {
                "structural": fit(past, error, until, priors, intervention),
                "naive": random_walk(past, until, drift=False),
                "drift": random_walk(past, until, drift=True),
            }
            for (name, model), (horizon, period) in (
                (m, a) for m in models.items() for a in ahead.items()
            ):
                below = model.probability_at_most(p0[period], period)
                row = {"region_code": region_code, "model": name, "origin": origin}
                row |= {"period": period, "horizon": horizon}
                row |= {"era": _era(origin, period, intervention)}
                row |= {"crps": model.crps(p0[period], period)}
                row |= {"inside_80": 0.1 <= below <= 0.9, "inside_95": 0.025 <= below <= 0.975}
                rows.append(row)
    return pd.DataFrame(rows)


def _era(origin: str, period: str, intervention: str) -> str:
    if not intervention or period < intervention:
        return "before"
    return "after" if origin >= intervention else "across"


def scores(backtests: pd.DataFrame, by: Iterable[str] = ("era", "model")) -> pd.DataFrame:
    """Mean scores: ``*by, forecasts, crps, inside_80_pct, inside_95_pct``."""
    grouped = backtests.groupby(list(by), sort=False)
    return grouped.agg(
        forecasts=("crps", "size"),
        crps=("crps", "mean"),
        inside_80_pct=("inside_80", lambda inside: 100 * inside.mean()),
        inside_95_pct=("inside_95", lambda inside: 100 * inside.mean()),
    ).reset_index()


def score_table(backtests: pd.DataFrame, region_code: str, region: str) -> pd.DataFrame:
    """Scores of all provinces and of one, a row per era.

    Returns
    -------
    pandas.DataFrame
        ``where, era, forecasts``, the mean CRPS of each model in points (``structural, naive,
        drift``), and ``inside_80_pct, inside_95_pct`` of the structural model. Without a forecast
        of the region, only those of all.
    """
    parts = {"all provinces": backtests, region: backtests[backtests["region_code"] == region_code]}
    tables = []
    for where, part in parts.items():
        if part.empty:
            continue
        own = scores(part)
        table = own[own["model"] == "structural"].drop(columns=["model", "crps"])
        crps = own.pivot(index="era", columns="model", values="crps").reset_index()
        tables.append(table.merge(crps, on="era").assign(where=where))
    columns = ["where", "era", "forecasts", "structural", "naive", "drift"]
    return pd.concat(tables, ignore_index=True)[[*columns, "inside_80_pct", "inside_95_pct"]]


def score_words(backtests: pd.DataFrame, region_code: str, region: str) -> str:
    """Which model had the lowest score in each era, for all regions and for one."""
    told = []
    for where, part in (
        ("over all provinces", backtests),
        (f"for {region}", backtests[backtests["region_code"] == region_code]),
    ):
        if part.empty:
            continue
        best = scores(part).sort_values("crps").drop_duplicates("era").sort_values("era")
        eras = [f"{row.model} {row.era} ({row.crps:.2f})" for row in best.itertuples()]
        told.append(f"{where}: {', '.join(eras)}")
    return f"Lowest CRPS by era, {'; '.join(told)}."
