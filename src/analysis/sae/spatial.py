"""The Fay-Herriot model whose area effects follow a simultaneous autoregression (SAR).

For all M areas: v = rho W v + u, u ~ N(0, sigma2_u I), so that v ~ N(0, G) with
G^-1 = Q = M(rho) / sigma2_u and M(rho) = (I - rho W)' (I - rho W). Direct estimates of m of them:
y_d = x_d' beta + v_d + e_d, e_d ~ N(0, D_d).

The usual form inverts V = G + D, with G the inverse of M, for each trial value (sae, emdi). Here
everything is written in K = Q + D^-1 (D^-1 is 0 for an area without a direct estimate). With
H = K^-1, by the identities of Henderson and Woodbury,

    V^-1 = D^-1 - D^-1 H D^-1,  G V^-1 r = H D^-1 r,  G - G V^-1 G = H,
    log|V| = log|D| + log|K| - log|Q|,

one Cholesky factor gives the likelihood, the predictor and its error, areas without a direct
estimate are no special case, and log|Q| needs the eigenvalues of W only once. The derivatives of
the likelihood are traces of products with dQ, so that Newton's method converges in a few steps.

References
----------
Singh, Shukla and Kundu (2005) "Spatio-temporal models in small area estimation", Survey
Methodology 31. Petrucci and Salvati (2006), JABES 11. Pratesi and Salvati (2008) "Small area
estimation: the EBLUP estimator based on spatially correlated random area effects", Statistical
Methods and Applications 17. Molina, Salvati and Pratesi (2009) "Bootstrap for estimating the MSE
of the Spatial EBLUP", Computational Statistics 24. Saei and Chambers (2005) for areas that are out
of the sample. In one notation: Molina and Marhuenda (2015) *R package sae: Methodology*, sections
7 to 9, whose equations are cited as MM (model 25 to 28, predictor 30).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

METHODS = ("reml", "ml")
# Where the likelihood rises up to the edge (rho = -1 or 1), the fit stops here.
RHO_BOUND = 0.999
_Z_BOUND = float(np.arctanh(RHO_BOUND))


@dataclass(frozen=True)
class Sar:
    """What does not change between samples and trial values. M areas, p covariates."""

    design: np.ndarray  # (M, p)
    precision: np.ndarray  # (M,) 1 / D; 0 where there is no direct estimate
    weights: np.ndarray  # (M, M) W
    both: np.ndarray  # W + W'
    square: np.ndarray  # W' W
    eigenvalues: np.ndarray  # (M,) of W, complex in general
    lower: np.ndarray  # (M, M) true below the diagonal
    restricted: bool

    def ratios(self, rho: float) -> np.ndarray:
        """-d log(1 - rho lambda) / drho for each eigenvalue."""
        return self.eigenvalues / (1 - rho * self.eigenvalues)


@dataclass(frozen=True)
class State:
    """What one trial value (sigma2_u, rho) gives whatever the sample is.

    A matrix of all areas that not every trial value needs is made when it is asked for: a new one
    costs the memory it is written to, about as much as its arithmetic.
    """

    model: Sar
    sigma2_u: float
    rho: float
    error: np.ndarray  # H: covariance of the prediction errors of v, given beta
    carried: np.ndarray  # Z = H D^-1 X
    left: np.ndarray  # V^-1 X, which is Q Z
    covariance: np.ndarray  # of beta
    log_v: float  # log|V|
    log_x: float  # log|X' V^-1 X|
    # With T the covariance of the errors (beta known: ML; estimated: REML) and Q_k the derivative
    # of Q, the gradient is (tr(G Q_k) - tr(T Q_k)) / 2, to which the sample adds -v' Q_k v / 2.
    in_scale: float  # tr(T Q)
    in_rho: float  # tr(T Q_rho)
    in_square: float  # tr(T W'W)

    @property
    def quadratic(self) -> np.ndarray:
        """M(rho)."""
        result = self.rho**2 * self.model.square - self.rho * self.model.both
        np.fill_diagonal(result, result.diagonal() + 1)
        return result

    @property
    def slope(self) -> np.ndarray:
        """dM / drho."""
        return 2 * self.rho * self.model.square - self.model.both

    @property
    def error_beta(self) -> np.ndarray:
        """C = H + Z Cov(beta) Z': H with beta estimated."""
        return self.error + self.carried @ self.covariance @ self.carried.T

    @property
    def gradient(self) -> np.ndarray:
        """Of the likelihood in (log sigma2_u, rho), without the sample's part."""
        of_scale = self.in_scale - len(self.error)
        return 0.5 * np.array([of_scale, -self.in_rho - 2 * self.model.ratios(self.rho).sum().real])

    @cached_property
    def hessian(self) -> np.ndarray:
        """Likewise. A fit does not need it where it ends."""
        trusted = self.error_beta if self.model.restricted else self.error
        by_rho = trusted @ self.slope / self.sigma2_u
        by_scale = self.error * -self.model.precision  # H Q = I - H D^-1
        np.fill_diagonal(by_scale, by_scale.diagonal() + 1)
        if self.model.restricted:
            by_scale += self.carried @ self.covariance @ self.left.T
        mixed = self.in_rho - _trace(by_scale, by_rho)
        curve = 2 * self.in_square / self.sigma2_u
        of_g = 2 * (self.model.ratios(self.rho) ** 2).sum().real
        return 0.5 * np.array(
            [
                [_trace(by_scale, by_scale) - self.in_scale, mixed],
                [mixed, _trace(by_rho, by_rho) - curve - of_g],
            ]
        )

    def mse_known(self) -> np.ndarray:
        """g1 + g2: the mean squared error (M,) if sigma2_u and rho were known, beta estimated."""
        rest = self.model.design - self.carried
        return self.error.diagonal() + ((rest @ self.covariance) * rest).sum(axis=1)


