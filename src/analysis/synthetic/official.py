"""The official figures that the synthetic city is calibrated to, and what is derived from them.

Of the six kota P0 is published for March 2017, 2021, 2023 and 2024, the number of poor for March
2020, 2023 and 2024, and poverty lines of all six for March 2025 only. What a period lacks is
derived from the nearest published figures, and says so in a column of its own.
"""

import numpy as np
import pandas as pd

from analysis import periods, poverty, regions, sources

TABLES = ("dki_kota_poverty", "dki_poverty_semester", "kelurahan_population_2024")


class SyntheticError(ValueError):
    """The synthetic city cannot be made as asked."""


def kota_targets(period: str) -> pd.DataFrame:
    """What the six kota are calibrated to in one period.

    Population and lines are those of `analysis.poverty.reference`, derived where a period lacks
    them; a number of poor that is not published is P0 times the population.

    Returns
    -------
    pandas.DataFrame
        Six rows: ``period, kota_code, kota, p0_pct, poor_count, population_count,
        population_derived, poverty_line_rp, derived`` (of the line). Counts are floats, lines
        whole rupiah per person and month.

    Raises
    ------
    SyntheticError
        A kota has no published P0 in this period; the message lists the periods in which all do.
    """
    published = poverty.kota_series(sources.read("dki_kota_poverty"))
    complete = _periods_with(published, ["p0_pct"])
    if period not in complete:
        raise SyntheticError(
            f"P0 of all six kota is not published for {period!r} (it is for {', '.join(complete)})"
        )
    table = poverty.reference(published, sources.read("dki_poverty_semester"), period)
    by_rate = table["population_count"] * table["p0_pct"] / 100
    table["poor_count"] = table["poor_count"].where(~table["population_derived"], by_rate)
    return table


def province_targets(period: str) -> dict[str, float]:
    """Published P0, P1, P2 (percent), Gini and number of poor of DKI Jakarta.

    Those not published are missing. ``p1_aim_pct`` and ``gini_aim`` are what the dispersion of
    welfare is chosen for: those of the period, or where it lacks one of them, the Gini of the
    nearest period with both, and the P1 of that period times the ratio of the two P0.
    """
    province = _province()
    own = province.loc[period]
    found = {name: float(own[name]) for name in ("p0_pct", "p1_pct", "p2_pct", "gini")}
    found["poor_count"] = float(own["poor_thousand"]) * 1000
    both = province.index[province["p1_pct"].notna() & province["gini"].notna()]
    lent = province.loc[_nearest(list(both), period)]
    found["p1_aim_pct"] = float(lent["p1_pct"] / lent["p0_pct"] * own["p0_pct"])
    found["gini_aim"] = float(lent["gini"])
    return found


def populations(period: str) -> pd.DataFrame:
    """How far the two sources of population differ for each kota.

    The implied one (number of poor / P0, see `kota_targets`) rests on projections from the
    census, the registered one on the civil registry of 2024. They count different people (who
    lives there, who is registered there) and never stand in one ratio, except here to say so.

    Returns
    -------
    pandas.DataFrame
        ``period, kota_code, kota, implied_count, implied_derived, registered_2024_count,
        difference_pct`` (registered against implied).
    """
    targets = kota_targets(period)
    registered = registered_population().groupby(lambda code: code[:4]).sum()
    own = registered[targets["kota_code"]].to_numpy()
    return pd.DataFrame(
        {
            "period": period,
            "kota_code": targets["kota_code"],
            "kota": targets["kota"],
            "implied_count": targets["population_count"],
            "implied_derived": targets["population_derived"],
            "registered_2024_count": own,
            "difference_pct": (own / targets["population_count"] - 1) * 100,
        }
    )


