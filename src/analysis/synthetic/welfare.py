"""Expenditure of the synthetic city's households, and its calibration.

Expenditure per person y of a household of kota k with poverty line z_k follows

    y / z_k = f + (1 - f) exp(s (r - q_k)),    r = x' beta + u_d + e,

a lognormal above a floor f (the lognormal of three parameters, Aitchison and Brown 1957), with an
effect u_d of the kelurahan: log((y / z - f) / (1 - f)) is a nested error model (Battese, Harter
and Fuller 1988) with a constant for each kota. A household is poor where r < q_k, so that q_k
alone sets the headcount of its kota, whatever the scale s and the floor; these two then meet the
province's P1 and Gini. A floor is needed: with P0 and P1 as published, a lognormal of two
parameters has a Gini near 0.2 and not 0.4.

The misspecified edition breaks the nested error model in three ways, fixed beforehand: errors are
a mixture with heavy tails (Tukey 1960), their standard deviation grows with the prediction, and
census blocks have effects.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from analysis.synthetic import households
from analysis.synthetic.households import Households

# Coefficients of r, invented, with the signs that one expects; the poor have 4.8 members on average
# with them. The first category of a list is the baseline.
BETA = {
    "household_size": -0.085,  # per member
    "head_age": 0.003,  # per year
    "head_female": -0.05,
    "head_schooling": (0.0, 0.06, 0.13, 0.27, 0.60),
    "head_work": (0.0, -0.04, 0.10),
    "dwelling_owned": 0.05,
    "water": (0.0, 0.10, -0.04, -0.08),
    "toilet": (0.0, -0.12, -0.20),
    "has_car": 0.36,
    "has_motorcycle": 0.07,
    "has_refrigerator": 0.11,
    "has_ac": 0.23,
    "has_computer": 0.16,
    "slum_rw": -0.10,
}
COVARIATES = ("kota_code", *BETA)  # with these the regular edition is a nested error model
SIGMA_U, SIGMA_E = 0.13, 0.45  # of kelurahan and of households, before the scale s
# Correlation from one period to the next: effects of kelurahan and blocks; errors of households.
AREA_PERSISTENCE, HOUSEHOLD_PERSISTENCE = 0.9, 0.7

# The misspecified edition.
TAIL_SHARE, TAIL_RATIO = 0.10, 3.0  # a tenth of the households has errors three times as wide
VARIANCE_SLOPE = 0.30  # of the log standard deviation, per standard deviation of x' beta
SIGMA_BLOCK = 0.18

_BIN = 0.0005  # width of the bins of r in which s and f are looked for
_FLOORS = (0.0, 0.9)


@dataclass(frozen=True)
class Period:
    """One period's welfare, of the households that are there (``present``, of all)."""

    expenditure_rp: np.ndarray  # (households,), per household and month; NaN where not there
    scale: float
    floor: float
    shift: np.ndarray  # q_k, (kota,)
    effects: np.ndarray  # u_d, (areas,)


def linear(city: Households) -> np.ndarray:
    """x' beta of every household, float32."""
    total = np.zeros(len(city.area), dtype="float32")
    for name, beta in BETA.items():
        column = city.columns[name]
        if isinstance(beta, tuple):
            total += np.array(beta, dtype="float32")[column]
        else:
            total += column * np.float32(beta)
    return total


