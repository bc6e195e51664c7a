"""Read any table that BPS and Satu Data Jakarta publish into tidy data.

The format is recognised by content. CSV, spreadsheets and HTML become one grid of cells, which is
then understood in the same way: titles, header rows, areas, figures, notes. The JSON of the
WebAPI is decoded on its own. Whatever is not understood as a whole is refused: never a partly
read table.
"""

import csv
import html
import io
import itertools
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from analysis import regions
from analysis.bps import numbers, sheets

COLUMNS = [
    "area_code",
    "area",
    "period",
    "indicator",
    "unit",
    "value",
    "value_as_published",
    "flag",
]
_MONTHS = {
    "januari": "01", "februari": "02", "maret": "03", "april": "04", "mei": "05", "juni": "06",
    "juli": "07", "agustus": "08", "september": "09", "oktober": "10", "november": "11",
    "desember": "12",
    "january": "01", "february": "02", "march": "03", "may": "05", "june": "06", "july": "07",
    "october": "10", "december": "12",
    "jan": "01", "feb": "02", "mar": "03", "apr": "04", "jun": "06", "jul": "07", "agt": "08",
    "agu": "08", "aug": "08", "sep": "09", "sept": "09", "okt": "10", "oct": "10", "nov": "11",
    "des": "12", "dec": "12",
}  # fmt: skip
_MONTH_NAMES = dict(zip(_MONTHS.values(), _MONTHS, strict=True))  # some name of each month
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(19[5-9]\d|20[0-4]\d)(?!\d)")
# A month in digits, 2020-03 or (as a heading of its own) 202003.
_YEAR_MONTH = re.compile(
    r"(?<!\d)(19[5-9]\d|20[0-4]\d)-(0[1-9]|1[0-2])(?![\d-])|"
    r"(?:^|(?<= - ))(19[5-9]\d|20[0-4]\d)(0[1-9]|1[0-2])$"
)
_SEMESTER = re.compile(r"\bsemester\s*(II|I|[12])\b\s*", re.IGNORECASE)
_QUARTER = re.compile(r"\b(?:triwulan|quarter)\s*(IV|I{1,3}|[1-4])\b\s*", re.IGNORECASE)
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4"}
# The year of constant prices or of an index says nothing about the period.
_BASE_YEAR = re.compile(
    r"\b(?:konstan|adhk|tahun dasar|constant(?: market)? prices?|base year)\W*(?:tahun\s*)?\d{4}|"
    r"\d{4}\s*=\s*100",
    re.IGNORECASE,
)
_NOTES = re.compile(
    r"^(keterangan|catatan|sumber|note|source|angka\b|data\b|\*|\d\s?\)|[erx]{1,2}\s?\)|\()",
    re.IGNORECASE,
)
_CODE = re.compile(r"^(kode|code)", re.IGNORECASE)
_NUMBERING = re.compile(r"^(no\.?|nomor|no\.? urut|#)$", re.IGNORECASE)
_AREA = re.compile(
    r"^(nama[ _])?(provinsi|province|kab\b|kab[/ _.]|kabupaten|kota\b|wilayah|kecamatan|kelurahan|"
    r"desa|daerah|region\b|area\b|regency|municipality|city\b|district|sub-?district|village)",
    re.IGNORECASE,
)
# What stands over the names of areas, and nowhere else.
_AREA_HEADING = re.compile(
    r"\ufeff?(nama[ _])?(provinsi|province|kab(upaten)?\.?[ _/]+kota|kabupaten|wilayah|kecamatan|"
    r"kelurahan|desa)",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"^(periode([ _]data)?|tahun|year|period)$", re.IGNORECASE)
_PART_COLUMN = re.compile(r"^(bulan|month|semester|triwulan|quarter)$", re.IGNORECASE)
_PLACE = re.compile(r"^(lat|lon|long|latitude|longitude|lintang|bujur)$", re.IGNORECASE)
_UNIT_COLUMN = re.compile(r"^(satuan|unit)$", re.IGNORECASE)
_VALUE_COLUMN = re.compile(r"^(nilai|value|jumlah)$", re.IGNORECASE)
_INDICATOR_COLUMN = re.compile(r"^(indikator|indicator|variabel|uraian|rincian)", re.IGNORECASE)
_UNIT = re.compile(
    r"^(rp|rupiah|'?000|ribu|juta|miliar|milyar|triliun|persen|%|jiwa|orang|tahun|km2|km²|ha|hektar|unit|"
    r"indeks|index|skala|poin|rumah tangga|keluarga|per km|bulan|hari|rw|rt|percent|thousand|"
    r"million|billion|people|persons?|years?|households?|rupiahs|ton|kuintal|kg|gwh|mm)\b|^%",
    re.IGNORECASE,
)
_FOOTNOTE = re.compile(r"(?:[\s*¹²³⁴-⁹]|\d\s?\)|\*\))+$")  # behind the name of an area
_HEADING_MARK = re.compile(
    r"(?:(?<=\d)\s*(?:\*+\)?|[erx]{1,2}\)|[¹²³⁴-⁹])|\s+(?:\d\)|\*+\)?))$", re.IGNORECASE
)
_MOST_CELLS = 30_000_000
_TAG = re.compile(r"<[^>]*>")

Cell = str | float | int


class BpsFormatError(ValueError):
    """A file is not a statistical table that can be read as a whole.

    The message names the file, what it seems to be, and what to do.
    """


