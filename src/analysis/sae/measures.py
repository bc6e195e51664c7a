"""Expected poverty measures of a household whose transformed welfare is normal.

Foster, Greer and Thorbecke (1984): P_a is the mean of (1 - y/z)^a over those with y below the
line z, counting nobody else. The expectation over y needs no draws: it is in closed form under no
transformation, log and log-shift, and a one-dimensional integral under Box-Cox.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtr

from analysis.sae.transformations import BOX_COX, HIGHEST_LOG, NONE, REACH, Transformation

MEASURES = ("mean", "p0", "p1", "p2")
# Integrals run this many standard deviations to both sides. Under a negative lambda of Box-Cox
# the mean of welfare is infinite, by a tail that no draw ever reaches: there the integral ends
# after NEGATIVE deviations.
TAIL, NEGATIVE = 7.5, 6.0
NODES_GAP, NODES_MEAN = 28, 32
NEAR_END = -5.0


@lru_cache
def _legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(nodes)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def _between(low: np.ndarray, high: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal quadrature between bounds (points,): places and weights (points, nodes).

    Gauss-Legendre. Welfare has a power of the distance to the support's end, where that is near:
    there places are taken to be squares, which the rule integrates well.
    """
    x, w = _legendre(nodes)
    t = (1 + x) / 2
    width = (high - low)[:, None]
    at = low[:, None] + width * t
    weight = width * (w / 2) * _density(at)
    near = np.flatnonzero(low > NEAR_END)
    if len(near):
        at[near] = low[near, None] + width[near] * t**2
        weight[near] = width[near] * (w * t) * _density(at[near])
    return at, weight


@dataclass(frozen=True)
class Expected:
    """Mean, P0, P1 and P2 expected of h(y) ~ N(mu, s^2), for one transformation and line.

    With ``squares`` also what their variance needs: E y^2 and P4, since the square of a household's
    contribution to P0, P1, P2 is its contribution to P0, P2, P4.
    """

    transformation: Transformation
    line: float
    squares: bool = False

    @property
    def size(self) -> int:
        """How many columns there are."""
        return 6 if self.squares else 4

    def __call__(self, mu: np.ndarray, s: np.ndarray | float) -> np.ndarray:
        """The measures, shape ``broadcast(mu, s).shape + (size,)``: mean, P0, P1, P2[, y^2, P4]."""
        mu, s = np.broadcast_arrays(np.asarray(mu, "float64"), np.asarray(s, "float64"))
        shape = mu.shape
        mu, s = mu.ravel(), s.ravel()
        if self.transformation.kind == NONE:
            found = self._normal(mu, s)
        elif self.transformation.kind == BOX_COX and self.transformation.parameter != 0:
            found = self._box_cox(mu, s)
        else:
            found = self._lognormal(mu, s)
        return found.reshape(*shape, self.size)

    def _normal(self, mu: np.ndarray, s: np.ndarray) -> np.ndarray:
        d = (self.line - mu) / s
        below, density = ndtr(d), _density(d)
        ratio = s / self.line
        columns = [
            mu,
            below,
            ratio * (d * below + density),
            ratio**2 * ((1 + d * d) * below + d * density),
        ]
        if self.squares:
            fourth = (d**4 + 6 * d**2 + 3) * below + (d**3 + 5 * d) * density
            columns += [mu * mu + s * s, ratio**4 * fourth]
        return np.stack(columns, axis=1)

    def _lognormal(self, mu: np.ndarray, s: np.ndarray) -> np.ndarray:
        # y + offset is lognormal, and (1 - y/z)^a = ((z + offset) - (y + offset))^a / z^a.
        offset = self.transformation.offset
        top = self.line + offset
        if top <= 0:
            poor = np.zeros((5, len(mu)))
        else:
            d = (np.log(top) - mu) / s
            moments = np.array(
                [np.exp(j * mu + 0.5 * (j * s) ** 2 + log_ndtr(d - j * s)) for j in range(5)]
            )
            k = top / self.line
            m = moments / self.line ** np.arange(5)[:, None]
            poor = np.array(
                [
                    m[0],
                    k * m[0] - m[1],
                    k**2 * m[0] - 2 * k * m[1] + m[2],
                    m[3],
                    k**4 * m[0] - 4 * k**3 * m[1] + 6 * k**2 * m[2] - 4 * k * m[3] + m[4],
                ]
            )
        whole = np.exp(np.minimum(mu + 0.5 * s * s, HIGHEST_LOG))
        columns = [whole - offset, poor[0], poor[1], poor[2]]
        if self.squares:
            square = (
                np.exp(np.minimum(2 * (mu + s * s), 2 * HIGHEST_LOG))
                - 2 * offset * whole
                + offset**2
            )
            columns += [square, poor[4]]
        return np.stack(columns, axis=1)

    def _box_cox(self, mu: np.ndarray, s: np.ndarray) -> np.ndarray:
        h, z = self.transformation, self.line
        found = np.zeros((len(mu), self.size))
        if h.parameter > 0:
            # What falls below the support counts as its lower end, as `emdi` does.
            low = np.clip((h.bound - mu) / s, -TAIL, TAIL)
            high = np.full_like(mu, TAIL)
        else:
            low = np.full_like(mu, -TAIL)
            high = np.clip(REACH * (h.bound - mu) / s, 1 - TAIL, NEGATIVE)
        # Far from the support's ends, as most are, all have the same places and weights.
        far = (low == -TAIL) & (high == high.max())
        for rows in (np.flatnonzero(far), np.flatnonzero(~far)):
            if len(rows):
                alike = slice(0, 1) if far[rows[0]] else slice(None)
                at, weight = _between(low[rows][alike], high[rows][alike], NODES_MEAN)
                beneath = ndtr(low[rows])
                if h.parameter < 0:
                    # The mass that is cut off is given to the rest: shares that add up to one.
                    weight /= ndtr(high[rows][alike])[:, None]
                    beneath = np.zeros(len(rows))
                y = h.inverse(mu[rows, None] + s[rows, None] * at)
                found[rows, 0] = np.einsum("ij,ij->i", *np.broadcast_arrays(weight, y))
                found[rows, 0] += beneath * h.lowest
                if self.squares:
                    found[rows, 4] = np.einsum("ij,ij,ij->i", *np.broadcast_arrays(weight, y, y))
                    found[rows, 4] += beneath * h.lowest**2
        if z <= h.lowest:
            return found
        d = (h.forward(np.float64(z)) - mu) / s
        found[:, 1] = ndtr(d)
        some = np.flatnonzero(d > -TAIL)
        mu, s, d, low = mu[some], s[some], np.minimum(d[some], TAIL), low[some]
        at, weight = _between(low, np.maximum(d, low), NODES_GAP)
        gap = np.maximum(1 - h.inverse(mu[:, None] + s[:, None] * at) / z, 0)
        deepest = 1 - h.lowest / z
        beneath = ndtr(low) if h.parameter > 0 else np.zeros_like(mu)
        # A line below the support's end would leave nothing to integrate.
        for column, power in ((2, 1), (3, 2), (5, 4))[: 3 if self.squares else 2]:
            found[some, column] = np.einsum("ij,ij->i", weight, gap**power)
            found[some, column] += beneath * deepest**power
        return found
