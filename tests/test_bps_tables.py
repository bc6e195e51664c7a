import io
import json
import math
import random
import re
import zipfile
from pathlib import Path

import bps_files as files
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis import regions
from analysis.bps import BpsFormatError, numbers, read_table
from analysis.bps.tables import COLUMNS

TEXT_CELL = b"\xfd\x00\x0a\x00"  # the beginning of a cell with a text in an XLS
XLS = Path(__file__).parent / "fixtures" / "kota_2023.xls"


def read(content: bytes | str, name: str = "table.csv", **options) -> pd.DataFrame:
    """Read bytes as if they came from a file of that name."""
    buffer = io.BytesIO(content.encode() if isinstance(content, str) else content)
    buffer.name = name
    return read_table(buffer, **options)


def cell(table, area, period, indicator=None):
    own = table[(table["area"] == area) & (table["period"] == period)]
    if indicator:
        own = own[own["indicator"] == indicator]
    assert len(own) == 1
    return own.iloc[0]


# ---- every habit, in small -------------------------------------------------------------------


def test_csv_of_the_website():
    table = read(files.PROVINCES_CSV, "poverty_2022.csv")
    assert list(table.columns) == COLUMNS
    assert len(table) == 5 * 6  # no note is a row, no row is lost
    row = cell(table, "DKI Jakarta", "2022-09", "Jumlah Penduduk Miskin")
    assert (row["area_code"], row["unit"], row["value"]) == ("31", "ribu", 494.93)
    assert row["value_as_published"] == "494.93" and row["flag"] == ""
    assert cell(table, "DKI Jakarta", "2022-03", "Garis Kemiskinan")["unit"] == "Rp"
    assert cell(table, "DKI Jakarta", "2022-03", "Persentase Penduduk Miskin")["unit"] == "persen"
    flags = {
        "not available": cell(table, "Aceh", "2022-09", "Garis Kemiskinan"),
        "none": cell(table, "Kep. Riau", "2022-09", "Garis Kemiskinan"),
        "NA": cell(table, "Kep. Riau", "2022-09", "Persentase Penduduk Miskin"),
        "empty": cell(table, "Papua Selatan", "2022-03", "Garis Kemiskinan"),
    }
    for flag, row in flags.items():
        assert row["flag"] == flag and math.isnan(row["value"])
    assert table.drop_duplicates("area").set_index("area")["area_code"].to_dict() == {
        "Aceh": "11", "DKI Jakarta": "31", "Kep. Riau": "21", "Papua Selatan": "95", "Indonesia": "00",
    }  # fmt: skip


def test_a_table_without_year_asks_for_it():
    with pytest.raises(
        BpsFormatError, match=r"names a month, but nothing says the year: give year="
    ):
        read(files.PROVINCES_CSV)
    assert set(read(files.PROVINCES_CSV, year=2022)["period"]) == {"2022-03", "2022-09"}


def test_header_over_three_lines():
    table = read(files.POPULATION_CSV)
    row = cell(table, "Kep Seribu", "2023")
    assert (row["area_code"], row["unit"], row["value"]) == ("3101", "Jiwa", 28523)
    assert row["indicator"] == "Jumlah Penduduk Menurut Kabupaten/Kota di Provinsi DKI Jakarta"
    assert cell(table, "DKI Jakarta", "2023")["area_code"] == "31"


def test_semicolon_decimal_comma_and_thousands_points():
    table = read(files.SEMICOLON_CSV, "kabkota_2021.csv")
    spending = "Pengeluaran per Kapita Disesuaikan"
    assert cell(table, "Jakarta Utara", "2021", spending)["value"] == 17911.5
    assert cell(table, "Jakarta Utara", "2021", spending)["unit"] == "Ribu Rupiah/Orang/Tahun"
    rate = "Persentase Penduduk Miskin (P0) Menurut Kabupaten/Kota"  # (P0) is no unit
    assert cell(table, "Kepulauan Seribu", "2021", rate)["value"] == 15.06
    assert cell(table, "Kepulauan Seribu", "2021", rate)["area_code"] == "3101"
    assert pd.isna(cell(table, "Nduga *", "2021", rate)["area_code"])  # not known, not guessed


def test_title_two_header_lines_units_and_a_footnote_mark():
    table = read(files.TWO_LINES_CSV)
    assert cell(table, "Jakarta Pusat", "2021-09", "Jumlah")["value"] == 41.9
    assert cell(table, "Jakarta Pusat", "2021-09", "Persentase")["flag"] == "*"
    assert cell(table, "Jakarta Barat", "2021-03", "Jumlah")["unit"] == "ribu"


