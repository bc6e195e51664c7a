"""Measure `analysis.sae.empirical_best` against what the project promises.

``make bench``; generates its data, and times the data of R's ``emdi`` where ``../shared`` has them.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import paths
from analysis.sae import empirical_best

SHARED = paths.ROOT.parent / "shared" / "reference" / "sae"
HOUSEHOLDS, AREAS, SAMPLED_AREAS, SAMPLE = 2_800_000, 267, 250, 10_000


def jakarta() -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Simulated: a census of Jakarta's size with 12 covariates, 8 of them continuous."""
    rng = np.random.default_rng(1)
    area = rng.integers(0, AREAS, HOUSEHOLDS)
    census = pd.DataFrame({"area": pd.array([f"{3171000 + a}" for a in range(AREAS)])[area]})
    for k in range(8):
        census[f"x{k}"] = rng.standard_normal(HOUSEHOLDS) + 0.3 * np.sin(area + k)
    for k in range(3):
        census[f"z{k}"] = (rng.random(HOUSEHOLDS) < 0.2 + 0.2 * k).astype("int64")
    census["size"] = rng.integers(1, 8, HOUSEHOLDS)
    covariates = list(census.columns[1:])
    rows = np.flatnonzero(area < SAMPLED_AREAS)
    rows = rng.choice(rows, SAMPLE, replace=False)
    sample = census.iloc[rows].reset_index(drop=True)
    effect = 0.15 * rng.standard_normal(AREAS)
    eta = 14.2 + sample[covariates].to_numpy("float64") @ np.r_[[0.08] * 8, [0.1] * 3, -0.05]
    noise = 0.45 * rng.standard_normal(SAMPLE)
    sample["welfare"] = np.exp(eta + effect[area[rows]] + noise)
    return sample, census, covariates


def timed(label: str, promised: str, call, times: int = 1):
    """Run, and print wall and processor seconds of the fastest of several runs."""
    best = None
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        found = (time.perf_counter() - wall, time.process_time() - cpu)
        best = found if best is None else min(best, found)
    print(f"{label}: {best[0]:.2f} s, processor {best[1]:.2f} s here (promised: {promised})")
    return result


def peak_gib() -> float:
    """Peak memory here, and as much as the largest child's for each worker, in GiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child * len(os.sched_getaffinity(0))) / 2**20


def main() -> None:
    code = (
        "import time; t = time.perf_counter(); import analysis.sae; print(time.perf_counter() - t)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"import analysis.sae: {float(run.stdout):.2f} s (promised: 1)")

    if Path(SHARED).is_dir():
        sample = pd.read_csv(SHARED / "eusilcA_smp.csv")
        census = pd.read_csv(SHARED / "eusilcA_pop.csv")
        given = {
            "welfare": "eqIncome",
            "covariates": [c for c in census if c not in ("eqIncome", "state", "district")],
            "area": "district",
            "line": 10885.33,
        }
        timed("eusilcA, Box-Cox", "0.3", lambda: empirical_best(sample, census, **given), 3)
        for replicates, promised in ((100, "3"), (400, "none")):
            timed(
                f"eusilcA, Box-Cox, B = {replicates}",
                promised,
                lambda b=replicates: empirical_best(sample, census, replicates=b, **given),
            )
    else:
        print("eusilcA: no ../shared beside this checkout")

    sample, census, covariates = jakarta()
    given = {"welfare": "welfare", "covariates": covariates, "area": "area", "line": 8e5}
    size = f"{len(census):,} households, {AREAS} areas, {len(covariates)} covariates"
    print(f"Simulated census: {size}; memory with it {peak_gib():.2f} GiB")
    timed(f"{size}, Box-Cox", "5", lambda: empirical_best(sample, census, **given), 2)
    result = timed(
        f"{size}, Box-Cox, B = 200",
        "90",
        lambda: empirical_best(sample, census, replicates=200, **given),
    )
    print(f"Peak memory, workers included: {peak_gib():.2f} GiB (promised: 4)")
    assert result.mse["p0"].gt(0).all()


if __name__ == "__main__":
    main()
