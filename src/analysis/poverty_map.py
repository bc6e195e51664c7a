"""Poverty by kecamatan and kelurahan, with what is known and not known of it.

The estimates are those of `analysis.sae.empirical_best` on a survey and a census, by person,
benchmarked to the official headcount of each kota. What a single figure may be used for is limited:
so every area carries its RMSE in points, an interval, a grade, and the probability of being among
the poorest.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from analysis import households, regions, sae
from analysis.microdata import Microdata
from analysis.sae.transformations import Transformation

KECAMATAN, KELURAHAN = "kecamatan", "kelurahan"
RATIO = "welfare"  # per person, as a multiple of the line (`analysis.households.welfare`)
COVARIATES = (
    "kota_code", "household_size", "head_age", "head_female", "head_schooling", "head_work",
    "dwelling_owned", "floor_area_m2", "water", "toilet", "has_car", "has_motorcycle",
    "has_refrigerator", "has_ac", "has_computer", "slum_rw",
)  # fmt: skip
_PERSONS = "person_count"
LEVEL = 0.95


class PovertyMapError(ValueError):
    """A map cannot be made from what is there."""


@dataclass(frozen=True, eq=False)
class PovertyMap:
    """Estimates of one level and period.

    Attributes
    ----------
    level, period
        ``kecamatan`` or ``kelurahan``; the period of the survey.
    areas
        One row per area of the census: ``area_code, kota_code, n_sample`` (households),
        ``population_count, household_count, p0_pct, p1_pct, poor_count, rmse_points, cv,
        lower_pct, upper_pct`` (95 per cent, see `estimate`), ``model_p0_pct`` (before
        benchmarking), ``factor, shrinkage, synthetic`` (no household of it was asked), ``grade``.
    fit
        The model.
    benchmark
        The factors by kota.
    diagnosis
        What speaks against the model.
    """

    level: str
    period: str
    areas: pd.DataFrame
    fit: sae.EmpiricalBest
    benchmark: sae.Benchmark
    diagnosis: sae.Diagnosis


def covariates(survey: pd.DataFrame, census: pd.DataFrame) -> list[str]:
    """The canonical covariates that both tables have in every row, and that vary."""
    return [
        name
        for name in COVARIATES
        if all(name in t and t[name].notna().all() for t in (survey, census))
        and (survey[name] != survey[name].iloc[0]).any()
    ]


def estimate(
    survey: pd.DataFrame,
    census: pd.DataFrame,
    official_p0_pct: Mapping[str, float] | None,
    covariates: Sequence[str],
    *,
    level: str,
    period: str,
    transformation: str = "box-cox",
    replicates: int = 200,
    seed: int = 0,
    executor: Executor | None = None,
    rule: sae.GradeRule | None = None,
) -> PovertyMap:
    """Estimate P0 and P1 by area and benchmark them to the kota.

    Parameters
    ----------
    survey
        Households of one period with ``welfare`` (per person, over the line of the
        kota), codes and covariates.
    census
        Patterns of the covariates with ``count`` and ``household_size``, and codes.
    official_p0_pct
        The official headcount by kota, in percent of persons; None where there is none (with
        another line): the estimates are then those of the model, and every factor is 1.
    covariates
        Columns of both.
    level
        ``kecamatan`` or ``kelurahan``; the effects of the model are at that level.
    period
        For the record.
    transformation, replicates, seed, executor
        As in `analysis.sae.empirical_best`.
    rule
        Of the grades.

    Returns
    -------
    PovertyMap
        The interval is that of a beta distribution with the estimate as its mean and the MSE as
        its variance: near zero a normal one would reach below it, and be too short above. A
        lower end of less than half a household is none, since an area may have no poor at all.

    Raises
    ------
    PovertyMapError
        The level is unknown, a kota of the census has no official headcount or no household in
        the survey, or codes are missing.
    analysis.sae.SaeError
        The model cannot be fitted.

    Notes
    -----
    The bootstrap of `analysis.sae` takes persons as drawn one by one; members of a household are
    poor together. With s the sizes of the households of an area, the variance that this leaves out
    is ``f p (1 - p) (sum s^2 - sum s) / (sum s)^2`` of the area's own headcount, and is added to
    the MSE; f, the share of p (1 - p) that the covariates do not decide, is taken from the survey.
    It matters where an area has a few hundred households only.
    """
    if level not in (KECAMATAN, KELURAHAN):
        raise PovertyMapError(f"level {level!r} is unknown: there are {KECAMATAN}, {KELURAHAN}")
    area = f"{level}_code"
    for name, table in (("survey", survey), ("census", census)):
        if area not in table or table[area].isna().any():
            raise PovertyMapError(
                f"the {name} does not carry {area} in every row: estimates by {level} need it"
            )
    sizes = _sizes(census, area)
    kota = sizes.index.str[:4]
    official = dict.fromkeys(kota, 0.0) if official_p0_pct is None else dict(official_p0_pct)
    lost = sorted({code for code in kota if pd.isna(official.get(code))})
    if lost:
        raise PovertyMapError(f"kota {', '.join(lost)} has no official headcount in {period}")
    # The most frequent kota is the one that the others are compared with.
    often = survey["kota_code"].value_counts().index
    ordered = {"kota_code": pd.CategoricalDtype(often)}
    lost = sorted(set(census["kota_code"]) - set(often))
    if lost:
        raise PovertyMapError(f"the survey has no household in kota {', '.join(lost)}")
    survey = survey.astype(ordered)
    persons = census.astype(ordered).assign(
        **{_PERSONS: census["count"] * census["household_size"]}
    )
    fit = sae.empirical_best(
        survey,
        persons,
        welfare=RATIO,
        covariates=list(covariates),
        area=area,
        line=1.0,
        transformation=transformation,
        count=_PERSONS,
        replicates=replicates,
        seed=seed,
        executor=executor,
        progress=False,
    )
    table = fit.areas.set_index("area")
    sizes = sizes.loc[table.index]
    p0 = table["p0"]
    together = (sizes["squares"] - sizes["persons"]) / sizes["persons"] ** 2
    mse = fit.mse.set_index("area")["p0"] + _undecided(fit) * p0 * (1 - p0) * together
    raw = pd.DataFrame(
        {"area": table.index, "estimate": p0.to_numpy(), "mse": mse.to_numpy()}
    ).assign(synthetic=table["synthetic"].to_numpy())
    by = pd.Series(table.index.str[:4], index=table.index)
    if official_p0_pct is None:
        target = (p0 * sizes["persons"]).groupby(by).sum() / sizes["persons"].groupby(by).sum()
    else:
        target = {code: official[code] / 100 for code in set(kota)}
    benchmark = sae.benchmark(raw, target, sizes["persons"], by=by)
    found = benchmark.areas.set_index("area").loc[table.index]
    share, variance = found["benchmarked"], found["mse_benchmarked"]
    lower, upper = _beta_interval(share, variance, sizes["households"])
    grades = (rule or sae.GradeRule()).grade(
        pd.DataFrame(
            {"estimate": share, "rmse": np.sqrt(variance), "synthetic": found["synthetic"]}
        )
    )
    areas = pd.DataFrame(
        {
            "area_code": table.index,
            "kota_code": by.to_numpy(),
            "n_sample": table["n_sample"].to_numpy(),
            "population_count": sizes["persons"].to_numpy(),
            "household_count": sizes["households"].to_numpy(),
            "p0_pct": 100 * share.to_numpy(),
            "p1_pct": 100 * (table["p1"] * found["factor"]).to_numpy(),
            "poor_count": (share * sizes["persons"]).to_numpy(),
            "rmse_points": 100 * np.sqrt(variance).to_numpy(),
            "cv": (np.sqrt(variance) / share).to_numpy(),
            "lower_pct": 100 * lower,
            "upper_pct": 100 * upper,
            "model_p0_pct": 100 * p0.to_numpy(),
            "factor": found["factor"].to_numpy(),
            "shrinkage": table["shrinkage"].to_numpy(),
            "synthetic": found["synthetic"].to_numpy(),
            "grade": grades.to_numpy(),
        }
    )
    diagnosis = sae.diagnose(fit, indicator="p0")
    return PovertyMap(level, period, areas, fit, benchmark, diagnosis)


def _sizes(census: pd.DataFrame, area: str) -> pd.DataFrame:
    """``persons, households, squares`` (of household sizes, summed) by area."""
    count, size = census["count"].astype(float), census["household_size"].astype(float)
    parts = {"persons": count * size, "households": count, "squares": count * size**2}
    return pd.DataFrame(parts).groupby(census[area].astype(str)).sum()


def _undecided(fit: sae.EmpiricalBest) -> float:
    """Mean of p_h (1 - p_h) over the households of the survey, relative to that of their mean."""
    model = fit.fit
    h = Transformation(model.transformation, model.transformation_parameter, model.shift)
    line = float(h.forward(np.array([fit.line]))[0])
    expected = model.fitted + model.area_codes.map(model.effects)
    poor = special.ndtr((line - expected.to_numpy()) / np.sqrt(model.sigma2_e))
    return float(np.mean(poor * (1 - poor)) / (poor.mean() * (1 - poor.mean())))


def _beta(share: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = np.clip(share, 1e-6, 1 - 1e-6)
    variance = np.clip(variance, 1e-12, 0.98 * share * (1 - share))
    size = share * (1 - share) / variance - 1
    return share * size, (1 - share) * size


def _beta_interval(
    share: pd.Series, variance: pd.Series, households: pd.Series
) -> tuple[np.ndarray, np.ndarray]:
    a, b = _beta(share.to_numpy(), variance.to_numpy())
    lower, upper = (stats.beta.ppf(q, a, b) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return np.where(lower * households.to_numpy() < 0.5, 0.0, lower), upper


def poorest(areas: pd.DataFrame, share: float = 0.1, draws: int = 4000, seed: int = 0) -> pd.Series:
    """Probability of being among the poorest areas, by area code.

    By draws of every area's P0 from its beta distribution, independently: a rank alone would hide
    how uncertain it is.

    Parameters
    ----------
    areas
        `PovertyMap.areas`.
    share
        Of the areas (0.1 is the poorest tenth), at least one.
    """
    a, b = _beta(areas["p0_pct"].to_numpy() / 100, (areas["rmse_points"].to_numpy() / 100) ** 2)
    drawn = np.random.default_rng(seed).beta(a, b, size=(draws, len(areas)))
    count = max(1, round(share * len(areas)))
    limit = np.partition(drawn, -count, axis=1)[:, -count]
    found = (drawn >= limit[:, None]).mean(axis=0)
    return pd.Series(found, index=areas["area_code"], name="poorest_probability")


def changes(before: PovertyMap, after: PovertyMap) -> pd.DataFrame:
    """Change of P0 by area between two maps of the same level.

    Returns
    -------
    pandas.DataFrame
        ``area_code, change_points, rmse_points, lower_points, upper_points, distinguishable``
        (zero is outside the interval). The errors of the two are taken as independent; effects of
        areas persist, so that the true errors of a change are rather smaller than larger.
    """
    if before.level != after.level:
        raise PovertyMapError(f"maps of {before.level} and of {after.level} are not comparable")
    columns = ["area_code", "p0_pct", "rmse_points"]
    both = before.areas[columns].merge(
        after.areas[columns], on="area_code", suffixes=("_before", "_after"), validate="1:1"
    )
    change = both["p0_pct_after"] - both["p0_pct_before"]
    rmse = np.hypot(both["rmse_points_before"], both["rmse_points_after"])
    reach = stats.norm.ppf((1 + LEVEL) / 2) * rmse
    return pd.DataFrame(
        {
            "area_code": both["area_code"],
            "change_points": change,
            "rmse_points": rmse,
            "lower_points": change - reach,
            "upper_points": change + reach,
            "distinguishable": change.abs() > reach,
        }
    )


def against_truth(areas: pd.DataFrame, truth: pd.DataFrame, level: str) -> pd.DataFrame:
    """The areas with the true P0 of a synthetic city: ``true_p0_pct`` and ``covered``.

    ``truth`` has ``kelurahan_code, p0`` (a fraction) and ``population_count`` of the period.
    """
    digits = 7 if level == KECAMATAN else 10
    area = truth["kelurahan_code"].astype(str).str[:digits]
    persons = truth["population_count"].groupby(area).sum()
    true = 100 * (truth["p0"] * truth["population_count"]).groupby(area).sum() / persons
    found = areas.assign(true_p0_pct=areas["area_code"].map(true))
    inside = found["true_p0_pct"].between(found["lower_pct"] - 1e-9, found["upper_pct"] + 1e-9)
    return found.assign(covered=inside)


def named(
    areas: pd.DataFrame, level: str, invented: pd.DataFrame | None, official: pd.DataFrame
) -> pd.DataFrame:
    """The areas with an ``area_name``: the invented one of a synthetic city, else the official.

    Nothing that rests on invented poverty carries the name of a real kelurahan.

    Parameters
    ----------
    areas
        `PovertyMap.areas`.
    level
        Of the areas.
    invented
        ``kelurahan_code, area_name`` of a synthetic city; None for real data. It has names of
        kelurahan only, so that a kecamatan is given by the number of its row.
    official
        ``kelurahan_code, kelurahan, kecamatan_code, kecamatan`` (`analysis.regions.areas`).
    """
    if invented is not None and level == KELURAHAN:
        names = invented.set_index("kelurahan_code")["area_name"]
    elif invented is not None:
        codes = sorted(areas["area_code"])
        names = pd.Series({code: f"District {i}" for i, code in enumerate(codes, start=1)})
    else:
        names = official.drop_duplicates(f"{level}_code").set_index(f"{level}_code")[level]
    return areas.assign(area_name=areas["area_code"].map(names))


def drawn(boundaries: gpd.GeoDataFrame, areas: pd.DataFrame, level: str) -> gpd.GeoDataFrame:
    """The polygons of a level with the columns of its areas, for `analysis.maps.choropleth`."""
    polygons = boundaries.assign(kecamatan_code=boundaries["kelurahan_code"].str[:7])
    if level == KECAMATAN:
        polygons = polygons.dissolve("kecamatan_code", as_index=False, method="coverage")
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
    "poor_thousand": "Poor (thousand)",
    "poor_share_pct": "Share of all poor (%)",
    "model_p0_pct": "Model (%)",
    "factor": "Factor",
    "grade": "Grade",
    "chance_pct": "Among the poorest tenth (%)",
}
DECIMALS = {name: 0 if name in ("grade", "chance_pct", "cv_pct") else 2 for name in HEADERS} | {
    "poor_thousand": 1,
    "poor_share_pct": 1,
    "n_households": 0,
}


def levels(data: Microdata) -> list[str]:
    """The levels that can be mapped with these microdata, the trusted one first."""
    if data.census is None:
        return []
    reached = ("kota", KECAMATAN, KELURAHAN).index(data.lowest_level)
    return [KECAMATAN, KELURAHAN][:reached]


def period_before(data: Microdata, period: str) -> str:
    """The survey's period before another one; empty if there is none."""
    return max((own for own in data.periods if own < period), default="")


