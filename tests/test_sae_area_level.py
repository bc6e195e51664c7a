"""Fay-Herriot against R's `sae` and `emdi`, against what must hold, and on input that is wrong."""

import inspect

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from threadpoolctl import threadpool_limits

from analysis import paths
from analysis.sae import SaeError, benchmark, diagnose, fay_herriot, independent, spatial
from analysis.sae.area_level import rate_expectation
from analysis.sae.estimates import coefficient_table

REFERENCE = paths.RAW / "reference"
IN_R = {"reml": "REML", "ml": "ML", "moment": "FH"}


def with_ones(table, *names):
    return table[list(names)].assign(one=1.0)[["one", *names]]


@pytest.fixture(scope="module")
def own():
    table = pd.read_csv(REFERENCE / "area.csv", index_col="area")
    return table, with_ones(table, "x1", "x2")


@pytest.fixture(scope="module")
def lattice():
    table = pd.read_csv(REFERENCE / "spatial.csv", index_col="area")
    weights = pd.read_csv(REFERENCE / "spatial_weights.csv").to_numpy()
    return table, with_ones(table, "x"), weights


@pytest.fixture(scope="module")
def grapes(shared):
    folder = shared / "reference" / "sae"
    table = pd.read_csv(folder / "grapes.csv")
    weights = pd.read_csv(folder / "grapesprox.csv").to_numpy()
    return table, table[["area", "workdays"]], weights, pd.read_csv(folder / "grapes_SFH_ref.csv")


@pytest.fixture(scope="module")
def eusilc(shared):
    folder = shared / "reference" / "sae"
    table = pd.read_csv(folder / "eusilcA_combined.csv", index_col="Domain")
    fits = pd.read_csv(folder / "eusilcA_fh_fits.csv").set_index(["model", "param"])["value"]
    reference = pd.read_csv(folder / "eusilcA_fh_ref.csv").set_index(["model", "Domain"])
    return table, with_ones(table, "cash", "self_empl"), fits, reference


def by_area(fit):
    return fit.areas.set_index("area")


def close(ours, theirs, relative):
    assert np.abs(np.asarray(ours) / np.asarray(theirs) - 1).max() < relative


# ---- against R -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", IN_R)
def test_own_areas_as_in_r(own, method):
    table, covariates = own
    fit = fay_herriot(table["direct"], table["sampling_variance"], covariates, method=method)
    expected = pd.read_csv(REFERENCE / "area_R_sae.csv", index_col="area")
    close(by_area(fit)["estimate"], expected[f"estimate_{IN_R[method]}"], 1e-9)
    close(by_area(fit)["mse"], expected[f"mse_{IN_R[method]}"], 1e-9)
    fitted = (
        pd.read_csv(REFERENCE / "fits_R.csv")
        .set_index(["model", "method", "par"])["value"]
        .sort_index()
    )
    close(fit.sigma2_u, fitted["area", IN_R[method], "sigma2_u"], 1e-9)
    close(fit.coefficients, fitted["area", IN_R[method]][["b0", "b1", "b2"]], 1e-9)
    assert np.isnan(fit.rho) and not fit.spatial


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_own_lattice_as_in_r(lattice, method):
    table, covariates, weights = lattice
    fit = fay_herriot(
        table["direct"],
        table["sampling_variance"],
        covariates,
        method=method,
        weights_matrix=weights,
    )
    expected = pd.read_csv(REFERENCE / "spatial_R_sae.csv", index_col="area")
    close(by_area(fit)["estimate"], expected[f"estimate_{IN_R[method]}"], 1e-8)
    close(by_area(fit)["mse"], expected[f"mse_{IN_R[method]}"], 1e-8)
    fitted = (
        pd.read_csv(REFERENCE / "fits_R.csv")
        .set_index(["model", "method", "par"])["value"]
        .sort_index()
    )
    fitted = fitted["spatial", IN_R[method]]
    close([fit.sigma2_u, fit.rho], fitted[["sigma2_u", "rho"]], 1e-7)
    close(fit.coefficients, fitted[["b0", "b1"]], 1e-8)


