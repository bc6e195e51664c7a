"""The nested error model: a household's (transformed) welfare, with an effect of its area.

y_di = x_di' beta + u_d + e_di, u_d ~ N(0, sigma2_u), e_di ~ N(0, sigma2_e), independent (Battese,
Harter and Fuller 1988). Everything that the likelihood needs are sums by area, taken once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from analysis.sae import transformations
from analysis.sae.inputs import SaeError
from analysis.sae.transformations import Transformation

METHODS = ("reml", "ml")
# The ratio sigma2_u / sigma2_e is looked for up to here; beyond it households of an area are
# all alike.
LARGEST_RATIO = 1e8


@dataclass(frozen=True)
class Estimate:
    """Fitted parameters as arrays; ``coefficients`` (p,), ``effects`` and ``shrinkage`` (areas,).

    ``objective`` is minus twice the profile (restricted) log-likelihood, up to a constant.
    """

    ratio: float
    sigma2_e: float
    coefficients: np.ndarray
    effects: np.ndarray
    shrinkage: np.ndarray
    objective: float

    @property
    def sigma2_u(self) -> float:
        return self.ratio * self.sigma2_e


class Households:
    """The sample's design, sorted by area, and the sums that every fit on it shares.

    Parameters
    ----------
    x
        Shape (n, p), of full column rank, the intercept included.
    area
        Positions of areas 0..D-1, shape (n,); every area has a row.
    weights
        Survey weights, shape (n,), or None.
    """

    def __init__(self, x: np.ndarray, area: np.ndarray, weights: np.ndarray | None = None) -> None:
        self.order = np.argsort(area, kind="stable")
        self.x = np.ascontiguousarray(x[self.order])
        self.area = area[self.order]
        self.sizes = np.bincount(area)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        # With orthonormal columns the likelihood's matrices are near the identity, whatever the
        # units of the covariates.
        self.q, self.r = np.linalg.qr(self.x)
        self.q_sums = np.add.reduceat(self.q, self.starts)
        self.weights = None if weights is None else weights[self.order]
        if self.weights is not None:
            self.weight_sums = np.add.reduceat(self.weights, self.starts)
            self.squares = np.add.reduceat(self.weights**2, self.starts) / self.weight_sums**2
            weighted = self.weights[:, None] * self.q
            self.q_means = np.add.reduceat(weighted, self.starts) / self.weight_sums[:, None]
            self.weighted_q = weighted
            self.q_cross = weighted.T @ self.q

    def _profile(self, ratio: float, moments: tuple, df: int, restricted: bool) -> tuple:
        """Objective, its first two derivatives in the ratio, and the pieces of the solution."""
        sums, total = moments
        p = self.q.shape[1]
        inflation = 1 + self.sizes * ratio
        scaled = sums / inflation[:, None]
        first = -(scaled.T @ scaled)  # dM/d ratio
        second = 2 * (scaled.T @ (scaled * (self.sizes / inflation)[:, None]))
        m = -ratio * (sums.T @ scaled)
        m.flat[: p * (p + 1) : p + 2] += 1.0
        m[p, p] += total
        lower, failed = dpotrf(m[:p, :p], lower=1)
        if failed:  # pragma: no cover - the design has full rank
            raise SaeError("the likelihood of the nested error model cannot be computed")
        beta, _ = dpotrs(lower, m[:p, p], lower=1)
        rss = m[p, p] - m[:p, p] @ beta
        v = np.append(-beta, 1.0)
        first_v = first @ v
        rss_1 = v @ first_v
        solved, _ = dpotrs(lower, first_v[:p], lower=1)
        rss_2 = v @ second @ v - 2 * first_v[:p] @ solved
        portion = self.sizes / inflation
        value = df * np.log(rss) + np.log(inflation).sum()
        slope = df * rss_1 / rss + portion.sum()
        curve = df * (rss_2 / rss - (rss_1 / rss) ** 2) - (portion**2).sum()
        if restricted:
            inner, _ = dpotrs(lower, first[:p, :p], lower=1)
            inner_2, _ = dpotrs(lower, second[:p, :p], lower=1)
            value += 2 * np.log(np.diagonal(lower)).sum()
            slope += np.trace(inner)
            curve += np.trace(inner_2) - np.einsum("ij,ji->", inner, inner)
        return value, slope, curve, beta, rss

    def fit(
        self, y: np.ndarray, *, restricted: bool = True, start: float | None = None
    ) -> Estimate:
        """Fit to ``y``, shape (n,), in the order of the sorted rows.

        The variance ratio by Newton's method on its logarithm, kept within a bracket; zero where
        the likelihood falls from zero on. ``start`` is a ratio near the solution, if known.
        """
        n, p = self.x.shape
        # Not by BLAS, whose sums over many rows depend on its number of threads.
        projected = np.einsum("ij,i->j", self.q, y)
        residual = y - np.einsum("ij,j->i", self.q, projected)
        sums = np.column_stack([self.q_sums, np.add.reduceat(residual, self.starts)])
        moments = (sums, np.einsum("i,i->", residual, residual))
        df = n - p if restricted else n
        if moments[1] <= 1e-20 * np.square(y).sum():
            raise SaeError("the covariates explain welfare exactly: no error is left to model")

        def at(ratio: float) -> tuple:
            return self._profile(ratio, moments, df, restricted)

        if start is None or start <= 0:
            grid = np.array([1e-4, 1e-2, 0.05, 0.2, 1.0, 10.0])
            start = grid[np.argmin([at(ratio)[0] for ratio in grid])]
        log, low, high = np.log(start), -np.inf, np.log(LARGEST_RATIO)
        ratio = start
        for _ in range(100):
            ratio = np.exp(log)
            value, slope, curve, beta, rss = at(ratio)
            gradient = ratio * slope
            if gradient > 0:
                high = log
            else:
                low = log
            if ratio * self.sizes.max() < 1e-6:
                zero = at(0.0)
                if zero[1] >= 0 or zero[0] <= value:
                    ratio, (value, slope, curve, beta, rss) = 0.0, zero
                    break
            hessian = gradient + ratio**2 * curve
            step = -gradient / hessian if hessian > 0 else -np.sign(gradient) * 2.0
            step = np.clip(step, -2.0, 2.0)
            if abs(step) < 1e-9:
                break
            after = log + step
            if not low < after < high:
                after = (low + high) / 2 if np.isfinite(low) else (high + log) / 2 - 1.0
            if high - low < 1e-12:
                break
            log = after
        if ratio > LARGEST_RATIO / 10:
            raise SaeError(
                "households of the same area are all alike given their covariates: sigma2_e is "
                "zero, and the nested error model does not apply"
            )
        sigma2_e = rss / df
        shrinkage = self.sizes * ratio / (1 + self.sizes * ratio)
        if self.weights is None:
            means = (sums[:, p] - self.q_sums @ beta) / self.sizes
        else:
            beta, means, shrinkage = self._weighted(residual, ratio)
        coefficients = np.linalg.solve(self.r, beta + projected)
        return Estimate(ratio, sigma2_e, coefficients, shrinkage * means, shrinkage, value)

    def _weighted(self, y: np.ndarray, ratio: float) -> tuple:
        """Coefficients by the survey-weighted equations of You and Rao (2002)."""
        shrinkage = ratio / (ratio + self.squares)
        y_means = np.add.reduceat(self.weights * y, self.starts) / self.weight_sums
        share = shrinkage * self.weight_sums
        a = self.q_cross - self.q_means.T @ (share[:, None] * self.q_means)
        b = np.einsum("ij,i->j", self.weighted_q, y) - self.q_means.T @ (share * y_means)
        beta = np.linalg.solve(a, b)
        return beta, y_means - self.q_means @ beta, shrinkage

    def covariance(self, estimate: Estimate) -> np.ndarray:
        """Covariance of the coefficients, shape (p, p): (X' V^-1 X)^-1; pseudo-EB: its sandwich."""
        ratio = estimate.ratio
        inverse_r = np.linalg.inv(self.r)
        weight = ratio / (1 + self.sizes * ratio)
        p = self.q.shape[1]
        if self.weights is None:
            a = np.eye(p) - self.q_sums.T @ (weight[:, None] * self.q_sums)
            return estimate.sigma2_e * inverse_r @ np.linalg.inv(a) @ inverse_r.T
        # beta = A^-1 Z'y with Z the weighted, shrunken design: A^-1 Z'VZ A^-T.
        z = (
            self.weighted_q
            - self.weights[:, None] * ((estimate.shrinkage[:, None] * self.q_means)[self.area])
        )
        a = self.q_cross - self.q_means.T @ (
            (estimate.shrinkage * self.weight_sums)[:, None] * self.q_means
        )
        z_sums = np.add.reduceat(z, self.starts)
        middle = estimate.sigma2_e * (z.T @ z) + estimate.sigma2_u * (z_sums.T @ z_sums)
        inverse_a = np.linalg.inv(a)
        return inverse_r @ inverse_a @ middle @ inverse_a.T @ inverse_r.T

    def log_likelihood(self, estimate: Estimate, restricted: bool) -> float:
        """The (restricted) log-likelihood with all its constants; REML as statsmodels' MixedLM."""
        n, p = self.x.shape
        df = n - p if restricted else n
        value = estimate.objective + df * (1 + np.log(2 * np.pi) - np.log(df))
        if restricted:
            value += 2 * np.log(np.abs(np.diagonal(self.r))).sum()
        return -value / 2


def fit_transformed(
    households: Households,
    welfare: np.ndarray,
    kind: str,
    parameter: float | None = None,
    near: tuple[float, float] | None = None,
) -> tuple[Estimate, Transformation]:
    """The model under a transformation whose parameter is the one of the highest REML.

    Parameters
    ----------
    households
        The design.
    welfare
        Shape (n,), in the order of the design's sorted rows.
    kind
        One of `analysis.sae.transformations.KINDS`.
    parameter
        A parameter to take as given.
    near
        (parameter, variance ratio) to start the search from.
    """
    shift = transformations.shift_of(kind, welfare)
    if kind not in (transformations.BOX_COX, transformations.LOG_SHIFT):
        transformation = Transformation(kind)
        start = near[1] if near else None
        return households.fit(transformation.forward(welfare), start=start), transformation
    ratio = near[1] if near else None
    if parameter is None:
        logs = np.log(welfare + shift) if kind == transformations.BOX_COX else welfare

        def objective(at: float) -> float:
            nonlocal ratio
            z = transformations.scaled(kind, logs, at, welfare)
            fitted = households.fit(z, start=ratio)
            ratio = fitted.ratio
            return fitted.objective

        bounds = transformations.interval(kind, welfare)
        parameter = minimum(objective, *bounds, start=near[0] if near else None)
    transformation = Transformation(kind, float(parameter), shift)
    return households.fit(transformation.forward(welfare), start=ratio), transformation


def minimum(
    f: Callable[[float], float], low: float, high: float, start: float | None = None
) -> float:
    """Where a smooth function is smallest between two bounds.

    A grid finds the valley (left out where ``start`` is near the bottom), Brent's method its
    bottom; where that is an end of what was looked at, the next look is wider.
    """
    from scipy.optimize import minimize_scalar

    width = high - low
    reach = width / 10
    if start is None:
        grid, reach = np.linspace(low, high, 9), width / 8
        start = grid[np.argmin([f(at) for at in grid])]
    while True:
        left, right = max(low, start - reach), min(high, start + reach)
        found = minimize_scalar(
            f, bounds=(left, right), method="bounded", options={"xatol": 1e-6 * width}
        ).x
        at_left, at_right = found - left < reach / 100, right - found < reach / 100
        if not ((at_left and left > low) or (at_right and right < high)):
            return float(found)
        start, reach = found, 3 * reach
