"""Codes, names and boundaries of DKI Jakarta, and the matching of published names to codes.

``python -m analysis.regions`` repairs and codes the installed boundaries (or the file named by
``BOUNDARIES``) and writes ``boundaries.parquet``, from which `kelurahan` reads.

Two agencies number the kota differently: BPS 3171 is Jakarta Selatan, Kemendagri 31.71 is Jakarta
Pusat. Codes here are BPS codes unless a name says ``kemendagri``. In a BPS code the first 4 digits
are the kota, the first 7 the kecamatan, all 10 the kelurahan.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import geopandas as gpd
import pandas as pd
import shapely

from analysis import paths, provenance, sources

CRS = "EPSG:32748"  # UTM zone 48 south: metres
KOTA = {
    "3101": "Kepulauan Seribu",
    "3171": "Jakarta Selatan",
    "3172": "Jakarta Timur",
    "3173": "Jakarta Pusat",
    "3174": "Jakarta Barat",
    "3175": "Jakarta Utara",
}
KEMENDAGRI_KOTA = {
    "3101": "31.01",
    "3171": "31.74",
    "3172": "31.75",
    "3173": "31.71",
    "3174": "31.73",
    "3175": "31.72",
}
COLUMNS = (
    "kelurahan_code",
    "kemendagri_code",
    "kelurahan",
    "kecamatan",
    "kota_code",
    "kota",
    "area_km2",
    "geometry",
)

# Spellings of BPS and of older lists -> the spelling of the list of areas (letters only).
_SPELLINGS = {
    "WIJAYAKESUMA": "WIJAYAKUSUMA",
    "HARAPANMULYA": "HARAPANMULIA",
    "HALIMPERDANAKUSUMAH": "HALIMPERDANAKUSUMA",
    "KAMPUNGTENGAH": "TENGAH",
    "PALMERIEM": "PALMERIAM",
    "PAPANGO": "PAPANGGO",
    "TANJUNGPRIUK": "TANJUNGPRIOK",
    "KERENDANG": "KRENDANG",
}
# GADM 4.1 has these two polygons under each other's code.
_GADM_SWAPPED = {"3172060001": "3172060008", "3172060008": "3172060001"}
# Seam width in metres that counts as a digitising error between neighbours, not as water or land.
_GAP_WIDTH = 200
# The official area is 662.3 km2 (Keputusan Gubernur 171/2007); a file far from it is in other
# units, in another projection, or includes the sea around the islands.
_AREA_KM2 = (600, 720)


class RegionError(ValueError):
    """A boundary file or a name of an area is not what it should be."""


@cache
def areas() -> pd.DataFrame:
    """The list of areas: all 267 kelurahan, sorted by code.

    Columns ``kelurahan_code, kelurahan, kecamatan_code, kecamatan, kota_code, kota``, all text.
    Every table of kelurahan is joined onto this list, so that its number of rows is known.
    Names are those of Satu Data Jakarta, in the spelling of Kemendagri.
    """
    table = sources.read("kelurahan_population_2024")
    code = table["kelurahan_code"]
    return (
        pd.DataFrame(
            {
                "kelurahan_code": code,
                "kelurahan": table["kelurahan"].str.title(),
                "kecamatan_code": code.str[:7],
                "kecamatan": table["kecamatan"].str.title(),
                "kota_code": code.str[:4],
                "kota": code.str[:4].map(KOTA),
            }
        )
        .sort_values("kelurahan_code")
        .reset_index(drop=True)
    )


def provinces() -> pd.Series:
    """Names of provinces by BPS code (``00`` is Indonesia)."""
    return sources.read("provinces").set_index("province_code")["province"]


def kota_code(kota: str) -> str:
    """The BPS code of a kota, from its code or any usual spelling of its name.

    Raises
    ------
    RegionError
        The name is none of the six; the message lists them.
    """
    letters = re.sub(r"[^A-Z0-9]", "", str(kota).upper())
    letters = re.sub(r"^(KOTA|KABUPATEN|KAB)?(ADMINISTRASI|ADM)?", "", letters)
    letters = letters.replace("KEPSERIBU", "KEPULAUANSERIBU")
    for code, name in KOTA.items():
        if letters in (code, _letters(name), _letters(name).removeprefix("JAKARTA")):
            return code
    known = ", ".join(f"{name} ({code})" for code, name in KOTA.items())
    raise RegionError(f"unknown kota {kota!r}: it is one of {known}")


def match(names: Iterable[str], kota: str | Iterable[str]) -> pd.Series:
    """BPS codes of kelurahan given by published names.

    Parameters
    ----------
    names
        Names in any published spelling: upper or lower case, with or without spaces, ``P.`` for
        Pulau, and the variant spellings of BPS and Kemendagri.
    kota
        The kota of all names, or one per name (name or code; see `kota_code`).

    Returns
    -------
    pandas.Series
        ``kelurahan_code`` (text), with the index of ``names`` if that is a Series.

    Raises
    ------
    RegionError
        Names that could not be placed, all of them, each with the nearest name of its kota.
    """
    names = names if isinstance(names, pd.Series) else pd.Series(list(names), dtype="str")
    kota = [kota] * len(names) if isinstance(kota, str) else list(kota)
    if len(kota) != len(names):
        raise RegionError(f"{len(names)} names but {len(kota)} kota: give one kota, or one each")
    kota_codes = {name: kota_code(name) for name in dict.fromkeys(kota)}
    codes, unknown = [], {}
    for name, kota_name in zip(names, kota, strict=True):
        codes.append(find(name, kota_codes[kota_name]))
        if codes[-1] is None:
            unknown[name, kota_codes[kota_name]] = _key(name)
    if unknown:
        raise RegionError(_not_placed(unknown))
    return pd.Series(codes, index=names.index, dtype="str", name="kelurahan_code")


def find(name: str, kota_code: str) -> str | None:
    """The BPS code of one kelurahan of a kota by any published spelling, or None."""
    return _by_key().get((kota_code, _key(name)))


@cache
def _by_key() -> dict[tuple[str, str], str]:
    listed = areas().itertuples()
    return {(row.kota_code, _letters(row.kelurahan)): row.kelurahan_code for row in listed}


def _key(name: str) -> str:
    letters = _letters(name)
    return _SPELLINGS.get(letters, letters)


def _letters(name: str) -> str:
    name = re.sub(r"^(KEL\.|KELURAHAN\b)", "", str(name).strip().upper())
    name = re.sub(r"^\s*P(UL)?\.\s*", "PULAU", name)
    return re.sub(r"[^A-Z0-9]", "", name)


def _not_placed(unknown: dict[tuple[str, str], str]) -> str:
    listed = areas().assign(letters=lambda a: a["kelurahan"].map(_letters))
    told = []
    for (name, code), letters in unknown.items():
        here = listed[listed["kota_code"] == code].set_index("letters")["kelurahan"]
        near = difflib.get_close_matches(letters, list(here.index), n=1, cutoff=0.6)
        told.append(f"{name!r} ({KOTA[code]}{f'; perhaps {here[near[0]]}' if near else ''})")
    return (
        f"{len(told)} kelurahan {'name' if len(told) == 1 else 'names'} could not be placed: "
        + ", ".join(told)
        + ". Correct the spelling or the kota"
    )


def kelurahan(province: str = "31") -> gpd.GeoDataFrame:
    """The 267 kelurahan of DKI Jakarta with their boundaries.

    Columns ``kelurahan_code`` (BPS, 10-digit text), ``kemendagri_code``, ``kelurahan``,
    ``kecamatan``, ``kota_code``, ``kota``, ``area_km2`` and ``geometry`` (EPSG:32748, polygons
    that share their borders exactly), sorted by code. ``attrs["source"]`` names the boundaries.

    Raises
    ------
    RegionError
        Another province is asked for, or the boundaries have not been built yet.
    """
    if province != "31":
        raise RegionError(f"no kelurahan boundaries for province {province!r}: only '31' is set up")
    path = paths.processed() / "boundaries.parquet"
    if not path.exists():
        raise RegionError(f"{paths.shown(path)} is missing: run 'make boundaries'")
    table = gpd.read_parquet(path)
    provenance.record(path, behind=table.attrs["reads"])
    return table


def kota() -> gpd.GeoDataFrame:
    """The six kota and kabupaten, their kelurahan merged.

    Columns ``kota_code, kota, area_km2, geometry`` (EPSG:32748), sorted by code; ``attrs`` and
    errors as of `kelurahan`.
    """
    parts = kelurahan()
    merged = parts.groupby(["kota_code", "kota"], as_index=False).agg(
        area_km2=("area_km2", "sum"),
        geometry=("geometry", lambda shapes: shapely.coverage_union_all(shapes.values)),
    )
    table = gpd.GeoDataFrame(merged, geometry="geometry", crs=parts.crs)
    table.attrs |= parts.attrs
    return table


def boundary_words(boundaries: gpd.GeoDataFrame) -> str:
    """Where the boundaries in use come from, with the reference if they are GADM's."""
    if boundaries.attrs["source"].startswith("GADM"):
        return "Boundaries are those of GADM 4.1 [@gadm41], repaired."
    return f"Boundaries are those of the file {boundaries.attrs['source']}, repaired."