# R's sae stops at a precision of 1e-4, hence the tolerances.
@pytest.mark.parametrize("method", IN_R)
def test_milk_as_in_r(shared, method):
    folder = shared / "reference" / "sae"
    table = pd.read_csv(folder / "milk.csv")
    expected = pd.read_csv(folder / "milk_FH_ref.csv")
    covariates = pd.get_dummies(table["MajorArea"], drop_first=True, dtype=float)
    covariates.insert(0, "one", 1.0)
    fit = fay_herriot(table["yi"], table["SD"] ** 2, covariates, method=method)
    close(fit.areas["estimate"], expected[f"eblup_{IN_R[method]}"], 1e-5)
    close(fit.areas["mse"], expected[f"mse_{IN_R[method]}"], 1e-5)
    close(100 * fit.areas["cv"], expected[f"cv_{IN_R[method]}"], 1e-5)
    fits = pd.read_csv(folder / "sae_fits.csv").set_index(["model", "param"])
    fits = fits.loc[f"FH_milk_{IN_R[method]}"]
    close(fit.sigma2_u, fits.loc["sigma2_u", "value"], 2e-5)
    close(
        [fit.log_likelihood, fit.aic, fit.bic],
        fits.loc[["gof:loglike", "gof:AIC", "gof:BIC"], "value"],
        1e-5,
    )
    close(fit.standard_errors, fits.filter(like="beta", axis=0)["std.error"], 1e-5)
    close(coefficient_table(fit)["p"], fits.filter(like="beta", axis=0)["pvalue"], 1e-3)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_grapes_as_in_r(grapes, method):
    table, covariates, weights, expected = grapes
    name = IN_R[method]
    plain = fay_herriot(table["grapehect"], table["var"], covariates, method=method)
    close(plain.areas["estimate"], expected[f"eblup_FH_{name}"], 1e-5)
    close(plain.areas["mse"], expected[f"mse_FH_{name}"], 1e-5)
    fit = fay_herriot(
        table["grapehect"], table["var"], covariates, method=method, weights_matrix=weights
    )
    close(fit.areas["estimate"], expected[f"eblup_SFH_{name}"], 1e-5)
    close(fit.areas["mse"], expected[f"mse_SFH_{name}"], 1e-5)
    sigma2, rho = {"reml": (69.7489866, 0.6142697), "ml": (69.2219533, 0.6045822)}[method]
    close([fit.sigma2_u, fit.rho], [sigma2, rho], 1e-5)


def test_grapes_bootstrap_as_in_r(grapes):
    table, covariates, weights, expected = grapes
    fit = fay_herriot(
        table["grapehect"],
        table["var"],
        covariates,
        weights_matrix=weights,
        mse="bootstrap",
        replicates=50,
    )
    # Both are means of 50 squared errors: their ratio is about F(50, 50), independent of area to
    # area as far as the errors are; the corrected ones have far less noise.
    ratio = fit.areas["mse"] / expected["pb50_mse"]
    low, high = stats.f.ppf([0.0001, 0.9999], 50, 50)
    assert abs(np.log(ratio).mean()) < 0.1
    assert ratio.between(low, high).mean() > 0.99
    ratio = fit.areas["mse_corrected"] / expected["pb50_msebc"]
    assert abs(ratio - 1).max() < 0.1 and abs(ratio.median() - 1) < 0.03
    assert (fit.mse_method, fit.replicates) == ("bootstrap", 50)


@pytest.mark.parametrize("method", ["reml", "ml", "amrl", "ampl"])
def test_eusilc_as_in_r(eusilc, method):
    table, covariates, fits, reference = eusilc
    fit = fay_herriot(table["Mean"], table["Var_Mean"], covariates, method=method)
    close(fit.sigma2_u, fits[f"fh_{method}", "sigma2_u"], 1e-5)
    expected = reference.loc[f"fh_{method}"]
    close(by_area(fit)["estimate"], expected["FH"], 1e-6)
    close(by_area(fit)["mse"], expected["MSE_FH"], 1e-6)
    close(by_area(fit)["shrinkage"], expected["gamma"], 1e-5)
    close(
        [fit.log_likelihood, fit.aic, fit.bic],
        fits[f"fh_{method}"][["sel:loglike", "sel:AIC", "sel:BIC"]],
        1e-7,
    )


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_eusilc_in_space_as_in_r(shared, eusilc, method):
    table, covariates, _, _ = eusilc
    folder = shared / "reference" / "sae"
    weights = pd.read_csv(folder / "eusilcA_prox.csv").to_numpy()
    fit = fay_herriot(
        table["Mean"], table["Var_Mean"], covariates, method=method, weights_matrix=weights
    )
    expected = pd.read_csv(folder / f"eusilcA_sfh_{method}_ref.csv", index_col="Domain")
    # emdi stops where sigma2_u and rho change by less than 1e-4.
    close(by_area(fit)["estimate"], expected["SFH"], 1e-5)
    close(by_area(fit)["mse"], expected["MSE"], 1e-4)
    fitted = pd.read_csv(folder / f"eusilcA_sfh_{method}_fit.csv").set_index("param")["value"]
    close([fit.sigma2_u, fit.rho], fitted[["variance", "correlation"]], 1e-4)


def test_eusilc_rates_as_in_r(eusilc):
    table, _, fits, reference = eusilc
    covariates = with_ones(table, "cash", "age_ben", "rent", "house_allow")
    fit = fay_herriot(
        table["MTMED"],
        table["Var_MTMED"],
        covariates,
        method="ml",
        transformation="arcsine",
        effective_sample_size=table["n"],
        replicates=100,
    )
    expected = reference.loc["fh_arcsin_bc_boot"]
    # The likelihood is highest at 0. emdi's optimiser stops short of it, at 8e-05.
    assert fit.sigma2_u == 0 and "sigma2_u is estimated as 0" in fit.summary()
    # emdi's integral loses what lies above pi/2: it gives 0 where 98 % and 100 % were observed.
    lost = expected.index[expected["FH"] < 1e-3]
    assert list(lost) == ["Mödling", "Urfahr-Umgebung"] or len(lost) == 2
    assert (by_area(fit).loc[lost, "estimate"] > 0.95).all()
    ours = by_area(fit)["estimate"].drop(lost)
    assert abs(ours - expected["FH"].drop(lost)).max() < 0.003
    # With emdi's own variance the predictor is the same to the digits of its integral.
    sigma2 = np.array([fits["fh_arcsin_bc_boot", "sigma2_u"]])
    y, error = np.arcsin(np.sqrt(table["MTMED"].to_numpy())), 1 / (4 * table["n"].to_numpy())
    design = covariates.to_numpy()
    predicted = independent.predict(
        independent.gls(y[np.newaxis], error, design, sigma2), error, design, sigma2
    )
    rates = rate_expectation(predicted.estimate[0], predicted.variance[0])
    rates = pd.Series(rates, index=table.index).drop(lost)
    assert abs(rates - expected["FH"].drop(lost)).max() < 2e-6


