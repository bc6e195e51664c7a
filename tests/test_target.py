import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from analysis import assumptions, periods, sources, tables, target

RPJMD = target.Target("31", "2017-09", 3.78, "2022-09", 2.78)


@pytest.fixture(scope="module")
def series():
    return tables.read("poverty_semester")


@pytest.fixture(scope="module")
def progress(series):
    return target.progress(series, RPJMD)


# Period, P0, path, distance in points, distance in thousand persons. P0 as published by BPS; the
# rest by hand: path = 3.78 - 0.1 per semester, persons = distance / P0 x number of poor.
EXPECTED = [
    ("2017-09", 3.78, 3.78, 0.00, 0.0),
    ("2018-03", 3.57, 3.68, -0.11, -11.5),
    ("2019-09", 3.42, 3.38, 0.04, 4.2),
    ("2020-03", 4.53, 3.28, 1.25, 132.7),
    ("2022-09", 4.61, 2.78, 1.83, 196.5),
    ("2025-09", 4.03, 2.78, 1.25, 136.2),
]


@pytest.mark.parametrize(("period", "p0", "path", "points", "thousand"), EXPECTED)
def test_jakarta_against_its_path(progress, period, p0, path, points, thousand):
    row = target.at(progress, period)
    assert row["p0_pct"] == p0
    assert row["path_pct"] == pytest.approx(path)
    assert row["distance_points"] == pytest.approx(points, abs=1e-9)
    assert row["distance_count"] / 1000 == pytest.approx(thousand, abs=0.05)
    assert row["distance_low_count"] <= row["distance_count"] <= row["distance_high_count"]


def test_a_release_that_does_not_exist_is_a_row_with_nothing(progress):
    assert list(progress["period"]) == periods.semesters("2017-09", "2025-09")
    assert target.at(progress, "2023-09") is None
    row = progress[progress["period"] == "2023-09"].iloc[0]
    assert row["status"] == "not published" and np.isnan(row["distance_points"])


def test_the_verdict_says_what_happened(progress):
    words = target.verdict(progress, RPJMD)
    for figure in ("missed", "2.78 %", "4.61 %", "1.83 points above", "196 thousand"):
        assert figure in words


def test_the_interim_target_was_missed_by_a_hair(progress):
    interim = target.interim(sources.read("poverty_targets"), RPJMD)
    words = target.interim_verdict(progress, interim)
    assert "3.38 % in September 2019 was missed by 0.04 points" in words and "3.42 %" in words


def test_the_break_of_the_pandemic(progress):
    assert "rose by 1.11 points in one release (+119 thousand persons)" in target.break_sentence(
        progress
    )


def test_a_target_that_was_met(series):
    easy = target.Target("31", "2017-09", 3.78, "2018-03", 3.70)
    words = target.verdict(target.progress(series, easy), easy)
    assert "met" in words and "0.13 points below" in words


def test_a_target_ahead_and_one_without_release(series):
    ahead = target.Target("31", "2022-09", 4.61, "2029-09", 3.0)
    assert "lies ahead" in target.verdict(target.progress(series, ahead), ahead)
    unknown = target.Target("31", "2017-09", 3.78, "2023-09", 2.78)
    assert "cannot be said here: the figure of that period is not published" in target.verdict(
        target.progress(series, unknown), unknown
    )


def test_another_region(series):
    west_java = target.Target("32", "2017-09", 7.83, "2022-09", 6.83)
    own = target.progress(series, west_java)
    assert own["region"].unique() == ["Jawa Barat"]
    assert own["date_published"].isna().all()  # only those of Jakarta are known


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("31", "2017", 3.78, "2022-09", 2.78), "baseline_period: '2017' is no reference period"),
        (("31", "2022-09", 3.78, "2017-09", 2.78), "must be later"),
        (("31", "2017-09", 0, "2022-09", 2.78), "baseline_pct must be a percentage"),
        (("31", "2017-09", 3.78, "2022-09", 101), "target_pct must be a percentage"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(values, told):
    with pytest.raises(target.TargetError, match=told):
        target.Target(*values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("99", "2017-09", 3.78, "2022-09", 2.78), "no region '99'"),
        (("31", "2023-09", 4.3, "2029-09", 2.78), "P0 of region 31 for 2023-09 is not published"),
        (("31", "2017-09", 3.87, "2022-09", 2.78), "the published P0 .* is 3.78"),
        (("65", "2013-09", 9.82, "2029-09", 5.0), "for 2013-09 is not in the tables"),
        (("94", "2022-03", 26.56, "2029-09", 20.0), "lost a part of its area in 2024-03"),
    ],
)
def test_a_baseline_that_was_not_published_is_refused(series, values, told):
    with pytest.raises(target.TargetError, match=told):
        target.progress(series, target.Target(*values))


