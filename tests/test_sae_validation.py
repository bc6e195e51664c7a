"""What the notebook 04 shows, computed from what is committed."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis import paths, sae
from analysis.sae import validation

REFERENCE = paths.RAW / "reference"


def reference(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / f"{name}.csv")


@pytest.fixture(scope="module")
def table():
    weights = reference("spatial_weights").to_numpy()
    return validation.fay_herriot_table(
        *map(reference, ("area", "area_R_sae", "spatial", "spatial_R_sae")),
        weights,
        reference("fits_R"),
    )


@pytest.fixture(scope="module")
def unit():
    census = reference("unit_census")
    result = sae.empirical_best(
        reference("unit_sample"),
        census,
        welfare="y",
        covariates=["z1", "z2"],
        area="area",
        line=300_000,
        transformation="log",
        replicates=100,
    )
    beside = validation.unit_level(result, census, "area", reference("unit_R_emdi_log_L2000"), 2000)
    return result, beside


def test_every_fit_is_beside_that_of_r(table):
    assert list(table["method"]) == ["reml", "ml", "moment", "reml", "ml"]
    assert table["sigma2_u"].to_numpy() == pytest.approx(table["sigma2_u_r"], rel=1e-6)
    assert table[["estimate_difference", "mse_difference"]].max().max() < 1e-5
    assert set(validation.shown(table)["mse_difference"]) == {"below 10⁻⁸"}


def test_a_difference_shows_as_its_power_of_ten(table):
    assert validation._power(3e-4) == "below 10⁻³" and validation._power(0.2) == "below 10⁰"
    spoilt = reference("area_R_sae").assign(mse_REML=lambda t: t["mse_REML"] * 1.004)
    own = validation.area_level(reference("area"), spoilt, reference("fits_R"))
    assert list(validation.shown(own)["mse_difference"])[:2] == ["below 10⁻²", "below 10⁻⁸"]


def test_unit_level_differences_are_monte_carlo_error(unit):
    result, beside = unit
    assert len(beside) == 2 * len(result.areas)
    assert beside["z"].abs().max() < 3 and 0.8 < beside["z"].std() < 1.25
    ratio = validation.rmse_ratio(result, reference("unit_R_emdi_log_MSE_B400"))
    assert len(ratio) == (result.areas["n_sample"] > 0).sum()
    assert ratio.median() == pytest.approx(1, abs=0.15)
    told = validation.unit_words(result, beside, ratio, reference("fits_R"))
    assert f"{result.sigma2_u:.6f} (R: 0.046658)" in told


def test_the_wrong_transformation_is_told(unit):
    right = sae.diagnose(unit[0], indicator="p0")
    wrong_fit = sae.empirical_best(
        reference("unit_sample"),
        reference("unit_census"),
        welfare="y",
        covariates=["z1", "z2"],
        area="area",
        line=300_000,
        transformation=None,
    )
    wrong = sae.diagnose(wrong_fit, indicator="p0")
    assert not right.findings and wrong.findings
    told = validation.diagnosis_words(right, wrong)
    assert "finds nothing to object to" in told and "residuals are not normal" in told
    assert "objects to the right model too" in validation.diagnosis_words(wrong, right)


def test_the_pictures_show_the_numbers(unit):
    figure, axes = plt.subplots(1, 2)
    validation.draw_unit_level(axes[0], unit[1])
    validation.draw_z(axes[1], unit[1])
    drawn = np.concatenate([line.get_ydata() for line in axes[0].lines[:2]])
    area = sum(bar.get_width() * bar.get_height() for bar in axes[1].patches)
    plt.close(figure)
    assert np.sort(drawn) == pytest.approx(np.sort(100 * unit[1]["estimate"]))
    assert area == pytest.approx(1)
