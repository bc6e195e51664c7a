"""Fixtures in the shapes that BPS and Satu Data Jakarta publish, and writers of those formats."""

import io
import itertools
import json
import zipfile
from xml.sax.saxutils import escape

import xlwt

# Years and areas as in the real files; the figures of DKI Jakarta are the published ones.
PROVINCES_CSV = (
    "\ufeffProvinsi,Garis Kemiskinan - Maret (Rp),Garis Kemiskinan - September (Rp),"
    "Jumlah Penduduk Miskin - Maret (ribu) (Ribu),Jumlah Penduduk Miskin - September (ribu) (Ribu),"
    "Persentase Penduduk Miskin - Maret,Persentase Penduduk Miskin - September\n"
    "Aceh,579227,...,806.82,...,14.64,...\n"
    "DKI Jakarta,738955,773370,502.04,494.93,4.69,4.61\n"
    "Kep. Riau,684070,–,151.68,-,6.24,NA\n"
    "Papua Selatan,,...,...,...,...,...\n"
    "Indonesia,505,...,26161.16,...,9.54,...\n"
    ",,,,,,\n"
    "Keterangan,,,,,,\n"
    "-,,,,,,"
)
POPULATION_CSV = (
    "\ufeffKab/Kota,\n"
    ",Jumlah Penduduk Menurut Kabupaten/Kota di Provinsi DKI Jakarta (Jiwa)\n"
    ",2023\n"
    "Kep Seribu,28523\n"
    "Jakarta Selatan,2235606\n"
    "DKI Jakarta,10672100"
)
SEMICOLON_CSV = (
    "Provinsi;Kab/Kota;Persentase Penduduk Miskin (P0) Menurut Kabupaten/Kota (Persen);"
    "Pengeluaran per Kapita Disesuaikan (Ribu Rupiah/Orang/Tahun)\n"
    "DKI JAKARTA;Jakarta Utara;7,24;17.911,5\n"
    "DKI JAKARTA;Kepulauan Seribu;15,06;12.345,25\n"
    "PAPUA;Nduga *;37,18;3.976,1\n"
)
TWO_LINES_CSV = (
    "Tabel 1. Penduduk miskin,,,,\n"
    "Wilayah,Jumlah (ribu),,Persentase (%),\n"
    ",Maret 2021,September 2021,Maret 2021,September 2021\n"
    "Jakarta Pusat,42.3,41.9,4.94,4.8*\n"
    "Jakarta Barat,110.94,...,4.31,...\n"
    "Sumber: BPS,,,,\n"
)


def webapi(**changes) -> bytes:
    """An answer of the WebAPI for a dynamic table."""
    answer = {
        "status": "OK",
        "data-availability": "available",
        "var": [{"val": 621, "label": "Persentase Penduduk Miskin", "unit": "Persen"}],
        "turvar": [{"val": "0", "label": "Tidak ada"}],
        "labelvervar": "Nama Wilayah",
        "vervar": [
            {"val": 3100, "label": "<b>DKI JAKARTA</b>"},
            {"val": 3175, "label": "Jakarta Utara &amp; sekitarnya"},
            {"val": 9999, "label": "INDONESIA"},
        ],
        "tahun": [{"val": 124, "label": "2024"}, {"val": 125, "label": "2025"}],
        "turtahun": [
            {"val": 61, "label": "Semester 1 (Maret)"},
            {"val": 62, "label": "Semester 2 (September)"},
        ],
        "datacontent": {"3100621012461": 4.3, "3100621012462": 4.14, "9999621012561": 8.47},
    }
    return json.dumps(answer | changes).encode()


HTML = """<!DOCTYPE html><html><head><title>BPS</title></head><body><h1>Kemiskinan</h1>
<table><caption>Penduduk miskin 2024</caption>
<tr><th rowspan="2">Kabupaten/Kota</th><th colspan="2">Persentase Penduduk Miskin (Persen)</th></tr>
<tr><th>Maret</th><th>September</th></tr>
<tr><td>Jakarta Utara</td><td>6,44</td><td>...</td></tr>
<tr><td>Jakarta Pusat</td><td>4,63</td><td>&ndash;</td></tr>
</table></body></html>"""


