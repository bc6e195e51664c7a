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
_CHUNK = 500  # permutations at a time: RW are many
_QUADRANTS = {1: HIGH_HIGH, 2: LOW_HIGH, 3: LOW_LOW, 4: HIGH_LOW}  # as esda numbers them


@dataclass(frozen=True)
class Moran:
    """Global Moran's I of one variable under one rule of neighbours.

    Attributes
    ----------
    value, expected
        I, and its mean if values were placed at random: -1 / (n - 1), but for `moran_within`.
    p_value
        Two-sided, from permutations of all values, or of those of a group.
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

    @property
    def significant(self) -> bool:
        """Whether p is below 0.05 by more than twice its error from so many permutations.

        Otherwise another seed might say the opposite.
        """
        error = np.sqrt(self.p_value * (1 - self.p_value) / self.permutations)
        return bool(self.p_value + 2 * error <= 0.05)


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
    return _moran(found.I, found.EI, found.sim, near.rule, len(own))


def moran_value(values: pd.Series, near: Neighbours) -> float:
    """Moran's I alone, without permutations."""
    own = neighbours.aligned(values, near)
    return float(esda.Moran(own.to_numpy(), near.weights, permutations=0).I)


def moran_of_rates(
    counts: pd.Series,
    bases: pd.Series,
    near: Neighbours,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Moran:
    """Moran's I of rates whose bases differ, standardised by empirical Bayes.

    A rate over few cases scatters more than one over many; here each is divided by its own
    standard deviation first [Assuncao and Reis 1999]. ``counts`` and ``bases`` by area code;
    otherwise as `moran`.
    """
    count, base = neighbours.aligned(counts, near), neighbours.aligned(bases, near)
    with _seeded(seed):
        found = esda.Moran_Rate(
            count.to_numpy(), base.to_numpy(), near.weights, permutations=permutations
        )
    return _moran(found.I, found.EI, found.sim, near.rule, len(count))


def moran_within(
    values: pd.Series,
    groups: pd.Series,
    near: Neighbours,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Moran:
    """Moran's I of the distances from the means of groups, permuted within the groups only.

    Whether neighbours resemble each other beyond what the groups do: values of different groups
    are not exchangeable, since means and spreads differ.

    Parameters
    ----------
    values, groups
        By area code.
    near, permutations, seed
        As for `moran`.
    """
    own = neighbours.aligned(values, near)
    group = groups.reindex(own.index).to_numpy()
    centred = (own - own.groupby(group).transform("mean")).to_numpy()
    if not centred.any():
        raise neighbours.NeighbourError("all values of a group are the same, in every group")
    weights = near.weights.sparse
    rng = np.random.default_rng(seed)
    places = [np.flatnonzero(group == name) for name in np.unique(group)]
    simulated = np.empty(permutations)
    for start in range(0, permutations, _CHUNK):
        size = min(_CHUNK, permutations - start)
        drawn = np.empty((len(own), size))
        for place in places:
            drawn[place] = rng.permuted(np.tile(centred[place, None], size), axis=0)
        simulated[start : start + size] = (drawn * (weights @ drawn)).sum(axis=0)
    # The denominator is that of every permutation: the values, and so their squares, are the same.
    scale = len(own) / weights.sum() / (centred @ centred)
    value = scale * (centred @ (weights @ centred))
    simulated *= scale
    return _moran(value, simulated.mean(), simulated, near.rule, len(own))


def _moran(value: float, expected: float, simulated: np.ndarray, rule: str, count: int) -> Moran:
    return Moran(
        value=float(value),
        expected=float(expected),
        z=float((value - simulated.mean()) / simulated.std()),
        p_value=float(calculate_significance(value, simulated[None, :], "two-sided")),
        low=float(np.quantile(simulated, 0.025)),
        high=float(np.quantile(simulated, 0.975)),
        area_count=count,
        permutations=len(simulated),
        rule=rule,
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
