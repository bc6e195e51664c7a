"""Matching and weighting on persons with planted effects, and the registers they come from."""

import numpy as np
import pandas as pd
import pytest
from test_effects_discontinuity import _own_reads  # noqa: F401

from analysis import display, provenance, regions
from analysis.effects import Assumption, Design, EffectsError, matching, registers
from analysis.synthetic import scores

OUTCOMES = ["works", "income_rp", "poor", "income_before_rp"]
DESIGN = Design(
    question="Did the training raise income?",
    estimand="mean effect on the trained",
    outcome="income",
    unit_of_effect="rupiah",
    units="persons",
    treated="the trained",
    treatment_start="once",
    comparison="others like them",
    credibility="made so",
    assumptions=(Assumption(matching.UNMEASURED, "placebo outcome"),),
    estimator="matching",
    inference="normal approximation",
    does_not_show="anything else",
)


def people(seed, violation=None, count=1_000, size=1.0):
    made = scores.participants(count, seed, violation, size)
    return matching.groups(made, "trained", scores.COVARIATES, OUTCOMES)


@pytest.fixture(scope="module")
def groups():
    return people(7, count=1_500)


def test_entropy_weights_balance_exactly(groups):
    table = matching.balance(groups)
    assert table["difference_before"].abs().max() > 0.3
    assert table["difference_after"].abs().max() < 1e-6
    assert matching.balanced(groups).passed
    none = matching.balance(groups, np.ones(len(groups.table)))
    np.testing.assert_allclose(none["difference_after"], none["difference_before"])
    assert not matching.balanced(groups, np.ones(len(groups.table))).passed
    weights = matching.weights(groups, matching.IPW)
    assert weights[~groups.is_treated].sum() == pytest.approx(groups.is_treated.sum())
    assert matching.balance(groups, weights)["difference_after"].abs().max() < 0.1


def test_the_methods_agree_with_one_another(groups):
    found = {m: matching.estimate(DESIGN, groups, "income_rp", m) for m in matching.METHODS}
    lead = found[matching.ENTROPY]
    assert lead.lower < scores.TRAINING_INCOME_RP < lead.upper
    # Both are doubly robust with the same linear outcome model.
    other = found[matching.DOUBLY_ROBUST]
    assert other.effect == pytest.approx(lead.effect, rel=0.01)
    assert other.standard_error == pytest.approx(lead.standard_error, rel=0.05)
    for estimate in found.values():
        assert abs(estimate.effect - lead.effect) < 2 * estimate.standard_error


def test_nearest_neighbours_by_hand():
    """One covariate, one match each: the estimate before and after adjustment can be counted."""
    x = np.r_[np.linspace(0, 1, 40), np.linspace(0, 1, 40)]
    treated = np.r_[np.ones(40), np.zeros(40)]
    noise = 0.1 * np.tile([1.0, -1.0], 40)
    data = pd.DataFrame({"x": x, "treated": treated, "y": 3 * x + 5 * treated + noise})
    groups = matching.groups(data, "treated", ["x"], ["y"])
    found = matching.estimate(DESIGN, groups, "y", matching.NEAREST)
    assert found.effect == pytest.approx(5)  # each has its twin, with the same noise
    # Circumstances apart by 0.1 leave a distance of 0.3 that the adjustment takes out.
    apart = data.assign(x=x + 0.1 * treated, y=data["y"] + 0.3 * treated)
    groups = matching.groups(apart, "treated", ["x"], ["y"])
    found = matching.estimate(DESIGN, groups, "y", matching.NEAREST)
    assert found.effect == pytest.approx(5, abs=0.08)
    exact = data.assign(y=data["x"])
    with pytest.raises(EffectsError, match="nothing to infer"):
        groups = matching.groups(exact, "treated", ["x"], ["y"])
        matching.estimate(DESIGN, groups, "y", matching.NEAREST)


