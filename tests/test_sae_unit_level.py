"""The nested error model and empirical best prediction, against R, Monte Carlo and themselves."""

import functools
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from analysis import paths
from analysis.sae import (
    SaeError,
    bootstrap,
    ell,
    empirical_best,
    nested_error,
    simulation,
    validation,
)
from analysis.sae.bootstrap import Conditional, Truth
from analysis.sae.census import Census, deviations, expected
from analysis.sae.measures import Expected
from analysis.sae.transformations import Transformation
from analysis.sae.unit_model import Households, fit_transformed, minimum

REFERENCE = paths.RAW / "reference"
OWN = {"welfare": "y", "covariates": ["z1", "z2"], "area": "area", "line": 300_000.0}


@functools.cache
def own(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"unit_{name}.csv")


def fitted_in_r(model: str) -> pd.Series:
    fits = pd.read_csv(REFERENCE / "fits_R.csv")
    return fits[fits["model"] == model].set_index("par")["value"]


def close_to_emdi(result, reference: pd.DataFrame, errors: pd.DataFrame) -> None:
    reference = reference.set_index("Domain").loc[result.areas["area"]]
    ours = result.areas.set_index("area")
    for name in ("p0", "p1"):
        assert (errors[name] > 0).all()
        off = (ours[name] - reference[validation.EMDI[name]]) / errors[name]
        assert off.abs().max() < 3, (name, off.abs().idxmax())
        # If it is Monte Carlo error alone, it is standard normal.
        assert 0.8 < off.std() < 1.25
    off = (ours["mean"] - reference["Mean"]) / errors["mean"]
    assert off.abs().max() < 4


# --- the nested error model


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_nested_error_agrees_with_statsmodels(method):
    sample = own("sample").assign(y=lambda d: np.log(d["y"]))
    fit = nested_error(sample, response="y", covariates=["z1", "z2"], area="area", method=method)
    peer = smf.mixedlm("y ~ z1 + z2", sample, groups="area").fit(reml=method == "reml", gtol=1e-8)
    assert fit.sigma2_u == pytest.approx(peer.cov_re.iloc[0, 0], rel=1e-4)
    assert fit.sigma2_e == pytest.approx(peer.scale, rel=1e-5)
    np.testing.assert_allclose(fit.coefficients, peer.fe_params, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(peer.llf, abs=1e-5)
    effects = pd.Series({a: e.iloc[0] for a, e in peer.random_effects.items()})
    np.testing.assert_allclose(fit.effects, effects.loc[fit.effects.index], atol=1e-5)
    np.testing.assert_allclose(fit.residuals, peer.resid, atol=1e-5)


def test_standard_errors_are_those_of_generalised_least_squares():
    sample = own("sample").assign(y=lambda d: np.log(d["y"]))
    fit = nested_error(sample, response="y", covariates=["z1", "z2"], area="area")
    x, area = fit.design.to_numpy(), sample["area"].to_numpy()
    v = fit.sigma2_e * np.eye(len(x)) + fit.sigma2_u * (area[:, None] == area)
    covariance = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diagonal(covariance)), rtol=1e-9)
    # The whitened rows are an ordinary regression with the same coefficients.
    white = fit.whitened_design
    np.testing.assert_allclose(np.linalg.inv(white.T @ white), covariance, rtol=1e-9)
    residual = (sample["y"] - fit.fitted).to_numpy()
    distance = residual @ np.linalg.solve(v, residual)
    assert (fit.whitened_residuals**2).sum() == pytest.approx(distance)
    np.testing.assert_allclose(white.T @ fit.whitened_residuals, 0, atol=1e-8)


def test_nested_error_with_categories_of_any_kind():
    rng = np.random.default_rng(3)
    n = 300
    data = pd.DataFrame(
        {
            "area": rng.choice([f"{a:02d}" for a in range(20)], n),
            "roof": rng.choice(["tile", "asbestos", "zinc"], n),
            "urban": rng.random(n) < 0.4,
            "x": rng.normal(1e6, 1e5, n),
        }
    )
    data["grade"] = pd.Categorical(rng.choice(["low", "high"], n), ["low", "high", "never"])
    data["y"] = rng.normal(0, 1, n) + data["urban"] + 2 * (data["roof"] == "tile")
    data.index = rng.permutation(n) + 7
    fit = nested_error(data, response="y", covariates=["roof", "urban", "x", "grade"], area="area")
    assert list(fit.coefficients.index) == [
        "intercept", "roof[tile]", "roof[zinc]", "urban[True]", "x", "grade[high]",
    ]  # fmt: skip
    assert fit.baselines == {"roof": "asbestos", "urban": False, "grade": "low"}
    assert fit.design.index.equals(data.index)
    np.testing.assert_allclose(fit.design @ fit.coefficients, fit.fitted)
    whole = fit.fitted + fit.area_codes.map(fit.effects) + fit.residuals
    np.testing.assert_allclose(whole, data["y"])
    assert (fit.area_codes == data["area"]).all()


def test_no_variance_between_areas_is_zero():
    rng = np.random.default_rng(0)
    area = np.repeat(np.arange(20), 10)
    y = rng.normal(0, 1, 200)
    y -= pd.Series(y).groupby(area).transform("mean").to_numpy()  # less than by chance
    data = pd.DataFrame({"area": area, "y": y, "x": rng.normal(0, 1, 200)})
    fit = nested_error(data, response="y", covariates=["x"], area="area")
    assert fit.sigma2_u == 0
    assert (fit.effects == 0).all() and (fit.shrinkage == 0).all()


def test_an_area_with_one_household_and_an_intercept_alone():
    sample = own("sample").drop_duplicates("area", keep="last")
    sample = pd.concat([sample, own("sample")[lambda d: d["area"] > "D20"]])
    fit = nested_error(sample, response="y", covariates=[], area="area")
    assert list(fit.coefficients.index) == ["intercept"]
    alone = fit.shrinkage[fit.area_codes.value_counts().loc[lambda n: n == 1].index]
    expected_share = fit.sigma2_u / (fit.sigma2_u + fit.sigma2_e)
    np.testing.assert_allclose(alone, expected_share)


