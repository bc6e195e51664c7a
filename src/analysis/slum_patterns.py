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

from analysis import clusters, floods, maps, neighbours, regions, slums, spatial_regression
from analysis.clusters import Moran
from analysis.spatial_regression import DURBIN, ERROR, LAG, OLS, SpatialRegression

LISTED_SHARE, SLUM_SHARE = "listed_share_pct", "slum_share_pct"
WITHIN_KOTA, STANDARDISED = "listed_share_within_kota", "listed_share_standardised"
COVARIATES = ("log2_density", "flood_prone_share_pct", "residents_per_rw_thousand")
KOTA_MARKS = {"3173": "kota_pusat", "3175": "kota_utara"}  # against Jakarta Selatan
WORDS = {
    LISTED_SHARE: "listed share of RW",
    WITHIN_KOTA: "the same, within the kota",
    STANDARDISED: "the same, by the number of RW",
    SLUM_SHARE: "slum share where any is listed",
    "density_per_km2": "residents per km²",
    "population_count": "residents",
    "flood_prone_share_pct": "flood-prone share of RW",
    "log2_density": "density (each doubling)",
    "residents_per_rw_thousand": "residents per RW (thousand)",
    "kota_pusat": "Jakarta Pusat (not Selatan)",
    "kota_utara": "Jakarta Utara (not Selatan)",
}


# Gi* in grades: named, or what would be named if there were one test only.
_ALONE = " taken alone"
GRADES = {
    clusters.HOT: maps.Class("hot spot", "#8c0d25"),
    clusters.HOT + _ALONE: maps.Class("hot, but only taken alone", "#e08a72"),
    clusters.COLD + _ALONE: maps.Class("cold, but only taken alone", "#a9d3ec"),
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
    "rw": "RW",
    "why": "What is odd",
    "slum_rw_listed_count": "Listed by RW",
    "latest": "Latest total (year)",
    "largest": "Largest total (year)",
    "listed_of_largest_pct": "Listed / largest (%)",
    "model": "Model",
    "direct": "Direct",
    "indirect": "Indirect",
    "total": "Total",
    LAG: "Lag",
    ERROR: "Error",
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
    "listed_of_largest_pct": 0,
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
        ``slum_rw_listed_count`` (zero where none is listed), ``slum_share_pct`` (missing unless
        an RW is listed), and 0 or 1 for each kota of `KOTA_MARKS`.
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
    listed = own["slum_rw_listed_count"].astype("Float64").astype("float64")
    own["log2_density"] = np.log2(own["density_per_km2"])
    own["residents_per_rw_thousand"] = own["population_count"] / rw / 1000
    own[SLUM_SHARE] = 100 * listed / rw
    none = own["status"] == slums.NONE_LISTED
    own[LISTED_SHARE] = own[SLUM_SHARE].mask(none, 0.0)
    own["slum_rw_listed_count"] = listed.mask(none, 0.0)
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


def rw_morans(
    drawn: gpd.GeoDataFrame, nearest_count: int, *, permutations: int = 999, seed: int = 0
) -> dict[str, Moran]:
    """Whether listed RW are near other listed RW, within the kota and within the kelurahan.

    Parameters
    ----------
    drawn
        `rw_drawn`.
    nearest_count
        Of the RW by their centroids: borders of such files need not meet.
    permutations, seed
        As for `analysis.clusters.moran_within`.
    """
    own = drawn.assign(rw_code=drawn["kelurahan_code"] + drawn["rw"])
    near = neighbours.nearest(own, nearest_count, code="rw_code")
    own = own.set_index("rw_code")
    on_list = (own["listed"] == slums.LISTED).astype("float64").rename("being listed")
    return {
        words: clusters.moran_within(on_list, own[f"{words}_code"], near,
                                     permutations=permutations, seed=seed)
        for words in ("kota", "kelurahan")
    }  # fmt: skip


def rw_words(found: Mapping[str, Moran]) -> str:
    """What `rw_morans` found, in sentences."""
    told = [
        f"{_signed(own.value)} within the {within} (by chance {_signed(own.low)} to "
        f"{_signed(own.high)})"
        for within, own in found.items()
    ]
    first = next(iter(found.values()))
    return (
        f"RW by RW, Moran's I of being on the list is {' and '.join(told)}, with "
        f"{first.rule} among {first.area_count:,} RW. Inside a group without a pattern it is "
        "rather below zero, since the mean of the group is taken off."
    )


def graded(hot: pd.DataFrame, rate: float) -> pd.DataFrame:
    """``grade`` by area: the cluster, or what it would be named without control (`GRADES`)."""
    alone = (hot["p_value"] <= rate) & (hot["cluster"] == clusters.NEITHER)
    side = pd.Series(np.where(hot["z"] > 0, clusters.HOT, clusters.COLD), index=hot.index)
    return pd.DataFrame({"grade": hot["cluster"].mask(alone, side + _ALONE)})


# ---- tables ----------------------------------------------------------------------------------


def known_table(completeness: pd.DataFrame) -> pd.DataFrame:
    """By kota: the list, and the latest and the largest published total, each with its year.

    ``completeness`` is that of `analysis.slums`. Returns ``kota, slum_rw_listed_count, latest,
    largest, listed_of_largest_pct``; missing where nothing is published. The totals are of other
    years and counts than the list: neither is *the* total of it.
    """
    rows = []
    for kota, own in completeness.groupby("kota", sort=False):
        totals = own.dropna(subset=["published_count"]).sort_values("year")
        listed = own["slum_rw_listed_count"].iloc[0]
        row = {"kota": kota, "slum_rw_listed_count": listed}
        if len(totals):
            last = totals.iloc[-1]
            most = totals.loc[totals["published_count"].idxmax()]
            row |= {
                name: f"{each['published_count']} ({each['year']})"
                for name, each in (("latest", last), ("largest", most))
            }
            share = np.nan if pd.isna(listed) else 100 * listed / most["published_count"]
            row["listed_of_largest_pct"] = float(share)
        rows.append(row)
    found = pd.DataFrame(rows)
    return found.astype({"slum_rw_listed_count": "Int64"})


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
    bounds: pd.DataFrame,
    hot: pd.DataFrame,
    fitted: SpatialRegression,
) -> str:
    """What can be said of the list, in a few sentences; the first rule of neighbours leads.

    ``bounds`` are those of Moran's I (`analysis.under_listing.bounds`).
    """
    first, inside = next(iter(listed.values())), next(iter(within.values()))
    kind = "resemble" if _alike(first) else "do not clearly resemble"
    still = (
        "also within the kota"
        if _alike(inside)
        else "but not beyond what the different lengths of the three lists make"
    )
    held, inside_held = (sum(_alike(own) for own in of.values()) for of in (listed, within))
    count, low, high = len(listed), bounds["low"].min(), bounds["high"].max()
    named = int((hot["cluster"] == clusters.HOT).sum())
    spots = f"{named} kelurahan are hot spots" if named else "No kelurahan is a hot spot"
    return (
        f"On the published list of three kota, neighbouring kelurahan {kind} each other in the "
        f"share of their RW that is listed (Moran's I {_signed(first.value)}, "
        f"p = {first.p_value:.3f}), {still} ({_signed(inside.value)}, p = {inside.p_value:.3f}). "
        f"That holds under {held} of {count} rules of neighbours, within the kota under "
        f"{inside_held}. With the RW that the list lacks put back at random Moran's I lies between "
        f"{_signed(low)} and {_signed(high)}, where chance reaches {_signed(first.high)}. {spots} "
        f"once false discoveries are controlled. {covariates_words(fitted)} About the other kota "
        "the list says nothing."
    )