def population_words(period: str) -> str:
    """What the residents of a city rest on, and how far the two sources differ."""
    table = populations(period)
    low, high = table["difference_pct"].min(), table["difference_pct"].max()
    lowest, highest = table.set_index("kota")["difference_pct"].agg(["idxmin", "idxmax"])
    return (
        "The residents of each kota are those that its number of poor and its P0 imply, shared out "
        "among its kelurahan by the residents registered in 2024. The two count different people: "
        f"those registered are {low:+.1f} % ({lowest}) to {high:+.1f} % ({highest}) off those "
        "implied."
    ).replace("-", "−")


def registered_population() -> pd.Series:
    """Registered residents of 2024 by code of the 267 kelurahan, sorted."""
    table = sources.read("kelurahan_population_2024")
    return table.set_index("kelurahan_code")["population_count"].sort_index()


def density() -> pd.Series:
    """Registered residents of 2024 per km2 by code of the kelurahan, sorted."""
    table = sources.read("kelurahan_population_2024")
    return table.set_index("kelurahan_code")["density_per_km2"].sort_index()


def slum_shares(rng: np.random.Generator) -> pd.Series:
    """Share of slum RW by kelurahan: informed by published figures, otherwise invented.

    The mean over the RW of a kota is that of the census of slum RW of 2017 where it was published
    (Pusat 98, Barat 92, Kepulauan Seribu 7); the other three kota share what is left of the 445
    in proportion to their RW. Between the kelurahan of a kota seven tenths of it follow the
    published list of slum RW (Pusat, Selatan, Utara), the rest, and all where there is no list,
    is invented. Kepulauan Seribu, whose number of RW is not in the tables, is taken at a quarter.
    """
    codes = registered_population().index
    kota = codes.str[:4]
    rw = sources.read("kelurahan_rw").set_index("kelurahan_code")["rw_count"].reindex(codes)
    rw = rw.fillna(rw.median())
    by_kota = rw.groupby(kota).sum()
    counts = sources.read("rw_kumuh_counts")
    of_2017 = counts[(counts["year"].astype(int) == 2017) & (counts["kategori"] == "total")]
    of_2017 = of_2017.set_index("area")["rw_count"]
    published = pd.Series(
        {code: of_2017[name] for code, name in regions.KOTA.items() if name in of_2017.index}
    )
    rest = by_kota.drop(published.index)
    share = pd.Series((of_2017["DKI Jakarta"] - published.sum()) / rest.sum(), index=by_kota.index)
    share.update(published / by_kota)
    share["3101"] = 0.25

    listed = sources.read("slum_rw_three_kota").groupby("kelurahan_code").size()
    listed = (listed.reindex(codes).fillna(0) / rw).clip(upper=1)
    invented = pd.Series(rng.beta(0.9, 3.5, len(codes)), index=codes)
    mixed = _per_mean(invented, rw, kota)
    has_list = (listed.groupby(kota).transform("sum") > 0).to_numpy()
    both = 0.7 * _per_mean(listed, rw, kota) + 0.3 * mixed
    pattern = both.where(has_list, mixed)
    return (pattern * share[kota].to_numpy()).clip(upper=0.9)


def _per_mean(values: pd.Series, weights: pd.Series, groups: pd.Index) -> pd.Series:
    """Values over their weighted mean in each group (0 where that is 0)."""
    sums = (values * weights).groupby(groups).sum() / weights.groupby(groups).sum()
    return (values / sums.replace(0, np.inf)[groups].to_numpy()).astype("float64")


def _province() -> pd.DataFrame:
    return sources.read("dki_poverty_semester").set_index("period")


def _periods_with(published: pd.DataFrame, columns: list[str]) -> list[str]:
    known = published[columns].notna().all(axis=1).groupby(published["period"]).all()
    return list(known.index[known])


def _nearest(candidates: list[str], period: str) -> str:
    """The candidate nearest in time; the earlier of two equally near."""
    at = periods.decimal_year(period)
    return min(sorted(candidates), key=lambda p: abs(periods.decimal_year(p) - at))
