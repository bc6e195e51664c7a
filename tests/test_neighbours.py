import geopandas as gpd
import pandas as pd
import pytest
import shapely

from analysis import neighbours
from analysis.neighbours import NeighbourError


def grid(n=4, alone=True):
    """A square of n x n areas of 1 km2, and one far away."""
    boxes = [
        shapely.box(1000 * x, 1000 * y, 1000 * (x + 1), 1000 * (y + 1))
        for y in range(n)
        for x in range(n)
    ]
    if alone:
        boxes.append(shapely.box(90_000, 0, 91_000, 1000))
    codes = [f"31730{i:05d}" for i in range(len(boxes))]
    table = gpd.GeoDataFrame(
        {"kelurahan_code": codes, "kota_code": "3173"}, geometry=boxes, crs=32748
    )
    table.attrs["source"] = "a grid"
    return table


def links(near):
    return set(near.graph.adjacency.index)


def test_corners_count_as_borders_and_the_lonely_is_left_out_by_name():
    areas = grid()
    near = neighbours.bordering(areas.sample(frac=1, random_state=0))
    assert near.left_out == ("3173000016",)
    assert list(near.codes) == sorted(areas["kelurahan_code"][:16])
    inner = near.graph.cardinalities[areas["kelurahan_code"][5]]
    assert inner == 8  # with the corners; 4 without
    assert "1 areas have no neighbour" in neighbours.left_out_words(near)


def test_islands_are_left_out_before_they_are_joined_to_the_coast():
    areas = grid()
    areas.loc[16, "kota_code"] = neighbours.KEPULAUAN_SERIBU
    with_islands = neighbours.nearest(areas, 3)
    assert any("3173000016" in pair for pair in links(with_islands))
    near = neighbours.nearest(neighbours.mainland(areas), 3)
    assert "3173000016" not in near.codes
    assert neighbours.mainland(areas).attrs == areas.attrs


def test_distance_and_rank():
    areas = grid(alone=False)
    near = neighbours.nearby(areas, 1)
    assert near.graph.cardinalities.max() == 4
    assert (neighbours.nearest(areas, 2).graph.cardinalities == 2).all()
    row = neighbours.described(near, areas)
    assert row["longest_km"] == pytest.approx(1)
    assert row["area_count"] == 16 and row["part_count"] == 1


def test_within_leaves_out_who_loses_the_last_neighbour():
    areas = grid(alone=False)
    codes = areas["kelurahan_code"]
    kept = pd.Index([codes[0], codes[1], codes[15]])
    near = neighbours.bordering(areas).within(kept)
    assert list(near.codes) == [codes[0], codes[1]]
    assert near.left_out == (codes[15],)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda a: neighbours.nearest(a, 0), "nearest"),
        (lambda a: neighbours.nearest(a, 17), "nearest"),
        (lambda a: neighbours.nearby(a, 0), "more than 0"),
        (lambda a: neighbours.nearby(a, 0.2), "no area has a neighbour"),
        (lambda a: neighbours.bordering(pd.concat([a, a])), "unique"),
    ],
)
def test_what_makes_no_neighbours(make, words):
    with pytest.raises(NeighbourError, match=words):
        make(grid())


def test_missing_values_are_not_zero():
    near = neighbours.bordering(grid(alone=False))
    values = pd.Series(range(16), index=near.codes, dtype="float64", name="share")
    assert list(neighbours.aligned(values.sample(frac=1, random_state=1), near)) == list(range(16))
    with pytest.raises(NeighbourError, match="1 of 16 areas have no value of share.*not zero"):
        neighbours.aligned(values.mask(values == 3), near)
    with pytest.raises(NeighbourError, match="the same"):
        neighbours.aligned(values * 0, near)
