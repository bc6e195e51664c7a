import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis import maps, regions


@pytest.fixture(scope="module")
def areas():
    table = regions.kelurahan()
    table["value"] = np.linspace(1, 99, len(table))
    return table


def drawn(areas, **options):
    options = {"title": "T", "breaks": [25, 50, 100], "legend": "L (%)"} | options
    figure = maps.choropleth(areas, "value", **options)
    figure.draw_without_rendering()
    plt.close(figure)
    return figure


def words(figure):
    texts = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return [text for text in texts if text]


def test_a_map_names_boundaries_scale_and_classes(areas):
    texts = words(drawn(areas))
    for part in ("Boundaries: GADM 4.1, repaired", "5 km", "10 km", "L (%)", "PUSAT"):
        assert part in texts
    assert "over 25 – 50" in texts
    assert any("Kepulauan Seribu\n(own scale)" in text for text in texts)
    assert "not published" not in texts  # nothing is missing here


def test_scale_bars_are_as_long_as_they_say(areas):
    maps_drawn = [axes for axes in drawn(areas).axes if axes.lines]
    for axes, metres in zip(maps_drawn, (5_000, 10_000), strict=True):
        x = axes.lines[-1].get_xdata()
        assert x[-1] - x[0] == pytest.approx(metres)


def test_missing_values_are_hatched_and_in_the_legend(areas):
    holes = areas.copy()
    holes.loc[holes["kota_code"] == "3174", "value"] = np.nan
    figure = drawn(holes)
    hatched = [c for c in figure.axes[0].collections if c.get_hatch()]
    assert len(hatched) == 1
    assert len(hatched[0].get_paths()) == 56
    assert "not published" in words(figure)


def test_classes_without_value_are_told_apart(areas):
    table = areas.assign(status="listed")
    table.loc[table["kota_code"] == "3174", ["value", "status"]] = np.nan, "not published"
    table.loc[table["kota_code"] == "3172", ["value", "status"]] = np.nan, "none listed"
    table.attrs = areas.attrs
    classes = {"none listed": maps.Class("none", "#dedede"), "not published": maps.NOT_PUBLISHED}
    figure = drawn(table, classes=classes)
    assert {"none", "not published"} <= set(words(figure))
    plain, hatched = figure.axes[0].collections[:2]
    grey = [mpl.colors.to_hex(color) == "#dedede" for color in plain.get_facecolor()]
    assert sum(grey) == 65
    assert hatched.get_hatch() and len(hatched.get_paths()) == 56


def test_every_area_gets_the_colour_of_its_class(areas):
    table = areas.copy()
    table.loc[10, "value"] = 25.0  # on a break: the class includes its upper end
    figure = drawn(table)
    by_class = [mpl.colors.to_hex(h.get_facecolor()) for h in figure.legends[0].get_patches()]
    mainland = table[table["kota_code"] != "3101"]
    wanted = [by_class[0 if v <= 25 else 1 if v <= 50 else 2] for v in mainland["value"]]
    fill = figure.axes[0].collections[0]
    assert [mpl.colors.to_hex(color) for color in fill.get_facecolor()] == wanted
    lightness = [sum(mpl.colors.to_rgb(color)) for color in by_class]
    assert lightness == sorted(lightness, reverse=True)  # darker is more


def test_the_boundaries_named_are_those_drawn(areas):
    other = areas.copy()
    other.attrs = {"source": "mine.gpkg"}
    assert "Boundaries: mine.gpkg" in words(drawn(other))


@pytest.mark.parametrize("scale", [0.01, 1, 1000])
def test_round_breaks_reach_every_value(scale):
    values = pd.Series(np.random.default_rng(1).lognormal(1, 1, 200) * scale)
    breaks = maps.round_breaks(values)
    assert breaks.scheme == "quantiles, rounded up" and breaks[-1] >= values.max()
    assert all(float(f"{b:.1e}") == pytest.approx(b) for b in breaks)


def test_a_value_beyond_the_last_class_is_refused(areas):
    with pytest.raises(ValueError, match="above the last break 50"):
        drawn(areas, breaks=[25, 50])


def test_a_map_without_boundary_citation_is_refused(areas):
    bare = areas.copy()
    bare.attrs = {}
    with pytest.raises(ValueError, match="do not name their boundaries"):
        drawn(bare)
