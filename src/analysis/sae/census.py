"""A census by area, and sums over it of smooth functions of a household's prediction.

Given the standard deviation s of its transformed welfare, what is expected of a household is a
smooth function of one number, its prediction mu. So the predictions of an area are summed up by
their moments within narrow cells (width s / 6, powers 0 to 4), and the function is computed once
per cell at five Chebyshev nodes, not once per household. The polynomial of degree 4 through them
is off by at most 2 (width/4)^5/5! max|f^(5)|: 2.5e-9 for P0, whose fifth derivative is below
1.2/s^5; less for P1 and P2, which are smoother. In s, which differs by area, the function is
interpolated at Chebyshev nodes of log s with an error below 1e-9. Where the households are fewer
than the nodes, each is computed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DEGREE = 4
CELLS_PER_DEVIATION = 6
# Predictions further than this many standard deviations (of the bulk, from its quartiles) from the
# median are computed one by one, if they would otherwise make the cells many.
WINDOW, MANY_CELLS = 12.0, 1024
ROWS, AREAS = 65_536, 512  # of a chunk: what stays in the processor's cache
PRECISION = 1e-10
# The size up to which OpenBLAS multiplies in one thread: of a matrix with a vector, and of two
# matrices. More threads add up in another order, and a result is to be the same on any number.
SINGLE_THREAD, SINGLE_PRODUCT = 9_000, 250_000

_NODES = np.cos((2 * np.arange(DEGREE + 1) + 1) * np.pi / (2 * DEGREE + 2))
# Weights of the nodes from the moments of a cell: those that integrate powers 0..DEGREE exactly.
_WEIGHTS = np.linalg.inv(np.vander(_NODES, increasing=True).T)

Measure = Callable[[np.ndarray, np.ndarray | float], np.ndarray]


@dataclass(frozen=True)
class Census:
    """Households or patterns of them, sorted by area.

    ``x`` (rows, p - 1) without intercept, ``area`` (rows,) positions 0..A-1, ``count`` (rows,) of
    households of each row or None for one each, ``sizes`` (A,) households by area. Counts may be
    negative: rows taken off.
    """

    x: np.ndarray
    area: np.ndarray
    count: np.ndarray | None
    sizes: np.ndarray

    def predictions(self, coefficients: np.ndarray) -> np.ndarray:
        """x' beta of every row, the intercept first among the coefficients."""
        eta = np.empty(len(self.x))
        block = max(1, SINGLE_THREAD // max(1, self.x.shape[1]))
        for at in range(0, len(eta), block):
            np.matmul(self.x[at : at + block], coefficients[1:], out=eta[at : at + block])
        eta += coefficients[0]
        return eta

    def cells(self, eta: np.ndarray, width: float, effects: np.ndarray | None = None) -> "Cells":
        """The rows' predictions ``eta`` (rows,), plus effects of areas (A,), in cells."""
        return Cells.of(self, eta, width, effects)


@dataclass(frozen=True)
class Cells:
    """What is left of the predictions: ``points`` (P,) with ``weights`` (A, P), and outliers."""

    points: np.ndarray
    weights: np.ndarray
    outlier_mu: np.ndarray
    outlier_area: np.ndarray
    outlier_count: np.ndarray

    @classmethod
    def of(
        cls, census: Census, eta: np.ndarray, width: float, effects: np.ndarray | None
    ) -> "Cells":
        n_areas = len(census.sizes)
        mu = eta if effects is None else eta + effects[census.area]
        low, high = float(mu.min()), float(mu.max())
        if (high - low) / width > MANY_CELLS:
            lower, centre, upper = np.quantile(mu, [0.25, 0.5, 0.75])
            spread = (upper - lower) / 1.349 or mu.std()
            low = max(low, centre - WINDOW * spread)
            high = min(high, centre + WINDOW * spread)
        # Cells hold to a fixed lattice, which is the same for one household more or less.
        first = np.floor(low / width)
        n_cells = int(np.floor(high / width) - first) + 1
        outside = np.flatnonzero((mu < low) | (mu > high))
        moments = np.zeros((n_areas, n_cells, DEGREE + 1))
        starts = np.searchsorted(census.area, np.arange(n_areas + 1))
        at = 0
        while at < n_areas:
            # At least one area; as many as fit in the chunk's rows.
            to = np.searchsorted(starts, starts[at] + ROWS, side="right") - 1
            to = int(min(max(to, at + 1), at + AREAS, n_areas))
            rows = slice(starts[at], starts[to])
            position = mu[rows] / width - first
            cell = position.astype(np.intp)
            count = None if census.count is None else census.count[rows]
            if len(outside):
                inside = (mu[rows] >= low) & (mu[rows] <= high)
                cell[~inside] = 0
                count = inside.astype("float64") if count is None else count * inside
            t = 2 * (position - cell) - 1
            cell += (census.area[rows] - at) * n_cells
            size = (to - at) * n_cells
            power = count
            for k in range(DEGREE + 1):
                sums = np.bincount(cell, power, minlength=size)
                moments[at:to, :, k] = sums.reshape(to - at, n_cells)
                if k < DEGREE:
                    power = t if power is None else power * t
            at = to
        centres = (first + np.arange(n_cells) + 0.5) * width
        points = centres[:, None] + width / 2 * _NODES
        weights = moments @ _WEIGHTS.T
        used = weights.any(axis=(0, 2))
        return cls(
            points[used].ravel(),
            weights[:, used].reshape(n_areas, -1),
            mu[outside],
            census.area[outside],
            np.ones(len(outside)) if census.count is None else census.count[outside],
        )

    def sums(self, measure: Measure, s: np.ndarray, shift: float = 0.0) -> np.ndarray:
        """Sums over each area of ``measure(mu + shift, s_d)``, shape (A, measures)."""
        nodes, share = deviations(s)
        table = measure(self.points[:, None] + shift, nodes)  # (P, nodes, measures)
        sums = np.zeros((len(self.weights), table.shape[2]))
        block = max(2, SINGLE_PRODUCT // max(1, table[:, 0].size))
        for node in range(len(nodes)):
            values = np.ascontiguousarray(table[:, node])
            for at in range(0, len(sums), block):
                rows = slice(at, at + block)
                sums[rows] += share[rows, node, None] * (self.weights[rows] @ values)
        if len(self.outlier_mu):
            found = measure(self.outlier_mu + shift, s[self.outlier_area])
            np.add.at(sums, self.outlier_area, found * self.outlier_count[:, None])
        return sums


def deviations(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (J,) among standard deviations (A,), and the weights (A, J) that interpolate at them.

    The values themselves where they are few; otherwise Chebyshev nodes of log s, as many as the
    range asks for: a normal distribution function of x/s is analytic in log s up to an imaginary
    part of pi/4.
    """
    distinct, which = np.unique(s, return_inverse=True)
    logs = np.log(distinct)
    half = (logs[-1] - logs[0]) / 2
    if half > 0:
        reach = np.pi / 4 / half
        radius = reach + np.sqrt(reach**2 + 1)
        size = int(np.ceil(-np.log(PRECISION) / np.log(radius))) + 1
    else:
        size = 1
    if len(distinct) <= size:
        return distinct, np.eye(len(distinct))[which]
    nodes, values = chebyshev(size, logs - (logs[-1] + logs[0]) / 2, half)
    return np.exp((logs[-1] + logs[0]) / 2 + nodes), values[which]


def chebyshev(size: int, at: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Chebyshev nodes (J,) of [-half, half] and the weights (..., J) that interpolate ``at``."""
    k = np.arange(size)
    angle = (2 * k + 1) * np.pi / (2 * size)
    theta = np.arccos(np.clip(at / half, -1, 1))
    # sum over polynomials of T_k(at) T_k(node), with half weight for k = 0
    values = np.cos(theta[..., None] * k) @ (np.cos(np.outer(k, angle)) * (2 / size))
    return half * np.cos(angle), values - 1 / size


def expected(
    census: Census, eta: np.ndarray, effects: np.ndarray, s: np.ndarray, measure: Measure
) -> np.ndarray:
    """Sums by area of ``measure(eta + effect_d, s_d)``, shape (A, measures).

    Parameters
    ----------
    census
        The census.
    eta
        Predictions without effects of areas, shape (rows,).
    effects, s
        Effect and standard deviation of each area, shape (A,), on the transformed scale.
    measure
        A function of (mu, s) with the measures in its last axis.
    """
    width = s.min() / CELLS_PER_DEVIATION
    spread = np.ptp(eta) + np.ptp(effects)
    nodes = (spread / width + 2) * (DEGREE + 1) * len(deviations(s)[0])
    if len(eta) <= nodes:
        found = measure(eta + effects[census.area], s[census.area])
        if census.count is not None:
            found = found * census.count[:, None]
        sums = np.zeros((len(census.sizes), found.shape[1]))
        for column in range(found.shape[1]):
            sums[:, column] = np.bincount(
                census.area, found[:, column], minlength=len(census.sizes)
            )
        return sums
    return census.cells(eta, width, effects).sums(measure, s)
