"""The panel of provinces in which one of them is compared with the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from analysis import forecast, periods, poverty
from analysis.effects import donor_weights
from analysis.effects import synthetic_control as sc
from analysis.effects.design import PERSONS, POINTS, Design
from analysis.effects.estimates import Detectable, Estimate, amount
from analysis.effects.panels import Panel, PanelError, panel
from analysis.effects.synthetic_control import Fit, Placebos

INDONESIA = "00"
NEIGHBOURS = {"31": ("32", "36")}  # where people of Jakarta's labour market live


@dataclass(frozen=True)
class Provinces:
    """Poverty of the provinces as a panel, and what had to be left out.

    Attributes
    ----------
    panel
        Outcomes ``p0_pct`` and ``log_p0`` (100 times the natural logarithm: changes are percent).
    names : Series
        Names by code.
    population_count : Series
        Of the treated province by period: number of poor / P0.
    left_out : DataFrame
        ``reason, regions``: provinces that are no donors, by rule.
    periods_left_out : tuple
        Semesters of the span with no figures, or with those of some provinces only.
    """

    panel: Panel
    names: pd.Series
    population_count: pd.Series
    left_out: pd.DataFrame
    periods_left_out: tuple[str, ...]


def provinces(
    series: pd.DataFrame,
    treated: str,
    start: str,
    first: str,
    last: str,
    keep_changed_areas: bool = False,
) -> Provinces:
    """The panel from the table ``poverty_semester``.

    A period belongs to it if most provinces have a P0 for it. A province is a donor if it has a P0
    in all those periods, and kept its area.

    Parameters
    ----------
    series
        Processed table ``poverty_semester``.
    treated, start
        Code of the treated province, and the first period that counts as treated.
    first, last
        Span of the panel.
    keep_changed_areas
        Whether provinces that lost a part of their area within the panel may be donors.

    Raises
    ------
    PanelError
        The treated province is not in the table or lacks a period of the panel; otherwise as
        `analysis.effects.panels.panel`.
    """
    span = series[series["period"].between(periods.check(first), periods.check(last))]
    span = span[span["region_code"] != INDONESIA]
    wide = span.pivot(index="region_code", columns="period", values="p0_pct")
    kept = wide.notna().mean() > 0.5
    skipped = tuple(p for p in periods.semesters(first, last) if p not in kept.index[kept])
    wide = wide.loc[:, kept]
    names = span.drop_duplicates("region_code").set_index("region_code")["region"]
    if treated not in wide.index or wide.loc[treated].isna().any():
        raise PanelError(
            f"province {treated!r} has no P0 in all of the {wide.shape[1]} periods from {first} to "
            f"{last}"
        )
    reasons = {}
    for code, own in wide.iterrows():
        split = poverty.SPLITS.get(code, "")
        if own.isna().any():
            since = own.first_valid_index()
            reasons[code] = "no figures" if since is None else f"first figures in {since}"
        elif first < split <= last and code != treated and not keep_changed_areas:
            reasons[code] = f"lost a part of its area: another area from {split} on"
    left_out = pd.Series(reasons, dtype="str").rename("reason").to_frame()
    left_out["regions"] = left_out.index.map(names)
    grouped = left_out.groupby("reason", sort=False)["regions"].agg(", ".join).reset_index()
    donors = wide.drop(index=left_out.index)
    long = donors.rename_axis(index="unit", columns="time").reset_index()
    long = long.melt("unit", var_name="time", value_name="p0_pct")
    long["log_p0"] = 100 * np.log(long["p0_pct"])
    long["start"] = pd.Series(
        [start if unit == treated else None for unit in long["unit"]], dtype="str"
    )
    own = span[span["region_code"] == treated].set_index("period")
    people = poverty.implied_population(own["poor_count"], own["p0_pct"])["population_count"]
    checked = panel(
        long, outcomes=["p0_pct", "log_p0"], start="start", level="province", balanced=True
    )
    return Provinces(checked, names, people, grouped, skipped)


def verdict(
    lead: Estimate, mde: Detectable, fell: float, seen: float, name: str, population: float
) -> str:
    """The answer in one sentence, whatever it is.

    Parameters
    ----------
    lead, mde
        The leading estimate, and what it could have detected.
    fell, seen
        By how much P0 itself fell over the same time, in points; the chance of finding an effect
        of that size.
    name, population
        Of the province; persons, to say points as persons.
    """
    side = "above" if lead.effect > 0 else "below"
    size = (
        f"P0 of {name} was {amount(abs(lead.effect), lead.unit)} points {side} its synthetic "
        f"counterfactual ({lead.level * 100:g} % interval of the difference "
        f"{amount(lead.lower, lead.unit)} to {amount(lead.upper, lead.unit)}; about "
        f"{amount(abs(lead.effect) * population / 100, PERSONS)} persons)"
    )
    if lead.excludes_zero:
        return f"{size}: further from zero than chance explains."
    if np.isinf(mde.effect):
        return f"{size}: no effect can be told from zero, and none of any size could have been."
    return (
        f"{size}: no effect of the programme can be told from zero. Nor could it easily have been: "
        f"an effect as large as the whole {'fall' if fell > 0 else 'rise'} of P0 "
        f"({amount(abs(fell), lead.unit)} points) would have been found with a chance of "
        f"{100 * seen:.0f} %, and one of {100 * mde.power:g} % takes "
        f"{amount(mde.effect, lead.unit)} points."
    )


def sampling_error(fitted: Fit, errors: pd.DataFrame) -> float:
    """The standard error that sampling alone gives an effect, weights taken as fixed.

    Parameters
    ----------
    fitted
        The effect.
    errors
        Standard errors of the outcome: periods in rows, units in columns; independent.
    """
    path = fitted.path.set_index("time")
    counts = path["counts"].where(path["after"], 0.0)
    before = fitted.period_weights.reindex(counts.index, fill_value=0.0)
    each = counts**2 + before**2
    variance = errors.loc[counts.index] ** 2
    own = variance[fitted.unit] + variance[fitted.weights.index] @ fitted.weights**2
    return float(np.sqrt((each * own).sum()))


def variants(
    design: Design, series: pd.DataFrame, data: Provinces, lead: Fit, window: Sequence[str]
) -> list[Estimate]:
    """The leading estimate under other choices: scale, donors, periods.

    Parameters
    ----------
    design, series, data, window
        As the leading estimate.
    lead
        Its fit: method, and the level that turns percent into points.
    """
    method, times = lead.method, data.panel.times
    start = lead.path.loc[lead.path["after"], "time"].iloc[0]

    def made(label: str, panel: Panel, **choices: object) -> Estimate:
        chosen = {"outcome": "p0_pct", "window": window} | choices
        return replace(sc.estimate(design, panel, method, **chosen), label=label)

    inside = lead.path["after"] & (lead.path["counts"] > 0)
    level = float(np.average(lead.path["synthetic"][inside], weights=lead.path["counts"][inside]))
    in_logs = made("in logarithms", data.panel, outcome="log_p0").converted(level / 100, POINTS)
    found = [in_logs]
    neighbours = NEIGHBOURS.get(lead.unit)
    if neighbours:
        rest = [unit for unit in data.panel.untreated_units if unit not in neighbours]
        named = " and ".join(data.names[code] for code in neighbours)
        found.append(made(f"without the neighbours {named}", data.panel, donors=rest))
    span = (series, lead.unit, start)
    changed = provinces(*span, times[0], times[-1], keep_changed_areas=True)
    found.append(made("with provinces that lost an area", changed.panel))
    halfway = "2015-03"
    if sum(halfway <= time < start for time in times) >= 5:
        recent = provinces(*span, halfway, times[-1])
        found.append(made(f"figures from {halfway} on only", recent.panel))
    for part in sorted({time[:4] for time in window}):
        own = [time for time in window if time.startswith(part)]
        if len(own) < len(window):
            found.append(made(f"effect in {part} only", data.panel, window=own))
    return found


def variant_words(estimates: Sequence[Estimate]) -> str:
    """From where to where other choices move the effect, and whether any of them finds one."""
    low = min(estimates, key=lambda e: e.effect)
    high = max(estimates, key=lambda e: e.effect)
    found = [e.label for e in estimates if e.excludes_zero]
    unit = low.unit
    return (
        f"Over {len(estimates)} other choices the effect goes from {amount(low.effect, unit)} "
        f"({low.label}) to {amount(high.effect, unit)} ({high.label}); "
        + (f"zero is outside the interval {', '.join(found)}." if found else "none excludes zero.")
    )


def weight_table(found: Mapping[str, Placebos], names: pd.Series) -> pd.DataFrame:
    """Donors with more than 5 % in one of the methods: ``region`` and a column in percent each."""
    weights = pd.DataFrame({method: own.fit.weights for method, own in found.items()})
    weights = 100 * weights.drop(columns=donor_weights.DID, errors="ignore")
    weights = weights[(weights > 5).any(axis=1)]
    order = weights[donor_weights.DEMEANED].sort_values(ascending=False, kind="stable").index
    table = weights.loc[order]
    table.insert(0, "region", table.index.map(names))
    return table.reset_index(drop=True)


def method_table(found: Mapping[str, Placebos]) -> pd.DataFrame:
    """Methods side by side: ``method, effect, p_value, p_ratio, pre_rmspe, p_fit, in_time`` (the
    weight of the last period before the start, in percent)."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "effect": own.fit.effect,
                "p_value": own.p_value,
                "p_ratio": own.p_ratio,
                "pre_rmspe": own.fit.pre_rmspe,
                "p_fit": own.p_fit,
                "in_time": 100 * own.fit.period_weights.iloc[-1],
            }
            for method, own in found.items()
        ]
    )


