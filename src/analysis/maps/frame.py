"""What every map has whatever it shows: mainland, islands, locator, scale, north, names, source."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from analysis.maps.classes import Class

KEPULAUAN_SERIBU = "3101"
MAINLAND, ISLANDS, LOCATOR = "mainland", "islands", "locator"  # labels of the axes
_BORDER = {"edgecolor": "white", "linewidth": 0.25}
_WIDER = 0.007  # of the height of the inset: a coast of that width makes the islands visible
_KOTA_BORDER = {"edgecolor": "0.15", "linewidth": 0.7, "facecolor": "none"}
_HATCHED = {"edgecolor": "0.45", "linewidth": 0.25}
# Areas with a value that is to be read with care: hatched the other way than those without value.
MARKED = {"facecolor": "none", "edgecolor": "0.35", "hatch": "\\\\\\\\\\", "linewidth": 0}
_COAST = {"edgecolor": "0.6", "linewidth": 0.25}
_HOLLOW = {"facecolor": "none", "edgecolor": "0.45", "linewidth": 0.35}
_BARS_KM = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
# A print is some 900 dots wide; borders keep what a fraction of a dot shows, not more.
_DOTS, _DOT_SHARE = 900, 0.25

Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class Ground:
    """The areas of a map, ready to be drawn, as often as there are panels."""

    areas: gpd.GeoDataFrame
    paths: pd.Series  # matplotlib paths, indexed as the areas; those of small islands are wider
    islands: pd.Series  # whether an area belongs to Kepulauan Seribu
    kota: Mapping[str, shapely.Geometry]  # the kota of the areas, merged, by code
    source: str


def ground(areas: gpd.GeoDataFrame) -> Ground:
    """Check the areas and prepare their shapes.

    Raises
    ------
    ValueError
        The areas do not name their boundaries, lack columns or shapes, are not in metres, or are
        not indexed uniquely.
    """
    if not areas.attrs.get("source"):
        raise ValueError("the areas do not name their boundaries: set attrs['source']")
    if lacking := {"kota_code", "kota"} - set(areas.columns):
        raise ValueError(f"the areas lack {', '.join(sorted(lacking))}: join them from regions")
    if areas.crs is None or not areas.crs.is_projected:
        raise ValueError("the areas must be in metres: use to_crs(regions.CRS)")
    if not areas.index.is_unique or areas.empty:
        raise ValueError("a map needs areas, each with an index of its own: use reset_index")
    if (areas.geometry.isna() | areas.geometry.is_empty).any():
        raise ValueError("areas without a shape cannot be drawn: leave them out, and say so")
    given = areas.geometry.to_numpy()
    islands = areas["kota_code"] == KEPULAUAN_SERIBU
    shown = given if islands.all() else given[~islands.to_numpy()]
    left, _, right, _ = shapely.total_bounds(shown)
    dot = (right - left) / _DOTS
    exact = bool(shapely.coverage_is_valid(given))
    simplify = shapely.coverage_simplify if exact else shapely.simplify
    shapes = simplify(given, _DOT_SHARE * dot)
    merge = shapely.coverage_union_all if exact else partial(_closed_union, gap=dot / 2)
    drawn = shapes.copy()
    if islands.any() and not islands.all():
        _, bottom, _, top = shapely.total_bounds(given[islands.to_numpy()])
        drawn[islands] = shapely.buffer(drawn[islands], _WIDER * (top - bottom), quad_segs=4)
    kota_code = areas["kota_code"].to_numpy()
    return Ground(
        areas=areas,
        paths=pd.Series([_path(shape) for shape in drawn], index=areas.index),
        islands=islands,
        kota={code: merge(shapes[kota_code == code]) for code in dict.fromkeys(kota_code)},
        source=areas.attrs["source"],
    )


def _closed_union(shapes: np.ndarray, gap: float) -> shapely.Geometry:
    """The union of shapes whose borders do not match exactly, without the gaps between them."""
    wider = shapely.buffer(shapes, gap, join_style="mitre")
    return shapely.buffer(shapely.union_all(wider), -gap, join_style="mitre")


def _path(shape: shapely.Geometry) -> Path:
    """A polygon with its holes and parts; holes run the other way round, and so stay empty."""
    parts = shapely.get_parts(shapely.orient_polygons(shape))
    rings = shapely.get_rings(parts)
    return Path.make_compound_path(
        *(Path(shapely.get_coordinates(ring), closed=True) for ring in rings)
    )


@dataclass(frozen=True)
class Place:
    """Where in the figure a map goes, and how large its letters are (points)."""

    main: Rect
    islands: Rect
    locator: Rect | None = None
    letters: float = 7
    furniture: bool = True  # scale bars, north and the name of the inset


WHOLE = Place(
    main=(0.27, 0.0, 0.73, 0.95),
    islands=(0.005, 0.47, 0.165, 0.41),
    locator=(0.185, 0.47, 0.085, 0.41),
)


def draw(
    figure: Figure,
    place: Place,
    on: Ground,
    classes: pd.Series,
    *,
    marked: pd.Series | None = None,
    labels: Mapping[str, str] | None = None,
    within: gpd.GeoDataFrame | None = None,
) -> list[Axes]:
    """Draw the areas, each as its `Class`, with all that belongs to the frame.

    Parameters
    ----------
    classes
        A `Class` for each area; those of one hatch are one collection.
    marked
        A `Class` for each area that is hatched on top of its colour, missing for the others.
    labels
        What is written beside the name of a kota, by its code.
    within
        The wider area for the locator; without, all areas of the ground.

    Returns
    -------
    list
        The axes with areas, labelled `MAINLAND` and `ISLANDS`; without mainland or islands only
        one of them, in the place of the mainland.
    """
    labels = labels or {}
    both = on.islands.any() and not on.islands.all()
    parts = [(MAINLAND, on.islands.index[~on.islands], place.main)] if both else []
    if both:
        parts.append((ISLANDS, on.islands.index[on.islands], place.islands))
    else:
        parts.append((MAINLAND, on.areas.index, place.main))
    drawn = []
    for label, own, rect in parts:
        axes = figure.add_axes(rect, label=label)
        axes.set_anchor("N" if label == MAINLAND else "NW")
        _extent(axes, on.areas.loc[own].total_bounds, label)
        _fill(axes, on.paths[own], classes[own], islands=label == ISLANDS)
        if marked is not None and marked[own].notna().any():
            look = MARKED if label == MAINLAND else _HOLLOW
            _collect(axes, on.paths[own][marked[own].notna()], **look)
        if label == ISLANDS and place.furniture:
            _name_class(axes, classes[own], place.letters)
            if marked is not None:
                _name_class(axes, marked[own], place.letters)
        for spine in axes.spines.values():
            spine.set_visible(label == ISLANDS)
            spine.set(color="0.6", linewidth=0.6)
        if label == MAINLAND:
            kota = {code: on.kota[code] for code in on.areas.loc[own, "kota_code"].unique()}
            _collect(axes, [_path(shape) for shape in kota.values()], **_KOTA_BORDER)
            _name_kota(axes, kota, on.areas, labels, place.letters)
        if place.furniture:
            _scale_bar(axes, place.letters)
        drawn.append(axes)
    if place.furniture:
        _north(drawn[0], place.letters)
    if both and place.furniture:
        name = " ".join(["Kepulauan Seribu", *filter(None, [labels.get(KEPULAUAN_SERIBU)])])
        drawn[1].set_title(
            f"{name}\n(own scale)", fontsize=place.letters, fontweight="normal", pad=3
        )
    if place.locator and (both or within is not None):
        _locator(figure, place.locator, drawn, on, within, place.letters)
    return drawn


def title(figure: Figure, words: str) -> None:
    figure.text(0.0, 0.96, words, fontsize=10, fontweight="semibold")


def source(figure: Figure, on: Ground) -> None:
    """The citation of the boundaries, under the map."""
    figure.text(
        1.0, -0.012, f"Boundaries: {on.source}",
        fontsize=6.8, color="0.35", ha="right", va="bottom",
    )  # fmt: skip


def shown(axes: Axes, areas: gpd.GeoDataFrame) -> pd.Index:
    """The index of the areas that a map of `draw` shows."""
    islands = areas["kota_code"] == KEPULAUAN_SERIBU
    if islands.all() or not islands.any():
        return areas.index
    return areas.index[islands == (axes.get_label() == ISLANDS)]


def _extent(axes: Axes, bounds: np.ndarray, label: str) -> None:
    """Limits around the bounds, with room for the scale bar below; equal scales; no ticks."""
    left, bottom, right, top = bounds
    wide, high = right - left, top - bottom
    margin = 0.03 if label == MAINLAND else 0.06
    room = 0.05 if label == MAINLAND else 0.13
    axes.set_xlim(left - margin * wide, right + margin * wide)
    axes.set_ylim(bottom - (margin + room) * high, top + margin * high)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)


def _fill(axes: Axes, paths: pd.Series, classes: pd.Series, *, islands: bool) -> None:
    hatches = classes.map(lambda one: one.hatch or "")
    plain = hatches == ""
    if plain.any():
        colors = [one.color for one in classes[plain]]
        rim = _COAST if islands else _BORDER
        _collect(axes, paths[plain], facecolor=colors, **rim)
    for hatch in hatches[~plain].unique():
        own = hatches == hatch
        colors = [one.color for one in classes[own]]
        if islands:  # too small for a hatch: hollow, and named where all of them are
            _collect(axes, paths[own], **_HOLLOW | {"facecolor": colors})
        else:
            _collect(axes, paths[own], facecolor=colors, hatch=hatch, **_HATCHED)


def _name_class(axes: Axes, drawn: pd.Series, letters: float) -> None:
    """Name the hatched class that all islands share: a hatch is too coarse for them."""
    if len(same := set(drawn)) == 1 and (label := _hatched_label(same.pop())):
        axes.apply_aspect()
        wide = axes.get_position().width * axes.figure.get_figwidth() * 72
        across = int(wide / letters / 0.5)  # a letter is about half as wide as high
        text = axes.text(
            0.96, 0.97, textwrap.fill(label, across, break_long_words=False),
            transform=axes.transAxes, ha="right", va="top", fontsize=letters - 0.5, color="0.3",
        )  # fmt: skip
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _hatched_label(drawn: Class | None) -> str:
    return drawn.label if isinstance(drawn, Class) and drawn.hatch else ""


def _collect(axes: Axes, paths: Sequence[Path], **look: object) -> None:
    axes.add_collection(PathCollection(list(paths), **look), autolim=False)


def _name_kota(
    axes: Axes,
    kota: Mapping[str, shapely.Geometry],
    areas: gpd.GeoDataFrame,
    labels: Mapping[str, str],
    letters: float,
) -> None:
    for code, border in kota.items():
        name = areas.loc[areas["kota_code"] == code, "kota"].iloc[0].removeprefix("Jakarta ")
        at = border.representative_point()
        words = "\n".join([name.upper(), *filter(None, [labels.get(code)])])
        text = axes.annotate(
            words, (at.x, at.y), ha="center", va="center", fontsize=letters, color="0.1"
        )
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _scale_bar(axes: Axes, letters: float) -> None:
    """A bar in the lower right corner, as long as it says; the axes are in metres."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    kilometres = max(bar for bar in _BARS_KM if bar * 1000 <= 0.22 * (right - left))
    start = right - kilometres * 1000 - 0.06 * (right - left)
    y = bottom + 0.025 * (top - bottom)
    tick = 0.012 * (top - bottom)
    x = [start, start, start + kilometres * 1000, start + kilometres * 1000]
    axes.plot(
        x, [y + tick, y, y, y + tick],
        color="0.2", linewidth=0.9, solid_capstyle="butt", label="scale bar",
        scalex=False, scaley=False,
    )  # fmt: skip
    axes.text(
        start + kilometres * 1000, y + tick, f"{kilometres:g} km",
        ha="right", va="bottom", fontsize=letters,
    )  # fmt: skip


