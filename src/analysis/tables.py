"""The processed tables (``data/processed/*.parquet``): one schema each, written by one notebook."""

import os

import pandas as pd
import pandera.pandas as pa

from analysis import microdata, paths, poverty, provenance, regions, slums

_KELURAHAN = {
    "kelurahan_code": pa.Column(str, pa.Check.str_matches(r"^31\d{8}$"), unique=True),
    "kota_code": pa.Column(str, pa.Check.isin(list(regions.KOTA))),
}
_COUNT = pa.Check.ge(0)
_PERIOD = pa.Column(str, pa.Check.str_matches(r"^\d{4}-(03|09)$"))
_SHARE = pa.Check.in_range(0, 100)


def _every_kelurahan(table: pd.DataFrame) -> bool:
    return list(table["kelurahan_code"]) == list(regions.areas()["kelurahan_code"])


def _microdata(table: str) -> dict[str, pa.Column]:
    """Canonical columns, whose values `analysis.microdata` has checked; those of a user's own."""
    return {
        name: pa.Column(None, kind.check(), nullable=not kind.required, required=kind.required)
        for name, kind in microdata.TABLES[table].items()
    }


_SCHEMAS: dict[str, pa.DataFrameSchema] = {
    "kelurahan": pa.DataFrameSchema(
        _KELURAHAN
        | {
            "kemendagri_code": pa.Column(
                str, pa.Check.str_matches(r"^31(\.\d\d){2}\.\d{4}$"), unique=True
            ),
            "kelurahan": pa.Column(str),
            "kecamatan_code": pa.Column(str, pa.Check.str_matches(r"^31\d{5}$")),
            "kecamatan": pa.Column(str),
            "kota": pa.Column(str, pa.Check.isin(list(regions.KOTA.values()))),
            "area_km2": pa.Column(float, pa.Check.in_range(0.1, 20)),
            "official_area_km2": pa.Column(float, pa.Check.in_range(0.1, 20)),
            "population_count": pa.Column("int64", pa.Check.in_range(1_000, 250_000)),
            "density_per_km2": pa.Column(float, pa.Check.in_range(100, 150_000)),
            "rw_count": pa.Column("Int64", pa.Check.in_range(1, 40), nullable=True),
            "rw_flood_prone_count": pa.Column("Int64", _COUNT, nullable=True),
            "rw_flood_unknown_count": pa.Column("Int64", _COUNT, nullable=True),
        },
        checks=[
            pa.Check(_every_kelurahan, error="the rows are not the 267 of the list of areas"),
            pa.Check(
                lambda t: (
                    (t["rw_flood_prone_count"] + t["rw_flood_unknown_count"] <= t["rw_count"])
                    .fillna(True)
                    .astype(bool)
                ),
                error="more flood-prone RW than RW",
            ),
        ],
        strict=True,
    ),
    "poverty_semester": pa.DataFrameSchema(
        {
            "region_code": pa.Column(str, pa.Check.str_matches(r"^\d\d$")),
            "region": pa.Column(str),
            "period": _PERIOD,
            "p0_pct": pa.Column(float, pa.Check.in_range(0.5, 50), nullable=True),
            "poor_count": pa.Column("Int64", pa.Check.in_range(1_000, 40_000_000), nullable=True),
            "poverty_line_rp": pa.Column(
                float, pa.Check.in_range(100_000, 2_000_000), nullable=True
            ),
            "p1_pct": pa.Column(float, pa.Check.in_range(0, 20), nullable=True),
            "p2_pct": pa.Column(float, pa.Check.in_range(0, 10), nullable=True),
            "gini": pa.Column(float, pa.Check.in_range(0.1, 0.7), nullable=True),
            "date_published": pa.Column(
                str, pa.Check.str_matches(r"^\d{4}-\d\d-\d\d$"), nullable=True
            ),
            "date_basis": pa.Column(str, nullable=True),
            "status": pa.Column(
                str,
                pa.Check.isin(
                    [
                        poverty.PUBLISHED,
                        poverty.CORRECTED,
                        poverty.NOT_PUBLISHED,
                        poverty.NOT_IN_TABLES,
                        poverty.WITHHELD,
                    ]
                ),
            ),
            "source": pa.Column(str, nullable=True),
        },
        unique=["region_code", "period"],
        checks=[
            pa.Check(
                lambda t: (
                    t["status"].isin([poverty.PUBLISHED, poverty.CORRECTED]) == t["p0_pct"].notna()
                ),
                error="status contradicts p0_pct",
            )
        ],
        strict=True,
    ),
    "kota_poverty": pa.DataFrameSchema(
        {
            "period": _PERIOD,
            "kota_code": pa.Column(str, pa.Check.isin(list(regions.KOTA))),
            "kota": pa.Column(str, pa.Check.isin(list(regions.KOTA.values()))),
            "p0_pct": pa.Column(float, pa.Check.in_range(0.5, 50), nullable=True),
            "poor_count": pa.Column("Int64", pa.Check.in_range(1_000, 500_000), nullable=True),
            "poverty_line_rp": pa.Column(
                float, pa.Check.in_range(100_000, 2_000_000), nullable=True
            ),
            "derived": pa.Column(bool),
            "source": pa.Column(str, nullable=True),
        },
        unique=["period", "kota_code"],
        strict=True,
    ),
    "slum_rw": pa.DataFrameSchema(
        {
            "kelurahan_code": pa.Column(str, pa.Check.str_matches(r"^31\d{8}$")),
            "kota_code": pa.Column(str, pa.Check.isin(list(slums.KOTA_WITH_LIST))),
            "rw": pa.Column(str, pa.Check.str_matches(r"^\d{3}$")),
            "area_ha": pa.Column(float, pa.Check.in_range(0.1, 1_000)),
            "listed_by": pa.Column(str),
            "inside": pa.Column(bool),
            "area_plausible": pa.Column(bool),
        },
        unique=["kelurahan_code", "rw"],
        strict=True,
    ),
    "slum_kelurahan": pa.DataFrameSchema(
        _KELURAHAN
        | {
            "status": pa.Column(
                str, pa.Check.isin([slums.LISTED, slums.NONE_LISTED, slums.NOT_PUBLISHED])
            ),
            "slum_rw_listed_count": pa.Column("Int64", pa.Check.ge(1), nullable=True),
            "slum_rw_share_pct": pa.Column(float, _SHARE, nullable=True),
            "slum_ha": pa.Column(float, pa.Check.gt(0), nullable=True),
        },
        checks=[
            pa.Check(_every_kelurahan, error="the rows are not the 267 of the list of areas"),
            pa.Check(
                lambda t: (t["status"] == slums.LISTED) == t["slum_rw_listed_count"].notna(),
                error="a value outside the list, or none inside it",
            ),
        ],
        strict=True,
    ),
    "slum_counts": pa.DataFrameSchema(
        {
            "year": pa.Column("int64", pa.Check.in_range(2000, 2050)),
            "area": pa.Column(str, pa.Check.isin(["DKI Jakarta", *regions.KOTA.values()])),
            "slum_rw_count": pa.Column("int64", pa.Check.in_range(1, 3_000)),
            "counted_by": pa.Column(
                str, pa.Check.isin([slums.BPS, slums.ADMINISTRATIVE, slums.NOT_STATED])
            ),
            "frame": pa.Column(str),
        },
        unique=["year", "area"],
        strict=True,
    ),
    "households": pa.DataFrameSchema(
        _microdata("survey")
        | {
            "period": pa.Column(str, pa.Check.str_matches(r"^\d{4}-(0[1-9]|1[0-2])$")),
            "kota_code": pa.Column(str, pa.Check.isin(list(regions.KOTA))),
            "kota": pa.Column(str, pa.Check.isin(list(regions.KOTA.values()))),
            "poverty_line_rp": pa.Column(float, pa.Check.gt(0)),
            "line_basis": pa.Column(
                str, pa.Check.isin(["of the data", "published", "derived", "given"])
            ),
            "welfare": pa.Column(float, _COUNT),
            "poor": pa.Column(bool),
        },
        unique=["period", "household_id"],
        checks=[
            pa.Check(lambda t: t["poor"] == (t["welfare"] < 1), error="poor contradicts welfare")
        ],
        strict=True,
    ),
    "households_census": pa.DataFrameSchema(
        _microdata("census") | {"kota_code": pa.Column(str, pa.Check.isin(list(regions.KOTA)))},
        strict=True,
    ),
}


