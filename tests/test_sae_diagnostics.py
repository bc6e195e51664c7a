"""Diagnostics against R's `emdi`, statsmodels and by hand; and that they catch what is wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis import paths
from analysis.sae import GradeRule, SaeError, benchmark, diagnose, empirical_best, fay_herriot

REFERENCE = paths.RAW / "reference"


def model(count=120, sigma2=0.5, seed=3, effects=None, slope=1.0):
    """Direct estimates from a known model; 3 covariates and ones."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({"one": 1.0, "x": rng.normal(size=count), "z": rng.normal(size=count)})
    x.index = [f"K{number:03d}" for number in range(count)]
    variance = pd.Series(np.exp(rng.normal(-1, 0.6, count)), index=x.index)
    u = rng.normal(0, np.sqrt(sigma2), count) if effects is None else effects(rng, count)
    direct = 4 + slope * x["x"] + 0.5 * x["z"] + u + rng.normal(0, np.sqrt(variance))
    return direct, variance, x


@pytest.fixture(scope="module")
def fit():
    return fay_herriot(*model())


@pytest.fixture(scope="module")
def lattice():
    table = pd.read_csv(REFERENCE / "spatial.csv", index_col="area")
    weights = pd.read_csv(REFERENCE / "spatial_weights.csv").to_numpy()
    covariates = table[["x"]].assign(one=1.0)
    return fay_herriot(
        table["direct"], table["sampling_variance"], covariates, weights_matrix=weights
    )


def test_a_model_that_is_right_passes(fit):
    diagnosis = diagnose(fit)
    assert diagnosis.findings == []
    assert diagnosis.normality["n"].tolist() == [120, 120]
    white = fit.whitened_residuals
    row = diagnosis.normality.iloc[0]
    assert (row["shapiro_w"], row["shapiro_p"]) == pytest.approx(tuple(stats.shapiro(white)))
    assert row["jarque_bera_p"] == pytest.approx(stats.jarque_bera(white).pvalue)
    # One residual per area: the effects say the same.
    assert diagnosis.normality.iloc[1, 2:].to_numpy(float) == pytest.approx(
        row.iloc[2:].to_numpy(float)
    )
    words = diagnosis.summary()
    for part in ("Normality", "R2 marginal", "Shrinkage", "Brown's test", "Grades:"):
        assert part in words
    assert "<table" in diagnosis._repr_html_()


def test_tests_keep_their_level():
    """Of samples from a right model, few are rejected; Brown's table of F rejects most of them."""
    rejected, by_table = np.zeros(2), 0
    for seed in range(60):
        fit = fay_herriot(*model(count=60, seed=seed))
        test = diagnose(fit).bias_test
        rejected += [test["f_p"] < 0.05, test["w_p"] < 0.05]
        by_table += stats.f.sf(test["f"], 2, 58) < 0.05
    assert (rejected <= 8).all()  # 3 expected; P(> 8) is under 1 %
    assert by_table > 12


def test_a_skewed_model_is_caught():
    skewed = fay_herriot(*model(effects=lambda rng, count: rng.lognormal(0, 1, count)))
    findings = diagnose(skewed).findings
    assert any("residuals are not normal" in finding for finding in findings)


def test_a_biased_estimate_is_caught(fit):
    shifted = replace(fit, areas=fit.areas.assign(estimate=fit.areas["estimate"] * 0.7 + 0.3))
    diagnosis = diagnose(shifted)
    assert any("biased against the direct ones" in finding for finding in diagnosis.findings)
    line = stats.linregress(shifted.areas["estimate"], shifted.areas["direct"])
    assert diagnosis.bias_test["slope"] == pytest.approx(line.slope)
    assert diagnosis.bias_test["intercept_se"] == pytest.approx(line.intercept_stderr)


def test_errors_that_are_larger_than_said_are_caught():
    direct, variance, x = model()
    other = model(seed=99)[0]
    fit = fay_herriot(direct, variance, x)
    wrong = replace(fit, areas=fit.areas.assign(direct=other.to_numpy()))
    assert any("more than the errors of both" in finding for finding in diagnose(wrong).findings)


def test_f_of_brown_by_statsmodels(fit):
    ols = sm.OLS(fit.areas["direct"], sm.add_constant(fit.areas[["estimate"]])).fit()
    expected = ols.f_test("const = 0, estimate = 1").fvalue
    assert diagnose(fit).bias_test["f"] == pytest.approx(float(expected))