def test_long_xlsx_of_satu_data():
    table = read(files.xlsx(files.SATU_DATA), "penduduk.xlsx")
    row = cell(table, "TANAH TINGGI", "2024", "jumlah penduduk")
    assert (row["area_code"], row["value"]) == ("3173040003", 45230)
    assert cell(table, "KALI BARU", "2024", "jumlah kepadatan")["area_code"] == "3175060007"
    assert cell(table, "P. TIDUNG", "2024", "jumlah kepadatan")["area_code"] == "3101010001"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_long_table_of_indicators(kind):
    grid = files.SATU_DATA_INDICATORS
    table = read(files.as_csv(grid) if kind == "csv" else files.xlsx(grid))
    assert set(table["period"]) == {"2025-03", "2025-09"}
    own = table[(table["period"] == "2025-09") & (table["unit"] == "Persen")].iloc[0]
    assert own["value"] == 4.03 and own["indicator"] == "Persentase Penduduk Miskin"
    assert table["area"].isna().all()  # the file names none


def test_merged_headers_title_and_note_of_a_spreadsheet():
    content = files.xlsx(files.MERGED, merged=["A2:A3", "B2:C2"])
    table = read(content, "tpt.xlsx")
    assert len(table) == 4
    row = cell(table, "DKI Jakarta", "2021-08", "TPT")
    assert (row["value"], row["unit"], row["value_as_published"]) == (8.5, "Persen", "8.5")
    assert cell(table, "Banten", "2021-08")["flag"] == "not available"


def test_years_as_numbers_in_the_header_of_a_spreadsheet():
    table = read(
        files.xlsx([["Tahun", 2010.0, 2011.0], ["ACEH", 8.37, 9.0], ["DKI JAKARTA", 11.05, 10.8]])
    )
    row = cell(table, "ACEH", "2011")
    assert row["value"] == 9 and row["value_as_published"] == "9" and row["area_code"] == "11"
    assert pd.isna(row["indicator"])


def test_old_xls_with_title_merged_headers_and_a_note():
    table = read_table(XLS)
    assert len(table) == 12
    row = cell(table, "Jakarta Utara", "2023-03", "Persentase Penduduk Miskin")
    assert (row["area_code"], row["value"], row["unit"]) == ("3175", 6.78, "persen")
    assert cell(table, "Jakarta Pusat", "2023-03", "Persentase Penduduk Miskin")["value"] == 4.68
    assert (
        cell(table, "Jakarta Barat", "2023-03", "Persentase Penduduk Miskin")["flag"]
        == "not available"
    )


def test_a_cut_off_xls_is_refused_and_cannot_end_the_process():
    with pytest.raises(BpsFormatError, match="the spreadsheet is damaged"):
        read(XLS.read_bytes()[:2500], "cut.xls")


def test_a_damaged_xls_is_refused_at_once_or_read_as_it_is():
    content, rng = XLS.read_bytes(), random.Random(7)
    sound, refused = read_table(XLS), 0
    for case in range(60):
        spoilt = bytearray(content)
        at = rng.randrange(8, len(content))
        if case % 3 == 0:
            del spoilt[at:]
        elif case % 3 == 1:
            del spoilt[at : at + rng.randint(1, 600)]
        else:
            for _ in range(rng.randint(1, 6)):
                spoilt[rng.randrange(8, len(content))] ^= 1 << rng.randrange(8)
        try:
            table = read(bytes(spoilt), "damaged.xls")
        except BpsFormatError:
            refused += 1
            continue
        assert len(table) == len(sound)  # the bytes of a figure or a name may differ, no row
    assert refused >= 45


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c[:2500], "sector .* is cut off"),
        (lambda c: c[:30] + b"\x03" + c[31:], "its sectors have no possible size"),
        # A cell whose place or kind is spoilt would be passed over by the reader.
        (
            lambda c: re.sub(TEXT_CELL + b"..", TEXT_CELL + b"\xff\x7f", c, count=1),
            "is out of place",
        ),
        (lambda c: c.replace(TEXT_CELL, b"\xfd\x0a\x0a\x00", 1), "among the cells"),
    ],
)
def test_what_is_wrong_with_an_xls_is_told(change, told):
    with pytest.raises(BpsFormatError, match=told):
        read(change(XLS.read_bytes()), "damaged.xls")


def test_several_sheets_ask_which():
    content = files.xlsx(files.MERGED, merged=["A2:A3", "B2:C2"], sheets=2)
    with pytest.raises(BpsFormatError, match="there are 2 sheets .*say which with sheet="):
        read(content)
    pd.testing.assert_frame_equal(read(content, sheet=0), read(content, sheet="Sheet2"))


