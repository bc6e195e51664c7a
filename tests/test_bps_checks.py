import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import sources
from analysis.bps import checks
from analysis.bps.checks import FRAMES, POVERTY_RULES

KEY = ["area_code", "period", "indicator"]
P0, POOR, LINE = "p0_pct", "poor_thousand", "poverty_line_rp"
WRONG = {
    ("00", "2017-03", P0),
    ("00", "2018-03", P0),
    ("00", "2017-03", LINE),
    ("00", "2022-03", LINE),
}


def panel_table():
    raw = sources.read("province_poverty").rename(
        columns={"province_code": "area_code", "province": "area"}
    )
    raw["value"] = pd.to_numeric(raw["value_as_published"])
    return raw[["area_code", "area", "period", "indicator", "value", "value_as_published"]]


@pytest.fixture(scope="module")
def panel():
    return panel_table()


@pytest.fixture(scope="module")
def found(panel):
    return poverty_findings(panel)


@pytest.fixture(scope="module")
def jakarta():
    wide = sources.read("dki_poverty_semester").assign(area_code="31", area="DKI Jakarta")
    return wide.melt(["area_code", "area", "period"], [P0, POOR, LINE], "indicator", "value")


def poverty_findings(table):
    return checks.check(table, POVERTY_RULES, frames=FRAMES)


def cells(findings):
    return set(findings[KEY].itertuples(index=False, name=None))


def replaced(table, changes):
    """The table with other values in some cells."""
    values = table.set_index(KEY)["value"].copy()
    for cell, value in changes.items():
        values[cell] = value
    return table.assign(value=values.to_numpy())


def series(values, *, indicator="x", code="11", periods=None):
    periods = periods or [f"{2010 + k}-03" for k in range(len(values))]
    columns = {"area_code": code, "area": f"Area {code}", "indicator": indicator}
    return pd.DataFrame({"period": periods, "value": np.array(values, float)}).assign(**columns)


def made_up(areas=12, years=10):
    """A panel without any error: smooth populations, wandering rates, lines rising together."""
    rng = np.random.default_rng(1)
    periods = [f"{2011 + k}-03" for k in range(years)]
    parts = []
    for k in range(areas):
        population = 1000 * (k + 1) * 1.012 ** np.arange(years)
        rate = np.round(5 + k + np.cumsum(rng.normal(-0.1, 0.15, years)), 2)
        line = np.round(300_000 * (1 + k / 20) * 1.05 ** np.arange(years))
        figures = {P0: rate, POOR: np.round(population * rate / 100, 2), LINE: line}
        parts += [
            series(v, indicator=i, code=f"{k + 11}", periods=periods) for i, v in figures.items()
        ]
    return pd.concat(parts, ignore_index=True)


# --- the published tables ---


def test_the_wrong_national_cells_are_found(found):
    assert cells(found) >= WRONG


def test_the_checks_are_given_neither_note_nor_source(panel):
    assert set(panel) & {"note", "source"} == set()


def test_one_oddity_remains_which_is_published_so(found):
    # Papua, March 2015: official, but its population is 3 % below that of September.
    assert cells(found) - WRONG == {("94", "2015-03", P0)}


def test_suggestions_come_from_other_figures(found):
    suggested = found.dropna(subset="suggested").set_index(["rule", *KEY])["suggested"]
    for rule in ("ImpliedPopulation", "MeanOfParts"):
        assert suggested[rule, "00", "2017-03", P0] == pytest.approx(10.64, abs=0.005)
        assert suggested[rule, "00", "2018-03", P0] == pytest.approx(9.82, abs=0.005)
    # Published as 505,469 in the release of July 2022.
    assert suggested["MeanOfParts", "00", "2022-03", LINE] == pytest.approx(505_469, rel=0.001)
    assert suggested["MeanOfParts", "00", "2017-03", LINE] == pytest.approx(374_500, rel=0.001)


