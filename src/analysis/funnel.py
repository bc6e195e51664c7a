"""The OK OCE funnel: from registration to jobs claimed, as far as counts were published.

The counts are the programme's own or reports of them (raw table ``programme_indicators``), not a
sample: there are no sampling intervals. Where sources disagree, all of them are kept and a ratio
is given as a range.
"""

import itertools
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import arithmetic
from analysis.assumptions import Input

# The steps in order, and the indicators that count them. The programme was renamed JakPreneur.
STEPS = {
    "registered": ("OKOCE_registered", "JakPreneur_registered"),
    "trained": ("OKOCE_trained",),
    "licensed": ("OKOCE_licensed_IUMK",),
    "with capital": ("OKOCE_capital_access", "JakPreneur_capital_access"),
    "jobs claimed": ("OKOCE_jobs_claimed",),
}
# Each step is part of the one before, but jobs: one business may claim several, or none.
NO_SUBSET = "jobs claimed"
TARGET_ENTREPRENEURS = "OKOCE_target_entrepreneurs"
TARGET_JOBS = "OKOCE_jobs_target"
TARGET_PER_YEAR = "OKOCE_target_per_year"
TARGET_REVISED = "RPJMD_revised_target_entrepreneurs"
FIRST_YEAR, LAST_YEAR = 2018, 2022  # the years of the programme's five


class FunnelError(ValueError):
    """The table of programme figures lacks what the funnel needs."""


def counts(programme: pd.DataFrame) -> pd.DataFrame:
    """The published counts of the funnel.

    Parameters
    ----------
    programme
        Raw table ``programme_indicators``.

    Returns
    -------
    pandas.DataFrame
        ``step, period, year, value, programme, source`` (a row per published count; ``step``
        ordered as in `STEPS`), all cumulative since the beginning.
    """
    rows = []
    for step, indicators in STEPS.items():
        own = programme[programme["indicator"].isin(indicators)]
        for row in own.itertuples():
            name = "JakPreneur" if row.indicator.startswith("Jak") else "OK OCE"
            rows.append((step, row.period, int(row.period[:4]), row.value, name, row.source))
    table = pd.DataFrame(rows, columns=["step", "period", "year", "value", "programme", "source"])
    table["step"] = pd.Categorical(table["step"], list(STEPS), ordered=True)
    return table.sort_values(["step", "period", "value"], ignore_index=True)


def targets(programme: pd.DataFrame) -> dict[str, float]:
    """The two readings of 200,000, kept apart, and the number a year.

    Returns
    -------
    dict
        ``entrepreneurs`` (the programme's own target), ``jobs`` (the meeting of 31 May 2018) and
        ``per_year`` (entrepreneurs).

    Raises
    ------
    FunnelError
        One of them is not in the table.
    """
    names = {
        "entrepreneurs": TARGET_ENTREPRENEURS,
        "jobs": TARGET_JOBS,
        "per_year": TARGET_PER_YEAR,
    }
    values = programme.set_index("indicator")["value"]
    missing = [indicator for indicator in names.values() if indicator not in values]
    if missing:
        raise FunnelError(f"programme_indicators has no {', '.join(missing)}")
    return {name: float(values[indicator]) for name, indicator in names.items()}


def by_year(published: pd.DataFrame) -> pd.DataFrame:
    """Each step in each year of the programme: the count, a range, or that none was published.

    Returns
    -------
    pandas.DataFrame
        ``step`` and a column of text per year from 2018 to 2022; the latest counts of the year,
        and their range where sources disagree.
    """
    rows = []
    for step in STEPS:
        row = {"step": step}
        for year in range(FIRST_YEAR, LAST_YEAR + 1):
            own = latest(published, step, year)
            row[str(year)] = "not published" if own.empty else _range(own["value"])
        rows.append(row)
    return pd.DataFrame(rows)


def latest(published: pd.DataFrame, step: str, year: int) -> pd.DataFrame:
    """The counts of a step at the end of a year, or else at its latest date with any.

    A count of the year as a whole (``2018``) is of its end.
    """
    own = published[(published["step"] == step) & (published["year"] == year)]
    whole = own[own["period"].str.fullmatch(r"\d{4}")]
    return whole if len(whole) else own[own["period"] == own["period"].max()]


