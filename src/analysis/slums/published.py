"""Published lists and counts of slum RW (RW kumuh).

The list by RW covers three kota and is incomplete there. So an area is in one of three states:
it has listed RW, none is listed, or nothing is published by RW. None of them is "zero slums".
"""

import re

import geopandas as gpd
import pandas as pd
from matplotlib.axes import Axes

from analysis import regions

LISTED, NONE_LISTED, NOT_PUBLISHED = "listed", "none listed", "not published"
KOTA_WITH_LIST = ("3171", "3173", "3175")
# From 2017 on BPS counts on another frame (census of all RW, 11 variables): 223 in 2013 and 445
# in 2017 are not like for like.
FRAME_CHANGE = 2017
BPS, ADMINISTRATIVE, NOT_STATED = "BPS", "lurah and camat", "not stated"
HIGHEST, LOWEST = "highest ten", "lowest ten"


class SlumError(ValueError):
    """A list of slum RW is not what it should be."""


def rw_number(written: pd.Series) -> pd.Series:
    """RW as three digits (from ``RW 08``, ``RW.8``, ``011``, ``7``), missing if unreadable."""
    text = written.astype("str").str.replace(r"\.0$", "", regex=True)  # numbers read as floats
    number = text.str.extract(
        r"^\s*(?:RW)?[\s.]*0*(\d{1,3})\s*$", flags=re.IGNORECASE, expand=False
    )
    return number.str.zfill(3)


def vulnerability(raw: pd.DataFrame) -> pd.DataFrame:
    """The ten highest and the ten lowest kelurahan of BPS's index of social vulnerability of 2013.

    An outside check of a map, and no more: the other 247 are not published.

    Parameters
    ----------
    raw
        Raw table ``kelurahan_social_vulnerability_2013``: ``kelurahan, kota, group``.

    Returns
    -------
    pandas.DataFrame
        ``kelurahan_code, kota_code, group`` (`HIGHEST` or `LOWEST`), sorted by code.

    Raises
    ------
    SlumError
        A kelurahan is there twice, or a group is unknown.
    analysis.regions.RegionError
        Names that could not be placed.
    """
    codes = regions.match(raw["kelurahan"], raw["kota"])
    table = pd.DataFrame(
        {"kelurahan_code": codes, "kota_code": codes.str[:4], "group": raw["group"]}
    )
    if twice := sorted(codes[codes.duplicated()]):
        raise SlumError(f"twice among the most and least vulnerable: {', '.join(twice)}")
    if unknown := sorted(set(table["group"]) - {HIGHEST, LOWEST}):
        raise SlumError(f"unknown group: {', '.join(unknown)}; it is {HIGHEST!r} or {LOWEST!r}")
    return table.sort_values("kelurahan_code").reset_index(drop=True)


def clean_list(raw: pd.DataFrame, boundaries: gpd.GeoDataFrame) -> pd.DataFrame:
    """The published list of slum RW, coded by its published names.

    Parameters
    ----------
    raw
        Raw table ``slum_rw_three_kota``: names and RW as published, area, centroid.
    boundaries
        `analysis.regions.kelurahan`.

    Returns
    -------
    pandas.DataFrame
        ``kelurahan_code, kota_code, rw`` (3-digit text), ``area_ha`` (as published), ``listed_by,
        inside`` (whether the published centroid lies in the kelurahan) and ``area_plausible``
        (whether the RW is smaller than its kelurahan), sorted, one row per RW.

    Raises
    ------
    SlumError
        An RW number cannot be read, or an RW is listed twice.
    analysis.regions.RegionError
        Names that could not be placed.
    """
    codes = regions.match(raw["kelurahan_as_published"], raw["kota"])
    number = rw_number(raw["rw_as_published"])
    if number.isna().any():
        bad = ", ".join(repr(rw) for rw in raw.loc[number.isna(), "rw_as_published"])
        raise SlumError(f"these are no RW numbers: {bad}; write them as 'RW 08' or '008'")
    points = gpd.GeoSeries.from_xy(raw["lon"], raw["lat"], crs="EPSG:4326").to_crs(regions.CRS)
    own = boundaries.set_index("kelurahan_code").loc[codes].set_axis(points.index)
    table = pd.DataFrame(
        {
            "kelurahan_code": codes,
            "kota_code": codes.str[:4],
            "rw": number,
            "area_ha": raw["area_ha"],
            "listed_by": raw["listed_by"],
            "inside": points.within(own.geometry),
            "area_plausible": raw["area_ha"] < own["area_km2"] * 100,
        }
    )
    twice = table[table.duplicated(["kelurahan_code", "rw"])]
    if len(twice):
        raise SlumError(
            "listed twice: "
            + ", ".join(f"{r.kelurahan_code} RW {r.rw}" for r in twice.itertuples())
        )
    return table.sort_values(["kelurahan_code", "rw"]).reset_index(drop=True)