def kelurahan_table(
    boundaries: gpd.GeoDataFrame, population: pd.DataFrame, rw: pd.DataFrame
) -> pd.DataFrame:
    """The table ``kelurahan``: codes, names, areas, residents and RW of the 267 kelurahan.

    Parameters
    ----------
    boundaries
        `kelurahan`.
    population
        Raw table ``kelurahan_population_2024``.
    rw
        Raw table ``kelurahan_rw``; its counts are missing on the islands, not zero.

    Returns
    -------
    pandas.DataFrame
        See the schema in `analysis.tables`. ``official_area_km2`` is what published residents
        and density imply.
    """
    table = (
        boundaries.drop(columns="geometry")
        .merge(
            population[["kelurahan_code", "population_count", "density_per_km2"]],
            on="kelurahan_code",
            validate="1:1",
        )
        .merge(rw.drop(columns="source"), on="kelurahan_code", how="left", validate="1:1")
    )
    table.insert(3, "kecamatan_code", table["kelurahan_code"].str[:7])
    table["official_area_km2"] = table["population_count"] / table["density_per_km2"]
    counts = ["rw_count", "rw_flood_prone_count", "rw_flood_unknown_count"]
    table[counts] = table[counts].astype("Int64")
    return table


def area_differences(table: pd.DataFrame, tolerance: float = 0.25) -> pd.DataFrame:
    """Kelurahan whose area in the boundary file is far from the official one.

    Parameters
    ----------
    table
        `kelurahan_table`.
    tolerance
        Relative to the official area.

    Returns
    -------
    pandas.DataFrame
        ``kelurahan_code, kelurahan, kota, area_km2, official_area_km2, ratio``, sorted by
        ``ratio`` (of the first to the second).
    """
    ratio = table["area_km2"] / table["official_area_km2"]
    columns = ["kelurahan_code", "kelurahan", "kota", "area_km2", "official_area_km2"]
    compared = table[columns].assign(ratio=ratio)
    return compared[(ratio - 1).abs() > tolerance].sort_values("ratio", ignore_index=True)


