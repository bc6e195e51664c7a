"""Do areas resemble their neighbours, and where: Moran's I, its local form, and Gi*.

The statistics are those of esda. Here: permutations that are the same each time, two-sided
pseudo p-values, and control of false discoveries over the many local tests.
"""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from analysis import neighbours
from analysis.neighbours import Neighbours

with warnings.catch_warnings():  # esda asks for widgets of tqdm, for a progress bar never shown
    warnings.filterwarnings("ignore", "IProgress not found")
    import esda
    from esda.significance import calculate_significance

PERMUTATIONS = 9999
FALSE_DISCOVERY_RATE = 0.05
HIGH_HIGH, LOW_LOW, HIGH_LOW, LOW_HIGH = "High-High", "Low-Low", "High-Low", "Low-High"
HOT, COLD = "hot spot", "cold spot"
NEITHER = "not significant"
_QUADRANTS = {1: HIGH_HIGH, 2: LOW_HIGH, 3: LOW_LOW, 4: HIGH_LOW}  # as esda numbers them


@dataclass(frozen=True)
class Moran:
    """Global Moran's I of one variable under one rule of neighbours.

    Attributes
    ----------
    value, expected
        I, and its mean if values were placed at random: -1 / (n - 1).
    p_value
        Two-sided, from permutations of all values.
    z
        Distance of I from the mean of the permutations, in their standard deviations.
    low, high
        The middle 95 per cent of the permutations: where I would lie by chance.
    area_count, permutations
        Numbers of areas and of permutations.
    rule
        Of the neighbours.
    """

    value: float
    expected: float
    z: float
    p_value: float
    low: float
    high: float
    area_count: int
    permutations: int
    rule: str


