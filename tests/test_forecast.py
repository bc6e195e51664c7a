import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis import assumptions, forecast, periods, poverty, sources, tables


@pytest.fixture(scope="module")
def priors():
    return assumptions.of(assumptions.read(), "forecast")


@pytest.fixture(scope="module")
def scenarios():
    return sources.read("survey_error")


@pytest.fixture(scope="module")
def series():
    return tables.read("poverty_semester")


@pytest.fixture(scope="module")
def jakarta(series):
    return series[series["region_code"] == "31"].set_index("period")["p0_pct"]


def errors(p0, scenarios, scenario):
    return forecast.survey_error_pct(p0, scenarios, "31", scenario)


def test_standard_errors_by_hand(jakarta, scenarios):
    central = errors(jakarta, scenarios, "central")
    # September 2017: 1,390 households, design effect 1.5; March 2014: 1,417 (three rounds a year).
    assert central["2017-09"] == pytest.approx(100 * np.sqrt(1.5 * 0.0378 * 0.9622 / 1390))
    assert central["2014-03"] == pytest.approx(100 * np.sqrt(1.5 * 0.0392 * 0.9608 / 1417))
    assert central["2018-03"] < central["2018-09"]  # March has the larger sample
    assert (errors(jakarta, scenarios, "exact") == 0).all()
    other = forecast.survey_error_pct(jakarta, scenarios, "32", "central")
    assert other["2017-09"] == pytest.approx(100 * np.sqrt(1.5 * 0.0378 * 0.9622 / 2206))


def test_an_unknown_scenario_names_the_known_ones(jakarta, scenarios):
    with pytest.raises(forecast.ForecastError, match="'none'.*exact, small, central, large"):
        errors(jakarta, scenarios, "none")


def test_scenarios_state_their_source(scenarios):
    assert scenarios["source"].str.len().min() > 20


def fixed_level(priors, value):
    return priors | {"level_sd": priors["level_sd"].fixed(value)}


def test_the_filter_is_that_of_statsmodels(priors, jakarta):
    """Local level with deterministic drift, one known variance, against UnobservedComponents."""
    p0 = jakarta["2011-03":"2019-09"]
    error = p0 * np.sqrt(0.05**2 - (0.01 / np.sqrt(12) / p0) ** 2)  # relative error 0.05 in all
    ours = forecast.fit(p0, error, "2021-09", fixed_level(priors, 0.03))
    model = sm.tsa.UnobservedComponents(
        np.log(p0.to_numpy()), irregular=True, level=True, stochastic_level=True, trend=True
    )
    model.ssm.initialize_known(
        np.array([np.log(p0.iloc[0]), 0.0]), np.diag([9.0, priors["drift"].sd ** 2])
    )
    model.ssm.loglikelihood_burn = 0
    names = {"sigma2.irregular": 0.05**2, "sigma2.level": 0.03**2}
    theirs = model.smooth([names[name] for name in model.param_names])
    ahead = theirs.get_forecast(4)
    assert ours.mean[0, -4:] == pytest.approx(ahead.predicted_mean, abs=1e-8)
    variance = ours.sd[0, -4:] ** 2 + 0.05**2
    assert variance == pytest.approx(ahead.var_pred_mean, rel=1e-8)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)


def test_the_mixture_is_that_of_dense_gaussians(priors, jakarta, scenarios):
    """Gaps, intervention, both priors and the weights, once more without any filter: the figures
    and the one to come are jointly normal given the level's standard deviation."""
    p0 = jakarta["2015-03":].drop("2019-03").reindex(periods.semesters("2015-03", "2025-09"))
    error = errors(p0, scenarios, "central")
    ours = forecast.fit(p0, error, "2028-03", priors, "2020-03")

    at = np.arange(len(ours.periods))
    step = np.array([period >= "2020-03" for period in ours.periods], dtype=float)
    known = np.isin(ours.periods, p0.dropna().index)
    y = np.log(p0.dropna().to_numpy())
    noise = (error[p0.notna()] ** 2 + 0.01**2 / 12) / p0.dropna() ** 2
    fixed = 9.0 + step[:, None] * step + priors["drift"].sd ** 2 * at[:, None] * at
    means, variances, likelihoods = [], [], []
    for sd in priors["level_sd"].quantile((np.arange(15) + 0.5) / 15):
        prior = fixed + sd**2 * np.minimum(at[:, None], at)
        seen = prior[np.ix_(known, known)] + np.diag(noise)
        gain = np.linalg.solve(seen, prior[known, -1])
        means.append(y[0] + gain @ (y - y[0]))
        variances.append(prior[-1, -1] - gain @ prior[known, -1])
        likelihoods.append(stats.multivariate_normal(np.full(len(y), y[0]), seen).logpdf(y))
    weight = np.exp(likelihoods - np.max(likelihoods))
    weight /= weight.sum()
    sds = np.sqrt(variances)
    for limit in (3.0, 4.0, 5.0):
        expected = weight @ stats.norm.cdf(np.log(limit), means, sds)
        found = ours.probability_at_most(limit, "2028-03", published=False)
        assert found == pytest.approx(expected, abs=1e-6)


