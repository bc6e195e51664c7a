"""A poverty target: the straight path to it, how far each release was from that path, how likely
it was as known at each release, and what pace it asks for beside what was ever achieved."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import forecast, periods, poverty
from analysis.assumptions import Input


class TargetError(ValueError):
    """A target makes no sense, or there is no figure to hold against it."""


@dataclass(frozen=True)
class Target:
    """A promise: P0 of a region falls from a baseline to a value by a period.

    Raises
    ------
    TargetError
        A period is no reference period, the two are in the wrong order, or a rate is no percent.
    """

    region_code: str
    baseline_period: str
    baseline_pct: float
    target_period: str
    target_pct: float

    def __post_init__(self) -> None:
        for name in ("baseline_period", "target_period"):
            try:
                periods.check(getattr(self, name))
            except ValueError as error:
                raise TargetError(f"{name}: {error}") from None
        if self.baseline_period >= self.target_period:
            raise TargetError(
                f"target_period {self.target_period} must be later than "
                f"baseline_period {self.baseline_period}"
            )
        for name in ("baseline_pct", "target_pct"):
            if not 0 < getattr(self, name) < 100:
                raise TargetError(f"{name} must be a percentage between 0 and 100")

    def path_pct(self, period: pd.Series) -> pd.Series:
        """P0 on the straight path at each period, in percent.

        Missing before the baseline; the target value after the target period, since a target
        that has been reached is meant to be kept.
        """
        at = periods.decimal_year(period)
        ends = [periods.decimal_year(p) for p in (self.baseline_period, self.target_period)]
        path = np.interp(at, ends, [self.baseline_pct, self.target_pct])
        return pd.Series(path, index=at.index).where(at >= ends[0])


def progress(series: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Every release since the baseline against the path.

    Parameters
    ----------
    series
        Table ``poverty_semester``, one row per region and period.
    target
        The target.

    Returns
    -------
    pandas.DataFrame
        One row per period of the grid from the baseline on, releases that do not exist included
        as missing: the columns of ``series`` and ``path_pct``, ``distance_points`` (P0 minus path,
        percentage points; positive is too much poverty), ``population_count`` (implied by number
        of poor and P0), ``path_poor_count``, ``distance_count`` and its bounds from rounding
        ``distance_low_count``, ``distance_high_count`` (persons).

    Raises
    ------
    TargetError
        The region is not in the table, or no figure was published for the baseline, or the one
        published is not the baseline of the target; or the region lost a part of its area
        after the baseline.
    """
    own = series[series["region_code"] == target.region_code]
    if own.empty:
        known = ", ".join(series["region_code"].unique())
        raise TargetError(f"no region {target.region_code!r} in the series (there are: {known})")
    own = own[own["period"] >= target.baseline_period].reset_index(drop=True)
    published = own.loc[own["period"] == target.baseline_period, "p0_pct"]
    if published.empty or published.isna().all():
        status = "out of the series" if published.empty else own["status"].iloc[0]
        raise TargetError(
            f"P0 of region {target.region_code} for {target.baseline_period} is {status}: choose "
            f"a baseline_period with a figure"
        )
    split = poverty.SPLITS.get(target.region_code, "")
    if target.baseline_period < split:
        raise TargetError(
            f"region {target.region_code} lost a part of its area in {split}: figures before and "
            f"after are not of the same area; choose a baseline_period from {split} on"
        )
    if not np.isclose(published.iloc[0], target.baseline_pct, atol=0.005):
        raise TargetError(
            f"baseline_pct is {target.baseline_pct}, but the published P0 of region "
            f"{target.region_code} for {target.baseline_period} is {published.iloc[0]}"
        )
    population = poverty.implied_population(own["poor_count"], own["p0_pct"])
    path_pct = target.path_pct(own["period"])
    points = own["p0_pct"] - path_pct
    share = points / 100
    # Rounding of P0 (0.01 point) moves both the distance in points and the population it is
    # applied to; that of the number of poor (10 persons) moves the population.
    corners = pd.concat(
        [
            (own["p0_pct"] + of_rate - path_pct)
            / (own["p0_pct"] + of_rate)
            * (own["poor_count"].astype("float64") + of_count)
            for of_rate, of_count in itertools.product((-0.005, 0.005), (-5, 5))
        ],
        axis=1,
    )
    return own.assign(
        path_pct=path_pct,
        distance_points=points,
        population_count=population["population_count"],
        path_poor_count=path_pct / 100 * population["population_count"],
        distance_count=share * population["population_count"],
        distance_low_count=corners.min(axis=1),
        distance_high_count=corners.max(axis=1),
    )