def reading_words(found: Mapping[str, Placebos], names: pd.Series, before: Sequence[str]) -> str:
    """Why the estimators differ, from what they do."""
    did, plain = found[donor_weights.DID].fit, found[donor_weights.SYNTHETIC_CONTROL].fit
    demeaned = found[donor_weights.DEMEANED].fit
    time = found[donor_weights.SYNTHETIC_DID].fit.period_weights
    own = did.path[did.path["time"].isin(before)]
    own_change = own["actual"].iloc[-1] - own["actual"].iloc[0]
    others = own["synthetic"].iloc[-1] - own["synthetic"].iloc[0]
    heaviest = names[plain.weights.idxmax()]
    unit = POINTS
    return (
        f"**Why they differ.** From {periods.written(before[0])} to {periods.written(before[-1])} "
        f"P0 of {names[did.unit]} changed by {amount(own_change, unit)} points and the mean of the "
        f"donors by {amount(others, unit)}: DiD ({amount(did.effect, unit)}) goes on with that "
        "difference as if it were an effect, and its RMSPE before the start says so. The demeaned "
        f"synthetic control ({amount(demeaned.effect, unit)}) picks donors that moved as little. "
        f"Synthetic DiD puts {100 * time.max():.0f} % of its weight in time on one date, "
        f"{periods.written(time.idxmax())}, and so rests on the sampling error of that figure. The "
        f"classic synthetic control ({amount(plain.effect, unit)}) can do no better than "
        f"{100 * plain.weights.max():.0f} % {heaviest}, the province nearest in level, and takes "
        "a part of the distance for an effect."
    )


