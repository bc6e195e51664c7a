"""Indicators that are no mean over households, by simulation: the Gini index and quantiles."""

import re

import numpy as np

from analysis.sae.census import Census
from analysis.sae.inputs import SaeError
from analysis.sae.transformations import Transformation

CELLS = 4_000_000  # of a block of draws: 32 MB


def check(names: tuple[str, ...]) -> None:
    """Refuse what is neither ``gini`` nor a quantile ``q1`` to ``q99``."""
    for name in names:
        if name != "gini" and not re.fullmatch(r"q[1-9]\d?", str(name)):
            raise SaeError(f"indicator {name!r} is unknown: there are 'gini' and 'q1' to 'q99'")


def simulate(
    census: Census,
    eta: np.ndarray,
    effects: np.ndarray,
    sd_effects: np.ndarray,
    sigma_e: float,
    transformation: Transformation,
    names: tuple[str, ...],
    draws: int,
    seed: tuple[int, ...],
) -> np.ndarray:
    """Means over draws of the indicators of each area's population, shape (A, names).

    A draw gives every household of the census the effect of its area, N(effects, sd_effects^2),
    and its own error, N(0, sigma_e^2), on the transformed scale. Area a draws from the seed
    ``(*seed, a)``. Quantiles are those of a sorted list, linear between neighbours (type 7 of R).
    """
    found = np.empty((len(census.sizes), len(names)))
    starts = np.searchsorted(census.area, np.arange(len(census.sizes) + 1))
    levels = [int(name[1:]) / 100 for name in names if name != "gini"]
    for area in range(len(census.sizes)):
        rows = slice(starts[area], starts[area + 1])
        mu = eta[rows] + effects[area]
        if census.count is not None:
            mu = np.repeat(mu, census.count[rows].astype("intp"))
        rng = np.random.default_rng(np.random.SeedSequence((*seed, area)))
        total, done = np.zeros(len(names)), 0
        while done < draws:
            block = min(draws - done, max(1, CELLS // len(mu)))
            value = mu + sd_effects[area] * rng.standard_normal((block, 1))
            value += sigma_e * rng.standard_normal((block, len(mu)))
            y = np.sort(transformation.inverse(transformation.within(value, mu)), axis=1)
            columns = iter(np.quantile(y, levels, axis=1) if levels else ())
            total += [(gini(y) if n == "gini" else next(columns)).sum() for n in names]
            done += block
        found[area] = total / draws
    return found


def gini(y: np.ndarray) -> np.ndarray:
    """Gini index of each row of sorted values (rows, n); 0 where nobody has anything."""
    n = y.shape[1]
    rank = 2 * np.arange(1, n + 1) - n - 1
    total = n * y.sum(axis=1)
    return np.divide(y @ rank, total, out=np.zeros(len(y)), where=total != 0)
