"""Synthetic panels with one treated unit, with a planted effect and what may break a design.

For the proof of `analysis.effects.synthetic_control` only: nothing here is data of any place.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from analysis.effects.design import EffectsError
from analysis.effects.panels import Panel, panel

OWN_TREND, ANTICIPATION, OTHER_LEVEL = "own trend", "anticipation", "other level"
# Sizes of each violation, fixed beforehand, in units of the treated unit's noise: a slope per
# period; an effect two periods early; a distance to the lowest donor.
VIOLATIONS = {
    OWN_TREND: (0.0, 0.25, 0.5, 1.0, 2.0),
    ANTICIPATION: (0.0, 1.0, 2.0, 4.0, 8.0),
    OTHER_LEVEL: (0.0, 1.0, 4.0, 16.0, 64.0),
}
EARLY = 2


def simulate(
    seed: int,
    *,
    effect: float = 0.0,
    violation: str | None = None,
    size: float = 0.0,
    units: int = 30,
    before: int = 9,
    after: int = 4,
) -> Panel:
    """One panel: levels and loadings on two factors that differ by unit, and noise that does too.

    The treated unit is drawn from the same distribution as the donors, so that placebos in space
    are exact but for their donors being one fewer.

    Parameters
    ----------
    seed
        Of everything.
    effect
        Planted from the start on, in units of the outcome; the noise of a unit is 0.1 to 0.4.
    violation, size
        One of `VIOLATIONS`, and how large, in units of the treated unit's noise.
    units, before, after
        How many units, the treated one included, and periods.

    Raises
    ------
    EffectsError
        The violation is unknown.
    """
    random = np.random.default_rng([8, seed])
    periods = before + after
    noise = random.uniform(0.1, 0.4, units)
    factors = random.normal(0, 0.3, (periods, 2)).cumsum(axis=0)
    levels = random.uniform(4, 20, units)
    outcome = levels + factors @ random.uniform(0, 1, (2, units))
    outcome = outcome + noise * random.normal(size=(periods, units))
    match violation:
        case None:
            pass
        case "own trend":
            outcome[:, 0] += size * noise[0] * np.arange(periods)
        case "anticipation":
            outcome[before - EARLY :, 0] += size * noise[0]
        case "other level":
            outcome[:, 0] += (outcome[:, 1:].min() - outcome[:, 0].max() - size * noise[0]) * (
                size > 0
            )
        case _:
            raise EffectsError(
                f"violation {violation!r} is unknown (there are: {', '.join(VIOLATIONS)})"
            )
    outcome[before:, 0] += effect
    empty = _empty(units, before, after)
    return replace(empty, table=empty.table.assign(outcome=outcome.T.ravel()))


@cache
def _empty(units: int, before: int, after: int) -> Panel:
    """The panel without its outcomes: checked once, for it is always the same."""
    periods = before + after
    table = pd.DataFrame(
        {
            "unit": np.repeat([f"U{number:03d}" for number in range(units)], periods),
            "time": np.tile(np.arange(2001, 2001 + periods), units),
            "outcome": 0.0,
            "start": np.repeat([2001 + before] + [0] * (units - 1), periods),
        }
    )
    return panel(table, start="start", balanced=True)
