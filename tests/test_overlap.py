import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import overlap, regions, synthetic
from analysis.overlap import Overlap, OverlapError


def made(p0, slum, people=None, rmse=0.01, draws=400):
    count = len(p0)
    poverty = pd.DataFrame(
        {
            "area_code": [f"31730100{i:02d}" for i in range(count)],
            "kota_code": "3173",
            "population_count": people if people is not None else np.full(count, 1000.0),
            "p0_pct": np.array(p0, dtype=float),
            "rmse_points": rmse,
        }
    )
    share = pd.Series(slum, index=poverty["area_code"], dtype=float)
    return overlap.joined(poverty.sample(frac=1, random_state=0), share, draws=draws)


def value(found, start):
    return found[found["measure"].str.startswith(start)].iloc[0]


def test_indices_of_a_hand_computed_city():
    # 40, 10, 0 and 0 poor of 100 each; slums in the first two.
    own = made([40, 10, 1e-4, 1e-4], [50, 20, 0, 0], people=np.full(4, 100.0))
    found = overlap.indices(own, 20)
    assert value(found, "poor in")["estimate"] == pytest.approx(100, abs=0.1)
    assert value(found, "all residents")["estimate"] == 50
    assert value(found, "slum residents around a poor")["estimate"] == pytest.approx(44, abs=0.1)
    assert value(found, "slum residents around another")["estimate"] == pytest.approx(
        (60 * 50 + 90 * 20) / 350, abs=0.1
    )
    # Duncan: half the sum of |40/50 - 60/350|, |10/50 - 90/350|, 2 x 100/350.
    by_hand = (abs(0.8 - 60 / 350) + abs(0.2 - 90 / 350) + 200 / 350) / 2
    assert value(found, "dissimilarity")["estimate"] == pytest.approx(by_hand, abs=1e-3)
    assert value(found, "isolation")["estimate"] == pytest.approx(0.8 * 0.4 + 0.2 * 0.1, abs=1e-3)
    assert value(found, "interaction")["estimate"] == pytest.approx(1 - 0.34, abs=1e-3)


def test_the_index_is_twice_the_area_under_its_curve():
    rng = np.random.default_rng(0)
    own = made(rng.uniform(1, 20, 30), rng.permutation(30) * 3.0, people=rng.uniform(50, 500, 30))
    curve = overlap.concentration_curve(own)
    area = np.trapezoid(curve["poor_share"], curve["population_share"])
    index = np.median(overlap.concentration_index(own))
    assert index == pytest.approx(2 * area - 1, abs=2e-3)
    assert (curve["lower"] <= curve["upper"] + 1e-12).all()
    assert curve.iloc[0]["poor_share"] == 0 and curve.iloc[-1]["poor_share"] == pytest.approx(1)


def test_index_is_positive_where_the_poor_live_in_slums_and_zero_where_all_have_the_same():
    slum = [0, 10, 20, 30, 40]
    assert (overlap.concentration_index(made([2, 4, 6, 8, 10], slum)) > 0).all()
    assert (overlap.concentration_index(made([10, 8, 6, 4, 2], slum)) < 0).all()
    np.testing.assert_allclose(
        overlap.concentration_index(made([2, 4, 6, 8, 10], [7] * 5)), 0, atol=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.5, 60), st.sampled_from([0.0, 5.0, 50.0]), st.integers(50, 5000)),
        min_size=3,
        max_size=12,
    )
)
def test_indices_stay_in_their_bounds_whatever_the_city(rows):
    p0, slum, people = zip(*rows, strict=True)
    own = made(p0, slum, people=np.array(people, dtype=float), rmse=1.0, draws=50)
    found = overlap.indices(own).set_index("measure")
    assert (found["lower"] <= found["estimate"] + 1e-9).all()
    assert (found["estimate"] <= found["upper"] + 1e-9).all()
    assert found.loc[found.index.str.contains(r"\(%\)"), "upper"].max() <= 100 + 1e-9
    for name in ("dissimilarity of poor and others", "isolation of the poor"):
        assert found.loc[name, "lower"] >= 0 and found.loc[name, "upper"] <= 1
    assert np.abs(overlap.concentration_index(own)).max() <= 1