def test_an_exact_straight_line_goes_on(priors):
    grid = periods.semesters("2010-03", "2019-09")
    p0 = pd.Series(8 * 0.98 ** np.arange(20.0), index=grid)
    ahead = forecast.fit(p0, 0 * p0, "2022-09", fixed_level(priors, 1e-4))
    assert ahead.quantile([0.5], "2022-09")[0] == pytest.approx(8 * 0.98**25, rel=1e-3)


def test_gaps_are_bridged_and_uncertainty_grows(priors, jakarta, scenarios):
    error = errors(jakarta, scenarios, "small")
    ahead = forecast.fit(jakarta, error, "2029-09", priors, "2020-03")
    assert "2023-09" in ahead.periods and ahead.last == "2025-09"
    widths = [np.diff(ahead.quantile([0.1, 0.9], p, published=False))[0] for p in ahead.periods]
    later = widths[ahead.periods.index("2026-03") :]
    assert (np.diff(later) > 0).all()


@pytest.mark.parametrize("scenario", ["exact", "small", "large"])
def test_quantile_and_probability_are_inverse(priors, jakarta, scenarios, scenario):
    error = errors(jakarta, scenarios, scenario)
    ahead = forecast.fit(jakarta[:"2019-09"], error, "2022-09", priors)
    shares = np.array([0.01, 0.2, 0.5, 0.9])
    for published in (True, False):
        limits = ahead.quantile(shares, "2022-09", published=published)
        back = ahead.probability_at_most(limits, "2022-09", published=published)
        assert back == pytest.approx(shares, abs=1e-6)


def test_the_grid_of_the_level_is_fine_enough(priors, jakarta, scenarios, monkeypatch):
    error = errors(jakarta, scenarios, "small")
    coarse = forecast.fit(jakarta[:"2017-09"], error, "2022-09", priors)
    monkeypatch.setattr(forecast, "_GRID", 120)
    fine = forecast.fit(jakarta[:"2017-09"], error, "2022-09", priors)
    for limit in (2.785, 3.5, 5.0):
        assert coarse.probability_at_most(limit, "2022-09") == pytest.approx(
            fine.probability_at_most(limit, "2022-09"), abs=0.005
        )


def test_crps_of_one_lognormal_by_simulation():
    alone = forecast.Forecast(
        "2017-09",
        ("2017-09",),
        np.ones(1),
        np.log([[3.8]]),
        np.array([[0.2]]),
        np.zeros(1),
        0,
    )
    rng = np.random.default_rng(1)
    a, b = 3.8 * np.exp(0.2 * rng.normal(size=(2, 400_000)))
    # E|X - y| - E|X - X'| / 2 (Gneiting and Raftery 2007, equation 21)
    for y in (2.0, 3.8, 7.0):
        simulated = abs(a - y).mean() - abs(a - b).mean() / 2
        assert alone.crps(y, "2017-09") == pytest.approx(simulated, abs=0.004)


def test_rivals_by_hand():
    p0 = pd.Series([4.0, 4.4, 4.0, 4.4, 4.0], index=periods.semesters("2015-03", "2017-03"))
    naive = forecast.random_walk(p0, "2018-03", drift=False)
    step = np.log(1.1)
    assert naive.mean[0] == pytest.approx(np.log(4.0))
    assert naive.sd[0] == pytest.approx(step * np.sqrt([0, 1, 2]))
    drift = forecast.random_walk(p0 * 0.9 ** np.arange(5), "2018-03", drift=True)
    assert np.diff(drift.mean[0]) == pytest.approx(np.log(0.9))
    s2 = 4 * step**2 / 3
    assert drift.sd[0] ** 2 == pytest.approx(s2 * np.array([0, 1 + 1 / 4, 2 + 4 / 4]))


