"""Slum RW of the published list beside density, residents and floods, by kelurahan.

Two shares are kept apart. The *listed share* is of the list: zero where a kota has a list and none
of a kelurahan is on it. The *slum share* is known (from below) only where at least one RW is
listed, and missing elsewhere. Neither has a value in a kota without list.
"""

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from analysis import clusters, floods, maps, regions, slums, spatial_regression
from analysis.clusters import Moran
from analysis.spatial_regression import DURBIN, ERROR, LAG, OLS, SpatialRegression

LISTED_SHARE, SLUM_SHARE = "listed_share_pct", "slum_share_pct"
WITHIN_KOTA = "listed_share_within_kota"
COVARIATES = ("log2_density", "flood_prone_share_pct", "residents_per_rw_thousand")
KOTA_MARKS = {"3173": "kota_pusat", "3175": "kota_utara"}  # against Jakarta Selatan
WORDS = {
    LISTED_SHARE: "listed share of RW",
    WITHIN_KOTA: "listed share less the mean of its kota",
    SLUM_SHARE: "slum share where any is listed",
    "density_per_km2": "residents per km²",
    "population_count": "residents",
    "flood_prone_share_pct": "flood-prone share of RW",
    "log2_density": "density (one more is double)",
    "residents_per_rw_thousand": "residents per RW (thousand)",
    "kota_pusat": "Jakarta Pusat (not Selatan)",
    "kota_utara": "Jakarta Utara (not Selatan)",
}


# Gi* in grades: named, or what would be named if there were one test only.
_ALONE = " taken alone"
GRADES = {
    clusters.HOT: maps.Class("hot spot", "#8c0d25"),
    clusters.HOT + _ALONE: maps.Class("hot, but only taken alone", "#e9b3a6"),
    clusters.COLD + _ALONE: maps.Class("cold, but only taken alone", "#b9d4ea"),
    clusters.COLD: maps.Class("cold spot", "#2f6fad"),
    clusters.NEITHER: maps.Class("not significant", "#ececec"),
}
LISTED_RW = {
    slums.LISTED: maps.Class("on the list", "#b0321f"),
    slums.NONE_LISTED: maps.Class("not on the list (not zero)", "#e4e4e4"),
}
CLASSES = {slums.NOT_PUBLISHED: maps.NOT_PUBLISHED}
CLASSES_WITHOUT_VALUE = {
    slums.LISTED: maps.Class("listed; floods not known", "#ffffff", "xxxx"),
    slums.NONE_LISTED: maps.Class("none listed (not zero)", "white", "..."),
    slums.NOT_PUBLISHED: maps.NOT_PUBLISHED,
}
HEADERS = {
    "rule": "Neighbours",
    "area_count": "Kelurahan",
    "left_out_count": "Left out",
    "neighbours_mean": "Neighbours, mean",
    "neighbours_range": "fewest–most",
    "part_count": "Parts",
    "longest_km": "Longest (km)",
    "variable": "Variable",
    "moran": "Moran's I",
    "low": "By chance from",
    "high": "to",
    "p_value": "p",
    "within": "Within the kota",
    "within_p": "p (within)",
    "term": "Term",
    "test": "Test",
    "statistic": "Statistic",
    "df": "df",
    "kelurahan": "Kelurahan",
    "kota": "Kota",
    "group": "Vulnerability",
    "status": "On the list",
    LISTED_SHARE: "Listed (%)",
    "density_per_km2": "Per km²",
    "flood_prone_share_pct": "Flood-prone (%)",
    "highest_count": "Most: n",
    "highest_median": "median",
    "lowest_count": "Least: n",
    "lowest_median": "median",
    "higher_pct": "Pairs (%)",
    "listed_count": "Listed",
    "predicted_count": "Predicted",
    "interval": "Interval",
    "rank_correlation": "Rank correlation",
}
DECIMALS = {
    "neighbours_mean": 1,
    "longest_km": 1,
    "moran": 2,
    "low": 2,
    "high": 2,
    "p_value": 4,
    "within": 2,
    "within_p": 4,
    "statistic": 2,
    LISTED_SHARE: 0,
    "flood_prone_share_pct": 0,
    "rank_correlation": 2,
    "highest_median": 0,
    "lowest_median": 0,
    "higher_pct": 0,
}


