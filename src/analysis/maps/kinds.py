"""The kinds of map: what each draws into the frame."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.maps import frame, legends, palettes
from analysis.maps.classes import NOT_PUBLISHED, Class, Classes, declared

_WIDTH = 6.3  # inches: the text width of the report
_HEIGHT = 3.6
_LEGEND = (0.0, 0.43)  # top left of the legend of a map alone
_BASE = "#e9e9e9"  # the areas under symbols


@dataclass(frozen=True)
class Panel:
    """One choropleth of several in a figure; the fields are the arguments of `choropleth`."""

    column: str
    title: str
    breaks: Sequence[float] | Classes
    legend: str
    decimals: int = 0
    cmap: str = "YlGnBu"
    classes: Mapping[str, Class] | None = None
    hatched: tuple[str, str] | None = None


def choropleth(
    areas: gpd.GeoDataFrame,
    column: str,
    *,
    title: str,
    breaks: Sequence[float] | Classes,
    legend: str,
    decimals: int = 0,
    cmap: str = "YlGnBu",
    classes: Mapping[str, Class] | None = None,
    kota_labels: Mapping[str, str] | None = None,
    hatched: tuple[str, str] | None = None,
    within: gpd.GeoDataFrame | None = None,
) -> Figure:
    """Areas in the colours of the classes of their values.

    Parameters
    ----------
    areas
        Areas with ``kota_code``, ``kota``, ``geometry`` (metres) and ``column``; with ``classes``
        also ``status``. Their ``attrs["source"]``, the citation of the boundaries, is drawn
        under the map.
    column
        The values; missing ones are drawn as their class.
    title
        Title of the map.
    breaks
        `Classes` (see `classify`), or upper ends of declared classes, ascending; a class includes
        its upper end. The last must reach the largest value.
    legend
        Heading of the legend, with the unit; the scheme of the classes follows it.
    decimals
        Decimal places of the class limits in the legend.
    cmap
        A sequential colour map of matplotlib.
    classes
        How areas without value are drawn, by their ``status``; without, all of them are
        `NOT_PUBLISHED`.
    kota_labels
        What is written beside the name of a kota, by its code.
    hatched
        A column of booleans and its words in the legend: areas with a value that is drawn hatched,
        for instance one that rests on no data of the area.
    within
        For a part of the city: the wider area, on which a locator shows where the part lies.

    Raises
    ------
    ValueError
        A value lies above the last break, a status has no class, or the areas do not name their
        boundaries.
    """
    panel = Panel(column, title, breaks, legend, decimals, cmap, classes, hatched)
    drawing = _in_classes(areas, panel, areas[column])
    figure, _ = _alone(areas, drawing, title, kota_labels, within)
    legends.listed(figure, _LEGEND, legend, drawing.scheme, drawing.entries)
    return figure


def bivariate(
    areas: gpd.GeoDataFrame,
    columns: tuple[str, str],
    *,
    title: str,
    breaks: tuple[Sequence[float] | Classes, Sequence[float] | Classes],
    legend: tuple[str, str],
    decimals: tuple[int, int] = (0, 0),
    classes: Mapping[str, Class] | None = None,
    kota_labels: Mapping[str, str] | None = None,
    within: gpd.GeoDataFrame | None = None,
) -> Figure:
    """Areas in the colours of three classes of one variable by three of another.

    Parameters
    ----------
    columns, legend, decimals
        The first variable (columns of the legend, orange) and the second (rows, blue).
    breaks
        Three classes of each, as for `choropleth`.
    areas, title, classes, kota_labels, within
        As for `choropleth`; areas that lack either value are drawn as their class.

    Raises
    ------
    ValueError
        There are not three classes of each; otherwise as `choropleth`.
    """
    by = [declared(given) for given in breaks]
    if [len(given) for given in by] != [3, 3]:
        raise ValueError(f"a bivariate map has 3 by 3 classes, not {len(by[0])} by {len(by[1])}")
    across, up = (given.number(areas[name], name) for given, name in zip(by, columns, strict=True))
    valued = pd.Series(
        [
            None if pd.isna(x) or pd.isna(y) else Class("", palettes.BIVARIATE[y][x])
            for x, y in zip(across, up, strict=True)
        ],
        index=areas.index,
        dtype="object",
    )
    drawing = _drawing(areas, valued, [], classes)
    figure, _ = _alone(areas, drawing, title, kota_labels, within)
    limits = [
        given.limits(areas[name], places)
        for given, name, places in zip(by, columns, decimals, strict=True)
    ]
    legends.square(figure, legend, limits, [given.scheme for given in by], drawing.entries)
    return figure


def categories(
    areas: gpd.GeoDataFrame,
    column: str,
    *,
    title: str,
    legend: str,
    categories: Mapping[str, Class],
    classes: Mapping[str, Class] | None = None,
    kota_labels: Mapping[str, str] | None = None,
    hatched: tuple[str, str] | None = None,
    within: gpd.GeoDataFrame | None = None,
) -> Figure:
    """Areas in the colours of categories, for instance clusters; the legend counts the areas.

    Parameters
    ----------
    column
        The category of each area (text), a key of ``categories``.
    categories
        How each is drawn, in the order of the legend: `LISA`, `HOT_SPOTS`, `SIGNIFICANCE` (see
        `by_significance`), or your own.
    areas, title, legend, classes, kota_labels, hatched, within
        As for `choropleth`; areas without category are drawn as their class.

    Raises
    ------
    ValueError
        A category is not among ``categories``; otherwise as `choropleth`.
    """
    given = areas[column].astype("object")
    if unknown := sorted(set(given.dropna()) - set(categories)):
        raise ValueError(f"{column} has {unknown}, not among the categories {[*categories]}")
    shown = [
        Class(f"{one.label} ({(given == name).sum()})", one.color, one.hatch)
        for name, one in categories.items()
    ]
    drawing = _drawing(areas, given.map(categories), shown, classes, hatched=hatched)
    figure, _ = _alone(areas, drawing, title, kota_labels, within)
    legends.listed(figure, _LEGEND, legend, "number of areas in brackets", drawing.entries)
    return figure


def symbols(
    areas: gpd.GeoDataFrame,
    column: str,
    *,
    title: str,
    legend: str,
    decimals: int = 0,
    largest_points: float = 15,
    classes: Mapping[str, Class] | None = None,
    kota_labels: Mapping[str, str] | None = None,
    within: gpd.GeoDataFrame | None = None,
) -> Figure:
    """A circle in every area whose surface is proportional to the value: for counts.

    Parameters
    ----------
    column
        The values, from 0; a zero has no circle.
    largest_points
        Diameter of the largest circle, in points, in both the map and the inset.
    areas, title, legend, decimals, classes, kota_labels, within
        As for `choropleth`.

    Raises
    ------
    ValueError
        A value is negative, or none is positive; otherwise as `choropleth`.
    """
    values = areas[column].astype("float64")
    if values.min() < 0 or not values.max() > 0:
        raise ValueError(f"{column}: circles need values from 0, at least one of them above it")
    base = pd.Series([Class("", _BASE)] * len(areas), index=areas.index, dtype="object")
    drawing = _drawing(areas, base.where(values.notna(), None), [], classes)
    figure, axes = _alone(areas, drawing, title, kota_labels, within)
    point = areas.geometry.representative_point()
    surface = largest_points**2 * values[values > 0] / values.max()
    # Large ones first: the small stay visible on them.
    order = surface.sort_values(ascending=False, kind="stable").index
    for one in axes:
        own = order[order.isin(frame.shown(one, areas))]
        one.scatter(point[own].x, point[own].y, s=surface[own], label="symbols", **legends.CIRCLE)
    legends.circles(
        figure, _LEGEND, legend, values.max(), decimals, largest_points, drawing.entries
    )
    return figure


def pair(
    areas: gpd.GeoDataFrame,
    left: Panel,
    right: Panel,
    *,
    title: str,
    kota_labels: Mapping[str, str] | None = None,
) -> Figure:
    """Two choropleths of the same areas side by side, each with its own classes and legend.

    For an estimate beside its uncertainty, for instance. ``areas``, ``title``, ``kota_labels``
    and errors as for `choropleth`.
    """
    on = frame.ground(areas)
    figure = plt.figure(figsize=(_WIDTH, 4.0), layout="none")
    for start, panel in ((0.0, left), (0.51, right)):
        place = frame.Place(
            main=(start + 0.095, 0.31, 0.395, 0.575),
            islands=(start + 0.005, 0.56, 0.1, 0.25),
            letters=6,
        )
        drawing = _in_classes(areas, panel, areas[panel.column])
        _draw(figure, place, on, drawing, labels=kota_labels)
        figure.text(start, 0.905, panel.title, fontsize=8.5)
        legends.listed(
            figure, (start, 0.3), panel.legend, drawing.scheme, drawing.entries,
            letters=7, columns=2 if len(drawing.entries) > 5 else 1,
        )  # fmt: skip
    return _finished(figure, on, title)


def small_multiples(
    areas: gpd.GeoDataFrame,
    columns: Mapping[str, str],
    *,
    title: str,
    breaks: Sequence[float] | Classes,
    legend: str,
    decimals: int = 0,
    cmap: str = "YlGnBu",
    classes: Mapping[str, Class] | None = None,
) -> Figure:
    """One choropleth per column, for instance per year, all with the same classes and legend.

    Parameters
    ----------
    columns
        The title of each map by the column of its values, in the order of reading.
    breaks
        As for `choropleth`, for all columns: make them of all values together (``classify`` of
        ``pd.concat([areas[c] for c in columns])``).
    areas, title, legend, decimals, cmap, classes
        As for `choropleth`.

    Raises
    ------
    ValueError
        There are no columns; otherwise as `choropleth`.
    """
    if not columns:
        raise ValueError("small multiples need columns: one map for each")
    on = frame.ground(areas)
    across = min(len(columns), 2 if len(columns) in (2, 4) else 3)
    down = math.ceil(len(columns) / across)
    panel = Panel("", "", declared(breaks), legend, decimals, cmap, classes)
    every = pd.concat([areas[column] for column in columns])
    drawings = [_in_classes(areas, replace(panel, column=column), every) for column in columns]
    entries = list(dict.fromkeys(entry for one in drawings for entry in one.entries))
    each, top, foot = 5.7 / across, 0.3, 0.75  # inches: height of a map, of title, of legend
    figure = plt.figure(figsize=(_WIDTH, top + down * each + foot), layout="none")
    height, width = figure.get_figheight(), 1 / across
    for i, (drawing, words) in enumerate(zip(drawings, columns.values(), strict=True)):
        left, bottom = (i % across) * width, (foot + (down - 1 - i // across) * each) / height
        tall = each / height
        place = frame.Place(
            main=(left + 0.21 * width, bottom, 0.78 * width, 0.9 * tall),
            islands=(left + 0.01 * width, bottom + 0.05 * tall, 0.22 * width, 0.38 * tall),
            letters=6,
            furniture=i == 0,
        )
        _draw(figure, place, on, drawing)
        figure.text(left, bottom + 0.91 * tall, words, fontsize=8.5, va="bottom")
    legends.listed(
        figure, (0.0, (foot - 0.05) / height), legend, panel.breaks.scheme, entries,
        letters=7, columns=4,
    )  # fmt: skip
    return _finished(figure, on, title)


@dataclass(frozen=True)
class _Drawing:
    """What a kind gives to the frame and to the legend."""

    classes: pd.Series  # the `Class` of each area
    entries: Sequence[Class]  # of the legend
    scheme: str = ""
    marked: pd.Series | None = None  # the `Class` of areas hatched on their colour, else missing


def _drawing(
    areas: gpd.GeoDataFrame,
    valued: pd.Series,
    entries: Sequence[Class],
    classes: Mapping[str, Class] | None,
    *,
    scheme: str = "",
    hatched: tuple[str, str] | None = None,
) -> _Drawing:
    """The drawing of areas of which some have no value: those are missing in ``valued``."""
    known = valued.notna()
    entries, marked = [*entries], None
    if hatched and (own := areas[hatched[0]].astype("bool") & known).any():
        mark = legends.marked(hatched[1], entries[len(entries) // 2].color)
        entries.append(mark)
        marked = pd.Series([mark] * len(areas), index=areas.index, dtype="object").where(own)
    missing = _without_value(areas, known, classes)
    found = set(missing.dropna())
    ordered = dict.fromkeys((classes or {"": NOT_PUBLISHED}).values())
    entries += [one for one in ordered if one in found]
    return _Drawing(valued.where(known, missing), entries, scheme, marked)


def _in_classes(areas: gpd.GeoDataFrame, panel: Panel, values: pd.Series) -> _Drawing:
    """The drawing of a choropleth; the first class begins at the least of ``values``."""
    by = declared(panel.breaks)
    number = by.number(areas[panel.column], panel.column)
    shown = [
        Class(label, color)
        for label, color in zip(
            by.labels(values, panel.decimals),
            palettes.sequential(panel.cmap, len(by)),
            strict=True,
        )
    ]
    valued = number.astype("object").map(dict(enumerate(shown)))
    return _drawing(areas, valued, shown, panel.classes, scheme=by.scheme, hatched=panel.hatched)


def _alone(areas, drawing, title, labels, within) -> tuple[Figure, list[Axes]]:
    """A figure of one map, still without legend, and its axes."""
    on = frame.ground(areas)
    figure = plt.figure(figsize=(_WIDTH, _HEIGHT), layout="none")
    axes = _draw(figure, frame.WHOLE, on, drawing, labels=labels, within=within)
    return _finished(figure, on, title), axes


def _draw(figure, place, on, drawing, *, labels=None, within=None) -> list[Axes]:
    return frame.draw(
        figure, place, on, drawing.classes, marked=drawing.marked, labels=labels, within=within
    )


def _finished(figure: Figure, on: frame.Ground, title: str) -> Figure:
    frame.title(figure, title)
    frame.source(figure, on)
    return figure


def _without_value(
    areas: gpd.GeoDataFrame, known: pd.Series, classes: Mapping[str, Class] | None
) -> pd.Series:
    """The `Class` of each area that has no value; missing for the others."""
    if classes is None:
        drawn = pd.Series([NOT_PUBLISHED] * len(areas), index=areas.index, dtype="object")
        return drawn.mask(known)
    status = areas["status"][~known]
    if unknown := sorted(set(status.astype("str")) - set(classes)):
        raise ValueError(f"areas without value have the status {unknown}, not in {[*classes]}")
    return status.map(classes).astype("object").reindex(areas.index)