def _north(axes: Axes, letters: float) -> None:
    """An arrow to the north of the grid, which in Jakarta is true north within 0.3 degrees."""
    axes.annotate(
        "N", xy=(0.03, 0.14), xytext=(0.03, 0.04), xycoords="axes fraction",
        ha="center", va="center", fontsize=letters, color="0.2",
        arrowprops={"arrowstyle": "-|>", "color": "0.2", "linewidth": 0.8, "shrinkA": 0},
    )  # fmt: skip


def _locator(
    figure: Figure,
    rect: Rect,
    drawn: Sequence[Axes],
    on: Ground,
    within: gpd.GeoDataFrame | None,
    letters: float,
) -> None:
    """The whole at one scale, with a box around what each map of the figure shows."""
    axes = figure.add_axes(rect, label=LOCATOR)
    axes.set_anchor("NW")
    shapes = within.geometry.to_numpy() if within is not None else np.array([*on.kota.values()])
    _extent(axes, shapely.total_bounds(shapes), LOCATOR)
    _collect(
        axes, [_path(shape) for shape in shapes],
        facecolor="0.65", edgecolor="0.65", linewidth=0.5,
    )  # fmt: skip
    for shown in drawn:
        (left, right), (bottom, top) = shown.get_xlim(), shown.get_ylim()
        axes.add_patch(
            Rectangle(
                (left, bottom), right - left, top - bottom,
                facecolor="none", edgecolor="0.2", linewidth=0.6,
            )
        )  # fmt: skip
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.8", linewidth=0.6)
    axes.set_title("Where", fontsize=letters, fontweight="normal", pad=3)