def test_vif_and_influence(fit):
    direct, variance, x = model()
    twin = x.assign(twin=x["x"] + np.random.default_rng(0).normal(0, 0.1, len(x)))
    diagnosis = diagnose(fay_herriot(direct, variance, twin))
    vif = diagnosis.vif.set_index("term")["vif"]
    assert list(vif.index) == ["x", "z", "twin"]
    r2 = sm.OLS(twin["x"], twin[["one", "z", "twin"]]).fit().rsquared
    assert vif["x"] == pytest.approx(1 / (1 - r2))
    assert any("x is nearly a combination" in finding for finding in diagnosis.findings)
    influence = diagnose(fit).influence
    weight = np.sqrt(1 / (fit.sigma2_u + variance))
    whitened = sm.OLS(direct * weight, x.mul(weight, axis=0)).fit()
    hat = whitened.get_influence()
    assert influence["leverage"].to_numpy() == pytest.approx(hat.hat_matrix_diag)
    # statsmodels estimates the scale, which here is 1.
    assert influence["cooks_distance"].to_numpy() == pytest.approx(
        hat.cooks_distance[0] * whitened.mse_resid
    )
    outlier = direct.copy()
    outlier["K007"] += 30
    found = diagnose(fay_herriot(outlier, variance, x)).influence
    assert found.nlargest(1, "cooks_distance")["unit"].item() == "K007"


def test_influence_is_what_happens_without_the_area(fit):
    direct, variance, x = model()
    row = diagnose(fit).influence.set_index("unit").loc["K011"]
    weight = np.sqrt(1 / (fit.sigma2_u + variance))
    white, y = x.mul(weight, axis=0), direct * weight
    full = sm.OLS(y, white).fit().params
    less = sm.OLS(y.drop("K011"), white.drop("K011")).fit().params
    moved = full - less
    expected = moved @ (white.T @ white) @ moved / 3
    assert row["cooks_distance"] == pytest.approx(expected)


def test_r2_by_hand(fit):
    r2 = diagnose(fit).r2
    fitted = fit.fitted.var()
    total = fitted + fit.sigma2_u + fit.error_variance.mean()
    assert r2["marginal"] == pytest.approx(fitted / total)
    assert r2["conditional"] == pytest.approx((fitted + fit.sigma2_u) / total)


def test_adjusted_r2_as_in_r(shared):
    folder = shared / "reference" / "sae"
    table = pd.read_csv(folder / "eusilcA_combined.csv", index_col="Domain")
    fits = pd.read_csv(folder / "eusilcA_fh_fits.csv").set_index(["model", "param"])["value"]
    ours = fay_herriot(
        table["Mean"], table["Var_Mean"], table[["cash", "self_empl"]].assign(one=1.0)
    )
    assert diagnose(ours).r2["adjusted"] == pytest.approx(fits["fh_reml", "sel:FH_R2"], rel=1e-9)
    rates = fay_herriot(
        table["MTMED"],
        table["Var_MTMED"],
        table[["cash", "age_ben", "rent", "house_allow"]].assign(one=1.0),
        transformation="arcsine",
        effective_sample_size=table["n"],
        replicates=50,
    )
    expected = fits["fh_arcsin_bc_boot", "sel:FH_R2"]
    assert diagnose(rates).r2["adjusted"] == pytest.approx(expected, rel=1e-9)


def test_shrinkage(fit):
    told, values = diagnose(fit).shrinkage, fit.areas["shrinkage"]
    assert (told["min"], told["50%"], told["max"]) == pytest.approx(
        (values.min(), values.median(), values.max())
    )
    assert told["below_half"] == pytest.approx((values < 0.5).mean())


def test_a_spatial_fit(lattice):
    diagnosis = diagnose(lattice)
    # Whitened by the whole matrix V, not by its diagonal.
    drawn = np.array([lattice.whitening @ (y - lattice.fitted) for y in lattice.simulate(4000)[0]])
    assert np.cov(drawn.T) == pytest.approx(np.eye(36), abs=0.12)
    assert diagnosis.influence["leverage"].sum() == pytest.approx(2)
    # The predictor gives the estimates.
    predicted = lattice.predictor @ (lattice.response_values - lattice.fitted)
    assert predicted == pytest.approx(lattice.effects.to_numpy())


