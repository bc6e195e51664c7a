"""Microdata of households: mappings, files of all formats, what is refused, what is suppressed."""

import re
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import microdata, paths, provenance, regions, sources
from analysis.microdata import mapping as mappings
from analysis.microdata.disclosure import _hide

PERIOD = "2017-03"
WATER = {"piped": 3, "bottled": 1, "well": 4, "other": 7}
SCHOOLING = {"none": 0, "primary": 2, "junior": 4, "senior": 6, "tertiary": 8}
KOTA = list(regions.KOTA)


@pytest.fixture(autouse=True)
def own_reads(monkeypatch):
    """What these tests read is no part of what others have read."""
    monkeypatch.setattr(provenance, "_reads", {})
    monkeypatch.delenv(microdata.VARIABLE, raising=False)


# ---- an invented set -------------------------------------------------------------------------


def invented(n: int = 300) -> pd.DataFrame:
    """Households in canonical columns; nobody's."""
    rng = np.random.default_rng(6)
    code = rng.choice(regions.areas()["kelurahan_code"].to_numpy(str), n)
    table = pd.DataFrame(
        {
            "household_id": [f"{i // 10:04d}-{i % 10}" for i in range(n)],
            "kota_code": [c[:4] for c in code],
            "kecamatan_code": [c[:7] for c in code],
            "kelurahan_code": code,
            "stratum": rng.choice(["11", "12"], n),
            "cluster": [f"{i // 10:04d}" for i in range(n)],
            "weight": rng.integers(100, 900, n) / 4,
            "expenditure_rp": rng.integers(1_000_000, 9_000_000, n).astype(float),
            "household_size": rng.integers(1, 8, n),
            "head_age": rng.integers(20, 90, n),
            "head_female": rng.random(n) < 0.2,
            "head_schooling": pd.Categorical(rng.choice(list(SCHOOLING), n), list(SCHOOLING)),
            "dwelling_owned": rng.random(n) < 0.5,
            "floor_area_m2": rng.integers(10, 200, n) / 2,
            "water": pd.Categorical(rng.choice(list(WATER), n), list(WATER)),
        }
    ).astype({c: "str" for c in ("kota_code", "kecamatan_code", "kelurahan_code")})
    table.loc[3, "floor_area_m2"] = np.nan
    table.insert(8, "expenditure_per_capita_rp", table["expenditure_rp"] / table["household_size"])
    table.insert(1, "period", PERIOD)
    return table.sort_values("household_id", ignore_index=True)