def at(progress: pd.DataFrame, period: str) -> pd.Series | None:
    """The row of one period, or None if no figure was published for it."""
    row = progress[(progress["period"] == period) & progress["p0_pct"].notna()]
    return None if row.empty else row.iloc[0]


def verdict(progress: pd.DataFrame, target: Target) -> str:
    """What became of the target, in one sentence of Markdown with its figures."""
    aim = f"**{target.target_pct:.2f} %** in {periods.written(target.target_period)}"
    row = at(progress, target.target_period)
    if row is not None:
        missed = row["distance_points"] > 0
        outcome = "missed" if missed else "met"
        side = "above" if missed else "below"
        persons = abs(row["distance_count"]) / 1000
        counted = f", which is about {persons:,.0f} thousand persons"
        counted += " too many" if missed else " fewer"
        return (
            f"The target of {aim} was **{outcome}**: poverty stood at **{row['p0_pct']:.2f} %**, "
            f"{abs(row['distance_points']):.2f} points {side} it"
            f"{'' if pd.isna(persons) else counted}."
        )
    released = progress[progress["p0_pct"].notna()]
    last = released.iloc[-1]
    if target.target_period <= progress["period"].max():
        status = progress.loc[progress["period"] == target.target_period, "status"].iloc[0]
        return (
            f"Whether the target of {aim} was met cannot be said here: the figure of that period "
            f"is {status}. The last one, of {periods.written(last['period'])}, is "
            f"{last['p0_pct']:.2f} %."
        )
    distance = last["distance_points"]
    where = "on" if abs(distance) < 0.005 else f"{abs(distance):.2f} points "
    if where != "on":
        where += "above" if distance > 0 else "below"
    return (
        f"The target of {aim} lies ahead. The last figure, of {periods.written(last['period'])}, "
        f"is **{last['p0_pct']:.2f} %**, {where} the straight path."
    )


