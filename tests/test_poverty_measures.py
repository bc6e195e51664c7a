"""Measures of poverty and inequality: by hand, by their identities, and their influence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_poverty_design import example

from analysis.poverty import measures as m

FOUR = [1.0, 2.0, 3.0, 4.0]
EVERY = [*m.MEASURES.values(), m.fgt_of(1.5), m.quantile_of(0.2), m.share_of(0.4)]


@st.composite
def samples(draw, groups: int = 1):
    """Welfare with ties, weights and groups."""
    n = draw(st.integers(2, 30))
    welfare = draw(hnp.arrays("float64", n, elements=st.integers(1, 40).map(lambda v: v / 8)))
    weights = draw(hnp.arrays("float64", n, elements=st.integers(1, 12).map(lambda v: v / 4)))
    codes = draw(hnp.arrays("int64", n, elements=st.integers(0, groups - 1)))
    return welfare, weights, codes


def values_of(chosen: m.Measure, welfare, line=2.0):
    return (
        chosen.values(welfare, np.full(len(welfare), line))
        if chosen.needs_line
        else chosen.values(welfare)
    )


def alone(chosen: m.Measure, welfare, weights, line=2.0) -> float:
    codes = np.zeros(len(welfare), dtype="int64")
    return m.compute(chosen, values_of(chosen, welfare, line), weights[:, None], codes)[0][0, 0]


# --- by hand


def test_four_persons_by_hand():
    assert m.fgt(FOUR, 2.5) == 0.5
    assert m.fgt(FOUR, 2.5, 1) == pytest.approx((0.6 + 0.2) / 4)
    assert m.fgt(FOUR, 2.5, 2) == pytest.approx((0.36 + 0.04) / 4)
    assert m.watts(FOUR, 2.5) == pytest.approx((np.log(2.5) + np.log(1.25)) / 4)
    assert m.sst(FOUR, 2.5) == pytest.approx((7 * 0.6 + 5 * 0.2) / 16)  # Shorrocks's weights
    assert m.gini(FOUR) == pytest.approx(0.25)
    assert m.mean(FOUR) == 2.5
    assert m.quantile(FOUR, 0.5) == 2.0
    assert m.quantile(FOUR, 0.51) == 3.0
    assert m.share(FOUR, 0.5) == pytest.approx(0.3)
    assert m.share(FOUR, 0.375) == pytest.approx(0.2)  # half of the second person


def test_weighted_measures_are_those_of_another_package():
    """`povertyInequalityMeasures` 1.1.1 on the survey without random numbers, to its rounding."""
    own = example()
    weights = own["weight"] * own["household_size"]
    found = [m.fgt(own["y"], 0.9, alpha, weights=weights) for alpha in (0, 1, 2)]
    found.append(m.watts(own["y"], 0.9, weights=weights))
    assert found == pytest.approx([0.43435, 0.11696, 0.04363, 0.14883], abs=5e-6)


def test_who_is_at_the_line_is_not_poor():
    assert m.fgt([2.5, 3.0], 2.5) == 0.0


def test_lines_may_differ_by_row():
    assert m.fgt(FOUR, [0.5, 4.0, 4.0, 4.0], 1) == pytest.approx((0.5 + 0.25) / 4)


def test_a_quantile_is_reached_in_spite_of_rounding():
    # Eight tenths of ten, added up one by one, fall short of 0.8 in binary.
    weights = np.full(10, 0.1)
    assert np.cumsum(weights)[7] < 0.8
    assert m.quantile(np.arange(1.0, 11), 0.8, weights=weights) == 8.0


def test_lorenz_by_hand():
    curve = m.lorenz([3.0, 1.0], weights=[1.0, 3.0])
    assert curve.to_numpy().tolist() == [[0, 0], [0.75, 0.5], [1, 1]]
    points = m.lorenz([3.0, 1.0], weights=[1.0, 3.0], points=[0.375, 0.875])
    assert points["welfare_share"].tolist() == pytest.approx([0.25, 0.75])


def test_groups_come_sorted_and_named():
    found = m.fgt(FOUR, 2.5, by=["b", "a", "b", "b"], weights=[1, 5, 1, 2])
    assert found.to_dict() == {"a": 1.0, "b": 0.25} and found.name == "p0"


def test_equal_welfare_has_no_inequality_and_one_person_all_of_it():
    assert m.gini([2.0] * 5) == pytest.approx(0, abs=1e-12)
    assert m.gini([0.0, 0.0, 0.0, 1.0]) == pytest.approx(0.75)  # (n - 1) / n


def test_a_mean_of_zero_has_no_gini():
    assert np.isnan(m.gini([0.0, 0.0]))


# --- identities


@settings(max_examples=40, deadline=None)
@given(samples(), st.floats(0.2, 6), st.floats(0, 3))
def test_fgt_rises_with_the_line(sample, line, more):
    welfare, weights, _ = sample
    for alpha in (0, 0.5, 1, 2):
        low, high = (m.fgt(welfare, z, alpha, weights=weights) for z in (line, line + more))
        assert low <= high + 1e-12


@settings(max_examples=40, deadline=None)
@given(samples(), st.floats(0.2, 6))
def test_p0_p1_p2_fall_in_that_order(sample, line):
    welfare, weights, _ = sample
    p0, p1, p2 = (m.fgt(welfare, line, alpha, weights=weights) for alpha in (0, 1, 2))
    assert 1 + 1e-12 >= p0 >= p1 - 1e-12 and p1 >= p2 - 1e-12


@settings(max_examples=40, deadline=None)
@given(samples(groups=4))
def test_measures_that_are_means_are_those_of_their_groups(sample):
    welfare, weights, codes = sample
    share = pd.Series(weights).groupby(codes).sum() / weights.sum()
    for alpha in (0, 1, 2):
        parts = m.fgt(welfare, 2.0, alpha, weights=weights, by=codes)
        assert (share * parts).sum() == pytest.approx(m.fgt(welfare, 2.0, alpha, weights=weights))


@settings(max_examples=40, deadline=None)
@given(samples(groups=4))
def test_each_group_is_as_it_is_alone(sample):
    welfare, weights, codes = sample
    codes = np.unique(codes, return_inverse=True)[1]
    for chosen in EVERY:
        together = m.compute(chosen, values_of(chosen, welfare), weights[:, None], codes)[0][:, 0]
        for g in range(codes.max() + 1):
            own = codes == g
            assert together[g] == pytest.approx(alone(chosen, welfare[own], weights[own]), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(samples())
def test_gini_is_half_the_relative_mean_difference(sample):
    welfare, weights, _ = sample
    pairs = np.abs(welfare[:, None] - welfare) * weights[:, None] * weights
    slow = pairs.sum() / (2 * weights.sum() * (weights @ welfare))
    assert m.gini(welfare, weights=weights) == pytest.approx(slow, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(samples(), st.floats(0.01, 1e7))
def test_gini_and_poverty_do_not_depend_on_the_unit(sample, unit):
    welfare, weights, _ = sample
    for of in (m.gini, lambda y, weights: m.share(y, 0.3, weights=weights)):
        assert of(welfare * unit, weights=weights) == pytest.approx(of(welfare, weights=weights))
    scaled = m.sst(welfare * unit, 1.7 * unit, weights=weights)
    assert scaled == pytest.approx(m.sst(welfare, 1.7, weights=weights))


@settings(max_examples=40, deadline=None)
@given(samples(), st.floats(0.2, 6))
def test_sst_is_headcount_times_gap_of_the_poor_times_one_plus_gini_of_gaps(sample, line):
    welfare, weights, _ = sample
    poor = welfare < line
    found = m.sst(welfare, line, weights=weights)
    if not poor.any():
        assert found == 0
        return
    gaps = m.gaps(welfare, np.full(len(welfare), line))
    of_poor = np.average(gaps[poor], weights=weights[poor])
    parts = m.fgt(welfare, line, weights=weights) * of_poor * (1 + m.gini(gaps, weights=weights))
    assert found == pytest.approx(parts)


@settings(max_examples=40, deadline=None)
@given(samples())
def test_a_household_of_weight_two_is_two_households(sample):
    welfare, weights, _ = sample
    for chosen in EVERY:
        doubled = alone(chosen, np.append(welfare, welfare[0]), np.append(weights, weights[0]))
        heavy = weights.copy()
        heavy[0] *= 2
        assert alone(chosen, welfare, heavy) == pytest.approx(doubled, abs=1e-9), chosen.name


@settings(max_examples=40, deadline=None)
@given(samples())
def test_the_lorenz_curve_is_convex_and_gives_the_gini(sample):
    welfare, weights, _ = sample
    curve = m.lorenz(welfare, weights=weights)
    x, y = curve["population_share"].to_numpy(), curve["welfare_share"].to_numpy()
    slopes = np.diff(y) / np.diff(x)
    assert (np.diff(slopes) > -1e-9).all()
    assert (y <= x + 1e-12).all() and y[-1] == 1
    assert 1 - 2 * np.trapezoid(y, x) == pytest.approx(m.gini(welfare, weights=weights), abs=1e-9)
    at = float(np.clip(x[len(x) // 2], 0.01, 0.99))
    assert m.share(welfare, at, weights=weights) == pytest.approx(np.interp(at, x, y), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(samples(groups=3))
def test_the_influence_is_the_derivative_by_the_weight(sample):
    welfare, weights, codes = sample
    codes = np.unique(codes, return_inverse=True)[1]
    step = 1e-6
    for chosen in EVERY:
        if "quantile" in chosen.name or chosen.name == "median":
            continue  # a step function: its influence rests on a density
        values = values_of(chosen, welfare)
        influence = m.compute(chosen, values, weights[:, None], codes, influence=True)[1][:, 0]
        for row in (0, len(welfare) - 1):
            up, down = weights.copy(), weights.copy()
            up[row], down[row] = up[row] + step, down[row] - step
            both = np.stack([up, down], axis=1)
            found = m.compute(chosen, values, both, codes)[0][codes[row]]
            slope = (found[0] - found[1]) / (2 * step)
            if chosen.name == "share 0.4":
                # It has a kink where a row's share ends at p exactly.
                edge = np.cumsum(
                    weights[codes == codes[row]][np.argsort(welfare[codes == codes[row]])]
                )
                if np.isclose(edge / edge[-1], 0.4, atol=1e-4).any():
                    continue
            assert influence[row] == pytest.approx(slope, abs=1e-5), chosen.name


@settings(max_examples=40, deadline=None)
@given(samples())
def test_columns_of_weights_are_as_one_by_one(sample):
    welfare, weights, codes = sample
    both = np.stack([weights, weights[::-1]], axis=1)
    for chosen in EVERY:
        found = m.compute(chosen, values_of(chosen, welfare), both, codes)[0][0]
        assert found == pytest.approx([alone(chosen, welfare, w) for w in both.T], abs=1e-9)


# --- what is wrong is named


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: m.fgt([1, np.nan], 2),
            "welfare is missing or infinite in 1 of 2 rows, first in row 2",
        ),
        (lambda: m.fgt([1, 2], [1, 0]), "line is not above zero in 1 of 2 rows, first in row 2"),
        (lambda: m.fgt([1, 2], [1]), "line has 1 rows where welfare has 2"),
        (lambda: m.gini([1, 2], weights=[1, -1]), "weights is below zero"),
        (lambda: m.fgt(["a", 2], 1), "welfare is not all numbers"),
        (lambda: m.fgt([], 1), "no rows"),
        (lambda: m.watts([0, 2], 1), "1 rows are at or below zero"),
        (lambda: m.quantile([1, 2], 1.0), "between 0 and 1"),
        (lambda: m.fgt([1, 2], 1, -1), "alpha is -1"),
        (lambda: m.measure("p9"), "'p9' is unknown: there are mean, p0"),
        (lambda: m.gini([1, 2], by=["a", None]), "1 of them missing"),
        (lambda: m.lorenz([-1, 2]), "at or above zero"),
    ],
)
def test_errors_name_the_fault_and_the_row(call, words):
    with pytest.raises(m.MeasureError, match=words):
        call()
