"""Where slums and poverty overlap, and how sure that is.

Poverty of small areas is an estimate. All figures here are computed on many draws of the rates of
all areas (`analysis.poverty_map.draw_rates`). The draws are as scattered as the truth may be, where
the estimates themselves are shrunk towards the model, so that their dissimilarity would be too
small.

What areas show is not what households show: an area may have slums and poor people who do not live
in them. `direct_rows` asks the households themselves. And estimates that were told where slums are
would find poverty there by construction: `poverty` leaves that covariate out.

Real and invented figures are not mixed: `open_inputs` gives both of the user, or both of the
synthetic city, or one alone.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis import households, microdata, poverty_map, regions, slums, synthetic
from analysis.microdata import Microdata
from analysis.poverty import design
from analysis.synthetic import names

LEVEL = 0.95
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
NOT_IN_SURVEY = "The survey does not say which households live in slum RW."
WEIGHTS = (0.25, 0.5, 0.75)  # of poverty in the criterion


class OverlapError(ValueError):
    """Poverty and slums of areas do not fit together."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What scores and overlap are made of.

    Attributes
    ----------
    rw
        RW with the variables of the score; None if the user gave microdata alone.
    data
        Microdata; None if the user gave a table of RW alone.
    synthetic
        Whether any of it is simulated.
    """

    rw: pd.DataFrame | None
    data: Microdata | None
    synthetic: bool

    def names(self) -> pd.Series:
        """Names of the kelurahan by code: invented ones if anything is simulated."""
        listed = regions.areas().set_index("kelurahan_code")["kelurahan"]
        if not self.synthetic:
            return listed
        return names.names(listed.index).set_index("kelurahan_code")["area_name"]

    def words(self) -> str:
        """What is there, and what has to be given for the rest."""
        if self.rw is None:
            return (
                "There is no table of RW variables: give RW_VARIABLES=path for scores. The "
                "overlap rests on what the microdata say of slum RW."
            )
        if self.data is None:
            return (
                "There are no microdata: give MICRODATA=path for the overlap with poverty. RW that "
                "are given are not crossed with invented poverty."
            )
        if self.synthetic:
            return "RW and households are those of the synthetic city, which is one and the same."
        return "RW and households are yours."


def open_inputs(rw_path: str = "", microdata_path: str = "", *, seed: int = 0) -> Inputs:
    """The user's RW and microdata, whichever are given; the synthetic city's if neither is.

    Parameters
    ----------
    rw_path
        Table of RW variables (`analysis.slums.read_variables`); if empty, what ``RW_VARIABLES``
        names.
    microdata_path
        Mapping or its folder; if empty, what ``MICRODATA`` names.
    seed
        Of the synthetic RW.

    Raises
    ------
    OverlapError
        One of the two is simulated and the other is not.
    analysis.slums.SlumError, analysis.microdata.MicrodataError, HouseholdError
        What is given cannot be read.
    """
    rw_path = rw_path or slums.variables_path() or ""
    microdata_path = microdata_path or os.environ.get(microdata.VARIABLE, "")
    if not rw_path and not microdata_path:
        return Inputs(synthetic.rw_variables(seed), households.open_microdata(), True)
    rw = slums.read_variables(rw_path, slums.read_rules()) if rw_path else None
    simulated = rw is not None and slums.is_synthetic(rw)
    data = households.open_microdata(microdata_path) if microdata_path else None
    if rw is not None and data is not None and data.synthetic != simulated:
        kind = {True: "simulated", False: "real"}
        raise OverlapError(
            f"the table of RW is {kind[simulated]} and the microdata are {kind[data.synthetic]}: "
            "they are not crossed; give both, or one alone"
        )
    return Inputs(rw, data, simulated or bool(data is not None and data.synthetic))


def poverty(
    data: Microdata, period: str, line: str | float = households.NATIONAL, **options: object
) -> poverty_map.PovertyMap | None:
    """Poverty by kelurahan, estimated without knowing where slums are.

    Parameters
    ----------
    data, period, line
        As in `analysis.poverty_map.estimates`.
    options
        ``transformation, replicates, seed, executor, rule``.

    Returns
    -------
    PovertyMap
        None if the microdata do not reach down to the kelurahan.
    """
    if data.lowest_level != poverty_map.KELURAHAN:
        return None
    survey = households.welfare(data, period, line)
    names = [n for n in poverty_map.covariates(survey, data.census) if n != "slum_rw"]
    return poverty_map.estimate(
        survey,
        data.census,
        poverty_map.official(households.official(period, line)),
        names,
        level=poverty_map.KELURAHAN,
        period=period,
        **options,
    )


@dataclass(frozen=True, eq=False)
class Overlap:
    """Areas with slums and draws of their poverty.

    Attributes
    ----------
    areas
        ``area_code, kota_code, population_count, p0_pct, rmse_points, slum_pct``: percent of
        residents who are poor, and who live in a slum RW; sorted by code.
    rates
        (draws, areas) poverty as fractions.
    """

    areas: pd.DataFrame
    rates: np.ndarray

    @property
    def poor(self) -> np.ndarray:
        """(draws, areas) persons."""
        return self.rates * self.areas["population_count"].to_numpy(dtype="float64")


def slum_residents(census: pd.DataFrame) -> pd.Series:
    """Percent of the residents of each kelurahan who live in a slum RW, by code.

    ``census`` has ``kelurahan_code, household_size, slum_rw`` and the ``count`` of households of
    each row (`analysis.microdata`). All are missing if it does not say so of every row.
    """
    if "slum_rw" not in census or census["slum_rw"].isna().any():
        codes = pd.Index(census["kelurahan_code"].unique(), name="kelurahan_code")
        return pd.Series(np.nan, index=codes, name="slum_pct")
    persons = (census["count"] * census["household_size"]).astype("float64")
    key = census["kelurahan_code"]
    within = persons.where(census["slum_rw"].astype(bool), 0.0).groupby(key).sum()
    return (100 * within / persons.groupby(key).sum()).rename("slum_pct")


def with_share(poverty: pd.DataFrame, slum_pct: pd.Series) -> tuple[pd.DataFrame, str]:
    """The areas whose share of slum residents is known, and words on those left out.

    That nothing is known of an area is not that it has no slum. ``poverty`` and ``slum_pct`` are
    those of `joined`; the words are empty if nothing is left out.
    """
    known = poverty["area_code"].map(slum_pct).notna()
    lost = int((~known).sum())
    words = (
        f"{lost} of {len(known)} kelurahan are left out of the overlap: their share of residents "
        "in slum RW is not known (a table of RW needs population_count of every RW, a census "
        "slum_rw)."
    )
    return poverty[known], words if lost else ""


def joined(
    poverty: pd.DataFrame, slum_pct: pd.Series, *, draws: int = 4000, seed: int = 0
) -> Overlap:
    """Put estimates of poverty and shares of slum residents together.

    Parameters
    ----------
    poverty
        ``area_code, kota_code, population_count, p0_pct, rmse_points``
        (`analysis.poverty_map.PovertyMap.areas`).
    slum_pct
        Percent of residents in slum RW, by area code; every area needs one.
    draws, seed
        Of the rates.

    Raises
    ------
    OverlapError
        Areas without a share: that nothing is known of them is not that they have no slum.
    """
    columns = ["area_code", "kota_code", "population_count", "p0_pct", "rmse_points"]
    areas = poverty[columns].sort_values("area_code", ignore_index=True)
    areas["slum_pct"] = areas["area_code"].map(slum_pct)
    lost = areas.loc[areas["slum_pct"].isna(), "area_code"]
    if len(lost):
        raise OverlapError(
            f"{len(lost)} areas have no share of slum residents ({', '.join(lost[:3])}"
            f"{' …' if len(lost) > 3 else ''}): leave them out, or give the share"
        )
    return Overlap(areas, poverty_map.draw_rates(areas, draws, seed))


def concentration_curve(overlap: Overlap) -> pd.DataFrame:
    """How the poor are spread over the residents, from the area with most slum to that with least.

    Returns
    -------
    pandas.DataFrame
        ``population_share, poor_share, lower, upper`` (fractions, 0 and 1 included): above the
        diagonal, the poor live where the slums are. The median and interval of the draws.
    """
    order = _by_slum(overlap.areas)
    people = overlap.areas["population_count"].to_numpy(dtype="float64")[order]
    poor = overlap.poor[:, order].cumsum(axis=1)
    poor /= poor[:, -1:]
    lower, median, upper = np.quantile(poor, [_TAILS[0], 0.5, _TAILS[1]], axis=0)
    table = pd.DataFrame(
        {
            "population_share": people.cumsum() / people.sum(),
            "poor_share": median,
            "lower": lower,
            "upper": upper,
        }
    )
    return pd.concat([pd.DataFrame([dict.fromkeys(table, 0.0)]), table], ignore_index=True)


def concentration_index(overlap: Overlap) -> np.ndarray:
    """(draws,) twice the area between the concentration curve and the diagonal.

    Positive if the poor live where the slums are; by Kakwani, Wagstaff and van Doorslaer (1997)
    for grouped data: 2 cov(rate, rank) / mean rate, rank 1 being the area with most slum.
    Areas with the same share of slum have the same rank.
    """
    people = overlap.areas["population_count"].to_numpy(dtype="float64")
    share = people / people.sum()
    # Fractional rank from least slum up, the middle of each group of equal shares.
    groups = pd.Series(share).groupby(overlap.areas["slum_pct"].round(9).to_numpy())
    size = groups.sum()
    middle = size.cumsum() - size / 2
    rank = overlap.areas["slum_pct"].round(9).map(middle).to_numpy()
    mean = overlap.rates @ share
    return 2 * ((overlap.rates * rank) @ share / mean - rank @ share)


def indices(overlap: Overlap, threshold_pct: float = 20) -> pd.DataFrame:
    """The overlap in numbers: ``measure, estimate, lower, upper`` (medians and intervals).

    Parameters
    ----------
    threshold_pct
        From which share of residents in slum RW a kelurahan counts as one with slums.

    Returns
    -------
    pandas.DataFrame
        Percent, but for the indices:

        - share of the poor, and of all residents, in kelurahan with slums;
        - mean share of slum residents around a poor person and around another one (exposure);
        - concentration index of the poor by slums;
        - dissimilarity of poor and others between kelurahan (Duncan and Duncan 1955): the share
          of either that would have to move;
        - isolation and interaction of the poor (Massey and Denton 1988): the share of poor, and of
          others, among the residents around a poor person.
    """
    people = overlap.areas["population_count"].to_numpy(dtype="float64")
    slum = overlap.areas["slum_pct"].to_numpy()
    poor = overlap.poor
    others = people - poor
    of_poor = poor / poor.sum(axis=1, keepdims=True)
    of_others = others / others.sum(axis=1, keepdims=True)
    with_slums = slum >= threshold_pct
    isolation = (of_poor * overlap.rates).sum(axis=1)
    all_there = 100 * people[with_slums].sum() / people.sum()
    rows = {
        f"poor in kelurahan with at least {threshold_pct:g} % slum residents (%)": 100
        * of_poor[:, with_slums].sum(axis=1),
        "all residents in these kelurahan (%)": np.full(len(poor), all_there),
        "slum residents around a poor person (%)": of_poor @ slum,
        "slum residents around another person (%)": of_others @ slum,
        "concentration index of the poor by slums": concentration_index(overlap),
        "dissimilarity of poor and others": np.abs(of_poor - of_others).sum(axis=1) / 2,
        "isolation of the poor": isolation,
        "interaction of the poor with others": 1 - isolation,
    }
    return pd.DataFrame([(name, *_summary(drawn)) for name, drawn in rows.items()]).set_axis(
        ["measure", "estimate", "lower", "upper"], axis=1
    )


def true_indices(overlap: Overlap, truth: pd.DataFrame, threshold_pct: float = 20) -> pd.DataFrame:
    """`indices` with the ``truth`` of a synthetic city beside them, and whether it is covered.

    ``truth`` has ``kelurahan_code, p0`` (a fraction) of the period.
    """
    rate = overlap.areas["area_code"].map(truth.set_index("kelurahan_code")["p0"])
    true = indices(Overlap(overlap.areas, rate.to_numpy(dtype="float64")[None]), threshold_pct)
    found = indices(overlap, threshold_pct).assign(truth=true["estimate"])
    return found.assign(
        covered=[
            "yes" if low - 1e-9 <= value <= high + 1e-9 else "no"
            for low, value, high in zip(found["lower"], found["truth"], found["upper"], strict=True)
        ]
    )


def priority(
    overlap: Overlap, *, top: int = 10, weights: Sequence[float] = WEIGHTS
) -> pd.DataFrame:
    """Areas by a criterion of poverty and slums, with the probability of being among the first.

    The criterion is ``w`` times the rank of the poverty rate plus ``1 - w`` times the rank of the
    share of slum residents (ranks as shares, 1 is the worst). Ranks of poverty are those of each
    draw.

    Parameters
    ----------
    top
        How many areas are first.
    weights
        Of poverty; the second output column set is for each of them.

    Returns
    -------
    pandas.DataFrame
        The areas with ``probability_<w>`` (percent, of being among the first under weight w),
        ``probability_pct`` (its mean over the weights) and ``poor_in_slum_count`` (poor persons in
        slum RW if the rate were the same all over the area); highest probability first.

    Raises
    ------
    OverlapError
        ``top`` is not between 1 and the number of areas, or a weight not between 0 and 1.
    """
    count = len(overlap.areas)
    if not 1 <= top <= count:
        raise OverlapError(f"the first {top} of {count} areas: give 1 to {count}")
    if not weights or not all(0 <= weight <= 1 for weight in weights):
        raise OverlapError(f"weights of poverty are between 0 and 1, not {list(weights)}")
    poverty = (overlap.rates.argsort(axis=1).argsort(axis=1) + 0.5) / count
    slum = ((overlap.areas["slum_pct"].rank(method="average") - 0.5) / count).to_numpy()
    table = overlap.areas.copy()
    names = []
    for weight in weights:
        criterion = weight * poverty + (1 - weight) * slum
        limit = np.partition(criterion, -top, axis=1)[:, [-top]]
        names.append(f"probability_{weight:g}")
        table[names[-1]] = 100 * (criterion >= limit).mean(axis=0)
    table["probability_pct"] = table[names].mean(axis=1)
    table["poor_in_slum_count"] = (
        table["population_count"] * table["p0_pct"] / 100 * table["slum_pct"] / 100
    )
    return table.sort_values(["probability_pct", "area_code"], ascending=[False, True])


def direct_rows(survey: pd.DataFrame) -> pd.DataFrame | None:
    """Of the households themselves: who lives in slum RW, and who is poor there.

    Parameters
    ----------
    survey
        Of one period, with ``welfare`` (over the line), ``poor``, ``slum_rw`` and the columns of
        its design (`analysis.households.welfare`).

    Returns
    -------
    pandas.DataFrame
        ``of, share, estimate_pct, lower_pct, upper_pct, n_households``: persons in slum RW among
        the poor and the others, poor among those in slum RW and the others. Design-based. None
        if the survey does not say of every household whether its RW is a slum RW.
    """
    if "slum_rw" not in survey or survey["slum_rw"].isna().any():
        return None
    own = survey.assign(
        in_slum=survey["slum_rw"].astype("float64"),
        is_poor=survey["poor"].astype("float64"),
        group_poor=np.where(survey["poor"], "poor", "not poor"),
        group_slum=np.where(survey["slum_rw"], "in slum RW", "elsewhere"),
    )
    columns = households.design_columns(survey)
    # The poor of the sample in and outside slum RW: a small one of the four cells hides its row.
    parts = []
    for share, value, group in (
        ("living in slum RW", "in_slum", "group_poor"),
        ("poor", "is_poor", "group_slum"),
    ):
        # The mean of a share, as P0 with a line: an indicator below a half is "poor" (not in it).
        found = design.estimate(
            own.assign(below=1 - own[value]), "p0", welfare="below", line=0.5, by=group, **columns
        )
        parts.append(
            pd.DataFrame(
                {
                    "of": found["area"],
                    "share": share,
                    "estimate_pct": 100 * found["estimate"],
                    "lower_pct": 100 * found["lower"],
                    "upper_pct": 100 * found["upper"],
                    "n_households": found["n_households"],
                    "n_within": found["area"].map(own.groupby(group)[value].sum()).astype("int64"),
                }
            ).iloc[::-1]
        )
    table = pd.concat(
        [
            microdata.suppress(part, ["n_households", "n_within"], of={"n_within": "n_households"})
            for part in parts
        ],
        ignore_index=True,
    )
    shown = ["of", "share", "estimate_pct", "lower_pct", "upper_pct", "n_households"]
    return table[shown]


def _by_slum(areas: pd.DataFrame) -> np.ndarray:
    return np.argsort(-areas["slum_pct"].to_numpy(), kind="stable")


def _summary(drawn: np.ndarray) -> tuple[float, float, float]:
    lower, median, upper = np.quantile(drawn, [_TAILS[0], 0.5, _TAILS[1]])
    return float(median), float(lower), float(upper)


# ---- tables, words and drawing ------------------------------------------------------------------


HEADERS = {
    "of": "Of the persons",
    "share": "Share",
    "estimate_pct": "Percent",
    "lower_pct": "95 % from",
    "upper_pct": "to",
    "n_households": "Households",
    "measure": "Measure",
    "estimate": "Estimate",
    "lower": "95 % from",
    "upper": "to",
    "truth": "Truth",
    "covered": "Covered",
    "area_name": "Kelurahan",
    "kota": "Kota",
    "p0_pct": "Poor (%)",
    "rmse_points": "RMSE (points)",
    "slum_pct": "In slum RW (%)",
    "probability_pct": "Among the first (%)",
    "poor_in_slum_count": "Poor in slum RW, if even",
}
DECIMALS = {
    "estimate_pct": 1,
    "lower_pct": 1,
    "upper_pct": 1,
    "estimate": 2,
    "lower": 2,
    "upper": 2,
    "truth": 2,
    "p0_pct": 1,
    "rmse_points": 1,
    "slum_pct": 0,
    "probability_pct": 0,
}


def priority_table(named: pd.DataFrame, most: int = 15) -> pd.DataFrame:
    """The first rows of `priority` for a report; ``named`` has ``area_name`` too.

    The probability under each weight is one text, from the smallest weight of poverty up.
    """
    own = named.head(most)
    weights = [name for name in own if name.startswith("probability_") and name[-1].isdigit()]
    each = own[weights].round().astype("int64").astype("str").agg(" / ".join, axis=1)
    kota = own["kota_code"].map(regions.KOTA)
    columns = ["p0_pct", "rmse_points", "slum_pct", "probability_pct"]
    table = pd.DataFrame({"area_name": own["area_name"], "kota": kota}).join(own[columns])
    words = " / ".join(name.removeprefix("probability_") for name in weights)
    return table.assign(**{f"by weight {words}": each}).reset_index(drop=True)


def answer(direct: pd.DataFrame | None, overlap: Overlap | None) -> str:
    """Who lives in slum RW, and what areas show of it; the arguments are None where not known."""
    words = NOT_IN_SURVEY if direct is None else _direct_words(direct)
    if overlap is None:
        return words
    _, low, high = _summary(concentration_index(overlap))
    lean = "lean towards" if low > 0 else "lean away from" if high < 0 else "do not clearly lean to"
    return f"{words} Between kelurahan the poor {lean} those with slums."


def _direct_words(direct: pd.DataFrame) -> str:
    rate = direct.set_index(["of", "share"])
    poor, others = (
        rate.loc[("poor", "living in slum RW")],
        rate.loc[("not poor", "living in slum RW")],
    )
    if pd.isna(poor["estimate_pct"]) or pd.isna(others["estimate_pct"]):
        return "The survey has too few poor households to say how many of the poor live in slum RW."
    words = (
        f"{poor['estimate_pct']:.0f} % of the poor live in slum RW (95 % interval "
        f"{poor['lower_pct']:.0f} to {poor['upper_pct']:.0f}), and "
        f"{others['estimate_pct']:.0f} % of the others"
    )
    return words + (": most of the poor live elsewhere." if poor["upper_pct"] < 50 else ".")


def priority_words(table: pd.DataFrame, top: int) -> str:
    """How many areas are surely, and how many possibly, among the first."""
    above = [int((table["probability_pct"] > limit).sum()) for limit in (90, 50, 5)]
    return (
        f"The probability of being among the first {top} is above 90 % for {above[0]}, above 50 % "
        f"for {above[1]} and above 5 % for {above[2]} of {len(table)} kelurahan."
    )


def draw_curve(axes: Axes, curve: pd.DataFrame) -> None:
    """Concentration curve with its interval, in percent, and the diagonal."""
    x = 100 * curve["population_share"]
    axes.fill_between(x, 100 * curve["lower"], 100 * curve["upper"], color="C0", alpha=0.25, lw=0)
    axes.plot(x, 100 * curve["poor_share"], color="C0", label="poor")
    axes.plot([0, 100], [0, 100], color="0.5", linewidth=0.8, label="spread evenly")
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