def table(areas: pd.DataFrame, by_kelurahan: pd.DataFrame) -> pd.DataFrame:
    """One row per kelurahan with all that is known of it here.

    Parameters
    ----------
    areas
        Table ``kelurahan``.
    by_kelurahan
        Table ``slum_kelurahan``.

    Returns
    -------
    pandas.DataFrame
        By ``kelurahan_code``: ``kelurahan, kota_code, kota, status, rw_count, population_count,
        density_per_km2, log2_density, residents_per_rw_thousand, flood_prone_share_pct``,
        ``listed_share_pct`` (percent of RW on the list; missing where a kota has none),
        ``listed_share_within_kota`` (less the mean of its kota), ``slum_share_pct`` (missing
        unless an RW is listed), and 0 or 1 for each kota of `KOTA_MARKS`.
    """
    columns = ["kelurahan_code", "kelurahan", "kota_code", "kota", "rw_count", "population_count",
               "density_per_km2"]  # fmt: skip
    own = areas[columns].merge(
        by_kelurahan[["kelurahan_code", "status", "slum_rw_listed_count"]],
        on="kelurahan_code",
        validate="1:1",
    )
    flood = floods.rw_share(areas)[["kelurahan_code", "flood_prone_share_pct"]]
    own = own.merge(flood, on="kelurahan_code", validate="1:1").set_index("kelurahan_code")
    rw = own["rw_count"].astype("Float64").astype("float64")
    listed = own.pop("slum_rw_listed_count").astype("Float64").astype("float64")
    covered = own["status"] != slums.NOT_PUBLISHED
    own["log2_density"] = np.log2(own["density_per_km2"])
    own["residents_per_rw_thousand"] = own["population_count"] / rw / 1000
    own[SLUM_SHARE] = 100 * listed / rw
    own[LISTED_SHARE] = own[SLUM_SHARE].mask(own["status"] == slums.NONE_LISTED, 0.0)
    mean = own.groupby("kota_code")[LISTED_SHARE].transform("mean")
    own[WITHIN_KOTA] = (own[LISTED_SHARE] - mean).where(covered)
    for code, name in KOTA_MARKS.items():
        own[name] = (own["kota_code"] == code).astype("float64")
    return own


def mapped(boundaries: gpd.GeoDataFrame, known: pd.DataFrame) -> gpd.GeoDataFrame:
    """The boundaries with columns by kelurahan code, for `analysis.maps`; ``attrs`` are kept."""
    columns = [name for name in known.columns if name not in boundaries.columns]
    found = boundaries.merge(
        known[columns], left_on="kelurahan_code", right_index=True, how="left", validate="1:1"
    )
    found.attrs = boundaries.attrs
    return found


def against_vulnerability(known: pd.DataFrame, vulnerable: pd.DataFrame) -> pd.DataFrame:
    """BPS's ten most and ten least vulnerable kelurahan of 2013, with what is known here.

    Returns ``kelurahan, kota, group, status, listed_share_pct, density_per_km2,
    flood_prone_share_pct``, the highest first.
    """
    own = vulnerable[["kelurahan_code", "group"]].join(known, on="kelurahan_code")
    own = own.sort_values(["group", "kota", "kelurahan"])
    columns = ["kelurahan", "kota", "group", "status", LISTED_SHARE, "density_per_km2",
               "flood_prone_share_pct"]  # fmt: skip
    return own[columns].reset_index(drop=True)


def vulnerability_tests(found: pd.DataFrame) -> pd.DataFrame:
    """Whether the highest ten differ from the lowest ten, variable by variable.

    Returns
    -------
    pandas.DataFrame
        ``variable, highest_count, highest_median, lowest_count, lowest_median`` (of the kelurahan
        with a value), ``higher_pct`` (how often one of the highest has more than one of the lowest,
        ties counted half; 50 is no difference) and ``p_value`` (Mann-Whitney, two-sided, exact
        where there are no ties).
    """
    rows = []
    for name in (LISTED_SHARE, "density_per_km2", "flood_prone_share_pct"):
        high, low = (
            found.loc[found["group"] == group, name].dropna()
            for group in (slums.HIGHEST, slums.LOWEST)
        )
        test = stats.mannwhitneyu(high, low) if len(high) and len(low) else None
        rows.append(
            {
                "variable": WORDS[name],
                "highest_count": len(high),
                "highest_median": high.median(),
                "lowest_count": len(low),
                "lowest_median": low.median(),
                "higher_pct": 100 * test.statistic / (len(high) * len(low)) if test else np.nan,
                "p_value": test.pvalue if test else np.nan,
            }
        )
    return pd.DataFrame(rows)


