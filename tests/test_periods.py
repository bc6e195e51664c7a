import pandas as pd
import pytest

from analysis import periods


def test_semesters_include_both_ends():
    assert periods.semesters("2017-09", "2019-03") == ["2017-09", "2018-03", "2018-09", "2019-03"]


@pytest.mark.parametrize("wrong", ["2017", "2017-06", "201703", "17-03", ""])
def test_what_is_no_reference_period_is_refused(wrong):
    with pytest.raises(ValueError, match="write March as 2017-03"):
        periods.semesters(wrong, "2020-03")


def test_decimal_year_is_half_a_year_apart():
    both = periods.decimal_year(pd.Series(["2017-03", "2017-09"]))
    assert both[1] - both[0] == pytest.approx(0.5)
    assert periods.decimal_year("2017-03") == both[0]


def test_written():
    assert periods.written("2022-09") == "September 2022"


def test_later_counts_semesters():
    assert periods.later("2017-09", 10) == "2022-09"
    assert periods.later("2017-09", 5) == "2020-03"
    assert periods.later("2017-03", -1) == "2016-09"


def test_a_survey_of_another_month_is_called_by_its_name():
    assert [periods.written(p) for p in ("2017-03", "2021-08")] == ["March 2017", "August 2021"]
