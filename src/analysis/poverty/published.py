"""Poverty series as published: cleaned, on a complete grid, with the population they imply.

P0 is the headcount (percent of residents below the line), P1 the gap, P2 the severity
(Foster, Greer and Thorbecke 1984), all in percent as BPS prints them.
"""

import pandas as pd

from analysis import periods, regions
from analysis.bps import checks

PUBLISHED, NOT_PUBLISHED = "published", "not published"
CORRECTED, WITHHELD = "corrected", "withheld"  # flags of `analysis.bps.checks.correct`
NOT_IN_TABLES = "not in the tables"  # of another region: it may have been published elsewhere
# Semesters in which a province lost a part of its area to new provinces: figures before and after
# are not of the same area.
SPLITS = {
    area: change.period
    for change in checks.FRAMES
    if isinstance(change, checks.Split)
    for area in change.areas
}


class PovertyError(ValueError):
    """A table of published poverty figures is not what it should be."""


def panel_table(raw: pd.DataFrame) -> pd.DataFrame:
    """The raw table ``province_poverty`` as `analysis.bps.checks` takes it.

    Returns ``area_code, area, period, indicator, value, value_as_published, source``, the values
    as published, wrong cells included.
    """
    names = {"province_code": "area_code", "province": "area"}
    table = raw.rename(columns=names).assign(value=pd.to_numeric(raw["value_as_published"]))
    columns = ["area_code", "area", "period", "indicator", "value", "value_as_published", "source"]
    return table[columns]


def semester_series(
    dki: pd.DataFrame, panel: pd.DataFrame, releases: pd.DataFrame, provinces: pd.Series
) -> pd.DataFrame:
    """The semester series of all regions on one grid.

    Parameters
    ----------
    dki
        Raw table ``dki_poverty_semester``.
    panel
        `panel_table` after `analysis.bps.checks.correct`, with its ``flag``. Its rows for DKI
        Jakarta give way to ``dki``, which is more complete.
    releases
        Raw table ``release_dates`` (of DKI Jakarta).
    provinces
        Names by code (`analysis.regions.provinces`).

    Returns
    -------
    pandas.DataFrame
        One row per region and period of the grid, sorted: ``region_code, region, period, p0_pct,
        poor_count`` (persons), ``poverty_line_rp`` (per person and month), ``p1_pct, p2_pct,
        gini, date_published, date_basis, status, source``. ``status`` says of P0: published; not
        published (or not found, for DKI Jakarta, whose releases were searched); not in the tables
        (for other regions, of which only tables of BPS were used); corrected; or withheld because
        the published cell is wrong and the right value not known. ``date_basis`` says how the
        date is known.
    """
    key = ["area_code", "period"]
    wide = panel.pivot(index=key, columns="indicator", values="value")
    wide["source"] = panel.groupby(key)["source"].first()
    flagged = panel[(panel["indicator"] == "p0_pct") & panel["flag"].notna()]
    flagged = flagged.set_index(key)["flag"]
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
    jakarta = series["region_code"] == "31"
    dates = series[["period"]].merge(releases, how="left")
    known = jakarta & series["p0_pct"].notna()
    series["date_published"] = dates["date_published"].where(known)
    series["date_basis"] = dates["basis"].where(known)
    series["status"] = PUBLISHED
    series.loc[series["p0_pct"].isna(), "status"] = NOT_IN_TABLES
    series.loc[series["p0_pct"].isna() & jakarta, "status"] = NOT_PUBLISHED
    keys = pd.MultiIndex.from_frame(series[["region_code", "period"]])
    flags = pd.Series(flagged.reindex(keys).to_numpy(), index=series.index)
    series["status"] = series["status"].where(flags.isna(), flags)
    columns = ["region_code", "region", "period", "p0_pct", "poor_count", "poverty_line_rp"]
    columns += ["p1_pct", "p2_pct", "gini", "date_published", "date_basis", "status", "source"]
    return series[columns]


def same_area(series: pd.DataFrame) -> pd.DataFrame:
    """The rows of the semester series from the last split of each region on (`SPLITS`)."""
    return series[series["period"] >= series["region_code"].map(SPLITS).fillna("")]


def kota_series(kota: pd.DataFrame) -> pd.DataFrame:
    """Published poverty of the six kota on a complete grid of years (March).

    ``kota`` is the raw table ``dki_kota_poverty``. Returns ``period, kota_code, kota, p0_pct,
    poor_count, poverty_line_rp, derived, source``, one row per kota and March, missing where
    nothing was published. ``derived`` marks rows with a figure that was computed from others (a
    growth rate, a difference) and not printed as such.
    """
    first, last = _span(kota["period"])
    marches = [period for period in periods.semesters(first, last) if period.endswith("-03")]
    grid = pd.MultiIndex.from_product([marches, list(regions.KOTA)], names=["period", "kota_code"])
    series = kota.set_index(["period", "kota_code"]).reindex(grid).reset_index()
    series["kota"] = series["kota_code"].map(regions.KOTA)
    series["poor_count"] = (series["poor_thousand"] * 1000).round().astype("Int64")
    words = series["source"].str.contains(r"^(?:derived|by difference)|growth of")
    series["derived"] = words.fillna(False).astype(bool)
    columns = ["period", "kota_code", "kota", "p0_pct", "poor_count", "poverty_line_rp"]
    return series[[*columns, "derived", "source"]]


