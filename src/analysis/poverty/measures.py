"""Measures of poverty and inequality of a weighted sample, and their influence functions.

Poor is who is below the line (y < z, not at it). Every measure is a statistic (a ratio of totals,
a Gini, a quantile ...) of one value per row (welfare, its gap to the line ...), computed for all
groups and, for the bootstrap, for many columns of weights at once. Beside its estimate each
statistic gives the derivative by the weight of each row: what a linearised variance needs
(Deville 1999). `analysis.poverty.design` has the standard errors.

Poverty is by person: give household weight times household size as weights.

References
----------
Deville, J.-C. (1999). Variance estimation for complex statistics and estimators: linearization
and residual techniques. Survey Methodology 25, 193-203.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

ALL = "all"  # the label of the only group where none are given


class MeasureError(ValueError):
    """Data that a measure cannot be computed from; the message says where and what to do."""


@dataclass(frozen=True)
class Groups:
    """Rows ordered by group and, within a group, by value.

    Attributes
    ----------
    order : (n,) int
        Positions of the rows in that order.
    starts, sizes : (G,) int
        Where each group begins, and its number of rows (one or more).
    """

    order: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, values: np.ndarray | None = None) -> "Groups":
        """Of the group of each row (0 to G - 1, none empty), ordered by ``values`` if given."""
        keys = (codes,) if values is None else (values, codes)
        sizes = np.bincount(codes)
        return cls(np.lexsort(keys), np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)

    def total(self, x: np.ndarray) -> np.ndarray:
        """Sums of ordered rows (n, ...) by group: (G, ...)."""
        return np.add.reduceat(x, self.starts, axis=0)

    def spread(self, x: np.ndarray) -> np.ndarray:
        """Figures of the groups (G, ...), for each of the rows: (n, ...)."""
        return np.repeat(x, self.sizes, axis=0)

    def running(self, x: np.ndarray) -> np.ndarray:
        """Sums of ordered rows up to and with each row of its group: (n, ...)."""
        whole = np.cumsum(x, axis=0)
        before = whole[self.starts] - x[self.starts]
        return whole - self.spread(before)


# A statistic takes groups, ordered values (n, 1 or 2), ordered weights (n, B) and whether the
# influence is wanted. It returns estimates (G, B) and the influence (n, B), or None.
Statistic = Callable[[Groups, np.ndarray, np.ndarray, bool], tuple[np.ndarray, np.ndarray | None]]


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, missing where b is zero: a group without weight has no measure."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def ratio_statistic(
    groups: Groups, values: np.ndarray, weights: np.ndarray, influence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """sum w a / sum w b, with a and b the two columns; b is 1 where there is one column."""
    a, b = values[:, :1], values[:, 1:] if values.shape[1] > 1 else np.ones((len(values), 1))
    below = groups.total(weights * b)
    found = _divide(groups.total(weights * a), below)
    if not influence:
        return found, None
    return found, _divide(a - groups.spread(found) * b, groups.spread(below))


def _differences(
    groups: Groups, y: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Total weight N and total T by group; a_k = sum_j w_j |y_k - y_j| of each row, in one pass.

    Ties need no care: their rows add nothing to the sum whichever comes first.
    """
    n, t = groups.total(w), groups.total(w * y)
    each = y * (2 * groups.running(w) - groups.spread(n))
    each += groups.spread(t) - 2 * groups.running(w * y)
    return n, t, each


