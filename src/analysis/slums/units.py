"""RW as units: the user's table of RW variables, and the user's polygons of RW."""

import difflib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from analysis import paths, provenance, regions
from analysis.slums.published import SlumError, rw_number
from analysis.slums.rules import Rules

VARIABLES = "RW_VARIABLES"  # names of the variables that name the user's files
BOUNDARIES = "RW_BOUNDARIES"
INSIDE_SHARE = 0.5  # of its area, from which on an RW lies in its kelurahan
DUPLICATE_SHARE = 0.5  # of the smaller polygon, from which on two overlap as one drawn twice
APART_M = 1_000  # between parts of one RW, from which on they are doubtful


def variables_path() -> str | None:
    """The table of RW variables that ``RW_VARIABLES`` names, or None."""
    return os.environ.get(VARIABLES) or None


def boundaries_path() -> str | None:
    """The file of RW polygons that ``RW_BOUNDARIES`` names, or None."""
    return os.environ.get(BOUNDARIES) or None


def read_variables(path: str | Path, rules: Rules) -> pd.DataFrame:
    """A user's table of RW variables, checked.

    Parameters
    ----------
    path
        CSV or Parquet, one row per RW: ``kelurahan_code`` (10-digit BPS code), ``rw`` (``RW 08``,
        ``008`` or ``8``), the columns of ``rules``, and if known ``area_ha`` and
        ``population_count``. A column ``synthetic`` or an attribute of that name that is true
        marks the run as synthetic. A relative path counts from the project's folder.
    rules
        `analysis.slums.read_rules`: whose columns are needed.

    Returns
    -------
    pandas.DataFrame
        ``kelurahan_code, kota_code, rw`` (three digits), then the other columns, sorted.

    Raises
    ------
    SlumError
        The file cannot be read; a column is missing; codes, RW numbers or values are not what
        they should be; an RW is there twice. The message names column and rows.
    """
    path = paths.ROOT / Path(path).expanduser()
    shown = paths.shown(path)
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, dtype={"kelurahan_code": "str", "rw": "str"})
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SlumError(f"{VARIABLES}: {shown} cannot be read ({reason})") from None
    need = [["kelurahan_code"], ["rw"]]
    need += [[m.column for m in criterion.measures] for criterion in rules.criteria]
    absent = [" or ".join(names) for names in need if not any(n in table for n in names)]
    if absent:
        raise SlumError(
            f"{VARIABLES}: {shown} has no column {', '.join(absent)}, which {rules.name} needs "
            f"(it has: {', '.join(table.columns)})"
        )
    provenance.record(path, synthetic=is_synthetic(table))
    table = table.assign(
        kelurahan_code=table["kelurahan_code"].astype("str").str.strip(), rw=rw_number(table["rw"])
    )
    measures = [c for c in (*rules.columns, "area_ha", "population_count") if c in table]
    problems = _variable_problems(table, measures, rules)
    if problems:
        raise SlumError(f"{VARIABLES}: {shown}: {'; '.join(problems)}")
    table[measures] = table[measures].astype(float)
    codes = table.pop("kelurahan_code")
    table = table.drop(columns="kota_code", errors="ignore")
    table.insert(0, "kelurahan_code", codes)
    table.insert(1, "kota_code", codes.str[:4])
    table.insert(2, "rw", table.pop("rw"))
    return table.sort_values(["kelurahan_code", "rw"], ignore_index=True)


def is_synthetic(table: pd.DataFrame) -> bool:
    """Whether a table of RW is marked as made up: a column ``synthetic``, or its attribute.

    What `analysis.synthetic.rw_variables` makes keeps the column in any file.
    """
    marked = "synthetic" in table and table["synthetic"].astype("str").str.lower().eq("true").any()
    return bool(marked or table.attrs.get("synthetic"))


