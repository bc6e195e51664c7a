"""Reference periods of the poverty survey as text: ``2017-03`` (March) and ``2017-09`` (September).

Codes and periods are text everywhere, sorted as text; only drawing needs numbers.
"""

import calendar
import re
from collections.abc import Iterable

import pandas as pd


def check(period: str) -> str:
    """The period itself; raises ValueError unless it is a March or a September of a year."""
    if not re.fullmatch(r"\d{4}-(03|09)", str(period)):
        raise ValueError(
            f"{period!r} is no reference period: write March as 2017-03, September as 2017-09"
        )
    return period


def semesters(first: str, last: str) -> list[str]:
    """All reference periods from ``first`` to ``last``, both included."""
    check(first), check(last)
    years = range(int(first[:4]), int(last[:4]) + 1)
    every = [f"{year}-{month}" for year in years for month in ("03", "09")]
    return [period for period in every if first <= period <= last]


def later(period: str, semesters: int) -> str:
    """The period so many semesters later."""
    number = 2 * int(check(period)[:4]) + period.endswith("-09") + semesters
    return f"{number // 2}-{'09' if number % 2 else '03'}"


def decimal_year(period: str | Iterable[str]) -> float | pd.Series:
    """A period as a point in time for drawing and interpolation: 2017-03 is 2017 + 3/12.

    Accepts one period or a Series of them.
    """
    if isinstance(period, str):
        return int(period[:4]) + int(period[5:7]) / 12
    period = pd.Series(period)
    return period.str[:4].astype(int) + period.str[5:7].astype(int) / 12


def written(period: str) -> str:
    """A period in words: ``March 2017``; a user's survey may be of any month."""
    return f"{calendar.month_name[int(period[5:7])]} {period[:4]}"