def gini_statistic(
    groups: Groups, values: np.ndarray, weights: np.ndarray, influence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """sum_ij w_i w_j |y_i - y_j| / (2 N T), N and T the totals of w and w y."""
    n, t, each = _differences(groups, values, weights)
    found = _divide(groups.total(weights * each), 2 * n * t)
    if not influence:
        return found, None
    share = _divide(each, groups.spread(n * t))
    share -= groups.spread(_divide(found, n)) + values * groups.spread(_divide(found, t))
    return found, share


def sst_statistic(
    groups: Groups, values: np.ndarray, weights: np.ndarray, influence: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean gap plus half the mean difference of gaps: P1 (1 + Gini of all gaps)."""
    n, t, each = _differences(groups, values, weights)
    spread = groups.total(weights * each)
    found = _divide(t, n) + _divide(spread, 2 * n * n)
    if not influence:
        return found, None
    own = _divide(values, groups.spread(n)) + _divide(each, groups.spread(n * n))
    return found, own - groups.spread(_divide(t, n * n) + _divide(spread, n**3))


def _quantile_rows(groups: Groups, weights: np.ndarray, p: float) -> np.ndarray:
    """Rows (G, B) of the lowest value whose cumulated weight reaches the share p."""
    # Of weights in tenths, 0.1 + 0.2 must reach 0.3.
    reached = p * groups.total(weights) * (1 - 1e-12)
    below = groups.total((groups.running(weights) < groups.spread(reached)).astype("int64"))
    return groups.starts[:, None] + np.minimum(below, groups.sizes[:, None] - 1)


def _density(y: np.ndarray, w: np.ndarray, at: float) -> float:
    """Density of the ordered, weighted values ``y`` at one point; missing if all are alike.

    A Gaussian kernel of Silverman's width, on logarithms where all are above zero: welfare is
    skewed, and one width does not suit both of its tails.
    """
    scale = 1.0
    if y[0] > 0:
        y, at, scale = np.log(y), np.log(at), at
    share = w / w.sum()
    reached = np.cumsum(share)
    low, high = (y[min(np.searchsorted(reached, p), len(y) - 1)] for p in (0.25, 0.75))
    # Sums, not dot products: BLAS would start its threads for each of these few numbers.
    deviation = np.sqrt((share * (y - (share * y).sum()) ** 2).sum())
    spreads = (deviation, (high - low) / 1.349)
    width = 0.9 * min((s for s in spreads if s > 0), default=0.0) * (share**2).sum() ** 0.2
    if width == 0:
        return np.nan
    heights = np.exp(-0.5 * ((y - at) / width) ** 2)
    return float((share * heights).sum() / (width * np.sqrt(2 * np.pi) * scale))


def quantile_statistic(
    groups: Groups, values: np.ndarray, weights: np.ndarray, influence: bool, *, p: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """The lowest value y with F(y) >= p; its influence is (p - 1[y <= q]) / (N f(q))."""
    found = values[_quantile_rows(groups, weights, p), 0]
    n = groups.total(weights)
    found = np.where(n > 0, found, np.nan)
    if not influence:
        return found, None
    density = np.array(
        [
            [_density(values[rows, 0], weights[rows, 0], q)]
            for rows, q in zip(_slices(groups), found[:, 0], strict=True)
        ]
    )
    below = values <= groups.spread(found)
    return found, (p - below) / groups.spread(n * density)


def share_statistic(
    groups: Groups, values: np.ndarray, weights: np.ndarray, influence: bool, *, p: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """The share of the total held by the poorest ``p``: the Lorenz curve at p, linear between."""
    n, t = groups.total(weights), groups.total(weights * values)
    rows = _quantile_rows(groups, weights, p)
    q = values[rows, 0]
    columns = np.arange(weights.shape[1])
    held = groups.running(weights * values)[rows, columns]
    reached = groups.running(weights)[rows, columns]
    found = _divide(held + q * (p * n - reached), t)
    if not influence:
        return found, None
    every = groups.spread(q)
    below = np.where(values <= every, values - every, 0.0)
    return found, _divide(below + p * every - values * groups.spread(found), groups.spread(t))


def _slices(groups: Groups) -> list[slice]:
    return [slice(a, a + n) for a, n in zip(groups.starts, groups.sizes, strict=True)]


@dataclass(frozen=True)
class Measure:
    """What is computed: one value (or two) per row, and a statistic of it.

    Attributes
    ----------
    name : str
        As in tables.
    values : callable
        Of the columns, arrays (n,): the values (n, 1 or 2).
    statistic : callable
        As described above.
    bounded : bool
        Whether it lies between 0 and 1, so that its interval can be a logit one.
    needs_line : bool
        Whether the columns are welfare and line; else welfare alone.
    columns : tuple of str, optional
        Columns of the survey to take instead of welfare and line.
    sorts : bool
        Whether the statistic needs rows in the order of their values.
    additive : bool
        Whether it is the mean of something of each row, so that it can be split by group.
    """

    name: str
    values: Callable[..., np.ndarray]
    statistic: Statistic
    bounded: bool = True
    needs_line: bool = False
    columns: tuple[str, ...] | None = None
    sorts: bool = True
    additive: bool = False


def gaps(welfare: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(1 - y/z) of the poor, 0 of others: (n,)."""
    return np.maximum(1 - welfare / line, 0)


def _fgt_values(welfare: np.ndarray, line: np.ndarray, alpha: float) -> np.ndarray:
    poor = welfare < line
    return np.where(poor, gaps(welfare, line) ** alpha, 0.0)[:, None]


def _watts_values(welfare: np.ndarray, line: np.ndarray) -> np.ndarray:
    if not (welfare > 0).all():
        raise MeasureError(
            f"the Watts index takes the logarithm of welfare, and {(welfare <= 0).sum()} rows are "
            "at or below zero: correct them or use P2"
        )
    return np.log(np.maximum(line / welfare, 1))[:, None]


def _column(values: np.ndarray) -> np.ndarray:
    return values[:, None]


def _columns(*values: np.ndarray) -> np.ndarray:
    return np.stack(values, axis=1)


def _gap_column(welfare: np.ndarray, line: np.ndarray) -> np.ndarray:
    return gaps(welfare, line)[:, None]


def fgt_of(alpha: float) -> Measure:
    """P_alpha of Foster, Greer and Thorbecke (see `fgt`) as a measure."""
    if not alpha >= 0:
        raise MeasureError(f"alpha is {alpha!r}: P_alpha is defined for 0 and above")
    values = partial(_fgt_values, alpha=alpha)
    return Measure(
        f"p{alpha:g}", values, ratio_statistic, needs_line=True, sorts=False, additive=True
    )


def quantile_of(p: float) -> Measure:
    """The quantile at the share ``p`` (see `quantile`) as a measure."""
    statistic = partial(quantile_statistic, p=_inside(p))
    return Measure(f"quantile {p:g}", _column, statistic, bounded=False)


def share_of(p: float) -> Measure:
    """The share of the poorest ``p`` in all welfare (see `share`) as a measure."""
    return Measure(f"share {p:g}", _column, partial(share_statistic, p=_inside(p)))


def ratio_of(
    numerator: str, denominator: str | None = None, *, name: str | None = None, bounded: bool = True
) -> Measure:
    """The ratio of the totals of two columns of the survey, or the mean of one, as a measure."""
    columns = (numerator,) if denominator is None else (numerator, denominator)
    name = name or " / ".join(columns)
    return Measure(
        name,
        _columns,
        ratio_statistic,
        bounded=bounded,
        columns=columns,
        sorts=False,
        additive=denominator is None,
    )


MEAN = Measure("mean", _column, ratio_statistic, bounded=False, sorts=False, additive=True)
WATTS = Measure(
    "watts",
    _watts_values,
    ratio_statistic,
    bounded=False,
    needs_line=True,
    sorts=False,
    additive=True,
)
SST = Measure("sst", _gap_column, sst_statistic, needs_line=True)
GINI = Measure("gini", _column, gini_statistic)
# By name.
MEASURES = {
    "mean": MEAN,
    "p0": fgt_of(0),
    "p1": fgt_of(1),
    "p2": fgt_of(2),
    "watts": WATTS,
    "sst": SST,
    "gini": GINI,
    "median": Measure("median", _column, partial(quantile_statistic, p=0.5), bounded=False),
}


def measure(name: str | Measure) -> Measure:
    """The measure of that name (`MEASURES`); a measure is given back as it is."""
    if isinstance(name, Measure):
        return name
    if name not in MEASURES:
        raise MeasureError(
            f"measure {name!r} is unknown: there are {', '.join(MEASURES)}, and fgt_of, "
            "quantile_of, share_of and ratio_of make others"
        )
    return MEASURES[name]


def _inside(p: float) -> float:
    if not 0 < p < 1:
        raise MeasureError(f"a share of the population is between 0 and 1, not {p!r}")
    return float(p)


# --- the measures as functions on columns


def fgt(
    welfare: ArrayLike,
    line: ArrayLike,
    alpha: float = 0,
    *,
    weights: ArrayLike | None = None,
    by: ArrayLike | None = None,
) -> float | pd.Series:
    """P_alpha = 1/N sum over the poor of w (1 - y/z)^alpha.

    Parameters
    ----------
    welfare
        (n,) Welfare y, in the units of the line.
    line
        The line z above zero: one, or one per row (n,).
    alpha
        0 is the headcount (P0), 1 the gap (P1), 2 the severity (P2); any number from 0 on.
    weights
        (n,) Zero or more; 1 each without.
    by
        (n,) Labels of groups.

    Returns
    -------
    float or pandas.Series
        As a fraction, not in percent; with ``by`` one per group, sorted by label.

    Raises
    ------
    MeasureError
        Lengths differ, a value is missing or infinite, a line is not above zero or a weight below
        zero; the message says in how many rows and which is the first.

    References
    ----------
    Foster, J., J. Greer and E. Thorbecke (1984). A class of decomposable poverty measures.
    Econometrica 52, 761-766.
    """
    return _compute(fgt_of(alpha), welfare, line, weights, by)


def watts(
    welfare: ArrayLike,
    line: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    by: ArrayLike | None = None,
) -> float | pd.Series:
    """The Watts index: 1/N sum over the poor of w ln(z/y). Parameters as in `fgt`.

    Raises
    ------
    MeasureError
        As `fgt`; or welfare is not above zero.

    References
    ----------
    Watts, H. W. (1968). An economic definition of poverty. In: D. P. Moynihan (ed.), On
    understanding poverty. Basic Books.
    """
    return _compute(WATTS, welfare, line, weights, by)


def sst(
    welfare: ArrayLike,
    line: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    by: ArrayLike | None = None,
) -> float | pd.Series:
    """The index of Sen, Shorrocks and Thon. Parameters as in `fgt`.

    It is P1 (1 + G), with G the Gini of the gaps of all persons (zero for those not poor):
    headcount times mean gap of the poor times 1 + G. For n persons of weight one, with gaps in
    falling order, sum over i of (2 n - 2 i + 1) g_i / n^2 (Shorrocks 1995).

    References
    ----------
    Shorrocks, A. F. (1995). Revisiting the Sen poverty index. Econometrica 63, 1225-1230.
    Xu, K. and L. Osberg (2001). How to decompose Sen-Shorrocks-Thon poverty index: a practitioner's
    guide. Journal of Income Distribution 10, 77-94.
    """
    return _compute(SST, welfare, line, weights, by)


def gini(
    welfare: ArrayLike, *, weights: ArrayLike | None = None, by: ArrayLike | None = None
) -> float | pd.Series:
    """The Gini index: half the mean difference of two persons, divided by the mean.

    sum_ij w_i w_j |y_i - y_j| / (2 N^2 mean), without a correction by n / (n - 1): a household of
    weight 2 counts as two of weight 1. Parameters as in `fgt`. Missing where the mean is zero.

    References
    ----------
    Langel, M. and Y. Tille (2013). Variance estimation of the Gini index: revisiting a result
    several times published. Journal of the Royal Statistical Society A 176, 521-540.
    """
    return _compute(GINI, welfare, None, weights, by)


def mean(
    welfare: ArrayLike, *, weights: ArrayLike | None = None, by: ArrayLike | None = None
) -> float | pd.Series:
    """The weighted mean. Parameters as in `fgt`."""
    return _compute(MEAN, welfare, None, weights, by)


def quantile(
    welfare: ArrayLike,
    p: float,
    *,
    weights: ArrayLike | None = None,
    by: ArrayLike | None = None,
) -> float | pd.Series:
    """The lowest welfare below or at which a share ``p`` (0 to 1) of the weight lies.

    Other parameters as in `fgt`.
    """
    return _compute(quantile_of(p), welfare, None, weights, by)


def share(
    welfare: ArrayLike,
    p: float,
    *,
    weights: ArrayLike | None = None,
    by: ArrayLike | None = None,
) -> float | pd.Series:
    """The share of all welfare that the poorest ``p`` (0 to 1) of the weight hold.

    The Lorenz curve at ``p``; the row that straddles ``p`` counts in part. BPS's share of the
    lowest 40 % is that of 0.4. Other parameters as in `fgt`.
    """
    return _compute(share_of(p), welfare, None, weights, by)


def lorenz(
    welfare: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    points: Sequence[float] | None = None,
) -> pd.DataFrame:
    """The Lorenz curve, from (0, 0) to (1, 1).

    Parameters
    ----------
    welfare, weights
        As in `fgt`; welfare at or above zero.
    points
        Shares of the population to give the curve at, linear between rows; without, at each row.

    Returns
    -------
    pandas.DataFrame
        ``population_share, welfare_share`` in rising order.
    """
    y, _, w = _inputs(welfare, None, weights)
    if (y < 0).any() or not w @ y > 0:
        raise MeasureError("a Lorenz curve is of welfare at or above zero that is not all zero")
    order = np.argsort(y, kind="stable")
    people = np.concatenate([[0], np.cumsum(w[order])])
    held = np.concatenate([[0], np.cumsum(w[order] * y[order])])
    people, held = people / people[-1], held / held[-1]
    if points is not None:
        at = np.asarray(points, "float64")
        people, held = at, np.interp(at, people, held)
    return pd.DataFrame({"population_share": people, "welfare_share": held})


def compute(
    chosen: Measure,
    values: np.ndarray,
    weights: np.ndarray,
    codes: np.ndarray,
    *,
    influence: bool = False,
    groups: Groups | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """A measure of values already checked, by group.

    Parameters
    ----------
    chosen
        The measure.
    values
        (n, 1 or 2) Of ``chosen.values``.
    weights
        (n, B) Columns of weights.
    codes
        (n,) Group of each row, 0 to G - 1, none empty.
    influence
        Whether to compute the influence.
    groups
        The rows in order, if they are known.

    Returns
    -------
    estimates : (G, B)
    influence : (n, B), in the order of the rows, or None
        Derivative of the estimate of the row's group by the weight of the row.
    """
    if groups is None:
        groups = Groups.of(codes, values[:, 0] if chosen.sorts else None)
    found, share_each = chosen.statistic(
        groups, values[groups.order], weights[groups.order], influence
    )
    if share_each is None:
        return found, None
    back = np.empty_like(share_each)
    back[groups.order] = share_each
    return found, back


def _compute(
    chosen: Measure,
    welfare: ArrayLike,
    line: ArrayLike | None,
    weights: ArrayLike | None,
    by: ArrayLike | None,
) -> float | pd.Series:
    y, z, w = _inputs(welfare, line, weights)
    values = chosen.values(y, z) if chosen.needs_line else chosen.values(y)
    if by is None:
        codes, labels = np.zeros(len(y), dtype="int64"), None
    else:
        codes, labels = pd.factorize(pd.Series(by), sort=True)
        if len(codes) != len(y) or (codes < 0).any():
            raise MeasureError(
                f"groups need a label in each of the {len(y)} rows: there are {len(codes)} labels, "
                f"{(codes < 0).sum()} of them missing"
            )
    found = compute(chosen, values, w[:, None], codes)[0][:, 0]
    return float(found[0]) if labels is None else pd.Series(found, labels, name=chosen.name)


def _inputs(
    welfare: ArrayLike, line: ArrayLike | None, weights: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    y = numbers(welfare, "welfare")
    if not len(y):
        raise MeasureError("there are no rows to measure")
    w = np.ones(len(y)) if weights is None else numbers(weights, "weights", len(y))
    check_rows(w >= 0, "weights", "below zero")
    if line is None:
        return y, None, w
    z = np.full(len(y), float(line)) if np.ndim(line) == 0 else numbers(line, "line", len(y))
    check_rows(z > 0, "line", "not above zero")
    return y, z, w


def numbers(values: ArrayLike, name: str, length: int | None = None) -> np.ndarray:
    """A column as finite floats (n,), or a `MeasureError` that names it and its first bad row."""
    try:
        found = pd.to_numeric(
            values if isinstance(values, pd.Series) else pd.Series(values)
        ).to_numpy("float64", na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name} is not all numbers: {error}") from None
    if length is not None and len(found) != length:
        raise MeasureError(f"{name} has {len(found)} rows where welfare has {length}")
    check_rows(np.isfinite(found), name, "missing or infinite")
    return found


def check_rows(good: np.ndarray, name: str, fault: str) -> None:
    """Raise a `MeasureError` if a row of a column is not good; it tells the first by position."""
    if not good.all():
        raise MeasureError(
            f"{name} is {fault} in {(~good).sum()} of {len(good)} rows, first in row "
            f"{int(np.argmin(good)) + 1}: correct or drop them"
        )
