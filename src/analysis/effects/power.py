"""How small an effect a design would find: by simulation, for the next round of a programme."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.effects.design import Design, EffectsError, declared
from analysis.effects.estimates import Detectable, Estimate
from analysis.effects.panels import Panel

POWER = 0.8
REPLICATES = 200


@dataclass(frozen=True, eq=False)
class Power:
    """Power of a design by the size of the effect.

    Attributes
    ----------
    design
        As declared.
    curve : DataFrame
        ``effect`` (in the design's unit), ``power`` (share of replicates in which zero is outside
        the interval), ``lower, upper`` (95 % Wilson interval of that share).
    detectable
        The smallest effect found with the power asked for, between the points of the curve.
    replicates
        How many were simulated.
    """

    design: Design
    curve: pd.DataFrame
    detectable: Detectable
    replicates: int


def power(
    design: Design,
    simulate: Callable[[float, int], Estimate],
    effects: Sequence[float] | None = None,
    *,
    replicates: int = REPLICATES,
    target: float = POWER,
    additive: bool = False,
    how: str = "",
) -> Power:
    """Minimum detectable effect of any design, by simulation.

    Parameters
    ----------
    design
        Declared; its level decides what counts as found.
    simulate
        ``simulate(effect, seed)``: draws data that hold the effect, and estimates it.
    effects
        Sizes to try, from 0 up; without, multiples of the standard error without effect.
    target
        The power asked for.
    additive
        Whether adding an effect to the data only adds it to the estimate and its bounds, as in
        estimators that are linear in the outcome with errors that do not depend on a constant
        effect. The replicates without effect then tell the whole curve.
    how
        Words for where the draws come from.

    Raises
    ------
    EffectsError
        Fewer than 20 replicates, sizes that do not ascend from 0 on, no standard error to scale
        them by.
    """
    declared(design)
    if replicates < 20:
        raise EffectsError(f"{replicates} replicates say little about a power: at least 20")
    null = [simulate(0.0, seed) for seed in range(replicates)]
    sizes = _sizes(effects, null)
    found = []
    for size in sizes:
        if size == 0 or additive:
            outside = [e.lower + size > 0 or e.upper + size < 0 for e in null]
        else:
            outside = [simulate(size, seed).excludes_zero for seed in range(replicates)]
        found.append(sum(outside))
    intervals = [stats.binomtest(k, replicates).proportion_ci(method="wilson") for k in found]
    curve = pd.DataFrame(
        {
            "effect": sizes,
            "power": np.array(found) / replicates,
            "lower": [i.low for i in intervals],
            "upper": [i.high for i in intervals],
        }
    )
    words = f"{replicates} replicates{': ' + how if how else ''}"
    least = Detectable(
        _crossing(curve, target), design.unit_of_effect, words, target, 1 - design.level
    )
    return Power(design, curve, least, replicates)


def of_panel(
    design: Design,
    panel: Panel,
    estimate: Callable[[Panel], Estimate],
    outcome: str | None = None,
    effects: Sequence[float] | None = None,
    *,
    replicates: int = REPLICATES,
    target: float = POWER,
    unit_count: int | None = None,
) -> Power:
    """Power of a panel's own design: its untreated outcomes, its starts given out anew.

    What each unit would have been without the programme is imputed (effects of units and periods
    from untreated rows); then starts are shuffled among units, and effects are added. So who is
    treated no longer depends on anything: the power is that of a randomised order.

    Parameters
    ----------
    estimate
        From a panel to an estimate that is linear in the outcome, such as
        ``lambda own: staggered.callaway_santanna(design, own).estimate``.
    unit_count
        Size of the next round: so many units drawn with replacement, instead of those of the
        panel.

    Raises
    ------
    EffectsError
        See `power`; the panel is not balanced.
    """
    outcome = panel.outcomes[0] if outcome is None else outcome
    if not panel.balanced:
        raise EffectsError("power by shuffling needs a panel with every unit in every period")
    untreated = without_effect(panel, outcome)
    starts = np.sort(panel.starts.to_numpy())
    count = len(starts) if unit_count is None else unit_count
    # Shares of starts as they were; which unit gets which is chance.
    given = starts[np.linspace(0, len(starts) - 1, count).round().astype(int)]
    periods = len(panel.times)

    def simulate(effect: float, seed: int) -> Estimate:
        random = np.random.default_rng(seed)
        chosen = (
            random.permutation(count)
            if unit_count is None
            else random.integers(len(starts), size=count)
        )
        table = pd.DataFrame(
            {
                "unit": np.repeat([f"u{i}" for i in range(count)], periods),
                "time": np.tile(panel.times, count),
                "t": np.tile(np.arange(1, periods + 1), count),
                "first_t": np.repeat(given, periods),
                outcome: untreated[chosen].ravel(),
            }
        )
        table["treated"] = ((table["first_t"] > 0) & (table["t"] >= table["first_t"])).astype(int)
        table["cluster"] = table["unit"]
        table[outcome] += effect * table["treated"]
        return estimate(Panel(table, (outcome,), (), panel.times))

    return power(
        design, simulate, effects, replicates=replicates, target=target, additive=True,
        how=f"starts shuffled among {count} units",
    )  # fmt: skip


def without_effect(panel: Panel, outcome: str) -> np.ndarray:
    """Units by periods: the outcome, less the imputed effect where treated.

    Imputed effects are averaged over exposures, so that a unit keeps its own error.
    """
    table = panel.table
    wide = panel.wide(outcome).to_numpy()
    treated = table.pivot(index="unit", columns="t", values="treated").to_numpy().astype(bool)
    kept = ~treated
    unit, period = np.zeros(len(wide)), np.zeros(wide.shape[1])
    for _ in range(500):  # effects of units and periods where nobody is treated
        before = period
        unit = ((wide - period) * kept).sum(axis=1) / kept.sum(axis=1)
        period = ((wide - unit[:, None]) * kept).sum(axis=0) / kept.sum(axis=0)
        if np.abs(period - before).max() < 1e-9 * (np.abs(wide).max() or 1):
            break
    exposure = table["t"].to_numpy() - table["first_t"].to_numpy()
    exposure = exposure.reshape(wide.shape)
    gap = wide - unit[:, None] - period
    clean = wide.copy()
    for since in np.unique(exposure[treated]):
        own = treated & (exposure == since)
        clean[own] -= gap[own].mean()
    return clean


def _sizes(effects: Sequence[float] | None, null: Sequence[Estimate]) -> list[float]:
    if effects is None:
        error = np.std([e.effect for e in null], ddof=1)
        if not error > 0:
            raise EffectsError("the replicates do not vary: name the sizes to try (effects=)")
        return [float(m * error) for m in np.arange(0, 5.5, 0.5)]
    sizes = [float(size) for size in effects]
    if sizes != sorted(set(sizes)) or sizes[0] < 0:
        raise EffectsError(f"the sizes to try {sizes} do not ascend from 0 on")
    return sizes


def _crossing(curve: pd.DataFrame, target: float) -> float:
    """Where the curve first reaches the target, by linear interpolation; infinite if nowhere."""
    reached = np.flatnonzero(curve["power"].to_numpy() >= target)
    if not len(reached):
        return math.inf
    at = reached[0]
    if at == 0:
        return float(max(curve["effect"].iloc[0], np.finfo(float).tiny))
    low, high = curve.iloc[at - 1], curve.iloc[at]
    share = (target - low["power"]) / (high["power"] - low["power"])
    return float(low["effect"] + share * (high["effect"] - low["effect"]))
