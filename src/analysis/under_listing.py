"""What a list leaves out: bounds on a statistic when unlisted slum RW are put back at random.

A published list of slum RW is shorter than the published totals of the same kota. Where the RW lie
that it leaves out is not known. So a statistic of the list is computed again with as many RW added
as the totals say are missing, in three ways that lie far apart.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from analysis import slums

ANYWHERE = "anywhere in the kota"
WHERE_LISTED = "where others are listed"
WHERE_NONE = "where none is listed"
PLACES = (ANYWHERE, WHERE_LISTED, WHERE_NONE)


def shortfall(completeness: pd.DataFrame) -> pd.DataFrame:
    """By kota with a list: how many RW the largest published total has beyond the list.

    Parameters
    ----------
    completeness
        `analysis.slums.completeness`.

    Returns
    -------
    pandas.DataFrame
        ``kota_code, kota, slum_rw_listed_count, year, published_count, counted_by,
        unlisted_count``. The totals are of other years than the list, and fall and rise: the
        largest gives a bound, not an estimate.
    """
    known = completeness.dropna(subset=["slum_rw_listed_count", "published_count"])
    largest = known.loc[known.groupby("kota_code")["published_count"].idxmax()]
    missing = (largest["published_count"] - largest["slum_rw_listed_count"]).clip(lower=0)
    return (
        largest.drop(columns="listed_share_pct")
        .assign(unlisted_count=missing.astype("int64"))
        .reset_index(drop=True)
    )


def completed(
    by_kelurahan: pd.DataFrame,
    rw_count: pd.Series,
    unlisted: Mapping[str, int],
    place: str,
    *,
    draws: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Shares of slum RW by kelurahan, in percent, with the unlisted ones put somewhere.

    Parameters
    ----------
    by_kelurahan
        Table ``slum_kelurahan``, the rows of kota with a list.
    rw_count
        RW by kelurahan code.
    unlisted
        How many RW to add, by kota code.
    place
        `ANYWHERE` draws among all RW of the kota that are not listed, `WHERE_LISTED` among those
        of kelurahan with a listed one, `WHERE_NONE` among those of the others; if that is fewer
        than there are to place, the rest goes anywhere.

    Returns
    -------
    numpy.ndarray
        (draws, kelurahan), in the order of ``by_kelurahan``.

    Raises
    ------
    analysis.slums.SlumError
        The place is unknown, a kota without list is among the rows, or a kota has fewer RW than
        there are to add.
    """
    if place not in PLACES:
        raise slums.SlumError(f"place {place!r} is unknown: there are {', '.join(PLACES)}")
    if (by_kelurahan["status"] == slums.NOT_PUBLISHED).any():
        raise slums.SlumError("rows of a kota without list: what is not published is not zero")
    rng = np.random.default_rng(seed)
    all_rw = rw_count.loc[by_kelurahan["kelurahan_code"]].to_numpy(dtype="int64")
    listed = by_kelurahan["slum_rw_listed_count"].fillna(0).to_numpy(dtype="int64")
    free = np.maximum(all_rw - listed, 0)  # the RW are of 2012-2014, the list is later
    is_listed = listed > 0
    wanted = {ANYWHERE: np.ones(len(free), bool), WHERE_LISTED: is_listed, WHERE_NONE: ~is_listed}
    added = np.zeros((draws, len(free)), dtype="int64")
    for code, count in unlisted.items():
        own = (by_kelurahan["kota_code"] == code).to_numpy()
        if free[own].sum() < count:
            raise slums.SlumError(f"kota {code} has {free[own].sum()} RW to add {count} slum RW to")
        first = np.where(wanted[place][own], free[own], 0)
        now = min(int(first.sum()), count)
        added[:, own] = rng.multivariate_hypergeometric(first, now, size=draws)
        if count > now:
            added[:, own] += rng.multivariate_hypergeometric(free[own] - first, count - now, draws)
    return 100 * np.minimum((listed + added) / all_rw, 1)


def bounds(
    by_kelurahan: pd.DataFrame,
    rw_count: pd.Series,
    unlisted: Mapping[str, int],
    statistics: Mapping[str, Callable[[pd.Series], float]],
    *,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Statistics of the share of slum RW, as listed and with the unlisted RW put back.

    Parameters
    ----------
    by_kelurahan, rw_count, unlisted, draws, seed
        As for `completed`.
    statistics
        Functions of the shares (percent, by kelurahan code), by name.

    Returns
    -------
    pandas.DataFrame
        ``statistic, place, as_listed, median, low, high``: the middle 95 per cent of the draws.
    """
    codes = by_kelurahan["kelurahan_code"].to_numpy()
    none = dict.fromkeys(unlisted, 0)
    listed = completed(by_kelurahan, rw_count, none, ANYWHERE, draws=1)[0]
    rows = []
    for place in PLACES:
        shares = completed(by_kelurahan, rw_count, unlisted, place, draws=draws, seed=seed)
        for name, statistic in statistics.items():
            found = [statistic(pd.Series(row, index=codes)) for row in shares]
            low, median, high = np.quantile(found, [0.025, 0.5, 0.975])
            as_listed = statistic(pd.Series(listed, index=codes))
            rows.append((name, place, as_listed, median, low, high))
    columns = ["statistic", "place", "as_listed", "median", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values("statistic", kind="stable")


def bounds_words(found: pd.DataFrame) -> str:
    """Per statistic: the value of the list and how far the bounds reach over all places."""
    told = [
        f"{name}: {_signed(part['as_listed'].iloc[0])} as listed, between "
        f"{_signed(part['low'].min())} and {_signed(part['high'].max())} with the unlisted RW put "
        "back"
        for name, part in found.groupby("statistic", sort=False)
    ]
    return "; ".join(told) + "."


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