def test_webapi():
    table = read(files.webapi(), "var621.json")
    assert len(table) == 3 * 2 * 2  # every listed combination, the missing ones too
    row = cell(table, "DKI JAKARTA", "2024-09")
    assert (row["area_code"], row["value"], row["unit"]) == ("31", 4.14, "Persen")
    assert cell(table, "INDONESIA", "2025-03")["area_code"] == "00"
    missing = cell(table, "Jakarta Utara & sekitarnya", "2025-09")
    assert (
        missing["area_code"] == "3175"
        and math.isnan(missing["value"])
        and missing["flag"] == "empty"
    )


def test_webapi_keys_that_stand_for_two_combinations_are_refused():
    # 3101 + 62 + ... and 310 + 162 + ... : the same digits.
    content = files.webapi(
        vervar=[{"val": 31, "label": "A"}, {"val": 316, "label": "B"}],
        var=[{"val": 621, "label": "x", "unit": ""}, {"val": 21, "label": "y", "unit": ""}],
        datacontent={},
    )
    with pytest.raises(BpsFormatError, match="stands for two combinations"):
        read(content)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"datacontent": {"1": 2}}, "1 keys of the answer fit no listed combination"),
        ({"data-availability": "list-not-available"}, "no such table"),
        ({"status": "Error", "message": "Key not valid"}, "answered with an error .Key not valid"),
        ({"datacontent": []}, "has no figures"),
        ({"vervar": []}, "lists no areas"),
        ({"vervar": None}, "lacks or spoils"),
        ({"tahun": [{"val": 1, "label": "then"}]}, "where a year belongs"),
        ({"datacontent": {"3100621012461": [1]}}, "where a figure belongs"),
    ],
)
def test_webapi_answers_without_a_table_are_refused(changes, told):
    with pytest.raises(BpsFormatError, match=told):
        read(files.webapi(**changes))


def test_static_table_of_the_webapi():
    import html

    inner = html.escape(files.HTML.split("<body>")[1].split("</body>")[0].split("</h1>")[1])
    answer = {"status": "OK", "data": {"title": "Kemiskinan 2024", "table": inner}}
    table = read(json.dumps(answer))
    assert cell(table, "Jakarta Utara", "2024-03")["value"] == 6.44


def test_scripts_and_comments_of_a_page_are_no_tables():
    page = files.HTML.replace("<h1>", "<script>row = '<tr><td>' + x</script><!-- <td> --><h1>")
    pd.testing.assert_frame_equal(read(page, "page.html"), read(files.HTML, "page.html"))


def test_html_saved_from_the_website():
    table = read(files.HTML, "page.html")
    row = cell(table, "Jakarta Utara", "2024-03", "Persentase Penduduk Miskin")
    assert (row["area_code"], row["value"], row["unit"]) == ("3175", 6.44, "Persen")
    assert cell(table, "Jakarta Pusat", "2024-09")["flag"] == "none"


@pytest.mark.parametrize(
    ("heading", "wanted"),  # indicator, unit, period
    [
        ("Poor People (thousand) - March 2022", ("Poor People", "thousand", "2022-03")),
        ("Mar 2022", (None, None, "2022-03")),
        ("P0 2022 Semester 1 (Maret)", ("P0", None, "2022-03")),
        ("P0 Semester II 2022", ("P0", None, "2022-S2")),
        ("PDRB Triwulan IV 2022", ("PDRB", None, "2022-Q4")),
        ("P0 - 2022-09", ("P0", None, "2022-09")),
        ("202209", (None, None, "2022-09")),
        ("PDRB ADHK 2010 (Miliar Rp)", ("PDRB ADHK 2010", "Miliar Rp", "1999")),
        ("IHK (2018=100) 2022", ("IHK (2018=100)", None, "2022")),
        ("Rata-rata 2015-2019", ("Rata-rata 2015-2019", None, "1999")),
        ("Penduduk (jiwa) - Laki-laki - 2020", ("Penduduk - Laki-laki", "jiwa", "2020")),
        ("2023*", (None, None, "2023")),
        ("2023 **)", (None, None, "2023")),
        ("P0 2023 1)", ("P0", None, "2023")),
        ("Kelompok (kolom 2) 2023", ("Kelompok (kolom 2)", None, "2023")),
        ("Miskin (P0)", ("Miskin (P0)", None, "1999")),
        ("Penduduk Miskin 2022 (000 jiwa)", ("Penduduk Miskin", "000 jiwa", "2022")),
        ("Penduduk Miskin (P0) (Percent)", ("Penduduk Miskin (P0)", "Percent", "1999")),
    ],
)
def test_what_headings_say(heading, wanted):
    row = read(f"Provinsi,{heading}\nAceh,1.5\n", "table_1999.csv").iloc[0]
    told = tuple(None if pd.isna(row[c]) else row[c] for c in ("indicator", "unit", "period"))
    assert told == wanted


