import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from matplotlib import pyplot as plt
from scipy import stats

from analysis import (
    households,
    maps,
    microdata,
    paths,
    poverty_map,
    provenance,
    regions,
    sae,
    synthetic,
)
from analysis.poverty_map import choice, estimation

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
    lower, upper = estimation._beta_interval(share, variance, pd.Series([1000.0, 20.0]))
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


def test_invented_poverty_carries_invented_names(kelurahan, kecamatan, city, monkeypatch):
    official = regions.areas()
    real = set(official["kelurahan"]) | set(official["kecamatan"])
    # The second: data that say that they are synthetic, and bring no names of their own.
    for invented in (city.names, None):
        monkeypatch.setattr(provenance, "synthetic", lambda: True)
        for made in (kelurahan, kecamatan):
            shown = poverty_map.named(made.areas, made.level, invented, official)
            assert shown["area_name"].is_unique and not set(shown["area_name"]) & real
    monkeypatch.setattr(provenance, "synthetic", lambda: False)
    for made in (kelurahan, kecamatan):
        true = poverty_map.named(made.areas, made.level, None, official)
        assert set(true["area_name"]) <= real


def test_a_file_of_invented_poverty_has_no_code_of_a_real_area(kelurahan, city, monkeypatch):
    chance = poverty_map.poorest(kelurahan.areas)
    named = poverty_map.named(kelurahan.areas, "kelurahan", city.names, regions.areas())
    codes = set(kelurahan.areas["area_code"])
    for synthetic_data in (True, False):
        monkeypatch.setattr(provenance, "synthetic", lambda answer=synthetic_data: answer)
        table = poverty_map.file_table(kelurahan, named, chance)
        assert len(table) == 267 and table.notna().all(axis=None)
        held = {value for name in table for value in table[name].astype(str)}
        assert bool(held & codes) == (not synthetic_data)
    assert (table["poor_count"] == kelurahan.areas.set_index("area_code").loc[
        table["area_code"], "poor_count"].round().to_numpy()).all()  # fmt: skip


def test_the_notebook_names_no_kelurahan():
    """On invented poverty no real kelurahan is named, by name or code, in output or file."""
    cells = json.loads((paths.ROOT / "notebooks/14_poverty_map.ipynb").read_text())["cells"]
    outputs = [out.get("data", {}) for cell in cells for out in cell.get("outputs", [])]
    files = [out["text/csv"] for out in outputs if "text/csv" in out]
    assert len(files) == 2
    for file in files:
        rows = "".join(file).splitlines()
        assert len(rows) in (1 + 44, 1 + 267)
        assert all(row.startswith("Synthetic data – not an estimate") for row in rows[1:])
    text = json.dumps(
        [{kind: o[kind] for kind in o if kind != "image/png"} for o in outputs], ensure_ascii=False
    )
    listed = regions.areas()
    names = set(listed["kelurahan"].str.title()) | set(listed["kelurahan_code"])
    names |= set(listed["kecamatan"].str.title()) | set(listed["kecamatan_code"])
    assert not [name for name in names if len(name) > 5 and name in text]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"level": "rw"}, "level 'rw' is unknown"),
        ({"survey": {"kelurahan_code": None}}, "the survey does not carry kelurahan_code"),
        ({"replicates": 0}, "replicates is 0: without a bootstrap"),
        ({"covariates": []}, "no covariate in common"),
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
            change.get("covariates", synthetic.COVARIATES),
            level=change.get("level", "kelurahan"),
            period=PERIOD,
            replicates=change.get("replicates", 5),
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
    assert len(poverty_map.direct_table(compared)) == 7  # the kota and DKI Jakarta
    assert list(poverty_map.direct_table(compared, "3175")["area"]) == [
        "Jakarta Utara", "DKI Jakarta",
    ]  # fmt: skip
    assert poverty_map.official(households.official(PERIOD)) == OFFICIAL
    assert poverty_map.official(households.official(PERIOD, 600_000)) is None


