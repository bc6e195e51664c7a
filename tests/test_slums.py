import geopandas as gpd
import pandas as pd
import pytest

from analysis import regions, slums, sources


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return sources.read("slum_rw_three_kota")


@pytest.fixture(scope="module")
def boundaries() -> gpd.GeoDataFrame:
    return regions.kelurahan()


@pytest.fixture(scope="module")
def listed(raw, boundaries):
    return slums.clean_list(raw, boundaries)


def test_names_lead_to_the_codes_on_record(listed, raw):
    """The list also carries codes; they were assigned independently of `regions.match`."""
    own = set(zip(listed["kelurahan_code"], listed["rw"], strict=True))
    assert own == set(zip(raw["kelurahan_code"], raw["rw"], strict=True))


def test_listed_rw_by_kota(listed):
    assert listed["kota_code"].value_counts().to_dict() == {"3173": 43, "3171": 35, "3175": 62}


def test_an_rw_larger_than_its_kelurahan_is_flagged(listed, boundaries):
    odd = listed[~listed["area_plausible"]]
    name = boundaries.set_index("kelurahan_code")["kelurahan"]
    assert list(zip(odd["kelurahan_code"].map(name), odd["rw"], strict=True)) == [("Ancol", "010")]


def test_an_unreadable_rw_and_a_double_one_are_refused(raw, boundaries):
    with pytest.raises(slums.SlumError, match="'RW A'"):
        slums.clean_list(raw.assign(rw_as_published="RW A"), boundaries)
    with pytest.raises(slums.SlumError, match="listed twice: .* RW "):
        slums.clean_list(pd.concat([raw, raw.tail(1)], ignore_index=True), boundaries)


@pytest.mark.parametrize("written", ["RW 08", "RW 008", "8", "008", "RW.8", "rw 08"])
def test_rw_are_brought_to_three_digits(raw, boundaries, written):
    one = raw.head(1).assign(rw_as_published=written.upper())
    assert list(slums.clean_list(one, boundaries)["rw"]) == ["008"]


@pytest.fixture
def areas():
    return pd.DataFrame(
        {
            "kelurahan_code": ["3173010001", "3173010002", "3174010001"],
            "kota_code": ["3173", "3173", "3174"],
            "rw_count": pd.array([10, 5, 8], dtype="Int64"),
        }
    )


@pytest.fixture
def few():
    return pd.DataFrame(
        {
            "kelurahan_code": ["3173010001"] * 3,
            "rw": ["001", "002", "003"],
            "area_ha": [2.5, 4.0, 900.0],
            "area_plausible": [True, True, False],
        }
    )


def test_three_states_and_never_a_zero(areas, few):
    table = slums.by_kelurahan(few, areas)
    assert list(table["status"]) == [slums.LISTED, slums.NONE_LISTED, slums.NOT_PUBLISHED]
    values = table[["slum_rw_listed_count", "slum_rw_share_pct", "slum_ha"]]
    assert values.iloc[0].tolist() == [3, 30.0, 6.5]
    assert values.iloc[1:].isna().all(axis=None)


def test_completeness_against_every_total(areas, few):
    table = slums.by_kelurahan(few, areas)
    counts = pd.DataFrame(
        {"year": ["2017", "2017"], "area": ["Jakarta Pusat", "Jakarta Barat"]}
        | {"kategori": "total", "rw_count": [98.0, 92.0], "counted_by": "BPS", "source": "BPS"}
    )
    kota = {"3173": "Jakarta Pusat", "3174": "Jakarta Barat", "3172": "Jakarta Timur"}
    own = slums.completeness(table, slums.count_series(counts), kota).set_index("kota")
    assert own.loc["Jakarta Pusat", "listed_share_pct"] == pytest.approx(3 / 98 * 100)
    assert pd.isna(own.loc["Jakarta Barat", "slum_rw_listed_count"])  # not published, not zero
    assert own.loc["Jakarta Barat", "published_count"] == 92
    assert pd.isna(own.loc["Jakarta Timur", "published_count"])


def test_counts_of_the_province():
    series = slums.count_series(sources.read("rw_kumuh_counts"))
    province = series[series["area"] == "DKI Jakarta"].set_index("year")
    assert province["slum_rw_count"].to_dict() == {
        2008: 415, 2011: 392, 2012: 264, 2013: 223, 2015: 174, 2017: 445, 2026: 211,
    }  # fmt: skip
    assert province.loc[2015, "counted_by"] == slums.ADMINISTRATIVE
    assert province.loc[2026, "counted_by"] == slums.NOT_STATED
    assert province.loc[2013, "frame"] != province.loc[2017, "frame"]


def test_categories_are_summed_where_there_is_no_total():
    counts = pd.DataFrame(
        {"year": ["2025"] * 2, "area": ["Jakarta Pusat"] * 2, "kategori": ["ringan", "berat"]}
        | {"rw_count": [11.0, 38.0], "counted_by": ["BPS"] * 2, "source": ["BPS"] * 2}
    )
    assert list(slums.count_series(counts)["slum_rw_count"]) == [49]


def test_words_say_what_can_be_read_and_what_contradicts():
    series = slums.count_series(sources.read("rw_kumuh_counts"))
    words = slums.frame_words(series[series["area"] == "DKI Jakarta"])
    assert "from 415 in 2008 to 223 in 2013" in words and "from 445 in 2017 to 211 in 2026" in words
    parts = slums.parts_words(series, "DKI Jakarta", list(regions.KOTA.values()))
    assert "in 2015 the 5 kota with a count sum to 210, not 174" in parts


def test_centroids_outside_are_flagged(listed, boundaries, raw):
    assert (~listed["inside"]).sum() == 5
    moved = raw.assign(lon=raw["lon"] + 0.5)  # 55 km to the east
    assert not slums.clean_list(moved, boundaries)["inside"].any()


def test_the_most_and_least_vulnerable_of_2013():
    raw = sources.read("kelurahan_social_vulnerability_2013")
    table = slums.vulnerability(raw)
    assert table["group"].value_counts().to_dict() == {slums.HIGHEST: 10, slums.LOWEST: 10}
    assert (table["kota_code"] == table["kelurahan_code"].str[:4]).all()
    with pytest.raises(slums.SlumError, match="twice among the most and least vulnerable: 3173"):
        slums.vulnerability(pd.concat([raw, raw.head(1)], ignore_index=True))
    with pytest.raises(slums.SlumError, match="unknown group: middle"):
        slums.vulnerability(raw.assign(group="middle"))
    with pytest.raises(regions.RegionError, match="could not be placed"):
        slums.vulnerability(raw.assign(kelurahan="NOWHERE"))
