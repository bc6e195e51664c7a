import matplotlib as mpl
import numpy as np
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
    assert any("Kepulauan Seribu (own scale)" in text for text in texts)
    assert "not published" not in texts  # nothing is missing here


def test_scale_bars_are_as_long_as_they_say(areas):
    for axes, metres in zip(drawn(areas).axes, (5_000, 10_000), strict=True):
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
    classes = {"none listed": maps.Class("none"), "not published": maps.NOT_PUBLISHED}
    figure = drawn(table, classes=classes)
    assert {"none", "not published"} <= set(words(figure))
    sizes = sorted(len(c.get_paths()) for c in figure.axes[0].collections)
    assert 56 in sizes and 65 in sizes


def test_values_get_the_colour_of_their_class(areas):
    figure = drawn(areas)
    handles = figure.legends[0].get_patches()
    assert len(handles) == 3
    fill = figure.axes[0].collections[0]
    used = {mpl.colors.to_hex(color) for color in fill.get_facecolor()}
    assert used == {mpl.colors.to_hex(handle.get_facecolor()) for handle in handles}


def test_a_value_beyond_the_last_class_is_refused(areas):
    with pytest.raises(ValueError, match="above the last break 50"):
        drawn(areas, breaks=[25, 50])


def test_a_map_without_boundary_citation_is_refused(areas):
    bare = areas.copy()
    bare.attrs = {}
    with pytest.raises(ValueError, match="do not name their boundaries"):
        drawn(bare)
