"""The synthetic city: its population, the expenditure of its households, and what is true in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis import periods as reference_periods
from analysis import provenance, regions
from analysis.synthetic import households, names, official, welfare
from analysis.synthetic.official import SyntheticError

REGULAR, MISSPECIFIED = "regular", "misspecified"
EDITIONS = (REGULAR, MISSPECIFIED)
FULL, SMALL = "full", "small"
SIZES = (FULL, SMALL)
SMALL_SCALE = 1 / 94  # about 30 thousand of 2.8 million households
BLOCK_SIZE = {FULL: 100, SMALL: 20}  # households per census block, about
SURVEY_HOUSEHOLDS = {FULL: 5_500, SMALL: 3_000}  # of one March round
PERIODS = ("2017-03", "2021-03")
# Rounding a small kota to whole persons leaves its P0 no further than this from the published one.
P0_TOLERANCE = 9e-5


@dataclass(frozen=True, eq=False)
class City:
    """A synthetic Jakarta. No figure in it is an estimate of anything real below the kota.

    Attributes
    ----------
    census
        One row per household of the last period, sorted by census block: ``household_id,
        kota_code, kecamatan_code, kelurahan_code`` (categories), ``household_size, head_age,
        head_female, head_schooling, head_work, dwelling_owned, floor_area_m2, water, toilet,
        has_car, has_motorcycle, has_refrigerator, has_ac, has_computer, slum_rw``, and
        ``since``, the first period in which the household is there. Circumstances of a household
        are the same in all periods.
    expenditure
        Rupiah per household and month, a column per period, index of the census; missing where
        the household is not there yet.
    truth
        One row per period and kelurahan: ``kelurahan_code, period, population_count,
        household_count, poor_count, p0, p1, p2`` (fractions of persons, against the line of the
        kota), ``mean_expenditure_rp`` (per person and month).
    lines
        ``period, kota_code, poverty_line_rp`` (per person and month), ``derived``.
    podes
        Village variables, one row per kelurahan.
    names
        ``kelurahan_code, area_name, kecamatan_code, kecamatan_name``: the invented names.
    blocks
        Census blocks: ``cluster, kelurahan_code, kota_code, stratum, slum, first`` (row of the
        census), ``household_count`` (of the last period).
    model
        One row per period and kota: ``period, kota_code, scale, floor, shift`` of
        `analysis.synthetic.welfare`.
    effects
        u_d, one row per kelurahan, a column per period (before ``scale``).
    edition, size, seed, periods
        As asked.
    scale
        Persons of this city per person of Jakarta: 1, or `SMALL_SCALE`.
    """

    census: pd.DataFrame
    expenditure: pd.DataFrame
    truth: pd.DataFrame
    lines: pd.DataFrame
    podes: pd.DataFrame
    names: pd.DataFrame
    blocks: pd.DataFrame
    model: pd.DataFrame
    effects: pd.DataFrame
    edition: str
    size: str
    seed: int
    periods: tuple[str, ...]
    scale: float

    def __repr__(self) -> str:
        return (
            f"City({self.edition}, {self.size}, seed {self.seed}: {len(self.census):,} "
            f"households, {', '.join(self.periods)})"
        )


def city(
    edition: str = REGULAR,
    size: str = FULL,
    seed: int = 0,
    periods: Sequence[str] = PERIODS,
) -> City:
    """A whole synthetic Jakarta.

    Parameters
    ----------
    edition
        ``regular``: log(y / z - floor), of expenditure per person y and the line z of the kota,
        is a nested error model in `welfare.COVARIATES` with effects of kelurahan. So
        `analysis.sae.empirical_best` is right for y / z under ``log-shift`` with the floor of
        ``model``, negative, as the parameter given; ``box-cox`` comes near, ``log`` does not.
        ``misspecified``: heavy tails, unequal variances and effects of census blocks, by the
        constants of `analysis.synthetic.welfare`.
    size
        ``full``: about 2.8 million households. ``small``: about 30 thousand, in the same 267
        kelurahan, which are then about 110 households each.
    seed
        Zero or more. The same seed gives the same city.
    periods
        Marches for which P0 of all six kota is published (2017, 2021, 2023, 2024).

    Returns
    -------
    City
        Calibrated in each period, to published figures as `calibration` lists them: population
        and number of poor of each kota, its P0 (to 0.01 point), and the province's P1 and Gini
        where published. Population of a kota is shared out among its kelurahan by residents
        registered in 2024 (how far the two sources differ: `official.populations`). P2 is not
        aimed at. All else is invented: circumstances of households, effects of kelurahan, village
        variables, and slum shares where nothing is published (`official.slum_shares`).

    Raises
    ------
    SyntheticError
        Edition or size is unknown, a seed is negative, a period has no published P0 of all kota,
        or the population of a kota falls from one period to the next.
    """
    _check(edition, size, seed)
    periods = tuple(sorted(set(periods)))
    if not periods:
        raise SyntheticError("no period given: name at least one, such as 2017-03")
    # A run that makes a city has read simulated data, though from no file of data.
    provenance.record(Path(__file__), synthetic=True)
    scale = 1.0 if size == FULL else SMALL_SCALE
    targets = pd.concat([official.kota_targets(p) for p in periods], ignore_index=True)
    registered = official.registered_population()
    codes = registered.index
    kota_codes = list(regions.KOTA)
    kota_of_area = np.array([kota_codes.index(code[:4]) for code in codes])
    persons = _persons(targets, registered.to_numpy(), kota_of_area, scale)

    area_rng = _rng(seed, 0)
    slum_share = official.slum_shares(area_rng)
    crowding = np.log(official.density())
    deprivation = _standardised(
        0.4 * _standardised(crowding.to_numpy())
        + 0.6 * _standardised(slum_share.to_numpy())
        + 0.7 * area_rng.standard_normal(len(codes))
    )
    built = households.generate(
        persons, deprivation, slum_share.to_numpy(), BLOCK_SIZE[size], _rng(seed, 1)
    )
    eta = welfare.linear(built)
    errors = welfare.Errors(built, eta, len(codes), edition == MISSPECIFIED)
    errors.widen_tails(_rng(seed, 2))
    kota = kota_of_area[built.area]
    expenditure, truth, model, effects = {}, [], [], {}
    for number, period in enumerate(periods):
        own = targets[targets["period"] == period]
        line_rp = own["poverty_line_rp"].to_numpy()
        province = official.province_targets(period)
        effects[period], deviation = errors.next(_rng(seed, 3, period))
        present = built.since <= number
        amount, spread, floor, shift = welfare.calibrated(
            eta + deviation, present, kota, built.size, own["p0_pct"].to_numpy() / 100, line_rp,
            province["p1_aim_pct"] / 100, province["gini_aim"],
        )  # fmt: skip
        expenditure[period] = amount
        truth.append(_truth(built, amount, line_rp[kota], codes, period))
        model.append(own[["period", "kota_code"]].assign(scale=spread, floor=floor, shift=shift))
    mean_eta = np.bincount(built.area, eta, len(codes)) / np.bincount(built.area)
    return City(
        census=_census(built, codes, periods),
        expenditure=pd.DataFrame(expenditure, copy=False),
        truth=pd.concat(truth, ignore_index=True),
        lines=targets[["period", "kota_code", "poverty_line_rp", "derived"]],
        podes=_podes(codes, mean_eta + effects[periods[0]], registered.to_numpy(), built,
                     _rng(seed, 4)),
        names=names.names(codes),
        blocks=_blocks(built, eta, codes),
        model=pd.concat(model, ignore_index=True),
        effects=pd.DataFrame(effects, index=codes),
        edition=edition,
        size=size,
        seed=seed,
        periods=periods,
        scale=scale,
    )  # fmt: skip


def of_period(city: City, period: str) -> pd.DataFrame:
    """The census of one period, with what nobody knows in a real one.

    The households that are there, with ``period, expenditure_rp, expenditure_per_capita_rp,
    poverty_line_rp`` (of the kota).
    """
    number = position(city, period)
    present = city.census["since"].cat.codes.to_numpy() <= number
    table = city.census[present].copy()
    amount = city.expenditure.loc[present, period]
    line = city.lines[city.lines["period"] == period].set_index("kota_code")["poverty_line_rp"]
    table["period"] = period
    table["expenditure_rp"] = amount
    table["expenditure_per_capita_rp"] = amount / table["household_size"]
    table["poverty_line_rp"] = line[table["kota_code"].astype("str")].to_numpy()
    return table


def calibration(city: City) -> pd.DataFrame:
    """The city beside the official figures, period by period.

    Returns
    -------
    pandas.DataFrame
        ``period, area_code, area`` (kota, or DKI Jakarta), ``indicator`` (population_count,
        poor_count, p0_pct, p1_pct, p2_pct, gini), ``official`` (missing where not published),
        ``derived`` (whether computed from other published figures), ``city`` (counts over
        ``scale``, so that they compare with those of Jakarta), ``deviation`` (city less
        official), ``role``: ``calibrated`` (met by construction), ``compared`` (not aimed at) or
        ``not published``.

    Notes
    -----
    The province's P0 and number of poor follow from those of the kota, whose published figures
    add up to the province's to about 0.2 %. P1, P2 and Gini of the city are against the lines of
    the kota, as its P0.
    """
    rows = []
    for period in city.periods:
        truth = city.truth[city.truth["period"] == period]
        kota = truth["kelurahan_code"].str[:4]
        people = truth["population_count"].groupby(kota).sum()
        poor = truth["poor_count"].groupby(kota).sum()
        for own in official.kota_targets(period).itertuples():
            n, q = people[own.kota_code], poor[own.kota_code]
            derived = own.population_derived
            for indicator, published, made, computed in (
                ("population_count", own.population_count, n / city.scale, True),
                ("poor_count", own.poor_count, q / city.scale, derived),
                ("p0_pct", own.p0_pct, q / n * 100, False),
            ):
                rows.append((period, own.kota_code, own.kota, indicator, published, computed,
                             made, "calibrated"))  # fmt: skip
        province = official.province_targets(period)
        weight = truth["population_count"] / people.sum()
        table = of_period(city, period)
        index = welfare.gini(
            table["expenditure_per_capita_rp"].to_numpy(), table["household_size"].to_numpy()
        )
        found = {
            "poor_count": poor.sum() / city.scale,
            "p0_pct": poor.sum() / people.sum() * 100,
            "p1_pct": (truth["p1"] * weight).sum() * 100,
            "p2_pct": (truth["p2"] * weight).sum() * 100,
            "gini": index,
        }
        aimed = ("p1_pct", "gini")
        both = not np.isnan([province[name] for name in aimed]).any()
        for indicator, made in found.items():
            role = "calibrated" if indicator in aimed and both else "compared"
            rows.append((period, "31", "DKI Jakarta", indicator, province[indicator], False, made,
                         role))  # fmt: skip
    columns = ["period", "area_code", "area", "indicator", "official", "derived", "city", "role"]
    table = pd.DataFrame(rows, columns=columns)
    # P1 and Gini of another period stand in where one of the two was not published.
    table.loc[table["official"].isna(), "role"] = "not published"
    table.insert(7, "deviation", table["city"] - table["official"])
    return table


def position(city: City, period: str) -> int:
    """The position of a period; raises `SyntheticError` naming those of the city."""
    if period not in city.periods:
        raise SyntheticError(f"the city has no {period!r} (it has {', '.join(city.periods)})")
    return city.periods.index(period)


def _check(edition: str, size: str, seed: int) -> None:
    if edition not in EDITIONS:
        raise SyntheticError(f"edition {edition!r} is unknown: there are {', '.join(EDITIONS)}")
    if size not in SIZES:
        raise SyntheticError(f"size {size!r} is unknown: there are {', '.join(SIZES)}")
    if seed < 0:
        raise SyntheticError(f"seed is {seed}: it is zero or more")


def _rng(seed: int, stream: int, period: str = "") -> np.random.Generator:
    """One generator per stream and period: what one part draws changes no other part."""
    when = [int(part) for part in reference_periods.check(period).split("-")] if period else []
    return np.random.default_rng(np.random.SeedSequence([seed, stream, *when]))


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def _persons(
    targets: pd.DataFrame, registered: np.ndarray, kota: np.ndarray, scale: float
) -> np.ndarray:
    """Persons of each area who are there from each period on, shape (areas, periods)."""
    periods = list(dict.fromkeys(targets["period"]))
    new = np.zeros((len(registered), len(periods)), dtype="int64")
    for k, (code, own) in enumerate(targets.groupby("kota_code")):
        rows = np.flatnonzero(kota == k)
        share = registered[rows] / registered[rows].sum()
        there, before = np.zeros(len(rows), dtype="int64"), 0.0
        for number, target in enumerate(own.itertuples()):
            if target.population_count < before:
                raise SyntheticError(
                    f"the population of kota {code} falls before {target.period}: households that "
                    f"leave are not modelled; make the periods {', '.join(periods)} one by one"
                )
            total = _whole_population(
                target.population_count * scale, target.p0_pct / 100, int(there.sum())
            )
            wanted = np.maximum(total * share - there, 0)
            if wanted.sum() > 0:
                new[rows, number] = _apportioned(wanted, total - int(there.sum()))
            there += new[rows, number]
            before = target.population_count
    return new


def _whole_population(near: float, p0: float, at_least: int) -> int:
    """The whole number of persons nearest to ``near`` of whom whole persons can be ``p0``."""
    centre = max(round(near), at_least)
    candidates = np.arange(max(at_least, int(centre * 0.8)), int(centre * 1.2) + 2)
    fits = np.abs(np.rint(candidates * p0) / candidates - p0) <= P0_TOLERANCE
    if not fits.any():
        raise SyntheticError(f"no population near {centre} has a P0 of {p0:.2%} in whole persons")
    fitting = candidates[fits]
    return int(fitting[np.argmin(np.abs(fitting - near))])


def _apportioned(wanted: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers in proportion to ``wanted`` that sum to ``total`` (largest remainders)."""
    exact = wanted / wanted.sum() * total
    whole = np.floor(exact).astype("int64")
    remainder = np.argsort(whole - exact, kind="stable")[: total - whole.sum()]
    whole[remainder] += 1
    return whole