@pytest.mark.parametrize("method", [matching.ENTROPY, matching.NEAREST])
def test_intervals_hold_what_was_planted(method):
    inside = []
    for seed in range(40):
        found = matching.estimate(DESIGN, people(seed, count=600), "income_rp", method)
        inside.append(found.lower <= scores.TRAINING_INCOME_RP <= found.upper)
    error = np.sqrt(0.95 * 0.05 / 40)
    assert 0.95 - 3 * error <= np.mean(inside)


def test_checks_flag_what_was_broken():
    passed = [matching.placebo(people(s, count=600), "income_before_rp").passed for s in range(40)]
    assert np.mean(passed) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 40)
    hidden = people(1, scores.HIDDEN_SELECTION)
    assert not matching.placebo(hidden, "income_before_rp").passed
    assert matching.overlap(hidden).passed
    apart = people(1, scores.NO_OVERLAP)
    assert not matching.overlap(apart).passed
    assert matching.effective(apart) < matching.effective(hidden) / 4


def test_treatment_certain_from_covariates_is_an_error():
    made = scores.participants(500, 1)
    made["trained"] = (made["schooling_years"] > 10).astype(int)
    with pytest.raises(EffectsError, match="decide treatment completely"):
        matching.groups(made, "trained", scores.COVARIATES, OUTCOMES)


def test_rosenbaum_at_one_is_the_signed_rank_test(groups):
    from scipy import stats

    pairs = matching._pairs(groups, "income_rp")
    table = matching.rosenbaum(groups, "income_rp", [1.0, 1.5, 3.0])
    known = stats.wilcoxon(pairs, alternative="greater", method="asymptotic", correction=False)
    assert table["p_value"][0] == pytest.approx(known.pvalue, rel=1e-6)
    assert table["p_value"].is_monotonic_increasing
    gamma = matching.critical_gamma(groups, "income_rp")
    (at,) = matching.rosenbaum(groups, "income_rp", [gamma])["p_value"]
    assert gamma > 1 and at == pytest.approx(0.05, abs=0.02)


def test_oster_at_delta_leaves_nothing(groups):
    found = matching.oster(groups, "income_rp")
    assert found.without > found.effect > found.bound
    gained = found.r_squared - found.r_squared_without
    left = found.r_squared_max - found.r_squared
    moved = found.without - found.effect
    assert found.effect - found.delta * moved * left / gained == pytest.approx(0, abs=1)


def test_many_outcomes_count_themselves(groups):
    table = matching.many_outcomes(groups, ["works", "income_rp", "poor"], replicates=500)
    alone = matching.estimate(DESIGN, groups, "income_rp")
    assert table["effect"][1] == pytest.approx(alone.effect)
    assert table["standard_error"][1] == pytest.approx(alone.standard_error)
    assert (table["p_romano_wolf"] >= table["p_value"] - 0.02).all()
    with pytest.raises(EffectsError, match="was not named"):
        matching.many_outcomes(groups, ["height"])


def test_power_is_that_of_the_error(groups):
    error = matching.estimate(DESIGN, groups, "income_rp").standard_error
    found = matching.power_of(DESIGN, groups, "income_rp", replicates=100)
    assert found.detectable.effect == pytest.approx(2.8 * error, rel=0.2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.drop(columns="age"), "no column 'age'"),
        (lambda d: d.assign(trained=0), "nobody is treated"),
        (lambda d: d.assign(trained=1), "everybody is treated"),
        (lambda d: d.assign(trained=2), "0 or 1"),
        (lambda d: d.assign(trained=(np.arange(len(d)) < 5).astype(int)), "5 treated"),
        (lambda d: d.assign(age=40), "constant"),
        (lambda d: d.assign(age=d["schooling_years"]), "follows from others"),
        (lambda d: d.assign(age=d["age"].where(d["female"] == 1)), r"age \("),
    ],
)
def test_what_cannot_be_matched_is_said(change, says):
    with pytest.raises(EffectsError, match=says):
        matching.groups(change(scores.participants(300)), "trained", scores.COVARIATES, OUTCOMES)


