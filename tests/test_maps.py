import io

import geopandas as gpd
import mapclassify
import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from analysis import display, maps, regions, slum_patterns
from analysis.maps import frame, legends, palettes, vision


@pytest.fixture(scope="module")
def areas():
    table = regions.kelurahan()
    table["value"] = np.linspace(1, 99, len(table))
    table["other"] = np.linspace(99, 1, len(table)) % 33
    return table


def settled(figure):
    figure.draw_without_rendering()
    plt.close(figure)
    return figure


def drawn(areas, **options):
    options = {"title": "T", "breaks": [25, 50, 100], "legend": "L (%)"} | options
    return settled(maps.choropleth(areas, "value", **options))


def words(figure):
    texts = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return [text for text in texts if text]


def axes_of(figure, label):
    (axes,) = [axes for axes in figure.axes if axes.get_label() == label]
    return axes


def colors_drawn(axes):
    """Face colours of the areas without hatch, in their order."""
    return [mpl.colors.to_hex(color) for color in axes.collections[0].get_facecolor()]


def entries(figure):
    """The legend: colour and hatch by label."""
    patches = [patch for legend in figure.legends for patch in legend.get_patches()]
    return {p.get_label(): (mpl.colors.to_hex(p.get_facecolor()), p.get_hatch()) for p in patches}


def without(areas, kota_code, column="value"):
    holes = areas.copy()
    holes.loc[holes["kota_code"] == kota_code, column] = np.nan
    return holes


# ---- the frame ------------------------------------------------------------------------------

KINDS = {
    "choropleth": lambda a: maps.choropleth(a, "value", title="T", breaks=[100], legend="L"),
    "bivariate": lambda a: maps.bivariate(
        a, ("value", "other"), title="T", breaks=([30, 60, 100], [10, 20, 33]), legend=("L", "M")
    ),
    "categories": lambda a: maps.categories(
        a.assign(value="hot spot"), "value", title="T", legend="L", categories=maps.HOT_SPOTS
    ),
    "symbols": lambda a: maps.symbols(a, "value", title="T", legend="L"),
    "pair": lambda a: maps.pair(
        a, *[maps.Panel(name, name, [100], "L") for name in ("value", "other")], title="T"
    ),
    "small_multiples": lambda a: maps.small_multiples(
        a, {"value": "2020", "other": "2021"}, title="T", breaks=[100], legend="L"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_whole_frame(areas, kind):
    figure = settled(KINDS[kind](areas))
    texts = words(figure)
    assert {"L", "L →"} & set(texts)  # the legend
    for part in ("T", "Boundaries: GADM 4.1, repaired", "N", "5 km", "10 km", "PUSAT"):
        assert part in texts, part
    assert "Kepulauan Seribu\n(own scale)" in texts
    assert "not published" not in texts  # nothing is missing here


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_what_is_missing(areas, kind):
    if kind == "categories":
        missing = areas.assign(value=areas["kota"].where(areas["kota_code"] != "3174"))
        categories = {name: maps.Class(name, "#dddddd") for name in missing["kota"].unique()}
        figure = settled(
            maps.categories(missing, "value", title="T", legend="L", categories=categories)
        )
    else:
        figure = settled(KINDS[kind](without(areas, "3174")))
    assert "not published" in words(figure)
    axes = next(axes for axes in figure.axes if axes.get_label() == frame.MAINLAND)
    (hatched,) = [c for c in axes.collections if c.get_hatch()]
    assert len(hatched.get_paths()) == 56


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_without_boundary_citation_is_refused(areas, kind):
    bare = areas.copy()
    bare.attrs = {}
    with pytest.raises(ValueError, match="do not name their boundaries"):
        KINDS[kind](bare)


def test_scale_bars_are_as_long_as_they_say(areas):
    with_bar = [axes for axes in drawn(areas).axes if axes.lines]
    for axes, metres in zip(with_bar, (5_000, 10_000), strict=True):
        x = axes.lines[-1].get_xdata()
        assert x[-1] - x[0] == pytest.approx(metres)
        assert axes.get_xlim()[0] < x[0] and x[-1] < axes.get_xlim()[1]


def test_the_islands_have_a_scale_of_their_own(areas):
    figure = drawn(areas)
    metres_per_inch = {}
    for axes in figure.axes:
        wide = axes.get_window_extent().width / figure.dpi
        metres_per_inch[axes.get_label()] = np.diff(axes.get_xlim())[0] / wide
        high = axes.get_window_extent().height / figure.dpi
        assert np.diff(axes.get_ylim())[0] / high == pytest.approx(
            metres_per_inch[axes.get_label()]
        )
    assert metres_per_inch["islands"] > 4 * metres_per_inch["mainland"]
    assert metres_per_inch["locator"] > metres_per_inch["islands"]


def test_all_areas_lie_within_their_map(areas):
    figure = drawn(areas)
    islands = areas["kota_code"] == "3101"
    for label, part in (("mainland", areas[~islands]), ("islands", areas[islands])):
        axes = axes_of(figure, label)
        left, bottom, right, top = part.total_bounds
        assert axes.get_xlim()[0] < left and right < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < bottom and top < axes.get_ylim()[1]
        assert sum(len(c.get_paths()) for c in axes.collections) >= len(part)


def test_the_locator_marks_what_the_maps_show(areas):
    figure = drawn(areas)
    boxes = [patch.get_bbox() for patch in axes_of(figure, "locator").patches]
    for box, label in zip(boxes, ("mainland", "islands"), strict=True):
        assert (box.x0, box.x1) == pytest.approx(axes_of(figure, label).get_xlim())
        assert (box.y0, box.y1) == pytest.approx(axes_of(figure, label).get_ylim())


def test_a_part_of_the_city_is_shown_within_it(areas):
    north = areas[areas["kota_code"] == "3175"]
    assert [axes.get_label() for axes in drawn(north).axes] == ["mainland"]
    figure = drawn(north, within=areas)
    (box,) = [patch.get_bbox() for patch in axes_of(figure, "locator").patches]
    left, bottom, right, top = north.total_bounds
    assert box.x0 < left and box.x1 > right and box.y0 < bottom and box.y1 > top
    assert axes_of(figure, "locator").get_xlim()[0] < areas.total_bounds[0]


def test_the_boundaries_named_are_those_drawn(areas):
    other = areas.copy()
    other.attrs = {"source": "mine.gpkg"}
    assert "Boundaries: mine.gpkg" in words(drawn(other))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.to_crs(4326), "must be in metres"),
        (lambda a: a.drop(columns="kota"), "lack kota"),
        (lambda a: pd.concat([a, a]), "index of its own"),
        (lambda a: a.head(0), "needs areas"),
        (lambda a: a.set_geometry([None, *a.geometry[1:]], crs=a.crs), "without a shape"),
    ],
)
def test_areas_that_cannot_be_drawn_are_refused(areas, spoil, message):
    spoiled = spoil(areas)
    spoiled.attrs = areas.attrs
    with pytest.raises(ValueError, match=message):
        frame.ground(spoiled)