def read_table(
    source: str | PathLike | IO[bytes] | bytes,
    *,
    year: int | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    sheet: str | int | None = None,
) -> pd.DataFrame:
    """Read a table of BPS or Satu Data Jakarta into tidy data.

    Parameters
    ----------
    source
        A path, an open binary file, or bytes (an answer of `analysis.bps.Client`). CSV of the
        website, XLSX, XLS, the long files of Satu Data Jakarta, JSON of the WebAPI or a saved
        HTML page, recognised by content.
    year
        The year of a table that does not say it. Otherwise the headings decide, then the title,
        then a year in the file's name.
    decimal, thousands
        ``"."`` or ``","``, for columns that can be read in two ways.
    sheet
        Name or number (from 0) of the sheet, or number of the table in an HTML page, where
        there are several.

    Returns
    -------
    pandas.DataFrame
        Long, in the order of the file: ``area_code`` (BPS code, missing where it cannot be
        known), ``area``, ``period`` (``2017``, ``2017-03``, for a semester or quarter
        ``2017-S1``, ``2017-Q1``; missing if nothing says it),
        ``indicator`` (without unit), ``unit``, ``value`` (float, missing is NaN),
        ``value_as_published`` (text) and ``flag``: empty, the kind of missing
        (`analysis.bps.numbers.MISSING`), or the mark of a footnote.

    Raises
    ------
    BpsFormatError
        The file is none of these, is damaged or cut off, holds no statistical table, or can be
        read in two ways.
    """
    if isinstance(source, bytes):
        content, name = source, "the answer" if hasattr(source, "address") else "the content"
    elif hasattr(source, "read"):
        content, name = source.read(), Path(str(getattr(source, "name", "the buffer"))).name
        if isinstance(content, str):
            raise BpsFormatError(f"{name} is open as text: open it with mode 'rb'")
    else:
        path = Path(source)
        try:
            content, name = path.read_bytes(), path.name
        except (OSError, ValueError) as error:  # ValueError: a path that can be none
            why = getattr(error, "strerror", None) or error
            raise BpsFormatError(f"{path} cannot be read ({why}): check the path") from None
    options = _Options(name, year, decimal, thousands, sheet)
    try:
        return _read(content, options)
    except _Refusal as refusal:
        raise BpsFormatError(f"{name}: {refusal}") from None
    except numbers.NumberError as error:
        raise BpsFormatError(f"{name}: {error}") from None


@dataclass(frozen=True)
class _Options:
    name: str
    year: int | None
    decimal: str | None
    thousands: str | None
    sheet: str | int | None


class _Refusal(Exception):
    """Why a file is refused; `read_table` puts the file's name before it."""


def _read(content: bytes, options: _Options) -> pd.DataFrame:
    if not content.strip():
        raise _Refusal("the file is empty: download it again")
    if content.startswith(b"%PDF"):
        raise _Refusal("this is a PDF: take the table as CSV or XLSX from the website")
    if content.startswith(b"PK\x03\x04"):
        _check_zip(content)
        return _from_grid(_spreadsheet(content, options, old=False), options)
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return _from_grid(_spreadsheet(content, options, old=True), options)
    text = _decode(content)
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return _from_json(text, options)
    if start == "<":
        return _from_grid(_html(text, options), options)
    return _from_grid(_csv(text), options)


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        seems = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding"
        raise _Refusal(
            f"byte {error.start} is not UTF-8 (it seems to be {seems}, or damaged): save the file "
            f"as UTF-8, or download it again"
        ) from None
    if "\ufffd" in text:
        raise _Refusal(
            f"character {text.index(chr(0xFFFD))} was lost when somebody saved the file in another "
            f"encoding: download it again"
        )
    control = re.search(r"[\x00-\x08\x0e-\x1f]", text)
    if control:
        raise _Refusal(
            f"character {control.start()} is no text: the file is binary or damaged, download it "
            f"again"
        )
    return text


# ---- to a grid of cells ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Rows of equal length; text cells are stripped, numbers are those of a spreadsheet."""

    rows: list[list[Cell]]
    merged: list[tuple[int, int, int, int]] = field(
        default_factory=list
    )  # top, left, bottom, right
    title: str = ""
    short: frozenset[int] = frozenset()  # numbers of lines that stop after their first field


def _csv(text: str) -> _Grid:
    best: list[list[str]] | None = None
    for delimiter in (",", ";", "\t", "|"):
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        rows = [[_clean(cell) for cell in row] for row in rows]
        widths = Counter(len(row) for row in rows if sum(map(bool, row)) > 1)
        # The right delimiter gives several columns, and the most rows of that width.
        if widths and (best is None or widths.most_common(1)[0][1] > _agreeing(best)):
            best = rows
    if best is None:
        raise _Refusal(
            "this is text, but no table: no line has columns that a comma, semicolon, tab or bar "
            "divides, or a quotation mark is not closed"
        )
    width = Counter(len(row) for row in best if sum(map(bool, row)) > 1).most_common(1)[0][0]
    short = set()
    for number, row in enumerate(best, start=1):
        if len(row) == width:
            continue
        if row and _NOTES.match(row[0]) and not any(map(numbers.is_number, row[1:])):
            row[:] = [", ".join(filter(None, row))]  # a note with commas and without quotes
        # Titles and notes may be short; every other row must be as wide as the table.
        if any(row[1:]) or len(row) > width:
            raise _Refusal(
                f"line {number} has {len(row)} fields where the table has {width}: the file is "
                f"damaged or cut off, download it again"
            )
        short.add(number)
    rows = [row + [""] * (width - len(row)) for row in best]
    return _Grid(rows, short=frozenset(short))


def _agreeing(rows: list[list[str]]) -> int:
    widths = Counter(len(row) for row in rows if sum(map(bool, row)) > 1)
    return widths.most_common(1)[0][1]


def _clean(cell: str) -> str:
    return " ".join(cell.split()) if cell else cell