def _truth(
    built: households.Households,
    expenditure: np.ndarray,
    line: np.ndarray,
    codes: pd.Index,
    period: str,
) -> pd.DataFrame:
    present = ~np.isnan(expenditure)
    area, size = built.area[present], built.size[present].astype("float64")
    amount = expenditure[present]
    gap = np.maximum(1 - amount / (line[present] * size), 0)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(area, values, len(codes))

    people = sums(size)
    poor = sums(size * (gap > 0))
    return pd.DataFrame(
        {
            "kelurahan_code": codes,
            "period": period,
            "population_count": people.astype("int64"),
            "household_count": np.bincount(area, minlength=len(codes)),
            "poor_count": poor.astype("int64"),
            "p0": poor / people,
            "p1": sums(size * gap) / people,
            "p2": sums(size * gap**2) / people,
            "mean_expenditure_rp": sums(amount) / people,
        }
    )


def _census(
    built: households.Households, codes: pd.Index, periods: tuple[str, ...]
) -> pd.DataFrame:
    kota, of_kota = np.unique(codes.str[:4].to_numpy(dtype="str"), return_inverse=True)
    kecamatan, of_kecamatan = np.unique(codes.str[:7].to_numpy(dtype="str"), return_inverse=True)
    table = {
        "household_id": _identifiers(built.area, codes),
        "kota_code": _category(of_kota.astype("int8")[built.area], kota),
        "kecamatan_code": _category(of_kecamatan.astype("int8")[built.area], kecamatan),
        "kelurahan_code": _category(built.area, codes),
    }
    for name, column in built.columns.items():
        table[name] = _category(column, welfare.LISTS[name]) if name in welfare.LISTS else column
    table["since"] = _category(built.since, periods)
    return pd.DataFrame(table, copy=False)


