"""Regression discontinuity and kink against rdrobust, and on registers with planted effects."""

import numpy as np
import pandas as pd
import pytest

from analysis import paths, provenance, synthetic
from analysis.effects import Assumption, Design, EffectsError
from analysis.effects import discontinuity as rd
from analysis.synthetic import scores

FIXTURES = paths.ROOT / "tests" / "fixtures"
DESIGN = Design(
    question="What changes at the cut-off?",
    estimand="mean effect at the cut-off",
    outcome="outcome",
    unit_of_effect="points",
    units="persons",
    treated="those on one side",
    treatment_start="once",
    comparison="those on the other",
    credibility="made so",
    assumptions=(Assumption(rd.DENSITY, "density test"),),
    estimator="regression discontinuity",
    inference="robust bias-corrected",
    does_not_show="anything else",
)
SHARP = rd.Rule("score", 0.0, rd.ABOVE)
FUZZY = rd.Rule("score", 0.0, rd.ABOVE, "taken")
LICENCE = rd.Rule("score", scores.LICENCE_CUTOFF, rd.ABOVE, "licensed")
FOOD = rd.Rule("score", scores.FOOD_KINK, takeup="food_aid_rp", window=scores.FOOD_WINDOW)


@pytest.fixture(autouse=True)
def _own_reads(monkeypatch):
    """What these tests make up is no reading of other tests."""
    monkeypatch.setattr(provenance, "_reads", {})


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(FIXTURES / "discontinuity.csv")


@pytest.fixture(scope="module")
def reference():
    """Of rdrobust 2.1.1 and rddensity 3.0 (Python), computed once on the same file."""
    table = pd.read_csv(FIXTURES / "discontinuity_rdrobust.csv")
    return table.set_index(["case", "quantity"])["value"]


@pytest.fixture(scope="module")
def applicants():
    return scores.applicants(2_000, seed=3)


@pytest.mark.parametrize(
    ("case", "rule", "options"),
    [
        ("sharp", SHARP, {}),
        ("fuzzy", FUZZY, {}),
        ("covariate", SHARP, {"covariates": ["age"]}),
        ("cut_at_5", rd.Rule("score", 5.0, rd.ABOVE), {}),
    ],
)
def test_it_agrees_with_rdrobust(data, reference, case, rule, options):
    found = rd.fit(data, rule, "outcome", **options)
    own = reference[case]
    assert found.att_conventional == pytest.approx(own["conventional"], rel=1e-7)
    assert found.h_left == pytest.approx(own["h"], rel=1e-7)
    assert found.b_left == pytest.approx(own["b"], rel=1e-7)
    assert (found.n_h_left, found.n_h_right) == (own["n_h_left"], own["n_h_right"])
    estimate = rd.effect(DESIGN, data, rule, "outcome", **options)
    assert estimate.effect == pytest.approx(own["bias_corrected"], rel=1e-7)
    assert estimate.standard_error == pytest.approx(own["se_robust"], rel=1e-7)
    assert estimate.lower == pytest.approx(own["ci_low"], rel=1e-6)
    assert estimate.upper == pytest.approx(own["ci_high"], rel=1e-6)


def test_the_density_test_agrees_with_rddensity(data, reference):
    found = rd.density(data, SHARP)
    assert found.statistic == pytest.approx(reference["density"]["t"], rel=1e-6)
    assert found.p_value == pytest.approx(reference["density"]["p"], rel=1e-6)


def test_the_kink_agrees_with_rdrobust(data, reference):
    rule = rd.Rule("score", 0.0, rd.ABOVE, slope_change=-2.0)
    found = rd.kink(DESIGN, data, rule, "outcome", bandwidth=30)
    own = reference["kink_hc1"]
    assert -2 * found.effect == pytest.approx(own["bias_corrected"], rel=1e-7)
    # HC1 counts parameters on both sides together, rdrobust on each side.
    assert 2 * found.standard_error == pytest.approx(own["se_robust"], rel=1e-4)