def boundary_file() -> Path:
    """The boundary file in use: the one named by ``BOUNDARIES``, or the installed GADM 4.1.

    A relative path counts from the project's folder.
    """
    named = os.environ.get("BOUNDARIES")
    return paths.ROOT / Path(named).expanduser() if named else sources.record("gadm41").file


def read_boundaries(path: Path | None = None) -> gpd.GeoDataFrame:
    """Polygons of a boundary file as they are, with their ``kelurahan_code``, one row per code.

    The file is any that GDAL reads. The column of codes is found by content: the one whose
    values are 10-digit BPS codes (as in GADM, HDX) or Kemendagri codes (as in BIG). Water and
    land without administration (codes that end in 888) is left out.

    Raises
    ------
    RegionError
        The file is missing, unreadable, has no projection or no column of codes, or its codes
        are not the 267 of the list.
    """
    path = path or boundary_file()
    shown = paths.shown(path)
    cure = "give another with BOUNDARIES=path, or none for the installed GADM 4.1"
    if path == sources.record("gadm41").file:
        path = sources.verified("gadm41")
        polygons = gpd.read_file(path, where="GID_1 = 'IDN.7_1'")
    elif not path.exists():
        raise RegionError(f"boundary file {shown} does not exist: {cure}")
    else:
        try:
            polygons = gpd.read_file(path)
        except Exception as error:  # GDAL's drivers raise many kinds
            raise RegionError(f"boundary file {shown} cannot be read ({error}): {cure}") from None
        if not isinstance(polygons, gpd.GeoDataFrame):
            raise RegionError(f"boundary file {shown} has no geometry: {cure}")
        provenance.record(path)
    if polygons.crs is None:
        raise RegionError(f"boundary file {shown} names no coordinate system: {cure}")
    codes = _find_codes(polygons)
    if codes is None:
        raise RegionError(
            f"boundary file {shown} has no column with the 10-digit codes of BPS or Kemendagri "
            f"for the kelurahan of DKI Jakarta (columns: {', '.join(polygons.columns)}): {cure}"
        )
    polygons = polygons[["geometry"]].assign(kelurahan_code=codes)
    polygons = polygons[polygons["kelurahan_code"].str.startswith("31").fillna(False)]
    polygons = polygons[~polygons["kelurahan_code"].str.endswith("888")]
    polygons = polygons.to_crs(CRS).dissolve("kelurahan_code", as_index=False)
    _compare_codes(polygons["kelurahan_code"], shown, cure)
    return polygons.sort_values("kelurahan_code").reset_index(drop=True)