@given(st.integers(0, 10_000), st.floats(0.01, 30), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_the_fit_is_where_the_likelihood_is_highest(seed, ratio, p):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 15)
    sizes[0] = 5
    area = np.repeat(np.arange(15), sizes)
    x = np.column_stack([np.ones(len(area)), rng.normal(0, 1, (len(area), p - 1))])
    y = x.sum(axis=1) + np.sqrt(ratio) * rng.normal(0, 1, 15)[area] + rng.normal(0, 1, len(area))
    households = Households(x, area)
    found = households.fit(y)

    def minus_twice(log_ratio):
        v = np.eye(len(y)) + np.exp(log_ratio) * (area[:, None] == area)
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        beta = np.linalg.solve(information, x.T @ inverse @ y)
        rss = (y - x @ beta) @ inverse @ (y - x @ beta)
        determinants = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
        return (len(y) - x.shape[1]) * np.log(rss) + determinants

    best = optimize.minimize_scalar(minus_twice, bounds=(-12, 8), method="bounded")
    own_value = minus_twice(np.log(max(found.ratio, 1e-12)))
    assert own_value <= best.fun + 1e-6


# --- against R


def test_fits_agree_with_r():
    log = empirical_best(own("sample"), own("census"), transformation="log", **OWN)
    r = fitted_in_r("unit_log")
    assert log.sigma2_u == pytest.approx(r["sigma2_u"], rel=1e-3)
    assert log.sigma2_e == pytest.approx(r["sigma2_e"], rel=1e-3)
    np.testing.assert_allclose(log.coefficients, r[["b0", "b1", "b2"]], rtol=1e-5)
    box_cox = empirical_best(own("sample"), own("census"), **OWN)
    lambda_ = fitted_in_r("unit_boxcox")["lambda"]
    assert box_cox.transformation_parameter == pytest.approx(lambda_, rel=1e-3)


@pytest.mark.parametrize(("kind", "name"), [("log", "log"), ("box-cox", "boxcox")])
def test_estimates_agree_with_emdi(kind, name):
    census = own("census")
    result = empirical_best(
        own("sample"), census, transformation=kind, indicators=["gini"], draws=200, **OWN
    )
    reference = own(f"R_emdi_{name}_L2000")
    close_to_emdi(result, reference, validation.monte_carlo_errors(result, census, "area", 2000))
    np.testing.assert_allclose(result.areas["gini"], reference["Gini"], rtol=0.03)
    assert result.areas["gini"].mean() == pytest.approx(reference["Gini"].mean(), rel=2e-3)
    assert result.areas["synthetic"].sum() == 5
    assert (result.areas["synthetic"] == (result.areas["shrinkage"] == 0)).all()
    assert (result.areas["n_census"] == census.groupby("area").size().to_numpy()).all()
    assert result.areas["n_sample"].sum() == len(own("sample"))


def test_mse_agrees_with_emdi():
    result = empirical_best(
        own("sample"), own("census"), transformation="log", replicates=400, seed=1, **OWN
    )
    reference = own("R_emdi_log_MSE_B400").set_index("Domain").loc[result.areas["area"]]
    for name, theirs in validation.EMDI.items():
        ratio = result.rmse[name].to_numpy() / np.sqrt(reference[theirs].to_numpy())
        assert np.median(ratio) == pytest.approx(1, abs=0.15), name
        assert ratio.min() > 0.7 and ratio.max() < 1.4
    assert (result.cv["p0"] == result.rmse["p0"] / result.areas["p0"]).all()


def test_eusilca_agrees_with_emdi(shared):
    folder = shared / "reference" / "sae"
    sample = pd.read_csv(folder / "eusilcA_smp.csv")
    census = pd.read_csv(folder / "eusilcA_pop.csv")
    given = {
        "welfare": "eqIncome",
        "covariates": [c for c in census if c not in ("eqIncome", "state", "district")],
        "area": "district",
        "line": 10885.33,
    }
    result = empirical_best(sample, census, replicates=400, **given)
    assert result.transformation_parameter == pytest.approx(0.60469011, rel=1e-3)
    assert result.sigma2_u == pytest.approx(2486.032, rel=1e-3)
    assert result.sigma2_e == pytest.approx(9426.864, rel=1e-3)
    assert (~result.areas["synthetic"]).sum() == 70 and len(result.areas) == 94
    fit = pd.read_csv(folder / "eusilcA_ebp_boxcox_L500_fit.csv").set_index("param")["value"]
    ours = result.coefficients.drop(["intercept", "gender[male]"])
    np.testing.assert_allclose(ours, fit[[f"beta:{name}" for name in ours.index]], rtol=2e-3)
    assert result.coefficients["gender[male]"] == pytest.approx(-fit["beta:genderfemale"], rel=2e-3)
    reference = pd.read_csv(folder / "eusilcA_ebp_boxcox_L500_ind.csv")
    close_to_emdi(result, reference, validation.monte_carlo_errors(result, census, "district", 500))
    theirs = pd.read_csv(folder / "eusilcA_ebp_boxcox_L50_B100_mse.csv").set_index("Domain")
    theirs = np.sqrt(theirs.loc[result.areas["area"], "Head_Count"].to_numpy())
    assert np.median(result.rmse["p0"] / theirs) == pytest.approx(1, abs=0.15)
    log = empirical_best(sample, census, transformation="log", **given)
    fit = pd.read_csv(folder / "eusilcA_ebp_log_L50_fit.csv").set_index("param")["value"]
    assert log.sigma2_u == pytest.approx(fit["sigma2_u"], rel=1e-3)
    assert log.sigma2_e == pytest.approx(fit["sigma2_e"], rel=1e-3)


# --- expectations without Monte Carlo