def test_the_side_is_only_a_matter_of_words(data):
    mirrored = data.assign(score=-data["score"])
    one = rd.effect(DESIGN, data, SHARP, "outcome")
    other = rd.effect(DESIGN, mirrored, rd.Rule("score", 0.0, rd.BELOW), "outcome")
    assert other.effect == pytest.approx(one.effect)
    kink = {"outcome": "outcome", "bandwidth": 30}
    above = rd.kink(DESIGN, data, rd.Rule("score", 0, rd.ABOVE, slope_change=1), **kink)
    below = rd.kink(DESIGN, mirrored, rd.Rule("score", 0, rd.BELOW, slope_change=1), **kink)
    assert below.effect == pytest.approx(above.effect)


def test_a_score_at_the_cutoff_is_treated():
    table = pd.DataFrame({"score": np.arange(200.0)})
    for side, count in ((rd.ABOVE, 100), (rd.BELOW, 101)):
        own = rd.near(table, rd.Rule("score", 100.0, side))
        assert (own["running"] >= 0).sum() == count


def test_other_choices_begin_with_the_declared_one(applicants):
    lead = rd.effect(DESIGN, applicants, LICENCE, "income_rp")
    assert abs(lead.effect - scores.LICENCE_INCOME_RP) < 3 * lead.standard_error
    (same,) = rd.bandwidths(DESIGN, applicants, LICENCE, "income_rp", [1.0])
    assert same.effect == pytest.approx(lead.effect)
    assert rd.bandwidths(DESIGN, applicants, LICENCE, "income_rp", [0.01]) == []
    near, far = rd.donuts(DESIGN, applicants, LICENCE, "income_rp", [0.0, 2.0])
    assert near.effect == pytest.approx(lead.effect)
    assert far.effect != pytest.approx(lead.effect)


@pytest.mark.parametrize("violation", [None, scores.MANIPULATION, scores.OTHER_PROGRAMME])
def test_checks_flag_what_was_broken(violation):
    made = scores.applicants(3_000, seed=11, violation=violation)
    sorting = rd.density(made, LICENCE)
    assert sorting.passed == (violation != scores.MANIPULATION)
    others = rd.balance(made, LICENCE, ["age", "schooling_years", "other_aid"])
    if violation == scores.OTHER_PROGRAMME:
        assert not others.passed and "other aid" in others.words
    if violation is None:
        assert others.passed
        assert rd.first_stage(made, LICENCE).passed


def test_no_first_stage_is_seen(applicants):
    random = np.random.default_rng(1)
    chance = applicants.assign(licensed=random.integers(0, 2, len(applicants)))
    assert not rd.first_stage(chance, LICENCE).passed
    assert rd.first_stage(applicants, rd.without_takeup(LICENCE)).passed is None
    aid = scores.register(4_000, seed=1)
    aid["food_aid_rp"] = random.permutation(aid["food_aid_rp"])
    assert not rd.kink_first_stage(aid, FOOD, "food_rp").passed


def test_placebos_use_one_side_only(applicants):
    table = rd.placebo_cutoffs(applicants, LICENCE, "income_rp", [45.0, 75.0])
    spoilt = applicants.copy()
    spoilt.loc[spoilt["score"] >= LICENCE.cutoff, "income_rp"] += 10_000_000
    other = rd.placebo_cutoffs(spoilt, LICENCE, "income_rp", [45.0, 75.0])
    np.testing.assert_allclose(other["jump"], table["jump"], rtol=1e-6)
    shifted = applicants.copy()
    shifted.loc[shifted["score"] >= 75, "income_rp"] += 2_000_000
    assert not rd.placebo(shifted, LICENCE, "income_rp", [45.0, 75.0]).passed
    with pytest.raises(EffectsError, match="the cut-off itself"):
        rd.placebo_cutoffs(applicants, LICENCE, "income_rp", [LICENCE.cutoff])


