"""Measure the area level of `analysis.sae` against what the project promises.

Part of ``make bench``. Grapes, the data of R's ``sae`` with which its 45 s were measured, are used
where ``../shared`` is; elsewhere a lattice of that size, drawn here, takes their place.
"""

import numpy as np
import pandas as pd
from timing import best_of

from analysis import paths
from analysis.sae import fay_herriot

GRAPES = paths.ROOT.parent / "shared" / "reference" / "sae"


def lattice(rows: int, columns: int) -> np.ndarray:
    """Row-standardised weights of the neighbours that share a side."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    apart = abs(row[:, np.newaxis] - row) + abs(column[:, np.newaxis] - column)
    near = (apart == 1).astype(float)
    return near / near.sum(axis=1, keepdims=True)


def drawn(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direct estimates, sampling variances and covariates from a spatial model."""
    rng = np.random.default_rng(1)
    areas = len(weights)
    covariates = np.column_stack([np.ones(areas), rng.uniform(size=areas)])
    variance = np.exp(rng.normal(0, 1, areas))
    effect = np.linalg.solve(np.eye(areas) - 0.6 * weights, rng.normal(size=areas))
    direct = covariates @ [5, 2] + effect + np.sqrt(variance) * rng.normal(size=areas)
    return direct, variance, covariates


def main() -> None:
    if GRAPES.is_dir():
        table = pd.read_csv(GRAPES / "grapes.csv")
        given = (table["grapehect"], table["var"], table[["area", "workdays"]])
        weights, name = pd.read_csv(GRAPES / "grapesprox.csv").to_numpy(), "grapes"
    else:
        weights, name = lattice(14, 20), "drawn lattice"
        given = drawn(weights)
    areas = len(weights)

    def spatial(**options):
        return fay_herriot(*given, weights_matrix=weights, **options)

    print(f"Spatial Fay-Herriot, {name}, {areas} areas: ", end="")
    print(f"fit and analytic MSE {best_of(3, spatial):.2f} s (R's sae: 1.1)", end="")
    boot = best_of(3, lambda: spatial(mse="bootstrap", replicates=50))
    print(f"; fit and bootstrap, B = 50: {boot:.2f} s (promised: 1; R's sae: 45)")

    def plain(**options):
        return fay_herriot(*given, **options)

    print(
        f"Fay-Herriot, {areas} areas: fit and analytic MSE {1000 * best_of(5, plain):.0f} ms",
        end="",
    )
    boot = best_of(3, lambda: plain(mse="bootstrap", replicates=200))
    print(f"; fit and bootstrap, B = 200: {boot:.2f} s")

    rng = np.random.default_rng(2)
    size = rng.integers(20, 200, 267)
    covariates = np.column_stack([np.ones(267), rng.uniform(size=267)])
    rate = np.sin(covariates @ [0.15, 0.1] + rng.normal(0, 0.03, 267)) ** 2
    direct = rng.binomial(size, rate) / size

    def rates():
        return fay_herriot(
            direct, None, covariates, transformation="arcsine", effective_sample_size=size
        )

    print(f"Arcsine, 267 areas, B = 200: {best_of(3, rates):.2f} s")


if __name__ == "__main__":
    main()
