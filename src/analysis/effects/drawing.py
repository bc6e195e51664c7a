"""Figures of evaluations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import periods
from analysis.effects.estimates import Detectable, Estimate
from analysis.effects.synthetic_control import Fit, Placebos

TREATED, SYNTHETIC, QUIET = "#1f5a94", "#c8501e", "#b5b5b5"


def positions(times: Sequence) -> np.ndarray:
    """Periods on an axis of time: years as they are, ``2017-03`` as a part of the year."""
    if isinstance(times[0], str):
        return periods.decimal_year(pd.Series(list(times))).to_numpy()
    return np.asarray(times, dtype=float)


def draw_paths(axes: Axes, fits: Sequence[Fit], name: str) -> None:
    """The treated unit and its counterfactuals, one line per method."""
    x = positions(fits[0].path["time"])
    axes.plot(x, fits[0].path["actual"], color=TREATED, marker="o", markersize=3, label=name)
    styles = [(SYNTHETIC, "-"), ("#2a8a78", "--"), ("#8a5aa0", ":"), ("#b8860b", "-.")]
    for fitted, (colour, style) in zip(fits, styles, strict=False):
        axes.plot(x, fitted.path["synthetic"], color=colour, linestyle=style, label=fitted.method)


def mark_window(axes: Axes, start: object, last: object, later: object | None = None) -> None:
    """The window in which the effect is read, shaded, and a line where something else begins."""
    left, right = positions([start, last])
    axes.axvspan(left - 0.25, right + 0.1, color="#1f5a94", alpha=0.08, linewidth=0)
    if later is not None:
        axes.axvline(positions([later])[0] - 0.1, color="0.3", linewidth=0.8, linestyle="--")


def draw_placebos(axes: Axes, found: Placebos, name: str) -> None:
    """Gaps of the treated unit and of all placebos, each in units of its own noise."""
    noise = found.table.set_index("unit")["noise"]
    x = positions(list(found.gaps.index))
    for unit in found.table["unit"][1:]:
        axes.plot(x, found.gaps[unit] / noise[unit], color=QUIET, linewidth=0.6)
    axes.plot([], [], color=QUIET, linewidth=0.6, label="placebos")
    own = found.fit.unit
    axes.plot(x, found.gaps[own] / noise[own], color=TREATED, linewidth=1.8, label=name)
    axes.axhline(0, color="0.3", linewidth=0.7)


def draw_estimates(estimates: Sequence[Estimate], lead: int = 0) -> Figure:
    """Estimates with their intervals, the first on top; bounds that are cut off get an arrow."""
    figure, axes = plt.subplots(figsize=(6.3, 0.5 + 0.27 * len(estimates)))
    finite = [b for e in estimates for b in (e.effect, e.lower, e.upper) if np.isfinite(b)]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low or 1)
    for row, estimate in enumerate(estimates):
        colour = TREATED if row == lead else "0.35"
        ends = np.clip([estimate.lower, estimate.upper], low - margin, high + margin)
        axes.plot(ends, [row, row], color=colour, linewidth=1.4)
        axes.plot(estimate.effect, row, "o", color=colour, markersize=5 if row == lead else 4)
        for bound, end, mark in zip((estimate.lower, estimate.upper), ends, "<>", strict=True):
            if np.isinf(bound):
                axes.plot(end, row, mark, color=colour, markersize=4)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(range(len(estimates)), [estimate.label for estimate in estimates])
    axes.set(ylim=(len(estimates) - 0.5, -0.5), xlabel=f"effect ({estimates[0].unit})")
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    return figure


def draw_power(axes: Axes, curve: pd.DataFrame, mde: Detectable) -> None:
    """The power of a design by size of the effect (``effect, power``), and what it can detect."""
    axes.plot(curve["effect"], 100 * curve["power"], color=TREATED)
    axes.axhline(100 * mde.power, color="0.4", linewidth=0.8, linestyle="--")
    if np.isfinite(mde.effect):
        axes.axvline(mde.effect, color=SYNTHETIC, linewidth=0.9)
    axes.set(ylim=(0, 102), xlabel=f"size of the effect ({mde.unit})", ylabel="found (%)")
