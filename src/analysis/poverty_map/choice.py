"""How the model of a poverty map was chosen: transformations and covariates compared.

The transformation is the user's, and all covariates are taken that survey and census have in common
(`analysis.poverty_map.covariates`). What is compared here says whether another choice would fit the
households better; it chooses nothing by itself, since a model chosen by the same data that it is
fitted to would say too little error.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from analysis import sae
from analysis.poverty_map.estimation import RATIO, PovertyMap
from analysis.sae.transformations import BOX_COX, KINDS, LOG_SHIFT, NONE, Transformation

# Nested sets, each with what the ones before it have.
SETS = {
    "kota alone": ("kota_code",),
    "and the people": (
        "household_size", "head_age", "head_female", "head_schooling", "head_work",
    ),
    "and the dwelling": ("dwelling_owned", "floor_area_m2", "water", "toilet", "slum_rw"),
    "and what they own": ("has_car", "has_motorcycle", "has_refrigerator", "has_ac",
                          "has_computer"),
}  # fmt: skip
NEARLY_AS_GOOD = 2  # points of AIC: a difference that says little (Burnham and Anderson 2002)
_POINTS = 200  # of a quantile plot, so that no household can be recognised


def transformations(survey: pd.DataFrame, covariates: Sequence[str], level: str) -> pd.DataFrame:
    """The nested error model under each transformation of `analysis.sae`.

    Parameters
    ----------
    survey
        `analysis.households.welfare`.
    covariates
        Its columns.
    level
        ``kecamatan`` or ``kelurahan``: whose effects the model has.

    Returns
    -------
    pandas.DataFrame
        ``transformation, parameter, aic, bic`` (of welfare itself: the Jacobian is counted, so that
        they compare), ``skewness, kurtosis`` (of the residuals of households, in excess of 3),
        ``r2`` (marginal), ``icc`` (the share of the areas in what the covariates leave). Missing
        where a transformation cannot be fitted (a logarithm of zero).

    Notes
    -----
    Likelihoods are not restricted, at the parameter of the highest restricted one (as the estimates
    use it); the parameter counts as one more. BIC counts households.
    """
    rows = []
    for kind in KINDS:
        try:
            rows.append({"transformation": kind, **_transformed(survey, covariates, level, kind)})
        except sae.SaeError:
            rows.append({"transformation": kind})
    columns = ["parameter", "aic", "bic", "skewness", "kurtosis", "r2", "icc"]
    table = pd.DataFrame(rows, columns=["transformation", *columns])
    return table.astype(dict.fromkeys(columns, "float64"))


def covariate_sets(
    survey: pd.DataFrame, covariates: Sequence[str], made: PovertyMap
) -> pd.DataFrame:
    """The model of a map with fewer covariates, under its own transformation.

    Returns
    -------
    pandas.DataFrame
        By set of `SETS` (those of its covariates that there are): ``covariates`` (in words),
        ``terms`` (coefficients), ``aic, bic`` (as in `transformations`), ``r2, icc, sigma2_u``.
    """
    h = _of(made.fit.fit)
    rows, taken = [], []
    for words, names in SETS.items():
        own = [name for name in names if name in covariates]
        taken += own
        if own:
            fitted = _fit(survey, taken, made.level, h)
            rows.append({"covariates": words, "terms": len(fitted.coefficients)}
                        | _criteria(survey, fitted, h)
                        | {"sigma2_u": fitted.sigma2_u})  # fmt: skip
    return pd.DataFrame(rows)


def left_out(survey: pd.DataFrame, covariates: Sequence[str], made: PovertyMap) -> pd.Series:
    """By covariate: how much AIC rises when it alone is left out (falls, where negative)."""
    h = _of(made.fit.fit)
    whole = _criteria(survey, _fit(survey, covariates, made.level, h), h)["aic"]
    rises = {}
    for name in covariates:
        rest = [other for other in covariates if other != name]
        fitted = _fit(survey, rest, made.level, h)
        rises[name] = _criteria(survey, fitted, h)["aic"] - whole
    return pd.Series(rises, name="aic_rise", dtype="float64")


def _transformed(
    survey: pd.DataFrame, covariates: Sequence[str], level: str, kind: str
) -> dict[str, float]:
    fitted = sae.empirical_best(
        survey,
        survey,  # the estimates are of no interest here
        welfare=RATIO,
        covariates=list(covariates),
        area=f"{level}_code",
        line=1.0,
        transformation=kind,
        progress=False,
    ).fit
    h = _of(fitted)
    own = _fit(survey, covariates, level, h)
    return {
        "parameter": h.parameter,
        **_criteria(survey, own, h),
        "skewness": float(stats.skew(own.residuals)),
        "kurtosis": float(stats.kurtosis(own.residuals)),
    }


def _of(fitted: sae.NestedError) -> Transformation:
    return Transformation(fitted.transformation, fitted.transformation_parameter, fitted.shift)


def _fit(
    survey: pd.DataFrame, covariates: Sequence[str], level: str, h: Transformation
) -> sae.NestedError:
    return sae.nested_error(
        survey.assign(transformed=h.forward(survey[RATIO].to_numpy())),
        response="transformed",
        covariates=list(covariates),
        area=f"{level}_code",
        method="ml",
    )


def _criteria(survey: pd.DataFrame, fitted: sae.NestedError, h: Transformation) -> dict:
    """``aic, bic, r2, icc`` of a fit by maximum likelihood of h(welfare)."""
    likelihood = fitted.log_likelihood + _log_jacobian(survey[RATIO].to_numpy(), h)
    parameters = len(fitted.coefficients) + 2 + (h.kind in (BOX_COX, LOG_SHIFT))
    explained, left = float(fitted.fitted.var()), fitted.sigma2_u + fitted.sigma2_e
    return {
        "aic": 2 * parameters - 2 * likelihood,
        "bic": np.log(len(survey)) * parameters - 2 * likelihood,
        "r2": explained / (explained + left),
        "icc": fitted.sigma2_u / left,
    }


def _log_jacobian(welfare: np.ndarray, h: Transformation) -> float:
    """The sum of log h'(welfare)."""
    if h.kind == NONE:
        return 0.0
    power = h.parameter - 1 if h.kind == BOX_COX else -1.0
    return float(power * np.log(welfare + h.offset).sum())