@dataclass(frozen=True)
class Fit:
    """A sample at a trial value: ``beta`` (p,), ``effects`` v (M,), ``residual`` y - X beta."""

    state: State
    beta: np.ndarray
    effects: np.ndarray
    residual: np.ndarray
    log_likelihood: float  # restricted if the model is
    gradient: np.ndarray  # in (log sigma2_u, rho)
    pushed: np.ndarray  # (M, 2) Q_k v

    @property
    def hessian(self) -> np.ndarray:
        at, effects = self.state, self.effects
        # The second derivatives of Q are Q, -Q_rho and 2 W'W / sigma2_u.
        scale, mixed = -effects @ self.pushed
        bent = 2 * effects @ (at.model.square @ effects) / at.sigma2_u
        second = np.array([[scale, mixed], [mixed, bent]])
        carried = at.carried.T @ self.pushed
        through = self.pushed.T @ at.error @ self.pushed + carried.T @ at.covariance @ carried
        return at.hessian - 0.5 * second + through


def sar(design: np.ndarray, error: np.ndarray, weights: np.ndarray, method: str) -> Sar:
    """The fixed parts of a model. ``error`` (M,) is NaN where there is no direct estimate."""
    return Sar(
        design=design,
        precision=np.where(np.isnan(error), 0.0, 1 / error),
        weights=weights,
        both=weights + weights.T,
        square=weights.T @ weights,
        eigenvalues=np.linalg.eigvals(weights),
        lower=np.tri(len(weights), k=-1, dtype=bool),
        restricted=method == "reml",
    )


def _trace(a: np.ndarray, b: np.ndarray) -> float:
    """The trace of a @ b."""
    return np.einsum("ij,ji->", a, b)


def state(model: Sar, sigma2_u: float, rho: float) -> State:
    """Everything at a trial value that is the same for all samples."""
    from scipy.linalg import lapack

    areas = len(model.precision)
    precision_matrix = (rho**2 / sigma2_u) * model.square
    precision_matrix -= (rho / sigma2_u) * model.both
    diagonal = precision_matrix.diagonal() + 1 / sigma2_u + model.precision
    np.fill_diagonal(precision_matrix, diagonal)
    # The transpose is in Fortran's order, so that LAPACK works on it without a copy.
    factor, info = lapack.dpotrf(precision_matrix.T, overwrite_a=True)
    if info:
        raise np.linalg.LinAlgError("the precision matrix is not positive definite")
    half_log_k = np.log(factor.diagonal()).sum()
    error = lapack.dpotri(factor, overwrite_c=True)[0]  # its upper triangle
    np.copyto(error, error.T, where=model.lower)

    carried = error @ (model.precision[:, np.newaxis] * model.design)
    left = model.precision[:, np.newaxis] * (model.design - carried)
    covariance = np.linalg.inv(model.design.T @ left)
    in_scale = areas - error.diagonal() @ model.precision  # H Q = I - H D^-1
    in_square, in_both = _trace(error, model.square), _trace(error, model.both)
    if model.restricted:
        spread = carried @ covariance
        in_scale += (spread * left).sum()
        in_square += (spread * (model.square @ carried)).sum()
        in_both += (spread * (model.both @ carried)).sum()
    log_q = 2 * np.log(np.abs(1 - rho * model.eigenvalues)).sum() - areas * np.log(sigma2_u)
    log_d = -np.log(model.precision[model.precision > 0]).sum()
    return State(
        model=model,
        sigma2_u=sigma2_u,
        rho=rho,
        error=error,
        carried=carried,
        left=left,
        covariance=covariance,
        log_v=log_d + 2 * half_log_k - log_q,
        log_x=-np.linalg.slogdet(covariance)[1],
        in_scale=in_scale,
        in_rho=(2 * rho * in_square - in_both) / sigma2_u,
        in_square=in_square,
    )