def test_uncertain_rates_make_wide_intervals_and_more_dissimilarity():
    p0, slum = np.linspace(2, 6, 20), np.arange(20) * 4.0
    sure, unsure = (
        value(overlap.indices(made(p0, slum, rmse=r)), "concentration") for r in (0.05, 2.0)
    )
    assert unsure["upper"] - unsure["lower"] > 5 * (sure["upper"] - sure["lower"])
    sure, unsure = (
        value(overlap.indices(made(p0, slum, rmse=r)), "dissimilarity") for r in (0.05, 2.0)
    )
    assert unsure["estimate"] > sure["estimate"]


def test_the_probability_of_the_first_is_one_where_nothing_is_uncertain():
    own = made(np.arange(1, 21.0), np.arange(1, 21.0), rmse=1e-3)
    ranked = overlap.priority(own, top=5)
    assert list(ranked["probability_pct"].head(5)) == [100] * 5
    assert ranked["probability_pct"].iloc[5:].max() == 0
    words = "above 90 % for 5, above 50 % for 5 and above 5 % for 5 of 20 kelurahan"
    assert words in overlap.priority_words(ranked, 5)
    assert set(ranked["area_code"].head(5)) == {f"31730100{i:02d}" for i in range(15, 20)}
    unsure = overlap.priority(made(np.arange(1, 21.0), np.arange(1, 21.0), rmse=5.0), top=5)
    assert unsure["probability_pct"].head(5).min() < 100
    for name in ("probability_0.25", "probability_0.75"):
        assert unsure[name].sum() == pytest.approx(500, rel=0.05)  # ties may add a place


def test_the_weight_decides():
    own = made([20, 1, 2, 3], [0, 90, 10, 5], rmse=0.01)
    ranked = overlap.priority(own, top=1, weights=(0.0, 1.0)).set_index("area_code")
    assert ranked.loc["3173010001", "probability_0"] == 100
    assert ranked.loc["3173010000", "probability_1"] == 100


@pytest.mark.parametrize("options", [{"top": 0}, {"top": 5}, {"weights": (2,)}, {"weights": ()}])
def test_what_has_no_first_places(options):
    with pytest.raises(OverlapError):
        overlap.priority(made([1, 2, 3, 4], [1, 2, 3, 4]), **options)


def test_an_area_without_slum_share_is_not_one_without_slums():
    with pytest.raises(OverlapError, match="1 areas have no share"):
        made([1, 2, 3], [5, None, 0])


def test_areas_without_a_share_are_left_out_by_number():
    poverty = pd.DataFrame({"area_code": ["a", "b", "c"], "p0_pct": 5.0})
    areas, words = overlap.with_share(poverty, pd.Series({"a": 10.0, "b": np.nan}))
    assert list(areas["area_code"]) == ["a"] and words.startswith("2 of 3 kelurahan are left out")
    areas, words = overlap.with_share(poverty, pd.Series({"a": 0.0, "b": 1.0, "c": 2.0}))
    assert len(areas) == 3 and words == ""


def test_slum_residents_counts_persons():
    census = pd.DataFrame(
        {
            "kelurahan_code": ["a", "a", "b"],
            "household_size": [2, 6, 3],
            "count": [3, 1, 5],
            "slum_rw": [False, True, False],
        }
    )
    assert overlap.slum_residents(census).to_dict() == {"a": 50.0, "b": 0.0}
    for silent in (census.drop(columns="slum_rw"), census.assign(slum_rw=[False, None, True])):
        assert overlap.slum_residents(silent).isna().tolist() == [True, True]


def test_truth_beside_the_estimate():
    own = made([5, 10, 15], [0, 30, 60], rmse=1.0)
    truth = pd.DataFrame(
        {"kelurahan_code": own.areas["area_code"], "p0": own.areas["p0_pct"] / 100}
    )
    found = overlap.true_indices(own, truth)
    assert (found["covered"] == "yes").all()
    exact = overlap.indices(Overlap(own.areas, truth["p0"].to_numpy()[None]))
    np.testing.assert_allclose(found["truth"], exact["estimate"])
    far = overlap.true_indices(own, truth.assign(p0=[0.15, 0.10, 0.05]))
    assert "no" in set(far["covered"])