def test_without_official_figures_the_model_stands(inputs):
    made = poverty_map.estimate(
        *inputs, None, synthetic.COVARIATES, level="kecamatan", period=PERIOD, replicates=5
    )
    assert made.areas["p0_pct"].to_numpy() == pytest.approx(made.areas["model_p0_pct"])
    assert "no official figure" in poverty_map.factor_words(made)


def test_masked_microdata_have_no_map():
    masked = SimpleNamespace(census=pd.DataFrame(), lowest_level="kota", periods=["2017-03"])
    assert poverty_map.levels(masked) == []
    assert poverty_map.period_before(masked, "2017-03") == ""
    assert "nothing can be estimated" in poverty_map.answer({})
    assert "There is no model" in poverty_map.model_words({})
    assert "by kelurahan" in poverty_map.unavailable("kelurahan")
    whole = SimpleNamespace(census=pd.DataFrame(), lowest_level="kelurahan", periods=["a", "b"])
    assert poverty_map.levels(whole) == ["kecamatan", "kelurahan"]
    assert poverty_map.period_before(whole, "b") == "a"


# ---- one kota --------------------------------------------------------------------------------


def test_a_kota_alone_keeps_the_estimates_of_all_data(kelurahan, kecamatan):
    whole = {"kecamatan": kecamatan, "kelurahan": kelurahan}
    assert poverty_map.of_kota(whole, "") == whole
    own = poverty_map.of_kota(whole, "3173")
    assert len(own["kecamatan"].areas) == 8 and len(own["kelurahan"].areas) == 44
    for level, mapped in own.items():
        all_areas = whole[level].areas
        expected = all_areas[all_areas["kota_code"] == "3173"].reset_index(drop=True)
        pd.testing.assert_frame_equal(mapped.areas, expected)
        assert "are 0." in poverty_map.factor_words(mapped)
    assert poverty_map.factor_table(own)["kota"].tolist() == ["Jakarta Pusat"]
    drawn = poverty_map.drawn(regions.kelurahan(), own["kelurahan"].areas, "kelurahan")
    assert len(drawn) == 44 and drawn["p0_pct"].notna().all()
    with pytest.raises(poverty_map.PovertyMapError, match="'3179' is unknown: there are 3101 Kep"):
        poverty_map.of_kota(whole, "3179")


@pytest.mark.parametrize("code", ["3101", "3173"])
def test_a_kota_alone_has_a_map(kelurahan, code):
    own = poverty_map.of_kota({"kelurahan": kelurahan}, code)["kelurahan"].areas
    areas = poverty_map.drawn(regions.kelurahan(), own, "kelurahan")
    figure = maps.choropleth(
        areas,
        "p0_pct",
        title="P0",
        breaks=maps.round_breaks(areas["p0_pct"]),
        legend="P0 (%)",
        hatched=("synthetic", "not asked"),
    )
    figure.draw_without_rendering()
    assert all(axes.collections or axes.patches for axes in figure.axes)  # no empty panel
    plt.close(figure)


def test_the_factors_are_shown_with_what_they_were_applied_to(kelurahan, kecamatan):
    made = {"kecamatan": kecamatan, "kelurahan": kelurahan}
    table = poverty_map.factor_table(made).set_index("kota")
    assert table["p0_pct"].to_numpy() == pytest.approx(list(OFFICIAL.values()), abs=1e-6)
    for level in made:
        product = table[f"model_{level}_pct"] * table[f"factor_{level}"]
        assert product.to_numpy() == pytest.approx(table["p0_pct"].to_numpy())