def test_calibration(fit):
    kota = pd.Series(np.where(fit.areas.index < 50, "3171", "3172"), index=fit.areas["area"])
    persons = pd.Series(np.arange(1.0, 121.0), index=fit.areas["area"])
    table = diagnose(fit, weights=persons, by=kota).calibration.set_index("group")
    first = fit.areas.iloc[:50]
    row = table.loc["3171"]
    assert row["estimate"] == pytest.approx(np.average(first["estimate"], weights=persons[:50]))
    assert row["reference"] == pytest.approx(np.average(first["direct"], weights=persons[:50]))
    assert row["difference"] == pytest.approx(row["estimate"] - row["reference"])
    published = pd.Series({"3172": 4.1, "3171": 4.0})
    table = diagnose(fit, weights=persons, by=kota, published=published).calibration
    assert table["reference"].tolist() == [4.0, 4.1] and table["areas"].tolist() == [50, 70]
    assert "3171" in diagnose(fit, weights=persons, by=kota).summary()
    alone = diagnose(fit, weights=persons, published=4.0).calibration
    assert alone["group"].tolist() == ["all"] and alone["reference"].tolist() == [4.0]
    with pytest.raises(SaeError, match="published has no figure for group '3172'"):
        diagnose(fit, weights=persons, by=kota, published=published.drop("3172"))
    with pytest.raises(SaeError, match="the calibration needs weights"):
        diagnose(fit, by=kota)
    with pytest.raises(SaeError, match="a figure for each group"):
        diagnose(fit, weights=persons, by=kota, published=4.0)


def test_calibration_compares_the_same_areas():
    direct, variance, x = model()
    direct["K000"] = np.nan
    fit = fay_herriot(direct, variance, x)
    weights = pd.Series(1.0, index=x.index)
    weights["K000"] = 1e6
    row = diagnose(fit, weights=weights).calibration.iloc[0]
    seen = fit.areas[~fit.areas["synthetic"]]
    assert row["estimate"] == pytest.approx(seen["estimate"].mean())
    assert row["areas"] == 119
    assert len(diagnose(fit).influence) == 119


# Estimate in percent, RMSE in points, synthetic, grade by the default rule.
GRADES = [
    (3.5, 0.5, False, 1),  # the bound itself
    (3.5, 0.51, False, 2),
    (3.5, 0.9, False, 2),  # the whole change of the target within one kelurahan's noise
    (3.5, 1.01, False, 3),
    (0.4, 0.4, False, 1),  # CV 100 %, and yet it is known to be low
    (20.0, 2.0, False, 1),  # 10 %
    (20.0, 3.0, False, 2),
    (20.0, 4.1, False, 3),
    (3.5, 0.2, True, 3),  # no data of its own
    (3.5, np.nan, False, None),
]


@pytest.mark.parametrize(("percent", "points", "synthetic", "grade"), GRADES)
def test_grades(percent, points, synthetic, grade):
    table = pd.DataFrame(
        {"estimate": [percent / 100], "rmse": [points / 100], "synthetic": [synthetic]}
    )
    got = GradeRule().grade(table).iloc[0]
    assert pd.isna(got) if grade is None else got == grade
    table[["estimate", "rmse"]] *= 100
    got = GradeRule(points_per_unit=1).grade(table).iloc[0]
    assert pd.isna(got) if grade is None else got == grade


def test_other_rules(fit):
    by_cv = diagnose(fit, rule=GradeRule(rmse_points=(0, 0), cv=(0.1, 0.2))).grades
    expected = 1 + (by_cv["cv"] > 0.1).astype(int) + (by_cv["cv"] > 0.2)
    assert by_cv["grade"].tolist() == expected.tolist()
    table = pd.DataFrame({"estimate": [0.03], "rmse": [0.001], "synthetic": [True]})
    assert GradeRule(synthetic_at_best=2).grade(table).tolist() == [2]
    for wrong, told in [
        ({"cv": (0.2, 0.1)}, "cv must be two rising numbers"),
        ({"rmse_points": (-1, 1)}, "rmse_points must be two rising"),
        ({"points_per_unit": 0}, "points_per_unit must be positive"),
        ({"synthetic_at_best": 0}, "synthetic_at_best must be"),
    ]:
        with pytest.raises(SaeError, match=told):
            GradeRule(**wrong)


def test_without_mse_there_is_no_grade():
    fit = fay_herriot(*model(), mse="none")
    diagnosis = diagnose(fit)
    assert diagnosis.grades["grade"].isna().all() and np.isnan(diagnosis.bias_test["w_p"])
    assert "120 without" in diagnosis.summary()


def unit_level(response, area, x):
    """A nested error model at known variances, with the attributes that diagnose asks for."""
    sigma2_u, sigma2_e = 0.04, 0.2
    codes, labels = pd.factorize(area)
    count = np.bincount(codes)
    gamma = sigma2_u / (sigma2_u + sigma2_e / count)
    alpha = (1 - np.sqrt(1 - gamma))[codes]

    def white(values):
        means = np.bincount(codes, values) / count
        return (values - alpha * means[codes]) / np.sqrt(sigma2_e)

    whitened = np.column_stack([white(x[name].to_numpy()) for name in x])
    beta = np.linalg.lstsq(whitened, white(response), rcond=None)[0]
    marginal = response - x.to_numpy() @ beta
    effects = gamma * np.bincount(codes, marginal) / count
    return SimpleNamespace(
        areas=pd.DataFrame({"area": labels, "p0": 0.1, "n_sample": count, "shrinkage": gamma}),
        mse=pd.DataFrame({"area": labels, "p0": 1e-5}),
        design=x,
        coefficients=pd.Series(beta, index=x.columns),
        sigma2_u=sigma2_u,
        sigma2_e=sigma2_e,
        effects=pd.Series(effects, index=labels),
        residuals=marginal - effects[codes],
        whitened_design=whitened,
        whitened_residuals=white(marginal),
    )


