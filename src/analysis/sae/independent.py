"""The Fay-Herriot model with independent area effects, for one or for many sets of estimates.

For area d of m: y_d = x_d' beta + u_d + e_d, u_d ~ N(0, sigma2_u), e_d ~ N(0, D_d), D_d known.
Every function takes the direct estimates of several samples from the same areas as the rows of one
array (a bootstrap has hundreds), which share the areas' design and sampling variances.

References
----------
Fay and Herriot (1979) "Estimates of income for small places", JASA 74. Prasad and Rao (1990), JASA
85. Datta and Lahiri (2000) "A unified measure of uncertainty of EBLUPs", Statistica Sinica 10.
Datta, Rao and Smith (2005) "On measuring the variability of small area estimators", Biometrika 92.
Li and Lahiri (2010) "An adjusted maximum likelihood method for solving small area estimation
problems", Journal of Multivariate Analysis 101. The formulas of the first five, in one notation:
Molina and Marhuenda (2015) *R package sae: Methodology*; its equations are cited as MM.
"""

from dataclasses import dataclass

import numpy as np

METHODS = ("reml", "ml", "moment", "amrl", "ampl")
ADJUSTED = ("amrl", "ampl")
RESTRICTED = ("reml", "amrl")


@dataclass(frozen=True)
class Gls:
    """Generalised least squares at given variances; the first axis is that of the samples.

    ``weight`` (B, m) 1/(sigma2_u + D); ``beta`` (B, p); ``covariance`` (B, p, p) of beta;
    ``residual`` (B, m) y - X beta.
    """

    weight: np.ndarray
    beta: np.ndarray
    covariance: np.ndarray
    residual: np.ndarray


def gls(y: np.ndarray, error: np.ndarray, design: np.ndarray, sigma2_u: np.ndarray) -> Gls:
    """Coefficients given the variance (MM 8). Shapes: (B, m), (m,), (m, p), (B,)."""
    weight = 1 / (sigma2_u[:, np.newaxis] + error)
    covariance = np.linalg.inv(_crossed(weight, design))
    beta = np.einsum("bpq,bq->bp", covariance, (weight * y) @ design)
    return Gls(weight, beta, covariance, y - beta @ design.T)


def _crossed(weight: np.ndarray, design: np.ndarray) -> np.ndarray:
    """X' diag(weight) X for every row of ``weight``."""
    terms = design.shape[1]
    products = (design[:, :, np.newaxis] * design[:, np.newaxis, :]).reshape(len(design), -1)
    return (weight @ products).reshape(-1, terms, terms)


def estimate_sigma2(
    y: np.ndarray, error: np.ndarray, design: np.ndarray, method: str
) -> np.ndarray:
    """The variance between areas, for every sample.

    The criterion is first evaluated on a grid that reaches from far below the smallest sampling
    variance to a bound above which it must fall, so that of several maxima the highest is taken;
    its score is then solved for zero. Where the criterion is highest at 0, the estimate is 0.

    Parameters
    ----------
    y, error, design
        Direct estimates (B, m), sampling variances (m,), covariates of full rank (m, p).
    method
        ``reml``, ``ml``: (restricted) maximum likelihood (MM 13 and section 5.3).
        ``moment``: the root of Fay and Herriot's moment equation (MM 10).
        ``amrl``, ``ampl``: the restricted or profile likelihood times sigma2_u (Li and Lahiri
        2010), which is never highest at 0.

    Returns
    -------
    numpy.ndarray
        (B,), not negative.
    """
    from scipy.optimize import elementwise

    samples, areas = y.shape
    freedom = areas - design.shape[1]
    ols = y - np.linalg.lstsq(design, y.T, rcond=None)[0].T @ design.T
    # Above, the score of every method is negative: its information falls like 1/sigma2_u, its
    # quadratic form like 1/sigma2_u^2 (and the adjustment asks for freedom > 2).
    ceiling = 10 * np.maximum(error.max(), (ols**2).sum(axis=1) / freedom)
    floor = 1e-3 * error.min()

    def score(sigma2_u: np.ndarray, sample: np.ndarray) -> np.ndarray:
        return _score(y[sample], error, design, sigma2_u, method)

    everyone = np.arange(samples)
    at_zero = np.full(samples, np.inf)
    if method not in ADJUSTED:
        at_zero = score(np.zeros(samples), everyone)
    if method == "moment":  # the equation falls throughout: it has one root, or none
        low, high, positive = np.zeros(samples), ceiling, at_zero > 0
    else:
        grid = floor * (ceiling / floor) ** np.linspace(0, 1, 40)[:, np.newaxis]
        # The adjusted likelihoods are 0 at 0: begin just above it.
        least = 1e-6 * floor if method in ADJUSTED else 0.0
        grid = np.concatenate([np.full((1, samples), least), grid])
        best = np.argmax([criterion(y, error, design, at, method) for at in grid], axis=0)
        positive = (best > 0) | (at_zero > 0)
        rising = score(grid[best, everyone], everyone) > 0
        cell = np.where(rising, best, np.maximum(best - 1, 0))
        low, high = grid[cell, everyone], grid[cell + 1, everyone]
    result = np.zeros(samples)
    if positive.any():
        root = elementwise.find_root(
            score,
            (low[positive], high[positive]),
            args=(everyone[positive],),
            tolerances={"xatol": 0, "xrtol": 1e-13, "fatol": 0, "frtol": 0},
        )
        # A cell without a change of sign has more than one maximum inside: its middle is as near
        # as the grid is fine.
        result[positive] = np.where(root.success, root.x, (low + high)[positive] / 2)
    return result