def test_requests_are_checked(groups):
    with pytest.raises(EffectsError, match="unknown"):
        matching.estimate(DESIGN, groups, "income_rp", "magic")
    with pytest.raises(EffectsError, match="was not named"):
        matching.estimate(DESIGN, groups, "height")
    with pytest.raises(EffectsError, match="is a covariate"):
        matching.placebo(groups, "age")
    with pytest.raises(EffectsError, match="below 1"):
        matching.rosenbaum(groups, "income_rp", [0.5])


def test_a_users_file_is_not_synthetic(tmp_path):
    file = tmp_path / "mine.csv"
    scores.register(200).to_csv(file, index=False)
    provenance._reads.clear()
    table = registers.households(str(file))
    assert not provenance.synthetic()
    assert provenance.reads()[0]["path"] == "mine.csv"  # no folder
    assert table["household_id"].str.startswith("R").all()
    registers.households()
    assert provenance.synthetic()


def test_a_file_that_does_not_fit_is_said(tmp_path):
    file = tmp_path / "mine.csv"
    made = scores.participants(50)
    made.drop(columns="trained").to_csv(file, index=False)
    with pytest.raises(EffectsError, match=r"mine.csv lacks columns: trained \(0/1\)"):
        registers.participants(str(file))
    pd.concat([made, made]).to_csv(file, index=False)
    with pytest.raises(EffectsError, match="50 rows repeat a person_id"):
        registers.participants(str(file))
    with pytest.raises(EffectsError, match="cannot be read"):
        registers.applicants(str(tmp_path / "none.csv"))


def test_figures_of_a_users_file_name_it(tmp_path):
    file = tmp_path / "mine.csv"
    scores.register(200).to_csv(file, index=False)
    provenance._reads.clear()
    registers.households(str(file))
    assert display.source_line(registers.sources(str(file))) == (
        "Source: the user's own file mine.csv."
    )
    assert registers.sources("", str(file)) == ["kelurahan_population_2024", "mine.csv"]
    assert registers.opening("Scores", str(file)) == "On your data"
    assert "nothing is said here of Jakarta" in registers.opening("Scores", "")


def test_what_is_broken_is_noticed_more_often_the_larger_it_is():
    for violation in (registers.HIDDEN, registers.SORTING):
        curve = registers.noticed(violation, 10)
        assert curve["noticed_pct"].iloc[0] <= 30  # two of ten are still chance
        assert curve["noticed_pct"].iloc[-1] >= 80
        assert curve["noticed_pct"].between(curve["low_pct"], curve["high_pct"]).all()


def test_values_of_another_kind_are_named_with_their_row(tmp_path):
    made = scores.register(50)
    file = tmp_path / "mine.csv"
    for column, value, words in (("poor", 2, "0/1"), ("score", "low", "eligibility score")):
        spoilt = made.astype({column: "object"})
        spoilt.loc[3, column] = value
        spoilt.to_csv(file, index=False)
        with pytest.raises(EffectsError, match=f"row 5: {column} is '{value}.*not {words}"):
            registers.households(str(file))


def test_effects_are_told_in_the_unit_of_their_outcome():
    table = pd.DataFrame({"outcome": ["income_rp", "work_pct", "poor", "visits"], "effect": 0.5})
    assert list(registers.in_units(table)["effect"]) == [
        "Rp 0",
        "0.5 points",
        "50.0 points",
        "0.50",
    ]


def test_a_users_rollout_has_the_codes_of_kecamatan(tmp_path):
    made = registers.rollout()[1].panel
    file = tmp_path / "kecamatan.csv"
    made.to_csv(file, index=False)
    with pytest.raises(EffectsError, match=r"kecamatan.csv: .*KECAMATAN"):
        registers.rollout(str(file))
    codes = regions.areas()["kecamatan_code"].drop_duplicates().tolist()
    named = dict(zip(made["unit_code"].unique(), codes, strict=True))
    made.assign(unit_code=made["unit_code"].map(named)).to_csv(file, index=False)
    panel, truth = registers.rollout(str(file))
    assert truth is None and set(panel.units) == set(codes)
