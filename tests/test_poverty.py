import pandas as pd
import pytest

from analysis import poverty, regions, sources
from analysis.bps import checks


@pytest.fixture(scope="module")
def raw():
    panel = poverty.panel_table(sources.read("province_poverty"))
    corrected = checks.correct(panel, sources.read("province_poverty_corrections"))
    return [sources.read("dki_poverty_semester"), corrected, sources.read("release_dates")]


@pytest.fixture(scope="module")
def series(raw):
    return poverty.semester_series(*raw, regions.provinces())


def test_the_grid_is_complete(series):
    sizes = series.groupby("region_code").size()
    assert len(sizes) == 39 and set(sizes) == {32}


def test_jakarta_is_taken_from_its_own_table(series):
    row = series[(series["region_code"] == "31") & (series["period"] == "2017-09")].iloc[0]
    assert row["p0_pct"] == 3.78
    assert row["poor_count"] == 393_130  # persons, from 393.13 thousand
    assert row["poverty_line_rp"] == 578_247
    assert row["date_published"] == "2018-01-02"
    assert row["region"] == "DKI Jakarta"


def test_what_is_missing_is_told_apart(series):
    status = series.set_index(["region_code", "period"])["status"]
    assert status["31", "2023-09"] == poverty.NOT_PUBLISHED  # its releases were searched
    assert status["32", "2022-09"] == poverty.NOT_IN_TABLES  # it may have been published


def test_range_of_the_kota_leaves_out_what_is_missing():
    kota = poverty.kota_series(sources.read("dki_kota_poverty"))
    words = poverty.range_words(poverty.of_period(kota, "2022-03"))
    assert "of the 3 kota with a figure ranged from 3.52 % in Jakarta Selatan to 7.24 %" in words
    assert "with a figure" not in poverty.range_words(poverty.of_period(kota, "2024-03"))


def test_wrong_cells_are_corrected_or_withheld(series):
    indonesia = series[series["region_code"] == "00"].set_index("period")
    assert indonesia.loc["2018-03", ["p0_pct", "status"]].tolist() == [9.82, poverty.CORRECTED]
    assert indonesia.loc["2017-03", "p0_pct"] == 10.64
    assert indonesia.loc["2022-03", "poverty_line_rp"] == 505_469
    assert indonesia.loc["2022-03", "status"] == poverty.PUBLISHED  # its P0 was right
    assert pd.isna(indonesia.loc["2017-03", "poverty_line_rp"])  # withheld


def test_every_correction_was_found_by_rule():
    panel = poverty.panel_table(sources.read("province_poverty"))
    found = checks.check(panel, checks.POVERTY_RULES, frames=checks.FRAMES)
    key = ["area_code", "period", "indicator"]
    corrected = sources.read("province_poverty_corrections")
    assert set(corrected[key].itertuples(index=False)) <= set(found[key].itertuples(index=False))
    assert not (found["area_code"] == "31").any()


def test_a_province_that_did_not_exist_has_nothing(series):
    north = series[(series["region_code"] == "65") & (series["period"] < "2015-03")]
    assert north["p0_pct"].isna().all() and (north["status"] == poverty.NOT_IN_TABLES).all()


def test_kota_grid_is_complete_and_empty_where_nothing_was_published():
    kota = poverty.kota_series(sources.read("dki_kota_poverty"))
    assert len(kota) == 9 * 6
    assert kota[kota["period"] == "2018-03"]["p0_pct"].isna().all()
    march = poverty.of_period(kota, "2024-03").set_index("kota_code")
    assert march.loc["3175", "p0_pct"] == 6.44 and march.loc["3175", "poor_count"] == 120_510


def test_a_period_without_kota_figures_lists_those_with():
    kota = poverty.kota_series(sources.read("dki_kota_poverty"))
    with pytest.raises(poverty.PovertyError, match="2018-03.*there are: 2017-03, .*2024-03"):
        poverty.of_period(kota, "2018-03")


def test_implied_population_and_its_bounds():
    implied = poverty.implied_population(pd.Series([393_130]), pd.Series([3.78]))
    assert implied["population_count"][0] == pytest.approx(10_400_265, abs=1)
    assert implied["population_low_count"][0] < 10_400_265 < implied["population_high_count"][0]
    width = implied["population_high_count"][0] / implied["population_low_count"][0] - 1
    assert width == pytest.approx(0.0027, abs=0.0002)


def test_splits_are_those_declared_for_the_checks():
    assert poverty.SPLITS == {"64": "2015-03", "91": "2024-03", "94": "2024-03"}


def test_disagreements_of_the_two_tables():
    dki = pd.DataFrame(
        {"period": ["2017-03", "2017-09"], "p0_pct": [3.77, 3.78], "poor_thousand": [389.69, None]}
    )
    rows = [("2017-03", "p0_pct", 3.78), ("2017-09", "p0_pct", 3.78)]
    rows += [("2017-03", "poor_thousand", 389.692), ("2017-09", "poor_thousand", 393.13)]
    panel = pd.DataFrame(rows, columns=["period", "indicator", "value"]).assign(area_code="31")
    both = poverty.disagreements(dki, pd.concat([panel, panel.assign(area_code="32", value=9.0)]))
    told = both.set_index(["period", "indicator"])["differs"].to_dict()
    assert told == {
        ("2017-03", "p0_pct"): True,
        ("2017-09", "p0_pct"): False,
        ("2017-03", "poor_thousand"): False,
    }
