import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from analysis import periods, sources, tables, target

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
    assert "is not known" in target.verdict(target.progress(series, unknown), unknown)


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
        (("31", "2023-09", 4.3, "2029-09", 2.78), "no P0 was published for region 31, 2023-09"),
        (("31", "2017-09", 3.87, "2022-09", 2.78), "the published P0 .* is 3.78"),
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