def _variable_problems(table: pd.DataFrame, measures: list[str], rules: Rules) -> list[str]:
    told = []
    unknown = ~table["kelurahan_code"].isin(regions.areas()["kelurahan_code"])
    if unknown.any():
        first = ", ".join(sorted(set(table.loc[unknown, "kelurahan_code"]))[:3])
        told.append(f"{unknown.sum()} rows have a kelurahan_code that is not of BPS ({first})")
    if (bad := table["rw"].isna()).any():
        told.append(f"{bad.sum()} rows have no RW number (the first is row {_first(bad)})")
    twice = table.duplicated(["kelurahan_code", "rw"]) & table["rw"].notna()
    if twice.any():
        row = table[twice].iloc[0]
        told.append(f"{twice.sum()} RW are there twice ({row['kelurahan_code']} RW {row['rw']})")
    for name in measures:
        number = pd.to_numeric(table[name], errors="coerce")
        if (bad := number.isna() & table[name].notna()).any():
            told.append(f"{name}: {table[name][bad].iloc[0]!r} is no number (row {_first(bad)})")
            continue
        high = 100 if name.endswith("_pct") else np.inf
        if (bad := (number < 0) | (number > high)).any():
            kind = "between 0 and 100" if high == 100 else "zero or more"
            told.append(f"{name}: {number[bad].iloc[0]:g} is not {kind} (row {_first(bad)})")
    return told


def _first(flag: pd.Series) -> int:
    """Row of the first flag, counted as a person does: the first row of data is 1."""
    return int(np.flatnonzero(flag)[0]) + 1


# ---- polygons -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RwBoundaries:
    """Polygons of RW, checked.

    Attributes
    ----------
    polygons
        One row per RW: ``kelurahan_code, kota_code, rw`` (three digits), ``part_count`` (rows of
        the file), ``inside_share`` (of its area, in the kelurahan that it is said to be in),
        ``lies_in`` (code of the kelurahan with most of it), ``area_ha`` and ``geometry``
        (EPSG:32748), sorted.
    problems
        What was found: ``problem`` (see `PROBLEMS`), ``kelurahan`` and ``kota`` as written,
        ``kelurahan_code`` (missing if not placed), ``rw``, ``row_count`` (rows of the file) and
        ``detail``; sorted as `PROBLEMS`.
    row_count
        Rows of the file.
    columns
        Which column was taken for ``kelurahan, kota, rw``.
    """

    polygons: gpd.GeoDataFrame
    problems: pd.DataFrame
    row_count: int
    columns: dict[str, str]

    def join(self, listed: pd.DataFrame) -> pd.DataFrame:
        """The list of slum RW against the polygons.

        Parameters
        ----------
        listed
            Table ``slum_rw`` (or any with ``kelurahan_code, rw``).

        Returns
        -------
        pandas.DataFrame
            One row per listed RW: ``kelurahan_code, rw, kelurahan, kota, joined`` and ``why``
            (not joined: no polygon of the kelurahan, or none of that number and which there are;
            joined to a doubtful polygon: what is doubtful; otherwise empty), and ``area_ha`` of
            the polygon beside ``listed_area_ha`` where the list has one.
        """
        table = listed[["kelurahan_code", "rw"]].copy()
        table["listed_area_ha"] = listed.get("area_ha", np.nan)
        own = self.polygons[["kelurahan_code", "rw", "inside_share", "area_ha"]]
        table = table.merge(own, on=["kelurahan_code", "rw"], how="left", validate="m:1")
        table = table.merge(
            regions.areas()[["kelurahan_code", "kelurahan", "kota"]], on="kelurahan_code"
        )
        table["joined"] = table["area_ha"].notna()
        there = self.polygons.groupby("kelurahan_code")["rw"].agg(_ranges)
        doubtful = _doubts(self.problems)
        table["why"] = [
            doubtful.get((row.kelurahan_code, row.rw), "")
            if row.joined
            else f"no polygon of this number (there are {there[row.kelurahan_code]})"
            if row.kelurahan_code in there.index
            else "no polygon of this kelurahan"
            for row in table.itertuples()
        ]
        columns = ["kelurahan_code", "kelurahan", "kota", "rw", "joined", "why"]
        return table[[*columns, "area_ha", "listed_area_ha"]]

    def words(self) -> str:
        """What became of the rows of the file, in a sentence."""
        counts = self.problems["problem"].value_counts()
        told = "; ".join(f"{counts[p]} {p}" for p in PROBLEMS if p in counts)
        return (
            f"The file has {self.row_count:,} polygons of {len(self.polygons):,} RW in "
            f"{self.polygons['kelurahan_code'].nunique()} kelurahan. "
            + (f"Found: {told}." if told else "No problem was found.")
        )


