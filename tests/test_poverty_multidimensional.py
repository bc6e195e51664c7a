"""The counting method of Alkire and Foster: its paper's example, its identities, its errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.poverty import design, multidimensional
from analysis.poverty.measures import MeasureError, ratio_of

PLAIN = {"strata": None, "clusters": None, "weights": None, "size": None}
DIMENSIONS = {"health": ["sick"], "school": ["left", "absent"], "home": ["roof", "water"]}
NAMES = [name for names in DIMENSIONS.values() for name in names]


def households(seed: int, n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    stratum, cluster = rng.integers(0, 4, n), rng.integers(0, 6, n)
    often = rng.uniform(0.1, 0.7, (4, 6))[stratum, cluster]
    frame = pd.DataFrame(
        {
            "stratum": stratum,
            "cluster": cluster,
            "weight": rng.uniform(1, 3, n),
            "household_size": rng.integers(1, 7, n),
            "area": np.array(["north", "south"])[rng.integers(0, 2, n)],
        }
    )
    for name in NAMES:
        frame[name] = rng.random(n) < often
        frame[f"{name}_gap"] = frame[name] * rng.uniform(0, 1, n)
    return frame


def figures(table: pd.DataFrame, area: str = "all") -> dict[str, float]:
    return table[table["area"] == area].set_index("measure")["estimate"].to_dict()


def test_four_persons_and_four_dimensions_by_hand():
    # Achievements and cutoffs in the manner of the paper: 0, 2, 4 and 1 deprivations of 4, k = 2.
    y = np.array([[13.1, 14, 4, 1], [15.2, 7, 5, 0], [12.5, 10, 1, 0], [20, 11, 3, 1]])
    z = np.array([13.0, 12, 3, 1])
    survey = pd.DataFrame(y < z, columns=list("abcd"))
    gaps = np.maximum(1 - y / z, 0)
    survey[["ga", "gb", "gc", "gd"]] = gaps
    found = multidimensional.alkire_foster(
        survey,
        {name: [name] for name in "abcd"},
        k=0.5,
        gaps={name: f"g{name}" for name in "abcd"},
        **PLAIN,
    )
    assert found.households["score"].tolist() == [0, 0.5, 1, 0.25]
    assert found.households["poor"].tolist() == [False, True, True, False]
    m1 = (5 / 12 + 1 + 0.5 / 13 + 2 / 12 + 2 / 3 + 1) / 16
    assert figures(found.measures) == pytest.approx({"H": 1 / 2, "A": 3 / 4, "M0": 3 / 8, "M1": m1})
    wide = found.indicators.pivot(index="indicator", columns="measure", values="estimate")
    assert wide["uncensored headcount"].tolist() == [0.25, 0.75, 0.25, 0.5]
    assert wide["censored headcount"].tolist() == [0.25, 0.5, 0.25, 0.5]
    assert wide["contribution"].tolist() == pytest.approx([1 / 6, 1 / 3, 1 / 6, 1 / 3])


def test_nested_weights_and_cutoffs_that_thirds_must_reach():
    survey = households(1)
    found = multidimensional.alkire_foster(survey, DIMENSIONS, k=1 / 3)
    assert found.weights.to_dict() == pytest.approx(
        {"sick": 1 / 3, "left": 1 / 6, "absent": 1 / 6, "roof": 1 / 6, "water": 1 / 6}
    )
    deprived = survey[NAMES].to_numpy()
    sixths = deprived @ [2, 1, 1, 1, 1]
    assert (found.households["poor"].to_numpy() == (sixths >= 2)).all()
    two_thirds = multidimensional.alkire_foster(survey, DIMENSIONS, k=2 / 3)
    assert (two_thirds.households["poor"].to_numpy() == (sixths >= 4)).all()
    union = multidimensional.alkire_foster(survey, DIMENSIONS, k=0.01)
    assert (union.households["poor"].to_numpy() == deprived.any(axis=1)).all()
    every = multidimensional.alkire_foster(survey, DIMENSIONS, k=1)
    assert (every.households["poor"].to_numpy() == deprived.all(axis=1)).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1))
def test_identities(seed, k):
    survey = households(seed, 40)
    gaps = {name: f"{name}_gap" for name in NAMES}
    found = multidimensional.alkire_foster(survey, DIMENSIONS, k, by="area", gaps=gaps)
    whole = figures(multidimensional.alkire_foster(survey, DIMENSIONS, k, gaps=gaps).measures)
    parts = {area: figures(found.measures, area) for area in found.groups["area"]}
    share = found.groups.set_index("area")["population_share"]
    for area, own in parts.items():
        assert 0 <= own["M1"] <= own["M0"] <= own["H"] <= 1
        if own["H"] == 0:
            assert np.isnan(own["A"])
            continue
        assert own["M0"] == pytest.approx(own["H"] * own["A"])
        assert own["A"] >= k - 1e-9
        table = found.indicators[found.indicators["area"] == area]
        wide = table.pivot(index="indicator", columns="measure", values="estimate")
        censored = wide["censored headcount"]
        assert (censored <= wide["uncensored headcount"] + 1e-12).all()
        assert (found.weights * censored).sum() == pytest.approx(own["M0"])
        assert wide["contribution"].sum() == pytest.approx(1)
        of_dimension = found.dimensions[found.dimensions["area"] == area]
        assert of_dimension["estimate"].sum() == pytest.approx(1)
        assert of_dimension["weight"].sum() == pytest.approx(1)
        in_school = of_dimension.set_index("dimension").loc["school", "estimate"]
        assert in_school == pytest.approx(wide.loc[["left", "absent"], "contribution"].sum())
    for name in ("H", "M0", "M1"):
        together = sum(share[area] * own[name] for area, own in parts.items())
        assert together == pytest.approx(whole[name])
    if whole["M0"]:
        expected = [share[area] * own["M0"] / whole["M0"] for area, own in parts.items()]
        assert found.groups["contribution"].to_numpy() == pytest.approx(expected)


def test_poverty_falls_as_the_cutoff_rises():
    survey = households(2)
    series = [
        figures(multidimensional.alkire_foster(survey, DIMENSIONS, k).measures)
        for k in (0.1, 0.3, 0.5, 0.7, 1)
    ]
    for name in ("H", "M0"):
        values = [each[name] for each in series]
        assert values == sorted(values, reverse=True) and values[0] > values[-1]


def test_each_cutoff_is_as_it_is_alone():
    survey = households(4)
    table = multidimensional.over_cutoffs(survey, DIMENSIONS, [0.2, 0.5], by="area")
    assert list(table["k"].unique()) == [0.2, 0.5]
    alone = multidimensional.alkire_foster(survey, DIMENSIONS, 0.5, by="area").measures
    own = table[table["k"] == 0.5].drop(columns="k").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)


def test_errors_are_those_of_the_design_and_of_the_bootstrap():
    survey = households(3, 900)
    linear = multidimensional.alkire_foster(survey, DIMENSIONS, 0.4, by="area")
    drawn = multidimensional.alkire_foster(
        survey, DIMENSIONS, 0.4, by="area", method="bootstrap", replicates=800
    )
    for name in ("measures", "indicators", "dimensions"):
        ratio = getattr(drawn, name)["se"] / getattr(linear, name)["se"]
        assert ((ratio - 1).abs() < 0.15).all(), ratio
    ratio = drawn.groups["contribution_se"] / linear.groups["contribution_se"]
    assert ((ratio - 1).abs() < 0.15).all(), ratio
    own = survey.assign(poor=linear.households["poor"])
    direct = design.estimate(own, ratio_of("poor"), by="area")
    ours = linear.measures[linear.measures["measure"] == "H"]
    same = ["estimate", "se", "lower", "upper", "design_effect"]
    pd.testing.assert_frame_equal(
        ours[same].reset_index(drop=True), direct[same], check_exact=False
    )


def test_errors_are_those_of_repeated_samples():
    rng = np.random.default_rng(5)

    def sample():
        often = rng.uniform(0.1, 0.7, (150, 1))
        return pd.DataFrame(rng.random((150, 5)) < often, columns=NAMES)

    runs = [multidimensional.alkire_foster(sample(), DIMENSIONS, 0.4, **PLAIN) for _ in range(80)]
    tables = pd.concat([run.measures for run in runs] + [run.dimensions for run in runs])
    key = tables["measure"] + tables["dimension"].fillna("")
    spread = tables.groupby(key)["estimate"].std()
    error = tables.groupby(key)["se"].mean()
    assert len(error) == 6 and error.to_numpy() == pytest.approx(spread.to_numpy(), rel=0.3)


def test_nobody_poor():
    survey = households(4).assign(**dict.fromkeys(NAMES, False))
    found = multidimensional.alkire_foster(survey, DIMENSIONS, 0.5)
    table = found.measures.set_index("measure")
    assert table.loc["H", "estimate"] == 0 and table.loc["H", "interval"] == "exact"
    assert np.isnan(table.loc["A", "estimate"]) and table.loc["A", "interval"] == "none"
    assert found.groups["contribution"].isna().all()
    assert found.dimensions["estimate"].isna().all()


def test_a_household_of_weight_two_is_two_households():
    survey = households(6)
    twice = pd.concat([survey, survey[:50]])
    heavy = survey.assign(weight=survey["weight"] * np.where(np.arange(len(survey)) < 50, 2, 1))
    one, two = (
        multidimensional.alkire_foster(s, DIMENSIONS, 0.4).indicators for s in (twice, heavy)
    )
    columns = ["estimate", "se", "lower", "upper"]
    pd.testing.assert_frame_equal(one[columns], two[columns])


def test_columns_of_the_survey_are_left_alone():
    survey = households(7).rename(columns={"area": "value0"})
    before = survey.copy()
    found = multidimensional.alkire_foster(survey, DIMENSIONS, 0.4, by="value0")
    pd.testing.assert_frame_equal(survey, before)
    assert found.groups["area"].tolist() == ["north", "south"]
    assert found.households.index.equals(survey.index)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"roof": 2}, {}, "indicator roof is neither 0 nor 1 in 200 of 200 rows"),
        ({"roof": None}, {}, "column roof is missing"),
        ({}, {"k": 0}, "k is a weighted share above 0 and up to 1, not 0"),
        ({}, {"k": 2}, "not 2"),
        ({}, {"indicator_weights": dict.fromkeys(NAMES, 0.3)}, "these add up to 1.5"),
        ({}, {"indicator_weights": {"sick": 1.0}}, "not the same: absent, left, roof, water"),
        ({}, {"dimensions": {"a": ["roof"], "b": ["roof"]}}, "there twice: roof"),
        ({}, {"dimensions": {"a": []}}, "every dimension needs an indicator"),
        ({}, {"gaps": {"sick": "sick_gap"}}, "left has none in gaps"),
        ({"sick_gap": 0.5}, {"gaps": {n: f"{n}_gap" for n in NAMES}}, "above zero where sick says"),
        ({}, {"by": "kota"}, "no column kota"),
    ],
)
def test_errors_say_what_is_wrong(change, options, words):
    survey = households(8).assign(**change)
    with pytest.raises(MeasureError, match=words):
        multidimensional.alkire_foster(survey, **{"dimensions": DIMENSIONS, "k": 0.5, **options})
