"""One treated unit: against R and published results, by identities, and on planted effects."""

import math

import numpy as np
import pandas as pd
import pytest
from diff_diff import SyntheticDiD
from scipy.optimize import minimize

from analysis import effects, sources, tables
from analysis.effects import Assumption, Design, donor_weights, one_treated, provinces
from analysis.effects import synthetic_control as sc

DESIGN = Design(
    question="Did it work?",
    estimand="mean effect after the start",
    outcome="y",
    unit_of_effect="units",
    units="30 units",
    treated="one",
    treatment_start="2010",
    comparison="the others",
    credibility="simulated",
    assumptions=(Assumption("a", "b"),),
    estimator="any",
    inference="placebos",
    does_not_show="anything real",
)
# Results of R's synthdid 0.0.9 on California's Proposition 99 (39 states, 1970-2000), its own
# example data. Its synthetic control stops a little before the optimum, so that the exact one
# differs from it by a tenth of a pack.
PROP99 = {
    "synthetic DiD": (-15.60383, 1e-3),
    "DiD": (-27.34911, 1e-5),
    "synthetic control": (-19.61966, 0.2),
}
# Abadie, Diamond and Hainmueller (2010), table 2.
ADH = {"Utah": 0.334, "Nevada": 0.234, "Montana": 0.199, "Colorado": 0.164, "Connecticut": 0.069}


# ---- against R and published results -----------------------------------------------------------


@pytest.fixture(scope="module")
def one():
    table = sources.read("effects_one_treated")
    return effects.panel(table, time="period", outcomes="y", treated="treated", balanced=True)


@pytest.mark.parametrize(
    ("method", "name", "within"),
    [("synthetic DiD", "synthdid", 1e-3), ("DiD", "did", 1e-10), ("synthetic control", "sc", 2e-3)],
)
def test_one_treated_unit_agrees_with_r(one, method, name, within):
    expected = sources.read("effects_one_treated_r").set_index("method").loc[name, "tau"]
    assert sc.fit(one, method).effect == pytest.approx(expected, abs=within)


@pytest.mark.parametrize("method", PROP99)
def test_california_agrees_with_r(shared, method):
    table = pd.read_csv(shared / "reference/impact/california_prop99_synthdid.csv")
    table.columns = ["unit", "time", "outcome", "treated"]
    expected, within = PROP99[method]
    panel = effects.panel(table, treated="treated", balanced=True)
    assert sc.fit(panel, method).effect == pytest.approx(expected, abs=within)


def test_the_classic_synthetic_california_is_the_published_one(shared):
    table = pd.read_csv(shared / "reference/impact/smoking_prop99_adh.csv")
    since = {"lnincome": 1980, "retprice": 1980, "age15to24": 1980, "beer": 1984}
    means = {
        name: table[table["year"].between(first, 1988)].groupby("state")[name].mean()
        for name, first in since.items()
    }
    sales = table.pivot(index="year", columns="state", values="cigsale")
    means |= {f"sales {year}": sales.loc[year] for year in (1975, 1980, 1988)}
    table["treated"] = ((table["state"] == "California") & (table["year"] > 1988)).astype(int)
    panel = effects.panel(
        table, unit="state", time="year", outcomes="cigsale", treated="treated", balanced=True
    )
    found = sc.fit_by_predictors(panel, pd.DataFrame(means))
    for state, published in ADH.items():
        assert found.weights[state] == pytest.approx(published, abs=0.03)
    assert found.weights[list(ADH)].sum() > 0.99
    meta = pd.read_csv(shared / "reference/impact/prop99_adh_meta.csv").set_index("what")["value"]
    assert found.pre_rmspe**2 <= meta["loss.v"]  # no worse than R's
    path = pd.read_csv(shared / "reference/impact/prop99_adh_path.csv").set_index("year")
    gap = found.path.set_index("time")["gap"]
    assert (gap - (path["Y1"] - path["Ysynth"])).loc[1989:].abs().max() < 1
    with pytest.raises(effects.PanelError, match="no predictors of California"):
        sc.fit_by_predictors(panel, pd.DataFrame(means).drop("California"))
    with pytest.raises(effects.PanelError, match="do not vary: same"):
        sc.fit_by_predictors(panel, pd.DataFrame(means).assign(same=1.0))