CASES = [
    (Transformation("none"), 10.0, [-2.0, 8.0, 15.0], 4.0),
    (Transformation("log"), 10.0, [1.0, 2.3, 3.0], 0.5),
    (Transformation("log-shift", 4.0), 10.0, [1.5, 2.5, 3.0], 0.6),
    (Transformation("box-cox", 0.6), 10.0, [-1.0, 3.0, 8.0], 2.0),  # the support ends within
    (Transformation("box-cox", 0.5, 3.0), 10.0, [-1.0, 4.0, 8.0], 2.0),
    (Transformation("box-cox", 1.4), 10.0, [3.0, 15.0, 30.0], 8.0),
    (Transformation("box-cox", -0.1), 10.0, [1.3, 1.7, 2.1], 0.3),
]


@pytest.mark.parametrize(("h", "line", "means", "s"), CASES, ids=lambda v: getattr(v, "kind", ""))
def test_expected_measures_are_those_of_a_simulation(h, line, means, s):
    draws = 400_000
    rng = np.random.default_rng(5)
    for mu in means:
        half = mu + s * rng.standard_normal(draws // 2)
        y = h.inverse(h.within(np.concatenate([half, 2 * mu - half]), np.float64(mu)))
        gap = np.maximum(1 - y / line, 0)
        drawn = np.column_stack([y, y < line, gap, gap**2, y**2, gap**4])
        found = Expected(h, line, squares=True)(np.array([mu]), s)[0]
        error = drawn.std(axis=0) / np.sqrt(draws)
        assert (np.abs(found - drawn.mean(axis=0)) < 4 * error + 1e-6).all()


def test_expected_measures_under_box_cox_meet_their_neighbours():
    # lambda = 1 is no transformation (moved by one); lambda = 0 is log. Both are in closed form.
    mu = np.linspace(5, 30, 40)
    none = Expected(Transformation("none"), 12.0, squares=True)(mu + 1, 2.0)
    one = Expected(Transformation("box-cox", 1.0), 12.0, squares=True)(mu, 2.0)
    far = mu > 16  # where nothing falls below zero, and the two differ by nothing
    np.testing.assert_allclose(one[far], none[far], rtol=1e-10, atol=1e-12)
    mu = np.linspace(1, 4, 40)
    log = Expected(Transformation("log"), 12.0, squares=True)(mu, 0.5)
    for tiny in (1e-9, -1e-9):
        close = Expected(Transformation("box-cox", tiny), 12.0, squares=True)(mu, 0.5)
        np.testing.assert_allclose(close, log, rtol=1e-6, atol=1e-9)


@given(st.integers(0, 10_000), st.sampled_from(CASES), st.floats(0.05, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_cells_are_off_by_less_than_promised(seed, case, ratio, counted):
    h, line, means, sigma_e = case
    rng = np.random.default_rng(seed)
    n, n_areas = 6_000, 7
    area = np.sort(rng.integers(0, n_areas, n))
    count = rng.integers(1, 5, n).astype(float) if counted else None
    eta = np.mean(means) + np.std(means) * rng.standard_normal(n)
    effects = 0.3 * ratio * sigma_e * rng.standard_normal(n_areas)
    s = sigma_e * np.sqrt(1 + ratio**2 * rng.random(n_areas))
    sizes = np.bincount(area, count, minlength=n_areas)
    census = Census(eta[:, None], area, count, sizes)
    measure = Expected(h, line)
    by_cells = census.cells(eta, s.min() / 6, effects).sums(measure, s)
    each = measure(eta + effects[area], s[area]) * (1 if count is None else count[:, None])
    exact = np.column_stack([np.bincount(area, c, minlength=n_areas) for c in each.T])
    off = np.abs(by_cells - exact) / sizes[:, None]
    assert off[:, 1:].max() < 1e-8
    assert (off[:, 0] / np.abs(exact[:, 0] / sizes).max()).max() < 1e-8
    either = expected(census, eta, effects, s, measure)
    np.testing.assert_allclose(either, exact, rtol=1e-7, atol=1e-7 * n)


def test_predictions_far_away_are_computed_one_by_one():
    rng = np.random.default_rng(0)
    n = 20_000
    eta = rng.normal(13, 0.3, n)
    eta[[5, 700, 15_000]] = [500.0, -400.0, 9e3]  # a typing error in a covariate
    area = np.sort(rng.integers(0, 4, n))
    census = Census(eta[:, None], area, None, np.bincount(area))
    measure, s = Expected(Transformation("log"), 3e5), np.array([0.4, 0.45, 0.5, 0.41])
    cells = census.cells(eta, 0.4 / 6)
    assert len(cells.outlier_mu) == 3 and len(cells.points) < 1000
    found = cells.sums(measure, s)
    each = measure(eta, s[area])
    exact = np.column_stack([np.bincount(area, c, minlength=4) for c in each.T])
    np.testing.assert_allclose(found[:, 1:], exact[:, 1:], rtol=1e-8)


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.7, 2.0])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].kind)
def test_a_replicates_truth_is_that_of_its_households(case, ratio):
    h, line, means, sigma_e = case
    rng = np.random.default_rng(2)
    n, n_areas = 3_000, 5
    area = np.sort(rng.integers(0, n_areas, n))
    eta = np.mean(means) + np.std(means) * rng.standard_normal(n)
    sizes = np.bincount(area)
    census = Census(eta[:, None], area, None, sizes)
    truth = Truth.of(census, eta, h, line, ratio * sigma_e, sigma_e)
    u = ratio * sigma_e * np.array([-4.0, -1.0, 0.0, 0.5, 4.5])
    mean, variance = truth.at(u)
    each = Conditional(Expected(h, line, squares=True))(eta + u[area], sigma_e)
    exact = np.column_stack([np.bincount(area, c) for c in each.T])
    both = np.column_stack([mean, variance])
    scale = np.where(np.arange(8) % 4 == 0, np.abs(exact).max(axis=0), sizes[:, None])
    assert (np.abs(both - exact) / scale).max() < 1e-7


