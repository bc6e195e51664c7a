"""One way to draw a map of the kelurahan or kota of DKI Jakarta."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import pandas as pd
import shapely
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

KEPULAUAN_SERIBU = "3101"
_BORDER = {"edgecolor": "white", "linewidth": 0.25}
_ISLAND_BORDER_POINTS = 1.6  # the islands are so small that they are drawn with a thick rim
_KOTA_BORDER = {"edgecolor": "0.15", "linewidth": 0.7, "facecolor": "none"}


@dataclass(frozen=True)
class Class:
    """A class of areas that have no value to colour: how it is drawn and named in the legend."""

    label: str
    color: str = "white"
    hatch: str | None = None


NOT_PUBLISHED = Class("not published", "white", "//////")


def choropleth(
    areas: gpd.GeoDataFrame,
    column: str,
    *,
    title: str,
    breaks: Sequence[float],
    legend: str,
    decimals: int = 0,
    cmap: str = "YlGnBu",
    classes: Mapping[str, Class] | None = None,
    kota_labels: Mapping[str, str] | None = None,
    hatched: tuple[str, str] | None = None,
) -> Figure:
    """A choropleth of the mainland with Kepulauan Seribu as an inset at its own scale.

    Of one kota alone, a map of that kota.

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
        Upper ends of the classes of values, ascending; a class includes its upper end. The last
        must reach the largest value.
    legend
        Heading of the legend, with the unit.
    decimals
        Decimal places of the class limits in the legend.
    classes
        How areas without value are drawn, by their ``status``; without, all of them are
        `NOT_PUBLISHED`.
    kota_labels
        What is written beside the name of a kota, by its code.
    hatched
        A column of booleans and its words in the legend: areas with a value that is drawn hatched,
        for instance one that rests on no data of the area.

    Raises
    ------
    ValueError
        A value lies above the last break, or the areas do not name their boundaries.
    """
    values = areas[column].astype("float64")
    if values.max() > breaks[-1]:
        raise ValueError(f"{column} reaches {values.max()}, above the last break {breaks[-1]}")
    colors = mpl.colormaps[cmap](np.linspace(0.12, 0.92, len(breaks)))
    number = np.searchsorted(breaks, values.fillna(breaks[-1]))
    style = pd.Series([mpl.colors.to_hex(colors[i]) for i in number], index=areas.index)
    lows = [values.min() if values.min() < breaks[0] else 0, *breaks[:-1]]
    handles = [
        Patch(
            facecolor=color, edgecolor="0.6", linewidth=0.3, label=_limits(low, high, decimals, i)
        )
        for i, (low, high, color) in enumerate(zip(lows, breaks, colors, strict=True))
    ]
    status = areas["status"] if classes else pd.Series("", index=areas.index)
    classes = classes or {"": NOT_PUBLISHED}

    def islands(part: gpd.GeoDataFrame) -> bool:
        return (part["kota_code"] == KEPULAUAN_SERIBU).all()

    def fill(axes: Axes, part: gpd.GeoDataFrame) -> None:
        valued = part[values[part.index].notna()]
        if len(valued):
            own = style[valued.index]
            rim = (
                {"edgecolor": own, "linewidth": _ISLAND_BORDER_POINTS} if islands(part) else _BORDER
            )
            valued.plot(ax=axes, color=own, **rim)
            marked = valued[valued[hatched[0]]] if hatched else valued.head(0)
            if len(marked) and not islands(part):
                marked.plot(ax=axes, facecolor="none", edgecolor="0.35", hatch="/////", linewidth=0)
        rest = part.drop(index=valued.index)
        for name, drawn in classes.items():
            own = rest[status[rest.index] == name]
            if len(own):
                rim = {"hatch": drawn.hatch, "edgecolor": "0.45"} if drawn.hatch else _BORDER
                line = {"linewidth": 0.25, **rim}
                if islands(part):
                    line |= {"edgecolor": "0.6", "linewidth": _ISLAND_BORDER_POINTS}
                own.plot(ax=axes, facecolor=drawn.color, **line)

    if hatched and areas[hatched[0]].any():
        handles.append(
            Patch(facecolor="white", edgecolor="0.35", hatch="/////", linewidth=0, label=hatched[1])
        )
    for name, drawn in classes.items():
        if (status[values.isna()] == name).any():
            handles.append(
                Patch(
                    facecolor=drawn.color,
                    edgecolor="0.6",
                    linewidth=0.3,
                    hatch=drawn.hatch,
                    label=drawn.label,
                )
            )
    return _map(areas, fill, title=title, handles=handles, legend=legend, labels=kota_labels or {})


def round_breaks(values: pd.Series, count: int = 5) -> list[float]:
    """Upper ends of classes: quantiles of the values, rounded up to two digits.

    For maps whose values change with a parameter; the last class reaches the largest value.
    """
    quantiles = values.dropna().quantile(np.linspace(0, 1, count + 1)[1:])
    size = 10.0 ** (np.floor(np.log10(quantiles)) - 1)
    return list(dict.fromkeys((np.ceil(quantiles / size - 1e-9) * size).round(6)))


def _limits(low: float, high: float, decimals: int, number: int) -> str:
    start = f"{low:,.{decimals}f}"
    if low == high:
        return start
    return f"{'over ' if number else ''}{start} – {high:,.{decimals}f}"


def _map(
    areas: gpd.GeoDataFrame,
    fill: Callable[[Axes, gpd.GeoDataFrame], None],
    *,
    title: str,
    handles: Sequence[Patch],
    legend: str,
    labels: Mapping[str, str],
) -> Figure:
    if not areas.attrs.get("source"):
        raise ValueError("the areas do not name their boundaries: set attrs['source']")
    islands = areas["kota_code"] == KEPULAUAN_SERIBU
    figure = plt.figure(figsize=(6.3, 3.6), layout="none")
    main = figure.add_axes((0.27, 0.0, 0.73, 0.95))
    parts = [(main, areas[~islands], 5)]
    if islands.all():
        parts = [(main, areas, 10)]
    elif islands.any():
        parts += [(figure.add_axes((0.0, 0.45, 0.24, 0.43)), areas[islands], 10)]
    for axes, part, scale_km in parts:
        fill(axes, part)
        if axes is main:
            _kota_borders(part).plot(ax=axes, **_KOTA_BORDER)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set(xlabel="", ylabel="")
        axes.grid(False)
        _scale_bar(axes, scale_km, room=0.06 if axes is main else 0.15)
        for spine in axes.spines.values():
            spine.set_visible(axes is not main)
            spine.set(color="0.6", linewidth=0.6)
    _name_kota(main, areas[~islands], labels)
    if len(parts) > 1:
        name = " ".join(["Kepulauan Seribu", *filter(None, [labels.get(KEPULAUAN_SERIBU)])])
        figure.axes[1].set_title(f"{name} (own scale)", fontsize=7.5, fontweight="normal", pad=3)
    figure.legend(
        handles=handles,
        title=legend,
        loc="upper left",
        bbox_to_anchor=(-0.01, 0.44),
        alignment="left",
        title_fontsize=8,
        fontsize=7.5,
        handlelength=1.6,
        handleheight=1.1,
        labelspacing=0.35,
    )
    figure.text(0.0, 0.96, title, fontsize=10, fontweight="semibold")
    figure.text(
        1.0,
        -0.012,
        f"Boundaries: {areas.attrs['source']}",
        fontsize=6.8,
        color="0.35",
        ha="right",
        va="bottom",
    )
    return figure


def _kota_borders(areas: gpd.GeoDataFrame) -> gpd.GeoSeries:
    merged = {
        code: shapely.coverage_union_all(part.geometry.values)
        for code, part in areas.groupby("kota_code")
    }
    return gpd.GeoSeries(merged, crs=areas.crs)


def _name_kota(axes: Axes, areas: gpd.GeoDataFrame, labels: Mapping[str, str]) -> None:
    for code, border in _kota_borders(areas).items():
        name = areas.loc[areas["kota_code"] == code, "kota"].iloc[0].removeprefix("Jakarta ")
        at = border.representative_point()
        words = "\n".join([name.upper(), *filter(None, [labels.get(code)])])
        text = axes.annotate(words, (at.x, at.y), ha="center", va="center", fontsize=7, color="0.1")
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _scale_bar(axes: Axes, kilometres: int, room: float) -> None:
    """A bar of so many kilometres in the lower right corner; the axes are in metres.

    ``room`` is the share of the height that is added for it below all that is drawn.
    """
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    bottom -= room * (top - bottom)
    axes.set_ylim(bottom, top)
    start = right - kilometres * 1000 - 0.06 * (right - left)
    y = bottom + 0.025 * (top - bottom)
    tick = 0.012 * (top - bottom)
    x = [start, start, start + kilometres * 1000, start + kilometres * 1000]
    axes.plot(x, [y + tick, y, y, y + tick], color="0.2", linewidth=0.9, solid_capstyle="butt")
    axes.text(
        start + kilometres * 500, y + tick, f"{kilometres} km", ha="center", va="bottom", fontsize=7
    )