@pytest.mark.parametrize(
    ("title", "indicator", "unit"),
    [
        ("Tabel 1.2 Penduduk Miskin (ribu) 2019-2021", "Penduduk Miskin", "ribu"),
        ("Persentase Penduduk Miskin Maret 2021", "Persentase Penduduk Miskin", "persen"),
    ],
)
def test_a_title_names_the_indicator_where_headings_are_periods(title, indicator, unit):
    row = read(f"{title},,\nProvinsi,2020,2021\nAceh,1.5,2.5\n").iloc[0]
    assert (row["indicator"], row["unit"], row["period"]) == (indicator, unit, "2020")


def test_a_row_that_numbers_the_columns_is_no_row():
    for numbering in ("(1),(2),(3)", "1,2,3"):
        table = read(f"Provinsi,2020,2021\n{numbering}\nAceh,1.5,2.5\n")
        assert list(table["value"]) == [1.5, 2.5]


def test_titles_and_notes_merged_over_the_whole_table():
    rows = [["Kemiskinan 2021", None, None], *files.MERGED[1:]]
    table = read(files.xlsx(rows, merged=["A1:C1", "A2:A3", "B2:C2", "A6:C6"]))
    assert list(table["period"]) == ["2021-02", "2021-08"] * 2
    assert list(table["area"].unique()) == ["DKI Jakarta", "Banten"]


def test_notes_without_the_word_and_with_commas():
    for note in ("Angka sementara,", "1) Angka sementara,", "r) Angka diperbaiki,",
                 "Sumber: BPS, Susenas, Maret 2021"):  # fmt: skip
        assert list(read(f"Provinsi,2020\nAceh,1\n{note}\n")["area"]) == ["Aceh"]


def test_names_of_areas_with_notes_and_words_before_them():
    table = read("38 Provinsi,2024\nPROVINSI ACEH,1\nPapua Barat 1),2\nRiau*),3\nBali²,4\n")
    assert list(table["area_code"]) == ["11", "91", "14", "51"]
    # A direction alone may be of any place.
    table = read("Wilayah,2024\nUtara,1\nJakarta Utara,2\n")
    assert pd.isna(table["area_code"][0]) and table["area_code"][1] == "3175"


@pytest.mark.parametrize("form", ["31.71", 3171])
def test_codes_of_kemendagri_are_not_taken_for_those_of_bps(form):
    other = "31.74" if isinstance(form, str) else 3174
    rows = [["Kode", "Kabupaten/Kota", "2021"], [form, "Jakarta Pusat", 1.5]]
    rows += [[other, "Jakarta Selatan", 2.5], [1101, "Simeulue", 3.5]]
    codes = read(files.xlsx(rows))["area_code"]
    assert list(codes[:2]) == ["3173", "3171"] and pd.isna(codes[2])


def test_codes_of_bps_are_taken_where_they_agree_with_the_names():
    rows = [["No", "Kode", "Kabupaten/Kota", "2021"], [1, 3171, "Jakarta Selatan", 1.5]]
    rows += [[2, 1101, "Simeulue", 3.5]]
    assert list(read(files.xlsx(rows))["area_code"]) == ["3171", "1101"]
    long = "tahun,kode_wilayah,wilayah,nilai\n2021,3171,Jakarta Selatan,1\n2021,1101,Simeulue,2\n"
    assert list(read(long)["area_code"]) == ["3171", "1101"]


def test_long_tables_with_months_units_in_headings_and_english_names():
    table = read("tahun,bulan,wilayah,nilai\n2021,3,Jakarta Utara,1\n2021,9,Jakarta Utara,2\n")
    assert list(table["period"]) == ["2021-03", "2021-09"]
    table = read("Tahun,Semester,P0 (%)\n2021,1,1.5\n2021,Semester 2 (September),2.5\n")
    assert list(table["period"]) == ["2021-S1", "2021-09"]
    assert set(table["indicator"]) == {"P0"} and set(table["unit"]) == {"%"}
    table = read("year,regency,value\n2021,Jakarta Utara,1\n2021,Jakarta Barat,2\n")
    assert list(table["area_code"]) == ["3175", "3174"]
    table = read("tahun,periode_data,wilayah,nilai\n2021,202103,Jakarta Utara,1\n")
    assert list(table["period"]) == ["2021-03"]
    table = read("periode_data,wilayah,nilai\nMaret 2021,Jakarta Utara,1\n")
    assert list(table["period"]) == ["2021-03"]
    with pytest.raises(BpsFormatError, match="line 2 has the periods 2020 and 2021-03"):
        read("tahun,periode_data,wilayah,nilai\n2020,202103,Jakarta Utara,1\n")
    with pytest.raises(BpsFormatError, match="line 2 has 'lalu' as its period"):
        read("periode_data,wilayah,nilai\nlalu,Jakarta Utara,1\n")
    with pytest.raises(BpsFormatError, match="line 2 has '13' as its bulan"):
        read("tahun,bulan,wilayah,nilai\n2021,13,Jakarta Utara,1\n")