def by_kelurahan(listed: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """Listed slum RW by kelurahan, joined onto the list of areas.

    Parameters
    ----------
    listed
        Table ``slum_rw``: one row per listed RW.
    areas
        Table ``kelurahan``: one row per kelurahan with ``kelurahan_code, kota_code, rw_count``
        (RW of 2012-2014; missing on the islands).

    Returns
    -------
    pandas.DataFrame
        One row per kelurahan: ``kelurahan_code, kota_code, status`` (listed, none listed, not
        published), ``slum_rw_listed_count, slum_rw_share_pct`` (of the RW of 2012-2014) and
        ``slum_ha`` (area of the listed RW, without those whose area is implausible). The last
        three are missing unless the status is listed: an incomplete list gives lower bounds
        where it lists, and nothing where not.
    """
    area_ha = listed["area_ha"].where(listed["area_plausible"])
    sums = (
        listed.assign(area_ha=area_ha)
        .groupby("kelurahan_code")
        .agg(
            slum_rw_listed_count=("rw", "nunique"),
            slum_ha=("area_ha", lambda own: own.sum(min_count=1)),
        )
    )
    table = areas[["kelurahan_code", "kota_code", "rw_count"]].merge(
        sums, on="kelurahan_code", how="left", validate="1:1"
    )
    covered = table["kota_code"].isin(KOTA_WITH_LIST)
    table["status"] = covered.map({True: NONE_LISTED, False: NOT_PUBLISHED})
    table["status"] = table["status"].mask(table["slum_rw_listed_count"].notna(), LISTED)
    table["slum_rw_listed_count"] = table["slum_rw_listed_count"].astype("Int64")
    share = table["slum_rw_listed_count"] / table["rw_count"] * 100
    table["slum_rw_share_pct"] = share.astype("Float64").astype("float64")
    columns = ["kelurahan_code", "kota_code", "status", "slum_rw_listed_count"]
    return table[[*columns, "slum_rw_share_pct", "slum_ha"]]


def count_series(counts: pd.DataFrame) -> pd.DataFrame:
    """Published counts of slum RW by year and area, all categories together.

    ``counts`` is the raw table ``rw_kumuh_counts``. Returns ``year`` (integer), ``area,
    slum_rw_count, counted_by, frame`` ("before 2017" or "from 2017"), sorted. ``counted_by`` is
    BPS, lurah and camat (a list of the administration), or not stated by the source. Where an
    area has its categories but no total for a year, the total is their sum.
    """
    own = counts[counts["rw_count"].notna()]
    total = own[own["kategori"] == "total"]
    parts = (
        own[own["kategori"] != "total"]
        .groupby(["year", "area", "counted_by"], as_index=False)["rw_count"]
        .sum()
    )
    keys = total.set_index(["year", "area"]).index
    parts = parts[~parts.set_index(["year", "area"]).index.isin(keys)]
    series = pd.concat([total, parts], ignore_index=True)
    return (
        pd.DataFrame(
            {
                "year": series["year"].astype(int),
                "area": series["area"],
                "slum_rw_count": series["rw_count"].astype(int),
                "counted_by": series["counted_by"],
                "frame": (series["year"].astype(int) >= FRAME_CHANGE).map(
                    {True: f"from {FRAME_CHANGE}", False: f"before {FRAME_CHANGE}"}
                ),
            }
        )
        .sort_values(["area", "year"])
        .reset_index(drop=True)
    )


def completeness(
    by_kelurahan: pd.DataFrame, series: pd.DataFrame, kota: dict[str, str]
) -> pd.DataFrame:
    """The list against every published total of each kota.

    Parameters
    ----------
    by_kelurahan
        Result of `by_kelurahan`.
    series
        Result of `count_series`.
    kota
        Names by code.

    Returns
    -------
    pandas.DataFrame
        ``kota_code, kota, slum_rw_listed_count, year, published_count, counted_by,
        listed_share_pct``: one row per kota and published total, and one for a kota without any
        (year and total missing). The listed count is missing where nothing is published by RW.
    """
    listed = by_kelurahan.groupby("kota_code")["slum_rw_listed_count"].sum(min_count=1)
    table = (
        pd.DataFrame({"kota_code": list(kota), "kota": list(kota.values())})
        .merge(listed, left_on="kota_code", right_index=True, how="left")
        .merge(series, left_on="kota", right_on="area", how="left")
        .rename(columns={"slum_rw_count": "published_count"})
    )
    table["year"] = table["year"].astype("Int64")
    table["published_count"] = table["published_count"].astype("Int64")
    share = table["slum_rw_listed_count"] / table["published_count"] * 100
    table["listed_share_pct"] = share.astype("Float64").astype("float64")
    columns = ["kota_code", "kota", "slum_rw_listed_count", "year", "published_count", "counted_by"]
    return table[[*columns, "listed_share_pct"]]


def listed_words(by_kelurahan: pd.DataFrame, kota: dict[str, str]) -> str:
    """``43 in Jakarta Pusat, ...``: the listed RW of each kota that has a list."""
    listed = by_kelurahan.groupby("kota_code")["slum_rw_listed_count"].sum()
    return ", ".join(f"{listed[code]} in {kota[code]}" for code in KOTA_WITH_LIST)


def shortfall_words(completeness: pd.DataFrame) -> str:
    """The kota and total that show best how much the list lacks."""
    row = completeness.loc[completeness["listed_share_pct"].idxmin()]
    return (
        f"{row['kota']} has {row['slum_rw_listed_count']} on it where {row['counted_by']} counted "
        f"{row['published_count']} in {row['year']}"
    )


def frame_words(series: pd.DataFrame) -> str:
    """What the counts of one area say within each frame, and why not across."""
    counts = series[series["counted_by"] != ADMINISTRATIVE]
    parts = [
        f"from {part['slum_rw_count'].iloc[0]} in {part['year'].iloc[0]} "
        f"to {part['slum_rw_count'].iloc[-1]} in {part['year'].iloc[-1]}"
        for _, part in counts.groupby("frame", sort=False)
    ]
    return (
        f"The number of slum RW went {' and, on the new frame, '.join(parts)}. For "
        f"{FRAME_CHANGE} BPS took a census of RW, with other variables than before: the counts "
        f"before and after are not like for like, and the change from one frame to the other says "
        f"nothing about slums. The change within each frame can be read."
    )


def parts_words(counts: pd.DataFrame, area: str, parts: list[str]) -> str:
    """Years in which the parts of an area do not sum to its total; empty if there is none."""
    wide = counts.pivot(index="year", columns="area", values="slum_rw_count")
    told = [
        f"in {year} the {row[parts].notna().sum()} kota with a count sum to "
        f"{row[parts].sum():.0f}, not {row[area]:.0f}"
        for year, row in wide.iterrows()
        if pd.notna(row[area]) and row[parts].sum() > row[area]
    ]
    return f"The source contradicts itself: {'; '.join(told)}." if told else ""


def doubtful(listed: pd.DataFrame, areas: pd.DataFrame) -> pd.DataFrame:
    """Listed RW that contradict the boundaries, and why.

    ``listed`` is the table ``slum_rw``, ``areas`` the table ``kelurahan``. Returns ``kelurahan,
    kota, rw, area_ha, kelurahan_ha, why``.
    """
    odd = listed[~listed["inside"] | ~listed["area_plausible"]]
    odd = odd.drop(columns="kota_code").merge(areas, on="kelurahan_code")
    reasons = zip(~odd["inside"], ~odd["area_plausible"], strict=True)
    words = ("centroid outside the kelurahan", "larger than its kelurahan: area not used")
    odd["why"] = ["; ".join(w for w, so in zip(words, r, strict=True) if so) for r in reasons]
    odd["kelurahan_ha"] = odd["area_km2"] * 100
    return odd[["kelurahan", "kota", "rw", "area_ha", "kelurahan_ha", "why"]]


def draw_counts(axes: Axes, series: pd.DataFrame) -> None:
    """Published counts of one area by year: points, those not by BPS hollow.

    Points are not joined: the years between them were not published, and frames change.
    """
    by_bps = series["counted_by"] == BPS
    axes.plot(
        series.loc[by_bps, "year"],
        series.loc[by_bps, "slum_rw_count"],
        linestyle="none",
        marker="o",
        markersize=5,
        color="C0",
    )
    other = series[~by_bps]
    axes.plot(
        other["year"],
        other["slum_rw_count"],
        linestyle="none",
        marker="o",
        markersize=5,
        markerfacecolor="white",
        color="C0",
    )
    for row in series.itertuples():
        axes.annotate(
            f"{row.slum_rw_count}",
            (row.year, row.slum_rw_count),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.axvline(FRAME_CHANGE - 0.5, color="0.45", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        "new frame: census of all RW",
        (FRAME_CHANGE - 0.5, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4, -2),
        textcoords="offset points",
        va="top",
        fontsize=7.5,
        color="0.3",
    )
    axes.set_ylim(0, series["slum_rw_count"].max() * 1.25)
    axes.set_xticks(range(series["year"].min(), series["year"].max() + 1, 2))
