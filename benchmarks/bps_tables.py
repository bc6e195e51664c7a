"""Measure `analysis.bps.read_table` against what the project promises, and against pandas.

``make bench``; openpyxl, the peer for spreadsheets, is timed where it is installed.
"""

import importlib.util
import io
import itertools
import random
import sys
from pathlib import Path

import pandas as pd

from analysis import regions
from analysis.bps import read_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import bps_files as files
from timing import best_of


def main() -> None:
    rng = random.Random(1)
    areas = list(regions.provinces().drop("00"))
    periods = [f"{month} {year}" for year in range(2013, 2026) for month in ("Maret", "September")]
    names = ("Garis Kemiskinan (Rp)", "Jumlah Penduduk Miskin (ribu)", "Persentase Penduduk Miskin")
    header = ["Provinsi", *(f"{n} - {p}" for n, p in itertools.product(names, periods[:25]))]
    grid = [header, *([a, *(f"{rng.random() * 99:.2f}" for _ in header[1:])] for a in areas)]
    csv = files.as_csv(grid)
    print(f"CSV, {len(areas)} provinces x 25 semesters x 3 indicators: ", end="")
    print(f"{1000 * best_of(5, lambda: read_table(io.BytesIO(csv))):.1f} ms (promised: 20)")

    content = {
        f"{1100 + area}624{0}{year}0": rng.randint(200_000, 900_000)
        for area, year in itertools.product(range(1, 551), range(106, 126))
    }
    webapi = files.webapi(
        var=[{"val": 624, "label": "Garis Kemiskinan", "unit": "Rupiah"}],
        vervar=[{"val": 1100 + area, "label": f"Area {area}"} for area in range(1, 551)],
        tahun=[{"val": year, "label": str(1900 + year)} for year in range(106, 126)],
        turtahun=[{"val": 0, "label": "Tahun"}],
        datacontent=content,
    )
    print("WebAPI, 550 areas x 20 years: ", end="")
    print(f"{1000 * best_of(5, lambda: read_table(io.BytesIO(webapi))):.1f} ms (promised: 150)")

    listed = list(regions.areas().itertuples())
    rows = [["periode_data", "wilayah", "kecamatan", "kelurahan", "jumlah_penduduk", "kepadatan"]]
    for number in range(50_000):
        area = listed[number % len(listed)]
        year = str(1960 + number // len(listed) % 80)
        rows.append([year, area.kota, area.kecamatan, area.kelurahan, str(number), f"{number}.25"])
    xlsx = files.xlsx(rows)
    ours = 1000 * best_of(2, lambda: read_table(io.BytesIO(xlsx)))
    print(f"XLSX of Satu Data, 50,000 rows: {ours:.0f} ms", end="")
    if importlib.util.find_spec("openpyxl") is None:
        print("; openpyxl is not installed, so that pandas.read_excel was not timed")
        return
    peer = 1000 * best_of(1, lambda: pd.read_excel(io.BytesIO(xlsx), engine="openpyxl"))
    print(
        f"; pandas.read_excel with openpyxl: {peer:.0f} ms, {peer / ours:.1f} times (promised: 5)"
    )


if __name__ == "__main__":
    main()