@given(
    start=st.floats(1, 40),
    end=st.floats(1, 40),
    semesters=st.integers(1, 20),
)
def test_the_path_is_straight_and_then_kept(start, end, semesters):
    grid = periods.semesters("2010-03", "2025-09")
    aim = target.Target("31", grid[2], start, grid[2 + semesters], end)
    path = aim.path_pct(pd.Series(grid))
    assert path[:2].isna().all()
    steps = path[2 : 3 + semesters].diff().dropna()
    assert np.allclose(steps, (end - start) / semesters)
    assert np.allclose(path[2 + semesters :], end)


def test_the_line_has_gaps_and_crosses_where_nothing_was_published(series):
    own = series[series["region_code"] == "31"]
    figure, axes = plt.subplots()
    target.draw_series(axes, own, "poor_count", scale=1000, breaks=[("2020-09", "new frame")])
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    crosses = next(line for line in axes.lines if line.get_marker() == "x")
    plt.close(figure)
    assert len(lines) == 2  # broken where the frame changes
    assert sum(np.isnan(line.get_ydata()).sum() for line in lines) == 2  # 2010-09 and 2023-09
    assert list(crosses.get_xdata()) == [periods.decimal_year(p) for p in ("2010-09", "2023-09")]


def test_bounds_by_hand(progress):
    # 4.61 % and 494,930 poor are rounded: the corners of (4.605..4.615) x (494,925..494,935).
    row = target.at(progress, "2022-09")
    low = (4.605 - 2.78) / 4.605 * 494_925
    high = (4.615 - 2.78) / 4.615 * 494_935
    assert row["distance_low_count"] == pytest.approx(low, abs=1)
    assert row["distance_high_count"] == pytest.approx(high, abs=1)


def test_the_error_that_would_be_needed(progress):
    words = target.needed_error_sentence(progress, RPJMD)
    assert f"{1.83 / 1.96:.2f} points" in words and "20 % of the rate" in words


def test_interim_targets_belong_to_their_plan():
    targets = sources.read("poverty_targets")
    assert list(target.interim(targets, RPJMD)["p0_pct"]) == [3.38]
    other = target.Target("31", "2017-09", 3.78, "2029-09", 2.0)
    assert target.interim(targets, other).empty


def test_missing_counts_are_left_out_of_sentences(series):
    aim = target.Target("00", "2017-09", 10.12, "2022-09", 9.0)
    own = target.progress(series, aim)
    own["poor_count"] = pd.NA
    assert "persons" not in target.break_sentence(own) and "()" not in target.break_sentence(own)


def test_a_baseline_that_is_the_last_figure_is_on_the_path(series):
    aim = target.Target("31", "2025-09", 4.03, "2029-09", 3.0)
    assert "on the straight path" in target.verdict(target.progress(series, aim), aim)


def test_bars_are_as_high_as_the_distance(progress):
    figure = target.draw_distance(progress, RPJMD)
    points, persons = ([bar.get_height() for bar in axes.patches] for axes in figure.axes)
    plt.close(figure)
    known = progress[progress["period"] > "2017-09"].fillna(
        {"distance_points": 0, "distance_count": 0}
    )
    assert points == pytest.approx(list(known["distance_points"]))
    assert persons == pytest.approx(list(known["distance_count"] / 1000))
    assert points[0] < 0 < points[-1]


def test_bars_of_a_target_from_the_last_figure_show_the_baseline(series):
    aim = target.Target("31", "2025-09", 4.03, "2026-09", 3.5)
    figure = target.draw_distance(target.progress(series, aim), aim)
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    plt.close(figure)
    assert heights == [[0.0], [0.0]]


