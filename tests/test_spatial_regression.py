"""Against the examples that spreg publishes, on data that libpysal brings along."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import spreg
from libpysal import examples
from libpysal.graph import Graph, read_gal

from analysis import spatial_regression as regression
from analysis.neighbours import NeighbourError, Neighbours


def example(shapes, weights):
    table = gpd.read_file(examples.get_path(shapes), ignore_geometry=True)
    graph = read_gal(examples.get_path(weights))
    return table.set_axis(pd.Index(graph.unique_ids)), Neighbours(weights, graph)


@pytest.fixture(scope="module")
def baltimore():
    table, near = example("baltim.shp", "baltim_q.gal")
    return table, near, regression.fit(table, "PRICE", ["NROOM", "AGE", "SQFT"], near)


def column(found, model, name="estimate"):
    return found.coefficients.query("model == @model")[name].to_numpy()


def test_lag_and_error_of_house_prices_in_baltimore(baltimore):
    *_, found = baltimore
    # spreg 1.9, tests of ML_Lag and ML_Error.
    np.testing.assert_allclose(
        column(found, "lag"),
        [-6.04040164, 3.48995114, -0.20103955, 0.65462382, 0.62351143],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        column(found, "lag", "se") ** 2,
        [28.57288755, 1.42341656, 0.00288068, 0.02956392, 0.00332139],
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        column(found, "error"),
        [19.45930348, 3.98928064, -0.16714232, 0.57336871, 0.71757002],
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        column(found, "error", "se"), [6.144892, 1.156518, 0.066637, 0.170006, 0.059127], rtol=1e-4
    )
    fits = found.fits.set_index("model")
    assert fits.loc["error", "log_likelihood"] == pytest.approx(-881.269405, rel=1e-6)
    assert column(found, "error", "p_value")[1] == pytest.approx(0.0005618555635414317, rel=1e-3)
    assert found.area_count == 211
    assert fits.loc["Durbin", "log_likelihood"] >= fits.loc["lag", "log_likelihood"]


def test_lagrange_multipliers_of_columbus():
    table, near = example("columbus.shp", "columbus.gal")
    found = regression.fit(table, "HOVAL", ["INC", "CRIME"], near, draws=50)
    tests = found.tests.set_index("test")
    # spreg 1.9, tests of LMtests.
    for name, statistic, p_value in (
        ("LM error", 3.097094, 0.078432),
        ("LM lag", 0.981552, 0.321816),
        ("robust LM error", 3.209187, 0.073226),
        ("robust LM lag", 1.093645, 0.295665),
    ):
        assert tests.loc[name, "statistic"] == pytest.approx(statistic, rel=1e-5)
        assert tests.loc[name, "p_value"] == pytest.approx(p_value, rel=1e-4)


def test_ols_of_crime_in_columbus_is_the_published_one():
    table, near = example("columbus.shp", "columbus.gal")
    found = regression.fit(table, "CRIME", ["INC", "HOVAL"], near, draws=50)
    # Anselin (1988), Spatial econometrics, table 12.4: 68.619, -1.597, -0.274.
    np.testing.assert_allclose(column(found, "OLS"), [68.619, -1.597, -0.274], atol=5e-4)


def test_robust_errors_of_columbus_are_the_published_ones():
    table = gpd.read_file(examples.get_path("columbus.shp"))
    near = Neighbours("rook", Graph.build_contiguity(table, rook=True))
    found = regression.fit(table, "HOVAL", ["INC", "CRIME"], near, draws=20).robust
    error = found[found["model"] == "error"]
    # spreg 1.9, docstring of GM_Error_Het (step1c=True).
    np.testing.assert_allclose(error["estimate"], [47.9963, 0.7105, -0.5588, 0.4118], atol=5e-5)
    np.testing.assert_allclose(error["se"], [11.479, 0.3681, 0.1616, 0.168], atol=5e-5)
    # HC3 by its formula: residuals over one less their leverage.
    x = np.column_stack([np.ones(49), table[["INC", "CRIME"]]])
    inverse = np.linalg.inv(x.T @ x)
    residual = table["HOVAL"] - x @ (inverse @ x.T @ table["HOVAL"].to_numpy())
    weighed = (residual / (1 - np.einsum("ij,jk,ik->i", x, inverse, x))).to_numpy()
    variance = inverse @ (x.T * weighed**2) @ x @ inverse
    own = found.loc[found["model"] == "OLS", "se"]
    np.testing.assert_allclose(own, np.sqrt(np.diag(variance)))


def test_effects_are_those_of_the_matrices(baltimore):
    _, near, found = baltimore
    weights = near.graph.transform("r").sparse.toarray()
    unit = np.eye(len(weights))
    names = ["NROOM", "AGE", "SQFT"]
    for model in ("lag", "Durbin"):
        own = found.coefficients["model"] == model
        values = found.coefficients[own].set_index("term")["estimate"]
        for name in names:
            inner = unit * values[name] + weights * values.get(f"W {name}", 0.0)
            effect = np.linalg.solve(unit - values["rho"] * weights, inner)
            row = found.effects.set_index(["model", "term"]).loc[(model, name)]
            assert row["direct"] == pytest.approx(np.trace(effect) / len(unit), rel=1e-9)
            assert row["total"] == pytest.approx(effect.sum() / len(unit), rel=1e-9)
            assert row["indirect"] == pytest.approx(row["total"] - row["direct"], abs=1e-12)


def test_effects_of_the_lag_are_spregs_own(baltimore):
    _, near, found = baltimore
    rho = found.estimate("lag", "rho")["estimate"]
    own = spreg.sputils.spmultiplier(near.graph.transform("r").to_W(), rho, method="full")
    row = found.effects.query("model == 'lag' and term == 'SQFT'").iloc[0]
    assert row["direct"] == pytest.approx(own["adi"] * found.estimate("lag", "SQFT")["estimate"])


def test_standard_errors_of_effects_agree_with_the_delta_method(baltimore):
    _, near, found = baltimore
    table = baltimore[0]
    names = ["NROOM", "AGE", "SQFT"]
    with regression._quiet():
        lag = spreg.ML_Lag(
            table[["PRICE"]].to_numpy(),
            table[names].to_numpy(),
            near.graph.transform("r").to_W(),
            method="full",
        )
    b, rho = lag.betas[3, 0], lag.rho
    gradient = np.array([1 / (1 - rho), b / (1 - rho) ** 2])
    variance = gradient @ lag.vm[np.ix_([3, 4], [3, 4])] @ gradient
    row = found.effects.query("model == 'lag' and term == 'SQFT'").iloc[0]
    assert row["total_se"] == pytest.approx(np.sqrt(variance), rel=0.15)


def test_a_covariate_that_is_not_lagged_has_no_neighbours_mean(baltimore):
    table, near, whole = baltimore
    found = regression.fit(
        table, "PRICE", ["NROOM", "AGE", "SQFT"], near, not_lagged=["AGE"], draws=50
    )
    terms = list(found.coefficients.query("model == 'Durbin'")["term"])
    assert terms == ["constant", "NROOM", "AGE", "SQFT", "W NROOM", "W SQFT", "rho"]
    rho, age = (found.estimate("Durbin", term)["estimate"] for term in ("rho", "AGE"))
    row = found.effects.query("model == 'Durbin' and term == 'AGE'").iloc[0]
    assert row["total"] == pytest.approx(age / (1 - rho))
    assert found.tests.set_index("test").loc["LR Durbin against lag", "df"] == 2
    assert whole.tests.set_index("test").loc["LR Durbin against lag", "df"] == 3


def test_a_lag_is_found_where_there_is_one():
    table, near = example("baltim.shp", "baltim_q.gal")
    weights = near.graph.transform("r").sparse.toarray()
    rng = np.random.default_rng(0)
    x = rng.normal(size=len(table))
    y = np.linalg.solve(np.eye(len(table)) - 0.5 * weights, 1 + 2 * x + rng.normal(size=len(table)))
    made = pd.DataFrame({"y": y, "x": x}, index=table.index)
    found = regression.fit(made, "y", ["x"], near, draws=200)
    rho = found.estimate("lag", "rho")
    assert abs(rho["estimate"] - 0.5) < 3 * rho["se"] and rho["p_value"] < 0.001
    assert found.tests.set_index("test").loc["LM lag", "p_value"] < 0.001
    assert regression.preferred(found) in ("lag", "Durbin")
    shown = regression.wide(found)
    assert list(shown["term"]) == ["constant", "x", "W x", "rho", "lambda"]


@pytest.mark.parametrize(
    "names, words",
    [
        (["NROOM", "twice"], "collinear"),
        (["NROOM", "holed"], "no value of holed"),
        (["flat"], "the same"),
    ],
)
def test_what_cannot_be_fitted(baltimore, names, words):
    table, near, _ = baltimore
    table = table.assign(
        twice=2 * table["NROOM"], holed=table["AGE"].mask(table["AGE"] > 100), flat=1.0
    )
    with pytest.raises(NeighbourError, match=words):
        regression.fit(table, "PRICE", names, near)


def test_a_name_that_is_no_covariate(baltimore):
    table, near, _ = baltimore
    with pytest.raises(NeighbourError, match="no covariate"):
        regression.fit(table, "PRICE", ["AGE"], near, not_lagged=["SQFT"])