def test_why_is_a_sentence_with_the_figures(found):
    row = found[(found["period"] == "2017-03") & (found["rule"] == "ImpliedPopulation")].iloc[0]
    assert row["why"] == (
        "poor_thousand 27,771.22 / p0_pct 10.12 implies a population of 274,419, "
        "2016-09 and 2017-09 imply 261,074"
    )


def test_jakarta_is_right_in_the_panel(found):
    assert "31" not in set(found["area_code"])


def test_jakarta_is_right_in_its_own_table(jakarta):
    assert poverty_findings(jakarta).empty


def test_jakarta_and_its_kota_are_right_in_one_table(jakarta):
    # Kota figures of 2017 and 2021 have nothing between them: they may differ by more.
    kota = sources.read("dki_kota_poverty").rename(columns={"kota_code": "area_code"})
    kota = kota.rename(columns={"kota": "area"})
    kota = kota.melt(["area_code", "area", "period"], [P0, POOR, LINE], "indicator", "value")
    assert poverty_findings(kota).empty
    assert poverty_findings(pd.concat([jakarta, kota])).empty


def test_frames_are_declared_not_excused(jakarta, panel):
    undeclared = checks.check(jakarta, POVERTY_RULES)
    assert undeclared["period"].tolist() == ["2010-03"]
    # A new level is reported once, not figure after figure.
    undeclared = checks.check(panel, POVERTY_RULES, frames=FRAMES[:2])
    assert undeclared[undeclared["area_code"] == "91"]["period"].tolist() == ["2024-03"]
    assert "is to be declared" in undeclared[undeclared["area_code"] == "91"]["why"].iloc[0]


def test_a_national_line_that_hardly_rises_is_found_among_lines_alone(panel):
    # 387,160 in September 2017: a rise of 0.4 % where the provincial median is 2.9 %.
    september = series([387_160], indicator=LINE, code="00", periods=["2017-09"])
    lines = pd.concat([panel[panel["indicator"] == LINE], september.assign(area="Indonesia")])
    jumps = [rule for rule in POVERTY_RULES if isinstance(rule, checks.Jump)]
    assert cells(checks.check(lines, jumps)) == {("00", "2022-03", LINE), ("00", "2017-03", LINE)}


def test_placeholder_zeros_are_found(panel):
    periods = ["2010-03", "2011-03", "2012-09", "2013-09", "2014-09"]
    zeros = pd.concat(
        [series([0] * 5, indicator=i, code="65", periods=periods) for i in (P0, POOR)]
    )
    more = poverty_findings(pd.concat([panel, zeros.assign(area="Kalimantan Utara")]))
    inserted = cells(zeros)
    assert inserted <= cells(more[more["rule"] == "Placeholder"])
    assert inserted <= cells(more[more["rule"] == "ImpossibleArea"])
    assert cells(more) - inserted == WRONG | {("94", "2015-03", P0)}


def test_imputed_rows_of_rural_jakarta_are_found(panel):
    rural = series([12.5], indicator=P0, code="31", periods=["2019-03"])
    by_name = pd.concat([panel, rural.assign(area="DKI Jakarta (Perdesaan)")])
    hit = poverty_findings(by_name)
    hit = hit[hit["area_code"] == "31"]
    assert hit[["area", "rule"]].to_numpy().tolist() == [
        ["DKI Jakarta (Perdesaan)", "ImpossibleArea"]
    ]
    by_indicator = pd.concat([panel, rural.assign(indicator="p0_rural_pct")])
    assert ("31", "2019-03", "p0_rural_pct") in cells(poverty_findings(by_indicator))


def test_the_panel_is_checked_in_under_a_second(panel):
    start = time.perf_counter()
    poverty_findings(panel)
    assert time.perf_counter() - start < 1


# --- errors put into right cells ---


def right_cells(panel, indicator):
    rows = panel[panel["indicator"] == indicator][KEY].itertuples(index=False, name=None)
    return [cell for cell in rows if cell not in WRONG]