def test_dates_that_were_not_seen_are_marked_and_empty_columns_left_out(progress, series):
    dates = target.progress_table(progress).set_index("period")["date_published"]
    assert dates["2017-09"] == "2018-01-02" and dates["2020-03"] == "c. 2020-07-15"
    assert dates["2022-09"] == "c. 2023-01-16"  # seen within a day
    other = target.progress(series, target.Target("32", "2017-09", 7.83, "2022-09", 6.83))
    assert "date_published" not in target.progress_table(other)


# ---- what could be expected ------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenarios():
    return sources.read("survey_error")


@pytest.fixture(scope="module")
def priors():
    return assumptions.of(assumptions.read(), "forecast")


@pytest.fixture(scope="module")
def releases(series):
    return target.released(series, "31")


@pytest.fixture(scope="module")
def known(releases, scenarios, priors):
    return target.as_known(releases, RPJMD, scenarios, priors, "2020-03")


def test_releases_have_a_date_each_and_unknown_ones_the_usual(releases):
    dates = releases.set_index("period")
    assert dates.loc["2017-09", "date_published"] == "2018-01-02"
    assert dates.loc["2010-03", "date_published"] == "2010-07-15"
    assert list(releases) == ["period", "p0_pct", "date_published"]
    assert releases["date_published"].is_monotonic_increasing
    assert "2023-09" not in dates.index


def test_a_figure_is_known_from_its_day_on(releases):
    assert target.known_on(releases, "2018-01-01").index[-1] == "2017-03"
    assert target.known_on(releases, "2018-01-02").index[-1] == "2017-09"


def test_the_probability_was_small_and_fell_to_nothing(known):
    chance = known.pivot(index="period", columns="scenario", values="probability")
    assert list(chance.index) == [p for p in periods.semesters("2017-09", "2022-09")]
    assert (chance.loc["2017-09"] < 0.2).all() and (chance.loc["2017-09"] > 0.005).all()
    assert (chance.loc["2020-03"] < chance.loc["2019-09"] / 3).all()
    assert (chance.loc["2022-09"] == 0).all()  # the figure was public: missed
    # A larger declared error says less, so that the unlikely is likelier.
    assert (chance["large"][:-1] > chance["small"][:-1]).all()
    told = target.likelihood_words(known, RPJMD)
    assert "2 to 17 %" in told and "when September 2017 was the last figure" in told
    # It rose until the pandemic, and the words do not hide it.
    highest = chance.loc["2019-09"]
    assert chance.mean(axis=1).idxmax() == "2019-09"
    assert f"{100 * highest.min():.0f} to {100 * highest.max():.0f} %" in told
    assert told.count("was the last figure") == 3


def test_an_intervention_at_no_reference_period_is_refused(releases, scenarios, priors):
    for wrong in ("2020-04", ""):
        with pytest.raises(target.TargetError, match="intervention: .* no reference period"):
            target.as_known(releases, RPJMD, scenarios, priors, wrong)


def test_met_targets_end_at_one(releases, scenarios, priors):
    easy = target.Target("31", "2017-09", 3.78, "2018-03", 3.57)
    last = target.as_known(releases, easy, scenarios, priors, "2020-03").tail(4)
    assert (last["probability"] == 1).all() and last["median_pct"].isna().all()


@pytest.mark.parametrize("period", ["2012-03", "2018-03", "2019-09", "2020-03", "2021-09"])
def test_a_probability_changes_if_and_only_if_a_figure_known_by_then_does(
    releases, scenarios, priors, known, period
):
    changed = releases.assign(
        p0_pct=releases["p0_pct"].mask(releases["period"] == period, releases["p0_pct"] + 0.3)
    )
    published = changed.set_index("period")["date_published"][period]
    again = target.as_known(changed, RPJMD, scenarios, priors, "2020-03")
    open_ = known["median_pct"].notna()
    moved = again["probability"] != known["probability"]
    by_then = known["date_published"] >= published
    assert not moved[~by_then].any()
    assert moved[by_then & open_].all()