def criterion(
    y: np.ndarray, error: np.ndarray, design: np.ndarray, sigma2_u: np.ndarray, method: str
) -> np.ndarray:
    """What the method maximises, without its constant."""
    fit = gls(y, error, design, sigma2_u)
    value = 0.5 * (np.log(fit.weight) - fit.weight * fit.residual**2).sum(axis=1)
    if method in RESTRICTED:
        value += 0.5 * np.linalg.slogdet(fit.covariance)[1]
    if method in ADJUSTED:
        with np.errstate(divide="ignore"):
            value += np.log(sigma2_u)
    return value


def _score(
    y: np.ndarray, error: np.ndarray, design: np.ndarray, sigma2_u: np.ndarray, method: str
) -> np.ndarray:
    """Derivative of the criterion; the moment equation itself for ``moment``."""
    fit = gls(y, error, design, sigma2_u)
    weight, squared = fit.weight, fit.residual**2
    if method == "moment":
        return (weight * squared).sum(axis=1) - (y.shape[1] - design.shape[1])
    trace = weight.sum(axis=1)
    if method in RESTRICTED:
        trace = trace - _spent(fit, design)
    value = 0.5 * ((weight**2 * squared).sum(axis=1) - trace)
    return value + 1 / sigma2_u if method in ADJUSTED else value


def _spent(fit: Gls, design: np.ndarray) -> np.ndarray:
    """Trace of V^-1 - P: what the estimation of beta takes."""
    return np.einsum("bpq,bqp->b", fit.covariance, _crossed(fit.weight**2, design))


def log_likelihood(y: np.ndarray, error: np.ndarray, design: np.ndarray, sigma2_u: float) -> float:
    """The full (not the restricted) log-likelihood of one sample (m,) at its estimates."""
    fit = gls(y[np.newaxis], error, design, np.array([sigma2_u]))
    terms = np.log(fit.weight) - fit.weight * fit.residual**2 - np.log(2 * np.pi)
    return float(0.5 * terms.sum())