def rw_drawn(
    found: slums.RwBoundaries, listed: pd.DataFrame, boundaries: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """The user's polygons of RW in kota with a list, for `analysis.maps.categories`.

    Parameters
    ----------
    found
        `analysis.slums.read_boundaries`.
    listed
        Table ``slum_rw``.
    boundaries
        `analysis.regions.kelurahan`; of a kelurahan without a polygon of an RW nothing is drawn.

    Returns
    -------
    geopandas.GeoDataFrame
        ``kelurahan_code, kota_code, kota, rw, listed`` (see `LISTED_RW`) and ``geometry``.
    """
    own = found.polygons[found.polygons["kota_code"].isin(slums.KOTA_WITH_LIST)]
    keys = pd.MultiIndex.from_frame(listed[["kelurahan_code", "rw"]])
    on_list = pd.MultiIndex.from_frame(own[["kelurahan_code", "rw"]]).isin(keys)
    drawn = own.assign(
        kota=own["kota_code"].map(regions.KOTA),
        listed=np.where(on_list, slums.LISTED, slums.NONE_LISTED),
    )
    drawn = drawn[["kelurahan_code", "kota_code", "kota", "rw", "listed", "geometry"]]
    drawn = drawn.reset_index(drop=True)
    drawn.attrs["source"] = f"RW of the file given; kelurahan {boundaries.attrs['source']}"
    return drawn


def graded(hot: pd.DataFrame, rate: float) -> pd.DataFrame:
    """``grade`` by area: the cluster, or what it would be named without control (`GRADES`)."""
    alone = (hot["p_value"] <= rate) & (hot["cluster"] == clusters.NEITHER)
    side = pd.Series(np.where(hot["z"] > 0, clusters.HOT, clusters.COLD), index=hot.index)
    return pd.DataFrame({"grade": hot["cluster"].mask(alone, side + _ALONE)})


# ---- tables ----------------------------------------------------------------------------------


def rules_table(described: list[dict]) -> pd.DataFrame:
    """`analysis.neighbours.described` of several rules, one row each."""
    found = pd.DataFrame(described)
    low, high = found.pop("neighbours_min"), found.pop("neighbours_max")
    found.insert(4, "neighbours_range", [f"{a}–{b}" for a, b in zip(low, high, strict=True)])
    return found


def moran_table(found: Mapping[str, Moran]) -> pd.DataFrame:
    """``variable, area_count, moran, low, high, p_value``: one row per variable (a key)."""
    return pd.DataFrame(
        [
            {
                "variable": WORDS[name],
                "area_count": own.area_count,
                "moran": own.value,
                "low": own.low,
                "high": own.high,
                "p_value": own.p_value,
            }
            for name, own in found.items()
        ]
    )


def weights_table(listed: Mapping[str, Moran], within: Mapping[str, Moran]) -> pd.DataFrame:
    """``rule, area_count, moran, p_value, within, within_p``: one row per rule of neighbours."""
    return pd.DataFrame(
        [
            {
                "rule": rule,
                "area_count": own.area_count,
                "moran": own.value,
                "p_value": own.p_value,
                "within": within[rule].value,
                "within_p": within[rule].p_value,
            }
            for rule, own in listed.items()
        ]
    )


def coefficients_table(fitted: SpatialRegression) -> pd.DataFrame:
    """The models side by side, terms in words."""
    found = spatial_regression.wide(fitted)
    return found.assign(term=[_term(name) for name in found["term"]])


def effects_table(fitted: SpatialRegression) -> pd.DataFrame:
    """``model, term`` and direct, indirect and total effects as text, without marks of kota."""
    own = fitted.effects[~fitted.effects["term"].isin(KOTA_MARKS.values())]
    shown = {
        kind: [
            f"{value:.2f} ({error:.2f})".replace("-", "−")
            for value, error in zip(own[kind], own[f"{kind}_se"], strict=True)
        ]
        for kind in ("direct", "indirect", "total")
    }
    terms = [_term(name) for name in own["term"]]
    return pd.DataFrame({"model": own["model"].to_numpy(), "term": terms, **shown})


def folds_table(folds: pd.DataFrame) -> pd.DataFrame:
    """The kota left out of the prediction one by one, with the interval as text."""
    interval = [
        f"{a:.0f}–{b:.0f}" for a, b in zip(folds["low_count"], folds["high_count"], strict=True)
    ]
    found = folds[["kota", "listed_count", "predicted_count"]].assign(interval=interval)
    return found.assign(rank_correlation=folds["rank_correlation"])


def _term(name: str) -> str:
    lagged = name.removeprefix("W ")
    return ("W " if lagged != name else "") + WORDS.get(lagged, lagged)


# ---- words and drawing -----------------------------------------------------------------------


def answer(
    listed: Mapping[str, Moran],
    within: Mapping[str, Moran],
    hot: pd.DataFrame,
    fitted: SpatialRegression,
) -> str:
    """What can be said of the list, in a few sentences; the first rule of neighbours leads."""
    first, inside = next(iter(listed.values())), next(iter(within.values()))
    kind = "resemble" if _alike(first) else "do not clearly resemble"
    still = (
        "also within the kota"
        if _alike(inside)
        else "but not beyond what the different lengths of the three lists make"
    )
    held = sum(_alike(own) for own in within.values())
    named = int((hot["cluster"] == clusters.HOT).sum())
    spots = f"{named} kelurahan are hot spots" if named else "No kelurahan is a hot spot"
    return (
        f"On the published list of three kota, neighbouring kelurahan {kind} each other in the "
        f"share of their RW that is listed (Moran's I {_signed(first.value)}, "
        f"p = {first.p_value:.3f}), {still} ({_signed(inside.value)}, p = {inside.p_value:.3f}); "
        f"within the kota that holds under {held} of {len(within)} rules of neighbours. {spots} "
        f"once false discoveries are controlled. {covariates_words(fitted)} About the other kota "
        "the list says nothing."
    )


def _alike(found: Moran) -> bool:
    return found.p_value <= 0.05 and found.value > found.expected


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def covariates_words(fitted: SpatialRegression) -> str:
    """Which covariates go with the outcome in all models, in some, or in none (p ≤ 0.05)."""
    own = fitted.coefficients[fitted.coefficients["term"].isin(COVARIATES)]
    models = own.loc[own["p_value"] <= 0.05].groupby("term")["model"].agg(list)
    every = own["model"].nunique()
    short = {name: WORDS[name].split(" (")[0] for name in COVARIATES}
    surely = [short[name] for name in COVARIATES if len(models.get(name, [])) == every]
    partly = [
        f"{short[name]} in {' and '.join(models[name])} only"
        for name in COVARIATES
        if 0 < len(models.get(name, [])) < every
    ]
    if surely:
        words = f"With it {'goes' if len(surely) == 1 else 'go'} {' and '.join(surely)}"
        words += f" in all {every} models"
    else:
        listed = f"{', '.join(list(short.values())[:-1])} and {list(short.values())[-1]}"
        words = f"Of {listed}, none goes with it in all {every} models"
    some = f" ({', '.join(partly)})" if partly else ""
    return f"{words}{some}."


def models_words(fitted: SpatialRegression) -> str:
    """Which model the tests and the AIC prefer."""
    aic = fitted.fits.set_index("model")["aic"]
    tests = fitted.tests.set_index("test")["p_value"]
    best = aic.idxmin()
    near = [
        name for name in (OLS, LAG, ERROR, DURBIN) if name != best and aic[name] < aic[best] + 2
    ]
    words = f"By AIC the {best} model is best" + (
        f"; {' and '.join(near)} {'is' if len(near) == 1 else 'are'} within 2 of it."
        if near
        else "."
    )
    heavy = (
        " The residuals of OLS do not have one variance, so that its standard errors and those of "
        "maximum likelihood are approximate."
        if tests["Breusch-Pagan"] <= 0.05
        else ""
    )
    return (
        f"{words} The Lagrange multiplier tests give p = {tests['LM lag']:.3f} for a lag and "
        f"{tests['LM error']:.3f} for correlated errors, the robust ones "
        f"{tests['robust LM lag']:.3f} and {tests['robust LM error']:.3f}; likelihood ratios of "
        f"Durbin against lag {tests['LR Durbin against lag']:.3f}, against error "
        f"{tests['LR Durbin against error (common factor)']:.3f}.{heavy}"
    )


def weights_words(found: Mapping[str, Moran]) -> str:
    """How much Moran's I of one variable depends on the rule of neighbours."""
    values = [own.value for own in found.values()]
    small = sum(own.p_value <= 0.05 for own in found.values())
    return (
        f"Between the rules Moran's I runs from {_signed(min(values))} to "
        f"{_signed(max(values))}; p is at most 0.05 under {small} of {len(found)}."
    )


def contradictions_words(found: pd.DataFrame) -> str:
    """Which of the most vulnerable are not on the list, and which of the least are."""
    high = found[(found["group"] == slums.HIGHEST) & (found["status"] == slums.NONE_LISTED)]
    low = found[(found["group"] == slums.LOWEST) & (found["status"] == slums.LISTED)]
    told = [
        f"Of the {words} vulnerable {', '.join(own['kelurahan']) or 'none'} "
        f"{'has' if len(own) < 2 else 'have'} {what} RW on the list."
        for words, own, what in (("most", high, "no"), ("least", low, "an"))
    ]
    return " ".join(told)


def shortfall_words(missing: pd.DataFrame) -> str:
    """How many RW the largest published totals have beyond the list, by kota."""
    told = [
        f"{row.unlisted_count} in {row.kota} (largest total {row.published_count}, of {row.year})"
        for row in missing.itertuples()
    ]
    return f"Beyond the list the largest published totals have {', '.join(told)}."


def both_words(known: pd.DataFrame, first: str, second: str) -> str:
    """How two variables go together, where both are known: rank correlation with its interval."""
    own = known[[first, second]].dropna()
    rank = float(stats.spearmanr(own[first], own[second]).statistic)
    # Fisher's z with the variance of Bonett and Wright (2000) for rank correlations.
    reach = 1.96 * np.sqrt((1 + rank**2 / 2) / (len(own) - 3))
    low, high = np.tanh(np.arctanh(rank) + np.array([-reach, reach]))
    sure = "apart from zero" if low * high > 0 else "not apart from zero"
    return (
        f"In {len(own)} kelurahan both are known: {WORDS[first]} and {WORDS[second]} have "
        f"a rank correlation of {_signed(rank)} (95 % interval {_signed(low)} to {_signed(high)}): "
        f"{sure}. "
        "Neighbours are not independent, so that the interval is rather too short."
    )


def named_words(local: pd.DataFrame, clusters_named: list[str]) -> str:
    """The kelurahan of some clusters by name, kota by kota; empty if there are none."""
    names = regions.areas().set_index("kelurahan_code")
    told = []
    for cluster in clusters_named:
        codes = local.index[local["cluster"] == cluster]
        by_kota = names.loc[codes].groupby("kota")["kelurahan"]
        if len(codes):
            parts = [f"{kota}: {', '.join(sorted(own))}" for kota, own in by_kota]
            told.append(f"**{cluster}** ({len(codes)}) {'; '.join(parts)}.")
    return " ".join(told)


def draw_bounds(axes: Axes, bounds: pd.DataFrame, high: float) -> None:
    """Bounds of Moran's I by place of the unlisted RW; ``high`` is where chance ends."""
    own = bounds.reset_index(drop=True)
    at = -own.index.to_numpy(dtype="float64")
    axes.hlines(at, own["low"], own["high"], color="C0", linewidth=3)
    axes.plot(own["median"], at, "o", color="C0", markersize=5)
    axes.axvline(own["as_listed"].iloc[0], color="C1", linewidth=1)
    axes.axvline(high, color="0.5", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate(
        "as listed", (own["as_listed"].iloc[0], 0.55), color="C1", fontsize=8, ha="center"
    )
    axes.annotate("by chance up to", (high, 0.55), color="0.35", fontsize=8, ha="center")
    axes.set_yticks(at, own["place"])
    axes.set_ylim(at.min() - 0.5, 0.9)