def test_too_few_figures_are_refused(priors, jakarta):
    with pytest.raises(forecast.ForecastError, match="needs 5 figures, but 3 are known"):
        forecast.fit(jakarta[:"2011-09"], 0 * jakarta, "2013-09", priors)


def test_a_smooth_series_contradicts_large_independent_errors(jakarta, scenarios):
    error = errors(jakarta, scenarios, "central")
    told = forecast.smoothness(jakarta, error, "2020-03")
    assert told["changes"] == 28
    assert told["observed_sd"] == pytest.approx(0.1466, abs=1e-3)  # by hand from the figures
    assert told["expected_sd"] > 4 * told["observed_sd"] and told["probability"] < 1e-3
    assert "under 0.1 %" in forecast.smoothness_words(told, "central")
    # And a series that moves as its errors say is no contradiction.
    rng = np.random.default_rng(5)
    noisy = pd.Series(4 + 0.3 * rng.normal(size=len(jakarta)), index=jakarta.index)
    told = forecast.smoothness(noisy, 0.3 + 0 * noisy)
    assert told["probability"] > 0.05 and "no contradiction" in forecast.smoothness_words(told, "x")


def test_backtest_scores_what_the_model_did_not_see(series, scenarios, priors):
    own = series[series["region_code"].isin(["31", "35"])]
    tested = forecast.backtest(own, scenarios, "small", priors, "2020-03", horizons=(1, 4))
    assert (tested["period"] > tested["origin"]).all()
    assert set(tested["model"]) == {"structural", "naive", "drift"}
    assert set(tested["era"]) == {"before", "across", "after"}
    before = tested[tested["era"] == "before"]
    assert (before["period"] < "2020-03").all()
    # A later figure changes no earlier forecast: the score changes only where it is the outcome.
    changed = own.assign(p0_pct=own["p0_pct"].mask(own["period"] == "2019-09", 9.0))
    again = forecast.backtest(changed, scenarios, "small", priors, "2020-03", horizons=(1, 4))
    same = tested["period"] < "2019-09"
    assert again.loc[same, "crps"].to_numpy() == pytest.approx(tested.loc[same, "crps"].to_numpy())
    assert (
        again.loc[tested["period"] == "2019-09", "crps"]
        > tested.loc[tested["period"] == "2019-09", "crps"]
    ).all()


def test_scores_are_means():
    table = pd.DataFrame(
        {
            "region_code": ["31", "31", "32", "32"],
            "era": ["before"] * 4,
            "model": ["structural", "naive"] * 2,
            "crps": [0.1, 0.3, 0.3, 0.5],
            "inside_80": [True, True, False, True],
            "inside_95": [True] * 4,
        }
    )
    found = forecast.scores(table).set_index("model")
    assert found.loc["structural", "crps"] == pytest.approx(0.2)
    assert found.loc["structural", "inside_80_pct"] == 50 and found.loc["naive", "forecasts"] == 2
    assert "structural before (0.20)" in forecast.score_words(table, "31", "DKI Jakarta")


def test_intervals_of_a_simulated_series_cover(priors, scenarios):
    """With the model true, as many figures lie in the interval as it says."""
    rng = np.random.default_rng(2)
    grid = periods.semesters("2008-03", "2020-03")
    inside = []
    for _ in range(150):
        sd, drift = priors["level_sd"].quantile(rng.uniform()), rng.normal(0, priors["drift"].sd)
        level = np.log(5) + np.cumsum(drift + sd * rng.normal(size=len(grid)))
        true = pd.Series(np.exp(level), index=grid)
        error = errors(true, scenarios, "small")
        seen = true * np.exp(rng.normal(size=len(grid)) * error / true)
        ahead = forecast.fit(seen[:"2017-03"], errors(seen, scenarios, "small"), "2020-03", priors)
        below = ahead.probability_at_most(seen["2020-03"], "2020-03")
        inside.append(0.1 <= below <= 0.9)
    # 80 % of 150, within three standard errors
    assert stats.binom.cdf(sum(inside), 150, 0.8) > 0.001 and sum(inside) < 140


def test_only_figures_of_the_same_area_are_compared(series):
    kept = poverty.same_area(series)
    assert kept.loc[kept["region_code"] == "94", "period"].min() == "2024-03"
    assert kept.loc[kept["region_code"] == "31", "period"].min() == "2010-03"