def test_the_solvers_used_alone_give_what_diff_diff_gives():
    panel = one_treated.simulate(3, effect=0.5)
    table = panel.table.assign(ever=(panel.table["first_t"] > 0).astype(int))
    own = SyntheticDiD(n_bootstrap=2, seed=0).fit(
        table, "outcome", "ever", "unit", "t", post_periods=list(range(10, 14))
    )
    assert sc.fit(panel, "synthetic DiD").effect == pytest.approx(own.att, abs=1e-9)


# ---- identities --------------------------------------------------------------------------------


def test_simplex_weights_are_the_optimum_of_a_general_solver():
    random = np.random.default_rng(5)
    for _ in range(5):
        donors, target = random.normal(size=(8, 5)), random.normal(size=8)
        found = donor_weights.simplex(target, donors, ridge=0.3)
        peer = minimize(
            lambda w, d=donors, t=target: ((t - d @ w) ** 2).sum() + 0.3 * (w**2).sum(),
            np.full(5, 0.2),
            bounds=[(0, 1)] * 5,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert found.sum() == pytest.approx(1) and found.min() >= 0
        np.testing.assert_allclose(found, peer.x, atol=1e-5)


def test_a_unit_inside_the_donors_is_found_exactly_and_one_outside_is_not():
    donors = np.random.default_rng(6).normal(size=(12, 4))
    true = np.array([0.1, 0.0, 0.6, 0.3])
    np.testing.assert_allclose(donor_weights.simplex(donors @ true, donors), true, atol=1e-9)
    outside = donor_weights.simplex(donors.max(axis=1) + 50, donors)
    assert outside.min() >= 0 and outside.sum() == pytest.approx(1)


def test_ridge_augmentation_is_the_bias_correction_by_ridge_regression():
    """Ben-Michael, Feller and Rothstein (2021): plain weights on what the regression leaves."""
    random = np.random.default_rng(7)
    before, after, own = random.normal(size=(9, 15)), random.normal(size=15), random.normal(size=9)
    counts, penalty = np.full(9, 1 / 9), 0.4
    ridged = donor_weights._ridged(own, before, counts, np.array([penalty]))[0]
    plain = donor_weights._fitted(*donor_weights._demeaned(own, before, counts), counts)
    x, target = (
        (before - before.mean(axis=0)).T / 3,
        (own - own.mean()) / 3,
    )  # (15, 9): donors in rows
    centred = x - x.mean(axis=0)
    slopes = np.linalg.solve(
        centred.T @ centred + penalty * np.eye(9), centred.T @ (after - after.mean())
    )
    corrected = plain @ after + (target - plain @ x) @ slopes
    assert ridged @ after == pytest.approx(corrected)
    heavy = donor_weights._ridged(own, before, counts, np.array([1e9]))[0]
    np.testing.assert_allclose(heavy, plain, atol=1e-6)
    assert ridged.sum() == pytest.approx(1)


def shifted(panel, by):
    moved = panel.table["outcome"] + by * (panel.table["first_t"] > 0)
    return type(panel)(panel.table.assign(outcome=moved), panel.outcomes, (), panel.times)


@pytest.mark.parametrize("method", sc.METHODS)
def test_a_constant_distance_matters_to_the_unshifted_method_alone(method):
    panel = one_treated.simulate(1, effect=1.0)
    here, there = sc.fit(panel, method), sc.fit(shifted(panel, -30.0), method)
    same = there.effect == pytest.approx(here.effect, abs=1e-6)
    assert same == (method in sc.SHIFTED)
    assert here.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", sc.METHODS)
def test_an_effect_moves_the_estimate_by_itself_and_the_placebos_not_at_all(method):
    nothing, some = (sc.placebos(one_treated.simulate(2, effect=e), method) for e in (0.0, 0.7))
    assert some.fit.effect - nothing.fit.effect == pytest.approx(0.7)
    pd.testing.assert_frame_equal(some.table.iloc[1:], nothing.table.iloc[1:])
    path = some.fit.path
    inside = path["after"]
    assert some.fit.effect == pytest.approx(
        np.average(path["gap"][inside], weights=path["counts"][inside])
    )
    np.testing.assert_allclose(path["actual"] - path["synthetic"], path["gap"])


def test_the_interval_holds_exactly_the_effects_that_the_placebo_test_does_not_reject():
    panel = one_treated.simulate(4, effect=0.3)
    found = sc.placebos(panel, "DiD")
    lower, upper = found.interval(0.95)
    for effect, kept in ((lower + 1e-6, True), (upper - 1e-6, True), (lower - 1e-6, False)):
        without = sc.placebos(shifted_after(panel, -effect), "DiD")
        assert (without.p_value > 0.05) == kept


def shifted_after(panel, by):
    moved = panel.table["outcome"] + by * panel.table["treated"]
    return type(panel)(panel.table.assign(outcome=moved), panel.outcomes, (), panel.times)


def test_an_estimate_says_what_it_rests_on():
    found = sc.estimate(DESIGN, one_treated.simulate(0), "DiD", window=[2010, 2011])
    assert (found.n_units, found.n_treated, found.n_periods) == (30, 1, 11)
    assert found.inference == "placebos in space, 29 donors" and 1 / 30 <= found.p_value <= 1


def test_too_few_donors_bound_nothing():
    found = sc.placebos(one_treated.simulate(0, units=12), "DiD")
    assert found.interval(0.95) == (-math.inf, math.inf)
    assert math.isinf(found.detectable("units").effect)
    assert np.isfinite(found.interval(0.9)).all()
    assert found.power([1e6])["power"].iloc[0] == 0


def test_the_minimum_detectable_effect_is_where_power_reaches_it():
    found = sc.placebos(one_treated.simulate(0), "DiD")
    mde = found.detectable("units").effect
    below, at = found.power([0.999 * mde, mde])["power"]
    assert below < 0.8 <= at
    curve = found.power(np.linspace(0.01, 3 * mde, 50))["power"]
    assert curve.is_monotonic_increasing and curve.iloc[-1] > 0.95 and curve.iloc[0] <= 2 / 29


def test_dates_count_for_the_time_they_stand_for():
    np.testing.assert_allclose(sc.date_weights((1990, 1991, 1992)), 1)
    uneven = sc.date_weights(("2012-09", "2013-09", "2014-09", "2015-03", "2015-09"))
    np.testing.assert_allclose(uneven / uneven[-1], [2, 2, 1.5, 1, 1])
    np.testing.assert_allclose(sc.date_weights(("first", "second")), 1)


def test_the_conformal_p_value_is_the_rank_among_all_sets_of_periods():
    panel = one_treated.simulate(8, before=4, after=2, units=8)
    found = sc.conformal(DESIGN, panel, "DiD")
    wide = panel.wide("outcome").to_numpy()
    residual = wide[0] - wide[1:].mean(axis=0)
    residual -= residual.mean()
    sums = [abs(residual[a] + residual[b]) for a in range(6) for b in range(a + 1, 6)]
    assert found.p_value == pytest.approx(np.mean(np.array(sums) >= sums[-1] - 1e-12))
    assert (found.lower, found.upper) == (-math.inf, math.inf)  # 15 sets reject nothing at 5 %
    with pytest.raises(effects.EffectsError, match="depend on the start"):
        sc.conformal(DESIGN, panel, "synthetic DiD")


# ---- what cannot be done ends in an error ------------------------------------------------------


def test_what_cannot_be_compared_is_refused():
    panel = one_treated.simulate(0)
    for choices, told in (
        ({"window": [2005]}, "window must be periods from 2010 on, and has 2005"),
        ({"window": []}, "has none"),
        ({"donors": ["U001", "U002"]}, "2 donors"),
        ({"donors": ["U999"]}, "no donors: U999"),
        ({"start": 2012}, "starts before 2010"),
        ({"start": 2002}, "1 periods before 2002"),
        ({"method": "magic"}, "method 'magic' is unknown"),
    ):
        with pytest.raises(effects.EffectsError, match=told):
            sc.fit(panel, **({"method": "DiD"} | choices))
    gappy = type(panel)(panel.table.iloc[:-1], panel.outcomes, (), panel.times)
    with pytest.raises(effects.PanelError, match="lacks rows"):
        sc.fit(gappy, "DiD")
    two = panel.table.assign(start=np.where(panel.table["unit"] < "U002", 2010, 0))
    with pytest.raises(effects.PanelError, match="2 units are treated"):
        sc.fit(effects.panel(two, start="start"), "DiD")
    with pytest.raises(effects.EffectsError, match="declare the design"):
        sc.estimate(panel, panel, "DiD")


# ---- planted effects: small versions of benchmarks/effects_one_treated.py ----------------------------------

SEEDS = range(120)


def within(share: float, expected: float, trials: int = len(SEEDS)) -> bool:
    """Within three Monte Carlo standard errors."""
    return abs(share - expected) <= 3 * math.sqrt(expected * (1 - expected) / trials)


@pytest.mark.parametrize("method", ["demeaned synthetic control", "DiD"])
def test_intervals_cover_the_planted_effect_and_placebos_have_their_size(method):
    """With 29 donors the rank test can reach 1/30: that is its size, and 29/30 the coverage."""
    covered, rejected = [], []
    for seed in SEEDS:
        found = sc.placebos(one_treated.simulate(seed, effect=0.7), method)
        lower, upper = found.interval(0.95)
        covered.append(lower <= 0.7 <= upper)
        rejected.append(sc.placebos(one_treated.simulate(seed), method).p_value <= 0.05)
    assert within(np.mean(covered), 29 / 30) and within(np.mean(rejected), 1 / 30)


@pytest.mark.parametrize("method", ["synthetic DiD", "ridge augmented synthetic control"])
def test_the_slower_methods_cover_too(method):
    seeds = range(30)
    bounds = [sc.placebos(one_treated.simulate(s, effect=0.7), method).interval() for s in seeds]
    assert within(np.mean([low <= 0.7 <= high for low, high in bounds]), 29 / 30, len(seeds))


def test_the_conformal_interval_covers_where_residuals_have_no_memory():
    seeds = range(60)
    found = [
        sc.conformal(DESIGN, one_treated.simulate(s, effect=0.7), "demeaned synthetic control")
        for s in seeds
    ]
    assert within(np.mean([e.lower <= 0.7 <= e.upper for e in found]), 0.95, len(seeds))
    assert np.median([e.upper - e.lower for e in found]) < 2  # and is of use


def flagged(violation: str, size: float, seeds=range(40)) -> dict[str, float]:
    """The share of panels that each check flags."""
    found = {"fit": [], "time": [], "range": []}
    for seed in seeds:
        panel = one_treated.simulate(seed, violation=violation, size=size)
        found["fit"].append(sc.fit_check(sc.placebos(panel, "demeaned synthetic control"), "a"))
        early = sc.placebos(panel, "demeaned synthetic control", start=2006)
        found["time"].append(sc.time_check(early, "a"))
        found["range"].append(sc.range_check(sc.range_of_donors(panel), "a"))
    return {name: np.mean([not check.passed for check in checks]) for name, checks in found.items()}


def test_checks_pass_sound_panels_and_flag_broken_ones():
    sound = flagged(one_treated.OWN_TREND, 0.0)
    assert sound["fit"] <= 1 / 30 + 0.1 and sound["time"] <= 1 / 30 + 0.1  # three standard errors
    trend = flagged(one_treated.OWN_TREND, one_treated.VIOLATIONS[one_treated.OWN_TREND][-1])
    assert trend["fit"] > 0.8 and trend["time"] > 0.6
    early = flagged(one_treated.ANTICIPATION, one_treated.VIOLATIONS[one_treated.ANTICIPATION][-1])
    assert early["fit"] > 0.6
    assert flagged(one_treated.OTHER_LEVEL, 1.0)["range"] == 1
    with pytest.raises(effects.EffectsError, match="violation 'bad luck' is unknown"):
        one_treated.simulate(0, violation="bad luck")


def test_one_donor_that_decides_is_flagged():
    found = sc.placebos(one_treated.simulate(0), "synthetic control")
    upper = found.interval()[1]
    calm = pd.DataFrame({"effect": [found.fit.effect]})
    assert sc.donors_check(found, calm, "a", 0.95).passed
    assert not sc.donors_check(found, pd.DataFrame({"effect": [upper + 0.1]}), "a", 0.95).passed
    left = sc.leave_one_out(one_treated.simulate(0), "synthetic control")
    assert set(left["left_out"]) <= set(found.fit.weights[found.fit.weights > 0.01].index)


# ---- the panel of provinces --------------------------------------------------------------------


@pytest.fixture(scope="module")
def series():
    return tables.read("poverty_semester")


def test_provinces_are_left_out_by_rule(series):
    data = provinces.provinces(series, "31", "2018-03", "2012-09", "2025-09")
    assert len(data.panel.times) == 23 and data.panel.times.index("2018-03") == 9
    assert data.periods_left_out == ("2013-03", "2014-03", "2022-09", "2023-09")
    assert len(data.panel.untreated_units) == 29
    words = " ".join(data.left_out["regions"])
    for name in ("Kalimantan Utara", "Kalimantan Timur", "Papua Selatan", "Papua Barat Daya"):
        assert name in words
    kept = provinces.provinces(
        series, "31", "2018-03", "2012-09", "2025-09", keep_changed_areas=True
    )
    assert set(kept.panel.units) - set(data.panel.units) == {"64", "91", "94"}
    clean = provinces.provinces(series, "31", "2018-03", "2015-03", "2019-09")
    assert {"64", "65", "91", "94"} <= set(clean.panel.units)
    with pytest.raises(effects.PanelError, match="province '97' has no P0"):
        provinces.provinces(series, "97", "2018-03", "2012-09", "2025-09")


def test_jakarta_lies_below_every_donor_and_the_weights_use_nothing_after_the_start(series):
    data = provinces.provinces(series, "31", "2018-03", "2012-09", "2025-09")
    assert sc.range_of_donors(data.panel, outcome="p0_pct")["outside"].all()
    spoiled = series.copy()
    spoiled.loc[spoiled["period"] >= "2018-03", "p0_pct"] *= 1.5
    later = provinces.provinces(spoiled, "31", "2018-03", "2012-09", "2025-09")
    for method in ("demeaned synthetic control", "ridge augmented synthetic control"):
        here, there = (sc.fit(d.panel, method, outcome="p0_pct") for d in (data, later))
        pd.testing.assert_series_equal(here.weights, there.weights)


def test_sampling_error_adds_up(series):
    data = provinces.provinces(series, "31", "2018-03", "2012-09", "2019-09")
    fitted = sc.fit(data.panel, "DiD", outcome="p0_pct")
    errors = pd.DataFrame(0.3, index=list(data.panel.times), columns=data.panel.units)
    before = sc.date_weights(data.panel.times)[:9]
    before = before / before.sum()
    expected = 0.3 * math.sqrt((1 / 4 + (before**2).sum()) * (1 + 1 / len(fitted.weights)))
    assert provinces.sampling_error(fitted, errors) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("effect", "half", "mde", "told"),
    [
        (0.15, 0.6, 0.8, "0.15 points above .* no effect of the programme can be told from zero"),
        (-0.15, 0.6, 0.8, "0.15 points below"),
        (-0.9, 0.6, 0.8, "below .* further from zero than chance explains"),
        (-0.9, math.inf, math.inf, "none of any size could have been"),
    ],
)
def test_the_verdict_says_what_was_found_whatever_it_is(effect, half, mde, told):
    lead = effects.Estimate(
        DESIGN, "DiD", effect, effect - half, effect + half, "placebos", 30, 1, 13
    )
    found = effects.Detectable(mde, "units", "placebos")
    words = provinces.verdict(lead, found, 0.36, 0.07, "DKI Jakarta", 10_600_000)
    assert pd.Series([words]).str.contains(told).all(), words