def moran(
    values: pd.Series, near: Neighbours, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Moran:
    """Moran's I with row-standardised weights [Moran 1950; Cliff and Ord 1981].

    Parameters
    ----------
    values
        By area code; areas without neighbours are not looked at.
    near
        Neighbours; all of their areas need a value.

    Raises
    ------
    analysis.neighbours.NeighbourError
        A value is missing (it is not zero), or all are the same.
    """
    own = neighbours.aligned(values, near)
    with _seeded(seed):
        found = esda.Moran(own.to_numpy(), near.weights, permutations=permutations)
    return Moran(
        value=float(found.I),
        expected=float(found.EI),
        z=float(found.z_sim),
        p_value=float(calculate_significance(found.I, found.sim[None, :], "two-sided")),
        low=float(np.quantile(found.sim, 0.025)),
        high=float(np.quantile(found.sim, 0.975)),
        area_count=len(own),
        permutations=permutations,
        rule=near.rule,
    )


def moran_value(values: pd.Series, near: Neighbours) -> float:
    """Moran's I alone, without permutations."""
    own = neighbours.aligned(values, near)
    return float(esda.Moran(own.to_numpy(), near.weights, permutations=0).I)


def cross_moran(
    values: pd.Series,
    of_neighbours: pd.Series,
    near: Neighbours,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Moran:
    """Bivariate Moran's I: a variable here with another one next door.

    The other variable is permuted, so that the correlation of the two in the same area is not
    what is tested.
    """
    here, there = neighbours.aligned(values, near), neighbours.aligned(of_neighbours, near)
    with _seeded(seed):
        found = esda.Moran_BV(
            here.to_numpy(), there.to_numpy(), near.means, permutations=permutations
        )
    return Moran(
        value=float(found.I),
        expected=float(found.EI_sim),
        z=float(found.z_sim),
        p_value=float(calculate_significance(found.I, found.sim[None, :], "two-sided")),
        low=float(np.quantile(found.sim, 0.025)),
        high=float(np.quantile(found.sim, 0.975)),
        area_count=len(here),
        permutations=permutations,
        rule=near.rule,
    )


def local_moran(
    values: pd.Series,
    near: Neighbours,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    rate: float = FALSE_DISCOVERY_RATE,
) -> pd.DataFrame:
    """Local Moran's I by conditional permutation [Anselin 1995].

    Parameters
    ----------
    values, near
        As for `moran`.
    rate
        Of false discoveries among the areas named as significant [Benjamini and Hochberg 1995].

    Returns
    -------
    pandas.DataFrame
        By area code: ``value, neighbours_mean, statistic, p_value`` (two-sided), ``q_value`` (the
        smallest rate at which the area would be named) and ``cluster`` (High-High, Low-Low,
        High-Low, Low-High, not significant).
    """
    own = neighbours.aligned(values, near)
    weights = near.means
    with _seeded(seed):
        found = esda.Moran_Local(
            own.to_numpy(), weights, permutations=permutations, seed=seed, n_jobs=1
        )
    p_value = calculate_significance(found.Is, found.rlisas, "two-sided")
    significant, q_value = _discoveries(p_value, rate)
    kind = pd.Series(found.q, index=own.index).map(_QUADRANTS)
    return pd.DataFrame(
        {
            "value": own,
            "neighbours_mean": weights.lag(own.to_numpy()),
            "statistic": found.Is,
            "p_value": p_value,
            "q_value": q_value,
            "cluster": kind.where(significant, NEITHER),
        }
    )


def hot_spots(
    values: pd.Series,
    near: Neighbours,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    rate: float = FALSE_DISCOVERY_RATE,
) -> pd.DataFrame:
    """Gi* by conditional permutation: sums over an area and its neighbours [Ord and Getis 1995].

    Weights are binary, the area itself included.

    Returns
    -------
    pandas.DataFrame
        By area code: ``value, z`` (Gi* as standardised by Ord and Getis), ``p_value`` (two-sided,
        the value of the area itself held), ``q_value`` and ``cluster`` (hot spot, cold spot, not
        significant).

    Raises
    ------
    analysis.neighbours.NeighbourError
        As `moran`; also if a value is negative: Gi* is for quantities with a natural zero.
    """
    own = neighbours.aligned(values, near)
    if own.min() < 0:
        raise neighbours.NeighbourError(f"Gi* needs values from zero up, not {own.min():g}")
    with _seeded(seed):
        found = esda.G_Local(
            own.to_numpy(), near.graph, transform="B", star=True, permutations=permutations,
            seed=seed, n_jobs=1,
        )  # fmt: skip
    p_value = calculate_significance(found.Gs, found.rGs, "two-sided")
    significant, q_value = _discoveries(p_value, rate)
    kind = pd.Series(np.where(found.Zs > 0, HOT, COLD), index=own.index)
    return pd.DataFrame(
        {
            "value": own,
            "z": found.Zs,
            "p_value": p_value,
            "q_value": q_value,
            "cluster": kind.where(significant, NEITHER),
        }
    )


def _discoveries(p_value: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    significant, q_value, *_ = multipletests(np.minimum(p_value, 1), alpha=rate, method="fdr_bh")
    return significant, q_value


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """esda draws from numpy's global generator: seed it, and leave it as it was.

    Also silent about the p-values of its own that are not used: they change with its next version.
    """
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The alternative hypothesis", DeprecationWarning)
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


# ---- words ------------------------------------------------------------------------


def counts_words(local: pd.DataFrame) -> str:
    """How many areas are in each cluster: ``7 hot spot, 133 not significant``."""
    counts = local["cluster"].value_counts()
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def discoveries_words(local: pd.DataFrame, rate: float = FALSE_DISCOVERY_RATE) -> str:
    """What the control of false discoveries changes."""
    alone = int((local["p_value"] <= rate).sum())
    named = int((local["cluster"] != NEITHER).sum())
    return (
        f"Of {len(local)} tests {alone} have p ≤ {rate:g} taken alone, where about "
        f"{rate * len(local):.0f} would by chance; {named} remain when at most "
        f"{100 * rate:.0f} % of those named are to be false."
    )