def sampling_words(
    lead: Fit, panel: Panel, scenarios: pd.DataFrame, scenario: str, estimate: Estimate
) -> str:
    """What the sampling error of the survey alone does to the estimate, under each scenario."""
    wide = panel.wide("p0_pct").T
    told = []
    for name in scenarios["scenario"].unique():
        errors = pd.DataFrame(
            {c: forecast.survey_error_pct(wide[c], scenarios, c, name) for c in wide.columns}
        )
        error = sampling_error(lead, errors)
        if error > 0:
            told.append((name, error))
    named = dict(told)
    if scenario not in named:
        raise PanelError(f"scenario {scenario!r} is none with errors: {', '.join(named)}")
    others = ", ".join(f"{error:.2f} ({name})" for name, error in told)
    return (
        "**Sampling error.** The figures are estimates of a survey, and no standard errors of "
        "provincial P0 were found published for these years. Under the declared scenarios of "
        f"sampling error, sampling alone gives the leading estimate a standard error of {others} "
        f"points. Under the scenario {scenario} that is an interval of "
        f"±{special.ndtri((1 + estimate.level) / 2) * named[scenario]:.2f} points around "
        f"{amount(estimate.effect, estimate.unit)}, before anything real has happened. The "
        "placebos contain such error, for the donors are sampled too. A larger sample would help "
        "more than another estimator."
    )


def later_gaps(panel: Panel, method: str, since: str) -> pd.DataFrame:
    """The gap in later years, for whole years and singles dates where there is one a year:
    ``span, gap, lower, upper, p_value``; weights from before the start."""
    later = [time for time in panel.times if time >= since]
    rows = []
    for year in sorted({time[:4] for time in later}):
        own = [time for time in later if time.startswith(year)]
        found = sc.placebos(panel, method, outcome="p0_pct", window=own)
        lower, upper = found.interval()
        span = " and ".join(periods.written(time) for time in own)
        rows.append((span, found.fit.effect, lower, upper, found.p_value))
    return pd.DataFrame(rows, columns=["span", "gap", "lower", "upper", "p_value"])


def mixed_words(window: Sequence[str], pandemic: str) -> str:
    """A warning where the window reaches into the pandemic; empty where it does not."""
    inside = [time for time in window if time >= pandemic]
    if not inside:
        return ""
    return (
        f" {len(inside)} of the {len(window)} figures are from {periods.written(pandemic)} on, so "
        "that this is the pandemic's mark on Jakarta as much as the programme's."
    )


def later_words(later: pd.DataFrame, name: str) -> str:
    """The first and the last gap in words."""
    if later.empty:
        return "The panel ends before the pandemic."
    first, last = later.iloc[0], later.iloc[-1]
    outside = int(((later["lower"] > 0) | (later["upper"] < 0)).sum())
    return (
        f"In {first['span']} P0 of {name} lay {amount(abs(first['gap']), POINTS)} points "
        f"{'above' if first['gap'] > 0 else 'below'} the counterfactual, in {last['span']} "
        f"{amount(abs(last['gap']), POINTS)} "
        f"{'above' if last['gap'] > 0 else 'below'}; the interval excludes zero in {outside} of "
        f"{len(later)} years. What is left of a gap so late says how the whole history since the "
        "start went, beside provinces with other economies, and not what the programme did."
    )