@pytest.mark.parametrize("exact", [True, False])
def test_borders_are_simplified_to_the_print(areas, exact):
    fine = areas.copy()
    shapes = shapely.segmentize(areas.geometry.to_numpy(), 50)
    fine["geometry"] = shapely.transform(shapes, lambda points: points.round(2))
    if not exact:  # as digitised twice: neighbours overlap and leave gaps
        moved = np.random.default_rng(1).uniform(-5, 5, (len(areas), 2))
        fine["geometry"] = [
            shapely.transform(shape, lambda points, by=by: points + by)
            for shape, by in zip(fine.geometry, moved, strict=True)
        ]
    assert shapely.coverage_is_valid(fine.geometry.to_numpy()) == exact
    fine.attrs = areas.attrs
    on = frame.ground(fine)
    points = sum(len(path.vertices) for path in on.paths)
    assert points < shapely.get_num_coordinates(fine.geometry.to_numpy()).sum() / 5
    kota = [shape for code, shape in on.kota.items() if code != "3101"]
    assert len(shapely.get_rings(shapely.get_parts(kota))) < 12  # no slivers within a kota
    mainland = areas[areas["kota_code"] != "3101"]
    assert sum(shape.area for code, shape in on.kota.items() if code != "3101") == pytest.approx(
        mainland.area.sum(), rel=1e-3
    )