def analytic_mse(
    error: np.ndarray, design: np.ndarray, everywhere: np.ndarray, sigma2_u: float, method: str
) -> np.ndarray:
    """The estimated mean squared error of the EBLUP, to second order.

    With gamma_d = sigma2_u / (sigma2_u + D_d), where there is a direct estimate::

        mse_d = g1 + g2 + 2 g3 - (1 - gamma_d)^2 bias
        g1 = gamma_d D_d;  g2 = (1 - gamma_d)^2 x_d' Cov(beta) x_d
        g3 = (1 - gamma_d)^2 Var(sigma2_u) / (sigma2_u + D_d)

    (MM 15, 16, 18). REML: bias 0 (Datta and Lahiri 2000; MM 24). ML: the bias of Datta and Lahiri
    (2000; MM 22, 23). Moment: variance and bias of Datta, Rao and Smith (2005; MM 19 to 21). AMRL,
    AMPL: those of REML and ML plus the bias of the adjustment, 2 / (sigma2_u sum (sigma2_u +
    D)^-2) (Li and Lahiri 2010).

    Where there is no direct estimate it is the error of the synthetic estimate, sigma2_u - bias +
    x_d' Cov(beta) x_d: the expectation of the estimated variance is sigma2_u + bias. (R's ``emdi``
    adds the bias for ML and has no such MSE for AMRL and AMPL.)

    Parameters
    ----------
    error
        Sampling variances of all M areas (M,); NaN where there is no direct estimate.
    design, everywhere
        Covariates of the observed (m, p) and of all areas (M, p).

    Returns
    -------
    numpy.ndarray
        (M,); NaN where the bias correction leaves nothing positive.
    """
    observed = ~np.isnan(error)
    weight = 1 / (sigma2_u + error[observed])
    covariance = np.linalg.inv(_crossed(weight[np.newaxis], design)[0])
    spent = np.trace(covariance @ _crossed(weight[np.newaxis] ** 2, design)[0])
    squares = (weight**2).sum()
    spread = 2 / squares
    if method == "moment":
        spread = 2 * weight.size / weight.sum() ** 2
        bias = 2 * (weight.size * squares - weight.sum() ** 2) / weight.sum() ** 3
    elif method == "reml":
        bias = 0.0
    else:
        bias = 0.0 if method == "amrl" else -spent / squares
        if method in ADJUSTED:
            bias += 2 / sigma2_u / squares
    of_beta = np.einsum("dp,pq,dq->d", everywhere, covariance, everywhere)
    mse = sigma2_u - bias + of_beta
    kept = error[observed] * weight
    mse[observed] = sigma2_u * kept + kept**2 * (of_beta[observed] + 2 * spread * weight - bias)
    return np.where(mse > 0, mse, np.nan)


@dataclass(frozen=True)
class Prediction:
    """EBLUPs of all areas for every sample, and what is left of the area effects' variance.

    ``estimate`` (B, M); ``variance`` (B, M): sigma2_u (1 - gamma), which is sigma2_u where there is
    no direct estimate; ``effects`` (B, M): 0 there.
    """

    estimate: np.ndarray
    variance: np.ndarray
    effects: np.ndarray


def predict(
    fit: Gls, error: np.ndarray, everywhere: np.ndarray, sigma2_u: np.ndarray
) -> Prediction:
    """The EBLUP x'beta + gamma (y - x'beta) (MM 9), synthetic where there is no estimate.

    ``error`` (M,) is NaN there; ``everywhere`` (M, p).
    """
    observed = ~np.isnan(error)
    shape = (len(fit.beta), len(error))
    effects = np.zeros(shape)
    effects[:, observed] = sigma2_u[:, np.newaxis] * fit.weight * fit.residual
    variance = np.broadcast_to(sigma2_u[:, np.newaxis], shape).copy()
    variance[:, observed] *= error[observed] * fit.weight
    return Prediction(fit.beta @ everywhere.T + effects, variance, effects)


def bootstrap(
    error: np.ndarray,
    everywhere: np.ndarray,
    beta: np.ndarray,
    sigma2_u: float,
    method: str,
    seeds: list[np.random.SeedSequence],
) -> tuple[np.ndarray, Prediction]:
    """Truth and prediction in replicates drawn from the fitted model, all fitted at once.

    Each seed gives one replicate (Gonzalez-Manteiga and others 2008, CSDA 52): effects
    N(0, sigma2_u) and sampling errors N(0, D) on the fitted regression, and the whole estimation.

    Returns
    -------
    tuple
        The true values (B, M) and their `Prediction`.
    """
    observed = ~np.isnan(error)
    draws = np.array([np.random.default_rng(s).standard_normal((2, len(error))) for s in seeds])
    truth = everywhere @ beta + np.sqrt(sigma2_u) * draws[:, 0]
    sampled, design = error[observed], everywhere[observed]
    y = truth[:, observed] + np.sqrt(sampled) * draws[:, 1, observed]
    refit = estimate_sigma2(y, sampled, design, method)
    return truth, predict(gls(y, sampled, design, refit), error, everywhere, refit)