def repair(polygons: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Polygons made into a coverage: no overlap, no narrow gap between neighbours.

    Overlaps go to the neighbour with the longest shared border, gaps up to 200 m wide are
    closed (`shapely.coverage_clean`, GEOS 3.14).
    """
    clean = shapely.coverage_clean(
        shapely.make_valid(polygons.geometry.values), gap_width=_GAP_WIDTH
    )
    return polygons.set_geometry(gpd.GeoSeries(clean, index=polygons.index, crs=polygons.crs))


def overlaps(polygons: gpd.GeoDataFrame, tolerance_m2: float = 1) -> tuple[int, float]:
    """Number of overlapping pairs (by more than a tolerance in m2) and their area in km2."""
    shapes = polygons.geometry.values
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = left < right
    shared = shapely.area(shapely.intersection(shapes[left[pairs]], shapes[right[pairs]]))
    shared = shared[shared > tolerance_m2]
    return len(shared), shared.sum() / 1e6


def build_boundaries(path: Path | None = None) -> gpd.GeoDataFrame:
    """The table that `kelurahan` returns, from a boundary file: coded, repaired and checked.

    Raises
    ------
    RegionError
        See `read_boundaries`; also if the areas are implausible or the repair did not succeed.
    """
    path = path or boundary_file()
    gadm = path == sources.record("gadm41").file
    polygons = read_boundaries(path)
    if gadm:
        polygons["kelurahan_code"] = polygons["kelurahan_code"].replace(_GADM_SWAPPED)
        polygons = polygons.sort_values("kelurahan_code").reset_index(drop=True)
    polygons = repair(polygons)
    area_km2 = polygons.area / 1e6
    if not _AREA_KM2[0] < area_km2.sum() < _AREA_KM2[1] or (area_km2 <= 0).any():
        raise RegionError(
            f"boundary file {paths.shown(path)}: the kelurahan cover {area_km2.sum():,.1f} km2, "
            f"but DKI Jakarta has 662: check its coordinate system, and that the sea is not in it"
        )
    if not shapely.coverage_is_valid(polygons.geometry.values):
        raise RegionError(
            f"boundary file {paths.shown(path)}: polygons still overlap after the repair; "
            f"give a file with clean borders"
        )
    table = polygons.merge(areas(), on="kelurahan_code", validate="1:1").assign(
        area_km2=area_km2, kemendagri_code=lambda t: t["kelurahan_code"].map(kemendagri_codes())
    )
    table = table[list(COLUMNS)]
    table.attrs["source"] = f"{sources.record('gadm41').citation}, repaired" if gadm else path.name
    table.attrs["reads"] = provenance.reads()
    return table


def kemendagri_codes() -> pd.Series:
    """Kemendagri codes (``31.74.09.1004``) by BPS code, for the 267 kelurahan."""
    villages = pd.read_csv(sources.verified("kemendagri_villages"), dtype="str")
    villages = villages[villages["code"].str.startswith("31.")]
    kota = {kemendagri: bps for bps, kemendagri in KEMENDAGRI_KOTA.items()}
    codes = match(villages["name"], villages["code"].str[:5].map(kota))
    return pd.Series(villages["code"].values, index=pd.Index(codes), name="kemendagri_code")


def _find_codes(table: pd.DataFrame) -> pd.Series | None:
    """The best column of codes as BPS codes, or None if none holds more than half of them."""
    bps = set(areas()["kelurahan_code"])
    from_kemendagri = {k.replace(".", ""): b for b, k in kemendagri_codes().items()}
    best, found = None, len(bps) / 2
    for name in table.columns.drop("geometry"):
        digits = table[name].astype("str").str.replace(r"\D", "", regex=True)
        for codes in (digits, digits.map(from_kemendagri)):
            if codes.isin(bps).sum() > found:
                best, found = codes, codes.isin(bps).sum()
    return best


def _compare_codes(codes: pd.Series, shown: str, cure: str) -> None:
    listed = areas().set_index("kelurahan_code")
    missing = listed.loc[listed.index.difference(codes)]
    unknown = sorted(set(codes) - set(listed.index))
    if missing.empty and not unknown:
        return
    parts = [f"boundary file {shown} has {len(codes)} kelurahan instead of {len(listed)}"]
    if len(missing):
        names = [
            f"{row.kelurahan} {row.Index} ({row.kota})" for row in missing.head(5).itertuples()
        ]
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        parts.append(f"missing: {', '.join(names)}{more}")
    if unknown:
        parts.append(f"unknown codes: {', '.join(unknown[:5])}")
    raise RegionError("; ".join(parts) + f": {cure}")


def main() -> int:
    target = paths.processed() / "boundaries.parquet"
    try:
        table = build_boundaries()
    except (RegionError, sources.SourceError) as error:
        print(f"boundaries: {error}", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    table.to_parquet(temporary)
    temporary.replace(target)
    print(
        f"boundaries: {len(table)} kelurahan, {table['area_km2'].sum():.1f} km2 "
        f"({table.attrs['source']}) -> {paths.shown(target)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
