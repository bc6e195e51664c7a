"""Who is poor, how deeply, and what changed: what the poverty profile shows of a survey.

The methods are those of `analysis.poverty`; here they are applied to the table ``households``, with
small cells suppressed as everywhere (`analysis.microdata.suppress`), and put in words and pictures.
What a file lacks is left out and named.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from analysis import households, microdata, periods, poverty, regions
from analysis.households import JAKARTA
from analysis.microdata import disclosure
from analysis.poverty import decompositions, design, measures

WHOLE = "DKI Jakarta"
# By name: words, and what to multiply with.
MEASURES = {
    "p0": ("P0 (%)", 100),
    "p1": ("P1 (%)", 100),
    "p2": ("P2 (%)", 100),
    "watts": ("Watts (x 100)", 100),
    "sst": ("SST (x 100)", 100),
    "gini": ("Gini", 1),
}
OFFICIAL = {"p0": "p0_pct", "p1": "p1_pct", "p2": "p2_pct", "gini": "gini"}
LORENZ_POINTS = tuple(np.arange(0.05, 1, 0.05).round(2))


# ---- the survey ------------------------------------------------------------------------------


def before(everyone: pd.DataFrame, period: str, asked: str = "") -> str:
    """The period to compare with: the one asked for, or the last before; empty without any.

    Raises
    ------
    HouseholdError
        The period asked for is not before the other.
    """
    if asked and asked >= period:
        raise households.HouseholdError(
            f"before_period {asked} is not before {period}: give an earlier one, or none"
        )
    return asked or max((own for own in everyone["period"].unique() if own < period), default="")


def comparable(*surveys: pd.DataFrame) -> bool:
    """Whether enough sampled households of each survey are poor, and not poor, to be shown."""
    return not any(cells(own, "kota_code")["suppressed"].loc[JAKARTA] for own in surveys)


def estimated(survey: pd.DataFrame, chosen: object, **options: object) -> pd.DataFrame:
    """`design.estimate` of welfare over the line, under the design that the survey has."""
    given = {"welfare": "welfare", "line": 1.0} | households.design_columns(survey) | options
    return design.estimate(survey, chosen, **given)


def cells(survey: pd.DataFrame, by: str, poor: str = "poor") -> pd.DataFrame:
    """Sampled households and poor ones of each group, and which must not be shown.

    Returns, indexed by group: ``n_households, n_poor`` (missing where suppressed), ``suppressed``,
    and the row of all under `households.JAKARTA`, suppressed too where it would give a cell away.
    """
    groups = survey.groupby(by, observed=True)[poor]
    counted = groups.agg(n_households="size", n_poor="sum").reset_index()
    shown = microdata.suppress(
        counted, ["n_households", "n_poor"], of={"n_poor": "n_households"}, keep=[]
    )
    n, hit = len(survey), int(survey[poor].sum())
    hidden = bool(shown["total_suppressed"].any()) or min(hit, n - hit) < disclosure.THRESHOLD
    shown = shown.drop(columns="total_suppressed").set_index(by)
    numbers = (pd.NA, pd.NA) if hidden else (n, hit)
    whole = pd.DataFrame([(*numbers, hidden)], [JAKARTA], list(shown))
    return pd.concat([shown, whole]).astype(
        {"n_households": "Int64", "n_poor": "Int64", "suppressed": bool}
    )


def area_names(codes: pd.Series) -> pd.Series:
    """Names of kota and of the whole."""
    return codes.map({**regions.KOTA, JAKARTA: WHOLE})


# ---- the measures ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """The measures of poverty and inequality by kota and of DKI Jakarta.

    Attributes
    ----------
    table : pandas.DataFrame
        ``area_code, area, measure, estimate, se, lower, upper, interval, suppressed``: in the
        units of `MEASURES`, 95 % intervals, missing where suppressed.
    left_out : dict
        Measures that this survey does not allow, and why.
    """

    table: pd.DataFrame
    left_out: dict[str, str]


def measured(survey: pd.DataFrame) -> Measured:
    """FGT, Watts and Sen-Shorrocks-Thon below the line, and the Gini of expenditure.

    ``survey`` is `households.of_period`. Kota whose poor could be counted back are suppressed.
    """
    left_out = {}
    if zeros := int((survey["welfare"] <= 0).sum()):
        left_out["watts"] = f"{zeros:,} households have no expenditure, of which there is no log"
    names = [name for name in MEASURES if name not in left_out and name != "gini"]
    found = []
    for by in ("kota_code", None):
        found.append(estimated(survey, names, by=by))
        found.append(estimated(survey, "gini", by=by, welfare="expenditure_per_capita_rp"))
    table = pd.concat(found, ignore_index=True)
    table["area_code"] = table["area"].replace({measures.ALL: JAKARTA})
    table["area"] = area_names(table["area_code"])
    table["suppressed"] = table["area_code"].map(cells(survey, "kota_code")["suppressed"])
    scale = table["measure"].map({name: scale for name, (_, scale) in MEASURES.items()})
    for column in ("estimate", "se", "lower", "upper"):
        table[column] = (table[column] * scale).mask(table["suppressed"])
    table["interval"] = table["interval"].mask(table["suppressed"])
    order = pd.Categorical(table["area_code"], [*regions.KOTA, JAKARTA]).codes
    rank = table["measure"].map({name: i for i, name in enumerate(MEASURES)})
    table = table.assign(order=order, rank=rank).sort_values(["order", "rank"], ignore_index=True)
    columns = ["area_code", "area", "measure", "estimate", "se", "lower", "upper", "interval"]
    return Measured(table[[*columns, "suppressed"]], left_out)


def official(province: pd.DataFrame, period: str, line: str | float) -> pd.Series:
    """The published P0, P1, P2 and Gini of DKI Jakarta, by measure; only the Gini if the line is
    another than the national one.

    ``province`` is the raw table ``dki_poverty_semester``.
    """
    own = province[province["period"] == period]
    if own.empty:
        return pd.Series(dtype="float64")
    names = OFFICIAL if line == households.NATIONAL else {"gini": "gini"}
    found = pd.Series({name: own[column].iloc[0] for name, column in names.items()}, dtype=float)
    return found.dropna()


def measures_table(found: Measured, published: pd.Series) -> pd.DataFrame:
    """One row per area, and the official figures below: each measure with its interval, as text."""
    own = found.table
    digits = {name: 3 if name == "gini" else 2 for name in MEASURES}
    own = own.assign(
        text=[
            with_interval(row.estimate, row.lower, row.upper, digits[row.measure])
            for row in own.itertuples()
        ]
    )
    table = own.pivot(index="area", columns="measure", values="text")
    table = table.reindex(own["area"].unique())[[m for m in MEASURES if m in table]].reset_index()
    if len(published):
        row = {name: f"{value:.{digits[name]}f}" for name, value in published.items()}
        table = pd.concat([table, pd.DataFrame([{"area": "Official, DKI"} | row])])
    return table.rename(columns={name: words for name, (words, _) in MEASURES.items()})


def draw_measures(panels: Sequence[Axes], found: Measured, published: pd.Series) -> None:
    """One panel per measure: a point with its interval for each area, the official as a cross."""
    areas = list(found.table["area"].unique())[::-1]
    for axes, name in zip(panels, MEASURES, strict=True):
        axes.set_title(MEASURES[name][0])
        own = found.table[found.table["measure"] == name].set_index("area").reindex(areas)
        if own["estimate"].isna().all():
            axes.annotate("not shown", (0.5, 0.5), xycoords="axes fraction", ha="center")
        colors = ["C1" if area == WHOLE else "C0" for area in areas]
        places = np.arange(len(areas))
        axes.hlines(places, own["lower"], own["upper"], color=colors, lw=1.3)
        axes.scatter(own["estimate"], places, color=colors, s=14, zorder=3)
        if name in published:
            axes.plot(published[name], areas.index(WHOLE), "x", color="0.2", ms=6, mew=1.4)
        for place in places[own["suppressed"].eq(True).to_numpy()]:
            axes.annotate("suppressed", (0.03, place), xycoords=("axes fraction", "data"),
                          fontsize=6.5, color="0.4", va="center")  # fmt: skip
        axes.set_yticks(places, areas)
        axes.set_ylim(-0.6, len(areas) - 0.4)
        axes.set_xlim(left=None if name == "gini" else 0)
        axes.grid(axis="x")
        axes.grid(axis="y", visible=False)


def depth(survey: pd.DataFrame) -> pd.Series | None:
    """How far below the line the poor live on average, as a share of it (P1 / P0).

    ``estimate, lower, upper``; None where it must not be shown.
    """
    if not comparable(survey):
        return None
    gap = measures.gaps(survey["welfare"].to_numpy(), 1.0)
    frame = survey.assign(gap_of_poor=gap, is_poor=survey["poor"].astype(float))
    return estimated(frame, measures.ratio_of("gap_of_poor", "is_poor")).iloc[0]


def measured_words(found: Measured, survey: pd.DataFrame, published: pd.Series) -> str:
    """The depth of poverty, what is official, and what was left out."""
    own = found.table[found.table["area_code"] == JAKARTA].set_index("measure")
    told = []
    if (far := depth(survey)) is not None:
        p0, p1, p2 = own.loc[["p0", "p1", "p2"], "estimate"]
        told.append(
            f"The poor live {pct_words(far, 1)} below the line on average (P1 over P0). Had every "
            f"gap been the same, P2 would be {p1**2 / p0:.2f} %; it is {p2:.2f} %."
        )
        if "p0" in published:
            outside = [
                name
                for name, value in published.items()
                if not own.loc[name, "lower"] <= value <= own.loc[name, "upper"]
            ]
            told.append(
                f"Of the {len(published)} official figures {len(published) - len(outside)} lie "
                "within the interval of the survey"
                + (f"; {' and '.join(n.upper() for n in outside)} outside." if outside else ".")
            )
    for name, why in found.left_out.items():
        told.append(f"{MEASURES[name][0]} is not shown: {why}.")
    hidden = found.table.loc[found.table["suppressed"], "area"].unique()
    if len(hidden):
        told.append(
            f"Suppressed: {', '.join(hidden)}, where fewer than {disclosure.THRESHOLD} sampled "
            "households are poor, or from which those would follow by difference."
        )
    return " ".join(told)


# ---- inequality ------------------------------------------------------------------------------


def lorenz(survey: pd.DataFrame) -> pd.DataFrame:
    """The Lorenz curve of expenditure per person at `LORENZ_POINTS`, in percent.

    Returns ``population_pct, share_pct, se_points, lower_pct, upper_pct``.
    """
    shares = [measures.share_of(p) for p in LORENZ_POINTS]
    found = estimated(survey, shares, welfare="expenditure_per_capita_rp")
    table = pd.DataFrame({"population_pct": np.multiply(LORENZ_POINTS, 100)})
    names = ["share_pct", "se_points", "lower_pct", "upper_pct"]
    table[names] = found[["estimate", "se", "lower", "upper"]] * 100
    return table


def lorenz_change(one: pd.DataFrame, two: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """By how many points the shares of the poorest p % changed, between independent samples.

    Returns ``population_pct, change_points, lower_points, upper_points``.
    """
    change = two["share_pct"] - one["share_pct"]
    reach = stats.norm.isf((1 - level) / 2) * np.hypot(one["se_points"], two["se_points"])
    return pd.DataFrame(
        {
            "population_pct": one["population_pct"],
            "change_points": change,
            "lower_points": change - reach,
            "upper_points": change + reach,
        }
    )


def draw_lorenz(axes: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """The Lorenz curve of each period (the last in front) beside that of equality."""
    axes.plot([0, 100], [0, 100], color="0.6", lw=0.8)
    axes.annotate("equality", (46, 50), fontsize=7.5, color="0.4", ha="right")
    for color, style, (period, curve) in zip(
        ("C2", "C0")[-len(curves):], ("--", "-")[-len(curves):], curves.items(), strict=True
    ):  # fmt: skip
        x, y = ([0, *curve[name], 100] for name in ("population_pct", "share_pct"))
        axes.plot(x, y, style, color=color, label=periods.written(period))
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.set(xticks=range(0, 101, 20), yticks=range(0, 101, 20))
    axes.legend(loc="upper left")


def draw_lorenz_change(axes: Axes, change: pd.DataFrame) -> None:
    """The change of the Lorenz curve with its 95 % interval at each point."""
    axes.axhline(0, color="0.3", lw=0.8)
    axes.fill_between(
        change["population_pct"], change["lower_points"], change["upper_points"], alpha=0.2, lw=0
    )
    axes.plot(change["population_pct"], change["change_points"], color="C0")
    axes.set_xlim(0, 100)


def lorenz_words(curves: dict[str, pd.DataFrame]) -> str:
    """The share of the poorest 40 %, and whether the curves differ."""
    told = []
    for period, curve in curves.items():
        row = curve.set_index("population_pct").loc[40]
        told.append(
            f"{row['share_pct']:.1f} % ({row['lower_pct']:.1f} to {row['upper_pct']:.1f}) in "
            f"{periods.written(period)}"
        )
    words = f"The poorest 40 % of the people had {' and '.join(told)} of all expenditure."
    if len(curves) == 2:
        change = lorenz_change(*curves.values())
        apart = (change["lower_points"] > 0) | (change["upper_points"] < 0)
        words += (
            f" At {apart.sum() or 'none'} of {len(change)} points of the curve the interval of the "
            "change leaves out zero; without any change that would be one in twenty on average, "
            "and neighbouring points err together."
        )
    return words


# ---- change ----------------------------------------------------------------------------------


def shown_percentiles(*surveys: pd.DataFrame) -> list[int]:
    """Percentiles with enough sampled households on both sides in every survey."""
    shown = np.ones(99, bool)
    at = np.arange(1, 100)
    for survey in surveys:
        order = np.argsort(survey["welfare"].to_numpy(), kind="stable")
        people = (survey["weight"] * survey["household_size"]).to_numpy()[order].cumsum()
        below = np.searchsorted(people, at / 100 * people[-1])
        least = np.minimum(below, len(survey) - below)
        shown &= least >= disclosure.THRESHOLD
    return [int(p) for p in at[shown]]


def incidence(one: pd.DataFrame, two: pd.DataFrame) -> decompositions.Incidence:
    """The growth incidence curve between two periods, of welfare in multiples of the line, in
    percent per year."""
    years = periods.decimal_year(two["period"].iloc[0]) - periods.decimal_year(
        one["period"].iloc[0]
    )
    given = [households.design_columns(survey) for survey in (one, two)]
    # One design for both calls: what one survey lacks is left out of both.
    common = {name: given[0][name] and given[1][name] for name in given[0]}
    return decompositions.growth_incidence(
        one, two, percentiles=shown_percentiles(one, two), welfare="welfare", years=years, **common
    )


def draw_incidence(axes: Axes, found: decompositions.Incidence) -> None:
    """The curve with its 95 % interval, and growth of the mean."""
    curve = found.curve
    axes.axhline(0, color="0.3", lw=0.8)
    axes.fill_between(curve["percentile"], curve["lower"], curve["upper"], alpha=0.2, lw=0)
    axes.plot(curve["percentile"], curve["growth_pct"], color="C0", label="at the percentile")
    axes.axhline(found.mean_growth_pct, color="C1", ls="--", lw=1.2, label="of the mean")
    axes.set_xlim(0, 100)
    axes.legend(loc="best")


def incidence_words(found: decompositions.Incidence) -> str:
    """Growth of the mean, of the poorest and the richest, and how much of it is sure."""
    curve = found.curve
    low = curve[curve["percentile"] <= 20]["growth_pct"].mean()
    high = curve[curve["percentile"] >= 80]["growth_pct"].mean()
    reach = stats.norm.isf(0.025) * found.mean_se
    sure = ((curve["lower"] > 0) | (curve["upper"] < 0)).mean() * 100
    return (
        f"Measured in poverty lines, mean welfare changed by {signed(found.mean_growth_pct)} % a "
        f"year ({signed(found.mean_growth_pct - reach)} to "
        f"{signed(found.mean_growth_pct + reach)}). The percentiles of the poorest fifth changed "
        f"by {signed(low)} % on average, those of the richest fifth by {signed(high)} %; at "
        f"{sure:.0f} % of the percentiles shown the interval leaves out zero."
    )


def change(
    one: pd.DataFrame, two: pd.DataFrame, replicates: int = 200, seed: int = 0
) -> pd.DataFrame:
    """The change of P0, P1 and P2 as growth and redistribution, by both paths, in points.

    Returns ``measure, path, component, estimate, se, lower, upper``.

    Raises
    ------
    HouseholdError
        Fewer than two replicates: no change is shown without its error.
    """
    if replicates < 2:
        raise households.HouseholdError(
            f"replicates is {replicates}: the error of a change needs two, a good one 100"
        )
    given = [households.design_columns(survey) for survey in (one, two)]
    common = {name: given[0][name] and given[1][name] for name in given[0]}
    found = []
    for name in ("p0", "p1", "p2"):
        for path in (decompositions.DATT_RAVALLION, decompositions.SHAPLEY):
            own = decompositions.growth_redistribution(
                one, two, name, line=1.0, welfare="welfare", path=path,
                replicates=replicates, seed=seed, **common,
            )  # fmt: skip
            own.insert(0, "path", path)
            own.insert(0, "measure", name)
            found.append(own)
    table = pd.concat(found, ignore_index=True)
    numbers = ["estimate", "se", "lower", "upper"]
    table[numbers] *= 100
    return table


def change_table(found: pd.DataFrame) -> pd.DataFrame:
    """`change` for showing: a row per measure and path, each part with its interval."""
    own = found.assign(
        text=[
            with_interval(row.estimate, row.lower, row.upper, 2, sign=True)
            for row in found.itertuples()
        ]
    )
    wide = own.pivot(index=["measure", "path"], columns="component", values="text").reset_index()
    parts = ["change", "growth", "redistribution", "residual"]
    wide["residual"] = wide["residual"].fillna("none")  # Shapley leaves none
    wide["path"] = wide["path"].map(
        {decompositions.SHAPLEY: "Shapley", decompositions.DATT_RAVALLION: "Datt-Ravallion"}
    )
    return wide.assign(measure=wide["measure"].str.upper())[["measure", "path", *parts]]


def change_words(found: pd.DataFrame) -> str:
    """By how much P0 changed, whether that is more than chance, and what did it."""
    own = found[(found["measure"] == "p0") & (found["path"] == decompositions.SHAPLEY)]
    own = own.set_index("component")
    whole, growth, spread = (own.loc[c] for c in ("change", "growth", "redistribution"))
    sure = whole["lower"] > 0 or whole["upper"] < 0
    return (
        f"P0 changed by **{signed(whole['estimate'], 2)} points** (95 % interval "
        f"{signed(whole['lower'], 2)} to {signed(whole['upper'], 2)}), which is "
        f"{'more' if sure else 'no more'} than the surveys' error explains; "
        f"{signed(growth['estimate'], 2)} ({signed(growth['lower'], 2)} to "
        f"{signed(growth['upper'], 2)}) by the change of the mean against the line and "
        f"{signed(spread['estimate'], 2)} ({signed(spread['lower'], 2)} to "
        f"{signed(spread['upper'], 2)}) by the distribution around it (Shapley)."
    )


def single_words(everyone: pd.DataFrame, period: str, before_period: str) -> str:
    """Why nothing is said of change."""
    if before_period:
        return (
            "Too few sampled households are poor (or not poor) in one of the two periods for the "
            "change to be shown."
        )
    return (
        f"There is no period before {periods.written(period)} in the table (it has "
        f"{', '.join(sorted(everyone['period'].unique()))}): with a second survey in the mapping "
        "the change and its parts appear here."
    )


# ---- profile ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Characteristic:
    """What households are grouped by.

    Attributes
    ----------
    words : str
        Its name in tables.
    column : str
        The column of the survey.
    labels : dict
        Words for its values, in order; of numbers, the lowest of each class.
    """

    words: str
    column: str
    labels: dict[object, str]

    def groups(self, survey: pd.DataFrame) -> pd.Series | None:
        """The group of each household (ordered category); None if the file does not say."""
        if self.column not in survey or survey[self.column].isna().all():
            return None
        values = survey[self.column]
        names = list(self.labels.values())
        if all(isinstance(key, int) and not isinstance(key, bool) for key in self.labels):
            edges = [*self.labels, np.inf]
            numbers = values.astype("float64").clip(lower=edges[0])
            found = pd.cut(numbers, edges, right=False, labels=names).astype(object)
        else:
            found = values.astype(object).map(self.labels)
        found = found.where(found.notna(), NOT_STATED)
        return pd.Series(
            pd.Categorical(found, [*names, NOT_STATED], ordered=True), survey.index
        ).cat.remove_unused_categories()


NOT_STATED = "not stated"
_YES_NO = {True: "yes", False: "no"}
CHARACTERISTICS = (
    Characteristic(
        "Household size",
        "household_size",
        {1: "1 person", 2: "2", 3: "3 to 4", 5: "5 to 6", 7: "7 and more"},
    ),
    Characteristic(
        "Age of the head", "head_age", {10: "below 35", 35: "35 to 54", 55: "55 and above"}
    ),
    Characteristic("Sex of the head", "head_female", {True: "woman", False: "man"}),
    Characteristic(
        "Schooling of the head",
        "head_schooling",
        {
            "none": "none",
            "primary": "primary (SD)",
            "junior": "junior (SMP)",
            "senior": "senior (SMA)",
            "tertiary": "tertiary",
        },
    ),
    Characteristic(
        "Work of the head",
        "head_work",
        {"not_working": "none", "informal": "informal", "formal": "formal"},
    ),
    Characteristic("Dwelling", "dwelling_owned", {True: "owned", False: "not owned"}),
    Characteristic(
        "Drinking water",
        "water",
        {"piped": "piped", "bottled": "bottled", "well": "well", "other": "other"},
    ),
    Characteristic("Toilet", "toilet", {"own": "own", "shared": "shared", "none": "none"}),
    Characteristic("In an RW kumuh", "slum_rw", _YES_NO),
)


@dataclass(frozen=True)
class Profile:
    """P0 and the share of the poor by characteristics.

    Attributes
    ----------
    table : pandas.DataFrame
        ``characteristic, group, n_households, n_poor, population_pct, p0_pct, lower_pct,
        upper_pct, share_of_poor_pct, share_lower_pct, share_upper_pct, risk``.
    absent : list of str
        Characteristics that the file does not have.
    too_few : list of str
        Those that cannot be split without small cells.
    """

    table: pd.DataFrame
    absent: list[str]
    too_few: list[str]


def profile(survey: pd.DataFrame) -> Profile:
    """P0, and the share of all poor, by what households are.

    Groups with fewer than `disclosure.THRESHOLD` sampled households that are poor (or not poor)
    are joined with a neighbour, so that no cell has to be suppressed.
    """
    given = households.design_columns(survey)
    rows, absent, too_few = [], [], []
    for each in CHARACTERISTICS:
        groups = each.groups(survey)
        if groups is None:
            absent.append(each.words)
            continue
        own = survey.assign(group=joined(groups, survey["poor"]))
        counted = cells(own, "group")
        if own["group"].nunique() < 2 or counted["suppressed"].any():
            too_few.append(each.words)
            continue
        found = decompositions.profile(
            own, "p0", by="group", welfare="welfare", line=1.0, **given
        ).set_index("area")
        found = found.loc[own["group"].cat.categories]
        rows.append(
            pd.DataFrame(
                {
                    "characteristic": each.words,
                    "group": found.index.astype(str),
                    "n_households": counted.loc[found.index, "n_households"].to_numpy(),
                    "n_poor": counted.loc[found.index, "n_poor"].to_numpy(),
                    "population_pct": found["population_share"].to_numpy() * 100,
                    "p0_pct": found["estimate"].to_numpy() * 100,
                    "lower_pct": found["lower"].to_numpy() * 100,
                    "upper_pct": found["upper"].to_numpy() * 100,
                    "share_of_poor_pct": found["contribution"].to_numpy() * 100,
                    "share_lower_pct": found["contribution_lower"].to_numpy() * 100,
                    "share_upper_pct": found["contribution_upper"].to_numpy() * 100,
                    "risk": found["risk"].to_numpy(),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_PROFILE)
    return Profile(table, absent, too_few)


_PROFILE = [
    "characteristic", "group", "n_households", "n_poor", "population_pct", "p0_pct", "lower_pct",
    "upper_pct", "share_of_poor_pct", "share_lower_pct", "share_upper_pct", "risk",
]  # fmt: skip


def joined(groups: pd.Series, poor: pd.Series) -> pd.Series:
    """Ordered groups, small ones joined with the smaller neighbour until none is small.

    Small is a group with fewer than `disclosure.THRESHOLD` poor households, or others.
    """
    names = [[name] for name in groups.cat.categories]
    counts = pd.crosstab(groups, poor).reindex(columns=[False, True], fill_value=0)
    least = [counts.loc[name].to_numpy() for name in groups.cat.categories]
    while len(names) > 1 and min(c.min() for c in least) < disclosure.THRESHOLD:
        at = int(np.argmin([c.min() for c in least]))
        sides = [i for i in (at - 1, at + 1) if 0 <= i < len(names)]
        to = min(sides, key=lambda i: least[i].min())
        first, last = sorted((at, to))
        names[first] += names.pop(last)
        least[first] = least[first] + least.pop(last)
    words = {name: " or ".join(own) for own in names for name in own}
    return pd.Series(
        pd.Categorical(
            groups.astype(object).map(words), [" or ".join(own) for own in names], ordered=True
        ),
        groups.index,
    )


def draw_profile(panels: Sequence[Axes], found: Profile, overall_pct: float) -> None:
    """P0 with its interval by group, below the name of each characteristic; in two columns."""
    lines = found.table.groupby("characteristic", sort=False).size() + 1.4
    # The first column takes characteristics up to half of all lines.
    right = set(lines.index[(lines.cumsum() - lines / 2) > lines.sum() / 2])
    ends = []
    for axes, second in zip(panels, (False, True), strict=True):
        own = found.table[found.table["characteristic"].isin(right) == second]
        ends.append(_draw_groups(axes, own, overall_pct))
    for axes in panels:
        axes.set_ylim(min(ends) + 0.6, 1.4)
        axes.set_xlim(0, 1.04 * found.table["upper_pct"].max())


def _draw_groups(axes: Axes, table: pd.DataFrame, overall_pct: float) -> float:
    places, ticks, at = [], [], 0.0
    for name, own in table.groupby("characteristic", sort=False):
        axes.annotate(name, (-0.02, at), xycoords=("axes fraction", "data"), ha="right",
                      va="center", fontsize=8, fontweight="semibold")  # fmt: skip
        places += [at - 1 - i for i in range(len(own))]
        ticks += list(own["group"])
        at -= len(own) + 1.4
    axes.axvline(overall_pct, color="C1", lw=1, ls="--")
    axes.annotate(f"all {overall_pct:.1f} %", (overall_pct, 0.7), fontsize=7.5, color="C1",
                  xytext=(3, 0), textcoords="offset points", va="center")  # fmt: skip
    axes.hlines(places, table["lower_pct"], table["upper_pct"], color="C0", lw=1.3)
    axes.scatter(table["p0_pct"], places, s=8 + 1.3 * table["share_of_poor_pct"], zorder=3)
    axes.set_yticks(places, ticks, fontsize=7.5)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    return at


def profile_table(found: Profile) -> pd.DataFrame:
    """`profile` for showing: the characteristic once, intervals as text."""
    own = found.table
    first = own["characteristic"].ne(own["characteristic"].shift())
    return pd.DataFrame(
        {
            "characteristic": own["characteristic"].where(first, ""),
            "group": own["group"],
            "n_households": own["n_households"],
            "n_poor": own["n_poor"],
            "population_pct": own["population_pct"].astype(float),
            "p0": [
                with_interval(row.p0_pct, row.lower_pct, row.upper_pct, 1)
                for row in own.itertuples()
            ],
            "share": [
                with_interval(row.share_of_poor_pct, row.share_lower_pct, row.share_upper_pct, 0)
                for row in own.itertuples()
            ],
            "risk": own["risk"].astype(float),
        }
    )


def worst_words(found: Profile) -> str:
    """The group with the highest P0, and how many of the poor are in it."""
    worst = found.table.loc[found.table["risk"].idxmax()]
    return (
        f"Of {len(found.table)} groups poverty is highest in {_group(worst)}: "
        f"{worst['p0_pct']:.1f} % ({worst['lower_pct']:.1f} to {worst['upper_pct']:.1f}), "
        f"{worst['risk']:.1f} times the rate of all; {worst['share_of_poor_pct']:.0f} % of the "
        "poor are there."
    )


def profile_words(found: Profile) -> str:
    """The group with the highest P0 and the one with the largest share, and what is missing."""
    told = []
    if len(found.table):
        above = found.table[found.table["risk"] > 1]
        most = above.loc[above["share_of_poor_pct"].idxmax()]
        told.append(
            f"{worst_words(found)} Of those above the rate of all, the one with most of the "
            f"poor is {_group(most)}: {most['share_of_poor_pct']:.0f} % of them "
            f"({most['share_lower_pct']:.0f} to {most['share_upper_pct']:.0f}), with "
            f"{most['population_pct']:.0f} % of the people. Groups differ in many ways at once: "
            "these are no causes, and the highest of many estimates is likely too high."
        )
    if found.absent:
        told.append(f"Not in the file, so not shown: {listed(found.absent)}.")
    if found.too_few:
        told.append(f"Too few sampled households are poor to be split by: {listed(found.too_few)}.")
    return " ".join(told)


def _group(row: pd.Series) -> str:
    return f"*{row['characteristic'].lower()}: {row['group']}*".replace("rw kumuh", "RW kumuh")


def sectoral(
    one: pd.DataFrame, two: pd.DataFrame, replicates: int = 200, seed: int = 0
) -> pd.DataFrame:
    """The change of P0 as changes within groups and shifts of people between them, in points.

    Only sums over groups, so that no cell shows. Characteristics that both surveys have, with the
    same groups. Returns ``characteristic, change, within, shift, interaction`` and each with
    ``_se``.
    """
    given = [households.design_columns(survey) for survey in (one, two)]
    common = {name: given[0][name] and given[1][name] for name in given[0]}
    rows = []
    for each in CHARACTERISTICS:
        groups = [each.groups(survey) for survey in (one, two)]
        if any(own is None for own in groups):
            continue
        if len({tuple(own.cat.categories) for own in groups}) > 1 or groups[0].nunique() < 2:
            continue
        found = decompositions.sectoral(
            *(survey.assign(group=own) for survey, own in zip((one, two), groups, strict=True)),
            "p0", by="group", welfare="welfare", line=1.0, replicates=replicates, seed=seed,
            **common,
        ).iloc[-1]  # fmt: skip
        row = {"characteristic": each.words, "change": 100 * (found["after"] - found["before"])}
        for part in ("within", "shift", "interaction"):
            row |= {part: 100 * found[part], f"{part}_se": 100 * found[f"{part}_se"]}
        rows.append(row)
    return pd.DataFrame(rows)


def sectoral_table(found: pd.DataFrame) -> pd.DataFrame:
    """`sectoral` for showing, with 95 % intervals."""
    reach = stats.norm.isf(0.025)
    table = pd.DataFrame({"characteristic": found["characteristic"]})
    for part in ("within", "shift", "interaction"):
        table[part] = [
            with_interval(value, value - reach * se, value + reach * se, 2, sign=True)
            for value, se in zip(found[part], found[f"{part}_se"], strict=True)
        ]
    return table


# ---- vulnerability ---------------------------------------------------------------------------

COVARIATES = (
    "household_size",
    "head_age",
    "head_female",
    "head_schooling",
    "head_work",
    "dwelling_owned",
    "water",
    "toilet",
    "has_motorcycle",
    "has_refrigerator",
    "kota_code",
)
VULNERABILITY = {
    decompositions.OBSERVED: "Poor in the survey (P0)",
    decompositions.EXPECTED: "Expected poverty: mean probability of being poor",
    decompositions.ABOVE_RATE: "More likely to be poor than the average person",
    decompositions.NOT_POOR: "of whom not poor in the survey",
    decompositions.ABOVE_THRESHOLD: "More likely poor than not",
}


@dataclass(frozen=True)
class Vulnerable:
    """Expected poverty of the city.

    Attributes
    ----------
    table : pandas.DataFrame or None
        ``measure, estimate, se, lower, upper`` in percent of people, missing where fewer than
        `disclosure.THRESHOLD` sampled households are; None if there is no model.
    r2 : float
        Of the weighted model of log welfare.
    covariates, left_out : list of str
        What the model has, and what the file lacks or has gaps in.
    why : str
        Why there is no model.
    """

    table: pd.DataFrame | None
    r2: float
    covariates: list[str]
    left_out: list[str]
    why: str = ""


def vulnerable(survey: pd.DataFrame, replicates: int = 100, seed: int = 0) -> Vulnerable:
    """Vulnerability as expected poverty, with the error of sample and model.

    Covariates without a value in some household are left out, and so are those of one value.
    """
    known = [c for c in COVARIATES if c in survey and survey[c].notna().all()]
    used = [c for c in known if len(survey[c].unique()) > 1]
    left_out = [c for c in COVARIATES if c not in known]
    if not (survey["welfare"] > 0).all():
        return Vulnerable(None, np.nan, used, left_out, "some households have no expenditure")
    if not set(used) - {"kota_code"}:
        return Vulnerable(None, np.nan, used, left_out, "the file has no covariates")
    if not comparable(survey):
        return Vulnerable(None, np.nan, used, left_out, "too few sampled households are poor")
    own = survey.assign(**{c: survey[c].astype("float64") for c in used if _yes_no(survey[c])})
    options = {"line": 1.0, "welfare": "welfare"}
    try:
        model = decompositions.vulnerability(own, used, weights="weight", **options)
        table = decompositions.expected_poverty(
            own, used, replicates=replicates, seed=seed, **options,
            **households.design_columns(survey),
        )  # fmt: skip
    except poverty.measures.MeasureError as error:
        return Vulnerable(None, np.nan, used, left_out, str(error))
    numbers = ["estimate", "se", "lower", "upper"]
    table[numbers] *= 100
    probability = model.households["vulnerability"]
    high = probability > np.average(
        survey["poor"], weights=survey["weight"] * survey["household_size"]
    )
    counts = {
        decompositions.ABOVE_RATE: high.sum(),
        decompositions.NOT_POOR: (high & ~survey["poor"]).sum(),
        decompositions.ABOVE_THRESHOLD: model.households["vulnerable"].sum(),
    }
    small = [name for name, count in counts.items() if count < disclosure.THRESHOLD]
    table.loc[table["measure"].isin(small), numbers] = np.nan
    return Vulnerable(
        table[["measure", *numbers]], float(model.mean_model.rsquared), used, left_out
    )


def _yes_no(values: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(values)


def vulnerable_table(found: Vulnerable) -> pd.DataFrame:
    """`vulnerable` for showing."""
    table = found.table.set_index("measure").loc[list(VULNERABILITY)]
    return pd.DataFrame(
        {
            "what": list(VULNERABILITY.values()),
            "share": [
                with_interval(row.estimate, row.lower, row.upper, 1) for row in table.itertuples()
            ],
        }
    )


def vulnerable_words(found: Vulnerable) -> str:
    """How many are vulnerable, and how far the model can be believed."""
    if found.table is None:
        return f"Vulnerability cannot be estimated: {found.why}."
    own = found.table.set_index("measure")
    observed, expected = own.loc[decompositions.OBSERVED], own.loc[decompositions.EXPECTED]
    off = expected["estimate"] - observed["estimate"]
    times = own.loc[decompositions.NOT_POOR, "estimate"] / observed["estimate"]
    told = (
        ""
        if pd.isna(times)
        else f"For every poor person there are {times:.1f} who are not poor but more likely to be "
        "than the average person. "
    )
    told += (
        "The model explains "
        f"{100 * found.r2:.0f} % of the variance of log welfare; it expects "
        f"{expected['estimate']:.1f} % to be poor where the survey finds "
        f"{observed['estimate']:.1f} %"
    )
    told += (
        ": it holds on average."
        if observed["lower"] <= expected["estimate"] <= observed["upper"]
        else f", {abs(off):.1f} points {'more' if off > 0 else 'fewer'}: the lognormal does not "
        "fit the lower tail, and the levels should be read with that in mind."
    )
    if found.left_out:
        told += f" Not in the file, or with gaps, so not in the model: {listed(found.left_out)}."
    return told


# ---- the answer ------------------------------------------------------------------------------


def answer(
    found: Measured,
    survey: pd.DataFrame,
    by_group: Profile,
    changed: pd.DataFrame | None,
    line: str | float,
) -> str:
    """Who is poor, how deeply and what changed, in a few sentences."""
    (period,) = survey["period"].unique()
    own = found.table[found.table["area_code"] == JAKARTA].set_index("measure")
    p0 = own.loc["p0"]
    if pd.isna(p0["estimate"]):
        return (
            f"In {periods.written(period)} too few of {len(survey):,} sampled households are below "
            f"{households.line_words(line)} (or above it) to say who they are."
        )
    told = [
        f"In {periods.written(period)} **{p0['estimate']:.2f} %** of the people of {WHOLE} "
        f"(95 % interval {p0['lower']:.2f} to {p0['upper']:.2f}) live below "
        f"{households.line_words(line)}, by {len(survey):,} sampled households; the poor lie "
        f"{pct_words(depth(survey), 1)} below it on average."
    ]
    if changed is not None:
        told.append(change_words(changed))
    else:
        told.append("There is no earlier period, so nothing can be said of change.")
    if len(by_group.table):
        told.append(worst_words(by_group))
    return " ".join(told).replace("  ", " ")


# ---- words -----------------------------------------------------------------------------------


def with_interval(
    value: float, lower: float, upper: float, digits: int, *, sign: bool = False
) -> str | None:
    """``5.18 (4.44–6.04)``; with signs ``+0.62 (−0.41 to +1.65)``; None if missing."""
    if pd.isna(value):
        return None
    write = signed if sign else _plain
    if pd.isna(lower) or pd.isna(upper):
        return write(value, digits)
    between = " to " if sign else "–"
    return f"{write(value, digits)} ({write(lower, digits)}{between}{write(upper, digits)})"


def signed(value: float, digits: int = 1) -> str:
    """``+0.6``, ``−0.4``, ``0.0``."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not text.strip("+-0.") else text.replace("-", "−")


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def pct_words(row: pd.Series, digits: int) -> str:
    """An estimate that is a fraction, in percent with its interval."""
    values = [100 * row[name] for name in ("estimate", "lower", "upper")]
    return f"{values[0]:.{digits}f} % ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


def listed(names: Sequence[str]) -> str:
    """Names of columns or characteristics in a sentence."""
    return ", ".join(name.replace("_", " ") for name in names)
