"""Poverty series as published: cleaned, on a complete grid, with the population they imply.

P0 is the headcount (percent of residents below the line), P1 the gap, P2 the severity
(Foster, Greer and Thorbecke 1984), all in percent as BPS prints them.
"""

import pandas as pd

from analysis import periods, regions

PUBLISHED, NOT_PUBLISHED, WITHHELD = "published", "not published", "withheld"


class PovertyError(ValueError):
    """A table of published poverty figures is not what it should be."""


def semester_series(
    dki: pd.DataFrame, panel: pd.DataFrame, releases: pd.DataFrame, provinces: pd.Series
) -> pd.DataFrame:
    """The semester series of all regions on one grid.

    Parameters
    ----------
    dki
        Raw table ``dki_poverty_semester``.
    panel
        Raw table ``province_poverty``. Its rows for DKI Jakarta give way to ``dki``, which is
        more complete. A cell with a note that it is wrong is withheld (missing).
    releases
        Raw table ``release_dates`` (of DKI Jakarta).
    provinces
        Names by code (`analysis.regions.provinces`).

    Returns
    -------
    pandas.DataFrame
        One row per region and period of the grid, sorted: ``region_code, region, period, p0_pct,
        poor_count`` (persons), ``poverty_line_rp`` (per person and month), ``p1_pct, p2_pct,
        gini, date_published, status, source``. ``status`` says of P0: published, not published,
        or withheld because the published cell is wrong.
    """
    wrong = panel["note"].notna()
    value = pd.to_numeric(panel["value_as_published"]).mask(wrong)
    wide = panel.assign(value=value).pivot(
        index=["province_code", "period"], columns="indicator", values="value"
    )
    wide["source"] = panel.groupby(["province_code", "period"])["source"].first()
    withheld = panel[wrong & (panel["indicator"] == "p0_pct")]
    others = wide.rename_axis(["region_code", "period"]).drop(index="31", level=0).reset_index()
    series = pd.concat([dki.assign(region_code="31"), others], ignore_index=True)
    # Printed in thousands with two decimals, so that persons come in tens.
    series["poor_count"] = (series["poor_thousand"] * 1000).round().astype("Int64")

    grid = pd.MultiIndex.from_product(
        [sorted(series["region_code"].unique()), periods.semesters(*_span(series["period"]))],
        names=["region_code", "period"],
    )
    series = series.set_index(["region_code", "period"]).reindex(grid).reset_index()
    series["region"] = series["region_code"].map(provinces)
    dates = series[["period"]].merge(releases[["period", "date_published"]], how="left")
    known = (series["region_code"] == "31") & series["p0_pct"].notna()
    series["date_published"] = dates["date_published"].where(known)
    series["status"] = series["p0_pct"].notna().map({True: PUBLISHED, False: NOT_PUBLISHED})
    key = pd.MultiIndex.from_frame(series[["region_code", "period"]])
    is_withheld = key.isin(pd.MultiIndex.from_frame(withheld[["province_code", "period"]]))
    series["status"] = series["status"].mask(is_withheld, WITHHELD)
    columns = ["region_code", "region", "period", "p0_pct", "poor_count", "poverty_line_rp"]
    columns += ["p1_pct", "p2_pct", "gini", "date_published", "status", "source"]
    return series[columns]


def kota_series(kota: pd.DataFrame) -> pd.DataFrame:
    """Published poverty of the six kota on a complete grid of years (March).

    ``kota`` is the raw table ``dki_kota_poverty``. Returns ``period, kota_code, kota, p0_pct,
    poor_count, poverty_line_rp, source``, one row per kota and March, missing where nothing was
    published.
    """
    first, last = _span(kota["period"])
    marches = [period for period in periods.semesters(first, last) if period.endswith("-03")]
    grid = pd.MultiIndex.from_product([marches, list(regions.KOTA)], names=["period", "kota_code"])
    series = kota.set_index(["period", "kota_code"]).reindex(grid).reset_index()
    series["kota"] = series["kota_code"].map(regions.KOTA)
    series["poor_count"] = (series["poor_thousand"] * 1000).round().astype("Int64")
    columns = ["period", "kota_code", "kota", "p0_pct", "poor_count", "poverty_line_rp", "source"]
    return series[columns]


def of_period(kota: pd.DataFrame, period: str) -> pd.DataFrame:
    """The six kota in one period of the table ``kota_poverty``.

    Raises
    ------
    PovertyError
        No P0 was published for any kota in that period; the message lists the periods with one.
    """
    own = kota[kota["period"] == period]
    if own["p0_pct"].isna().all():
        known = ", ".join(kota.loc[kota["p0_pct"].notna(), "period"].unique())
        raise PovertyError(f"no kota has a published P0 for {period!r} (there are: {known})")
    return own.reset_index(drop=True)


def implied_population(poor_count: pd.Series, p0_pct: pd.Series) -> pd.DataFrame:
    """The population behind a published headcount and rate, with what rounding leaves open.

    Both figures are rounded (the count to 10 persons, the rate to 0.01 point), so the quotient
    is known only between bounds: at 3.78 % to about 0.13 %.

    Returns
    -------
    pandas.DataFrame
        ``population_count, population_low_count, population_high_count`` (float, persons).
    """
    poor = poor_count.astype("float64")
    return pd.DataFrame(
        {
            "population_count": poor / p0_pct * 100,
            "population_low_count": (poor - 5) / (p0_pct + 0.005) * 100,
            "population_high_count": (poor + 5) / (p0_pct - 0.005) * 100,
        }
    )


def _span(values: pd.Series) -> tuple[str, str]:
    return values.min(), values.max()