def interim(targets: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Interim targets of the same plan between baseline and target: ``period, p0_pct``, sorted.

    ``targets`` is the raw table ``poverty_targets``. A target that is not on record there as a
    final one is no plan's, and has no interim targets.
    """
    own = targets[targets["region_code"] == target.region_code]
    final = own[(own["kind"] == "final") & (own["period"] == target.target_period)]
    if not np.isclose(final["p0_pct"], target.target_pct).any():
        return own.head(0)[["period", "p0_pct"]]
    own = own[own["kind"] == "interim"]
    between = (own["period"] > target.baseline_period) & (own["period"] < target.target_period)
    return own.loc[between, ["period", "p0_pct"]].sort_values("period", ignore_index=True)


def interim_verdict(progress: pd.DataFrame, interim: pd.DataFrame) -> str:
    """A sentence on each interim target; empty if there is none."""
    told = []
    for goal in interim.itertuples():
        aim = f"The interim target of {goal.p0_pct:.2f} % in {periods.written(goal.period)}"
        row = at(progress, goal.period)
        if row is None:
            told.append(f"{aim} has no figure to be held against here.")
            continue
        gap = row["p0_pct"] - goal.p0_pct
        persons = abs(gap) / 100 * row["population_count"] / 1000
        outcome = f"missed by {gap:.2f} points" if gap > 0 else f"met ({-gap:.2f} points below)"
        told.append(
            f"{aim} was {outcome}: poverty stood at {row['p0_pct']:.2f} %, "
            f"about {persons:,.0f} thousand persons {'above' if gap > 0 else 'below'} it."
        )
    return " ".join(told)


def break_sentence(progress: pd.DataFrame, before: str = "2019-09", after: str = "2020-03") -> str:
    """What happened between two releases, by default at the pandemic; empty without figures."""
    first, second = at(progress, before), at(progress, after)
    if first is None or second is None:
        return ""
    change = second["p0_pct"] - first["p0_pct"]
    verb = "rose" if change > 0 else "fell"
    persons = second["poor_count"] - first["poor_count"]
    counted = "" if pd.isna(persons) else f" ({persons / 1000:+,.0f} thousand persons)"
    return (
        f"From {periods.written(before)} to {periods.written(after)}, when the pandemic began, P0 "
        f"{verb} by {abs(change):.2f} points in one release{counted.replace('-', '−')}."
    )


def needed_error_sentence(progress: pd.DataFrame, target: Target) -> str:
    """How large the unpublished standard error would have to be to explain the outcome."""
    row = at(progress, target.target_period)
    if row is None:
        return "There is no figure for the end, so that there is no distance to judge."
    distance = abs(row["distance_points"])
    return (
        f"For the distance of {distance:.2f} points at the end to be sampling error at the usual "
        f"95 % level, the standard error of P0 would have to be {distance / 1.96:.2f} points, "
        f"{distance / 1.96 / row['p0_pct'] * 100:.0f} % of the rate itself."
    )


def distance_words(progress: pd.DataFrame) -> str:
    """The smallest and the largest distance, for those who cannot see the figure."""
    known = progress[progress["distance_points"].notna()]
    low = known.loc[known["distance_points"].idxmin()]
    high = known.loc[known["distance_points"].idxmax()]
    return (
        f"Smallest {low['distance_points']:+.2f} points in {periods.written(low['period'])}, "
        f"largest {high['distance_points']:+.2f} points in {periods.written(high['period'])}."
    )


# ---- what could be expected ------------------------------------------------------------------


def released(series: pd.DataFrame, region_code: str) -> pd.DataFrame:
    """The figures of a region with the day on which each became public.

    Where the day is not known it is the usual one, 15 July for March and 15 January for September.

    Returns
    -------
    pandas.DataFrame
        ``period, p0_pct, date_published``, one row per published figure, by date; of the same area
        only (`poverty.same_area`).
    """
    own = series[(series["region_code"] == region_code) & series["p0_pct"].notna()]
    own = poverty.same_area(own)
    dates = own["date_published"]
    usual = [
        f"{period[:4]}-07-15" if period.endswith("-03") else f"{int(period[:4]) + 1}-01-15"
        for period in own["period"]
    ]
    return pd.DataFrame(
        {
            "period": own["period"],
            "p0_pct": own["p0_pct"],
            "date_published": dates.where(dates.notna(), usual),
        }
    ).sort_values(["date_published", "period"], ignore_index=True)


def figures(releases: pd.DataFrame) -> pd.Series:
    """P0 by period, of all released figures."""
    return releases.set_index("period")["p0_pct"].sort_index()


def errors(
    releases: pd.DataFrame, scenarios: pd.DataFrame, region_code: str, scenario: str
) -> pd.Series:
    """Standard error of each released figure in points (`analysis.forecast.survey_error_pct`)."""
    return forecast.survey_error_pct(figures(releases), scenarios, region_code, scenario)


def known_on(releases: pd.DataFrame, date: str) -> pd.Series:
    """P0 by period, of the figures that were public on a day (``2018-01-02``)."""
    return figures(releases[releases["date_published"] <= date])


def as_known(
    releases: pd.DataFrame,
    target: Target,
    scenarios: pd.DataFrame,
    priors: Mapping[str, Input],
    intervention: str,
) -> pd.DataFrame:
    """The probability of meeting the target, as it stood at each release since the baseline.

    Only figures that were public on the day count, and an intervention only once it had begun.

    Parameters
    ----------
    releases
        `released`.
    target
        The target.
    scenarios, priors, intervention
        As for `analysis.forecast.survey_error_pct` and `analysis.forecast.fit`; all scenarios
        are computed.

    Returns
    -------
    pandas.DataFrame
        A row per release and scenario: ``date_published, period, scenario, probability`` (that
        the figure published for the target period is at most the target, to its two decimals),
        ``median_pct, low_pct, high_pct`` (central 95 per cent of the figure to come). Once the
        figure is public, probability is 0 or 1 and the rest missing; as long as too few figures
        are known for a forecast, all are missing.

    Raises
    ------
    TargetError
        The intervention is no reference period.
    """
    try:
        periods.check(intervention)
    except ValueError as error:
        raise TargetError(f"the period of the intervention: {error}") from None
    rows = []
    since = releases[releases["period"] >= target.baseline_period]
    for release in since[since["period"] <= target.target_period].itertuples():
        known = known_on(releases, release.date_published)
        for scenario in scenarios["scenario"].unique():
            row = {
                "date_published": release.date_published,
                "period": release.period,
                "scenario": scenario,
            }
            if target.target_period in known.index:
                met = known[target.target_period] < target.target_pct + 0.005
                rows.append(row | {"probability": float(met)})
                continue
            if len(known) < forecast.FEWEST:
                rows.append(row)
                continue
            error = forecast.survey_error_pct(known, scenarios, target.region_code, scenario)
            ahead = forecast.fit(known, error, target.target_period, priors, intervention)
            low, median, high = ahead.quantile([0.025, 0.5, 0.975], target.target_period)
            met = ahead.probability_at_most(target.target_pct + 0.005, target.target_period)
            row |= {"probability": float(met)}
            rows.append(row | {"median_pct": median, "low_pct": low, "high_pct": high})
    columns = ["date_published", "period", "scenario", "probability"]
    return pd.DataFrame(rows, columns=[*columns, "median_pct", "low_pct", "high_pct"])


def known_table(known: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """`as_known` as a reader wants it: a row per release.

    Returns
    -------
    pandas.DataFrame
        ``date_published, period``, a column per scenario with the probability in percent, and the
        figure to come under one of them: ``median_pct, low_pct, high_pct``.
    """
    key = ["date_published", "period"]
    order = list(dict.fromkeys(known["scenario"]))
    chances = (100 * known.pivot(index=key, columns="scenario", values="probability"))[order]
    own = known[known["scenario"] == scenario].set_index(key)
    return chances.join(own[["median_pct", "low_pct", "high_pct"]]).reset_index()


def likelihood_words(known: pd.DataFrame, target: Target) -> str:
    """How likely the target was at the first and the last release before its figure, and at its
    highest between them."""
    open_ = known[known["median_pct"].notna()]
    if open_.empty:
        return "Too few figures were known for a forecast."
    told = []
    mean = open_.groupby("date_published")["probability"].mean()
    for date in dict.fromkeys([mean.index[0], mean.idxmax(), mean.index[-1]]):
        own = open_[open_["date_published"] == date]
        low, high = own["probability"].min(), own["probability"].max()
        period = periods.written(own["period"].iloc[0])
        told.append(f"{_percent_range(low, high)} when {period} was the last figure")
    return (
        f"The probability that the figure published for {periods.written(target.target_period)} "
        f"would be at most {target.target_pct:.2f} % was {', '.join(told)} (range over the "
        "scenarios of sampling error)."
    )


def _percent_range(low: float, high: float) -> str:
    low, high = (f"{100 * p:.0f}" if p >= 0.005 else "under 1" for p in (low, high))
    return f"**{low} %**" if low == high else f"**{low} to {high} %**"


def fan_span(releases: pd.DataFrame, target: Target) -> tuple[str, str]:
    """From which last figure, and up to when, to show a forecast of the target.

    From the baseline; or from the last figure if the target still lies ahead.
    """
    last = releases["period"].max()
    ahead = target.target_period > last
    return (last if ahead else target.baseline_period), max(target.target_period, last)


def without_intervention(
    releases: pd.DataFrame,
    region_code: str,
    scenarios: pd.DataFrame,
    scenario: str,
    priors: Mapping[str, Input],
    intervention: str,
) -> pd.DataFrame:
    """The path that the series' own past would have led to expect, had nothing happened.

    The forecast from the figures before the intervention, held against what was published.

    Returns
    -------
    pandas.DataFrame
        From the intervention on, a row per period: ``period, p0_pct`` (as published),
        ``median_pct, low_pct, high_pct`` (central 95 per cent of the figure without it),
        ``difference_points, difference_low_points, difference_high_points``.
    """
    published = figures(releases)
    before = published[published.index < intervention]
    after = periods.semesters(intervention, published.index[-1])
    low, median, high = np.full((3, len(after)), np.nan)
    if len(before) >= forecast.FEWEST:
        error = forecast.survey_error_pct(before, scenarios, region_code, scenario)
        expected = forecast.fit(before, error, published.index[-1], priors)
        low, median, high = np.transpose(
            [expected.quantile([0.025, 0.5, 0.975], period) for period in after]
        )
    p0 = published.reindex(after).to_numpy()
    return pd.DataFrame(
        {
            "period": after,
            "p0_pct": p0,
            "median_pct": median,
            "low_pct": low,
            "high_pct": high,
            "difference_points": p0 - median,
            "difference_low_points": p0 - high,
            "difference_high_points": p0 - low,
        }
    )


def intervention_words(path: pd.DataFrame) -> str:
    """The difference at the first and the last figure since the intervention, with intervals."""
    known = path[path["difference_points"].notna()].drop_duplicates("period")
    if known.empty:
        return "There is no figure since then, or too few before, to compare."
    told = [
        f"{row.difference_points:+.2f} points in {periods.written(row.period)} "
        f"(95 % interval {row.difference_low_points:+.2f} to {row.difference_high_points:+.2f})"
        for row in known.iloc[sorted({0, len(known) - 1})].itertuples()
    ]
    words = (
        "Against the path that the earlier figures led to expect, the published figure differs by "
        f"{' and '.join(told)}."
    )
    return words.replace("-", "−")


def pace(series: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The pace that the target asks for, beside the fastest that any region ever kept.

    From the baseline, or from the last figure if the target still lies ahead, to the target; and
    over all spans of the same length between two published figures of a region.

    Returns
    -------
    pandas.DataFrame
        A row per region, fastest first, ``needed`` (bool) marking the row of the target:
        ``region_code, region, needed, first_period, last_period, points_per_year`` (negative is a
        fall) and ``percent_per_year`` (of the level at the time, compounded). Regions without two
        figures at that distance are left out.
    """
    own = released(series, target.region_code)
    last = own.iloc[own["period"].argmax()]
    if target.target_period > last["period"]:
        start, level = last["period"], last["p0_pct"]
    else:
        start, level = target.baseline_period, target.baseline_pct
    years = np.diff([periods.decimal_year(p) for p in (start, target.target_period)])[0]
    names = series.drop_duplicates("region_code").set_index("region_code")["region"]
    rows = [
        (target.region_code, True, start, target.target_period, level, target.target_pct),
    ]
    for region_code in names.index:
        figures = released(series, region_code).set_index("period")["p0_pct"].sort_index()
        time = periods.decimal_year(figures.index)
        apart = np.isclose(time.to_numpy()[None, :] - time.to_numpy()[:, None], years)
        spans = [
            (
                region_code,
                False,
                figures.index[i],
                figures.index[j],
                figures.iloc[i],
                figures.iloc[j],
            )
            for i, j in np.argwhere(apart)
        ]
        if spans:
            rows.append(min(spans, key=lambda span: span[5] / span[4]))
    columns = ["region_code", "needed", "first_period", "last_period", "from_pct", "to_pct"]
    table = pd.DataFrame(rows, columns=columns)
    table["region"] = table["region_code"].map(names)
    table["points_per_year"] = (table["to_pct"] - table["from_pct"]) / years
    table["percent_per_year"] = 100 * ((table["to_pct"] / table["from_pct"]) ** (1 / years) - 1)
    return table.sort_values("percent_per_year", ignore_index=True)


def pace_words(paces: pd.DataFrame, target: Target) -> str:
    """The needed pace, the own record, and how many regions ever kept it."""
    needed = paces[paces["needed"]].iloc[0]
    others = paces[~paces["needed"] & (paces["region_code"] != "00")]
    own = others[others["region_code"] == target.region_code]
    years = np.diff([periods.decimal_year(needed[p]) for p in ("first_period", "last_period")])[0]
    words = (
        f"From {needed['from_pct']:.2f} % in {periods.written(needed['first_period'])} the target "
        f"asks for {needed['points_per_year']:+.2f} points a year, or "
        f"{needed['percent_per_year']:+.1f} % of the level each year, for {years:g} years. "
    )
    if own.empty:
        words += f"No two figures of {needed['region']} lie as far apart. "
    else:
        best = own.iloc[0]
        words += (
            f"The fastest change over as many years in {best['region']} was "
            f"{best['points_per_year']:+.2f} points ({best['percent_per_year']:+.1f} %) a year, "
            f"{periods.written(best['first_period'])} to {periods.written(best['last_period'])}. "
        )
    kept = int((others["percent_per_year"] <= needed["percent_per_year"]).sum())
    words += f"Of {len(others)} provinces with figures as far apart, {kept} ever kept that pace."
    return words.replace("-", "−")


# ---- drawing ---------------------------------------------------------------------------------


def draw_fan(axes: Axes, ahead: forecast.Forecast, until: str) -> None:
    """The figures to come, as bands of 50, 80 and 95 per cent around the median, in percent."""
    after = periods.semesters(ahead.last, until)
    at_year = periods.decimal_year(after)
    shares = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    bands = np.array([ahead.quantile(shares, period) for period in after])
    for i, words in enumerate(("95 %", "80 %", "50 %")):
        axes.fill_between(
            at_year,
            bands[:, i],
            bands[:, -1 - i],
            color="C0",
            alpha=0.16,
            linewidth=0,
            label=f"figure to come, {words}",
        )
    axes.plot(at_year, bands[:, 3], color="C0", linewidth=1, linestyle=":", label="median")


def draw_as_known(axes: Axes, known: pd.DataFrame) -> None:
    """The probability of meeting the target at each release, a line per scenario, in percent."""
    for marker, (scenario, own) in zip(
        "os^Dv", known.groupby("scenario", sort=False), strict=False
    ):
        axes.plot(
            pd.to_datetime(own["date_published"]),
            100 * own["probability"],
            marker=marker,
            markersize=3.8,
            linewidth=1.1,
            label=scenario,
        )
    axes.set_ylim(bottom=-1)


def draw_without_intervention(axes: Axes, path: pd.DataFrame) -> None:
    """The path expected without the intervention, with its 95 per cent interval, in percent."""
    at_year = periods.decimal_year(path["period"])
    axes.fill_between(
        at_year,
        path["low_pct"],
        path["high_pct"],
        color="C3",
        alpha=0.18,
        linewidth=0,
        label="expected from the earlier figures, 95 %",
    )
    axes.plot(
        at_year, path["median_pct"], color="C3", linewidth=1.2, linestyle="--", label="median"
    )


def draw_pace(paces: pd.DataFrame, target: Target) -> Figure:
    """The fastest fall of every region, and the pace that is needed, in percent a year."""
    figure, axes = plt.subplots(figsize=(6.3, 1.5))
    others = paces[~paces["needed"] & (paces["region_code"] != "00")]
    own = others["region_code"] == target.region_code
    axes.plot(
        others.loc[~own, "percent_per_year"],
        np.zeros((~own).sum()),
        linestyle="none",
        marker="|",
        markersize=13,
        color="0.45",
        label="fastest of each other province",
    )
    axes.plot(
        others.loc[own, "percent_per_year"],
        np.zeros(own.sum()),
        linestyle="none",
        marker="o",
        color="C0",
        label=f"fastest of {paces.loc[paces['needed'], 'region'].iloc[0]}",
    )
    needed = paces.loc[paces["needed"], "percent_per_year"].iloc[0]
    axes.axvline(needed, color="C1", linestyle="--", label="needed")
    axes.set(yticks=[], ylim=(-1, 1), xlabel="Percent of the level per year")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=3)
    return figure