def test_standard_deviations_are_interpolated_at_few_nodes():
    s = 0.4 * np.sqrt(1 + np.linspace(0, 1, 5_000))
    nodes, weights = deviations(s)
    assert len(nodes) < 15
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ np.exp(-1 / nodes), np.exp(-1 / s), atol=1e-9)
    nodes, weights = deviations(np.array([2.0, 1.0, 2.0]))
    np.testing.assert_array_equal(weights @ nodes, [2, 1, 2])


# --- transformations


def test_the_shift_of_log_shift_has_the_highest_reml():
    rng = np.random.default_rng(4)
    area = np.repeat(np.arange(30), 12)
    x = rng.normal(0, 1, len(area))
    logs = 5 + 0.3 * x + 0.2 * rng.normal(0, 1, 30)[area] + 0.3 * rng.normal(0, 1, len(area))
    sample = pd.DataFrame({"area": area, "x": x, "welfare": np.exp(logs) - 60})
    assert (sample["welfare"] < 0).any()
    given = {"welfare": "welfare", "covariates": ["x"], "area": "area", "line": 50.0}
    result = empirical_best(sample, sample, transformation="log-shift", **given)
    shift = result.transformation_parameter
    assert 30 < shift < 110

    def reml(at):
        moved = sample["welfare"] + at
        scaled = sample.assign(y=np.exp(np.log(moved).mean()) * np.log(moved))
        return nested_error(scaled, response="y", covariates=["x"], area="area").log_likelihood

    assert reml(shift) > max(reml(shift - 3), reml(shift + 3))
    np.testing.assert_allclose(result.fit.response_values, np.log(sample["welfare"] + shift))
    # The gap of negative welfare is above one, as its mean over the sample's own model.
    assert result.areas["p1"].mean() == pytest.approx(
        np.maximum(1 - sample["welfare"] / 50, 0).mean(), rel=0.1
    )


def test_box_cox_shifts_negative_welfare_as_emdi():
    sample = own("sample").assign(y=lambda d: d["y"] - 150_000)
    assert sample["y"].min() < 0
    result = empirical_best(sample, own("census"), **OWN)
    assert result.fit.shift == 1 - sample["y"].min()
    moved = empirical_best(sample.assign(y=sample["y"] + result.fit.shift), own("census"), **OWN)
    assert moved.transformation_parameter == pytest.approx(result.transformation_parameter)
    np.testing.assert_allclose(
        moved.areas["mean"] - result.fit.shift, result.areas["mean"], rtol=1e-6
    )


def test_a_parameter_may_be_given():
    given = empirical_best(own("sample"), own("census"), transformation_parameter=0.0, **OWN)
    log = empirical_best(own("sample"), own("census"), transformation="log", **OWN)
    np.testing.assert_allclose(given.areas["p0"], log.areas["p0"], rtol=1e-9)


@pytest.mark.parametrize("start", [None, 0.3, 1.9])
def test_minimum_finds_the_bottom_also_at_a_bound(start):
    assert minimum(lambda v: (v - 0.7) ** 2 + 0.1 * v**4, -1, 2, start) == pytest.approx(
        optimize.minimize_scalar(lambda v: (v - 0.7) ** 2 + 0.1 * v**4).x, abs=1e-5
    )
    assert minimum(lambda v: v, -1, 2, start) == pytest.approx(-1, abs=1e-4)
    assert minimum(lambda v: -v, -1, 2, start) == pytest.approx(2, abs=1e-4)


# --- the census


def test_order_of_households_does_not_matter():
    rng = np.random.default_rng(0)
    given = {**OWN, "replicates": 5}
    first = empirical_best(own("sample"), own("census"), **given)
    mixed = empirical_best(
        own("sample"), own("census").iloc[rng.permutation(len(own("census")))], **given
    )
    pd.testing.assert_frame_equal(first.areas, mixed.areas, rtol=1e-10)
    pd.testing.assert_frame_equal(first.mse, mixed.mse, rtol=1e-8)
    mixed = empirical_best(own("sample").sample(frac=1, random_state=1), own("census"), **OWN)
    pd.testing.assert_frame_equal(first.areas, mixed.areas, rtol=1e-5)


def test_a_table_of_patterns_gives_what_its_households_give():
    census = own("census").assign(z1=lambda d: d["z1"].round())
    patterns = census.groupby(["z1", "area", "z2"], as_index=False).size()
    given = {**OWN, "replicates": 30, "seed": 3}
    # From 20 replicates on, and 1000 rows, a census of few patterns is made a table of them.
    households = empirical_best(own("sample"), census, **given)
    counted = empirical_best(own("sample"), patterns, count="size", **given)
    pd.testing.assert_frame_equal(counted.areas, households.areas, rtol=1e-10)
    pd.testing.assert_frame_equal(counted.mse, households.mse, rtol=1e-7)
    given = {**OWN, "indicators": ["gini", "q50"], "draws": 300}
    households = empirical_best(own("sample"), census, **given)
    counted = empirical_best(own("sample"), patterns, count="size", **given)
    np.testing.assert_allclose(counted.areas["q50"], households.areas["q50"], rtol=0.05)


def test_compressed_census_is_used_where_it_pays(monkeypatch):
    seen = []
    table = bootstrap.Truth.of.__func__

    def spy(cls, census, *rest):
        seen.append(census)
        return table(cls, census, *rest)

    monkeypatch.setattr(bootstrap.Truth, "of", classmethod(spy))
    few = own("census").assign(z1=lambda d: d["z1"].round())
    few = pd.concat([few] * 3)
    empirical_best(own("sample"), few, replicates=20, **OWN)
    empirical_best(own("sample"), own("census"), replicates=20, **OWN)
    assert len(seen[0].area) < len(few) / 5 and seen[0].count.sum() == len(few)
    assert seen[1].count is None


