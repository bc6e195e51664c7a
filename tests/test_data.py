"""The built tables: schemas, key counts from the list of areas, sums against published totals.

They are read from the processed folder; `make test` builds its own (build/test/processed).
"""

import pandas as pd
import pytest

from analysis import poverty, provenance, regions, sources, tables


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    """Households are synthetic; what other tests of this process make of other tables is not."""
    monkeypatch.setattr(provenance, "_reads", {})


@pytest.mark.parametrize("name", tables.names())
def test_every_table_fits_its_schema(name):
    tables.check(name, tables.read(name))


def test_kelurahan_are_those_of_the_list():
    listed = list(regions.areas()["kelurahan_code"])
    assert len(listed) == 267
    assert list(tables.read("kelurahan")["kelurahan_code"]) == listed
    assert list(tables.read("slum_kelurahan")["kelurahan_code"]) == listed


def test_registered_residents_sum_to_the_published_total():
    kelurahan = tables.read("kelurahan")
    assert kelurahan["population_count"].sum() == 11_038_216
    density = kelurahan["population_count"] / kelurahan["official_area_km2"]
    pd.testing.assert_series_equal(density, kelurahan["density_per_km2"], check_names=False)
    # Keputusan Gubernur 171/2007: 662.33 km2 of land.
    assert kelurahan["official_area_km2"].sum() == pytest.approx(662.33, rel=0.01)


def test_rw_cover_the_mainland_only():
    kelurahan = tables.read("kelurahan")
    islands = kelurahan["kota_code"] == "3101"
    assert kelurahan.loc[islands, "rw_count"].isna().all()
    assert kelurahan.loc[~islands, "rw_count"].notna().all()
    assert (~islands).sum() == 261


@pytest.mark.parametrize("period", ["2020-03", "2023-03", "2024-03"])
def test_poor_of_the_kota_sum_to_the_province(period):
    kota = tables.read("kota_poverty")
    semester = tables.read("poverty_semester")
    province = semester[(semester["region_code"] == "31") & (semester["period"] == period)]
    parts = kota.loc[kota["period"] == period, "poor_count"]
    assert parts.notna().all()
    # Each part is rounded to 10 persons; the sum of 2020 was published 420 persons higher.
    slack = {"2020-03": 450}.get(period, 60)
    assert parts.sum() == pytest.approx(province["poor_count"].iloc[0], abs=slack)


def test_jakarta_agrees_in_both_official_tables():
    panel = sources.read("province_poverty")
    own = panel[(panel["province_code"] == "31") & (panel["indicator"] == "p0_pct")]
    published = own.set_index("period")["value_as_published"].astype(float)
    semester = tables.read("poverty_semester")
    jakarta = semester[semester["region_code"] == "31"].set_index("period")["p0_pct"]
    pd.testing.assert_series_equal(published, jakarta[published.index], check_names=False)


def test_lines_rise():
    semester = tables.read("poverty_semester")
    line = semester.loc[semester["region_code"] == "31", "poverty_line_rp"].dropna()
    assert line.is_monotonic_increasing


def test_listed_slum_rw_are_never_more_than_the_rw():
    listed = tables.read("slum_kelurahan").merge(
        tables.read("kelurahan")[["kelurahan_code", "rw_count"]]
    )
    own = listed[listed["slum_rw_listed_count"].notna()]
    assert (own["slum_rw_listed_count"] <= own["rw_count"]).all()
    assert own["slum_rw_listed_count"].sum() == len(tables.read("slum_rw"))


# ---- the schemas can fail -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("kelurahan", lambda t: t.iloc[1:], "267 of the list"),
        ("kelurahan", lambda t: t.assign(population_count=0), "population_count"),
        (
            "kelurahan",
            lambda t: t.assign(rw_flood_prone_count=t["rw_count"] + 1),
            "more flood-prone",
        ),
        ("kelurahan", lambda t: t.assign(extra=1), "extra"),
        ("poverty_semester", lambda t: t.assign(p0_pct=505.0), "p0_pct"),
        ("poverty_semester", lambda t: t.assign(status="published"), "status contradicts"),
        ("poverty_semester", lambda t: pd.concat([t, t.head(1)]), "region_code"),
        ("slum_kelurahan", lambda t: t.assign(slum_rw_share_pct=101.0), "slum_rw_share_pct"),
        ("slum_kelurahan", lambda t: t.assign(status="listed"), "outside the list"),
    ],
)
def test_a_spoilt_table_is_refused_and_the_earlier_one_stays(
    name, spoil, told, tmp_path, monkeypatch
):
    table = tables.read(name)
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path))
    tables.write(name, table)
    before = (tmp_path / f"{name}.parquet").read_bytes()
    with pytest.raises(tables.TableError, match=told) as error:
        tables.write(name, spoil(table))
    assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.parquet"]
    assert (tmp_path / f"{name}.parquet").read_bytes() == before


def test_a_missing_table_is_named_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path))
    with pytest.raises(
        tables.TableError, match=r"kelurahan\.parquet is missing: run 'make tables'"
    ):
        tables.read("kelurahan")
    with pytest.raises(tables.TableError, match="there are: kelurahan, "):
        tables.read("kelurahans")


def test_a_table_carries_its_sources():
    reads = {read["path"]: read for read in tables.read("slum_kelurahan").attrs["reads"]}
    raw = sources.record("slum_rw_three_kota")
    assert reads["data/raw/kotaku/slum_rw_three_kota.csv"]["sha256"] == raw.sha256
    assert "data/raw/kartoza/kelurahan_rw.csv" in reads  # through the table kelurahan


def test_a_damaged_table_is_named_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("ANALYSIS_PROCESSED", str(tmp_path))
    (tmp_path / "kelurahan.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(tables.TableError, match="is damaged: remove it and run 'make tables'"):
        tables.read("kelurahan")


def test_derived_kota_figures_are_marked():
    kota = tables.read("kota_poverty")
    derived = set(kota.loc[kota["derived"], "period"])
    assert derived == {"2019-03", "2020-03", "2022-03"}
    assert "2022 Selatan" in poverty.derived_words(kota)
