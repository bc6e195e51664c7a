"""Legends: a heading, in smaller letters the scheme of the classes, and what is drawn how."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from analysis.maps import palettes
from analysis.maps.classes import Class
from analysis.maps.frame import MARKED

CIRCLE = {"facecolor": "#1f5a94", "alpha": 0.65, "edgecolor": "white", "linewidth": 0.4}
_SCHEME = {"color": "0.35", "va": "top"}


def listed(
    figure: Figure,
    at: tuple[float, float],
    heading: str,
    scheme: str,
    entries: Sequence[Class],
    *,
    letters: float = 7.5,
    columns: int = 1,
) -> None:
    """Classes below one another, below a point of the figure (shares of its size)."""
    x, y = at
    line = (letters + 0.5) * 1.25 / 72 / figure.get_figheight()
    if heading:
        figure.text(x, y, heading, fontsize=letters + 0.5, va="top")
        y -= line * (heading.count("\n") + 1)
    if scheme:
        figure.text(x, y, scheme, fontsize=letters - 1, **_SCHEME)
        y -= 0.85 * line
    figure.legend(
        handles=[_handle(entry) for entry in entries],
        loc="upper left",
        bbox_to_anchor=(x, y),
        borderpad=0.15,
        borderaxespad=0,
        fontsize=letters,
        handlelength=1.6,
        handleheight=1.1,
        labelspacing=0.35,
        columnspacing=1.2,
        ncols=columns,
    )


def square(
    figure: Figure,
    headings: tuple[str, str],
    limits: Sequence[Sequence[str]],
    schemes: Sequence[str],
    entries: Sequence[Class],
) -> None:
    """The nine classes of a bivariate map: the first variable to the right, the second upwards."""
    same = len(set(schemes)) == 1
    scheme = schemes[0] if same else f"→ {schemes[0]}, ↑ {schemes[1]}"
    figure.text(0.085, 0.43, scheme, fontsize=6.5, **_SCHEME)
    # Wider than high: limits such as 16,000 stand below one another's neighbours.
    axes = figure.add_axes((0.085, 0.2, 0.2, 0.205), label="legend")
    for up, row in enumerate(palettes.BIVARIATE):
        for across, color in enumerate(row):
            axes.add_patch(Rectangle((across, up), 1, 1, facecolor=color, edgecolor="white"))
    axes.set(xlim=(0, 3), ylim=(0, 3))
    axes.set_xticks(range(4), limits[0], fontsize=6.5)
    axes.set_yticks(range(4), limits[1], fontsize=6.5)
    words = [f"{textwrap.fill(heading, 20)} →" for heading in headings]
    axes.set_xlabel(words[0], fontsize=7, labelpad=2)
    axes.set_ylabel(words[1], fontsize=7, labelpad=2)
    axes.tick_params(length=2, pad=1.5)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if entries:
        # Between the square and the source, which begins below the figure.
        listed(figure, (0.0, 0.115), "", "", entries, letters=6.5)


def circles(
    figure: Figure,
    at: tuple[float, float],
    heading: str,
    largest: float,
    decimals: int,
    largest_points: float,
    entries: Sequence[Class],
) -> None:
    """Three circles of round values not above the largest, with these values."""
    x, y = at
    figure.text(x, y, heading, fontsize=8, va="top")
    figure.text(x, y - 0.04, "surface proportional to the value", fontsize=6.5, **_SCHEME)
    wide, high = figure.get_figwidth() * 72, figure.get_figheight() * 72
    axes = figure.add_axes((x, y - 0.21, 0.25, 0.13), label="legend")
    axes.set(xlim=(0, 0.25 * wide), ylim=(0, 0.13 * high))  # points
    axes.set_axis_off()
    left = 2.0
    for value in round_values(largest):
        size = largest_points * np.sqrt(value / largest)
        words = f"{value:,.{decimals}f}"
        cell = max(size, 3.5 * len(words))
        axes.scatter(left + cell / 2, 14 + size / 2, s=size**2, label="symbols", **CIRCLE)
        axes.text(left + cell / 2, 10, words, fontsize=6.5, ha="center", va="top")
        left += cell + 10
    if entries:
        listed(figure, (x, y - 0.23), "", "", entries)


def round_values(largest: float) -> list[float]:
    """Three values 1, 2 or 5 times a power of ten, each about a quarter of the next."""
    power = 10.0 ** np.floor(np.log10(largest))
    # Half a power stands in where the logarithm was rounded up.
    top = max(step * power for step in (0.5, 1, 2, 5) if step * power <= largest)
    return [float(f"{share * top:.0e}") for share in (0.05, 0.25, 1)]


def marked(label: str, color: str) -> Class:
    """How the legend shows areas that are hatched on top of their colour: on one of the colours."""
    return Class(label, color, MARKED["hatch"])


def _handle(entry: Class) -> Patch:
    return Patch(
        facecolor=entry.color,
        edgecolor="0.45" if entry.hatch else "0.6",
        linewidth=0.3,
        hatch=entry.hatch,
        label=entry.label,
    )