def test_a_unit_level_fit_and_its_wrong_transformation():
    rng = np.random.default_rng(8)
    area = np.repeat([f"K{number}" for number in range(40)], 12)
    x = pd.DataFrame({"one": 1.0, "x": rng.normal(size=480)})
    logs = 13 + 0.3 * x["x"] + np.repeat(rng.normal(0, 0.2, 40), 12)
    logs = (logs + rng.normal(0, np.sqrt(0.2), 480)).to_numpy()
    right = diagnose(unit_level(logs, area, x), indicator="p0")
    assert right.findings == [] and right.bias_test is None and np.isnan(right.r2["adjusted"])
    assert right.normality["n"].tolist() == [480, 40]
    assert len(right.influence) == 480 and right.influence["leverage"].sum() == pytest.approx(2)
    assert (right.grades["grade"] == 1).all()
    wrong = diagnose(unit_level(np.exp(logs - 13), area, x), indicator="p0")
    assert any("residuals are not normal" in finding for finding in wrong.findings)


def test_direct_estimates_of_a_unit_level_fit():
    """W by hand; the default indicator is the headcount; errors say what to do."""
    census = pd.read_csv(REFERENCE / "unit_census.csv")
    sample = pd.read_csv(REFERENCE / "unit_sample.csv")
    given = {"welfare": "y", "covariates": ["z1", "z2"], "area": "area", "line": 300_000.0}
    fit = empirical_best(sample, census, transformation="log", replicates=30, **given)
    poor = (sample["y"] < 300_000).groupby(sample["area"])
    direct, size = poor.mean(), poor.size()
    variance = fit.areas.set_index("area")["p0"].reindex(size.index)
    variance = variance * (1 - variance) / size
    told = {"direct": direct, "sampling_variance": variance}
    diagnosis = diagnose(fit, weights=fit.areas["n_census"], **told)
    table = fit.areas.set_index("area").loc[direct.index]
    mse = fit.mse.set_index("area").loc[direct.index, "p0"]
    w = ((direct - table["p0"]) ** 2 / (variance + mse)).sum()
    test = diagnosis.bias_test
    assert test["w"] == pytest.approx(w) and test["areas"] == len(direct) == 41
    assert test["w_p"] == pytest.approx(stats.chi2.sf(w, 41)) and np.isnan(test["f_p"])
    assert (
        "Brown's test" in diagnosis.summary() and "nan" not in diagnosis.summary().split("W =")[1]
    )
    assert diagnosis.calibration["reference"].notna().all()
    assert diagnosis.findings == []
    wrong = diagnose(fit, **told | {"direct": direct + 0.5})
    assert any("by more than the errors of both" in finding for finding in wrong.findings)
    assert diagnose(fit).grades["estimate"].equals(fit.areas["p0"].rename("estimate"))
    with pytest.raises(SaeError, match="needs a reference: give published, or direct"):
        diagnose(fit, weights=fit.areas["n_census"])
    with pytest.raises(SaeError, match="direct needs sampling_variance"):
        diagnose(fit, direct=direct)
    with pytest.raises(SaeError, match="sampling_variance is missing for area 'D00'"):
        diagnose(fit, direct=direct, sampling_variance=variance.drop("D00"))
    with pytest.raises(SaeError, match="name another as indicator, of 'n_sample', .*'mean', 'p0'"):
        benchmark(fit, 0.2, fit.areas["n_census"])
    with pytest.raises(SaeError, match="NestedError has no estimates by area: give what"):
        diagnose(fit.fit)


def test_direct_estimates_are_not_given_twice(fit):
    with pytest.raises(SaeError, match="an area level fit has its own"):
        diagnose(fit, direct=fit.areas["direct"], sampling_variance=1.0)


def test_nothing_between_areas():
    """All estimates are the one mean: no line through them, no effects to test."""
    rng = np.random.default_rng(4)
    variance = np.full(30, 2.0)
    fit = fay_herriot(rng.normal(0, 0.5, 30), variance, np.ones(30))
    assert fit.sigma2_u == 0
    diagnosis = diagnose(fit)
    assert diagnosis.bias_test is None and diagnosis.vif.empty
    assert diagnosis.normality["n"].tolist() == [30, 0]
    assert "Grades" in diagnosis.summary() and "Diagnosis" in repr(diagnosis)