def test_rows_of_indicators_are_no_areas():
    table = read("Uraian,2020,2021\nGaris Kemiskinan (Rp),500.5,600.5\nGini,0.39,0.4\n")
    assert table["area"].isna().all() and table["area_code"].isna().all()
    assert list(table["indicator"]) == ["Garis Kemiskinan"] * 2 + ["Gini"] * 2
    assert list(table["unit"].fillna("")) == ["Rp", "Rp", "", ""]


def test_areas_may_be_the_headings():
    table = read("Tahun,Jakarta Barat,DKI Jakarta\n2020,1.5,2.5\n2021,3.5,4.5\n")
    assert list(table["area_code"]) == ["3174", "31"] * 2
    assert list(table["area"]) == ["Jakarta Barat", "DKI Jakarta"] * 2
    assert table["indicator"].isna().all() and list(table["value"]) == [1.5, 2.5, 3.5, 4.5]


def test_kecamatan_have_codes_where_their_kota_is_known():
    table = read("periode_data,wilayah,kecamatan,jiwa\n2024,Jakarta Pusat,JOHAR BARU,1\n")
    assert list(table["area_code"]) == ["3173040"]


def test_webapi_of_the_domain_of_jakarta_numbers_its_kota_by_itself():
    content = files.webapi(
        labelvervar="Kabupaten/Kota",
        vervar=[{"val": 1, "label": "Kepulauan Seribu"}, {"val": 6, "label": "Jakarta Utara"}],
        turtahun=[{"val": 0, "label": "Tahun"}],
        datacontent={"162101240": 1, "662101250": 2},
    )
    assert list(read(content)["area_code"].unique()) == ["3101", "3175"]


