"""The poverty profile: its figures by hand, small cells, and files that lack what it shows."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis import deprivations, display, households, paths, poverty_profile, provenance, tables
from analysis.households import JAKARTA
from analysis.microdata import disclosure

KOTA = ["3171", "3172", "3173", "3174"]
NOTEBOOK = json.loads((paths.ROOT / "notebooks/06_poverty_profile.ipynb").read_text("utf-8"))


def invented(seed: int = 1, n: int = 1600, period: str = "2021-03") -> pd.DataFrame:
    """Rows of the table ``households`` about nobody: the less schooling, the poorer."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(n // 10), 10)
    kota = np.array(KOTA)[cluster % 4]
    schooling = rng.integers(0, 5, n)
    levels = ["none", "primary", "junior", "senior", "tertiary"]
    effect = rng.normal(0, 0.15, n // 10)[cluster]
    table = pd.DataFrame(
        {
            "household_id": [f"{period}-{i}" for i in range(n)],
            "period": period,
            "kota_code": kota,
            "kota": pd.Series(kota).map(households.regions.KOTA).to_numpy(),
            "stratum": kota,
            "cluster": [f"{c:04d}" for c in cluster],
            "weight": rng.uniform(100, 300, n),
            "household_size": rng.integers(1, 8, n),
            "poverty_line_rp": 700_000.0,
            "line_basis": "published",
            "head_age": rng.integers(18, 85, n),
            "head_female": rng.random(n) < 0.2,
            "head_schooling": pd.Categorical.from_codes(schooling, levels),
            "head_work": rng.choice(["not_working", "informal", "formal"], n),
            "floor_area_m2": rng.uniform(10, 90, n),
            "toilet": rng.choice(["own", "shared", "none"], n, p=[0.8, 0.15, 0.05]),
            "slum_rw": rng.random(n) < 0.2,
            "welfare": np.exp(0.25 + 0.25 * schooling + effect + rng.normal(0, 0.45, n)),
        }
    )
    table["expenditure_per_capita_rp"] = table["welfare"] * table["poverty_line_rp"]
    table["expenditure_rp"] = table["expenditure_per_capita_rp"] * table["household_size"]
    return table.assign(poor=table["welfare"] < 1)


@pytest.fixture(scope="module")
def survey():
    return invented()


@pytest.fixture(scope="module")
def earlier():
    own = invented(2, period="2017-03")
    own["welfare"] *= 1.1
    return own.assign(poor=own["welfare"] < 1)


@pytest.fixture(scope="module")
def counted(survey):
    return deprivations.counted(survey, 1 / 3)


def persons(survey: pd.DataFrame) -> pd.Series:
    return survey["weight"] * survey["household_size"]


# ---- measures, and what is suppressed


def test_the_measures_are_those_of_the_survey(survey):
    table = poverty_profile.measured(survey).table
    own = table[(table["area_code"] == "3172") & (table["measure"] == "p1")].iloc[0]
    part = survey[survey["kota_code"] == "3172"]
    gap = (1 - part["welfare"]).clip(lower=0)
    assert own["estimate"] == pytest.approx(100 * np.average(gap, weights=persons(part)))
    whole = table[table["area_code"] == JAKARTA].set_index("measure")
    assert list(whole.index) == list(poverty_profile.MEASURES)
    assert (whole["lower"] < whole["estimate"]).all() and not table["suppressed"].any()


def test_a_kota_with_few_poor_goes_and_another_with_it(survey):
    few = survey.copy()
    hit = few.index[(few["kota_code"] == "3171") & few["poor"]][3:]
    few.loc[hit, ["welfare", "poor"]] = [1.5, False]
    found = poverty_profile.measured(few)
    hidden = set(found.table.loc[found.table["suppressed"], "area_code"])
    assert "3171" in hidden and len(hidden) == 2 and JAKARTA not in hidden
    assert found.table.loc[found.table["suppressed"], "estimate"].isna().all()
    shown = poverty_profile.measures_table(found, pd.Series({"p0": 4.72}))
    row = shown.set_index("area").loc["Jakarta Selatan"]
    assert row.isna().all() and shown["P0 (%)"].iloc[-1] == "4.72"
    assert "Suppressed: Jakarta Selatan" in poverty_profile.measured_words(
        found, few, pd.Series(dtype=float)
    )


def test_suppressed_are_the_kota_that_05_suppresses():
    everyone = tables.read("households")
    survey = households.of_period(everyone, "2021-03")
    shown = households.published(
        households.against_official(survey, households.official("2021-03"))
    ).set_index("area_code")
    own = poverty_profile.cells(survey, "kota_code")
    assert own["suppressed"].any()
    assert own["suppressed"].reindex(shown.index).equals(shown["suppressed"].astype(bool))


def test_with_hardly_any_poor_nothing_of_them_is_told(survey):
    rich = survey.assign(welfare=survey["welfare"] + 1)
    rich.loc[:4, "welfare"] = 0.5
    rich["poor"] = rich["welfare"] < 1
    found = poverty_profile.measured(rich)
    assert found.table["estimate"].isna().all()
    profile = poverty_profile.profile(rich)
    told = poverty_profile.answer(found, rich, profile, None, "national")
    assert "too few of 1,600 sampled households" in told and "%" not in told
    assert profile.table.empty and poverty_profile.vulnerable(rich).table is None


def test_welfare_of_zero_leaves_out_watts_alone(survey):
    zero = survey.copy()
    zero.loc[:2, "welfare"], zero.loc[:2, "poor"] = 0.0, True
    found = poverty_profile.measured(zero)
    assert set(poverty_profile.MEASURES) - set(found.table["measure"]) == {"watts"}
    assert "3 households have no expenditure" in poverty_profile.measured_words(
        found, zero, pd.Series(dtype=float)
    )
    assert "no expenditure" in poverty_profile.vulnerable_words(poverty_profile.vulnerable(zero))


def test_the_depth_is_the_mean_gap_of_the_poor(survey):
    poor = survey[survey["poor"]]
    mean = np.average(1 - poor["welfare"], weights=persons(poor))
    assert poverty_profile.depth(survey)["estimate"] == pytest.approx(mean)


def test_another_line(survey):
    own = households.of_period(survey, "2021-03", 1_000_000)
    assert (own["poverty_line_rp"] == 1e6).all() and set(own["line_basis"]) == {"given"}
    assert own["poor"].equals(survey["expenditure_per_capita_rp"] < 1e6)
    pd.testing.assert_frame_equal(households.of_period(survey, "2021-03"), survey)
    with pytest.raises(households.HouseholdError, match="no period '2019-03'"):
        households.of_period(survey, "2019-03")
    with pytest.raises(households.HouseholdError, match="is unknown"):
        households.of_period(survey, "2021-03", "poorest")


# ---- change


def test_the_period_before(survey, earlier):
    both = pd.concat([survey, earlier])
    assert poverty_profile.before(both, "2021-03") == "2017-03"
    assert poverty_profile.before(both, "2017-03") == ""
    with pytest.raises(households.HouseholdError, match="is not before"):
        poverty_profile.before(both, "2017-03", "2021-03")


def test_percentiles_have_households_on_both_sides(survey):
    shown = poverty_profile.shown_percentiles(survey[:400], survey)
    welfare, people = survey["welfare"][:400], persons(survey[:400])
    low = households.weighted_quantile(welfare, people, shown[0] / 100)
    assert (welfare < low).sum() >= disclosure.THRESHOLD
    assert shown[0] > 1 or len(survey) > 10_000
    assert shown == list(range(shown[0], shown[-1] + 1))


def test_parts_of_the_change_add_up_and_are_in_points(survey, earlier):
    found = poverty_profile.change(earlier, survey, replicates=10)
    table = found.pivot(index=["measure", "path"], columns="component", values="estimate")
    total = table["growth"] + table["redistribution"] + table["residual"].fillna(0)
    assert total.to_numpy() == pytest.approx(table["change"].to_numpy())
    p0 = [100 * np.average(own["poor"], weights=persons(own)) for own in (earlier, survey)]
    assert table.loc[("p0", "shapley"), "change"] == pytest.approx(p0[1] - p0[0])
    assert f"{p0[1] - p0[0]:+.2f} points" in poverty_profile.change_words(found)
    with pytest.raises(households.HouseholdError, match="replicates is 0"):
        poverty_profile.change(earlier, survey, replicates=0)
    sectors = poverty_profile.sectoral(earlier, survey, replicates=10)
    parts = sectors[["within", "shift", "interaction"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(np.full(len(sectors), p0[1] - p0[0]))
    assert "Drinking water" not in set(sectors["characteristic"])  # not in the file


def test_growth_is_per_year(survey, earlier):
    found = poverty_profile.incidence(earlier, survey)
    means = [np.average(own["welfare"], weights=persons(own)) for own in (earlier, survey)]
    assert found.mean_growth_pct == pytest.approx(100 * ((means[1] / means[0]) ** 0.25 - 1))


def test_lorenz_shares_and_their_change(survey, earlier):
    one, two = (poverty_profile.lorenz(own) for own in (earlier, survey))
    change = poverty_profile.lorenz_change(one, two)
    assert change["change_points"].equals(two["share_pct"] - one["share_pct"])
    assert (change["lower_points"] < change["change_points"]).all()
    told = poverty_profile.lorenz_words({"2017-03": one, "2021-03": two})
    assert f"{two['share_pct'][7]:.1f} %" in told  # the poorest 40 %


# ---- profile


def test_shares_of_a_characteristic_add_up(survey):
    found = poverty_profile.profile(survey)
    sums = found.table.groupby("characteristic")[["population_pct", "share_of_poor_pct"]].sum()
    assert sums.to_numpy() == pytest.approx(np.full(sums.shape, 100))
    assert set(found.absent) == {"Dwelling", "Drinking water"}
    worst = found.table.loc[found.table["risk"].idxmax()]
    assert (worst["characteristic"], worst["group"]) == ("Schooling of the head", "none")
    told = poverty_profile.profile_words(found)
    assert "Not in the file, so not shown: Dwelling, Drinking water." in told


def test_small_groups_are_joined_with_the_smaller_neighbour():
    poor_of = {"a": 9, "b": 20, "c": 5, "d": 12}
    groups = pd.Series(pd.Categorical(np.repeat(list(poor_of), 40)))
    poor = pd.Series(np.concatenate([np.arange(40) < n for n in poor_of.values()]))
    found = poverty_profile.joined(groups, poor)
    assert list(found.cat.categories) == ["a", "b", "c or d"]
    assert found[85] == found[125] == "c or d"
    assert pd.crosstab(found, poor).to_numpy().min() >= disclosure.THRESHOLD
    # Few who are not poor are as telling.
    assert list(poverty_profile.joined(groups, ~poor).cat.categories) == ["a", "b", "c or d"]


def test_no_shown_group_is_small(survey):
    few = survey[:700]
    table = poverty_profile.profile(few).table
    least = np.minimum(table["n_poor"], table["n_households"] - table["n_poor"])
    assert least.min() >= disclosure.THRESHOLD
    assert table["group"].str.contains(" or ").any()


def test_what_some_households_do_not_say_is_a_group(survey):
    own = survey.copy()
    own["toilet"] = own["toilet"].where(own.index > 200)
    table = poverty_profile.profile(own).table
    assert "not stated" in table.loc[table["characteristic"] == "Toilet", "group"].iloc[-1]


# ---- vulnerability and deprivations


def test_vulnerability_names_what_the_model_lacks(survey):
    own = survey.assign(head_age=survey["head_age"].where(survey.index > 0))
    found = poverty_profile.vulnerable(own, replicates=3)
    assert "head_age" in found.left_out and "water" in found.left_out
    assert "head_schooling" in found.covariates
    assert "head age" in poverty_profile.vulnerable_words(found)
    shown = found.table.set_index("measure")
    p0 = 100 * np.average(own["poor"], weights=persons(own))
    assert shown.loc["observed", "estimate"] == pytest.approx(p0)
    assert (
        shown.loc["not poor, above the rate", "estimate"]
        < (shown.loc["above the rate", "estimate"])
    )


def test_deprivations_by_hand():
    rows = pd.DataFrame(
        {
            "head_schooling": ["primary", "junior", "none", "tertiary"],
            "head_work": ["formal", "informal", "not_working", "not_working"],
            "head_age": [40, 40, 64, 65],
            "floor_area_m2": [28.0, 28.8, 28.8, 7.0],
            "household_size": [4, 4, 4, 1],
            "slum_rw": [True, False, False, False],
            "water": ["well", "other", "piped", "bottled"],
            "toilet": ["own", "shared", "none", "own"],
            "has_car": [True, False, False, False],
            "has_motorcycle": [False, True, True, False],
            "has_refrigerator": [False, True, False, False],
            "has_ac": False,
            "has_computer": False,
        }
    )
    found = {each.name: list(each.deprived(rows)) for each in deprivations.INDICATORS}
    assert found == {
        "schooling": [True, False, True, False],
        "work": [False, True, True, False],
        "floor": [True, False, False, True],
        "slum": [True, False, False, False],
        "water": [False, True, False, False],
        "toilet": [False, True, True, False],
        "assets": [False, False, True, True],
    }


def test_indicators_that_a_file_lacks_leave_their_weight_to_the_others(survey, counted):
    found = counted
    weights = found.whole.weights
    assert weights.to_dict() == pytest.approx(
        {
            "deprived_schooling": 1 / 4,
            "deprived_work": 1 / 4,
            "deprived_floor": 1 / 8,
            "deprived_slum": 1 / 8,
            "deprived_toilet": 1 / 4,
        }
    )
    assert len(found.absent) == 2 and "Not in the file, so not counted" in deprivations.words(found)
    assert deprivations.counted(survey[["toilet", "household_size"]], 1 / 3) is None
    table = deprivations.indicators_table(found)
    assert table["weight_pct"].sum() == pytest.approx(100)
    areas = deprivations.area_table(found).set_index("area")
    h = 100 * np.average(found.survey["mpi_poor"], weights=persons(found.survey))
    assert areas.loc["DKI Jakarta", "H"].startswith(f"{h:.1f} (")


def test_households_without_a_value_are_left_out_and_columns_with_many_gaps(survey):
    some = survey.assign(floor_area_m2=survey["floor_area_m2"].where(survey.index >= 16))
    found = deprivations.counted(some, 0.4)
    assert len(found.survey) == len(survey) - 16 and found.dropped_pct == pytest.approx(1)
    many = survey.assign(floor_area_m2=survey["floor_area_m2"].where(survey.index >= 400))
    found = deprivations.counted(many, 0.4)
    assert len(found.survey) == len(survey) and "deprived_floor" not in found.whole.weights


def test_kota_with_few_deprived_are_suppressed(survey):
    own = survey.copy()
    safe = own["kota_code"] == "3171"
    own.loc[safe, "head_schooling"] = "tertiary"
    own.loc[safe, "toilet"], own.loc[safe, "slum_rw"] = "own", False
    found = deprivations.counted(own, 0.4)
    areas = deprivations.area_table(found).set_index("area")
    hidden = areas.index[areas["H"].isna()]
    assert "Jakarta Selatan" in hidden and len(hidden) == 2
    assert areas.loc[hidden, ["H", "A", "M0", "contribution"]].isna().all(axis=None)
    assert deprivations.agreement(found).empty  # two kota have no order to speak of
    figure, axes = plt.subplots()
    deprivations.draw_contributions(axes, found)
    labels = {label.get_text() for label in axes.get_yticklabels()}
    plt.close(figure)
    assert not labels & set(hidden) and "DKI Jakarta" in labels


def test_indicators_with_few_deprived_are_suppressed(survey):
    own = survey.assign(slum_rw=survey.index < 5)
    table = deprivations.indicators_table(deprivations.counted(own, 1 / 3))
    hidden = table["censored"].isna()
    assert hidden[table["deprived"].str.contains("RW kumuh")].all() and hidden.sum() == 2
    assert table["weight_pct"].notna().all()
    assert table.loc[hidden, ["uncensored", "contribution"]].isna().all(axis=None)


def test_bars_of_few_households_are_not_drawn(survey):
    own = survey.copy()
    own.loc[(own["kota_code"] == "3173") & (own.index > 20), "toilet"] = "own"
    found = deprivations.counted(own, 1 / 3)
    assert not found.cells["suppressed"].any() and deprivations._thin(found) == {"3173"}
    figure, axes = plt.subplots()
    deprivations.draw_contributions(axes, found)
    labels = {label.get_text() for label in axes.get_yticklabels()}
    plt.close(figure)
    assert "Jakarta Pusat" not in labels and len(labels) == 4


def test_the_overlap_adds_up(survey, counted):
    found = counted
    both = deprivations.overlap(found).set_index("group")["estimate"]
    assert both.sum() == pytest.approx(100)
    p0 = 100 * np.average(survey["poor"], weights=persons(survey))
    assert both["both"] + both["by money only"] == pytest.approx(p0)
    assert deprivations.overlap(deprivations.counted(survey, 1.0)).empty


def test_pairs_of_kota_that_differ(survey, counted):
    found = counted
    order = deprivations.agreement(found).set_index("k")
    assert order.loc[1 / 3, "tau"] == pytest.approx(1) and (order["pairs"] == 6).all()
    measures = found.by_kota.measures
    m0 = measures[measures["measure"] == "M0"]
    z = [
        abs(a.estimate - b.estimate) / np.hypot(a.se, b.se)
        for i, a in enumerate(m0.itertuples())
        for j, b in enumerate(m0.itertuples())
        if i < j
    ]
    assert order.loc[1 / 3, "apart"] == (np.array(z) > 1.96).sum()


# ---- words


def test_numbers_with_their_sign():
    assert poverty_profile.signed(0.64) == "+0.6" and poverty_profile.signed(-0.64) == "−0.6"
    assert poverty_profile.signed(-0.04) == "0.0"
    assert poverty_profile.with_interval(5.178, 4.4, 6.0, 1) == "5.2 (4.4–6.0)"
    assert poverty_profile.with_interval(-1, -2, 0.5, 1, sign=True) == "−1.0 (−2.0 to +0.5)"
    assert poverty_profile.with_interval(np.nan, 1, 2, 1) is None
    assert poverty_profile.with_interval(1, np.nan, np.nan, 1) == "1.0"


# ---- the notebook on other files


BAREST = ["household_id", "period", "kota_code", "kota", "weight", "household_size"]
BAREST += ["expenditure_rp", "expenditure_per_capita_rp", "poverty_line_rp", "line_basis"]
BAREST += ["welfare", "poor"]


@pytest.mark.parametrize("case", ["barest file", "one period, own line", "gaps"])
def test_the_notebook_survives(case, survey, earlier, monkeypatch):
    told = []
    for name in ("show_text", "show_table", "show_figure"):

        def note(what, *, name=name, **words):
            told.append((name, what, words))
            if name == "show_figure":
                plt.close(what)

        monkeypatch.setattr(display, name, note)
    monkeypatch.setattr(provenance, "_reads", {})
    everyone = pd.concat([earlier, survey], ignore_index=True)
    more = {"replicates": 3}
    if case == "barest file":
        everyone = everyone[BAREST].assign(stratum=None, cluster=None)
    elif case == "gaps":
        everyone["toilet"] = everyone["toilet"].where(everyone.index % 3 > 0)
        everyone["head_age"] = everyone["head_age"].where(everyone.index % 50 > 0)
    else:
        everyone, more["line"] = survey, "900000"
    monkeypatch.setattr(tables, "read", lambda name: everyone)
    space = {}
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update(more)
    texts = " ".join(what for name, what, _ in told if name == "show_text")
    assert "nan" not in texts and texts.startswith("> **Answer.** In March 2021 **")
    labels = {words["label"] for name, _, words in told if name != "show_text"}
    if case == "barest file":
        assert "Not in the file, so not shown: Age of the head" in texts
        assert "multidimensional poverty cannot be counted" in texts
        assert "Vulnerability cannot be estimated" not in texts  # household size and kota are there
        assert "fig-incidence" in labels and "tbl-indicators" not in labels
    elif case == "gaps":
        assert "2.0 % of the households lack a value" in texts and "tbl-counted" in labels
    else:
        assert "There is no period before March 2021" in texts and "Rp 900,000" in texts
        assert "fig-incidence" not in labels and "tbl-change" not in labels
