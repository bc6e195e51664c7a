from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from analysis import paths, regions


@pytest.fixture(scope="module")
def boundaries():
    return regions.kelurahan()


def test_kelurahan_has_the_documented_columns(boundaries):
    assert list(boundaries.columns) == list(regions.COLUMNS)
    assert boundaries.crs.to_epsg() == 32748
    assert boundaries["kelurahan_code"].is_monotonic_increasing
    assert boundaries["kelurahan_code"].str.fullmatch(r"31\d{8}").all()
    assert boundaries["kemendagri_code"].is_unique


def test_kelurahan_counts_are_the_official_ones(boundaries):
    assert len(boundaries) == 267
    assert boundaries["kelurahan_code"].str[:7].nunique() == 44
    assert boundaries["kota"].value_counts().to_dict() == {
        "Jakarta Barat": 56,
        "Jakarta Pusat": 44,
        "Jakarta Selatan": 65,
        "Jakarta Timur": 65,
        "Jakarta Utara": 31,
        "Kepulauan Seribu": 6,
    }


def test_kelurahan_is_topologically_clean(boundaries):
    assert shapely.coverage_is_valid(boundaries.geometry.values)
    assert boundaries.geometry.is_valid.all()
    assert regions.overlaps(boundaries) == (0, 0)
    assert boundaries["area_km2"].sum() == pytest.approx(650.4, abs=0.1)
    # No gaps either: the mainland is one piece, but for the lake that was left out.
    mainland = shapely.coverage_union_all(
        boundaries.loc[boundaries["kota_code"] != "3101", "geometry"].values
    )
    largest = max(shapely.get_parts(mainland), key=shapely.area)
    holes = [ring for ring in shapely.get_rings(largest)[1:]]
    assert all(shapely.area(shapely.polygons(ring)) > 10_000 for ring in holes)


def test_raw_boundaries_need_the_repair():
    raw = regions.read_boundaries()
    pairs, area_km2 = regions.overlaps(raw)
    assert pairs > 300 and 4 < area_km2 < 6


def test_swapped_polygons_are_swapped_back(boundaries):
    middle = boundaries.set_index("kelurahan")["geometry"].centroid
    assert middle["Kampung Melayu"].y > middle["Bidara Cina"].y  # it lies to the north


def test_boundaries_agree_with_an_independent_layer(boundaries, shared):
    other = regions.build_boundaries(shared / "geo/hdx_kelurahan_dki.geojson")
    both = shapely.intersection(boundaries.geometry.values, other.geometry.values)
    assert (shapely.area(both) / boundaries.area > 0.65).all()


def test_kota_are_merged(boundaries):
    kota = regions.kota()
    assert list(kota["kota_code"]) == sorted(regions.KOTA)
    assert kota["area_km2"].sum() == pytest.approx(boundaries["area_km2"].sum())
    assert kota.area.sum() == pytest.approx(boundaries.area.sum())


def test_agencies_number_the_kota_differently(boundaries):
    pairs = set(zip(boundaries["kota_code"], boundaries["kemendagri_code"].str[:5], strict=True))
    assert pairs == set(regions.KEMENDAGRI_KOTA.items())


def test_another_province_is_refused():
    with pytest.raises(regions.RegionError, match="only '31'"):
        regions.kelurahan("32")


# ---- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("published", "kota", "code"),
    [
        ("Wijaya Kesuma", "Jakarta Barat", "3174040006"),
        ("Wijaya Kusuma", "Jakarta Barat", "3174040006"),
        ("HARAPAN MULYA", "3173", "3173060001"),
        ("Halim Perdana Kusumah", "JAKARTA TIMUR", "3172040004"),
        ("Kampung Tengah", "Kota Adm. Jakarta Timur", "3172050003"),
        ("Pal Meriem", "timur", "3172100002"),
        ("PAPANGO", "Jakarta Utara", "3175030003"),
        ("Tanjung Priuk", "Jakarta Utara", "3175030007"),
        ("Kerendang", "Jakarta Barat", "3174050005"),
        ("P. Tidung", "KAB. ADM. KEP. SERIBU", "3101010001"),
        ("Pulau Tidung", "Kep Seribu", "3101010001"),
        ("KALI BARU", "Jakarta Utara", "3175060007"),
    ],
)
def test_spellings_are_placed(published, kota, code):
    assert list(regions.match([published], kota)) == [code]


@given(st.data())
def test_any_case_and_spacing_of_a_listed_name_is_placed(data):
    area = data.draw(st.sampled_from(list(regions.areas().itertuples())))
    name = data.draw(
        st.sampled_from([str.upper, str.lower, str.title, lambda n: n.replace(" ", "")])
    )(area.kelurahan)
    name = data.draw(st.sampled_from(["", "Kelurahan ", "KEL. "])) + name
    kota = data.draw(st.sampled_from([area.kota, area.kota_code, area.kota.upper()]))
    assert list(regions.match([f" {name} "], kota)) == [area.kelurahan_code]


