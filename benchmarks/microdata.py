"""Measure `analysis.microdata.read` on a census of two million households, in time and memory.

``make bench``. The file is invented, written to the system's temporary folder, and removed.
"""

import multiprocessing
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import microdata, regions

HOUSEHOLDS = 2_000_000
MAPPING = """\
synthetic: true
census:
  file: FILE
  columns:
    kelurahan_code: kel
    household_size: size
    head_age: age
    head_female: {column: sex, codes: {true: 2, false: 1}}
    head_schooling: {column: edu, codes: {none: 0, primary: 1, junior: 2, senior: 3, tertiary: 4}}
    toilet: {column: toilet, codes: {own: 1, shared: 2, none: 3}}
    has_car: {column: car, codes: {true: 1, false: 5}}
"""
FEW = ["household_size", "head_female", "head_schooling", "toilet", "has_car"]


def invented(n: int) -> pd.DataFrame:
    """Households with columns that the mapping does not name, as registers have them."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "kel": rng.choice(regions.areas()["kelurahan_code"].to_numpy(str), n),
            "size": rng.integers(1, 9, n),
            "age": rng.integers(18, 95, n),
            "sex": rng.integers(1, 3, n),
            "edu": rng.integers(0, 5, n),
            "toilet": rng.integers(1, 4, n),
            "car": rng.choice([1, 5], n),
        }
    )
    return table.assign(**{f"other{i}": rng.integers(0, 10**9, n) for i in range(8)})


def peak_mb() -> float:
    """The most memory that this process has had; unlike ru_maxrss without that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def measured(folder: str, census_columns: list[str] | None, results) -> None:
    before, start = peak_mb(), time.perf_counter()
    census = microdata.read(folder, census_columns=census_columns, memory="1GB").census
    results.put((time.perf_counter() - start, peak_mb() - before, len(census)))


def plainly(file: Path, results) -> None:
    """The peer: the whole file into pandas, then grouped."""
    before, start = peak_mb(), time.perf_counter()
    read = pd.read_parquet if file.suffix == ".parquet" else pd.read_csv
    table = read(file)
    patterns = table.groupby(["kel", "size", "sex", "edu", "toilet", "car"]).size()
    results.put((time.perf_counter() - start, peak_mb() - before, len(patterns)))


def report(words: str, call, *arguments) -> None:
    """Run in a process of its own, so that the peak of memory is that of this call."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=call, args=(*arguments, results))
    process.start()
    seconds, megabytes, rows = results.get()
    process.join()
    print(f"{words}: {seconds:.1f} s, {megabytes:,.0f} MB more, {rows:,} patterns")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = invented(HOUSEHOLDS)
        for suffix in ("csv", "parquet"):
            file = Path(folder) / f"census.{suffix}"
            if suffix == "csv":
                table.to_csv(file, index=False)
            else:
                table.to_parquet(file, index=False)
            (Path(folder) / "mapping.yml").write_text(MAPPING.replace("FILE", file.name))
            size = file.stat().st_size / 1e6
            print(f"census of {HOUSEHOLDS:,} households, {suffix.upper()} of {size:,.0f} MB")
            report("  five covariates", measured, folder, FEW)
            report("  all covariates", measured, folder, None)
            report("  pandas alone, five covariates", plainly, file)
            file.unlink()


if __name__ == "__main__":
    main()