def test_tables_have_every_area_and_changes_come_by_their_clarity(kelurahan, kecamatan, city):
    named = poverty_map.named(kelurahan.areas, "kelurahan", city.names, regions.areas())
    table = poverty_map.appendix_table(named, poverty_map.poorest(kelurahan.areas))
    assert len(table) == 267 and len(table.columns) == len(poverty_map.WIDTHS)
    assert (table["asked"] == "no").sum() == kelurahan.areas["synthetic"].sum()
    assert table["kota"].nunique() == 6 and table["kota"].iloc[0] == "Kepulauan Seribu"
    later = poverty_map.PovertyMap(
        "kecamatan", "2023-03",
        kecamatan.areas.assign(p0_pct=kecamatan.areas["p0_pct"] * 1.4), None, None, None,
    )  # fmt: skip
    changed = poverty_map.changes(kecamatan, later)
    named = poverty_map.named(kecamatan.areas, "kecamatan", city.names, regions.areas())
    assert len(poverty_map.area_table(named).columns) == len(poverty_map.WIDTHS)
    found = poverty_map.change_table(named, changed, 5)
    ratio = (found["change_points"] / found["rmse_points"]).to_numpy()
    assert len(found) == 5 and (np.diff(ratio) <= 0).all()
    assert ratio[0] == (changed["change_points"] / changed["rmse_points"]).max()
    figure, axes = plt.subplots()
    poverty_map.draw_changes(axes, changed)
    points = [p for c in axes.collections if len(c.get_offsets()) for p in c.get_offsets()[:, 1]]
    plt.close(figure)
    assert set(changed["change_points"].round(9)) <= set(np.round(points, 9))


# ---- the choice of the model -----------------------------------------------------------------


