"""Direct estimates of a survey and their standard errors under strata, clusters and weights.

The first stage is taken as drawn with replacement: the variance is that between the totals of the
clusters of a stratum, whatever was drawn within them, without a finite population correction.
That errs on the safe side. Two ways: linearised (a measure is replaced by the total of its
influence; Deville 1999) and the rescaled bootstrap of Rao and Wu. Areas that cut across strata are
domains: the clusters of a stratum that have no household in the area count with zero.

Libraries looked at (2026): ``samplics`` 0.6.1 is archived, and its tables fail under pandas 3.
``svy`` 0.35, its successor, has the linearised variance for means, ratios and quantiles, and for
means and shares this module agrees with it to rounding (``tests/test_poverty_design.py`` holds its
figures). It has neither Gini nor SST nor the Lorenz curve; their influence would have to be worked
out here all the same, to be handed to it as a total, and with polars it takes 230 MB for what is
then a sum of squares. ``statsmodels`` has weighted statistics, none under a design.

References
----------
Binder, D. A. (1983). On the variances of asymptotically normal estimators from complex surveys.
International Statistical Review 51, 279-292.
Rao, J. N. K. and C. F. J. Wu (1988). Resampling inference with complex survey data. JASA 83,
231-241.
Rao, J. N. K., C. F. J. Wu and K. Yue (1992). Some recent work on resampling methods for complex
surveys. Survey Methodology 18, 209-217.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from analysis.poverty.measures import (
    ALL,
    Groups,
    Measure,
    MeasureError,
    check_rows,
    compute,
    measure,
    numbers,
)

METHODS = ("taylor", "bootstrap")
# What is done about a stratum with one cluster.
CENTRED, COLLAPSED = "centred", "collapsed"
SINGLES = (CENTRED, COLLAPSED)
# Kinds of interval.
LOGIT, SYMMETRIC, EXACT, NONE = "logit", "t", "exact", "none"
REPLICATES = 500
_CHUNK = 2_000_000  # weights of bootstrap samples held at a time


@dataclass(frozen=True)
class Design:
    """The columns of a survey that say how it was drawn, checked.

    Attributes
    ----------
    weights : (n,) float
        Household weights.
    sizes : (n,) float
        What a household counts for: its members, or 1.
    strata : (n,) int
        Stratum of each household, 0 to H - 1.
    clusters : (n,) int
        Cluster of each household, 0 to C - 1.
    stratum_of : (C,) int
        Stratum of each cluster.
    """

    weights: np.ndarray
    sizes: np.ndarray
    strata: np.ndarray
    clusters: np.ndarray
    stratum_of: np.ndarray

    @classmethod
    def of(
        cls,
        survey: pd.DataFrame,
        *,
        strata: str | None = "stratum",
        clusters: str | None = "cluster",
        weights: str | None = "weight",
        size: str | None = "household_size",
        single: str = CENTRED,
    ) -> "Design":
        """Of a survey, one row per household. Parameters and errors as in `estimate`."""
        if single not in SINGLES:
            raise MeasureError(f"single {single!r} is unknown: there are {', '.join(SINGLES)}")
        if not len(survey):
            raise MeasureError("the survey has no rows")
        periods = survey["period"].unique() if "period" in survey else ()
        if len(periods) > 1:
            raise MeasureError(
                f"the survey has {len(periods)} periods in its column period: estimate each "
                "alone, for their clusters are not drawn together"
            )
        n = len(survey)
        weight = np.ones(n) if weights is None else column(survey, weights)
        check_rows(weight > 0, f"column {weights}", "not above zero")
        members = np.ones(n) if size is None else column(survey, size)
        check_rows(members > 0, f"column {size}", "not above zero")
        stratum = np.zeros(n, dtype="int64") if strata is None else labels(survey, strata)[0]
        if clusters is None:
            cluster = np.arange(n)
        else:
            # Codes of clusters may begin anew in each stratum.
            own = labels(survey, clusters)[0]
            cluster = pd.factorize(stratum * (own.max() + 1) + own, sort=True)[0]
        stratum_of = np.empty(cluster.max() + 1, dtype="int64")
        stratum_of[cluster] = stratum
        if single == COLLAPSED:
            stratum_of = _collapsed(stratum_of)
        return cls(weight, members, stratum_of[cluster], cluster, stratum_of)

    @property
    def person_weights(self) -> np.ndarray:
        """(n,) Weight times size."""
        return self.weights * self.sizes

    @property
    def clusters_in(self) -> np.ndarray:
        """(H,) Number of clusters of each stratum."""
        return np.bincount(self.stratum_of)


def estimate(
    survey: pd.DataFrame,
    measures: str | Measure | Sequence[str | Measure],
    *,
    welfare: str = "expenditure_per_capita_rp",
    line: str | float | None = None,
    by: str | None = None,
    strata: str | None = "stratum",
    clusters: str | None = "cluster",
    weights: str | None = "weight",
    size: str | None = "household_size",
    single: str = CENTRED,
    method: str = "taylor",
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """Measures by area, each with its standard error and interval under the design.

    Parameters
    ----------
    survey
        One row per household, of one period (a column ``period`` is looked at for that).
    measures
        Names (`measures.MEASURES`: mean, p0, p1, p2, watts, sst, gini, median) or measures made by
        `measures.fgt_of`, `quantile_of`, `share_of`, `ratio_of`; one or several.
    welfare
        Column of welfare per person.
    line
        The line in units of welfare, above zero: a number, or the column that has it.
    by
        Column of areas, estimated as domains; without, one area "all".
    strata, clusters, weights, size
        Columns. Without strata there is one; without clusters each household is one; without
        weights all are 1; without size measures are of households, not persons. Clusters are
        nested in strata: one code in two strata is two clusters.
    single
        What a stratum with one cluster adds to a linearised variance. ``centred``: the square of
        that cluster's deviation from the mean of all clusters of the survey. ``collapsed``: such
        strata are joined in pairs, in the order of their codes (the last of an odd number joins
        the pair before it; a single one the stratum before it, or the next), which overstates the
        variance by the differences within the pairs (Wolter 2007, section 2.5). Pairs are best
        chosen by who knows the design: give ``strata`` that are joined already.
    method
        ``taylor``, or ``bootstrap`` (Rao, Wu and Yue 1992: from each stratum, one cluster less than
        it has, with replacement, weights rescaled; the variance is about the estimate). The
        bootstrap needs two clusters in every stratum, if need be ``collapsed``.
    level
        Of the intervals.
    replicates, seed
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One row per area and measure, areas sorted: ``area, measure, estimate, se, cv, lower, upper,
        interval, n_households, n_clusters, df, design_effect``. Shares are fractions. ``cv`` is
        se / estimate, a fraction. ``n_clusters`` are those with a household in the area; ``df`` is
        their number less that of their strata. ``interval`` names the kind:

        - ``logit`` for measures between 0 and 1 (Korn and Graubard 1999): symmetric in
          log(p / (1 - p)), with the quantile of t on ``df``;
        - ``t``: estimate +- t se, for other measures;
        - ``exact``: nobody (or everybody) of the sample is poor, so that the sample says nothing
          of the error. ``se`` is missing; the interval is that of Clopper and Pearson for P0 with
          clusters as trials, the widest reading. It holds for P1, P2 and means of shares too,
          which are no more;
        - ``none``: there is no interval.

        ``se`` is missing for an area of one cluster, of which the formula would give zero; the
        interval also if ``df`` is zero. ``design_effect`` is the variance over that of a simple
        random sample, with replacement, of as many households.

    Raises
    ------
    MeasureError
        A column is not there; a value is missing (dropping rows would bias the totals: impute
        them, or drop them and correct the weights), a weight or size not above zero; there are
        several periods; the bootstrap meets a stratum with one cluster.

    Notes
    -----
    Quantiles rest on a kernel density (Gaussian, Silverman's width with Kish's sample size); all
    other linearisations are exact derivatives. For areas with few clusters neither method is good:
    the standard error is itself uncertain by about 1 / sqrt(2 df).

    References
    ----------
    Korn, E. L. and B. I. Graubard (1999). Analysis of health surveys. Wiley.
    Osier, G. (2009). Variance estimation for complex indicators of poverty and inequality using
    linearization techniques. Survey Research Methods 3, 167-195.
    Wolter, K. M. (2007). Introduction to variance estimation, 2nd ed. Springer.
    """
    if method not in METHODS:
        raise MeasureError(f"method {method!r} is unknown: there are {', '.join(METHODS)}")
    if not 0 < level < 1:
        raise MeasureError(f"level is a share between 0 and 1, not {level!r}")
    chosen = [measures] if isinstance(measures, str | Measure) else list(measures)
    chosen = [measure(each) for each in chosen]
    design = Design.of(
        survey, strata=strata, clusters=clusters, weights=weights, size=size, single=single
    )
    if by is None:
        codes, areas = np.zeros(len(survey), dtype="int64"), pd.Index([ALL])
    else:
        codes, areas = labels(survey, by)
    factors = None
    if method == "bootstrap":
        factors = replicate_factors(design, replicates, seed)
    counts = _counts(design, codes, len(areas))
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COMPUTED}
    orders: dict[object, Groups] = {}  # quantiles of the same welfare need one order
    for each in chosen:
        values = read_values(survey, each, welfare, line)
        order = (each.values, each.columns) if each.sorts else None
        if order not in orders:
            orders[order] = Groups.of(codes, values[:, 0] if each.sorts else None)
        found, influence = compute(
            each,
            values,
            design.person_weights[:, None],
            codes,
            influence=True,
            groups=orders[order],
        )
        found, scores = found[:, 0], design.person_weights * influence[:, 0]
        if factors is None:
            variance = linearised_variance(design, scores, codes, len(areas))
        else:
            variance = _bootstrap_variance(design, each, values, codes, found, factors)
        # Where every score is zero the sample has no variation to estimate from.
        varies = _sums(np.abs(scores), codes, len(areas)) > _ZERO * np.abs(found)
        variance[~varies | (counts["n_clusters"] < 2)] = np.nan
        se = np.sqrt(variance)
        lower, upper, kind = _intervals(each, found, se, counts, level)
        effect = _over(variance, _simple_variance(design, scores, codes, len(areas)))
        computed = (found, se, _over(se, np.abs(found)), lower, upper, kind, effect)
        for name, own in zip(_COMPUTED, computed, strict=True):
            columns[name].append(own)
    # Areas in order, and within them measures as they were asked for.
    table = {"area": areas.repeat(len(chosen))}
    table["measure"] = [each.name for each in chosen] * len(areas)
    table |= {name: np.stack(own, axis=1).ravel() for name, own in columns.items()}
    effect = table.pop("design_effect")
    table |= {name: np.repeat(own, len(chosen)) for name, own in counts.items()}
    return pd.DataFrame({**table, "design_effect": effect})


_COMPUTED = ("estimate", "se", "cv", "lower", "upper", "interval", "design_effect")
_ZERO = 1e-12


def linearised_variance(
    design: Design, scores: np.ndarray, codes: np.ndarray, n_areas: int
) -> np.ndarray:
    """The variance (G,) of totals of scores (n,) by area, between clusters within strata.

    sum over strata of n_h / (n_h - 1) sum over clusters of (t_hc - mean t_h)^2, with t_hc the
    total in the cluster and the area (zero where it has none); of a stratum with one cluster,
    (t - mean of all t)^2.
    """
    pair, at = _totals(design, scores, codes, n_areas)
    cluster, area = pair // n_areas, pair % n_areas
    in_stratum = design.clusters_in
    # Figures by stratum and area, of the pairs that occur.
    cell, back = np.unique(design.stratum_of[cluster] * n_areas + area, return_inverse=True)
    n_h = in_stratum[cell // n_areas]
    centre = np.bincount(back, at) / n_h
    alone = n_h == 1
    grand = np.bincount(area, at, minlength=n_areas) / len(design.stratum_of)
    centre[alone] = grand[cell[alone] % n_areas]
    squares = np.bincount(back, (at - centre[back]) ** 2)
    squares += (n_h - np.bincount(back)) * centre**2  # clusters without a household in the area
    factor = np.where(alone, 1.0, n_h / np.maximum(n_h - 1, 1))
    found = np.bincount(cell % n_areas, factor * squares, minlength=n_areas)
    # Strata with one cluster, and that one outside the area: it deviates by the mean of all.
    outside = (in_stratum == 1).sum() - np.bincount(cell[alone] % n_areas, minlength=n_areas)
    return found + outside * grand**2


def replicate_factors(design: Design, replicates: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """Factors (C, B) by which the bootstrap multiplies the weights of each cluster.

    Rao, Wu and Yue (1992) with n_h - 1 clusters drawn from the n_h of a stratum: times drawn x
    n_h / (n_h - 1). Their mean is 1.

    Raises
    ------
    MeasureError
        A stratum has one cluster only.
    """
    in_stratum = design.clusters_in
    alone = (in_stratum == 1).sum()
    if alone:
        raise MeasureError(
            f"{alone} of {len(in_stratum)} strata have one cluster, from which the bootstrap "
            f"cannot draw: use single={COLLAPSED!r} or join strata"
        )
    if replicates < 2:
        raise MeasureError(f"replicates is {replicates}: a variance needs two, a good one 500")
    rng = np.random.default_rng(seed)
    order = np.argsort(design.stratum_of, kind="stable")
    factors = np.empty((len(order), replicates))
    ends = np.cumsum(in_stratum)
    for n, end in zip(in_stratum, ends, strict=True):
        drawn = rng.multinomial(n - 1, np.full(n, 1 / n), size=replicates)
        factors[order[end - n : end]] = drawn.T * (n / (n - 1))
    return factors


def read_values(
    survey: pd.DataFrame, chosen: Measure, welfare: str, line: str | float | None
) -> np.ndarray:
    """The values (n, 1 or 2) that a measure is computed from, out of the survey's columns."""
    if chosen.columns is not None:
        return chosen.values(*(column(survey, name) for name in chosen.columns))
    y = column(survey, welfare)
    if not chosen.needs_line:
        return chosen.values(y)
    if line is None:
        raise MeasureError(f"{chosen.name} needs the poverty line: give line=, a column or number")
    z = column(survey, line) if isinstance(line, str) else np.full(len(y), float(line))
    check_rows(z > 0, f"the line {line}", "not above zero")
    return chosen.values(y, z)


