import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from analysis import households, poverty_map, synthetic

PERIOD = "2021-03"
OFFICIAL = {"3101": 15.06, "3171": 3.56, "3172": 4.28, "3173": 4.94, "3174": 4.31, "3175": 7.24}


@pytest.fixture(scope="module")
def city():
    return synthetic.city(size="small", seed=3)


@pytest.fixture(scope="module")
def inputs(city):
    lines = city.lines[city.lines["period"] == PERIOD][["kota_code", "poverty_line_rp"]]
    survey = synthetic.survey(city, PERIOD, seed=3).astype({"kota_code": str}).merge(lines)
    person = survey["expenditure_rp"] / survey["household_size"]
    codes = dict.fromkeys(["kota_code", "kecamatan_code", "kelurahan_code"], str)
    survey = survey.assign(welfare=person / survey["poverty_line_rp"]).astype(codes)
    return survey, city.census.assign(count=1).astype(codes)


def mapped(inputs, level, **options):
    options = {"replicates": 40, "seed": 1} | options
    return poverty_map.estimate(
        *inputs, OFFICIAL, synthetic.COVARIATES, level=level, period=PERIOD, **options
    )


@pytest.fixture(scope="module")
def kelurahan(inputs):
    return mapped(inputs, "kelurahan")


@pytest.fixture(scope="module")
def kecamatan(inputs):
    return mapped(inputs, "kecamatan")


@pytest.mark.parametrize("level", ["kecamatan", "kelurahan"])
def test_no_kota_is_off_its_benchmark(level, request):
    areas = request.getfixturevalue(level).areas
    sums = areas.groupby("kota_code")[["poor_count", "population_count"]].sum()
    p0_pct = 100 * sums["poor_count"] / sums["population_count"]
    assert p0_pct.to_dict() == pytest.approx(OFFICIAL, abs=0.01)


def test_every_area_is_there_with_its_uncertainty(kelurahan, kecamatan):
    for made, count in ((kelurahan, 267), (kecamatan, 44)):
        areas = made.areas
        assert len(areas) == count and areas["area_code"].is_unique
        assert (areas["rmse_points"] > 0).all() and areas["grade"].isin([1, 2, 3]).all()
        assert (areas["lower_pct"] <= areas["p0_pct"]).all()
        assert (areas["p0_pct"] <= areas["upper_pct"]).all() and (areas["lower_pct"] >= 0).all()
    assert kelurahan.areas["synthetic"].any() and not kecamatan.areas["synthetic"].any()
    outside = kelurahan.areas[kelurahan.areas["synthetic"]]
    assert (outside["n_sample"] == 0).all() and (outside["grade"] == 3).all()


def test_larger_areas_are_known_better(kelurahan, kecamatan):
    assert kecamatan.areas["rmse_points"].median() < 0.7 * kelurahan.areas["rmse_points"].median()


def test_the_beta_interval_by_hand():
    share, variance = pd.Series([0.03, 0.03]), pd.Series([0.01**2, 0.01**2])
    lower, upper = poverty_map._beta_interval(share, variance, pd.Series([1000.0, 20.0]))
    size = 0.03 * 0.97 / 0.01**2 - 1
    drawn = stats.beta(0.03 * size, 0.97 * size)
    assert drawn.mean() == pytest.approx(0.03) and drawn.std() == pytest.approx(0.01)
    assert upper[0] == pytest.approx(drawn.ppf(0.975))
    assert lower[0] == pytest.approx(drawn.ppf(0.025))
    assert lower[1] == 0  # less than half of one of twenty households


def test_households_that_are_poor_together_widen_the_error(inputs):
    survey, census = inputs
    whole = mapped(inputs, "kecamatan").areas
    larger = mapped((survey, census.assign(count=100)), "kecamatan").areas
    assert (larger["rmse_points"] < whole["rmse_points"]).mean() > 0.9


def test_the_chance_of_the_poorest_sums_to_their_number(kelurahan):
    chance = poverty_map.poorest(kelurahan.areas)
    assert chance.sum() == pytest.approx(27, abs=0.5)
    assert chance.between(0, 1).all()
    # The one with certainty above all others belongs to them.
    sure = kelurahan.areas.assign(rmse_points=0.001)
    certain = poverty_map.poorest(sure)
    top = sure.nlargest(27, "p0_pct")["area_code"]
    assert (certain[top] == 1).all() and certain.sum() == pytest.approx(27)