def test_holes_of_areas_stay_empty():
    ring = shapely.Point(700_000, 9_310_000).buffer(9_000, 64)
    hole = shapely.Point(700_000, 9_310_000).buffer(5_000, 64)
    table = gpd.GeoDataFrame(
        {"kota_code": ["3171"], "kota": ["Jakarta Selatan"], "value": [1.0]},
        geometry=[shapely.Polygon(ring.exterior, [hole.exterior])],  # both run the same way round
        crs=regions.CRS,
    )
    table.attrs["source"] = "mine"
    figure = maps.choropleth(table, "value", title="T", breaks=[1], legend="L", cmap="Reds_r")
    axes, buffer = axes_of(figure, "mainland"), io.BytesIO()
    for text in axes.texts:
        text.set_visible(False)
    figure.savefig(buffer, format="png", dpi=50)
    at = axes.transData.transform([(700_000, 9_310_000), (707_000, 9_310_000)]) * 50 / figure.dpi
    plt.close(figure)
    buffer.seek(0)
    picture = matplotlib.image.imread(buffer)
    (inside, on_ring) = [picture[len(picture) - int(y), int(x), :3] for x, y in at]
    assert inside == pytest.approx([1, 1, 1]) and on_ring[1] < 0.5


# ---- choropleth -----------------------------------------------------------------------------


def test_classes_are_named_by_their_limits(areas):
    assert list(entries(drawn(areas))) == ["1 – 25", "over 25 – 50", "over 50 – 100"]
    assert "over 25.00 – 50.00" in entries(drawn(areas, decimals=2))


def test_every_area_gets_the_colour_of_its_class(areas):
    table = areas.copy()
    table.loc[10, "value"] = 25.0  # on a break: the class includes its upper end
    figure = drawn(table)
    by_class = [color for color, _ in entries(figure).values()]
    mainland = table[table["kota_code"] != "3101"]
    wanted = [by_class[0 if v <= 25 else 1 if v <= 50 else 2] for v in mainland["value"]]
    assert colors_drawn(figure.axes[0]) == wanted
    islands = table[table["kota_code"] == "3101"]
    wanted = [by_class[0 if v <= 25 else 1 if v <= 50 else 2] for v in islands["value"]]
    assert colors_drawn(axes_of(figure, "islands")) == wanted


def test_classes_without_value_are_told_apart(areas):
    table = areas.assign(status="listed")
    table.loc[table["kota_code"] == "3174", ["value", "status"]] = np.nan, "not published"
    table.loc[table["kota_code"] == "3172", ["value", "status"]] = np.nan, "none listed"
    table.loc[table["kota_code"] == "3173", ["value", "status"]] = np.nan, "few"
    table.attrs = areas.attrs
    classes = {
        "none listed": maps.Class("none", "#dedede"),
        "not published": maps.NOT_PUBLISHED,
        "few": maps.SUPPRESSED,
        "other": maps.Class("does not occur"),
    }
    figure = drawn(table, classes=classes)
    assert list(entries(figure))[-3:] == ["none", "not published", "suppressed: too few cases"]
    assert colors_drawn(figure.axes[0]).count("#dedede") == 65
    hatched = {c.get_hatch(): len(c.get_paths()) for c in figure.axes[0].collections}
    assert hatched[maps.NOT_PUBLISHED.hatch] == 56 and hatched[maps.SUPPRESSED.hatch] == 44


def test_a_status_that_is_not_declared_is_refused(areas):
    table = without(areas.assign(status="lost"), "3174")
    with pytest.raises(ValueError, match=r"status \['lost'\], not in \['found'\]"):
        drawn(table, classes={"found": maps.Class("found")})


def test_islands_without_value_are_hollow_and_named(areas):
    inset = axes_of(drawn(without(areas, "3101")), "islands")
    assert {mpl.colors.to_hex(c) for c in inset.collections[0].get_facecolor()} == {"#ffffff"}
    assert "not published" in [" ".join(t.get_text().split()) for t in inset.texts]


def test_marked_areas_keep_their_colour(areas):
    table = areas.assign(weak=areas["kota_code"].isin(["3171", "3101"]))
    figure = drawn(table, hatched=("weak", "model alone"))
    mainland = axes_of(figure, "mainland")
    assert len(colors_drawn(mainland)) == 261
    (marked,) = [c for c in mainland.collections if c.get_hatch()]
    assert len(marked.get_paths()) == 65 and marked.get_hatch() != maps.NOT_PUBLISHED.hatch
    color, hatch = entries(figure)["model alone"]
    assert hatch == marked.get_hatch() and color in colors_drawn(mainland)
    assert "model alone" in [t.get_text() for t in axes_of(figure, "islands").texts]


def test_a_mark_needs_a_value(areas):
    table = without(areas.assign(weak=areas["kota_code"] == "3174"), "3174")
    assert "model alone" not in entries(drawn(table, hatched=("weak", "model alone")))


