"""Poverty maps as a reader sees them: names of areas, tables, words and figures."""

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import provenance, regions
from analysis.poverty_map.estimation import KECAMATAN, KELURAHAN, LEVEL, PovertyMap, poorest


def named(
    areas: pd.DataFrame, level: str, invented: pd.DataFrame | None, official: pd.DataFrame
) -> pd.DataFrame:
    """The areas with an ``area_name``: an invented one once anything simulated has been read.

    Nothing that rests on invented poverty carries the name of a real kelurahan.

    Parameters
    ----------
    areas
        `PovertyMap.areas`.
    level
        Of the areas.
    invented
        ``kelurahan_code, area_name`` of a synthetic city; None where there are none. It has names
        of kelurahan only: another area of simulated data is ``Area`` with a number.
    official
        ``kelurahan_code, kelurahan, kecamatan_code, kecamatan`` (`analysis.regions.areas`).
    """
    listed = official.drop_duplicates(f"{level}_code").set_index(f"{level}_code")[level]
    if invented is not None and level == KELURAHAN:
        names = invented.set_index("kelurahan_code")["area_name"]
    elif provenance.synthetic() or invented is not None:
        # By the whole list, so that an area has the same number in the report of its kota alone.
        codes = sorted(set(listed.index) | set(areas["area_code"]))
        names = pd.Series({code: f"Area {i}" for i, code in enumerate(codes, start=1)})
    else:
        names = listed
    return areas.assign(area_name=areas["area_code"].map(names))


def drawn(boundaries: gpd.GeoDataFrame, areas: pd.DataFrame, level: str) -> gpd.GeoDataFrame:
    """The polygons of a level with the columns of its areas, for `analysis.maps.choropleth`.

    Those of the kota that the areas lie in.
    """
    polygons = boundaries.assign(kecamatan_code=boundaries["kelurahan_code"].str[:7])
    if level == KECAMATAN:
        polygons = polygons.dissolve("kecamatan_code", as_index=False, method="coverage")
    polygons = polygons[polygons["kota_code"].isin(set(areas["kota_code"]))]
    merged = polygons[[f"{level}_code", "kota_code", "kota", "geometry"]].merge(
        areas.drop(columns="kota_code"), left_on=f"{level}_code", right_on="area_code", how="left"
    )
    merged.attrs = boundaries.attrs
    return merged


# What the columns of the tables are called, and how many decimals they have.
HEADERS = {
    "area_name": "Area",
    "area": "Area",
    "n_households": "Households",
    "se_points": "Standard error (points)",
    "official_p0_pct": "Official (%)",
    "kota": "Kota",
    "p0_pct": "P0 (%)",
    "lower_pct": "95 % from",
    "upper_pct": "to",
    "rmse_points": "RMSE (points)",
    "cv_pct": "CV (%)",
    "p1_pct": "P1 (%)",
    "p1_rmse_points": "RMSE of P1",
    "poor_count": "Poor (persons)",
    "poor_share_pct": "Share of all poor (%)",
    "model_p0_pct": "Model (%)",
    "factor": "Factor",
    "grade": "Grade",
    "asked": "Asked",
    "chance_pct": "Poorest tenth (%)",
    "change_points": "Change (points)",
    "lower_points": "95 % from",
    "upper_points": "to",
    "model_kecamatan_pct": "By kecamatan (%)",
    "factor_kecamatan": "Factor",
    "model_kelurahan_pct": "By kelurahan (%)",
    "factor_kelurahan": "Factor",
    "transformation": "Transformation",
    "parameter": "Parameter",
    "aic": "AIC",
    "bic": "BIC",
    "skewness": "Skewness",
    "kurtosis": "Excess kurtosis",
    "r2": "R² of the covariates",
    "icc": "Share of the areas",
    "covariates": "Covariates",
    "terms": "Coefficients",
    "sigma2_u": "Variance between areas",
    "edition": "Edition",
    "level": "Level",
    "area_count": "Intervals",
    "coverage_pct": "Hold the truth (%)",
    "coverage_se_points": "Monte Carlo error",
    "rmse_true_points": "RMSE (points)",
    "rmse_said_points": "as the maps say",
}
_WHOLE = ("grade", "chance_pct", "cv_pct", "poor_count", "n_households", "terms", "area_count")
DECIMALS = dict.fromkeys(HEADERS, 2) | dict.fromkeys(_WHOLE, 0)
DECIMALS |= {"poor_share_pct": 1, "aic": 1, "bic": 1, "coverage_pct": 1, "coverage_se_points": 1}
DECIMALS |= {"icc": 3, "r2": 3, "sigma2_u": 4}
# Of the two tables with a row for every area and thirteen columns.
WIDTHS = (0.11, 0.16, *[0.73 / 11] * 11)
_DIGITS_OF_FILE = 4