def test_changes_by_hand(kecamatan):
    areas = kecamatan.areas
    later = poverty_map.PovertyMap(
        "kecamatan", "2023-03", areas.assign(p0_pct=areas["p0_pct"] + 1), None, None, None
    )
    table = poverty_map.changes(kecamatan, later)
    assert table["change_points"].to_numpy() == pytest.approx(1)
    assert table["rmse_points"].to_numpy() == pytest.approx(np.sqrt(2) * areas["rmse_points"])
    sure = 1.959964 * table["rmse_points"] < 1
    assert (table["distinguishable"] == sure).all()
    told = poverty_map.changes_words(table, "kecamatan")
    assert f"in {sure.sum()}: it rose in {sure.sum()} and fell in 0" in told


def test_estimates_are_near_the_truth_of_the_city(kelurahan, kecamatan, city):
    truth = city.truth[city.truth["period"] == PERIOD]
    for made in (kelurahan, kecamatan):
        compared = poverty_map.against_truth(made.areas, truth, made.level)
        assert compared["true_p0_pct"].notna().all()
        assert compared["covered"].mean() > 0.9
        off = compared["p0_pct"] - compared["true_p0_pct"]
        flat = compared["p0_pct"].mean() - compared["true_p0_pct"]
        assert (off**2).mean() < 0.8 * (flat**2).mean()
        told = poverty_map.truth_words(compared, made.level)
        assert f"{100 * compared['covered'].mean():.0f} % of the areas" in told


def test_invented_poverty_carries_invented_names(kelurahan, kecamatan, city):
    from analysis import regions

    official = regions.areas()
    real = set(official["kelurahan"]) | set(official["kecamatan"])
    for made in (kelurahan, kecamatan):
        shown = poverty_map.named(made.areas, made.level, city.names, official)
        assert shown["area_name"].notna().all() and not set(shown["area_name"]) & real
        true = poverty_map.named(made.areas, made.level, None, official)
        assert set(true["area_name"]) <= real


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"level": "rw"}, "level 'rw' is unknown"),
        ({"survey": {"kelurahan_code": None}}, "the survey does not carry kelurahan_code"),
        (
            {"official": {"3171": 3.4}},
            "kota 3101, 3172, 3173, 3174, 3175 has no official headcount",
        ),
    ],
)
def test_what_cannot_be_mapped_is_said(inputs, change, told):
    survey, census = inputs
    survey = survey.assign(**change.get("survey", {}))
    with pytest.raises(poverty_map.PovertyMapError, match=told):
        poverty_map.estimate(
            survey,
            census,
            change.get("official", OFFICIAL),
            synthetic.COVARIATES,
            level=change.get("level", "kelurahan"),
            period=PERIOD,
        )


def test_covariates_are_those_that_both_tables_have(inputs):
    survey, census = inputs
    found = poverty_map.covariates(survey, census.drop(columns="has_car"))
    assert "has_car" not in found and "head_schooling" in found and "expenditure_rp" not in found
    assert "water" not in poverty_map.covariates(survey.assign(water="piped"), census)


def test_the_ladder_shows_every_area(kelurahan):
    figure, axes = plt.subplots()
    poverty_map.draw_ladder(axes, kelurahan.areas)
    shown = np.concatenate(
        [c.get_offsets()[:, 1] for c in axes.collections if len(c.get_offsets())]
    )
    plt.close(figure)
    points = np.sort(kelurahan.areas["p0_pct"])
    assert set(points.round(9)) <= set(np.asarray(shown).round(9))


def test_the_official_figures_are_those_of_all_kota_or_none(inputs):
    survey = inputs[0].assign(poor=inputs[0]["welfare"] < 1)
    compared = households.against_official(survey, households.official(PERIOD))
    assert poverty_map.official(compared) == OFFICIAL
    assert len(poverty_map.direct_table(compared)) == 7  # the kota and DKI Jakarta
    own_line = households.against_official(survey, households.official(PERIOD, 600_000))
    assert poverty_map.official(own_line) is None


def test_without_official_figures_the_model_stands(inputs):
    made = poverty_map.estimate(
        *inputs, None, synthetic.COVARIATES, level="kecamatan", period=PERIOD, replicates=5
    )
    assert made.areas["p0_pct"].to_numpy() == pytest.approx(made.areas["model_p0_pct"])
    assert "no official figure" in poverty_map.factor_words(made)


def test_masked_microdata_have_no_map():
    from types import SimpleNamespace

    masked = SimpleNamespace(census=pd.DataFrame(), lowest_level="kota", periods=["2017-03"])
    assert poverty_map.levels(masked) == []
    assert poverty_map.period_before(masked, "2017-03") == ""
    assert "nothing can be estimated" in poverty_map.answer({})
    assert "There is no model" in poverty_map.model_words({})
    whole = SimpleNamespace(census=pd.DataFrame(), lowest_level="kelurahan", periods=["a", "b"])
    assert poverty_map.levels(whole) == ["kecamatan", "kelurahan"]
    assert poverty_map.period_before(whole, "b") == "a"
