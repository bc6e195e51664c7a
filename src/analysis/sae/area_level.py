"""Area level small area estimation: the Fay-Herriot model.

Direct estimates with known sampling variances, a regression on covariates that are known for every
area, and what is left between areas. Where an area's direct estimate is precise the result stays
near it, where it is not it moves to the regression.
"""

from __future__ import annotations  # signatures are shown as they are written

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from analysis.sae import area_inputs, independent, spatial
from analysis.sae.area_inputs import AreaData, Column, Matrix
from analysis.sae.estimates import coefficient_table, to_html
from analysis.sae.inputs import SaeError, one_of, whole

ARCSINE = "arcsine"
ANALYTIC, BOOTSTRAP, NONE = "analytic", "bootstrap", "none"


@dataclass(frozen=True, eq=False, repr=False)
class AreaLevelFit:
    """A fitted Fay-Herriot model.

    Attributes
    ----------
    method, transformation
        As asked for.
    sigma2_u
        Variance of the area effects, in squared units of the (transformed) estimates. An estimate
        of exactly 0 is a documented result: see ``notes``.
    rho
        Spatial correlation; NaN without a ``weights_matrix`` and where ``sigma2_u`` is 0.
    coefficients, standard_errors
        By covariate, on the transformed scale.
    areas
        One row per area: ``area, estimate, mse, rmse, cv, lower, upper, shrinkage, synthetic,
        direct, sampling_variance``. ``cv`` is a fraction. ``shrinkage`` is the weight of the area's
        own direct estimate (0 where there is none); ``synthetic`` is true there. An MSE that was
        not computed is NaN. After a bootstrap of the spatial model also ``mse_corrected``.
    log_likelihood, aic, bic
        Of the full likelihood at the estimates, also for REML, as R's ``sae`` and ``emdi``.
    mse_method, level, replicates
        How the MSE was computed, the coverage meant by ``lower, upper``, and how many replicates.
    design
        Covariates by area, all areas.
    effects
        Predicted area effects on the transformed scale, by area.
    response_values, error_variance
        Direct estimates and sampling variances on the transformed scale, by area that has one.
    whitening, predictor
        V^-1/2 of the m direct estimates, V their variance under the model, and the matrix that
        takes y - X beta to the predicted effects: (m, m), or their diagonals (m,) with independent
        effects.
    prediction_variance
        What the data leave of the variance of each area's effect, by area.
    """

    method: str
    transformation: str | None
    sigma2_u: float
    rho: float
    coefficients: pd.Series
    standard_errors: pd.Series
    areas: pd.DataFrame
    log_likelihood: float
    aic: float
    bic: float
    mse_method: str
    level: float
    replicates: int
    design: pd.DataFrame
    effects: pd.Series
    response_values: pd.Series
    error_variance: pd.Series
    whitening: np.ndarray
    predictor: np.ndarray
    prediction_variance: pd.Series

    @property
    def spatial(self) -> bool:
        return not np.isnan(self.rho)

    @property
    def fitted(self) -> pd.Series:
        """X beta on the transformed scale, by area with a direct estimate."""
        return (self.design @ self.coefficients).reindex(self.response_values.index)

    @property
    def residuals(self) -> pd.Series:
        """(direct - estimate) / sqrt(sampling variance) on the transformed scale."""
        estimate = self.fitted + self.effects.reindex(self.response_values.index)
        return (self.response_values - estimate) / np.sqrt(self.error_variance)

    @property
    def whitened_design(self) -> np.ndarray:
        """V^-1/2 X (m, p): with the next, the regression as ordinary least squares."""
        return _times(self.whitening, self.design.reindex(self.response_values.index).to_numpy())

    @property
    def whitened_residuals(self) -> np.ndarray:
        """V^-1/2 (y - X beta) (m,): independent N(0, 1) under the model."""
        return _times(self.whitening, (self.response_values - self.fitted).to_numpy())

    def simulate(self, replicates: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Direct estimates and EBLUPs drawn from the fitted model, its parameters as known.

        Two arrays (replicates, m), back on the scale of the input, areas as in ``response``.
        """
        noise = np.random.default_rng(seed).standard_normal((len(self.response_values), replicates))
        if self.whitening.ndim == 1:
            spread = noise / self.whitening[:, np.newaxis]
        else:
            spread = np.linalg.solve(self.whitening, noise)
        fitted = self.fitted.to_numpy()
        y = fitted + spread.T
        predicted = fitted + _times(self.predictor, spread).T
        if self.transformation is None:
            return y, predicted
        left = self.prediction_variance.reindex(self.response_values.index).to_numpy()
        return np.sin(np.clip(y, 0, np.pi / 2)) ** 2, rate_expectation(predicted, left)

    @property
    def notes(self) -> list[str]:
        """What a reader must know before using the estimates; empty if there is nothing."""
        told = []
        if self.sigma2_u == 0:
            told.append(
                "sigma2_u is estimated as 0: every estimate is that of the regression alone, and "
                "the MSE leaves out the variance between areas. method='amrl' keeps it above 0."
            )
        if abs(self.rho) > spatial.RHO_BOUND - 1e-9:
            told.append(f"rho is at the edge ({self.rho:.3f}): the likelihood rises up to it.")
        if outside := int(self.areas["synthetic"].sum()):
            how = "the regression and the neighbours" if self.spatial else "the regression"
            told.append(f"{outside} areas have no direct estimate: {how} alone (synthetic).")
        freedom = len(self.response_values) - len(self.coefficients)
        if freedom < 10:
            told.append(f"sigma2_u rests on {freedom} degrees of freedom only.")
        missing = int(self.areas["mse"].isna().sum())
        if missing and self.mse_method != NONE:
            told.append(
                f"the {self.mse_method} MSE of {missing} areas came out negative and is missing: "
                f"use mse='bootstrap'."
            )
        return told

    def summary(self) -> str:
        """The fit in plain text."""
        model = "Spatial Fay-Herriot" if self.spatial else "Fay-Herriot"
        areas = self.areas
        how = self.mse_method
        if how == BOOTSTRAP:
            how = f"parametric bootstrap, {self.replicates} replicates"
        lines = [
            f"{model} model, {self.method}, transformation: {self.transformation or 'none'}",
            f"{len(areas)} areas, {len(self.response_values)} with a direct estimate",
            f"sigma2_u {self.sigma2_u:.6g}" + (f", rho {self.rho:.4f}" if self.spatial else ""),
            f"log-likelihood {self.log_likelihood:.3f}, AIC {self.aic:.3f}, BIC {self.bic:.3f}",
            f"shrinkage {_range(areas.loc[~areas['synthetic'], 'shrinkage'])}",
            f"RMSE {_range(areas['rmse'])} (MSE: {how})",
            "",
            coefficient_table(self).to_string(float_format="{:.5g}".format),
        ]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary().partition(chr(10))[0]}>"

    def _repr_html_(self) -> str:
        return to_html(self.summary(), self.areas)


def _times(matrix: np.ndarray, other: np.ndarray) -> np.ndarray:
    """matrix @ other, where a vector stands for a diagonal matrix."""
    if matrix.ndim == 2:
        return matrix @ other
    return (matrix[:, np.newaxis] if other.ndim == 2 else matrix) * other


def _range(values: pd.Series) -> str:
    if values.isna().all():
        return "not computed"
    low, middle, high = values.min(), values.median(), values.max()
    return f"{low:.4g} to {high:.4g}, median {middle:.4g}"


@dataclass(frozen=True)
class _Model:
    """A fit on the transformed scale, in the basis of the covariates. M areas, m observed."""

    sigma2_u: float
    rho: float
    beta: np.ndarray
    covariance: np.ndarray
    estimate: np.ndarray  # (M,)
    effects: np.ndarray  # (M,)
    shrinkage: np.ndarray  # (M,)
    left: np.ndarray  # (M,) variance of the area effect that the data leave
    whitening: np.ndarray  # (m, m) or (m,)
    predictor: np.ndarray  # (m, m) or (m,)
    log_likelihood: float
    fitted: spatial.Fit | None = None


# A second BLAS thread gains nothing at this size; where another program has its core, every
# product waits for it.
@threadpool_limits.wrap(limits=1, user_api="blas")
def fay_herriot(
    direct: Column,
    sampling_variance: Column | None,
    covariates: Matrix,
    *,
    method: str = "reml",
    transformation: str | None = None,
    weights_matrix: Matrix | None = None,
    effective_sample_size: Column | None = None,
    mse: str = "auto",
    replicates: int = 200,
    seed: int = 0,
    level: float = 0.95,
) -> AreaLevelFit:
    """Area level EBLUP of Fay and Herriot (1979) with its mean squared error.

    Areas are matched by index where the input is pandas, by position elsewhere. An area whose
    direct estimate is missing gets a synthetic estimate from its covariates: shrinkage 0,
    ``synthetic`` true, and an MSE that holds the whole variance between areas. In the spatial
    model it is predicted from its neighbours too, as the model says (Saei and Chambers 2005;
    R's ``emdi`` leaves the neighbours out).

    Parameters
    ----------
    direct
        Direct estimates (M,), in any unit; missing where there is none. Fractions between 0 and 1
        with ``transformation="arcsine"``.
    sampling_variance
        Their variances (M,), in squared units, taken as known. Ignored where ``direct`` is
        missing; may be None with ``transformation="arcsine"``, which does not use them.
    covariates
        Design matrix (M, p) as it is: give a column of ones for the intercept.
    method
        ``reml``, ``ml``, ``moment`` (Fay and Herriot's own), or the adjusted likelihoods ``amrl``
        and ``ampl`` of Li and Lahiri (2010), which are never 0. ``reml`` and ``ml`` only with a
        ``weights_matrix``. See `analysis.sae.independent`.
    transformation
        ``None``, or ``"arcsine"`` for rates: the model is fitted to arcsin(sqrt(p)), whose sampling
        variance is 1 / (4 n_eff), and the result is the expectation of sin^2 under the predictive
        distribution, not sin^2 of the prediction, which is biased (Hadam, Wuerz and Kreutzmann
        2020, after Sugasawa and Kubokawa 2017; see `rate_expectation`). MSE and intervals are by
        parametric bootstrap: the quantiles of the errors on the transformed scale,
        back-transformed, so that limits stay between 0 and 1 (as Schmid and others 2017).
    weights_matrix
        Row-standardised spatial weights (M, M) of the simultaneous autoregression of the area
        effects (Petrucci and Salvati 2006), a row and a column for every area; a row of zeros is an
        island. Columns of a DataFrame that name no area (V1, V2, ... of R) are in the order of its
        rows. May be sparse. Not together with a transformation.
    effective_sample_size
        For the arcsine transformation (M,): sample size divided by the design effect.
    mse
        ``"analytic"`` (to second order; the default without transformation), ``"bootstrap"``
        (parametric; the default and only choice with one), or ``"none"``.
    replicates, seed
        Of the bootstrap. Replicate b is the same whatever their number is.
    level
        Coverage of ``lower, upper``: normal without a transformation.

    Returns
    -------
    AreaLevelFit

    Raises
    ------
    SaeError
        The areas of the parts differ or repeat; a number is missing, infinite or not a number; a
        sampling variance is missing, negative or 0 where there is a direct estimate; covariates are
        collinear; there are fewer direct estimates than covariates and 2 (3 for ``amrl``,
        ``ampl``); weights are not row-standardised; a rate is not between 0 and 1; or an option is
        unknown or does not go with another. The message names the areas or the column.

    Notes
    -----
    The EBLUP is x'beta + gamma (y - x'beta) with gamma = sigma2_u / (sigma2_u + D) (Molina and
    Marhuenda 2015, eq. 7 and 9). Its MSE: `analysis.sae.independent.analytic_mse`,
    `analysis.sae.spatial.analytic_mse`, `analysis.sae.spatial.bootstrap`. An analytic MSE whose
    bias correction leaves nothing positive is missing.
    """
    _check_options(method, transformation, weights_matrix, mse, replicates, seed, level)
    if transformation is None and sampling_variance is None:
        raise SaeError('sampling_variance may be None only with transformation="arcsine"')
    if transformation == ARCSINE and effective_sample_size is None:
        raise SaeError('transformation="arcsine" needs effective_sample_size')
    if transformation is None and effective_sample_size is not None:
        raise SaeError('effective_sample_size is for transformation="arcsine": leave it out')
    data = area_inputs.area_data(
        direct,
        sampling_variance,
        covariates,
        weights_matrix=weights_matrix,
        effective_sample_size=effective_sample_size,
        variance_needed=transformation is None,
        needed=3 if method in independent.ADJUSTED else 2,
    )
    y, error = data.direct, data.variance
    if transformation == ARCSINE:
        area_inputs.refuse(
            (y < 0) | (y > 1),
            data.area,
            "a rate must be a fraction between 0 and 1 for the arcsine (percent divided by 100)",
        )
        y = np.arcsin(np.sqrt(y))
        error = 1 / (4 * np.where(data.observed, data.effective_sample_size, np.nan))
    model = _spatial(data, y, error, method) if data.weights is not None else None
    if model is None:
        model = _independent(data, y, error, method)

    how = {"auto": BOOTSTRAP if transformation else ANALYTIC}.get(mse, mse)
    how = NONE if how == BOOTSTRAP and replicates == 0 else how
    seeds = np.random.SeedSequence(seed).spawn(replicates) if how == BOOTSTRAP else []
    estimate = model.estimate
    width = _normal_quantile(level)
    if transformation == ARCSINE:
        estimate = rate_expectation(model.estimate, model.left)
        squared, lower, upper = _arcsine_bootstrap(data, error, model, method, seeds, level)
        more = {}
    else:
        squared, more = _mean_squared_error(data, error, model, method, how, seeds)
        lower = estimate - width * np.sqrt(squared)
        upper = estimate + width * np.sqrt(squared)

    rmse = np.sqrt(squared)
    areas = pd.DataFrame(
        {
            "area": data.area,
            "estimate": estimate,
            "mse": squared,
            "rmse": rmse,
            "cv": rmse / np.where(estimate == 0, np.nan, np.abs(estimate)),
            "lower": lower,
            "upper": upper,
            "shrinkage": model.shrinkage,
            "synthetic": ~data.observed,
            "direct": data.direct,
            "sampling_variance": data.variance,
            **more,
        }
    )
    return _result(data, y, error, model, areas, method, transformation, how, level, len(seeds))


def _check_options(
    method: str,
    transformation: str | None,
    weights_matrix: Any,
    mse: str,
    replicates: int,
    seed: int,
    level: float,
) -> None:
    one_of("method", method, independent.METHODS)
    one_of("transformation", transformation, (None, ARCSINE))
    one_of("mse", mse, ("auto", ANALYTIC, BOOTSTRAP, NONE))
    if weights_matrix is not None:
        if method not in spatial.METHODS:
            told = " or ".join(repr(name) for name in spatial.METHODS)
            raise SaeError(f"the spatial model is fitted by {told}, not by {method!r}")
        if transformation is not None:
            raise SaeError(
                "a transformation of the spatial model is not available: leave out transformation "
                "or weights_matrix"
            )
    if transformation is not None and mse == ANALYTIC:
        raise SaeError('there is no analytic MSE under the arcsine: use mse="bootstrap"')
    whole("replicates", replicates, 0)
    whole("seed", seed, 0)
    if not 0 < level < 1:
        raise SaeError(f"level must be between 0 and 1, not {level!r}")


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _independent(
    data: AreaData, y: np.ndarray, error: np.ndarray, method: str, zero: bool = False
) -> _Model:
    """The model with independent effects; ``zero`` takes sigma2_u = 0 as known."""
    observed = data.observed
    sampled, sample, design = error[observed], y[observed][np.newaxis], data.basis[observed]
    sigma2_u = np.zeros(1)
    if not zero:
        sigma2_u = independent.estimate_sigma2(sample, sampled, design, method)
    fit = independent.gls(sample, sampled, design, sigma2_u)
    predicted = independent.predict(fit, error, data.basis, sigma2_u)
    shrinkage = np.zeros(len(y))
    shrinkage[observed] = sigma2_u * fit.weight[0]
    return _Model(
        sigma2_u=float(sigma2_u[0]),
        rho=np.nan,
        beta=fit.beta[0],
        covariance=fit.covariance[0],
        estimate=predicted.estimate[0],
        effects=predicted.effects[0],
        shrinkage=shrinkage,
        left=predicted.variance[0],
        whitening=np.sqrt(fit.weight[0]),
        predictor=shrinkage[observed],
        log_likelihood=independent.log_likelihood(sample[0], sampled, design, float(sigma2_u[0])),
    )


def _spatial(data: AreaData, y: np.ndarray, error: np.ndarray, method: str) -> _Model | None:
    """The spatial model; without effects (and rho NaN) where the likelihood is highest at 0."""
    observed = data.observed
    sampled, sample, design = error[observed], y[observed], data.basis[observed]
    model = spatial.sar(data.basis, error, data.weights, method)
    plain = independent.estimate_sigma2(sample[np.newaxis], sampled, design, method)
    # Where the model without space says 0, a spatial one need not.
    scale = max(float(plain[0]), 0.1 * float(np.median(sampled)))
    fit = spatial.fit(model, np.where(observed, y, 0.0), scale=scale)
    without = independent.criterion(sample[np.newaxis], sampled, design, np.zeros(1), method)
    without -= 0.5 * observed.sum() * np.log(2 * np.pi)
    if fit.log_likelihood - without[0] < 1e-6:
        return _independent(data, y, error, method, zero=True)
    at = fit.state
    inner = np.linalg.inv(np.eye(len(y)) - at.rho * data.weights)
    prior = at.sigma2_u * (inner @ inner.T)[np.ix_(observed, observed)]
    factor = np.linalg.cholesky(prior + np.diag(sampled))
    full = fit.log_likelihood + (0.5 * at.log_x if model.restricted else 0.0)
    return _Model(
        sigma2_u=at.sigma2_u,
        rho=at.rho,
        beta=fit.beta,
        covariance=at.covariance,
        estimate=data.basis @ fit.beta + fit.effects,
        effects=fit.effects,
        shrinkage=at.error.diagonal() * model.precision,
        left=at.error.diagonal(),
        whitening=np.linalg.inv(factor),
        predictor=at.error[np.ix_(observed, observed)] / sampled,
        log_likelihood=full,
        fitted=fit,
    )


def _mean_squared_error(
    data: AreaData,
    error: np.ndarray,
    model: _Model,
    method: str,
    how: str,
    seeds: list[np.random.SeedSequence],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The MSE without a transformation, and columns to be reported beside it."""
    if how == NONE:
        return np.full(len(error), np.nan), {}
    if how == ANALYTIC:
        if model.fitted is not None:
            return spatial.analytic_mse(model.fitted.state), {}
        design = data.basis[data.observed]
        return independent.analytic_mse(error, design, data.basis, model.sigma2_u, method), {}
    if model.fitted is not None:
        boot = spatial.bootstrap(model.fitted, seeds)
        return boot.mse, {"mse_corrected": boot.corrected}
    truth, predicted = independent.bootstrap(
        error, data.basis, model.beta, model.sigma2_u, method, seeds
    )
    return ((predicted.estimate - truth) ** 2).mean(axis=0), {}


def rate_expectation(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """E[sin^2(min(max(T, 0), pi/2))] for T ~ N(mean, variance), in closed form.

    The expected rate when its arcsine is T: with sin^2 = (1 - cos 2T) / 2, the integral of
    exp(2iT) against the normal density between 0 and pi/2 is a difference of error functions of
    complex argument. Hadam, Wuerz and Kreutzmann (2020) integrate numerically between the same
    bounds; here what lies above pi/2 counts as a rate of 1, as in the inverse transformation.
    """
    from scipy.special import erf, ndtr

    mean, variance = np.broadcast_arrays(np.asarray(mean, float), np.asarray(variance, float))
    spread = np.sqrt(variance)
    result = np.array(np.sin(np.clip(mean, 0, np.pi / 2)) ** 2)
    wide = spread > 1e-7 * np.maximum(np.abs(mean), 1e-3)  # a point mass otherwise
    centre, spread = mean[wide], spread[wide]
    ends = np.array([0.0, np.pi / 2])[:, np.newaxis]
    inside = ndtr((ends - centre) / spread)
    turned = erf((ends - centre) / (spread * np.sqrt(2)) - 1j * spread * np.sqrt(2)) / 2
    wave = np.exp(2j * centre - 2 * spread**2) * (turned[1] - turned[0])
    result[wide] = 0.5 * (inside[1] - inside[0] - wave.real) + 1 - inside[1]
    return result


def _arcsine_bootstrap(
    data: AreaData,
    error: np.ndarray,
    model: _Model,
    method: str,
    seeds: list[np.random.SeedSequence],
    level: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MSE of rates and interval limits; NaN without replicates."""
    if not seeds:
        return (np.full(len(error), np.nan),) * 3
    truth, predicted = independent.bootstrap(
        error, data.basis, model.beta, model.sigma2_u, method, seeds
    )
    of_truth = np.sin(np.clip(truth, 0, np.pi / 2)) ** 2
    of_estimate = rate_expectation(predicted.estimate, predicted.variance)
    tails = [0.5 - level / 2, 0.5 + level / 2]
    limits = model.estimate + np.quantile(truth - predicted.estimate, tails, axis=0)
    lower, upper = np.sin(np.clip(limits, 0, np.pi / 2)) ** 2
    return ((of_estimate - of_truth) ** 2).mean(axis=0), lower, upper


def _result(
    data: AreaData,
    y: np.ndarray,
    error: np.ndarray,
    model: _Model,
    areas: pd.DataFrame,
    method: str,
    transformation: str | None,
    how: str,
    level: float,
    replicates: int,
) -> AreaLevelFit:
    # From the basis back to the covariates as given: X = B R, so beta = R^-1 b.
    beta = np.linalg.solve(data.triangle, model.beta)
    half = np.linalg.solve(data.triangle, np.linalg.cholesky(model.covariance))
    se = np.sqrt((half**2).sum(axis=1))
    observed = data.observed
    area = data.area[observed]
    parameters = len(beta) + (2 if model.fitted is not None else 1)
    return AreaLevelFit(
        method=method,
        transformation=transformation,
        sigma2_u=float(model.sigma2_u),
        rho=float(model.rho),
        coefficients=pd.Series(beta, index=data.design.columns, name="coefficient"),
        standard_errors=pd.Series(se, index=data.design.columns, name="standard_error"),
        areas=areas,
        log_likelihood=float(model.log_likelihood),
        aic=float(2 * parameters - 2 * model.log_likelihood),
        bic=float(np.log(observed.sum()) * parameters - 2 * model.log_likelihood),
        mse_method=how,
        level=level,
        replicates=replicates,
        design=data.design,
        effects=pd.Series(model.effects, index=data.area, name="effect"),
        response_values=pd.Series(y[observed], index=area, name="response"),
        error_variance=pd.Series(error[observed], index=area, name="error_variance"),
        whitening=model.whitening,
        predictor=model.predictor,
        prediction_variance=pd.Series(model.left, index=data.area, name="prediction_variance"),
    )