NO_KELURAHAN = "kelurahan that do not match"
NO_NUMBER = "without an RW number"
REPAIRED = "invalid geometry, repaired"
EMPTY = "without geometry"
DUPLICATE = "RW drawn twice"
PARTS = "RW in several parts, joined"
APART = "RW in parts far apart"
OUTSIDE = "RW outside their kelurahan"
PROBLEMS = (NO_KELURAHAN, NO_NUMBER, EMPTY, REPAIRED, DUPLICATE, APART, PARTS, OUTSIDE)


def read_boundaries(
    path: str | Path,
    kelurahan: gpd.GeoDataFrame,
    columns: Mapping[str, str] | None = None,
) -> RwBoundaries:
    """A user's polygons of RW, coded, repaired and checked.

    Parameters
    ----------
    path
        Any file that GDAL reads (Shapefile, GeoJSON, GeoPackage); a relative path counts from
        the project's folder.
    kelurahan
        `analysis.regions.kelurahan`: where each RW should lie.
    columns
        Column of ``kelurahan`` (name or 10-digit BPS code), of ``rw``, and of ``kota`` (not
        needed with codes). Without it they are found by content.

    Raises
    ------
    SlumError
        The file is missing, unreadable or names no coordinate system; its columns cannot be
        found; or no polygon could be placed.

    Notes
    -----
    Rows of the same RW become one. Where two of them overlap by more than half of the smaller
    they are a polygon drawn twice; else they are parts, doubtful if more than 1 km apart.
    """
    path = paths.ROOT / Path(path).expanduser()
    shown = paths.shown(path)
    if not path.exists():
        raise SlumError(f"{BOUNDARIES}: {shown} does not exist")
    try:
        # GDAL corrects the order of rings by itself and warns of it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*winding order")
            raw = gpd.read_file(path)
    except Exception as error:  # GDAL's drivers raise many kinds
        raise SlumError(f"{BOUNDARIES}: {shown} cannot be read ({error})") from None
    if not isinstance(raw, gpd.GeoDataFrame) or raw.crs is None:
        raise SlumError(f"{BOUNDARIES}: {shown} has no geometry or names no coordinate system")
    provenance.record(path)
    columns = _columns(raw, columns, shown)
    rows = raw[["geometry"]].to_crs(regions.CRS)
    rows["kelurahan"] = raw[columns["kelurahan"]].astype("str")
    rows["kota"] = raw[columns["kota"]].astype("str") if "kota" in columns else ""
    rows["written"] = raw[columns["rw"]].astype("str")
    rows["rw"] = rw_number(rows["written"])
    rows["kelurahan_code"] = _codes(rows)
    told = _row_problems(rows)
    empty = rows.geometry.isna() | rows.geometry.is_empty
    invalid = ~rows.geometry.is_valid & ~empty
    rows.loc[invalid, "geometry"] = shapely.make_valid(rows.geometry[invalid].values)
    rows = rows[rows["kelurahan_code"].notna() & rows["rw"].notna() & ~empty]
    if rows.empty:
        raise SlumError(
            f"{BOUNDARIES}: no polygon of {shown} could be placed by the columns {columns}"
        )
    told += _several(rows)
    polygons = rows.dissolve(["kelurahan_code", "rw"], aggfunc={"written": "size"}).reset_index()
    polygons = polygons.rename(columns={"written": "part_count"})
    polygons = _placed(polygons, kelurahan)
    told += _outside(polygons)
    names = ["problem", "kelurahan", "kota", "kelurahan_code", "rw", "row_count", "detail"]
    problems = pd.DataFrame(told, columns=names)
    order = problems["problem"].map(PROBLEMS.index)
    problems = problems.assign(order=order).sort_values(
        ["order", "kota", "kelurahan", "rw"], ignore_index=True
    )
    return RwBoundaries(polygons, problems.drop(columns="order"), len(raw), columns)