def xlsx(rows: list[list], merged: list[str] = (), sheets: int = 1) -> bytes:
    """A small XLSX file, by hand: numbers as numbers, text inline."""

    def cell(value, r, c):
        at = f"{chr(65 + c // 26 - 1) if c >= 26 else ''}{chr(65 + c % 26)}{r + 1}"
        if value is None or value == "":
            return ""
        if isinstance(value, str):
            text = escape(value)
            return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
        return f'<c r="{at}"><v>{value!r}</v></c>'

    lines = "".join(
        f'<row r="{r + 1}">{"".join(cell(v, r, c) for c, v in enumerate(row))}</row>'
        for r, row in enumerate(rows)
    )
    ranges = "".join(f'<mergeCell ref="{ref}"/>' for ref in merged)
    merges = f"<mergeCells>{ranges}</mergeCells>" if merged else ""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    content = f"{package}/content-types"
    sheet_type = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{content}"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet_type}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>'
        + "".join(
            f'<sheet name="Sheet{i}" sheetId="{i}" r:id="r{i}"/>' for i in range(1, sheets + 1)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{i}" Type="{relation}/worksheet" Target="worksheets/sheet{i}.xml"/>'
            for i in range(1, sheets + 1)
        )
        + "</Relationships>",
    }
    for i in range(1, sheets + 1):
        parts[f"xl/worksheets/sheet{i}.xml"] = (
            f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{main}"><sheetData>{lines}'
            f"</sheetData>{merges}</worksheet>"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def xls(rows: list[list]) -> bytes:
    """A small XLS file."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet1")
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if value not in (None, ""):
                sheet.write(r, c, value)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


SATU_DATA = [
    ["periode_data", "wilayah", "kecamatan", "kelurahan", "jumlah_penduduk", "jumlah_kepadatan"],
    ["2024", "KOTA ADM. JAKARTA PUSAT", "JOHAR BARU", "TANAH TINGGI", "45230", "71993.81"],
    ["2024", "KOTA ADM. JAKARTA UTARA", "CILINCING", "KALI BARU", "87119", "17587.56"],
    ["2024", "KAB. ADM. KEP. SERIBU", "KEPULAUAN SERIBU SELATAN", "P. TIDUNG", "6209", "5956.87"],
]
SATU_DATA_INDICATORS = [
    ["periode_data", "indikator_kemiskinan", "nilai", "satuan"],
    ["202503", "Jumlah Penduduk Miskin", "464.87", "Ribu Orang"],
    ["202503", "Persentase Penduduk Miskin", "4.28", "Persen"],
    ["202509", "Jumlah Penduduk Miskin", "439.12", "Ribu Orang"],
    ["202509", "Persentase Penduduk Miskin", "4.03", "Persen"],
]
MERGED = [
    ["Tabel 2. Pengangguran, 2021", None, None],
    ["Provinsi", "TPT (Persen)", None],
    [None, "Februari", "Agustus"],
    ["DKI Jakarta", 8.51, 8.5],
    ["Banten", 9.01, "..."],
    ["Catatan: angka sementara", None, None],
]


# ---- one tidy table in every format -----------------------------------------------------------


def table(areas: list[str], years: list[int], values: dict) -> list[list[str]]:
    """The grid of a wide table: one indicator and unit, areas by years."""
    header = ["Provinsi", *(f"Kemiskinan {year} (Persen)" for year in years)]
    return [header, *([a, *(values[a, y] for y in years)] for a in areas)]


def as_csv(grid: list[list[str]], delimiter: str = ",") -> bytes:
    import csv

    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerows(grid)
    return buffer.getvalue().encode("utf-8-sig")


def as_html(grid: list[list[str]]) -> bytes:
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in grid
    )
    return f"<html><body><table>{rows}</table></body></html>".encode()


def as_webapi(areas: dict[str, str], years: list[int], values: dict) -> bytes:
    """With codes of areas, and only the values that are there."""
    content = {
        f"{code}19{0}{year - 1900}0": float(values[area, year])
        for (code, area), year in itertools.product(areas.items(), years)
        if values[area, year] not in ("...", "–", "")
    }
    return webapi(
        var=[{"val": 19, "label": "Kemiskinan", "unit": "Persen"}],
        turvar=[{"val": "0", "label": "Tidak ada"}],
        vervar=[{"val": int(code), "label": area} for code, area in areas.items()],
        tahun=[{"val": year - 1900, "label": str(year)} for year in years],
        turtahun=[{"val": 0, "label": "Tahun"}],
        datacontent=content,
    )
