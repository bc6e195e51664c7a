"""Estimates of poverty by kecamatan and kelurahan, with what is known and not known of them.

They are those of `analysis.sae.empirical_best` on a survey and a census, by person, benchmarked
to the official headcount of each kota. What a single figure may be used for is limited: so every
area carries its RMSE in points, an interval, a grade, and the probability of being among the
poorest.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import households, microdata, regions, sae
from analysis.microdata import Microdata
from analysis.sae.transformations import Transformation

KECAMATAN, KELURAHAN = "kecamatan", "kelurahan"
RATIO = "welfare"  # per person, as a multiple of the line (`analysis.households.welfare`)
_PERSONS = "person_count"
LEVEL = 0.95


class PovertyMapError(ValueError):
    """A map cannot be made from what is there."""


@dataclass(frozen=True, eq=False)
class PovertyMap:
    """Estimates of one level and period.

    Attributes
    ----------
    level, period
        ``kecamatan`` or ``kelurahan``; the period of the survey.
    areas
        One row per area of the census (or of one kota, `of_kota`): ``area_code, kota_code,
        n_sample`` (households), ``population_count, household_count, p0_pct, rmse_points, cv,
        lower_pct, upper_pct`` (95 per cent, see `estimate`), ``p1_pct, p1_rmse_points,
        poor_count``, ``model_p0_pct`` (before benchmarking), ``factor, shrinkage, synthetic`` (no
        household of it was asked), ``grade``.
    fit
        The model.
    benchmark
        The factors by kota.
    diagnosis
        What speaks against the model.
    """

    level: str
    period: str
    areas: pd.DataFrame
    fit: sae.EmpiricalBest
    benchmark: sae.Benchmark
    diagnosis: sae.Diagnosis


def covariates(survey: pd.DataFrame, census: pd.DataFrame) -> list[str]:
    """The canonical covariates that both tables have in every row, and that vary."""
    return [
        name
        for name in microdata.COVARIATES
        if all(name in t and t[name].notna().all() for t in (survey, census))
        and (survey[name] != survey[name].iloc[0]).any()
    ]


def estimates(
    data: Microdata,
    period: str,
    line: str | float = households.NATIONAL,
    kota_code: str = "",
    **options: Any,
) -> dict[str, PovertyMap]:
    """The maps of a period by level, for the levels that the microdata allow.

    Parameters
    ----------
    data
        `analysis.households.open_microdata`.
    period, line
        As in `analysis.households.welfare`. Benchmarks are the official figures of both, where
        they are published for all kota.
    kota_code
        A kota that alone is shown (`of_kota`), or empty for all.
    options
        ``transformation, replicates, seed, executor, rule`` of `estimate`.

    Raises
    ------
    HouseholdError, PovertyMapError, analysis.sae.SaeError
        See `analysis.households.welfare` and `estimate`.
    """
    _check_kota(kota_code)
    survey = households.welfare(data, period, line)
    target = official(households.official(period, line))
    made = {
        level: estimate(
            survey,
            data.census,
            target,
            covariates(survey, data.census),
            level=level,
            period=period,
            **options,
        )
        for level in levels(data)
    }
    return of_kota(made, kota_code)


def _check_kota(kota_code: str) -> None:
    if kota_code and kota_code not in regions.KOTA:
        known = ", ".join(f"{code} {name}" for code, name in regions.KOTA.items())
        raise PovertyMapError(f"kota_code {kota_code!r} is unknown: there are {known}, or '' (all)")


def of_kota(made: Mapping[str, PovertyMap], kota_code: str) -> dict[str, PovertyMap]:
    """The same maps with the areas of one kota alone; all of them if the code is empty.

    The model and its estimates are those of all data.

    Raises
    ------
    PovertyMapError
        There is no such kota.
    """
    _check_kota(kota_code)
    if not kota_code:
        return dict(made)
    return {
        level: replace(
            own,
            areas=own.areas[own.areas["kota_code"] == kota_code].reset_index(drop=True),
        )
        for level, own in made.items()
    }


def estimate(
    survey: pd.DataFrame,
    census: pd.DataFrame,
    official_p0_pct: Mapping[str, float] | None,
    covariates: Sequence[str],
    *,
    level: str,
    period: str,
    transformation: str = "box-cox",
    replicates: int = 200,
    seed: int = 0,
    executor: Executor | None = None,
    rule: sae.GradeRule | None = None,
) -> PovertyMap:
    """Estimate P0 and P1 by area and benchmark them to the kota.

    Parameters
    ----------
    survey
        Households of one period with ``welfare`` (per person, over the line of the
        kota), codes and covariates.
    census
        Patterns of the covariates with ``count`` and ``household_size``, and codes.
    official_p0_pct
        The official headcount by kota, in percent of persons; None where there is none (with
        another line): the estimates are then those of the model, and every factor is 1.
    covariates
        Columns of both.
    level
        ``kecamatan`` or ``kelurahan``; the effects of the model are at that level.
    period
        For the record.
    transformation, replicates, seed, executor
        As in `analysis.sae.empirical_best`, with at least two replicates: nothing is shown without
        its uncertainty.
    rule
        Of the grades.

    Returns
    -------
    PovertyMap
        The interval is that of a beta distribution with the estimate as its mean and the MSE as
        its variance: near zero a normal one would reach below it, and be too short above. A
        lower end of less than half a household is none, since an area may have no poor at all.

    Raises
    ------
    PovertyMapError
        The level is unknown, there are no replicates or no covariates, a kota of the census has no
        official headcount or no household in the survey, or codes are missing.
    analysis.sae.SaeError
        The model cannot be fitted.

    Notes
    -----
    The bootstrap of `analysis.sae` takes persons as drawn one by one; members of a household are
    poor together. With s the sizes of the households of an area, the variance that this leaves out
    is ``f p (1 - p) (sum s^2 - sum s) / (sum s)^2`` of the area's own headcount, and is added to
    the MSE; f, the share of p (1 - p) that the covariates do not decide, is taken from the survey.
    It matters where an area has a few hundred households only. The MSE of P1 is raised in the same
    proportion, which is an approximation. P1 is multiplied by the factor of its kota: no official
    P1 of a kota is used.
    """
    if level not in (KECAMATAN, KELURAHAN):
        raise PovertyMapError(f"level {level!r} is unknown: there are {KECAMATAN}, {KELURAHAN}")
    if replicates < 2:
        raise PovertyMapError(
            f"replicates is {replicates}: without a bootstrap nothing is known of the errors, and "
            "no estimate is shown without them; give 200 or more for what is published"
        )
    if not len(covariates):
        raise PovertyMapError(
            "survey and census have no covariate in common that is complete and varies: map more "
            "of them, or fill what is missing"
        )
    area = f"{level}_code"
    for name, table in (("survey", survey), ("census", census)):
        if area not in table or table[area].isna().any():
            raise PovertyMapError(
                f"the {name} does not carry {area} in every row: estimates by {level} need it"
            )
    sizes = _sizes(census, area)
    kota = sizes.index.str[:4]
    official = dict.fromkeys(kota, 0.0) if official_p0_pct is None else dict(official_p0_pct)
    lost = sorted({code for code in kota if pd.isna(official.get(code))})
    if lost:
        raise PovertyMapError(f"kota {', '.join(lost)} has no official headcount in {period}")
    # The most frequent kota is the one that the others are compared with.
    often = survey["kota_code"].value_counts().index
    ordered = {"kota_code": pd.CategoricalDtype(often)}
    lost = sorted(set(census["kota_code"]) - set(often))
    if lost:
        raise PovertyMapError(f"the survey has no household in kota {', '.join(lost)}")
    survey = survey.astype(ordered)
    persons = census.astype(ordered).assign(
        **{_PERSONS: census["count"] * census["household_size"]}
    )
    fit = sae.empirical_best(
        survey,
        persons,
        welfare=RATIO,
        covariates=list(covariates),
        area=area,
        line=1.0,
        transformation=transformation,
        count=_PERSONS,
        replicates=replicates,
        seed=seed,
        executor=executor,
        progress=False,
    )
    table = fit.areas.set_index("area")
    sizes = sizes.loc[table.index]
    p0 = table["p0"]
    together = (sizes["squares"] - sizes["persons"]) / sizes["persons"] ** 2
    of_model = fit.mse.set_index("area")
    mse = of_model["p0"] + _undecided(fit) * p0 * (1 - p0) * together
    p1_mse = of_model["p1"] * (mse / of_model["p0"])
    raw = pd.DataFrame(
        {"area": table.index, "estimate": p0.to_numpy(), "mse": mse.to_numpy()}
    ).assign(synthetic=table["synthetic"].to_numpy())
    by = pd.Series(table.index.str[:4], index=table.index)
    if official_p0_pct is None:
        target = (p0 * sizes["persons"]).groupby(by).sum() / sizes["persons"].groupby(by).sum()
    else:
        target = {code: official[code] / 100 for code in set(kota)}
    benchmark = sae.benchmark(raw, target, sizes["persons"], by=by)
    found = benchmark.areas.set_index("area").loc[table.index]
    share, variance = found["benchmarked"], found["mse_benchmarked"]
    lower, upper = _beta_interval(share, variance, sizes["households"])
    grades = (rule or sae.GradeRule()).grade(
        pd.DataFrame(
            {"estimate": share, "rmse": np.sqrt(variance), "synthetic": found["synthetic"]}
        )
    )
    areas = pd.DataFrame(
        {
            "area_code": table.index,
            "kota_code": by.to_numpy(),
            "n_sample": table["n_sample"].to_numpy(),
            "population_count": sizes["persons"].to_numpy(),
            "household_count": sizes["households"].to_numpy(),
            "p0_pct": 100 * share.to_numpy(),
            "rmse_points": 100 * np.sqrt(variance).to_numpy(),
            "cv": (np.sqrt(variance) / share).to_numpy(),
            "lower_pct": 100 * lower,
            "upper_pct": 100 * upper,
            "p1_pct": 100 * (table["p1"] * found["factor"]).to_numpy(),
            "p1_rmse_points": 100
            * np.sqrt(p1_mse + (table["p1"] * (found["factor"] - 1)) ** 2).to_numpy(),
            "poor_count": (share * sizes["persons"]).to_numpy(),
            "model_p0_pct": 100 * p0.to_numpy(),
            "factor": found["factor"].to_numpy(),
            "shrinkage": table["shrinkage"].to_numpy(),
            "synthetic": found["synthetic"].to_numpy(),
            "grade": grades.to_numpy(),
        }
    )
    diagnosis = sae.diagnose(fit, indicator="p0")
    return PovertyMap(level, period, areas, fit, benchmark, diagnosis)


def _sizes(census: pd.DataFrame, area: str) -> pd.DataFrame:
    """``persons, households, squares`` (of household sizes, summed) by area."""
    count, size = census["count"].astype(float), census["household_size"].astype(float)
    parts = {"persons": count * size, "households": count, "squares": count * size**2}
    return pd.DataFrame(parts).groupby(census[area].astype(str)).sum()


def _undecided(fit: sae.EmpiricalBest) -> float:
    """Mean of p_h (1 - p_h) over the households of the survey, relative to that of their mean."""
    model = fit.fit
    h = Transformation(model.transformation, model.transformation_parameter, model.shift)
    line = float(h.forward(np.array([fit.line]))[0])
    expected = model.fitted + model.area_codes.map(model.effects)
    poor = special.ndtr((line - expected.to_numpy()) / np.sqrt(model.sigma2_e))
    return float(np.mean(poor * (1 - poor)) / (poor.mean() * (1 - poor.mean())))


def _beta(share: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    share = np.clip(share, 1e-6, 1 - 1e-6)
    variance = np.clip(variance, 1e-12, 0.98 * share * (1 - share))
    size = share * (1 - share) / variance - 1
    return share * size, (1 - share) * size


def _beta_interval(
    share: pd.Series, variance: pd.Series, households: pd.Series
) -> tuple[np.ndarray, np.ndarray]:
    a, b = _beta(share.to_numpy(), variance.to_numpy())
    lower, upper = (stats.beta.ppf(q, a, b) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return np.where(lower * households.to_numpy() < 0.5, 0.0, lower), upper


def draw_rates(areas: pd.DataFrame, draws: int = 4000, seed: int = 0) -> np.ndarray:
    """Draws of the poverty rate of every area, as fractions, shape (draws, areas).

    Independent between areas, each from the beta distribution with the estimate as mean and its
    MSE as variance; ``areas`` has ``p0_pct`` and ``rmse_points``.
    """
    a, b = _beta(areas["p0_pct"].to_numpy() / 100, (areas["rmse_points"].to_numpy() / 100) ** 2)
    return np.random.default_rng(seed).beta(a, b, size=(draws, len(areas)))


def poorest(areas: pd.DataFrame, share: float = 0.1, draws: int = 4000, seed: int = 0) -> pd.Series:
    """Probability of being among the poorest areas, by area code.

    By draws of every area's P0 (`draw_rates`): a rank alone would hide how uncertain it is.

    Parameters
    ----------
    areas
        `PovertyMap.areas`.
    share
        Of the areas (0.1 is the poorest tenth), at least one.
    """
    drawn = draw_rates(areas, draws, seed)
    count = max(1, round(share * len(areas)))
    limit = np.partition(drawn, -count, axis=1)[:, -count]
    found = (drawn >= limit[:, None]).mean(axis=0)
    return pd.Series(found, index=areas["area_code"], name="poorest_probability")


def changes(before: PovertyMap, after: PovertyMap) -> pd.DataFrame:
    """Change of P0 by area between two maps of the same level.

    Returns
    -------
    pandas.DataFrame
        ``area_code, change_points, rmse_points, lower_points, upper_points, distinguishable``
        (zero is outside the interval). The errors of the two are taken as independent; effects of
        areas persist, so that the true errors of a change are rather smaller than larger.
    """
    if before.level != after.level:
        raise PovertyMapError(f"maps of {before.level} and of {after.level} are not comparable")
    columns = ["area_code", "p0_pct", "rmse_points"]
    both = before.areas[columns].merge(
        after.areas[columns], on="area_code", suffixes=("_before", "_after"), validate="1:1"
    )
    change = both["p0_pct_after"] - both["p0_pct_before"]
    rmse = np.hypot(both["rmse_points_before"], both["rmse_points_after"])
    reach = stats.norm.ppf((1 + LEVEL) / 2) * rmse
    return pd.DataFrame(
        {
            "area_code": both["area_code"],
            "change_points": change,
            "rmse_points": rmse,
            "lower_points": change - reach,
            "upper_points": change + reach,
            "distinguishable": change.abs() > reach,
        }
    )


def levels(data: Microdata) -> list[str]:
    """The levels that can be mapped with these microdata, the trusted one first."""
    if data.census is None:
        return []
    reached = ("kota", KECAMATAN, KELURAHAN).index(data.lowest_level)
    return [KECAMATAN, KELURAHAN][:reached]


def period_before(data: Microdata, period: str) -> str:
    """The survey's period before another one; empty if there is none."""
    return max((own for own in data.periods if own < period), default="")


def official(kota_poverty: pd.DataFrame) -> dict[str, float] | None:
    """The official headcount of the kota in percent; None unless it is published for all.

    ``kota_poverty`` is `analysis.households.official`.
    """
    kota = kota_poverty[kota_poverty["kota_code"] != households.JAKARTA]
    own = kota.set_index("kota_code")["p0_pct"].astype(float)
    return None if own.isna().any() else own.to_dict()
