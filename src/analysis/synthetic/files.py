"""The synthetic city as the files that a user would have: `analysis.microdata` reads them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import yaml

from analysis import paths, provenance
from analysis.synthetic.cities import FULL, PERIODS, REGULAR, City, city
from analysis.synthetic.official import SyntheticError
from analysis.synthetic.sampling import survey

MAPPING = "mapping.yml"
MARK = "synthetic"  # key of the attributes of every table, and of the mapping
NOTE = "Synthetic data - not an estimate of real poverty. Names of areas are invented."


def write(
    folder: str | Path,
    edition: str = REGULAR,
    size: str = FULL,
    seed: int = 0,
    periods: Sequence[str] = PERIODS,
    survey_seed: int = 0,
    household_count: int | None = None,
) -> list[Path]:
    """Make a city and write it, marked as synthetic, as files for `analysis.microdata`.

    ``survey_PERIOD.parquet`` for each period, ``census.parquet`` (households of the last period;
    ``since`` says from when), ``podes.parquet``, ``truth.parquet``, ``lines.parquet``,
    ``areas.parquet`` (invented names), and ``mapping.yml``. Parameters are those of `city` and
    `survey`. The folder is made if need be; files of the same names are replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    made = city(edition, size, seed, periods)
    return write_city(made, folder, survey_seed, household_count)


def write_city(
    made: City,
    folder: str | Path,
    survey_seed: int = 0,
    household_count: int | None = None,
) -> list[Path]:
    """As `write`, of a city that is there already."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        f"survey_{period}": survey(made, period, survey_seed, household_count)
        for period in made.periods
    }
    tables |= {
        "census": made.census,
        "podes": made.podes,
        "truth": made.truth,
        "lines": made.lines,
        "areas": made.names,
    }
    attributes = {MARK: True, "edition": made.edition, "size": made.size, "seed": made.seed}
    written = []
    for name, table in tables.items():
        marked = table.copy(deep=False)
        marked.attrs = attributes
        written.append(folder / f"{name}.parquet")
        marked.to_parquet(written[-1], index=False)
    files = {name: {"file": f"{name}.parquet"} for name in tables if not name.startswith("survey")}
    surveys = {period: {"file": f"survey_{period}.parquet"} for period in made.periods}
    mapping = yaml.safe_dump({"survey": surveys, **files}, sort_keys=False)
    written.append(folder / MAPPING)
    written[-1].write_text(
        f"{MARK}: true\n# {NOTE}\n# {made.edition} edition, {made.size} size, seed {made.seed}; "
        f"all files have the canonical columns and codes.\n{mapping}",
        encoding="utf-8",
    )
    return written


def read_table(path: str | Path) -> pd.DataFrame:
    """One table that `write` wrote; notes that simulated data have been read.

    Raises
    ------
    SyntheticError
        The file is not there, or does not carry the mark.
    """
    path = Path(path)
    if not path.is_file():
        raise SyntheticError(f"{paths.shown(path)} is missing: make it with analysis.synthetic")
    if not is_marked(path):
        raise SyntheticError(f"{paths.shown(path)} is not marked as synthetic")
    provenance.record(path, synthetic=True)
    return pd.read_parquet(path)


def is_marked(path: str | Path) -> bool:
    """Whether a Parquet file says that it is synthetic (in the attributes that pandas keeps)."""
    return bool(_attributes(Path(path)).get(MARK))


def _attributes(path: Path) -> dict:
    metadata = pq.read_schema(path).pandas_metadata or {}
    return metadata.get("attributes") or {}