def fit_at(at: State, y: np.ndarray) -> Fit:
    """Coefficients, effects and likelihood of one sample (M,) at a trial value.

    ``y`` may hold any number where there is no direct estimate.
    """
    model = at.model
    beta = at.covariance @ ((model.design - at.carried).T @ (model.precision * y))
    residual = y - model.design @ beta
    effects = at.error @ (model.precision * residual)
    pulled = model.precision * (residual - effects)  # P y, which is Q v
    observed = np.count_nonzero(model.precision)
    value = -0.5 * (observed * np.log(2 * np.pi) + at.log_v + residual @ pulled)
    if model.restricted:
        value -= 0.5 * at.log_x
    sloped = 2 * at.rho * (model.square @ effects) - model.both @ effects
    pushed = np.column_stack([-pulled, sloped / at.sigma2_u])
    gradient = at.gradient - 0.5 * effects @ pushed
    return Fit(at, beta, effects, residual, float(value), gradient, pushed)


def fit(
    model: Sar,
    y: np.ndarray,
    start: State | None = None,
    scale: float = 1.0,
    tolerance: float = 1e-6,
) -> Fit:
    """Maximise the likelihood over sigma2_u > 0 and rho.

    Newton's method in a trust region (scipy's trust-exact) in log(sigma2_u) and arctanh(rho), with
    the exact Hessian, from the best point of a grid or from ``start``.

    Parameters
    ----------
    model
        `sar`.
    y
        Direct estimates (M,), any number where there is none.
    start
        Where to begin, as in a bootstrap; without it a grid around ``scale`` is searched.
    scale
        A first idea of sigma2_u.
    tolerance
        On the gradient of the log-likelihood. Newton's last step is far better than it.

    Returns
    -------
    Fit
        At the maximum that is reached; a likelihood of few areas can have another at the edge of
        rho, which is not looked for. ``state.rho`` is -0.999 or 0.999 where the likelihood rises
        to the edge; a ``state.sigma2_u`` far below the sampling variances means that the estimate
        is 0.
    """
    from scipy.optimize import minimize

    if start is None:
        trials = (
            fit_at(state(model, scale * factor, rho), y)
            for factor in (0.1, 0.4, 1.2)
            for rho in (-0.8, -0.4, 0.0, 0.4, 0.8, 0.95)
        )
        first = max(trials, key=lambda trial: trial.log_likelihood)
    else:
        first = fit_at(start, y)
    floor = np.log(1e-9 * min(scale, first.state.sigma2_u))
    known = {}

    def at(x: np.ndarray) -> Fit:
        key = x.tobytes()
        if key not in known:
            sigma2_u = np.exp(np.clip(x[0], floor, floor + 60))
            rho = np.tanh(np.clip(x[1], -_Z_BOUND, _Z_BOUND))
            known[key] = fit_at(state(model, sigma2_u, rho), y)
            if len(known) > 3:  # each holds several matrices of M x M
                del known[next(iter(known))]
        return known[key]

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        here = at(x)
        slope = here.gradient * [1, 1 - here.state.rho**2]
        if abs(x[1]) >= _Z_BOUND and slope[1] * x[1] > 0:
            slope[1] = 0  # rising beyond the edge
        return -here.log_likelihood, -slope

    def hessian(x: np.ndarray) -> np.ndarray:
        here = at(x)
        if np.linalg.norm(value(x)[1]) < tolerance:
            return np.eye(2)  # the end: scipy asks, but does not use it
        bend = 1 - here.state.rho**2
        turned = here.hessian * np.outer([1, bend], [1, bend])
        turned[1, 1] -= 2 * here.state.rho * bend * here.gradient[1]
        return -turned

    origin = np.array([np.log(first.state.sigma2_u), np.arctanh(first.state.rho)])
    known[origin.tobytes()] = first
    found = minimize(
        value, origin, jac=True, hess=hessian, method="trust-exact", options={"gtol": tolerance}
    )
    return at(found.x)