def official(compared: pd.DataFrame) -> dict[str, float] | None:
    """The official headcount of the kota in percent; None unless it is published for all.

    ``compared`` is `analysis.households.against_official`, ``published`` or not.
    """
    kota = compared[compared["area_code"] != households.JAKARTA]
    own = kota.set_index("area_code")["official_p0_pct"].astype(float)
    return None if own.empty or own.isna().any() else own.to_dict()


def direct_table(shown: pd.DataFrame) -> pd.DataFrame:
    """Direct estimates beside the official (`analysis.households.published`)."""
    columns = ["area", "n_households", "p0_pct", "se_points", "lower_pct", "upper_pct"]
    return shown[[*columns, "official_p0_pct"]]


def area_table(named: pd.DataFrame) -> pd.DataFrame:
    """The areas as a reader wants them, poorest first."""
    table = named.assign(
        kota=named["kota_code"].map(regions.KOTA),
        cv_pct=100 * named["cv"],
        poor_thousand=named["poor_count"] / 1000,
    ).sort_values("p0_pct", ascending=False)
    columns = ["area_name", "kota", "p0_pct", "lower_pct", "upper_pct", "rmse_points", "cv_pct"]
    columns += ["p1_pct", "poor_thousand", "model_p0_pct", "factor", "grade"]
    return table[columns]


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
        told.append(poorest_words(poorest(made[KELURAHAN].areas)))
    return " ".join(told)


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
    groups = mapped.benchmark.groups
    if np.allclose(groups["factor"], 1, atol=1e-9):
        return "There is no official figure to add up to: the estimates are those of the model."
    low, high = groups["factor"].min(), groups["factor"].max()
    far = (groups["factor"] - 1).abs().max()
    words = f"The factors that make the {mapped.level} add up to their kota run from {low:.2f} to "
    words += f"{high:.2f}. "
    if far > 0.3:
        return words + "A factor so far from 1 is a sign of a wrong model or of different frames."
    return words + "None is far from 1."