def test_words_beside_a_kota(areas):
    texts = words(drawn(areas, kota_labels={"3173": "4.5", "3101": "13.1"}))
    assert "PUSAT\n4.5" in texts and "Kepulauan Seribu 13.1\n(own scale)" in texts


def test_a_value_beyond_the_last_class_is_refused(areas):
    with pytest.raises(ValueError, match="value reaches 99.0, above the last break 50"):
        drawn(areas, breaks=[25, 50])


# ---- classes --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", maps.SCHEMES)
def test_a_scheme_is_named_in_the_legend(areas, scheme):
    found = maps.classify(areas["value"], scheme, 4)
    assert found.breaks[-1] >= areas["value"].max()
    assert maps.SCHEMES[scheme] in words(drawn(areas, breaks=found))


def test_bare_numbers_are_declared_limits(areas):
    assert maps.DECLARED in words(drawn(areas))


@pytest.mark.parametrize("scheme", ["Quantiles", "EqualInterval", "FisherJenks"])
def test_schemes_are_those_of_mapclassify(scheme):
    values = mapclassify.load_example()  # employment density of the counties of California
    pinned = {
        "Quantiles": [1.464, 5.798, 13.278, 54.616, 4111.45],
        "EqualInterval": [822.394, 1644.658, 2466.922, 3289.186, 4111.45],
        "FisherJenks": [75.29, 192.05, 370.5, 722.85, 4111.45],
    }
    assert maps.classify(values, scheme, 5).breaks == pytest.approx(pinned[scheme])


@given(
    values=st.lists(st.floats(0.001, 1e6), min_size=8, max_size=60, unique=True),
    scheme=st.sampled_from(["Quantiles", "EqualInterval", "RoundBreaks", "PrettyBreaks"]),
    decimals=st.sampled_from([None, 0, 2]),
)
def test_every_value_has_a_class(values, scheme, decimals):
    values = pd.Series(values)
    found = maps.classify(values, scheme, 4, decimals=decimals)
    number = found.number(values)
    upper = np.array(found.breaks)[number]
    assert (values <= upper).all()
    lower = np.array([-np.inf, *found.breaks[:-1]])[number]
    assert (values > lower).all()
    exact = maps.classify(values, scheme, 4)
    assert found.breaks[0] >= exact.breaks[0]  # rounded up, never down
    if decimals is not None:  # the legend prints the limits as they are
        assert np.round(found.breaks[:-1], decimals) == pytest.approx(found.breaks[:-1])


@pytest.mark.parametrize("scale", [0.01, 1, 1000])
def test_round_breaks_reach_every_value(scale):
    values = pd.Series(np.random.default_rng(1).lognormal(1, 1, 200) * scale)
    breaks = maps.round_breaks(values)
    assert breaks.scheme == "quantiles, rounded up" and breaks[-1] >= values.max()
    assert all(float(f"{b:.1e}") == pytest.approx(b) for b in breaks)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, 2.0, 3.0], {"scheme": "Jenks"}, "unknown scheme 'Jenks': it is one of Quantiles"),
        ([1.0, 2.0, None], {"k": 3}, "2 different values cannot make 3 classes"),
        ([], {}, "0 different values"),
    ],
)
def test_what_cannot_be_classified_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        maps.classify(pd.Series(values, dtype="float64"), **options)


@pytest.mark.parametrize("breaks", [(), (1, 1), (2, 1)])
def test_breaks_must_ascend(breaks):
    with pytest.raises(ValueError, match="breaks must ascend"):
        maps.Classes(breaks)


# ---- the other kinds ------------------------------------------------------------------------


def test_a_bivariate_map_crosses_the_classes(areas):
    breaks = ([30, 60, 100], maps.classify(areas["other"], "Quantiles", 3))
    figure = settled(
        maps.bivariate(
            areas, ("value", "other"), title="T", breaks=breaks, legend=("First", "Second")
        )
    )
    mainland = areas[areas["kota_code"] != "3101"]
    across = np.searchsorted(breaks[0], mainland["value"])
    up = np.searchsorted(breaks[1].breaks, mainland["other"])
    assert colors_drawn(figure.axes[0]) == [
        maps.BIVARIATE[y][x] for x, y in zip(across, up, strict=True)
    ]
    square = axes_of(figure, "legend")
    at = {(p.get_x(), p.get_y()): mpl.colors.to_hex(p.get_facecolor()) for p in square.patches}
    assert at == {(x, y): maps.BIVARIATE[y][x] for x in range(3) for y in range(3)}
    assert [t.get_text() for t in square.get_xticklabels()] == ["1", "30", "60", "100"]
    assert "→ declared limits, ↑ quantiles" in words(figure)
    assert {"First →", "Second →"} <= set(words(figure))


