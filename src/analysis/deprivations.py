"""Multidimensional poverty by declared deprivations: indicators, cut-offs and what they give.

The method is that of Alkire and Foster (`analysis.poverty.multidimensional`); here is declared what
a deprivation is, in columns of the survey. Two cut-offs are official or of the United Nations: the
floor of a rumah layak huni, and a toilet that is not shared (as JMP's basic sanitation has it).
Nine years of schooling are Indonesia's basic education. The others are choices of this project.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from analysis import households, microdata, poverty_profile, regions
from analysis.households import JAKARTA
from analysis.microdata import disclosure
from analysis.poverty import measures, multidimensional

MOST_MISSING_PCT = 5  # of a column, for its households to be left out and not the indicator


@dataclass(frozen=True)
class Indicator:
    """A declared deprivation of a household.

    Attributes
    ----------
    name, dimension : str
    words : str
        Deprived if ...
    columns : tuple of str
        What it needs.
    deprived : callable
        Of the survey: a bool per household.
    """

    name: str
    dimension: str
    words: str
    columns: tuple[str, ...]
    deprived: Callable[[pd.DataFrame], pd.Series]


FLOOR_M2 = 7.2  # per person: the least of a rumah layak huni
WORKING_AGE = 65  # heads from this age on are not expected to work
_ASSETS = ("has_motorcycle", "has_refrigerator", "has_ac", "has_computer")


def _few_assets(survey: pd.DataFrame) -> pd.Series:
    small = sum(survey[name].astype(bool).astype(int) for name in _ASSETS)
    return (small <= 1) & ~survey["has_car"].astype(bool)


INDICATORS = (
    Indicator(
        "schooling",
        "Education",
        "the head has less than nine years of basic education (no junior school, SMP)",
        ("head_schooling",),
        lambda t: t["head_schooling"].astype(object).isin(["none", "primary"]),
    ),
    Indicator(
        "work",
        "Work",
        f"the head is below {WORKING_AGE} and without work, or works informally",
        ("head_work", "head_age"),
        lambda t: (
            (t["head_work"].astype(object) == "informal")
            | ((t["head_work"].astype(object) == "not_working") & (t["head_age"] < WORKING_AGE))
        ),
    ),
    Indicator(
        "floor",
        "Housing",
        f"less than {FLOOR_M2} m² of floor per person",
        ("floor_area_m2", "household_size"),
        lambda t: t["floor_area_m2"] / t["household_size"] < FLOOR_M2,
    ),
    Indicator(
        "slum",
        "Housing",
        "the dwelling is in an RW kumuh",
        ("slum_rw",),
        lambda t: t["slum_rw"].astype(bool),
    ),
    Indicator(
        "water",
        "Services and assets",
        "drinking water neither piped, bottled nor from a well",
        ("water",),
        lambda t: t["water"].astype(object) == "other",
    ),
    Indicator(
        "toilet",
        "Services and assets",
        "no toilet of its own",
        ("toilet",),
        lambda t: t["toilet"].astype(object) != "own",
    ),
    Indicator(
        "assets",
        "Services and assets",
        "no car, and at most one of motorcycle, refrigerator, AC, computer",
        ("has_car", *_ASSETS),
        _few_assets,
    ),
)


@dataclass(frozen=True)
class Counted:
    """Multidimensional poverty of a survey by the declared indicators.

    Attributes
    ----------
    whole, by_kota : analysis.poverty.multidimensional.Multidimensional
    cutoffs : pandas.DataFrame
        `multidimensional.over_cutoffs` of all and by kota (``area`` is ``all`` or a code).
    survey : pandas.DataFrame
        The households used, with the indicators and ``mpi_poor``.
    cells : pandas.DataFrame
        `poverty_profile.cells` of them by kota.
    absent : list of str
        Indicators that the file does not allow.
    dropped_pct : float
        Households left out for a missing value, in percent.
    """

    whole: multidimensional.Multidimensional
    by_kota: multidimensional.Multidimensional
    cutoffs: pd.DataFrame
    survey: pd.DataFrame
    cells: pd.DataFrame
    absent: list[str]
    dropped_pct: float


CUTOFFS = (0.2, 0.25, 0.3, 0.4, 0.5, 0.6)  # and the one chosen


def counted(survey: pd.DataFrame, k: float) -> Counted | None:
    """H, A and M0 of Alkire and Foster with the declared indicators; None without any of them.

    Dimensions weigh the same and so do the indicators within each; where a column is not there,
    or missing for more than `MOST_MISSING_PCT` of households, its indicator is left out and the
    others weigh more. Other households with a missing value are left out.
    """
    usable = [
        each
        for each in INDICATORS
        if all(c in survey for c in each.columns)
        and all(100 * survey[c].isna().mean() <= MOST_MISSING_PCT for c in each.columns)
    ]
    if len({each.dimension for each in usable}) < 2:
        return None
    needed = sorted({c for each in usable for c in each.columns})
    own = survey[survey[needed].notna().all(axis=1)].reset_index(drop=True)
    own = own.assign(**{f"deprived_{each.name}": each.deprived(own) for each in usable})
    dimensions: dict[str, list[str]] = {}
    for each in usable:
        dimensions.setdefault(each.dimension, []).append(f"deprived_{each.name}")
    given = households.design_columns(own)
    whole, by_kota = (
        multidimensional.alkire_foster(own, dimensions, k, by=by, **given)
        for by in (None, "kota_code")
    )
    cutoffs = pd.concat(
        [
            multidimensional.over_cutoffs(own, dimensions, sorted({*CUTOFFS, k}), by=by, **given)
            for by in (None, "kota_code")
        ],
        ignore_index=True,
    )
    own["mpi_poor"] = whole.households["poor"]
    absent = [each.words for each in INDICATORS if each not in usable]
    dropped = 100 * (1 - len(own) / len(survey))
    return Counted(
        whole,
        by_kota,
        cutoffs,
        own,
        poverty_profile.cells(own, "kota_code", "mpi_poor"),
        absent,
        dropped,
    )


def indicators_table(found: Counted) -> pd.DataFrame:
    """The declared indicators with weights, headcounts and contributions, in percent.

    Indicators are the cells that are suppressed where few sampled households are deprived.
    """
    own = found.whole.indicators.set_index(["indicator", "measure"])
    rows = []
    for each in INDICATORS:
        name = f"deprived_{each.name}"
        if name not in found.whole.weights:
            continue
        row = {
            "dimension": each.dimension,
            "deprived": each.words,
            "weight_pct": 100 * found.whole.weights[name],
            "n_deprived": int(found.survey[name].sum()),
            "n_both": int((found.survey[name] & found.survey["mpi_poor"]).sum()),
        }
        for words, measure in _SHOWN.items():
            values = own.loc[(name, measure), ["estimate", "lower", "upper"]] * 100
            row[words] = poverty_profile.with_interval(*values, 1)
        rows.append(row)
    counts = ["n_deprived", "n_both"]
    table = microdata.suppress(pd.DataFrame(rows), counts, keep=["weight_pct"])
    first = table["dimension"].ne(table["dimension"].shift())
    table["dimension"] = table["dimension"].where(first, "")
    table[list(_SHOWN)] = table[list(_SHOWN)].mask(table["suppressed"])
    return table[["dimension", "deprived", "weight_pct", *_SHOWN]]


_SHOWN = {
    "uncensored": multidimensional.UNCENSORED,
    "censored": multidimensional.CENSORED,
    "contribution": multidimensional.CONTRIBUTION,
}


def area_table(found: Counted) -> pd.DataFrame:
    """H, A, M0 and the contribution to it by kota, suppressed where the poor could be counted."""
    own = pd.concat([found.by_kota.measures, found.whole.measures], ignore_index=True)
    own["area"] = own["area"].replace({measures.ALL: JAKARTA})
    groups = found.by_kota.groups.set_index("area")
    rows = []
    for code, part in own.groupby("area", sort=False):
        values = part.set_index("measure")
        row = {"area": poverty_profile.area_names(pd.Series([code]))[0]}
        hidden = found.cells.loc[code, "suppressed"]
        for name, digits in (("H", 1), ("A", 1), ("M0", 2)):
            each = values.loc[name, ["estimate", "lower", "upper"]] * 100
            row[name] = None if hidden else poverty_profile.with_interval(*each, digits)
        row["population_pct"] = 100 * groups["population_share"].get(code, 1.0)
        each = groups.loc[code] * 100 if code in groups.index else None
        names = ["contribution", "contribution_lower", "contribution_upper"]
        row["contribution"] = (
            None if hidden or each is None else poverty_profile.with_interval(*each[names], 0)
        )
        rows.append(row)
    return pd.DataFrame(rows)


def draw_cutoffs(axes: Axes, found: Counted) -> None:
    """H of the city by cutoff with its interval, the chosen one marked."""
    own = found.cutoffs[(found.cutoffs["area"] == measures.ALL) & (found.cutoffs["measure"] == "H")]
    h = own[["estimate", "lower", "upper"]].to_numpy().T * 100
    # H is a step function of k: nothing is drawn between the cutoffs tried.
    axes.errorbar(own["k"] * 100, h[0], yerr=np.abs(h[1:] - h[0]), fmt="o", ms=3.5, capsize=2.5)
    axes.axvline(found.whole.k * 100, color="C1", ls="--", lw=1)
    axes.set_ylim(bottom=0)


def draw_contributions(axes: Axes, found: Counted) -> None:
    """What each dimension contributes to M0, by area, as bars.

    Left out are kota that are suppressed, and those where few of the sampled households that are
    poor are deprived in a dimension.
    """
    own = pd.concat([found.by_kota.dimensions, found.whole.dimensions], ignore_index=True)
    own["area"] = own["area"].replace({measures.ALL: JAKARTA})
    own = own[~own["area"].map(found.cells["suppressed"]).astype(bool)]
    own = own[~own["area"].isin(_thin(found))]
    wide = own.pivot(index="area", columns="dimension", values="estimate") * 100
    areas = [code for code in (JAKARTA, *reversed(regions.KOTA)) if code in wide.index]
    wide = wide.reindex(index=areas, columns=list(own["dimension"].unique()))
    left = np.zeros(len(wide))
    places = np.arange(len(wide))
    for color, (name, values) in zip(("C0", "C1", "C3", "C5"), wide.items(), strict=False):
        axes.barh(places, values, left=left, color=color, label=name, height=0.65)
        for place, start, value in zip(places, left, values, strict=True):
            if value >= 8:
                axes.text(start + value / 2, place, f"{value:.0f}", color="white", ha="center",
                          va="center", fontsize=7)  # fmt: skip
        left = left + values.to_numpy()
    axes.set_yticks(places, poverty_profile.area_names(pd.Series(wide.index)))
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2, fontsize=7)


def _thin(found: Counted) -> set[str]:
    """Kota where fewer than `disclosure.THRESHOLD` poor households are deprived in a dimension."""
    poor = found.survey[found.survey["mpi_poor"]]
    names = found.whole.indicators.drop_duplicates("indicator").groupby("dimension")["indicator"]
    thin = set()
    for _, own in names:
        counts = poor[list(own)].any(axis=1).groupby(poor["kota_code"]).sum()
        thin |= set(counts.index[counts < disclosure.THRESHOLD])
    return thin


def agreement(found: Counted) -> pd.DataFrame:
    """Whether the order of the kota by M0 hangs on the cutoff, and how much of it is chance.

    Returns ``k, tau`` (Kendall's, with the order at the chosen cutoff), ``pairs`` and ``apart``
    (pairs whose M0 differ by more than 1.96 standard errors; kota are sampled on their own), of the
    kota that may be shown; no rows with fewer than three.
    """
    shown = found.cells.index[~found.cells["suppressed"]].drop(JAKARTA, errors="ignore")
    own = found.cutoffs[found.cutoffs["measure"] == "M0"]
    own = own[own["area"].isin(shown)]
    wide = own.pivot(index="k", columns="area", values="estimate")
    errors = own.pivot(index="k", columns="area", values="se")
    if wide.shape[1] < 3:
        return pd.DataFrame(columns=["k", "tau", "pairs", "apart"])
    one, two = np.triu_indices(wide.shape[1], 1)
    values, se = wide.to_numpy(), errors.to_numpy()
    z = np.abs(values[:, one] - values[:, two]) / np.hypot(se[:, one], se[:, two])
    chosen = wide.loc[found.whole.k]
    return pd.DataFrame(
        {
            "k": wide.index,
            "tau": [stats.kendalltau(row, chosen).statistic for row in values],
            "pairs": len(one),
            "apart": (z > stats.norm.isf(0.025)).sum(axis=1),
        }
    )


def overlap(found: Counted) -> pd.DataFrame:
    """Who is poor by money, by the count of deprivations, or by both, in percent of people.

    Returns ``group, estimate, lower, upper``; no rows where a cell is small.
    """
    money, count = found.survey["poor"].astype(bool), found.survey["mpi_poor"].astype(bool)
    groups = {
        "both": money & count,
        "by money only": money & ~count,
        "by deprivations only": ~money & count,
        "neither": ~money & ~count,
    }
    if min(own.sum() for own in groups.values()) < disclosure.THRESHOLD:
        return pd.DataFrame(columns=["group", "estimate", "lower", "upper"])
    frame = found.survey.assign(**{f"in_{i}": own for i, own in enumerate(groups.values())})
    asked = [measures.ratio_of(f"in_{i}") for i in range(len(groups))]
    table = poverty_profile.estimated(frame, asked)
    numbers = ["estimate", "lower", "upper"]
    return table[numbers].mul(100).assign(group=list(groups))[["group", *numbers]]


def words(found: Counted | None) -> str:
    """H and M0, the overlap with poverty by money, robustness, and what is missing."""
    if found is None:
        return (
            "The file does not have the columns for two dimensions of deprivation, so that "
            "multidimensional poverty cannot be counted."
        )
    told = []
    if found.cells.loc[JAKARTA, "suppressed"]:
        told.append("Too few or too many households are poor by this cutoff to be shown.")
    else:
        own = found.whole.measures.set_index("measure")
        told.append(
            f"**{poverty_profile.pct_words(own.loc['H'], 1)}** of the people are "
            "multidimensionally poor; on average they have "
            f"{poverty_profile.pct_words(own.loc['A'], 0)} of the weighted deprivations, so that "
            f"M0 is {own.loc['M0', 'estimate']:.3f} ({own.loc['M0', 'lower']:.3f} to "
            f"{own.loc['M0', 'upper']:.3f})."
        )
        both = overlap(found).set_index("group")
        if len(both):
            poor = both.loc[["both", "by money only"], "estimate"].sum()
            alone = both.loc["by deprivations only"]
            told.append(
                f"Of the poor by money {100 * both.loc['both', 'estimate'] / poor:.0f} % are poor "
                f"by this count too; {alone['estimate']:.1f} % of the people "
                f"({alone['lower']:.1f} to {alone['upper']:.1f}) are poor by the count alone."
            )
        order = agreement(found)
        if len(order):
            own = order[order["k"] == found.whole.k].iloc[0]
            least = order.loc[order["tau"].idxmin()]
            told.append(
                f"Of {own['pairs']:.0f} pairs of kota {own['apart']:.0f} differ in M0 by more than "
                "the survey's error; their order "
                + (
                    "is the same at every cutoff tried."
                    if least["tau"] > 1 - 1e-9
                    else f"hangs on the cutoff (Kendall's tau with the one shown is "
                    f"{poverty_profile.signed(least['tau'], 2)} at {100 * least['k']:.0f} %)."
                )
            )
    if found.absent:
        told.append(f"Not in the file, so not counted: {'; '.join(found.absent)}.")
    if found.dropped_pct > 0:
        told.append(f"{found.dropped_pct:.1f} % of the households lack a value and are left out.")
    return " ".join(told)
