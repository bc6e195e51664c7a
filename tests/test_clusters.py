"""Against the examples that esda publishes, on data that libpysal brings along."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from libpysal import examples
from libpysal.graph import Graph, read_gal
from test_neighbours import grid

from analysis import clusters, neighbours
from analysis.neighbours import Neighbours


def example(shapes, weights, ids=None):
    table = gpd.read_file(examples.get_path(shapes), ignore_geometry=True)
    graph = read_gal(examples.get_path(weights))
    table.index = pd.Index(graph.unique_ids) if ids is None else pd.Index(ids(table))
    return table, Neighbours(weights, graph)


def test_global_moran_of_homicides_around_saint_louis():
    table, near = example("stl_hom.shp", "stl.gal")
    found = clusters.moran(table["HR8893"], near, permutations=999)
    # esda 2.9, docstring of Moran.
    assert found.value == pytest.approx(0.244, abs=5e-4)
    assert found.expected == pytest.approx(-0.012987012987012988)
    assert found.area_count == 78
    assert found.low < found.expected < found.high < found.value
    assert found.p_value <= 0.01


def test_global_moran_of_sudden_infant_deaths():
    table, near = example("sids2.shp", "sids2.gal")
    # esda 2.9, docstring of Moran ("replicating OpenGeoda").
    assert clusters.moran(table["SIDR74"], near, permutations=99).value == pytest.approx(
        0.248, abs=5e-4
    )


def test_local_moran_of_the_ten_areas_of_de_smith():
    values = pd.read_csv(examples.get_path("desmith.txt"), skiprows=1, index_col="id")["z"]
    graph = read_gal(examples.get_path("desmith.gal"))
    near = Neighbours("desmith", graph)
    values.index = pd.Index(graph.unique_ids)
    found = clusters.local_moran(values, near, permutations=999, rate=0.999999)
    # esda 2.9, docstring of Moran_Local: quadrants 4, 4, 4, 2, 3, 3, 1, 4, 3, 3.
    quadrants = {1: "High-High", 2: "Low-High", 3: "Low-Low", 4: "High-Low"}
    expected = [quadrants[q] for q in (4, 4, 4, 2, 3, 3, 1, 4, 3, 3)]
    named = found["cluster"] != clusters.NEITHER
    assert named.sum() >= 9
    assert (found["cluster"] == expected)[named].all()


def test_gi_star_of_the_six_points():
    points = gpd.GeoSeries.from_xy([10, 20, 40, 15, 30, 30], [10, 10, 10, 20, 20, 30])
    near = Neighbours("15", Graph.build_distance_band(points, 15, binary=True))
    found = clusters.hot_spots(
        pd.Series([2, 3, 3.2, 5, 8, 7]), near.within(points.index), permutations=99
    )
    # esda 2.9, docstring of G_Local, binary weights, star=True, without the point that has no
    # neighbour: its own term changes none of the others' sums, but the mean and spread of all.
    expected = [-1.39727626, -0.28917762, 0.65064964, -0.28917762, 1.23452088, 2.02424331]
    whole = clusters.hot_spots(pd.Series([2, 3, 3.2, 5, 8, 7.0]), near, permutations=99)
    np.testing.assert_allclose(whole["z"], expected, rtol=1e-6)
    assert len(found) == near.graph.n - len(near.graph.isolates)


@pytest.fixture(scope="module")
def patch():
    """A hot corner in noise on a grid of 12 x 12."""
    areas = grid(12, alone=False)
    near = neighbours.bordering(areas)
    at = np.arange(144)
    hot = (at % 12 < 4) & (at // 12 < 4)
    values = np.random.default_rng(3).gamma(4, 1, 144) + 6 * hot
    return pd.Series(values, index=near.codes), near, pd.Series(hot, index=near.codes)


def test_the_planted_cluster_is_found_and_false_discoveries_are_few(patch):
    values, near, hot = patch
    found = clusters.hot_spots(values, near, permutations=999)
    named = found["cluster"] == clusters.HOT
    inside = hot & (near.graph.transform("r").lag(hot.astype(float)) == 1)
    assert named[inside].all() and inside.sum() == 9 and named[hot].mean() > 0.5
    beside = ~hot & (near.graph.transform("r").lag(hot.astype(float)) == 0)
    assert named[beside].mean() < 0.05
    local = clusters.local_moran(values, near, permutations=999)
    assert (local.loc[inside, "cluster"] == clusters.HIGH_HIGH).mean() > 0.7
    assert (local["q_value"] >= local["p_value"] - 1e-12).all()
    assert ((local["q_value"] <= 0.05) == (local["cluster"] != clusters.NEITHER)).all()
    assert "alone" in clusters.discoveries_words(local)


@pytest.mark.parametrize("statistic", [clusters.local_moran, clusters.hot_spots])
def test_the_same_seed_gives_the_same_and_leaves_the_global_generator(patch, statistic):
    values, near, _ = patch
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = statistic(values, near, permutations=199, seed=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(77)  # noqa: NPY002
    shuffled = values.sample(frac=1, random_state=2)  # the order of the rows is no matter
    pd.testing.assert_frame_equal(statistic(shuffled, near, permutations=199, seed=1), first)
    other = statistic(values, near, permutations=199, seed=2)
    assert (other["p_value"] != first["p_value"]).any()


def test_moran_is_seeded_too(patch):
    values, near, _ = patch
    assert clusters.moran(values, near, permutations=199) == clusters.moran(
        values, near, permutations=199
    )
    other = clusters.moran(values, near, permutations=199, seed=1)
    assert other.value == clusters.moran(values, near, permutations=199).value
    assert other.high != clusters.moran(values, near, permutations=199).high


def test_noise_is_called_noise():
    """Two-sided p-values of noise are uniform: about one in twenty is below 0.05."""
    near = neighbours.bordering(grid(10, alone=False))
    rng = np.random.default_rng(0)
    small, named = [], 0
    for _ in range(12):
        found = clusters.local_moran(
            pd.Series(rng.normal(size=100), index=near.codes), near, permutations=199
        )
        small.append((found["p_value"] <= 0.05).mean())
        named += (found["cluster"] != clusters.NEITHER).sum()
    assert 0.02 < np.mean(small) < 0.09
    assert named <= 12


def test_moran_of_rates_is_that_of_sudden_infant_deaths():
    table, near = example("sids2.shp", "sids2.gal")
    found = clusters.moran_of_rates(table["SID79"], table["BIR79"], near, permutations=999)
    # esda 2.9, docstring of Moran_Rate.
    assert found.value == pytest.approx(0.1662, abs=5e-5)
    assert found.low < 0 < found.high < found.value and found.p_value < 0.02


def test_moran_of_one_group_is_the_plain_one(patch):
    values, near, _ = patch
    one = pd.Series("a", index=values.index)
    found = clusters.moran_within(values, one, near, permutations=999)
    plain = clusters.moran(values, near, permutations=999)
    assert found.value == pytest.approx(plain.value)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.02)
    assert found.value == pytest.approx(clusters.moran_value(values, near))
    assert found == clusters.moran_within(values, one, near, permutations=999)


def test_a_verdict_does_not_hang_on_the_seed(patch):
    values, near, _ = patch
    found = clusters.moran(values, near, permutations=999)
    assert found.significant
    assert not replace(found, p_value=0.048, permutations=9999).significant
    assert replace(found, p_value=0.045, permutations=9999).significant


def test_groups_that_differ_are_no_pattern_within_them():
    """Two halves of noise of different means and spreads: only the plain statistic is large."""
    near = neighbours.bordering(grid(12, alone=False))
    half = pd.Series(np.arange(144) < 72, index=near.codes)
    small = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=144)
        values = pd.Series(np.where(half, 10 + 5 * noise, noise), index=near.codes)
        found = clusters.moran_within(values, half, near, permutations=199)
        assert clusters.moran_value(values, near) > found.high
        small += found.p_value <= 0.05
    assert small <= 6
    with pytest.raises(neighbours.NeighbourError, match="every group"):
        clusters.moran_within(half.astype(float), half, near, permutations=9)


def test_gi_star_needs_a_natural_zero(patch):
    values, near, _ = patch
    with pytest.raises(neighbours.NeighbourError, match="zero up"):
        clusters.hot_spots(values - 100, near, permutations=9)