def draw_series(
    axes: Axes,
    series: pd.DataFrame,
    column: str,
    *,
    scale: float = 1,
    breaks: Sequence[tuple[str, str]] = (),
    marks: Sequence[tuple[str, str]] = (),
) -> None:
    """A published semester series with its gaps shown.

    Parameters
    ----------
    axes
        Where to draw.
    series
        One region on the complete grid of periods: ``period`` and ``column``.
    column
        What to draw, divided by ``scale``.
    breaks
        First period and words of changes of frame, drawn as vertical lines; the line of the
        series is broken there.
    marks
        First period and words of events, drawn as vertical lines only.
    """
    at_year = periods.decimal_year(series["period"])
    values = series[column].astype("float64") / scale
    segment = pd.Series(0, index=series.index)
    for period, _ in breaks:
        segment += series["period"] >= period
    # NaN stays in each part, so that the line has a gap where there is no release.
    for _, part in values.groupby(segment):
        axes.plot(at_year[part.index], part, marker="o", markersize=3.2, color="C0", zorder=3)
    for period, words in [*breaks, *marks]:
        x = periods.decimal_year(period) - 0.25
        axes.axvline(x, color="0.45", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            words,
            (x, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color="0.3",
        )
    low, high = axes.get_ylim()
    low -= 0.08 * (high - low)  # room for labels below the points
    axes.set_ylim(low, high + 0.16 * (high - low))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    missing = at_year[values.isna()]
    axes.plot(
        missing,
        np.full(len(missing), low),
        linestyle="none",
        marker="x",
        color="0.35",
        markersize=5,
        clip_on=False,
        zorder=4,
        label="no figure",
    )


def split(region_code: str) -> list[tuple[str, str]]:
    """The break of a series where a region lost a part of its area, for `draw_series`."""
    period = poverty.SPLITS.get(region_code)
    return [(period, "area split")] if period else []


def draw_path(axes: Axes, target: Target, last: str, interim: pd.DataFrame) -> None:
    """The straight path, the target and the interim targets, in percent."""
    ends = pd.Series([target.baseline_period, target.target_period])
    axes.plot(
        periods.decimal_year(ends),
        target.path_pct(ends),
        color="C1",
        linestyle="--",
        label="straight path",
        zorder=2,
    )
    kept = pd.Series([target.target_period, max(last, target.target_period)])
    axes.plot(
        periods.decimal_year(kept), target.path_pct(kept), color="C1", linestyle=":", linewidth=1
    )
    goals = pd.concat(
        [interim, pd.DataFrame({"period": [target.target_period], "p0_pct": [target.target_pct]})]
    )
    axes.plot(
        periods.decimal_year(goals["period"]),
        goals["p0_pct"],
        linestyle="none",
        marker="D",
        markersize=4.5,
        color="C1",
        label="target" if interim.empty else "target and interim target",
        zorder=4,
    )
    for goal in goals.itertuples():
        axes.annotate(
            f"{goal.p0_pct:.2f}",
            (periods.decimal_year(goal.period), goal.p0_pct),
            xytext=(0, -11),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color="C1",
        )


def draw_persons_path(axes: Axes, progress: pd.DataFrame) -> None:
    """The number of poor that the path allows at each release, in thousands."""
    axes.plot(
        periods.decimal_year(progress["period"]),
        progress["path_poor_count"] / 1000,
        color="C1",
        linestyle="--",
        marker=".",
        label="number on the path",
        zorder=2,
    )


def label_points(
    axes: Axes, progress: pd.DataFrame, column: str, at_periods: Sequence[str], scale: float = 1
) -> None:
    """The values of some periods and of the last release, written above their points."""
    last = progress.loc[progress["p0_pct"].notna(), "period"].iloc[-1]
    for period in dict.fromkeys([*at_periods, last]):
        row = at(progress, period)
        if row is not None:
            value = row[column] / scale
            axes.annotate(
                f"{value:.2f}" if column.endswith("_pct") else f"{value:,.0f}",
                (periods.decimal_year(period), value),
                xytext=(5, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                fontweight="semibold",
                color="C0",
            )


def draw_distance(progress: pd.DataFrame, target: Target) -> Figure:
    """Bars of the distance to the path at every release: points above, thousand persons below."""
    later = progress[progress["period"] > target.baseline_period]
    shown = progress if later.empty else later  # the baseline alone, if nothing came after it
    figure, rows = plt.subplots(2, 1, figsize=(6.3, 3.9), sharex=True)
    x = np.arange(len(shown))
    for axes, column, scale, words in (
        (rows[0], "distance_points", 1, "Percentage points"),
        (rows[1], "distance_count", 1000, "Thousand persons"),
    ):
        value = shown[column] / scale
        colors = np.where(value > 0, "C1", "C0")
        bars = axes.bar(x, value.fillna(0), color=colors, width=0.68)
        places = 2 if scale == 1 else 0
        labels = [f"{v:+.{places}f}".replace("-", "−") if pd.notna(v) else "n.a." for v in value]
        axes.bar_label(bars, labels, fontsize=7, padding=1.5, color="0.25")
        axes.axhline(0, color="0.3", linewidth=0.7)
        axes.margins(y=0.16)
        axes.set_ylabel(words)
        axes.yaxis.set_major_formatter("{x:,.1f}" if scale == 1 else "{x:,.0f}")
    rows[0].set_title("Above (+) or below (−) the path")
    rows[1].set_xticks(x, [period.replace("-", "\n") for period in shown["period"]], fontsize=7)
    figure.align_ylabels()
    return figure


def progress_table(progress: pd.DataFrame) -> pd.DataFrame:
    """The columns of `progress` that a reader wants, dates with a mark where they are not exact.

    A column without any figure is left out.
    """
    exact = progress["date_basis"].fillna("").str.match(r"seen(?! within)|reported on that day")
    dates = progress["date_published"].where(exact, "c. " + progress["date_published"])
    columns = ["period", "date_published", "p0_pct", "path_pct", "distance_points", "poor_count"]
    columns += ["path_poor_count", "distance_count", "distance_low_count", "distance_high_count"]
    return progress.assign(date_published=dates)[columns].dropna(axis="columns", how="all")
