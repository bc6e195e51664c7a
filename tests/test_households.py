"""Households: welfare, the comparison with what is official, and the mark of what is synthetic."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from analysis import display, households, microdata, paths, poverty, provenance, regions, tables
from analysis.households import HouseholdError
from analysis.poverty import design

PERIOD = "2021-03"
COLUMNS = [
    "kota_code",
    "stratum",
    "cluster",
    "weight",
    "household_size",
    "expenditure_rp",
    "head_age",
    "head_female",
    "floor_area_m2",
]


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    """What these tests read is no part of what others have read."""
    monkeypatch.setattr(provenance, "_reads", {})
    monkeypatch.delenv(microdata.VARIABLE, raising=False)


@pytest.fixture(scope="module")
def city():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "_reads", {})
        patch.delenv(microdata.VARIABLE, raising=False)
        return households.open_microdata()


def invented(seed: int = 1, n: int = 1200) -> pd.DataFrame:
    """A survey of nobody: kota, ten households to a cluster, weights of the official residents."""
    rng = np.random.default_rng(seed)
    official = households.official(PERIOD).set_index("kota_code").drop("31")
    kota = np.repeat(rng.choice(official.index, n // 10), 10)
    kota[:60] = np.repeat(official.index, 10)
    table = pd.DataFrame({"kota_code": kota})
    table["stratum"] = table["kota_code"]
    table["cluster"] = [f"{i // 10:05d}" for i in range(n)]
    table["household_size"] = rng.integers(1, 8, n)
    line = table["kota_code"].map(official["poverty_line_rp"])
    welfare = np.exp(rng.normal(0.75, 0.5, n))
    table["expenditure_rp"] = (line * welfare * table["household_size"]).round()
    persons = table.groupby("kota_code")["household_size"].transform("sum")
    table["weight"] = table["kota_code"].map(official["population_count"]) / persons
    table["head_age"], table["head_female"] = rng.integers(20, 80, n), rng.integers(1, 3, n)
    table["floor_area_m2"] = rng.integers(10, 90, n) / 2
    return table[COLUMNS]


NAMES = dict(
    zip(COLUMNS, ["KAB", "STR", "PSU", "W", "ART", "EXP", "UMUR", "JK", "LUAS"], strict=True)
)
MAPPING = """\
synthetic: false
survey:
  2021-03:
    file: ssn.csv
    decimal: ","
    id: NO
    columns:
      kota_code: {column: KAB, coding: bps}
      stratum: STR
      cluster: PSU
      weight: W
      household_size: ART
      expenditure_rp: EXP
      head_age: UMUR
      head_female: {column: JK, codes: {true: 2, false: 1}}
      floor_area_m2: LUAS
