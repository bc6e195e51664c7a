"""CAP and CIP in slum RW: what the published counts, lists and budgets let one conclude.

There is no published list of slum RW at two dates, and no complete list of those with works. What
remains is the count of the province before and after, held against the pace of the years before:
an extrapolation with a range, not an interval of confidence.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from analysis import regions, slums
from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Check, Detectable, Estimate, amount

PROVINCE = "DKI Jakarta"
CLASSES = ("berat", "sedang", "ringan", "sangat ringan")
_COLOURS = {
    "berat": "#7f2704",
    "sedang": "#d94801",
    "ringan": "#fd8d3c",
    "sangat ringan": "#fdd0a2",
}


@dataclass(frozen=True, eq=False)
class Trend:
    """The count against the pace before the programme.

    Attributes
    ----------
    estimate
        Last count less what the whole earlier pace would have left, without interval.
    lower, upper
        The same with the slowest and the fastest pace between two counts before: a range.
    paces : DataFrame
        ``from_year, to_year, from_count, to_count, yearly_pct``, a row per pair of successive
        counts before, the last row from the first to the last of them.
    path : DataFrame
        ``year, middle, slow, fast``: RW under these paces from the baseline on.
    observed : DataFrame
        ``year, slum_rw_count`` from the baseline on.
    detectable
        The smallest effect that would leave the range on the side of less slums.
    """

    estimate: Estimate
    lower: float
    upper: float
    paces: pd.DataFrame
    path: pd.DataFrame
    observed: pd.DataFrame
    detectable: Detectable


def trend(design: Design, series: pd.DataFrame, baseline: int, last: int) -> Trend:
    """Hold the last count of slum RW of the province against the pace before.

    Parameters
    ----------
    series
        Result of `analysis.slums.count_series`.
    baseline, last
        Years with a count of the province, on one frame.

    Raises
    ------
    EffectsError
        A year has no count, or fewer than three counts by BPS come before.
    """
    declared(design)
    own = series[(series["area"] == PROVINCE) & (series["counted_by"] != slums.ADMINISTRATIVE)]
    count = own.set_index("year")["slum_rw_count"]
    for year in (baseline, last):
        if year not in count.index:
            there = ", ".join(map(str, count.index))
            raise EffectsError(f"no count of {PROVINCE} for {year} (there is: {there})")
    before = count[[year for year in count.index if year < slums.FRAME_CHANGE]]
    if len(before) < 3:
        raise EffectsError(f"{len(before)} counts before the programme tell no range of paces")
    years = list(before.index)
    pairs = [*itertools.pairwise(years), (years[0], years[-1])]
    paces = pd.DataFrame(
        [
            (a, b, before[a], before[b], 100 * ((before[b] / before[a]) ** (1 / (b - a)) - 1))
            for a, b in pairs
        ],
        columns=["from_year", "to_year", "from_count", "to_count", "yearly_pct"],
    )
    rate = 1 + paces["yearly_pct"] / 100
    path = pd.DataFrame({"year": range(baseline, last + 1)})
    for name, pace in (("middle", rate.iloc[-1]), ("slow", rate.max()), ("fast", rate.min())):
        path[name] = count[baseline] * pace ** (path["year"] - baseline)
    end = path.iloc[-1]
    lower, upper = float(count[last] - end["slow"]), float(count[last] - end["fast"])
    unit = design.unit_of_effect
    estimate = Estimate(
        design=design,
        estimator="pace before the programme",
        effect=float(count[last] - end["middle"]),
        lower=math.nan,
        upper=math.nan,
        inference=(
            f"the range over the paces seen before, {amount(lower, unit)} to "
            f"{amount(upper, unit)} {unit}, which is no confidence interval"
        ),
        n_units=1,
        n_treated=1,
        n_periods=len(before) + 2,
        label=f"{PROVINCE}, {baseline} to {last}",
    )
    # Below the fastest pace the count would lie under every one seen before.
    detectable = Detectable(
        effect=float(end["middle"] - end["fast"]),
        unit=design.unit_of_effect,
        how=f"fewer than {end['fast']:.0f} left in {last}, below every pace seen before",
        power=1.0,
        size=0.0,
    )
    observed = count[[year for year in count.index if baseline <= year <= last]].reset_index()
    return Trend(estimate, lower, upper, paces, path, observed, detectable)


def trend_checks(found: Trend, series: pd.DataFrame, last: int) -> list[Check]:
    """Checks of the design's first three assumptions, in their order."""
    names = [assumption.name for assumption in found.estimate.design.assumptions]
    rates = found.paces["yearly_pct"].iloc[:-1]
    own = series[(series["area"] == PROVINCE) & (series["year"] == last)].iloc[0]
    first = found.paces["from_year"].min()
    return [
        Check(
            names[0],
            "paces between the counts before",
            rates.max() < 0 and rates.min() > 2 * rates.max(),
            f"from {_signed(rates.max())} to {_signed(rates.min())} % a year",
            "the fastest is less than twice the slowest",
        ),
        Check(
            names[1],
            "who counted",
            own["counted_by"] == slums.BPS,
            f"the count of {last} is by: {own['counted_by']}; that of the baseline is by BPS",
            "BPS counted both",
        ),
        Check(
            names[2],
            "frame of the counts",
            last < slums.FRAME_CHANGE,
            f"the paces are of the frame before {slums.FRAME_CHANGE} (from {first}), the last "
            f"count is of {last}",
            "one frame throughout",
        ),
    ]