def survey(n=400, seed=0):
    rng = np.random.default_rng(seed)
    slum = rng.random(n) < 0.3
    poor = rng.random(n) < np.where(slum, 0.3, 0.1)
    return pd.DataFrame(
        {
            "period": "2021-03",
            "stratum": "a",
            "cluster": np.arange(n) // 10,
            "weight": rng.uniform(50, 150, n),
            "household_size": rng.integers(1, 7, n),
            "welfare": np.where(poor, 0.8, 1.5),
            "poor": poor,
            "slum_rw": slum,
        }
    )


def test_households_themselves():
    own = survey()
    found = overlap.direct_rows(own).set_index(["of", "share"])
    persons = own["weight"] * own["household_size"]
    by_hand = persons[own["poor"] & own["slum_rw"]].sum() / persons[own["poor"]].sum()
    row = found.loc[("poor", "living in slum RW")]
    assert row["estimate_pct"] == pytest.approx(100 * by_hand)
    assert row["lower_pct"] < row["estimate_pct"] < row["upper_pct"]
    assert row["n_households"] == own["poor"].sum()
    by_hand = persons[own["poor"] & own["slum_rw"]].sum() / persons[own["slum_rw"]].sum()
    assert found.loc[("in slum RW", "poor"), "estimate_pct"] == pytest.approx(100 * by_hand)


def test_few_poor_in_slum_rw_are_not_shown():
    own = survey(120)
    own.loc[own["slum_rw"] & own["poor"], "poor"] = False
    own.loc[own[own["slum_rw"]].index[:3], "poor"] = True
    found = overlap.direct_rows(own)
    assert found["estimate_pct"].isna().any()
    assert "too few" in overlap.answer(found, None)
    assert overlap.direct_rows(own.drop(columns="slum_rw")) is None
    assert overlap.answer(None, None) == overlap.NOT_IN_SURVEY


@pytest.fixture(scope="module")
def rw_table():
    return synthetic.rw_variables(0)


def test_a_users_rw_alone_are_not_crossed_with_the_synthetic_city(rw_table, tmp_path, monkeypatch):
    monkeypatch.delenv("MICRODATA", raising=False)
    path = tmp_path / "rw.csv"
    rw_table.drop(columns=["area_name", "synthetic"]).to_csv(path, index=False)
    inputs = overlap.open_inputs(str(path))
    assert inputs.data is None and not inputs.synthetic
    assert len(inputs.rw) == len(rw_table)
    assert "not crossed" in inputs.words()
    assert set(inputs.names()) == set(regions.areas()["kelurahan"])
    monkeypatch.setenv("RW_VARIABLES", str(path))
    assert overlap.open_inputs().data is None


def test_real_rw_and_simulated_households_are_refused(rw_table, tmp_path, monkeypatch):
    monkeypatch.delenv("MICRODATA", raising=False)
    path = tmp_path / "rw.csv"
    rw_table.drop(columns=["area_name", "synthetic"]).to_csv(path, index=False)
    folder = overlap.households.synthetic_folder()
    with pytest.raises(OverlapError, match="RW is real and the microdata are simulated"):
        overlap.open_inputs(str(path), str(folder))


def test_without_anything_both_are_synthetic(monkeypatch):
    for name in ("MICRODATA", "RW_VARIABLES"):
        monkeypatch.delenv(name, raising=False)
    inputs = overlap.open_inputs()
    assert inputs.synthetic and inputs.data.synthetic and "area_name" in inputs.rw
    real = set(regions.areas()["kelurahan"])
    assert not real & set(inputs.names())
    assert (
        inputs.names().to_dict()
        == inputs.rw.groupby("kelurahan_code")["area_name"].first().to_dict()
    )


def test_invented_rw_in_a_file_keep_invented_names(rw_table, tmp_path, monkeypatch):
    monkeypatch.delenv("MICRODATA", raising=False)
    path = tmp_path / "rw.csv"
    rw_table.drop(columns="area_name").to_csv(path, index=False)
    inputs = overlap.open_inputs(str(path))
    assert inputs.synthetic and inputs.data is None
    assert not set(regions.areas()["kelurahan"]) & set(inputs.names())
