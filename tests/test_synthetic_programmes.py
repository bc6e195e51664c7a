"""The made-up rollouts: what is planted is there, and each violation does what it says alone."""

import numpy as np
import pandas as pd
import pytest

from analysis import provenance, regions
from analysis.synthetic import SyntheticError
from analysis.synthetic import programmes as p

OUTCOMES = {level: [o.name for o in p.LEVELS[level].outcomes] for level in p.LEVELS}


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    """What these tests read is synthetic; other tests of this process did not read it."""
    monkeypatch.setattr(provenance, "_reads", {})


def within(level: str, outcome: str) -> float:
    return next(o.within_sd for o in p.LEVELS[level].outcomes if o.name == outcome)


def test_a_run_that_makes_one_is_synthetic():
    assert not provenance.synthetic()
    p.rollout(p.KECAMATAN)
    assert provenance.synthetic()


@pytest.mark.parametrize("level", p.LEVELS)
def test_the_panel_is_whole_and_treatment_stays_on(level):
    made = p.rollout(level)
    panel = made.panel
    assert not panel.duplicated(["unit_code", "period"]).any()
    assert len(panel) == panel["unit_code"].nunique() * panel["period"].nunique()
    assert panel.drop(columns="first_treated").notna().all().all()
    assert (panel.groupby("unit_code")["treated"].diff().dropna() >= 0).all()
    on = panel["period"] >= panel["first_treated"].astype("float64")
    assert (on == panel["treated"].eq(1)).all()
    assert set(panel["kota_code"]) <= set(regions.KOTA)
    assert (panel["poverty_pct"] > 0).all()
    assert panel["first_treated"].isna().any()
    starts = sorted(panel["first_treated"].dropna().unique())
    assert tuple(starts) == p.LEVELS[level].starts


def test_the_44_kecamatan_lie_in_the_six_kota():
    units = p.rollout(p.KECAMATAN).panel.drop_duplicates("unit_code")
    assert units["kota_code"].value_counts().to_dict() == p.KECAMATAN_COUNT


@pytest.mark.parametrize("level", p.LEVELS)
def test_the_same_seed_gives_the_same_and_another_the_same_design(level):
    one, again, other = (p.rollout(level, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one.panel, again.panel)
    design = ["unit_code", "x_km", "poverty_baseline_pct", "period", "treated", "first_treated"]
    pd.testing.assert_frame_equal(one.panel[design], other.panel[design])
    outcome = OUTCOMES[level][0]
    assert (one.panel[outcome] != other.panel[outcome]).all()


@pytest.mark.parametrize("level", p.LEVELS)
def test_what_is_planted_is_in_the_panel(level):
    with_effect, without = p.rollout(level), p.rollout(level, effect_scale=0)
    for outcome in OUTCOMES[level]:
        change = with_effect.panel[outcome] - without.panel[outcome]
        np.testing.assert_allclose(change, with_effect.effects[outcome], atol=1e-6)
        assert (with_effect.effects.loc[with_effect.panel["treated"].eq(0), outcome] == 0).all()
        assert without.att(outcome) == 0


def test_the_planted_effect_is_the_mean_of_what_is_drawn():
    drawn = []
    for seed in range(60):
        made = p.rollout(seed=seed)
        treated = made.panel["treated"].eq(1)
        drawn.append(made.effects.loc[treated, "slum_index"].mean())
    error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    assert abs(np.mean(drawn) - made.att("slum_index")) < 4 * error
    assert made.by_exposure("slum_index").abs().is_monotonic_increasing
    assert made.by_class("slum_index")["berat"] < made.by_class("slum_index")["sangat ringan"] < 0


def test_the_poor_come_first():
    units = p.rollout().panel.drop_duplicates("unit_code")
    mean = units.groupby(units["first_treated"].fillna(9999))["poverty_baseline_pct"].mean()
    assert mean[2018] > mean[2020] > mean[9999]


def test_a_hidden_trend_drifts_the_treated_only():
    calm, broken = p.rollout(effect_scale=0), p.rollout(violations=p.HIDDEN_TREND, effect_scale=0)
    change = broken.panel["work_pct"] - calm.panel["work_pct"]
    years = calm.panel["period"] - calm.panel["period"].min()
    ever = calm.panel["first_treated"].notna()
    expected = p.HIDDEN_TREND.hidden_trend * within(p.RW, "work_pct") * years * ever
    np.testing.assert_allclose(change, expected, atol=1e-9)


def test_a_poverty_trend_goes_with_poverty():
    calm, broken = p.rollout(), p.rollout(violations=p.POVERTY_TREND)
    last = calm.panel["period"].eq(calm.panel["period"].max())
    change = (broken.panel["work_pct"] - calm.panel["work_pct"])[last]
    assert change.corr(calm.panel.loc[last, "poverty_baseline_pct"]) == pytest.approx(1)


def test_anticipation_is_in_the_year_before():
    calm, broken = p.rollout(), p.rollout(violations=p.ANTICIPATION)
    change = broken.panel["slum_index"] - calm.panel["slum_index"]
    before = (calm.panel["period"] - calm.panel["first_treated"]).eq(-1).fillna(False)
    np.testing.assert_allclose(change[before], -4.0 * p.ANTICIPATION.anticipation)
    np.testing.assert_allclose(change[~before], 0, atol=1e-9)


def test_spillovers_reach_untreated_neighbours_only():
    calm, broken = p.rollout(), p.rollout(violations=p.SPILLOVER)
    change = broken.panel["slum_index"] - calm.panel["slum_index"]
    np.testing.assert_allclose(change, broken.spillovers["slum_index"], atol=1e-9)
    reached = change.abs() > 1e-6
    assert broken.panel.loc[reached, "treated"].eq(0).all()
    assert broken.spillover("slum_index") == pytest.approx(-4.0 * p.SPILLOVER.spillover)
    own = broken.panel[reached].iloc[0]
    others = broken.panel[broken.panel["period"].eq(own["period"]) & broken.panel["treated"].eq(1)]
    distance = np.hypot(others["x_km"] - own["x_km"], others["y_km"] - own["y_km"])
    assert distance.min() <= p.LEVELS[p.RW].reach_km
    untouched = ~reached & calm.panel["treated"].eq(0) & calm.panel["period"].eq(2022)
    assert untouched.sum() > 40  # far enough away from any programme


@pytest.mark.parametrize(
    ("violations", "group"), [(p.LOCAL_SHOCK, "neighbourhood"), (p.KOTA_SHOCK, "kota_code")]
)
def test_shared_shocks_are_shared(violations, group):
    calm, broken = p.rollout(), p.rollout(violations=violations)
    change = (broken.panel["work_pct"] - calm.panel["work_pct"]).round(9)
    per_group = change.groupby([broken.panel[group], broken.panel["period"]]).nunique()
    assert (per_group == 1).all() and change.nunique() > 20


def test_violations_scale():
    assert p.HIDDEN_TREND.times(0) == p.NONE
    assert p.SPILLOVER.times(2).spillover == 2 * p.SPILLOVER.spillover


def test_errors_say_what_to_do():
    with pytest.raises(SyntheticError, match="choose from rw, kecamatan"):
        p.rollout("desa")
    with pytest.raises(SyntheticError, match="at least 20"):
        p.rollout(unit_count=5)
