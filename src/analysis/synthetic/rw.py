"""RW of the synthetic city with the variables of the slum scores, which nobody publishes by RW.

The census of slum RW of 2017 was published as counts: 445 slum RW by class, the classes of Jakarta
Pusat, and the totals of two more kota. An invented table meets these under the declared rules of
BPS, and nothing else of it is known: neither which RW they are nor what their variables show.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from analysis import provenance, regions, slums, sources
from analysis.slums.rules import Criterion
from analysis.synthetic import names, official
from analysis.synthetic.official import SyntheticError

YEAR = 2017  # of the census of slum RW
ISLAND_RW = 5  # RW of a kelurahan of Kepulauan Seribu, whose number is not in the tables

# How far from its limit a variable lies, in logarithms, one way or the other (half-normal).
_DISTANCE = 0.55
# How far the deprivation of an RW moves the conditions that it meets and the criteria of the
# ministry; the rest is chance.
_COMMON, _OWN = 0.8, 0.6
# Which conditions are commoner: crowding and layout before lighting and waste.
_COMMONNESS = (1.0, 0.8, 0.5, 0.3, 0.5, -0.1, 0.1, 0.3, -0.6, -0.2, -0.8)


def rw_variables(seed: int = 0) -> pd.DataFrame:
    """Invented RW: the 11 variables of BPS, and the 16 criteria of the ministry.

    Parameters
    ----------
    seed
        Zero or more; that of `city` gives the same shares of slums by kelurahan.

    Returns
    -------
    pandas.DataFrame
        One row per RW, sorted: ``kelurahan_code, kota_code, rw, area_name`` (of the kelurahan,
        invented), ``area_ha, population_count, synthetic`` (true: files of the table say what
        they are), then the columns of ``slums.read_rules(slums.BPS_2017)`` and of
        ``slums.PERMEN_2018``. Scored by the former, its classes count what was published for
        2017: in the province, in Pusat by class, in Barat and Kepulauan Seribu in all. The
        criteria of the ministry are calibrated to nothing and hang on the same deprivation: how
        far the two sets agree on this table was put into it, and says nothing of Jakarta. The
        run is noted as synthetic.

    Raises
    ------
    SyntheticError
        The seed is negative.
    """
    if seed < 0:
        raise SyntheticError(f"seed is {seed}: it is zero or more")
    provenance.record(Path(__file__), synthetic=True)
    # The first stream of `cities`: the same slum shares as in the city of this seed.
    share = official.slum_shares(np.random.default_rng(np.random.SeedSequence([seed, 0])))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 17]))
    table = _frame(share.index, rng)
    of_rw = table["kelurahan_code"].map(share).clip(0.005, 0.995).to_numpy()
    latent = special.ndtri(of_rw) + _scores(table["kelurahan_code"], rng)
    rules = slums.read_rules(slums.BPS_2017)
    classes = _classes(latent, table["kota_code"].to_numpy(), rules)
    conditions = _conditions(classes, latent, table["kelurahan_code"].map(_crowding()), rules, rng)
    for position, criterion in enumerate(rules.criteria):
        _measure(table, criterion, conditions[:, position], rng)
    severity = (latent - latent.mean()) / latent.std() + 0.4 * (
        conditions.mean(axis=1) / conditions.mean() - 1
    )
    for criterion in slums.read_rules(slums.PERMEN_2018).criteria:
        own = _COMMON * severity + _OWN * rng.standard_normal(len(table))
        column = criterion.measures[0].column
        table[column] = np.round(100 * special.ndtr(own - rng.uniform(1.2, 2.2)), 1)
    return table


def _scores(kelurahan: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Normal scores in random order, evenly spread within each kelurahan.

    Independent draws would scatter the slum share of its ten RW far from that of its households.
    """
    place = pd.Series(rng.random(len(kelurahan))).groupby(kelurahan.to_numpy()).rank() - 1
    count = kelurahan.groupby(kelurahan).transform("size").to_numpy()
    return special.ndtri((place.to_numpy() + rng.random(len(kelurahan))) / count)


