"""Which areas are neighbours: by shared borders, by distance, or the nearest ones.

A statistic of space depends on this choice, so a report makes it more than one way. Areas without a
neighbour take no part in such a statistic: they are left out by name, never joined to something
across the sea in silence.
"""

from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
from libpysal.graph import Graph
from libpysal.weights import W

from analysis import regions

KEPULAUAN_SERIBU = "3101"


class NeighbourError(ValueError):
    """Neighbours cannot be made, or do not belong to the values."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbours of areas, and who is left out.

    Attributes
    ----------
    rule
        In words, as reports print it: ``shared border or corner``.
    graph
        Of the areas that have neighbours, by their codes, sorted; binary.
    left_out
        Codes of the areas without any.
    """

    rule: str
    graph: Graph
    left_out: tuple[str, ...] = ()

    @cached_property
    def means(self) -> Graph:
        """The graph with weights that make means of neighbours (row-standardised)."""
        return self.graph.transform("r")

    @cached_property
    def weights(self) -> W:
        """The same as weights of the older kind: spreg needs them, esda is faster with them."""
        return self.means.to_W()

    @property
    def codes(self) -> pd.Index:
        """The areas that have neighbours."""
        return self.graph.unique_ids

    def within(self, codes: pd.Index) -> "Neighbours":
        """The neighbours among some of the areas; who loses the last of them is left out too."""
        kept = self.codes[self.codes.isin(codes)]
        return _complete(self.graph.subgraph(kept), self.rule, tuple(sorted(self.left_out)))


def mainland(areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The areas without those of Kepulauan Seribu.

    The islands lie up to some 100 km out at sea. By borders they have no neighbours; by distance or
    rank they would be joined to the coast, as if what happens there could spill over.
    """
    found = areas[areas["kota_code"] != KEPULAUAN_SERIBU]
    found.attrs = areas.attrs
    return found


def bordering(areas: gpd.GeoDataFrame, code: str = "kelurahan_code") -> Neighbours:
    """Areas that share a border or a corner (queen contiguity).

    Parameters
    ----------
    areas
        Polygons without overlaps and gaps (`analysis.regions.kelurahan`), with ``code``.
    """
    shapes = _shapes(areas, code)
    # On a clean coverage shared borders have the same vertices: no tolerance is needed.
    return _complete(Graph.build_contiguity(shapes, rook=False), "shared border or corner")


def nearby(areas: gpd.GeoDataFrame, km: float, code: str = "kelurahan_code") -> Neighbours:
    """Areas whose centroids are at most so many kilometres apart."""
    if not km > 0:
        raise NeighbourError(f"a distance of {km} km makes no neighbours: give more than 0")
    points = _shapes(areas, code).centroid
    graph = Graph.build_distance_band(points, km * 1000, binary=True)
    return _complete(graph, f"centroids within {km:g} km")


def nearest(areas: gpd.GeoDataFrame, count: int, code: str = "kelurahan_code") -> Neighbours:
    """The areas with the nearest centroids, so many each; not mutual."""
    if not 0 < count < len(areas):
        raise NeighbourError(f"{len(areas)} areas do not have {count} nearest neighbours each")
    points = _shapes(areas, code).centroid
    return _complete(Graph.build_knn(points, k=count), f"{count} nearest centroids")


def described(neighbours: Neighbours, areas: gpd.GeoDataFrame) -> dict[str, object]:
    """One row of a table: the rule, how many areas, links, and how far the links reach.

    Returns ``rule, area_count, left_out_count, neighbours_mean, neighbours_min, neighbours_max,
    part_count`` (of areas that hang together) and ``longest_km`` (between centroids).
    """
    graph = neighbours.graph
    points = _shapes(areas, "kelurahan_code").centroid
    links = graph.adjacency.index.to_frame(index=False)
    ends = [points.loc[links[end]].reset_index(drop=True) for end in ("focal", "neighbor")]
    return {
        "rule": neighbours.rule,
        "area_count": graph.n,
        "left_out_count": len(neighbours.left_out),
        "neighbours_mean": float(graph.cardinalities.mean()),
        "neighbours_min": int(graph.cardinalities.min()),
        "neighbours_max": int(graph.cardinalities.max()),
        "part_count": int(graph.n_components),
        "longest_km": float(ends[0].distance(ends[1]).max() / 1000),
    }


def left_out_words(neighbours: Neighbours) -> str:
    """Who takes no part because they have no neighbour."""
    if not neighbours.left_out:
        return f"By {neighbours.rule} every area has a neighbour."
    names = regions.areas().set_index("kelurahan_code")["kelurahan"]
    told = [names.get(code, code) for code in neighbours.left_out]
    return (
        f"By {neighbours.rule} {len(told)} areas have no neighbour and take no part: "
        f"{', '.join(told)}."
    )


def aligned(values: pd.Series, neighbours: Neighbours) -> pd.Series:
    """The values in the order of the neighbours.

    Parameters
    ----------
    values
        By area code.

    Raises
    ------
    NeighbourError
        An area has neighbours but no value, or all values are the same.
    """
    found = values.reindex(neighbours.codes).astype("float64")
    lost = found.index[found.isna()]
    if len(lost):
        raise NeighbourError(
            f"{len(lost)} of {len(found)} areas have no value of {values.name or 'the variable'} "
            f"({', '.join(map(str, lost[:3]))}{' …' * (len(lost) > 3)}): missing is not zero; "
            "leave them out with neighbours.within(values.dropna().index)"
        )
    if np.ptp(found.to_numpy()) == 0:
        raise NeighbourError(f"all values of {values.name or 'the variable'} are the same")
    return found.rename_axis(values.index.name)


def _shapes(areas: gpd.GeoDataFrame, code: str) -> gpd.GeoSeries:
    if areas[code].duplicated().any():
        raise NeighbourError(f"{code} is not unique: one row per area is needed")
    return areas.set_index(code).sort_index().geometry


def _complete(graph: Graph, rule: str, before: tuple[str, ...] = ()) -> Neighbours:
    """Leave out isolates: what they would get as the mean of no neighbours is a made-up zero."""
    lonely = tuple(graph.isolates)
    kept = graph.unique_ids[~graph.unique_ids.isin(lonely)]
    if not len(kept):
        raise NeighbourError(f"by {rule} no area has a neighbour")
    return Neighbours(rule, graph.subgraph(kept).transform("b"), (*before, *lonely))