def disagreements(dki: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Figures of DKI Jakarta that are both in its own table and in that of all provinces.

    Parameters
    ----------
    dki
        Raw table ``dki_poverty_semester``.
    panel
        `panel_table`.

    Returns
    -------
    pandas.DataFrame
        One row per figure in both: ``period, indicator, dki, national, differs`` (by more than
        the rounding to two decimals).
    """
    national = panel[panel["area_code"] == "31"]
    own = dki.melt("period", sorted(set(national["indicator"])), "indicator", "dki")
    both = own.merge(
        national.rename(columns={"value": "national"})[["period", "indicator", "national"]],
        on=["period", "indicator"],
        validate="1:1",
    ).dropna(ignore_index=True)
    # Half a unit of the last decimal, and what a binary fraction adds to it.
    both["differs"] = (both["dki"] - both["national"]).abs() > 0.005 + 1e-9
    return both


def derived_words(kota: pd.DataFrame) -> str:
    """Which kota figures are derived, for a note below a table; empty if none is."""
    own = kota[kota["derived"]]
    parts = [
        f"{period[:4]} {', '.join(rows['kota'].str.removeprefix('Jakarta '))}"
        for period, rows in own.groupby("period")
    ]
    return f"Derived from other published figures: {'; '.join(parts)}." if parts else ""


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


def range_words(own: pd.DataFrame) -> str:
    """Lowest and highest P0 of the kota in one period, and of how many it is known."""
    known = own[own["p0_pct"].notna()].sort_values("p0_pct")
    low, high = known.iloc[0], known.iloc[-1]
    known_of = "" if len(known) == len(own) else f" of the {len(known)} kota with a figure"
    return (
        f"In {periods.written(low['period'])} P0{known_of} ranged from {low['p0_pct']:.2f} % in "
        f"{low['kota']} to {high['p0_pct']:.2f} % in {high['kota']}."
    )


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


def reference(kota: pd.DataFrame, province: pd.DataFrame, period: str) -> pd.DataFrame:
    """The official figures of the six kota in one period, with what can be derived of the rest.

    Population is number of poor / P0. Where a period lacks the number of poor or P0 of a kota,
    its population is its share among the six in the nearest period with both of all, times the
    province's number of poor / P0. Where it lacks the line of a kota, that is the line of the
    nearest period with the lines of all, times the ratio of the province's lines.

    Parameters
    ----------
    kota
        `kota_series`.
    province
        Raw table ``dki_poverty_semester``.
    period
        One with a published line of the province.

    Returns
    -------
    pandas.DataFrame
        Six rows: ``period, kota_code, kota, p0_pct, poor_count`` (both missing where not
        published), ``population_count, population_derived, poverty_line_rp, derived`` (of the
        line). Counts are floats, lines whole rupiah per person and month.

    Raises
    ------
    PovertyError
        The province has no published line in this period; the message lists those with one.
    """
    province = province.set_index("period")
    known = province.index[
        province[["p0_pct", "poor_thousand", "poverty_line_rp"]].notna().all(axis=1)
    ]
    if period not in known:
        raise PovertyError(
            f"DKI Jakarta has no published poverty line for {period!r} (it has for "
            f"{', '.join(known)})"
        )
    own = kota[kota["period"] == period].set_index("kota_code").reindex(list(regions.KOTA))
    counted = kota[kota["period"] == _nearest(kota, ["p0_pct", "poor_count"], period)]
    implied = implied_population(counted["poor_count"], counted["p0_pct"])["population_count"]
    shares = pd.Series((implied / implied.sum()).to_numpy(), index=counted["kota_code"])
    total = province.loc[period, "poor_thousand"] * 1e5 / province.loc[period, "p0_pct"]
    population = implied_population(own["poor_count"], own["p0_pct"])["population_count"]
    lined = _nearest(kota, ["poverty_line_rp"], period)
    lent = kota[kota["period"] == lined].set_index("kota_code")["poverty_line_rp"]
    ratio = province.loc[period, "poverty_line_rp"] / province.loc[lined, "poverty_line_rp"]
    line = own["poverty_line_rp"].astype("float64")
    return pd.DataFrame(
        {
            "period": period,
            "kota_code": own.index,
            "kota": own.index.map(regions.KOTA),
            "p0_pct": own["p0_pct"],
            "poor_count": own["poor_count"].astype("float64"),
            "population_count": population.fillna(shares * total),
            "population_derived": population.isna(),
            "poverty_line_rp": line.fillna(lent * ratio).round(),
            "derived": line.isna(),
        }
    ).reset_index(drop=True)


def _nearest(kota: pd.DataFrame, columns: list[str], period: str) -> str:
    """The period nearest in time in which all kota have the columns; the earlier of two."""
    whole = kota[columns].notna().all(axis=1).groupby(kota["period"]).all()
    at = periods.decimal_year(period)
    return min(whole.index[whole], key=lambda p: abs(periods.decimal_year(p) - at))


def _span(values: pd.Series) -> tuple[str, str]:
    return values.min(), values.max()