def count_in_rate(values, cell):
    return {cell: values[cell[0], cell[1], POOR]}


def lost_thousands(values, cell):
    return {cell: float(values[cell] // 1000)}


def times_ten(values, cell):
    return {cell: values[cell] * 10}


@pytest.mark.parametrize(
    ("indicator", "error"), [(P0, count_in_rate), (LINE, lost_thousands), (P0, times_ten)]
)
def test_gross_errors_are_found_and_their_neighbours_left_alone(panel, found, indicator, error):
    rng = np.random.default_rng(7)
    values = panel.set_index(KEY)["value"]
    candidates = right_cells(panel, indicator)
    if error is count_in_rate:
        candidates = [cell for cell in candidates if (*cell[:2], POOR) in values.index]
    hits = 0
    for k in rng.choice(len(candidates), 40, replace=False):
        changes = error(values, candidates[k])
        after = cells(poverty_findings(replaced(panel, changes)))
        hits += set(changes) <= after
        assert after - cells(found) <= set(changes)
    assert hits >= 38


def test_march_repeated_from_september_is_found_unless_it_hardly_differs(panel, found):
    rng = np.random.default_rng(8)
    values = panel.set_index(KEY)["value"]
    candidates = []
    for code, period, _ in right_cells(panel, P0):
        later = (code, f"{period[:4]}-09")
        if (
            period.endswith("-03")
            and (*later, P0) in values.index
            and (*later, POOR) in values.index
        ):
            change = abs(values[*later, P0] / values[code, period, P0] - 1)
            if change > 0.02:  # below that, population growth and rounding cover it
                candidates.append(((code, period, P0), values[*later, P0]))
    hits = 0
    for k in rng.choice(len(candidates), 30, replace=False):
        cell, repeated = candidates[k]
        after = cells(poverty_findings(replaced(panel, {cell: repeated})))
        hits += cell in after
        assert after - cells(found) <= {cell}
    assert hits >= 28


def test_a_row_shifted_by_one_area_is_found_and_named(panel):
    rng = np.random.default_rng(9)
    values = panel.set_index(KEY)["value"]
    codes = sorted(panel["area_code"].unique())
    rows = sorted({cell[:2] for cell in right_cells(panel, POOR) if cell[0] > "11"})
    for k in rng.choice(len(rows), 20, replace=False):
        code, period = rows[k]
        above = codes[codes.index(code) - 1]
        changes = {
            (code, period, i): values[above, period, i]
            for i in (P0, POOR, LINE)
            if (code, period, i) in values.index and (above, period, i) in values.index
        }
        if len(changes) < 2:
            continue
        after = poverty_findings(replaced(panel, changes))
        shifted = after[after["rule"] == "ShiftedRow"]
        assert cells(shifted) == set(changes)
        # With both of its figures wrong, neither says what the other should be.
        implied = after[(after["rule"] == "ImpliedPopulation") & (after["area_code"] == code)]
        assert implied[implied["period"] == period]["suggested"].isna().all()


# --- the rules one by one ---


@pytest.mark.parametrize("value", [-0.1, 50.1])
def test_range(value):
    hit = checks.check(series([10, value, 50]), [checks.Range("x", 0, 50)])
    assert hit["value"].tolist() == [value] and hit["why"][0] == f"{value} is not between 0 and 50"


def test_a_right_repeat_is_no_finding_and_a_wrong_one_is():
    rule = checks.Repeated(P0, partner=POOR, step=0.01)
    rates = series([3.61, 3.75, 3.75, 3.77], indicator=P0)
    right = series([368.67, 384.30, 385.84, 389.69], indicator=POOR)
    assert checks.check(pd.concat([rates, right]), [rule]).empty
    wrong = series([368.67, 384.30, 402.00, 389.69], indicator=POOR)
    hit = checks.check(pd.concat([rates, wrong]), [rule])
    assert hit["period"].tolist() == ["2012-03"]
    assert hit["why"][0].startswith("3.75 is repeated from 2011-03, though poor_thousand is 402")


def test_a_rate_that_rightly_repeats_is_not_blamed_for_a_wrong_count():
    table = made_up()
    cell = ("21", "2014-03", POOR)
    values = table.set_index(KEY)["value"]
    assert values["21", "2014-03", P0] == values["21", "2013-03", P0]
    hit = poverty_findings(replaced(table, {cell: values[cell] * 1.6}))
    assert cells(hit) == {cell}


def test_a_repeated_line_is_blamed_on_the_period_it_does_not_fit():
    lines = series([300_000, 315_000, 315_000, 347_288, 364_652], indicator=LINE)
    assert checks.check(lines, [checks.Repeated(LINE)])["period"].tolist() == ["2012-03"]
    lines = series([300_000, 330_750, 330_750, 347_288, 364_652], indicator=LINE)
    assert checks.check(lines, [checks.Repeated(LINE)])["period"].tolist() == ["2011-03"]


def test_lines_rise():
    rule = checks.Rises("x", tolerance=0.01)
    assert checks.check(series([100, 105, 104.5, 116]), [rule]).empty
    hit = checks.check(series([100, 105, 90, 116]), [rule])
    assert hit["period"].tolist() == ["2012-03"]
    assert hit["why"][0] == "falls from 105 in 2011-03 to 90 in 2012-03"
    assert checks.check(series([100, 150, 110, 116]), [rule])["period"].tolist() == ["2011-03"]


def test_a_new_level_is_no_jump():
    rule = checks.Jump("x", floor=0.02)
    assert checks.check(series([10, 10.1, 10, 15, 15.1, 15]), [rule]).empty
    assert checks.check(series([10, 10.1, 15, 10, 10.1, 10]), [rule])["value"].tolist() == [15]


def test_a_steep_climb_is_no_jump():
    rule = checks.Jump("x", floor=0.02)
    assert checks.check(series([10, 10.1, 10, 15, 22, 22.1, 22]), [rule]).empty


def test_a_right_figure_between_two_wrong_ones_is_left_alone():
    table = made_up()
    wrong = {("14", f"{year}-03", P0): 30.0 for year in (2013, 2015)}
    rules = [checks.ImpliedPopulation(POOR, P0)]
    assert cells(checks.check(replaced(table, wrong), rules)) == set(wrong)


def test_the_figure_that_contradicts_most_goes_first():
    # All three contradict a neighbour; without the middle one the ends agree.
    rates, counts = series([5, 6, 5], indicator=P0), series([50, 50.5, 51], indicator=POOR)
    hit = checks.check(pd.concat([rates, counts]), [checks.ImpliedPopulation(POOR, P0)])
    assert hit["period"].tolist() == ["2011-03"] and hit["suggested"].tolist() == [5]


@pytest.mark.parametrize(("copy", "original"), [("12", "13"), ("13", "12")])
def test_of_two_equal_rows_the_one_that_does_not_fit_is_shifted(copy, original):
    table = made_up()
    values = table.set_index(KEY)["value"]
    period = "2015-03"
    changes = {(copy, period, i): values[original, period, i] for i in (P0, POOR, LINE)}
    rule = checks.ShiftedRow((P0, POOR, LINE))
    hit = checks.check(replaced(table, changes), [rule])
    assert cells(hit) == set(changes) and hit["suggested"].isna().all()
    assert set(hit["why"]) == {f"the whole row of 2015-03 is that of Area {original}"}


def test_a_split_breaks_every_figure_of_its_areas_only():
    values = [100, 101, 102, 50, 52, 51]
    rules = [checks.Rises("x", tolerance=0.1)]
    both = pd.concat([series(values, code="91"), series(values, code="94")])
    split = checks.Split("2013-03", ("94",))
    assert set(checks.check(both, rules, frames=[split])["area_code"]) == {"91"}
    # A new population frame alone is no reason for a line to fall.
    assert set(checks.check(both, rules, frames=["2013-03"])["area_code"]) == {"91", "94"}


def test_sums_of_parts():
    parts = [series([10, 20, 30], code="11"), series([1, 2, 3], code="12")]
    rule = checks.SumOfParts("x", total="00", tolerance=0.05)
    total = series([11.01, 24, 33], code="00")
    hit = checks.check(pd.concat([*parts, total]), [rule])
    assert hit[["area_code", "period", "suggested"]].to_numpy().tolist() == [["00", "2011-03", 22]]
    # A part that is out of range is to blame, and the rest determine it.
    parts[0].loc[1, "value"] = 2000
    total["value"] = [11, 22, 33]
    hit = checks.check(pd.concat([*parts, total]), [rule, checks.Range("x", 0, 100)])
    assert set(hit["area_code"]) == {"11"} and hit["suggested"].dropna().tolist() == [20]
    # Without all parts there is nothing to compare.
    incomplete = pd.concat(
        [parts[0].drop(index=1), series([5], indicator="y", periods=["2011-03"])]
    )
    assert checks.check(pd.concat([incomplete, parts[1], total]), [rule]).empty


def test_a_confirmed_count_leaves_the_rate_to_blame():
    table = made_up()
    total = table[table["indicator"] == POOR].groupby("period", as_index=False)["value"].sum()
    table = pd.concat([table, total.assign(area_code="00", area="All", indicator=POOR)])
    # A count that leaps is right (its sum is), so that the smooth rate is wrong.
    changed = table.set_index(KEY)["value"]
    changed["20", "2015-03", POOR] += 30
    changed["00", "2015-03", POOR] += 30
    hit = poverty_findings(table.assign(value=changed.to_numpy()))
    hit = hit[hit["rule"] == "ImpliedPopulation"]
    assert cells(hit) == {("20", "2015-03", P0)}


def test_years_are_periods_too():
    lines = series([100, 105, 90, 116], periods=["2017", "2018", "2019", "2020"])
    assert checks.check(lines, [checks.Rises("x")])["period"].tolist() == ["2019"]


def test_areas_without_a_code_go_by_their_name():
    table = pd.concat([series([1, 2]), series([3, 400])]).assign(area_code=None)
    table["area"] = ["A", "A", "B", "B"]
    hit = checks.check(table, [checks.Range("x", 0, 100)])
    assert hit["area"].tolist() == ["B"] and hit["area_code"].isna().all()


def test_an_empty_table_has_no_findings():
    empty = checks.check(series([]), POVERTY_RULES, frames=FRAMES)
    assert empty.empty and tuple(empty.columns) == checks.COLUMNS
    assert checks.check(series([np.nan, np.nan], indicator=P0), POVERTY_RULES).empty


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (series([1]).drop(columns="period"), "no column period"),
        (series([1]).assign(value="1,5"), "holds text"),
        (pd.concat([series([1]), series([2])]), "twice: x of area 11 in 2010-03"),
        (series([1], periods=["March 2010"]), "'March 2010' is no period"),
    ],
)
def test_tables_that_cannot_be_checked(table, message):
    with pytest.raises(checks.CheckError, match=message):
        checks.check(table, [checks.Range("x", 0, 1)])