def poorest_words(chance: pd.Series, share: float = 0.1) -> str:
    """How many areas are surely, and how many possibly, among the poorest."""
    count = max(1, round(share * len(chance)))
    return (
        f"{count} of {len(chance)} areas make the poorest {100 * share:.0f} %. "
        f"{int((chance > 0.9).sum())} belong to them with a probability above 90 %, "
        f"{int((chance > 0.5).sum())} with more than 50 %; {int((chance > 0.05).sum())} cannot be "
        "ruled out at 5 %."
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


def truth_words(compared: pd.DataFrame, level: str) -> str:
    """How the estimates of a synthetic city compare with its truth."""
    off = compared["p0_pct"] - compared["true_p0_pct"]
    return (
        f"Against the truth of the synthetic city the estimates by {level} are off by "
        f"{np.sqrt((off**2).mean()):.2f} points (root mean square; said: "
        f"{np.sqrt((compared['rmse_points'] ** 2).mean()):.2f}), {off.mean():+.2f} on average, and "
        f"the 95 % intervals hold it in {100 * compared['covered'].mean():.0f} % of the areas."
    ).replace("-", "−")


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


def draw_truth(axes: Axes, compared: pd.DataFrame) -> None:
    """Estimate against truth, in percent, with the line on which they agree."""
    for covered, color, words in ((True, "C0", "in the interval"), (False, "C1", "outside it")):
        part = compared[compared["covered"] == covered]
        axes.plot(part["true_p0_pct"], part["p0_pct"], "o", markersize=3, color=color, label=words)
    end = 1.05 * max(compared["true_p0_pct"].max(), compared["p0_pct"].max())
    axes.plot([0, end], [0, end], color="0.5", linewidth=0.8, zorder=0)
    axes.set(xlabel="True P0 (%)", ylabel="Estimate (%)")
    axes.legend(loc="upper left")
