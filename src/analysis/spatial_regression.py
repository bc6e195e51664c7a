"""Regression where neighbours resemble each other: lag, error and Durbin compared.

The models are fitted by spreg. Here: one table of all of them, and direct and indirect effects with
standard errors (spreg's own effects of the Durbin model count all that comes from neighbours'
covariates as indirect, and have no standard errors).
"""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import spreg
import statsmodels.api as sm
from libpysal.weights import W
from scipy import stats

from analysis import neighbours
from analysis.neighbours import NeighbourError, Neighbours

OLS, LAG, ERROR, DURBIN = "OLS", "lag", "error", "Durbin"
DRAWS = 2000
_CONSTANT, _RHO, _LAMBDA = "constant", "rho", "lambda"


@dataclass(frozen=True, eq=False)
class SpatialRegression:
    """Four models of one outcome.

    Attributes
    ----------
    outcome, covariates, area_count, rule
        What was fitted, over how many areas, with which neighbours.
    coefficients
        ``model, term, estimate, se, p_value``. Terms are ``constant``, the covariates, ``W`` and a
        covariate (the mean of the neighbours, Durbin), ``rho`` (lag, Durbin), ``lambda`` (error).
    effects
        ``model, term, direct, direct_se, indirect, indirect_se, total, total_se`` of lag and
        Durbin: what one unit more in one area does there, and, summed, elsewhere.
    tests
        ``test, statistic, df, p_value``: Lagrange multipliers on OLS, Moran's I of its residuals,
        Breusch-Pagan, and likelihood ratios of Durbin against lag and error.
    fits
        ``model, log_likelihood, parameter_count, aic``.
    robust
        ``model, term, estimate, se, p_value`` where errors may have any variances: OLS with HC3
        [MacKinnon and White 1985], and the error model by GMM [Kelejian and Prucha 2010].
    """

    outcome: str
    covariates: tuple[str, ...]
    area_count: int
    rule: str
    coefficients: pd.DataFrame
    effects: pd.DataFrame
    tests: pd.DataFrame
    fits: pd.DataFrame
    robust: pd.DataFrame

    def estimate(self, model: str, term: str) -> pd.Series:
        """``estimate, se, p_value`` of one term of one model."""
        table = self.coefficients.set_index(["model", "term"])
        return table.loc[(model, term)]


def fit(
    table: pd.DataFrame,
    outcome: str,
    covariates: Sequence[str],
    near: Neighbours,
    *,
    not_lagged: Sequence[str] = (),
    seed: int = 0,
    draws: int = DRAWS,
) -> SpatialRegression:
    """OLS, spatial lag, spatial error and spatial Durbin by maximum likelihood [Anselin 1988].

    Parameters
    ----------
    table
        ``outcome`` and ``covariates`` by area code (the index); areas without neighbours are not
        looked at.
    covariates
        Columns; the constant is added.
    not_lagged
        Covariates without a neighbours' mean in the Durbin model: those that are the same in most
        neighbours anyway, as what marks a kota.
    seed, draws
        Of the simulated standard errors of the effects.

    Raises
    ------
    analysis.neighbours.NeighbourError
        A value is missing or constant, or covariates are collinear.

    Notes
    -----
    Effects after LeSage and Pace (2009, ch. 2): with S = (I - rho W)^-1 (I b + W g) the direct
    effect is trace(S) / n, the total one (b + g) / (1 - rho). Standard errors: standard deviation
    over draws of the coefficients from their estimated normal distribution.
    """
    if lost := [name for name in not_lagged if name not in covariates]:
        raise NeighbourError(f"not_lagged names {', '.join(lost)}, which is no covariate")
    columns = [neighbours.aligned(table[name], near) for name in (outcome, *covariates)]
    y = columns[0].to_numpy()[:, None]
    x = np.column_stack(columns[1:])
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(y)), x])) <= x.shape[1]:
        raise NeighbourError(f"covariates {', '.join(covariates)} are collinear: leave one out")
    weights = near.weights
    names = [*covariates]
    lagged = [name not in not_lagged for name in names]
    # Not method "ord": spreg 1.9 then takes the symmetric similar of W for the variance, where a
    # trace of (W A)'(W A) is not the same, and the standard error of rho is off.
    with _quiet():
        ols = spreg.OLS(y, x, weights, spat_diag=True, moran=True)
        lag = spreg.ML_Lag(y, x, weights, method="full", spat_impacts=None)
        error = spreg.ML_Error(y, x, weights, method="full")
        durbin = spreg.ML_Lag(
            y, x, weights, method="full", slx_lags=1, slx_vars=lagged, spat_impacts=None
        )
    of_neighbours = [f"W {name}" for name, so in zip(names, lagged, strict=True) if so]
    fitted = {
        OLS: (ols, [_CONSTANT, *names]),
        LAG: (lag, [_CONSTANT, *names, _RHO]),
        ERROR: (error, [_CONSTANT, *names, _LAMBDA]),
        DURBIN: (durbin, [_CONSTANT, *names, *of_neighbours, _RHO]),
    }
    eigenvalues = np.linalg.eigvals(weights.full()[0])
    rng = np.random.default_rng(seed)
    return SpatialRegression(
        outcome=outcome,
        covariates=tuple(covariates),
        area_count=len(y),
        rule=near.rule,
        coefficients=pd.concat(
            [_coefficients(model, *own) for model, own in fitted.items()], ignore_index=True
        ),
        effects=pd.concat(
            [
                _effects(LAG, lag, names, [False] * len(names), eigenvalues, rng, draws),
                _effects(DURBIN, durbin, names, lagged, eigenvalues, rng, draws),
            ],
            ignore_index=True,
        ),
        tests=_tests(ols, lag, error, durbin, len(names), sum(lagged)),
        fits=pd.DataFrame(
            {
                "model": list(fitted),
                "log_likelihood": [float(own.logll) for own, _ in fitted.values()],
                # The variance counts too, with all of them.
                "parameter_count": [len(terms) + 1 for _, terms in fitted.values()],
            }
        ).assign(aic=lambda t: 2 * t["parameter_count"] - 2 * t["log_likelihood"]),
        robust=_robust(y, x, weights, names),
    )