# ---- what must hold ------------------------------------------------------------------------------

METHODS = ["reml", "ml", "moment", "amrl", "ampl"]


@st.composite
def populations(draw):
    """Areas with a known model: direct estimates, sampling variances, covariates."""
    count = draw(st.integers(8, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ratio = draw(st.sampled_from([0.0, 0.1, 1.0, 20.0]))
    index = pd.Index([f"{number:02d}" for number in range(count)])
    x = pd.DataFrame({"one": 1.0, "x": rng.normal(size=count)}, index=index)
    variance = pd.Series(np.exp(rng.normal(0, 0.7, count)), index=index)
    effect = rng.normal(0, np.sqrt(ratio), count)
    direct = 5 + 2 * x["x"] + effect + rng.normal(0, np.sqrt(variance))
    return direct, variance, x


@settings(max_examples=40, deadline=None)
@given(populations(), st.sampled_from(METHODS), st.floats(-6, 6))
def test_a_change_of_unit_changes_the_unit_only(population, method, power):
    direct, variance, x = population
    unit = 10**power
    fit = fay_herriot(direct, variance, x, method=method)
    scaled = fay_herriot(direct * unit, variance * unit**2, x.assign(x=x["x"] * 1e7), method=method)
    assert scaled.sigma2_u == pytest.approx(fit.sigma2_u * unit**2, rel=1e-6)
    assert scaled.areas["estimate"].to_numpy() == pytest.approx(
        fit.areas["estimate"].to_numpy() * unit, rel=1e-6
    )
    assert scaled.areas["mse"].to_numpy() == pytest.approx(
        fit.areas["mse"].to_numpy() * unit**2, rel=1e-6, nan_ok=True
    )


@settings(max_examples=30, deadline=None)
@given(populations(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_order_of_the_areas_does_not_matter(population, method, random):
    direct, variance, x = population
    labels = list(direct.index)
    random.shuffle(labels)
    fit = fay_herriot(direct, variance, x, method=method)
    # Only one part is reordered: the others are matched to it by label.
    other = fay_herriot(direct[labels], variance, x, method=method)
    assert list(other.areas["area"]) == labels
    for column in ("estimate", "mse", "shrinkage"):
        ours, theirs = by_area(fit)[column], by_area(other)[column].reindex(direct.index)
        assert ours.to_numpy() == pytest.approx(theirs.to_numpy(), rel=1e-7, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(populations(), st.sampled_from(METHODS))
def test_the_variance_is_where_the_criterion_is_highest(population, method):
    direct, variance, x = population
    fit = fay_herriot(direct, variance, x, method=method)
    y, error, design = direct.to_numpy()[np.newaxis], variance.to_numpy(), x.to_numpy()
    if method == "moment":
        at = independent.gls(y, error, design, np.array([fit.sigma2_u]))
        surplus = (at.weight * at.residual**2).sum() - (len(direct) - 2)
        assert surplus <= 0 if fit.sigma2_u == 0 else abs(surplus) < 1e-8
        return
    grid = np.concatenate([[1e-12], np.geomspace(1e-6, 1e4, 400)])
    values = [independent.criterion(y, error, design, np.array([at]), method)[0] for at in grid]
    least = 1e-300 if method in independent.ADJUSTED else 0.0
    ours = independent.criterion(y, error, design, np.array([max(fit.sigma2_u, least)]), method)
    assert ours[0] >= max(values) - 1e-9
    assert fit.sigma2_u > 0 or method not in independent.ADJUSTED


@settings(max_examples=30, deadline=None)
@given(populations(), st.sampled_from(METHODS))
def test_the_estimate_lies_between_direct_and_regression(population, method):
    direct, variance, x = population
    fit = fay_herriot(direct, variance, x, method=method)
    areas = by_area(fit)
    assert areas["shrinkage"].between(0, 1).all()
    regression = x.to_numpy() @ fit.coefficients.to_numpy()
    mixed = areas["shrinkage"] * direct + (1 - areas["shrinkage"]) * regression
    assert areas["estimate"].to_numpy() == pytest.approx(mixed.to_numpy(), rel=1e-9, abs=1e-9)
    order = variance.sort_values().index
    assert areas.loc[order, "shrinkage"].is_monotonic_decreasing


def test_limits_of_shrinkage(own):
    table, covariates = own
    tiny = fay_herriot(table["direct"], table["sampling_variance"] * 1e-8, covariates)
    assert tiny.areas["shrinkage"].min() > 0.999999
    close(tiny.areas["estimate"], table["direct"], 1e-6)
    close(tiny.areas["mse"], table["sampling_variance"] * 1e-8, 1e-4)
    huge = fay_herriot(table["direct"], table["sampling_variance"] * 1e4, covariates)
    assert huge.sigma2_u == 0 and (huge.areas["shrinkage"] == 0).all()
    assert (huge.areas["mse"] > 0).all()
    assert not huge.areas["synthetic"].any()  # there is a direct estimate, with weight 0
    kept = fay_herriot(table["direct"], table["sampling_variance"] * 1e4, covariates, method="amrl")
    assert kept.sigma2_u > 0


@threadpool_limits.wrap(limits=1, user_api="blas")
def test_mse_is_the_mean_squared_error(own):
    """Fit many samples from a known model: the analytic MSE is right on average."""
    table, covariates = own
    error, design = table["sampling_variance"].to_numpy(), covariates.to_numpy()
    sigma2, beta = 0.15, np.array([5.0, 1.5, -0.8])
    seeds = np.random.SeedSequence(3).spawn(2000)
    for method in METHODS:
        truth, predicted = independent.bootstrap(error, design, beta, sigma2, method, seeds)
        actual = ((predicted.estimate - truth) ** 2).mean(axis=0)
        draws = np.random.default_rng(5).normal(size=(400, 2, len(error)))
        y = design @ beta + np.sqrt(sigma2) * draws[:, 0] + np.sqrt(error) * draws[:, 1]
        fitted = independent.estimate_sigma2(y, error, design, method)
        claimed = np.array(
            [independent.analytic_mse(error, design, design, at, method) for at in fitted]
        )
        assert np.nanmean(claimed, axis=0).mean() / actual.mean() == pytest.approx(1, abs=0.05)


def test_bootstrap_and_analytic_mse_agree(own):
    table, covariates = own
    given = (table["direct"], table["sampling_variance"], covariates)
    analytic = fay_herriot(*given).areas["mse"]
    boot = fay_herriot(*given, mse="bootstrap", replicates=1000, seed=1).areas["mse"]
    assert (boot / analytic).mean() == pytest.approx(1, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(st.floats(-1, 2.5), st.floats(0.0005, 1.5))
def test_expected_rate_against_quadrature(mean, spread):
    low, high = np.clip([mean - 12 * spread, mean + 12 * spread], 0, np.pi / 2)
    expected, _ = integrate.quad(
        lambda x: np.sin(x) ** 2 * stats.norm.pdf(x, mean, spread), low, high, epsabs=1e-12
    )
    expected += stats.norm.sf(np.pi / 2, mean, spread)
    assert rate_expectation(mean, spread**2) == pytest.approx(expected, abs=1e-9)


def test_expected_rate_at_the_limits():
    assert rate_expectation(np.array([0.3, -0.2, 2.0]), np.zeros(3)) == pytest.approx(
        [np.sin(0.3) ** 2, 0, 1]
    )


def rates(count=60, seed=2):
    """Rates of 3 to 8 % with a known truth."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({"one": 1.0, "x": rng.uniform(size=count)})
    truth = np.sin(0.16 + 0.12 * x["x"] + rng.normal(0, 0.03, count)) ** 2
    size = pd.Series(rng.integers(40, 200, count))
    direct = pd.Series(rng.binomial(size, truth) / size)
    return direct, size, x, truth


def test_rates_stay_rates_and_nearer_the_truth():
    direct, size, x, truth = rates()
    assert (direct == 0).any()  # no household in poverty: the transformation can take it
    fit = fay_herriot(direct, None, x, transformation="arcsine", effective_sample_size=size)
    areas = fit.areas
    assert (areas["lower"] >= 0).all() and (areas["upper"] <= 1).all()
    assert (areas["lower"] <= areas["estimate"]).all()
    assert (areas["upper"] >= areas["estimate"]).all()
    ours, theirs = (areas["estimate"] - truth) ** 2, (direct - truth) ** 2
    assert ours.mean() < 0.5 * theirs.mean()
    assert truth.between(areas["lower"], areas["upper"]).mean() >= 0.85
    assert areas["mse"].mean() == pytest.approx(ours.mean(), rel=0.6)
    assert areas["sampling_variance"].isna().all() and fit.mse_method == "bootstrap"


def test_replicates_are_seeded_one_by_one():
    direct, size, x, _ = rates()
    given = {"transformation": "arcsine", "effective_sample_size": size}
    fit = fay_herriot(direct, None, x, replicates=30, seed=4, **given)
    again = fay_herriot(direct, None, x, replicates=30, seed=4, **given)
    other = fay_herriot(direct, None, x, replicates=30, seed=5, **given)
    pd.testing.assert_frame_equal(fit.areas, again.areas)
    assert not np.allclose(fit.areas["mse"], other.areas["mse"])
    assert np.array_equal(fit.areas["estimate"], other.areas["estimate"])
    # The first 30 replicates of 60 are the 30: the mean of all is theirs and that of the rest.
    seeds = np.random.SeedSequence(4).spawn(60)
    error, design = np.full(len(x), 0.01), x.to_numpy()
    few, _ = independent.bootstrap(error, design, np.array([0.2, 0.1]), 0.01, "reml", seeds[:30])
    many, _ = independent.bootstrap(error, design, np.array([0.2, 0.1]), 0.01, "reml", seeds)
    assert np.array_equal(few, many[:30])


def test_an_mse_that_was_not_computed_is_missing(own):
    table, covariates = own
    given = (table["direct"], table["sampling_variance"], covariates)
    for options in ({"mse": "none"}, {"mse": "bootstrap", "replicates": 0}):
        fit = fay_herriot(*given, **options)
        assert fit.areas[["mse", "rmse", "cv", "lower", "upper"]].isna().all(axis=None)
        assert fit.areas["estimate"].notna().all() and "not computed" in fit.summary()
    direct, size, x, _ = rates()
    fit = fay_herriot(
        direct, None, x, transformation="arcsine", effective_sample_size=size, replicates=0
    )
    assert fit.areas[["mse", "rmse", "lower", "upper"]].isna().all(axis=None)


# ---- areas without a direct estimate -------------------------------------------------------------


def test_an_area_without_direct_estimate_is_synthetic(own):
    table, covariates = own
    holes = table.copy()
    holes.loc[["A03", "A17"], ["direct", "sampling_variance"]] = np.nan
    fit = fay_herriot(holes["direct"], holes["sampling_variance"], covariates)
    areas = by_area(fit)
    assert list(areas.index[areas["synthetic"]]) == ["A03", "A17"]
    assert (areas.loc[["A03", "A17"], "shrinkage"] == 0).all()
    rest = table.drop(["A03", "A17"])
    without = fay_herriot(rest["direct"], rest["sampling_variance"], covariates.loc[rest.index])
    close(areas.loc[rest.index, ["estimate", "mse"]], by_area(without)[["estimate", "mse"]], 1e-10)
    beta = without.coefficients.to_numpy()
    close(areas.loc["A03", "estimate"], covariates.loc["A03"].to_numpy() @ beta, 1e-10)
    # g1 is the whole variance between areas; beta's part by hand.
    w = 1 / (without.sigma2_u + rest["sampling_variance"].to_numpy())
    x = covariates.loc[rest.index].to_numpy()
    x0 = covariates.loc["A03"].to_numpy()
    by_hand = without.sigma2_u + x0 @ np.linalg.inv(x.T * w @ x) @ x0
    close(areas.loc["A03", "mse"], by_hand, 1e-10)
    assert "2 areas have no direct estimate" in fit.summary()


def test_a_variance_without_a_direct_estimate_is_not_used(own):
    table, covariates = own
    holes = table["direct"].where(table.index != "A05")
    fit = fay_herriot(holes, table["sampling_variance"], covariates)
    row = by_area(fit).loc["A05"]
    assert row["synthetic"] and np.isnan(row["sampling_variance"]) and row["mse"] > 0


def dense_spatial(y, error, x, weights, sigma2, rho):
    """The textbook form, over the observed areas: V inverted, effects of all areas predicted."""
    root = np.linalg.inv(np.eye(len(y)) - rho * weights)
    prior = sigma2 * root @ root.T
    seen = ~np.isnan(error)
    v = prior[np.ix_(seen, seen)] + np.diag(error[seen])
    inverse = np.linalg.inv(v)
    covariance = np.linalg.inv(x[seen].T @ inverse @ x[seen])
    beta = covariance @ x[seen].T @ inverse @ y[seen]
    r = y[seen] - x[seen] @ beta
    estimate = x @ beta + prior[:, seen] @ inverse @ r
    log_restricted = -0.5 * (
        seen.sum() * np.log(2 * np.pi)
        + np.linalg.slogdet(v)[1]
        + np.linalg.slogdet(x[seen].T @ inverse @ x[seen])[1]
        + r @ inverse @ r
    )
    rest = x - prior[:, seen] @ inverse @ x[seen]
    known = np.diag(prior - prior[:, seen] @ inverse @ prior[seen])
    return estimate, known + np.einsum("dp,pq,dq->d", rest, covariance, rest), log_restricted


def test_space_without_some_direct_estimates(lattice):
    table, covariates, weights = lattice
    labels = table.index
    frame = pd.DataFrame(weights, index=labels, columns=labels)
    holes = table.copy()
    holes.loc[["G07", "G14", "G21"], "direct"] = np.nan
    fit = fay_herriot(holes["direct"], holes["sampling_variance"], covariates, weights_matrix=frame)
    y = holes["direct"].to_numpy()
    error = holes["sampling_variance"].where(holes["direct"].notna()).to_numpy()
    estimate, known, _ = dense_spatial(
        y, error, covariates.to_numpy(), weights, fit.sigma2_u, fit.rho
    )
    close(fit.areas["estimate"], estimate, 1e-9)
    areas = by_area(fit)
    gone = ["G07", "G14", "G21"]
    assert list(areas.index[areas["synthetic"]]) == gone
    assert (areas.loc[gone, "shrinkage"] == 0).all()
    # Neighbours count: the estimate is not that of the regression.
    regression = covariates.to_numpy() @ fit.coefficients.to_numpy()
    assert (abs(areas["estimate"] - regression)[gone] > 0.01).all()
    # The MSE is more than with known variance and rho, but of that size.
    ratio = areas["mse"] / known
    assert ratio.between(1.0, 1.6).all()
    free = spatial.sar(covariates.to_numpy(), error, weights, "reml")

    def minus(at):
        return -dense_spatial(y, error, covariates.to_numpy(), weights, np.exp(at[0]), at[1])[2]

    best = optimize.minimize(minus, [np.log(0.2), 0.5], method="Nelder-Mead", tol=1e-10)
    assert [np.log(fit.sigma2_u), fit.rho] == pytest.approx(best.x, abs=1e-4)
    at = spatial.fit_at(spatial.state(free, 0.3, 0.4), np.nan_to_num(y))
    assert at.log_likelihood == pytest.approx(-minus([np.log(0.3), 0.4]), rel=1e-12)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("at", [(0.2, 0.7), (0.05, -0.6), (2.0, 0.1)])
def test_derivatives_of_the_spatial_likelihood(lattice, method, at):
    table, covariates, weights = lattice
    error = table["sampling_variance"].where(table.index != "G03").to_numpy()
    model = spatial.sar(covariates.to_numpy(), error, weights, method)
    y = table["direct"].to_numpy()

    def point(log_sigma2, rho):
        return spatial.fit_at(spatial.state(model, np.exp(log_sigma2), rho), y)

    origin, step = np.array([np.log(at[0]), at[1]]), 1e-5
    here = point(*origin)
    for number in range(2):
        ahead, behind = (point(*(origin + sign * step * np.eye(2)[number])) for sign in (1, -1))
        slope = (ahead.log_likelihood - behind.log_likelihood) / (2 * step)
        assert here.gradient[number] == pytest.approx(slope, rel=1e-6, abs=1e-6)
        bend = (ahead.gradient - behind.gradient) / (2 * step)
        assert here.hessian[number] == pytest.approx(bend, rel=1e-6, abs=1e-6)


def test_spatial_order_and_islands(lattice):
    table, covariates, weights = lattice
    labels = table.index
    frame = pd.DataFrame(weights, index=labels, columns=labels)
    given = (table["direct"], table["sampling_variance"], covariates)
    fit = by_area(fay_herriot(*given, weights_matrix=frame))
    turned = labels[::-1]
    other = fay_herriot(
        table["direct"][turned], table["sampling_variance"], covariates, weights_matrix=frame
    )
    close(fit["estimate"], by_area(other)["estimate"].reindex(labels), 1e-8)
    close(fit["mse"], by_area(other)["mse"].reindex(labels), 1e-7)
    island = frame.copy()
    island.loc["G00"] = 0.0
    assert fay_herriot(*given, weights_matrix=island).areas["mse"].gt(0).all()


def test_space_with_nothing_between_areas(lattice):
    table, covariates, weights = lattice
    fit = fay_herriot(
        table["direct"], table["sampling_variance"] * 1e3, covariates, weights_matrix=weights
    )
    plain = fay_herriot(table["direct"], table["sampling_variance"] * 1e3, covariates)
    assert fit.sigma2_u == 0 and np.isnan(fit.rho)
    close(fit.areas["estimate"], plain.areas["estimate"], 1e-12)
    close(fit.areas["mse"], plain.areas["mse"], 1e-12)
    assert "estimated as 0" in fit.summary()


def test_spatial_bootstrap(lattice):
    table, covariates, weights = lattice
    given = (table["direct"], table["sampling_variance"], covariates)
    fit = fay_herriot(*given, weights_matrix=weights, mse="bootstrap", replicates=300, seed=1)
    again = fay_herriot(*given, weights_matrix=weights, mse="bootstrap", replicates=300, seed=1)
    pd.testing.assert_frame_equal(fit.areas, again.areas)
    analytic = fay_herriot(*given, weights_matrix=weights).areas["mse"]
    assert (fit.areas["mse"] / analytic).mean() == pytest.approx(1, abs=0.1)
    assert (fit.areas["mse_corrected"] / analytic).mean() == pytest.approx(1, abs=0.1)


# ---- input that is wrong -------------------------------------------------------------------------


def broken(own, **changes):
    table, covariates = own
    given = {
        "direct": table["direct"],
        "sampling_variance": table["sampling_variance"],
        "covariates": covariates,
        **changes,
    }
    return fay_herriot(**given)


def put(values, area, value):
    values = values.copy()
    values[area] = value
    return values


def test_input_that_is_wrong_is_refused_by_name(own):
    table, covariates = own
    y, variance = table["direct"], table["sampling_variance"]
    cases = [
        ({"sampling_variance": put(variance, "A07", 0.0)}, "area 'A07': sampling_variance is 0"),
        ({"sampling_variance": put(variance, "A07", -1.0)}, "area 'A07': .* is negative"),
        ({"sampling_variance": put(variance, "A07", np.nan)}, "area 'A07': .* is missing where"),
        ({"direct": put(y, "A07", np.inf)}, "area 'A07': direct is infinite"),
        (
            {"covariates": covariates.assign(x1=put(covariates["x1"], "A02", np.nan))},
            "area 'A02': covariate 'x1' is missing",
        ),
        (
            {"covariates": covariates.assign(twin=covariates["x1"] + 3 * covariates["x2"])},
            "covariate 'twin' is a linear combination of .*over every area with a direct",
        ),
        (
            {"covariates": covariates.assign(nothing=0.0)},
            "covariate 'nothing' is zero in every area with a direct",
        ),
        ({"covariates": covariates.assign(kota="Jakarta")}, "column 'kota' is not numbers"),
        ({"covariates": covariates.drop("A04")}, "covariates has no area 'A04'"),
        ({"sampling_variance": variance.rename({"A04": "B"})}, "no area 'A04' and .* no area 'B'"),
        ({"sampling_variance": variance.to_numpy()[:-1]}, "has 39 rows, but there are 40 areas"),
        ({"direct": pd.concat([y, y[:1]])}, "direct: area 'A00' appears more than once"),
        ({"covariates": covariates.iloc[:, :0]}, "no column"),
        ({"method": "REML"}, "method must be one of 'reml', .*, not 'REML'"),
        ({"transformation": "log"}, "transformation must be one of None, 'arcsine', not 'log'"),
        ({"mse": "jackknife"}, "mse must be one of"),
        ({"transformation": "arcsine"}, "needs effective_sample_size"),
        ({"effective_sample_size": y}, "leave it out"),
        ({"sampling_variance": None}, "may be None only"),
        ({"replicates": -1}, "replicates must be"),
        ({"level": 95}, "level must be between 0 and 1"),
    ]
    for changes, told in cases:
        with pytest.raises(SaeError, match=told):
            broken(own, **changes)


def test_too_few_areas(own):
    table, covariates = own
    few = table.iloc[:4]
    with pytest.raises(SaeError, match="4 areas with a direct estimate are too few for 3"):
        fay_herriot(few["direct"], few["sampling_variance"], covariates.iloc[:4])
    some = table.iloc[:6]
    fit = fay_herriot(some["direct"], some["sampling_variance"], covariates.iloc[:6])
    assert "3 degrees of freedom only" in fit.summary()


def test_weights_that_are_wrong_are_refused(lattice):
    table, covariates, weights = lattice
    labels = table.index
    frame = pd.DataFrame(weights, index=labels, columns=labels)

    def at(row, column, value):
        changed = frame.copy()
        changed.loc[row, column] = value
        return changed

    cases = [
        (frame * 2, "must sum to 1 .* sum to 2 in the first"),
        ((frame > 0).astype(float), "divide every row by its sum"),
        (at("G01", "G00", np.nan), "area 'G01': weights_matrix has a missing value"),
        (at("G01", "G00", -0.1), "area 'G01': weights_matrix has a negative weight"),
        (at("G01", "G01", 0.1), "area 'G01': weights_matrix makes the area its own neighbour"),
        (frame.drop(index="G05"), "weights_matrix .its rows. has no area 'G05'"),
        (frame.drop(columns="G05"), "weights_matrix .its columns. has no area 'G05'"),
        (weights[:, :-1], "weights_matrix is 36 x 35, but there are 36 areas"),
        (weights * 0, "no neighbours at all"),
    ]
    for matrix, told in cases:
        with pytest.raises(SaeError, match=told):
            fay_herriot(
                table["direct"], table["sampling_variance"], covariates, weights_matrix=matrix
            )
    given = (table["direct"], table["sampling_variance"], covariates)
    with pytest.raises(SaeError, match="fitted by 'reml' or 'ml', not by 'amrl'"):
        fay_herriot(*given, weights_matrix=frame, method="amrl")


def test_weights_of_any_kind(lattice):
    """Columns without the areas' names are in the order of the rows; sparse matrices are taken."""
    table, covariates, weights = lattice
    given = (table["direct"], table["sampling_variance"], covariates)
    want = fay_herriot(*given, weights_matrix=weights).areas
    as_r_writes = pd.DataFrame(weights, table.index, [f"V{n}" for n in range(1, 37)])
    for matrix in (as_r_writes, as_r_writes.sample(frac=1, axis=0, random_state=1)):
        columns = matrix.columns
        if matrix is not as_r_writes:  # rows in another order: so are the columns
            matrix = matrix[[f"V{table.index.get_loc(a) + 1}" for a in matrix.index]]
            matrix.columns = columns
        assert fay_herriot(*given, weights_matrix=matrix).areas.equals(want)
    sparse = sp.csr_array(weights)
    assert fay_herriot(*given, weights_matrix=sparse).areas.equals(want)


def test_the_signature_can_be_read():
    for function in (fay_herriot, benchmark, diagnose):
        assert "SupportsArray" not in str(inspect.signature(function))


def test_rates_that_are_wrong_are_refused():
    direct, size, x, _ = rates()
    for changes, told in [
        ({"direct": direct * 100}, "a rate must be a fraction between 0 and 1"),
        ({"effective_sample_size": put(size.astype(float), 3, 0.0)}, "area 3: effective_sample"),
        ({"effective_sample_size": put(size.astype(float), 3, np.nan)}, "area 3: effective_sample"),
        ({"mse": "analytic"}, "no analytic MSE under the arcsine"),
    ]:
        given = {
            "direct": direct,
            "sampling_variance": None,
            "covariates": x,
            "effective_sample_size": size,
            **changes,
        }
        with pytest.raises(SaeError, match=told):
            fay_herriot(transformation="arcsine", **given)


def test_plain_arrays_and_a_single_covariate(own):
    table, covariates = own
    labelled = fay_herriot(table["direct"], table["sampling_variance"], covariates)
    plain = fay_herriot(
        table["direct"].to_list(), table["sampling_variance"].to_numpy(), covariates.to_numpy()
    )
    assert np.array_equal(plain.areas["estimate"], labelled.areas["estimate"])
    assert list(plain.areas["area"]) == list(range(40))
    assert list(plain.coefficients.index) == ["x0", "x1", "x2"]
    mean = fay_herriot(table["direct"], table["sampling_variance"], np.ones(40))
    assert len(mean.coefficients) == 1


def test_the_table_and_its_words(own):
    table, covariates = own
    fit = fay_herriot(table["direct"], table["sampling_variance"], covariates, level=0.9)
    columns = ["area", "estimate", "mse", "rmse", "cv", "lower", "upper", "shrinkage", "synthetic"]
    assert list(fit.areas.columns[:9]) == columns
    assert (fit.areas["rmse"] ** 2).to_numpy() == pytest.approx(fit.areas["mse"].to_numpy())
    half = stats.norm.ppf(0.95) * fit.areas["rmse"]
    assert (fit.areas["upper"] - fit.areas["estimate"]).to_numpy() == pytest.approx(half.to_numpy())
    words = fit.summary()
    for part in ("Fay-Herriot model, reml", "40 areas", "sigma2_u 0.100152", "x1", "analytic"):
        assert part in words
    assert "<table" in fit._repr_html_() and fit.notes == []


def test_a_negative_analytic_mse_is_missing():
    """The correction of the adjusted fits exceeds the rest where estimates vary too little."""
    rng = np.random.default_rng(0)
    variance = np.exp(rng.normal(0, 0.5, 20))
    direct = 0.2 * rng.normal(0, np.sqrt(variance))
    fit = fay_herriot(direct, variance, np.ones(20), method="ampl")
    assert fit.sigma2_u > 0
    assert fit.areas["mse"].isna().any() and not (fit.areas["mse"] <= 0).any()
    assert "came out negative and is missing" in fit.summary()
    boot = fay_herriot(direct, variance, np.ones(20), method="ampl", mse="bootstrap")
    assert (boot.areas["mse"] > 0).all()


def test_rates_of_areas_without_a_sample():
    direct, size, x, _ = rates()
    holes, sizes = direct.copy(), size.astype(float)
    holes[[4, 9]], sizes[[4, 9]] = np.nan, [0, np.nan]
    fit = fay_herriot(
        holes,
        None,
        x,
        method="amrl",
        transformation="arcsine",
        effective_sample_size=sizes,
        replicates=100,
    )
    gone = fit.areas[fit.areas["synthetic"]]
    assert list(gone["area"]) == [4, 9] and (gone["shrinkage"] == 0).all()
    regression = x.loc[[4, 9]].to_numpy() @ fit.coefficients.to_numpy()
    expected = rate_expectation(regression, np.full(2, fit.sigma2_u))
    assert gone["estimate"].to_numpy() == pytest.approx(expected)
    assert (gone["mse"] > 0).all()


def test_intervals_cover():
    """95 % limits around 60 x 40 known values; the regression has to be estimated each time."""
    rng = np.random.default_rng(11)
    x = np.column_stack([np.ones(40), rng.normal(size=40)])
    error = np.exp(rng.normal(0, 0.5, 40))
    inside = {"reml": [], "bootstrap": [], "arcsine": []}
    size = rng.integers(60, 300, 40)
    for _ in range(60):
        truth = x @ [3, 1] + rng.normal(0, 1, 40)
        y = truth + rng.normal(0, np.sqrt(error))
        for name, options in (("reml", {}), ("bootstrap", {"mse": "bootstrap"})):
            areas = fay_herriot(y, error, x, **options).areas
            inside[name].append(((areas["lower"] <= truth) & (truth <= areas["upper"])).mean())
        rate = np.sin(np.clip(0.3 + 0.05 * x[:, 1] + rng.normal(0, 0.05, 40), 0, np.pi / 2)) ** 2
        y = rng.binomial(size, rate) / size
        areas = fay_herriot(
            y, None, x, transformation="arcsine", effective_sample_size=size, method="amrl"
        ).areas
        inside["arcsine"].append(((areas["lower"] <= rate) & (rate <= areas["upper"])).mean())
    cover = {name: np.mean(parts) for name, parts in inside.items()}
    assert all(0.92 < share < 0.98 for share in cover.values()), cover


@threadpool_limits.wrap(limits=1, user_api="blas")
def test_rho_at_the_edge(lattice):
    """A trend over the lattice: the restricted likelihood rises up to rho = 1."""
    _, _, weights = lattice
    rng = np.random.default_rng(0)
    direct = 3 * (np.arange(36) // 6) + rng.normal(0, 0.05, 36)
    fit = fay_herriot(direct, np.full(36, 0.01), np.ones(36), weights_matrix=weights)
    assert fit.rho == pytest.approx(spatial.RHO_BOUND)
    assert "rho is at the edge" in fit.summary()
    # The replicates begin at the edge, and leave it where their likelihood is higher inside.
    model = spatial.sar(np.ones((36, 1)), np.full(36, 0.01), weights, "reml")
    edge = spatial.state(model, fit.sigma2_u, spatial.RHO_BOUND)
    inner = np.linalg.solve(np.eye(36) - 0.5 * weights, rng.normal(0, 1, 36))
    moved = spatial.fit(model, inner, start=edge)
    fresh = spatial.fit(model, inner)
    assert moved.state.rho == pytest.approx(fresh.state.rho, abs=1e-6) and moved.state.rho < 0.9
