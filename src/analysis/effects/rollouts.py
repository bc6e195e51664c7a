"""A programme's rollout for its notebook: the user's own panel, or a made-up one that says so."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import paths
from analysis.effects import drawing, panels, power, staggered
from analysis.effects.design import Design, EffectsError
from analysis.effects.estimates import Check, Estimate, amount
from analysis.effects.panels import Panel
from analysis.synthetic import programmes

VARIABLE = "PANEL"  # names the user's panel where the parameter does not
COLUMNS = ("unit_code", "period", "first_treated", "kota_code")
FACTORS = (0.0, 0.5, 1.0, 1.5)  # of the violations fixed in `programmes`
RINGS_KM = (0, 1, 2.7)  # within reach of a spillover, and a ring that should be quiet
_COLOURS = ("#1f5a94", "#c8501e", "#2a8a78", "#8a5aa0", "#b8860b")


@dataclass(frozen=True, eq=False)
class Rollout:
    """A checked panel and what is known of its units.

    Attributes
    ----------
    panel
        Clusters are the kota.
    places : DataFrame or None
        ``x_km, y_km`` by unit.
    groups : Series or None
        Class by unit, before the programme.
    made
        The made-up programme, with the truth; None for the user's own panel.
    name
        Words for figures: whose panel it is.
    """

    panel: Panel
    places: pd.DataFrame | None
    groups: pd.Series | None
    made: programmes.Programme | None
    name: str

    def truth(self, outcome: str) -> float | None:
        """The planted effect; None if nobody knows."""
        return self.made.att(outcome) if self.made else None


def open_rollout(
    panel_path: str,
    outcomes: Sequence[str],
    covariates: Sequence[str] = (),
    *,
    level: str = programmes.RW,
    violations: programmes.Violations = programmes.NONE,
    seed: int = 0,
    unit_count: int | None = None,
    class_shares: Mapping[str, float] | None = None,
) -> Rollout:
    """The user's panel if one is named, by the parameter or by ``PANEL``; else a made-up one.

    The user's CSV file has the columns `COLUMNS` (codes as text; ``first_treated`` empty: never)
    and the outcomes; ``x_km, y_km`` and ``class`` if known, the same in all rows of a unit.

    Raises
    ------
    analysis.effects.PanelError
        See `analysis.effects.panels.panel`.
    EffectsError
        A place or class of a unit changes.
    """
    path = panel_path or os.environ.get(VARIABLE, "")
    columns = {
        "unit": "unit_code",
        "time": "period",
        "start": "first_treated",
        "cluster": "kota_code",
        "outcomes": list(outcomes),
        "covariates": list(covariates),
    }
    if path:
        checked = panels.read(path, **columns)
        file = Path(path) if Path(path).is_absolute() else paths.ROOT / path
        table = pd.read_csv(file, dtype={"unit_code": "str"})
        return Rollout(
            checked,
            _constant(table, ["x_km", "y_km"]),
            None if (own := _constant(table, ["class"])) is None else own["class"],
            None,
            f"Panel of the user: {file.name}.",
        )
    made = programmes.rollout(
        level, violations, seed, unit_count=unit_count, class_shares=class_shares
    )
    units = made.panel.drop_duplicates("unit_code").set_index("unit_code")
    return Rollout(
        panels.panel(made.panel, **columns),
        units[["x_km", "y_km"]],
        units.get("class"),
        made,
        "Made-up panel with planted effects; no RW of it exists.",
    )


def class_shares(counts: pd.DataFrame, year: int, area: str) -> tuple[int, dict[str, float]]:
    """Published number of slum RW of a year, and the shares of the classes.

    Raises
    ------
    EffectsError
        A class is not published.
    """
    own = counts[(counts["area"] == area) & (counts["year"].astype(int) == year)]
    count = own.set_index("kategori")["rw_count"].reindex(list(programmes.CLASSES))
    if count.isna().any():
        raise EffectsError(f"{area} {year}: no count of {', '.join(count.index[count.isna()])}")
    return int(count.sum()), (count / count.sum()).to_dict()


def starts_table(rollout: Rollout, baseline: str | None = None) -> pd.DataFrame:
    """``start, unit_count, share_pct`` and the mean of a covariate, a row per start."""
    table = rollout.panel.table
    units = table.drop_duplicates("unit").copy()
    times = {0: "never"} | {t: str(time) for t, time in enumerate(rollout.panel.times, 1)}
    grouped = units.groupby("first_t")
    found = pd.DataFrame({"unit_count": grouped.size()})
    found["share_pct"] = 100 * found["unit_count"] / len(units)
    if baseline:
        found["baseline_mean"] = grouped[baseline].mean()
    found.insert(0, "start", [times[t] for t in found.index])
    return found.sort_index(key=lambda t: t.where(t > 0, 10**6)).reset_index(drop=True)


def answer(rollout: Rollout, estimate: Estimate, checks: Sequence[Check], outcome: str) -> str:
    """What was found, whether it may be believed, and what was planted."""
    failed = [check.assumption for check in checks if check.passed is False]
    doubt = (
        f"Not all assumptions hold ({', '.join(failed)}: failed), so that this is no unbiased "
        "estimate of the effect."
        if failed
        else "No check of the assumptions failed."
    )
    truth, measured = rollout.truth(outcome), estimate.design.outcome
    if truth is None:
        return f"The programme changed the {measured} by {estimate.words()}. {doubt}"
    inside = "holds" if estimate.lower <= truth <= estimate.upper else "does not hold"
    return (
        f"On a made-up panel of {estimate.n_units} RW, by {estimate.label}, the programme changed "
        f"the {measured} by {estimate.words()}; planted were {amount(truth, estimate.unit)}, which "
        f"the interval {inside}. {doubt} Nothing here is about real RW: `22_slum_upgrading` says "
        "what is published."
    )


def sensitivity(
    breakdown: float, bounds: pd.DataFrame, rings: pd.DataFrame | None, design: Design
) -> list[str]:
    """How the leading estimate fares without parallel trends, and without spillovers."""
    last = bounds["m"].iloc[-1]
    told = [
        "Trends may part by any multiple tried of the largest change before the start "
        f"(up to {last:g}) without zero entering the bounds."
        if np.isinf(breakdown)
        else f"Zero enters the bounds when trends may part by {breakdown:.2f} times the largest "
        "change between two years before the start."
    ]
    if rings is not None:
        own, unit = rings.iloc[0], design.unit_of_effect
        low, high = amount(own["lower"], unit), amount(own["upper"], unit)
        told.append(
            f"Against RW beyond {RINGS_KM[-1]:g} km of any works only: "
            f"{amount(own['effect'], unit)} {unit} ({low} to {high})."
        )
    return told


def draw_means(axes: Axes, rollout: Rollout, outcome: str) -> None:
    """Mean outcome by start over time; a mark where the treatment starts."""
    table = rollout.panel.table
    times = rollout.panel.times
    x = drawing.positions(times)
    for (first, own), colour in zip(table.groupby("first_t"), ("0.45", *_COLOURS), strict=False):
        mean = own.groupby("t")[outcome].mean()
        at = x[mean.index - 1]
        label = f"from {times[first - 1]}" if first else "never"
        axes.plot(at, mean, color=colour, label=label)
        if first:
            axes.plot(x[first - 1], mean.loc[first], "o", color=colour, markersize=5)


def draw_event_study(
    axes: Axes, fits: Mapping[str, staggered.Fit], rollout: Rollout, outcome: str
) -> None:
    """Effects by time since the start, pointwise intervals, and the planted ones if known."""
    width = 0.22
    shift = -width * (len(fits) - 1) / 2
    for (label, fit), colour in zip(fits.items(), _COLOURS, strict=False):
        own = fit.event_study[~fit.event_study["reference"]]
        x = own["exposure"] + shift
        axes.vlines(x, own["lower"], own["upper"], color=colour, linewidth=1)
        axes.plot(x, own["effect"], "o", color=colour, markersize=3, label=label)
        shift += width
    if rollout.made is not None:
        planted = rollout.made.by_exposure(outcome)
        axes.hlines(
            planted, planted.index - 0.42, planted.index + 0.42, color="0.2", linewidth=1.2,
            label="planted",
        )  # fmt: skip
    axes.axhline(0, color="0.3", linewidth=0.7)
    axes.axvline(-0.5, color="0.5", linewidth=0.8, linestyle="--")


def draw_honest(axes: Axes, table: pd.DataFrame) -> None:
    """Bounds by the size of violations that is allowed."""
    axes.vlines(table["m"], table["lower"], table["upper"], color="#1f5a94", linewidth=2)
    axes.axhline(0, color="0.3", linewidth=0.7)


def draw_rows(axes: Axes, table: pd.DataFrame, label: str, planted: Mapping[str, float]) -> None:
    """Effects with intervals, a row each, and the planted ones as crosses."""
    for row, own in enumerate(table.itertuples()):
        name = getattr(own, label)
        axes.plot([own.lower, own.upper], [row, row], color="#1f5a94", linewidth=1.4)
        axes.plot(own.effect, row, "o", color="#1f5a94", markersize=4)
        if name in planted:
            axes.plot(planted[name], row, "x", color="0.15", markersize=6)
    axes.axvline(0, color="0.3", linewidth=0.7)
    axes.set_yticks(range(len(table)), list(table[label]))
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)


def planted_rings(rollout: Rollout, outcome: str) -> dict[str, float]:
    """Planted effects by the rows of `staggered.rings`; empty if nobody knows."""
    if rollout.made is None:
        return {}
    inner = f"{RINGS_KM[0]:g}–{RINGS_KM[1]:g} km"
    return {"treated": rollout.made.att(outcome), inner: rollout.made.spillover(outcome)}


def group_words(table: pd.DataFrame, p_same: float) -> str:
    """``by class berat −2.68, ...; the same in all: p = 0.030``."""
    told = ", ".join(f"{row.group} {row.effect:.2f}" for row in table.itertuples())
    return f"by class {told}; the same in all: p = {p_same:.3f}".replace(" -", " −")


def violation_power(design: Design, assumption: str, replicates: int = 20) -> pd.DataFrame:
    """How often the checks flag panels that are made to break them, by the size of violation.

    Sizes are multiples of those fixed in `analysis.synthetic.programmes` (1: the size fixed
    beforehand; 0: nothing broken). Returns ``check, size, flagged`` (share), a row each.
    """
    cases = {
        "leads, against a hidden trend": (programmes.HIDDEN_TREND, _leads),
        "effect before the start, against anticipation": (programmes.ANTICIPATION, _early),
        "ring of neighbours, against spillovers": (programmes.SPILLOVER, _ring),
    }
    base = open_rollout("", ["slum_index"])  # checked once: only outcomes differ between draws
    rows = []
    for name, (violation, check) in cases.items():
        for factor in FACTORS:
            flagged = []
            for seed in range(replicates):
                made = programmes.rollout(violations=violation.times(factor), seed=seed)
                drawn = base.panel.table.assign(slum_index=made.panel["slum_index"].to_numpy())
                own = replace(base, panel=replace(base.panel, table=drawn))
                flagged.append(check(design, own, assumption).passed is False)
            rows.append((name, factor, np.mean(flagged)))
    return pd.DataFrame(rows, columns=["check", "size", "flagged"])


def draw_violation_power(axes: Axes, table: pd.DataFrame) -> None:
    """Curves of `violation_power`."""
    for (name, own), colour in zip(table.groupby("check", sort=False), _COLOURS, strict=False):
        axes.plot(own["size"], 100 * own["flagged"], marker="o", color=colour, label=name)
    axes.axhline(100 * staggered.SIZE, color="0.4", linewidth=0.8, linestyle="--")
    axes.set(ylim=(0, 105), ylabel="flagged (%)")


def detectable(design: Design, rollout: Rollout, outcome: str, replicates: int) -> power.Power:
    """Power of the panel's own design by shuffled starts: `analysis.effects.power.of_panel`."""
    return power.of_panel(
        design,
        rollout.panel,
        lambda own: staggered.callaway_santanna(design, own, outcome).estimate,
        outcome,
        replicates=replicates,
    )


def _leads(design: Design, own: Rollout, assumption: str) -> Check:
    return staggered.pre_trend(staggered.callaway_santanna(design, own.panel), assumption)


def _early(design: Design, own: Rollout, assumption: str) -> Check:
    return staggered.no_anticipation(design, own.panel, assumption)


def _ring(design: Design, own: Rollout, assumption: str) -> Check:
    table = staggered.rings(design, own.panel, own.places, RINGS_KM)
    return staggered.no_spillover(table, design, assumption)


def _constant(table: pd.DataFrame, names: list[str]) -> pd.DataFrame | None:
    if not set(names) <= set(table.columns):
        return None
    units = table[["unit_code", *names]].drop_duplicates()
    twice = units[units.duplicated("unit_code")]
    if len(twice):
        raise EffectsError(f"{', '.join(names)} of unit {twice['unit_code'].iloc[0]} changes")
    return units.set_index("unit_code")