def column(survey: pd.DataFrame, name: str) -> np.ndarray:
    """A column of numbers of the survey (n,), without a missing one."""
    _there(survey, name)
    return numbers(survey[name], f"column {name}")


def labels(survey: pd.DataFrame, name: str) -> tuple[np.ndarray, pd.Index]:
    """Codes (n,) of a column of labels and the labels, sorted."""
    _there(survey, name)
    codes, found = pd.factorize(survey[name], sort=True)
    check_rows(codes >= 0, f"column {name}", "missing")
    return codes, pd.Index(found)


def _there(survey: pd.DataFrame, name: str) -> None:
    if name not in survey:
        raise MeasureError(f"the survey has no column {name!r}: it has {', '.join(survey)}")


def _collapsed(stratum_of: np.ndarray) -> np.ndarray:
    """Strata of the clusters once those with one cluster are joined; 0 to H - 1 again."""
    sizes = np.bincount(stratum_of)
    alone = np.flatnonzero(sizes == 1)
    into = np.arange(len(sizes))
    if len(alone) == 1:
        if len(sizes) == 1:
            raise MeasureError("the survey has one cluster: no variance can be estimated from it")
        into[alone] = alone - 1 if alone[0] > 0 else alone + 1
    else:
        # First and second of each pair; a third that is left over goes with the last pair.
        pairs = np.minimum(np.arange(len(alone)) // 2, max(len(alone) // 2 - 1, 0))
        into[alone] = alone[2 * pairs]
    return np.unique(into[stratum_of], return_inverse=True)[1]


def _totals(
    design: Design, scores: np.ndarray, codes: np.ndarray, n_areas: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of cluster and area that occur (cluster * G + area), and their totals of scores."""
    pair, back = np.unique(design.clusters * n_areas + codes, return_inverse=True)
    return pair, np.bincount(back, scores)


def _bootstrap_variance(
    design: Design,
    chosen: Measure,
    values: np.ndarray,
    codes: np.ndarray,
    found: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """The mean square (G,) of replicates about the estimate; replicates without weight left out."""
    weights, clusters = design.person_weights, design.clusters
    if not chosen.sorts:
        # A ratio of totals needs no more than the totals of each cluster.
        n_areas = len(found)
        ones = np.ones((len(values), 1)) if values.shape[1] == 1 else values[:, 1:]
        parts = [
            _totals(design, weights * part, codes, n_areas) for part in (values[:, 0], ones[:, 0])
        ]
        pair = parts[0][0]
        values = np.stack([part[1] for part in parts], axis=1)
        weights, clusters, codes = np.ones(len(pair)), pair // n_areas, pair % n_areas
    step = max(1, _CHUNK // len(weights))
    squares, used = np.zeros(len(found)), np.zeros(len(found), dtype="int64")
    for start in range(0, factors.shape[1], step):
        drawn = weights[:, None] * factors[clusters, start : start + step]
        replicated = compute(chosen, values, drawn, codes)[0] - found[:, None]
        squares += np.nansum(replicated**2, axis=1)
        used += np.isfinite(replicated).sum(axis=1)
    return _over(squares, used.astype("float64"))


def _simple_variance(
    design: Design, scores: np.ndarray, codes: np.ndarray, n_areas: int
) -> np.ndarray:
    """The variance (G,) under simple random sampling, with replacement, of as many households."""
    weights = design.weights
    own = scores / weights
    n = np.bincount(codes, minlength=n_areas).astype("float64")
    population = _sums(weights, codes, n_areas)
    centre = _sums(weights * own, codes, n_areas) / population
    squares = _sums(weights * (own - centre[codes]) ** 2, codes, n_areas)
    return _over(population * squares, n - 1)


def _counts(design: Design, codes: np.ndarray, n_areas: int) -> dict[str, np.ndarray]:
    pair = np.unique(design.clusters * n_areas + codes)
    cluster, area = pair // n_areas, pair % n_areas
    stratum = np.unique(design.stratum_of[cluster] * n_areas + area)
    n_clusters = np.bincount(area, minlength=n_areas)
    return {
        "n_households": np.bincount(codes, minlength=n_areas),
        "n_clusters": n_clusters,
        "df": n_clusters - np.bincount(stratum % n_areas, minlength=n_areas),
    }


def _intervals(
    chosen: Measure,
    found: np.ndarray,
    se: np.ndarray,
    counts: dict[str, np.ndarray],
    level: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper bounds (G,), and the kind of each interval."""
    tail = (1 - level) / 2
    df = counts["df"]
    t = np.where(df > 0, -special.stdtrit(np.maximum(df, 1), tail), np.nan)
    inside = chosen.bounded & (found > 0) & (found < 1)
    kind = np.where(inside, LOGIT, SYMMETRIC).astype(object)
    if chosen.bounded:
        p = np.where(inside, found, 0.5)
        reach = t * se / (p * (1 - p))
        lower, upper = (special.expit(special.logit(p) + side * reach) for side in (-1, 1))
        kind[~inside] = NONE
        if chosen.additive:
            n = counts["n_clusters"]
            edge = tail ** (1 / n)
            lower = np.where(found <= 0, 0.0, np.where(found >= 1, edge, lower))
            upper = np.where(found <= 0, 1 - edge, np.where(found >= 1, 1.0, upper))
            kind[~inside & np.isfinite(found)] = EXACT
    else:
        lower, upper = found - t * se, found + t * se
    unknown = ~(np.isfinite(lower) & np.isfinite(upper))
    lower, upper = np.where(unknown, np.nan, lower), np.where(unknown, np.nan, upper)
    kind[unknown] = NONE
    return lower, upper, kind


def _sums(x: np.ndarray, codes: np.ndarray, n_areas: int) -> np.ndarray:
    return np.bincount(codes, x, minlength=n_areas)


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)