def verdict(found: Trend, upgraded: int, baseline: int, last: int) -> str:
    """What may be said, in a few sentences."""
    count = found.observed.set_index("year")["slum_rw_count"]
    fall = count[baseline] - count[last]
    now = 100 * ((count[last] / count[baseline]) ** (1 / (last - baseline)) - 1)
    earlier = found.paces.iloc[-1]
    side = "does not tell" if found.lower < 0 < found.upper else "tells"
    return (
        f"The published number of slum RW fell from {count[baseline]} in {baseline} to "
        f"{count[last]} in {last}, by {fall} ({100 * fall / count[baseline]:.0f} %). What of that "
        f"the programme did cannot be said: {_signed(now)} % a year is "
        f"{'slower' if now > earlier['yearly_pct'] else 'faster'} than the "
        f"{_signed(earlier['yearly_pct'])} % a year of {earlier['from_year']:.0f} to "
        f"{earlier['to_year']:.0f}, before it began and on another frame, and the range of earlier "
        f"paces {side} the sign of an effect. {upgraded} RW are said to have been upgraded; no "
        "list says which they are, or what class they had before and after."
    )


def conclusions(found: Trend, by_class: pd.DataFrame, area: str, budget: pd.DataFrame) -> str:
    """What can be concluded from the published figures, as a list."""
    count = found.observed.set_index("year")["slum_rw_count"]
    now = (count.iloc[-1] / count.iloc[0]) ** (1 / (count.index[-1] - count.index[0])) - 1
    pace = "faster" if 100 * now < found.paces["yearly_pct"].iloc[-1] else "not faster"
    gone = [name for name in CLASSES if pd.isna(by_class.iloc[-1][name])]
    ratio = budget["per_rw_rp_billion"].max() / budget["per_rw_rp_billion"].min()
    told = [
        f"on one frame, the number went from {count.iloc[0]} to {count.iloc[-1]}, "
        f"{pace} a year than before the programme",
        f"in {area} the classes {' and '.join(gone)} are no longer named"
        if gone
        else f"in {area} all classes are still there",
        f"the draft budget gave an RW up to {ratio:.1f} times as much in one kota as in another",
    ]
    return "\n".join(f"- {line}" for line in told)


def classes(counts: pd.DataFrame, area: str) -> pd.DataFrame:
    """Published slum RW by class: rows are years, columns `CLASSES`; missing is not published.

    A class that a later source does not name stays missing.
    """
    own = counts[(counts["area"] == area) & counts["kategori"].isin(CLASSES)]
    table = own.astype({"year": int}).pivot(index="year", columns="kategori", values="rw_count")
    return table.reindex(columns=list(CLASSES))


def class_words(table: pd.DataFrame, area: str) -> str:
    """What moved between the first and the last year, and what it cannot mean."""
    first, last = table.iloc[0], table.iloc[-1]
    worst = [name for name in CLASSES if pd.isna(last[name])]
    return (
        f"In {area} {first.sum():.0f} RW were slum RW in {table.index[0]} and {last.sum():.0f} in "
        f"{table.index[-1]}; {' and '.join(worst)}, {first[worst].sum():.0f} RW then, are not "
        f"named any more. RW *sangat ringan* went from {first['sangat ringan']:.0f} to "
        f"{last['sangat ringan']:.0f}: some of these must have come from a worse class or be new, "
        "because more are there than were. Without names neither can be told from the other."
    )