def _check_zip(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
            sheets_in = [n for n in names if n.startswith("xl/worksheets/") and n.endswith(".xml")]
            cells = max((_extent(archive.read(name)) for name in sheets_in), default=0)
    except Exception as error:  # zipfile raises many kinds on damaged archives
        raise _Refusal(f"the file is damaged or cut off ({error}): download it again") from None
    if damaged:
        raise _Refusal(f"the file is damaged (in {damaged}): download it again")
    if not any(name.startswith("xl/") for name in names):
        raise _Refusal("this is a ZIP archive, but no spreadsheet: unpack it first")
    if cells > _MOST_CELLS:
        raise _Refusal(
            f"the used area of a sheet has {cells:,} cells, since one is far outside of the table: "
            f"clear it in a spreadsheet program, or save the table as CSV"
        )


def _extent(sheet: bytes) -> int:
    """Rows x columns up to the last used cell, if there are more columns than letters.

    The reader would reserve them all at once, and end the process where it cannot.
    """
    if not re.search(rb' r="[A-Z]{2,3}\d', sheet):
        return 0
    columns = {match.rjust(3, b"@") for match in re.findall(rb' r="([A-Z]{1,3})\d', sheet)}
    last = max(columns)
    width = (last[0] - 64) * 676 + (last[1] - 64) * 26 + last[2] - 64
    return width * max(map(int, re.findall(rb' r="[A-Z]{1,3}(\d{1,7})"', sheet)))


def _spreadsheet(content: bytes, options: _Options, *, old: bool) -> _Grid:
    try:
        filled = (sheets.read_apart if old else sheets.read)(content)
    except sheets.DamagedSheet as error:
        raise _Refusal(f"the spreadsheet is damaged ({error}): download it again") from None
    filled = {name: sheet for name, sheet in filled.items() if any(any(row) for row in sheet[0])}
    name = _choose(list(filled), options.sheet, "sheet")
    rows, merged = filled[name]
    cells = [[_plain(cell) for cell in row] for row in rows]
    return _Grid(cells, [(top, left, bottom, right) for (top, left), (bottom, right) in merged])


def _plain(cell: Any) -> Cell:
    if isinstance(cell, str):
        return cell if cell.isalnum() else _clean(cell)
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    return cell if math.isfinite(cell) else str(cell)


def _choose(names: Sequence[str], wanted: str | int | None, kind: str) -> str:
    if not names:
        raise _Refusal(f"there is no {kind} with anything in it")
    if wanted is None and len(names) > 1:
        listed = ", ".join(f"{i}: {name!r}" for i, name in enumerate(names))
        raise _Refusal(f"there are {len(names)} {kind}s ({listed}): say which with sheet=")
    if isinstance(wanted, int) and wanted < len(names):
        return names[wanted]
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise _Refusal(f"there is no {kind} {wanted!r} (there are: {', '.join(names)})")
    return wanted


def _html(text: str, options: _Options) -> _Grid:
    import bs4

    # Scripts of a page hold pieces of other tables.
    text = re.sub(r"(?is)<(script|style|template)\b.*?</\1\s*>|<!--.*?-->", "", text)
    lower = text.lower()
    for tag in ("table", "tr", "td", "th"):
        opened, closed = len(re.findall(rf"<{tag}\b", lower)), lower.count(f"</{tag}>")
        if opened != closed:
            raise _Refusal(
                f"the page has {opened} <{tag}> but {closed} </{tag}>: it is damaged or cut off, "
                f"save it again"
            )
    page = bs4.BeautifulSoup(text, "html.parser")
    found = {}
    for table in page.find_all("table"):
        rows, merged = _html_rows(table)
        if len(rows) > 1 and max(map(len, rows)) > 1 and not table.find("table"):
            found[f"table {len(found)}"] = (rows, merged, table)
    if not found:
        title = (
            page.title.get_text(" ", strip=True) if page.title else _clean(page.get_text(" "))[:60]
        )
        raise _Refusal(
            f"this is a web page without a table ({title!r}): it is perhaps an error page, "
            f"download the table again"
        )
    rows, merged, table = found[_choose(list(found), options.sheet, "table")]
    caption = table.find("caption")
    title = caption.get_text(" ", strip=True) if caption else ""
    return _Grid(rows, merged, title)


def _html_rows(table: Any) -> tuple[list[list[Cell]], list[tuple[int, int, int, int]]]:
    cells: dict[tuple[int, int], str] = {}
    merged = []
    lines = table.find_all("tr")
    for top, line in enumerate(lines):
        left = 0
        for cell in line.find_all(["td", "th"]):
            while (top, left) in cells:
                left += 1
            down, right = (_span(cell.get(name)) for name in ("rowspan", "colspan"))
            down = min(down, len(lines) - top)
            for r, c in itertools.product(range(down), range(right)):
                cells[top + r, left + c] = ""
            cells[top, left] = _clean(cell.get_text(" "))
            if down > 1 or right > 1:
                merged.append((top, left, top + down - 1, left + right - 1))
            left += right
    width = 1 + max((column for _, column in cells), default=0)
    rows = []
    for top in range(len(lines)):
        missing = [c for c in range(width) if (top, c) not in cells]
        if missing and any(cells.get((top, c)) for c in range(1, width)):
            raise _Refusal(
                f"row {top + 1} of the table has {width - len(missing)} cells instead of {width}: "
                f"the page is damaged, save it again"
            )
        rows.append([cells.get((top, c), "") for c in range(width)])
    return rows, merged


def _span(text: str | None) -> int:
    if text is None:
        return 1
    if not text.strip().isdigit() or not 1 <= int(text) <= 1000:
        raise _Refusal(f"a cell of the table spans {text!r} rows or columns: the page is damaged")
    return int(text)


# ---- from a grid to tidy data ----------------------------------------------------------------


def _from_grid(grid: _Grid, options: _Options) -> pd.DataFrame:
    rows = _fill_merged(grid)
    if not rows or len(rows[0]) < 2:
        raise _Refusal("there is only one column: this is no table of areas and figures")
    titles, header, body = _blocks(rows, grid.short)
    title = " ".join(filter(None, [grid.title, *titles]))
    names = [_text(cell) for cell in header[0]]
    if _is_long(names):
        return _long(names, body, options)
    return _wide(header, body, title, options)


def _fill_merged(grid: _Grid) -> list[list[Cell]]:
    rows = [list(row) for row in grid.rows] if grid.merged else grid.rows
    width = max(map(len, rows), default=0)
    first = next((c for c in range(width) if any(_filled(row[c]) for row in rows)), 0)
    for top, left, bottom, right in grid.merged:
        if top >= len(rows):
            continue
        beside = [c for c in range(len(rows[top])) if not left <= c <= right]
        if left <= first < right and not any(_filled(grid.rows[top][c]) for c in beside):
            continue  # a title or a note over the whole width
        for r in range(top, min(bottom + 1, len(rows))):
            for c in range(left, min(right + 1, len(rows[r]))):
                rows[r][c] = grid.rows[top][left]
    used = [c for c in range(width) if any(_filled(row[c]) for row in rows)]
    if len(used) == len(rows[0]):
        return rows
    return [[row[c] for c in used] for row in rows]


def _filled(cell: Cell) -> bool:
    return cell != ""


def _text(cell: Cell) -> str:
    """A cell as text; a whole number of a spreadsheet without its ``.0``."""
    if isinstance(cell, str):
        return cell
    return str(int(cell)) if float(cell).is_integer() and abs(cell) < 1e15 else repr(cell)


def _blocks(
    rows: list[list[Cell]], short: frozenset[int]
) -> tuple[list[str], list[list[Cell]], list[tuple[int, list[Cell]]]]:
    """Titles, header rows, body rows with their line numbers; notes below are left out."""
    numbered = [(n, row) for n, row in enumerate(rows, start=1)]
    filled = [(n, row) for n, row in numbered if row.count("") < len(row)]
    titles = []
    while len(filled) > 1 and _only_first(filled[0][1]) and _filled(filled[1][1][0]):
        titles.append(_text(filled.pop(0)[1][0]))
    if not filled:
        raise _Refusal("there are only titles and notes, no figures")
    if any(_AREA_HEADING.fullmatch(title) for title in titles):
        raise _Refusal("the heading of the areas stands alone: the header is damaged")
    (line, first), rest = filled[0], filled[1:]
    header = [first]
    if not any(map(_filled, first[1:])) and not (rest and not _filled(rest[0][1][0])):
        raise _Refusal(f"line {line} has no headings but the first: the header is damaged")
    if _has_figures(first):
        raise _Refusal(f"line {line} has figures where the headings belong: the header is lost")
    while rest and (not _filled(rest[0][1][0]) or rest[0][1][0] == first[0]):
        line, row = rest.pop(0)
        if _has_figures(row):
            raise _Refusal(f"line {line} names no area: the table is damaged or cut off")
        header.append(row)
    if rest and _numbers_columns(rest[0][1]):
        rest.pop(0)
    body = rest
    for position, (_, row) in enumerate(rest):
        if _NOTES.match(_text(row[0])) and _only_first(row):
            body = rest[:position]
            for number, note in rest[position:]:
                if not _only_first(note) and any(map(_filled, note[1:])):
                    raise _Refusal(
                        f"line {number} has figures below the notes: the table is damaged"
                    )
            break
    if not body:
        raise _Refusal("there is a header, but no row of figures below it: the file is cut off")
    for number, row in body:
        if number in short:
            raise _Refusal(
                f"line {number} stops after {_text(row[0])!r}: the file is damaged or cut off, "
                f"download it again"
            )
        if row[0] == first[0] and (row == first or _AREA.match(_text(row[0]))):
            raise _Refusal(f"line {number} repeats the header: divide the file into its tables")
    return titles, header, body


def _has_figures(row: list[Cell]) -> bool:
    """Whether a row holds figures (or marks in their place) rather than headings."""
    cells = [_text(cell) for cell in row[1:] if _filled(cell)]
    if any(numbers.is_number(cell) and not _names_year(cell) for cell in cells):
        return True
    return bool(cells) and all(map(numbers.is_missing, cells))


def _names_year(text: str) -> bool:
    text = _without_mark(text)
    return bool(_YEAR.fullmatch(text) or _YEAR_MONTH.fullmatch(text))


def _without_mark(heading: str) -> str:
    """A heading without the mark of a footnote: ``2023*``, ``2023 1)``, but not ``(P0)``."""
    bare = _HEADING_MARK.sub("", heading)
    return bare if bare.count("(") == bare.count(")") else heading


def _numbers_columns(row: list[Cell]) -> bool:
    """Whether a row below the header numbers the columns: (1) (2) (3)."""
    # A spreadsheet may have taken "(2)" for -2.
    cells = [_text(cell).strip("()-") for cell in row]
    return cells == [str(number) for number in range(1, len(row) + 1)]


def _only_first(row: list[Cell]) -> bool:
    return _filled(row[0]) and not any(map(_filled, row[1:]))


def _is_long(names: list[str]) -> bool:
    period = [i for i, name in enumerate(names) if _PERIOD.match(name)]
    others = [name for i, name in enumerate(names) if i not in period]
    return bool(period) and not any(_YEAR.fullmatch(name) for name in others)


# ---- wide tables -----------------------------------------------------------------------------


def _wide(
    header: list[list[Cell]],
    body: list[tuple[int, list[Cell]]],
    title: str,
    options: _Options,
) -> pd.DataFrame:
    width = len(header[0])
    names = [next((_text(row[c]) for row in header if _filled(row[c])), "") for c in range(width)]
    kinds = _leading_kinds(names)
    start = len(kinds)
    if start == width:
        raise _Refusal("all columns are names or codes of areas: there are no figures")
    headings = [_heading(header, c, start) for c in range(start, width)]
    over_figures = [_text(cell) for row in header for cell in row[start:]]
    misplaced = next(filter(_AREA_HEADING.fullmatch, over_figures), None)
    if misplaced:
        raise _Refusal(
            f"the heading {misplaced!r} stands over figures: the header is shifted, download the "
            f"table again"
        )
    if "" in headings:
        raise _Refusal(
            f"column {start + headings.index('') + 1} has figures, but no heading: the header is "
            f"damaged"
        )
    year = _known_year(title, options)
    columns = [_understand(text, year) for text in headings]
    if not any(indicator for indicator, _, _ in columns):
        # The headings are periods: what the figures are, the title tells.
        indicator, unit = _of_title(title)
        columns = [(indicator, own or unit, period) for _, own, period in columns]
    twice = [c for c, n in Counter(columns).items() if n > 1]
    if twice:
        raise _Refusal(
            f"two columns have the same heading ({headings[columns.index(twice[0])]!r}): the "
            f"header is damaged, or the table has dimensions that it does not name"
        )
    rows = [row for _, row in body]
    lines = [line for line, _ in body]
    area_columns = [c for c, kind in enumerate(kinds) if kind == "area"]
    areas = _areas([tuple(_text(row[c]) for c in area_columns) for row in rows], lines)
    code_columns = [c for c, kind in enumerate(kinds) if kind == "code"]
    listed = [_text(row[code_columns[-1]]) for row in rows] if code_columns else []
    codes = _codes([names[c] for c in area_columns], areas, listed)
    read = [
        _read_column([row[c] for row in rows], headings[c - start], options)
        for c in range(start, width)
    ]
    published = [[_text(row[c]) for row in rows] for c in range(start, width)]
    n, k = len(rows), len(columns)
    area = [of_row[-1] for of_row in areas]
    indicators = [indicator for indicator, _, _ in columns] * n
    units = [unit for _, unit, _ in columns] * n
    if len(area_columns) == 1 and _INDICATOR_COLUMN.match(names[area_columns[0]]):
        # The rows are indicators, of an area that at most the title names.
        told = [_take_unit(name) for name in area for _ in range(k)]
        indicators = [
            ", ".join(filter(None, both))
            for both in zip((name for name, _ in told), indicators, strict=True)
        ]
        units = [own or of_column for (_, own), of_column in zip(told, units, strict=True)]
        area = codes = [None] * n
    return _frame(
        area_code=np.repeat(np.array(codes, dtype=object), k),
        area=np.repeat(np.array(area, dtype=object), k),
        period=[period for _, _, period in columns] * n,
        indicator=indicators,
        unit=units,
        value=np.column_stack([r.values for r in read]).ravel(),
        value_as_published=list(itertools.chain.from_iterable(zip(*published, strict=True))),
        flag=list(itertools.chain.from_iterable(zip(*(r.flags for r in read), strict=True))),
    )


def _leading_kinds(names: list[str]) -> list[str]:
    """The kinds of the leading columns that hold no figures: area, code or numbering."""
    kinds: list[str] = []
    for position, name in enumerate(names):
        if _CODE.match(name):
            kinds.append("code")
        elif _NUMBERING.match(name):
            kinds.append("numbering")
        elif _AREA.match(name) or (position == len(kinds) and "area" not in kinds):
            kinds.append("area")
        else:
            break
    return kinds


def _heading(header: list[list[Cell]], column: int, start: int) -> str:
    parts: list[str] = []
    for depth, row in enumerate(header):
        cell = _text(row[column])
        if not cell and depth < len(header) - 1:
            # An upper heading stands over all columns to its right until the next one.
            left = [c for c in range(start, column) if _filled(row[c])]
            cell = _text(row[left[-1]]) if left else ""
        cell = _without_mark(cell)
        if cell and cell not in parts:
            parts.append(cell)
    return " - ".join(parts)


def _known_year(title: str, options: _Options) -> str | None:
    if options.year is not None:
        return str(options.year)
    for text in (title, options.name):
        years = set(_YEAR.findall(text))
        if len(years) == 1:
            return years.pop()
    return None


def _understand(heading: str, year: str | None) -> tuple[str | None, ...]:
    """Indicator, unit and period of a heading."""
    period, rest = _take_period(heading, year)
    rest, unit = _take_unit(rest)
    indicator = re.sub(r"(\s*[-–,:]\s*)+$|^(\s*[-–,:]\s*)+", "", rest)
    indicator = _clean(re.sub(r"(\s*[-–]\s*){2,}", " - ", indicator))
    if unit is None and indicator.lower().startswith("persentase"):
        unit = "persen"
    return indicator or None, unit, period


def _of_title(title: str) -> tuple[str | None, str | None]:
    """Indicator and unit of a title such as ``Tabel 1.2 Penduduk Miskin (ribu), 2019-2021``."""
    title = re.sub(r"^(tabel|table)\s*[\d.]*\s*", "", title, flags=re.IGNORECASE)
    title = re.sub(r"[,\s]*(\btahun\s*)?\d{4}\s*[-–]\s*\d{4}$", "", title, flags=re.IGNORECASE)
    indicator, unit, _ = _understand(title, "any year")
    return indicator, unit


def _take_period(text: str, year: str | None) -> tuple[str | None, str]:
    """The period a heading names, with the year if it has none of its own, and the rest of it."""
    bases = [match[0] for match in _BASE_YEAR.finditer(text)]
    rest = _BASE_YEAR.sub("\0", text)  # no text of a file has this character
    rest = _YEAR_MONTH.sub(
        lambda found: f"{_MONTH_NAMES[found[2] or found[4]]} {found[1] or found[3]}", rest
    )
    years = set(_YEAR.findall(rest))
    part, rest = _take_part(rest)
    if len(years) > 1 or part == "several":
        return year, text  # a span of time is part of the name
    if years:
        year = years.pop()
        rest = re.sub(r"\btahun\s*$", "", _YEAR.sub("", rest), flags=re.IGNORECASE)
    if part and year is None:
        kind = "month" if part.isdigit() else "part of the year"
        raise _Refusal(
            f"the heading {text!r} names a {kind}, but nothing says the year: "
            f"give year= (or name the file with it)"
        )
    rest = re.sub(r"\(\s*\)", "", rest)
    for base in bases:
        rest = rest.replace("\0", base, 1)
    return (f"{year}-{part}" if part else year), rest


def _take_part(text: str) -> tuple[str | None, str]:
    """The part of the year a text names, and the rest of it.

    The part is ``03`` (a month), ``Q1``, ``S1``, missing, or ``several``.
    """
    rest = _MONTH.sub("", _SEMESTER.sub("", _QUARTER.sub("", text)))
    # The semester of "Semester 1 (Maret)" is the month.
    for pattern, letter in ((_MONTH, ""), (_QUARTER, "Q"), (_SEMESTER, "S")):
        found = {name.upper() for name in pattern.findall(text)}
        if found:
            named = {letter + _ROMAN.get(n, n) if letter else _MONTHS[n.lower()] for n in found}
            return (named.pop() if len(named) == 1 else "several"), rest
    return None, text


def _take_unit(text: str) -> tuple[str, str | None]:
    """Brackets that hold a unit, once: ``(ribu) (Ribu)`` is ``ribu``.

    They stand at the end of a heading, or of one of its lines.
    """
    unit = None
    while match := re.search(r"\s*[(\[]([^()\[\]]*)[)\]](?=\s*(?:[-–]|$))", text):
        inner = match[1].strip()
        if not _UNIT.match(inner):
            break
        text = text[: match.start()] + text[match.end() :]
        unit = inner
    return text.strip(), unit


def _read_column(cells: list[Cell], heading: str, options: _Options) -> numbers.Numbers:
    try:
        if all(isinstance(cell, str) for cell in cells):
            return numbers.read(cells, decimal=options.decimal, thousands=options.thousands)
        # Numbers of a spreadsheet are numbers already; the text cells among them are read.
        text = [cell if isinstance(cell, str) else "" for cell in cells]
        read = numbers.read(text, decimal=options.decimal, thousands=options.thousands)
    except numbers.NumberError as error:
        raise _Refusal(f"column {heading!r}: {error}") from None
    for position, cell in enumerate(cells):
        if not isinstance(cell, str):
            read.values[position] = cell
            read.flags[position] = ""
    return read


def _areas(levels: list[tuple[str, ...]], lines: list[int]) -> list[tuple[str, ...]]:
    """The names of areas per row, empty levels left out; the last is the area itself."""
    of_level: dict[tuple[str, ...], tuple[str, ...]] = {}
    for level, line in zip(levels, lines, strict=True):
        if level in of_level:
            continue
        names = of_level[level] = tuple(filter(None, level))
        if not names:
            raise _Refusal(f"line {line} names no area: the table is damaged or cut off")
        wrong = [n for n in names if re.fullmatch(r"[\d.,\s%-]+", n) or numbers.is_missing(n)]
        if wrong:
            raise _Refusal(
                f"line {line} has {wrong[0]!r} where the name of an area belongs: a row or column "
                f"is shifted, download the table again"
            )
    return [of_level[level] for level in levels]


# ---- long tables (Satu Data Jakarta) ---------------------------------------------------------


def _long(names: list[str], body: list[tuple[int, list[Cell]]], options: _Options) -> pd.DataFrame:
    if len(set(names)) < len(names) or "" in names:
        raise _Refusal("two columns have the same name, or one has none: the header is damaged")
    lines = [line for line, _ in body]
    columns = {name: [row[c] for _, row in body] for c, name in enumerate(names)}
    kinds = {name: _long_kind(name, cells) for name, cells in columns.items()}
    of = {kind: [n for n in names if kinds[n] == kind] for kind in set(kinds.values())}
    measures = of.get("measure", [])
    listing = [n for n in of.get("text", []) if _is_listing(columns[n])]
    if not measures or listing:
        told = ", ".join(repr(n) for n in (listing or of.get("text", []) or names)[:4])
        raise _Refusal(
            f"this is a list, not a statistical table: it has text such as {told} and no column of "
            f"figures for an area and a period"
        )
    periods = [
        _period([_text(columns[n][row]) for n in of["period"]], line)
        for row, line in enumerate(lines)
    ]
    for name in of.get("part", []):
        parts = [
            _part(name, _text(cell), line) for cell, line in zip(columns[name], lines, strict=True)
        ]
        periods = [f"{p}-{part}" if part else p for p, part in zip(periods, parts, strict=True)]
    area_names = of.get("area", [])
    if area_names:
        levels = list(zip(*([_text(c) for c in columns[n]] for n in area_names), strict=True))
        areas = _areas(levels, lines)
        area: list[str | None] = [names[-1] for names in areas]
        listed = of.get("code", [])
        code = _codes(area_names, areas, [_text(c) for c in columns[listed[-1]]] if listed else [])
    else:
        area = code = [None] * len(body)
    indicator_column = next((n for n in of.get("text", []) if _INDICATOR_COLUMN.match(n)), None)
    unit_column = next(iter(of.get("unit", [])), None)
    dimensions = [n for n in of.get("text", []) if n != indicator_column]
    blocks = []
    for name in measures:
        read = _read_column(columns[name], name, options)
        label, unit = _take_unit(name.replace("_", " "))
        if indicator_column:
            base = [_text(cell) for cell in columns[indicator_column]]
        else:
            base = [label] * len(body)
        for dimension in dimensions:
            base = [f"{b}, {_text(d)}" for b, d in zip(base, columns[dimension], strict=True)]
        if len(measures) > 1 and indicator_column:
            base = [f"{b}, {label}" for b in base]
        units = (
            [_text(u) or None for u in columns[unit_column]] if unit_column else [unit] * len(body)
        )
        blocks.append((base, units, read, [_text(cell) for cell in columns[name]]))
    k = len(blocks)
    area_of_each = np.repeat(np.array(area, dtype=object), k)
    code_of_each = np.repeat(np.array(code, dtype=object), k)
    indicators = _interleave(block[0] for block in blocks)
    if not area_names and not of.get("text"):
        codes = [_code((name,), True, "") for name in measures]
        if all(codes):  # periods by areas: the headings are the areas
            area_of_each, code_of_each = measures * len(body), codes * len(body)
            indicators = [None] * len(indicators)
    return _frame(
        area_code=code_of_each,
        area=area_of_each,
        period=np.repeat(np.array(periods, dtype=object), k),
        indicator=indicators,
        unit=_interleave(block[1] for block in blocks),
        value=np.column_stack([block[2].values for block in blocks]).ravel(),
        value_as_published=_interleave(block[3] for block in blocks),
        flag=_interleave(block[2].flags for block in blocks),
    )


def _interleave(lists: Iterable[list]) -> list:
    return list(itertools.chain.from_iterable(zip(*lists, strict=True)))


def _long_kind(name: str, cells: list[Cell]) -> str:
    for kind, pattern in (
        ("period", _PERIOD),
        ("part", _PART_COLUMN),
        ("code", _CODE),
        ("area", _AREA),
        ("unit", _UNIT_COLUMN),
    ):
        if pattern.match(name):
            return kind
    if _NUMBERING.match(name) or _PLACE.match(name):
        return "ignored"
    # Some hundred different cells tell; every cell is read later, and refused if it is no number.
    different = list(itertools.islice(dict.fromkeys(cells), 500))
    unlike = [
        c
        for c in different
        if isinstance(c, str) and not (numbers.is_number(c) or numbers.is_missing(c))
    ]
    some = any(not isinstance(c, str) or c.lower() not in numbers.MISSING for c in different)
    # A column of figures may have a few damaged cells: it is then refused as such.
    return "measure" if some and len(unlike) <= 0.5 * len(different) else "text"


def _is_listing(cells: list[Cell]) -> bool:
    """Whether a text column holds names and addresses rather than a few categories."""
    return len(cells) > 20 and len(set(cells)) > 0.5 * len(cells)


def _period(texts: list[str], line: int) -> str:
    """The period of a row from its columns of periods (``2024``, ``202403``, ``Maret 2024``)."""
    told = []
    for text in texts:
        if match := re.fullmatch(r"((?:19|20)\d{2})[-/]?(0[1-9]|1[0-2])?", text):
            told.append(match[1] + (f"-{match[2]}" if match[2] else ""))
            continue
        period, rest = _take_period(text, None)
        if period is None or rest.strip():
            raise _Refusal(
                f"line {line} has {text!r} as its period: it should be like 2024 or 202503"
            )
        told.append(period)
    finest = max(told, key=len)
    if not all(map(finest.startswith, told)):
        raise _Refusal(f"line {line} has the periods {' and '.join(told)}: which one is its own?")
    return finest


def _part(column: str, text: str, line: int) -> str | None:
    """The part of the year in a column of months, semesters or quarters; a year has none."""
    column = column.lower()
    if text.lower() in ("", "tahunan", "annual", "-"):
        return None
    if column in ("bulan", "month"):
        part = f"{int(text):02}" if re.fullmatch(r"0?[1-9]|1[0-2]", text) else _take_part(text)[0]
    else:
        part = _take_part(text if column in text.lower() else f"{column} {text}")[0]
    if part in (None, "several"):
        raise _Refusal(f"line {line} has {text!r} as its {column}: the table is damaged")
    return part


# ---- codes of areas --------------------------------------------------------------------------


@cache
def _province_codes() -> dict[str, str]:
    codes = {_letters(name): code for code, name in regions.provinces().items()}
    for spelling, name in {
        "KEPBANGKABELITUNG": "KEPULAUANBANGKABELITUNG",
        "BANGKABELITUNG": "KEPULAUANBANGKABELITUNG",
        "KEPRIAU": "KEPULAUANRIAU",
        "DAERAHISTIMEWAYOGYAKARTA": "DIYOGYAKARTA",
        "NANGGROEACEHDARUSSALAM": "ACEH",
        "JAKARTA": "DKIJAKARTA",
        "DAERAHKHUSUSIBUKOTAJAKARTA": "DKIJAKARTA",
    }.items():
        codes[spelling] = codes[name]
    return codes


def _province_code(name: str) -> str | None:
    letters = _letters(_FOOTNOTE.sub("", name))
    return _province_codes().get(letters) or _province_codes().get(
        letters.removeprefix("PROVINSI").removeprefix("PROV")
    )


def _letters(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


@cache
def _kota_code(name: str) -> str | None:
    try:
        return regions.kota_code(name)
    except regions.RegionError:
        return None


def _codes(columns: list[str], areas: list[tuple[str, ...]], listed: list[str]) -> list[str | None]:
    """BPS codes, from names that have one meaning and from a column of codes.

    A column of codes may hold those of Kemendagri, which number the kota differently: it is left
    out as a whole if it contradicts a name.
    """
    whole = len(columns)
    below_province = whole > 1 or not re.match(r"(?i)(nama[ _])?(provinsi|province)", columns[-1])
    column = columns[-1].lower()
    of = {names: _code(names, below_province, column) for names in dict.fromkeys(areas)}
    codes = [of[names] for names in areas]
    if not listed:
        return codes
    given = [_bps_code(code) for code in listed]
    if any(a and a != b for a, b in zip(codes, given, strict=True)):
        return codes
    return given


@cache
def _code(names: tuple[str, ...], below_province: bool, column: str) -> str | None:
    own = _FOOTNOTE.sub("", names[-1])
    if len(names) == 1:
        province = _province_code(own)
        if province in ("31", "00") or (province and not below_province):
            return province
        # Gorontalo is a province and a kabupaten: the heading decides.
        if province and not re.match(
            r"(?i)(nama[ _])?(kab|kota|kec|kel|desa|reg|mun|city)", column
        ):
            return province
        # "Utara" alone may be of any other place.
        return _kota_code(own) if re.search(r"(?i)jakarta|seribu", own) else None
    parent = next((code for name in names[:-1] if (code := _kota_code(name))), None)
    if parent and "kelurahan" in column:
        return regions.find(own, parent)
    if parent and "kecamatan" in column:
        return _kecamatan_codes().get((parent, _letters(own)))
    if not parent and _province_code(names[0]) == "31":
        return _kota_code(own)
    return None


@cache
def _kecamatan_codes() -> dict[tuple[str, str], str]:
    listed = regions.areas()
    names = listed["kecamatan"].map(_letters)
    return dict(
        zip(zip(listed["kota_code"], names, strict=True), listed["kecamatan_code"], strict=True)
    )


# ---- WebAPI ----------------------------------------------------------------------------------


def _from_json(text: str, options: _Options) -> pd.DataFrame:
    try:
        # Numbers stay text, so that codes and values are as published.
        answer = json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _Refusal(
            f"the JSON is damaged or cut off ({_one_line(error)}): fetch it again"
        ) from None
    if not isinstance(answer, dict):
        raise _Refusal("this JSON is no answer of the BPS WebAPI: fetch a dynamic or static table")
    if answer.get("status") not in (None, "OK"):
        raise _Refusal(
            f"the WebAPI answered with an error ({_one_line(answer.get('message', ''))})"
        )
    availability = answer.get("data-availability")
    if availability not in (None, "available"):
        raise _Refusal(
            f"the WebAPI has no such table ({availability!r}): check variable and period"
        )
    try:
        if isinstance(answer.get("data"), dict) and "table" in answer["data"]:
            page = html.unescape(answer["data"]["table"])
            grid = _html(page, options)
            title = _TAG.sub(" ", html.unescape(str(answer["data"].get("title", ""))))
            return _from_grid(_Grid(grid.rows, grid.merged, _clean(title)), options)
        return _dynamic(answer)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _Refusal(
            f"the answer of the WebAPI lacks or spoils {_one_line(error)}: it is no dynamic table, "
            f"or damaged; fetch it again"
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict:
    """A JSON object; of a key that occurs twice, Python would keep the last value only."""
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise _Refusal(f"the key {twice!r} occurs twice in the JSON: it is damaged, fetch it again")
    return result


def _dynamic(answer: dict) -> pd.DataFrame:
    lists = {
        name: [(str(entry["val"]), _label(entry["label"])) for entry in answer[name]]
        for name in ("vervar", "turvar", "tahun", "turtahun")
    }
    variables = [
        (str(v["val"]), _label(v["label"]), _label(v.get("unit") or "")) for v in answer["var"]
    ]
    if not answer["vervar"] or not variables:
        raise _Refusal("the answer lists no areas or no variable: fetch it again")
    content = answer["datacontent"]
    if content == []:  # PHP's way to write an empty object
        raise _Refusal("the answer has no figures: ask for other periods")
    # The key is area + variable + its category + year + its part, without separators: decode it
    # from the product of what is listed, since cutting at fixed widths would guess.
    times = [
        (year + part, _webapi_period(year_label, part_label))
        for (year, year_label), (part, part_label) in itertools.product(
            lists["tahun"], lists["turtahun"]
        )
    ]
    what = [
        (
            number + category,
            label if category_label in ("", "Tidak ada") else f"{label}, {category_label}",
            unit,
        )
        for (number, label, unit), (category, category_label) in itertools.product(
            variables, lists["turvar"]
        )
    ]
    column = _label(answer.get("labelvervar", "")).lower()
    keys, area_codes, areas, periods, indicators, units = [], [], [], [], [], []
    for code, area in lists["vervar"]:
        bps_code = _bps_code(code) or _code((area,), True, column)
        for (middle, indicator, unit), (end, period) in itertools.product(what, times):
            keys.append(code + middle + end)
            area_codes.append(bps_code)
            areas.append(area)
            periods.append(period)
            indicators.append(indicator)
            units.append(unit or None)
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise _Refusal(
            f"the key {twice} stands for two combinations: ask for fewer years at a time"
        )
    unknown = set(content) - set(keys)
    if unknown:
        raise _Refusal(
            f"{len(unknown)} keys of the answer fit no listed combination (the first: "
            f"{min(unknown)}): the answer is damaged, fetch it again"
        )
    published = [_published(content.get(key, "")) for key in keys]
    read = numbers.read(published, decimal=".")
    return _frame(area_codes, areas, periods, indicators, units, read.values, published, read.flags)


def _published(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # JSON may write a number with an exponent.
        return repr(float(value)) if re.fullmatch(r"-?[\d.]+[eE][+-]?\d+", value) else value
    raise _Refusal(f"{value!r} stands where a figure belongs: the answer is damaged")


def _label(text: Any) -> str:
    return _clean(html.unescape(_TAG.sub("", str(text))))


def _bps_code(code: str) -> str | None:
    """A listed code as BPS code; the WebAPI writes provinces as 3100, and Indonesia as 9999."""
    if code in ("9999", "0", "0000"):
        return "00"
    if not re.fullmatch(r"\d{2}|\d{4}|\d{7}|\d{10}", code):
        return None
    if code[:2] not in _province_codes().values():
        return None  # an age group, say
    return code[:2] if code[2:] == "00" else code


def _webapi_period(year: str, part: str) -> str:
    if not re.fullmatch(r"(19|20)\d{2}", year):
        raise _Refusal(f"{year!r} stands where a year belongs: the answer is damaged")
    if part.lower() in ("", "tahun", "tahunan", "annual", "tidak ada"):
        return year
    named, _ = _take_part(part)
    return f"{year}-{named}" if named not in (None, "several") else f"{year}, {part}"


def _frame(
    area_code: Any,
    area: Any,
    period: Any,
    indicator: Any,
    unit: Any,
    value: Any,
    value_as_published: Any,
    flag: Any,
) -> pd.DataFrame:
    texts = {
        "area_code": area_code,
        "area": area,
        "period": period,
        "indicator": indicator,
        "unit": unit,
    }
    frame = pd.DataFrame(
        {name: pd.array(list(cells), dtype="str") for name, cells in texts.items()}
    )
    frame["value"] = np.asarray(value, dtype=float)
    frame["value_as_published"] = pd.array(list(value_as_published), dtype="str")
    frame["flag"] = pd.array(list(flag), dtype="str")
    return frame


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