def analytic_mse(at: State) -> np.ndarray:
    """The estimated mean squared error of the spatial EBLUP (M,), to second order.

    g1 + g2 + 2 g3 - g4 of Singh, Shukla and Kundu (2005; MM 39 to 43), for ML less the product of
    the bias of the estimates and the gradient of g1 (MM section 8.2), with the restricted
    information, as ``mseSFH`` of the R package sae. Here in H: g1 = diag H, and with Q_k, Q_kl the
    derivatives of Q in (sigma2_u, rho) and I the information,

        g3 = sum_kl I^kl diag(H Q_k (G - H) Q_l H)
        g4 = sum_kl I^kl diag(H (Q_k G Q_l + Q_l G Q_k - Q_kl) H) / 2.

    NaN where the corrections leave nothing positive.
    """
    model, sigma2_u = at.model, at.sigma2_u
    root = np.linalg.inv(np.eye(len(at.error)) - at.rho * model.weights)
    prior = sigma2_u * root @ root.T
    of_q = [-at.quadratic / sigma2_u**2, at.slope / sigma2_u]
    cross = -at.slope / sigma2_u**2
    of_q2 = [[2 * at.quadratic / sigma2_u**3, cross], [cross, 2 * model.square / sigma2_u]]
    moved = [(prior - at.error_beta) @ each for each in of_q]
    information = 0.5 * np.array([[_trace(a, b) for b in moved] for a in moved])
    inverse = np.linalg.inv(information)
    pulled = [each @ at.error for each in of_q]  # Q_k H
    g3, g4 = np.zeros(len(at.error)), np.zeros(len(at.error))
    for k in range(2):
        for part in range(2):
            share = inverse[k, part]
            through = (prior @ pulled[part] * pulled[k]).sum(axis=0)
            inner = (at.error @ pulled[part] * pulled[k]).sum(axis=0)
            bent = (of_q2[k][part] @ at.error * at.error).sum(axis=0)
            g3 += share * (through - inner)
            g4 += share * (through - bent / 2)
    mse = at.mse_known() + 2 * g3 - g4
    if not model.restricted:
        spent = [np.trace(at.covariance @ at.carried.T @ each @ at.carried) for each in of_q]
        bias = 0.5 * inverse @ spent
        mse += sum(b * (at.error * each).sum(axis=0) for b, each in zip(bias, pulled, strict=True))
    return np.where(mse > 0, mse, np.nan)


@dataclass(frozen=True)
class Bootstrap:
    """``mse``: mean square of the errors over the replicates (M,); ``corrected``: without bias."""

    mse: np.ndarray
    corrected: np.ndarray


def bootstrap(base: Fit, seeds: list[np.random.SeedSequence]) -> Bootstrap:
    """Parametric bootstrap of the mean squared error (Molina, Salvati and Pratesi 2009).

    Each seed gives a replicate: effects from the fitted autoregression, direct estimates with
    their sampling errors, and a fit, which begins at the parameters the replicate was drawn with;
    what does not depend on the sample is computed there once for all of them. ``mse`` is
    their naive estimator, ``corrected`` that with its bias corrected (MM section 9): 2 (g1 + g2)
    less the mean of g1 + g2 of the replicates plus the mean square of the difference to the
    predictor with known parameters. The corrected one has less noise and may be negative.
    """
    at, model = base.state, base.state.model
    areas = len(model.precision)
    root = np.linalg.inv(np.eye(areas) - at.rho * model.weights) * np.sqrt(at.sigma2_u)
    observed = model.precision > 0
    noise = np.where(observed, 1 / np.sqrt(np.where(observed, model.precision, 1)), 0.0)
    fixed = model.design @ base.beta
    squares, known, moved = np.zeros((3, areas))
    for seed in seeds:
        draws = np.random.default_rng(seed).standard_normal((2, areas))
        truth = fixed + root @ draws[0]
        y = truth + noise * draws[1]
        refit = fit(model, y, start=at, tolerance=1e-3)
        estimate = model.design @ refit.beta + refit.effects
        with_truth = fit_at(at, y)  # the predictor that knows sigma2_u and rho
        squares += (estimate - truth) ** 2
        known += refit.state.mse_known()
        moved += (estimate - model.design @ with_truth.beta - with_truth.effects) ** 2
    mse, known, moved = squares / len(seeds), known / len(seeds), moved / len(seeds)
    return Bootstrap(mse, 2 * at.mse_known() - known + moved)