def test_areas_of_one_table_only():
    sample, census = own("sample"), own("census")
    left = census[census["area"] != "D03"]
    result = empirical_best(sample, left, replicates=3, **OWN)
    assert result.sample_only == ("D03",)
    assert "D03" not in set(result.areas["area"]) and "D03" in result.effects.index
    assert "D03" in result.summary()
    whole = empirical_best(sample, census, **OWN)
    np.testing.assert_allclose(
        result.areas.set_index("area")["p0"], whole.areas.set_index("area")["p0"].drop("D03")
    )
    # Synthetic: over the whole variance of an effect.
    unseen = whole.areas[whole.areas["synthetic"]].iloc[0]
    rows = census[census["area"] == unseen["area"]]
    mu = whole.coefficients["intercept"] + rows[["z1", "z2"]] @ whole.coefficients[["z1", "z2"]]
    h = Transformation("box-cox", whole.transformation_parameter)
    s = np.sqrt(whole.sigma2_u + whole.sigma2_e)
    by_hand = Expected(h, 300_000.0)(mu.to_numpy(), s).mean(axis=0)
    np.testing.assert_allclose(unseen[["mean", "p0", "p1", "p2"]].astype(float), by_hand, rtol=1e-7)


# --- predictors


def test_known_households_stand_with_their_own_welfare():
    sample = own("sample").reset_index(drop=True)
    rest = own("census").groupby("area").head(12)
    census = pd.concat([rest, sample[["area", "z1", "z2"]]])
    given = {**OWN, "transformation": "log"}
    eb = empirical_best(sample, census, predictor="eb", **given)
    whole = empirical_best(sample, rest, **given)
    n_rest = whole.areas["n_census"]
    own_poor = (sample["y"] < 300_000).groupby(sample["area"]).sum()
    own_poor = own_poor.reindex(eb.areas["area"]).fillna(0).to_numpy()
    by_hand = (n_rest * whole.areas["p0"] + own_poor) / eb.areas["n_census"]
    np.testing.assert_allclose(eb.areas["p0"], by_hand, rtol=1e-6)
    assert eb.estimator == "EB" and whole.estimator == "Census-EB"
    # Of an area that was sampled as a whole everything is known.
    known = empirical_best(
        sample, sample[["area", "z1", "z2"]], predictor="eb", replicates=5, **given
    )
    gap = np.maximum(1 - sample["y"] / 300_000, 0)
    direct = gap.groupby(sample["area"]).mean()
    np.testing.assert_allclose(known.areas["p1"], direct.loc[known.areas["area"]], atol=1e-10)
    assert known.mse[["p0", "p1", "p2"]].to_numpy().max() < 1e-12


def test_equal_weights_are_no_weights():
    sample = own("sample").assign(w=3.0)
    given = {**OWN, "transformation": "log", "replicates": 3}
    plain = empirical_best(sample, own("census"), **given)
    weighted = empirical_best(sample, own("census"), weights="w", **given)
    pd.testing.assert_frame_equal(weighted.areas, plain.areas, rtol=1e-8)
    pd.testing.assert_frame_equal(weighted.mse, plain.mse, rtol=1e-6)
    np.testing.assert_allclose(weighted.fit.standard_errors, plain.fit.standard_errors, rtol=1e-8)
    assert weighted.estimator == "pseudo-Census-EB"


def test_weights_enter_as_in_guadarrama_molina_and_rao():
    rng = np.random.default_rng(1)
    sample = own("sample").assign(w=rng.uniform(1, 20, len(own("sample"))))
    result = empirical_best(sample, own("census"), weights="w", transformation="log", **OWN)
    # The equations of You and Rao (2002), area by area.
    plain = nested_error(
        sample.assign(y=np.log(sample["y"])), response="y", covariates=["z1", "z2"], area="area"
    )
    left, right, parts = 0, 0, {}
    for name, rows in sample.groupby("area"):
        x = np.column_stack([np.ones(len(rows)), rows[["z1", "z2"]]])
        w, y = rows["w"].to_numpy(), np.log(rows["y"].to_numpy())
        delta = (w**2).sum() / w.sum() ** 2
        gamma = plain.sigma2_u / (plain.sigma2_u + plain.sigma2_e * delta)
        x_mean, y_mean = w @ x / w.sum(), w @ y / w.sum()
        left = left + (w[:, None] * x).T @ (x - gamma * x_mean)
        right = right + (w[:, None] * x).T @ (y - gamma * y_mean)
        parts[name] = (gamma, x_mean, y_mean)
    beta = np.linalg.solve(left, right)
    np.testing.assert_allclose(result.coefficients, beta, rtol=1e-8)
    effects = {name: g * (y - x @ beta) for name, (g, x, y) in parts.items()}
    np.testing.assert_allclose(result.effects, pd.Series(effects), rtol=1e-6)
    np.testing.assert_allclose(result.fit.shrinkage, [g for g, _, _ in parts.values()], rtol=1e-8)


def test_simulated_indicators_agree_with_what_is_known():
    sample, census = own("sample"), own("census")
    result = empirical_best(
        sample, census, indicators=["q10", "q50", "gini"], draws=400, replicates=3, **OWN
    )
    assert list(result.areas.columns[8:11]) == ["q10", "q50", "gini"]
    assert (result.areas["q10"] < result.areas["q50"]).all()
    assert (result.mse[["q10", "q50", "gini"]] > 0).all(axis=None)
    # At a line that is an area's median, half of its households are expected to be poor.
    area = result.areas.iloc[5]
    at = empirical_best(sample, census, **{**OWN, "line": area["q50"]})
    assert at.areas["p0"].iloc[5] == pytest.approx(0.5, abs=0.03)
    again = empirical_best(sample, census, indicators="gini", draws=400, **OWN)
    assert again.areas["gini"].std() == pytest.approx(result.areas["gini"].std(), rel=0.05)


# --- the bootstrap