def _category(positions: np.ndarray, categories: Sequence[str]) -> pd.Categorical:
    categories = pd.Index([str(c) for c in categories], dtype="str")
    return pd.Categorical.from_codes(positions, categories=categories)


def _identifiers(area: np.ndarray, codes: pd.Index) -> pd.Series:
    """Kelurahan code and a running number of six digits, written digit by digit."""
    counts = np.bincount(area, minlength=len(codes))
    number = np.arange(len(area)) - (np.cumsum(counts) - counts)[area] + 1
    digits = np.empty((len(area), 16), dtype="uint8")
    digits[:, :10] = np.array([list(code.encode()) for code in codes], dtype="uint8")[area]
    for place in range(15, 9, -1):
        number, digit = np.divmod(number, 10)
        digits[:, place] = digit + ord("0")
    offsets = np.arange(len(area) + 1, dtype="int64") * 16
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    text = pa.Array.from_buffers(pa.large_string(), len(area), buffers)
    return pd.Series(pd.array(text, dtype="str"))


def _blocks(built: households.Households, eta: np.ndarray, codes: pd.Index) -> pd.DataFrame:
    """Census blocks with the strata of the survey: slums, and the poorer and richer of the rest.

    Richer is above the median of x' beta among the kota's blocks that are no slums (what a census
    knows). A kota one of whose strata would have fewer than four blocks is one stratum.
    """
    size = np.bincount(built.block, minlength=len(built.block_area))
    mean = np.bincount(built.block, eta, len(size)) / size
    code = codes[built.block_area]
    number = pd.Series(1, index=range(len(size))).groupby(built.block_area).cumsum()
    table = pd.DataFrame(
        {
            "cluster": code + number.astype("str").str.zfill(4).to_numpy(),
            "kelurahan_code": code,
            "kota_code": code.str[:4],
            "slum": built.block_slum,
            "first": np.cumsum(size) - size,
            "household_count": size,
        }
    )
    median = pd.Series(mean).where(~table["slum"]).groupby(table["kota_code"]).transform("median")
    kind = np.where(table["slum"], "slum", np.where(mean < median, "lower", "upper"))
    stratum = table["kota_code"] + "-" + kind
    fewest = stratum.groupby(stratum).transform("size").groupby(table["kota_code"]).transform("min")
    table["stratum"] = stratum.where(fewest >= 4, table["kota_code"] + "-all")
    return table


def _podes(
    codes: pd.Index,
    living: np.ndarray,
    registered: np.ndarray,
    built: households.Households,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Village variables: invented, and correlated with the kelurahan's standard of living."""
    z = _standardised(living)
    people = registered / registered.mean()
    slum = np.bincount(built.block_area, built.block_slum, len(codes)) > 0
    return pd.DataFrame(
        {
            "kelurahan_code": codes,
            "health_facility_count": rng.poisson(9 * people**0.7 * np.exp(0.25 * z)),
            "school_count": rng.poisson(14 * people**0.8 * np.exp(0.10 * z)),
            "bank_count": rng.poisson(6 * people**0.5 * np.exp(0.60 * z)),
            "slum_present": slum,
            "flood_event_count": rng.poisson(1.5 * np.exp(-0.45 * z)),
            "distance_to_market_km": np.round(
                np.exp(0.2 - 0.25 * z + 0.4 * rng.standard_normal(len(codes))), 2
            ),
        }
    )
