"""Staggered adoption against R, by hand, and on panels made to hold or to break it."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import provenance
from analysis.effects import (
    Assumption,
    Design,
    EffectsError,
    Panel,
    PanelError,
    inference,
    panel,
    staggered,
)
from analysis.synthetic import programmes

OWN = Path(__file__).parent / "fixtures/staggered"
TRENDS = "parallel trends"
DESIGN = Design(
    question="What did the programme change?",
    estimand="mean effect over treated unit-years",
    outcome="outcome",
    unit_of_effect="points",
    units="units",
    treated="those with the programme",
    treatment_start="several years",
    comparison="never treated",
    credibility="made so",
    assumptions=(Assumption(TRENDS, "leads and placebo"),),
    estimator="several",
    inference="several",
    does_not_show="anything real",
)
CONTROL = {"nevertreated": "never treated", "notyettreated": "not yet treated"}


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    monkeypatch.setattr(provenance, "_reads", {})


def places(made: programmes.Programme) -> pd.DataFrame:
    return made.panel.drop_duplicates("unit_code").set_index("unit_code")


def checked(made: programmes.Programme, cluster: str = "kota_code") -> Panel:
    return panel(
        made.panel,
        unit="unit_code",
        time="period",
        outcomes=made.outcomes,
        start="first_treated",
        cluster=cluster,
        covariates=["poverty_baseline_pct"],
    )


def made_panel(violations=programmes.NONE, **options) -> tuple[programmes.Programme, Panel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "_reads", {})
        made = programmes.rollout(violations=violations, **options)
    return made, checked(made)


class Draws:
    """Repeated draws of one small design; the panel is checked once."""

    def __init__(self, level=programmes.RW):
        self.level = level
        self.base = made_panel(level=level)[1]

    def __call__(self, seed, violations=programmes.NONE, effect_scale=1.0):
        made = programmes.rollout(self.level, violations, seed, effect_scale)
        new = {name: made.panel[name].to_numpy() for name in made.outcomes}
        return made, dataclasses.replace(self.base, table=self.base.table.assign(**new))


@pytest.fixture(scope="module")
def draws():
    return Draws()


@pytest.fixture(scope="module")
def calm():
    return made_panel(seed=1)


def near(share: float, nominal: float, count: int) -> bool:
    return abs(share - nominal) <= 3 * math.sqrt(nominal * (1 - nominal) / count)


# ---- against R ------------------------------------------------------------------------------


@pytest.mark.parametrize("control", CONTROL)
@pytest.mark.parametrize("covariates", ["none", "lpop"])
def test_mpdta_agrees_with_r(shared, control, covariates):
    table = pd.read_csv(shared / "reference/impact/mpdta.csv", dtype={"countyreal": "str"})
    counties = panel(
        table,
        unit="countyreal",
        time="year",
        outcomes="lemp",
        start="first.treat",
        covariates=["lpop"],
        pre_periods=1,
    )
    fit = staggered.callaway_santanna(
        DESIGN,
        counties,
        comparison=CONTROL[control],
        covariates=[] if covariates == "none" else [covariates],
        base="varying",
    )
    reference = pd.read_csv(shared / "reference/impact/mpdta_aggte_ref.csv", dtype={"e": "str"})
    own = reference.query("control == @control and xformla == @covariates and est == 'dr'")
    own = own.set_index(["type", "e"])
    simple = own.loc[("simple", "overall")]
    assert fit.estimate.effect == pytest.approx(simple["att"], abs=1e-5)
    assert fit.estimate.standard_error == pytest.approx(simple["se"], abs=1e-4)
    study = fit.event_study.set_index("exposure")
    for exposure in range(-3, 4):
        expected = own.loc[("dynamic", str(exposure))]
        assert study.loc[exposure, "effect"] == pytest.approx(expected["att"], abs=1e-5)
        assert study.loc[exposure, "standard_error"] == pytest.approx(expected["se"], abs=1e-4)
    after = study.loc[0:, "effect"].mean()
    assert after == pytest.approx(own.loc[("dynamic", "overall"), "att"], abs=1e-5)


@pytest.fixture(scope="module")
def own_panel():
    table = pd.read_csv(OWN / "staggered.csv", dtype={"unit": "str"})
    return panel(table, time="period", outcomes="y", start="first_treated", covariates=["x"])


@pytest.mark.parametrize("control", CONTROL)
@pytest.mark.parametrize("covariates", ["none", "x"])
def test_own_reference_data_agree_with_r(own_panel, control, covariates):
    fit = staggered.callaway_santanna(
        DESIGN,
        own_panel,
        comparison=CONTROL[control],
        covariates=[] if covariates == "none" else [covariates],
        base="varying",
    )
    reference = pd.read_csv(OWN / "staggered_R_did.csv")
    own = reference.query("control == @control and covariates == @covariates")
    simple = own[own["what"] == "simple"].iloc[0]
    assert fit.estimate.effect == pytest.approx(simple["att"], abs=1e-5)
    assert fit.estimate.standard_error == pytest.approx(simple["se"], abs=1e-4)
    dynamic = own[own["what"] == "dynamic"].iloc[0]
    study = fit.event_study.set_index("exposure")
    assert study.loc[0:, "effect"].mean() == pytest.approx(dynamic["att"], abs=1e-5)
    cells = own[own["what"] == "att_gt"].set_index(["group", "period"])
    for key, cell in fit.result.group_time_effects.items():
        assert cell["effect"] == pytest.approx(cells.loc[key, "att"], abs=1e-5)
        assert cell["se"] == pytest.approx(cells.loc[key, "se"], abs=1e-4)


def test_sun_abraham_is_callaway_santanna_without_covariates(calm):
    _, own = calm
    one = staggered.callaway_santanna(DESIGN, own).event_study
    other = staggered.sun_abraham(DESIGN, own).event_study
    merged = one.merge(other, on="exposure")
    assert len(merged) == len(one)
    np.testing.assert_allclose(merged["effect_x"], merged["effect_y"], atol=1e-8)


def test_imputation_is_the_mean_gap_to_the_untreated_rows(own_panel):
    """By the definition: fixed effects by least squares on untreated rows, then the mean gap."""
    table = own_panel.table
    dummies = pd.get_dummies(table[["unit", "t"]].astype("str"), dtype=float).to_numpy()
    untreated = table["treated"].to_numpy() == 0
    y = table["y"].to_numpy()
    effects = np.linalg.lstsq(dummies[untreated], y[untreated], rcond=None)[0]
    gap = (y - dummies @ effects)[~untreated].mean()
    assert staggered.imputation(DESIGN, own_panel).estimate.effect == pytest.approx(gap, abs=1e-6)


# ---- by hand --------------------------------------------------------------------------------


def test_spatial_errors_by_hand():
    """Two periods, one start: the regression of differences, its Conley sandwich in two loops."""
    random = np.random.default_rng(5)
    units = [f"u{i}" for i in range(12)]
    place = pd.DataFrame(random.uniform(0, 3, (12, 2)), index=units, columns=["x_km", "y_km"])
    on = np.repeat([1, 0], 6)
    y = random.normal(size=(12, 2)) + np.outer(on, [0, 1.0])
    table = pd.DataFrame(
        {
            "unit": np.repeat(units, 2),
            "time": np.tile([2017, 2018], 12),
            "y": y.ravel(),
            "start": np.repeat(np.where(on == 1, 2018, 0), 2),
        }
    )
    own = panel(table, outcomes="y", start="start", pre_periods=1)
    fit = staggered.sun_abraham(DESIGN, own, places=place, cutoff_km=1.5, lags=0).estimate
    rise = y[:, 1] - y[:, 0]
    effect = rise[on == 1].mean() - rise[on == 0].mean()
    assert fit.effect == pytest.approx(effect, abs=1e-10)
    residual = rise - np.where(on == 1, rise[on == 1].mean(), rise[on == 0].mean())
    # Within units and periods: regressor and residual are halves of the differences.
    x, e = (on - on.mean()) / 2, residual / 2
    meat = 0.0
    at = place.to_numpy()
    for i in range(12):
        for j in range(12):
            distance = math.dist(at[i], at[j])
            meat += 2 * max(0.0, 1 - distance / 1.5) * x[i] * e[i] * x[j] * e[j]
    by_hand = math.sqrt(meat) / (2 * (x**2).sum())
    assert fit.standard_error == pytest.approx(by_hand, rel=1e-6)


def test_bacon_adds_up_to_two_way_fixed_effects(calm):
    _, own = calm
    parts = staggered.bacon(DESIGN, own)
    assert parts["weight"].sum() == pytest.approx(1)
    assert parts["forbidden"].sum() == 1 and parts.loc[parts["forbidden"], "weight"].item() > 0
    found = staggered.two_way(DESIGN, own).effect
    assert (parts["weight"] * parts["estimate"]).sum() == pytest.approx(found, abs=1e-8)


def test_two_way_fixed_effects_mislead_where_effects_grow():
    """Without noise: effects grow, all are treated in the end, and the early serve as comparison."""
    rows = [
        (f"{g}-{i}", t, g, float(max(0, t - g + 1)))
        for g in (3, 7)
        for i in range(4)
        for t in range(1, 11)
    ]
    table = pd.DataFrame(rows, columns=["unit", "time", "start", "y"])
    own = panel(table, outcomes="y", start="start", comparison="not yet treated")
    truth = table.loc[table["time"] >= table["start"], "y"].mean()
    assert staggered.two_way(DESIGN, own).effect < 0.5 * truth
    fit = staggered.callaway_santanna(DESIGN, own, comparison="not yet treated")
    study = fit.event_study.set_index("exposure")["effect"]
    np.testing.assert_allclose(study.loc[0:3], [1, 2, 3, 4], atol=1e-9)


def test_the_joint_test_of_leads_by_hand(calm):
    _, own = calm
    fit = staggered.callaway_santanna(DESIGN, own)
    tested = [-5, -4, -3, -2]
    effect = fit.event_study.set_index("exposure").loc[tested, "effect"].to_numpy()
    inverse = np.linalg.inv(fit.covariance.loc[tested, tested])
    n = len(own.units)
    f = effect @ inverse @ effect * (n - 4) / (4 * (n - 1))
    found = staggered.pre_trend(fit, TRENDS)
    assert found.statistic == pytest.approx(f)
    assert found.p_value == pytest.approx(stats.f.sf(f, 4, n - 4))


def test_honest_bounds_widen_and_break_down(calm):
    _, own = calm
    fit = staggered.callaway_santanna(DESIGN, own)
    table, breakdown = staggered.honest(fit)
    width = table["upper"] - table["lower"]
    assert width.is_monotonic_increasing and table["m"].iloc[0] == 0
    # Under parallel trends: the mean over exposures with its usual interval.
    post = [e for e in fit.covariance.index if e >= 0]
    mean = fit.event_study.set_index("exposure").loc[post, "effect"].mean()
    error = math.sqrt(fit.covariance.loc[post, post].to_numpy().mean())
    assert table.loc[0, "lower"] == pytest.approx(mean - 1.96 * error, rel=1e-3)
    outside = table[table["m"] < breakdown]
    assert (outside["upper"] < 0).all() and breakdown > 0
    _, own = made_panel(seed=1, effect_scale=0.0)
    assert staggered.honest(staggered.callaway_santanna(DESIGN, own))[1] == 0


def test_effects_of_groups_are_those_planted(calm):
    made, own = calm
    table, p = staggered.by_group(DESIGN, own, places(made)["class"])
    planted = made.by_class("slum_index")
    z = (table.set_index("group")["effect"] - planted) / table.set_index("group")["standard_error"]
    assert z.abs().max() < 3.5
    assert p < 0.05  # planted: 1.4 to 0.6 times the effect
    lonely = places(made)["class"].copy()
    lonely.iloc[0] = "alone"
    table, _ = staggered.by_group(DESIGN, own, lonely)
    assert table.set_index("group").loc["alone", "effect":"upper"].isna().all()


# ---- when the assumptions hold, and when they do not ----------------------------------------


def test_intervals_hold_the_planted_effect(draws):
    hits = {"cs": [], "sa": [], "imputation": []}
    for seed in range(60):
        made, own = draws(seed)
        found = {
            "cs": staggered.callaway_santanna(DESIGN, own, "poverty_pct"),
            "sa": staggered.sun_abraham(DESIGN, own, "poverty_pct"),
        }
        if seed < 15:
            found["imputation"] = staggered.imputation(DESIGN, own, "poverty_pct")
        truth = made.att("poverty_pct")
        for name, fit in found.items():
            hits[name].append(fit.estimate.lower <= truth <= fit.estimate.upper)
    for name, own in hits.items():
        assert near(np.mean(own), 0.95, len(own)), name


def test_tests_of_assumptions_that_hold_fail_at_their_size(draws):
    failed = {"leads": [], "placebo": [], "anticipation": []}
    for seed in range(60):
        _, own = draws(seed)
        fit = staggered.callaway_santanna(DESIGN, own, "work_pct")
        failed["leads"].append(not staggered.pre_trend(fit, TRENDS).passed)
        placebo = staggered.placebo_in_time(DESIGN, own, TRENDS, "work_pct")
        failed["placebo"].append(not placebo.passed)
        early = staggered.no_anticipation(DESIGN, own, TRENDS, "work_pct")
        failed["anticipation"].append(not early.passed)
    for name, own in failed.items():
        assert near(np.mean(own), 0.05, len(own)), name


@pytest.mark.parametrize(
    ("violation", "test"),
    [
        (programmes.HIDDEN_TREND, "leads"),
        (programmes.POVERTY_TREND, "leads"),
        (programmes.HIDDEN_TREND, "placebo"),
        (programmes.ANTICIPATION, "anticipation"),
        (programmes.SPILLOVER, "spillover"),
    ],
)
def test_a_broken_panel_is_flagged(draws, violation, test):
    """At the sizes fixed beforehand, in four draws of five at least."""
    flagged = []
    for seed in range(8):
        made, own = draws(seed, violation)
        if test == "leads":
            found = staggered.pre_trend(staggered.callaway_santanna(DESIGN, own), TRENDS)
        elif test == "placebo":
            found = staggered.placebo_in_time(DESIGN, own, TRENDS)
        elif test == "anticipation":
            found = staggered.no_anticipation(DESIGN, own, TRENDS)
        else:
            table = staggered.rings(DESIGN, own, places(made), (0, 1, 2.7))
            found = staggered.no_spillover(table, DESIGN, TRENDS)
        flagged.append(not found.passed)
    assert np.mean(flagged) >= 0.6


def test_trends_that_follow_poverty_need_it_as_a_covariate(draws):
    without, given = [], []
    for seed in range(12):
        made, own = draws(seed, programmes.POVERTY_TREND)
        truth = made.att("slum_index")
        for errors, covariates in ((without, []), (given, ["poverty_baseline_pct"])):
            fit = staggered.callaway_santanna(DESIGN, own, covariates=covariates)
            errors.append((fit.estimate.effect - truth) / fit.estimate.standard_error)
    assert abs(np.mean(without)) > 2 > 3 * abs(np.mean(given))


def test_rings_repair_what_spillovers_spoil(draws):
    spoilt, repaired, ring = [], [], []
    for seed in range(6):
        made, own = draws(seed, programmes.SPILLOVER)
        truth = made.att("slum_index")
        spoilt.append(staggered.callaway_santanna(DESIGN, own).estimate.effect - truth)
        table = staggered.rings(DESIGN, own, places(made), (0, 1, 2.7))
        repaired.append(table.loc[0, "effect"] - truth)
        ring.append(table.loc[1, "effect"])
    assert abs(np.mean(repaired)) < 0.5 * abs(np.mean(spoilt))
    assert np.mean(ring) == pytest.approx(made.spillover("slum_index"), abs=0.5)


# ---- few clusters, many outcomes ------------------------------------------------------------


def test_the_stacked_regression_by_hand(own_panel):
    """Treatment in a regression on effects of units and periods of each stack."""
    table = own_panel.table
    stacks = [table[table["first_t"].isin([0, g])].assign(stack=str(g)) for g in (3, 5)]
    both = pd.concat(stacks, ignore_index=True)
    keys = pd.DataFrame({k: both["stack"] + both[k].astype("str") for k in ("unit", "t")})
    x = np.column_stack([both["treated"], pd.get_dummies(keys, dtype=float)])
    expected = np.linalg.lstsq(x, both["y"].to_numpy(), rcond=None)[0][0]
    found = inference.many_outcomes(DESIGN, own_panel, replicates=99)
    assert found["effect"].item() == pytest.approx(expected, abs=1e-8)
    assert found["p_romano_wolf"].item() == pytest.approx(0.01)  # the least with 99 draws


def test_few_clusters_widen_the_interval(calm):
    """Shocks of whole kota: errors by unit are too small, those over six kota are not."""
    found = inference.wild_bootstrap(DESIGN, calm[1], replicates=199, seed=1)
    assert "6 clusters" in found.inference and found.lower < found.effect < found.upper
    assert (found.p_value < 0.05) == found.excludes_zero
    _, own = made_panel(seed=3, violations=programmes.KOTA_SHOCK.times(3))
    wild = inference.wild_bootstrap(DESIGN, own, replicates=199)
    usual = staggered.callaway_santanna(DESIGN, own).estimate
    assert wild.upper - wild.lower > usual.upper - usual.lower


def test_romano_wolf_by_hand():
    """Ten draws: the largest of those not yet rejected counts, and p-values never fall."""
    draws = np.array([[i / 2, i / 4, 0.1] for i in range(10)])
    t = np.array([1.0, -4.2, 0.2])
    # Order by size: 4.2 (second), 1.0 (first), 0.2 (third).
    # Step 1: the largest of all three reaches 4.2 in one draw (4.5): (1 + 1) / 11.
    # Step 2: of first and third, at least 1.0: i >= 2, eight draws: 9 / 11.
    # Step 3: of third alone, at least 0.2: none: 1 / 11, raised to 9 / 11.
    found = inference.romano_wolf(t, draws)
    np.testing.assert_allclose(found, [9 / 11, 2 / 11, 9 / 11])


def test_many_outcomes_keep_the_null_and_find_the_rest(calm):
    found = inference.many_outcomes(DESIGN, calm[1], replicates=499).set_index("outcome")
    assert found.loc["slum_index", "p_romano_wolf"] < 0.05
    assert found.loc["income_rp", "p_romano_wolf"] > 0.05  # planted: nothing
    assert (found["p_romano_wolf"] >= found["p_value"] - 0.05).all()
    assert (found["p_benjamini_hochberg"] >= found["p_value"] - 1e-12).all()


# ---- what cannot be evaluated ---------------------------------------------------------------


def spoiled(made: programmes.Programme, how: str) -> pd.DataFrame:
    table = made.panel.copy()
    if how == "twice":
        return pd.concat([table, table.head(1)])
    if how == "off":
        unit = table.loc[table["treated"].eq(1), "unit_code"].iloc[0]
        table.loc[table["unit_code"].eq(unit) & table["period"].eq(2022), "treated"] = 0
    if how == "all":
        table["treated"] = (table["period"] >= 2018).astype(int)
    if how == "late":
        return table[table["period"] >= 2017]
    return table


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("twice", "repeat a unit and period"),
        ("off", "switches off"),
        ("all", "no unit is untreated"),
        ("late", "1 period before the earliest start"),
        ("codes", "no BPS codes of a rw"),
    ],
)
def test_bad_panels_end_in_a_clear_error(calm, how, told):
    with pytest.raises(PanelError, match=told):
        panel(
            spoiled(calm[0], how),
            unit="unit_code",
            time="period",
            outcomes="slum_index",
            treated="treated",
            level="rw" if how == "codes" else None,
        )


def test_requests_that_cannot_be_met(calm):
    made, own = calm
    s = staggered
    with pytest.raises(EffectsError, match="declare the design"):
        s.callaway_santanna("no design", own)
    with pytest.raises(EffectsError, match="check the panel first"):
        s.callaway_santanna(DESIGN, own.table)
    with pytest.raises(EffectsError, match="no outcome 'rent'"):
        s.imputation(DESIGN, own, "rent")
    with pytest.raises(EffectsError, match="no covariate 'rent'"):
        s.callaway_santanna(DESIGN, own, covariates=["rent"])
    with pytest.raises(EffectsError, match="have no place"):
        s.sun_abraham(DESIGN, own, places=places(made).iloc[1:], cutoff_km=1)
    with pytest.raises(EffectsError, match="cutoff_km"):
        s.sun_abraham(DESIGN, own, places=places(made))
    with pytest.raises(EffectsError, match="do not ascend"):
        s.rings(DESIGN, own, places(made), (1, 0))
    with pytest.raises(EffectsError, match="cannot be told from the effect"):
        s.rings(DESIGN, own, places(made), (0, 500))
    with pytest.raises(EffectsError, match="have no group"):
        s.by_group(DESIGN, own, places(made)["class"].iloc[1:])
    with pytest.raises(EffectsError, match="before its start"):
        s.placebo_in_time(DESIGN, own, TRENDS, shift=20)
    with pytest.raises(EffectsError, match="no covariance"):
        s.pre_trend(s.imputation(DESIGN, own), TRENDS)
    with pytest.raises(EffectsError, match="universal"):
        s.honest(s.callaway_santanna(DESIGN, own, base="varying"))
    with pytest.raises(EffectsError, match="too few for any bootstrap"):
        inference.wild_bootstrap(
            DESIGN, dataclasses.replace(own, table=own.table.assign(cluster="one"))
        )