def test_match_keeps_the_index_and_takes_a_kota_per_name():
    names = pd.Series(["MENTENG", "ANCOL"], index=[7, 3])
    codes = regions.match(names, ["Jakarta Pusat", "Jakarta Utara"])
    assert list(codes.index) == [7, 3]
    assert list(codes.str[:4]) == ["3173", "3175"]


def test_match_names_all_it_could_not_place():
    with pytest.raises(regions.RegionError) as error:
        regions.match(["Menteng", "Mentang", "Atlantis"], "Jakarta Pusat")
    message = str(error.value)
    assert "2 kelurahan names could not be placed" in message
    assert "'Mentang' (Jakarta Pusat; perhaps Menteng)" in message
    assert "'Atlantis' (Jakarta Pusat)" in message
    assert "'Menteng'" not in message


def test_a_name_of_another_kota_is_not_placed():
    with pytest.raises(regions.RegionError, match="'Ancol'"):
        regions.match(["Ancol"], "Jakarta Pusat")


def test_an_unknown_kota_lists_the_six():
    with pytest.raises(regions.RegionError, match=r"Jakarta Selatan \(3171\)"):
        regions.match(["Menteng"], "Bekasi")


# ---- boundary files of the user --------------------------------------------------------------


@pytest.fixture
def other_file(boundaries, tmp_path):
    """A boundary file as a user may have it: BIG's column of Kemendagri codes, degrees."""

    def write(table: gpd.GeoDataFrame, name: str = "mine.gpkg") -> Path:
        table[["kemendagri_code", "geometry"]].rename(columns={"kemendagri_code": "KDEPUM"}).to_crs(
            4326
        ).to_file(tmp_path / name)
        return tmp_path / name

    return write


def test_another_file_is_coded_by_content(boundaries, other_file):
    built = regions.build_boundaries(other_file(boundaries))
    assert list(built["kelurahan_code"]) == list(boundaries["kelurahan_code"])
    assert built.attrs["source"] == "mine.gpkg"
    same = shapely.area(shapely.intersection(built.geometry.values, boundaries.geometry.values))
    assert (same / boundaries.area > 0.99).all()


def test_a_file_with_266_polygons_is_refused(boundaries, other_file):
    path = other_file(boundaries[boundaries["kelurahan"] != "Ancol"])
    with pytest.raises(regions.RegionError) as error:
        regions.build_boundaries(path)
    message = str(error.value)
    assert "266 kelurahan instead of 267" in message and "Ancol" in message
    assert "mine.gpkg" in message and "BOUNDARIES=path" in message and "\n" not in message


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(regions.RegionError, match=r"nowhere\.gpkg does not exist: give another"):
        regions.build_boundaries(tmp_path / "nowhere.gpkg")


def test_a_file_that_is_no_layer_is_refused(tmp_path):
    path = tmp_path / "notes.geojson"
    path.write_text("no polygons here")
    with pytest.raises(regions.RegionError, match=r"notes\.geojson cannot be read"):
        regions.build_boundaries(path)


def test_a_file_without_codes_is_refused(boundaries, tmp_path):
    path = tmp_path / "plain.gpkg"
    boundaries[["kelurahan", "geometry"]].to_file(path)
    with pytest.raises(regions.RegionError, match=r"no column with the 10-digit codes.*kelurahan"):
        regions.build_boundaries(path)


def test_a_file_in_the_wrong_units_is_refused(boundaries, tmp_path):
    path = tmp_path / "wrong.gpkg"
    halved = boundaries[["kelurahan_code", "geometry"]].copy()
    halved["geometry"] = halved.geometry.scale(0.5, 0.5)
    halved.to_file(path)
    with pytest.raises(regions.RegionError, match="DKI Jakarta has 662"):
        regions.build_boundaries(path)


def test_a_failed_build_leaves_the_earlier_table(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "boundaries.parquet"
    kept.write_bytes(b"earlier")
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path))
    monkeypatch.setenv("BOUNDARIES", str(tmp_path / "nowhere.gpkg"))
    assert regions.main() == 1
    assert kept.read_bytes() == b"earlier"
    assert capsys.readouterr().err.startswith("boundaries: boundary file")


def test_boundaries_are_named_when_they_are_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path))
    with pytest.raises(regions.RegionError, match="run 'make boundaries'"):
        regions.kelurahan()


def test_nothing_of_the_boundaries_is_in_git():
    import subprocess

    tracked = subprocess.run(
        ["git", "ls-files"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [
        name
        for name in tracked
        if "node_modules" in name
        or name.endswith((".parquet", ".geojson", ".gpkg", ".shp", ".svg"))
    ]


def test_areas_far_from_the_official_ones():
    table = pd.DataFrame(
        {
            "kelurahan_code": ["3171010001", "3171010002", "3171010003", "3171010004"],
            "kelurahan": list("abcd"),
            "kota": "Jakarta Selatan",
            "area_km2": [2.0, 1.24, 0.5, 1.0],
            "official_area_km2": [1.0, 1.0, 1.0, None],
        }
    )
    far = regions.area_differences(table)
    assert list(far["kelurahan"]) == ["c", "a"] and list(far["ratio"]) == [0.5, 2.0]
    assert list(regions.area_differences(table, tolerance=0.1)["kelurahan"]) == ["c", "b", "a"]