def ratios(published: pd.DataFrame) -> pd.DataFrame:
    """Ratios between steps counted at the same time.

    Returns
    -------
    pandas.DataFrame
        ``period, of, to, low_pct, high_pct, counts`` (how many counts stand behind it),
        ``subset`` (bool: whether ``to`` is a part of ``of``). The range is that of the sources.
    """
    rows = []
    steps = list(STEPS)
    for period, own in published.groupby("period"):
        there = [step for step in steps if (own["step"] == step).any()]
        for of, to in itertools.pairwise(there):
            top, bottom = (own.loc[own["step"] == step, "value"] for step in (to, of))
            rows.append(
                {
                    "period": period,
                    "of": of,
                    "to": to,
                    "low_pct": 100 * top.min() / bottom.max(),
                    "high_pct": 100 * top.max() / bottom.min(),
                    "counts": len(top) + len(bottom),
                    "subset": NO_SUBSET not in (of, to),
                }
            )
    return pd.DataFrame(rows)


def ends(published: pd.DataFrame) -> pd.DataFrame:
    """What stands at the end of the funnel: ``step, period, low, high``, latest of each step."""
    rows = []
    for step in STEPS:
        own = published[published["step"] == step]
        if own.empty:
            continue
        own = latest(published, step, int(own["year"].max()))
        low, high = own["value"].min(), own["value"].max()
        rows.append({"step": step, "period": own["period"].iloc[-1], "low": low, "high": high})
    return pd.DataFrame(rows)


def verdict(published: pd.DataFrame, aims: dict[str, float]) -> str:
    """What was published of the funnel against its targets, in a few sentences of Markdown."""
    first = FIRST_YEAR
    licensed, jobs = (latest(published, step, first)["value"] for step in ("licensed", NO_SUBSET))
    of_year = _share(licensed, aims["per_year"])
    last = published[published["step"] == "registered"].iloc[-1]
    found = ends(published).set_index("step").loc["licensed"]
    compared = "more than" if last["value"] > aims["entrepreneurs"] else "not more than"
    return (
        f"In {first}, the one year with counts of nearly all steps, {_range(licensed)} businesses "
        f"were licensed, **{of_year} %** of the {aims['per_year']:,.0f} entrepreneurs a year that "
        f"the programme aimed at, and {_range(jobs)} jobs were claimed by the programme itself. "
        f"The last count, of {_when(last['period'])}, is of registrations: {last['value']:,.0f}, "
        f"{compared} the {aims['entrepreneurs']:,.0f} entrepreneurs of the target, but a "
        "registration is no business. The last count of licences, of "
        f"{_when(found['period'])}, is {_share(found[['low', 'high']], aims['entrepreneurs'])} % "
        "of that target. How many businesses had a licence, or still existed, at the end was not "
        "published."
    )


def jobs_words(published: pd.DataFrame, unemployed: pd.DataFrame) -> str:
    """The jobs claimed beside the unemployed as BPS counted them.

    ``unemployed`` has ``period, value`` of two surveys.
    """
    claimed = latest(published, NO_SUBSET, FIRST_YEAR)["value"]
    before, after = unemployed.sort_values("period").itertuples(index=False)
    change = after.value - before.value
    verb = "rose" if change > 0 else "fell"
    return (
        f"The {_range(claimed)} jobs are a claim of the programme. In the labour force survey of "
        f"BPS the number of unemployed {verb} from {before.value:,.0f} ({_when(before.period)}) to "
        f"{after.value:,.0f} ({_when(after.period)}), by {abs(change):,.0f}. The survey neither "
        "confirms nor refutes the claim: many things move unemployment, and a new entrepreneur "
        "need not have been unemployed."
    )


def aim_table(programme: pd.DataFrame) -> pd.DataFrame:
    """The targets as published: ``aim, period, value, unit, source``."""
    names = {
        TARGET_ENTREPRENEURS: "target of the programme",
        TARGET_PER_YEAR: "the same, per year",
        TARGET_REVISED: "revised target of the plan",
        TARGET_JOBS: "meeting of the poverty team",
    }
    own = programme[programme["indicator"].isin(names)].copy()
    own["aim"] = own["indicator"].map(names)
    own = own.sort_values("indicator", key=lambda column: column.map(list(names).index))
    return own[["aim", "period", "value", "unit", "source"]]


def meaning(
    published: pd.DataFrame,
    aims: Mapping[str, float],
    base: arithmetic.Baseline,
    inputs: Mapping[str, Input],
) -> pd.DataFrame:
    """Points of P0 that counts and targets of the funnel can mean, under the arithmetic.

    Returns
    -------
    pandas.DataFrame
        Draws (rows, of both fits) by count or target: the columns are ``(words, number)``. Where
        sources disagree, the larger count is taken.
    """
    found = ends(published).set_index("step")["high"]
    numbers = {
        "with capital, last count": found["with capital"],
        "licensed, last count": found["licensed"],
        "jobs claimed": found["jobs claimed"],
        "target a year, entrepreneurs": aims["per_year"],
        "target, entrepreneurs": aims["entrepreneurs"],
        "meeting of 31 May 2018, jobs": aims["jobs"],
    }
    return pd.DataFrame(
        {
            (words, number): arithmetic.simulate_points(base, inputs, number).to_numpy().ravel()
            for words, number in numbers.items()
        }
    )


