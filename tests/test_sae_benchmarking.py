"""Benchmarking against R's `emdi`, and against what each method promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import paths
from analysis.sae import SaeError, benchmark, fay_herriot

REFERENCE = paths.RAW / "reference"


@pytest.fixture(scope="module")
def fit():
    table = pd.read_csv(REFERENCE / "area.csv", index_col="area")
    covariates = table[["x1", "x2"]].assign(one=1.0)
    return fay_herriot(table["direct"], table["sampling_variance"], covariates)


@pytest.fixture(scope="module")
def persons(fit):
    rng = np.random.default_rng(1)
    return pd.Series(rng.integers(1000, 60000, len(fit.areas)), index=fit.areas["area"])


@pytest.fixture(scope="module")
def kota(fit):
    return pd.Series(np.repeat(["3171", "3172"], [25, 15]), index=fit.areas["area"])


@pytest.mark.parametrize(
    ("method", "name"), [("ratio", "ratio"), ("raking", "raking"), ("mse", "MSE_adj")]
)
def test_eusilc_as_in_r(shared, method, name):
    folder = shared / "reference" / "sae"
    table = pd.read_csv(folder / "eusilcA_combined.csv", index_col="Domain")
    covariates = table[["cash", "self_empl"]].assign(one=1.0)
    expected = pd.read_csv(folder / f"eusilcA_benchmark_{name}.csv", index_col="Domain")
    ours = fay_herriot(table["Mean"], table["Var_Mean"], covariates)
    result = benchmark(ours, 20140.09, table["ratio_n"], method=method)
    after = result.areas.set_index("area")["benchmarked"]
    assert after.to_numpy() == pytest.approx(expected["FH_Bench"].to_numpy(), rel=1e-6)
    assert result.factor == pytest.approx(1.0167241, rel=1e-6)
    # Given emdi's own estimates and MSE, the arithmetic is the same to the digits printed.
    reference = pd.read_csv(folder / "eusilcA_fh_ref.csv")
    reference = reference[reference["model"] == "fh_reml"]
    given = pd.DataFrame(
        {"area": reference["Domain"], "estimate": reference["FH"], "mse": reference["MSE_FH"]}
    )
    result = benchmark(given, 20140.09, table["ratio_n"], method=method)
    after = result.areas.set_index("area")["benchmarked"].reindex(expected.index)
    assert after.to_numpy() == pytest.approx(expected["FH_Bench"].to_numpy(), rel=1e-12)


@pytest.mark.parametrize("method", ["ratio", "raking", "mse"])
def test_each_group_meets_its_target(fit, persons, kota, method):
    target = pd.Series({"3171": 6.5, "3172": 5.0})
    result = benchmark(fit, target, persons, by=kota, method=method)
    areas = result.areas.set_index("area")
    for code, part in areas.groupby("group"):
        assert np.average(part["benchmarked"], weights=persons[part.index]) == pytest.approx(
            target[code]
        )
        assert part["share"].sum() == pytest.approx(1)
        before = np.average(part["estimate"], weights=persons[part.index])
        row = result.groups.set_index("group").loc[code]
        assert row["aggregate"] == pytest.approx(before)
        assert row["factor"] == pytest.approx(target[code] / before)
        assert result.factor[code] == row["factor"] and row["areas"] == len(part)
    moved = areas["benchmarked"] - areas["estimate"]
    spread = {
        "ratio": areas["benchmarked"] / areas["estimate"],
        "raking": moved,
        "mse": moved / areas["mse"],
    }[method]
    assert spread.groupby(areas["group"]).std().max() < 1e-12
    assert (areas["mse_benchmarked"] - areas["mse"] - moved**2).abs().max() < 1e-12
    assert (areas["rmse_benchmarked"] ** 2).to_numpy() == pytest.approx(
        areas["mse_benchmarked"].to_numpy()
    )
    assert "3171" in result.summary() and "<table" in result._repr_html_()


def test_by_hand():
    table = pd.DataFrame({"area": ["a", "b"], "estimate": [0.02, 0.04], "mse": [1e-4, 3e-4]})
    weights = pd.Series({"b": 100, "a": 300})  # by index, in another order
    ratio = benchmark(table, 0.03, weights)
    assert ratio.factor == pytest.approx(1.2)  # 0.03 / (0.75 x 0.02 + 0.25 x 0.04)
    assert list(ratio.areas["benchmarked"]) == pytest.approx([0.024, 0.048])
    assert list(ratio.areas["mse_benchmarked"]) == pytest.approx([1.16e-4, 3.64e-4])
    raking = benchmark(table, 0.03, weights, method="raking")
    assert list(raking.areas["benchmarked"]) == pytest.approx([0.025, 0.045])
    mse = benchmark(table, 0.03, weights, method="mse")  # 0.005 / 1.5e-4 x mse
    assert list(mse.areas["benchmarked"]) == pytest.approx([0.02 + 1 / 300, 0.05])
    assert "fell below 0" in benchmark(table, 0.001, weights, method="raking").summary()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**32 - 1), st.sampled_from(["ratio", "raking", "mse"]))
def test_nothing_happens_where_the_target_is_met(count, seed, method):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"area": range(count), "estimate": rng.uniform(0.01, 0.2, count)})
    table["mse"] = rng.uniform(1e-5, 1e-3, count)
    weights = rng.uniform(1, 10, count)
    met = np.average(table["estimate"], weights=weights)
    result = benchmark(table, met, weights, method=method)
    assert np.allclose(result.areas["benchmarked"], table["estimate"])
    assert np.allclose(result.areas["mse_benchmarked"], table["mse"])
    # Persons or shares, it is the same; and twice is once.
    other = benchmark(table, 0.3, weights / weights.sum(), method=method).areas
    first = benchmark(table, 0.3, weights, method=method).areas
    assert np.allclose(first["benchmarked"], other["benchmarked"])
    again = first[["area", "mse"]].assign(estimate=first["benchmarked"])
    assert np.allclose(
        benchmark(again, 0.3, weights, method=method).areas["benchmarked"], first["benchmarked"]
    )


def test_the_mse_after_is_right_on_average():
    """Internal benchmarking of the best predictor: its MSE and the squared adjustment add up."""
    rng = np.random.default_rng(7)
    count, draws = 12, 40000
    error = rng.uniform(0.5, 3, count)
    weights = rng.uniform(1, 5, count)
    weights /= weights.sum()
    truth = rng.normal(0, 1, (draws, count))
    direct = truth + rng.normal(0, np.sqrt(error), (draws, count))
    best = direct / (1 + error)
    left = error / (1 + error)  # the MSE of the best predictor
    adjustment = np.outer((direct - best) @ weights, np.ones(count))  # raking
    actual = ((best + adjustment - truth) ** 2).mean(axis=0)
    claimed = (left + adjustment**2).mean(axis=0)
    assert claimed == pytest.approx(actual, rel=0.03)


def test_a_unit_level_fit_with_its_own_mse():
    class Fit:
        areas = pd.DataFrame({"area": ["a", "b"], "p0": [0.02, 0.04], "n_sample": [12, 0]})
        mse = pd.DataFrame({"area": ["b", "a"], "p0": [3e-4, 1e-4]})

    result = benchmark(Fit(), 0.03, [300, 100], indicator="p0")
    assert list(result.areas["mse"]) == [1e-4, 3e-4]
    assert list(result.areas["synthetic"]) == [False, True]


def test_an_mse_that_is_missing_stays_missing():
    table = pd.DataFrame({"area": ["a", "b"], "estimate": [0.02, 0.04], "mse": [1e-4, np.nan]})
    result = benchmark(table, 0.03, [1, 1])
    assert result.areas["mse_benchmarked"].isna().tolist() == [False, True]
    assert "missing after, too" in result.summary()


def test_input_that_is_wrong_is_refused(fit, persons, kota):
    target = pd.Series({"3171": 6.5, "3172": 5.0})
    hole = fit.areas.assign(estimate=fit.areas["estimate"].where(fit.areas["area"] != "A05"))
    no_mse = fit.areas.assign(mse=fit.areas["mse"].where(fit.areas["area"] != "A05"))
    zero = fit.areas.assign(estimate=0.0)
    cases = [
        (fit, 5.0, persons, {"method": "logit"}, "method must be one of 'ratio', 'raking', 'mse'"),
        (fit, 5.0, persons.drop("A03"), {}, "weights is missing for area 'A03'"),
        (fit, 5.0, -persons, {}, "weights must not be negative .* area 'A00'"),
        (fit, 5.0, persons * 0, {}, "the weights of group 'all' are all 0"),
        (fit, 5.0, [1, 2], {}, "weights has 2 values for 40 areas"),
        (fit, 5.0, persons, {"by": kota}, "a figure for each group"),
        (fit, target, persons, {}, "for a figure per group give by"),
        (fit, target.drop("3172"), persons, {"by": kota}, "no figure for group '3172'"),
        (fit, target, persons, {"by": kota.drop("A01")}, "by is missing for area 'A01'"),
        (hole, 5.0, persons, {}, "'estimate' is missing in area 'A05'"),
        (no_mse, 5.0, persons, {"method": "mse"}, "needs the MSE .* missing in 'A05'"),
        (zero, 5.0, persons, {}, "weighted mean of 0"),
        (fit, 5.0, persons, {"indicator": "p0"}, "there is no column 'p0' among"),
        (fit.areas.iloc[[0, 0]], 5.0, [1, 1], {}, "area 'A00' appears more than once"),
    ]
    for given_fit, aim, weights, options, told in cases:
        with pytest.raises(SaeError, match=told):
            benchmark(given_fit, aim, weights, **options)


def test_a_column_without_an_index_goes_by_position(fit, persons):
    """A column of the fit's own table; another index is by area, and must have them all."""
    column = pd.Series(persons.reindex(fit.areas["area"]).to_numpy())
    named = benchmark(fit, 5.0, persons).areas
    pd.testing.assert_frame_equal(benchmark(fit, 5.0, column).areas, named)
    with pytest.raises(SaeError, match="weights is missing for area 'A00'"):
        benchmark(fit, 5.0, column.set_axis(column.index + 1))
    # Areas that are called 0 to n - 1 are matched by name.
    table = fit.areas.assign(area=range(len(column)))
    shuffled = column.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(
        benchmark(table, 5.0, shuffled).areas["benchmarked"], named["benchmarked"]
    )