def test_a_later_date_of_release_moves_the_knowledge(releases, scenarios, priors, known):
    later = releases.assign(
        date_published=releases["date_published"].mask(
            releases["period"] == "2018-03", "2019-02-01"
        )
    ).sort_values("date_published", ignore_index=True)
    again = target.as_known(later, RPJMD, scenarios, priors, "2020-03")
    key = ["date_published", "scenario"]
    both = known.merge(again, on=key, suffixes=("", "_again"))
    january = both["date_published"] == "2019-01-15"
    assert (both.loc[january, "probability"] != both.loc[january, "probability_again"]).all()
    after = both["date_published"] >= "2019-07-15"
    assert both.loc[after, "probability"].to_numpy() == pytest.approx(
        both.loc[after, "probability_again"].to_numpy()
    )


def test_a_region_with_too_few_figures_has_no_probability(series, scenarios, priors):
    aim = target.Target("94", "2024-03", 17.26, "2029-09", 12.0)
    known = target.as_known(target.released(series, "94"), aim, scenarios, priors, "2020-03")
    assert known["probability"].isna().all()
    assert "Too few figures" in target.likelihood_words(known, aim)


def test_without_the_pandemic_is_the_forecast_from_before(releases, scenarios, priors):
    path = target.without_intervention(releases, "31", scenarios, "small", priors, "2020-03")
    first = path.iloc[0]
    assert first["period"] == "2020-03" and first["low_pct"] < 3.42 < first["high_pct"]
    assert first["difference_low_points"] > 0  # the jump is outside what the past led to expect
    assert first["difference_points"] == pytest.approx(4.53 - first["median_pct"])
    assert path.loc[path["period"] == "2023-09", "difference_points"].isna().all()
    # Figures after the intervention have no part in it.
    after = releases["period"] >= "2020-03"
    changed = releases.assign(p0_pct=releases["p0_pct"].mask(after, 9.0))
    again = target.without_intervention(changed, "31", scenarios, "small", priors, "2020-03")
    assert (again["median_pct"] == path["median_pct"]).all()
    told = target.intervention_words(path)
    assert f"{first['difference_points']:+.2f} points in March 2020" in told


def test_the_pace_by_hand(series):
    paces = target.pace(series, RPJMD)
    needed = paces[paces["needed"]].iloc[0]
    assert needed["points_per_year"] == pytest.approx(-0.2)
    assert needed["percent_per_year"] == pytest.approx(100 * ((2.78 / 3.78) ** 0.2 - 1))
    own = paces[~paces["needed"] & (paces["region_code"] == "31")].iloc[0]
    assert (own["first_period"], own["last_period"]) == ("2014-09", "2019-09")
    assert own["points_per_year"] == pytest.approx((3.42 - 4.09) / 5)
    assert paces["percent_per_year"].is_monotonic_increasing
    faster = paces[~paces["needed"] & (paces["region_code"] != "00")]
    kept = (faster["percent_per_year"] <= needed["percent_per_year"]).sum()
    assert f"{kept} ever kept that pace" in target.pace_words(paces, RPJMD)


def test_the_pace_of_a_target_ahead_starts_at_the_last_figure(series):
    ahead = target.Target("31", "2022-09", 4.61, "2029-09", 2.5)
    needed = target.pace(series, ahead).query("needed").iloc[0]
    assert needed["first_period"] == "2025-09" and needed["from_pct"] == 4.03
    assert needed["points_per_year"] == pytest.approx((2.5 - 4.03) / 4)


def test_spans_across_a_split_are_no_record(series):
    paces = target.pace(series, RPJMD)
    assert not paces["region_code"].isin(["91", "94"]).any()  # split in 2024: no five years since


def test_the_fan_starts_where_the_question_does(releases):
    assert target.fan_span(releases, RPJMD) == ("2017-09", "2025-09")
    ahead = target.Target("31", "2022-09", 4.61, "2029-09", 2.5)
    assert target.fan_span(releases, ahead) == ("2025-09", "2029-09")


def test_drawings_show_the_numbers(known, releases, scenarios, priors, series):
    figure, axes = plt.subplots()
    target.draw_as_known(axes, known)
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    plt.close(figure)
    for scenario, own in known.groupby("scenario"):
        assert drawn[scenario] == pytest.approx(100 * own["probability"].to_numpy())
    paces = target.pace(series, RPJMD)
    figure = target.draw_pace(paces, RPJMD)
    at = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_label() == "needed"]
    plt.close(figure)
    assert at == pytest.approx([paces.loc[paces["needed"], "percent_per_year"].iloc[0]])