def test_an_answer_of_the_client_is_read_as_it_is():
    pd.testing.assert_frame_equal(read_table(files.webapi()), read(files.webapi()))


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty: download it again"),
        (b" \r\n ", "the file is empty"),
        (b"%PDF-1.7 ...", "this is a PDF: take the table as CSV or XLSX"),
        (b"<html><head><title>404 Not Found</title></head><body>x</body></html>", "web page without a table .'404 Not Found'"),
        (b"<table><tr><td>a</td><td>1</td></tr>", "1 <table> but 0 </table>"),
        (files.PROVINCES_CSV.encode("utf-16"), "it seems to be UTF-16"),
        ("Provinsi,Kepadatan 2020 (per km\u00b2)\nAceh,1\n".encode("latin-1"), "is not UTF-8"),
        (b"Provinsi,2020\nAceh,1\x00\n", "binary or damaged"),
        (b"only words\nand more", "no table"),
        (b"Provinsi,2020 (Rp),2021 (Rp)\nAceh,1,2\nRiau,3", "line 3 has 2 fields where the table has 3"),
        (b"Provinsi,2020 (Rp),2021 (Rp)\n", "there is a header, but no row of figures"),
        (b"Aceh,1,2\nRiau,3,4\n", "the header is lost"),
        (b"Provinsi,2020,2021\n7.1,Aceh,2\n", "where the name of an area belongs"),
        (b"Provinsi,2020,2021\n,5,2\nAceh,3,4\n,5,2\n", "names no area"),
        (b"Provinsi,2020,2020\nAceh,1,2\n", "two columns have the same heading"),
        (b"Provinsi,2020\nAceh,1.234\nRiau,5.678\n", "1.234 can be read as 1.234 or as 1234.0"),
        (b"Provinsi,2020\nAceh,12x\n", "'12x' is no number"),
        (b"Provinsi,2020\nAceh,1\nKeterangan,\nx,5\n", "figures below the notes"),
        (b"Provinsi,2020,2021\nAceh,1,2\nRia", "line 3 stops after 'Ria'"),
        (b"Provinsi,2020,2021\n,5,2\nAceh,3,4\n", "line 2 names no area"),
        (b"Provinsi,2020,2021\n,...,-\nAceh,3,4\n", "line 2 names no area"),
        (b"Provinsi,2020,2021\nNA,5,2\nAceh,3,4\n", "where the name of an area belongs"),
        (b"Provinsi,2020,\nAceh,1,2\nRiau,3,4\n", "column 3 has figures, but no heading"),
        (b"Provinsi,2020\nAceh,1\n,\nProvinsi,2021\nAceh,2\n", "line 4 repeats the header"),
        (b"P0,P1,Provinsi\n,2020,2021\nAceh,1,2\n", "'Provinsi' stands over figures"),
        (b"periodX,wilayah,jiwa\n2024,Gambir,5\n", "'2024' where the name of an area belongs"),
        (b"Kab/Kota,\nJumlah,\n,2023\nKep Seribu,5\nJakarta Barat,6\n", "heading of the areas stands alone"),
        (b"tahun,wilayah,jiwa\n2024,Gambir,5\n2024,Menteng,6x\n", "'6x' is no number"),
        ("Provinsi,2020\nAceh\ufffd,1\n".encode(), "was lost when somebody saved the file"),
        (files.webapi().replace(b'"9999621012561"', b'"3100621012461"'), "occurs twice in the JSON"),
        (b'{"status": "OK", "vervar": [', "JSON is damaged or cut off"),
        (b"[1, 2]", "no answer of the BPS WebAPI"),
        (b"PK\x03\x04 cut off", "damaged or cut off"),
        (b"\xd0\xcf\x11\xe0 cut off", "damaged"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_by_name_with_a_cure(content, told):
    with pytest.raises(BpsFormatError, match=told) as error:
        read(content, "mine.csv")
    assert str(error.value).startswith("mine.csv: ") and "\n" not in str(error.value)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(BpsFormatError, match=r"nothing\.csv cannot be read .No such file"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(BpsFormatError, match=r"cannot be read .*null"):
        read_table("a\0b.csv")


def test_a_list_of_offices_is_no_statistical_table():
    grid = [["tahun", "kantor", "nama_kecamatan", "alamat", "lat", "lon"]]
    grid += [[2015, f"Kantor {i}", f"K{i}", f"Jl. {i}", -6.1, 106.8] for i in range(30)]
    with pytest.raises(BpsFormatError, match="this is a list, not a statistical table"):
        read(files.xlsx(grid))


def test_a_stray_cell_cannot_end_the_process():
    sound = zipfile.ZipFile(io.BytesIO(files.xlsx([["Provinsi", "2020"], ["Aceh", 1.5]])))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sound.namelist():
            stray = b'<row r="1048576"><c r="XFD1048576"><v>5</v></c></row></sheetData>'
            archive.writestr(name, sound.read(name).replace(b"</sheetData>", stray))
    with pytest.raises(BpsFormatError, match="one is far outside of the table"):
        read(buffer.getvalue(), "stray.xlsx")


# ---- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.234.567", "12"], [1234567, 12]),
        (["1,234,567", "12"], [1234567, 12]),
        (["829.8", "1453.87"], [829.8, 1453.87]),
        (["18,98", "7.148"], [18.98, 7148]),
        (["0.123", "1.234"], [0.123, 1.234]),  # no group of thousands begins with a zero
        (["1 234 567", "1\u00a0000"], [1234567, 1000]),
        (["3,78%", "−0,5"], [3.78, -0.5]),
        (["Rp 1.234,50", "2"], [1234.5, 2]),
        (["5*", "6**"], [5, 6]),
        (["4.8 1)", "5.25 r", "6.5*)", "7.5²", "8.5r)"], [4.8, 5.25, 6.5, 7.5, 8.5]),
        (["'505469", "Rp. 435454"], [505469, 435454]),
        (["–2.5", "1.25"], [-2.5, 1.25]),
    ],
)
def test_signs_are_decided_for_the_column(cells, values):
    np.testing.assert_array_equal(numbers.read(cells).values, values)


def test_marks_of_footnotes_become_flags_if_they_are_certain():
    read = numbers.read(["4.8 1)", "5.25 r", "... *)", "6"])
    assert read.flags == ["1)", "r", "not available", ""]
    for doubtful in ("12.51)", "502.0r"):  # a mark, or a spoilt digit
        with pytest.raises(numbers.NumberError, match="is no number"):
            numbers.read([doubtful])


def test_a_column_that_contradicts_itself_is_read_cell_by_cell_if_that_is_certain():
    read = numbers.read(["10,02", "7,5", "6.18", "9"])
    assert list(read.values) == [10.02, 7.5, 6.18, 9]
    assert read.flags == ["", "", numbers.ODD_SIGN, ""]
    with pytest.raises(numbers.NumberError, match=r"7\.148 can be read as 7\.148 or as 7148\.0"):
        numbers.read(["10,02", "6.18", "7.148"])


def test_two_readings_are_shown_and_settled_by_the_reader():
    with pytest.raises(numbers.NumberError, match=r"1\.234 can be read as 1\.234 or as 1234\.0"):
        numbers.read(["1.234", "5"])
    assert list(numbers.read(["1.234"], decimal=",").values) == [1234]
    assert list(numbers.read(["1.234"], thousands=",").values) == [1.234]
    with pytest.raises(numbers.NumberError, match="cannot be read with"):
        numbers.read(["1.23"], decimal=",")
    with pytest.raises(numbers.NumberError, match="cannot both be"):
        numbers.read(["1"], decimal=",", thousands=",")


