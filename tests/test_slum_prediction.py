"""The predicted layer: what the real list allows, and that a world that can be predicted passes."""

import numpy as np
import pandas as pd
import pytest

from analysis import regions, slums, sources
from analysis.slums import prediction


@pytest.fixture(scope="module")
def real():
    boundaries = regions.kelurahan()
    areas = regions.kelurahan_table(
        boundaries, sources.read("kelurahan_population_2024"), sources.read("kelurahan_rw")
    )
    listed = slums.clean_list(sources.read("slum_rw_three_kota"), boundaries)
    series = slums.count_series(sources.read("rw_kumuh_counts"))
    return areas, slums.by_kelurahan(listed, areas), series


def world(real, slope: float, seed: int = 1):
    """Lists drawn from the model: 0.44 of what density tells, with a dispersion of 0.2."""
    areas, by_kelurahan, series = real
    rng = np.random.default_rng(seed)
    rw = areas["rw_count"].fillna(0).astype(float)
    rate = np.exp(-2.0 + slope * np.log(areas["density_per_km2"] / 20_000))
    count = rng.poisson(rng.gamma(1 / 0.2, 0.2 * 0.44 * rw * rate))
    own = by_kelurahan["status"] != slums.NOT_PUBLISHED
    table = by_kelurahan.assign(
        slum_rw_listed_count=pd.array(np.where(own & (count > 0), count, -1), dtype="Int64")
    )
    listed = table["slum_rw_listed_count"]
    table["slum_rw_listed_count"] = listed.mask(listed < 0)
    # The published totals of the world: what the list would have if it were whole.
    totals = (rw * rate).groupby(areas["kota"]).sum().round().astype(int)
    whole = series[series["year"] == prediction.YEAR].copy()
    whole["slum_rw_count"] = whole["area"].map(totals).fillna(whole["slum_rw_count"]).astype(int)
    pusat = int(table.loc[table["kota_code"] == "3173", "slum_rw_listed_count"].sum())
    whole.loc[whole["area"] == "Jakarta Pusat", "slum_rw_count"] = round(pusat / 0.44)
    return areas, table, whole


def test_the_real_list_does_not_validate_and_nothing_is_predicted(real):
    check = slums.validate_prediction(*real)
    assert not check.valid
    assert check.folds["listed_count"].between(30, 62).all()
    assert "does not pass its validation and is left out" in check.words()
    assert "known for 1 of 3 kota" in check.words()
    share = check.completeness.set_index("kota_code")
    assert share.loc["3173", "completeness"] == pytest.approx(43 / 98)
    assert share["basis"].tolist() == ["of the others", "published", "of the others"]
    with pytest.raises(slums.SlumError, match="nothing is predicted"):
        slums.predict(check, real[0], real[1])


def test_a_world_that_density_explains_can_pass_and_is_predicted(real):
    """Four intervals of 90 % hold together in two thirds of the worlds at best."""
    worlds = [world(real, slope=1.5, seed=seed) for seed in range(8)]
    checks = [slums.validate_prediction(*each) for each in worlds]
    valid = [n for n, check in enumerate(checks) if check.valid]
    assert len(valid) >= 3, [check.criteria["met"].tolist() for check in checks]
    areas, table, _ = worlds[valid[0]]
    predicted = slums.predict(checks[valid[0]], areas, table)
    assert set(predicted["kota_code"]) == {"3172", "3174"}
    assert (predicted["low_count"] <= predicted["high_count"]).all()
    by_code = areas.set_index("kelurahan_code")
    truth = by_code["rw_count"].astype(float) * np.exp(
        -2.0 + 1.5 * np.log(by_code["density_per_km2"] / 20_000)
    )
    own = predicted.set_index("kelurahan_code")
    truth = truth[own.index]
    assert own["slum_rw_modelled_count"].sum() == pytest.approx(truth.sum(), rel=0.35)
    assert truth.corr(own["slum_rw_modelled_count"], method="spearman") > 0.9


def test_a_world_without_pattern_does_not(real):
    checks = [slums.validate_prediction(*world(real, slope=0.0, seed=seed)) for seed in range(8)]
    assert not any(check.valid for check in checks)


def test_a_kota_is_predicted_without_its_own_list(real):
    areas, table, series = real
    before = slums.validate_prediction(areas, table, series).folds.set_index("kota_code")
    other = table.copy()
    own = other["kota_code"] == "3175"
    other.loc[own, "slum_rw_listed_count"] = other.loc[own, "slum_rw_listed_count"] * 2
    after = slums.validate_prediction(areas, other, series).folds.set_index("kota_code")
    assert after.loc["3175", "listed_count"] == 2 * before.loc["3175", "listed_count"]
    predicted = (before["predicted_count"] - after["predicted_count"]).abs()
    assert predicted["3175"] < 1e-6 < predicted.drop("3175").min()


def test_draws_are_negative_binomial():
    data = pd.DataFrame({"exposure": [2.0], "log_density": [0.0], "flood_prone_share": [0.0]})
    fit = prediction._Fit(np.log([2.0, 1.0, 1.0]), np.zeros((3, 3)), 0.5)
    drawn = prediction._draws(fit, data, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(4, rel=0.1)
    assert drawn.var() == pytest.approx(4 + 0.5 * 4**2, rel=0.15)  # NB2


def test_without_a_total_of_the_census_there_is_no_completeness(real):
    areas, table, series = real
    with pytest.raises(slums.SlumError, match="no kota with a list has a published total of 2017"):
        slums.validate_prediction(areas, table, series[series["year"] < 2017])


def test_the_same_each_time(real):
    first, again = slums.validate_prediction(*real), slums.validate_prediction(*real)
    pd.testing.assert_frame_equal(first.folds, again.folds)