def lognormal(seed: int = 0, n: int = 900) -> pd.DataFrame:
    """Households whose log welfare is a nested error model in two covariates."""
    rng = np.random.default_rng(seed)
    area = np.repeat(np.arange(30), n // 30)
    size, age = rng.integers(1, 8, n), rng.integers(20, 80, n)
    log = 1.2 - 0.12 * size + 0.3 * rng.standard_normal(30)[area] + 0.4 * rng.standard_normal(n)
    codes = pd.Series(area).map(lambda a: f"31710{a:02d}")
    return pd.DataFrame(
        {"kecamatan_code": codes, "household_size": size, "head_age": age, "welfare": np.exp(log)}
    )


def test_criteria_of_transformations_are_those_of_welfare_itself():
    survey = lognormal()
    names = ["household_size", "head_age"]
    table = poverty_map.transformations(survey, names, "kecamatan").set_index("transformation")
    # The log-normal likelihood, by another library.
    logged = survey.assign(y=np.log(survey["welfare"]))
    other = smf.mixedlm("y ~ household_size + head_age", logged, groups="kecamatan_code").fit(
        reml=False
    )
    likelihood = other.llf - logged["y"].sum()
    assert table.loc["log", "aic"] == pytest.approx(2 * 5 - 2 * likelihood, abs=1e-3)
    assert table.loc["log", "bic"] == pytest.approx(5 * np.log(900) - 2 * likelihood, abs=1e-3)
    assert table.loc["box-cox", "parameter"] == pytest.approx(0, abs=0.1)
    assert table.loc["none", "aic"] > table.loc["log", "aic"] + 100
    assert "AIC prefers log to none" in poverty_map.transformation_words(
        table.reset_index(), "none"
    )
    # Another unit of welfare adds the same to all, so that the order of the rest stays.
    scaled = survey.assign(welfare=survey["welfare"] * 1000)
    again = poverty_map.transformations(scaled, names, "kecamatan").set_index("transformation")
    moved = again["aic"] - table["aic"]
    assert moved[["none", "log", "box-cox"]].to_numpy() == pytest.approx(
        2 * 900 * np.log(1000), abs=0.1
    )


def test_a_transformation_that_cannot_be_is_missing_in_the_table():
    survey = lognormal()
    survey.loc[0, "welfare"] = 0.0
    table = poverty_map.transformations(survey, ["household_size"], "kecamatan")
    table = table.set_index("transformation")
    assert np.isnan(table.loc["log", "aic"]) and table.loc[["none", "box-cox"], "aic"].notna().all()


def test_covariates_that_say_something_are_told_from_those_that_do_not():
    survey = lognormal()
    names = ["household_size", "head_age"]
    fit = sae.empirical_best(
        survey, survey, welfare="welfare", covariates=names, area="kecamatan_code", line=1.0,
        transformation="log",
    )  # fmt: skip
    made = poverty_map.PovertyMap("kecamatan", PERIOD, None, fit, None, None)
    rises = poverty_map.left_out(survey, names, made)
    assert rises["household_size"] > 100
    assert rises["head_age"] < 8  # of noise: chi-squared of one degree of freedom, less 2
    sets = poverty_map.covariate_sets(survey.assign(kota_code="3171"), names, made)
    assert sets["covariates"].tolist() == ["and the people"]  # the only set with a covariate here
    logs = np.log(survey["welfare"])
    assert sets["r2"].iloc[0] == pytest.approx(
        (0.12 * survey["household_size"]).var() / logs.var(), abs=0.08
    )
    spare = poverty_map.covariate_words(sets, pd.Series({"head_age": -1.5, "has_car": 3.0}))
    assert "could do without `head_age`, each alone" in spare
    assert "none of them" in poverty_map.covariate_words(sets, pd.Series({"has_car": 3.0}))


def test_every_canonical_covariate_belongs_to_one_set():
    assert sorted(n for names in choice.SETS.values() for n in names) == sorted(
        microdata.COVARIATES
    )
    assert set(synthetic.COVARIATES) <= set(microdata.COVARIATES)


def test_quantiles_of_a_normal_sample_lie_on_the_line():
    figure, axes = plt.subplots()
    values = pd.Series(np.random.default_rng(0).standard_normal(20_000) * 3 + 5)
    choice.draw_quantiles(axes, values, "all")
    x, y = axes.lines[1].get_data()
    plt.close(figure)
    assert len(x) == 200 and np.abs(x - y)[5:-5].max() < 0.06


# ---- trials ----------------------------------------------------------------------------------


def test_the_truth_is_that_of_its_own_line_and_period(city):
    data = SimpleNamespace(truth=city.truth)
    assert len(poverty_map.truth(data, PERIOD, "national")) == 267
    assert poverty_map.truth(data, PERIOD, "extreme") is None
    assert poverty_map.truth(data, PERIOD, "600000") is None
    assert poverty_map.truth(data, "2019-03", "national") is None
    assert poverty_map.truth(SimpleNamespace(truth=None), PERIOD, "national") is None


def test_coverage_by_hand():
    tried = pd.DataFrame(
        {
            "edition": ["regular"] * 4 + ["misspecified"] * 4,
            "level": "kelurahan",
            "seed": [0, 0, 1, 1] * 2,
            "p0_pct": [1.0, 2, 3, 4] * 2,
            "true_p0_pct": [2.0, 2, 3, 2] * 2,
            "rmse_points": [1.0, 1, 2, 2] * 2,
            "covered": [True] * 4 + [True, False, False, False],
        }
    )
    table = poverty_map.coverage(tried).set_index("edition")
    assert table["coverage_pct"].to_dict() == {"regular": 100, "misspecified": 25}
    # One city has half, the other none: standard deviation sqrt(1/8), over two cities.
    assert table.loc["misspecified", "coverage_se_points"] == pytest.approx(25)
    assert table["rmse_true_points"].to_numpy() == pytest.approx(np.sqrt(5 / 4))
    assert table["rmse_said_points"].to_numpy() == pytest.approx(np.sqrt(10 / 4))
    told = poverty_map.coverage_words(table.reset_index())
    assert "100.0 % of the kelurahan (± 0.0) in the regular edition" in told
    assert "25.0 % of the kelurahan (± 25.0) in the misspecified edition" in told
    assert "more error than there is" in told
    shown = poverty_map.coverage_table(table.reset_index())
    assert "heavy tails" in shown["edition"].iloc[1]


def test_a_city_that_breaks_the_assumptions_is_mapped_and_reported_as_it_is():
    tried = poverty_map.trial("misspecified", "small", PERIOD, 1, 20)
    assert tried.groupby("level").size().to_dict() == {"kecamatan": 44, "kelurahan": 267}
    assert tried["true_p0_pct"].notna().all() and tried["true_p0_pct"].nunique() > 100
    inside = tried["true_p0_pct"].between(tried["lower_pct"] - 1e-9, tried["upper_pct"] + 1e-9)
    assert (inside == tried["covered"]).all() and not inside.all()
    assert provenance.synthetic()
