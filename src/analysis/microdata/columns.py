"""The canonical columns of microdata: their kinds, their ranges, and the check of a whole table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa

TEXT, AREA, CATEGORY, YES_NO = "text", "area", "category", "yes/no"
INTEGER, NUMBER = "integer", "number"
# Digits of a BPS code by column.
AREA_DIGITS = {"kota_code": 4, "kecamatan_code": 7, "kelurahan_code": 10}


class MicrodataError(ValueError):
    """Microdata or their mapping are not what they should be; the message names line and cure."""


@dataclass(frozen=True)
class Kind:
    """What a canonical column holds: its kind, its categories, and the values allowed."""

    kind: str
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    required: bool = False

    @property
    def numeric(self) -> bool:
        return self.kind in (INTEGER, NUMBER)

    def check(self) -> pa.Check | None:
        """The allowed values as a check that says in words what is wrong."""
        if self.above is not None:
            return pa.Check.gt(self.above, error=f"not above {self.above:g}")
        if self.high is not None:
            words = f"not between {self.low:g} and {self.high:g}"
            return pa.Check.in_range(self.low, self.high, error=words)
        if self.low is not None:
            return pa.Check.ge(self.low, error=f"below {self.low:g}")
        return None


def _count(**more) -> Kind:
    return Kind(INTEGER, low=0, **more)


_AREAS = {name: Kind(AREA) for name in AREA_DIGITS}
_HOUSEHOLD = {
    "household_size": Kind(INTEGER, low=1, high=100, required=True),
    "head_age": Kind(INTEGER, low=10, high=120),
    "head_female": Kind(YES_NO),
    "head_schooling": Kind(CATEGORY, ("none", "primary", "junior", "senior", "tertiary")),
    "head_work": Kind(CATEGORY, ("not_working", "informal", "formal")),
    "dwelling_owned": Kind(YES_NO),
    "floor_area_m2": Kind(NUMBER, above=0),
    "water": Kind(CATEGORY, ("piped", "bottled", "well", "other")),
    "toilet": Kind(CATEGORY, ("own", "shared", "none")),
    "has_car": Kind(YES_NO),
    "has_motorcycle": Kind(YES_NO),
    "has_refrigerator": Kind(YES_NO),
    "has_ac": Kind(YES_NO),
    "has_computer": Kind(YES_NO),
    "slum_rw": Kind(YES_NO),
}
# Covariates that a model of welfare may have: what both a survey and a census can tell.
COVARIATES = ("kota_code", *_HOUSEHOLD)
_KELURAHAN = {"kelurahan_code": Kind(AREA, required=True)}
_PERIOD = {"period": Kind(TEXT, required=True)}

# By table, in the order of the columns of the result.
TABLES: dict[str, dict[str, Kind]] = {
    "survey": {"household_id": Kind(TEXT, required=True)}
    | _AREAS
    | {
        "stratum": Kind(TEXT),
        "cluster": Kind(TEXT),
        "weight": Kind(NUMBER, above=0, required=True),
        "expenditure_rp": Kind(NUMBER, low=0),
        "expenditure_per_capita_rp": Kind(NUMBER, low=0),
    }
    | _HOUSEHOLD,
    "census": _AREAS | _HOUSEHOLD | {"count": Kind(INTEGER, low=1)},
    "podes": _KELURAHAN
    | {
        "health_facility_count": _count(),
        "school_count": _count(),
        "bank_count": _count(),
        "slum_present": Kind(YES_NO),
        "flood_event_count": _count(),
        "distance_to_market_km": Kind(NUMBER, low=0),
    },
    "lines": _PERIOD
    | {
        "kota_code": Kind(AREA, required=True),
        "poverty_line_rp": Kind(NUMBER, above=0, required=True),
        "derived": Kind(YES_NO),
    },
    "truth": _KELURAHAN
    | _PERIOD
    | {
        "population_count": _count(required=True),
        "household_count": _count(),
        "p0": Kind(NUMBER, low=0, high=1, required=True),
        "p1": Kind(NUMBER, low=0, high=1),
        "p2": Kind(NUMBER, low=0, high=1),
        "mean_expenditure_rp": Kind(NUMBER, low=0),
    },
    "areas": _KELURAHAN | {"area_name": Kind(TEXT, required=True)},
}
# What makes a row of these tables one of its kind.
KEYS = {
    "survey": ["household_id"],
    "podes": ["kelurahan_code"],
    "lines": ["period", "kota_code"],
    "truth": ["kelurahan_code", "period"],
    "areas": ["kelurahan_code"],
}


def problems(table: pd.DataFrame, name: str, where: Callable[[str], str]) -> list[str]:
    """What of a mapped table is out of its range or missing, in words, without any value.

    Parameters
    ----------
    table
        Canonical columns.
    name
        Key of `TABLES`.
    where
        From a column to the place of the mapping that is to be named.
    """
    kinds: Mapping[str, Kind] = {c: k for c, k in TABLES[name].items() if c in table}
    schema = pa.DataFrameSchema(
        {
            column: pa.Column(None, kind.check(), nullable=not kind.required)
            for column, kind in kinds.items()
        }
    )
    told = []
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.groupby(["column", "check"], sort=False).size()
        for (column, check), count in cases.items():
            words = "missing" if check == "not_nullable" else check
            told.append(
                f"{where(column)}: {count:,} of {len(table):,} values of {column} are {words}"
            )
    if key := KEYS.get(name):
        twice = int(table.duplicated(key, keep=False).sum())
        if twice:
            told.append(f"{where(key[0])}: {twice:,} rows share their {' and '.join(key)}")
    return told