def naive_bootstrap(result, sample, census, replicates, seed):
    """Every household drawn, and everything fitted again: squared errors, by area."""
    rng = np.random.default_rng(seed)
    h = Transformation(result.transformation, result.transformation_parameter)
    beta = result.coefficients.to_numpy()
    where = pd.Index(result.areas["area"]).get_indexer
    total = 0
    for _ in range(replicates):
        u = np.sqrt(result.sigma2_u) * rng.standard_normal(len(result.areas))

        def draw(rows, u=u):
            eta = beta[0] + rows[["z1", "z2"]].to_numpy() @ beta[1:] + u[where(rows["area"])]
            return h.inverse(eta + np.sqrt(result.sigma2_e) * rng.standard_normal(len(rows)))

        gap = pd.Series(np.maximum(1 - draw(census) / result.line, 0))
        by = gap.groupby(census["area"].to_numpy())
        true = np.column_stack([by.apply(lambda g: (g > 0).mean()), by.mean()])
        drawn = empirical_best(
            sample.assign(y=draw(sample)), census, transformation=result.transformation, **OWN
        )
        total = total + (drawn.areas[["p0", "p1"]].to_numpy() - true) ** 2
    return total / replicates


@pytest.mark.parametrize("kind", ["log", "box-cox"])
def test_the_bootstrap_is_the_one_that_draws_every_household(kind):
    # Small areas, where what households add to the truth is most of the error.
    sample = own("sample")
    census = own("census").groupby("area").head(9).reset_index(drop=True)
    result = empirical_best(sample, census, transformation=kind, replicates=300, **OWN)
    naive = naive_bootstrap(result, sample, census, 120, seed=8)
    ratio = result.mse[["p0", "p1"]].to_numpy() / naive
    # 46 areas, 120 draws of a squared error each: a mean ratio within some 3 %.
    assert np.abs(np.log(ratio).mean(axis=0)).max() < 0.08
    ratio_of_sums = result.mse[["p0", "p1"]].sum().to_numpy() / naive.sum(axis=0)
    assert np.abs(ratio_of_sums - 1).max() < 0.08


def test_the_bootstrap_of_known_households_is_the_one_that_draws_them():
    setting = simulation.Setting(areas=15, unsampled=0, census=16, sample=8)
    census, rows = setting.census_table(), setting.sampled()
    given = {
        "welfare": simulation.WELFARE,
        "covariates": simulation.COVARIATES,
        "area": simulation.AREA,
        "line": setting.line,
        "transformation": "log",
        "predictor": "eb",
    }
    rng = np.random.default_rng(3)
    sample = census.iloc[rows].assign(welfare=setting.welfare(census, rng)[0, rows])
    result = empirical_best(sample, census, replicates=400, **given)
    total = 0
    for _ in range(200):
        u = np.sqrt(result.sigma2_u) * rng.standard_normal(15)
        x = np.column_stack([np.ones(len(census)), census["schooling"], census["urban"] == "yes"])
        logs = x.astype(float) @ result.coefficients.to_numpy() + np.repeat(u, setting.census)
        welfare = np.exp(logs + np.sqrt(result.sigma2_e) * rng.standard_normal(len(census)))
        gap = pd.Series(np.maximum(1 - welfare / setting.line, 0)).groupby(census["area"]).mean()
        drawn = empirical_best(sample.assign(welfare=welfare[rows]), census, **given)
        total = total + (drawn.areas["p1"].to_numpy() - gap.to_numpy()) ** 2
    assert result.mse["p1"].sum() == pytest.approx(total.sum() / 200, rel=0.1)
    unlinked = empirical_best(sample, census, replicates=100, **{**given, "predictor": "census-eb"})
    assert (unlinked.mse["p1"] > 1.3 * result.mse["p1"]).mean() > 0.8