def lists(
    programme: pd.DataFrame, listed: pd.DataFrame, announced: Mapping[tuple[str, int], int]
) -> pd.DataFrame:
    """The RW named with CAP or CIP, against what was announced and against the slum list.

    Parameters
    ----------
    programme
        Raw table ``slum_programme_rw``.
    listed
        Table ``slum_rw``.
    announced
        Number of RW announced, by programme and year.

    Returns
    -------
    pandas.DataFrame
        ``programme, year, kota, named_count, on_list_count`` (named RW that are on the list of
        slum RW; missing where the kota has no list), ``announced_count`` (whole province).
    """
    own = programme.assign(
        kelurahan_code=regions.match(programme["kelurahan"], programme["kota"]),
        kota_code=[regions.kota_code(name) for name in programme["kota"]],
    )
    known = set(zip(listed["kelurahan_code"], listed["rw"], strict=True))
    own["on"] = [pair in known for pair in zip(own["kelurahan_code"], own["rw"], strict=True)]
    table = own.groupby(["programme", "year", "kota_code"], as_index=False).agg(
        named_count=("rw", "size"), on_list_count=("on", "sum")
    )
    covered = table["kota_code"].isin(slums.KOTA_WITH_LIST)
    table["on_list_count"] = table["on_list_count"].astype("Int64").where(covered)
    table["kota"] = table["kota_code"].map(regions.KOTA)
    table["year"] = table["year"].astype(int)
    keys = zip(table["programme"], table["year"], strict=True)
    table["announced_count"] = pd.array([announced.get(key) for key in keys], dtype="Int64")
    columns = ["programme", "year", "kota", "named_count", "on_list_count", "announced_count"]
    return table[columns].sort_values(columns[:3], ignore_index=True)


def spending(budget: pd.DataFrame, series: pd.DataFrame, baseline: int) -> pd.DataFrame:
    """The draft budget of CIP by kota.

    Returns ``kota, rw_count, budget_rp_billion, per_rw_rp_billion, slum_rw_count`` (of the
    baseline year; missing where not published), a row per kota, the dearest RW first.
    """
    kota = [regions.KOTA[regions.kota_code(name)] for name in budget["kota"]]
    slum = series[series["year"] == baseline].set_index("area")["slum_rw_count"]
    table = pd.DataFrame(
        {
            "kota": kota,
            "rw_count": budget["rw_count"],
            "budget_rp_billion": budget["budget_rp_billion"],
            "per_rw_rp_billion": budget["budget_rp_billion"] / budget["rw_count"],
            "slum_rw_count": slum.reindex(kota).astype("Int64").to_numpy(),
        }
    )
    return table.sort_values("per_rw_rp_billion", ascending=False, ignore_index=True)


def spending_words(table: pd.DataFrame) -> str:
    """The range of what an RW was to get, and the mean."""
    first, last = table.iloc[0], table.iloc[-1]
    mean = table["budget_rp_billion"].sum() / table["rw_count"].sum()
    return (
        f"An RW was to get Rp {mean:.1f} billion on average, from {last['per_rw_rp_billion']:.1f} "
        f"in {last['kota']} to {first['per_rw_rp_billion']:.1f} in {first['kota']}, "
        f"{first['per_rw_rp_billion'] / last['per_rw_rp_billion']:.1f} times as much. A draft "
        "budget is no spending, and no outcome by RW is published beside it."
    )


def draw_trend(axes: Axes, found: Trend, series: pd.DataFrame) -> None:
    """All counts, and where the paces before would have led from the baseline on."""
    own = series[(series["area"] == PROVINCE) & (series["counted_by"] != slums.ADMINISTRATIVE)]
    path = found.path
    axes.fill_between(
        path["year"], path["fast"], path["slow"], color="#1f5a94", alpha=0.12, linewidth=0,
        label="range of the paces before",
    )  # fmt: skip
    axes.plot(
        path["year"], path["middle"], color="#1f5a94", linestyle="--", label="whole pace before"
    )
    slums.draw_counts(axes, own)
    axes.set_ylim(0, own["slum_rw_count"].max() * 1.25)
    axes.legend(loc="lower left", fontsize=7.5)


def draw_classes(axes: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Slum RW by class, one bar per area and year."""
    bars = [(f"{area}\n{year}", row) for area, t in tables.items() for year, row in t.iterrows()]
    left = [0.0] * len(bars)
    for name in CLASSES:
        width = [0.0 if math.isnan(row[name]) else float(row[name]) for _, row in bars]
        axes.barh(range(len(bars)), width, left=left, color=_COLOURS[name], label=name)
        for i, value in enumerate(width):
            if value >= 9:
                axes.text(
                    left[i] + value / 2, i, f"{value:.0f}", ha="center", va="center", fontsize=7.5
                )
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(range(len(bars)), [label for label, _ in bars])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(ncols=4, loc="lower right", fontsize=7.5)


def draw_spending(axes: Axes, table: pd.DataFrame) -> None:
    """Draft budget per RW by kota, with the number of RW."""
    axes.barh(table["kota"], table["per_rw_rp_billion"], color="#1f5a94", height=0.62)
    for i, row in table.iterrows():
        axes.text(
            row["per_rw_rp_billion"] + 0.1, i,
            f"{row['per_rw_rp_billion']:.1f}   "
            f"({row['rw_count']:.0f} RW, Rp {row['budget_rp_billion']:.1f} billion)",
            va="center", fontsize=7.5,
        )  # fmt: skip
    axes.set_xlim(0, table["per_rw_rp_billion"].max() * 1.45)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