def _columns(raw: gpd.GeoDataFrame, told: Mapping[str, str] | None, shown: str) -> dict[str, str]:
    if told is not None:
        absent = [f"{name} ({key})" for key, name in told.items() if name not in raw]
        missing = {"kelurahan", "rw"} - set(told)
        if absent or missing:
            what = f"no column {', '.join(absent)}" if absent else f"needs {' and '.join(missing)}"
            raise SlumError(f"{BOUNDARIES}: {shown}: {what} (it has: {', '.join(raw.columns)})")
        return dict(told)
    text = raw.drop(columns="geometry").astype("str")
    listed = regions.areas()
    found = {}
    kota = {name: _share(text[name], _is_kota) for name in text}
    coded = {name: text[name].isin(listed["kelurahan_code"]).mean() for name in text}
    named = {name: _share(text[name], _is_kelurahan) for name in text}
    number = {name: rw_number(text[name]).notna().mean() + ("rw" in name.lower()) for name in text}
    if max(coded.values(), default=0) > 0.5:
        found["kelurahan"] = max(coded, key=coded.get)
    else:
        if max(named.values(), default=0) > 0.5:
            found["kelurahan"] = max(named, key=named.get)
        if max(kota.values(), default=0) > 0.5:
            found["kota"] = max(kota, key=kota.get)
    # A column of numbers is one of RW only if its name says so.
    if max(number.values(), default=0) > 1.5:
        found["rw"] = max(number, key=number.get)
    coded_well = max(coded.values(), default=0) > 0.5
    absent = {"kelurahan", "rw"} | (set() if coded_well else {"kota"})
    if absent := sorted(absent - set(found)):
        raise SlumError(
            f"{BOUNDARIES}: {shown}: cannot tell which column holds {' and '.join(absent)}: "
            "the one of numbers needs rw in its name, the others hold names or codes of kelurahan "
            f"and kota (it has: {', '.join(text.columns)}); in Python, give columns="
        )
    return found


def _share(values: pd.Series, test: Callable[[str], bool]) -> float:
    """Share of rows whose value passes a test, asking once for each value."""
    passed = {value: test(value) for value in values.unique()}
    return float(values.map(passed).mean()) if len(values) else 0.0


def _is_kota(value: str) -> bool:
    try:
        regions.kota_code(value)
    except regions.RegionError:
        return False
    return True


def _is_kelurahan(value: str) -> bool:
    return any(regions.find(value, kota) for kota in regions.KOTA)


def _codes(rows: pd.DataFrame) -> pd.Series:
    """Codes of kelurahan by code, or by name and kota; missing where not placed."""
    known = set(regions.areas()["kelurahan_code"])
    codes = {}
    for kelurahan, kota in rows[["kelurahan", "kota"]].drop_duplicates().itertuples(index=False):
        if kelurahan in known:
            codes[kelurahan, kota] = kelurahan
        elif _is_kota(kota):
            codes[kelurahan, kota] = regions.find(kelurahan, regions.kota_code(kota))
    keys = zip(rows["kelurahan"], rows["kota"], strict=True)
    return pd.Series([codes.get(key) for key in keys], index=rows.index, dtype="str")


def _row_problems(rows: gpd.GeoDataFrame) -> list[tuple]:
    told = []
    lost = rows[rows["kelurahan_code"].isna()]
    for (name, kota), own in lost.groupby(["kelurahan", "kota"]):
        told.append((NO_KELURAHAN, name, kota, None, _ranges(own["rw"].dropna()), len(own),
                     _nearest(name, kota)))  # fmt: skip
    empty = rows.geometry.isna() | rows.geometry.is_empty
    for problem, flag in (
        (NO_NUMBER, rows["rw"].isna()),
        (EMPTY, empty),
        (REPAIRED, ~rows.geometry.is_valid & ~empty),
    ):
        for row in rows[flag & rows["kelurahan_code"].notna()].itertuples():
            detail = f"written {row.written!r}" if problem == NO_NUMBER else ""
            told.append((problem, row.kelurahan, row.kota, row.kelurahan_code, row.rw, 1, detail))
    return told


def _nearest(name: str, kota: str) -> str:
    """Where a name may belong: in another kota, or a near one of its own."""
    elsewhere = [k for code, k in regions.KOTA.items() if regions.find(name, code)]
    if elsewhere:
        return f"there is one of this name in {' and '.join(elsewhere)}"
    if not _is_kota(kota):
        return f"{kota!r} is no kota"
    listed = regions.areas()
    here = listed.loc[listed["kota_code"] == regions.kota_code(kota), "kelurahan"]
    near = difflib.get_close_matches(name.title(), list(here), n=1, cutoff=0.6)
    return f"perhaps {near[0]}" if near else ""