def meaning_table(meant: pd.DataFrame) -> pd.DataFrame:
    """`meaning` summarised: ``what, number, median, low, high`` (points; 5 and 95 per cent)."""
    rows = []
    for what, number in meant:
        found = arithmetic.summary(meant[what, number])
        rows.append({"what": what, "number": number} | found)
    return pd.DataFrame(rows)[["what", "number", "median", "low", "high"]]


def meaning_words(meant: pd.DataFrame) -> str:
    """What the last count of licences, and the whole target, can mean for P0."""
    table = meaning_table(meant).set_index("what")
    licensed, whole = table.loc["licensed, last count"], table.loc["target, entrepreneurs"]
    return (
        f"If each of the {licensed['number']:,.0f} licensed businesses worked as the declared "
        f"inputs have it, P0 would be **{licensed['median']:.2f} points** lower (90 % range "
        f"{licensed['low']:.2f} to {licensed['high']:.2f}); with all "
        f"{whole['number']:,.0f} of the target {whole['median']:.2f} ({whole['low']:.2f} to "
        f"{whole['high']:.2f})."
    )


def claim_words(
    base: arithmetic.Baseline, inputs: Mapping[str, Input], programme: pd.DataFrame
) -> str:
    """What the jobs that the programme claims can have done, at the very most and in the draws."""
    claimed = programme.loc[programme["indicator"] == "OKOCE_jobs_claimed", "value"].max()
    most = 100 * claimed * inputs["poor_household_size"].quantile(1.0) / base.population_count
    drawn = arithmetic.simulate_points(base, inputs, claimed)
    found = [arithmetic.summary(drawn[fit]) for fit in base.fits]
    return (
        f"The {claimed:,.0f} jobs that the programme claimed would move P0 by "
        f"{arithmetic.between([f['median'] for f in found], 2)} points (90 % range "
        f"{min(f['low'] for f in found):.2f} to {max(f['high'] for f in found):.2f}), and by "
        f"{most:.1f} if every one had lifted a poor household."
    )


def budget_marks(programme: pd.DataFrame) -> dict[str, float]:
    """The budget of OK OCE in 2018 in Rp billion, on which two sources disagree, as marks beside
    the cost of transfers (`analysis.arithmetic.transfer_marks`)."""
    budgets = programme.loc[programme["indicator"] == "OKOCE_budget", "value"]
    return {f"OK OCE 2018:\n{value:g}": float(value) for value in budgets}


def draw_meaning(axes: Axes, meant: pd.DataFrame) -> None:
    """`meaning` as ranges of points, logarithmic, with one point marked."""
    ranges = {f"{what} ({number:,.0f})": meant[what, number] for what, number in meant}
    arithmetic.draw_ranges(axes, ranges, {"1 point": 1.0})


def draw(axes: Axes, published: pd.DataFrame, aims: dict[str, float]) -> None:
    """Every published count over time, a mark per step, with the target's path of entrepreneurs."""
    for marker, step in zip("osD^v", STEPS, strict=True):
        own = published[published["step"] == step]
        at = [_time(period) for period in own["period"]]
        axes.plot(
            at, own["value"] / 1000, marker=marker, linestyle="none", markersize=5, label=step
        )
    years = np.arange(FIRST_YEAR, LAST_YEAR + 2)
    axes.plot(
        years,
        (years - FIRST_YEAR) * aims["per_year"] / 1000,
        color="C1",
        linestyle="--",
        linewidth=1,
        label=f"{aims['per_year']:,.0f} entrepreneurs a year",
        zorder=1,
    )
    axes.set_xticks(years, years)


def _time(period: str) -> float:
    year, month, day = (int(part) for part in (period + "-12-31")[:10].split("-"))
    if re.fullmatch(r"\d{4}-\d{2}", period):
        month, day = int(period[5:7]), 28
    return year + (month - 1) / 12 + (day - 1) / 365


def _when(period: str) -> str:
    return f"{pd.Timestamp(period):%B %Y}" if len(period) > 4 else period


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _share(values: pd.Series, of: float) -> str:
    low, high = (f"{100 * value / of:.0f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
