"""RW as units: polygons that a user gives, and the join to the list of slum RW."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from analysis import regions, slums, sources
from analysis.slums import units

CEMPAKA, GALUR = "3173050003", "3173040003"  # two kelurahan of Pusat, taken by name below


@pytest.fixture(scope="module")
def kelurahan() -> gpd.GeoDataFrame:
    return regions.kelurahan()


def quarter(kelurahan: gpd.GeoDataFrame, name: str, number: int) -> shapely.Polygon:
    """A quarter of the largest square inside a kelurahan."""
    shape = kelurahan.set_index("kelurahan").geometry[name]
    middle = shapely.maximum_inscribed_circle(shape)
    x, y = middle.coords[0]
    half = middle.length / np.sqrt(2)
    dx, dy = divmod(number, 2)
    return shapely.box(x - half + dx * half, y - half + dy * half, x + dx * half, y + dy * half)


@pytest.fixture
def rows(kelurahan) -> gpd.GeoDataFrame:
    shapes = [quarter(kelurahan, name, n) for name in ("Galur", "Kartini") for n in range(4)]
    return gpd.GeoDataFrame(
        {
            "OBJECTID": range(8),
            "KOTA": "JAKARTA PUSAT",
            "KEL": ["GALUR"] * 4 + ["Kartini"] * 4,
            "NOMOR_RW": ["RW 01", "RW 002", "3", "RW.04", "001", "RW 02", "RW 03", "rw 4"],
        },
        geometry=shapes,
        crs=regions.CRS,
    )


def read(rows, kelurahan, tmp_path, columns=None, name="rw.gpkg"):
    rows.to_file(tmp_path / name)
    return slums.read_boundaries(tmp_path / name, kelurahan, columns)


@pytest.mark.parametrize("name", ["rw.gpkg", "rw.geojson", "rw.shp"])
def test_columns_are_found_and_numbers_read(rows, kelurahan, tmp_path, name):
    rows = rows.to_crs("EPSG:4326") if name.endswith("json") else rows
    found = read(rows, kelurahan, tmp_path, name=name)
    assert found.columns == {"kelurahan": "KEL", "kota": "KOTA", "rw": "NOMOR_RW"}
    assert found.problems.empty and found.row_count == 8
    assert found.polygons["rw"].tolist() == ["001", "002", "003", "004"] * 2
    assert found.polygons["inside_share"].min() > 0.999
    assert "8 polygons of 8 RW in 2 kelurahan. No problem" in found.words()


def test_codes_do_instead_of_names(rows, kelurahan, tmp_path):
    codes = regions.match(rows["KEL"], "Jakarta Pusat")
    coded = rows.drop(columns=["KEL", "KOTA"]).assign(kode=codes)
    found = read(coded, kelurahan, tmp_path)
    assert found.columns == {"kelurahan": "kode", "rw": "NOMOR_RW"}
    assert set(found.polygons["kelurahan_code"]) == set(codes)


def problem(found, kind) -> pd.Series:
    own = found.problems[found.problems["problem"] == kind]
    assert len(own) == 1, found.problems
    return own.iloc[0]


def test_parts_are_joined_and_duplicates_named(rows, kelurahan, tmp_path):
    parts = rows.copy()
    parts.loc[1, "NOMOR_RW"] = "RW 01"  # beside the first
    found = read(parts, kelurahan, tmp_path)
    own = problem(found, units.PARTS)
    assert (own["rw"], own["row_count"]) == ("001", 2)
    first = found.polygons.query("kelurahan_code == @own.kelurahan_code and rw == '001'").iloc[0]
    assert first["part_count"] == 2
    assert first["area_ha"] == pytest.approx(rows.area.iloc[:2].sum() / 1e4)

    twice = rows.copy()
    twice.loc[1, ["NOMOR_RW", "geometry"]] = ["RW 01", rows.geometry[0]]
    own = problem(read(twice, kelurahan, tmp_path), units.DUPLICATE)
    assert own["detail"] == f"{rows.area[0] / 1e4:.1f} ha in both"

    apart = rows.copy()
    apart.loc[1, "NOMOR_RW"] = "RW 01"
    apart.loc[1, "geometry"] = shapely.affinity.translate(rows.geometry[1], 3_000, 0)
    found = read(apart, kelurahan, tmp_path)
    assert "km apart" in problem(found, units.APART)["detail"]


def test_rw_outside_their_kelurahan_are_told_where_they_lie(rows, kelurahan, tmp_path):
    swapped = rows.copy()
    swapped.loc[0, "geometry"] = shapely.affinity.scale(rows.geometry[4], 0.5, 0.5)
    own = problem(read(swapped, kelurahan, tmp_path), units.OUTSIDE)
    assert (own["kelurahan"], own["rw"]) == ("Galur", "001")
    assert own["detail"] == "0 % inside; most of it lies in Kartini"
    sea = rows.copy()
    sea.loc[0, "geometry"] = shapely.affinity.translate(rows.geometry[0], 0, 60_000)
    assert problem(read(sea, kelurahan, tmp_path), units.OUTSIDE)["detail"].endswith("no kelurahan")


def test_what_cannot_be_placed_is_named_and_the_rest_read(rows, kelurahan, tmp_path):
    odd = rows.copy()
    odd.loc[0, "KEL"] = "GALURR"
    odd.loc[1, "NOMOR_RW"] = "-"
    odd.loc[2, "KEL"] = "LAGOA"  # in another kota
    x, y = rows.geometry[4].centroid.coords[0]
    odd.loc[4, "geometry"] = shapely.Polygon([(x, y), (x + 9, y + 9), (x + 9, y), (x, y + 9)])
    found = read(odd, kelurahan, tmp_path)
    lost = found.problems[found.problems["problem"] == units.NO_KELURAHAN].set_index("kelurahan")
    assert lost.loc["GALURR", "detail"] == "perhaps Galur"
    assert lost.loc["LAGOA", "detail"] == "there is one of this name in Jakarta Utara"
    assert problem(found, units.NO_NUMBER)["detail"] == "written '-'"
    assert problem(found, units.REPAIRED)["kelurahan"] == "Kartini"
    assert len(found.polygons) == 5 and found.polygons.is_valid.all()
    assert "2 kelurahan that do not match; 1 without an RW number" in found.words()


def test_the_list_joins_or_says_why_not(rows, kelurahan, tmp_path):
    code = dict(zip(rows["KEL"], regions.match(rows["KEL"], "Jakarta Pusat"), strict=True))
    moved = rows.copy()
    moved.loc[4, "geometry"] = rows.geometry[0]
    found = read(moved, kelurahan, tmp_path)
    listed = pd.DataFrame(
        {
            "kelurahan_code": [code["GALUR"], code["GALUR"], code["Kartini"], "3175030001"],
            "rw": ["002", "009", "001", "001"],
            "area_ha": [1.0, 2.0, 3.0, 4.0],
        }
    )
    joined = found.join(listed)
    assert joined["joined"].tolist() == [True, False, True, False]
    assert joined["why"].tolist() == [
        "",
        "no polygon of this number (there are 001-004)",
        "outside their kelurahan (0 % inside; most of it lies in Galur)",
        "no polygon of this kelurahan",
    ]
    assert joined["listed_area_ha"].tolist() == [1, 2, 3, 4]


def test_files_that_cannot_be_used_say_why(rows, kelurahan, tmp_path):
    with pytest.raises(slums.SlumError, match=r"RW_BOUNDARIES: .*none\.shp does not exist"):
        slums.read_boundaries(tmp_path / "none.shp", kelurahan)
    (tmp_path / "text.gpkg").write_text("no map")
    with pytest.raises(slums.SlumError, match=r"text\.gpkg cannot be read"):
        slums.read_boundaries(tmp_path / "text.gpkg", kelurahan)
    with pytest.raises(
        slums.SlumError,
        match="cannot tell which column holds rw: the one of numbers needs rw in its name",
    ):
        read(rows.rename(columns={"NOMOR_RW": "NO"}), kelurahan, tmp_path)
    with pytest.raises(slums.SlumError, match="cannot tell which column holds kota"):
        read(rows.drop(columns="KOTA"), kelurahan, tmp_path)
    with pytest.raises(slums.SlumError, match=r"no column NAMA .kelurahan."):
        read(rows, kelurahan, tmp_path, {"kelurahan": "NAMA", "kota": "KOTA", "rw": "NOMOR_RW"})
    with pytest.raises(slums.SlumError, match="needs rw"):
        read(rows, kelurahan, tmp_path, {"kelurahan": "KEL"})
    with pytest.raises(slums.SlumError, match="no polygon of .* could be placed"):
        read(rows.assign(NOMOR_RW="?"), kelurahan, tmp_path,
             {"kelurahan": "KEL", "kota": "KOTA", "rw": "NOMOR_RW"})  # fmt: skip


def test_columns_that_are_told_are_taken(rows, kelurahan, tmp_path):
    told = {"kelurahan": "KEL", "kota": "KOTA", "rw": "NO"}
    found = read(rows.rename(columns={"NOMOR_RW": "NO"}), kelurahan, tmp_path, told)
    assert len(found.polygons) == 8


def test_a_real_layer_joins_the_whole_list(shared, kelurahan):
    """The RW of 2012-2014: 2,724 polygons of 261 kelurahan, and all 140 listed RW are in it."""
    found = slums.read_boundaries(shared / "geo/rw_jakarta_update.shp", kelurahan)
    listed = slums.clean_list(sources.read("slum_rw_three_kota"), kelurahan)
    joined = found.join(listed)
    assert joined["joined"].all() and len(joined) == 140
    # Areas of the list are those of the polygons, but where it took another part of the RW.
    assert (joined["area_ha"] / joined["listed_area_ha"] - 1).abs().median() < 1e-4
    kinds = found.problems["problem"].value_counts()
    assert kinds[units.PARTS] == 18 and kinds[units.REPAIRED] == 1
    lost = found.problems[found.problems["problem"] == units.NO_KELURAHAN]
    assert set(lost["kelurahan"]) == {"KREDANG", "TMII"}
    assert found.polygons["kelurahan_code"].nunique() == 260
    # Each RW of the counts by kelurahan is a polygon here, but for the misspelt Krendang.
    counts = sources.read("kelurahan_rw").set_index("kelurahan_code")["rw_count"]
    own = found.polygons.groupby("kelurahan_code").size().reindex(counts.index)
    different = counts.index[own != counts]
    assert len(different) <= 3, different


def test_ranges_of_numbers():
    assert units._ranges(pd.Series(["001", "002", "004"])) == "001-002, 004"