def _frame(codes: pd.Index, rng: np.random.Generator) -> pd.DataFrame:
    """RW of all kelurahan with areas and residents that sum to those of the kelurahan."""
    population = sources.read("kelurahan_population_2024").set_index("kelurahan_code")
    counts = sources.read("kelurahan_rw").set_index("kelurahan_code")["rw_count"]
    counts = counts.reindex(codes).fillna(ISLAND_RW).astype(int)
    code = np.repeat(codes.to_numpy(), counts)
    table = pd.DataFrame({"kelurahan_code": code, "kota_code": [c[:4] for c in code]})
    table["rw"] = [f"{n:03d}" for count in counts for n in range(1, count + 1)]
    table["area_name"] = table["kelurahan_code"].map(
        names.names(codes).set_index("kelurahan_code")["area_name"]
    )
    residents = population["population_count"]
    hectares = residents / population["density_per_km2"] * 100
    for name, total, spread in (("area_ha", hectares, 0.5), ("population_count", residents, 0.3)):
        part = pd.Series(np.exp(spread * rng.standard_normal(len(table))))
        part = part / part.groupby(table["kelurahan_code"]).transform("sum")
        table[name] = part * table["kelurahan_code"].map(total)
    table["synthetic"] = True  # a copy in a CSV still says so
    table["area_ha"] = table["area_ha"].round(2).clip(lower=0.1)
    table["population_count"] = table["population_count"].round().astype("int64")
    return table


def _crowding() -> pd.Series:
    density = np.log(official.density())
    return (density - density.mean()) / density.std()


def _classes(latent: np.ndarray, kota: np.ndarray, rules: slums.Rules) -> np.ndarray:
    """Position in the classes of the rules (0 is the worst; their number is not slum)."""
    counts = sources.read("rw_kumuh_counts")
    counts = counts[(counts["year"].astype(int) == YEAR) & counts["rw_count"].notna()]
    known = counts.set_index(["area", "kategori"])["rw_count"].astype(int)
    classes = np.full(len(latent), len(rules.classes))
    left = {name: known["DKI Jakarta", name] for name in rules.classes}
    total = {code: known.get((name, "total")) for code, name in regions.KOTA.items()}
    slum = {}
    for code, count in total.items():
        if count is not None:
            own = np.flatnonzero(kota == code)
            slum[code] = own[np.argsort(-latent[own])[:count]]
    others = np.flatnonzero(~np.isin(kota, list(slum)))
    rest = sum(left.values()) - sum(len(rows) for rows in slum.values())
    slum["others"] = others[np.argsort(-latent[others])[:rest]]
    pusat = slum.pop("3173")
    first = 0
    for position, name in enumerate(rules.classes):
        count = known["Jakarta Pusat", name]
        classes[pusat[first : first + count]] = position
        left[name] -= count
        first += count
    rows = np.concatenate(list(slum.values()))
    rows = rows[np.argsort(-latent[rows])]
    classes[rows] = np.repeat(np.arange(len(left)), list(left.values()))
    return classes


def _conditions(
    classes: np.ndarray,
    latent: np.ndarray,
    crowding: pd.Series,
    rules: slums.Rules,
    rng: np.random.Generator,
) -> np.ndarray:
    """Which conditions each RW meets: as many as its class needs, (RW, criteria) of bool."""
    criteria = len(rules.criteria)
    scores = rules.maximum * np.arange(criteria + 1) / criteria
    lows = [*rules.classes.values(), 0.0]
    numbers = np.empty(len(classes), dtype=int)
    for position, low in enumerate(lows):
        high = lows[position - 1] if position else np.inf
        possible = np.flatnonzero((scores >= low) & (scores < high))
        own = np.flatnonzero(classes == position)
        # Within a class the more deprived meet more conditions; few meet all that it allows.
        order = np.argsort(np.argsort(latent[own])) / max(len(own), 1)
        noisy = np.clip(order + 0.2 * rng.standard_normal(len(own)), 0, 0.999)
        numbers[own] = possible[(noisy**1.5 * len(possible)).astype(int)]
    liking = np.array(_COMMONNESS) + rng.gumbel(size=(len(classes), criteria))
    liking[:, :2] += 0.5 * crowding.to_numpy()[:, None]  # population and building density
    place = np.argsort(np.argsort(-liking, axis=1), axis=1)
    return place < numbers[:, None]


def _measure(
    table: pd.DataFrame, criterion: Criterion, meets: np.ndarray, rng: np.random.Generator
) -> None:
    """Values on the right side of the limit; of two measures the second follows the first."""
    away = _DISTANCE * np.abs(rng.standard_normal(len(table))) + 0.005
    ratio = np.exp(np.where(meets, away, -1.5 * away))
    first, *more = criterion.measures
    limit = first.steps[0].limit
    value = limit * ratio
    table[first.column] = np.clip(value, 0, 100 if first.column.endswith("_pct") else np.inf)
    for measure in more:
        # Persons by family below the ratio of the limits: who meets neither limit meets none.
        by = measure.steps[0].limit / limit
        table[measure.column] = value * by * rng.uniform(0.8, 1.0, len(table))
