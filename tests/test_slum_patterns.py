from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_neighbours import grid

from analysis import clusters, maps, neighbours, regions, slum_patterns, slums, spatial_regression
from analysis.clusters import Moran


@pytest.fixture
def tables():
    codes = ["3171010001", "3171010002", "3173010001", "3174010001", "3101010001"]
    areas = pd.DataFrame(
        {
            "kelurahan_code": codes,
            "kelurahan": list("abcde"),
            "kota_code": [code[:4] for code in codes],
            "kota": [regions.KOTA[code[:4]] for code in codes],
            "rw_count": pd.array([10, 8, 5, 6, None], dtype="Int64"),
            "rw_flood_prone_count": pd.array([5, 0, 1, 2, None], dtype="Int64"),
            "rw_flood_unknown_count": pd.array([0, 8, 0, 0, None], dtype="Int64"),
            "population_count": [20_000, 8_000, 10_000, 30_000, 3_000],
            "density_per_km2": [8_000.0, 16_000.0, 4_000.0, 2_000.0, 1_000.0],
        }
    )
    listed = pd.DataFrame(
        {
            "kelurahan_code": codes,
            "status": [
                slums.LISTED,
                slums.NONE_LISTED,
                slums.LISTED,
                slums.NOT_PUBLISHED,
                slums.NOT_PUBLISHED,
            ],
            "slum_rw_listed_count": pd.array([4, None, 1, None, None], dtype="Int64"),
        }
    )
    return areas, listed


def test_three_kinds_of_not_known_stay_apart(tables):
    found = slum_patterns.table(*tables)
    nan = np.nan
    np.testing.assert_array_equal(found["listed_share_pct"], [40, 0, 20, nan, nan])
    np.testing.assert_array_equal(found["slum_share_pct"], [40, nan, 20, nan, nan])
    np.testing.assert_array_equal(found["slum_rw_listed_count"], [4, 0, 1, nan, nan])
    np.testing.assert_array_equal(found["flood_prone_share_pct"].iloc[:3], [50, nan, 20])
    np.testing.assert_allclose(found["residents_per_rw_thousand"].iloc[:4], [2, 1, 2, 5])
    assert found["log2_density"].diff().iloc[1] == 1
    assert list(found["kota_pusat"]) == [0, 0, 1, 0, 0]


def test_grades_tell_what_is_named_from_what_would_be():
    hot = pd.DataFrame(
        {
            "z": [3.0, 2.0, -2.0, -3.0, 1.0],
            "p_value": [0.001, 0.03, 0.04, 0.001, 0.4],
            "cluster": [
                clusters.HOT,
                clusters.NEITHER,
                clusters.NEITHER,
                clusters.COLD,
                clusters.NEITHER,
            ],
        }
    )
    grades = slum_patterns.graded(hot, 0.05)["grade"]
    assert list(grades) == [
        "hot spot", "hot spot taken alone", "cold spot taken alone", "cold spot", "not significant",
    ]  # fmt: skip
    assert set(grades) == set(slum_patterns.GRADES)


def fitted(slopes, seed=0):
    areas = grid(10, alone=False)
    near = neighbours.bordering(areas)
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        rng.normal(size=(100, 3)), index=near.codes, columns=[*slum_patterns.COVARIATES]
    )
    x["y"] = x[[*slum_patterns.COVARIATES]] @ np.array(slopes) + rng.normal(size=100)
    return spatial_regression.fit(x, "y", slum_patterns.COVARIATES, near, draws=50)


def test_words_follow_the_models():
    assert "none goes with it in all 4 models" in slum_patterns.covariates_words(fitted([0, 0, 0]))
    words = slum_patterns.covariates_words(fitted([2, 0, 3]))
    assert "go density and residents per RW in all 4 models" in words
    table = slum_patterns.coefficients_table(fitted([2, 0, 0]))
    assert "W flood-prone share of RW" in list(table["term"])
    assert len(slum_patterns.effects_table(fitted([2, 0, 0]))) == 6


BOUNDS = pd.DataFrame({"place": ["a", "b"], "low": [0.08, 0.12], "high": [0.25, 0.2]})


def test_a_pattern_survives_only_where_it_is_more_than_chance():
    assert "for 1 of 2 ways of putting them back (b)." in slum_patterns.survival_words(BOUNDS, 0.1)
    assert "for 0 of 2 ways of putting them back." in slum_patterns.survival_words(BOUNDS, 0.2)


def test_unequal_variances_bring_the_robust_errors():
    found = fitted([0, 0, 0], seed=4)
    tests = found.tests.assign(p_value=0.001)
    words = slum_patterns.models_words(replace(found, tests=tests))
    assert "generalised moments for the error model) no covariate goes with" in words
    assert "HC3" not in slum_patterns.models_words(replace(found, tests=tests.assign(p_value=0.5)))
    strong = replace(fitted([3, 0, 0], seed=4), tests=tests)
    assert "density still goes with the outcome" in slum_patterns.models_words(strong)