def test_kinks_hold_what_was_planted():
    inside, flagged = [], []
    for seed in range(20):
        made = scores.register(6_000, seed)
        found = rd.kink(DESIGN, made, FOOD, "food_rp")
        inside.append(found.lower <= scores.FOOD_PER_RUPIAH <= found.upper)
        flagged.append(not rd.kink_balance(made, FOOD, ["head_age", "household_size"]).passed)
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 20)
    assert np.mean(flagged) <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 20)


def test_jumps_hold_what_was_planted():
    inside = []
    for seed in range(30):
        made = scores.applicants(1_200, seed)
        found = rd.effect(DESIGN, made, LICENCE, "income_rp")
        inside.append(found.lower <= scores.LICENCE_INCOME_RP <= found.upper)
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 30)


def test_power_is_near_that_of_the_error(applicants):
    error = rd.effect(DESIGN, applicants, LICENCE, "income_rp").standard_error
    found = rd.power_of(DESIGN, applicants, LICENCE, "income_rp", replicates=40)
    assert found.detectable.effect == pytest.approx(2.8 * error, rel=0.3)
    made = scores.register(6_000, seed=1)
    error = rd.kink(DESIGN, made, FOOD, "food_rp").standard_error
    found = rd.kink_power(DESIGN, made, FOOD, "food_rp", replicates=40)
    assert found.detectable.effect == pytest.approx(2.8 * error, rel=0.3)


@pytest.mark.parametrize(
    ("change", "rule", "says"),
    [
        (lambda d: d.drop(columns="licensed"), LICENCE, "no column 'licensed'"),
        (lambda d: d.assign(licensed=0), LICENCE, "nobody near the cut-off is treated"),
        (lambda d: d.assign(licensed=1), LICENCE, "everybody near the cut-off"),
        (lambda d: d, rd.Rule("score", 600.0, rd.ABOVE), "outside the scores"),
        (lambda d: d, rd.Rule("score", 98.0, rd.ABOVE), "too few near the cut-off"),
        (lambda d: d.assign(income_rp=d["income_rp"].where(d["age"] > 30)), LICENCE, "income_rp"),
        (lambda d: d.iloc[:0], LICENCE, "no rows"),
    ],
)
def test_what_cannot_be_estimated_is_said(applicants, change, rule, says):
    with pytest.raises(EffectsError, match=says):
        rd.effect(DESIGN, change(applicants), rule, "income_rp")


def test_too_few_within_the_bandwidth(applicants):
    with pytest.raises(rd.TooFew, match="wider bandwidth"):
        rd.effect(DESIGN, applicants, LICENCE, "income_rp", bandwidth=0.1)
    with pytest.raises(rd.TooFew, match="near the kink"):
        rule = rd.Rule("score", 60.0, rd.ABOVE, slope_change=1.0)
        rd.kink(DESIGN, applicants, rule, "income_rp", bandwidth=0.1)


def test_a_rule_makes_sense():
    with pytest.raises(EffectsError, match="neither"):
        rd.Rule("score", 0.0, "left")
    with pytest.raises(EffectsError, match="window"):
        rd.Rule("score", 0.0, window=(1.0, 2.0))
    with pytest.raises(EffectsError, match="kink"):
        rd.Rule("score", 0.0, slope_change=0.0)
    with pytest.raises(EffectsError, match="needs the slope change"):
        rd.kink(DESIGN, pd.DataFrame(), SHARP, "outcome")


def test_made_up_registers_are_marked_and_repeat():
    for make in (scores.register, scores.applicants, scores.participants):
        one = make(500, seed=4)
        assert provenance.synthetic()
        pd.testing.assert_frame_equal(one, make(500, seed=4))
        assert not one.equals(make(500, seed=5))
        with pytest.raises(synthetic.SyntheticError, match="violation"):
            make(500, violation="bad luck")
        with pytest.raises(synthetic.SyntheticError, match="count 0"):
            make(0)