def direct_table(shown: pd.DataFrame, kota_code: str = "") -> pd.DataFrame:
    """Direct estimates beside the official ones (`analysis.households.published`).

    With a code those of the kota and of DKI Jakarta.
    """
    columns = ["area", "n_households", "p0_pct", "se_points", "lower_pct", "upper_pct"]
    own = shown["area_code"].isin([kota_code, "31"]) | (kota_code == "")
    return shown.loc[own, [*columns, "official_p0_pct"]]


def factor_table(made: Mapping[str, PovertyMap]) -> pd.DataFrame:
    """By kota: what the models give, and the factors that make the areas add up to it."""
    parts = []
    for level, own in made.items():
        poor = own.areas["model_p0_pct"] * own.areas["population_count"]
        kota = own.areas["kota_code"]
        persons = own.areas["population_count"].groupby(kota).sum()
        parts += [
            (poor.groupby(kota).sum() / persons).rename(f"model_{level}_pct"),
            own.areas.groupby(kota)["factor"].first().rename(f"factor_{level}"),
        ]
        adjusted = (own.areas["p0_pct"] * own.areas["population_count"]).groupby(kota).sum()
        target = (adjusted / persons).rename("p0_pct")
    table = pd.concat([target, *parts], axis=1).reset_index()
    table.insert(0, "kota", table.pop("kota_code").map(regions.KOTA))
    return table


def area_table(named: pd.DataFrame) -> pd.DataFrame:
    """The areas as a reader wants them, poorest first."""
    table = _with_kota(named).sort_values("p0_pct", ascending=False)
    columns = ["area_name", "kota", "p0_pct", "lower_pct", "upper_pct", "rmse_points", "cv_pct"]
    columns += ["p1_pct", "p1_rmse_points", "poor_count", "model_p0_pct", "factor", "grade"]
    return table[columns]


def appendix_table(named: pd.DataFrame, chance: pd.Series) -> pd.DataFrame:
    """All areas in the order of their names, kota by kota: to look one up, and not a ranking."""
    table = _with_kota(named).assign(
        chance_pct=100 * named["area_code"].map(chance),
        asked=np.where(named["synthetic"], "no", "yes"),
    )
    columns = ["area_name", "kota", "p0_pct", "lower_pct", "upper_pct", "rmse_points", "cv_pct"]
    columns += ["p1_pct", "p1_rmse_points", "poor_count", "chance_pct", "asked", "grade"]
    return table.sort_values(["kota_code", "area_name"])[columns]


def file_table(mapped: PovertyMap, named: pd.DataFrame, chance: pd.Series) -> pd.DataFrame:
    """All that is known of the areas of a level, for `analysis.display.show_file`.

    Without the codes where anything simulated has been read: they are those of real areas.
    """
    table = _with_kota(named).assign(
        level=mapped.level,
        period=mapped.period,
        cv=named["cv"],
        poorest_tenth_probability=named["area_code"].map(chance),
        asked=np.where(named["synthetic"], "no", "yes"),
    )
    codes = [] if provenance.synthetic() else ["area_code", "kota_code"]
    columns = [*codes, "level", "area_name", "kota", "period", "population_count", "p0_pct"]
    columns += ["lower_pct", "upper_pct", "rmse_points", "cv", "p1_pct", "p1_rmse_points"]
    columns += ["poor_count", "poorest_tenth_probability", "asked", "grade"]
    columns += ["model_p0_pct", "factor"]
    table = table.sort_values(["kota_code", "area_name"])[columns].reset_index(drop=True)
    counts = ["poor_count", "population_count"]
    return table.round(_DIGITS_OF_FILE).assign(**table[counts].round().astype("int64"))