def test_both_totals_of_a_kota_are_shown_with_their_years():
    given = pd.DataFrame(
        {
            "kota": ["A", "A", "B", "C"],
            "slum_rw_listed_count": pd.array([43, 43, None, None], dtype="Int64"),
            "year": pd.array([2025, 2017, 2017, None], dtype="Int64"),
            "published_count": pd.array([49, 98, 92, None], dtype="Int64"),
        }
    )
    found = slum_patterns.known_table(given).set_index("kota")
    assert list(found.loc["A", ["latest", "largest"]]) == ["49 (2025)", "98 (2017)"]
    assert found.loc["A", "listed_of_largest_pct"] == pytest.approx(4300 / 98)
    assert found.loc["B", "latest"] == "92 (2017)"
    assert found.loc[["B", "C"], "listed_of_largest_pct"].isna().all()
    assert pd.isna(found.loc["C", "latest"])


def test_listed_rw_beside_listed_rw():
    side = 12
    drawn = grid(side, alone=False).rename(columns={"code": "kelurahan_code"})
    at = np.arange(len(drawn))
    drawn["rw"] = [f"{i:03d}" for i in at]
    drawn["kelurahan_code"] = np.where(at % side < 6, "3171010001", "3173010001")
    drawn["kota_code"] = drawn["kelurahan_code"].str[:4]
    drawn["listed"] = np.where((at % side < 3) & (at // side < 4), slums.LISTED, slums.NONE_LISTED)
    found = slum_patterns.rw_morans(drawn, 4, permutations=199)
    assert found["kota"].value > found["kota"].high
    assert "within the kota (by chance −" in slum_patterns.rw_words(found)
    drawn["listed"] = np.where(np.random.default_rng(2).random(144) < 0.2, slums.LISTED, "")
    noise = slum_patterns.rw_morans(drawn, 4, permutations=199)["kelurahan"]
    assert noise.low <= noise.value <= noise.high


def moran(value, p_value):
    return Moran(value, -0.01, 0.0, p_value, -0.1, 0.1, 140, 99, "rule")


@pytest.mark.parametrize(
    "listed, within, words",
    [
        (
            moran(0.3, 0.001),
            moran(0.2, 0.01),
            "kelurahan resemble each other.*also within the kota.*under 1 of 1 .*under 1\\.",
        ),
        (
            moran(0.3, 0.001),
            moran(0.0, 0.6),
            "not beyond what the different lengths.*under 1 of 1 .*under 0\\.",
        ),
        (moran(-0.3, 0.001), moran(0.0, 0.6), "do not clearly resemble.*−0.30"),
    ],
)
def test_the_answer_says_what_was_found(listed, within, words):
    hot = pd.DataFrame({"cluster": [clusters.NEITHER] * 3})
    answer = slum_patterns.answer(
        {"rule": listed}, {"rule": within}, BOUNDS, hot, fitted([0, 0, 0])
    )
    assert pd.Series([answer]).str.contains(words).all(), answer
    assert "put back at random Moran's I lies between 0.08 and 0.25, where chance reaches" in answer
    assert "No kelurahan is a hot spot" in answer
    hot.loc[:1, "cluster"] = clusters.HOT
    answer = slum_patterns.answer(
        {"rule": listed}, {"rule": within}, BOUNDS, hot, fitted([0, 0, 0])
    )
    assert "2 kelurahan are hot spots" in answer


def test_the_outside_check_counts_pairs(tables):
    known = slum_patterns.table(*tables)
    vulnerable = pd.DataFrame(
        {
            "kelurahan_code": known.index[:4],
            "group": [slums.HIGHEST, slums.LOWEST, slums.HIGHEST, slums.LOWEST],
        }
    )
    found = slum_patterns.against_vulnerability(known, vulnerable)
    assert list(found["group"]) == [slums.HIGHEST] * 2 + [slums.LOWEST] * 2
    tests = slum_patterns.vulnerability_tests(found).set_index("variable")
    row = tests.loc["listed share of RW"]
    assert (row["highest_count"], row["lowest_count"]) == (2, 1)  # one kota has no list
    assert row["higher_pct"] == 100
    assert tests.loc["residents per km²", "higher_pct"] == 50
    words = slum_patterns.contradictions_words(found)
    assert words == (
        "Of the 2 most vulnerable with a list 2 have an RW on it, of the 1 least vulnerable 0."
    )
    turned = slum_patterns.against_vulnerability(
        known, vulnerable.assign(group=vulnerable["group"].to_numpy()[::-1])
    )
    words = slum_patterns.contradictions_words(turned)
    assert words == (
        "Of the 1 most vulnerable with a list 0 have an RW on it (not b), of the 2 least "
        "vulnerable 2 (c, a)."
    )


def test_rank_correlation_with_its_interval():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    known = pd.DataFrame({"slum_share_pct": x, "density_per_km2": x + rng.normal(size=200)})
    assert ": apart from zero" in slum_patterns.both_words(
        known, "slum_share_pct", "density_per_km2"
    )
    known["density_per_km2"] = rng.normal(size=200)
    assert "not apart from zero" in slum_patterns.both_words(
        known, "slum_share_pct", "density_per_km2"
    )


def test_maps_know_every_status_and_grade():
    statuses = {slums.LISTED, slums.NONE_LISTED, slums.NOT_PUBLISHED}
    assert set(slum_patterns.CLASSES_WITHOUT_VALUE) == statuses
    assert slum_patterns.CLASSES[slums.NOT_PUBLISHED] is maps.NOT_PUBLISHED