class TableError(ValueError):
    """A processed table is missing or does not fit its schema."""


def check(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table itself (with a plain index), if it fits its schema.

    Raises
    ------
    TableError
        It does not; the message lists the first violations.
    """
    try:
        return _SCHEMAS[name].validate(table.reset_index(drop=True), lazy=True)
    except pa.errors.SchemaErrors as errors:
        first = [
            f"{case.column or 'table'}: {case.check} ({case.failure_case})"
            for case in errors.failure_cases.head(3).itertuples()
        ]
        more = f" and {len(errors.failure_cases) - 3} more" if len(errors.failure_cases) > 3 else ""
        raise TableError(
            f"table {name} does not fit its schema: {'; '.join(first)}{more}"
        ) from None


def write(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Check a table and write it to the processed folder, atomically; returns the table.

    What has been read so far goes with it (``attrs["reads"]``).

    Raises
    ------
    TableError
        See `check`; an earlier file stays as it was.
    """
    table = check(name, table)
    table.attrs = {"reads": provenance.reads()}
    target = paths.processed() / f"{name}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        table.to_parquet(temporary, index=False)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return table


def read(name: str) -> pd.DataFrame:
    """A processed table.

    Raises
    ------
    TableError
        It has not been written yet; the message says how to make it.
    """
    path = paths.processed() / f"{name}.parquet"
    if not path.exists():
        known = "" if name in _SCHEMAS else f" (there are: {', '.join(_SCHEMAS)})"
        raise TableError(f"{paths.shown(path)} is missing: run 'make tables'{known}")
    try:
        table = pd.read_parquet(path)
        provenance.record(path, behind=table.attrs["reads"])
    except (OSError, ValueError, KeyError):
        raise TableError(
            f"{paths.shown(path)} is damaged: remove it and run 'make tables'"
        ) from None
    return table


def names() -> list[str]:
    """The names of all processed tables."""
    return list(_SCHEMAS)
