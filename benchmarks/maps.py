"""Measure every kind of map of `analysis.maps`, and write them as other eyes see them.

Part of ``make bench``. A map of the 267 kelurahan is promised in 1.5 s, at 200 dpi and under
400 kB. The pictures go to ``build/maps``, each in colour, in grey and as with deuteranopia: look
at them before a change of `analysis.maps` is called done. The clusters are those of registered
density; what the small multiples show by year is made up.
"""

import io
import warnings
from collections.abc import Callable

import esda
import geopandas as gpd
import matplotlib.image
import numpy as np
import pandas as pd
import shapely
from libpysal import graph
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from timing import best_of

from analysis import display, floods, maps, paths, regions, slums, tables
from analysis.maps import vision

PICTURES = paths.ROOT / "build" / "maps"
EYES = {"colour": np.asarray, "grey": vision.grey, "deuteranopia": vision.deuteranopia}
YEARS = range(2018, 2024)


def table() -> gpd.GeoDataFrame:
    """The 267 kelurahan with something for every kind of map."""
    areas = regions.kelurahan()
    kelurahan = tables.read("kelurahan")
    columns = ["kelurahan_code", "population_count", "density_per_km2"]
    flood = floods.rw_share(kelurahan)[["kelurahan_code", "flood_prone_share_pct"]]
    slum = tables.read("slum_kelurahan")[["kelurahan_code", "slum_rw_share_pct", "status"]]
    made = areas
    for part in (kelurahan[columns], flood, slum):
        made = made.merge(part, on="kelurahan_code", validate="1:1")
    made.attrs = areas.attrs
    made["cluster"], made["significance"] = clusters(made)
    rng = np.random.default_rng(1)
    made["not asked"] = rng.uniform(size=len(made)) < 0.05
    for year in YEARS:
        made[f"year_{year}"] = made["flood_prone_share_pct"] * rng.uniform(0.5, 1)
    return made


def clusters(areas: gpd.GeoDataFrame) -> tuple[pd.Series, pd.Series]:
    """Local Moran of density on the mainland (not corrected for many tests), and its p values."""
    mainland = areas[areas["kota_code"] != maps.KEPULAUAN_SERIBU]
    near = graph.Graph.build_contiguity(mainland, rook=False).transform("r")
    found = esda.Moran_Local(
        mainland["density_per_km2"].to_numpy(), near, permutations=999, seed=1, n_jobs=1
    )
    names = np.array(["", "High-High", "Low-High", "Low-Low", "High-Low"])[found.q]
    p = pd.Series(found.p_sim, index=mainland.index)
    cluster = pd.Series(names, index=mainland.index).where(p <= 0.05, "not significant")
    return cluster.reindex(areas.index), maps.by_significance(p.reindex(areas.index))


def kinds(areas: gpd.GeoDataFrame) -> dict[str, Callable[[], Figure]]:
    """Every kind of map, by the name of its pictures."""
    density, flood = "density_per_km2", "flood_prone_share_pct"
    north = areas[areas["kota_code"] == "3175"]
    per_km2 = maps.round_breaks(areas[density])
    missing = {
        slums.NONE_LISTED: maps.Class("none listed (not zero)", "white", "..."),
        slums.NOT_PUBLISHED: maps.NOT_PUBLISHED,
    }
    return {
        "choropleth": lambda: maps.choropleth(
            areas, density, title="Density", breaks=per_km2, legend="Residents per km²"
        ),
        "missing": lambda: maps.choropleth(
            areas, "slum_rw_share_pct", title="Listed slum RW", breaks=[10, 20, 30, 50, 100],
            legend="Listed slum RW (% of RW)", classes=missing, cmap="YlOrRd",
        ),
        "bivariate": lambda: maps.bivariate(
            areas, (density, flood), title="Density and floods",
            breaks=(
                maps.classify(areas[density], "Quantiles", 3, decimals=-3),
                maps.classify(areas[flood], "EqualInterval", 3, decimals=0),
            ),
            legend=("Residents per km²", "Flood-prone RW (%)"),
        ),
        "clusters": lambda: maps.categories(
            areas, "cluster", title="Clusters of density", legend="Local Moran",
            categories=maps.LISA,
        ),
        "significance": lambda: maps.categories(
            areas, "significance", title="Their significance", legend="Pseudo p value",
            categories=maps.SIGNIFICANCE,
        ),
        "symbols": lambda: maps.symbols(
            areas, "population_count", title="Residents", legend="Registered residents"
        ),
        "pair": lambda: maps.pair(
            areas,
            maps.Panel(density, "Density", per_km2, "Residents per km²"),
            maps.Panel(
                flood, "Floods", [0, 20, 40, 60, 80, 100], "Flood-prone RW (%)",
                cmap="OrRd", hatched=("not asked", "not asked: model alone"),
            ),
            title="Density beside floods",
        ),
        "small_multiples": lambda: maps.small_multiples(
            areas, {f"year_{year}": str(year) for year in YEARS}, title="By year (made up)",
            breaks=[0, 20, 40, 60, 80, 100], legend="Share (%)", cmap="Blues",
        ),
        "part": lambda: maps.choropleth(
            north, density, title="Jakarta Utara", breaks=per_km2,
            legend="Residents per km²", within=areas,
        ),
    }  # fmt: skip


def detailed(areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The areas with borders as detailed as those of a mapping agency; shared ones stay shared."""

    def bent(points: np.ndarray) -> np.ndarray:
        return (points + 8 * np.sin(points[:, ::-1] / 40)).round(2)

    fine = areas.copy()
    fine["geometry"] = shapely.transform(shapely.segmentize(areas.geometry.to_numpy(), 10), bent)
    fine.attrs = areas.attrs
    return fine


def pictured(figure: Figure) -> bytes:
    picture = display.png(figure)
    plt.close(figure)
    return picture


def main() -> None:
    warnings.filterwarnings("ignore", message="The weights matrix is not fully connected")
    areas = table()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, kind in kinds(areas).items():
        picture = pictured(kind())
        took = best_of(3, lambda kind=kind: pictured(kind()))
        print(f"{name}: {took:.2f} s, {len(picture) / 1000:.0f} kB (promised: 1.5 s, 400 kB)")
        pixels = matplotlib.image.imread(io.BytesIO(picture))[..., :3]
        for eyes, seen in EYES.items():
            matplotlib.image.imsave(PICTURES / f"{name}_{eyes}.png", np.asarray(seen(pixels)))
    fine = detailed(areas)
    points = shapely.get_num_coordinates(fine.geometry.to_numpy()).sum()
    kind = kinds(fine)["choropleth"]
    picture = pictured(kind())
    took = best_of(3, lambda: pictured(kind()))
    print(f"choropleth, borders of {points:,} points: {took:.2f} s, {len(picture) / 1000:.0f} kB")
    print(f"Look at them: {paths.shown(PICTURES)}")


if __name__ == "__main__":
    main()