# --- any input ---


def test_a_panel_without_errors_has_no_findings():
    assert poverty_findings(made_up()).empty


@settings(max_examples=40, deadline=None)
@given(
    area=st.integers(11, 22),
    year=st.integers(2011, 2020),
    indicator=st.sampled_from([P0, POOR, LINE]),
    factor=st.one_of(st.floats(0.001, 0.6), st.floats(1.6, 1000)),
)
def test_one_wrong_figure_is_found_and_no_other(area, year, indicator, factor):
    table, cell = made_up(), (str(area), f"{year}-03", indicator)
    wrong = table.set_index(KEY)["value"][cell] * factor
    hit = poverty_findings(replaced(table, {cell: wrong}))
    assert cells(hit) == {cell}


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 100))
def test_the_order_of_rows_and_rules_does_not_matter(order, seed):
    table = replaced(made_up(), {("12", "2015-03", P0): 61.0, ("15", "2018-03", LINE): 390.0})
    rules = [POVERTY_RULES[k] for k in (0, 2, 9, 12)]
    expected = checks.check(table, rules)
    shuffled = table.sample(frac=1, random_state=seed)
    before = shuffled.copy()
    pd.testing.assert_frame_equal(checks.check(shuffled, [rules[k] for k in order]), expected)
    pd.testing.assert_frame_equal(shuffled, before)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(["00", "31", "65", "94"]),
            st.sampled_from(["2010-03", "2015-03", "2015-09", "2020-09", "2024-03", "2025"]),
            st.sampled_from([P0, POOR, LINE, "other"]),
        ),
        st.floats(),
    )
)
def test_any_figures_can_be_checked(figures):
    rows = [(*cell, f"Area {cell[0]}", value) for cell, value in figures.items()]
    table = pd.DataFrame(rows, columns=[*KEY, "area", "value"]).astype({"value": float})
    hit = poverty_findings(table)
    assert not hit.duplicated([*KEY, "rule"]).any()
    assert cells(hit) <= {cell for cell, value in figures.items() if not np.isnan(value)}
    order = ["area_code", "area", "period", "indicator", "rule"]
    pd.testing.assert_frame_equal(hit, hit.sort_values(order, ignore_index=True))


