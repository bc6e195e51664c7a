"""Decompositions: by hand, their sums, and their errors against simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from analysis.poverty import decompositions, design
from analysis.poverty import measures as m

PLAIN = {"welfare": "y", "strata": None, "clusters": None, "weights": None, "size": None}


def drawn(seed: int, n: int = 240, growth: float = 0.0) -> pd.DataFrame:
    """A survey of 4 strata, 8 clusters each."""
    rng = np.random.default_rng(seed)
    stratum, cluster = rng.integers(0, 4, n), rng.integers(0, 8, n)
    effect = rng.normal(0, 0.2, (4, 8))[stratum, cluster]
    return pd.DataFrame(
        {
            "stratum": stratum,
            "cluster": cluster,
            "weight": rng.uniform(1, 3, n),
            "household_size": rng.integers(1, 7, n),
            "y": np.exp(rng.normal(growth, 0.6, n) + effect),
            "z": 0.6 + 0.1 * stratum,
            "area": np.array(["north", "south", "west"])[rng.integers(0, 3, n)],
        }
    )


# --- growth and redistribution


def by_component(table: pd.DataFrame) -> dict[str, float]:
    return table.set_index("component")["estimate"].to_dict()


def test_growth_and_redistribution_by_hand():
    # Means 3 and 4. The first at the mean of the second: 1.33 2.67 4 8, one poor of four; the
    # second at the mean of the first: 1.5 1.5 3 6, two poor.
    before, after = (pd.DataFrame({"y": y}) for y in ([1.0, 2, 3, 6], [2.0, 2, 4, 8]))
    options = {**PLAIN, "line": 2.5, "replicates": 0}
    found = by_component(
        decompositions.growth_redistribution(before, after, path="datt-ravallion", **options)
    )
    assert found == pytest.approx(
        {
            "before": 0.5,
            "after": 0.5,
            "growth": -0.25,
            "redistribution": 0,
            "residual": 0.25,
            "change": 0,
        }
    )
    found = by_component(decompositions.growth_redistribution(before, after, **options))
    assert found == pytest.approx(
        {"before": 0.5, "after": 0.5, "growth": -0.125, "redistribution": 0.125, "change": 0}
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.floats(-0.4, 0.4),
    st.sampled_from(["p0", "p1", "p2", "watts", "sst", m.fgt_of(3)]),
)
def test_components_add_up_to_the_change(seed, growth, chosen):
    before, after = drawn(seed, 60), drawn(seed + 1, 60, growth)
    for path in decompositions.PATHS:
        table = decompositions.growth_redistribution(
            before, after, chosen, welfare="y", line="z", path=path, replicates=0
        )
        found = by_component(table)
        parts = found["growth"] + found["redistribution"] + found.get("residual", 0)
        assert parts == pytest.approx(found["change"], abs=1e-12)
        ends = design.estimate(after, chosen, welfare="y", line="z")["estimate"][0]
        assert found["after"] == pytest.approx(ends, abs=1e-12)
    assert ("residual" in found) == (path == "datt-ravallion")


def test_pure_growth_and_pure_redistribution_are_told_apart():
    before = drawn(1).assign(z=0.7)
    for path in decompositions.PATHS:
        grown = before.assign(y=before["y"] * 1.2)
        found = by_component(
            decompositions.growth_redistribution(
                before, grown, "p1", welfare="y", line="z", path=path, replicates=0
            )
        )
        assert found["growth"] == pytest.approx(found["change"]) and found["change"] < -0.01
        assert found["redistribution"] == pytest.approx(0, abs=1e-12)
        weights = before["weight"] * before["household_size"]
        mean = np.average(before["y"], weights=weights)
        levelled = before.assign(y=mean + 0.7 * (before["y"] - mean))
        found = by_component(
            decompositions.growth_redistribution(
                before, levelled, "p1", welfare="y", line="z", path=path, replicates=0
            )
        )
        assert found["redistribution"] == pytest.approx(found["change"])
        assert found["growth"] == pytest.approx(0, abs=1e-12)


def test_a_line_that_rises_with_all_prices_changes_nothing():
    before = drawn(2)
    after = before.assign(y=before["y"] * 1.3, z=before["z"] * 1.3)
    table = decompositions.growth_redistribution(before, after, welfare="y", line="z", replicates=0)
    changes = table.set_index("component")["estimate"][["growth", "redistribution", "change"]]
    assert changes.abs().max() < 1e-12
    curve = decompositions.growth_incidence(before, after, welfare="y", line="z").curve
    assert curve["growth_pct"].abs().max() < 1e-9


def test_errors_of_components_are_those_of_repeated_samples():
    rng = np.random.default_rng(0)
    plain = {**PLAIN, "line": 0.7}

    def sample(growth, spread):
        return pd.DataFrame({"y": np.exp(rng.normal(growth, spread, 300))})

    names = ["growth", "redistribution", "change"]
    repeated = np.array(
        [
            [
                by_component(
                    decompositions.growth_redistribution(
                        sample(0, 0.6), sample(0.1, 0.5), "p1", replicates=0, **plain
                    )
                )[name]
                for name in names
            ]
            for _ in range(120)
        ]
    )
    table = decompositions.growth_redistribution(
        sample(0, 0.6), sample(0.1, 0.5), "p1", replicates=200, **plain
    ).set_index("component")
    assert table.loc[names, "se"].to_numpy() == pytest.approx(repeated.std(axis=0), rel=0.3)
    row = table.loc["change"]
    assert row["upper"] - row["estimate"] == pytest.approx(1.96 * row["se"], rel=1e-3)


def test_the_error_of_the_change_is_that_of_two_independent_samples():
    before, after = drawn(3), drawn(4)
    table = decompositions.growth_redistribution(
        before, after, "p0", welfare="y", line="z", replicates=600
    ).set_index("component")
    one, two = (design.estimate(s, "p0", welfare="y", line="z")["se"][0] for s in (before, after))
    assert table.loc["change", "se"] == pytest.approx(np.hypot(one, two), rel=0.12)


def test_a_measure_without_a_line_is_not_poverty():
    with pytest.raises(m.MeasureError, match="gini has no line"):
        decompositions.growth_redistribution(drawn(1), drawn(2), "gini", welfare="y", line="z")


# --- growth incidence


def test_growth_that_is_the_same_for_all():
    before = drawn(5)
    after = before.assign(y=before["y"] * 1.21)
    found = decompositions.growth_incidence(before, after, welfare="y", years=2)
    assert found.curve["growth_pct"].to_numpy() == pytest.approx(np.full(99, 10.0))
    assert found.mean_growth_pct == pytest.approx(10)
    assert (found.curve["lower"] < 10).all() and (found.curve["upper"] > 10).all()
    # Over two years 21 %, with an error of the ratio: per year, half of that of its logarithm.
    whole = decompositions.growth_incidence(before, after, welfare="y")
    assert whole.mean_growth_pct == pytest.approx(21)
    assert found.mean_se / 110 == pytest.approx(whole.mean_se / 121 / 2)


def test_growth_of_the_poor_alone_is_seen_where_they_are():
    before = pd.DataFrame({"y": np.arange(1.0, 101)})
    after = before.assign(y=before["y"] + (before["y"] <= 20))
    curve = decompositions.growth_incidence(before, after, percentiles=[10, 50], **PLAIN).curve
    assert curve["growth_pct"].tolist() == pytest.approx([10, 0])


def test_the_error_of_mean_growth_is_that_of_repeated_samples():
    rng = np.random.default_rng(1)
    found = [
        decompositions.growth_incidence(
            *(pd.DataFrame({"y": rng.lognormal(g, 0.5, 400)}) for g in (0, 0.1)),
            percentiles=[20, 50],
            **PLAIN,
        )
        for _ in range(100)
    ]
    means = np.array([each.mean_growth_pct for each in found])
    assert np.mean([each.mean_se for each in found]) == pytest.approx(means.std(), rel=0.2)
    curves = np.array([each.curve["growth_pct"] for each in found])
    errors = np.array([each.curve["se"] for each in found]).mean(axis=0)
    assert errors == pytest.approx(curves.std(axis=0), rel=0.25)


# --- by group


def test_sectoral_by_hand():
    # Town: 1 of 2 poor, then 1 of 3; village: 2 of 2, then 0 of 1.
    before = pd.DataFrame({"y": [1.0, 3, 1, 1], "g": ["town", "town", "village", "village"]})
    after = pd.DataFrame({"y": [1.0, 3, 3, 3], "g": ["town", "town", "town", "village"]})
    table = decompositions.sectoral(before, after, by="g", line=2.0, replicates=0, **PLAIN)
    found = table.set_index("area")
    town, village, whole = found.loc["town"], found.loc["village"], found.loc["all"]
    assert [town["share_before"], town["share_after"]] == [0.5, 0.75]
    assert town["within"] == pytest.approx((1 / 3 - 1 / 2) * 0.5)
    assert town["shift"] == pytest.approx(0.25 * 0.5)
    assert town["interaction"] == pytest.approx((1 / 3 - 1 / 2) * 0.25)
    assert village["within"] == pytest.approx(-0.5)
    assert whole["before"] == 0.75 and whole["after"] == pytest.approx(0.25)
    assert whole[["within", "shift", "interaction"]].sum() == pytest.approx(-0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["p0", "p1", "p2", "watts", "mean"]))
def test_sectoral_parts_add_up(seed, chosen):
    before, after = drawn(seed), drawn(seed + 1, growth=0.1)
    table = decompositions.sectoral(
        before, after, chosen, by="area", welfare="y", line="z", replicates=0
    )
    parts = table[["within", "shift", "interaction"]]
    whole = table.iloc[-1]
    assert parts.iloc[-1].to_numpy() == pytest.approx(parts.iloc[:-1].sum().to_numpy())
    assert parts.iloc[-1].sum() == pytest.approx(whole["after"] - whole["before"])
    direct = [
        design.estimate(s, chosen, welfare="y", line="z")["estimate"][0] for s in (before, after)
    ]
    assert [whole["before"], whole["after"]] == pytest.approx(direct)


def test_sectoral_errors_are_given_and_follow_the_bootstrap():
    table = decompositions.sectoral(
        drawn(6), drawn(7), by="area", welfare="y", line="z", replicates=300
    )
    errors = table[["within_se", "shift_se", "interaction_se"]]
    assert (errors > 0).all(axis=None)
    own = table.iloc[0]
    one, two = (
        design.estimate(s, "p0", welfare="y", line="z", by="area")["se"][0]
        for s in (drawn(6), drawn(7))
    )
    # The change of the group's P0 times its share, which is known better.
    assert own["within_se"] == pytest.approx(np.hypot(one, two) * own["share_before"], rel=0.2)


def test_a_group_in_one_survey_only_is_named():
    after = drawn(2).assign(area=lambda t: t["area"].replace("west", "east"))
    with pytest.raises(m.MeasureError, match="in one survey only: east, west"):
        decompositions.sectoral(drawn(1), after, by="area", welfare="y", line="z")
    with pytest.raises(m.MeasureError, match="gini is not a mean over persons"):
        decompositions.sectoral(drawn(1), after, "gini", by="area", welfare="y")


def test_contributions_of_a_profile():
    survey = drawn(8)
    table = decompositions.profile(survey, "p1", by="area", welfare="y", line="z")
    assert table["population_share"].sum() == pytest.approx(1)
    assert table["contribution"].sum() == pytest.approx(1)
    assert table["risk"].to_numpy() == pytest.approx(
        (table["contribution"] / table["population_share"]).to_numpy()
    )
    # The contribution is a ratio of totals: its error must be the bootstrap's.
    gap = np.maximum(1 - survey["y"] / survey["z"], 0)
    for area, error in zip(table["area"], table["contribution_se"], strict=True):
        both = survey.assign(all=gap, own=gap * (survey["area"] == area))
        other = design.estimate(both, m.ratio_of("own", "all"), method="bootstrap", replicates=800)
        assert other["se"][0] == pytest.approx(error, rel=0.15)
    inside = table["contribution"].between(table["contribution_lower"], table["contribution_upper"])
    assert inside.all() and table["contribution_upper"].max() < 1
    for area, own in survey.groupby("area"):
        risk = m.fgt(own["y"], own["z"], 1, weights=own["weight"] * own["household_size"])
        whole = m.fgt(
            survey["y"], survey["z"], 1, weights=survey["weight"] * survey["household_size"]
        )
        row = table.set_index("area").loc[area]
        assert row["risk"] == pytest.approx(risk / whole)
    rich = decompositions.profile(survey.assign(z=1e-9), "p1", by="area", welfare="y", line="z")
    assert rich["contribution"].isna().all()


# --- vulnerability


@pytest.mark.parametrize("variance", decompositions.VARIANCES)
def test_with_one_dummy_the_model_is_two_normal_distributions(variance):
    rng = np.random.default_rng(2)
    survey = pd.DataFrame({"x": np.repeat(["a", "b"], [150, 250]), "z": 0.8})
    survey["y"] = np.exp(np.where(survey["x"] == "a", 0.5, 1) * rng.normal(size=400) + 0.3)
    found = decompositions.vulnerability(survey, ["x"], line="z", welfare="y", variance=variance)
    logs = np.log(survey["y"]).groupby(survey["x"])
    expected, sd = logs.transform("mean"), logs.transform("std", ddof=0)
    own = found.households
    assert own["expected_log"].to_numpy() == pytest.approx(expected.to_numpy())
    assert own["sd_log"].to_numpy() == pytest.approx(sd.to_numpy(), rel=1e-5)
    theirs = norm.cdf((np.log(0.8) - expected) / sd)
    assert own["vulnerability"].to_numpy() == pytest.approx(theirs, rel=1e-4)
    assert (own["vulnerable"] == (theirs > 0.5)).all() and found.floored == 0


def test_the_linear_variance_is_that_of_the_paper_step_by_step():
    rng = np.random.default_rng(9)
    x = rng.uniform(0, 1, 500)
    survey = pd.DataFrame({"x": x, "y": np.exp(1 - x + np.sqrt(0.1 + x) * rng.normal(size=500))})
    found = decompositions.vulnerability(survey, ["x"], line=1.5, welfare="y", variance="linear")

    def least_squares(y, divisor):
        fit = np.linalg.lstsq(design_matrix / divisor[:, None], y / divisor, rcond=None)
        return fit[0]

    design_matrix, log_y, one = (
        np.stack([np.ones(500), x], axis=1),
        np.log(survey["y"]),
        np.ones(500),
    )
    squares = (log_y - design_matrix @ least_squares(log_y, one)) ** 2
    # e^2 is divided by its first fit, ln y by the root of the second.
    theta = least_squares(squares, design_matrix @ least_squares(squares, one))
    beta = least_squares(log_y, np.sqrt(design_matrix @ theta))
    assert found.floored == 0
    assert np.asarray(found.variance_model.params) == pytest.approx(theta)
    assert np.asarray(found.mean_model.params) == pytest.approx(beta)


def test_known_probabilities_are_recovered():
    rng = np.random.default_rng(3)
    n = 8000
    x = rng.uniform(0, 1, n)
    for variance, sd in (("log", np.exp(-1 + 0.8 * x)), ("linear", np.sqrt(0.1 + 0.5 * x))):
        survey = pd.DataFrame({"x": x, "y": np.exp(1 - x + sd * rng.normal(size=n))})
        found = decompositions.vulnerability(
            survey, ["x"], line=1.5, welfare="y", variance=variance
        )
        truth = norm.cdf((np.log(1.5) - (1 - x)) / sd)
        assert np.abs(found.households["vulnerability"] - truth).max() < 0.03
        # Taking the variance for one and the same would be further off than that.
        assert np.abs(norm.cdf((np.log(1.5) - (1 - x)) / sd.mean()) - truth).max() > 0.05


def test_a_negative_linear_variance_is_floored_and_counted():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 1, 400)
    spread = np.where(x > 0.8, 1.0, 0.01)
    survey = pd.DataFrame({"x": x, "y": np.exp(spread * rng.normal(size=400))})
    found = decompositions.vulnerability(survey, ["x"], line=0.9, welfare="y", variance="linear")
    assert found.floored > 0 and (found.households["sd_log"] > 0).all()


def test_covariates_that_say_the_same_are_named():
    survey = drawn(1).assign(x=1.0, w=lambda t: 2 * t["weight"])
    with pytest.raises(m.MeasureError, match="3 columns, of which 2 are independent"):
        decompositions.vulnerability(survey, ["weight", "w"], line="z", welfare="y")
    with pytest.raises(m.MeasureError, match="no column nothing"):
        decompositions.vulnerability(survey, ["nothing"], line="z", welfare="y")
    with pytest.raises(m.MeasureError, match="column y is not above zero"):
        decompositions.vulnerability(survey.assign(y=0.0), ["weight"], line="z", welfare="y")


def expected(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    return table[table["measure"] == measure].set_index("area")


@pytest.mark.parametrize("variance", decompositions.VARIANCES)
def test_expected_poverty_is_the_mean_of_the_vulnerability_of_people(variance):
    survey = drawn(3, 400).assign(size=lambda t: t["household_size"])
    options = {"welfare": "y", "line": "z", "variance": variance}
    table = decompositions.expected_poverty(
        survey, ["size"], by="area", threshold=0.4, replicates=0, **options
    )
    model = decompositions.vulnerability(survey, ["size"], weights="weight", **options)
    own = survey.join(model.households)
    people = own["weight"] * own["household_size"]
    poor = own["y"] < own["z"]
    rate = np.average(poor, weights=people)
    high = own["vulnerability"] > rate
    for area, part in own.groupby("area"):
        for measure, value in {
            decompositions.OBSERVED: poor,
            decompositions.EXPECTED: own["vulnerability"],
            decompositions.ABOVE_RATE: high,
            decompositions.ABOVE_THRESHOLD: own["vulnerability"] > 0.4,
            decompositions.NOT_POOR: high & ~poor,
        }.items():
            mean = np.average(value[part.index], weights=people[part.index])
            assert expected(table, measure).loc[area, "estimate"] == pytest.approx(mean)
    assert table["se"].isna().all()


def test_weights_make_the_model_that_of_the_population():
    survey = drawn(5, 120).assign(x=lambda t: t["household_size"], weight=1.0)
    survey.loc[:39, "weight"] = 3.0
    options = {"welfare": "y", "line": "z"}
    heavy = decompositions.vulnerability(survey, ["x"], weights="weight", **options)
    thrice = decompositions.vulnerability(
        pd.concat([survey, survey[:40], survey[:40]]), ["x"], **options
    )
    for name in ("mean_model", "variance_model"):
        theirs = np.asarray(getattr(thrice, name).params)
        assert np.asarray(getattr(heavy, name).params) == pytest.approx(theirs, rel=1e-6)
    plain = decompositions.vulnerability(survey, ["x"], **options)
    assert np.asarray(plain.mean_model.params) != pytest.approx(theirs, rel=1e-6)


def test_errors_of_expected_poverty_are_those_of_repeated_samples():
    options = {"welfare": "y", "line": "z", "strata": None}

    def sample(seed):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(40), 6)
        effect = rng.normal(0, 0.4, 40)[cluster]
        x = rng.uniform(0, 1, 240)
        y = np.exp(0.6 - x + effect + 0.4 * rng.normal(size=240))
        own = {"cluster": cluster, "x": x, "y": y, "z": 1.0, "weight": 1.0, "household_size": 1}
        return pd.DataFrame(own)

    runs = [
        decompositions.expected_poverty(sample(s), ["x"], replicates=0, **options)["estimate"]
        for s in range(120)
    ]
    told = [
        decompositions.expected_poverty(sample(s), ["x"], replicates=40, **options)["se"]
        for s in range(4)
    ]
    ratio = np.mean(told, axis=0) / np.std(runs, axis=0)
    assert ratio[1] == pytest.approx(1, abs=0.25)  # the mean of the vulnerabilities
    table = decompositions.expected_poverty(sample(1), ["x"], replicates=20, **options)
    assert (table["lower"] <= table["estimate"]).all() and table["lower"].min() >= 0
