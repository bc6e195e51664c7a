"""A Susenas-like sample of the synthetic city: strata, census blocks, households, weights."""

import numpy as np
import pandas as pd

from analysis.synthetic.cities import SURVEY_HOUSEHOLDS, City, position
from analysis.synthetic.official import SyntheticError

PER_BLOCK = 10  # households of a selected block
ALLOCATION_POWER = (
    0.5  # of the number of households of a kota: small ones get more than in proportion
)
_STREAM = 5


def survey(
    city: City, period: str, seed: int = 0, household_count: int | None = None
) -> pd.DataFrame:
    """One round of a two-stage survey.

    Strata are kota by slums, poorer and richer blocks. Blocks are drawn systematically in the
    order of their codes with probability proportional to their households, and in each ten
    households systematically in the order of the head's schooling.
    Numbers of blocks go to kota by the square root of their households, and within a kota to
    strata in proportion.

    Parameters
    ----------
    city
        The city.
    period
        One of its periods.
    seed
        Of the sample, zero or more; independent of that of the city.
    household_count
        Households to draw, about; by default 5,500 of the full city and 3,000 of the small one.

    Returns
    -------
    pandas.DataFrame
        One row per household: ``household_id, period, kota_code, kecamatan_code, kelurahan_code,
        stratum, cluster, weight``, the columns of the census, ``expenditure_rp`` (per household
        and month). Weights are inverse probabilities, calibrated so that they sum to the
        households of each kota.

    Raises
    ------
    SyntheticError
        The city has no such period, a seed is negative, or fewer than two blocks per stratum
        would be drawn.
    """
    number = position(city, period)
    if seed < 0:
        raise SyntheticError(f"seed is {seed}: it is zero or more")
    year, month = map(int, period.split("-"))
    rng = np.random.default_rng(np.random.SeedSequence([city.seed, _STREAM, year, month, seed]))
    since = city.census["since"].cat.codes.to_numpy()
    blocks = city.blocks
    # The households of a block come in the order of their first period.
    size = np.add.reduceat((since <= number).astype("int64"), blocks["first"].to_numpy())
    total = SURVEY_HOUSEHOLDS[city.size] if household_count is None else household_count
    drawn = _blocks(blocks, size, total / PER_BLOCK, rng)
    rows, block = _households(
        blocks["first"].to_numpy()[drawn.index],
        size[drawn.index],
        city.census["head_schooling"].cat.codes.to_numpy(),
        rng,
    )
    table = city.census.iloc[rows].drop(columns="since").reset_index(drop=True)
    taken = np.bincount(block, minlength=len(drawn))
    weight = (drawn["stratum_households"] / (drawn["stratum_blocks"] * taken)).to_numpy()[block]
    kota = table["kota_code"].astype("str")
    known = pd.Series(size).groupby(blocks["kota_code"].to_numpy()).sum()
    weight = weight * (kota.map(known) / pd.Series(weight).groupby(kota).transform("sum"))
    table[["kota_code", "kecamatan_code", "kelurahan_code"]] = table[
        ["kota_code", "kecamatan_code", "kelurahan_code"]
    ].astype("str")
    at = table.columns.get_loc("kelurahan_code") + 1
    own = blocks.loc[drawn.index[block]]
    table.insert(at, "stratum", own["stratum"].to_numpy())
    table.insert(at + 1, "cluster", own["cluster"].to_numpy())
    table.insert(at + 2, "weight", weight.to_numpy())
    table.insert(1, "period", period)
    table["expenditure_rp"] = city.expenditure[period].to_numpy()[rows]
    return table


def _blocks(
    blocks: pd.DataFrame, size: np.ndarray, count: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Blocks drawn (index of ``blocks``) with households and drawn blocks of their stratum."""
    households = pd.Series(size, index=blocks.index)
    by_kota = households.groupby(blocks["kota_code"]).sum()
    kota_blocks = by_kota**ALLOCATION_POWER / (by_kota**ALLOCATION_POWER).sum() * count
    found = []
    for stratum, own in households.groupby(blocks["stratum"]):
        kota = stratum[:4]
        n = max(2, round(kota_blocks[kota] * own.sum() / by_kota[kota]))
        n = min(n, int(own.sum() // own.max()))  # no block twice
        if n < 2:
            raise SyntheticError(f"stratum {stratum} has too few blocks for a sample of two")
        ends = np.cumsum(own.to_numpy())
        points = (rng.random() + np.arange(n)) * (ends[-1] / n)
        chosen = own.index[np.searchsorted(ends, points, side="right")]
        found.append(
            pd.DataFrame({"stratum_households": own.sum(), "stratum_blocks": n}, index=chosen)
        )
    return pd.concat(found)


def _households(
    first: np.ndarray, size: np.ndarray, schooling: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the census drawn, and the position of the block of each."""
    block = np.repeat(np.arange(len(size)), size)
    start = np.cumsum(size) - size
    rows = first[block] + np.arange(len(block)) - start[block]
    rows = rows[np.lexsort((rng.random(len(rows)), schooling[rows], block))]
    taken = np.minimum(size, PER_BLOCK)
    of = np.repeat(np.arange(len(size)), taken)
    step = np.arange(len(of)) - (np.cumsum(taken) - taken)[of]
    at = np.floor((rng.random(len(size))[of] + step) * (size / taken)[of]).astype("int64")
    return rows[start[of] + at], of
