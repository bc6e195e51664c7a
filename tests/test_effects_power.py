"""Minimum detectable effects by simulation, against what theory says."""

import math

import numpy as np
import pandas as pd
import pytest
from test_effects_staggered import DESIGN, made_panel, own_reads  # noqa: F401

from analysis.effects import EffectsError, Estimate, power, staggered


def mean_of_hundred(effect: float, seed: int) -> Estimate:
    """A mean of 100 values of standard deviation 1: its error is 0.1."""
    found = effect + np.random.default_rng(seed).standard_normal(100).mean()
    return Estimate(
        design=DESIGN,
        estimator="mean",
        effect=found,
        standard_error=0.1,
        lower=found - 0.196,
        upper=found + 0.196,
        inference="known error",
        n_units=100,
        n_treated=100,
        n_periods=1,
    )


@pytest.mark.parametrize("additive", [False, True])
def test_it_finds_what_theory_says(additive):
    found = power.power(
        DESIGN, mean_of_hundred, np.arange(0, 0.6, 0.05), replicates=400, additive=additive
    )
    assert found.curve["power"].iloc[0] == pytest.approx(0.05, abs=0.035)
    # 1.96 + 0.84 errors, within the Monte Carlo error of a power of 0.8 (0.02, slope 2.8 per 0.1)
    assert found.detectable.effect == pytest.approx(0.28, abs=0.025)
    assert found.curve["power"].is_monotonic_increasing
    assert (found.curve["lower"] <= found.curve["power"]).all()
    assert "400 replicates" in found.detectable.words()


def test_the_short_way_is_the_long_way():
    sizes = [0, 0.1, 0.2, 0.3]
    ways = [
        power.power(DESIGN, mean_of_hundred, sizes, replicates=50, additive=additive).curve
        for additive in (False, True)
    ]
    pd.testing.assert_frame_equal(*ways)


def test_what_is_never_found_is_infinite():
    found = power.power(DESIGN, mean_of_hundred, [0, 0.01], replicates=30)
    assert math.isinf(found.detectable.effect)
    assert "infinity" in found.detectable.words()


def estimated(own):
    return staggered.callaway_santanna(DESIGN, own).estimate


def test_power_of_a_panel_is_near_that_of_its_error():
    _, own = made_panel(seed=1)
    found = power.of_panel(DESIGN, own, estimated, replicates=60)
    assert found.curve["power"].iloc[0] < 0.16
    error = estimated(own).standard_error
    assert found.detectable.effect == pytest.approx(2.8 * error, rel=0.25)
    half = power.of_panel(DESIGN, own, estimated, replicates=40, unit_count=66)
    assert half.detectable.effect == pytest.approx(2 * found.detectable.effect, rel=0.4)
    assert "66 units" in half.detectable.words()


def test_adding_an_effect_only_adds_it():
    """What `of_panel` rests on: a constant effect moves the estimate and its bounds by itself."""
    _, own = made_panel(seed=1, effect_scale=0.0)
    shifted = own.table.copy()
    shifted["slum_index"] += 2.5 * shifted["treated"]
    one = estimated(own)
    other = estimated(type(own)(shifted, own.outcomes, own.covariates, own.times))
    assert other.effect == pytest.approx(one.effect + 2.5, abs=1e-9)
    assert other.lower == pytest.approx(one.lower + 2.5, abs=1e-6)


def test_the_effect_is_taken_out_before_shuffling():
    made, own = made_panel(seed=1)
    clean = power.without_effect(own, "slum_index")
    gone = own.table["slum_index"].to_numpy() - clean.ravel()
    treated = own.table["treated"].eq(1).to_numpy()
    assert (np.abs(gone[~treated]) < 1e-9).all()
    assert gone[treated].mean() == pytest.approx(made.att("slum_index"), abs=0.9)


def test_errors_say_what_to_do():
    with pytest.raises(EffectsError, match="declare the design"):
        power.power("no design", mean_of_hundred)
    with pytest.raises(EffectsError, match="at least 20"):
        power.power(DESIGN, mean_of_hundred, replicates=5)
    with pytest.raises(EffectsError, match="do not ascend"):
        power.power(DESIGN, mean_of_hundred, [0.2, 0.1], replicates=20)
    _, own = made_panel(seed=1)
    hole = type(own)(own.table.iloc[1:], own.outcomes, own.covariates, own.times)
    with pytest.raises(EffectsError, match="every unit in every period"):
        power.of_panel(DESIGN, hole, estimated)