# ---- round trips -----------------------------------------------------------------------------

PROVINCES = dict(regions.provinces().drop("00"))
MARKS = ["...", "–", ""]


@st.composite
def tidy_tables(draw):
    """Areas by years with one indicator: figures of two decimals, and gaps."""
    areas = draw(
        st.lists(st.sampled_from(sorted(PROVINCES.values())), min_size=1, max_size=6, unique=True)
    )
    years = draw(st.lists(st.integers(2005, 2025), min_size=1, max_size=4, unique=True).map(sorted))
    figure = st.integers(0, 10_000_000).map(lambda n: f"{n / 100:.2f}")
    values = {(a, y): draw(st.one_of(figure, st.sampled_from(MARKS))) for a in areas for y in years}
    assume(any(values[a, y] not in MARKS for a in areas for y in years))
    # A first row of blanks below the header cannot be told from a second line of the header.
    return areas, years, values


def expected(areas, years, values):
    return [
        (area, str(year), math.nan if values[area, year] in MARKS else float(values[area, year]))
        for area in areas
        for year in years
    ]


def assert_same(table, wanted):
    got = list(zip(table["area"], table["period"], table["value"], strict=True))
    assert len(got) == len(wanted)
    for (area, period, value), (area_w, period_w, value_w) in zip(got, wanted, strict=True):
        assert (area, period) == (area_w, period_w)
        assert value == value_w or (math.isnan(value) and math.isnan(value_w))