"""


@pytest.fixture
def folder(tmp_path):
    """Another folder, with other names, codes and format than those of the synthetic city."""
    table = invented().rename(columns=NAMES)
    table.insert(0, "NO", range(len(table)))
    table.to_csv(tmp_path / "ssn.csv", sep=";", decimal=",", index=False)
    (tmp_path / "mapping.yml").write_text(MAPPING)
    provenance._reads.clear()
    return tmp_path


def by_hand() -> pd.DataFrame:
    """Two kota, two clusters each, in canonical columns."""
    return pd.DataFrame(
        {
            "household_id": list("abcdefgh"),
            "period": PERIOD,
            "kota_code": ["3171"] * 4 + ["3172"] * 4,
            "stratum": ["A"] * 4 + ["B"] * 4,
            "cluster": ["1", "1", "2", "2", "3", "3", "4", "4"],
            "weight": [10.0, 20, 10, 20, 5, 5, 10, 10],
            "household_size": [1, 2, 3, 4, 2, 2, 2, 2],
            "expenditure_per_capita_rp": [50.0, 200, 99, 100, 300, 80, 120, 500],
        }
    ).assign(expenditure_rp=lambda t: t["expenditure_per_capita_rp"] * t["household_size"])


def of(survey: pd.DataFrame, lines: pd.DataFrame | None = None) -> microdata.Microdata:
    return microdata.Microdata(survey, None, None, lines, None, None, synthetic=False)


# ---- values against a computation by hand ----------------------------------------------------


def test_welfare_is_expenditure_over_the_line_and_the_line_itself_is_not_poor():
    survey = households.welfare(of(by_hand()), PERIOD, 100)
    assert list(survey["welfare"]) == [0.5, 2, 0.99, 1, 3, 0.8, 1.2, 5]
    assert list(survey["poor"]) == [True, False, True, False, False, True, False, False]
    assert set(survey["line_basis"]) == {households.GIVEN}


def test_p0_and_number_of_poor_with_their_intervals():
    survey = households.welfare(of(by_hand()), PERIOD, "100")
    found = households.against_official(survey, households.official(PERIOD, "100"))
    found = found.set_index("area_code")
    assert list(found.index) == ["3171", "3172", "31"]
    # Persons: 10, 40, 30, 80 and 10, 10, 20, 20. Poor: 10 + 30 of 160, 10 of 60.
    assert found["population_count"].tolist() == [160, 60, 220]
    assert found["poor_count"].tolist() == [40, 10, 50]
    assert found["n_poor"].tolist() == [2, 1, 3]
    np.testing.assert_allclose(found["p0_pct"], [25, 100 / 6, 100 * 50 / 220])
    # 3171: cluster totals of the residual q - p m are 10 - 50 / 4 and 30 - 110 / 4.
    d = np.array([10 - 12.5, 30 - 27.5])
    se = np.sqrt(2 * ((d - d.mean()) ** 2).sum()) / 160
    assert found.loc["3171", "se_points"] == pytest.approx(100 * se)
    # The total: clusters have 10 and 30 poor, and one degree of freedom.
    t = stats.t.ppf(0.975, 1) * np.sqrt(2 * ((np.array([10, 30]) - 20) ** 2).sum())
    assert found.loc["3171", "poor_upper_count"] == pytest.approx(40 + t)
    assert found.loc["3171", "poor_lower_count"] == 0
    assert found["official_p0_pct"].isna().all() and found["p0_inside"].isna().all()


def test_the_official_figure_is_inside_only_if_it_is():
    survey = households.welfare(of(by_hand()), PERIOD, 100)
    official = households.official(PERIOD)
    official["population_count"] = 160.0
    official[["p0_pct", "poor_count"]] = np.nan
    at_3171 = official["kota_code"] == "3171"
    compared = households.against_official(survey, official).set_index("area_code")
    lower, upper = compared.loc["3171", ["lower_pct", "upper_pct"]]
    for p0, inside in ((lower + 0.1, True), (upper + 0.1, False), (lower - 0.1, False)):
        official.loc[at_3171, ["p0_pct", "poor_count"]] = p0, p0 * 1.6
        own = households.against_official(survey, official).set_index("area_code")
        assert own.loc["3171", "p0_inside"] == inside
        assert own["p0_inside"].isna().sum() == 2
    # Numbers of poor are compared only where the weights stand for the same residents.
    assert own["poor_inside"].notna().to_dict() == {"3171": True, "3172": False, "31": False}


def test_without_strata_and_clusters_the_error_is_of_households_and_a_check_says_so():
    table = by_hand().assign(stratum=pd.NA, cluster=pd.NA).astype({"stratum": "str"})
    survey = households.welfare(of(table), PERIOD, 100)
    compared = households.against_official(survey, households.official(PERIOD))
    alone = design.estimate(
        survey, "p0", welfare="welfare", line=1.0, by="kota_code", strata=None, clusters=None
    )
    np.testing.assert_allclose(compared["se_points"][:2], alone["se"] * 100)
    found = households.checks(survey, compared).set_index("check")
    assert "no stratum and no cluster" in found.loc["Design", "found"]
    assert not found.loc["Design", "passed"]
    assert "the design is not in the file" in households.design_words(survey)
    assert "by strata and clusters" in households.design_words(by_hand())
    half = by_hand()
    half.loc[0, "cluster"] = None
    with pytest.raises(HouseholdError, match="1 of 8 households have no cluster"):
        households.against_official(households.welfare(of(half), PERIOD, 100), compared)


# ---- lines -----------------------------------------------------------------------------------


def test_lines_are_those_of_the_data_or_else_the_official_ones():
    own = pd.DataFrame(
        {
            "period": PERIOD,
            "kota_code": ["3171", "3172"],
            "poverty_line_rp": [111.0, 222.0],
            "derived": [False, True],
        }
    )
    found = households.lines(of(by_hand(), own), PERIOD)
    assert found["basis"].tolist() == [households.OF_THE_DATA, households.DERIVED]
    assert found["poverty_line_rp"].tolist() == [111, 222]
    # With one kota lacking, none is taken: lines of two kinds do not mix.
    official = poverty.reference(
        poverty.kota_series(households.sources.read("dki_kota_poverty")),
        households.sources.read("dki_poverty_semester"),
        PERIOD,
    )
    for lines in (own[:1], None):
        found = households.lines(of(by_hand(), lines), PERIOD)
        assert found["poverty_line_rp"].tolist() == official["poverty_line_rp"].tolist()
        assert set(found["basis"]) == {households.DERIVED}
    published = households.lines(of(by_hand().assign(period="2025-03")), "2025-03")
    assert set(published["basis"]) == {households.PUBLISHED} and not published["derived"].any()


def test_a_derived_line_is_the_published_one_times_the_ratio_of_the_provinces():
    province = households.sources.read("dki_poverty_semester").set_index("period")
    ratio = province["poverty_line_rp"][PERIOD] / province["poverty_line_rp"]["2025-03"]
    now = households.official(PERIOD).set_index("kota_code")["poverty_line_rp"]
    then = households.official("2025-03").set_index("kota_code")["poverty_line_rp"]
    np.testing.assert_allclose(now, then * ratio, atol=0.5)


def test_the_line_of_extreme_poverty_and_its_official_figures():
    found = households.lines(of(by_hand()), PERIOD, "extreme")
    assert set(found["poverty_line_rp"]) == {round(11_633 * 365 / 12)}
    later = households.lines(of(by_hand().assign(period="2022-03")), "2022-03", "extreme")
    assert later["poverty_line_rp"].iloc[0] > found["poverty_line_rp"].iloc[0]
    assert set(later["basis"]) == {households.DERIVED}
    official = households.official(PERIOD, "extreme").set_index("kota_code")
    assert official.loc["3175", ["p0_pct", "poor_count"]].tolist() == [0.40, 7280]


@pytest.mark.parametrize(
    ("period", "line", "told"),
    [
        (PERIOD, "provincial", "there are national, extreme, or an amount in rupiah"),
        (PERIOD, "-1", "above zero"),
        ("2020-03", "national", "has no period '2020-03' .it has 2021-03"),
    ],
)
def test_what_cannot_be_is_told_with_its_cure(period, line, told):
    with pytest.raises(HouseholdError, match=told):
        households.welfare(of(by_hand()), period, line)


def test_without_a_period_the_last_one_of_the_survey_is_taken(city):
    assert households.chosen_period(city) == city.periods[-1] == PERIOD
    assert households.chosen_period(city, "2017-03") == "2017-03"


def test_one_interval_of_many_may_miss_the_official_figure_but_not_two(city):
    survey = households.welfare(city, PERIOD)
    official = households.official(PERIOD)
    for wrong, passed in ((["3175"], True), (["3175", "3174"], False)):
        own = official.assign(
            p0_pct=official["p0_pct"].mask(official["kota_code"].isin(wrong), 40.0)
        )
        found = households.checks(survey, households.against_official(survey, own))
        assert found.set_index("check").loc["Official P0 in the interval", "passed"] == passed


def test_a_month_without_a_line_asks_for_one():
    with pytest.raises(HouseholdError, match="give the mapping a table 'lines'"):
        households.welfare(of(by_hand().assign(period="2021-08")), "2021-08")


# ---- small cells -----------------------------------------------------------------------------


def test_small_cells_and_what_would_give_them_away_are_not_shown(city):
    survey = households.welfare(city, PERIOD)
    compared = households.against_official(survey, households.official(PERIOD))
    kota = compared["area_code"] != "31"
    assert (compared.loc[kota, "n_poor"] < 8).sum() == 1  # else this tests nothing
    shown = households.published(compared)
    assert shown.loc[shown["n_poor"].notna(), "n_poor"].min() >= 8
    hidden = shown[shown["suppressed"]]
    assert len(hidden) == 2  # one alone would follow from the province
    own = [c for c in hidden.select_dtypes("number") if not c.startswith("official_")]
    assert hidden[own].isna().all(axis=None) and hidden["p0_inside"].isna().all()
    assert hidden["official_p0_pct"].notna().all()
    assert all(name in households.suppressed_words(shown) for name in hidden["area"])


def test_a_density_integrates_to_what_it_shows_and_leaves_out_its_ends(city):
    survey = households.welfare(city, PERIOD)
    shape = households.density(survey)
    assert np.trapezoid(shape["density"], np.log(shape["welfare"])) == pytest.approx(0.98, abs=0.02)
    assert shape["welfare"].min() > survey["welfare"].min()
    assert shape["welfare"].max() < survey["welfare"].max()


# ---- a user's own files ----------------------------------------------------------------------


def test_a_masked_file_gives_the_kota_and_says_what_more_would_need(folder):
    data = households.open_microdata(str(folder))
    survey = households.welfare(data, PERIOD)
    compared = households.against_official(survey, households.official(PERIOD))
    assert compared["p0_pct"].notna().all() and len(compared) == 7
    words = households.contents_words(data)
    assert "codes down to the kota" in words and "not masked" in words
    assert "There is no census or register" in words
    checks = households.checks(survey, compared).set_index("check")
    assert checks.loc["Weights: residents", "passed"]
    assert compared["poor_inside"].notna().sum() == 1  # by kota no number of poor is published


def test_weights_and_units_that_are_wrong_fail_their_check(folder):
    table = pd.read_csv(folder / "ssn.csv", sep=";", decimal=",")
    table["W"] *= 1.3
    table["EXP"] /= 3
    table.to_csv(folder / "ssn.csv", sep=";", decimal=",", index=False)
    survey = households.welfare(households.open_microdata(str(folder)), PERIOD)
    compared = households.against_official(survey, households.official(PERIOD))
    found = households.checks(survey, compared).set_index("check")
    assert not found.loc[["Weights: residents", "Median of expenditure per person"], "passed"].any()
    assert compared["poor_inside"].isna().all()
    shown = households.published(compared)
    assert "checks" in households.verdict(survey, shown, found.reset_index())
    assert "cannot be compared" in households.comparison_words(shown)


def test_a_mapping_without_a_survey_is_told(folder):
    (folder / "mapping.yml").write_text(MAPPING.split("survey:")[0] + "lines: {file: l.parquet}\n")
    lines = households.official(PERIOD)[["period", "kota_code", "poverty_line_rp"]][:6]
    lines.to_parquet(folder / "l.parquet")
    with pytest.raises(HouseholdError, match="add 'survey:'"):
        households.open_microdata(str(folder))


# ---- the mark --------------------------------------------------------------------------------


def outputs(data: microdata.Microdata, monkeypatch) -> list[str]:
    """The texts of a figure and a table of these microdata, and of a table made of theirs."""
    survey = households.welfare(data, PERIOD)
    shown = households.published(households.against_official(survey, households.official(PERIOD)))
    made: list[dict] = []
    monkeypatch.setattr(display, "display", lambda bundle, **_: made.append(bundle))
    figure, axes = plt.subplots(1, 2)
    households.draw_density(axes[0], survey)
    households.draw_against(axes[1], shown)
    source = ["dki_kota_poverty"]
    display.show_figure(figure, caption="c", alt="a", label="fig-a", source=source)
    table = households.estimates_table(shown)
    display.show_table(table, caption="c", label="tbl-a", source=source)
    # What another notebook makes of the processed tables.
    tables.write("households", survey)
    tables.write("households_census", households.census(data))
    for name in ("households", "households_census"):
        provenance._reads.clear()
        again = tables.read(name)
        display.show_table(again[["kota_code"]][:1], caption="c", label="tbl-b", source=source)
    return [made[i]["text/plain"] for i in (0, 2, 3, 4)]


def test_every_output_of_the_synthetic_city_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path / "processed"))
    for text in outputs(households.open_microdata(), monkeypatch):
        assert display.SYNTHETIC in text


def test_outputs_of_a_users_files_do_not_carry_the_mark(monkeypatch, tmp_path, folder):
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path / "processed"))
    monkeypatch.setenv(microdata.VARIABLE, str(folder))
    for text in outputs(households.open_microdata(), monkeypatch):
        assert "ynthetic" not in text
    assert not provenance.synthetic()
    (folder / "mapping.yml").write_text(MAPPING.replace("false", "true", 1))
    provenance._reads.clear()
    for text in outputs(households.open_microdata(), monkeypatch):
        assert display.SYNTHETIC in text


def test_the_city_is_written_once_and_read_as_if_it_had_been_made_now(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    first = households.synthetic_folder()
    made = provenance.reads()
    times = {file: file.stat().st_mtime_ns for file in first.iterdir()}
    provenance._reads.clear()
    assert households.synthetic_folder() == first and provenance.reads() == made
    assert {file: file.stat().st_mtime_ns for file in first.iterdir()} == times
    direct = {s for read in made for s in read["sources"]}
    assert direct == set(households.CITY_SOURCES)
    assert [p.name for p in (tmp_path / "synthetic").iterdir()] == [first.name]


def test_the_notebook_names_no_kelurahan():
    """On invented poverty no real kelurahan is named."""
    cells = json.loads((paths.ROOT / "notebooks/05_households.ipynb").read_text())["cells"]
    text = json.dumps([cell.get("outputs", []) for cell in cells])
    names = set(regions.areas()["kelurahan"].str.title()) | set(regions.areas()["kelurahan_code"])
    assert not [name for name in names if len(name) > 5 and name in text]