class Errors:
    """Effects of areas and blocks and errors of households, period after period (AR(1))."""

    def __init__(self, city: Households, eta: np.ndarray, areas: int, misspecified: bool):
        self.city, self.areas, self.misspecified = city, areas, misspecified
        self.u = self.e = self.block = None
        self.width = None
        if misspecified:
            z = (eta - eta.mean()) / eta.std()
            self.width = np.exp(np.float32(VARIANCE_SLOPE) * z)

    def next(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """u (areas,) and the sum of all effects and errors (households,) of the next period."""
        n = len(self.city.area)
        self.u = _step(self.u, rng.standard_normal(self.areas), AREA_PERSISTENCE)
        self.e = _step(self.e, rng.standard_normal(n, dtype="float32"), HOUSEHOLD_PERSISTENCE)
        drawn = rng.standard_normal(len(self.city.block_area))
        self.block = _step(self.block, drawn, AREA_PERSISTENCE)
        u = SIGMA_U * self.u
        errors = np.float32(SIGMA_E) * self.e
        if self.misspecified:
            errors *= self.width
            errors += (SIGMA_BLOCK * self.block).astype("float32")[self.city.block]
        return u, errors + u[self.city.area]

    def widen_tails(self, rng: np.random.Generator) -> None:
        """Give a share of the households wide errors, in all periods; the variance stays."""
        if self.misspecified:
            wide = rng.random(len(self.width), dtype="float32") < TAIL_SHARE
            unit = np.sqrt(1 - TAIL_SHARE + TAIL_SHARE * TAIL_RATIO**2)
            self.width *= np.where(wide, TAIL_RATIO, 1.0).astype("float32") / np.float32(unit)


def _step(before: np.ndarray | None, drawn: np.ndarray, persistence: float) -> np.ndarray:
    if before is None:
        return drawn
    rho = before.dtype.type(persistence)
    return rho * before + np.sqrt(1 - rho * rho) * drawn


def calibrated(
    r: np.ndarray,
    present: np.ndarray,
    kota: np.ndarray,
    size: np.ndarray,
    p0: np.ndarray,
    line_rp: np.ndarray,
    p1_aim: float,
    gini_aim: float,
) -> tuple[np.ndarray, float, float, np.ndarray]:
    """Expenditure of households with given headcounts of kota, P1 and Gini of the province.

    Parameters
    ----------
    r
        Score of each household, float64, shape (H,). The scores of two households near the line
        of a kota change places where that meets its number of poor to the person.
    present
        Whether the household is there, shape (H,).
    kota, size
        Position of the kota and members of each household.
    p0, line_rp
        Headcount (fraction) and line of each kota.
    p1_aim, gini_aim
        Fractions, of the province, against the lines of the kota.

    Returns
    -------
    (expenditure_rp, scale, floor, shift)
    """
    shift = np.empty(len(p0))
    poor = np.zeros(len(r), dtype=bool)
    for k, rate in enumerate(p0):
        rows = np.flatnonzero((kota == k) & present)
        own, shift[k] = _poorest(r, rows, size, rate)
        poor[own] = True
    relative = r - shift[kota]
    scale, floor = _dispersion(relative[present], kota[present], size[present], line_rp, p1_aim,
                               gini_aim)  # fmt: skip
    threshold = line_rp[kota] * size  # whole rupiah
    expenditure = np.rint(threshold * (floor + (1 - floor) * np.exp(scale * relative)))
    # Rounding to the rupiah makes nobody poor or not poor.
    expenditure = np.where(
        poor, np.minimum(expenditure, threshold - 1), np.maximum(expenditure, threshold)
    )
    expenditure[~present] = np.nan
    return expenditure, scale, floor, shift


def _poorest(
    r: np.ndarray, rows: np.ndarray, size: np.ndarray, rate: float
) -> tuple[np.ndarray, float]:
    """Rows of the poorest households with ``rate`` of the persons, and the r that parts them."""
    goal = round(rate * size[rows].sum(dtype="int64"))
    # Only the lowest scores need an order: twice the share of the poor, unless they are too few.
    near = int(2 * rate * len(rows)) + 1000
    if near < len(rows):
        lowest = rows[np.sort(np.argpartition(r[rows], near)[:near])]
        if size[lowest].sum(dtype="int64") > goal + 100:
            rows = lowest
    order = rows[np.argsort(r[rows], kind="stable")]
    persons = np.cumsum(size[order], dtype="int64")
    count = int(np.searchsorted(persons, goal, side="right"))
    missing = int(goal - (persons[count - 1] if count else 0))
    if missing > 0:
        own, other = size[order[:count]], size[order[count:]]
        alone = np.flatnonzero(other == missing)
        if len(alone):
            _exchange(r, order, count, count + alone[0])
            count += 1
        else:
            # A poor household changes places with one that has so many members more.
            pairs = [
                (np.flatnonzero(own == members)[-1], count + np.flatnonzero(more)[0])
                for members in np.unique(own)
                if (more := other == members + missing).any()
            ]
            if pairs:
                _exchange(r, order, *min(pairs, key=lambda pair: pair[1] - pair[0]))
    below = r[order[count - 1]] if count else r[order[0]] - 1
    return order[:count], float((below + r[order[count]]) / 2)


def _exchange(r: np.ndarray, order: np.ndarray, a: int, b: int) -> None:
    """Let the households at two places of an order change places and scores."""
    r[order[a]], r[order[b]] = r[order[b]], r[order[a]]
    order[a], order[b] = order[b], order[a]


def _dispersion(
    relative: np.ndarray,
    kota: np.ndarray,
    size: np.ndarray,
    line_rp: np.ndarray,
    p1_aim: float,
    gini_aim: float,
) -> tuple[float, float]:
    """Scale and floor that meet P1 and Gini, on narrow bins of r by kota.

    Where no floor of `_FLOORS` gives both, P1 is met and the Gini as nearly as can be.
    """
    low = np.floor(relative.min() / _BIN)
    width = int(relative.max() / _BIN - low) + 2
    cell = kota * width + (np.floor(relative / _BIN) - low).astype("int64")
    persons = np.bincount(cell, size, len(line_rp) * width)
    used = np.flatnonzero(persons)
    persons = persons[used] / persons.sum()
    at = (used % width + low + 0.5) * _BIN
    line = line_rp[used // width]
    poor = at < 0
    at_poor, share_poor = at[poor], persons[poor]

    def scale_of(floor: float) -> float:
        def gap(scale: float) -> float:
            return (1 - floor) * float(share_poor @ -np.expm1(scale * at_poor)) - p1_aim

        return brentq(gap, 1e-3, 20, xtol=1e-10) if gap(20) > 0 else 20.0

    def excess(floor: float) -> float:
        y = line * (floor + (1 - floor) * np.exp(scale_of(floor) * at))
        return gini(y, persons) - gini_aim

    # A higher floor asks for a larger scale, and with it comes a higher Gini.
    low_floor, high_floor = _FLOORS[0], min(_FLOORS[1], 1 - 1.05 * p1_aim / share_poor.sum())
    if excess(low_floor) >= 0:
        floor = low_floor
    elif excess(high_floor) <= 0:
        floor = high_floor
    else:
        floor = brentq(excess, low_floor, high_floor, xtol=1e-8)
    return scale_of(floor), floor


def gini(y: np.ndarray, weights: np.ndarray) -> float:
    """The Gini index of y under weights (twice the area between Lorenz curve and diagonal)."""
    order = np.argsort(y, kind="stable")
    y, weights = y[order], weights[order].astype("float64")
    share = np.cumsum(weights)
    total = y @ weights
    # the Lorenz curve is a polygon: mid-points of the population shares, times income shares
    middle = (share - weights / 2) / share[-1]
    return float(2 * (middle * y) @ weights / total - 1)


LISTS = {
    "head_schooling": households.SCHOOLING,
    "head_work": households.WORK,
    "water": households.WATER,
    "toilet": households.TOILET,
}
