"""Did it work? Designs of evaluation, their estimators, checks and cards.

Where things are::

    design      Design, Assumption: declared before anything is estimated
    panels      the declared long format of a panel, checked at the border
    estimates   Estimate, Check, Detectable: what every design returns
    card        the evaluation card on top of a notebook
    drawing     paths, placebos, estimates side by side, power
    synthetic_control   one treated unit, with placebos in space and time
      donor_weights       its arithmetic: synthetic DiD, demeaned, ridge augmented, DiD, classic
      one_treated         panels with planted effects and declared violations
    provinces   one province among the others
    staggered   Callaway-Sant'Anna, Sun-Abraham, imputation; tests, bounds, rings, groups
    inference   wild bootstrap with few clusters, Romano-Wolf with many outcomes
    power       minimum detectable effects by simulation
    discontinuity   a score and a cut-off: jumps, kinks, and what would break them
    matching    others like the treated: balance, weighting, matching, sensitivity
    registers   persons and households: the formats of a user's files, or made-up ones
    rollouts    a rollout for its notebook: the user's panel, or a made-up one
    slum_upgrading   CAP and CIP, as far as published
"""

from analysis.effects.card import Card, card
from analysis.effects.design import PERSONS, POINTS, RUPIAH, Assumption, Design, EffectsError
from analysis.effects.estimates import (
    Check,
    Detectable,
    Estimate,
    checks_table,
    estimates_table,
)
from analysis.effects.panels import Panel, PanelError, panel

__all__ = [
    "PERSONS",
    "POINTS",
    "RUPIAH",
    "Assumption",
    "Card",
    "Check",
    "Design",
    "Detectable",
    "EffectsError",
    "Estimate",
    "Panel",
    "PanelError",
    "card",
    "checks_table",
    "estimates_table",
    "panel",
]