def _alike(found: Moran) -> bool:
    return found.significant and found.value > found.expected


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
    best = spatial_regression.preferred(fitted)
    near = [
        name for name in (OLS, LAG, ERROR, DURBIN) if name != best and aic[name] < aic[best] + 2
    ]
    words = f"By AIC the {best} model is best" + (
        f"; the {' and '.join(near)} model{'s are' * (len(near) > 1) or ' is'} within 2 of it, "
        "which is no difference."
        if near
        else "."
    )
    heavy = f" {_robust_words(fitted)}" if tests["Breusch-Pagan"] <= 0.05 else ""
    return (
        f"{words} The Lagrange multiplier tests give p = {tests['LM lag']:.3f} for a lag and "
        f"{tests['LM error']:.3f} for correlated errors, the robust ones "
        f"{tests['robust LM lag']:.3f} and {tests['robust LM error']:.3f}; likelihood ratios of "
        f"Durbin against lag {tests['LR Durbin against lag']:.3f}, against error "
        f"{tests['LR Durbin against error (common factor)']:.3f}.{heavy}"
    )


def _robust_words(fitted: SpatialRegression) -> str:
    own = fitted.robust[fitted.robust["term"].isin(COVARIATES)]
    apart = list(dict.fromkeys(own.loc[own["p_value"] <= 0.05, "term"]))
    named = f"{' and '.join(WORDS[name].split(' (')[0] for name in apart)} still"
    return (
        "The residuals do not have one variance, so that the standard errors of the table are "
        "approximate; with errors that allow for it (HC3 for OLS, generalised moments for the "
        f"error model) {named if apart else 'no covariate'} "
        f"{'goes' if len(apart) < 2 else 'go'} with the outcome."
    )


def survival_words(bounds: pd.DataFrame, high: float) -> str:
    """Whether Moran's I is more than chance with the unlisted RW put back; ``high`` is chance."""
    above = bounds.loc[bounds["low"] > high, "place"]
    told = f" ({', '.join(above)})" if 0 < len(above) < len(bounds) else ""
    return (
        f"Chance reaches {_signed(high)}: the middle 95 % of the draws lie above that for "
        f"{len(above)} of {len(bounds)} ways of putting them back{told}."
    )


def weights_words(found: Mapping[str, Moran]) -> str:
    """How much Moran's I of one variable depends on the rule of neighbours."""
    values = [own.value for own in found.values()]
    small = sum(own.significant for own in found.values())
    return (
        f"Between the rules Moran's I runs from {_signed(min(values))} to "
        f"{_signed(max(values))}; p is below 0.05, by more than its error from the number of "
        f"permutations, under {small} of {len(found)}."
    )


def contradictions_words(found: pd.DataFrame) -> str:
    """Which of the most vulnerable are not on the list, and which of the least are."""
    with_list = found[found["status"] != slums.NOT_PUBLISHED]
    high = with_list[with_list["group"] == slums.HIGHEST]
    low = with_list[with_list["group"] == slums.LOWEST]
    missed, odd = high[high["status"] != slums.LISTED], low[low["status"] == slums.LISTED]
    return (
        f"Of the {len(high)} most vulnerable with a list {len(high) - len(missed)} have an RW on it"
        f"{_named(missed, 'not')}, of the {len(low)} least vulnerable {len(odd)}{_named(odd)}."
    )


def _named(own: pd.DataFrame, word: str = "") -> str:
    return f" ({' '.join(filter(None, [word, ', '.join(own['kelurahan'])]))})" if len(own) else ""


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
        "Neighbours are not independent, so that the interval is rather too short; and it says "
        "nothing of kelurahan without a listed RW."
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