def test_a_bivariate_map_needs_both_values(areas):
    holes = without(without(areas, "3174"), "3172", "other")
    figure = settled(KINDS["bivariate"](holes))
    (hatched,) = [c for c in figure.axes[0].collections if c.get_hatch()]
    assert len(hatched.get_paths()) == 56 + 65
    with pytest.raises(ValueError, match="3 by 3 classes, not 2 by 3"):
        maps.bivariate(
            areas, ("value", "other"), title="T", breaks=([50, 100], [1, 2, 33]), legend=("", "")
        )


def test_categories_are_counted_and_grey_where_not_significant(areas):
    names = np.resize(["High-High", "not significant", "Low-Low"], len(areas))
    figure = settled(
        maps.categories(
            areas.assign(name=names), "name", title="T", legend="L", categories=maps.LISA
        )
    )
    mainland = names[(areas["kota_code"] != "3101").to_numpy()]
    assert colors_drawn(figure.axes[0]) == [maps.LISA[name].color for name in mainland]
    assert list(entries(figure)) == [
        "High-High (89)", "Low-Low (89)", "High-Low (0)", "Low-High (0)", "not significant (89)"
    ]  # fmt: skip
    assert entries(figure)["not significant (89)"] == ("#ececec", None)
    with pytest.raises(ValueError, match=r"name has \['Low-Low'\], not among"):
        maps.categories(
            areas.assign(name="Low-Low"), "name", title="", legend="", categories=maps.HOT_SPOTS
        )


def test_p_values_become_categories():
    p = pd.Series([0.001, 0.0011, 0.01, 0.05, 0.051, 1, np.nan])
    wanted = ["p ≤ 0.001", "p ≤ 0.01", "p ≤ 0.01", "p ≤ 0.05", "not significant", "not significant"]
    assert maps.by_significance(p)[:6].to_list() == wanted
    assert maps.by_significance(p).isna().to_list() == [False] * 6 + [True]
    with pytest.raises(ValueError, match="between 0 and 1"):
        maps.by_significance(pd.Series([5.0]))


def test_the_surface_of_symbols_is_proportional(areas):
    table = areas.assign(value=np.arange(len(areas)) % 50)
    figure = settled(maps.symbols(table, "value", title="T", legend="L", largest_points=20))
    for label in ("mainland", "islands"):
        part = table[(table["kota_code"] == "3101") == (label == "islands")]
        (circles,) = [c for c in axes_of(figure, label).collections if c.get_label() == "symbols"]
        wanted = sorted(400 * part.loc[part["value"] > 0, "value"] / 49, reverse=True)
        assert circles.get_sizes() == pytest.approx(wanted)
    shown = [c for c in axes_of(figure, "legend").collections if c.get_label() == "symbols"]
    values = [float(t.get_text()) for t in axes_of(figure, "legend").texts]
    assert [c.get_sizes()[0] / 400 * 49 for c in shown] == pytest.approx(values)
    for bad in (-1, 0):
        with pytest.raises(ValueError, match="circles need values"):
            maps.symbols(areas.assign(value=bad), "value", title="T", legend="L")


def test_symbols_lie_in_their_areas(areas):
    figure = settled(maps.symbols(areas, "value", title="T", legend="L"))
    (circles,) = [c for c in axes_of(figure, "mainland").collections if c.get_label() == "symbols"]
    order = areas[areas["kota_code"] != "3101"].sort_values("value", ascending=False)
    points = gpd.points_from_xy(*circles.get_offsets().T, crs=areas.crs)
    assert order.geometry.contains(gpd.GeoSeries(points, index=order.index)).all()


@given(st.floats(1e-6, 1e9))
def test_the_circles_of_the_legend_have_round_values(largest):
    values = legends.round_values(largest)
    assert values == sorted(values) and largest / 3 < values[-1] <= largest * (1 + 1e-9)
    assert all(float(f"{value:.1g}") == pytest.approx(value) for value in values)