def three_files(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The same as a survey office files it: households, members, groups of commodities."""
    psu = table["cluster"].astype(int)
    ids = pd.DataFrame({"PSU": psu, "NURT": table["household_id"].str[5:].astype(int)})
    household = ids.assign(
        R101=31,
        R102=table["kota_code"].str[2:].astype(int),
        KEL=table["kelurahan_code"].astype(float),
        STRATA=table["stratum"],
        FWT=table["weight"],
        R301=table["household_size"],
        R1802=np.where(table["dwelling_owned"], 1, np.where(psu % 2, 2, 5)),
        R1804=table["floor_area_m2"],
        R1810=table["water"].map(WATER).astype(int),
    )
    head = ids.assign(
        R403=1,
        R405=np.where(table["head_female"], 2, 1),
        R407=table["head_age"],
        R517=table["head_schooling"].map(SCHOOLING).astype(int),
    )
    others = head.assign(R403=2, R407=12, R517=99)
    food = (table["expenditure_rp"] * 0.25).round()
    rest = table["expenditure_rp"] - food
    groups = [ids.assign(GROUP=1, FOOD=food, NONFOOD=0.0)]
    groups.append(ids.assign(GROUP=2, FOOD=0.0, NONFOOD=rest))
    # In no order, and in no order of the other files.
    shuffled = {
        "household": household.sample(frac=1, random_state=1),
        "members": pd.concat([others, head]).sample(frac=1, random_state=2),
        "consumption": pd.concat(groups).sample(frac=1, random_state=3),
    }
    return {name: t.reset_index(drop=True) for name, t in shuffled.items()}


MAPPING = """\
synthetic: false
survey:
  2017-03:
    - file: household.EXT
      id: [PSU, NURT]
      columns:
        kota_code: {join: [R101, R102], widths: [2, 2]}
        kelurahan_code: KEL
        stratum: STRATA
        cluster: {join: [PSU], widths: [4]}
        weight: FWT
        household_size: R301
        dwelling_owned: {column: R1802, codes: {true: 1, false: [2, 5]}}
        floor_area_m2: R1804
        water:
          column: R1810
          codes: {piped: 3, bottled: 1, well: 4, other: 7}
    - file: members.EXT
      id: [PSU, NURT]
      where: {R403: 1}
      columns:
        head_age: R407
        head_female: {column: R405, codes: {true: 2, false: 1}}
        head_schooling: {column: R517, codes: {none: 0, primary: 02, junior: 4, senior: 6, tertiary: 8}}
    - file: consumption.EXT
      id: [PSU, NURT]
      total: true
      columns:
        expenditure_rp: {sum: [FOOD, NONFOOD]}
"""


def write(table: pd.DataFrame, path: Path) -> None:
    match path.suffix:
        case ".csv":
            table.to_csv(path, index=False)
        case ".parquet":
            table.to_parquet(path, index=False)
        case ".dta":
            table.to_stata(path, write_index=False, version=118)
        case ".sav":
            pyreadstat.write_sav(table, str(path))
        case ".dbf":
            pyogrio.write_dataframe(table, path, driver="ESRI Shapefile")


def folder(tmp_path: Path, extension: str = "csv", mapping: str = MAPPING, **spoilt) -> Path:
    """A folder with the invented set and its mapping; ``spoilt`` replaces single files."""
    for name, table in (three_files(invented()) | spoilt).items():
        write(table, tmp_path / f"{name}.{extension}")
    (tmp_path / "mapping.yml").write_text(mapping.replace("EXT", extension))
    return tmp_path


def line_of(text: str, mapping: str = MAPPING) -> int:
    (line,) = [i for i, row in enumerate(mapping.splitlines(), 1) if text in row]
    return line


def refused(path: Path) -> str:
    with pytest.raises(microdata.MicrodataError) as caught:
        microdata.read(path)
    assert caught.value.__cause__ is None and (
        caught.value.__suppress_context__ or caught.value.__context__ is None
    ), "the reader's own error, which quotes data, would be shown too"
    return str(caught.value)


def expected(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    table["household_id"] = [f"{int(i[:4])}-{i[5:]}" for i in table["household_id"]]
    return table.sort_values("household_id", ignore_index=True)


# ---- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["csv", "parquet", "dta", "sav", "dbf"])
def test_every_format_gives_the_same_canonical_survey(tmp_path, extension):
    data = microdata.read(folder(tmp_path, extension))
    order = list(data.survey.columns)
    pd.testing.assert_frame_equal(data.survey, expected(invented())[order])
    assert order[:2] == ["household_id", "period"] and data.periods == [PERIOD]
    assert set(invented().columns) == set(order)
    assert not data.synthetic and data.notes == () and data.census is None


def test_a_second_set_with_other_names_codes_and_formats_gives_the_same(tmp_path):
    """One file, one row per household, Indonesian names, labels, decimal commas."""
    table = invented()
    water = {"piped": "PAM", "bottled": "kemasan", "well": "sumur", "other": "lain"}
    other = pd.DataFrame(
        {
            "ID Rumah Tangga": table["household_id"],
            "kel": table["kelurahan_code"],
            "lapisan": table["stratum"],
            "blok": table["cluster"],
            "penimbang": table["weight"].map(lambda w: f"{w:,.2f}".translate({44: 46, 46: 44})),
            "kapita": (table["expenditure_per_capita_rp"] / 1000).map(repr).str.replace(".", ","),
            "art": table["household_size"],
            "umur": table["head_age"],
            "jk": np.where(table["head_female"], "P", "L"),
            "ijazah": table["head_schooling"].map(SCHOOLING).astype(int).map("{:03d}".format),
            "milik": np.where(table["dwelling_owned"], "Ya", "Tidak"),
            "luas": table["floor_area_m2"].map(lambda a: "-9" if np.isnan(a) else f"{a},0"[:-2]),
            "air": table["water"].map(water),
        }
    )
    other["luas"] = other["luas"].str.replace(".", ",")
    other.to_csv(tmp_path / "rumah tangga.txt", index=False, sep=";", encoding="latin-1")
    (tmp_path / "own.yaml").write_text(
        textwrap.dedent("""\
        synthetic: false
        survey:
          2017-03:
            file: rumah tangga.txt
            encoding: latin-1
            decimal: ","
            id: ID Rumah Tangga
            columns:
              kelurahan_code: kel
              stratum: lapisan
              cluster: blok
              weight: penimbang
              expenditure_per_capita_rp: {column: kapita, times: 1000}
              household_size: art
              head_age: umur
              head_female: {column: jk, codes: {true: p, false: L}}
              head_schooling: {column: ijazah, codes: {none: 0, primary: 2, junior: 4, senior: 6, tertiary: 8}}
              dwelling_owned: {column: milik, codes: {true: Ya, false: Tidak}}
              floor_area_m2: {column: luas, missing: -9}
              water: {column: air, codes: {piped: PAM, bottled: kemasan, well: sumur, other: lain}}
        """)
    )
    data = microdata.read(tmp_path / "own.yaml")
    first = microdata.read(folder(tmp_path))
    # The ids differ in how they are written; the households do not.
    same = data.survey.assign(
        household_id=[f"{int(i[:4])}-{i[5:]}" for i in data.survey["household_id"]]
    ).sort_values("household_id", ignore_index=True)
    pd.testing.assert_frame_equal(same, first.survey, check_exact=False, rtol=1e-12)


def test_the_example_mapping_is_read(tmp_path, monkeypatch):
    """The example that ships is itself a mapping, of files made up to fit it."""
    monkeypatch.setattr(regions, "kemendagri_codes", some_kemendagri_codes)
    shutil.copy(paths.ROOT / "data/mappings/susenas_example.yml", tmp_path / "mapping.yml")
    mapping = mappings.load(tmp_path / "mapping.yml")
    rng = np.random.default_rng(1)
    for parts in mapping.tables.values():
        for part in parts:
            write(fitting(part, rng), part.file)
    data = microdata.read(tmp_path)
    assert data.periods == ["2017-03", "2021-03"] and len(data.survey) == 80
    assert data.census["count"].sum() == 40 and len(data.podes) == 1
    assert data.survey["head_work"].notna().all()
    assert data.lowest_level == "kota" and "10-digit code" in data.needed_for_more()


def fitting(part: mappings.Part, rng: np.random.Generator, n: int = 40) -> pd.DataFrame:
    """A file with the columns and codes that a mapping asks for."""
    table = pd.DataFrame(index=range(n))
    for column in part.columns.values():
        for source in column.sources:
            if column.codes:
                table[source.name] = rng.choice(list(column.codes), n)
                if all(c.isdigit() for c in column.codes):
                    table[source.name] = table[source.name].astype(int)
            else:
                table[source.name] = rng.integers(11, 90, n)
    for name, codes in part.where:
        table[name.name] = int(codes[0])
    if "kota_code" in part.columns:
        table["R102"] = 71
    if "KODE_KEL" in table:
        table["KODE_KEL"] = "31.74.01.1001"
    if "r104" in table:
        table = table.assign(r102=71, r103=10, r104=1)[:1]
    for number, name in enumerate(part.id):
        table[name.name] = np.arange(n) if number == 0 else 1
    if part.total:
        table = pd.concat([table, table], ignore_index=True)
    return table


def some_kemendagri_codes() -> pd.Series:
    """Codes as Kemendagri makes them, for every kelurahan; the order within a kota is invented."""
    areas = regions.areas()
    kota = areas["kota_code"].map(regions.KEMENDAGRI_KOTA)
    kecamatan = areas.groupby("kota_code")["kecamatan_code"].transform(
        lambda codes: pd.factorize(codes)[0] + 1
    )
    number = areas.groupby("kecamatan_code").cumcount() + 1001
    codes = [f"{a}.{int(b):02d}.{c}" for a, b, c in zip(kota, kecamatan, number, strict=True)]
    return pd.Series(codes, index=pd.Index(areas["kelurahan_code"]))


def test_canonical_parquet_needs_no_columns(tmp_path):
    survey = invented()
    write(survey, tmp_path / "survey.parquet")
    (tmp_path / "mapping.yml").write_text(
        "synthetic: true\nsurvey:\n  2017-03: {file: survey.parquet}\n"
    )
    data = microdata.read(tmp_path)
    pd.testing.assert_frame_equal(data.survey, survey[data.survey.columns])


def test_columns_that_carry_each_others_names(tmp_path):
    """SQL must take the columns of the file, not the canonical ones of the same name."""
    table = pd.DataFrame(
        {"key": [1, 2], "id": ["3171", "3172"], "weight": [3, 4], "household_size": [10.5, 20.25]}
    ).assign(head_age=1e6, expenditure_rp=[30, 40], count=7)
    # Windows line ends, a comma in quotation marks, and the name of the file in capitals.
    table = table.assign(name="Jalan, Kota")
    table.to_csv(tmp_path / "S.CSV", index=False, lineterminator="\r\n")
    (tmp_path / "mapping.yml").write_text(
        textwrap.dedent("""\
        synthetic: false
        survey:
          2017-03:
            file: S.CSV
            id: key
            columns:
              kota_code: id
              weight: household_size
              household_size: weight
              head_age: expenditure_rp
              expenditure_rp: head_age
        """)
    )
    survey = microdata.read(tmp_path).survey
    assert survey["weight"].tolist() == [10.5, 20.25] and survey["head_age"].tolist() == [30, 40]
    assert survey["household_size"].tolist() == [3, 4]
    assert survey["expenditure_rp"].tolist() == [1e6, 1e6]
    assert survey["expenditure_per_capita_rp"].tolist() == [1e6 / 3, 1e6 / 4]


def test_a_point_between_thousands_is_no_decimal_point(tmp_path):
    rows = ["kota;w;n;e", "3171;1.000;2;12.000", "3172;1.000,50;3,0;1.234.567,25"]
    (tmp_path / "s.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "mapping.yml").write_text(
        "synthetic: false\nsurvey:\n  2017-03:\n    file: s.csv\n    decimal: ','\n    id: kota\n"
        "    columns: {kota_code: kota, weight: w, household_size: n, expenditure_rp: e}\n"
    )
    survey = microdata.read(tmp_path).survey
    assert survey["weight"].tolist() == [1000, 1000.5]
    assert survey["household_size"].tolist() == [2, 3]
    assert survey["expenditure_rp"].tolist() == [12_000, 1_234_567.25]


@pytest.mark.parametrize("said", ["", "    encoding: latin-1\n", "    encoding: cp1252\n"])
def test_a_dbf_in_an_old_encoding(tmp_path, said):
    table = pd.DataFrame({"KOTA": ["3171"], "AIR": ["ledéng"], "W": 1.0, "N": 1, "E": 1e6})
    pyogrio.write_dataframe(
        table, tmp_path / "S.dbf", driver="ESRI Shapefile", encoding="ISO-8859-1"
    )
    (tmp_path / "S.cpg").unlink()
    (tmp_path / "S.dbf").rename(tmp_path / "S.DBF")
    (tmp_path / "mapping.yml").write_text(
        f"synthetic: false\nsurvey:\n  2017-03:\n    file: S.DBF\n{said}    id: KOTA\n    columns:\n"
        "      {kota_code: KOTA, weight: W, household_size: N, expenditure_rp: E,\n"
        "       water: {column: AIR, codes: {piped: ledéng}}}\n",
        encoding="utf-8",
    )
    assert microdata.read(tmp_path).survey["water"].tolist() == ["piped"]


def test_the_tables_of_a_synthetic_city(tmp_path):
    codes = regions.areas()["kelurahan_code"][:5]
    truth = pd.DataFrame({"kelurahan_code": codes, "period": PERIOD, "population_count": 9_000})
    tables = {
        "truth": truth.assign(p0=0.03, p1=0.005, p2=0.001),
        "lines": pd.DataFrame({"period": PERIOD, "kota_code": KOTA, "poverty_line_rp": 536_546.0}),
        "areas": pd.DataFrame({"kelurahan_code": codes, "area_name": list("ABCDE")}),
        "podes": pd.DataFrame({"kelurahan_code": codes, "bank_count": 2, "slum_present": True}),
    }
    for name, table in tables.items():
        write(table, tmp_path / f"{name}.parquet")
    lines = "".join(f"{name}: {{file: {name}.parquet}}\n" for name in tables)
    (tmp_path / "mapping.yml").write_text("synthetic: true\n" + lines)
    data = microdata.read(tmp_path)
    for name, table in (tables | {"lines": tables["lines"].assign(derived=False)}).items():
        found = getattr(data, name)
        key = list(found.columns[:2])
        pd.testing.assert_frame_equal(
            found, table[found.columns].sort_values(key, ignore_index=True), check_dtype=True
        )
    assert data.survey is None and "There is no survey" in data.needed_for_more()
    write(pd.concat([tables["areas"], tables["areas"][:1]]), tmp_path / "areas.parquet")
    assert "line 4 (areas): 2 rows share their kelurahan_code" in refused(tmp_path)


# ---- the census ------------------------------------------------------------------------------

CENSUS = """\
synthetic: false
census:
  file: census.EXT
  columns:
    kelurahan_code: kel
    household_size: size
    head_female: {column: sex, codes: {true: 2, false: 1}}
    water: {column: water, codes: {piped: 3, bottled: 1, well: 4, other: 7}}
"""


def census_file(n: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    some = regions.areas()["kelurahan_code"].to_numpy(str)[::40]
    return pd.DataFrame(
        {
            "kel": rng.choice(some, n),
            "size": rng.integers(1, 5, n),
            "sex": rng.integers(1, 3, n),
            "water": rng.choice(list(WATER.values()), n),
            "nik": rng.integers(10**15, 10**16, n).astype(str),
        }
    )


def by_pandas(table: pd.DataFrame) -> pd.DataFrame:
    """The patterns of the census, worked out without the library."""
    words = {v: k for k, v in WATER.items()}
    recoded = pd.DataFrame(
        {
            "kota_code": table["kel"].str[:4],
            "kecamatan_code": table["kel"].str[:7],
            "kelurahan_code": table["kel"],
            "household_size": table["size"],
            "head_female": table["sex"] == 2,
            "water": pd.Categorical(table["water"].map(words), list(WATER)),
        }
    )
    return recoded.groupby(list(recoded), observed=True).size().rename("count").reset_index()


@pytest.mark.parametrize("extension", ["csv", "parquet", "dta", "dbf"])
def test_the_census_comes_as_patterns_with_counts(tmp_path, extension):
    """DuckDB, from files where they are or from memory, against pandas."""
    table = census_file()
    write(table, tmp_path / f"census.{extension}")
    (tmp_path / "mapping.yml").write_text(CENSUS.replace("EXT", extension))
    census = microdata.read(tmp_path).census
    key = [c for c in census if c != "count"]
    pd.testing.assert_frame_equal(
        census.sort_values(key, ignore_index=True),
        by_pandas(table).sort_values(key, ignore_index=True)[list(census.columns)],
    )
    assert census["count"].sum() == len(table) and len(census) < len(table)


def test_fewer_census_columns_are_fewer_patterns(tmp_path):
    write(census_file(), tmp_path / "census.csv")
    (tmp_path / "mapping.yml").write_text(CENSUS.replace("EXT", "csv"))
    census = microdata.read(tmp_path, census_columns=["household_size"], memory="500MB").census
    assert len(census) == 7 * 4 and census["count"].sum() == 2_000
    with pytest.raises(microdata.MicrodataError, match=r"line 3: the census has no wealth"):
        microdata.read(tmp_path, census_columns=["wealth"])


def test_a_census_of_patterns_keeps_its_counts(tmp_path):
    """Two rows of the same pattern, and a wrong code among them."""
    kel = regions.areas()["kelurahan_code"][0]
    table = pd.DataFrame({"kel": kel, "size": 2, "sex": 1, "water": 3, "n": [10, 10, 5]})
    mapping = CENSUS.replace("EXT", "csv") + "    count: n\n"
    write(table, tmp_path / "census.csv")
    (tmp_path / "mapping.yml").write_text(mapping)
    assert microdata.read(tmp_path).census["count"].tolist() == [25]
    for bad in (-1, None):
        write(table.assign(n=[10, 10, bad]), tmp_path / "census.csv")
        assert "n is no whole number in 1 of 3 rows" in refused(tmp_path)
    write(table.assign(sex=[1, 7, 7]), tmp_path / "census.csv")
    assert "in 2 of 3 rows of census.csv: 7 (2 rows)" in refused(tmp_path)


def test_a_register_of_persons_is_counted(tmp_path):
    table = pd.DataFrame({"kk": [1, 2, 3], "kel": regions.areas()["kelurahan_code"][0]})
    write(table, tmp_path / "families.csv")
    write(pd.DataFrame({"kk": [1, 1, 2, 3, 3, 3]}), tmp_path / "persons.csv")
    (tmp_path / "mapping.yml").write_text(
        textwrap.dedent("""\
        synthetic: false
        census:
          - {file: families.csv, id: kk, columns: {kelurahan_code: kel}}
          - file: persons.csv
            id: kk
            total: true
            columns: {household_size: {value: 1}}
        """)
    )
    census = microdata.read(tmp_path).census
    assert sorted(census["household_size"]) == [1, 2, 3]


# ---- what is refused -------------------------------------------------------------------------


def test_wrong_columns_are_named_with_their_lines_and_what_is_near(tmp_path):
    mapping = MAPPING.replace("weight: FWT", "weight: FWTT").replace("[FOOD,", "[food,")
    told = refused(folder(tmp_path, mapping=mapping))
    line = line_of("weight: FWT")
    assert f"mapping.yml line {line}: household.csv has no column 'FWTT'; perhaps FWT" in told
    line = line_of("sum: [FOOD")
    assert f"line {line}: consumption.csv has no column 'food'; perhaps FOOD" in told


def test_unknown_codes_are_counted_with_their_line(tmp_path):
    household = three_files(invented())["household"]
    household.loc[:11, "R1810"] = 9
    household.loc[12:13, "R1810"] = 10
    told = refused(folder(tmp_path, household=household))
    line = line_of("codes: {piped: 3")
    assert f"line {line} (survey 2017-03): R1810 has codes that are not in the mapping of" in told
    assert "14 of 300 rows of household.csv: 9 (12 rows), 10 (2 rows)" in told


def test_names_of_persons_are_never_shown(tmp_path):
    """The wrong column mapped: its values are counted, not told. Neither are rows of a CSV."""
    household = three_files(invented())["household"]
    household["R1810"] = [f"Siti {i}" for i in range(300)]
    household["R1804"] = "Budi"
    told = refused(folder(tmp_path, household=household))
    assert "Siti" not in told and "Budi" not in told
    assert "300 different ones, rare and not shown" in told
    line = line_of("floor_area_m2")
    assert f"line {line} (survey 2017-03): R1804 is no number in 300 of 300 rows" in told
    with (tmp_path / "household.csv").open("a") as file:
        file.write("1,2,Siti Nurhaliza,4\n")
    told = refused(tmp_path)
    assert "Siti" not in told
    assert f"line {line_of('file: household')}: line 302 of household.csv does not have" in told


def test_files_that_cannot_be_read(tmp_path):
    folder(tmp_path, "sav")
    (tmp_path / "household.sav").write_bytes(b"Siti,1,2")
    told = refused(tmp_path)
    assert "household.sav cannot be read as spss" in told and "Siti" not in told
    (tmp_path / "household.sav").unlink()
    assert f"line {line_of('file: household')}: there is no file household.sav" in refused(tmp_path)
    folder(tmp_path)
    (tmp_path / "household.csv").write_bytes("PSU,NURT,Ä\n1,1,2\n".encode("latin-1"))
    assert "household.csv is not in encoding utf-8: add 'encoding: latin-1'" in refused(tmp_path)


def test_the_values_are_checked_once_at_the_border(tmp_path):
    household = three_files(invented())["household"]
    household.loc[:2, "FWT"] = 0
    household.loc[4:5, "R301"] = 0
    household.loc[6, "R1804"] = -1
    told = refused(folder(tmp_path, household=household))
    assert told.startswith("mapping.yml: 3 problems")
    for text, words in {
        "weight: FWT": "3 of 300 values of weight are not above 0",
        "household_size": "2 of 300 values of household_size are not between 1 and 100",
        "floor_area_m2": "1 of 300 values of floor_area_m2 are not above 0",
    }.items():
        assert f"line {line_of(text)} (survey 2017-03): {words}" in told


def test_missing_weights_and_broken_sizes(tmp_path):
    household = three_files(invented())["household"].astype({"R301": float})
    household.loc[1, "FWT"] = np.nan
    told = refused(folder(tmp_path, household=household))
    assert "1 of 300 values of weight are missing" in told
    household.loc[1, "R301"] = 2.5
    assert "R301 is no whole number in 1 of 300 rows" in refused(
        folder(tmp_path, household=household)
    )


def test_ids_twice_and_ids_without_a_household(tmp_path):
    files = three_files(invented())
    again = pd.concat([files["household"], files["household"][:3]])
    line = [i for i, row in enumerate(MAPPING.splitlines(), 1) if "id: [PSU" in row]
    told = refused(folder(tmp_path, household=again))
    assert f"line {line[0]} (survey 2017-03): 3 rows of household.csv repeat the id" in told
    told = refused(folder(tmp_path, mapping=MAPPING.replace("      where: {R403: 1}\n", "")))
    assert (
        "line 19 (survey 2017-03): 300 rows of members.csv repeat" not in told
    )  # codes come first
    files = three_files(invented())
    members = pd.concat([files["members"], files["members"].query("R403 == 1")[:4]])
    told = refused(folder(tmp_path, members=members))
    assert (
        f"line {line[1]} (survey 2017-03): 4 rows of members.csv repeat the id of another" in told
    )
    assert "choose one row each with where:" in told
    few = files["consumption"].query("PSU != 0")
    few = pd.concat([few, few[:1].assign(PSU=900)])
    told = refused(folder(tmp_path, consumption=few))
    assert (
        f"line {line[2]} (survey 2017-03): 10 of the 300 households of household.csv are not in "
        "consumption.csv, and 1 of consumption.csv are not in household.csv"
    ) in told
    mapping = MAPPING.replace("total: true", "total: true\n      unmatched: drop")
    data = microdata.read(folder(tmp_path, mapping=mapping, consumption=few))
    assert len(data.survey) == 290 and "they are left out" in data.notes[0]
    files["household"].loc[0, "NURT"] = None
    told = refused(folder(tmp_path, household=files["household"]))
    assert f"line {line[0]} (survey 2017-03): NURT is missing in 1 of 300 rows" in told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("synthetic: false\n", "", "line 1: say whether the data are simulated"),
        ("synthetic: false", "synthetic: maybe", "line 1: synthetic is one of false, true"),
        ("survey:", "surveys:", "line 2: the mapping has no 'surveys'; perhaps survey"),
        ("2017-03:", "March 2017:", "line 3: a period is written as 2017-03"),
        ("    head_age:", "    head_aged:", "line 22: the columns of survey has no 'head_aged'"),
        ("    head_age: R407", "    weight: R407", "line 22: weight is in line 11 too"),
        (
            "      total: true",
            "      totals: true",
            "line 27: a file has no 'totals'; perhaps total",
        ),
        ("{piped: 3,", "{pipe: 3,", "line 17: the codes of water has no 'pipe'; perhaps piped"),
        ("{piped: 3,", "{piped: 01,", "line 17: water: code 1 is there twice"),
        ("widths: [2, 2]", "widths: [2]", "line 7: join needs widths"),
        ("{sum: [FOOD, NONFOOD]}", "{join: [FOOD]}", "line 29: expenditure_rp is number"),
        ("        weight: FWT\n", "", "line 4: survey needs a column for weight"),
        ("      id: [PSU, NURT]\n      total", "      total", "id is missing"),
        ("file: household.EXT", "file: household.xyz", "line 4: the name does not tell the format"),
        ("column: R1810", "colum: R1810", "line 16: water has no 'colum'; perhaps column"),
        ("synthetic: false", "synthetic: [false", "line 2: no valid YAML"),
        ("{R403: 1}", "{R403: 7}", "line 20 (survey 2017-03): where leaves no row of members.csv"),
    ],
)
def test_a_wrong_mapping_is_told_with_its_line(tmp_path, old, new, told):
    assert old in MAPPING
    words = refused(folder(tmp_path, mapping=MAPPING.replace(old, new)))
    assert f"mapping.yml {told}" in words or (told == "id is missing" and told in words), words


def test_no_mapping_and_unknown_periods(tmp_path, monkeypatch):
    with pytest.raises(microdata.MicrodataError, match="set MICRODATA"):
        microdata.read()
    with pytest.raises(microdata.MicrodataError, match=r"does not exist: .*susenas_example\.yml"):
        microdata.read(tmp_path)
    monkeypatch.setenv("MICRODATA", str(folder(tmp_path)))
    assert len(microdata.read().survey) == 300
    with pytest.raises(microdata.MicrodataError, match=r"no survey of 2018-03 \(there are: 2017"):
        microdata.read(periods=["2018-03"])
    assert microdata.read(tables=["census"]).survey is None


# ---- codes of areas --------------------------------------------------------------------------


def masked(tmp_path: Path, codes: list, spec: str = "kota") -> Path:
    """A survey with nothing but a kota."""
    n = len(codes)
    table = pd.DataFrame({"id": range(n), "kota": codes, "w": 1.0, "size": 1, "e": 1e6})
    write(table, tmp_path / "s.dta")
    (tmp_path / "mapping.yml").write_text(
        "synthetic: false\nsurvey:\n  2017-03:\n    file: s.dta\n    id: id\n    columns:\n"
        f"      kota_code: {spec}\n"
        "      weight: w\n      household_size: size\n      expenditure_rp: e\n"
    )
    return tmp_path


def test_files_masked_below_the_kota_are_accepted(tmp_path):
    data = microdata.read(masked(tmp_path, [3171.0, 3101.0]))
    assert list(data.survey["kota_code"]) == ["3171", "3101"]
    assert data.survey[["kecamatan_code", "kelurahan_code"]].isna().all(axis=None)
    assert data.lowest_level == "kota"
    words = data.needed_for_more()
    assert words.startswith("Estimates are possible by kota. Of the households of the survey, none")
    assert "no census or register" in words
    assert "no cluster in the mapping" in " ".join(data.notes)


def test_levels_take_both_the_survey_and_the_census(tmp_path):
    write(census_file(), tmp_path / "census.csv")
    census = CENSUS.replace("EXT", "csv").removeprefix("synthetic: false\n")
    both = microdata.read(folder(tmp_path, mapping=MAPPING + census))
    assert both.lowest_level == "kelurahan" and both.needed_for_more() == ""
    few = three_files(invented())["household"].copy()
    few.loc[:9, "KEL"] = np.nan
    some = microdata.read(folder(tmp_path, mapping=MAPPING + census, household=few))
    assert some.lowest_level == "kota" and "290 of 300 carry" in some.needed_for_more()


def test_dotted_codes_are_those_of_kemendagri(tmp_path):
    data = microdata.read(masked(tmp_path, ["31.71", "31.74"]))
    assert list(data.survey["kota_code"]) == ["3173", "3171"]
    data = microdata.read(masked(tmp_path, ["3171"], "{column: kota, coding: kemendagri}"))
    assert list(data.survey["kota_code"]) == ["3173"]


def test_kota_codes_that_fit_only_kemendagri_are_refused(tmp_path):
    """3171 is Jakarta Selatan for BPS and Jakarta Pusat, with half as many people, for Kemendagri."""
    table = sources.read("kelurahan_population_2024")
    people = table.groupby(table["kelurahan_code"].str[:4])["population_count"].sum() // 10_000
    bps = [int(code) for code, n in people.items() for _ in range(n)]
    assert len(microdata.read(masked(tmp_path, bps)).survey) == len(bps)
    other = {int(b): int(k.replace(".", "")) for b, k in regions.KEMENDAGRI_KOTA.items()}
    swapped = [other[code] for code in bps]
    told = refused(masked(tmp_path, swapped))
    assert "line 7 (survey 2017-03): the residents by kota fit the codes of Kemendagri" in told
    put_right = microdata.read(masked(tmp_path, swapped, "{column: kota, coding: kemendagri}"))
    assert put_right.survey["kota_code"].value_counts()["3171"] == people["3171"]
    microdata.read(masked(tmp_path, swapped, "{column: kota, coding: bps}"))


def test_kelurahan_codes_of_kemendagri_are_refused_or_translated(tmp_path, monkeypatch):
    monkeypatch.setattr(regions, "kemendagri_codes", some_kemendagri_codes)
    codes = some_kemendagri_codes()
    files = three_files(invented())
    bps = files["household"]["KEL"].map("{:.0f}".format)
    household = files["household"].assign(KEL=bps.map(codes).str.replace(".", ""))
    told = refused(folder(tmp_path, household=household))
    line = line_of("kelurahan_code")
    assert f"line {line} (survey 2017-03): 300 rows have codes of Kemendagri" in told
    # In SPSS they come as numbers.
    mapping = MAPPING.replace(": KEL", ": {column: KEL, coding: kemendagri}")
    data = microdata.read(
        folder(tmp_path, "sav", mapping, household=household.astype({"KEL": float}))
    )
    assert sorted(data.survey["kelurahan_code"]) == sorted(bps)
    # The kota is still told by BPS codes here; Kemendagri's would contradict.
    other = household.assign(R102=[int(c[2:4]) for c in household["KEL"]])
    told = refused(folder(tmp_path, mapping=mapping, household=other))
    assert "kota_code contradicts kelurahan_code in" in told


def test_areas_outside_jakarta_are_refused(tmp_path):
    told = refused(masked(tmp_path, [3171, 3275, 3275]))
    assert "2 rows have a kota_code that is none of DKI Jakarta (1 codes; first: 3275)" in told


def test_ids_in_single_precision_are_refused(tmp_path):
    household = three_files(invented())["household"]
    household["PSU"] = (household["PSU"] + 20_000_000).astype("float32")
    told = refused(folder(tmp_path, "dta", household=household))
    assert "PSU of household.dta is stored in single precision" in told


# ---- records ---------------------------------------------------------------------------------


def test_reads_are_recorded_by_name_and_checksum_only(tmp_path):
    (tmp_path / "private").mkdir()
    microdata.read(folder(tmp_path / "private"))
    reads = {read["path"]: read for read in provenance.reads()}
    names = {"household.csv", "members.csv", "consumption.csv", "mapping.yml"}
    assert {f"MICRODATA/{name}" for name in names} <= set(reads)
    assert str(tmp_path) not in str(reads)
    file = tmp_path / "private" / "household.csv"
    assert reads["MICRODATA/household.csv"]["sha256"] == provenance.sha256(file)
    assert not provenance.synthetic()


def test_simulated_files_mark_the_run_whatever_the_mapping_says(tmp_path):
    microdata.read(folder(tmp_path, mapping=MAPPING.replace("synthetic: false", "synthetic: true")))
    assert provenance.synthetic()
    provenance._reads.clear()
    tables = three_files(invented())
    tables["members"].attrs["synthetic"] = True
    data = microdata.read(folder(tmp_path, "parquet", members=tables["members"]))
    assert data.synthetic and provenance.synthetic()


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    place = tmp_path / "here"
    place.mkdir()
    (tmp_path / "data").mkdir()
    folder(tmp_path / "data")
    before = sorted((tmp_path / "data").iterdir())
    monkeypatch.chdir(place)
    microdata.read(tmp_path / "data", memory="200MB")
    assert not [*place.iterdir()] and sorted((tmp_path / "data").iterdir()) == before


# ---- small cells -----------------------------------------------------------------------------


def two_way(counts: np.ndarray) -> pd.DataFrame:
    """A row per cell of an array, the groups of each axis as text."""
    place = np.indices(counts.shape).reshape(counts.ndim, -1)
    axes = {f"axis{i}": np.char.add("g", p.astype(str)) for i, p in enumerate(place)}
    return pd.DataFrame({**axes, "n": counts.ravel(), "rate": counts.ravel() / 7.0})


def test_one_small_cell_takes_the_next_smallest_with_it():
    table = pd.DataFrame(
        {
            "kota_code": ["3171"] * 4 + ["3172"] * 3,
            "n": [3, 40, 12, 90, 30, 40, 50],
            "poor": [1, 9, 3, 20, 10, 12, 12],
        }
    )
    table["p0"] = table["poor"] / table["n"]
    out = microdata.suppress(table[["kota_code", "n", "p0"]], ["n"], ["kota_code"])
    assert list(out["suppressed"]) == [True, False, True, False] + [False] * 3
    assert out.loc[out["suppressed"], ["n", "p0"]].isna().all(axis=None)
    assert out.loc[~out["suppressed"], "n"].tolist() == [40, 90, 30, 40, 50]
    assert not out["total_kota_code_suppressed"].any() and not out["total_suppressed"].any()
    # The poor among them, and those who are not: what is left of the total is small as well.
    out = microdata.suppress(table, ["n"], ["kota_code"], of={"poor": "n"})
    assert list(out["suppressed"][:4]) == [True, True, True, False]
    assert microdata.suppress(table, ["n"], threshold=3)["suppressed"].sum() == 0


def test_a_part_that_is_almost_the_whole_is_small():
    table = pd.DataFrame({"n": [40, 40, 50, 60], "poor": [38, 20, 20, 20]})
    assert microdata.suppress(table, ["n"], of={"poor": "n"})["suppressed"].iloc[0]
    assert not microdata.suppress(table, ["n", "poor"])["suppressed"].any()


def test_a_total_that_nothing_protects_is_withheld():
    """A group of one cell; and its total does not follow from the other totals either."""
    table = pd.DataFrame({"kota": ["a", "b", "b", "b", "c", "c"], "n": [5, 20, 30, 40, 25, 35]})
    out = microdata.suppress(table, ["n"], ["kota"])
    total = out.groupby("kota")["total_kota_suppressed"].first()
    assert out.loc[0, "suppressed"] and total["a"] and total.sum() >= 2
    assert not out["total_suppressed"].any()


def test_numbers_go_and_what_says_nothing_stays():
    table = pd.DataFrame(
        {
            "kelurahan": ["A", "B", "C"],
            "n": [1, 9, 30],
            "poorest_tenth": [True, False, False],
            "area_km2": [1.0, 2.0, 3.0],
        }
    )
    out = microdata.suppress(table, ["n"], keep=["area_km2"])
    assert list(out["kelurahan"]) == ["A", "B", "C"] and out["area_km2"].notna().all()
    assert out["poorest_tenth"].isna().tolist() == out["n"].isna().tolist() == [True, True, False]
    assert table["n"].tolist() == [1, 9, 30], "the argument is not changed"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"n": [1, None]}, "missing or negative"),
        ({"n": [1, -1]}, "missing or negative"),
        ({"n": ["a", "b"]}, "should be numbers"),
        ({"m": [1]}, "no column n"),
    ],
)
def test_counts_that_cannot_be_checked_are_refused(table, told):
    with pytest.raises(microdata.MicrodataError, match=told):
        microdata.suppress(pd.DataFrame(table), ["n"])


def system(out: pd.DataFrame, table: pd.DataFrame, groups: list[list[str]]):
    """What a reader has: unknown cells, and the equations of the totals that are published.

    Built from the answer alone, as a reader would: only published totals, over the cells.
    """
    unknown = np.flatnonzero(out["suppressed"])
    rows, left = [], []
    for group in [[], *groups]:
        flag = "_".join(["total", *group, "suppressed"])
        key = table.groupby(group).ngroup() if group else pd.Series(0, index=table.index)
        for number in key.unique():
            inside = (key == number).to_numpy()
            if not out.loc[inside, flag].iloc[0]:
                rows.append(inside[unknown].astype(int))
                left.append(table.loc[inside & out["suppressed"].to_numpy(), "n"].sum())
    return unknown, np.array(rows).reshape(len(rows), len(unknown)), np.array(left)


counts_2d = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(
        st.one_of(st.integers(0, 12), st.integers(0, 200)),
        min_size=shape[0] * shape[1],
        max_size=shape[0] * shape[1],
    ).map(lambda values: np.array(values).reshape(shape))
)


@given(
    counts=counts_2d,
    groups=st.sampled_from(
        [[], [["axis0"]], [["axis0"], ["axis1"]], [["axis0"], ["axis0", "axis1"]]]
    ),
    threshold=st.sampled_from([3, 8, 20]),
)
@settings(max_examples=250, deadline=None)
def test_no_suppressed_cell_follows_from_what_is_published(counts, groups, threshold):
    table = two_way(counts)
    out = microdata.suppress(table, ["n"], groups, threshold=threshold)
    assert (out["n"].isna() == out["suppressed"]).all() and (
        out["rate"].isna() == out["n"].isna()
    ).all()
    assert out.loc[~out["suppressed"], "n"].ge(threshold).all()
    unknown, equations, left = system(out, table, groups)
    # A cell is determined if adding "this cell alone" to the equations adds nothing new.
    rank = np.linalg.matrix_rank(equations) if equations.size else 0
    for i in range(len(unknown)):
        alone = np.eye(len(unknown), dtype=int)[i]
        assert np.linalg.matrix_rank(np.vstack([equations, alone])) == rank + 1
    # What is left of a published total for its suppressed cells is none or not small.
    covered = equations.sum(axis=1)
    assert ((left >= threshold) | (covered == 0)).all() and (covered != 1).all()
    # No total that is withheld follows from the published ones, and all published are not small.
    for group in groups:
        flag = "_".join(["total", *group, "suppressed"])
        for _, cells in table.groupby(group):
            inside = np.isin(np.arange(len(table)), cells.index)
            if out.loc[inside, flag].iloc[0]:
                row = inside[unknown].astype(int)
                assert np.linalg.matrix_rank(np.vstack([equations, row])) == rank + 1
            else:
                assert cells["n"].sum() >= threshold


def test_the_proof_can_fail():
    """Primary suppression alone does not pass the check above."""
    table = two_way(np.array([[3, 20, 30], [20, 30, 40]]))
    small = (table["n"] < 8).to_numpy()
    out = table.assign(suppressed=small, total_suppressed=False, total_axis0_suppressed=False)
    _, equations, _ = system(out, table, [["axis0"]])
    assert np.linalg.matrix_rank(equations) == 1 and equations.shape[1] == 1


def test_nothing_small_nothing_suppressed():
    hidden, totals = _hide(np.full((6, 1), 50.0), [np.zeros(6, int), np.arange(6) // 2], 8)
    assert not hidden.any() and not any(t.any() for t in totals)


def test_messages_hold_no_path_of_the_library(tmp_path):
    assert not re.search(r"site-packages|Traceback", refused(masked(tmp_path, [1])))