def test_a_script_needs_no_guard_and_shows_no_worker(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import pandas as pd\n"
        "from analysis.sae import bootstrap, empirical_best\n"
        "bootstrap.SERIAL_SECONDS, bootstrap._processors = 0, lambda: 2\n"
        f"sample = pd.read_csv({str(REFERENCE / 'unit_sample.csv')!r})\n"
        f"census = pd.read_csv({str(REFERENCE / 'unit_census.csv')!r})\n"
        f"result = empirical_best(sample, census, replicates=6, **{OWN!r})\n"
        "print(result.mse['p0'].sum(), __file__)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    here = empirical_best(own("sample"), own("census"), replicates=6, **OWN)
    assert run.stdout == f"{here.mse['p0'].sum()} {script}\n" and run.stderr == ""


def test_replicates_depend_on_the_seed_and_nothing_else(monkeypatch):
    given = {**OWN, "replicates": 11, "seed": 5}
    sample, census = own("sample"), own("census")
    here = empirical_best(sample, census, **given)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as executor:
            there = empirical_best(sample, census, executor=executor, **given)
        pd.testing.assert_frame_equal(there.mse, here.mse, check_exact=True)
    monkeypatch.setattr(bootstrap, "FOREIGN_TASKS", 2)
    with ThreadPoolExecutor(2) as executor:
        there = empirical_best(sample, census, executor=executor, **given)
    pd.testing.assert_frame_equal(there.mse, here.mse, check_exact=True)
    more = empirical_best(sample, census, **{**given, "replicates": 12})
    one = (more.mse["p0"] * 12 - here.mse["p0"] * 11).to_numpy()
    assert (one > 0).all()  # the twelfth comes on top of the same eleven
    other = empirical_best(sample, census, **{**given, "seed": 6})
    assert not np.allclose(other.mse["p0"], here.mse["p0"], rtol=1e-3)


def test_processes_give_the_same_bits(monkeypatch):
    given = {**OWN, "replicates": 9, "seed": 5}
    sample, census = own("sample"), own("census")
    here = empirical_best(sample, census, **given)
    monkeypatch.setattr(bootstrap, "SERIAL_SECONDS", 0.0)
    monkeypatch.setattr(bootstrap, "_processors", lambda: 2)
    pooled = empirical_best(sample, census, **given)
    pd.testing.assert_frame_equal(pooled.mse, here.mse, check_exact=True)
    monkeypatch.undo()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        there = empirical_best(sample, census, executor=executor, **given)
    pd.testing.assert_frame_equal(there.mse, here.mse, check_exact=True)


def test_the_executor_of_a_dask_client(monkeypatch):
    """The census goes to the workers once, and not with every task."""
    distributed = pytest.importorskip("distributed")
    given = {**OWN, "replicates": 6, "seed": 5}
    sample, census = own("sample"), own("census")
    here = empirical_best(sample, census, **given)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        sent, submit = [], client.submit

        def noted(function, *arguments):
            sent.append(arguments)
            return submit(function, *arguments)

        monkeypatch.setattr(client, "submit", noted)
        there = empirical_best(sample, census, executor=client.get_executor(), **given)
    pd.testing.assert_frame_equal(there.mse, here.mse, check_exact=True)
    assert len(sent) == 6 and not any(hasattr(a, "draw") for a in sent[0])


def test_an_mse_that_was_not_computed_is_missing():
    result = empirical_best(own("sample"), own("census"), **OWN)
    assert list(result.mse.columns) == ["area", "mean", "p0", "p1", "p2"]
    assert result.mse[["mean", "p0", "p1", "p2"]].isna().all(axis=None)
    assert result.rmse["p0"].isna().all()


def test_no_cv_where_the_estimate_is_zero():
    result = empirical_best(own("sample"), own("census"), transformation="log", **OWN)
    result = replace(
        result,
        areas=result.areas.assign(p0=0.0, mean=-2.0),
        mse=result.mse.assign(p0=0.01, mean=4.0),
    )
    assert result.cv["p0"].isna().all() and (result.cv["mean"] == 1).all()


def test_a_bar_only_when_asked(capsys):
    empirical_best(own("sample"), own("census"), replicates=2, **OWN)
    written = capsys.readouterr()
    assert written.out == written.err == ""
    empirical_best(own("sample"), own("census"), replicates=2, progress=True, **OWN)
    written = capsys.readouterr()
    assert written.out == "" and "2/2" in written.err


def test_an_error_in_a_worker_arrives():
    class Broken:
        def draw(self, replicate):
            raise SaeError(f"replicate {replicate}")

    with ThreadPoolExecutor(1) as executor, pytest.raises(SaeError, match="replicate 0"):
        bootstrap.run(Broken(), 5, executor, False)


# --- ELL


def test_ell_is_marked_and_ignores_the_areas_sample():
    sample, census = own("sample"), own("census")
    bare = ell(sample, census, **OWN)
    assert bare.estimator == "ELL" and (bare.areas["shrinkage"] == 0).all()
    assert "comparison" in bare.summary() and bare.mse["p0"].isna().all()
    best = empirical_best(sample, census, transformation="log", replicates=200, **OWN)
    out = best.areas["synthetic"]
    np.testing.assert_allclose(bare.areas["p0"][out], best.areas["p0"][out], rtol=1e-7)
    drawn = ell(sample, census, replicates=200, **OWN)
    np.testing.assert_allclose(drawn.areas["p0"], bare.areas["p0"], atol=0.03)
    # Where areas were sampled, ELL does not use it and is worse off.
    assert (drawn.rmse["p0"][~out] > best.rmse["p0"][~out]).mean() > 0.9
    np.testing.assert_allclose(drawn.rmse["p0"][out], best.rmse["p0"][out], rtol=0.25)


# --- results and errors


def test_results_are_readable():
    fit = nested_error(own("sample"), response="y", covariates=["z1", "z2"], area="area")
    assert "272 households in 41 areas" in fit.summary() and "z1" in fit._repr_html_()
    result = empirical_best(own("sample"), own("census"), replicates=2, seed=4, **OWN)
    text = result.summary()
    assert "46 areas (area): 41 sampled, 5 synthetic" in text and "2 replicates, seed 4" in text
    assert "<table" in result._repr_html_()
    assert text.startswith(repr(result)) and "REML" in repr(fit)
    assert result.residuals.index.equals(own("sample").index)
    assert result.design.shape == (272, 3)
    with pytest.raises(AttributeError):
        result.line = 3


def changed(table: str, **columns) -> pd.DataFrame:
    return own(table).assign(**columns)


def with_values(table: str, column: str, values: dict) -> pd.DataFrame:
    data = own(table).copy()
    data[column] = data[column].astype(
        object if any(isinstance(v, str) for v in values.values()) else float
    )
    for row, value in values.items():
        data.loc[row, column] = value
    return data


WRONG = {
    "missing value": (
        lambda: {"sample": with_values("sample", "z1", {3: np.nan, 9: np.nan})},
        r"sample has missing values in z1 \(2 of 272 rows\)",
    ),
    "missing area": (
        lambda: {"census": with_values("census", "area", {0: "D00", 5: None})},
        r"census has missing values in area \(1 of 3882 rows\)",
    ),
    "infinite": (
        lambda: {"census": with_values("census", "z1", {3: np.inf})},
        "z1 of the census is infinite in 1 of 3882",
    ),
    "no column": (lambda: {"covariates": ["z1", "z9"]}, "sample has no column z9"),
    "no census column": (
        lambda: {"census": own("census").drop(columns="z2")},
        "census has no column z2",
    ),
    "empty": (lambda: {"sample": own("sample").head(0)}, "sample has no rows"),
    "empty census": (lambda: {"census": own("census").head(0)}, "census has no rows"),
    "twice": (
        lambda: {"sample": pd.concat([own("sample"), own("sample")[["z1"]]], axis=1)},
        "more than one column named z1",
    ),
    "named twice": (lambda: {"covariates": ["z1", "z1"]}, "z1 more than once"),
    "one name": (lambda: {"covariates": "z1"}, r"write \['z1'\]"),
    "collinear": (
        lambda: {
            "sample": changed("sample", z3=lambda d: 2 * d["z1"] - d["z2"]),
            "census": changed("census", z3=0.0),
            "covariates": ["z1", "z2", "z3"],
        },
        "'z3' is a linear combination of 'z1', 'z2'",
    ),
    "constant": (
        lambda: {"sample": changed("sample", z2=4.0)},
        "'z2' is the same in every row",
    ),
    "zero": (lambda: {"sample": changed("sample", z2=0.0)}, "'z2' is zero in every row"),
    "unseen": (
        lambda: {
            "sample": changed("sample", z2=lambda d: np.where(d["z2"] > 0, "a", "b")),
            "census": changed("census", z2=lambda d: np.where(d["z2"] > 0, "a", "tent")),
        },
        "z2 of the census has 'tent' in .* rows",
    ),
    "text": (
        lambda: {"census": changed("census", z1="much")},
        "z1 of the census is not a number",
    ),
    "log of zero": (
        lambda: {"sample": with_values("sample", "y", {1: 0.0, 2: -5.0}), "transformation": "log"},
        "zero or negative in 2 of 272 rows.*log-shift",
    ),
    "line": (lambda: {"line": 0}, "line must be a number above zero"),
    "line missing": (lambda: {"line": float("nan")}, "line must be a number above zero"),
    "transformation": (
        lambda: {"transformation": "sqrt"},
        "one of 'none', .*'box-cox', not 'sqrt'",
    ),
    "predictor": (lambda: {"predictor": "ell"}, "predictor must be one of .* not 'ell'"),
    "indicator": (lambda: {"indicators": ["q0"]}, "'q0' is unknown"),
    "indicator of known": (
        lambda: {"indicators": ["gini"], "predictor": "eb"},
        "census-eb",
    ),
    "replicates": (lambda: {"replicates": -1}, "replicates must be a whole number from 0"),
    "seed": (lambda: {"seed": 1.5}, "seed must be a whole number"),
    "weights": (
        lambda: {"sample": changed("sample", w=lambda d: d.index - 3.0), "weights": "w"},
        "w of the sample is zero or negative in 4 of 272",
    ),
    "count": (
        lambda: {"census": changed("census", n=0), "count": "n"},
        "n of the census is zero or negative in 3882",
    ),
    "fractions": (
        lambda: {"census": changed("census", n=1.5), "count": "n", "indicators": ["gini"]},
        "n of the census has fractions",
    ),
    "other codes": (
        lambda: {"census": changed("census", area=lambda d: d["area"].str[1:].astype(int))},
        r"no area of the sample \(area such as 'D00'\) is in the census \(such as 0\)",
    ),
    "no table": (
        lambda: {"census": own("census").to_dict()},
        "the census must be a pandas DataFrame, not dict",
    ),
    "mixed codes": (
        lambda: {"census": with_values("census", "area", {0: 7, 1: "D00"})},
        "mixes text and numbers",
    ),
    "one area": (
        lambda: {"sample": changed("sample", area="D00")},
        r"one area only \(D00\)",
    ),
    "one household each": (
        lambda: {"sample": own("sample").drop_duplicates("area")},
        "every area of the sample has one household",
    ),
    "few rows": (
        lambda: {"sample": own("sample").groupby("area").head(2).iloc[1:4]},
        "3 rows of sample cannot tell 3 coefficients",
    ),
    "exact": (
        lambda: {
            "sample": changed("sample", y=lambda d: 5 + d["z1"] + d["z2"]),
            "transformation": "none",
        },
        "explain welfare exactly",
    ),
    "alike": (
        lambda: {
            "sample": changed("sample", y=lambda d: pd.factorize(d["area"])[0] ** 1.3 + d["z1"]),
            "transformation": None,
        },
        "households of the same area are all alike",
    ),
    "more sampled than there are": (
        lambda: {"census": own("census").groupby("area").head(1), "predictor": "eb"},
        "has .* households in the sample, but 1 in the census",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_in_words(case):
    change, message = WRONG[case]
    given = {"sample": own("sample"), "census": own("census"), **OWN, **change()}
    with pytest.raises(SaeError, match=message):
        empirical_best(given.pop("sample"), given.pop("census"), **given)


def test_nested_error_refuses_an_unknown_method():
    with pytest.raises(SaeError, match="'reml', 'ml', not 'gls'"):
        nested_error(own("sample"), response="y", covariates=["z1"], area="area", method="gls")


def test_input_is_left_as_it_was():
    sample, census = own("sample").copy(), own("census").copy()
    empirical_best(sample, census, replicates=2, **OWN)
    pd.testing.assert_frame_equal(sample, own("sample"))
    pd.testing.assert_frame_equal(census, own("census"))


def test_one_fit_is_the_fit_of_its_transformed_welfare():
    result = empirical_best(own("sample"), own("census"), **OWN)
    fit = nested_error(
        own("sample").assign(t=result.fit.response_values),
        response="t",
        covariates=["z1", "z2"],
        area="area",
    )
    assert fit.sigma2_u == pytest.approx(result.sigma2_u, rel=1e-6)
    np.testing.assert_allclose(fit.effects, result.effects, rtol=1e-5, atol=1e-8)
    households = Households(
        result.design.to_numpy(), pd.factorize(own("sample")["area"], sort=True)[0]
    )
    near = (result.transformation_parameter + 0.05, 0.5)
    y = own("sample")["y"].to_numpy()[households.order]
    again, h = fit_transformed(households, y, "box-cox", near=near)
    assert h.parameter == pytest.approx(result.transformation_parameter, abs=1e-5)
    assert again.ratio == pytest.approx(result.sigma2_u / result.sigma2_e, rel=1e-3)


# --- known truth


def test_estimates_and_their_errors_are_right_where_the_truth_is_known():
    """Simulated populations: intervals cover, the bootstrap MSE is unbiased, EB beats direct."""
    study = simulation.study(simulation.Setting(), runs=100, replicates=60, seed=2)
    verdict = simulation.verdict(study)
    assert 0.93 <= verdict["coverage"] <= 0.97
    assert abs(verdict["relative_bias"]) < 0.10
    assert verdict["relative_bias_se"] < 0.04
    assert verdict["better_than_direct"] > 0.9
    areas = simulation.by_area(study)
    assert areas["bias"].abs().max() < 4 * np.sqrt(areas["mse_true"].max() / 100)