def test_a_pair_has_two_sets_of_classes(areas):
    left = maps.Panel("value", "Estimate", maps.classify(areas["value"], k=3), "P0 (%)")
    right = maps.Panel("other", "Error", [20, 40], "RMSE (points)", cmap="OrRd")
    figure = settled(maps.pair(areas, left, right, title="T"))
    first, second = [axes for axes in figure.axes if axes.get_label() == "mainland"]
    assert first.get_position().x1 <= second.get_position().x0
    assert set(colors_drawn(first)) == set(palettes.sequential("YlGnBu", 3))
    assert set(colors_drawn(second)) == set(palettes.sequential("OrRd", 2))
    assert {"Estimate", "Error", "P0 (%)", "RMSE (points)", "quantiles", maps.DECLARED} <= set(
        words(figure)
    )


def test_small_multiples_share_their_classes(areas):
    years = {f"y{year}": str(year) for year in range(2018, 2023)}
    table = areas.assign(**{name: areas["value"] / (i + 1) for i, name in enumerate(years)})
    figure = settled(
        maps.small_multiples(table, years, title="T", breaks=[20, 50, 100], legend="L")
    )
    panels = [axes for axes in figure.axes if axes.get_label() == "mainland"]
    assert len(panels) == 5
    mainland = table[table["kota_code"] != "3101"]
    palette = palettes.sequential("YlGnBu", 3)
    for axes, name in zip(panels, years, strict=True):
        number = np.searchsorted([20, 50, 100], mainland[name])
        assert colors_drawn(axes) == [palette[i] for i in number]
    assert len(entries(figure)) == 3 and set(years.values()) <= set(words(figure))
    boxes = [axes.get_position() for axes in panels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    with pytest.raises(ValueError, match="need columns"):
        maps.small_multiples(areas, {}, title="T", breaks=[100], legend="L")


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_small_files_as_wide_as_the_text(areas, kind):
    picture = display.png(KINDS[kind](without(areas, "3174")))
    plt.close("all")
    assert len(picture) < 400_000
    wide = int.from_bytes(picture[16:20], "big") / display.DPI
    assert wide == pytest.approx(display.WIDTH_INCHES, abs=0.05)


# ---- colours --------------------------------------------------------------------------------

CMAPS = ("YlGnBu", "YlOrRd", "OrRd", "PuBuGn", "Blues")
FLAT = {
    "bivariate": [color for row in maps.BIVARIATE for color in row],
    **{
        name: [one.color for one in group.values()]
        for name, group in (
            ("LISA", maps.LISA),
            ("hot spots", maps.HOT_SPOTS),
            ("significance", maps.SIGNIFICANCE),
            ("grades of hot spots", slum_patterns.GRADES),
            ("listed RW", slum_patterns.LISTED_RW),
        )
    },
}


def lightness(colors):
    return vision.lab(np.array([mpl.colors.to_rgb(color) for color in colors]))[:, 0]


@pytest.mark.parametrize("cmap", CMAPS)
@pytest.mark.parametrize("count", [3, 5, 6])
def test_sequential_palettes_darken_and_are_told_apart(cmap, count):
    colors = palettes.sequential(cmap, count)
    assert (np.diff(lightness(colors)) < -7).all()
    for seen in (np.asarray, vision.deuteranopia, vision.grey):
        assert vision.nearest(colors, seen) > 7


@pytest.mark.parametrize("name", FLAT)
def test_palettes_of_classes_are_told_apart(name):
    assert vision.nearest(FLAT[name]) > 20
    assert vision.nearest(FLAT[name], vision.deuteranopia) > 15
    assert vision.nearest(FLAT[name], vision.grey) > 7


def test_the_bivariate_palette_darkens_both_ways():
    light = lightness(FLAT["bivariate"]).reshape(3, 3)
    assert (np.diff(light, axis=0) < 0).all() and (np.diff(light, axis=1) < 0).all()
    assert np.diff(np.sort(light.ravel())) == pytest.approx(8, abs=0.4)


def test_colours_known_to_be_confused_are_seen_as_such():
    red_and_green = ["#d7301f", "#6b8e23"]
    assert vision.nearest(red_and_green, vision.deuteranopia) < vision.nearest(red_and_green) / 3
    greys = np.linspace(0, 1, 5)[:, np.newaxis].repeat(3, axis=1)
    assert vision.deuteranopia(greys) == pytest.approx(greys, abs=1e-5)
    assert vision.grey(greys) == pytest.approx(greys, abs=1e-5)


def test_lab_is_that_of_the_published_values():
    # sRGB primaries and white in CIE Lab (D65), as tabulated by B. Lindbloom.
    rgb = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    wanted = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    assert vision.lab(rgb) == pytest.approx(np.array(wanted), abs=0.06)