def test_a_window_that_reaches_into_the_pandemic_says_so():
    assert provinces.mixed_words(["2018-03", "2019-09"], "2020-03") == ""
    assert "1 of the 2 figures are from March 2020 on" in provinces.mixed_words(
        ["2019-09", "2020-03"], "2020-03"
    )


def test_later_gaps_are_by_year_and_may_be_none(series):
    panel = provinces.provinces(series, "31", "2018-03", "2012-09", "2021-09").panel
    later = provinces.later_gaps(panel, "DiD", "2020-03")
    assert list(later["span"]) == [
        "March 2020 and September 2020",
        "March 2021 and September 2021",
    ]
    assert ((later["lower"] < later["gap"]) & (later["gap"] < later["upper"])).all()
    assert "lay" in provinces.later_words(later, "DKI Jakarta")
    none = provinces.later_gaps(panel, "DiD", "2022-03")
    assert provinces.later_words(none, "DKI Jakarta") == "The panel ends before the pandemic."


def test_other_choices_move_the_estimate_and_are_named(series):
    data = provinces.provinces(series, "31", "2018-03", "2012-09", "2019-09")
    window = ["2018-03", "2018-09", "2019-03", "2019-09"]
    lead = sc.fit(data.panel, "DiD", outcome="p0_pct", window=window)
    made = provinces.variants(DESIGN, series, data, lead, window)
    labels = [estimate.label for estimate in made]
    assert labels == [
        "in logarithms",
        "without the neighbours Jawa Barat and Banten",
        "with provinces that lost an area",
        "figures from 2015-03 on only",
        "effect in 2018 only",
        "effect in 2019 only",
    ]
    logs = sc.fit(data.panel, "DiD", outcome="log_p0", window=window).effect
    level = lead.path["synthetic"][lead.path["after"]].mean()
    assert made[0].effect == pytest.approx(logs / 100 * level)
    by_year = np.mean([made[4].effect, made[5].effect])
    assert by_year == pytest.approx(lead.effect)
    assert "Over 6 other choices" in provinces.variant_words(made)