@settings(deadline=None, max_examples=60)
@given(tidy_tables(), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_round_trip_through_csv(tidy, delimiter, comma):
    areas, years, values = tidy
    written = {k: v.replace(".", ",") if comma and v not in MARKS else v for k, v in values.items()}
    table = read(
        files.as_csv(files.table(areas, years, written), delimiter), decimal="," if comma else "."
    )
    assert_same(table, expected(areas, years, values))
    assert set(table["unit"]) == {"Persen"} and set(table["indicator"]) == {"Kemiskinan"}


@settings(deadline=None, max_examples=40)
@given(tidy_tables())
def test_round_trip_through_the_other_formats(tidy):
    areas, years, values = tidy
    grid = files.table(areas, years, values)
    typed = [
        grid[0],
        *([row[0], *(float(v) if v not in MARKS else v for v in row[1:])] for row in grid[1:]),
    ]
    codes = {code + "00": name for code, name in PROVINCES.items() if name in areas}
    ordered = list(codes.values())
    for content, order in (
        (files.xlsx(typed), areas),
        (files.as_html(grid), areas),
        (files.as_webapi(codes, years, values), ordered),
    ):
        table = read(content, decimal=".")
        assert_same(table, expected(order, years, values))
        assert set(table["unit"]) == {"Persen"} and set(table["indicator"]) == {"Kemiskinan"}
    long = [["periode_data", "provinsi", "kemiskinan"]]
    long += [[str(y), a, values[a, y]] for a in areas for y in years]
    assert_same(read(files.as_csv(long), decimal="."), expected(areas, years, values))


@settings(deadline=None, max_examples=12)
@given(tidy_tables())
def test_round_trip_through_old_spreadsheets(tidy):
    areas, years, values = tidy
    grid = files.table(areas, years, values)
    typed = [row[:1] + [float(v) if v not in MARKS else v for v in row[1:]] for row in grid[1:]]
    for rows in (grid, [grid[0], *typed]):  # figures as text, and as numbers
        table = read(files.xls(rows), decimal=".")
        assert_same(table, expected(areas, years, values))
        assert set(table["unit"]) == {"Persen"} and set(table["indicator"]) == {"Kemiskinan"}


# ---- damage ----------------------------------------------------------------------------------

SOUND = {
    "provinces_2022.csv": files.PROVINCES_CSV.encode(),
    "population.csv": files.POPULATION_CSV.encode(),
    "kabkota_2021.csv": files.SEMICOLON_CSV.encode(),
    "lines.csv": files.TWO_LINES_CSV.encode(),
    "satudata.xlsx": files.xlsx(files.SATU_DATA),
    "merged.xlsx": files.xlsx(files.MERGED, merged=["A2:A3", "B2:C2"]),
    "webapi.json": files.webapi(),
    "page.html": files.HTML.encode(),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:  # cut off
        return content[: rng.randrange(len(content))]
    if kind == 1:  # bytes flipped
        spoilt = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        return bytes(spoilt)
    if kind == 2:  # another encoding
        text = content.decode("utf-8", "replace")
        return text.encode(rng.choice(["utf-16", "utf-16-le", "latin-1", "cp1252"]), "replace")
    lines = content.split(b"\n")
    line = rng.randrange(len(lines))
    fields = lines[line].split(b",")
    if kind == 3:  # a field lost
        fields.pop(rng.randrange(len(fields)))
    elif kind == 4:  # a field doubled: the row is shifted
        fields.insert(0, fields[rng.randrange(len(fields))])
    else:  # a piece lost
        start = rng.randrange(len(content))
        return content[:start] + content[start + rng.randint(1, 40) :]
    lines[line] = b",".join(fields)
    return b"\n".join(lines)


def plain_lines(content: bytes) -> list[str]:
    """Lines of a CSV that name an area and hold figures, read as naively as possible."""
    text = content.decode("utf-8-sig")
    return [line for line in text.replace("\r", "\n").split("\n") if line.strip(",; \t")]


def test_2000_damaged_files_are_refused_or_read_as_they_are():
    rng = random.Random(20221231)
    outcomes = {"refused": 0, "read": 0}
    for _ in range(2000):
        name = rng.choice(sorted(SOUND))
        content = damaged(SOUND[name], rng)
        try:
            table = read(content, name)
        except BpsFormatError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert list(table.columns) == COLUMNS and len(table)
        # What was read is what the bytes say: every figure can be found in them as published.
        flagged = table["value"].isna()
        assert not table.loc[~flagged, "flag"].isin(set(numbers.MISSING.values())).any()
        if name.endswith(".xlsx"):  # its checksums leave only harmless damage
            pd.testing.assert_frame_equal(table, read(SOUND[name], name))
        if name.endswith(".csv"):
            text = " ".join(content.decode("utf-8-sig").split())
            assert all(" ".join(v.split()) in text for v in table["value_as_published"])
            # No row is dropped: as many areas as there are lines with figures.
            per_line = table.groupby(["indicator", "period"], dropna=False).size().max()
            assert per_line <= len(plain_lines(content))
            assert len(table) % per_line == 0
    assert outcomes["refused"] > 500 and outcomes["read"] > 100


# ---- the real files --------------------------------------------------------------------------


def test_real_province_tables(shared):
    facts = pd.read_csv(shared / "facts/province_poverty.csv", dtype={"value_as_published": "str"})
    names = {
        "Garis Kemiskinan": "line_rp",
        "Jumlah Penduduk Miskin": "poor_thousand",
        "Persentase Penduduk Miskin": "p0_pct",
    }
    for year in (2017, 2018, 2022, 2025):
        table = read_table(shared / f"samples/bps_province_poverty_{year}.csv")
        assert table["area_code"].notna().all()
        own = table.assign(
            indicator=table["indicator"].map(names), province=table["area"].str.upper()
        )
        own = own[own["value"].notna()]
        both = own.merge(facts, on=["province", "period", "indicator"], suffixes=("", "_fact"))
        assert len(both) == len(own) > 100
        assert np.allclose(both["value"], both["value_as_published_fact"].astype(float))


def test_other_real_tables(shared):
    samples = shared / "samples"
    lines = read_table(samples / "bps_webapi_var624_2025.json").set_index("area_code")["value"]
    assert lines["31"] == 852_768 and lines["3175"] == 736_415 and lines["3101"] == 801_734
    population = read_table(samples / "satudata_kelurahan_population_2024.xlsx")
    residents = population[population["indicator"] == "jumlah penduduk"]
    assert residents["value"].sum() == 11_038_216
    assert residents["area_code"].nunique() == 267
    poverty = read_table(samples / "satudata_poverty_2006_2012.xlsx")
    own = poverty[(poverty["period"] == "2010") & (poverty["unit"] == "Ribu Orang")]
    assert list(own["value"]) == [312.2]
    kota = read_table(samples / "bps_population_kota_2023.csv").set_index("area_code")["value"]
    assert kota["31"] == 10_672_100 == kota.drop("31").sum()
    rate = read_table(samples / "kabkota_poverty_2021_semicolon.csv")
    rate = rate[rate["indicator"].str.startswith("Persentase Penduduk Miskin")]
    assert len(rate) == 514
    assert rate.set_index("area_code").loc["3175", "value"] == 7.24
    assert rate.set_index("area").loc["Indragiri Hulu", ["value", "flag"]].tolist() == [
        6.18,
        numbers.ODD_SIGN,
    ]
    tpt = read_table(samples / "bps_province_unemployment.xlsx")
    assert cell(tpt, "DKI JAKARTA", "2020")["value"] == 10.95


def test_the_real_list_of_offices_is_refused(shared):
    with pytest.raises(BpsFormatError, match="this is a list, not a statistical table"):
        read_table(shared / "samples/satudata_office_list_2015.xls")