def _several(rows: gpd.GeoDataFrame) -> list[tuple]:
    told = []
    several = rows[rows.duplicated(["kelurahan_code", "rw"], keep=False)]
    for (code, rw), own in several.groupby(["kelurahan_code", "rw"]):
        shapes = own.geometry.values
        first, second = np.triu_indices(len(own), k=1)
        shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
        smaller = np.minimum(shapely.area(shapes[first]), shapely.area(shapes[second]))
        gap = shapely.distance(shapes[first], shapes[second])
        if (shared > DUPLICATE_SHARE * smaller).any():
            problem = DUPLICATE
            detail = f"{shared.max() / 1e4:.1f} ha in both"
        elif gap.max() > APART_M:
            problem, detail = APART, f"{gap.max() / 1e3:.1f} km apart: perhaps another RW"
        else:
            problem, detail = PARTS, f"up to {gap.max():.0f} m apart"
        row = own.iloc[0]
        told.append((problem, row["kelurahan"], row["kota"], code, rw, len(own), detail))
    return told


def _placed(polygons: gpd.GeoDataFrame, kelurahan: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Polygons with the share of each in its own kelurahan, and the kelurahan with most of it."""
    shapes, areas = polygons.geometry.values, kelurahan.geometry.values
    own, other = shapely.STRtree(areas).query(shapes, predicate="intersects")
    shared = pd.DataFrame(
        {
            "row": own,
            "code": kelurahan["kelurahan_code"].to_numpy()[other],
            "share": shapely.area(shapely.intersection(shapes[own], areas[other]))
            / shapely.area(shapes[own]),
        }
    )
    most = shared.sort_values("share").drop_duplicates("row", keep="last").set_index("row")
    said = polygons["kelurahan_code"].to_numpy()[shared["row"]]
    inside = shared[shared["code"] == said].set_index("row")["share"]
    return polygons.assign(
        kota_code=polygons["kelurahan_code"].str[:4],
        inside_share=inside.reindex(polygons.index).fillna(0.0),
        lies_in=most["code"].reindex(polygons.index),
        area_ha=polygons.area / 1e4,
    )[
        ["kelurahan_code", "kota_code", "rw", "part_count", "inside_share", "lies_in", "area_ha",
         "geometry"]
    ]  # fmt: skip


def _outside(polygons: gpd.GeoDataFrame) -> list[tuple]:
    names = regions.areas().set_index("kelurahan_code")
    told = []
    for row in polygons[polygons["inside_share"] < INSIDE_SHARE].itertuples():
        if pd.isna(row.lies_in):
            where = "it lies in no kelurahan"
        elif row.lies_in == row.kelurahan_code:
            where = "no other kelurahan has more of it"
        else:
            where = f"most of it lies in {names.loc[row.lies_in, 'kelurahan']}"
        own = names.loc[row.kelurahan_code]
        told.append(
            (OUTSIDE, own["kelurahan"], own["kota"], row.kelurahan_code, row.rw, row.part_count,
             f"{row.inside_share * 100:.0f} % inside; {where}")
        )  # fmt: skip
    return told


def _doubts(problems: pd.DataFrame) -> dict[tuple[str, str], str]:
    doubtful = problems[problems["problem"].isin([DUPLICATE, APART, OUTSIDE])]
    keys = zip(doubtful["kelurahan_code"], doubtful["rw"], strict=True)
    told: dict[tuple[str, str], str] = {}
    for key, row in zip(keys, doubtful.itertuples(), strict=True):
        words = f"{row.problem.removeprefix('RW ')} ({row.detail})"
        told[key] = "; ".join(filter(None, [told.get(key, ""), words]))
    return told


def _ranges(numbers: pd.Series) -> str:
    """``001-004, 007``."""
    values = sorted({int(n) for n in numbers})
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{r[0]:03d}" if len(r) == 1 else f"{r[0]:03d}-{r[-1]:03d}" for r in runs)