def change_table(named: pd.DataFrame, changed: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """The changes that stand out most from their own error, with their intervals."""
    table = _with_kota(named)[["area_code", "area_name", "kota"]].merge(
        changed, on="area_code", validate="1:1"
    )
    clear = (table["change_points"] / table["rmse_points"]).abs().nlargest(most).index
    columns = ["area_name", "kota", "change_points", "rmse_points", "lower_points", "upper_points"]
    return table.loc[clear, columns]


def _with_kota(named: pd.DataFrame) -> pd.DataFrame:
    return named.assign(kota=named["kota_code"].map(regions.KOTA), cv_pct=100 * named["cv"])


def poorest_table(named: pd.DataFrame, chance: pd.Series, most: int = 15) -> pd.DataFrame:
    """The areas with the highest probability of `poorest`, and what share of the poor they hold."""
    table = named.assign(
        kota=named["kota_code"].map(regions.KOTA),
        chance_pct=100 * named["area_code"].map(chance),
        poor_share_pct=100 * named["poor_count"] / named["poor_count"].sum(),
    ).nlargest(most, "chance_pct")
    columns = ["area_name", "kota", "chance_pct", "p0_pct", "lower_pct", "upper_pct", "grade"]
    return table[[*columns, "poor_share_pct"]]


# ---- in words --------------------------------------------------------------------------------


def answer(made: Mapping[str, PovertyMap]) -> str:
    """What the maps say, first thing."""
    if not made:
        return "Below the kota nothing can be estimated from these files."
    told = [f"{range_words(own)} {precision_words(own)}" for own in made.values()]
    if KELURAHAN in made:
        told.append(poorest_words(poorest(made[KELURAHAN].areas), made[KELURAHAN].areas))
    return " ".join(told)


def unavailable(level: str) -> str:
    """What stands in place of the figures of a level that the files do not allow."""
    return f"No figures by {level}: what these files would need for them is in the answer above."


def range_words(mapped: PovertyMap) -> str:
    """Lowest and highest estimate, with their intervals and no names."""
    own = mapped.areas.sort_values("p0_pct")
    low, high = own.iloc[0], own.iloc[-1]
    return (
        f"By {mapped.level} P0 runs from {low['p0_pct']:.1f} % ({low['lower_pct']:.1f} to "
        f"{low['upper_pct']:.1f}) to {high['p0_pct']:.1f} % ({high['lower_pct']:.1f} to "
        f"{high['upper_pct']:.1f})."
    )


def model_words(made: Mapping[str, PovertyMap]) -> str:
    """Transformation, variances and what `analysis.sae.diagnose` objects to, by level."""
    told = [] if made else ["There is no model: nothing below the kota can be estimated."]
    for level, own in made.items():
        fit, found = own.fit, own.diagnosis.findings
        objections = "; ".join(found) if found else "nothing speaks against it"
        told.append(
            f"By {level} ({fit.transformation}): variance between areas {fit.sigma2_u:.4f}, "
            f"between households {fit.sigma2_e:.4f}; {objections}."
        )
    return " ".join(told)


def precision_words(mapped: PovertyMap) -> str:
    """How precise the figures of a level are, in a sentence."""
    areas = mapped.areas
    counts = areas["grade"].value_counts()
    graded = ", ".join(f"{counts.get(g, 0)} of grade {g}" for g in (1, 2, 3))
    outside = int(areas["synthetic"].sum())
    unasked = f" {outside} were not asked at all and rest on the model alone." if outside else ""
    return (
        f"Of {len(areas)} {mapped.level}, {graded}. The median RMSE is "
        f"{areas['rmse_points'].median():.2f} points at a median P0 of "
        f"{areas['p0_pct'].median():.2f} %.{unasked}"
    )


def factor_words(mapped: PovertyMap) -> str:
    """The benchmark factors, and whether one of them speaks against the model."""
    factor = mapped.areas["factor"]
    if np.allclose(factor, 1, atol=1e-9):
        return "There is no official figure to add up to: the estimates are those of the model."
    low, high = factor.min(), factor.max()
    one = len(set(mapped.areas["kota_code"])) == 1
    words = f"The factors that make the {mapped.level} add up to their kota "
    words += f"are {low:.2f}. " if one else f"run from {low:.2f} to {high:.2f}. "
    if (factor - 1).abs().max() > 0.3:
        return words + "A factor so far from 1 is a sign of a wrong model or of different frames."
    return words + "None is far from 1."


def poorest_words(chance: pd.Series, areas: pd.DataFrame, share: float = 0.1) -> str:
    """How many areas are surely, and how many possibly, among the poorest; what they hold."""
    count = max(1, round(share * len(chance)))
    likely = areas["area_code"].isin(chance.nlargest(count).index)
    poor = areas.loc[likely, "poor_count"].sum() / areas["poor_count"].sum()
    people = areas.loc[likely, "population_count"].sum() / areas["population_count"].sum()
    return (
        f"{count} of {len(chance)} areas make the poorest {100 * share:.0f} %. "
        f"{int((chance > 0.9).sum())} belong to them with a probability above 90 %, "
        f"{int((chance > 0.5).sum())} with more than 50 %; {int((chance > 0.05).sum())} cannot be "
        f"ruled out at 5 %. The {count} likeliest hold {100 * poor:.0f} % of the poor and "
        f"{100 * people:.0f} % of the people."
    )


def changes_words(table: pd.DataFrame, level: str) -> str:
    """How many changes are distinguishable from none."""
    sure = table[table["distinguishable"]]
    up, down = int((sure["change_points"] > 0).sum()), int((sure["change_points"] < 0).sum())
    by_chance = (1 - LEVEL) * len(table)
    return (
        f"Of {len(table)} {level}, P0 changed distinguishably from none in {len(sure)}: it rose in "
        f"{up} and fell in {down}. About {by_chance:.0f} would seem to by chance alone."
    )


# ---- drawing ---------------------------------------------------------------------------------


def draw_ladder(axes: Axes, areas: pd.DataFrame) -> None:
    """All areas in the order of their P0, with intervals, in percent; synthetic ones hollow."""
    own = areas.sort_values("p0_pct").reset_index(drop=True)
    error = np.vstack([own["p0_pct"] - own["lower_pct"], own["upper_pct"] - own["p0_pct"]])
    axes.errorbar(
        own.index, own["p0_pct"], error, fmt="none", ecolor="#9db8d2", elinewidth=0.8, zorder=1
    )
    for synthetic, face, words in ((False, "C0", "asked"), (True, "white", "model alone")):
        part = own[own["synthetic"] == synthetic]
        if len(part):
            axes.scatter(
                part.index, part["p0_pct"], s=9, facecolor=face, edgecolor="C0", linewidth=0.7,
                label=words, zorder=2,
            )  # fmt: skip
    axes.set_xticks([])
    axes.set_ylim(bottom=0)


def draw_changes(axes: Axes, changed: pd.DataFrame) -> None:
    """Changes of P0 in their order, with intervals, in points; those that are none hollow."""
    own = changed.sort_values("change_points").reset_index(drop=True)
    reach = own["upper_points"] - own["change_points"]
    axes.errorbar(
        own.index, own["change_points"], reach, fmt="none", ecolor="#9db8d2", elinewidth=0.8,
        zorder=1,
    )  # fmt: skip
    for sure, face, words in (
        (False, "white", "not distinguishable from none"),
        (True, "C1", "distinguishable"),
    ):
        part = own[own["distinguishable"] == sure]
        if len(part):
            axes.scatter(
                part.index, part["change_points"], s=9, facecolor=face, edgecolor="C0",
                linewidth=0.7, label=words, zorder=2,
            )  # fmt: skip
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.set_xticks([])