# ---- in words, and drawn ---------------------------------------------------------------------


def transformation_words(table: pd.DataFrame, used: str) -> str:
    """Whether AIC would have chosen the transformation that is used."""
    aic = table.set_index("transformation")["aic"].dropna()
    best = aic.idxmin()
    gap = aic[used] - aic[best]
    if best == used:
        second = aic.drop(best).min() - aic[best]
        more = f", by {second:.0f} points" if np.isfinite(second) else ""
        return f"Of the transformations AIC prefers the one that is used, {used}{more}."
    much = "which says little" if gap <= NEARLY_AS_GOOD else "which speaks against it"
    return f"AIC prefers {best} to {used}, which is used, by {gap:.0f} points, {much}."


def covariate_words(sets: pd.DataFrame, rises: pd.Series) -> str:
    """What the covariates explain, and which of them AIC could do without."""
    words = (
        f"All covariates together explain {100 * sets['r2'].iloc[-1]:.0f} % of the variance "
        f"between households, the kota alone {100 * sets['r2'].iloc[0]:.0f} %; between areas "
        f"remains a share of {100 * sets['icc'].iloc[-1]:.1f} % of what is left."
    )
    spare = rises[rises < 0]
    if len(spare):
        named = ", ".join(f"`{name}`" for name in spare.index)
        return f"{words} By AIC the model could do without {named}, each alone; they stay."
    return f"{words} AIC would leave out none of them."


def draw_quantiles(axes: Axes, values: pd.Series, name: str) -> None:
    """Quantiles of standardised values against those of the normal distribution."""
    own = np.sort((values - values.mean()) / values.std())
    share = (np.arange(1, len(own) + 1) - 0.5) / len(own)
    if len(own) > _POINTS:
        at = (np.arange(1, _POINTS + 1) - 0.5) / _POINTS
        own, share = np.interp(at, share, own), at
    expected = stats.norm.ppf(share)
    axes.plot(expected, expected, color="0.5", linewidth=0.8)
    axes.plot(expected, own, "o", markersize=2.5)
    axes.set(xlabel="Normal quantile", title=name)


def draw_normality(axes: Sequence[Sequence[Axes]], made: Mapping[str, PovertyMap]) -> None:
    """By level (a row of axes each): residuals of households, and effects of the sampled areas."""
    for row, (level, own) in zip(axes, made.items(), strict=True):
        fitted = own.fit.fit
        draw_quantiles(row[0], fitted.residuals, f"households ({level} model)")
        # Predicted effects have unequal variances: shrinkage times that of the effects.
        kept = fitted.shrinkage > 0
        effects = fitted.effects[kept] / np.sqrt(fitted.shrinkage[kept])
        if len(effects) > 2:
            draw_quantiles(row[1], effects, f"{level}")
        row[0].set_ylabel("Standardised value")
