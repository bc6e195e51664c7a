"""Poverty maps of synthetic cities beside what is true in them: do the intervals hold it?"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import households, synthetic
from analysis.microdata import Microdata
from analysis.poverty_map.estimation import (
    KECAMATAN,
    KELURAHAN,
    LEVEL,
    RATIO,
    estimate,
    official,
)

# What breaks the assumptions of the model in the misspecified edition.
EDITION_WORDS = {
    synthetic.REGULAR: "as the model assumes",
    synthetic.MISSPECIFIED: "heavy tails, unequal variances, cluster effects",
}


def truth(data: Microdata, period: str, line: str | float) -> pd.DataFrame | None:
    """The true figures of a synthetic city in a period, one row per kelurahan.

    None where there are none: of real data, and below another line than that of the city.
    """
    if data.truth is None or line != households.NATIONAL:
        return None
    own = data.truth[data.truth["period"] == period]
    return own if len(own) else None


def against_truth(areas: pd.DataFrame, truth: pd.DataFrame, level: str) -> pd.DataFrame:
    """The areas with the true P0 of a synthetic city: ``true_p0_pct`` and ``covered``.

    ``truth`` has ``kelurahan_code, p0`` (a fraction) and ``population_count`` of the period.
    """
    digits = 7 if level == KECAMATAN else 10
    area = truth["kelurahan_code"].astype(str).str[:digits]
    persons = truth["population_count"].groupby(area).sum()
    true = 100 * (truth["p0"] * truth["population_count"]).groupby(area).sum() / persons
    found = areas.assign(true_p0_pct=areas["area_code"].map(true))
    inside = found["true_p0_pct"].between(found["lower_pct"] - 1e-9, found["upper_pct"] + 1e-9)
    return found.assign(covered=inside)


def trial(edition: str, size: str, period: str, seed: int, replicates: int) -> pd.DataFrame:
    """One synthetic city, mapped from a sample of it as a user's files would be.

    Parameters
    ----------
    edition, size, seed
        Of `analysis.synthetic.city`; the sample and the bootstrap have the same seed.
    period
        The survey's, one of `analysis.synthetic.PERIODS`.
    replicates
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        `against_truth` of the kecamatan and the kelurahan, with ``edition, level, seed``.
    """
    city = synthetic.city(edition, size, seed)
    codes = dict.fromkeys(["kota_code", "kecamatan_code", "kelurahan_code"], str)
    line = city.lines[city.lines["period"] == period].set_index("kota_code")["poverty_line_rp"]
    survey = synthetic.survey(city, period, seed).astype(codes)
    person = survey["expenditure_rp"] / survey["household_size"]
    survey[RATIO] = person / survey["kota_code"].map(line)
    truth = city.truth[city.truth["period"] == period]
    parts = []
    for level in (KECAMATAN, KELURAHAN):
        made = estimate(
            survey,
            city.census.astype(codes).assign(count=1),
            official(households.official(period)),
            synthetic.COVARIATES,
            level=level,
            period=period,
            replicates=replicates,
            seed=seed,
        )
        parts.append(against_truth(made.areas, truth, level))
    made = pd.concat(parts, keys=[KECAMATAN, KELURAHAN], names=["level"]).reset_index("level")
    return made.assign(edition=edition, seed=seed).reset_index(drop=True)


def trials(
    seeds: Iterable[int],
    period: str = synthetic.PERIODS[-1],
    size: str = synthetic.SMALL,
    replicates: int = 100,
) -> pd.DataFrame:
    """`trial` of both editions with each seed, one below the other."""
    seeds = list(seeds)
    return pd.concat(
        [trial(e, size, period, s, replicates) for e in synthetic.EDITIONS for s in seeds],
        ignore_index=True,
    )


def coverage(tried: pd.DataFrame) -> pd.DataFrame:
    """How often the intervals of `trials` hold the truth, and what the errors are.

    Returns
    -------
    pandas.DataFrame
        By edition and level: ``city_count, area_count`` (over all cities), ``coverage_pct`` and
        its Monte Carlo error ``coverage_se_points`` (by the spread between cities; missing with
        one), ``rmse_true_points`` (of the estimates against the truth), ``rmse_said_points`` (what
        the maps say), ``bias_points``.
    """
    off = tried["p0_pct"] - tried["true_p0_pct"]
    tried = tried.assign(off=off, squared=off**2, said=tried["rmse_points"] ** 2)
    by = ["edition", "level"]
    cities = tried.groupby([*by, "seed"], sort=False)["covered"].mean().groupby(by, sort=False)
    own = tried.groupby(by, sort=False)
    table = pd.DataFrame(
        {
            "city_count": cities.size(),
            "area_count": own.size(),
            "coverage_pct": 100 * own["covered"].mean(),
            "coverage_se_points": 100 * cities.std() / np.sqrt(cities.size()),
            "rmse_true_points": np.sqrt(own["squared"].mean()),
            "rmse_said_points": np.sqrt(own["said"].mean()),
            "bias_points": own["off"].mean(),
        }
    )
    return table.reset_index()


def coverage_table(table: pd.DataFrame) -> pd.DataFrame:
    """`coverage` for showing, the editions in words."""
    words = [f"{e} ({EDITION_WORDS[e]})" for e in table["edition"]]
    return table.assign(edition=words).drop(columns=["city_count", "bias_points"])


def coverage_words(table: pd.DataFrame) -> str:
    """`coverage` in sentences, as it is."""
    cities = int(table["city_count"].iloc[0])
    told = [f"Over {cities} small cities of each edition, {100 * LEVEL:.0f} % intervals hold"]
    for edition, own in table.groupby("edition", sort=False):
        parts = [
            f"{row.coverage_pct:.1f} % of the {row.level}"
            + (f" (± {row.coverage_se_points:.1f})" if cities > 1 else "")
            for row in own.itertuples()
        ]
        told.append(
            f"{'the truth of' if len(told) == 1 else 'and of'} {' and '.join(parts)} in the "
            f"{edition} edition" + ("," if len(told) == 1 else "")
        )
    wide = table["rmse_said_points"] > table["rmse_true_points"]
    rest = "more" if wide.all() else "less" if not wide.any() else "now more, now less"
    return f"{' '.join(told)}. The maps say {rest} error than there is."


def truth_words(compared: pd.DataFrame, level: str) -> str:
    """How the estimates of a synthetic city compare with its truth."""
    off = compared["p0_pct"] - compared["true_p0_pct"]
    return (
        f"Against the truth of the synthetic city the estimates by {level} are off by "
        f"{np.sqrt((off**2).mean()):.2f} points (root mean square; said: "
        f"{np.sqrt((compared['rmse_points'] ** 2).mean()):.2f}), {off.mean():+.2f} on average, and "
        f"the 95 % intervals hold it in {100 * compared['covered'].mean():.0f} % of the areas."
    ).replace("-", "−")


def draw_truth(axes: Axes, compared: pd.DataFrame) -> None:
    """Estimate against truth, in percent, with the line on which they agree."""
    for covered, color, words in ((True, "C0", "in the interval"), (False, "C1", "outside it")):
        part = compared[compared["covered"] == covered]
        axes.plot(part["true_p0_pct"], part["p0_pct"], "o", markersize=3, color=color, label=words)
    end = 1.05 * max(compared["true_p0_pct"].max(), compared["p0_pct"].max())
    axes.plot([0, end], [0, end], color="0.5", linewidth=0.8, zorder=0)
    axes.set(xlabel="True P0 (%)", ylabel="Estimate (%)")
    axes.legend(loc="upper left")