# --- corrections ---


def corrections(**changed):
    row = {
        "area_code": "00",
        "period": "2017-03",
        "indicator": P0,
        "value_as_published": "10.12",
        "value": 10.64,
        "evidence": "BPS release of July 2017",
    }
    return pd.DataFrame([row | changed])


def test_corrections_are_applied_and_flagged(panel):
    before = panel.copy()
    withheld = corrections(indicator=LINE, value_as_published="385621", value=np.nan)
    corrected = checks.correct(panel, pd.concat([corrections(), withheld]))
    by_cell = corrected.set_index(KEY)
    assert by_cell.loc[("00", "2017-03", P0), ["value", "flag"]].tolist() == [10.64, "corrected"]
    assert by_cell.loc[("00", "2017-03", P0), "value_as_published"] == "10.12"
    assert pd.isna(by_cell.loc[("00", "2017-03", LINE), "value"])
    assert by_cell.loc[("00", "2017-03", LINE), "flag"] == "withheld"
    assert corrected["flag"].notna().sum() == 2
    pd.testing.assert_frame_equal(panel, before)
    assert not cells(poverty_findings(corrected)) & {("00", "2017-03", P0), ("00", "2017-03", LINE)}


def test_a_flag_that_was_there_stays():
    table = series([1.5, 2.5], indicator=P0, code="00").assign(flag=["provisional", None])
    correction = corrections(period="2010-03", value_as_published=1.5, value=2)
    flags = checks.correct(table, correction)["flag"]
    assert flags[0] == "provisional; corrected" and pd.isna(flags[1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value_as_published": "10.13"}, "published value was 10.13, but the table has 10.12"),
        ({"period": "2017-04"}, "2017-04 is corrected, but the table has 0 such cells"),
        ({"evidence": " "}, "p0_pct of area 00 in 2017-03 has no evidence"),
        ({"evidence": None}, "has no evidence"),
    ],
)
def test_corrections_that_do_not_fit_are_refused(panel, changed, message):
    with pytest.raises(checks.CheckError, match=message):
        checks.correct(panel, corrections(**changed))


def test_two_corrections_of_one_cell_are_refused(panel):
    with pytest.raises(checks.CheckError, match="two corrections of one cell"):
        checks.correct(panel, pd.concat([corrections(), corrections(value=10.7)]))


def test_a_table_of_corrections_needs_its_columns(panel):
    with pytest.raises(checks.CheckError, match="corrections has no column evidence"):
        checks.correct(panel, corrections().drop(columns="evidence"))