def _robust(y: np.ndarray, x: np.ndarray, weights: W, names: list[str]) -> pd.DataFrame:
    least = sm.OLS(y[:, 0], sm.add_constant(x, has_constant="add")).fit(cov_type="HC3")
    rows = pd.DataFrame(
        {
            "model": OLS,
            "term": [_CONSTANT, *names],
            "estimate": least.params,
            "se": least.bse,
            "p_value": least.pvalues,
        }
    )
    with _quiet():
        error = spreg.GM_Error_Het(y, x, weights, step1c=True)
    return pd.concat(
        [rows, _coefficients(ERROR, error, [_CONSTANT, *names, _LAMBDA])], ignore_index=True
    )


def _coefficients(model: str, own: object, terms: list[str]) -> pd.DataFrame:
    estimate, se = np.ravel(own.betas).astype(float), np.sqrt(np.diag(own.vm))
    ratio = np.abs(estimate / se)
    tail = stats.t(own.n - own.k) if model == OLS else stats.norm
    return pd.DataFrame(
        {
            "model": model,
            "term": terms,
            "estimate": estimate,
            "se": se,
            "p_value": 2 * tail.sf(ratio),
        }
    )


def _effects(
    model: str,
    own: object,
    names: list[str],
    lagged: list[bool],
    eigenvalues: np.ndarray,
    rng: np.random.Generator,
    draws: int,
) -> pd.DataFrame:
    mean = np.ravel(own.betas).astype(float)
    drawn = rng.multivariate_normal(mean, own.vm, size=draws, method="cholesky")
    low, high = 1 / eigenvalues.real.min(), 1.0
    drawn = drawn[(drawn[:, -1] > low) & (drawn[:, -1] < high)]  # where the model exists
    at, spread = (_effects_at(rows, lagged, eigenvalues) for rows in (mean[None], drawn))
    parts = {}
    for name, value, simulated in zip(("direct", "indirect", "total"), at, spread, strict=True):
        parts[name] = value[0]
        parts[f"{name}_se"] = simulated.std(axis=0, ddof=1)
    return pd.DataFrame({"model": model, "term": names, **parts})


def _effects_at(
    coefficients: np.ndarray, lagged: list[bool], eigenvalues: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direct, indirect and total effects, one row per row of coefficients."""
    rho = coefficients[:, -1:]
    b = coefficients[:, 1 : len(lagged) + 1]
    g = np.zeros_like(b)
    g[:, lagged] = coefficients[:, len(lagged) + 1 : -1]
    # trace of f(W) is the sum of f over the eigenvalues of W
    resolvent = 1 / (1 - rho * eigenvalues)
    own = resolvent.real.mean(axis=1, keepdims=True)
    back = (resolvent * eigenvalues).real.mean(axis=1, keepdims=True)
    direct = own * b + back * g
    total = (b + g) / (1 - rho)
    return direct, total - direct, total


def _tests(
    ols: object, lag: object, error: object, durbin: object, count: int, lagged: int
) -> pd.DataFrame:
    against_lag = 2 * float(durbin.logll - lag.logll)
    against_error = 2 * float(durbin.logll - error.logll)
    rows = [
        ("LM lag", *ols.lm_lag, 1),
        ("LM error", *ols.lm_error, 1),
        ("robust LM lag", *ols.rlm_lag, 1),
        ("robust LM error", *ols.rlm_error, 1),
        ("Moran's I of residuals (z)", ols.moran_res[1], ols.moran_res[2], np.nan),
        ("Breusch-Pagan", ols.breusch_pagan["bp"], ols.breusch_pagan["pvalue"], count),
        ("LR Durbin against lag", against_lag, stats.chi2.sf(against_lag, lagged), lagged),
        (
            "LR Durbin against error (common factor)",
            against_error,
            stats.chi2.sf(against_error, lagged),
            lagged,
        ),
    ]
    table = pd.DataFrame(rows, columns=["test", "statistic", "p_value", "df"])
    return table[["test", "statistic", "df", "p_value"]].astype(
        {"statistic": "float64", "p_value": "float64", "df": "Int64"}
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """spreg 1.9 prints the name of each model, and uses what pandas 3 and scipy advise against."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The inplace keyword")
        warnings.filterwarnings("ignore", "Method 'bounded' does not support relative")
        yield


# ---- tables and words ------------------------------------------------------------------------


def wide(found: SpatialRegression) -> pd.DataFrame:
    """The coefficients side by side, as text: ``term`` and a column per model, ``b (se)``."""
    cells = [f"{r.estimate:.2f} ({r.se:.2f})" for r in found.coefficients.itertuples()]
    table = found.coefficients.assign(cell=[cell.replace("-", "−") for cell in cells])
    terms = list(dict.fromkeys(table["term"]))
    # The parameters of space last.
    terms.sort(key=lambda term: (term in (_RHO, _LAMBDA), term.startswith("W ")))
    shown = table.pivot(index="term", columns="model", values="cell").loc[
        terms, [OLS, LAG, ERROR, DURBIN]
    ]
    return shown.fillna("").reset_index().rename_axis(columns=None)


def preferred(found: SpatialRegression) -> str:
    """The model with the smallest AIC."""
    return found.fits.loc[found.fits["aic"].idxmin(), "model"]
